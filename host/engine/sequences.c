/*
 * sequences.c: sequences of an engine and the span of a step.
 *
 * A row's n_total is the length of the reference's forward call that it belongs to: the whole
 * prompt while that is read (in whatever chunks), the current length after it. A sequence that was
 * restarted is one forward call of its new length.
 */
#include <string.h>

#include "engine/engine_private.h"
#include "engine/pipeline.h"

static zoo_status open_slot(zoo_engine *engine, uint32_t slot, uint32_t n_prompt, uint32_t length,
                            uint32_t length_max, uint32_t *seq)
{
    engine->states[slot] = (zoo_seq_state){1, length, n_prompt, n_prompt, length_max, 0};
    *seq = slot;
    return ZOO_OK;
}

static zoo_status check_length(const zoo_engine *engine, uint32_t length_max, zoo_error *err)
{
    if (length_max > engine->model.limits.context_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%u positions are asked for, the context is %u",
                        length_max, engine->model.limits.context_max);
    }
    return ZOO_OK;
}

zoo_status zoo_engine_seq_open(zoo_engine *engine, uint32_t n_prompt, uint32_t length_max,
                               uint32_t *seq, zoo_error *err)
{
    uint32_t slot;
    ZOO_TRY(check_length(engine, length_max, err));
    ZOO_TRY(zoo_cache_seq_open(engine->model.cache, length_max, &slot, err));
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_OPEN, length_max, 0, 0, slot});
    return open_slot(engine, slot, n_prompt, 0, length_max, seq);
}

zoo_status zoo_engine_seq_open_shared(zoo_engine *engine, uint32_t prefix, uint32_t length,
                                      uint32_t n_prompt, uint32_t length_max, uint32_t *seq,
                                      zoo_error *err)
{
    uint32_t slot;
    ZOO_TRY(check_length(engine, length_max, err));
    ZOO_TRY(zoo_cache_seq_open_at(engine->model.cache, length_max, prefix, length, &slot, err));
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_OPEN_AT, length_max, prefix, length, slot});
    return open_slot(engine, slot, n_prompt, length, length_max, seq);
}

void zoo_engine_seq_close(zoo_engine *engine, uint32_t seq)
{
    zoo_cache_seq_close(engine->model.cache, seq);
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_CLOSE, seq, 0, 0, 0});
    memset(&engine->states[seq], 0, sizeof engine->states[seq]);
}

zoo_status zoo_engine_prefix_keep(zoo_engine *engine, uint32_t seq, uint32_t length,
                                  uint32_t *prefix, zoo_error *err)
{
    if (engine->states[seq].length != length) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "a sequence of %u positions cannot be kept as a prefix of %u",
                        engine->states[seq].length, length);
    }
    ZOO_TRY(zoo_cache_prefix_keep(engine->model.cache, seq, length, prefix, err));
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_KEEP, seq, length, 0, *prefix});
    return ZOO_OK;
}

void zoo_engine_prefix_drop(zoo_engine *engine, uint32_t prefix)
{
    zoo_cache_prefix_drop(engine->model.cache, prefix);
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_DROP, prefix, 0, 0, 0});
}

zoo_status zoo_engine_saver(zoo_engine *engine, zoo_cache_saver **out, zoo_error *err)
{
    return zoo_cache_saver_new(engine->model.cache, out, err);
}

uint64_t zoo_engine_cache_shape(const zoo_engine *engine)
{
    return zoo_cache_pool_shape(engine->model.cache);
}

uint32_t zoo_engine_prefix_length(const zoo_engine *engine, uint32_t prefix)
{
    return zoo_cache_prefix_length(engine->model.cache, prefix);
}

uint32_t zoo_engine_prefix_grain(const zoo_engine *engine)
{
    return zoo_cache_pool_grain(engine->model.cache);
}

double zoo_engine_cache_fill(const zoo_engine *engine)
{
    return zoo_cache_pool_fill(engine->model.cache);
}

bool zoo_engine_must_reread(const zoo_engine *engine, uint32_t length_before, uint32_t length_after)
{
    const zoo_plan *plan = &engine->model.plan;
    uint32_t limit = plan->reread_after;
    return limit && length_after > limit && length_before &&
           (plan->reread_always || length_before <= limit);
}

void zoo_engine_seq_restart(zoo_engine *engine, uint32_t seq, uint32_t n_total)
{
    /* Where this fails the next step is refused: it starts at 0, the cache stands elsewhere. */
    bool ok = zoo_cache_seq_restart(engine->model.cache, seq, NULL) == ZOO_OK;
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_RESTART, seq, 0, 0, ok});
    engine->states[seq].length = 0;
    engine->states[seq].n_whole = n_total;
}

bool zoo_engine_has_states(const zoo_engine *engine)
{
    return zoo_cache_pool_cost(engine->model.cache, 0).state_bytes > 0;
}

bool zoo_engine_seq_mark(zoo_engine *engine, uint32_t seq)
{
    bool ok = zoo_cache_seq_mark(engine->model.cache, seq);
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_MARK, seq, 0, 0, ok});
    return ok;
}

uint32_t zoo_engine_seq_rewind(zoo_engine *engine, uint32_t seq, uint32_t length)
{
    uint32_t stands = zoo_cache_seq_rewind(engine->model.cache, seq, length);
    zoo_pipeline_note(engine, (zoo_seq_op){ZOO_SEQ_REWIND, seq, length, 0, stands});
    engine->states[seq].length = stands;
    return stands;
}

uint32_t zoo_engine_logits_max(const zoo_engine *engine)
{
    return engine->model.limits.rows_max;
}

static bool is_embedded(const zoo_model *model, uint32_t token)
{
    uint32_t limit = model->plan.tokens_max ? model->plan.tokens_max : UINT32_MAX;
    return token < limit &&
           zoo_placeholders_row(&model->placeholders, token) < model->plan.vocab_size;
}

int32_t zoo_engine_some_token(const zoo_engine *engine, uint32_t n)
{
    uint32_t n_vocab = engine->model.plan.vocab_size, token = n % n_vocab;
    for (uint32_t i = 0; i < n_vocab && !is_embedded(&engine->model, token); i++) {
        token = (token + 1) % n_vocab;
    }
    return (int32_t)token;
}

static zoo_status check_tokens(const zoo_model *model, const zoo_item *item, zoo_error *err)
{
    uint32_t n_vocab = model->plan.vocab_size;
    for (uint32_t i = 0; i < item->n; i++) {
        uint32_t token = (uint32_t)item->tokens[i];
        if (item->tokens[i] < 0 || token >= n_vocab) {
            return zoo_fail(err, ZOO_E_USAGE, "token %d is outside the vocabulary of %u",
                            item->tokens[i], n_vocab);
        }
        if (model->plan.tokens_max && token >= model->plan.tokens_max) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "token %u stands for a part of an image or of sound, and the "
                            "checkpoint lacks the table that embeds it",
                            token);
        }
        if (zoo_placeholders_row(&model->placeholders, token) >= n_vocab) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "token %u stands for an image, a video or sound, and the config's "
                            "pad_token_id, which has its place in a text, is no token",
                            token);
        }
    }
    return ZOO_OK;
}

static zoo_status check_item(const zoo_engine *engine, const zoo_item *item, uint32_t n_rows,
                             zoo_error *err)
{
    const zoo_limits *l = &engine->model.limits;
    if (item->seq >= l->seqs_max || !engine->states[item->seq].open) {
        return zoo_fail(err, ZOO_E_USAGE, "sequence %u is not open", item->seq);
    }
    const zoo_seq_state *s = &engine->states[item->seq];
    if (s->step == engine->n_steps) {
        return zoo_fail(err, ZOO_E_USAGE, "sequence %u stands twice in one step", item->seq);
    }
    if (item->n == 0 || item->n > l->rows_max - n_rows || item->n > s->length_max - s->length) {
        return zoo_fail(err, ZOO_E_LIMIT,
                        "%u rows at position %u do not fit the step or the sequence", item->n,
                        s->length);
    }
    if (item->want == ZOO_WANT_TAIL && (item->n_tail == 0 || item->n_tail > item->n)) {
        return zoo_fail(err, ZOO_E_USAGE, "logits of the last %u of %u rows are asked for",
                        item->n_tail, item->n);
    }
    return check_tokens(&engine->model, item, err);
}

static void fill_rows(const zoo_engine *engine, zoo_micro_batch *f, const zoo_item *item,
                      uint32_t index, uint32_t row)
{
    const zoo_seq_state *s = &engine->states[item->seq];
    uint32_t after = s->length + item->n;
    f->seqs[index] = (zoo_seq){.row = row,
                               .n = item->n,
                               .pos = s->length,
                               .n_prompt = s->n_prompt,
                               .n_total = after <= s->n_whole ? s->n_whole : after,
                               .slot = item->seq};
    size_t n_given = engine->model.plan.given_width;
    if (n_given && item->given) {
        memcpy(f->given + row * n_given, item->given, item->n * n_given * sizeof *f->given);
    } else if (n_given) {
        memset(f->given + row * n_given, 0, item->n * n_given * sizeof *f->given);
    }
    for (uint32_t i = 0; i < item->n; i++) {
        f->pos[row + i] = s->length + i;
        f->seq_of[row + i] = index;
        f->tokens[row + i] =
            (int32_t)zoo_placeholders_row(&engine->model.placeholders, (uint32_t)item->tokens[i]);
    }
}

static zoo_status fill_span(zoo_engine *engine, zoo_micro_batch *f, const zoo_item *items,
                            uint32_t n_items, zoo_error *err)
{
    uint32_t row = 0;
    if (n_items > engine->model.limits.seqs_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%u sequences in one step, at most %u fit", n_items,
                        engine->model.limits.seqs_max);
    }
    for (uint32_t i = 0; i < n_items; i++) {
        ZOO_TRY(check_item(engine, &items[i], row, err));
        zoo_seq_state *s = &engine->states[items[i].seq];
        s->step = engine->n_steps;
        ZOO_TRY(
            zoo_cache_seq_extend(engine->model.cache, items[i].seq, s->length, items[i].n, err));
        fill_rows(engine, f, &items[i], i, row);
        row += items[i].n;
    }
    f->span = (zoo_span){.size = sizeof f->span,
                         .n_rows = row,
                         .n_seqs = n_items,
                         .seqs = f->seqs,
                         .tokens = f->tokens,
                         .pos = f->pos,
                         .seq_of = f->seq_of};
    return ZOO_OK;
}

static void choose_rows(zoo_micro_batch *f, const zoo_item *items, uint32_t n_items)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_items; i++) {
        const zoo_seq *seq = &f->seqs[i];
        for (uint32_t r = seq->n - zoo_item_n_wanted(&items[i]); r < seq->n; r++) {
            f->wanted[n++] = seq->row + r;
        }
    }
    f->n_wanted = n;
}

uint32_t zoo_engine_n_micro_batches(const zoo_engine *engine)
{
    return engine->n_micro_batches;
}

zoo_status zoo_engine_step_begin(zoo_engine *engine, uint32_t micro_batch, zoo_item *items,
                                 uint32_t n_items, zoo_error *err)
{
    zoo_micro_batch *f = &engine->micro_batches[micro_batch];
    engine->n_steps++;
    ZOO_TRY(fill_span(engine, f, items, n_items, err));
    choose_rows(f, items, n_items);
    if (engine->pipeline) {
        ZOO_TRY(zoo_pipeline_begin(engine, f, err));
    } else {
        engine->step.given = f->given;
        ZOO_TRY(zoo_step_run(&engine->step, &f->span, f->wanted, f->n_wanted, err));
    }
    for (uint32_t i = 0; i < n_items; i++) {
        engine->states[items[i].seq].length += items[i].n;
    }
    return ZOO_OK;
}

zoo_status zoo_engine_step_end(zoo_engine *engine, uint32_t micro_batch, zoo_item *items,
                               uint32_t n_items, zoo_error *err)
{
    if (engine->pipeline) {
        ZOO_TRY(zoo_pipeline_end(engine, &engine->micro_batches[micro_batch], err));
    }
    float *logits = engine->step.logits;
    for (uint32_t i = 0; i < n_items; i++) {
        uint32_t n = zoo_item_n_wanted(&items[i]);
        items[i].logits = n ? logits : NULL;
        logits = n ? logits + (size_t)n * engine->model.head.rows : logits;
    }
    return ZOO_OK;
}

zoo_status zoo_engine_step(zoo_engine *engine, zoo_item *items, uint32_t n_items, zoo_error *err)
{
    ZOO_TRY(zoo_engine_step_begin(engine, 0, items, n_items, err));
    return zoo_engine_step_end(engine, 0, items, n_items, err);
}
