/* schedule_admit.c: which waiting row starts next, and from which kept prefix (schedule.h). */
#include <string.h>

#include "base/mem.h"
#include "generate/schedule_private.h"

/* How many rows should wait: enough to find common prefixes, few enough for linear scans. */
enum {
    WAITING_MAX = 256,
    WAITING_TOKENS_MAX = 1 << 22,
    TAIL_GAIN_MIN = 32 /* saved tokens that are worth the copy of a page */
};

void zoo_schedule_finish(zoo_schedule *s, zoo_row *row)
{
    zoo_row_settle(row);
    row->next = NULL;
    *(s->done_last ? &s->done_last->next : &s->done_first) = row;
    s->done_last = row;
}

bool zoo_schedule_wants_more(const zoo_schedule *s)
{
    return s->n_waiting < WAITING_MAX && s->waiting_tokens < WAITING_TOKENS_MAX;
}

/* Positions the row may need; its last token is never run. */
static uint32_t length_of(const zoo_row *row)
{
    return row->n_prompt + (row->n_new_max > 0 ? row->n_new_max - 1 : 0);
}

/* Whether the row may share pages: not if the encoding of positions depends on the length, nor if
 * logits of every prompt position are needed. */
static bool can_share(const zoo_schedule *s, const zoo_row *row)
{
    return row->n_prompt_top == ZOO_NO_LOGPROBS && !s->plan->reread_always &&
           (!s->plan->reread_after || length_of(row) <= s->plan->reread_after);
}

static bool reserve(zoo_schedule *s)
{
    uint32_t n = s->waiting_max ? s->waiting_max * 2 : WAITING_MAX;
    zoo_row **waiting;
    if (s->n_waiting < s->waiting_max) {
        return true;
    }
    waiting = zoo_mem_realloc(s->waiting, n * sizeof(zoo_row *));
    if (waiting) {
        s->waiting = waiting;
        s->waiting_max = n;
    }
    return waiting != NULL;
}

zoo_status zoo_schedule_add(zoo_schedule *s, zoo_row *row, zoo_error *err)
{
    zoo_status status =
        reserve(s) ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for a waiting row");
    row->chain = (zoo_prefix_chain){NULL, 0, 0};
    row->shares = can_share(s, row);
    if (status == ZOO_OK && row->shares) {
        status = zoo_prefixes_enter(&s->prefixes, row->prompt, row->n_prompt, &row->chain, err);
    }
    if (status != ZOO_OK) {
        zoo_row_settle(row);
        return status;
    }
    row->order = s->n_added++;
    s->waiting[s->n_waiting++] = row;
    s->waiting_tokens += row->n_prompt;
    return ZOO_OK;
}

/* The longest kept prefix of the row, or null; *blocked: a longer one is being computed. */
static zoo_prefix_node *best_kept(const zoo_row *row, bool *blocked)
{
    *blocked = false;
    for (uint32_t i = row->chain.n; i-- > 0;) {
        if (row->chain.nodes[i]->kept != ZOO_NONE) {
            return row->chain.nodes[i];
        }
        *blocked |= row->chain.nodes[i]->owner != NULL;
    }
    return NULL;
}

/* Whether a starts before b: rows with a kept prefix, then longer ones, then earlier ones. */
static bool goes_before(const zoo_row *a, bool a_reuses, const zoo_row *b, bool b_reuses)
{
    if (a_reuses != b_reuses) {
        return a_reuses;
    }
    if (length_of(a) != length_of(b)) {
        return length_of(a) > length_of(b);
    }
    return a->order < b->order;
}

void zoo_schedule_turns(zoo_schedule *s, uint32_t passes_max)
{
    s->passes_max = passes_max;
}

/* The last order that may start now: later rows would pass the first one too often. */
static uint64_t last_order(const zoo_schedule *s)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; s->passes_max > 0 && i < s->n_waiting; i++) {
        bool blocked;
        (void)best_kept(s->waiting[i], &blocked);
        if (!blocked && s->waiting[i]->order < first) {
            first = s->waiting[i]->order;
        }
    }
    return first < UINT64_MAX - s->passes_max ? first + s->passes_max : UINT64_MAX;
}

/* Index of the row to start, or n_waiting. */
static uint32_t pick(const zoo_schedule *s)
{
    uint32_t best = s->n_waiting;
    uint64_t last = last_order(s);
    bool best_reuses = false;
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        bool blocked;
        bool reuses = best_kept(s->waiting[i], &blocked) != NULL;
        blocked |= s->waiting[i]->order > last;
        if (!blocked && (best == s->n_waiting ||
                         goes_before(s->waiting[i], reuses, s->waiting[best], best_reuses))) {
            best = i;
            best_reuses = reuses;
        }
    }
    return best;
}

static void drop(zoo_schedule *s, zoo_prefix_node *node)
{
    zoo_engine_prefix_drop(s->engine, node->kept);
    zoo_prefixes_set_kept(&s->prefixes, node, ZOO_NONE);
}

void zoo_schedule_drop_kept(zoo_schedule *s)
{
    zoo_prefix_node *node;
    while (zoo_schedule_drop_oldest(s)) {
    }
    while ((node = zoo_prefixes_oldest(&s->prefixes, true)) != NULL) {
        drop(s, node);
    }
}

/* Opens the row's sequence from the longest kept prefix; *from_ended: that of an ended row. */
static zoo_status open_once(zoo_schedule *s, zoo_row *row, bool *from_ended, zoo_error *err)
{
    bool blocked;
    uint32_t common = 0;
    zoo_prefix_node *node = best_kept(row, &blocked);
    const zoo_kept_entry *entry = zoo_schedule_find_kept(s, row, &common);
    *from_ended = false;
    if (entry && (!node || common > node->length)) {
        row->pos = common;
        *from_ended = true;
        return zoo_engine_seq_open_shared(s->engine, entry->prefix, common, row->n_prompt,
                                          length_of(row), &row->seq, err);
    }
    if (!node) {
        row->pos = 0;
        return zoo_engine_seq_open(s->engine, row->n_prompt, length_of(row), &row->seq, err);
    }
    zoo_prefixes_touch(&s->prefixes, node);
    row->pos = node->length;
    return zoo_engine_seq_open_shared(s->engine, node->kept, node->length, row->n_prompt,
                                      length_of(row), &row->seq, err);
}

/* Opens the row, dropping kept prefixes to make room: first those that no row waits for; the others
 * only if no running row will free pages. */
static zoo_status open_row(zoo_schedule *s, zoo_row *row, zoo_error *err)
{
    bool from_ended;
    zoo_status status = open_once(s, row, &from_ended, err);
    while (status == ZOO_E_MEMORY) {
        if (!zoo_schedule_drop_oldest(s)) {
            zoo_prefix_node *node = zoo_prefixes_oldest(&s->prefixes, s->n_running > 0);
            if (!node) {
                return status;
            }
            drop(s, node);
        }
        status = open_once(s, row, &from_ended, err);
    }
    s->stats.n_resumed += status == ZOO_OK && from_ended;
    return status;
}

/* Tokens from `from` on that two prompts have in common within one block, without their last. */
static uint32_t count_common(const zoo_row *a, const zoo_row *b, uint32_t from)
{
    uint32_t end = (a->n_prompt < b->n_prompt ? a->n_prompt : b->n_prompt) - 1;
    uint32_t at = from;
    end = end - from < ZOO_PAGE ? end : from + ZOO_PAGE;
    while (at < end && a->prompt[at] == b->prompt[at]) {
        at++;
    }
    return at - from;
}

/* Length of the new tail that saves the most tokens: (rows that share it and no longer tail) times
 * (its tokens beyond the next shorter tail). n_rows [ZOO_PAGE]: number of rows by tokens in common;
 * has [ZOO_PAGE]: lengths of existing tails. 0: none saves TAIL_GAIN_MIN. */
static uint32_t best_tail(const uint32_t *n_rows, const bool *has)
{
    uint32_t best = 0, most = TAIL_GAIN_MIN;
    for (uint32_t begin = 0, end; begin < ZOO_PAGE; begin = end) {
        uint32_t rows = 0;
        for (end = begin + 1; end < ZOO_PAGE && !has[end];) {
            end++;
        }
        for (uint32_t n = end - 1; n > begin; n--) {
            rows += n_rows[n];
            if (rows * (n - begin) >= most) {
                most = rows * (n - begin) + 1;
                best = n;
            }
        }
    }
    return best;
}

/* Adds tails below `parent`, a node of the row, for waiting rows that diverge from the row's chain
 * before `next` (null: the chain's end). */
static void grow_tails(zoo_schedule *s, zoo_row *row, zoo_prefix_node *parent,
                       const zoo_prefix_node *next)
{
    const int32_t *tokens = row->prompt + parent->length;
    if ((uint64_t)s->n_waiting * (row->n_prompt - 1 - parent->length) < TAIL_GAIN_MIN) {
        return;
    }
    uint32_t n_rows[ZOO_PAGE + 1] = {0}, n;
    bool has[ZOO_PAGE] = {false};
    for (uint32_t i = 0; i < row->chain.n; i++) {
        const zoo_prefix_node *node = row->chain.nodes[i];
        if (node->parent == parent) {
            has[node->length - parent->length] = true;
        }
    }
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        const zoo_prefix_chain *chain = &s->waiting[i]->chain;
        if (zoo_prefix_passes(chain, parent) && !(next && zoo_prefix_passes(chain, next))) {
            n_rows[count_common(row, s->waiting[i], parent->length)]++;
        }
    }
    while ((n = best_tail(n_rows, has)) > 0) {
        zoo_prefix_node *tail = zoo_prefix_tail(parent, tokens, n);
        has[n] = true;
        if (!tail || !zoo_prefix_chain_add(&row->chain, tail)) {
            return;
        }
        for (uint32_t i = 0; i < s->n_waiting; i++) {
            zoo_row *other = s->waiting[i];
            if (zoo_prefix_passes(&other->chain, parent) &&
                count_common(row, other, parent->length) >= n) {
                (void)zoo_prefix_chain_add(&other->chain, tail);
            }
        }
    }
}

/* Adds tails below all nodes of the row after which other rows diverge. */
static void branch(zoo_schedule *s, zoo_row *row)
{
    zoo_prefix_node *next = NULL;
    for (uint32_t i = row->chain.n; i-- > 0;) {
        zoo_prefix_node *node = row->chain.nodes[i];
        if (node->parent) {
            continue;
        }
        if (node->length + ZOO_PAGE > row->pos && node->n_waiting > (next ? next->n_waiting : 1)) {
            grow_tails(s, row, node, next);
        }
        next = node;
    }
}

/* Makes the row the owner of every prefix that it will compute for waiting rows, and reduces its
 * chain to those. */
static void own_prefixes(zoo_schedule *s, zoo_row *row)
{
    zoo_prefix_node **nodes = row->chain.nodes;
    uint32_t n = row->chain.n, n_owned = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t after = i + 1 < n ? nodes[i + 1]->n_waiting : 1;
        bool diverges = nodes[i]->n_waiting > 1 && after < nodes[i]->n_waiting;
        if (diverges && nodes[i]->length > row->pos && nodes[i]->kept == ZOO_NONE &&
            !nodes[i]->owner) {
            nodes[i]->owner = row;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        zoo_prefix_node *node = nodes[i];
        bool owns = node->owner == row;
        zoo_prefixes_leave(&s->prefixes, node);
        if (owns) {
            nodes[n_owned++] = node;
        }
    }
    row->chain.n = n_owned;
}

static void remove_waiting(zoo_schedule *s, uint32_t index)
{
    s->waiting_tokens -= s->waiting[index]->n_prompt;
    s->waiting[index] = s->waiting[--s->n_waiting];
}

/* A row that needs no step at all: nothing to generate, nothing to score. */
static bool is_trivial(const zoo_row *row)
{
    return row->n_new_max == 0 && !zoo_row_scores(row);
}

/* Finishes a waiting row that never had a sequence. */
static void finish_waiting(zoo_schedule *s, uint32_t index, zoo_finish finish)
{
    zoo_row *row = s->waiting[index];
    remove_waiting(s, index);
    zoo_prefixes_leave_all(&s->prefixes, &row->chain);
    row->finish = finish;
    zoo_schedule_finish(s, row);
}

bool zoo_schedule_cancel_waiting(zoo_schedule *s, zoo_row *row)
{
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        if (s->waiting[i] == row) {
            (void)zoo_fail(&row->error, ZOO_E_CANCELLED, "cancelled before it ran");
            finish_waiting(s, i, ZOO_FINISH_FAILED);
            return true;
        }
    }
    return false;
}

/* Starts or fails one row; false: there is no room for it now. */
static bool start(zoo_schedule *s, uint32_t index)
{
    zoo_row *row = s->waiting[index];
    zoo_status status;
    if (is_trivial(row)) {
        status = zoo_row_begin(row, s->tokenizer, &row->error);
        finish_waiting(s, index, status == ZOO_OK ? ZOO_FINISH_LENGTH : ZOO_FINISH_FAILED);
        return true;
    }
    status = open_row(s, row, &row->error);
    if (status == ZOO_E_MEMORY && s->n_running > 0) {
        return false;
    }
    if (status == ZOO_OK) {
        status = zoo_row_begin(row, s->tokenizer, &row->error);
        if (status != ZOO_OK) {
            zoo_engine_seq_close(s->engine, row->seq);
        }
    }
    if (status != ZOO_OK) {
        finish_waiting(s, index, ZOO_FINISH_FAILED);
        return true;
    }
    remove_waiting(s, index);
    branch(s, row);
    own_prefixes(s, row);
    row->n_cached = row->pos;
    s->stats.n_shared += row->pos;
    row->is_running = true;
    s->running[s->n_running++] = row;
    return true;
}

void zoo_schedule_admit(zoo_schedule *s)
{
    while (s->n_running < s->limits->seqs_max && s->n_waiting > 0) {
        uint32_t index = pick(s);
        if (index == s->n_waiting || !start(s, index)) {
            return;
        }
    }
}
