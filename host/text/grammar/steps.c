/*
 * steps.c: how many tokens suffice from a state to the end of a text.
 *
 * direct(s): over the texts of fewest bytes, the fewest tokens that spell one:
 *
 *   direct(s) = 0 where the text may end, else 1 + min direct(s'), s' after a token each of whose
 *   bytes comes one nearer to the end
 *
 * found from the end backwards, since s' is always nearer. A walk over the vocabulary stops after
 * VISITS_MAX nodes, so it is an upper bound that can always be met, not always the minimum. Where
 * bytes are missing in the vocabulary there may be no such text; then longer texts are searched,
 * breadth first by tokens, until one ends or reaches a state whose direct is known.
 *
 * Both depend on the state alone, never on what was asked before.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/vocab.h"

#define VISITS_MAX   4096u
#define DISTANCE_MAX 20000u
#define SEARCHED_MAX 512u

static bool push(zoo_grammar *g, uint32_t state)
{
    if (g->n_todo == g->todo_capacity) {
        uint32_t more = g->todo_capacity ? g->todo_capacity * 2 : 256;
        uint32_t *grown = zoo_mem_realloc(g->todo, more * sizeof *grown);
        if (!grown) {
            return false;
        }
        g->todo = grown;
        g->todo_capacity = more;
    }
    g->todo[g->n_todo++] = state;
    return true;
}

/* Joins what is after a token into best; a state that is not known yet goes on the list. */
static bool join(zoo_grammar *g, uint32_t next, uint32_t *best)
{
    zoo_gmask *m = zoo_gmask_of(g, next);
    if (!m) {
        return false;
    }
    if (!m->direct) {
        return push(g, next);
    }
    if (m->direct != ZOO_GSTEPS_NONE && m->direct < *best) {
        *best = m->direct;
    }
    return true;
}

/* best: 1 + direct of the nearest state one token on, of those that are known. */
static bool look(zoo_grammar *g, uint32_t at, uint32_t *best)
{
    const zoo_vocab *v = g->vocab;
    uint32_t far = zoo_gstates_distance(g->states, at), id = ZOO_ID_NONE, n_visits = 0;
    *best = ZOO_GSTEPS_NONE;
    g->way[0] = at;
    for (uint32_t i = 0; i < ZOO_GSPECIALS_MAX; i++) {
        id = zoo_gstates_special(g->states, at, i);
        if (id == ZOO_ID_NONE) {
            break;
        }
        uint32_t next = zoo_gstates_take(g->states, at, id);
        if (zoo_gstates_distance(g->states, next) < far && !join(g, next, best)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < v->n_nodes && n_visits < VISITS_MAX;) {
        const zoo_gtrie *t = &v->nodes[i];
        uint32_t next = zoo_gstates_step(g->states, g->way[t->depth], t->byte);
        if (zoo_gstates_distance(g->states, next) >= far - t->depth) {
            i = t->skip;
            continue;
        }
        g->way[t->depth + 1] = next;
        if (t->n_ids && !join(g, next, best)) {
            return false;
        }
        i++;
        n_visits++;
    }
    return zoo_gstates_spend(g->states, n_visits) && !zoo_gstates_failed(g->states);
}

/* Sets direct of a state and of all that it needs. */
static bool settle(zoo_grammar *g, uint32_t state)
{
    uint32_t base = g->n_todo;
    if (!push(g, state)) {
        return false;
    }
    while (g->n_todo > base) {
        uint32_t at = g->todo[g->n_todo - 1], n = g->n_todo, best = 0;
        zoo_gmask *m = zoo_gmask_of(g, at);
        if (!m) {
            return false;
        }
        if (m->direct) {
            g->n_todo--;
        } else if (zoo_gstates_accepts(g->states, at)) {
            m->direct = 1;
        } else if (zoo_gstates_distance(g->states, at) > DISTANCE_MAX) {
            m->direct = ZOO_GSTEPS_NONE;
        } else if (!look(g, at, &best)) {
            return false;
        } else if (g->n_todo == n) {
            zoo_gmask_of(g, at)->direct = best == ZOO_GSTEPS_NONE ? best : best + 1;
        }
    }
    return true;
}

/* ---- longer texts, for vocabularies without all bytes ---- */

typedef struct search {
    uint32_t *states; /* found, in the order of tokens */
    uint32_t n, capacity;
    uint32_t best; /* 1 + tokens of the shortest way found */
} search;

static bool found_before(const search *s, uint32_t state)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->states[i] == state) {
            return true;
        }
    }
    return false;
}

/* n: tokens to this state. */
static bool find(zoo_grammar *g, search *s, uint32_t state, uint32_t n)
{
    if (state == ZOO_GSTATE_DEAD || s->n == SEARCHED_MAX || found_before(s, state)) {
        return true;
    }
    if (s->n == s->capacity) {
        uint32_t more = s->capacity ? s->capacity * 2 : 256;
        uint32_t *grown = zoo_mem_realloc(s->states, more * sizeof *grown);
        if (!grown) {
            return false;
        }
        s->states = grown;
        s->capacity = more;
    }
    s->states[s->n++] = state;
    if (!settle(g, state)) {
        return false;
    }
    uint32_t direct = zoo_gmask_of(g, state)->direct;
    if (direct != ZOO_GSTEPS_NONE && n + direct < s->best) {
        s->best = n + direct;
    }
    return true;
}

/* The states one token after a state. */
static bool spread(zoo_grammar *g, search *s, uint32_t at, uint32_t n)
{
    const zoo_vocab *v = g->vocab;
    uint32_t *path = zoo_mem_array((size_t)v->depth_max + 1, sizeof *path), id = ZOO_ID_NONE;
    bool ok = path != NULL;
    for (uint32_t i = 0; ok && i < ZOO_GSPECIALS_MAX; i++) {
        id = zoo_gstates_special(g->states, at, i);
        if (id == ZOO_ID_NONE) {
            break;
        }
        ok = find(g, s, zoo_gstates_take(g->states, at, id), n);
    }
    for (uint32_t i = 0; ok && i < v->n_nodes;) {
        const zoo_gtrie *t = &v->nodes[i];
        uint32_t next = zoo_gstates_step(g->states, t->depth ? path[t->depth] : at, t->byte);
        path[t->depth + 1] = next;
        ok = !t->n_ids || find(g, s, next, n);
        i = next == ZOO_GSTATE_DEAD ? t->skip : i + 1;
    }
    zoo_mem_free(path);
    return ok && !zoo_gstates_failed(g->states);
}

static bool search_longer(zoo_grammar *g, uint32_t state, uint32_t *steps)
{
    search s = {.best = ZOO_GSTEPS_NONE};
    bool ok = find(g, &s, state, 0);
    uint32_t n_tokens = 0, level_end = s.n;
    for (uint32_t i = 0; ok && i < s.n; i++) {
        if (i == level_end) {
            level_end = s.n;
            n_tokens++;
        }
        /* One more token and at least one after it, or the end: no better way from here on. */
        if (s.best != ZOO_GSTEPS_NONE && n_tokens + 2 >= s.best) {
            break;
        }
        ok = spread(g, &s, s.states[i], n_tokens + 1);
    }
    zoo_mem_free(s.states);
    *steps = s.best;
    return ok;
}

uint32_t zoo_gsteps(zoo_grammar *g, uint32_t state)
{
    zoo_gmask *m = zoo_gmask_of(g, state);
    g->n_todo = 0;
    if (state == ZOO_GSTATE_DEAD || !m) {
        return ZOO_GSTEPS_NONE;
    }
    if (!m->steps) {
        if (!m->direct && !settle(g, state)) {
            return ZOO_GSTEPS_NONE;
        }
        uint32_t steps = zoo_gmask_of(g, state)->direct;
        if (steps == ZOO_GSTEPS_NONE && !g->vocab->is_whole && !search_longer(g, state, &steps)) {
            return ZOO_GSTEPS_NONE;
        }
        m = zoo_gmask_of(g, state);
        m->steps = steps;
    }
    return m->steps == ZOO_GSTEPS_NONE ? ZOO_GSTEPS_NONE : m->steps - 1;
}

zoo_gmask *zoo_gmask_of(zoo_grammar *g, uint32_t at)
{
    if (at >= g->n_masks) {
        uint32_t n = at * 2 + 64;
        zoo_gmask *grown = zoo_mem_realloc(g->masks, n * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        memset(grown + g->n_masks, 0, (n - g->n_masks) * sizeof *grown);
        g->masks = grown;
        g->n_masks = n;
    }
    return &g->masks[at];
}
