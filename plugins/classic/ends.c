/*
 * ends.c: the parts between the embedding and the layers, and between these and the head.
 *
 * Prologue, in this order, each by its option:
 *   embed_norm         module of a norm of the embedded rows
 *   embed_dim          a key: width of the embedding; project_in and project_out where it is not
 *                      hidden_size
 *   positions          module of learned positions, or "sinusoidal"; position_offset
 * Epilogue: project_out, which then carries the last norm. Option last_norm_if: a key that must be
 * true for a last norm; last_norm_off: one that must be false.
 */
#include <math.h>
#include <string.h>

#include "classic.h"

enum { FREQUENCIES_MAX = 1 << 23 };

static zoo_status out_of_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status add_norm(zoo_decoder *b, const char *module, zoo_part *out)
{
    const char *path = zoo_decoder_path(b, module);
    *out = (zoo_part){
        .name = path, .norm = zoo_decoder_norm(b, path), .in_scale = 1.0f, .out_scale = 1.0f};
    return path ? ZOO_OK : out_of_memory(b);
}

static zoo_status add_project(zoo_decoder *b, const char *module, uint32_t cols, uint32_t rows,
                              zoo_part *out)
{
    const char *path = zoo_decoder_path(b, module);
    classic_project *p = b->setup->take(b->setup, sizeof *p);
    if (!path || !p) {
        return out_of_memory(b);
    }
    *p = (classic_project){.rows = rows, .cols = cols};
    *out = (zoo_part){.ops = &classic_project_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = cols,
                      .width_out = rows};
    return ZOO_OK;
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
    float step = (float)(log(10000.0) / (p->n_freq - 1));
    for (uint32_t i = 0; i < p->n_freq; i++) {
        freq[i] = expf((float)i * -step);
    }
    p->freq = freq;
    p->padding_row = c->whole(c, "pad_token_id", UINT32_MAX);
    return ZOO_OK;
}

static zoo_status add_positions(zoo_decoder *b, const char *module, zoo_part *out)
{
    const zoo_config *c = b->config;
    const char *path = zoo_decoder_path(b, module);
    classic_positions *p = b->setup->take(b->setup, sizeof *p);
    if (!path || !p) {
        return out_of_memory(b);
    }
    p->learned = strcmp(module, "sinusoidal") != 0;
    p->offset = c->whole(c, "@position_offset", 0);
    p->width = b->hidden;
    p->padding_row = UINT32_MAX;
    if (b->plan->context_max == 0 || b->plan->context_max > UINT32_MAX / 2) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "a model with %u positions", b->plan->context_max);
    }
    p->rows = b->plan->context_max + p->offset;
    *out = (zoo_part){.ops = &classic_positions_ops,
                      .params = p,
                      .name = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    b->plan->positions_max = p->learned ? b->plan->context_max : 0;
    return p->learned ? ZOO_OK : fill_frequencies(b, p);
}

static void read_last_norm(zoo_decoder *b)
{
    bool wanted = zoo_decoder_flag(b, "@last_norm_if", true);
    bool off = zoo_decoder_flag(b, "@last_norm_off", false);
    if (!wanted || off) {
        b->plan->norm.kind = ZOO_NORM_NONE;
    }
}

static zoo_status add_epilogue(zoo_decoder *b, uint32_t width, zoo_part *part)
{
    ZOO_TRY(add_project(b, "project_out", b->hidden, width, part));
    part->norm = b->plan->norm;
    b->plan->norm.kind = ZOO_NORM_NONE;
    b->plan->epilogue = part;
    b->plan->n_epilogue = 1;
    return ZOO_OK;
}

zoo_status classic_ends(zoo_decoder *b)
{
    enum { PROLOGUE = 3 };
    const zoo_config *c = b->config;
    const char *norm = c->text(c, "@embed_norm", NULL), *dim = c->text(c, "@embed_dim", NULL);
    const char *positions = c->text(c, "@positions", NULL);
    zoo_part *parts = b->setup->take(b->setup, (PROLOGUE + 1) * sizeof *parts);
    uint32_t n = 0, width = dim ? c->whole(c, dim, b->hidden) : b->hidden;
    if (!parts) {
        return out_of_memory(b);
    }
    read_last_norm(b);
    if (norm) {
        ZOO_TRY(add_norm(b, norm, &parts[n++]));
    }
    if (width != b->hidden) {
        b->plan->embed_width = width;
        ZOO_TRY(add_project(b, "project_in", width, b->hidden, &parts[n++]));
        ZOO_TRY(add_epilogue(b, width, &parts[PROLOGUE]));
    }
    if (positions) {
        ZOO_TRY(add_positions(b, positions, &parts[n++]));
    }
    b->plan->prologue = parts;
    b->plan->n_prologue = n;
    return ZOO_OK;
}
