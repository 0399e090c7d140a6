/*
 * delta_bind.c: params and tensors of the gated delta rule.
 *
 * Keys: linear_num_key_heads, linear_num_value_heads, linear_key_head_dim, linear_value_head_dim,
 * linear_conv_kernel_dim (cards alias the other spellings); kda_lower_bound. Options: delta_layout
 * ("grouped", "fused", "low_rank", "separate"; the last two have a decay for each key channel and a
 * sigmoid gate), delta_bound (the key that says whether the decay is bounded).
 */
#include <math.h>
#include <string.h>

#include "blocks/rows.h"
#include "delta.h"

#define ZOO_ROW_WEIGHTS delta_weights
#define ZOO_ROW_PARAMS  delta_params

#define TAPS(f, name_, rows_, when_)                                                               \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE, \
        .when = ZOO_ROW_AT(when.when_)                                                             \
    }
#define GROUPED(f, name_, flags_, rows_)                                                           \
    ZOO_ROW_MATRIX(f, name_, flags_, rows_, width_in, ZOO_ROW_AT(f##_map), ZOO_ROW_AT(when.grouped))

/* clang-format off */
const zoo_bind hybrid_delta_binds[] = {
    GROUPED(q, "in_proj_qkvz.weight", 0, k_rows),
    GROUPED(k, "in_proj_qkvz.weight", 0, k_rows),
    GROUPED(v, "in_proj_qkvz.weight", 0, v_rows),
    GROUPED(z, "in_proj_qkvz.weight", 0, v_rows),
    GROUPED(b, "in_proj_ba.weight", ZOO_BIND_EXACT, n_v_heads),
    GROUPED(a, "in_proj_ba.weight", ZOO_BIND_EXACT, n_v_heads),
    ZOO_ROW_MATRIX(q, "in_proj_qkv.weight", 0, k_rows, width_in, ZOO_ROW_AT(fused_q),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(k, "in_proj_qkv.weight", 0, k_rows, width_in, ZOO_ROW_AT(fused_k),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(v, "in_proj_qkv.weight", 0, v_rows, width_in, ZOO_ROW_AT(fused_v),
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(z, "in_proj_z.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(b, "in_proj_b.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(a, "in_proj_a.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.fused)),
    ZOO_ROW_MATRIX(q, "q_proj.weight", 0, k_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(k, "k_proj.weight", 0, k_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(v, "v_proj.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(b, "b_proj.weight", ZOO_BIND_EXACT, n_v_heads, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.parts)),
    ZOO_ROW_MATRIX(a, "f_proj.weight", 0, n_decays, width_in, ZOO_NONE, ZOO_ROW_AT(when.separate)),
    ZOO_ROW_MATRIX(z, "g_proj.weight", 0, v_rows, width_in, ZOO_NONE, ZOO_ROW_AT(when.separate)),
    ZOO_ROW_MATRIX(a_down, "f_a_proj.weight", 0, rank, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(a_up, "f_b_proj.weight", 0, n_decays, rank, ZOO_NONE, ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(z_down, "g_a_proj.weight", 0, rank, width_in, ZOO_NONE,
                   ZOO_ROW_AT(when.low_rank)),
    ZOO_ROW_MATRIX(z_up, "g_b_proj.weight", 0, v_rows, rank, ZOO_NONE, ZOO_ROW_AT(when.low_rank)),
    TAPS(conv, "conv1d.weight", channels, one_conv),
    TAPS(conv_q, "q_conv1d.weight", k_rows, three_convs),
    TAPS(conv_k, "k_conv1d.weight", k_rows, three_convs),
    TAPS(conv_v, "v_conv1d.weight", v_rows, three_convs),
    ZOO_ROW_VECTOR(a_log, "A_log", n_v_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(dt_bias, "dt_bias", n_decays, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm, "norm.weight", v_dim, ZOO_NONE, ZOO_ROW_AT(when.one_conv)),
    ZOO_ROW_VECTOR(norm, "o_norm.weight", v_dim, ZOO_NONE, ZOO_ROW_AT(when.three_convs)),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, v_rows, ZOO_NONE,
                   ZOO_ROW_AT(when.one_conv)),
    ZOO_ROW_MATRIX(out, "o_proj.weight", 0, width_in, v_rows, ZOO_NONE,
                   ZOO_ROW_AT(when.three_convs)),
    {0}};
/* clang-format on */

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
    p->when.parts = p->when.three_convs = parts;
    p->when.one_conv = !parts;
    derive_maps(p);
}

static uint32_t read_layout(const zoo_config *c)
{
    static const char *const words[] = {"grouped", "fused", "low_rank", "separate"};
    const char *name = c->text(c, "@delta_layout", "grouped");
    for (uint32_t i = 0; i < ZOO_COUNT(words); i++) {
        if (strcmp(words[i], name) == 0) {
            return i;
        }
    }
    c->refuse(c, "the card's option delta_layout is \"%s\"", name);
    return DELTA_GROUPED;
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
    p->channel_decay = p->layout >= DELTA_LOW_RANK;
    p->conv_act = (zoo_act)zoo_act_read(c, "hidden_act", "silu");
    p->gate_act = p->channel_decay ? ZOO_ACT_SIGMOID : ZOO_ACT_SILU;
    p->n_k_heads = c->whole(c, "linear_num_key_heads", 16);
    p->n_v_heads = c->whole(c, "linear_num_value_heads", p->channel_decay ? p->n_k_heads : 32);
    p->k_dim = c->whole(c, "linear_key_head_dim", 128);
    p->v_dim = c->whole(c, "linear_value_head_dim", p->channel_decay ? p->k_dim : 128);
    p->taps = c->whole(c, "linear_conv_kernel_dim", 4);
    p->lower_bound = zoo_decoder_flag(b, "@delta_bound", false)
                         ? (float)c->number(c, "kda_lower_bound", -5.0)
                         : 0.0f;
    p->eps = b->eps;
    ZOO_TRY(hybrid_delta_check(p, b->err));
    derive(p);
    *out = hybrid_part(b, &hybrid_delta_ops, p, "linear_attn");
    return ZOO_OK;
}
