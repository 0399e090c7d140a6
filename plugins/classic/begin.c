/*
 * begin.c: the parts between the embedding and the layers, in this order, each by its option:
 *
 *   joined             module of the map of joined embeddings (joined.c), where the key of
 *                      joined_if is true
 *   embed_norm         module of a norm of the embedded rows; behind the positions and the first
 *                      rows with embed_norm_last
 *   embed_dim          a key: width of the embedding, which project_in leads to hidden_size; behind
 *                      everything else with embed_dim_last
 *   positions          module of learned positions, or "sinusoidal" (sinusoidal_by_width: with
 *                      frequencies 10000^(-2 i / width)); position_offset; with
 *                      positions_skip_padding row pad_token_id is that of a padding token, and the
 *                      others count on from the next row
 *   first_rows         modules of tables whose first row is added to all rows; first_rows_of: the
 *                      keys that say how many rows each has, none where it is 0; first_rows_if:
 *                      keys that must be true, "" for none
 */
#include <math.h>
#include <string.h>

#include "classic.h"

enum { FREQUENCIES_MAX = 1 << 23 };

static zoo_status out_of_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status add_norm(zoo_decoder *b, const char *module, uint32_t width, zoo_part *out)
{
    const char *path = zoo_decoder_path(b, module);
    *out = (zoo_part){.name = path,
                      .norm = zoo_decoder_norm(b, path),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = width,
                      .width_out = width};
    return path ? ZOO_OK : out_of_memory(b);
}

static zoo_status fill_frequencies(zoo_decoder *b, classic_positions *p)
{
    const zoo_config *c = b->config;
    p->n_freq = p->width / 2;
    if (p->n_freq < 2 || p->n_freq > FREQUENCIES_MAX) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "sinusoidal positions of width %u", p->width);
    }
    float *freq = b->setup->take(b->setup, (p->n_freq + 1) * sizeof *freq);
    if (!freq) {
        return out_of_memory(b);
    }
    bool by_width = c->flag(c, "@sinusoidal_by_width", false);
    float step = (float)(log(10000.0) / (p->n_freq - 1));
    for (uint32_t i = 0; i < p->n_freq; i++) {
        freq[i] = by_width ? 1.0f / powf(10000.0f, 2.0f * (float)i / (float)p->width)
                           : expf((float)i * -step);
    }
    p->freq = freq;
    p->padding_row = by_width ? UINT32_MAX : c->whole(c, "pad_token_id", UINT32_MAX);
    return ZOO_OK;
}

/* Rows that are counted among those of the table, not behind them. */
static void skip_padding(zoo_decoder *b, classic_positions *p)
{
    const zoo_config *c = b->config;
    if (c->flag(c, "@positions_skip_padding", false)) {
        p->skips_padding = 1;
        p->padding_token = c->whole(c, "pad_token_id", 1);
        p->offset = p->padding_token + 1;
        b->plan->context_max -= b->plan->context_max > p->offset ? p->offset : 0;
    }
}

static zoo_status add_positions(zoo_decoder *b, const char *module, uint32_t width, zoo_part *out)
{
    const zoo_config *c = b->config;
    const char *path = zoo_decoder_path(b, module);
    classic_positions *p = b->setup->take(b->setup, sizeof *p);
    if (!path || !p) {
        return out_of_memory(b);
    }
    p->learned = strcmp(module, "sinusoidal") != 0;
    p->offset = c->whole(c, "@position_offset", 0);
    p->width = width;
    p->padding_row = UINT32_MAX;
    skip_padding(b, p);
    if (b->plan->context_max == 0 || b->plan->context_max > UINT32_MAX / 2) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "a model with %u positions", b->plan->context_max);
    }
    p->rows = b->plan->context_max + p->offset;
    *out = (zoo_part){.ops = &classic_positions_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = width,
                      .width_out = width};
    b->plan->positions_max = p->learned ? b->plan->context_max : 0;
    return p->learned ? ZOO_OK : fill_frequencies(b, p);
}

static zoo_status add_first_row(zoo_decoder *b, uint32_t i, uint32_t width, zoo_part *out,
                                uint32_t *n)
{
    const zoo_config *c = b->config;
    char option[40], rows_option[40], if_option[40];
    (void)snprintf(option, sizeof option, "@first_rows[%u]", i);
    (void)snprintf(rows_option, sizeof rows_option, "@first_rows_of[%u]", i);
    (void)snprintf(if_option, sizeof if_option, "@first_rows_if[%u]", i);
    const char *module = c->text(c, option, NULL), *key = c->text(c, rows_option, NULL);
    const char *only = c->text(c, if_option, "");
    classic_first_row *p = b->setup->take(b->setup, sizeof *p);
    const char *path = module ? zoo_decoder_path(b, module) : NULL;
    if (!p || !path) {
        return out_of_memory(b);
    }
    p->width = width;
    p->rows = key ? c->whole(c, key, 0) : 0;
    if (p->rows == 0 || (*only && !c->flag(c, only, false))) {
        return ZOO_OK;
    }
    *out = (zoo_part){.ops = &classic_first_row_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = width,
                      .width_out = width};
    *n += 1;
    return ZOO_OK;
}

zoo_status classic_begin(zoo_decoder *b, uint32_t width, zoo_part *parts, uint32_t *n_parts)
{
    const zoo_config *c = b->config;
    const char *norm = c->text(c, "@embed_norm", NULL);
    const char *positions = c->text(c, "@positions", NULL);
    bool norm_last = c->flag(c, "@embed_norm_last", false);
    bool project_last = c->flag(c, "@embed_dim_last", false);
    uint32_t n = 0, inner = project_last ? width : b->hidden;
    const char *joined = c->text(c, "@joined", NULL);
    if (joined) {
        ZOO_TRY(classic_add_joined(b, joined, &parts[0]));
        n = zoo_decoder_flag(b, "@joined_if", true) ? 1 : 0;
    }
    if (norm && !norm_last) {
        ZOO_TRY(add_norm(b, norm, width, &parts[n++]));
    }
    if (width != b->hidden && !project_last) {
        ZOO_TRY(classic_add_project(b, "project_in", width, b->hidden, &parts[n++]));
    }
    if (positions) {
        ZOO_TRY(add_positions(b, positions, inner, &parts[n++]));
    }
    for (uint32_t i = 0; i < c->count(c, "@first_rows") && n < CLASSIC_PROLOGUE_MAX - 2; i++) {
        ZOO_TRY(add_first_row(b, i, inner, &parts[n], &n));
    }
    if (norm && norm_last) {
        ZOO_TRY(add_norm(b, norm, inner, &parts[n++]));
    }
    if (width != b->hidden && project_last) {
        ZOO_TRY(classic_add_project(b, "project_in", width, b->hidden, &parts[n++]));
    }
    *n_parts = n;
    return ZOO_OK;
}
