/*
 * mamba2_bind.c: params and tensors of the Mamba-2 mixer.
 *
 * Keys (cards alias the other spellings): mamba_n_heads, mamba_d_head, mamba_d_state,
 * mamba_n_groups, mamba_d_conv, mamba_conv_bias, mamba_proj_bias (or the key of option proj_bias),
 * time_step_limit. Options: dt_min (the key of a lower limit that stands alone), out_bias (a key),
 * gated_norm (the key that says whether there is one), gated_eps, norm_before_gate (a key),
 * ssm_multipliers (a key). The rows that give dt are kept exact: they steer the decay of the state.
 */
#include <math.h>
#include <string.h>

#include "blocks/rows.h"
#include "mamba2.h"

#define ZOO_ROW_WEIGHTS mamba2_weights
#define ZOO_ROW_PARAMS  mamba2_params

/* clang-format off */
const zoo_bind hybrid_mamba2_binds[] = {
    ZOO_ROW_MATRIX(in, "in_proj.weight", 0, main_rows, width_in, ZOO_ROW_AT(main_map), ZOO_NONE),
    ZOO_ROW_MATRIX(dt, "in_proj.weight", ZOO_BIND_EXACT, n_heads, width_in, ZOO_ROW_AT(dt_map),
                   ZOO_NONE),
    ZOO_ROW_VECTOR(in_bias, "in_proj.bias", main_rows, ZOO_ROW_AT(main_map), ZOO_ROW_AT(in_bias)),
    ZOO_ROW_VECTOR(dt_in_bias, "in_proj.bias", n_heads, ZOO_ROW_AT(dt_map), ZOO_ROW_AT(in_bias)),
    {.name = "conv1d.weight", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, conv),
     .rows = ZOO_ROW_AT(channels), .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE,
         .when = ZOO_NONE},
    ZOO_ROW_VECTOR(conv_bias, "conv1d.bias", channels, ZOO_NONE, ZOO_ROW_AT(conv_bias)),
    ZOO_ROW_VECTOR(dt_bias, "dt_bias", n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(a_log, "A_log", n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(d, "D", n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm, "norm.weight", inner, ZOO_NONE, ZOO_ROW_AT(norm)),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(out_bias, "out_proj.bias", width_in, ZOO_NONE, ZOO_ROW_AT(out_bias)),
    {0}};
/* clang-format on */

zoo_status hybrid_mamba2_prepare(const void *params, void *weights, zoo_setup *setup,
                                 zoo_error *err)
{
    const mamba2_params *p = params;
    mamba2_weights *w = weights;
    float *a = setup->take(setup, p->n_heads * sizeof *a);
    if (!a) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the decay of a state space");
    }
    for (uint32_t h = 0; h < p->n_heads; h++) {
        a[h] = (float)-exp((double)w->a_log[h]);
    }
    w->a = a;
    return ZOO_OK;
}

zoo_status hybrid_mamba2_check(const void *params, zoo_error *err)
{
    const mamba2_params *p = params;
    const uint64_t most = 1u << 24;
    if (!p->n_heads || !p->head_dim || !p->state_size || !p->n_groups ||
        (uint64_t)p->n_heads * p->head_dim > most || (uint64_t)p->n_groups * p->state_size > most ||
        p->n_heads % p->n_groups != 0) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "state space: %u heads of %u channels, %u groups of %u places", p->n_heads,
                        p->head_dim, p->n_groups, p->state_size);
    }
    if (p->taps < 2 || p->taps > ZOO_TAPS_MAX || !(p->dt_min <= p->dt_max)) {
        return zoo_fail(err, ZOO_E_CONFIG, "state space: %u taps, step sizes from %g to %g",
                        p->taps, (double)p->dt_min, (double)p->dt_max);
    }
    return ZOO_OK;
}

static void read_limits(const zoo_config *c, mamba2_params *p)
{
    const char *alone = c->text(c, "@dt_min", NULL);
    p->dt_min = (float)c->number(c, alone ? alone : "time_step_limit[0]", 0.0);
    p->dt_max = alone ? INFINITY : (float)c->number(c, "time_step_limit[1]", INFINITY);
}

static void read_scales(const zoo_config *c, mamba2_params *p)
{
    const char *key = c->text(c, "@ssm_multipliers", NULL);
    p->scaled = key && c->type(c, key) == ZOO_ARRAY;
    if (p->scaled && c->count(c, key) < MAMBA2_SEGMENTS) {
        c->refuse(c, "%s should have %d numbers", key, MAMBA2_SEGMENTS);
    }
    for (uint32_t i = 0; i < MAMBA2_SEGMENTS && p->scaled; i++) {
        char at[80];
        (void)snprintf(at, sizeof at, "%s[%u]", key, i);
        p->scale[i] = (float)c->number(c, at, 1.0);
    }
}

static void read_norm(const zoo_decoder *b, mamba2_params *p)
{
    bool normed = zoo_decoder_flag(b, "@gated_norm", true);
    p->norm = normed ? ZOO_NORM_RMS : ZOO_NORM_NONE;
    p->gate_first = !zoo_decoder_flag(b, "@norm_before_gate", false);
    p->eps = (float)b->config->number(b->config, "@gated_eps", b->eps);
}

static void read_sizes(const zoo_decoder *b, mamba2_params *p)
{
    const zoo_config *c = b->config;
    uint32_t inner = c->whole(c, "mamba_expand", 2) * b->hidden;
    p->width_in = b->hidden;
    p->n_heads = c->whole(c, "mamba_n_heads", 0);
    p->head_dim = c->type(c, "mamba_d_head") == ZOO_NUMBER ? c->whole(c, "mamba_d_head", 0)
                  : p->n_heads                             ? inner / p->n_heads
                                                           : 0;
    p->state_size = c->whole(c, "mamba_d_state", 128);
    p->n_groups = c->whole(c, "mamba_n_groups", 1);
    p->taps = c->whole(c, "mamba_d_conv", 4);
}

static void derive(mamba2_params *p)
{
    p->inner = p->n_heads * p->head_dim;
    p->channels = p->inner + 2 * p->n_groups * p->state_size;
    p->main_rows = p->inner + p->channels;
    p->in_rows = p->main_rows + p->n_heads;
    p->main_map = (zoo_rowmap){p->in_rows, 0, p->main_rows, p->main_rows};
    p->dt_map = (zoo_rowmap){p->in_rows, p->main_rows, p->n_heads, p->n_heads};
}

zoo_status hybrid_mamba2_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    (void)layer;
    const zoo_config *c = b->config;
    mamba2_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    read_sizes(b, p);
    read_limits(c, p);
    read_scales(c, p);
    read_norm(b, p);
    p->conv_bias = c->flag(c, "mamba_conv_bias", true);
    p->in_bias = c->flag(c, c->text(c, "@proj_bias", "mamba_proj_bias"), false);
    p->out_bias = zoo_decoder_flag(b, "@out_bias", p->in_bias);
    p->act = (zoo_act)zoo_act_read(c, "mamba_act", "silu");
    ZOO_TRY(hybrid_mamba2_check(p, b->err));
    derive(p);
    *out = hybrid_part(b, &hybrid_mamba2_ops, p, "mamba");
    return ZOO_OK;
}
