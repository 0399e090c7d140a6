/* draft_model.c: sequences of the draft model and its steps (draft_model.h). */
#include "generate/draft_model.h"

#include <string.h>

#include "base/mem.h"
#include "generate/draft_private.h"

zoo_status zoo_draft_model_check(const zoo_engine *engine, const char *name, zoo_error *err)
{
    const zoo_plan *plan = zoo_engine_plan(engine);
    if (zoo_engine_has_states(engine) || plan->reread_after || plan->reread_always) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s cannot be a draft model: it has %s that cannot be rewound", name,
                        zoo_engine_has_states(engine) ? "states" : "positions");
    }
    if (zoo_engine_limits(engine)->rows_max <= ZOO_DRAFTS_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "a draft model needs --max-rows above %d",
                        ZOO_DRAFTS_MAX);
    }
    return ZOO_OK;
}

static bool take_memory(zoo_draft_model *m, const zoo_limits *limits)
{
    uint32_t n = limits->seqs_max;
    m->items = zoo_mem_array(n, sizeof *m->items);
    m->rows = zoo_mem_array(n, sizeof *m->rows);
    m->last = zoo_mem_array(n, sizeof *m->last);
    if (m->main) {
        m->given = zoo_mem_array(n, m->width * sizeof *m->given);
        m->queue = zoo_mem_array(limits->rows_max, m->width * sizeof *m->queue);
        m->reading = zoo_mem_array(n, sizeof *m->reading);
    }
    bool all = m->items && m->rows && m->last;
    return all && (!m->main || (m->given && m->queue && m->reading));
}

zoo_status zoo_draft_model_new(zoo_engine *engine, zoo_engine *main, zoo_draft_model **out,
                               zoo_error *err)
{
    const zoo_plan *plan = zoo_engine_plan(engine);
    zoo_draft_model *m = zoo_mem_array(1, sizeof *m);
    *out = NULL;
    if (m) {
        m->engine = engine;
        m->width = plan->given_width;
        m->normed = !plan->given_raw;
        m->main = m->width ? main : NULL;
    }
    if (!m || !take_memory(m, zoo_engine_limits(engine))) {
        zoo_draft_model_free(m);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a draft model");
    }
    zoo_status status =
        zoo_sampler_new(zoo_engine_kernels(engine), plan->vocab_size, NULL, 0, &m->sampler, err);
    if (status != ZOO_OK) {
        zoo_draft_model_free(m);
        return status;
    }
    *out = m;
    return ZOO_OK;
}

void zoo_draft_model_free(zoo_draft_model *m)
{
    if (m) {
        zoo_sampler_free(m->sampler);
        zoo_mem_free(m->items);
        zoo_mem_free(m->rows);
        zoo_mem_free(m->last);
        zoo_mem_free(m->given);
        zoo_mem_free(m->queue);
        zoo_mem_free(m->reading);
        zoo_mem_free(m);
    }
}

void zoo_draft_model_close_row(zoo_draft_model *m, zoo_row *row)
{
    if (m && row->draft_seq.is_open) {
        zoo_engine_seq_close(m->engine, row->draft_seq.seq);
    }
    zoo_mem_free(row->draft_seq.given);
    row->draft_seq = (zoo_draft_seq){.is_open = false};
}

/* Rewinds to the last accepted draft; the row's last token is always run again, for its logits. */
static void rewind_rejected(zoo_draft_model *m, zoo_row *row)
{
    zoo_draft_seq *a = &row->draft_seq;
    uint32_t n = 0;
    while (n < a->n && a->n_read + n + 1 < zoo_draft_known(row) &&
           row->tokens[a->n_read + n] == a->tokens[n]) {
        n++;
    }
    a->n_read += n;
    if (n < a->n) {
        (void)zoo_engine_seq_rewind(m->engine, a->seq, a->n_read);
    }
    a->n = 0;
}

/* Whether all tokens to run are in the draft model's vocabulary. */
static bool is_readable(const zoo_draft_model *m, const zoo_row *row)
{
    uint32_t n_vocab = zoo_engine_plan(m->engine)->vocab_size;
    for (uint32_t i = row->draft_seq.n_read; i < zoo_draft_known(row); i++) {
        if (row->tokens[i] < 0 || (uint32_t)row->tokens[i] >= n_vocab) {
            return false;
        }
    }
    return true;
}

/* Makes the items of the first step: the rows' tokens that the model has not run, as many as
 * fit. */
static void catch_up(zoo_draft_model *m, zoo_row *const *rows, uint32_t n_rows)
{
    uint32_t left = zoo_engine_limits(m->engine)->rows_max;
    m->n_items = 0;
    for (uint32_t i = 0; i < n_rows && left > 0; i++) {
        zoo_row *row = rows[i];
        if (!zoo_draft_open_row(m, row)) {
            continue;
        }
        rewind_rejected(m, row);
        if (!is_readable(m, row)) {
            continue;
        }
        uint32_t n = zoo_draft_known(row) - row->draft_seq.n_read;
        bool is_whole = n <= left;
        n = is_whole ? n : left;
        left -= n;
        m->rows[m->n_items] = row;
        m->items[m->n_items++] = (zoo_item){.seq = row->draft_seq.seq,
                                            .n = n,
                                            .tokens = row->tokens + row->draft_seq.n_read,
                                            .want = is_whole ? ZOO_WANT_LAST : ZOO_WANT_NONE};
        row->draft_seq.n_read += n;
    }
}

/* Samples the row's next draft. */
static zoo_status draw(zoo_draft_model *m, const zoo_row *row, float *logits, uint32_t *token,
                       zoo_error *err)
{
    const zoo_sampling *s = &row->sampling;
    const zoo_sampling own = {.temperature = s->temperature,
                              .top_p = s->top_p,
                              .min_p = s->min_p,
                              .top_k = s->top_k,
                              .repetition = 1.0f,
                              .ignore_eos = true,
                              .seed = s->seed};
    const zoo_draw draw = {.sampling = &own,
                           .logits = logits,
                           .output = row->tokens + row->n_prompt,
                           .n_output = row->n_out + row->drafts->n};
    return zoo_sample(m->sampler, &draw, token, err);
}

/* Class of draft number n of the model, from 0. */
static uint32_t class_at(uint32_t n)
{
    return ZOO_DRAFT_MODEL + (n < ZOO_DRAFT_DEPTHS ? n : ZOO_DRAFT_DEPTHS - 1);
}

/* Samples from the step that was run, and makes the items of the next one. */
static zoo_status sample_drafts(zoo_draft_model *m, uint32_t n_max, uint32_t n_vocab,
                                zoo_error *err)
{
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < m->n_items; i++) {
        zoo_row *row = m->rows[i];
        at += m->items[i].n;
        uint32_t token, room = row->n_new_max - row->n_out - 1;
        if (!m->items[i].logits || room == 0) {
            continue;
        }
        ZOO_TRY(draw(m, row, m->items[i].logits, &token, err));
        if (token >= n_vocab ||
            !zoo_drafts_add(row->drafts, (int32_t)token, class_at(row->drafts->n)) ||
            row->drafts->n >= n_max || row->drafts->n >= room) {
            continue;
        }
        row->draft_seq.tokens[row->draft_seq.n++] = (int32_t)token;
        m->rows[n] = row;
        m->last[n] = (int32_t)token;
        m->items[n] = (zoo_item){.seq = row->draft_seq.seq, .n = 1, .want = ZOO_WANT_LAST};
        m->items[n].tokens = &m->last[n];
        m->items[n].given = m->main ? zoo_draft_layers_give(m, at - 1, n) : NULL;
        n++;
    }
    m->n_items = n;
    return ZOO_OK;
}

zoo_status zoo_draft_model_propose(zoo_draft_model *m, zoo_row *const *rows, uint32_t n_rows,
                                   uint32_t n, zoo_error *err)
{
    uint32_t n_vocab = zoo_engine_plan(m->engine)->vocab_size;
    if (m->main) {
        zoo_draft_layers_catch_up(m, rows, n_rows);
    } else {
        catch_up(m, rows, n_rows);
    }
    while (m->n_items > 0) {
        ZOO_TRY(zoo_engine_step(m->engine, m->items, m->n_items, err));
        ZOO_TRY(sample_drafts(m, n, n_vocab, err));
    }
    return ZOO_OK;
}

bool zoo_draft_model_is_behind(const zoo_draft_model *m, const zoo_row *row)
{
    const zoo_draft_seq *a = &row->draft_seq;
    return m->main ? a->n_pending > ZOO_DRAFTS_MAX
                   : a->n_read + a->n + ZOO_DRAFTS_MAX <= row->n_prompt;
}

zoo_status zoo_draft_layers_open(const char *folder, const zoo_engine_options *options,
                                 zoo_engine **out, zoo_error *err)
{
    zoo_engine_options o = *options;
    o.predicts = true;
    o.quiet = true; /* the model itself says the same */
    ZOO_TRY(zoo_engine_open(folder, &o, out, err));
    zoo_status status = zoo_draft_model_check(*out, folder, err);
    if (status != ZOO_OK) {
        zoo_engine_close(*out);
        *out = NULL;
    }
    return status;
}
