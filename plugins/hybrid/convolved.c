/*
 * convolved.c: a layer whose branches pass a short convolution each, and that convolution.
 *
 *   h = h + c_0( attn(n0 h) );   h = h + c_1( ffn(n1 h) );   c(x) = x + conv(x)
 *
 * conv is depthwise and causal, over `taps` tokens; other layers take c(x) / sqrt(taps + 1). Stream
 * of each: STATE "conv" [taps - 1, width]. Tensor: conv1d.weight [width, 1, taps]. Memory: two
 * buffers of rows.
 */
#include <math.h>
#include <string.h>

#include "blocks/rows.h"
#include "convolved.h"

typedef struct conv_weights {
    const float *taps; /* [width, taps] */
} conv_weights;

#define ZOO_ROW_WEIGHTS conv_weights
#define ZOO_ROW_PARAMS  convolved_params

static const zoo_bind conv_binds[] = {{.name = "conv1d.weight",
                                       .kind = ZOO_BIND_VECTOR,
                                       .field = ZOO_AT(conv_weights, taps),
                                       .rows = ZOO_ROW_AT(width),
                                       .cols = ZOO_ROW_AT(taps),
                                       .experts = ZOO_NONE,
                                       .map = ZOO_NONE,
                                       .when = ZOO_NONE},
                                      {0}};

static uint32_t conv_streams(const void *params, zoo_stream *out)
{
    const convolved_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->width);
    return 1;
}

static void conv_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                         const float *x, float *y, const zoo_span *span)
{
    const convolved_params *p = params;
    const conv_weights *w = weights;
    const hybrid_conv conv = {.x = x,
                              .y = y,
                              .x_stride = p->width,
                              .y_stride = p->width,
                              .weight = w->taps,
                              .channels = p->width,
                              .taps = p->taps};
    hybrid_conv_run(ctx, &conv, cache, span);
    zoo_add_rows(ctx, x, y, span->n_rows, p->width);
    if (p->scale != 1.0f) {
        zoo_scale_rows(ctx, p->scale, y, span->n_rows, p->width);
    }
}

static void conv_facts(const void *params, const zoo_facts *to)
{
    const convolved_params *p = params;
    to->text(to, "kind", "short convolution");
    to->number(to, "channels", p->width);
    to->number(to, "convolution", p->taps);
    to->number(to, "flops.conv", 2.0 * p->width * p->taps);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const convolved_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->width);
    return 3 * layout.used;
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const convolved_params *p = params;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *branch = zoo_scratch_layout_floats(&layout, n, p->width),
          *passed = zoo_scratch_layout_floats(&layout, n, p->width),
          *h = zoo_scratch_layout_floats(&layout, n, p->width);
    (void)weights;
    (void)cache;
    ctx->part(ctx, 0, x, branch, span);
    ctx->part(ctx, 1, branch, h, span);
    zoo_add_rows(ctx, x, h, n, p->width);
    ctx->part(ctx, 2, h, branch, span);
    ctx->part(ctx, 3, branch, passed, span);
    zoo_add_rows(ctx, passed, h, n, p->width);
    memcpy(y, h, (size_t)n * p->width * sizeof *y);
}

static void facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "convolved branches");
    to->text(to, "residual", "each branch passes a short convolution");
}

/* Keys of parts that a model may lack: superseded, not unknown. */
static void claim_keys(const zoo_config *c)
{
    static const char *const names[] = {"num_experts",      "num_experts_per_tok",
                                        "n_shared_experts", "moe_intermediate_size",
                                        "route_scale",      "intermediate_size"};
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        (void)c->type(c, names[i]);
    }
}

zoo_status hybrid_sconv_part(zoo_decoder *b, const char *name, bool scaled, zoo_part *out)
{
    convolved_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    p->taps = b->config->whole(b->config, "conv_kernel_size", 4);
    p->scale = scaled ? 1.0f / sqrtf((float)p->taps + 1.0f) : 1.0f;
    if (p->taps < 2 || p->taps > ZOO_TAPS_MAX) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "conv_kernel_size is %u, and must be 2 to %d",
                        p->taps, ZOO_TAPS_MAX);
    }
    *out = (zoo_part){
        .ops = &hybrid_sconv_ops, .params = p, .name = name, .in_scale = 1.0f, .out_scale = 1.0f};
    return ZOO_OK;
}

zoo_status hybrid_convolved_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    zoo_part *parts = b->setup->take(b->setup, 4 * sizeof *parts);
    convolved_params *p = b->setup->take(b->setup, sizeof *p);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !p || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    bool sparse = zoo_decoder_layer_sparse(b, layer);
    claim_keys(b->config);
    ZOO_TRY(hybrid_relative_part(b, layer, &parts[0]));
    ZOO_TRY(sparse ? hybrid_sunk_part(b, layer, &parts[2])
                   : hybrid_factored_part(b, layer, &parts[2]));
    parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    parts[2].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    ZOO_TRY(hybrid_sconv_part(b, "attn_sconv", false, &parts[1]));
    ZOO_TRY(hybrid_sconv_part(b, "mlp_sconv", false, &parts[3]));
    *out = (zoo_layer){
        .path = path, .ops = &hybrid_convolved_ops, .params = p, .parts = parts, .n_parts = 4};
    return ZOO_OK;
}

const zoo_block_ops hybrid_sconv_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(conv_weights),
                                        .name = "sconv",
                                        .binds = conv_binds,
                                        .streams = conv_streams,
                                        .forward = conv_forward,
                                        .facts = conv_facts};

const zoo_block_ops hybrid_convolved_ops = {.size = sizeof(zoo_block_ops),
                                            .name = "convolved",
                                            .scratch = scratch,
                                            .forward = forward,
                                            .facts = facts};
