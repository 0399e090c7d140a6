/*
 * model.c: sizes, norms, embedding and head of a decoder.
 *
 * Options:
 *   prefix, prefix_nested, layers, embed, norm_name, head   module names
 *   norm              "rms", "rms_plus_one", "layer", "layer_plus_one"; norm_weight, norm_bias;
 *                     last_norm_bias: of the one before the head, where it differs
 *   rms_if            a key: where it holds a number the norm is "rms" with that eps, else
 *                     layer_norm_eps counts
 *   embed_scale       "sqrt": sqrt(hidden_size), where the key embed_scale_if is true;
 *                     embed_scale_inside: the reference's embedding module scales
 *   more_embeddings   a key: so many rows stand in the embedding behind those of vocab_size
 *   head_rows         a key: so many first tokens of vocab_size have logits; the other rows pad
 *   logits            "divide", "multiply": by logits_scaling
 *   softcap_logits    final_logit_softcapping
 *   head_bias         true, false or a key
 *   tied              class default of tie_word_embeddings
 *   layer_list        a key whose length, of a list or of letters, is the number of layers, or a
 *                     number that is
 */
#include <math.h>
#include <string.h>

#include "blocks/decoder/decoder.h"

const char *zoo_decoder_path(zoo_decoder *b, const char *name)
{
    size_t n = strlen(b->prefix) + strlen(name) + 2;
    char *path = b->setup->take(b->setup, n);
    if (path) {
        (void)snprintf(path, n, "%s%s%s", b->prefix, *b->prefix ? "." : "", name);
    }
    return path;
}

zoo_norm zoo_decoder_norm(const zoo_decoder *b, const char *name)
{
    return (zoo_norm){.kind = b->norm_kind,
                      .eps = b->eps,
                      .name = name,
                      .has_weight = b->norm_weight,
                      .has_bias = b->norm_bias};
}

static void read_norm(zoo_decoder *b)
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
    const char *rms_if = c->text(c, "@rms_if", NULL);
    if (rms_if && c->type(c, rms_if) == ZOO_NUMBER) {
        b->norm_kind = ZOO_NORM_RMS;
    }
    b->norm_weight = zoo_decoder_flag(b, "@norm_weight", true);
    b->norm_bias = zoo_decoder_flag(b, "@norm_bias", layer && b->norm_weight);
    bool other = rms_if && b->norm_kind != ZOO_NORM_RMS;
    b->eps = (float)c->number(c, other ? "layer_norm_eps" : "rms_norm_eps", 1e-6);
}

static uint32_t read_n_layers(const zoo_config *c)
{
    const char *list = c->text(c, "@layer_list", "");
    uint32_t n = *list ? c->count(c, list) : 0;
    if (*list && c->type(c, list) == ZOO_STRING) {
        n = (uint32_t)strlen(c->text(c, list, ""));
    }
    if (*list && c->type(c, list) == ZOO_NUMBER) {
        n = c->whole(c, list, 0);
    }
    return n ? n : c->whole(c, "num_hidden_layers", 0);
}

static void read_sizes(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    b->prefix = c->text(c, "@prefix", "model");
    b->n_layers = read_n_layers(c);
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

/* A head that is in the file counts, whatever the config says, as in the reference. */
static bool is_tied(const zoo_decoder *b, const char *head)
{
    const zoo_config *c = b->config;
    char name[300];
    (void)snprintf(name, sizeof name, "%s.weight", head);
    bool tied = c->flag(c, "tie_word_embeddings", c->flag(c, "@tied", false));
    bool silent = c->type(c, "tie_word_embeddings") == ZOO_ABSENT;
    return (tied || silent) && !c->has_tensor(c, name);
}

static void read_head(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    zoo_plan *plan = b->plan;
    const char *how = c->text(c, "@logits", "");
    double scale = *how ? c->number(c, "logits_scaling", 1.0) : 1.0;
    plan->head_path = c->text(c, "@head", "lm_head");
    plan->tied = is_tied(b, plan->head_path);
    plan->head_bias = zoo_decoder_flag(b, "@head_bias", false);
    plan->softcap = c->flag(c, "@softcap_logits", false)
                        ? (float)c->number(c, "final_logit_softcapping", 0.0)
                        : 0.0f;
    plan->head_scale = (float)(strcmp(how, "divide") == 0 ? 1.0 / scale : scale);
}

static void read_embedding(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    zoo_plan *plan = b->plan;
    plan->embed_path = zoo_decoder_path(b, c->text(c, "@embed", "embed_tokens"));
    bool root = strcmp(c->text(c, "@embed_scale", ""), "sqrt") == 0 &&
                zoo_decoder_flag(b, "@embed_scale_if", true);
    const char *more = c->text(c, "@more_embeddings", NULL);
    const char *head = c->text(c, "@head_rows", NULL);
    uint32_t all = plan->vocab_size, rows = head ? c->whole(c, head, all) : all;
    if (head && rows == 0) {
        c->refuse(c, "%s is 0, and no token would have a logit", head);
    }
    plan->embed_rows = all + (more ? c->whole(c, more, 0) : 0);
    plan->vocab_size = rows < all ? rows : all;
    plan->embed_scale_inside = c->flag(c, "@embed_scale_inside", false);
    plan->embed_scale =
        root ? sqrtf((float)b->hidden) : (float)c->number(c, "embedding_multiplier", 1.0);
}

static zoo_status read_layers(zoo_decoder *b)
{
    zoo_layer *layers = b->setup->take(b->setup, b->n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    b->plan->layers = layers;
    for (uint32_t i = 0; i < b->n_layers; i++) {
        if (!zoo_decoder_layer_skipped(b, i)) {
            ZOO_TRY(zoo_decoder_layer(b, i, &layers[b->plan->n_layers++]));
        }
    }
    return ZOO_OK;
}

zoo_status zoo_decoder_begin(zoo_decoder *b, const zoo_config *config, zoo_setup *setup,
                             zoo_plan *plan, zoo_error *err)
{
    *b = (zoo_decoder){.config = config, .setup = setup, .plan = plan, .err = err};
    read_sizes(b);
    if (b->n_layers == 0 || b->n_layers > 4096 || b->hidden == 0 || b->n_heads == 0 ||
        b->head_dim == 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "the sizes of the model are not given");
    }
    plan->vocab_size = config->whole(config, "vocab_size", 0);
    plan->hidden_size = b->hidden;
    plan->stream_width = b->hidden;
    plan->context_max = config->whole(config, "max_position_embeddings", 2048);
    read_embedding(b);
    read_head(b);
    plan->norm_path = zoo_decoder_path(b, config->text(config, "@norm_name", "norm"));
    plan->norm = zoo_decoder_norm(b, plan->norm_path);
    plan->norm.has_bias = zoo_decoder_flag(b, "@last_norm_bias", b->norm_bias);
    return plan->norm_path && plan->embed_path
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
}

zoo_status zoo_decoder_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                                 zoo_error *err)
{
    zoo_decoder b;
    ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
    ZOO_TRY(read_layers(&b));
    return zoo_decoder_predict_like_last(&b);
}
