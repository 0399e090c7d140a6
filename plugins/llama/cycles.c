/*
 * cycles.c: two stacks of layers that run again and again, one on a quick state, one on a slow one.
 *
 *   slow = embedding, quick = z
 *   H times:  L times: quick = norm(quick stack(quick + slow));
 *             slow = norm(slow stack(slow + quick))
 *
 * Every run of a stack is a run of layers of the plan: they share their weights with the other runs
 * of the stack, and each has keys and values of its own. The residual stream is the state that a
 * stack works on; this block is the first layer of each run, which norms what the run before left
 * and adds the other state. The norm after the last run is the model's.
 *
 * Memory: both states of the rows of a step, until it ends; two buffers of rows. Source: the
 * reference's model.
 */
#include <string.h>

#include "llama.h"

typedef struct weights {
    const float *start; /* z */
} weights;

static const zoo_bind binds[] = {
    {.name = "model.z_L_init",
     .kind = ZOO_BIND_VECTOR,
     .flags = ZOO_BIND_ABSOLUTE,
     .field = (uint32_t)offsetof(weights, start),
     .rows = ZOO_AT(llama_cycle, width),
     .cols = ZOO_NONE,
     .experts = ZOO_NONE,
     .map = ZOO_NONE,
     .when = ZOO_AT(llama_cycle, first)},
    {.name = NULL},
};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_cycle *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->width);
    return 2 * layout.used;
}

/* The states as the run before left them: x is its last row, before the norm. */
static void take_states(zoo_ctx *ctx, const llama_cycle *p, const weights *w, const float *x,
                        float *const states[2], uint32_t n_rows)
{
    if (p->first) {
        memcpy(states[LLAMA_SLOW], x, (size_t)n_rows * p->width * sizeof *x);
        for (uint32_t row = 0; row < n_rows; row++) {
            memcpy(states[LLAMA_QUICK] + (size_t)row * p->width, w->start,
                   p->width * sizeof(float));
        }
        return;
    }
    const zoo_norm_args norm = {.x = x,
                                .y = states[p->before],
                                .x_stride = p->width,
                                .y_stride = p->width,
                                .n_rows = n_rows,
                                .width = p->width,
                                .eps = p->eps};
    zoo_norm_rows(ctx, ZOO_NORM_RMS, norm);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_cycle *p = params;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    size_t size = (size_t)n * p->width;
    bool fresh = false;
    float *both = ctx->memo(ctx, p->key, 2 * size * sizeof *both, &fresh);
    float *const states[2] = {both, both + size};
    float *h = zoo_scratch_layout_floats(&layout, n, p->width),
          *branch = zoo_scratch_layout_floats(&layout, n, p->width);
    (void)cache;
    take_states(ctx, p, bound, x, states, n);
    memcpy(h, states[LLAMA_SLOW], size * sizeof *h);
    zoo_add_rows(ctx, states[LLAMA_QUICK], h, n, p->width);
    for (uint32_t i = 0; i < 2; i++) {
        ctx->part(ctx, i, h, branch, span);
        zoo_add_rows(ctx, branch, h, n, p->width);
    }
    memcpy(y, h, size * sizeof *h);
}

const zoo_block_ops llama_cycle_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(weights),
                                       .name = "cycle",
                                       .binds = binds,
                                       .scratch = scratch,
                                       .forward = forward,
                                       .facts = llama_cycle_facts};
