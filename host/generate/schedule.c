/* schedule.c: steps over running rows; admission is schedule_admit.c (schedule.h). */
#include "generate/schedule.h"

#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "generate/schedule_private.h"

static zoo_status open_workspace(zoo_schedule *s, const zoo_generation *generation,
                                 zoo_sample_workspace *workspace, zoo_error *err)
{
    uint32_t n_vocab = s->plan->vocab_size;
    workspace->mask = zoo_mem_array(s->n_mask, sizeof *workspace->mask);
    workspace->raw = zoo_mem_array(n_vocab, sizeof *workspace->raw);
    if (!workspace->mask || !workspace->raw) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the scheduler");
    }
    return zoo_sampler_new(zoo_engine_kernels(s->engine), n_vocab, generation->eos,
                           generation->n_eos, &workspace->sampler, err);
}

static bool take_micro_batches(zoo_schedule *s)
{
    bool all = true;
    for (uint32_t i = 0; i < s->n_micro_batches; i++) {
        zoo_scheduled_step *f = &s->micro_batches[i];
        f->items = zoo_mem_array(s->limits->seqs_max, sizeof *f->items);
        f->step_rows = zoo_mem_array(s->limits->seqs_max, sizeof *f->step_rows);
        all = all && f->items && f->step_rows;
    }
    return all;
}

static zoo_status take_memory(zoo_schedule *s, const zoo_generation *generation, zoo_error *err)
{
    s->running = zoo_mem_array(s->limits->seqs_max, sizeof *s->running);
    s->drafting = zoo_mem_array(s->limits->seqs_max, sizeof *s->drafting);
    s->micro_batches = zoo_mem_array(s->n_micro_batches, sizeof *s->micro_batches);
    s->workspaces = zoo_mem_array(s->limits->n_threads, sizeof *s->workspaces);
    if (!s->running || !s->drafting || !s->micro_batches || !take_micro_batches(s) ||
        !s->workspaces) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the scheduler");
    }
    for (uint32_t i = 0; i < s->limits->n_threads; i++) {
        ZOO_TRY(open_workspace(s, generation, &s->workspaces[i], err));
    }
    return zoo_prefixes_init(&s->prefixes, err);
}

/* Words of a mask over the model's and the tokenizer's ids. */
static size_t mask_words(const zoo_schedule *s)
{
    uint32_t n = s->tokenizer ? zoo_tokenizer_size(s->tokenizer) : 0;
    return (size_t)(n > s->plan->vocab_size ? n : s->plan->vocab_size) / 32 + 1;
}

zoo_status zoo_schedule_new(zoo_engine *engine, const zoo_tokenizer *tokenizer,
                            const zoo_generation *generation, zoo_schedule **out, zoo_error *err)
{
    zoo_schedule *s = zoo_mem_array(1, sizeof *s);
    zoo_status status;
    *out = NULL;
    if (!s) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the scheduler");
    }
    s->engine = engine;
    s->tokenizer = tokenizer;
    s->plan = zoo_engine_plan(engine);
    s->limits = zoo_engine_limits(engine);
    s->logits_max = zoo_engine_logits_max(engine);
    s->n_mask = mask_words(s);
    s->has_states = zoo_engine_has_states(engine);
    s->n_micro_batches = zoo_engine_n_micro_batches(engine);
    status = take_memory(s, generation, err);
    if (status != ZOO_OK) {
        zoo_schedule_free(s);
        return status;
    }
    *out = s;
    return ZOO_OK;
}

/* Ends the steps that have begun and discards their results. */
static void finish_steps(zoo_schedule *s)
{
    zoo_error ignored;
    bool ok = true;
    for (; s->n_in_flight > 0; s->n_in_flight--, s->oldest = (s->oldest + 1) % s->n_micro_batches) {
        zoo_scheduled_step *f = &s->micro_batches[s->oldest];
        ok = ok &&
             zoo_engine_step_end(s->engine, s->oldest, f->items, f->n_items, &ignored) == ZOO_OK;
    }
}

void zoo_schedule_free(zoo_schedule *s)
{
    if (!s) {
        return;
    }
    finish_steps(s);
    for (uint32_t i = 0; i < s->n_running; i++) {
        zoo_engine_seq_close(s->engine, s->running[i]->seq);
        zoo_draft_model_close_row(s->draft_model, s->running[i]);
        zoo_row_settle(s->running[i]);
    }
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        zoo_row_settle(s->waiting[i]);
    }
    while (zoo_schedule_drop_oldest(s)) {
    }
    zoo_kept_free(&s->kept);
    while (s->prefixes.oldest) {
        zoo_engine_prefix_drop(s->engine, s->prefixes.oldest->kept);
        zoo_prefixes_set_kept(&s->prefixes, s->prefixes.oldest, ZOO_NONE);
    }
    zoo_prefixes_free(&s->prefixes);
    for (uint32_t i = 0; s->workspaces && i < s->limits->n_threads; i++) {
        zoo_sampler_free(s->workspaces[i].sampler);
        zoo_mem_free(s->workspaces[i].mask);
        zoo_mem_free(s->workspaces[i].raw);
    }
    zoo_draft_pool_free(s->pool);
    zoo_draft_model_free(s->draft_model);
    zoo_mem_free(s->workspaces);
    zoo_mem_free(s->running);
    zoo_mem_free(s->drafting);
    for (uint32_t i = 0; s->micro_batches && i < s->n_micro_batches; i++) {
        zoo_mem_free(s->micro_batches[i].items);
        zoo_mem_free(s->micro_batches[i].step_rows);
    }
    zoo_mem_free(s->micro_batches);
    zoo_mem_free(s->waiting);
    zoo_mem_free(s);
}

bool zoo_schedule_is_idle(const zoo_schedule *s)
{
    return s->n_waiting == 0 && s->n_running == 0;
}

zoo_row *zoo_schedule_pop(zoo_schedule *s)
{
    zoo_row *row = s->done_first;
    if (row) {
        s->done_first = row->next;
        s->done_last = s->done_first ? s->done_last : NULL;
        row->next = NULL;
    }
    return row;
}

zoo_schedule_stats zoo_schedule_stats_get(const zoo_schedule *s)
{
    zoo_schedule_stats stats = s->stats;
    stats.n_running = s->n_running;
    stats.n_waiting = s->n_waiting;
    stats.n_kept = s->kept.n;
    stats.cache_fill = zoo_engine_cache_fill(s->engine);
    return stats;
}

/* ---- building a step ---- */

static uint32_t known(const zoo_row *row)
{
    return row->n_prompt + row->n_out;
}

/* Restarts a sequence whose positions have another encoding from this length on. */
static void reread_if_needed(zoo_schedule *s, zoo_row *row)
{
    if (row->pos >= row->n_prompt && row->pos + 1 == known(row) &&
        zoo_engine_must_reread(s->engine, row->pos, row->pos + 1)) {
        zoo_engine_seq_restart(s->engine, row->seq, row->pos + 1);
        s->stats.n_reread += row->pos;
        row->pos = 0;
    }
}

/* Where the row's next chunk must end: the next position at which its prefix is kept, or its
 * end. */
static uint32_t chunk_end(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t end = known(row), next = zoo_schedule_next_kept(s, row);
    for (uint32_t i = 0; i < row->chain.n; i++) {
        if (row->chain.nodes[i]->length > row->pos) {
            end = row->chain.nodes[i]->length;
            break;
        }
    }
    return next < end ? next : end;
}

/* Adds up to rows_left tokens of a row; a row that scores its prompt needs logits for each. */
static void add_item(zoo_schedule *s, zoo_row *row, uint32_t *rows_left, uint32_t *logits_left)
{
    zoo_item *item = &s->items[s->n_items];
    bool scores = zoo_row_scores(row);
    uint32_t n = chunk_end(s, row) - row->pos;
    uint32_t most = scores && *logits_left < *rows_left ? *logits_left : *rows_left;
    n = n < most ? n : most;
    if (n == 0 || *logits_left == 0) {
        return;
    }
    *item = (zoo_item){.seq = row->seq, .n = n, .tokens = row->tokens + row->pos};
    item->want = scores ? ZOO_WANT_ALL : row->pos + n == known(row) ? ZOO_WANT_LAST : ZOO_WANT_NONE;
    *rows_left -= n;
    *logits_left -= item->want == ZOO_WANT_ALL ? n : item->want == ZOO_WANT_LAST;
    s->step_rows[s->n_items++] = (zoo_step_row){.row = row, .n_out = row->n_out};
}

/* Whether the row is generating; tokens before rejected drafts may have to be run again. */
static bool generates(const zoo_row *row)
{
    return row->n_out > 0 && known(row) - row->pos <= 1 + ZOO_DRAFTS_MAX;
}

/* Running rows are divided evenly among the micro-batches. */
static uint32_t items_max(const zoo_schedule *s)
{
    return (s->n_running + s->n_micro_batches - 1) / s->n_micro_batches;
}

static void add_items(zoo_schedule *s, bool of_answers, uint32_t *rows_left, uint32_t *logits_left)
{
    uint32_t n_max = items_max(s);
    uint32_t rows_max = s->limits->rows_max;
    uint32_t start = s->n_running > rows_max ? (uint32_t)(s->stats.n_steps % s->n_running) : 0;
    for (uint32_t i = 0; i<s->n_running && * rows_left> 0 && s->n_items < n_max; i++) {
        zoo_row *row = s->running[(start + i) % s->n_running];
        if (!row->is_in_flight && generates(row) == of_answers) {
            add_item(s, row, rows_left, logits_left);
        }
    }
}

/* Rows of prompts that will join the generating rows in this step, at most `most`. */
static uint32_t count_prompt_rows(const zoo_schedule *s, uint32_t most)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->n_running; i++) {
        bool waits = generates(s->running[i]) || s->running[i]->is_in_flight;
        n += waits ? 0 : chunk_end(s, s->running[i]) - s->running[i]->pos;
    }
    return n < most ? (uint32_t)n : most;
}

/* Generating rows come first; if not all of them fit, each step begins with another one. */
static zoo_status build(zoo_schedule *s, zoo_error *err)
{
    uint32_t rows_left = s->limits->rows_max, logits_left = s->logits_max;
    s->n_items = 0;
    for (uint32_t i = 0; i < s->n_running; i++) {
        if (!s->running[i]->is_in_flight) {
            reread_if_needed(s, s->running[i]);
        }
    }
    add_items(s, true, &rows_left, &logits_left);
    if (s->speculation) {
        uint32_t most = rows_left < logits_left ? rows_left : logits_left;
        uint32_t n;
        ZOO_TRY(zoo_schedule_draft(s, count_prompt_rows(s, rows_left), most, &n, err));
        rows_left -= n;
        logits_left -= n;
    }
    s->n_answers = s->n_items;
    add_items(s, false, &rows_left, &logits_left);
    return ZOO_OK;
}

/* ---- results of a step ---- */

/* Log-probabilities of the prompt tokens that follow the positions just run. */
static zoo_status score(const zoo_schedule *s, const zoo_sample_workspace *workspace, zoo_row *row,
                        const zoo_item *item)
{
    size_t width = row->n_prompt_top + 1u;
    for (uint32_t i = 0; i < item->n && row->pos + i + 1 < row->n_prompt; i++) {
        uint32_t at = row->pos + i;
        ZOO_TRY(zoo_logprobs(workspace->sampler, item->logits + (size_t)i * s->plan->vocab_size,
                             (uint32_t)row->tokens[at + 1], row->n_prompt_top,
                             row->prompt_logprobs + at * width, &row->error));
    }
    return ZOO_OK;
}

/* The next token of a row, from the logits of the one before. */
static zoo_status choose(const zoo_schedule *s, const zoo_sample_workspace *workspace, zoo_row *row,
                         float *logits)
{
    size_t n_vocab = s->plan->vocab_size;
    bool notes = row->n_top != ZOO_NO_LOGPROBS;
    zoo_draw draw = {.sampling = &row->sampling, .logits = logits, .n_output = row->n_out};
    uint32_t token = 0;
    draw.output = row->tokens + row->n_prompt;
    draw.history = row->history.n_index > 0 ? &row->history : NULL;
    if (row->filter.mask) {
        memset(workspace->mask, 0, s->n_mask * sizeof *workspace->mask);
        ZOO_TRY(row->filter.mask(row->filter.state, row->n_new_max - row->n_out, workspace->mask,
                                 &row->error));
        draw.mask = workspace->mask;
    }
    if (notes) {
        /* Reported are the model's own probabilities, before penalties and masks. */
        memcpy(workspace->raw, logits, n_vocab * sizeof *logits);
    }
    int32_t forced = zoo_row_forced(row);
    token = (uint32_t)forced;
    if (forced < 0) {
        ZOO_TRY(zoo_sample(workspace->sampler, &draw, &token, &row->error));
    }
    if (notes) {
        ZOO_TRY(zoo_logprobs(workspace->sampler, workspace->raw, token, row->n_top,
                             row->logprobs + (size_t)row->n_out * (row->n_top + 1u), &row->error));
    }
    return zoo_row_accept(row, workspace->sampler, token, &row->error);
}

/* Samples from logits [n, vocab_size]; stops after the first token that differs from its draft. */
static zoo_status choose_all(const zoo_schedule *s, const zoo_sample_workspace *workspace,
                             zoo_row *row, float *logits, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = known(row);
        int32_t draft = i + 1 < n ? row->tokens[at] : -1;
        ZOO_TRY(choose(s, workspace, row, logits + (size_t)i * s->plan->vocab_size));
        if (row->finish != ZOO_UNFINISHED || row->tokens[at] != draft) {
            break;
        }
    }
    return ZOO_OK;
}

/* Tokens and log-probabilities of one item's row. Items share no state, so they run in parallel. */
static void read_logits(void *arg, uint32_t index, uint32_t worker)
{
    zoo_schedule *s = arg;
    zoo_row *row = s->step_rows[index].row;
    if (row->finish != ZOO_UNFINISHED) {
        return; /* cancelled since the step began */
    }
    const zoo_item *item = &s->items[index];
    const zoo_sample_workspace *workspace = &s->workspaces[worker];
    uint32_t n_drafts = s->step_rows[index].n_drafts;
    bool at_end = row->pos + item->n == known(row) + n_drafts;
    zoo_status status = ZOO_OK;
    if (item->want == ZOO_WANT_ALL) {
        status = score(s, workspace, row, item);
    }
    if (status == ZOO_OK && at_end && row->n_new_max > 0) {
        size_t first = item->want == ZOO_WANT_ALL ? item->n - 1 : 0;
        status =
            choose_all(s, workspace, row, item->logits + first * s->plan->vocab_size, 1 + n_drafts);
    } else if (at_end) {
        row->finish = ZOO_FINISH_LENGTH;
    }
    if (status != ZOO_OK) {
        row->finish = ZOO_FINISH_FAILED;
    }
}

/* A prefix for waiting rows displaces those of ended rows. */
static bool keep_or_drop(zoo_schedule *s, const zoo_row *row, uint32_t *kept)
{
    zoo_error ignored;
    while (zoo_engine_prefix_keep(s->engine, row->seq, row->pos, kept, &ignored) != ZOO_OK) {
        if (!zoo_schedule_drop_oldest(s)) {
            return false;
        }
    }
    return true;
}

/* Keeps the prefix that the row has just computed, for the rows that wait for it. */
static void keep_prefix(zoo_schedule *s, zoo_row *row)
{
    zoo_prefix_chain *owned = &row->chain;
    uint32_t n = 0;
    while (n < owned->n && owned->nodes[n]->length <= row->pos) {
        zoo_prefix_node *node = owned->nodes[n++];
        uint32_t kept = ZOO_NONE;
        if (node->length == row->pos && node->n_waiting > 0 && keep_or_drop(s, row, &kept)) {
            zoo_prefixes_set_kept(&s->prefixes, node, kept);
        }
        zoo_prefixes_release(&s->prefixes, node);
    }
    owned->n -= n;
    memmove(owned->nodes, owned->nodes + n, owned->n * sizeof(zoo_prefix_node *));
}

/* Updates one row and the statistics after a step. */
static void absorb(zoo_schedule *s, const zoo_step_row *step_row, const zoo_item *item)
{
    zoo_row *row = step_row->row;
    row->is_in_flight = false;
    row->pos += item->n;
    row->scored |= row->pos >= row->n_prompt;
    s->stats.n_read += step_row->n_out == 0 ? item->n : 0;
    s->stats.n_written += row->n_out - step_row->n_out;
    if (step_row->is_proposed) {
        zoo_schedule_verify(s, step_row);
    }
    zoo_schedule_pool_output(s, row);
    if (row->chain.n > 0) {
        keep_prefix(s, row);
    }
    zoo_schedule_keep_row(s, row, false);
}

/* Closes finished rows and compacts the running ones. */
static void retire(zoo_schedule *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_running; i++) {
        zoo_row *row = s->running[i];
        if (row->finish == ZOO_UNFINISHED || row->is_in_flight) {
            s->running[n++] = row;
            continue;
        }
        for (uint32_t k = 0; k < row->chain.n; k++) {
            zoo_prefixes_release(&s->prefixes, row->chain.nodes[k]);
        }
        zoo_schedule_keep_row(s, row, true);
        zoo_engine_seq_close(s->engine, row->seq);
        zoo_draft_model_close_row(s->draft_model, row);
        zoo_schedule_finish(s, row);
    }
    s->n_running = n;
}

void zoo_schedule_cancel(zoo_schedule *s, zoo_row *row)
{
    if (row->finish != ZOO_UNFINISHED || zoo_schedule_cancel_waiting(s, row)) {
        return;
    }
    for (uint32_t i = 0; i < s->n_running; i++) {
        if (s->running[i] == row) {
            row->finish = ZOO_FINISH_FAILED;
            (void)zoo_fail(&row->error, ZOO_E_CANCELLED, "cancelled");
            retire(s);
            return;
        }
    }
}

/* Builds and begins the micro-batch's step; *any: it has rows. */
static zoo_status begin_step(zoo_schedule *s, uint32_t micro_batch, bool *any, zoo_error *err)
{
    zoo_scheduled_step *f = &s->micro_batches[micro_batch];
    s->items = f->items;
    s->step_rows = f->step_rows;
    ZOO_TRY(build(s, err));
    f->n_items = s->n_items;
    *any = s->n_items > 0;
    if (!*any) {
        return ZOO_OK;
    }
    s->begun = zoo_clock_seconds();
    ZOO_TRY(zoo_engine_step_begin(s->engine, micro_batch, s->items, s->n_items, err));
    for (uint32_t i = 0; i < s->n_items; i++) {
        s->step_rows[i].row->is_in_flight = true;
    }
    s->n_in_flight++;
    return ZOO_OK;
}

static zoo_status end_step(zoo_schedule *s, zoo_error *err)
{
    zoo_scheduled_step *f = &s->micro_batches[s->oldest];
    s->items = f->items;
    s->step_rows = f->step_rows;
    s->n_items = f->n_items;
    ZOO_TRY(zoo_engine_step_end(s->engine, s->oldest, s->items, s->n_items, err));
    s->oldest = (s->oldest + 1) % s->n_micro_batches;
    s->n_in_flight--;
    return ZOO_OK;
}

/* Begins as many steps as may be in flight and ends the oldest; *any: there was one. */
static zoo_status run_step(zoo_schedule *s, bool *any, zoo_error *err)
{
    uint32_t n_rows = 0;
    *any = true;
    while (*any && s->n_in_flight < s->n_micro_batches) {
        ZOO_TRY(begin_step(s, (s->oldest + s->n_in_flight) % s->n_micro_batches, any, err));
    }
    *any = s->n_in_flight > 0;
    if (!*any) {
        return ZOO_OK;
    }
    ZOO_TRY(end_step(s, err));
    bool learns = s->speculation && s->speculation->costs.n_rows > 0 && s->n_answers == s->n_items;
    for (uint32_t i = 0; learns && i < s->n_items; i++) {
        n_rows += s->items[i].n;
    }
    if (n_rows > 0) {
        zoo_schedule_time_step(s, n_rows, zoo_clock_seconds() - s->begun);
    }
    return ZOO_OK;
}

/* Gives the rows of the step to the prediction layer, if there is one, and updates all rows. */
static zoo_status absorb_all(zoo_schedule *s, zoo_error *err)
{
    zoo_draft_rows rows = {.pays = zoo_schedule_model_pays(s)};
    bool follows = s->draft_model && s->n_running <= ZOO_COST_ROWS_MAX;
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_row *row = s->step_rows[i].row;
        rows.pos = row->pos;
        rows.n = s->items[i].n;
        if (follows && row->finish == ZOO_UNFINISHED) {
            ZOO_TRY(zoo_draft_layers_follow(s->draft_model, row, &rows, err));
        }
        rows.at += rows.n;
        absorb(s, &s->step_rows[i], &s->items[i]);
    }
    return s->draft_model ? zoo_draft_layers_read(s->draft_model, err) : ZOO_OK;
}

zoo_status zoo_schedule_step(zoo_schedule *s, zoo_error *err)
{
    bool any = false;
    zoo_schedule_admit(s);
    zoo_status status = run_step(s, &any, err);
    if (status != ZOO_OK) {
        s->n_in_flight = 0; /* the engine has failed: their results will not come */
    }
    if (status != ZOO_OK || !any) {
        return status;
    }
    s->stats.n_steps++;
    zoo_engine_parallel(s->engine, s->n_items, read_logits, s);
    ZOO_TRY(absorb_all(s, err));
    retire(s);
    return ZOO_OK;
}
