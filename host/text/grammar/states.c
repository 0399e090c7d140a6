/*
 * states.c: the pushdown automaton made deterministic, state by state, as texts need it.
 *
 * A configuration is a byte or token node and the frame to return to; a frame is a node and the
 * frame below, kept once each, so a frame's number is its stack. A state is a sorted set of
 * configurations, kept once each; its 256 followers are filled in when first asked for. Stacks are
 * bounded: nesting deeper than FRAMES_DEEP_MAX is not offered.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

#define FRAMES_DEEP_MAX 300u
#define CONFIGS_MAX     20000u
#define UNKNOWN         UINT32_MAX
#define FRAME_BOTTOM    0u

typedef struct frame {
    zoo_gnode node; /* where to go on */
    uint32_t below;
    uint32_t distance; /* from node to the end of the text */
    uint32_t depth;
} frame;

typedef struct config {
    zoo_gnode node;
    uint32_t frame;
} config;

typedef struct state {
    uint32_t first, n; /* in configs */
    uint32_t distance;
    bool accepts;
    uint32_t *next; /* [256], null until asked for */
} state;

/* Numbers + 1 by open addressing; 0 is an empty slot. */
typedef struct table {
    uint32_t *slots;
    uint32_t n, size;
} table;

struct zoo_gstates {
    const zoo_gcode *code;
    frame *frames;
    uint32_t n_frames, frame_capacity;
    config *configs;
    uint32_t n_configs, config_capacity;
    state *states;
    uint32_t n_states, state_capacity;
    table frame_table, state_table;
    /* The set being made. */
    config *work;
    uint32_t n_work, work_capacity;
    config *todo;
    uint32_t n_todo, todo_capacity;
    table seen;
    config *seen_items;
    uint32_t n_seen, seen_capacity;
    bool accepts, failed, too_large;
    uint64_t work_left;
    size_t bytes;
};

static bool grow(zoo_gstates *s, void **items, uint32_t n, uint32_t *capacity, size_t item_size)
{
    if (n < *capacity) {
        return true;
    }
    uint32_t more = *capacity ? *capacity * 2 : 64;
    void *grown = zoo_mem_realloc(*items, more * item_size);
    if (!grown || more > UINT32_MAX / 4) {
        s->failed = true;
        *items = grown ? grown : *items;
        return false;
    }
    s->bytes += (more - *capacity) * item_size;
    *items = grown;
    *capacity = more;
    return true;
}

bool zoo_gstates_spend(zoo_gstates *s, uint64_t work)
{
    if (work > s->work_left) {
        s->failed = s->too_large = true;
        return false;
    }
    s->work_left -= work;
    return true;
}

void zoo_gstates_allow(zoo_gstates *s, uint64_t work)
{
    s->work_left = work;
}

bool zoo_gstates_too_large(const zoo_gstates *s)
{
    return s->too_large;
}

size_t zoo_gstates_bytes(const zoo_gstates *s)
{
    return s->bytes;
}

static bool table_room(zoo_gstates *s, table *t, uint64_t (*hash_at)(const zoo_gstates *, uint32_t))
{
    if ((t->n + 1) * 2 <= t->size) {
        return true;
    }
    uint32_t size = t->size ? t->size * 2 : 256;
    uint32_t *slots = zoo_mem_array(size, sizeof *slots);
    if (!slots) {
        s->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < t->size; i++) {
        if (t->slots[i]) {
            uint32_t at = (uint32_t)hash_at(s, t->slots[i] - 1) & (size - 1);
            while (slots[at]) {
                at = (at + 1) & (size - 1);
            }
            slots[at] = t->slots[i];
        }
    }
    s->bytes += (size - t->size) * sizeof *slots;
    zoo_mem_free(t->slots);
    t->slots = slots;
    t->size = size;
    return true;
}

static uint64_t pair_hash(uint32_t a, uint32_t b)
{
    uint64_t h = ((uint64_t)a << 32 | b) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static uint64_t frame_hash(const zoo_gstates *s, uint32_t i)
{
    return pair_hash(s->frames[i].node, s->frames[i].below);
}

static uint64_t seen_hash(const zoo_gstates *s, uint32_t i)
{
    return pair_hash(s->seen_items[i].node, s->seen_items[i].frame);
}

static uint64_t set_hash(const config *c, uint32_t n, bool accepts)
{
    return XXH3_64bits_withSeed(c, n * sizeof *c, accepts);
}

static uint64_t state_hash(const zoo_gstates *s, uint32_t i)
{
    const state *st = &s->states[i];
    return set_hash(s->configs + st->first, st->n, st->accepts);
}

static uint32_t add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX / 2 || b > UINT32_MAX / 2 ? UINT32_MAX : a + b;
}

static uint32_t frame_of(zoo_gstates *s, zoo_gnode node, uint32_t below)
{
    if (!table_room(s, &s->frame_table, frame_hash)) {
        return FRAME_BOTTOM;
    }
    uint32_t mask = s->frame_table.size - 1;
    uint32_t at = (uint32_t)pair_hash(node, below) & mask;
    for (; s->frame_table.slots[at]; at = (at + 1) & mask) {
        const frame *f = &s->frames[s->frame_table.slots[at] - 1];
        if (f->node == node && f->below == below) {
            return s->frame_table.slots[at] - 1;
        }
    }
    if (!grow(s, (void **)&s->frames, s->n_frames, &s->frame_capacity, sizeof *s->frames)) {
        return FRAME_BOTTOM;
    }
    const frame *under = &s->frames[below];
    s->frames[s->n_frames] =
        (frame){.node = node,
                .below = below,
                .distance = add(s->code->nodes[node].distance, under->distance),
                .depth = under->depth + 1};
    s->frame_table.slots[at] = ++s->n_frames;
    s->frame_table.n++;
    return s->n_frames - 1;
}

/* Puts a configuration on the list of those to look at, once. */
static void push(zoo_gstates *s, zoo_gnode node, uint32_t frame_index)
{
    if (s->failed || !zoo_gstates_spend(s, 1) || !table_room(s, &s->seen, seen_hash)) {
        return;
    }
    uint32_t mask = s->seen.size - 1;
    uint32_t at = (uint32_t)pair_hash(node, frame_index) & mask;
    for (; s->seen.slots[at]; at = (at + 1) & mask) {
        const config *c = &s->seen_items[s->seen.slots[at] - 1];
        if (c->node == node && c->frame == frame_index) {
            return;
        }
    }
    if (!grow(s, (void **)&s->seen_items, s->n_seen, &s->seen_capacity, sizeof *s->seen_items) ||
        !grow(s, (void **)&s->todo, s->n_todo, &s->todo_capacity, sizeof *s->todo)) {
        return;
    }
    s->seen_items[s->n_seen] = (config){node, frame_index};
    s->seen.slots[at] = ++s->n_seen;
    s->seen.n++;
    s->todo[s->n_todo++] = (config){node, frame_index};
}

static void keep(zoo_gstates *s, config c)
{
    s->too_large = s->too_large || s->n_work >= CONFIGS_MAX;
    if (s->n_work >= CONFIGS_MAX ||
        !grow(s, (void **)&s->work, s->n_work, &s->work_capacity, sizeof *s->work)) {
        s->failed = true;
        return;
    }
    s->work[s->n_work++] = c;
}

/* Follows what needs no byte, until only byte and token nodes are left. */
static void close_set(zoo_gstates *s)
{
    while (s->n_todo && !s->failed) {
        config c = s->todo[--s->n_todo];
        const zoo_gentry *e = &s->code->nodes[c.node];
        const frame *f = &s->frames[c.frame];
        switch (e->kind) {
        case ZOO_G_BYTE:
        case ZOO_G_TOKEN:
            keep(s, c);
            break;
        case ZOO_G_SPLIT:
            push(s, e->next, c.frame);
            push(s, e->a, c.frame);
            break;
        case ZOO_G_CALL:
            /* A call that is the last thing of its rule needs no frame. */
            if (e->next == ZOO_GNODE_RETURN) {
                push(s, s->code->rules[e->a].start, c.frame);
            } else if (f->depth < FRAMES_DEEP_MAX) {
                push(s, s->code->rules[e->a].start, frame_of(s, e->next, c.frame));
            }
            break;
        default:
            if (c.frame == FRAME_BOTTOM) {
                s->accepts = true;
            } else {
                push(s, f->node, f->below);
            }
        }
    }
}

static int by_number(const void *a, const void *b)
{
    const config *x = a, *y = b;
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static void begin_set(zoo_gstates *s)
{
    s->n_work = s->n_todo = 0;
    s->accepts = false;
    for (uint32_t i = 0; i < s->n_seen && s->seen.size; i++) {
        uint32_t mask = s->seen.size - 1, at = (uint32_t)seen_hash(s, i) & mask;
        while (s->seen.slots[at] != i + 1) {
            at = (at + 1) & mask;
        }
        s->seen.slots[at] = 0;
    }
    s->n_seen = s->seen.n = 0;
}

static uint32_t set_distance(const zoo_gstates *s)
{
    uint32_t best = s->accepts ? 0 : UINT32_MAX;
    for (uint32_t i = 0; i < s->n_work; i++) {
        uint32_t d =
            add(s->code->nodes[s->work[i].node].distance, s->frames[s->work[i].frame].distance);
        best = d < best ? d : best;
    }
    return best;
}

static uint32_t add_state(zoo_gstates *s, uint32_t slot)
{
    if (!grow(s, (void **)&s->states, s->n_states, &s->state_capacity, sizeof *s->states)) {
        return ZOO_GSTATE_DEAD;
    }
    while (s->n_configs + s->n_work > s->config_capacity) {
        if (!grow(s, (void **)&s->configs, s->config_capacity, &s->config_capacity,
                  sizeof *s->configs)) {
            return ZOO_GSTATE_DEAD;
        }
    }
    memcpy(s->configs + s->n_configs, s->work, s->n_work * sizeof *s->work);
    s->states[s->n_states] = (state){
        .first = s->n_configs, .n = s->n_work, .distance = set_distance(s), .accepts = s->accepts};
    s->n_configs += s->n_work;
    s->state_table.slots[slot] = ++s->n_states;
    s->state_table.n++;
    return s->n_states - 1;
}

/* The number of the set that was made; a new one when there is none like it. */
static uint32_t end_set(zoo_gstates *s)
{
    close_set(s);
    if (s->failed || (!s->n_work && !s->accepts) || !table_room(s, &s->state_table, state_hash)) {
        return ZOO_GSTATE_DEAD;
    }
    if (s->n_work) {
        qsort(s->work, s->n_work, sizeof *s->work, by_number);
    }
    uint32_t mask = s->state_table.size - 1;
    uint32_t at = (uint32_t)set_hash(s->work, s->n_work, s->accepts) & mask;
    for (; s->state_table.slots[at]; at = (at + 1) & mask) {
        uint32_t i = s->state_table.slots[at] - 1;
        const state *st = &s->states[i];
        if (st->n == s->n_work && st->accepts == s->accepts &&
            memcmp(s->configs + st->first, s->work, s->n_work * sizeof *s->work) == 0) {
            return i;
        }
    }
    return add_state(s, at);
}

zoo_gstates *zoo_gstates_new(const zoo_gcode *code)
{
    zoo_gstates *s = zoo_mem_array(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->code = code;
    s->work_left = UINT64_MAX;
    bool ok = grow(s, (void **)&s->frames, 0, &s->frame_capacity, sizeof *s->frames) &&
              grow(s, (void **)&s->states, 0, &s->state_capacity, sizeof *s->states) &&
              grow(s, (void **)&s->work, 0, &s->work_capacity, sizeof *s->work) &&
              grow(s, (void **)&s->configs, 0, &s->config_capacity, sizeof *s->configs);
    if (!ok) {
        zoo_gstates_free(s);
        return NULL;
    }
    s->frames[0] = (frame){.node = ZOO_GNODE_RETURN};
    s->n_frames = 1;
    s->states[ZOO_GSTATE_DEAD] = (state){.distance = UINT32_MAX};
    s->n_states = 1;
    begin_set(s);
    push(s, code->rules[code->start].start, FRAME_BOTTOM);
    if (end_set(s) != ZOO_GSTATE_START) {
        zoo_gstates_free(s);
        return NULL;
    }
    return s;
}

void zoo_gstates_free(zoo_gstates *s)
{
    for (uint32_t i = 0; s && i < s->n_states; i++) {
        zoo_mem_free(s->states[i].next);
    }
    if (s) {
        zoo_mem_free(s->frames);
        zoo_mem_free(s->configs);
        zoo_mem_free(s->states);
        zoo_mem_free(s->work);
        zoo_mem_free(s->todo);
        zoo_mem_free(s->seen_items);
        zoo_mem_free(s->frame_table.slots);
        zoo_mem_free(s->state_table.slots);
        zoo_mem_free(s->seen.slots);
    }
    zoo_mem_free(s);
}

uint32_t zoo_gstates_step(zoo_gstates *s, uint32_t at, uint8_t byte)
{
    if (at == ZOO_GSTATE_DEAD) {
        return ZOO_GSTATE_DEAD;
    }
    if (!s->states[at].next) {
        uint32_t *next = zoo_mem_alloc(256 * sizeof *next);
        if (!next) {
            s->failed = true;
            return ZOO_GSTATE_DEAD;
        }
        memset(next, 0xFF, 256 * sizeof *next);
        s->bytes += 256 * sizeof *next;
        s->states[at].next = next;
    }
    uint32_t known = s->states[at].next[byte];
    if (known != UNKNOWN) {
        return known;
    }
    begin_set(s);
    for (uint32_t i = 0; i < s->states[at].n; i++) {
        config c = s->configs[s->states[at].first + i];
        const zoo_gentry *e = &s->code->nodes[c.node];
        if (e->kind == ZOO_G_BYTE && zoo_gclass_has(&s->code->classes[e->a], byte)) {
            push(s, e->next, c.frame);
        }
    }
    uint32_t out = end_set(s);
    if (!s->failed) {
        s->states[at].next[byte] = out;
    }
    return out;
}

uint32_t zoo_gstates_take(zoo_gstates *s, uint32_t at, uint32_t token)
{
    begin_set(s);
    for (uint32_t i = 0; i < s->states[at].n; i++) {
        config c = s->configs[s->states[at].first + i];
        const zoo_gentry *e = &s->code->nodes[c.node];
        if (e->kind == ZOO_G_TOKEN && e->a == token) {
            push(s, e->next, c.frame);
        }
    }
    return end_set(s);
}

uint32_t zoo_gstates_special(const zoo_gstates *s, uint32_t at, uint32_t index)
{
    for (uint32_t i = 0; i < s->states[at].n; i++) {
        const zoo_gentry *e = &s->code->nodes[s->configs[s->states[at].first + i].node];
        if (e->kind == ZOO_G_TOKEN && index-- == 0) {
            return e->a;
        }
    }
    return ZOO_ID_NONE;
}

bool zoo_gstates_failed(const zoo_gstates *s)
{
    return s->failed;
}

bool zoo_gstates_accepts(const zoo_gstates *s, uint32_t at)
{
    return s->states[at].accepts;
}

uint32_t zoo_gstates_distance(const zoo_gstates *s, uint32_t at)
{
    return s->states[at].distance;
}

uint32_t zoo_gstates_count(const zoo_gstates *s)
{
    return s->n_states;
}
