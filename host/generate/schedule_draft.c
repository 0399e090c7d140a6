/*
 * schedule_draft.c: speculative decoding: how many drafts each row gets in a step (schedule.h).
 *
 *   drafts of each row -> sorted by probability over all rows -> the number of them that pays most
 *
 * d drafts of which g are expected to be accepted save the time of g tokens, v each, and lengthen
 * the step: they pay if g v > f cost(n + d) - cost(n), with n the rows without drafts and cost the
 * table of step_costs.h. v is the time per token with the drafts that pay at f = 1. f is the ratio
 * of measured to predicted time of steps with drafts, relative to that of steps without; it covers
 * long contexts and other load on the machine. It is measured in steps that have only generating
 * rows, and measured again from time to time while it forbids drafts.
 *
 * The drafts depend on measured times, the output does not.
 */
#include <string.h>

#include "base/budget.h"
#include "generate/schedule_private.h"

enum {
    PLAIN_EVERY = 16, /* steps with drafts before one without, while f is above `doubt` */
    RETRY_EVERY = 64, /* refused steps before drafts are tried again */
    PIECE = 16,       /* new tokens that are added to the draft pool at once */
    MODEL_MAX = 12,   /* tokens that the draft model drafts for a row in one step */
    GRAMMAR_BELOW = 6 /* a match this long is preferred to a grammar's drafts */
};

static const float p_min = 0.02f;
static const double doubt = 1.1, f_max = 8.0;

bool zoo_speculate_read(const char *word, zoo_speculate *out)
{
    static const char *const words[] = {"off", "text", "file", "mtp"};
    for (uint32_t i = 0; i < ZOO_COUNT(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (zoo_speculate)i;
            return true;
        }
    }
    return false;
}

zoo_status zoo_schedule_speculate(zoo_schedule *s, const zoo_speculation *speculation,
                                  zoo_error *err)
{
    /* Such a model restarts a sequence at a length that rejected drafts must not reach. */
    bool never = s->plan->reread_after && zoo_engine_has_states(s->engine);
    s->speculation = speculation->kind != ZOO_SPECULATE_OFF && !never ? speculation : NULL;
    zoo_draft_rates_init(&s->rates);
    if (s->speculation && speculation->draft) {
        ZOO_TRY(zoo_draft_model_new(speculation->draft, s->engine, &s->draft_model, err));
    }
    if (!s->speculation || speculation->kind != ZOO_SPECULATE_FILE) {
        return ZOO_OK;
    }
    s->pool = zoo_draft_pool_new(speculation->pool_bytes);
    return s->pool ? ZOO_OK
                   : zoo_fail(err, ZOO_E_MEMORY, "no memory for a draft pool of %zu bytes",
                              speculation->pool_bytes);
}

void zoo_schedule_pool_output(zoo_schedule *s, zoo_row *row)
{
    uint32_t n = row->n_prompt + row->n_out;
    uint32_t from = row->pool_tail.n ? row->pool_tail.n : row->n_prompt;
    bool is_due = row->finish == ZOO_UNFINISHED ? n - from >= PIECE : n > from;
    if (s->pool && is_due && row->finish != ZOO_FINISH_FAILED) {
        zoo_draft_pool_add(s->pool, &row->pool_tail, row->tokens, from, n);
    }
}

/* How many of the row's drafts may be run: not beyond its limit, nor past a restart. */
static uint32_t count_allowed(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t known = row->n_prompt + row->n_out, most = row->n_new_max - row->n_out;
    uint32_t n = row->drafts->n < most ? row->drafts->n : most - 1;
    while (n > 0 && zoo_engine_must_reread(s->engine, row->pos, known + n)) {
        n--;
    }
    return n;
}

/* Makes drafts from all sources but the draft model. with_model: none from matches that are less
 * likely to be accepted than the model's. */
static void propose(zoo_schedule *s, zoo_step_row *step_row, bool with_model)
{
    zoo_row *row = step_row->row;
    uint32_t known = row->n_prompt + row->n_out;
    if (!row->drafts) {
        row->drafts = zoo_drafts_new(row->n_prompt + row->n_new_max);
    }
    if (!row->drafts) {
        return; /* no memory: no drafts */
    }
    zoo_drafts_begin(row->drafts, s->pool, row->tokens, known);
    zoo_row_draft_forced(row, row->drafts);
    /* A grammar's drafts are short, such as the name of a key. */
    if (row->filter.guess && row->drafts->n == 0 && row->drafts->grams.length < GRAMMAR_BELOW) {
        int32_t tokens[ZOO_DRAFTS_MAX];
        uint32_t n = row->filter.guess(row->filter.state, tokens, ZOO_DRAFTS_MAX);
        for (uint32_t i = 0; i < n; i++) {
            (void)zoo_drafts_add(row->drafts, tokens[i], ZOO_DRAFT_GRAMMAR);
        }
    }
    if (row->drafts->n == 0) {
        float least = with_model ? zoo_drafts_rate(row->drafts, ZOO_DRAFT_MODEL, &s->rates) : 0.0f;
        zoo_drafts_add_texts(row->drafts, s->pool, row->tokens, &s->rates, least);
    }
    zoo_drafts_end(row->drafts, &s->rates);
    step_row->is_proposed = true;
    step_row->n_room = count_allowed(s, row);
}

/* f, or 1 if it is due to be measured again. */
static double factor_now(zoo_schedule *s)
{
    double f = s->pace_plain > 0.0 && s->pace_drafted > 0.0 ? s->pace_drafted / s->pace_plain : 1.0;
    f = f < 1.0 ? 1.0 : f > f_max ? f_max : f;
    return s->n_refused >= RETRY_EVERY ? 1.0 : f;
}

/* Seconds of a draft model's step of n_rows rows: predicted, times the recent ratio. */
static double model_seconds(const zoo_schedule *s, uint32_t n_rows)
{
    double pace = s->pace_model > 0.0 ? s->pace_model : 1.0;
    return pace * zoo_step_cost(&s->speculation->draft_costs, n_rows);
}

/* The ratio begins at 1, so that one slow step at first does not end drafting. A step that took no
 * time, by a coarse clock, says nothing. */
static void pace_model(zoo_schedule *s, double expected, double seconds)
{
    double before = s->pace_model > 0.0 ? s->pace_model : 1.0, seen = seconds / expected;
    seen = seen > 2.0 * before ? 2.0 * before : seen;
    s->pace_model = seen > 0.0 ? before + 0.15 * (seen - before) : before;
}

/* How many tokens d the draft model should draft for each of n rows: the d that minimises the time
 * per token, (d draft steps + one step of n (1 + d) rows) / (n (1 + p_1 + p_1 p_2 + ...)), with p
 * the acceptance rates so far. */
static uint32_t best_n_model(zoo_schedule *s, uint32_t n, uint32_t n_prompt_rows, uint32_t most)
{
    const zoo_speculation *sp = s->speculation;
    double each = model_seconds(s, n), f = factor_now(s), right = 1.0, tokens = n;
    double least = zoo_step_cost(&sp->costs, n + n_prompt_rows) / tokens;
    uint32_t best = 0;
    for (uint32_t d = 1; d <= most; d++) {
        uint32_t depth = d < ZOO_DRAFT_DEPTHS ? d : ZOO_DRAFT_DEPTHS;
        uint32_t class = ZOO_DRAFT_MODEL + depth - 1;
        right *= (double)(s->rates.n_accepted[class] / s->rates.n[class]);
        tokens += right * n;
        double cost = f * zoo_step_cost(&sp->costs, n * (1 + d) + n_prompt_rows) + d * each;
        if (cost / tokens < least) {
            least = cost / tokens;
            best = d;
        }
    }
    return best;
}

/* The same for this step's rows, 1 where it is due to be tried again. */
static uint32_t choose_n_model(zoo_schedule *s, uint32_t n_prompt_rows, uint32_t n_max)
{
    const zoo_speculation *sp = s->speculation;
    uint32_t n = s->n_items, most = n_max / n < MODEL_MAX ? n_max / n : MODEL_MAX;
    if (!s->draft_model || sp->n_always > 0 || sp->draft_costs.n_rows == 0) {
        return s->draft_model ? sp->n_always : 0;
    }
    uint32_t best = best_n_model(s, n, n_prompt_rows, most);
    s->n_model_skips = best > 0 ? 0 : s->n_model_skips + 1;
    if (s->n_model_skips >= RETRY_EVERY && most > 0) {
        s->n_model_skips = 0;
        best = 1;
    }
    return best;
}

bool zoo_schedule_model_pays(zoo_schedule *s)
{
    const zoo_speculation *sp = s->speculation;
    if (!s->draft_model || sp->n_always > 0) {
        return s->draft_model != NULL;
    }
    return s->n_running > 0 && s->n_running < sp->costs.n_rows && sp->draft_costs.n_rows > 0 &&
           best_n_model(s, s->n_running, 0, 1) > 0;
}

/* Lets the draft model draft n tokens for each row that has no drafts. */
static zoo_status draft_with_model(zoo_schedule *s, uint32_t n, zoo_error *err)
{
    uint32_t n_rows = 0;
    bool learns = s->speculation->draft_costs.n_rows > 0;
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_row *row = s->step_rows[i].row;
        if (row->drafts && row->drafts->n == 0) {
            s->drafting[n_rows++] = row;
            /* The first call runs the prompt, which says nothing about the cost of drafts. */
            learns = learns && !zoo_draft_model_is_behind(s->draft_model, row);
        }
    }
    double begin = learns ? zoo_clock_seconds() : 0.0;
    ZOO_TRY(zoo_draft_model_propose(s->draft_model, s->drafting, n_rows, n, err));
    if (learns && n_rows > 0) {
        double expected = n * zoo_step_cost(&s->speculation->draft_costs, n_rows);
        pace_model(s, expected, zoo_clock_seconds() - begin);
    }
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_step_row *r = &s->step_rows[i];
        if (r->is_proposed) {
            zoo_drafts_end(r->row->drafts, &s->rates);
            r->n_room = count_allowed(s, r->row);
        }
    }
    return ZOO_OK;
}

/* The row whose next draft has the highest probability, or n_items. */
static uint32_t pick(const zoo_schedule *s)
{
    uint32_t best = s->n_items;
    float most = p_min;
    for (uint32_t i = 0; i < s->n_items; i++) {
        const zoo_step_row *r = &s->step_rows[i];
        if (r->n_drafts < r->n_room && r->row->drafts->p_accept[r->n_drafts] > most) {
            most = r->row->drafts->p_accept[r->n_drafts];
            best = i;
        }
    }
    return best;
}

/* The terms of the file head's inequality. */
typedef struct zoo_draft_price {
    uint32_t n_rows, n_max; /* rows without drafts; drafts at most */
    double token, factor;   /* v in seconds; f */
} zoo_draft_price;

typedef struct zoo_draft_choice {
    uint32_t n;  /* drafts */
    double gain; /* expected number of accepted ones */
} zoo_draft_choice;

/* Sets n_drafts of the rows to maximise g v - (f cost(n + d) - cost(n)). */
static zoo_draft_choice choose(zoo_schedule *s, const zoo_draft_price *price)
{
    uint32_t picks[ZOO_COST_ROWS_MAX], n = 0, at;
    double gain = 0.0, most = 0.0;
    zoo_draft_choice best = {0, 0.0};
    const zoo_step_costs *costs = &s->speculation->costs;
    double plain = zoo_step_cost(costs, price->n_rows);
    for (uint32_t i = 0; i < s->n_items; i++) {
        s->step_rows[i].n_drafts = 0;
    }
    while (n < price->n_max && (at = pick(s)) < s->n_items) {
        zoo_step_row *r = &s->step_rows[at];
        gain += (double)r->row->drafts->p_accept[r->n_drafts++];
        picks[n++] = at;
        /* With states, rejected drafts cost about half their number in tokens run again. */
        uint32_t n_rows = price->n_rows + n + (s->has_states ? n / 2 : 0);
        double cost = price->factor * zoo_step_cost(costs, n_rows) - plain;
        if (gain * price->token - cost > most) {
            most = gain * price->token - cost;
            best = (zoo_draft_choice){n, gain};
        }
    }
    while (n > best.n) {
        s->step_rows[picks[--n]].n_drafts--;
    }
    return best;
}

/* Sets n_drafts of the rows to those that pay. */
static void choose_paying(zoo_schedule *s, uint32_t n_prompt_rows, uint32_t n_max)
{
    const zoo_step_costs *costs = &s->speculation->costs;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_items; i++) {
        n += s->items[i].n;
    }
    zoo_draft_price price = {.n_rows = n + n_prompt_rows, .n_max = n_max};
    double f = factor_now(s);
    price.token = zoo_step_cost(costs, n) / s->n_items;
    price.factor = 1.0;
    zoo_draft_choice first = choose(s, &price);
    if (first.n > 0) {
        price.token = zoo_step_cost(costs, n + first.n) / (s->n_items + first.gain);
        price.factor = f;
        bool refused = choose(s, &price).n == 0 && f > 1.0;
        s->n_refused = refused ? s->n_refused + 1 : s->n_refused >= RETRY_EVERY ? 0 : s->n_refused;
    }
    if (f > doubt && s->n_drafted_steps >= PLAIN_EVERY) {
        for (uint32_t i = 0; i < s->n_items; i++) {
            s->step_rows[i].n_drafts = 0;
        }
    }
}

static void choose_always(zoo_schedule *s, uint32_t n_max)
{
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_step_row *r = &s->step_rows[i];
        uint32_t n = r->n_room < s->speculation->n_always ? r->n_room : s->speculation->n_always;
        r->n_drafts = n < n_max ? n : n_max;
        n_max -= r->n_drafts;
    }
}

/* Appends the row's drafts to its tokens and its item. */
static void append(zoo_schedule *s, uint32_t index)
{
    zoo_step_row *r = &s->step_rows[index];
    zoo_item *item = &s->items[index];
    const zoo_row *row = r->row;
    if (r->n_drafts > 0 && !zoo_engine_seq_mark(s->engine, row->seq)) {
        r->n_drafts = 0;
    }
    for (uint32_t i = 0; i < r->n_drafts; i++) {
        row->tokens[row->n_prompt + row->n_out + i] = row->drafts->tokens[i];
    }
    if (r->n_drafts > 0) {
        item->n += r->n_drafts;
        item->want = ZOO_WANT_TAIL;
        item->n_tail = r->n_drafts + 1;
    }
}

zoo_status zoo_schedule_draft(zoo_schedule *s, uint32_t n_prompt_rows, uint32_t n_max, uint32_t *n,
                              zoo_error *err)
{
    uint32_t n_known = s->speculation ? s->speculation->costs.n_rows : 0;
    bool always = s->speculation && s->speculation->n_always > 0;
    s->drafts_now = false;
    *n = 0;
    if (s->n_items == 0 || (!always && s->n_items >= n_known)) {
        return ZOO_OK;
    }
    uint32_t of_model = choose_n_model(s, n_prompt_rows, n_max);
    for (uint32_t i = 0; i < s->n_items; i++) {
        propose(s, &s->step_rows[i], of_model > 0);
    }
    if (of_model > 0) {
        ZOO_TRY(draft_with_model(s, of_model, err));
    }
    if (always) {
        choose_always(s, n_max);
    } else {
        choose_paying(s, n_prompt_rows, n_max < n_known ? n_max : n_known);
    }
    for (uint32_t i = 0; i < s->n_items; i++) {
        append(s, i);
        *n += s->step_rows[i].n_drafts;
    }
    s->drafts_now = *n > 0;
    return ZOO_OK;
}

void zoo_schedule_time_step(zoo_schedule *s, uint32_t n_rows, double seconds)
{
    double *pace = s->drafts_now ? &s->pace_drafted : &s->pace_plain;
    double seen = seconds / zoo_step_cost(&s->speculation->costs, n_rows);
    /* Steps with drafts begin at the pace of those without: as in pace_model. */
    double before = *pace > 0.0 ? *pace : s->pace_plain > 0.0 ? s->pace_plain : seen;
    /* Outliers are capped: other programs can delay a single step. */
    seen = seen > 2.0 * before ? 2.0 * before : seen;
    *pace = before + 0.15 * (seen - before);
    s->n_drafted_steps = s->drafts_now ? s->n_drafted_steps + 1 : 0;
}

void zoo_schedule_verify(zoo_schedule *s, const zoo_step_row *step_row)
{
    zoo_row *row = step_row->row;
    uint32_t n_new = row->n_out - step_row->n_out;
    const int32_t *tokens = row->tokens + row->n_prompt + step_row->n_out;
    zoo_drafts_verify(row->drafts, tokens, n_new, &s->rates);
    if (step_row->n_drafts == 0) {
        return;
    }
    uint32_t n_accepted = 0;
    while (n_accepted < step_row->n_drafts && n_accepted < n_new &&
           tokens[n_accepted] == row->drafts->tokens[n_accepted]) {
        n_accepted++;
    }
    row->n_drafted += step_row->n_drafts;
    row->n_accepted += n_accepted;
    s->stats.n_drafted += step_row->n_drafts;
    s->stats.n_accepted += n_accepted;
    /* The last token has not been run yet. */
    row->pos = zoo_engine_seq_rewind(s->engine, row->seq, row->n_prompt + row->n_out - 1);
    s->stats.n_reread += row->n_prompt + row->n_out - 1 - row->pos;
}
