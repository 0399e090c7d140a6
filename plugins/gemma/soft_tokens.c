/*
 * soft_tokens.c: tokens that a tower embeds: parts of images and of sound.
 *
 *   y = rms( W ( rms(table[id - begin]) * w ) )    for ids from begin on, below end;   y = x else
 *
 * Tensors: embedding.weight [rows, T], hard_embedding_norm.weight [T],
 * embedding_projection.weight [H, T]; T is the tower's width. Memory: the rows of such tokens, of
 * the tower's width and of the model's, and their numbers.
 */
#include <string.h>

#include "gemma.h"

typedef struct weights {
    zoo_table table;
    const float *norm;
    zoo_weight projection;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, table, ZOO_BIND_TABLE, 0, "embedding.weight", gemma_soft_tokens, rows,
             ZOO_AT(gemma_soft_tokens, width), ZOO_NONE),
    ZOO_BIND(weights, norm, ZOO_BIND_VECTOR, 0, "hard_embedding_norm.weight", gemma_soft_tokens,
             width, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(weights, projection, ZOO_BIND_MATRIX, 0, "embedding_projection.weight",
             gemma_soft_tokens, hidden, ZOO_AT(gemma_soft_tokens, width), ZOO_NONE),
    {.name = NULL},
};

typedef struct buffers {
    float *soft, *rows; /* [n_rows, T], [n_rows, H] */
    uint32_t *which;    /* [n_rows] the step's row of each */
} buffers;

static buffers lay_out(const gemma_soft_tokens *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    buffers b = {.soft = zoo_scratch_layout_floats(layout, n_rows, p->width),
                 .rows = zoo_scratch_layout_floats(layout, n_rows, p->hidden)};
    b.which = (uint32_t *)zoo_scratch_layout_floats(layout, n_rows, 1);
    return b;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_soft_tokens *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width, limits->rows_max);
}

static zoo_norm_args rms(float *x, uint32_t n_rows, uint32_t width, const float *weight, float eps)
{
    return (zoo_norm_args){.x = x,
                           .y = x,
                           .weight = weight,
                           .x_stride = width,
                           .y_stride = width,
                           .n_rows = n_rows,
                           .width = width,
                           .eps = eps};
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_soft_tokens *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    const buffers b = lay_out(p, span->n_rows, &layout);
    uint32_t n = 0;
    (void)cache;
    memmove(y, x, (size_t)span->n_rows * p->hidden * sizeof(float));
    for (uint32_t row = 0; row < span->n_rows; row++) {
        uint32_t id = (uint32_t)span->tokens[row];
        if (id >= p->begin && id < p->end) {
            w->table.read(&w->table, id - p->begin, b.soft + (size_t)n * p->width);
            b.which[n++] = row;
        }
    }
    if (!n) {
        return;
    }
    const zoo_proj projection = {&w->projection, NULL, b.rows, 0};
    zoo_norm_rows(ctx, ZOO_NORM_RMS, rms(b.soft, n, p->width, w->norm, p->eps));
    zoo_linear(ctx, &projection, 1, b.soft, p->width, n);
    zoo_norm_rows(ctx, ZOO_NORM_RMS, rms(b.rows, n, p->hidden, NULL, p->eps));
    for (uint32_t i = 0; i < n; i++) {
        memcpy(y + (size_t)b.which[i] * p->hidden, b.rows + (size_t)i * p->hidden,
               p->hidden * sizeof(float));
    }
}

const zoo_block_ops gemma_soft_tokens_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "soft_tokens",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_soft_tokens_facts,
};

typedef struct tower {
    const char *path, *key; /* of its tensors and its config */
} tower;

static uint32_t whole(const zoo_config *c, const tower *t, const char *key)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s.%s", t->key, key);
    return c->whole(c, path, 0);
}

/* The table's rows and width as they are stored; as the config says where there are no weights.
 * False: there are weights, but no such table. */
static bool read_sizes(const zoo_decoder *b, const tower *t, gemma_soft_tokens *p)
{
    const zoo_config *c = b->config;
    char name[300];
    uint64_t dims[2] = {0};
    (void)snprintf(name, sizeof name, "%s.embedding.weight", t->path);
    if (c->shape(c, name, dims, 2) == 2 && dims[0] < ZOO_NONE && dims[1] < ZOO_NONE) {
        p->rows = (uint32_t)dims[0];
        p->width = (uint32_t)dims[1];
        return true;
    }
    p->rows = whole(c, t, "vocab_size");
    p->width = whole(c, t, "hidden_size");
    (void)snprintf(name, sizeof name, "%s.weight", b->plan->embed_path);
    return !c->has_tensor(c, name);
}

static zoo_status add_tower(zoo_decoder *b, const tower *t, uint32_t begin, uint32_t end,
                            zoo_part *out)
{
    char key[64];
    gemma_soft_tokens *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    if (!read_sizes(b, t, p)) {
        b->plan->tokens_max = begin;
        return ZOO_OK;
    }
    (void)snprintf(key, sizeof key, "%s.rms_norm_eps", t->key);
    p->hidden = b->hidden;
    p->begin = begin;
    p->end = end;
    p->eps = (float)b->config->number(b->config, key, 1e-6);
    *out = (zoo_part){.ops = &gemma_soft_tokens_ops,
                      .params = p,
                      .name = "soft_tokens",
                      .path = t->path,
                      .in_scale = 1,
                      .out_scale = 1};
    return p->rows >= end - begin
               ? ZOO_OK
               : zoo_fail(b->err, ZOO_E_CONFIG, "%s embeds tokens %u to %u, but has %u rows",
                          t->path, begin, end - 1, p->rows);
}

zoo_status gemma_add_soft_tokens(zoo_decoder *b, zoo_part *parts, uint32_t *n_parts)
{
    static const tower towers[] = {{"model.embed_vision", "vision_config"},
                                   {"model.embed_audio", "audio_config"}};
    if (b->config->type(b->config, "vision_config.vocab_offset") != ZOO_NUMBER) {
        return ZOO_OK;
    }
    uint32_t begins[] = {whole(b->config, &towers[0], "vocab_offset"),
                         whole(b->config, &towers[1], "vocab_offset"), b->plan->vocab_size};
    for (int i = 1; i >= 0; i--) {
        begins[i] = begins[i] < begins[i + 1] ? begins[i] : begins[i + 1];
    }
    for (uint32_t i = 0; i < ZOO_COUNT(towers) && !b->plan->tokens_max; i++) {
        if (begins[i] < begins[i + 1]) {
            ZOO_TRY(add_tower(b, &towers[i], begins[i], begins[i + 1], &parts[*n_parts]));
            *n_parts += !b->plan->tokens_max;
        }
    }
    return ZOO_OK;
}
