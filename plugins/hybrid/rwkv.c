/*
 * rwkv.c: layers of RWKV-4 and the mixing of a row with the one before it.
 *
 *   h += time(ln1 h);  h += channel(ln2 h)
 *   h /= 2 between every rescale_every-th layer and the next
 *
 * The outputs of layer l are scaled by 2^-(l / rescale_every), so that halving the stream changes
 * nothing but what the eps of the norms sees; the reference does the same. Keys: rescale_every,
 * attention_hidden_size, intermediate_size. Source: Peng et al., "RWKV" (2023).
 */
#include "rwkv.h"

#include <math.h>
#include <string.h>

typedef struct mix_job {
    const zoo_kernels *kernels;
    const rwkv_mix *mix;
    zoo_cache *cache;
    const zoo_span *span;
} mix_job;

static void mix_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mix_job *job = arg;
    const rwkv_mix *m = job->mix;
    size_t n = m->width;
    float *tmp = m->tmp + worker * n;
    for (uint32_t row = begin; row < end; row++) {
        const zoo_seq *seq = &job->span->seqs[job->span->seq_of[row]];
        const float *x = m->x + row * n;
        const float *before =
            row == seq->row ? job->cache->state(job->cache, m->stream, seq) : x - n;
        for (uint32_t i = 0; i < m->n; i++) {
            float *out = m->out[i] + row * n;
            job->kernels->mul(x, m->mix[i], out, n);
            job->kernels->mul(before, m->rest[i], tmp, n);
            job->kernels->add(out, tmp, out, n);
        }
    }
}

void hybrid_rwkv_mix_run(zoo_ctx *ctx, const rwkv_mix *mix, zoo_cache *cache, const zoo_span *span)
{
    mix_job job = {ctx->kernels, mix, cache, span};
    zoo_rows(ctx, span->n_rows, (size_t)mix->width * 6, mix_range, &job);
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        const zoo_seq *seq = &span->seqs[s];
        if (seq->n) {
            memcpy(cache->state(cache, mix->stream, seq),
                   mix->x + (size_t)(seq->row + seq->n - 1) * mix->width,
                   mix->width * sizeof(float));
        }
    }
}

const float *hybrid_rwkv_rest(zoo_setup *setup, const float *x, uint32_t n)
{
    float *rest = setup->take(setup, n * sizeof *rest);
    for (uint32_t i = 0; rest && i < n; i++) {
        rest[i] = 1.0f - x[i];
    }
    return rest;
}

zoo_status hybrid_rwkv_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    const zoo_config *c = b->config;
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    rwkv_params *params = b->setup->take(b->setup, 2 * sizeof *params);
    zoo_branch *branches = b->setup->take(b->setup, 3 * sizeof *branches);
    uint32_t every = c->whole(c, "rescale_every", 6);
    float scale = every ? (float)exp2(-(double)(layer / every)) : 1.0f;
    bool halved = every && layer && layer % every == 0;
    if (!parts || !params || !branches) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    params[0] = (rwkv_params){b->hidden, c->whole(c, "attention_hidden_size", b->hidden), scale};
    params[1] = (rwkv_params){b->hidden, c->whole(c, "intermediate_size", 4 * b->hidden), scale};
    if (!params[0].inner || !params[1].inner || params[0].inner > 1u << 22 ||
        params[1].inner > 1u << 22) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "attention_hidden_size or intermediate_size is bad");
    }
    parts[0] = hybrid_part(b, &hybrid_rwkv_time_ops, &params[0], "attention");
    parts[1] = hybrid_part(b, &hybrid_rwkv_channel_ops, &params[1], "feed_forward");
    ZOO_TRY(zoo_decoder_frame(b, layer, parts, 2, out));
    /* h + (-h / 2) is h / 2 without rounding. */
    ZOO_TRY(hybrid_scale_part(b, "rescale", -0.5f, &parts[2]));
    branches[0] = (zoo_branch){.parts = &parts[2], .n_parts = 1, .scale = 1.0f, .h_scale = 1.0f};
    memcpy(branches + 1, out->branches, 2 * sizeof *branches);
    out->n_branches = halved ? 3 : 2;
    out->branches = halved ? branches : branches + 1;
    return ZOO_OK;
}

zoo_status hybrid_rwkv_finish(zoo_decoder *b)
{
    uint32_t every = b->config->whole(b->config, "rescale_every", 6);
    if (!every || b->n_layers % every != 0) {
        return ZOO_OK;
    }
    zoo_part *part = b->setup->take(b->setup, sizeof *part);
    if (!part) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    b->plan->epilogue = part;
    b->plan->n_epilogue = 1;
    return hybrid_scale_part(b, "rescale", 0.5f, part);
}
