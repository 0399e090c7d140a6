/*
 * mamba1_bind.c: params and tensors of the Mamba-1 mixer.
 *
 * Keys (cards alias the other spellings): mamba_inner (or mamba_expand times the hidden size),
 * mamba_d_state, mamba_dt_rank ("auto": a sixteenth of the hidden size), mamba_d_conv,
 * mamba_conv_bias, mamba_proj_bias, n_mamba_heads (option state_heads: the key of the number of
 * heads). Options: dt_norm ("none", "plain": without weights, "rms"), dt_norm_eps (its key).
 */
#include <math.h>
#include <string.h>

#include "blocks/rows.h"
#include "mamba1.h"

#define ZOO_ROW_WEIGHTS mamba1_weights
#define ZOO_ROW_PARAMS  mamba1_params

/* clang-format off */
const zoo_bind hybrid_mamba1_binds[] = {
    ZOO_ROW_MATRIX(u, "in_proj.weight", 0, inner, width_in, ZOO_ROW_AT(u_map), ZOO_NONE),
    ZOO_ROW_MATRIX(z, "in_proj.weight", 0, inner, width_in, ZOO_ROW_AT(z_map), ZOO_NONE),
    ZOO_ROW_VECTOR(u_bias, "in_proj.bias", inner, ZOO_ROW_AT(u_map), ZOO_ROW_AT(in_bias)),
    ZOO_ROW_VECTOR(z_bias, "in_proj.bias", inner, ZOO_ROW_AT(z_map), ZOO_ROW_AT(in_bias)),
    {.name = "conv1d.weight", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, conv),
     .rows = ZOO_ROW_AT(inner), .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE,
         .when = ZOO_NONE},
    ZOO_ROW_VECTOR(conv_bias, "conv1d.bias", inner, ZOO_NONE, ZOO_ROW_AT(conv_bias)),
    ZOO_ROW_MATRIX(x_one, "x_proj.weight", ZOO_BIND_EXACT, x_rows, inner, ZOO_NONE,
                   ZOO_ROW_AT(when.one)),
    ZOO_ROW_MATRIX(dt_one, "dt_proj.weight", ZOO_BIND_EXACT, inner, rank, ZOO_NONE,
                   ZOO_ROW_AT(when.one)),
    ZOO_ROW_VECTOR(dt_bias, "dt_proj.bias", inner, ZOO_NONE, ZOO_ROW_AT(when.one)),
    ZOO_ROW_EXPERTS(x, "x_proj_weight", ZOO_BIND_EXACT, x_rows, head_dim, heads, ZOO_NONE,
                    ZOO_ROW_AT(when.many)),
    ZOO_ROW_EXPERTS(dt, "dt_proj_weight", ZOO_BIND_EXACT, head_dim, rank, heads, ZOO_NONE,
                    ZOO_ROW_AT(when.many)),
    ZOO_ROW_VECTOR(dt_bias, "dt_proj_bias", inner, ZOO_NONE, ZOO_ROW_AT(when.many)),
    {.name = "A_log", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, a_log),
     .rows = ZOO_ROW_AT(inner),
     .cols = ZOO_ROW_AT(state_size), .experts = ZOO_NONE, .map = ZOO_NONE, .when = ZOO_NONE},
    ZOO_ROW_VECTOR(d, "D", inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(dt_norm, "dt_layernorm.weight", rank, ZOO_NONE, ZOO_ROW_AT(norm_weight)),
    ZOO_ROW_VECTOR(b_norm, "b_layernorm.weight", state_size, ZOO_NONE, ZOO_ROW_AT(norm_weight)),
    ZOO_ROW_VECTOR(c_norm, "c_layernorm.weight", state_size, ZOO_NONE, ZOO_ROW_AT(norm_weight)),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(out_bias, "out_proj.bias", width_in, ZOO_NONE, ZOO_ROW_AT(out_bias)),
    {0}};
/* clang-format on */

zoo_status hybrid_mamba1_prepare(const void *params, void *weights, zoo_setup *setup,
                                 zoo_error *err)
{
    const mamba1_params *p = params;
    mamba1_weights *w = weights;
    size_t n = (size_t)p->inner * p->state_size;
    float *a = setup->take(setup, n * sizeof *a);
    if (!a) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the decay of a state space");
    }
    for (size_t i = 0; i < n; i++) {
        a[i] = (float)-exp((double)w->a_log[i]);
    }
    w->a = a;
    if (p->when.one) {
        w->x = &w->x_one;
        w->dt = &w->dt_one;
    }
    return ZOO_OK;
}

zoo_status hybrid_mamba1_check(const void *params, zoo_error *err)
{
    const mamba1_params *p = params;
    const uint32_t most = 1u << 22;
    if (!p->inner || p->inner > most || !p->state_size || p->state_size > 65536 || !p->rank ||
        p->rank > most || !p->heads || p->inner % p->heads != 0 || p->taps < 2 ||
        p->taps > ZOO_TAPS_MAX) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "state space: %u channels in %u heads, %u places, rank %u, %u taps",
                        p->inner, p->heads, p->state_size, p->rank, p->taps);
    }
    return ZOO_OK;
}

static void read_norm(const zoo_decoder *b, mamba1_params *p)
{
    const zoo_config *c = b->config;
    const char *norm = c->text(c, "@dt_norm", "none");
    const char *eps = c->text(c, "@dt_norm_eps", NULL);
    p->norm = strcmp(norm, "none") == 0 ? ZOO_NORM_NONE : ZOO_NORM_RMS;
    p->norm_weight = strcmp(norm, "rms") == 0;
    p->norm_eps = eps ? (float)c->number(c, eps, 1e-6) : b->eps;
}

static void derive(mamba1_params *p)
{
    p->head_dim = p->inner / p->heads;
    p->x_rows = p->rank + 2 * p->state_size;
    p->in_rows = 2 * p->inner;
    uint32_t run = p->interleaved ? 1 : p->inner;
    p->u_map = (zoo_rowmap){p->in_rows, 0, run, 2 * run};
    p->z_map = (zoo_rowmap){p->in_rows, run, run, 2 * run};
    p->when.one = !p->interleaved;
    p->when.many = p->interleaved;
}

zoo_status hybrid_mamba1_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    (void)layer;
    const zoo_config *c = b->config;
    const char *heads = c->text(c, "@state_heads", NULL);
    mamba1_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->inner = c->whole(c, "mamba_inner", c->whole(c, "mamba_expand", 2) * b->hidden);
    p->heads = heads ? c->whole(c, heads, 1) : 1;
    p->interleaved = heads != NULL;
    p->state_size = c->whole(c, "mamba_d_state", 16);
    p->rank = c->type(c, "mamba_dt_rank") == ZOO_NUMBER ? c->whole(c, "mamba_dt_rank", 0)
                                                        : (b->hidden + 15) / 16;
    p->taps = c->whole(c, "mamba_d_conv", 4);
    p->conv_bias = c->flag(c, "mamba_conv_bias", true);
    p->in_bias = p->out_bias = c->flag(c, "mamba_proj_bias", false);
    p->act = (zoo_act)zoo_act_read(c, "mamba_act", "silu");
    read_norm(b, p);
    ZOO_TRY(hybrid_mamba1_check(p, b->err));
    derive(p);
    *out = hybrid_part(b, &hybrid_mamba1_ops, p, "mamba");
    return ZOO_OK;
}
