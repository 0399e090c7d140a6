/* row.c: output of a row: tokens, text, stop conditions, forced end of reasoning (row.h). */
#include "generate/row.h"

#include <string.h>

#include "base/mem.h"

static zoo_status take_memory(zoo_row *row, zoo_error *err)
{
    size_t n = (size_t)row->n_prompt + row->n_new_max;
    bool ok;
    row->tokens = zoo_mem_array(n, sizeof *row->tokens);
    ok = row->tokens != NULL;
    if (ok && row->n_top != ZOO_NO_LOGPROBS) {
        row->logprobs =
            zoo_mem_array((size_t)row->n_new_max * (row->n_top + 1u), sizeof *row->logprobs);
        ok = row->logprobs != NULL;
    }
    if (ok && row->n_prompt_top != ZOO_NO_LOGPROBS) {
        row->prompt_logprobs = zoo_mem_array((size_t)row->n_prompt * (row->n_prompt_top + 1u),
                                             sizeof *row->prompt_logprobs);
        ok = row->prompt_logprobs != NULL;
    }
    if (!ok) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a row of %zu tokens", n);
    }
    memcpy(row->tokens, row->prompt, row->n_prompt * sizeof *row->tokens);
    return ZOO_OK;
}

static zoo_status begin_history(zoo_row *row, zoo_error *err)
{
    const zoo_sampling *s = &row->sampling;
    bool counts_prompt = s->repetition != 1.0f;
    if (!counts_prompt && s->presence == 0.0f && s->frequency == 0.0f) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_history_init(&row->history, row->n_prompt + row->n_new_max, err));
    for (uint32_t i = 0; counts_prompt && i < row->n_prompt; i++) {
        zoo_history_note(&row->history, (uint32_t)row->prompt[i], false);
    }
    return ZOO_OK;
}

zoo_status zoo_row_begin(zoo_row *row, const zoo_tokenizer *tokenizer, zoo_error *err)
{
    ZOO_TRY(take_memory(row, err));
    ZOO_TRY(begin_history(row, err));
    if (tokenizer && row->n_new_max > 0) {
        ZOO_TRY(zoo_decoder_open(tokenizer, row->keep_special ? 0u : ZOO_DECODE_SKIP_SPECIAL,
                                 &row->decoder, err));
    }
    return ZOO_OK;
}

/* Finds the first stop string that ends after n_old bytes and truncates row->text there. */
static bool cut_at_stop(zoo_row *row, size_t n_old)
{
    size_t best = SIZE_MAX;
    for (uint32_t i = 0; i < row->n_stops; i++) {
        size_t length = strlen(row->stops[i]);
        size_t at = n_old >= length ? n_old - length + 1 : 0;
        for (; at + length <= row->text.n && at < best; at++) {
            if (memcmp(row->text.data + at, row->stops[i], length) == 0) {
                best = at;
                row->stop_index = i;
            }
        }
    }
    if (best != SIZE_MAX) {
        row->text.n = best + (row->keep_stop ? strlen(row->stops[row->stop_index]) : 0);
    }
    return best != SIZE_MAX;
}

/* Passes on the text that no later stop string can cut. */
static void show(zoo_row *row)
{
    size_t held = 0, n = row->text.n;
    for (uint32_t i = 0; i < row->n_stops && row->finish == ZOO_UNFINISHED; i++) {
        size_t length = strlen(row->stops[i]) - 1;
        held = length > held ? length : held;
    }
    n = n > held ? n - held : 0;
    /* Not inside a UTF-8 character. */
    while (n > row->n_shown && n < row->text.n && (row->text.data[n] & 0xc0) == 0x80) {
        n--;
    }
    if (n > row->n_shown) {
        row->on_text(row->arg, row->text.data + row->n_shown, n - row->n_shown);
        row->n_shown = n;
    }
}

static zoo_finish end_of(const zoo_row *row, const zoo_sampler *sampler, uint32_t token)
{
    zoo_sampling own = row->sampling;
    if (!zoo_sample_ends(sampler, &row->sampling, token)) {
        return ZOO_UNFINISHED;
    }
    own.n_stop_ids = 0;
    return zoo_sample_ends(sampler, &own, token) ? ZOO_FINISH_END : ZOO_FINISH_STOP_ID;
}

static zoo_status add_text(zoo_row *row, uint32_t token, zoo_error *err)
{
    size_t n_old = row->text.n;
    if (!row->decoder) {
        return ZOO_OK;
    }
    bool is_hidden = row->hidden && (row->hidden[token / 32] >> (token % 32) & 1u);
    if (!is_hidden && (row->finish == ZOO_UNFINISHED || row->keep_stop)) {
        ZOO_TRY(zoo_decoder_feed(row->decoder, token, &row->text, err));
    }
    if (row->n_out == row->n_new_max || row->finish != ZOO_UNFINISHED) {
        ZOO_TRY(zoo_decoder_flush(row->decoder, &row->text, err));
    }
    if (row->text.n > n_old && row->n_out > row->sampling.min_tokens && cut_at_stop(row, n_old)) {
        row->finish = ZOO_FINISH_STOP_TEXT;
    }
    return ZOO_OK;
}

/* Detects the begin and end mark of reasoning in the text. */
static void follow_thinking(zoo_row *row, size_t n_old)
{
    size_t n_end = strlen(row->think_end), n_begin = strlen(row->think_begin);
    size_t from = n_old > n_end + n_begin ? n_old - n_end - n_begin : 0;
    const char *text = row->text.data ? row->text.data : "";
    const char *begin = row->is_thinking ? NULL : strstr(text, row->think_begin);
    row->is_thinking |= begin && strspn(text, " \t\r\n") == (size_t)(begin - text);
    if (row->is_thinking && strstr(text + from, row->think_end)) {
        row->close = NULL; /* reasoning has ended by itself */
    }
}

static bool must_close(const zoo_row *row)
{
    return row->close && (row->n_forced > 0 || (row->is_thinking && row->n_out >= row->think_max));
}

int32_t zoo_row_forced(zoo_row *row)
{
    if (!must_close(row) || row->n_forced == row->n_close) {
        return -1;
    }
    return row->close[row->n_forced++];
}

void zoo_row_draft_forced(const zoo_row *row, zoo_drafts *drafts)
{
    for (uint32_t i = row->n_forced; must_close(row) && i < row->n_close; i++) {
        (void)zoo_drafts_add(drafts, row->close[i], ZOO_DRAFT_FORCED);
    }
}

zoo_status zoo_row_accept(zoo_row *row, const zoo_sampler *sampler, uint32_t token, zoo_error *err)
{
    row->tokens[row->n_prompt + row->n_out++] = (int32_t)token;
    if (row->history.n_index > 0) {
        zoo_history_note(&row->history, token, true);
    }
    row->finish = end_of(row, sampler, token);
    if (row->filter.mask && row->finish == ZOO_UNFINISHED) {
        ZOO_TRY(row->filter.accept(row->filter.state, token, err));
    }
    size_t n_old = row->text.n;
    ZOO_TRY(add_text(row, token, err));
    if (row->close) {
        follow_thinking(row, n_old);
    }
    if (row->finish == ZOO_UNFINISHED && row->n_out == row->n_new_max) {
        bool whole = row->filter.is_whole && row->filter.is_whole(row->filter.state);
        row->finish = whole ? ZOO_FINISH_END : ZOO_FINISH_LENGTH;
    }
    if (row->on_text) {
        show(row);
    }
    return ZOO_OK;
}

void zoo_row_settle(zoo_row *row)
{
    zoo_decoder_close(row->decoder);
    zoo_history_free(&row->history);
    zoo_drafts_free(row->drafts);
    zoo_mem_free(row->chain.nodes);
    if (row->filter.end) {
        row->filter.end(row->filter.state);
    }
    row->filter = (zoo_filter){NULL, NULL, NULL, NULL, NULL, NULL};
    row->decoder = NULL;
    row->drafts = NULL;
    row->pool_tail = (zoo_pool_tail){0, 0};
    row->chain = (zoo_prefix_chain){NULL, 0, 0};
}

void zoo_row_free(zoo_row *row)
{
    zoo_row_settle(row);
    zoo_mem_free(row->tokens);
    zoo_mem_free(row->logprobs);
    zoo_mem_free(row->prompt_logprobs);
    zoo_text_free(&row->text);
    row->tokens = NULL;
    row->logprobs = row->prompt_logprobs = NULL;
}
