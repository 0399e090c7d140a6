/*
 * longcat.c: a layer with two attentions, two feed-forwards and experts beside them.
 *
 *   h += attn_0(norm h);  m = norm h;  e = experts(m);  h += mlp_0(m)
 *   h += attn_1(norm h);  h += mlp_1(norm h) + e
 *
 * Some routes are zero experts: they return their input times the weight and have no matrices.
 * Source: LongCat-Flash report (2025).
 */
#include "blocks/ops.h"
#include "deepseek.h"

#include <string.h>

enum { ATTN_0, MLP_0, EXPERTS, ATTN_1, MLP_1, N_PARTS };

static size_t longcat_scratch(const void *params, const zoo_limits *limits)
{
    const uint32_t *hidden = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, *hidden);
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, *hidden);
    return layout.used;
}

static void longcat_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                            const float *x, float *y, const zoo_span *span)
{
    static const uint32_t order[] = {ATTN_0, EXPERTS, MLP_0, ATTN_1, MLP_1};
    const uint32_t hidden = *(const uint32_t *)params;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *part = zoo_scratch_layout_floats(&layout, span->n_rows, hidden);
    float *experts = zoo_scratch_layout_floats(&layout, span->n_rows, hidden);
    (void)weights;
    (void)cache;
    if (x != y) {
        memcpy(y, x, (size_t)span->n_rows * hidden * sizeof(float));
    }
    for (size_t i = 0; i < ZOO_COUNT(order); i++) {
        float *out = order[i] == EXPERTS ? experts : part;
        ctx->part(ctx, order[i], y, out, span);
        if (order[i] != EXPERTS) {
            zoo_add_rows(ctx, out, y, span->n_rows, hidden);
        }
    }
    zoo_add_rows(ctx, experts, y, span->n_rows, hidden);
}

static void longcat_explain(const void *params, char *text, size_t n)
{
    (void)params;
    (void)snprintf(text, n, "two attentions and two feed-forwards in a row, experts beside them");
}

const zoo_block_ops ds_longcat_ops = {.size = sizeof(zoo_block_ops),
                                      .name = "shortcut",
                                      .scratch = longcat_scratch,
                                      .forward = longcat_forward,
                                      .explain = longcat_explain,
                                      .facts = ds_longcat_facts};

/* Experts with matrices and, after them, the zero experts. */
static zoo_status read_experts(ds_model *m, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = m->b.config;
    ZOO_TRY(zoo_decoder_experts(&m->b, layer, out));
    zoo_moe *p = (zoo_moe *)(uintptr_t)out->params;
    const char *type = c->text(c, "zero_expert_type", "identity");
    if (strcmp(type, "identity") != 0) {
        c->refuse(c, "zero_expert_type is \"%.60s\"; only identity is computed", type);
    }
    p->router.n_experts += c->whole(c, "zero_expert_num", 0);
    return zoo_moe_finish(p, m->b.hidden, m->b.err);
}

zoo_status ds_longcat_layer(ds_model *m, uint32_t layer, zoo_layer *out)
{
    static const char *const norms[N_PARTS] = {"input_layernorm.0", "post_attention_layernorm.0",
                                               "post_attention_layernorm.0", "input_layernorm.1",
                                               "post_attention_layernorm.1"};
    zoo_decoder *b = &m->b;
    uint32_t width = b->config->whole(b->config, "intermediate_size", 4 * b->hidden);
    zoo_part *parts = b->setup->take(b->setup, N_PARTS * sizeof *parts);
    uint32_t *hidden = b->setup->take(b->setup, sizeof *hidden);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !hidden || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *hidden = b->hidden;
    ZOO_TRY(ds_attention(m, layer, "self_attn.0", &parts[ATTN_0]));
    ZOO_TRY(ds_attention(m, layer, "self_attn.1", &parts[ATTN_1]));
    ZOO_TRY(zoo_decoder_dense(b, width, "mlps.0", &parts[MLP_0]));
    ZOO_TRY(zoo_decoder_dense(b, width, "mlps.1", &parts[MLP_1]));
    ZOO_TRY(read_experts(m, layer, &parts[EXPERTS]));
    for (uint32_t i = 0; i < N_PARTS; i++) {
        parts[i].norm = zoo_decoder_norm(b, norms[i]);
    }
    *out = (zoo_layer){.path = path,
                       .kind = "two latent attentions, experts beside",
                       .ops = &ds_longcat_ops,
                       .params = hidden,
                       .parts = parts,
                       .n_parts = N_PARTS};
    return ZOO_OK;
}
