/*
 * cycles_plan.c: the plan of a model whose two stacks of layers run in cycles (option cycles).
 *
 * Keys: num_layers_per_stack, H_cycles (runs of the slow stack), L_cycles (runs of the quick stack
 * before each of them).
 */
#include "llama.h"

enum { LAYERS_MAX = 4096 };

typedef struct cycles {
    uint32_t n_layers; /* of a stack */
    uint32_t n_slow, n_quick;
    const void *key;
} cycles;

static zoo_status no_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status read_cycles(const zoo_decoder *b, cycles *c)
{
    const zoo_config *config = b->config;
    c->n_layers = config->whole(config, "num_layers_per_stack", b->n_layers);
    c->n_slow = config->whole(config, "H_cycles", 2);
    c->n_quick = config->whole(config, "L_cycles", 3);
    if (!c->n_layers || !c->n_slow || !c->n_quick || c->n_layers > LAYERS_MAX ||
        c->n_slow > LAYERS_MAX || c->n_quick > LAYERS_MAX ||
        (uint64_t)c->n_layers * c->n_slow * (c->n_quick + 1) > LAYERS_MAX) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "%u layers in H_cycles %u times L_cycles %u and one runs: each must be at "
                        "least 1, and all together at most %d",
                        c->n_layers, c->n_slow, c->n_quick, LAYERS_MAX);
    }
    c->key = b->setup->take(b->setup, 1);
    return c->key ? ZOO_OK : no_memory(b);
}

/* The first layer of a run. */
static zoo_status make_first(zoo_decoder *b, const cycles *c, uint32_t run, zoo_part *parts,
                             zoo_layer *out)
{
    llama_cycle *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return no_memory(b);
    }
    p->width = b->hidden;
    p->first = run == 0;
    p->before = run % (c->n_quick + 1) == 0 ? LLAMA_SLOW : LLAMA_QUICK;
    p->eps = b->eps;
    p->key = c->key;
    out->ops = &llama_cycle_ops;
    out->params = p;
    out->parts = parts;
    out->n_parts = 2;
    return ZOO_OK;
}

static zoo_status make_others(zoo_decoder *b, zoo_part *parts, zoo_layer *out)
{
    zoo_branch *branches = b->setup->take(b->setup, 2 * sizeof *branches);
    if (!branches) {
        return no_memory(b);
    }
    for (uint32_t i = 0; i < 2; i++) {
        branches[i] =
            (zoo_branch){.parts = &parts[i], .n_parts = 1, .scale = 1.0f, .h_scale = 1.0f};
    }
    out->branches = branches;
    out->n_branches = 2;
    return ZOO_OK;
}

static zoo_status make_layer(zoo_decoder *b, const cycles *c, uint32_t run, uint32_t layer,
                             zoo_layer *out)
{
    bool slow = (run + 1) % (c->n_quick + 1) == 0;
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    char name[96];
    (void)snprintf(name, sizeof name, "%s.layers.%u", slow ? "H_module" : "L_module", layer);
    *out = (zoo_layer){.path = zoo_decoder_path(b, name), .kind = "full_attention"};
    if (!parts || !out->path) {
        return no_memory(b);
    }
    ZOO_TRY(zoo_decoder_attention(b, layer, &parts[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    parts[1].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s.layers.%u.%s", slow ? "H_module" : "L_module", layer,
                       parts[i].name);
        parts[i].path = zoo_decoder_path(b, name);
        if (!parts[i].path) {
            return no_memory(b);
        }
    }
    return layer == 0 ? make_first(b, c, run, parts, out) : make_others(b, parts, out);
}

zoo_status llama_configure_cycles(zoo_decoder *b)
{
    cycles c = {0};
    ZOO_TRY(read_cycles(b, &c));
    uint32_t n_runs = c.n_slow * (c.n_quick + 1), n = 0;
    zoo_layer *layers = b->setup->take(b->setup, (size_t)n_runs * c.n_layers * sizeof *layers);
    if (!layers) {
        return no_memory(b);
    }
    for (uint32_t run = 0; run < n_runs; run++) {
        for (uint32_t layer = 0; layer < c.n_layers; layer++) {
            ZOO_TRY(make_layer(b, &c, run, layer, &layers[n++]));
        }
    }
    b->plan->layers = layers;
    b->plan->n_layers = n;
    return ZOO_OK;
}
