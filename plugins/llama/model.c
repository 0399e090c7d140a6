/*
 * model.c: the plan of a decoder with embedding, layers, last norm and head.
 *
 * Options: prefix, layers, embed, norm_name, head (module names); norm ("rms", "rms_plus_one",
 * "layer", "layer_plus_one"), norm_weight, norm_bias; embed_scale ("sqrt": sqrt(hidden_size), where
 * embed_scale_if, a key, is true); logits ("divide", "multiply": by logits_scaling); head_bias;
 * tied (class default of tie_word_embeddings).
 */
#include <math.h>
#include <string.h>

#include "build.h"

bool llama_flag(const llama_build *b, const char *option, bool fallback)
{
    const zoo_config *c = b->config;
    if (c->type(c, option) == ZOO_STRING) {
        return c->flag(c, c->text(c, option, ""), false);
    }
    return c->flag(c, option, fallback);
}

const char *llama_path(llama_build *b, const char *name)
{
    size_t n = strlen(b->prefix) + strlen(name) + 2;
    char *path = b->setup->take(b->setup, n);
    if (path) {
        (void)snprintf(path, n, "%s%s%s", b->prefix, *b->prefix ? "." : "", name);
    }
    return path;
}

zoo_norm llama_norm(const llama_build *b, const char *name)
{
    return (zoo_norm){.kind = b->norm_kind,
                      .eps = b->eps,
                      .name = name,
                      .has_weight = b->norm_weight,
                      .has_bias = b->norm_bias};
}

static void read_norm(llama_build *b)
{
    static const struct {
        const char *name;
        uint32_t kind;
    } kinds[] = {{"rms", ZOO_NORM_RMS},
                 {"rms_plus_one", ZOO_NORM_RMS_PLUS_ONE},
                 {"layer", ZOO_NORM_LAYER},
                 {"layer_plus_one", ZOO_NORM_LAYER_PLUS_ONE}};
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@norm", "rms");
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            b->norm_kind = kinds[i].kind;
        }
    }
    if (b->norm_kind == ZOO_NORM_NONE) {
        c->refuse(c, "the card's option norm is \"%s\", which is no norm", name);
    }
    bool layer = b->norm_kind == ZOO_NORM_LAYER || b->norm_kind == ZOO_NORM_LAYER_PLUS_ONE;
    b->norm_weight = llama_flag(b, "@norm_weight", true);
    b->norm_bias = llama_flag(b, "@norm_bias", layer && b->norm_weight);
    b->eps = (float)c->number(c, "rms_norm_eps", 1e-6);
}

static void read_sizes(llama_build *b)
{
    const zoo_config *c = b->config;
    b->prefix = c->text(c, "@prefix", "model");
    b->n_layers = c->whole(c, "num_hidden_layers", 0);
    b->hidden = c->whole(c, "hidden_size", 0);
    b->n_heads = c->whole(c, "num_attention_heads", 0);
    b->n_kv_heads = c->whole(c, "num_key_value_heads", b->n_heads);
    b->head_dim = c->whole(c, "head_dim", b->n_heads ? b->hidden / b->n_heads : 0);
    b->residual = (float)c->number(c, "residual_multiplier", 1.0);
    read_norm(b);
    if (b->n_layers == 0 || b->n_layers > 4096 || b->hidden == 0 || b->n_heads == 0 ||
        b->head_dim == 0) {
        c->refuse(c, "num_hidden_layers, hidden_size, num_attention_heads and head_dim must be "
                     "given and not 0");
    }
}

static bool is_tied(const llama_build *b, const char *head)
{
    const zoo_config *c = b->config;
    char name[300];
    (void)snprintf(name, sizeof name, "%s.weight", head);
    bool fallback = c->flag(c, "@tied", false);
    if (c->type(c, "tie_word_embeddings") == ZOO_ABSENT) {
        return fallback || !c->has_tensor(c, name);
    }
    return c->flag(c, "tie_word_embeddings", fallback);
}

static void read_head(llama_build *b)
{
    const zoo_config *c = b->config;
    zoo_plan *plan = b->plan;
    const char *how = c->text(c, "@logits", "");
    double scale = *how ? c->number(c, "logits_scaling", 1.0) : 1.0;
    plan->head_path = c->text(c, "@head", "lm_head");
    plan->tied = is_tied(b, plan->head_path);
    plan->head_bias = llama_flag(b, "@head_bias", false);
    plan->head_scale = (float)(strcmp(how, "divide") == 0 ? 1.0 / scale : scale);
}

static void read_embedding(llama_build *b)
{
    const zoo_config *c = b->config;
    zoo_plan *plan = b->plan;
    plan->embed_path = llama_path(b, c->text(c, "@embed", "embed_tokens"));
    bool root = strcmp(c->text(c, "@embed_scale", ""), "sqrt") == 0 &&
                llama_flag(b, "@embed_scale_if", true);
    plan->embed_scale =
        root ? sqrtf((float)b->hidden) : (float)c->number(c, "embedding_multiplier", 1.0);
}

static zoo_status read_layers(llama_build *b)
{
    zoo_layer *layers = b->setup->take(b->setup, b->n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < b->n_layers; i++) {
        ZOO_TRY(llama_layer(b, i, &layers[i]));
    }
    b->plan->layers = layers;
    b->plan->n_layers = b->n_layers;
    return ZOO_OK;
}

zoo_status llama_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err)
{
    llama_build b = {.config = config, .setup = setup, .plan = plan, .err = err};
    zoo_error first;
    read_sizes(&b);
    plan->vocab_size = config->whole(config, "vocab_size", 0);
    plan->hidden_size = b.hidden;
    plan->stream_width = b.hidden;
    plan->context_max = config->whole(config, "max_position_embeddings", 2048);
    if (b.n_layers == 0 || b.n_layers > 4096 || b.hidden == 0 || b.n_heads == 0 ||
        b.head_dim == 0) {
        return zoo_fail(&first, ZOO_E_CONFIG, "sizes");
    }
    read_embedding(&b);
    read_head(&b);
    plan->norm_path = llama_path(&b, config->text(config, "@norm_name", "norm"));
    plan->norm = llama_norm(&b, plan->norm_path);
    return read_layers(&b);
}
