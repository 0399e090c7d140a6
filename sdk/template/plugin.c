/*
 * plugin.c: a whole plugin to copy: a pre-norm decoder with the shared attention block, or the
 * mixer of mixer.c, and the feed-forward block of block.c.
 *
 *   1. `lmzoo new-plugin NAME` copies it under another name; `lmzoo new-block` adds a block.
 *   2. keys: what your config.json holds.
 *   3. probe: when it is yours.
 *   4. configure: fill the sizes, then one zoo_layer for each layer.
 *   5. A card names the plugin for a model_type.
 */
#include <string.h>

#include "blocks/gqa/gqa.h"
#include "blocks/ops.h"
#include "template.h"

typedef struct build {
    const zoo_config *config;
    zoo_setup *setup;
    zoo_plan *plan;
    zoo_error *err;
    const zoo_rope *rope;
    uint32_t hidden, heads, kv_heads;
    float eps;
} build;

static zoo_norm norm_of(const build *b, const char *name)
{
    return (zoo_norm){.kind = ZOO_NORM_RMS, .eps = b->eps, .name = name, .has_weight = 1};
}

/* The parts that a card may choose: options "template.mixer" and "template.ffn". */
static const zoo_part_choice mixer_choices[] = {{"average", template_average_part}, {NULL, NULL}};
static const zoo_part_choice ffn_choices[] = {{"square", template_square_part}, {NULL, NULL}};

static zoo_status make_attention(const build *b, zoo_part *out)
{
    zoo_gqa *attention = b->setup->take(b->setup, sizeof *attention);
    if (!attention) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    attention->shape.width_in = b->hidden;
    attention->shape.n_heads = b->heads;
    attention->shape.n_kv_heads = b->kv_heads;
    attention->shape.head_dim = b->hidden / b->heads;
    attention->options.rope = b->rope;
    *out = (zoo_part){.ops = &zoo_gqa_ops,
                      .params = attention,
                      .name = "self_attn",
                      .in_scale = 1,
                      .out_scale = 1};
    return zoo_gqa_finish(attention, b->err);
}

static zoo_status make_parts(const build *b, zoo_part *parts)
{
    const zoo_config *c = b->config;
    const char *mixer = c->text(c, "@template.mixer", "attention");
    const char *ffn = c->text(c, "@template.ffn", "square");
    zoo_part_maker *make_mixer = zoo_part_choose(mixer_choices, mixer);
    zoo_part_maker *make_ffn = zoo_part_choose(ffn_choices, ffn);
    if (!make_ffn || (!make_mixer && strcmp(mixer, "attention") != 0)) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "the card asks for mixer \"%s\", ffn \"%s\"", mixer,
                        ffn);
    }
    ZOO_TRY(make_mixer ? make_mixer(c, b->setup, b->hidden, &parts[0], b->err)
                       : make_attention(b, &parts[0]));
    ZOO_TRY(make_ffn(c, b->setup, b->hidden, &parts[1], b->err));
    parts[0].norm = norm_of(b, "input_layernorm");
    parts[1].norm = norm_of(b, "post_attention_layernorm");
    return ZOO_OK;
}

static zoo_status make_layer(build *b, uint32_t index, zoo_layer *out)
{
    char *path = b->setup->take(b->setup, 64);
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    zoo_branch *branches = b->setup->take(b->setup, 2 * sizeof *branches);
    if (!path || !parts || !branches) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(make_parts(b, parts));
    (void)snprintf(path, 64, "model.layers.%u", index);
    for (uint32_t i = 0; i < 2; i++) {
        branches[i] = (zoo_branch){.parts = &parts[i], .n_parts = 1, .scale = 1, .h_scale = 1};
    }
    *out =
        (zoo_layer){.path = path, .kind = "full_attention", .branches = branches, .n_branches = 2};
    return ZOO_OK;
}

static zoo_status make_rope(build *b)
{
    zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
    const zoo_rope_want want = {.head_dim = b->hidden / b->heads};
    b->rope = rope;
    return rope ? zoo_rope_read(b->config, b->setup, &want, rope, b->err)
                : zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
}

static zoo_status configure(const zoo_config *c, zoo_setup *setup, zoo_plan *plan, zoo_error *err)
{
    build b = {.config = c, .setup = setup, .plan = plan, .err = err};
    b.hidden = c->whole(c, "hidden_size", 0);
    b.heads = c->whole(c, "num_attention_heads", 0);
    b.kv_heads = c->whole(c, "num_key_value_heads", b.heads);
    b.eps = (float)c->number(c, "rms_norm_eps", 1e-6);
    plan->n_layers = c->whole(c, "num_hidden_layers", 0);
    if (b.hidden == 0 || b.heads == 0 || plan->n_layers == 0 || plan->n_layers > 1024) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "hidden_size, num_attention_heads or num_hidden_layers is not given");
    }
    plan->vocab_size = c->whole(c, "vocab_size", 0);
    plan->hidden_size = plan->stream_width = b.hidden;
    plan->context_max = c->whole(c, "max_position_embeddings", 2048);
    plan->embed_path = "model.embed_tokens";
    plan->norm_path = "model.norm";
    plan->head_path = "lm_head";
    plan->tied = c->flag(c, "tie_word_embeddings", false);
    plan->norm = norm_of(&b, plan->norm_path);
    plan->embed_scale = plan->head_scale = 1;
    ZOO_TRY(make_rope(&b));
    zoo_layer *layers = setup->take(setup, plan->n_layers * sizeof *layers);
    for (uint32_t i = 0; layers && i < plan->n_layers; i++) {
        ZOO_TRY(make_layer(&b, i, &layers[i]));
    }
    plan->layers = layers;
    return layers ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
}

/* Only a card chooses this plugin; it claims no config. */
static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    bool named = config->type(config, "@card") != ZOO_ABSENT;
    (void)snprintf(why, n, named ? "a card names it" : "no card names it");
    return named ? 100 : 0;
}

static const zoo_key keys[] = {
    {"average_width", ZOO_KEY_READ, NULL},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"num_key_value_heads", ZOO_KEY_READ, NULL},
    {"rms_norm_eps", ZOO_KEY_READ, NULL},
    {"rope_parameters", ZOO_KEY_READ, NULL},
    {"tie_word_embeddings", ZOO_KEY_READ, NULL},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {&zoo_gqa_ops, &template_average_ops, NULL};
static const zoo_block_ops *const ffns[] = {&template_square_ops, NULL};

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "template",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "a plugin to copy",
    .mixers = mixers,
    .ffns = ffns,
    .keys = keys,
    .probe = probe,
    .configure = configure,
};
