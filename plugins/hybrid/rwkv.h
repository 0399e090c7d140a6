/*
 * rwkv.h: what the two blocks of RWKV-4 share: rwkv_time.c (in place of attention), rwkv_channel.c
 * (in place of the feed-forward part), rwkv.c (params, layer, mixing with the row before).
 */
#ifndef HYBRID_RWKV_H
#define HYBRID_RWKV_H

#include "hybrid.h"

typedef struct rwkv_params {
    uint32_t width; /* of x and y */
    uint32_t inner; /* of the block */
    float scale;    /* on y */
} rwkv_params;

/*
 * out_i = x_t * mix_i + x_(t-1) * (1 - mix_i), per channel; the row before the first is the state
 * of stream `stream`, which leaves with the last row.
 */
typedef struct rwkv_mix {
    const float *x; /* [n_rows, width] */
    uint32_t width, n, stream;
    const float *mix[3], *rest[3]; /* [width]; rest = 1 - mix */
    float *out[3];                 /* [n_rows, width] */
    float *tmp;                    /* [n_threads, width] */
} rwkv_mix;
void hybrid_rwkv_mix_run(zoo_ctx *ctx, const rwkv_mix *mix, zoo_cache *cache, const zoo_span *span);
/* 1 - x, in the model arena. [load] */
const float *hybrid_rwkv_rest(zoo_setup *setup, const float *x, uint32_t n);

#endif
