/*
 * rank.c: the tokens that may follow in a state, sorted by how many more tokens the shortest way
 * after them takes; a mask for any number of tokens left then is a few bits to set or clear.
 *
 * Memory: 4 bytes a token, 8 a level, kept with the state and counted with its mask.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/vocab.h"

typedef struct entry {
    uint32_t steps, id;
} entry;

typedef struct list {
    entry *items;
    uint32_t n, steps_max;
} list;

static void add(zoo_grammar *g, list *l, uint32_t next, const uint32_t *ids, uint32_t n)
{
    uint32_t steps = next == ZOO_GSTATE_DEAD ? ZOO_GSTEPS_NONE : zoo_gsteps(g, next);
    if (steps == ZOO_GSTEPS_NONE) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        l->items[l->n++] = (entry){steps, ids[i]};
    }
    l->steps_max = steps > l->steps_max ? steps : l->steps_max;
}

static void gather(zoo_grammar *g, uint32_t at, list *l)
{
    const zoo_vocab *v = g->vocab;
    uint32_t id = ZOO_ID_NONE;
    for (uint32_t i = 0; i < ZOO_GSPECIALS_MAX; i++) {
        id = zoo_gstates_special(g->states, at, i);
        if (id == ZOO_ID_NONE) {
            break;
        }
        add(g, l, zoo_gstates_take(g->states, at, id), &id, 1);
    }
    g->path[0] = at;
    for (uint32_t i = 0; i < v->n_nodes;) {
        const zoo_gtrie *t = &v->nodes[i];
        uint32_t next = zoo_gstates_step(g->states, g->path[t->depth], t->byte);
        if (next == ZOO_GSTATE_DEAD) {
            i = t->skip;
            continue;
        }
        g->path[t->depth + 1] = next;
        if (t->n_ids) {
            add(g, l, next, v->ids + t->first, t->n_ids);
        }
        i++;
    }
}

/* ends [steps_max + 2], cleared: becomes the end of each level in the sorted list. */
static bool sort(const list *l, uint32_t *ends, zoo_gmask *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        ends[l->items[i].steps + 1]++;
    }
    for (uint32_t k = 0; k <= l->steps_max; k++) {
        n += ends[k + 1] > 0;
        ends[k + 1] += ends[k];
    }
    m->ids = zoo_mem_array((size_t)l->n + 1, sizeof *m->ids);
    m->levels = zoo_mem_array((size_t)n + 1, sizeof *m->levels);
    if (!m->ids || !m->levels) {
        return false;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        m->ids[ends[l->items[i].steps]++] = l->items[i].id;
    }
    m->n_levels = 0;
    for (uint32_t k = 0; k <= l->steps_max; k++) {
        if (ends[k] > (k ? ends[k - 1] : 0)) {
            m->levels[m->n_levels++] = (zoo_glevel){k, ends[k]};
        }
    }
    return true;
}

zoo_gmask *zoo_grank(zoo_grammar *g, uint32_t state)
{
    zoo_gmask *m = zoo_gmask_of(g, state);
    if (!m || m->ids) {
        return m;
    }
    list l = {zoo_mem_array((size_t)g->vocab->n_ids + ZOO_GSPECIALS_MAX, sizeof *l.items), 0, 0};
    uint32_t *ends = NULL;
    if (l.items) {
        gather(g, state, &l);
        m = zoo_gmask_of(g, state);
        ends = zoo_mem_array((size_t)l.steps_max + 2, sizeof *ends);
    }
    bool ok = m && ends && sort(&l, ends, m);
    if (m && !ok) {
        zoo_mem_free(m->ids);
        zoo_mem_free(m->levels);
        m->ids = NULL;
        m->levels = NULL;
    }
    if (ok) {
        g->mask_bytes += l.n * sizeof *m->ids + m->n_levels * sizeof *m->levels;
    }
    zoo_mem_free(ends);
    zoo_mem_free(l.items);
    return ok ? m : NULL;
}

void zoo_grank_mask(const zoo_vocab *v, const zoo_gmask *m, uint32_t within, bool must_go,
                    uint32_t *bits)
{
    uint32_t n_levels = 0, n = m->n_levels ? m->levels[m->n_levels - 1].end : 0;
    while (n_levels < m->n_levels && m->levels[n_levels].steps <= within) {
        n_levels++;
    }
    n_levels += !n_levels && m->n_levels && must_go;
    uint32_t end = n_levels ? m->levels[n_levels - 1].end : 0;
    if (end < n - end) {
        memset(bits, 0, v->n_words * sizeof *bits);
        for (uint32_t i = 0; i < end; i++) {
            zoo_gmask_allow(bits, m->ids[i]);
        }
        return;
    }
    memcpy(bits, m->bits, v->n_words * sizeof *bits);
    for (uint32_t i = end; i < n; i++) {
        bits[m->ids[i] / 32] &= ~(1u << (m->ids[i] % 32));
    }
}
