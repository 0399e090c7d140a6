/*
 * dynamic_conv.c: a causal depthwise convolution to whose taps each token adds weights of its own,
 * the same for all channels of a head (formula: clipped.h).
 *
 * Items are (sequence, head); the taps of an element are added from the nearest on, so its bits
 * depend on its own window alone. Memory: the window, in the cache.
 */
#include <string.h>

#include "clipped.h"

typedef struct conv_job {
    const hybrid_dynamic_conv *conv;
    zoo_cache *cache;
    const zoo_span *span;
} conv_job;

/* Channels [from, from + width) of the row `back` rows before row `at` of the sequence. */
static const float *row_before(const hybrid_dynamic_conv *c, const float *x, const float *state,
                               uint32_t at, uint32_t back)
{
    return back <= at ? x + (size_t)(at - back) * c->channels
                      : state + (size_t)(c->taps - 1 + at - back) * c->channels;
}

static void convolve_row(const hybrid_dynamic_conv *c, const float *x, const float *state,
                         const float *dynamic, uint32_t at, float *y)
{
    uint32_t width = c->channels / c->n_heads;
    const float *weight = c->weight + (size_t)(y - c->y) % c->channels;
    const float *own = x + (size_t)at * c->channels;
    memset(y, 0, width * sizeof *y);
    for (uint32_t i = 0; i < c->taps; i++) {
        const float *from = row_before(c, x, state, at, i);
        for (uint32_t j = 0; j < width; j++) {
            y[j] += (weight[(size_t)i * c->channels + j] + dynamic[i]) * from[j];
        }
    }
    for (uint32_t j = 0; j < width; j++) {
        y[j] = (y[j] + own[j]) * c->scale;
    }
}

/* The last taps - 1 rows of what was kept and what came. */
static void keep(const hybrid_dynamic_conv *c, const float *x, float *state, uint32_t n)
{
    uint32_t width = c->channels / c->n_heads;
    for (uint32_t i = 0; i + 1 < c->taps; i++) {
        const float *from = i + n < c->taps - 1 ? state + (size_t)(i + n) * c->channels
                                                : x + (size_t)(i + n - (c->taps - 1)) * c->channels;
        memcpy(state + (size_t)i * c->channels, from, width * sizeof *state);
    }
}

static void conv_item(void *arg, uint32_t item, uint32_t worker)
{
    const conv_job *job = arg;
    const hybrid_dynamic_conv *c = job->conv;
    const zoo_seq *seq = &job->span->seqs[item / c->n_heads];
    uint32_t head = item % c->n_heads, from = head * (c->channels / c->n_heads);
    float *state = job->cache->state(job->cache, c->stream, seq) + from;
    const float *x = c->x + (size_t)seq->row * c->channels + from;
    (void)worker;
    for (uint32_t i = 0; i < seq->n; i++) {
        size_t row = (size_t)seq->row + i;
        convolve_row(c, x, state, c->dynamic + (row * c->n_heads + head) * c->taps, i,
                     c->y + row * c->channels + from);
    }
    keep(c, x, state, seq->n);
}

void hybrid_dynamic_conv_run(zoo_ctx *ctx, const hybrid_dynamic_conv *conv, zoo_cache *cache,
                             const zoo_span *span)
{
    conv_job job = {conv, cache, span};
    ctx->parallel(ctx, span->n_seqs * conv->n_heads, conv_item, &job);
}
