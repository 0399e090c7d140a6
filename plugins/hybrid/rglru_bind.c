/*
 * rglru_bind.c: params and tensors of the gated linear recurrence.
 *
 * Keys: lru_width (the hidden size), conv1d_width, num_attention_heads (blocks of the gates),
 * hidden_activation.
 */
#include <math.h>

#include "blocks/rows.h"
#include "rglru.h"

#define ZOO_ROW_WEIGHTS rglru_weights
#define ZOO_ROW_PARAMS  rglru_params

/* clang-format off */
const zoo_bind hybrid_rglru_binds[] = {
    ZOO_ROW_MATRIX(x, "linear_x.weight", 0, width, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(x_bias, "linear_x.bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(y, "linear_y.weight", 0, width, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(y_bias, "linear_y.bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(out, "linear_out.weight", 0, width_in, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(out_bias, "linear_out.bias", width_in, ZOO_NONE, ZOO_NONE),
    {.name = "conv_1d.weight", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, conv),
     .rows = ZOO_ROW_AT(width), .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE,
         .when = ZOO_NONE},
    ZOO_ROW_VECTOR(conv_bias, "conv_1d.bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_EXPERTS(r, "rg_lru.recurrent_gate_weight", ZOO_BIND_TRANSPOSED | ZOO_BIND_EXACT, block,
                    block, n_heads, ZOO_NONE,
            ZOO_NONE),
    ZOO_ROW_EXPERTS(i, "rg_lru.input_gate_weight", ZOO_BIND_TRANSPOSED | ZOO_BIND_EXACT, block,
                    block, n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(r_bias, "rg_lru.recurrent_gate_bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(i_bias, "rg_lru.input_gate_bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(param, "rg_lru.recurrent_param", width, ZOO_NONE, ZOO_NONE),
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
