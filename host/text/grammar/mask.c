/*
 * mask.c: masks of states, and a sequence's walk through them.
 *
 * A mask is one pass over the trie of the vocabulary and is kept with its state; the states of a
 * grammar are dropped when they grow too many, and a sequence then walks its own tokens again.
 *
 * Where the tokens left may not suffice after every allowed token, only those stay after which
 * steps.c knows a short enough way to the end. So a text is completed in time whenever that is
 * possible at its beginning; otherwise the shortest way is followed as far as it goes.
 */
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "text/grammar/vocab.h"

#define STATES_MAX     20000u
#define MASK_BYTES_MAX ((size_t)48 << 20)
/* Work of a compile and of a mask; some tenths of a second at most. */
#define WORK_MAX UINT64_C(20000000)
/* What a compile may take of a row's memory. */
#define COMPILE_BYTES_MAX ((size_t)32 << 20)

struct zoo_grammar_state {
    zoo_grammar *grammar;
    uint32_t at;
    uint64_t epoch;
    bool has_ended, is_complete;
    uint32_t *ids; /* accepted so far */
    size_t n, capacity;
};

static zoo_status too_large(zoo_error *err)
{
    return zoo_fail(
        err, ZOO_E_LIMIT,
        "JSON schema: its automaton is too large (more than %llu steps for one mask, or "
        "too many places at once)",
        (unsigned long long)WORK_MAX);
}

/* The first state, and a way from it to the end: what cannot find one in time never will. */
static zoo_status begin_states(zoo_grammar *g, zoo_error *err)
{
    const zoo_vocab *vocab = g->vocab;
    g->states = zoo_gstates_new(&g->code);
    g->path = zoo_mem_array((size_t)vocab->depth_max + 1, sizeof *g->path);
    g->way = zoo_mem_array((size_t)vocab->depth_max + 1, sizeof *g->way);
    if (!g->states || !g->path || !g->way) {
        return zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
    }
    zoo_gstates_allow(g->states, WORK_MAX);
    uint32_t steps = zoo_gsteps(g, ZOO_GSTATE_START);
    if (zoo_gstates_too_large(g->states)) {
        return too_large(err);
    }
    if (zoo_gstates_failed(g->states)) {
        return zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
    }
    return !vocab->is_whole && steps == ZOO_GSTEPS_NONE
               ? zoo_fail(err, ZOO_E_UNSUPPORTED,
                          "JSON schema: the tokens of the vocabulary spell no text that fits it")
               : ZOO_OK;
}

static zoo_status compile(zoo_grammar *g, const zoo_grammar_want *want, zoo_error *err)
{
    zoo_budget *budget = zoo_budget_current();
    size_t before = budget ? budget->bytes_max : 0;
    if (budget && budget->bytes_max - budget->bytes > COMPILE_BYTES_MAX) {
        budget->bytes_max = budget->bytes + COMPILE_BYTES_MAX;
    }
    zoo_status status = zoo_gcode_build(want, g->vocab->tokenizer, &g->code, err);
    status = status == ZOO_OK ? begin_states(g, err) : status;
    if (budget && budget->bytes_max < before && budget->spent == ZOO_SPENT_BYTES) {
        budget->spent = ZOO_SPENT_NOTHING;
        status = zoo_fail(err, ZOO_E_LIMIT,
                          "JSON schema: it is too large: it needs more than %zu "
                          "MiB",
                          COMPILE_BYTES_MAX >> 20);
    }
    if (budget) {
        budget->bytes_max = before;
    }
    return status;
}

zoo_status zoo_grammar_compile(const zoo_grammar_want *want, const zoo_vocab *vocab,
                               zoo_grammar **out, zoo_error *err)
{
    zoo_grammar *g = zoo_mem_array(1, sizeof *g);
    *out = NULL;
    if (!g || pthread_mutex_init(&g->lock, NULL) != 0) {
        zoo_mem_free(g);
        return zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
    }
    g->vocab = vocab;
    atomic_init(&g->n_refs, 1);
    zoo_status status = compile(g, want, err);
    if (status != ZOO_OK) {
        zoo_grammar_free(g);
        return status;
    }
    *out = g;
    return ZOO_OK;
}

/* Adds the grammar's bytes to the vocabulary's count; whether it must drop its states. */
static bool count_bytes(zoo_grammar *g)
{
    zoo_vocab *v = (zoo_vocab *)(uintptr_t)g->vocab;
    size_t own = (g->states ? zoo_gstates_bytes(g->states) : 0) + g->mask_bytes +
                 g->n_masks * sizeof *g->masks;
    size_t all = atomic_fetch_add(&v->bytes, own - g->counted) + own - g->counted;
    g->counted = own;
    return v->bytes_max && all > v->bytes_max && own > v->bytes_max / 64;
}

static void drop_masks(zoo_grammar *g)
{
    for (uint32_t i = 0; i < g->n_masks; i++) {
        zoo_mem_free(g->masks[i].bits);
        zoo_mem_free(g->masks[i].ids);
        zoo_mem_free(g->masks[i].levels);
        g->masks[i].bits = g->masks[i].ids = NULL;
        g->masks[i].levels = NULL;
        g->masks[i].n_levels = 0;
    }
    g->mask_bytes = 0;
}

void zoo_grammar_free(zoo_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->n_refs, 1) > 1) {
        return;
    }
    drop_masks(g);
    zoo_mem_free(g->masks);
    atomic_fetch_sub(&((zoo_vocab *)(uintptr_t)g->vocab)->bytes, g->counted);
    zoo_mem_free(g->path);
    zoo_mem_free(g->way);
    zoo_mem_free(g->todo);
    zoo_gstates_free(g->states);
    zoo_gcode_free(&g->code);
    (void)pthread_mutex_destroy(&g->lock);
    zoo_mem_free(g);
}

static zoo_status no_memory(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "no memory for the states of a JSON schema");
}

/* Drops all states and numbers them afresh when there are too many; the mutex is held. */
static zoo_status renew(zoo_grammar *g, zoo_error *err)
{
    if (!count_bytes(g) && zoo_gstates_count(g->states) < STATES_MAX &&
        !zoo_gstates_failed(g->states)) {
        return ZOO_OK;
    }
    /* Numbers beyond the first ones are rare; their table goes with them. */
    if (g->n_masks > 1024) {
        drop_masks(g);
        zoo_mem_free(g->masks);
        g->masks = NULL;
        g->n_masks = 0;
    }
    zoo_gstates *fresh = zoo_gstates_new(&g->code);
    if (!fresh) {
        return no_memory(err);
    }
    drop_masks(g);
    if (g->masks) {
        memset(g->masks, 0, g->n_masks * sizeof *g->masks);
    }
    zoo_gstates_free(g->states);
    g->states = fresh;
    g->epoch++;
    return ZOO_OK;
}

static uint32_t walk(zoo_grammar *g, uint32_t at, uint32_t id)
{
    const zoo_tokenizer *t = g->vocab->tokenizer;
    size_t n = 0;
    if (zoo_tokenizer_is_special(t, id)) {
        return zoo_gstates_take(g->states, at, id);
    }
    const char *s = zoo_tokenizer_bytes(t, id, &n);
    for (size_t i = 0; i < n && at != ZOO_GSTATE_DEAD; i++) {
        at = zoo_gstates_step(g->states, at, (uint8_t)s[i]);
    }
    return n ? at : ZOO_GSTATE_DEAD;
}

/* The state's number after renew. */
static zoo_status refresh(zoo_grammar_state *s, zoo_error *err)
{
    zoo_grammar *g = s->grammar;
    ZOO_TRY(renew(g, err));
    if (s->epoch != g->epoch) {
        s->at = ZOO_GSTATE_START;
        for (size_t i = 0; i < s->n; i++) {
            s->at = walk(g, s->at, s->ids[i]);
        }
        s->epoch = g->epoch;
        if (s->at == ZOO_GSTATE_DEAD) {
            return no_memory(err);
        }
    }
    return ZOO_OK;
}

/* The mask of all tokens that may follow; gives the greatest distance after one. */
static uint32_t fill(zoo_grammar *g, uint32_t at, uint32_t *bits)
{
    const zoo_vocab *v = g->vocab;
    uint32_t id = ZOO_ID_NONE, distance_max = 0;
    memset(bits, 0, v->n_words * sizeof *bits);
    for (uint32_t i = 0; i < ZOO_GSPECIALS_MAX; i++) {
        id = zoo_gstates_special(g->states, at, i);
        if (id == ZOO_ID_NONE) {
            break;
        }
        uint32_t distance = zoo_gstates_distance(g->states, zoo_gstates_take(g->states, at, id));
        distance_max = distance > distance_max ? distance : distance_max;
        zoo_gmask_allow(bits, id);
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
            uint32_t distance = zoo_gstates_distance(g->states, next);
            distance_max = distance > distance_max ? distance : distance_max;
        }
        for (uint32_t k = t->first; k < t->first + t->n_ids; k++) {
            zoo_gmask_allow(bits, v->ids[k]);
        }
        i++;
    }
    return distance_max;
}

static bool is_empty(const zoo_vocab *v, const uint32_t *bits)
{
    for (size_t i = 0; i < v->n_words; i++) {
        if (bits[i]) {
            return false;
        }
    }
    return true;
}

/* A state's mask without regard to the tokens left; without all bytes only of tokens after which
 * there is a way to the end. */
static zoo_gmask *free_mask(zoo_grammar *g, uint32_t at)
{
    const zoo_vocab *v = g->vocab;
    size_t bytes = v->n_words * sizeof(uint32_t);
    zoo_gmask *m = zoo_gmask_of(g, at);
    if (!m || m->bits) {
        return m;
    }
    if (g->mask_bytes + bytes > MASK_BYTES_MAX) {
        drop_masks(g);
    }
    uint32_t *bits = zoo_mem_alloc(bytes + 1);
    if (!bits) {
        return NULL;
    }
    uint32_t distance_max = fill(g, at, bits);
    m = v->is_whole ? zoo_gmask_of(g, at) : zoo_grank(g, at);
    if (!m) {
        zoo_mem_free(bits);
        return NULL;
    }
    m->bits = bits;
    m->distance_max = distance_max;
    g->mask_bytes += bytes;
    if (!v->is_whole) {
        memset(bits, 0, bytes);
        for (uint32_t i = 0; m->n_levels && i < m->levels[m->n_levels - 1].end; i++) {
            zoo_gmask_allow(bits, m->ids[i]);
        }
    }
    return m;
}

/* Whether some allowed token may lead to where `within` tokens are not known to suffice. */
static bool may_be_short(const zoo_grammar *g, const zoo_gmask *m, uint32_t within)
{
    if (m->ids) {
        return !m->n_levels || m->levels[m->n_levels - 1].steps > within;
    }
    return m->distance_max > within || !g->vocab->is_whole;
}

static void allow_ends(const zoo_vocab *v, uint32_t *bits)
{
    for (size_t i = 0; i < v->n_ends; i++) {
        zoo_gmask_allow(bits, v->ends[i]);
    }
}

static zoo_status make_mask(zoo_grammar_state *s, uint32_t tokens_left, uint32_t *bits,
                            zoo_error *err)
{
    zoo_grammar *g = s->grammar;
    const zoo_vocab *v = g->vocab;
    if (g->is_broken) {
        return too_large(err);
    }
    ZOO_TRY(refresh(s, err));
    zoo_gstates_allow(g->states, WORK_MAX);
    const zoo_gmask *m = free_mask(g, s->at);
    uint32_t within = tokens_left ? tokens_left - 1 : 0;
    bool ends = zoo_gstates_accepts(g->states, s->at);
    bool is_short = m && may_be_short(g, m, within);
    m = is_short ? zoo_grank(g, s->at) : m;
    if (zoo_gstates_too_large(g->states)) {
        g->is_broken = true;
        return too_large(err);
    }
    if (!m || zoo_gstates_failed(g->states)) {
        return no_memory(err);
    }
    if (is_short) {
        zoo_grank_mask(v, m, within, !ends, bits);
    } else {
        memcpy(bits, m->bits, v->n_words * sizeof *bits);
    }
    if (ends) {
        allow_ends(v, bits);
    }
    return ZOO_OK;
}

zoo_status zoo_grammar_mask(zoo_grammar_state *state, uint32_t tokens_left, uint32_t *bits,
                            zoo_error *err)
{
    zoo_grammar *g = state->grammar;
    zoo_status status = ZOO_OK;
    if (state->has_ended) {
        memset(bits, 0, g->vocab->n_words * sizeof *bits);
        allow_ends(g->vocab, bits);
    } else {
        (void)pthread_mutex_lock(&g->lock);
        status = make_mask(state, tokens_left, bits, err);
        (void)pthread_mutex_unlock(&g->lock);
    }
    if (status == ZOO_OK && is_empty(g->vocab, bits)) {
        status =
            zoo_fail(err, ZOO_E_UNSUPPORTED,
                     "no token of the vocabulary can continue the JSON at token %zu", state->n);
    }
    return status;
}

zoo_status zoo_grammar_begin(zoo_grammar *grammar, zoo_grammar_state **out, zoo_error *err)
{
    zoo_grammar_state *s = zoo_mem_array(1, sizeof *s);
    *out = s;
    if (!s) {
        return no_memory(err);
    }
    s->grammar = grammar;
    (void)pthread_mutex_lock(&grammar->lock);
    s->epoch = grammar->epoch;
    s->at = ZOO_GSTATE_START;
    s->is_complete = zoo_gstates_accepts(grammar->states, s->at);
    (void)pthread_mutex_unlock(&grammar->lock);
    return ZOO_OK;
}

void zoo_grammar_end(zoo_grammar_state *state)
{
    if (state) {
        zoo_mem_free(state->ids);
    }
    zoo_mem_free(state);
}

static bool remember(zoo_grammar_state *s, uint32_t id)
{
    if (s->n == s->capacity) {
        size_t capacity = s->n * 2 + 64;
        uint32_t *grown = zoo_mem_realloc(s->ids, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        s->ids = grown;
        s->capacity = capacity;
    }
    s->ids[s->n++] = id;
    return true;
}

static zoo_status take(zoo_grammar_state *s, uint32_t id, zoo_error *err)
{
    ZOO_TRY(refresh(s, err));
    zoo_gstates *states = s->grammar->states;
    zoo_gstates_allow(states, WORK_MAX);
    uint32_t next = walk(s->grammar, s->at, id);
    if (next == ZOO_GSTATE_DEAD) {
        return zoo_gstates_failed(states)
                   ? no_memory(err)
                   : zoo_fail(err, ZOO_E_USAGE, "token %u cannot follow in the JSON", id);
    }
    if (!remember(s, id)) {
        return no_memory(err);
    }
    s->at = next;
    s->is_complete = zoo_gstates_accepts(states, next);
    return ZOO_OK;
}

zoo_status zoo_grammar_accept(zoo_grammar_state *state, uint32_t id, zoo_error *err)
{
    zoo_grammar *g = state->grammar;
    bool is_end = zoo_vocab_is_end(g->vocab, id);
    if (is_end && state->is_complete) {
        state->has_ended = true;
        return ZOO_OK;
    }
    if (is_end || state->has_ended) {
        return zoo_fail(err, ZOO_E_USAGE, "token %u cannot follow in the JSON", id);
    }
    (void)pthread_mutex_lock(&g->lock);
    zoo_status status = take(state, id, err);
    (void)pthread_mutex_unlock(&g->lock);
    return status;
}

/* The only byte that may follow, or -1: several, none, or a special token or the end instead. */
static int only_byte(zoo_gstates *states, uint32_t at)
{
    int found = -1;
    if (zoo_gstates_accepts(states, at) || zoo_gstates_special(states, at, 0) != ZOO_ID_NONE) {
        return -1;
    }
    for (int byte = 0; byte < 256; byte++) {
        if (zoo_gstates_step(states, at, (uint8_t)byte) != ZOO_GSTATE_DEAD) {
            if (found >= 0) {
                return -1;
            }
            found = byte;
        }
    }
    return found;
}

/* The longest token that bytes [n] begin with; *length: its bytes. ZOO_ID_NONE: there is none. */
static uint32_t longest_token(const zoo_vocab *v, const uint8_t *bytes, size_t n, size_t *length)
{
    uint32_t best = ZOO_ID_NONE, end = v->n_nodes;
    for (uint32_t i = 0; i < end;) {
        const zoo_gtrie *t = &v->nodes[i];
        if (t->depth >= n || t->byte != bytes[t->depth]) {
            i = t->skip;
            continue;
        }
        end = t->skip;
        if (t->n_ids) {
            best = v->ids[t->first];
            *length = (size_t)t->depth + 1;
        }
        i++;
    }
    return best;
}

uint32_t zoo_grammar_guess(zoo_grammar_state *state, int32_t *out, uint32_t n_max)
{
    enum { BYTES_MAX = 96 };
    zoo_grammar *g = state->grammar;
    uint8_t bytes[BYTES_MAX];
    size_t n = 0, done = 0, length = 0;
    uint32_t n_out = 0;
    (void)pthread_mutex_lock(&g->lock);
    if (!state->has_ended && !g->is_broken && !g->is_guessed_out &&
        refresh(state, NULL) == ZOO_OK) {
        zoo_gstates_allow(g->states, WORK_MAX);
        uint32_t at = state->at;
        for (int byte; n < BYTES_MAX && (byte = only_byte(g->states, at)) >= 0;) {
            at = zoo_gstates_step(g->states, at, (uint8_t)byte);
            bytes[n++] = (uint8_t)byte;
        }
        g->is_guessed_out = zoo_gstates_failed(g->states);
    }
    (void)pthread_mutex_unlock(&g->lock);
    while (done < n && n_out < n_max) {
        uint32_t id = longest_token(g->vocab, bytes + done, n - done, &length);
        if (id == ZOO_ID_NONE) {
            break;
        }
        out[n_out++] = (int32_t)id;
        done += length;
    }
    return n_out;
}

bool zoo_grammar_is_complete(const zoo_grammar_state *state)
{
    return state->is_complete;
}
