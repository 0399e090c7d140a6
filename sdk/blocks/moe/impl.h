/*
 * impl.h: what the files of the experts share: bind.c and refuse.c (params, tensors), route.c and
 * rules.c (routing), sort.c and apply.c (grouped experts), prepare.c, moe.c (block).
 */
#ifndef ZOO_BLOCKS_MOE_IMPL_H
#define ZOO_BLOCKS_MOE_IMPL_H

#include "blocks/moe/moe.h"
#include "blocks/ops.h"

extern const zoo_bind zoo_moe_binds[];
/* Refuses params that cannot be computed; defaults are filled. refuse.c [load] */
zoo_status zoo_moe_refuse(const zoo_moe *p, zoo_error *err);
/* The prepare slot of the block. prepare.c [load] */
zoo_status zoo_moe_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err);

/* Replaces the router logits of a row by their scores. */
void zoo_moe_score(const zoo_kernels *kernels, const zoo_router *router, float *logits);
/* Overwrites the choices of rejected groups; groups and picks, [n_groups] each, are workspace. */
void zoo_moe_refuse_groups(const zoo_kernels *kernels, const zoo_router *router, float *choice,
                           float *groups, uint32_t *picks);
/* idx, weight [top_k] by ZOO_SCORE_SPARSEMIXER; left [n_experts] is workspace. */
void zoo_moe_sparsemixer(const zoo_router *router, const float *scores, float *left, uint32_t *idx,
                         float *weight);

/* The pairs of one expert. */
typedef struct moe_group {
    uint32_t expert, begin, n;
} moe_group;

typedef struct moe_pair_buffers {
    uint32_t *counts;     /* [n + 1] then ends of groups */
    uint32_t *place;      /* [n_rows * top_k] pair of a route; unused for routes past n */
    uint32_t *route;      /* [n_rows * top_k] route of a pair */
    moe_group *groups;    /* [min(n, pairs)] */
    unsigned char *x, *h; /* rows as gemm reads them */
    float *gate, *up;     /* [pairs, width] */
    float *down;          /* [pairs, width_out] */
    float *tmp;           /* [n_threads, max(width, width_in)] */
} moe_pair_buffers;

typedef struct moe_job {
    zoo_ctx *ctx;
    const zoo_experts *experts;
    const zoo_expert_weights *weights;
    const zoo_routes *routes;
    const float *x;
    float *y;
    moe_pair_buffers buffers;
    size_t x_size, h_size; /* bytes of a row as gemm reads it */
    uint32_t n_groups, n_chunks, panels;
} moe_job;

/* Floats of a worker's tmp row. */
uint32_t zoo_moe_tmp_width(const zoo_experts *experts);
moe_pair_buffers zoo_moe_layout(const zoo_experts *experts, uint32_t top_k, uint32_t n_rows,
                                uint32_t n_threads, zoo_scratch_layout *layout);
/* Sorts routes by expert; rows stay ascending. Returns the number of pairs. */
uint32_t zoo_moe_sort(moe_job *job);

#endif
