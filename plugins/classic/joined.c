/*
 * joined.c: y = W [x | t_0[0] | t_1[0]] + b: what an embedding becomes whose rows stand beside
 * those of a character's shape and sound; text alone has the first of each.
 *
 * Tensors: map_inputs_layer.weight [width, width + cols of the tables], .bias; shape_embed.weight,
 * pronunciation_embed.weight [rows, cols]. Memory: a joined row for each row of the step. Source:
 * the reference's modeling file of roc_bert.
 */
#include <string.h>

#include "blocks/rows.h"
#include "classic.h"

typedef struct weights {
    zoo_weight map;
    const float *bias;
    zoo_table shape, sound;
    float *tail; /* [width_in - width], the first rows of the tables */
} weights;

#define ZOO_ROW_WEIGHTS weights
#define ZOO_ROW_PARAMS  classic_joined

static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(map, "map_inputs_layer.weight", 0, width, width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(bias, "map_inputs_layer.bias", width, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(weights, shape, ZOO_BIND_TABLE, 0, "shape_embed.weight", classic_joined, shape_rows,
             ZOO_ROW_AT(shape_cols), ZOO_ROW_AT(shape_cols)),
    ZOO_BIND(weights, sound, ZOO_BIND_TABLE, 0, "pronunciation_embed.weight", classic_joined,
             sound_rows, ZOO_ROW_AT(sound_cols), ZOO_ROW_AT(sound_cols)),
    {0}};

static float *lay_out(const classic_joined *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    return zoo_scratch_layout_floats(layout, n_rows, p->width_in);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const classic_joined *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max);
}

static zoo_status prepare(const void *params, void *own, zoo_setup *setup, zoo_error *err)
{
    const classic_joined *p = params;
    weights *w = own;
    w->tail = setup->take(setup, ((size_t)p->width_in - p->width + 1) * sizeof(float));
    if (!w->tail) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a row of %u", p->width_in);
    }
    if (p->shape_cols) {
        w->shape.read(&w->shape, 0, w->tail);
    }
    if (p->sound_cols) {
        w->sound.read(&w->sound, 0, w->tail + p->shape_cols);
    }
    return ZOO_OK;
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_joined *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *rows = lay_out(p, span->n_rows, &layout);
    const zoo_proj map = {&w->map, w->bias, y, 0};
    (void)cache;
    for (uint32_t i = 0; i < span->n_rows; i++) {
        float *row = rows + (size_t)i * p->width_in;
        memcpy(row, x + (size_t)i * p->width, p->width * sizeof *row);
        memcpy(row + p->width, w->tail, ((size_t)p->width_in - p->width) * sizeof *row);
    }
    zoo_linear(ctx, &map, 1, rows, p->width_in, span->n_rows);
}

static void facts(const void *params, const zoo_facts *to)
{
    const classic_joined *p = params;
    to->text(to, "kind", "map of joined embeddings");
    to->number(to, "columns", p->width_in);
}

zoo_status classic_add_joined(zoo_decoder *b, const char *module, zoo_part *out)
{
    const zoo_config *c = b->config;
    const char *path = zoo_decoder_path(b, module);
    classic_joined *p = b->setup->take(b->setup, sizeof *p);
    if (!path || !p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    uint32_t shape = c->whole(c, "shape_embed_dim", 512),
             sound = c->whole(c, "pronunciation_embed_dim", 768);
    *p = (classic_joined){.width = b->hidden,
                          .shape_rows = c->whole(c, "shape_vocab_size", 24858),
                          .sound_rows = c->whole(c, "pronunciation_vocab_size", 910),
                          .shape_cols = c->flag(c, "enable_shape", true) ? shape : 0,
                          .sound_cols = c->flag(c, "enable_pronunciation", true) ? sound : 0};
    if (p->width > 1u << 24 || p->shape_cols > 1u << 24 || p->sound_cols > 1u << 24) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "embeddings of %u, %u and %u", p->width,
                        p->shape_cols, p->sound_cols);
    }
    p->width_in = p->width + p->shape_cols + p->sound_cols;
    *out = (zoo_part){.ops = &classic_joined_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = p->width,
                      .width_out = p->width};
    return ZOO_OK;
}

const zoo_block_ops classic_joined_ops = {.size = sizeof(zoo_block_ops),
                                          .weights_size = sizeof(weights),
                                          .name = "joined",
                                          .binds = binds,
                                          .scratch = scratch,
                                          .prepare = prepare,
                                          .forward = forward,
                                          .facts = facts};
