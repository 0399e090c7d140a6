/*
 * csa_bind.c: params and tensors of attention over compressed entries; names are those of the
 * released files.
 */
#include "blocks/rows.h"
#include "csa.h"

#include <math.h>

static zoo_status refuse(const ds_csa *p, zoo_error *err)
{
    const uint32_t sizes[] = {p->width_in, p->n_heads,  p->head_dim, p->rope_dim,
                              p->q_lora,   p->n_groups, p->o_lora,   p->window};
    bool bad = p->rope_dim > p->head_dim || p->ratio > 65536;
    for (size_t i = 0; i < ZOO_COUNT(sizes); i++) {
        bad = bad || sizes[i] == 0 || sizes[i] > 65536;
    }
    bad = bad || p->n_heads % p->n_groups != 0 || (uint64_t)p->n_heads * p->head_dim > 1u << 27;
    bad = bad || (uint64_t)p->ratio * (p->head_dim + p->index_dim) > 1u << 24;
    if (bad || !p->rope || !p->back) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "compressed attention: %u heads of %u in %u groups, %u rotated, window %u, "
                        "one entry in %u",
                        p->n_heads, p->head_dim, p->n_groups, p->rope_dim, p->window, p->ratio);
    }
    if (p->overlap && (!p->ratio || !p->top_k || !p->index_heads || p->index_heads > 65536 ||
                       p->index_dim < p->rope_dim || p->index_dim > 65536)) {
        return zoo_fail(
            err, ZOO_E_CONFIG,
            "compressed attention: an indexer of %u heads of %u that chooses %u entries",
            p->index_heads, p->index_dim, p->top_k);
    }
    return ZOO_OK;
}

uint32_t csa_open_width(const ds_csa *p, uint32_t width)
{
    return (p->overlap ? 8 : 2) * p->ratio * width;
}

zoo_status ds_csa_finish(ds_csa *p, zoo_error *err)
{
    ZOO_TRY(refuse(p, err));
    p->q_rows = p->n_heads * p->head_dim;
    p->group_cols = p->q_rows / p->n_groups;
    p->mid = p->n_groups * p->o_lora;
    p->when.pool = p->ratio != 0;
    p->when.index = p->overlap;
    p->pool_width = p->ratio ? p->head_dim * (p->overlap ? 2 : 1) : 0;
    p->index_pool = p->overlap ? 2 * p->index_dim : 0;
    p->index_q_rows = p->overlap ? p->index_heads * p->index_dim : 0;
    p->scale = (float)(1.0 / sqrt(p->head_dim));
    return ZOO_OK;
}

#define ZOO_ROW_WEIGHTS ds_csa_weights
#define ZOO_ROW_PARAMS  ds_csa

/* clang-format off */
#define POOL(f, module, width_, norm_, when_)                                                      \
    ZOO_ROW_MATRIX(f.kv, module ".kv_proj.weight", 0, width_, width_in, ZOO_NONE,                  \
        ZOO_ROW_AT(when_)),                                                                        \
    ZOO_ROW_MATRIX(f.gate, module ".gate_proj.weight", 0, width_, width_in, ZOO_NONE,              \
        ZOO_ROW_AT(when_)),                                                                        \
    {.name = module ".position_bias", .kind = ZOO_BIND_VECTOR, .rows = ZOO_ROW_AT(ratio),          \
     .field = ZOO_AT(ZOO_ROW_WEIGHTS, f.ape), .cols = ZOO_ROW_AT(width_), .experts = ZOO_NONE,     \
     .map = ZOO_NONE, .when = ZOO_ROW_AT(when_)},                                                  \
    ZOO_ROW_VECTOR(f.norm, module ".kv_norm.weight", norm_, ZOO_NONE, ZOO_ROW_AT(when_))

const zoo_bind ds_csa_binds[] = {
    ZOO_ROW_MATRIX(q_a, "q_a_proj.weight", 0, q_lora, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(q_norm, "q_a_norm.weight", q_lora, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(q_b, "q_b_proj.weight", 0, q_rows, q_lora, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(kv, "kv_proj.weight", 0, head_dim, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(kv_norm, "kv_norm.weight", head_dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_EXPERTS(o_a, "o_a_proj.weight", 0, o_lora, group_cols, n_groups, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(o_b, "o_b_proj.weight", 0, width_in, mid, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(sinks, "sinks", n_heads, ZOO_NONE, ZOO_NONE),
    POOL(pool, "compressor", pool_width, head_dim, when.pool),
    POOL(index_pool, "compressor.indexer", index_pool, index_dim, when.index),
    ZOO_ROW_MATRIX(index_q, "compressor.indexer.q_b_proj.weight", 0, index_q_rows, q_lora,
                   ZOO_NONE, ZOO_ROW_AT(when.index)),
    ZOO_ROW_MATRIX(index_w, "compressor.indexer.scorer.weights_proj.weight", ZOO_BIND_EXACT,
                   index_heads, width_in, ZOO_NONE, ZOO_ROW_AT(when.index)),
    {0}};
/* clang-format on */
