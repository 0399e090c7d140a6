/*
 * ends.c: the parts around the layers: begin.c in front of them, and behind them, before the head,
 *
 *   embed_dim           (a key) where it is not hidden_size: project_out, which then carries the
 *                       last norm; not with embed_dim_last
 *   transform           module of h = norm(act(W h + b)) behind the last norm; transform_norm,
 *                       transform_act ("gelu" whatever hidden_act says, or a key), transform_bias
 *                       (whether there is b), transform_width (a key: the rows of W); the head
 *                       reads what comes of it
 *   head_untied         module of the output matrix and its bias where tie_word_embeddings is
 *                       false, or where the file has that bias
 *
 * Option last_norm_if: a key that must be true for a last norm; last_norm_off: one that must be
 * false. Biases of project_in: project_bias.
 */
#include <string.h>

#include "classic.h"

static zoo_status out_of_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

zoo_status classic_add_project(zoo_decoder *b, const char *module, uint32_t cols, uint32_t rows,
                               zoo_part *out)
{
    const char *path = zoo_decoder_path(b, module);
    classic_project *p = b->setup->take(b->setup, sizeof *p);
    if (!path || !p) {
        return out_of_memory(b);
    }
    *p = (classic_project){
        .rows = rows, .cols = cols, .bias = zoo_decoder_flag(b, "@project_bias", false)};
    *out = (zoo_part){.ops = &classic_project_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = cols,
                      .width_out = rows};
    return ZOO_OK;
}

static void read_last_norm(zoo_decoder *b)
{
    bool wanted = zoo_decoder_flag(b, "@last_norm_if", true);
    bool off = zoo_decoder_flag(b, "@last_norm_off", false);
    if (!wanted || off) {
        b->plan->norm.kind = ZOO_NORM_NONE;
    }
}

/* A part that is the last norm alone. */
static zoo_part last_norm(const zoo_decoder *b)
{
    return (zoo_part){
        .name = b->plan->norm_path, .norm = b->plan->norm, .in_scale = 1.0f, .out_scale = 1.0f};
}

/* The head of a masked language model in front of the output matrix. */
static zoo_status add_transform(zoo_decoder *b, const char *module, zoo_part *parts)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@transform_width", NULL);
    const char *act = c->text(c, "@transform_act", NULL);
    const char *norm = c->text(c, "@transform_norm", "transform_norm");
    classic_project *p = b->setup->take(b->setup, sizeof *p);
    uint32_t n = 0;
    if (!p) {
        return out_of_memory(b);
    }
    p->cols = b->hidden;
    p->rows = key ? c->whole(c, key, b->hidden) : b->hidden;
    p->bias = zoo_decoder_flag(b, "@transform_bias", true);
    p->activated = 1;
    p->act = act && strcmp(act, "gelu") == 0 ? (uint32_t)ZOO_ACT_GELU
                                             : zoo_act_read(c, act ? act : "hidden_act", "gelu");
    if (b->plan->norm.kind != ZOO_NORM_NONE) {
        parts[n++] = last_norm(b);
    }
    parts[n++] = (zoo_part){.ops = &classic_project_ops,
                            .params = p,
                            .name = module,
                            .in_scale = 1.0f,
                            .out_scale = 1.0f,
                            .width_in = p->cols,
                            .width_out = p->rows};
    parts[n++] = (zoo_part){.name = norm,
                            .norm = zoo_decoder_norm(b, norm),
                            .in_scale = 1.0f,
                            .out_scale = 1.0f,
                            .width_in = p->rows,
                            .width_out = p->rows};
    b->plan->n_epilogue = n;
    return ZOO_OK;
}

/* A bias that is tied too has another name where nothing is tied. A file that stores it under that
 * name has one of its own, whatever tie_word_embeddings says, as the matrix has. */
static void read_head(zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *untied = c->text(c, "@head_untied", NULL);
    char bias[128];
    (void)snprintf(bias, sizeof bias, "%.100s.bias", untied ? untied : "");
    if (untied && (!c->flag(c, "tie_word_embeddings", c->flag(c, "@tied", false)) ||
                   c->has_tensor(c, bias))) {
        b->plan->head_path = untied;
    }
}

static zoo_status add_epilogue(zoo_decoder *b, uint32_t width, zoo_part *parts)
{
    const char *transform = b->config->text(b->config, "@transform", NULL);
    bool last = b->config->flag(b->config, "@embed_dim_last", false);
    if (width != b->hidden && !last) {
        ZOO_TRY(classic_add_project(b, "project_out", b->hidden, width, parts));
        parts->norm = b->plan->norm;
        b->plan->n_epilogue = 1;
    } else if (transform) {
        ZOO_TRY(add_transform(b, transform, parts));
    }
    if (b->plan->n_epilogue) {
        b->plan->epilogue = parts;
        b->plan->norm.kind = ZOO_NORM_NONE;
    }
    return ZOO_OK;
}

zoo_status classic_ends(zoo_decoder *b)
{
    enum { EPILOGUE_MAX = 3 };
    const zoo_config *c = b->config;
    const char *dim = c->text(c, "@embed_dim", NULL);
    zoo_part *parts =
        b->setup->take(b->setup, (CLASSIC_PROLOGUE_MAX + EPILOGUE_MAX) * sizeof *parts);
    uint32_t width = dim ? c->whole(c, dim, b->hidden) : b->hidden;
    if (!parts) {
        return out_of_memory(b);
    }
    read_last_norm(b);
    read_head(b);
    if (width != b->hidden) {
        b->plan->embed_width = width;
    }
    ZOO_TRY(add_epilogue(b, width, parts + CLASSIC_PROLOGUE_MAX));
    b->plan->prologue = parts;
    return classic_begin(b, width, parts, &b->plan->n_prologue);
}
