/*
 * model4.c: plans of the releases whose layers differ in head size, share keys and values, and
 * read inputs of their own.
 *
 * Keys: head_dim, global_head_dim, num_key_value_heads, num_global_key_value_heads,
 * attention_k_eq_v, per_layer_config, num_kv_shared_layers, use_double_wide_mlp,
 * hidden_size_per_layer_input, vocab_size_per_layer_input, enable_moe_block, num_experts,
 * top_k_experts, moe_intermediate_size.
 */
#include "gemma.h"

typedef struct build4 {
    zoo_decoder *b;
    const gemma_per_layer *inputs;
    zoo_layer *layers;
    uint32_t head_dim, n_kv_heads; /* of windowed layers */
    uint32_t last[2]; /* last layer before the sharing ones, by reach; ZOO_NONE: none */
} build4;

uint32_t gemma_first_shared(const zoo_decoder *b)
{
    uint32_t n = b->config->whole(b->config, "num_kv_shared_layers", 0);
    return n < b->n_layers ? b->n_layers - n : 0;
}

/* A number of per_layer_config for this layer, else the fallback. */
static uint32_t own_number(const zoo_config *c, uint32_t layer, const char *name, uint32_t fallback)
{
    char key[96];
    (void)snprintf(key, sizeof key, "per_layer_config.%u.%s", layer, name);
    return c->whole(c, key, fallback);
}

static void read_heads(build4 *g, uint32_t layer, bool full)
{
    zoo_decoder *b = g->b;
    const zoo_config *c = b->config;
    bool equal = c->flag(c, "attention_k_eq_v", false) && full;
    uint32_t kv = equal ? c->whole(c, "num_global_key_value_heads", g->n_kv_heads) : g->n_kv_heads;
    uint32_t dim =
        full ? c->whole(c, "global_head_dim", c->count(c, "per_layer_config") ? g->head_dim : 512)
             : g->head_dim;
    b->head_dim = own_number(c, layer, "head_dim", dim);
    b->n_kv_heads = own_number(c, layer, "num_key_value_heads", kv);
    b->k_is_v = equal;
}

static zoo_status make_attention(build4 *g, uint32_t layer, zoo_part *part)
{
    zoo_decoder *b = g->b;
    b->window = b->config->whole(b->config, "sliding_window", 0);
    bool full = zoo_decoder_layer_reach(b, layer) == ZOO_REACH_FULL;
    read_heads(g, layer, full);
    b->shares = layer >= gemma_first_shared(b);
    ZOO_TRY(zoo_decoder_attention(b, layer, part));
    part->norm = zoo_decoder_norm(b, "input_layernorm");
    if (!b->shares) {
        g->last[full] = layer;
    } else if (g->last[full] == ZOO_NONE) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "layer %u shares keys, but no layer of its kind stands before", layer);
    } else {
        part->cache_of = &g->layers[g->last[full]].parts[0];
    }
    return ZOO_OK;
}

static zoo_status make_experts(build4 *g, zoo_part *part)
{
    zoo_decoder *b = g->b;
    const zoo_config *c = b->config;
    gemma_experts4 *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = b->hidden;
    p->n_experts = c->whole(c, "num_experts", 0);
    p->width = c->whole(c, "moe_intermediate_size", 0);
    p->one = 1;
    p->eps = b->eps;
    p->router = (zoo_router){.n_experts = p->n_experts,
                             .top_k = c->whole(c, "top_k_experts", 8),
                             .score = ZOO_SCORE_SOFTMAX,
                             .renorm = ZOO_RENORM_SUM,
                             .scale = 1.0f};
    p->experts = (zoo_experts){.n = p->n_experts,
                               .width_in = b->hidden,
                               .width = p->width,
                               .width_out = b->hidden,
                               .gated = 1,
                               .glu = {.act = zoo_act_read(c, "hidden_act", "gelu_pytorch_tanh")}};
    p->gate_map = (zoo_rowmap){2 * p->width, 0, p->width, p->width};
    p->up_map = (zoo_rowmap){2 * p->width, p->width, p->width, p->width};
    *part = (zoo_part){
        .ops = &gemma_experts4_ops, .params = p, .name = "experts", .in_scale = 1, .out_scale = 1};
    if (!p->n_experts || !p->width || !p->router.top_k || p->router.top_k > p->n_experts) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "num_experts, top_k_experts or moe_intermediate_size is not given");
    }
    return ZOO_OK;
}

static zoo_status make_layer(build4 *g, uint32_t layer)
{
    zoo_decoder *b = g->b;
    const zoo_config *c = b->config;
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts);
    gemma_layer4 *p = b->setup->take(b->setup, sizeof *p);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !p || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    g->layers[layer].parts = parts;
    ZOO_TRY(make_attention(g, layer, &parts[0]));
    bool wide = c->flag(c, "use_double_wide_mlp", false) && b->shares;
    ZOO_TRY(zoo_decoder_dense(b, c->whole(c, "intermediate_size", 0) * (wide ? 2 : 1), "mlp",
                              &parts[1]));
    parts[1].norm = zoo_decoder_norm(b, "pre_feedforward_layernorm");
    *p = (gemma_layer4){
        .hidden = b->hidden, .one = 1, .index = layer, .eps = b->eps, .inputs = g->inputs};
    p->act = zoo_act_read(c, "hidden_act", "gelu_pytorch_tanh");
    p->has_experts = c->flag(c, "enable_moe_block", false);
    p->has_inputs = g->inputs != NULL;
    p->width = g->inputs ? g->inputs->width : 0;
    if (p->has_experts) {
        ZOO_TRY(make_experts(g, &parts[2]));
        parts[2].path = path;
    }
    g->layers[layer] =
        (zoo_layer){.path = path,
                    .kind = b->reach == ZOO_REACH_FULL ? "full_attention" : "sliding_attention",
                    .ops = &gemma_layer4_ops,
                    .params = p,
                    .parts = parts,
                    .n_parts = p->has_experts ? 3 : 2};
    return ZOO_OK;
}

zoo_status gemma_add_inputs(zoo_decoder *b, const gemma_per_layer **out)
{
    const zoo_config *c = b->config;
    uint32_t width = c->whole(c, "hidden_size_per_layer_input", c->whole(c, "@input_width", 0));
    *out = NULL;
    if (width == 0) {
        return ZOO_OK;
    }
    zoo_part *part = b->setup->take(b->setup, sizeof *part);
    gemma_per_layer *p = b->setup->take(b->setup, sizeof *p);
    if (!part || !p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (gemma_per_layer){.hidden = b->hidden,
                           .n_layers = b->n_layers,
                           .width = width,
                           .total = b->n_layers * width,
                           .vocab = c->whole(c, "vocab_size_per_layer_input", 262144),
                           .eps = b->eps};
    *part = (zoo_part){.ops = &gemma_per_layer_ops,
                       .params = p,
                       .name = "per_layer",
                       .path = b->prefix,
                       .in_scale = 1,
                       .out_scale = 1};
    b->plan->prologue = part;
    b->plan->n_prologue = 1;
    *out = p;
    return ZOO_OK;
}

zoo_status gemma_configure4(zoo_decoder *b)
{
    build4 g = {
        .b = b, .head_dim = b->head_dim, .n_kv_heads = b->n_kv_heads, .last = {ZOO_NONE, ZOO_NONE}};
    g.layers = b->setup->take(b->setup, b->n_layers * sizeof *g.layers);
    if (!g.layers) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(gemma_add_inputs(b, &g.inputs));
    for (uint32_t i = 0; i < b->n_layers; i++) {
        ZOO_TRY(make_layer(&g, i));
    }
    b->plan->layers = g.layers;
    b->plan->n_layers = b->n_layers;
    return ZOO_OK;
}
