/* memory.c: sums over the streams of all layers. */
#include "explain/memory.h"

#include <math.h>
#include <string.h>

static double rows_at(const zoo_stream *s, double positions)
{
    double rows = ceil(positions / (s->stride ? s->stride : 1));
    return s->kind == ZOO_RING && rows > s->window ? s->window : rows;
}

static void add_stream(zoo_arch_cost *cost, const zoo_arch_block *block, const zoo_arch_stream *s,
                       zoo_dtype dtype, double positions)
{
    double bytes = zoo_cache_row_cost(&s->decl, zoo_cache_kinds[dtype]).bytes;
    if (s->decl.kind == ZOO_STATE) {
        cost->kept += block->borrows ? 0 : bytes;
        cost->states += block->borrows ? 0 : bytes;
        cost->read += bytes;
        cost->cache_flops += s->flops;
        return;
    }
    double rows = rows_at(&s->decl, positions), stride = s->decl.stride ? s->decl.stride : 1;
    double read = s->rows_read > 0 && s->rows_read < rows ? s->rows_read : rows;
    cost->read += read * bytes;
    cost->cache_flops += read * s->flops;
    if (block->borrows) {
        return;
    }
    cost->kept += rows * bytes;
    cost->growing += bytes / stride;
    if (s->decl.kind == ZOO_RING) {
        cost->windows += s->decl.window * bytes;
    } else {
        cost->growing_later += bytes / stride;
    }
}

zoo_arch_cost zoo_arch_cost_at(const zoo_arch *arch, zoo_dtype dtype, double positions)
{
    zoo_arch_cost cost = {0};
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        for (uint32_t k = 0; k < arch->layers[i].n_blocks; k++) {
            const zoo_arch_block *block = &arch->layers[i].blocks[k];
            for (uint32_t s = 0; s < block->n_streams; s++) {
                add_stream(&cost, block, &block->streams[s], dtype, positions);
            }
        }
    }
    cost.flops = 2.0 * (double)arch->params.products + cost.cache_flops;
    return cost;
}

static bool same_stream(const zoo_arch_sum *sum, const zoo_arch_stream *s)
{
    const zoo_stream *a = &sum->decl, *b = &s->decl;
    return strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->width == b->width &&
           a->heads == b->heads && a->stride == b->stride && a->dtype_min == b->dtype_min &&
           (a->kind != ZOO_RING || a->window == b->window) &&
           fabs(sum->rows_read - s->rows_read) < 0.5;
}

uint32_t zoo_arch_sums(const zoo_arch *arch, zoo_arch_sum *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        for (uint32_t k = 0; k < arch->layers[i].n_blocks; k++) {
            const zoo_arch_block *block = &arch->layers[i].blocks[k];
            for (uint32_t s = 0; s < block->n_streams && !block->borrows; s++) {
                uint32_t at = 0;
                while (at < n && !same_stream(&out[at], &block->streams[s])) {
                    at++;
                }
                if (at == n && n < ZOO_SUMS_MAX) {
                    out[n++] =
                        (zoo_arch_sum){block->streams[s].decl, block->streams[s].rows_read, 0};
                }
                out[at < ZOO_SUMS_MAX ? at : ZOO_SUMS_MAX - 1].n++;
            }
        }
    }
    return n;
}
