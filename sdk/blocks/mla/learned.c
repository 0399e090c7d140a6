/*
 * learned.c: what latent attention learns beside its projections.
 *
 *   q_h = (s_h ln(pos + 1) + b_h) q_h, of index queries alike      log_scaling
 *   frequency_i = e^alpha_i frequency_i, one alpha for the model   learned_rope
 *   q_i = Wi layer_norm(x)                                         index.from_input
 */
#include <math.h>

#include "blocks/mla/impl.h"

zoo_status zoo_mla_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const zoo_mla *p = params;
    zoo_mla_weights *w = weights;
    if (!p->learned_rope) {
        return ZOO_OK;
    }
    zoo_rope *rope = setup->take(setup, sizeof *rope);
    float *freq = setup->take(setup, p->rope_pairs * sizeof *freq);
    if (!rope || !freq) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for rotary tables");
    }
    for (uint32_t i = 0; i < p->rope_pairs; i++) {
        freq[i] = p->rope->inv_freq[i] * expf(w->alpha[i]);
    }
    *rope = *p->rope;
    rope->inv_freq = freq;
    w->rope = rope;
    return ZOO_OK;
}

void zoo_mla_scale_heads(const mla_step *step, uint32_t pos, const float *scale, const float *bias,
                         float *x, uint32_t n_heads, uint32_t head_stride)
{
    float log_pos = logf((float)(pos + 1));
    for (uint32_t h = 0; h < n_heads; h++) {
        float *head = x + (size_t)h * head_stride;
        step->ctx->kernels->scale(scale[h] * log_pos + bias[h], head, head, head_stride);
    }
}

void zoo_mla_index_queries(mla_step *step, const float *x)
{
    const zoo_mla *p = step->params;
    const zoo_mla_weights *w = step->weights;
    uint32_t n = step->span->n_rows;
    const zoo_proj index = {&w->index_q, NULL, step->buffers.index_q, p->index_q_rows};
    if (p->when.index_input) {
        zoo_norm_rows(step->ctx, ZOO_NORM_LAYER,
                      (zoo_norm_args){.x = x,
                                      .y = step->buffers.index_x,
                                      .weight = w->index_input,
                                      .bias = w->index_input_bias,
                                      .x_stride = p->width_in,
                                      .y_stride = p->width_in,
                                      .n_rows = n,
                                      .width = p->width_in,
                                      .eps = 1e-6f});
    }
    const float *from = p->when.index_input ? step->buffers.index_x : step->buffers.q_a;
    zoo_linear(step->ctx, &index, 1, from, p->when.index_input ? p->width_in : p->q_in, n);
}
