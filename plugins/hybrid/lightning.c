/*
 * lightning.c: linear attention with a fixed decay for each head.
 *
 *   q, k, v = act(qkv_proj x), per head q rows, k rows, v rows
 *   S = e^-slope S + v k^T;  o = S q;  y = out_proj( sigmoid(output_gate x) * norm(o) )
 *   slope of head h in layer l: 2^(-8 (h + 1) / H) (1 - l / (n_layers - 1 + 1e-5) + 1e-5)
 *
 * Files may hold the slopes too, rounded as their weights are: they are compared with the formula,
 * which counts. It is the recurrence of a state space with a step of 1, so it runs through the same
 * kernel; rows of a sequence run one after the other. The norm is over all heads at once, its eps
 * 1e-6. Streams: STATE "kv" [H, D, D]. Source: MiniMax-01 report (2025).
 */
#include <math.h>

#include "blocks/rows.h"
#include "hybrid.h"

typedef struct lightning_params {
    uint32_t width_in, n_heads, head_dim;
    uint32_t inner, qkv_rows;
    zoo_act act;
    const float *decays; /* [H] -slope */
    const float *ones;   /* [1] the step size */
} lightning_params;

typedef struct lightning_weights {
    zoo_weight qkv, gate, out;
    const float *norm;   /* [inner] */
    const float *slopes; /* [H] as they are stored, or null */
} lightning_weights;

#define ZOO_ROW_WEIGHTS lightning_weights
#define ZOO_ROW_PARAMS  lightning_params

/* clang-format off */
static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(qkv, "qkv_proj.weight", 0, qkv_rows, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(gate, "output_gate.weight", 0, inner, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm, "norm.weight", inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width_in, inner, ZOO_NONE, ZOO_NONE),
    {.name = "slope_rate", .kind = ZOO_BIND_VECTOR, .flags = ZOO_BIND_OPTIONAL,
     .field = ZOO_AT(lightning_weights, slopes), .rows = ZOO_AT(lightning_params, n_heads),
     .cols = ZOO_NONE, .experts = ZOO_NONE, .map = ZOO_NONE, .when = ZOO_NONE},
    {0}};
/* clang-format on */

typedef struct lightning_buffers {
    float *qkv;      /* [n_rows, H, 3, D] */
    float *gate, *o; /* [n_rows, inner] */
} lightning_buffers;

static lightning_buffers lay_out(const lightning_params *p, uint32_t n_rows,
                                 zoo_scratch_layout *layout)
{
    lightning_buffers r;
    r.qkv = zoo_scratch_layout_floats(layout, n_rows, p->qkv_rows);
    r.gate = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.o = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const lightning_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->inner, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const lightning_params *p = params;
    out[0] = hybrid_state("kv", p->inner * p->head_dim);
    return 1;
}

typedef struct lightning_job {
    zoo_ctx *ctx;
    const lightning_params *params;
    zoo_cache *cache;
    const zoo_span *span;
    lightning_buffers buffers;
} lightning_job;

/* One head of one sequence. */
static void head_item(void *arg, uint32_t item, uint32_t worker)
{
    const lightning_job *job = arg;
    const lightning_params *p = job->params;
    const zoo_seq *seq = &job->span->seqs[item / p->n_heads];
    uint32_t h = item % p->n_heads, d = p->head_dim;
    const float *q = job->buffers.qkv + (size_t)seq->row * p->qkv_rows + (size_t)h * 3 * d;
    (void)worker;
    zoo_ssm_args args = {.x = q + 2 * d,
                         .b = q + d,
                         .c = q,
                         .dt = p->ones,
                         .y = job->buffers.o + (size_t)seq->row * p->inner + (size_t)h * d,
                         .state = job->cache->state(job->cache, 0, seq) + (size_t)h * d * d,
                         .x_stride = p->qkv_rows,
                         .b_stride = p->qkv_rows,
                         .c_stride = p->qkv_rows,
                         .y_stride = p->inner,
                         .n_rows = seq->n,
                         .head_dim = d,
                         .state_size = d,
                         .a = p->decays[h]};
    job->ctx->kernels->ssm(&args);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const lightning_params *p = params;
    const lightning_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    lightning_job job = {ctx, p, cache, span, lay_out(p, span->n_rows, &layout)};
    const zoo_proj in[] = {{&w->qkv, NULL, job.buffers.qkv, 0},
                           {&w->gate, NULL, job.buffers.gate, 0}};
    zoo_linear(ctx, in, 2, x, p->width_in, span->n_rows);
    zoo_act_rows(ctx, p->act, job.buffers.qkv, job.buffers.qkv, span->n_rows, p->qkv_rows);
    ctx->parallel(ctx, span->n_seqs * p->n_heads, head_item, &job);
    const hybrid_gated_norm norm = {.y = job.buffers.o,
                                    .z = job.buffers.gate,
                                    .y_stride = p->inner,
                                    .z_stride = p->inner,
                                    .weight = w->norm,
                                    .width = p->inner,
                                    .n_groups = 1,
                                    .kind = ZOO_NORM_RMS,
                                    .act = ZOO_ACT_SIGMOID,
                                    .eps = 1e-6f};
    hybrid_gated_norm_run(ctx, &norm, span->n_rows);
    const zoo_proj out = {&w->out, NULL, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.o, p->inner, span->n_rows);
}

static zoo_status prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const lightning_params *p = params;
    (void)setup;
    return hybrid_check_slopes(((lightning_weights *)weights)->slopes, p->decays, p->n_heads, err);
}

static void explain(const void *params, char *text, size_t n)
{
    const lightning_params *p = params;
    (void)snprintf(text, n, "linear attention: %u heads of %u x %u with fixed decays", p->n_heads,
                   p->head_dim, p->head_dim);
}

static void facts(const void *params, const zoo_facts *to)
{
    const lightning_params *p = params;
    to->text(to, "kind", "linear attention");
    to->number(to, "heads", p->n_heads);
    to->number(to, "head_dim", p->head_dim);
    to->text(to, "decay", "fixed, one value a head");
    to->number(to, "flops.kv", 5.0 * p->inner * p->head_dim);
}

zoo_status hybrid_lightning_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    lightning_params *p = b->setup->take(b->setup, sizeof *p);
    float *decays = b->setup->take(b->setup, (b->n_heads + 1) * sizeof *decays);
    if (!p || !decays) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    if ((uint64_t)b->n_heads * b->head_dim > 1u << 22) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "linear attention: %u heads of %u", b->n_heads,
                        b->head_dim);
    }
    double factor = 1.0 - layer / (b->n_layers - 1 + 1e-5) + 1e-5;
    for (uint32_t h = 0; h < b->n_heads; h++) {
        decays[h] = (float)(-exp2(-8.0 * (h + 1) / b->n_heads) * factor);
    }
    decays[b->n_heads] = 1.0f;
    *p = (lightning_params){.width_in = b->hidden,
                            .n_heads = b->n_heads,
                            .head_dim = b->head_dim,
                            .inner = b->n_heads * b->head_dim,
                            .qkv_rows = 3 * b->n_heads * b->head_dim,
                            .act = (zoo_act)zoo_act_read(b->config, "hidden_act", "silu"),
                            .decays = decays,
                            .ones = decays + b->n_heads};
    *out = hybrid_part(b, &hybrid_lightning_ops, p, "self_attn");
    return ZOO_OK;
}

const zoo_block_ops hybrid_lightning_ops = {.size = sizeof(zoo_block_ops),
                                            .weights_size = sizeof(lightning_weights),
                                            .name = "lightning",
                                            .binds = binds,
                                            .streams = streams,
                                            .scratch = scratch,
                                            .prepare = prepare,
                                            .forward = forward,
                                            .explain = explain,
                                            .facts = facts};
