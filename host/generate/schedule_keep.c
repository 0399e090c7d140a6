/* schedule_keep.c: keeps the caches of ended rows and finds them for new rows (schedule.h, kept.h).
 */
#include "generate/schedule_private.h"

enum {
    KEPT_MIN = 16,      /* tokens of an entry at least */
    CHECKPOINTS = 8,    /* copies at regular intervals of a prompt at most */
    INTERVAL_MIN = 128, /* tokens between two */
};

void zoo_schedule_keep(zoo_schedule *s, double share)
{
    s->kept_share = share;
    s->grain = zoo_engine_prefix_grain(s->engine);
}

static void keep_within_share(zoo_schedule *s)
{
    while (s->kept.n > 1 && zoo_engine_cache_fill(s->engine) > s->kept_share) {
        (void)zoo_schedule_drop_oldest(s);
    }
}

void zoo_schedule_load(zoo_schedule *s, zoo_kept_file *file)
{
    zoo_kept_load(file, s->engine, &s->kept);
    keep_within_share(s);
}

void zoo_schedule_save(zoo_schedule *s, zoo_kept_file *file)
{
    zoo_kept_save(file, s->engine, &s->kept);
}

zoo_kept_entry *zoo_schedule_find_kept(zoo_schedule *s, const zoo_row *row, uint32_t *common)
{
    *common = 0;
    if (!row->shares || s->kept.n == 0) {
        return NULL;
    }
    /* The logits of a prompt's last token are needed. */
    return zoo_kept_find(&s->kept, row->prompt, row->n_prompt - 1, s->grain, common);
}

bool zoo_schedule_drop_oldest(zoo_schedule *s)
{
    zoo_kept_entry *oldest = zoo_kept_oldest(&s->kept);
    if (oldest) {
        zoo_engine_prefix_drop(s->engine, zoo_kept_remove(&s->kept, oldest));
    }
    return oldest != NULL;
}

/* Whether copies are taken while the prompt is run: only if a row cannot start inside an entry. */
static bool has_checkpoints(const zoo_schedule *s, const zoo_row *row)
{
    return s->kept_share > 0 && s->grain == 0 && row->shares && row->n_prompt >= KEPT_MIN;
}

/* A power of two, so that prompts of different lengths have copies at the same positions. */
static uint32_t checkpoint_interval(const zoo_row *row)
{
    uint32_t interval = INTERVAL_MIN;
    while (interval < row->n_prompt / CHECKPOINTS) {
        interval *= 2;
    }
    return interval;
}

uint32_t zoo_schedule_next_kept(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t next;
    if (!has_checkpoints(s, row) || row->pos >= row->n_prompt) {
        return UINT32_MAX;
    }
    next =
        row->pos / checkpoint_interval(row) * checkpoint_interval(row) + checkpoint_interval(row);
    next = next < row->n_prompt ? next : row->n_prompt;
    for (uint32_t i = 0; i < row->n_marks; i++) {
        if (row->marks[i] > row->pos && row->marks[i] < next) {
            next = row->marks[i];
        }
    }
    return next;
}

/* Whether a copy is to be kept at the row's position; *is_checkpoint: only because of the
 * interval. */
static bool is_due(const zoo_schedule *s, const zoo_row *row, bool *is_checkpoint)
{
    bool is_mark = row->pos == row->n_prompt;
    if (is_mark && s->plan->reuse_generated_max) {
        return true;
    }
    if (!has_checkpoints(s, row) || row->pos > row->n_prompt) {
        return false;
    }
    for (uint32_t i = 0; i < row->n_marks; i++) {
        is_mark |= row->marks[i] == row->pos;
    }
    *is_checkpoint = !is_mark;
    return is_mark || row->pos % checkpoint_interval(row) == 0;
}

/* Whether the row's tokens would be computed in the same way as a prompt. */
static bool is_reusable(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t n_generated = row->pos > row->n_prompt ? row->pos - row->n_prompt : 0;
    return !s->plan->reuse_generated_max || n_generated <= s->plan->reuse_generated_max;
}

/* Keeps the row's prefix, dropping older entries for it; a checkpoint displaces only
 * checkpoints. */
static bool take(zoo_schedule *s, const zoo_row *row, bool is_checkpoint, uint32_t *prefix)
{
    zoo_error ignored;
    while (zoo_engine_prefix_keep(s->engine, row->seq, row->pos, prefix, &ignored) != ZOO_OK) {
        const zoo_kept_entry *oldest = zoo_kept_oldest(&s->kept);
        if (!oldest || (is_checkpoint && oldest->used > 0)) {
            return false;
        }
        (void)zoo_schedule_drop_oldest(s);
    }
    return true;
}

void zoo_schedule_keep_row(zoo_schedule *s, const zoo_row *row, bool has_ended)
{
    bool is_checkpoint = false;
    uint32_t prefix, common;
    if (s->kept_share <= 0 || !row->shares || row->pos < KEPT_MIN ||
        (row->finish == ZOO_FINISH_FAILED && row->error.code != ZOO_E_CANCELLED) ||
        !((has_ended && is_reusable(s, row)) || is_due(s, row, &is_checkpoint))) {
        return;
    }
    /* An entry that covers the row is only marked as used. */
    (void)zoo_kept_find(&s->kept, row->tokens, row->pos, s->grain, &common);
    if (common == row->pos || !take(s, row, is_checkpoint, &prefix)) {
        return;
    }
    zoo_kept_entry *shorter =
        s->grain > 0 ? zoo_kept_shorter(&s->kept, row->tokens, row->pos) : NULL;
    if (shorter) {
        zoo_engine_prefix_drop(s->engine, zoo_kept_remove(&s->kept, shorter));
    }
    if (!zoo_kept_add(&s->kept, row->tokens, row->pos, prefix, is_checkpoint)) {
        zoo_engine_prefix_drop(s->engine, prefix);
        return;
    }
    keep_within_share(s);
}
