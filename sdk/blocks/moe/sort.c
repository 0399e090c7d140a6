/*
 * sort.c: pairs of rows and chosen experts, sorted by expert; scratch of the grouped experts.
 *
 * A counting sort: experts ascend, and the rows of an expert ascend. Routes at or above the number
 * of experts (they return their input) make no pair.
 */
#include "blocks/moe/impl.h"
#include "blocks/ops.h"

#include <string.h>

uint32_t zoo_moe_tmp_width(const zoo_experts *e)
{
    return e->width > e->width_in ? e->width : e->width_in;
}

moe_pair_buffers zoo_moe_layout(const zoo_experts *e, uint32_t top_k, uint32_t n_rows,
                                uint32_t n_threads, zoo_scratch_layout *layout)
{
    size_t pairs = (size_t)top_k * n_rows;
    moe_pair_buffers b;
    b.counts = zoo_scratch_layout_take(layout, ((size_t)e->n + 1) * sizeof(uint32_t));
    b.place = zoo_scratch_layout_take(layout, pairs * sizeof(uint32_t));
    b.route = zoo_scratch_layout_take(layout, pairs * sizeof(uint32_t));
    b.groups = zoo_scratch_layout_take(layout, e->n * sizeof(moe_group));
    b.x = zoo_scratch_layout_take(layout, pairs * zoo_prepared_bound(e->width_in));
    b.h = zoo_scratch_layout_take(layout, pairs * zoo_prepared_bound(e->width));
    b.up = zoo_scratch_layout_floats(layout, pairs, e->width);
    b.gate = e->gated ? zoo_scratch_layout_floats(layout, pairs, e->width) : b.up;
    b.down = zoo_scratch_layout_floats(layout, pairs, e->width_out);
    b.tmp = zoo_scratch_layout_floats(layout, n_threads, zoo_moe_tmp_width(e));
    return b;
}

size_t zoo_moe_apply_scratch(const zoo_experts *experts, uint32_t top_k, uint32_t n_rows,
                             uint32_t n_threads)
{
    zoo_scratch_layout layout = {0};
    (void)zoo_moe_layout(experts, top_k, n_rows, n_threads, &layout);
    return layout.used;
}

uint32_t zoo_moe_sort(moe_job *job)
{
    const zoo_routes *r = job->routes;
    uint32_t n = job->experts->n, n_routes = r->n_rows * r->top_k, pairs = 0;
    memset(job->buffers.counts, 0, ((size_t)n + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < n_routes; i++) {
        job->buffers.counts[r->idx[i] < n ? r->idx[i] : n]++;
    }
    for (uint32_t e = 0; e < n; e++) {
        uint32_t count = job->buffers.counts[e];
        if (count) {
            job->buffers.groups[job->n_groups++] = (moe_group){e, pairs, count};
        }
        job->buffers.counts[e] = pairs;
        pairs += count;
    }
    for (uint32_t i = 0; i < n_routes; i++) {
        if (r->idx[i] < n) {
            uint32_t pair = job->buffers.counts[r->idx[i]]++;
            job->buffers.place[i] = pair;
            job->buffers.route[pair] = i;
        }
    }
    return pairs;
}
