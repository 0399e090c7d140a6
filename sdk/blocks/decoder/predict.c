/*
 * predict.c: the plan of a prediction layer (multi-token prediction; zoo_plan.prediction).
 *
 * Options:
 *   predict                module path of the layer; "%" stands for the number of layers of the
 *                          model, a dot in front for the model's prefix: ".layers.%"
 *   predict_ends           module path of the norms and the projection at its input (the layer's)
 *   predict_norm           module below predict_ends of its last norm ("shared_head.norm")
 *   predict_hidden_first   the projection reads the row of the model before the embedding
 *   predict_raw            rows of the model are taken before its last norm
 *
 * The layer is made like the last one of its kind in the model. Of several prediction layers the
 * first is used.
 */
#include <string.h>

#include "blocks/decoder/decoder.h"
#include "blocks/predict/predict.h"

static const char *join(zoo_decoder *b, const char *path, const char *name)
{
    size_t n = strlen(path) + strlen(name) + 2;
    char *text = b->setup->take(b->setup, n);
    if (text) {
        (void)snprintf(text, n, "%s.%s", path, name);
    }
    return text;
}

/* The option's path with its signs replaced. */
static const char *read_path(zoo_decoder *b, const char *pattern)
{
    const char *sign = strchr(pattern, '%');
    size_t n = strlen(pattern) + strlen(b->prefix) + 16;
    char *text = b->setup->take(b->setup, n);
    if (text) {
        const char *prefix = *pattern == '.' ? b->prefix : "";
        const char *rest = *pattern == '.' && !*prefix ? pattern + 1 : pattern;
        size_t head = sign ? (size_t)(sign - rest) : strlen(rest);
        int used = snprintf(text, n, "%s%.*s", prefix, (int)head, rest);
        if (sign) {
            (void)snprintf(text + used, n - (size_t)used, "%u%s", b->n_layers, sign + 1);
        }
    }
    return text;
}

static bool has(const zoo_decoder *b, const char *path, const char *name)
{
    char full[300];
    (void)snprintf(full, sizeof full, "%s.%s.weight", path, name);
    return b->config->has_tensor(b->config, full);
}

bool zoo_decoder_predicts(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *layer = c->text(c, "@predict", NULL);
    const char *ends = c->text(c, "@predict_ends", layer);
    /* Known also where no layer is made. */
    (void)c->text(c, "@predict_norm", NULL);
    (void)c->flag(c, "@predict_hidden_first", false);
    (void)c->flag(c, "@predict_raw", false);
    const char *path = b->setup->predicts && layer ? read_path(b, ends) : NULL;
    return path && (has(b, path, "enorm") || has(b, path, "pre_fc_norm_embedding") ||
                    has(b, path, "token_layernorm"));
}

static zoo_status make_input(zoo_decoder *b, const char *path, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_predict *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (zoo_predict){.width = b->hidden,
                       .width_in = 2 * b->hidden,
                       .hidden_first = c->flag(c, "@predict_hidden_first", false),
                       .norm_kind = b->norm_kind,
                       .eps = b->eps};
    *out = (zoo_part){.ops = &zoo_predict_ops,
                      .params = p,
                      .name = "input",
                      .path = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = p->width_in,
                      .width_out = p->width};
    return ZOO_OK;
}

zoo_status zoo_decoder_predict(zoo_decoder *b, zoo_layer *layer)
{
    const zoo_config *c = b->config;
    const char *option = c->text(c, "@predict", "");
    const char *path = read_path(b, option);
    const char *ends = read_path(b, c->text(c, "@predict_ends", option));
    zoo_plan *plan = b->setup->take(b->setup, sizeof *plan);
    zoo_part *input = b->setup->take(b->setup, sizeof *input);
    if (!path || !ends || !plan || !input) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *plan = *b->plan;
    if (plan->n_prologue || plan->n_epilogue || plan->stream_width != plan->hidden_size) {
        return zoo_fail(b->err, ZOO_E_UNSUPPORTED,
                        "prediction layers beside several residual streams, or beside steps before "
                        "or after the layers, are not computed");
    }
    layer->path = path;
    plan->layers = layer;
    plan->n_layers = 1;
    ZOO_TRY(make_input(b, ends, input));
    plan->prologue = input;
    plan->n_prologue = 1;
    plan->given_width = b->hidden;
    plan->given_raw = c->flag(c, "@predict_raw", false);
    plan->norm_path = plan->norm.name =
        join(b, ends, c->text(c, "@predict_norm", "shared_head.norm"));
    plan->embed_path =
        has(b, path, "embed_tokens") ? join(b, path, "embed_tokens") : plan->embed_path;
    plan->head_path =
        has(b, path, "shared_head.head") ? join(b, path, "shared_head.head") : plan->head_path;
    b->plan->prediction = plan;
    return plan->norm_path && plan->embed_path && plan->head_path
               ? ZOO_OK
               : zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

zoo_status zoo_decoder_predict_like_last(zoo_decoder *b)
{
    if (!zoo_decoder_predicts(b)) {
        return ZOO_OK;
    }
    zoo_layer *layer = b->setup->take(b->setup, sizeof *layer);
    if (!layer) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(zoo_decoder_layer(b, b->n_layers - 1, layer));
    return zoo_decoder_predict(b, layer);
}
