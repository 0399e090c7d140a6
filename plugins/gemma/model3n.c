/*
 * model3n.c: plans of the releases with several residual streams.
 *
 * Keys: altup_num_inputs, altup_active_idx, altup_correct_scale, laurel_rank,
 * activation_sparsity_pattern, intermediate_size (a list: one a layer), num_kv_shared_layers,
 * hidden_size_per_layer_input, vocab_size_per_layer_input.
 */
#include <math.h>

#include "gemma.h"

typedef struct build3n {
    zoo_decoder *b;
    const gemma_per_layer *inputs;
    zoo_layer *layers;
    uint32_t last[2]; /* last layer before the sharing ones, by reach */
} build3n;

/* x with P(X < x) = p for a normal distribution, by bisection on erfc. */
static float quantile(double p)
{
    double low = -10, high = 10;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2.0)) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (float)low;
}

static zoo_status make_attention(build3n *g, uint32_t layer, zoo_part *part)
{
    zoo_decoder *b = g->b;
    b->window = b->config->whole(b->config, "sliding_window", 0);
    bool full = zoo_decoder_layer_reach(b, layer) == ZOO_REACH_FULL;
    b->shares = layer >= gemma_first_shared(b);
    ZOO_TRY(zoo_decoder_attention(b, layer, part));
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

static zoo_status make_mlp(build3n *g, uint32_t layer, zoo_part *part)
{
    zoo_decoder *b = g->b;
    const zoo_config *c = b->config;
    uint32_t width = (uint32_t)zoo_decoder_number(b, "intermediate_size", layer, 0);
    double sparsity = zoo_decoder_number(b, "activation_sparsity_pattern", layer, 0);
    if (sparsity > 0 && sparsity < 1) {
        gemma_sparse_mlp *p = b->setup->take(b->setup, sizeof *p);
        if (!p) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
        }
        *p =
            (gemma_sparse_mlp){b->hidden, width, zoo_act_read(c, "hidden_act", "gelu_pytorch_tanh"),
                               quantile(sparsity)};
        *part = (zoo_part){.ops = &gemma_sparse_mlp_ops,
                           .params = p,
                           .name = "mlp",
                           .in_scale = 1,
                           .out_scale = 1};
    } else {
        ZOO_TRY(zoo_decoder_dense(b, width, "mlp", part));
    }
    part->norm = zoo_decoder_norm(b, "pre_feedforward_layernorm");
    return ZOO_OK;
}

static zoo_status make_layer(build3n *g, uint32_t layer)
{
    zoo_decoder *b = g->b;
    const zoo_config *c = b->config;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    gemma_layer3n *p = b->setup->take(b->setup, sizeof *p);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !p || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    g->layers[layer].parts = parts;
    ZOO_TRY(make_attention(g, layer, &parts[0]));
    ZOO_TRY(make_mlp(g, layer, &parts[1]));
    uint32_t n = c->whole(c, "altup_num_inputs", 4);
    *p = (gemma_layer3n){.hidden = b->hidden,
                         .n_streams = n,
                         .n_coefs = n * n,
                         .index = layer,
                         .eps = b->eps,
                         .active = c->whole(c, "altup_active_idx", 0),
                         .rank = c->whole(c, "laurel_rank", 64),
                         .width = g->inputs->width,
                         .inputs = g->inputs,
                         .scaled = c->flag(c, "altup_correct_scale", true)};
    p->act = zoo_act_read(c, "hidden_act", "gelu_pytorch_tanh");
    g->layers[layer] =
        (zoo_layer){.path = path,
                    .kind = b->reach == ZOO_REACH_FULL ? "full_attention" : "sliding_attention",
                    .ops = &gemma_layer3n_ops,
                    .params = p,
                    .parts = parts,
                    .n_parts = 2};
    return p->active < n ? ZOO_OK
                         : zoo_fail(b->err, ZOO_E_CONFIG, "altup_active_idx is %u of %u streams",
                                    p->active, n);
}

/* The prologue: rows of soft tokens, inputs per layer, the streams; and the epilogue. */
static zoo_status add_streams(build3n *g)
{
    zoo_decoder *b = g->b;
    gemma_streams *p = b->setup->take(b->setup, sizeof *p);
    zoo_part *parts = b->setup->take(b->setup, (GEMMA_TOWERS_MAX + 3) * sizeof *parts);
    uint32_t n_parts = 0;
    if (!p || !parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    uint32_t n = b->config->whole(b->config, "altup_num_inputs", 4);
    if (n < 2 || n > 16) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "altup_num_inputs is %u", n);
    }
    *p = (gemma_streams){b->hidden, n, n - 1};
    ZOO_TRY(gemma_add_soft_tokens(b, parts, &n_parts));
    parts[n_parts++] = b->plan->prologue[0];
    parts[n_parts++] = (zoo_part){.ops = &gemma_streams_begin_ops,
                                  .params = p,
                                  .name = "streams",
                                  .path = b->prefix,
                                  .in_scale = 1,
                                  .out_scale = 1,
                                  .width_out = n * b->hidden};
    parts[n_parts] = (zoo_part){.ops = &gemma_streams_end_ops,
                                .params = p,
                                .name = "streams",
                                .path = b->prefix,
                                .in_scale = 1,
                                .out_scale = 1,
                                .width_in = n * b->hidden};
    b->plan->prologue = parts;
    b->plan->n_prologue = n_parts;
    b->plan->epilogue = &parts[n_parts];
    b->plan->n_epilogue = 1;
    b->plan->stream_width = n * b->hidden;
    return ZOO_OK;
}

zoo_status gemma_configure3n(zoo_decoder *b)
{
    build3n g = {.b = b, .last = {ZOO_NONE, ZOO_NONE}};
    g.layers = b->setup->take(b->setup, b->n_layers * sizeof *g.layers);
    if (!g.layers) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(gemma_add_inputs(b, &g.inputs));
    if (!g.inputs) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "hidden_size_per_layer_input is 0");
    }
    ZOO_TRY(add_streams(&g));
    for (uint32_t i = 0; i < b->n_layers; i++) {
        ZOO_TRY(make_layer(&g, i));
    }
    b->plan->layers = g.layers;
    b->plan->n_layers = b->n_layers;
    return ZOO_OK;
}
