/*
 * model.c: plans of this plugin: the shared decoder, then what single releases brought.
 *
 * Options:
 *   mixer       a mixer of this plugin (mixers.c)
 *   ffn         the dense part of that name (ffn_choices)
 *   layer_eps   eps of all norms but the last
 *   weighed     residuals have a weight for each channel
 *   products    with is_moe: experts of one value beside the dense part, num_experts and
 *               num_experts_per_tok of them
 *   sum_bias    a vector beside the experts
 *   cycles      two stacks of layers run in cycles (cycles_plan.c)
 */
#include <math.h>
#include <string.h>

#include "blocks/ops.h"
#include "llama.h"

enum { PARTS = 3 };

static zoo_status add_products(zoo_decoder *b, zoo_part *part)
{
    const zoo_config *c = b->config;
    llama_products *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    p->n_experts = c->whole(c, "num_experts", 16384);
    p->top_k = c->whole(c, "num_experts_per_tok", 64);
    p->n_keys = (uint32_t)sqrt((double)p->n_experts);
    p->key_rows = 2 * p->n_keys;
    p->act = zoo_act_read(c, "hidden_act", "silu");
    if (!p->top_k || p->n_experts > 1u << 24 || p->top_k > p->n_keys * p->n_keys) {
        c->refuse(c, "%u of %u experts found by product keys", p->top_k, p->n_experts);
    }
    *part = (zoo_part){.ops = &llama_products_ops,
                       .params = p,
                       .name = "products",
                       .in_scale = 1.0f,
                       .out_scale = 1.0f};
    return ZOO_OK;
}

static zoo_status add_constant(zoo_decoder *b, zoo_part *part)
{
    llama_constant *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    *part = (zoo_part){.ops = &llama_constant_ops,
                       .params = p,
                       .name = "constant",
                       .in_scale = 1.0f,
                       .out_scale = 1.0f};
    return ZOO_OK;
}

static const zoo_part_choice ffn_choices[] = {{"xielu", llama_xielu_part}, {NULL, NULL}};

/* The part that the card chooses by option ffn; its ops stay null where there is none. */
static zoo_status choose_ffn(zoo_decoder *b, zoo_part *out)
{
    const char *name = b->config->text(b->config, "@ffn", "");
    zoo_part_maker *make = zoo_part_choose(ffn_choices, name);
    *out = (zoo_part){.ops = NULL};
    if (!make && *name) {
        b->config->refuse(b->config, "the card's option ffn is no block of this plugin");
    }
    return make ? make(b->config, b->setup, b->hidden, out, b->err) : ZOO_OK;
}

/* The feed-forward parts of a layer. Where there are two, neither is the whole module: they get
 * names of their own and share its path. */
static zoo_status make_ffn(zoo_decoder *b, uint32_t layer, zoo_part *parts, uint32_t *n_parts)
{
    const zoo_config *c = b->config;
    bool products = zoo_decoder_flag(b, "@products", false) && c->flag(c, "is_moe", false);
    bool constant = zoo_decoder_flag(b, "@sum_bias", false);
    char name[64];
    ZOO_TRY(choose_ffn(b, &parts[1]));
    *n_parts = 2;
    if (parts[1].ops) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_decoder_ffn(b, layer, &parts[1]));
    *n_parts = products || constant ? 3 : 2;
    if (*n_parts == 2) {
        return ZOO_OK;
    }
    ZOO_TRY(products ? add_products(b, &parts[2]) : add_constant(b, &parts[2]));
    (void)snprintf(name, sizeof name, "layers.%u.%s", layer, parts[1].name);
    parts[1].path = parts[2].path = zoo_decoder_path(b, name);
    parts[1].name = "inner";
    return parts[1].path ? ZOO_OK : zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status weigh(zoo_decoder *b, zoo_part *parts, uint32_t n_parts, zoo_layer *out)
{
    llama_weighed *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (llama_weighed){b->hidden, n_parts};
    *out = (zoo_layer){.path = out->path,
                       .kind = "weighed residual",
                       .ops = &llama_weighed_ops,
                       .params = p,
                       .parts = parts,
                       .n_parts = n_parts};
    return ZOO_OK;
}

static zoo_status make_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    uint32_t n_parts = 0;
    zoo_part *parts = b->setup->take(b->setup, PARTS * sizeof *parts);
    if (!parts) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(llama_mixer(b, layer, &parts[0]));
    ZOO_TRY(make_ffn(b, layer, parts, &n_parts));
    ZOO_TRY(zoo_decoder_frame(b, layer, parts, n_parts, out));
    out->kind = b->reach == ZOO_REACH_SLIDING ? "sliding_attention" : "full_attention";
    return zoo_decoder_flag(b, "@weighed", false) ? weigh(b, parts, n_parts, out) : ZOO_OK;
}

zoo_status llama_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err)
{
    zoo_decoder b;
    if (config->flag(config, "@cycles", false)) {
        ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
        return llama_configure_cycles(&b);
    }
    if (config->type(config, "@mixer") == ZOO_ABSENT &&
        config->type(config, "@ffn") == ZOO_ABSENT) {
        return zoo_decoder_configure(config, setup, plan, err);
    }
    ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
    b.eps = (float)config->number(config, "@layer_eps", (double)b.eps);
    zoo_layer *layers = setup->take(setup, b.n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < b.n_layers; i++) {
        ZOO_TRY(make_layer(&b, i, &layers[i]));
    }
    plan->layers = layers;
    plan->n_layers = b.n_layers;
    return ZOO_OK;
}
