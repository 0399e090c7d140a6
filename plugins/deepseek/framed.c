/*
 * framed.c: a layer whose norms carry gates, or whose experts are normed.
 *
 *   g(x) = n * sigmoid(Wup silu(Wdown n)),  n = norm(x) w
 *   h += attn(g(h));  h += ffn(g(h)), or norm(ffn(g(h)))
 *
 * Gates stand before attention, and before the feed-forward of layers with experts.
 */
#include "blocks/ops.h"
#include "blocks/rows.h"
#include "deepseek.h"

#include <string.h>

typedef struct framed {
    uint32_t hidden, rank;       /* rank of the gates; 0: none */
    uint32_t gate_in, gate_post; /* norms with gates */
    uint32_t plain_in, plain_post;
    uint32_t out; /* post_mlp_layernorm on the output of the experts */
    float eps;
} framed;

typedef struct framed_norm {
    const float *weight;
    zoo_weight down, up; /* [rank, hidden], [hidden, rank] */
} framed_norm;

typedef struct framed_weights {
    framed_norm in, post;
    const float *out;
} framed_weights;

#define ZOO_ROW_WEIGHTS framed_weights
#define ZOO_ROW_PARAMS  framed

#define NORM(f, module, plain_, gate_)                                                             \
    ZOO_ROW_VECTOR(f.weight, module ".weight", hidden, ZOO_NONE, ZOO_ROW_AT(plain_)),              \
        ZOO_ROW_VECTOR(f.weight, module ".norm.weight", hidden, ZOO_NONE, ZOO_ROW_AT(gate_)),      \
        ZOO_ROW_MATRIX(f.down, module ".W_down.weight", 0, rank, hidden, ZOO_NONE,                 \
                       ZOO_ROW_AT(gate_)),                                                         \
        ZOO_ROW_MATRIX(f.up, module ".W_up.weight", 0, hidden, rank, ZOO_NONE, ZOO_ROW_AT(gate_))

static const zoo_bind binds[] = {
    NORM(in, "input_layernorm", plain_in, gate_in),
    NORM(post, "post_attention_layernorm", plain_post, gate_post),
    ZOO_ROW_VECTOR(out, "post_mlp_layernorm.weight", hidden, ZOO_NONE, ZOO_ROW_AT(out)),
    {0}};

typedef struct framed_buffers {
    float *normed, *part, *low, *gate;
} framed_buffers;

static framed_buffers lay_out(const framed *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    framed_buffers r = {.normed = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                        .part = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                        .low = zoo_scratch_layout_floats(layout, n_rows, p->rank),
                        .gate = zoo_scratch_layout_floats(layout, n_rows, p->rank ? p->hidden : 0)};
    return r;
}

static size_t framed_scratch(const void *params, const zoo_limits *limits)
{
    const framed *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + 2 * (zoo_linear_scratch(p->hidden, limits->rows_max) +
                              zoo_linear_scratch(p->rank, limits->rows_max));
}

static void norm_rows(zoo_ctx *ctx, const framed *p, const float *weight, const float *x, float *y,
                      uint32_t n_rows)
{
    zoo_norm_rows(ctx, ZOO_NORM_RMS,
                  (zoo_norm_args){.x = x,
                                  .y = y,
                                  .weight = weight,
                                  .x_stride = p->hidden,
                                  .y_stride = p->hidden,
                                  .n_rows = n_rows,
                                  .width = p->hidden,
                                  .eps = p->eps});
}

static void gated_norm(zoo_ctx *ctx, const framed *p, const framed_norm *w, const framed_buffers *r,
                       const float *x, uint32_t n_rows)
{
    norm_rows(ctx, p, w->weight, x, r->normed, n_rows);
    if (!w->down.rows) {
        return;
    }
    const zoo_proj down = {&w->down, NULL, r->low, 0}, up = {&w->up, NULL, r->gate, 0};
    zoo_linear(ctx, &down, 1, r->normed, p->hidden, n_rows);
    zoo_act_rows(ctx, ZOO_ACT_SILU, r->low, r->low, n_rows, p->rank);
    zoo_linear(ctx, &up, 1, r->low, p->rank, n_rows);
    ctx->kernels->act_mul(ZOO_ACT_SIGMOID, r->gate, r->normed, r->normed,
                          (size_t)n_rows * p->hidden);
}

static void framed_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                           const float *x, float *y, const zoo_span *span)
{
    const framed *p = params;
    const framed_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    framed_buffers r = lay_out(p, n, &layout);
    (void)cache;
    if (x != y) {
        memcpy(y, x, (size_t)n * p->hidden * sizeof(float));
    }
    for (uint32_t i = 0; i < 2; i++) {
        gated_norm(ctx, p, i ? &w->post : &w->in, &r, y, n);
        if (ctx->trace) {
            ctx->trace(ctx, i ? "post_attention_layernorm" : "input_layernorm", r.normed, n,
                       p->hidden);
        }
        ctx->part(ctx, i, r.normed, r.part, span);
        if (i && p->out) {
            norm_rows(ctx, p, w->out, r.part, r.part, n);
            if (ctx->trace) {
                ctx->trace(ctx, "mlp", r.part, n, p->hidden);
            }
        }
        zoo_add_rows(ctx, r.part, y, n, p->hidden);
    }
}

static void framed_explain(const void *params, char *text, size_t n)
{
    const framed *p = params;
    (void)snprintf(text, n, "norms %s, %s on the experts' sum",
                   p->rank ? "times a low-rank gate" : "without gates",
                   p->out ? "a norm" : "no norm");
}

static void framed_facts(const void *params, const zoo_facts *to)
{
    const framed *p = params;
    to->text(to, "kind", "framed layer");
    to->text(to, "norm_place", "before");
    if (p->rank) {
        to->number(to, "norm_gate_rank", p->rank);
    }
    if (p->out) {
        to->text(to, "experts_norm", "after the experts");
    }
}

const zoo_block_ops ds_framed_ops = {.size = sizeof(zoo_block_ops),
                                     .weights_size = sizeof(framed_weights),
                                     .name = "framed",
                                     .binds = binds,
                                     .scratch = framed_scratch,
                                     .forward = framed_forward,
                                     .explain = framed_explain,
                                     .facts = framed_facts};

zoo_status ds_framed_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    framed *p = b->setup->take(b->setup, sizeof *p);
    bool sparse = zoo_decoder_layer_sparse(b, layer);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    (void)snprintf(name, sizeof name, "layers.%u.mlp", layer);
    const char *mlp = zoo_decoder_path(b, name);
    if (!parts || !p || !path || !mlp) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = b->hidden;
    p->eps = b->eps;
    p->rank = zoo_decoder_flag(b, "@gated_norms", false) ? c->whole(c, "gated_norm_rank", 16) : 0;
    p->gate_in = p->rank != 0;
    p->gate_post = p->rank && sparse;
    p->plain_in = !p->gate_in;
    p->plain_post = !p->gate_post;
    p->out = sparse && zoo_decoder_flag(b, "@normed_experts", false);
    ZOO_TRY(ds_attention(m, layer, "self_attn", &parts[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    parts[1].path = mlp;
    parts[1].name = p->out ? "mlp.sum" : "mlp";
    *out = (zoo_layer){.path = path,
                       .kind = ds_attention_kind(&parts[0]),
                       .ops = &ds_framed_ops,
                       .params = p,
                       .parts = parts,
                       .n_parts = 2};
    return ZOO_OK;
}
