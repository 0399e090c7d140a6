/*
 * schedule_draft.c: which rows of a step read ahead, how far, and what became of it (schedule.h).
 *
 *   proposals -> the most probable draft of any row, one by one -> as many of them as pay
 *
 * d drafts that are right g times in the mean save g tokens' time, v each, and cost what a step of
 * so many more rows takes longer: they pay when g v > f cost(n + d) - cost(n). v is the time a
 * token takes with the drafts that a first look finds. f is how much longer steps with drafts take
 * against the table than steps without: long contexts and other programs are in it. It is learnt
 * from the steps of answers alone, and tried anew now and then.
 *
 * What is drafted depends on these times; what comes out does not.
 */
#include <string.h>

#include "base/budget.h"
#include "generate/schedule_private.h"

enum {
    PLAIN_EVERY = 16, /* steps with drafts after which one without is due, where f is in doubt */
    RETRY_EVERY = 64, /* steps without, where f alone forbids them */
    PIECE = 16,       /* new tokens after which other rows see them */
    MODEL_MAX = 12,   /* tokens that a draft model says of a row in one step */
    SHAPE_BELOW = 6   /* tokens of a match of the text that is preferred to a grammar's guess */
};

static const float odds_min = 0.02f;
static const double doubt = 1.1, f_max = 8.0;

bool zoo_speculate_read(const char *word, zoo_speculate *out)
{
    static const char *const words[] = {"off", "text", "file"};
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
    /* Positions of such a model are read again at once or not at all. */
    bool never = s->plan->reread_after && zoo_engine_has_states(s->engine);
    s->speculation = speculation->kind != ZOO_SPECULATE_OFF && !never ? speculation : NULL;
    zoo_draft_odds_init(&s->odds);
    if (s->speculation && speculation->draft) {
        ZOO_TRY(zoo_draft_model_new(speculation->draft, &s->draft_model, err));
    }
    if (!s->speculation || speculation->kind != ZOO_SPECULATE_FILE) {
        return ZOO_OK;
    }
    s->pool = zoo_draft_pool_new(speculation->pool_bytes);
    return s->pool ? ZOO_OK
                   : zoo_fail(err, ZOO_E_MEMORY, "%zu bytes do not hold what rows have said",
                              speculation->pool_bytes);
}

void zoo_schedule_pool(zoo_schedule *s, zoo_row *row)
{
    uint32_t n = row->n_prompt + row->n_out;
    uint32_t from = row->pool_tail.n ? row->pool_tail.n : row->n_prompt;
    bool is_due = row->finish == ZOO_UNFINISHED ? n - from >= PIECE : n > from;
    if (s->pool && is_due && row->finish != ZOO_FINISH_FAILED) {
        zoo_draft_pool_add(s->pool, &row->pool_tail, row->tokens, from, n);
    }
}

/* Tokens that the row may read ahead now. */
static uint32_t room_of(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t known = row->n_prompt + row->n_out, most = row->n_new_max - row->n_out;
    uint32_t n = row->drafts->n < most ? row->drafts->n : most - 1;
    while (n > 0 && zoo_engine_must_reread(s->engine, row->pos, known + n)) {
        n--;
    }
    return n;
}

/* with_model: what the draft model says better than texts is left to it. */
static void propose(zoo_schedule *s, zoo_step_row *step_row, bool with_model)
{
    zoo_row *row = step_row->row;
    uint32_t known = row->n_prompt + row->n_out;
    if (!row->drafts) {
        row->drafts = zoo_drafts_new(row->n_prompt + row->n_new_max);
    }
    if (!row->drafts) {
        return; /* no memory: it does without */
    }
    zoo_drafts_begin(row->drafts, s->pool, row->tokens, known);
    zoo_row_draft_forced(row, row->drafts);
    /* A long match says more than the few tokens of a key. */
    if (row->filter.guess && row->drafts->n == 0 && row->drafts->grams.length < SHAPE_BELOW) {
        int32_t tokens[ZOO_DRAFTS_MAX];
        uint32_t n = row->filter.guess(row->filter.state, tokens, ZOO_DRAFTS_MAX);
        for (uint32_t i = 0; i < n; i++) {
            (void)zoo_drafts_add(row->drafts, tokens[i], ZOO_DRAFT_SHAPE);
        }
    }
    if (row->drafts->n == 0) {
        float least = with_model ? zoo_drafts_share(row->drafts, ZOO_DRAFT_MODEL, &s->odds) : 0.0f;
        zoo_drafts_add_texts(row->drafts, s->pool, row->tokens, &s->odds, least);
    }
    zoo_drafts_end(row->drafts, &s->odds);
    step_row->is_proposed = true;
    step_row->n_room = room_of(s, row);
}

/* f, or 1 where it is time to see what it is. */
static double factor_now(zoo_schedule *s)
{
    double f = s->pace_plain > 0.0 && s->pace_drafted > 0.0 ? s->pace_drafted / s->pace_plain : 1.0;
    f = f < 1.0 ? 1.0 : f > f_max ? f_max : f;
    return s->n_refused >= RETRY_EVERY ? 1.0 : f;
}

/* Seconds of one token of each asking row by the draft model, as they were of late. */
static double seconds_of_model(const zoo_schedule *s, uint32_t n_rows)
{
    double pace = s->pace_model > 0.0 ? s->pace_model : 1.0;
    return pace * zoo_step_cost(&s->speculation->draft_costs, n_rows);
}

static void pace_model(zoo_schedule *s, double expected, double seconds)
{
    double *pace = &s->pace_model, seen = seconds / expected;
    seen = *pace > 0.0 && seen > 2.0 * *pace ? 2.0 * *pace : seen;
    *pace += (*pace > 0.0 ? 0.15 : 1.0) * (seen - *pace);
}

/* How many tokens the draft model should say of each row: n of them save what d steps of it and the
 * longer step cost, when each is right as often as they were. */
static uint32_t count_of_model(zoo_schedule *s, uint32_t n_prompt_rows, uint32_t n_max)
{
    const zoo_speculation *sp = s->speculation;
    uint32_t n = s->n_items, most = n_max / n < MODEL_MAX ? n_max / n : MODEL_MAX, best = 0;
    if (!s->draft_model || sp->n_always > 0 || sp->draft_costs.n_rows == 0) {
        return s->draft_model ? sp->n_always : 0;
    }
    double p = (double)(s->odds.n_right[ZOO_DRAFT_MODEL] / s->odds.n[ZOO_DRAFT_MODEL]);
    double each = seconds_of_model(s, n), f = factor_now(s), right = 1.0, tokens = n;
    double least = zoo_step_cost(&sp->costs, n + n_prompt_rows) / tokens;
    for (uint32_t d = 1; d <= most; d++) {
        right *= p;
        tokens += right * n;
        double cost = f * zoo_step_cost(&sp->costs, n * (1 + d) + n_prompt_rows) + d * each;
        if (cost / tokens < least) {
            least = cost / tokens;
            best = d;
        }
    }
    s->n_unasked = best > 0 ? 0 : s->n_unasked + 1;
    if (s->n_unasked >= RETRY_EVERY && most > 0) {
        s->n_unasked = 0;
        best = 1;
    }
    return best;
}

/* Rows without a proposal ask the draft model. */
static zoo_status ask_model(zoo_schedule *s, uint32_t n, zoo_error *err)
{
    uint32_t n_rows = 0;
    bool learns = s->speculation->draft_costs.n_rows > 0;
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_row *row = s->step_rows[i].row;
        if (row->drafts && row->drafts->n == 0) {
            s->asking[n_rows++] = row;
            /* Reading a prompt says nothing of drafts. */
            learns = learns && row->ahead.n_read + row->ahead.n + ZOO_DRAFTS_MAX > row->n_prompt;
        }
    }
    double begin = learns ? zoo_clock_seconds() : 0.0;
    ZOO_TRY(zoo_draft_model_propose(s->draft_model, s->asking, n_rows, n, err));
    if (learns && n_rows > 0) {
        double expected = n * zoo_step_cost(&s->speculation->draft_costs, n_rows);
        pace_model(s, expected, zoo_clock_seconds() - begin);
    }
    for (uint32_t i = 0; i < s->n_items; i++) {
        zoo_step_row *r = &s->step_rows[i];
        if (r->is_proposed) {
            zoo_drafts_end(r->row->drafts, &s->odds);
            r->n_room = room_of(s, r->row);
        }
    }
    return ZOO_OK;
}

/* The row whose next draft is the most probable, or n_items. */
static uint32_t pick(const zoo_schedule *s)
{
    uint32_t best = s->n_items;
    float most = odds_min;
    for (uint32_t i = 0; i < s->n_items; i++) {
        const zoo_step_row *r = &s->step_rows[i];
        if (r->n_drafts < r->n_room && r->row->drafts->odds_of[r->n_drafts] > most) {
            most = r->row->drafts->odds_of[r->n_drafts];
            best = i;
        }
    }
    return best;
}

/* What is weighed: rows without drafts, the time that a token is worth, f. */
typedef struct zoo_draft_price {
    uint32_t n_rows, n_max;
    double token, factor;
} zoo_draft_price;

typedef struct zoo_draft_choice {
    uint32_t n;  /* drafts */
    double gain; /* of them to be expected right */
} zoo_draft_choice;

/* Sets n_drafts of the rows to what pays most. */
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
        gain += (double)r->row->drafts->odds_of[r->n_drafts++];
        picks[n++] = at;
        /* What turns out wrong is half read again where states are copied. */
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

/* Counts by what steps cost. */
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

/* Puts the drafts behind the row's tokens. */
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
    uint32_t of_model = count_of_model(s, n_prompt_rows, n_max);
    for (uint32_t i = 0; i < s->n_items; i++) {
        propose(s, &s->step_rows[i], of_model > 0);
    }
    if (of_model > 0) {
        ZOO_TRY(ask_model(s, of_model, err));
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

void zoo_schedule_paced(zoo_schedule *s, uint32_t n_rows, double seconds)
{
    double *pace = s->drafts_now ? &s->pace_drafted : &s->pace_plain;
    double seen = seconds / zoo_step_cost(&s->speculation->costs, n_rows);
    /* One step that something else held up says little. */
    seen = *pace > 0.0 && seen > 2.0 * *pace ? 2.0 * *pace : seen;
    *pace += (*pace > 0.0 ? 0.15 : 1.0) * (seen - *pace);
    s->n_drafted_steps = s->drafts_now ? s->n_drafted_steps + 1 : 0;
}

void zoo_schedule_judge(zoo_schedule *s, const zoo_step_row *step_row)
{
    zoo_row *row = step_row->row;
    uint32_t n_new = row->n_out - step_row->n_out;
    const int32_t *tokens = row->tokens + row->n_prompt + step_row->n_out;
    zoo_drafts_judge(row->drafts, tokens, n_new, &s->odds);
    if (step_row->n_drafts == 0) {
        return;
    }
    uint32_t n_right = 0;
    while (n_right < step_row->n_drafts && n_right < n_new &&
           tokens[n_right] == row->drafts->tokens[n_right]) {
        n_right++;
    }
    row->n_drafted += step_row->n_drafts;
    row->n_accepted += n_right;
    s->stats.n_drafted += step_row->n_drafts;
    s->stats.n_accepted += n_right;
    /* The last token is not read yet. */
    row->pos = zoo_engine_seq_rewind(s->engine, row->seq, row->n_prompt + row->n_out - 1);
    s->stats.n_reread += row->n_prompt + row->n_out - 1 - row->pos;
}
