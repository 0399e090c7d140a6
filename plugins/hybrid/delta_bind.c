/*
 * delta_bind.c: params of the gated delta rule (its tensors: delta_table.c).
 *
 * Keys: linear_num_key_heads, linear_num_value_heads, linear_key_head_dim, linear_value_head_dim,
 * linear_conv_kernel_dim (cards alias the other spellings); kda_lower_bound. Options: delta_layout
 * ("grouped", "fused", "low_rank", "separate", "plain"; low_rank and separate have a decay for each
 * key channel and a sigmoid gate), delta_gate (the key that names the activation of the gate),
 * delta_double (the key that doubles beta), delta_eps, delta_three_quarters (heads as in attention,
 * keys three quarters of hidden_size, values twice them), delta_bound (the key that says whether
 * the decay is bounded, or holds the bound).
 */
#include <math.h>
#include <string.h>

#include "delta.h"

zoo_status hybrid_delta_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const delta_params *p = params;
    delta_weights *w = weights;
    float *factor = setup->take(setup, p->n_decays * sizeof *factor);
    size_t taps = p->taps * sizeof(float);
    float *conv = setup->take(setup, p->channels * taps);
    if (!factor || !conv) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the decay of a delta rule");
    }
    for (uint32_t i = 0; i < p->n_decays; i++) {
        double size = exp((double)w->a_log[i / (p->n_decays / p->n_v_heads)]);
        factor[i] = (float)(p->lower_bound != 0 ? size : -size);
    }
    w->factor = factor;
    if (p->when.three_convs) {
        memcpy(conv, w->conv_q, p->k_rows * taps);
        memcpy(conv + (size_t)p->k_rows * p->taps, w->conv_k, p->k_rows * taps);
        memcpy(conv + (size_t)2 * p->k_rows * p->taps, w->conv_v, p->v_rows * taps);
        w->conv = conv;
    }
    return ZOO_OK;
}

uint32_t hybrid_delta_streams(const void *params, zoo_stream *out)
{
    const delta_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->channels);
    out[1] = hybrid_state("delta", p->v_rows * p->k_dim);
    return 2;
}

zoo_status hybrid_delta_check(const void *params, zoo_error *err)
{
    const delta_params *p = params;
    const uint64_t most = 1u << 22;
    if (!p->n_k_heads || !p->k_dim || !p->v_dim || !p->n_v_heads ||
        p->n_v_heads % p->n_k_heads != 0 || (uint64_t)p->n_k_heads * p->k_dim > most ||
        (uint64_t)p->n_v_heads * p->v_dim > most || p->taps < 2 || p->taps > ZOO_TAPS_MAX) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "delta rule: %u key heads of %u, %u value heads of %u, %u taps",
                        p->n_k_heads, p->k_dim, p->n_v_heads, p->v_dim, p->taps);
    }
    return ZOO_OK;
}

static void derive_maps(delta_params *p)
{
    uint32_t ratio = p->n_v_heads / p->n_k_heads, v = ratio * p->v_dim;
    uint32_t stride = 2 * p->k_dim + 2 * v, total = p->n_k_heads * stride;
    p->q_map = (zoo_rowmap){total, 0, p->k_dim, stride};
    p->k_map = (zoo_rowmap){total, p->k_dim, p->k_dim, stride};
    p->v_map = (zoo_rowmap){total, 2 * p->k_dim, v, stride};
    p->z_map = (zoo_rowmap){total, 2 * p->k_dim + v, v, stride};
    p->b_map = (zoo_rowmap){2 * p->n_v_heads, 0, ratio, 2 * ratio};
    p->a_map = (zoo_rowmap){2 * p->n_v_heads, ratio, ratio, 2 * ratio};
    p->fused_q = (zoo_rowmap){p->channels, 0, p->k_rows, p->k_rows};
    p->fused_k = (zoo_rowmap){p->channels, p->k_rows, p->k_rows, p->k_rows};
    p->fused_v = (zoo_rowmap){p->channels, 2 * p->k_rows, p->v_rows, p->v_rows};
}

static void derive(delta_params *p)
{
    bool parts = p->layout >= DELTA_LOW_RANK;
    p->k_rows = p->n_k_heads * p->k_dim;
    p->v_rows = p->n_v_heads * p->v_dim;
    p->channels = 2 * p->k_rows + p->v_rows;
    p->n_decays = p->channel_decay ? p->k_rows : p->n_v_heads;
    p->rank = p->layout == DELTA_LOW_RANK ? p->k_dim : 0;
    p->when.grouped = p->layout == DELTA_GROUPED;
    p->when.fused = p->layout == DELTA_FUSED;
    p->when.low_rank = p->layout == DELTA_LOW_RANK;
    p->when.separate = p->layout == DELTA_SEPARATE;
    p->when.plain = p->layout == DELTA_PLAIN;
    p->when.parts = p->when.o_proj = parts;
    p->when.three_convs = p->channel_decay;
    p->when.one_conv = !p->channel_decay;
    p->when.out_proj = !parts;
    derive_maps(p);
}

static uint32_t read_layout(const zoo_config *c)
{
    static const char *const words[] = {"grouped", "fused", "low_rank", "separate", "plain"};
    const char *name = c->text(c, "@delta_layout", "grouped");
    for (uint32_t i = 0; i < ZOO_COUNT(words); i++) {
        if (strcmp(words[i], name) == 0) {
            return i;
        }
    }
    c->refuse(c, "the card's option delta_layout is \"%s\"", name);
    return DELTA_GROUPED;
}

static void read_heads(const zoo_decoder *b, delta_params *p)
{
    const zoo_config *c = b->config;
    bool own = zoo_decoder_flag(b, "@delta_three_quarters", false), wide = p->channel_decay;
    p->n_k_heads = c->whole(c, "linear_num_key_heads", own ? b->n_heads : 16);
    uint32_t n_v_heads = own ? b->n_heads : wide ? p->n_k_heads : 32;
    p->n_v_heads = c->whole(c, "linear_num_value_heads", n_v_heads);
    uint32_t k_dim = own && p->n_k_heads ? 3 * b->hidden / (4 * p->n_k_heads) : 128;
    p->k_dim = c->whole(c, "linear_key_head_dim", k_dim);
    uint32_t v_dim = own ? 2 * p->k_dim : wide ? p->k_dim : 128;
    p->v_dim = c->whole(c, "linear_value_head_dim", v_dim);
}

/* The key of option delta_bound holds the bound itself, or says whether kda_lower_bound counts. */
static float read_bound(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@delta_bound", "");
    if (c->type(c, key) == ZOO_NUMBER) {
        double bound = c->number(c, key, 0);
        if (bound == 0) {
            c->refuse(c, "%s is 0, with which nothing decays", key);
        }
        return (float)bound;
    }
    bool bounded = c->type(c, key) == ZOO_BOOLEAN && c->flag(c, key, false);
    return bounded ? (float)c->number(c, "kda_lower_bound", -5.0) : 0.0f;
}

/* Option delta_gate: the key that names the activation, hidden_act where it is null. */
static zoo_act read_gate(const zoo_config *c)
{
    const char *key = c->text(c, "@delta_gate", NULL);
    if (!key) {
        return ZOO_ACT_SILU;
    }
    return (zoo_act)zoo_act_read(c, c->type(c, key) == ZOO_STRING ? key : "hidden_act", "silu");
}

zoo_status hybrid_delta_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    (void)layer;
    const zoo_config *c = b->config;
    delta_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->layout = read_layout(c);
    p->channel_decay = p->layout == DELTA_LOW_RANK || p->layout == DELTA_SEPARATE;
    p->conv_act = (zoo_act)zoo_act_read(c, "hidden_act", "silu");
    p->gate_act = p->channel_decay ? ZOO_ACT_SIGMOID : read_gate(c);
    read_heads(b, p);
    p->taps = c->whole(c, "linear_conv_kernel_dim", 4);
    p->lower_bound = read_bound(b);
    p->eps = (float)c->number(c, "@delta_eps", (double)b->eps);
    p->beta_scale = zoo_decoder_flag(b, "@delta_double", false) ? 2.0f : 1.0f;
    ZOO_TRY(hybrid_delta_check(p, b->err));
    derive(p);
    *out = hybrid_part(b, &hybrid_delta_ops, p, "linear_attn");
    return ZOO_OK;
}
