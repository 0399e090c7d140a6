/* schedule_keep.c: what is kept of rows that end, and found again (schedule.h, kept.h). */
#include "generate/schedule_private.h"

enum {
    KEPT_MIN = 16, /* positions that are worth an entry */
    RUNGS = 8,     /* of the ladder of a prompt */
    RUNG_MIN = 128 /* positions between two */
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

static bool is_kept_on_the_way(const zoo_schedule *s, const zoo_row *row)
{
    return s->kept_share > 0 && s->grain == 0 && row->shares && row->n_prompt >= KEPT_MIN;
}

/* A power of two, so that prompts that begin alike have rungs in common. */
static uint32_t rung_of(const zoo_row *row)
{
    uint32_t rung = RUNG_MIN;
    while (rung < row->n_prompt / RUNGS) {
        rung *= 2;
    }
    return rung;
}

uint32_t zoo_schedule_next_kept(const zoo_schedule *s, const zoo_row *row)
{
    uint32_t next;
    if (!is_kept_on_the_way(s, row) || row->pos >= row->n_prompt) {
        return UINT32_MAX;
    }
    next = row->pos / rung_of(row) * rung_of(row) + rung_of(row);
    next = next < row->n_prompt ? next : row->n_prompt;
    for (uint32_t i = 0; i < row->n_marks; i++) {
        if (row->marks[i] > row->pos && row->marks[i] < next) {
            next = row->marks[i];
        }
    }
    return next;
}

/* Whether the row stands where others may part from it; *is_rung: it is only a rung of the
 * ladder. */
static bool is_due(const zoo_schedule *s, const zoo_row *row, bool *is_rung)
{
    bool is_mark = row->pos == row->n_prompt;
    if (!is_kept_on_the_way(s, row) || row->pos > row->n_prompt) {
        return false;
    }
    for (uint32_t i = 0; i < row->n_marks; i++) {
        is_mark |= row->marks[i] == row->pos;
    }
    *is_rung = !is_mark;
    return is_mark || row->pos % rung_of(row) == 0;
}

/* Asks the engine, giving up older entries; a rung only takes the place of rungs. */
static bool take(zoo_schedule *s, const zoo_row *row, bool is_rung, uint32_t *prefix)
{
    zoo_error ignored;
    while (zoo_engine_prefix_keep(s->engine, row->seq, row->pos, prefix, &ignored) != ZOO_OK) {
        const zoo_kept_entry *oldest = zoo_kept_oldest(&s->kept);
        if (!oldest || (is_rung && oldest->used > 0)) {
            return false;
        }
        (void)zoo_schedule_drop_oldest(s);
    }
    return true;
}

void zoo_schedule_keep_row(zoo_schedule *s, const zoo_row *row, bool has_ended)
{
    bool is_rung = false;
    uint32_t prefix, common;
    if (s->kept_share <= 0 || !row->shares || row->pos < KEPT_MIN ||
        (row->finish == ZOO_FINISH_FAILED && row->error.code != ZOO_E_CANCELLED) ||
        !(has_ended || is_due(s, row, &is_rung))) {
        return;
    }
    /* What an entry covers needs no second one; it was used now. */
    (void)zoo_kept_find(&s->kept, row->tokens, row->pos, s->grain, &common);
    if (common == row->pos || !take(s, row, is_rung, &prefix)) {
        return;
    }
    zoo_kept_entry *shorter =
        s->grain > 0 ? zoo_kept_outdone(&s->kept, row->tokens, row->pos) : NULL;
    if (shorter) {
        zoo_engine_prefix_drop(s->engine, zoo_kept_remove(&s->kept, shorter));
    }
    if (!zoo_kept_add(&s->kept, row->tokens, row->pos, prefix, is_rung)) {
        zoo_engine_prefix_drop(s->engine, prefix);
        return;
    }
    keep_within_share(s);
}
