/*
 * mlstm_bind.c: params and tensors of the matrix memory, and its feed-forward part.
 *
 * Keys: num_heads, qk_dim_factor, v_dim_factor (times the hidden size), use_bias, gate_soft_cap,
 * eps, norm_eps, ffn_proj_factor (times the hidden size, up to a multiple of
 * ffn_round_up_to_multiple_of).
 */
#include "blocks/rows.h"
#include "mlstm.h"

#define ZOO_ROW_WEIGHTS mlstm_weights
#define ZOO_ROW_PARAMS  mlstm_params

const zoo_bind hybrid_mlstm_binds[] = {
    ZOO_ROW_MATRIX(q, "q.weight", 0, qk_rows, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(k, "k.weight", 0, qk_rows, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(v, "v.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(o, "ogate_preact.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(i, "igate_preact.weight", ZOO_BIND_EXACT, n_heads, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(f, "fgate_preact.weight", ZOO_BIND_EXACT, n_heads, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(i_bias, "igate_preact.bias", n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(f_bias, "fgate_preact.bias", n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm, "multihead_norm.weight", v_rows, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, v_rows, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(q_bias, "q.bias", qk_rows, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    ZOO_ROW_VECTOR(k_bias, "k.bias", qk_rows, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    ZOO_ROW_VECTOR(v_bias, "v.bias", v_rows, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    ZOO_ROW_VECTOR(o_bias, "ogate_preact.bias", v_rows, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    ZOO_ROW_VECTOR(norm_bias, "multihead_norm.bias", v_rows, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    ZOO_ROW_VECTOR(out_bias, "out_proj.bias", width_in, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    {0}};

/* factor times the hidden size, rounded down. */
static uint32_t scaled(const zoo_decoder *b, const char *factor, double fallback)
{
    const zoo_config *c = b->config;
    double width = c->number(c, factor, fallback) * b->hidden;
    if (!(width >= 1 && width < 1 << 22)) {
        c->refuse(c, "%s is out of bounds", factor);
        return 1;
    }
    return (uint32_t)width;
}

zoo_status hybrid_mlstm_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    mlstm_params *p = b->setup->take(b->setup, sizeof *p);
    (void)layer;
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->n_heads = b->n_heads;
    p->qk_rows = scaled(b, "qk_dim_factor", 0.5);
    p->v_rows = scaled(b, "v_dim_factor", 1.0);
    p->has_bias = c->flag(c, "use_bias", false);
    p->cap = (float)c->number(c, "gate_soft_cap", 15.0);
    p->eps = (float)c->number(c, "eps", 1e-6);
    p->norm_eps = b->eps;
    if (p->qk_rows % p->n_heads != 0 || p->v_rows % p->n_heads != 0 || !(p->cap > 0)) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "matrix memory: %u heads do not divide %u and %u",
                        p->n_heads, p->qk_rows, p->v_rows);
    }
    p->k_dim = p->qk_rows / p->n_heads;
    p->v_dim = p->v_rows / p->n_heads;
    *out = hybrid_part(b, &hybrid_mlstm_ops, p, "mlstm_layer");
    return ZOO_OK;
}

uint32_t hybrid_mlstm_ffn_width(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    uint32_t width = scaled(b, "ffn_proj_factor", 2.667);
    uint32_t step = c->whole(c, "ffn_round_up_to_multiple_of", 64);
    if (step == 0 || step > 1 << 20) {
        c->refuse(c, "ffn_round_up_to_multiple_of is out of bounds");
        return width;
    }
    return (width + step - 1) / step * step;
}
