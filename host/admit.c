/* admit.c: which waiting row starts next, and from which kept prefix (schedule.h). */
#include <string.h>

#include "mem.h"
#include "schedule_private.h"

/* Rows the owner should keep waiting: enough to see prefixes and lengths, few enough to scan. */
enum { WAITING_MAX = 256, WAITING_TOKENS_MAX = 1 << 22 };

bool zoo_schedule_wants_more(const zoo_schedule *s)
{
    return s->n_waiting < WAITING_MAX && s->waiting_tokens < WAITING_TOKENS_MAX;
}

/* Positions the row may need; its last token is never read. */
static uint32_t length_of(const zoo_row *row)
{
    return row->n_prompt + (row->n_new_max > 0 ? row->n_new_max - 1 : 0);
}

/* Whether the row may start from others' pages: not where positions change their meaning with the
 * length, nor where every position needs its logits. */
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
    uint32_t n_nodes = can_share(s, row) ? zoo_prefix_blocks(row->n_prompt) : 0;
    zoo_status status;
    row->nodes = zoo_mem_array(n_nodes, sizeof(zoo_prefix_node *));
    if (!row->nodes || !reserve(s)) {
        zoo_row_settle(row);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a waiting row");
    }
    status = n_nodes > 0
                 ? zoo_prefixes_enter(&s->prefixes, row->prompt, row->n_prompt, row->nodes, err)
                 : ZOO_OK;
    if (status != ZOO_OK) {
        zoo_row_settle(row);
        return status;
    }
    row->n_nodes = n_nodes;
    row->order = s->n_added++;
    s->waiting[s->n_waiting++] = row;
    s->waiting_tokens += row->n_prompt;
    return ZOO_OK;
}

/* The longest kept prefix of the row, or null; *blocked: a longer one is being computed. */
static zoo_prefix_node *best_kept(const zoo_row *row, bool *blocked)
{
    *blocked = false;
    for (uint32_t i = row->n_nodes; i-- > 0;) {
        if (row->nodes[i]->kept != ZOO_NONE) {
            return row->nodes[i];
        }
        *blocked |= row->nodes[i]->leader != NULL;
    }
    return NULL;
}

/* Whether a goes before b: more certain reuse, then more work, then the earlier line. */
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

/* Index of the row to start, or n_waiting. */
static uint32_t pick(const zoo_schedule *s)
{
    uint32_t best = s->n_waiting;
    bool best_reuses = false;
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        bool blocked;
        bool reuses = best_kept(s->waiting[i], &blocked) != NULL;
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

static zoo_status open_once(zoo_schedule *s, zoo_row *row, zoo_error *err)
{
    bool blocked;
    zoo_prefix_node *node = best_kept(row, &blocked);
    if (!node) {
        row->pos = 0;
        return zoo_engine_seq_open(s->engine, row->n_prompt, length_of(row), &row->seq, err);
    }
    zoo_prefixes_touch(&s->prefixes, node);
    row->pos = node->length;
    return zoo_engine_seq_open_shared(s->engine, node->kept, row->n_prompt, length_of(row),
                                      &row->seq, err);
}

/* Opens the row, giving up kept prefixes where that makes room: those nobody waits for, and all of
 * them when nothing else can make room. */
static zoo_status open_row(zoo_schedule *s, zoo_row *row, zoo_error *err)
{
    zoo_status status = open_once(s, row, err);
    while (status == ZOO_E_MEMORY) {
        zoo_prefix_node *node = zoo_prefixes_oldest(&s->prefixes, s->n_running > 0);
        if (!node) {
            return status;
        }
        drop(s, node);
        status = open_once(s, row, err);
    }
    return status;
}

/* Makes the row leader of every place where waiting rows part; row->nodes keeps only those. */
static void lead(zoo_schedule *s, zoo_row *row)
{
    zoo_prefix_node **nodes = row->nodes;
    uint32_t n = row->n_nodes, n_led = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t after = i + 1 < n ? nodes[i + 1]->n_waiting : 1;
        bool parts = nodes[i]->n_waiting > 1 && after < nodes[i]->n_waiting;
        if (parts && nodes[i]->length > row->pos && nodes[i]->kept == ZOO_NONE &&
            !nodes[i]->leader) {
            nodes[i]->leader = row;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        zoo_prefix_node *node = nodes[i];
        bool leads = node->leader == row;
        zoo_prefixes_leave(&s->prefixes, &node, 1);
        if (leads) {
            nodes[n_led++] = node;
        }
    }
    row->n_nodes = n_led;
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

/* Takes a row that never gets a sequence from the waiting ones to the finished. */
static void finish_waiting(zoo_schedule *s, uint32_t index, zoo_finish finish)
{
    zoo_row *row = s->waiting[index];
    remove_waiting(s, index);
    zoo_prefixes_leave(&s->prefixes, row->nodes, row->n_nodes);
    row->n_nodes = 0;
    row->finish = finish;
    zoo_schedule_finish(s, row);
}

/* Starts one row; false when there is no room for it now. */
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
    lead(s, row);
    row->n_cached = row->pos;
    s->stats.n_shared += row->pos;
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
