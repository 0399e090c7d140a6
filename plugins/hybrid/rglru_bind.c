/*
 * rglru_bind.c: params and tensors of the gated linear recurrence.
 *
 * Keys: lru_width (the hidden size), conv1d_width, num_attention_heads (blocks of the gates),
 * hidden_activation.
 */
#include <math.h>

#include "blocks/rows.h"
#include "rglru.h"

#define W rglru_weights
#define P rglru_params

/* clang-format off */
const zoo_bind hybrid_rglru_binds[] = {
    MATRIX(x, "linear_x.weight", 0, width, width_in, NONE, NONE),
    VECTOR(x_bias, "linear_x.bias", width, NONE, NONE),
    MATRIX(y, "linear_y.weight", 0, width, width_in, NONE, NONE),
    VECTOR(y_bias, "linear_y.bias", width, NONE, NONE),
    MATRIX(out, "linear_out.weight", 0, width_in, width, NONE, NONE),
    VECTOR(out_bias, "linear_out.bias", width_in, NONE, NONE),
    {.name = "conv_1d.weight", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(W, conv),
     .rows = AT(width), .cols = AT(taps), .experts = NONE, .map = NONE, .when = NONE},
    VECTOR(conv_bias, "conv_1d.bias", width, NONE, NONE),
    EXPERTS(r, "rg_lru.recurrent_gate_weight", T | ZOO_BIND_EXACT, block, block, n_heads, NONE,
            NONE),
    EXPERTS(i, "rg_lru.input_gate_weight", T | ZOO_BIND_EXACT, block, block, n_heads, NONE, NONE),
    VECTOR(r_bias, "rg_lru.recurrent_gate_bias", width, NONE, NONE),
    VECTOR(i_bias, "rg_lru.input_gate_bias", width, NONE, NONE),
    VECTOR(param, "rg_lru.recurrent_param", width, NONE, NONE),
    {0}};
/* clang-format on */

zoo_status hybrid_rglru_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const rglru_params *p = params;
    rglru_weights *w = weights;
    float *decay = setup->take(setup, p->width * sizeof *decay);
    if (!decay) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the decay of a recurrence");
    }
    for (uint32_t c = 0; c < p->width; c++) {
        double x = w->param[c];
        decay[c] = (float)(-8.0 * (x > 20 ? x : log1p(exp(x))));
    }
    w->decay = decay;
    return ZOO_OK;
}

zoo_status hybrid_rglru_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    rglru_params *p = b->setup->take(b->setup, sizeof *p);
    (void)layer;
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->width = c->whole(c, "lru_width", b->hidden);
    p->n_heads = b->n_heads;
    p->taps = c->whole(c, "conv1d_width", 4);
    p->act = (zoo_act)zoo_act_read(c, "hidden_act", "gelu_pytorch_tanh");
    if (!p->width || p->width > 1u << 22 || p->width % p->n_heads != 0 || p->taps < 2 ||
        p->taps > ZOO_TAPS_MAX) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "recurrence: width %u in %u blocks, %u taps",
                        p->width, p->n_heads, p->taps);
    }
    p->block = p->width / p->n_heads;
    *out = hybrid_part(b, &hybrid_rglru_ops, p, "temporal_block");
    return ZOO_OK;
}
