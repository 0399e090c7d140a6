/*
 * constant.c: y = bias, for a vector that a release adds to the sum of its experts.
 *
 * Tensors below the block's module: bias [width]. Memory: none.
 */
#include <string.h>

#include "llama.h"

typedef struct weights {
    const float *bias;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, bias, ZOO_BIND_VECTOR, 0, "bias", llama_constant, width, ZOO_NONE, ZOO_NONE),
    {.name = NULL},
};

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_constant *p = params;
    const weights *w = bound;
    (void)ctx;
    (void)cache;
    (void)x;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        memcpy(y + (size_t)row * p->width, w->bias, p->width * sizeof(float));
    }
}

const zoo_block_ops llama_constant_ops = {.size = sizeof(zoo_block_ops),
                                          .weights_size = sizeof(weights),
                                          .name = "constant",
                                          .binds = binds,
                                          .forward = forward,
                                          .facts = llama_constant_facts};
