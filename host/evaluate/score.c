/*
 * score.c: windows of texts through one engine or two in step, and what their logits say
 * (score.h).
 *
 * Up to seqs_max windows are read at once; a step takes rows of them in turn until it is full. The
 * rows of a step are scored on the engine's threads, each by one of them.
 */
#include "evaluate/score.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "generate/schedule.h"

static const size_t logits_bytes = (size_t)128 << 20;

/* Tokens begin .. begin + n - 1 of a text, after a begin token where opens is 1. */
typedef struct window {
    const zoo_score_text *text;
    uint32_t begin, n, opens;
} window;

typedef struct lane {
    window window; /* text null: free */
    int32_t *tokens;
    uint32_t seq, reference_seq;
    uint32_t done; /* rows read */
} lane;

/* What one row of logits is to be scored by; out null: not at all. */
typedef struct row_job {
    int32_t token;
    zoo_score_token *out;
} row_job;

typedef struct run {
    const zoo_score_job *job;
    zoo_score_token *out;
    uint32_t context, n_lanes, rows_max, n_vocab;
    uint32_t text, pos; /* where the next window begins */
    lane *lanes;
    int32_t *tokens; /* of all lanes */
    zoo_item *items, *reference_items;
    row_job *rows;
    uint32_t *item_lanes;
    uint32_t n_items, n_rows; /* of the step */
    size_t n_done;
} run;

/* ---- rows ---- */

/* log sum e^x; *best: the largest, the lower id of equal ones. */
static double log_sum(const float *x, uint32_t n, uint32_t *best)
{
    double sum = 0;
    *best = 0;
    for (uint32_t i = 1; i < n; i++) {
        *best = x[i] > x[*best] ? i : *best;
    }
    double most = (double)x[*best];
    for (uint32_t i = 0; i < n; i++) {
        sum += exp((double)x[i] - most);
    }
    return most + log(sum);
}

static void score_row(void *arg, uint32_t row, uint32_t worker)
{
    const run *r = arg;
    const row_job *job = &r->rows[row];
    zoo_score_token *out = job->out;
    const float *x = r->items[0].logits + (size_t)row * r->n_vocab;
    uint32_t best, best_of_reference;
    (void)worker;
    if (!out) {
        return;
    }
    double lse = log_sum(x, r->n_vocab, &best);
    *out = (zoo_score_token){.nll = lse - (double)x[job->token],
                             .is_first = best == (uint32_t)job->token};
    if (!r->job->reference) {
        return;
    }
    const float *y = r->reference_items[0].logits + (size_t)row * r->n_vocab;
    double lse_of_reference = log_sum(y, r->n_vocab, &best_of_reference);
    for (uint32_t i = 0; i < r->n_vocab; i++) {
        double log_p = (double)y[i] - lse_of_reference, p = exp(log_p);
        out->kl += p > 0 ? p * (log_p - ((double)x[i] - lse)) : 0;
    }
    out->reference_nll = lse_of_reference - (double)y[job->token];
    out->agrees = best == best_of_reference;
}

/* ---- windows ---- */

static bool next_window(run *r, window *w)
{
    const zoo_score_texts *texts = r->job->texts;
    while (r->text < texts->n && r->pos + 1 >= texts->list[r->text].n) {
        r->text++;
        r->pos = 0;
    }
    if (r->text == texts->n) {
        return false;
    }
    const zoo_score_text *t = &texts->list[r->text];
    uint32_t opens = r->pos > 0 && t->tokens[0] == texts->begin;
    uint32_t left = t->n - r->pos, room = r->context - opens;
    *w = (window){t, r->pos, left < room ? left : room, opens};
    return true;
}

static zoo_status open_lane(run *r, lane *l, const window *w, zoo_error *err)
{
    const zoo_score_job *job = r->job;
    uint32_t n = w->opens + w->n;
    ZOO_TRY(zoo_engine_seq_open(job->engine, n, n, &l->seq, err));
    if (job->reference) {
        zoo_status status = zoo_engine_seq_open(job->reference, n, n, &l->reference_seq, err);
        if (status != ZOO_OK) {
            zoo_engine_seq_close(job->engine, l->seq);
            return status;
        }
    }
    l->window = *w;
    l->done = 0;
    l->tokens[0] = job->texts->begin;
    memcpy(l->tokens + w->opens, w->text->tokens + w->begin, w->n * sizeof *l->tokens);
    r->pos += w->n - 1;
    return ZOO_OK;
}

static void close_lane(run *r, lane *l)
{
    zoo_engine_seq_close(r->job->engine, l->seq);
    if (r->job->reference) {
        zoo_engine_seq_close(r->job->reference, l->reference_seq);
    }
    l->window.text = NULL;
}

/* The rows of a lane that the step has room for. The window's last token predicts nothing. */
static void add_item(run *r, uint32_t index)
{
    const lane *l = &r->lanes[index];
    const window *w = &l->window;
    uint32_t left = w->opens + w->n - 1 - l->done, room = r->rows_max - r->n_rows;
    uint32_t n = left < room ? left : room;
    zoo_item item = {.seq = l->seq, .n = n, .tokens = l->tokens + l->done, .want = ZOO_WANT_ALL};
    r->items[r->n_items] = item;
    item.seq = l->reference_seq;
    r->reference_items[r->n_items] = item;
    r->item_lanes[r->n_items++] = index;
    for (uint32_t i = l->done; i < l->done + n; i++) {
        size_t at = w->text->first + w->begin + i - w->opens;
        r->rows[r->n_rows++] = (row_job){l->tokens[i + 1], i < w->opens ? NULL : &r->out[at]};
    }
}

static zoo_status fill_step(run *r, zoo_error *err)
{
    bool full = false;
    r->n_items = r->n_rows = 0;
    for (uint32_t i = 0; i < r->n_lanes && r->n_rows < r->rows_max; i++) {
        lane *l = &r->lanes[i];
        window w;
        if (!l->window.text && !full && next_window(r, &w)) {
            zoo_status status = open_lane(r, l, &w, err);
            full = status == ZOO_E_MEMORY;
            if (status != ZOO_OK && !full) {
                return status;
            }
        }
        if (l->window.text) {
            add_item(r, i);
        }
    }
    /* What does not fit when nothing else runs never will; err says why. */
    return full && r->n_items == 0 ? ZOO_E_MEMORY : ZOO_OK;
}

static zoo_status run_step(run *r, zoo_error *err)
{
    const zoo_score_job *job = r->job;
    ZOO_TRY(zoo_engine_step(job->engine, r->items, r->n_items, err));
    if (job->reference) {
        ZOO_TRY(zoo_engine_step(job->reference, r->reference_items, r->n_items, err));
    }
    zoo_engine_parallel(job->engine, r->n_rows, score_row, r);
    for (uint32_t i = 0; i < r->n_items; i++) {
        lane *l = &r->lanes[r->item_lanes[i]];
        l->done += r->items[i].n;
        if (l->done + 1 == l->window.opens + l->window.n) {
            close_lane(r, l);
        }
    }
    r->n_done += r->n_rows;
    if (job->shows_progress) {
        (void)fprintf(stderr, "\r%zu of %zu tokens", r->n_done, job->texts->n_scored);
    }
    return ZOO_OK;
}

/* ---- runs ---- */

static zoo_status begin_run(run *r, const zoo_score_job *job, zoo_score_token *out, zoo_error *err)
{
    const zoo_limits *l = zoo_engine_limits(job->engine);
    uint32_t n_vocab = zoo_engine_plan(job->engine)->vocab_size;
    size_t rows = logits_bytes / sizeof(float) / n_vocab + 1;
    *r = (run){.job = job,
               .out = out,
               .context = l->context_max,
               .n_lanes = l->seqs_max,
               .rows_max = rows < l->rows_max ? (uint32_t)rows : l->rows_max,
               .n_vocab = n_vocab};
    if (r->context < 3) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "windows of %u tokens score nothing; --context 3 at least", r->context);
    }
    r->lanes = zoo_mem_array(r->n_lanes, sizeof *r->lanes);
    r->tokens = zoo_mem_array(r->n_lanes, r->context * sizeof *r->tokens);
    r->items = zoo_mem_array(r->n_lanes, sizeof *r->items);
    r->reference_items = zoo_mem_array(r->n_lanes, sizeof *r->reference_items);
    r->item_lanes = zoo_mem_array(r->n_lanes, sizeof *r->item_lanes);
    r->rows = zoo_mem_array(r->rows_max, sizeof *r->rows);
    if (!r->lanes || !r->tokens || !r->items || !r->reference_items || !r->item_lanes || !r->rows) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for windows of %u tokens", r->context);
    }
    for (uint32_t i = 0; i < r->n_lanes; i++) {
        r->lanes[i].tokens = r->tokens + (size_t)i * r->context;
    }
    return ZOO_OK;
}

static void end_run(run *r)
{
    for (uint32_t i = 0; r->lanes && i < r->n_lanes; i++) {
        if (r->lanes[i].window.text) {
            close_lane(r, &r->lanes[i]);
        }
    }
    if (r->job->shows_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    zoo_mem_free(r->lanes);
    zoo_mem_free(r->tokens);
    zoo_mem_free(r->items);
    zoo_mem_free(r->reference_items);
    zoo_mem_free(r->item_lanes);
    zoo_mem_free(r->rows);
}

static zoo_status judge(const zoo_score_texts *texts, const zoo_score_token *out, zoo_error *err)
{
    for (uint32_t t = 0; t < texts->n; t++) {
        const zoo_score_text *text = &texts->list[t];
        for (uint32_t i = 0; i + 1 < text->n; i++) {
            const zoo_score_token *s = &out[text->first + i];
            if (isnan(s->nll) || isnan(s->reference_nll) || isnan(s->kl)) {
                return zoo_fail(err, ZOO_E_INTERNAL,
                                "line %llu: the logits before token %u are not numbers",
                                (unsigned long long)text->line, i + 1);
            }
        }
    }
    return ZOO_OK;
}

zoo_status zoo_score_run(const zoo_score_job *job, zoo_score_token *out, zoo_error *err)
{
    run r;
    zoo_status status = begin_run(&r, job, out, err);
    while (status == ZOO_OK) {
        status = fill_step(&r, err);
        if (status != ZOO_OK || r.n_items == 0) {
            break;
        }
        status = run_step(&r, err);
    }
    end_run(&r);
    return status == ZOO_OK ? judge(job->texts, out, err) : status;
}
