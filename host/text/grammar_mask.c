/*
 * grammar_mask.c: the vocabulary as a trie, masks of states, and a sequence's walk through them.
 *
 * The trie lies in one array in the order of a walk, each node with the place behind its subtree;
 * so a mask is one pass with a stack of states, leaping over what a dead byte cuts off. A mask is
 * kept with its state; the states of a grammar are dropped when they grow too many, and a sequence
 * then walks its own bytes again.
 */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text/grammar_parts.h"

#define STATES_MAX     20000u
#define MASK_BYTES_MAX ((size_t)128 << 20)

typedef struct trie_node {
    uint32_t skip;         /* behind the subtree */
    uint32_t first, n_ids; /* tokens that end here, in ids */
    uint16_t depth;        /* bytes before this one */
    uint8_t byte;
} trie_node;

struct zoo_vocab {
    const zoo_tokenizer *tokenizer;
    trie_node *nodes;
    uint32_t n_nodes;
    uint32_t *ids;
    uint32_t n_ids;
    uint32_t depth_max;
    uint32_t *ends;
    size_t n_ends;
    size_t n_words;
};

typedef struct mask {
    uint32_t *bits;        /* null: not made */
    uint32_t distance_max; /* over the tokens it allows */
} mask;

struct zoo_grammar {
    const zoo_vocab *vocab;
    zoo_gcode code;
    pthread_mutex_t lock; /* of all below */
    zoo_gstates *states;
    mask *masks; /* by state */
    uint32_t n_masks;
    size_t mask_bytes;
    uint64_t epoch; /* of the numbers of states */
    uint32_t *path; /* [depth_max + 1] states on the way down the trie */
};

struct zoo_grammar_state {
    zoo_grammar *grammar;
    uint32_t at;
    uint64_t epoch;
    bool has_ended, is_complete;
    char *bytes; /* accepted so far */
    size_t n, capacity;
};

/* ---- the vocabulary ---- */

typedef struct token {
    const char *s;
    size_t n;
    uint32_t id;
} token;

static int by_bytes(const void *a, const void *b)
{
    const token *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = memcmp(x->s, y->s, n);
    if (order) {
        return order;
    }
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

static bool is_end(const zoo_vocab *v, uint32_t id)
{
    for (size_t i = 0; i < v->n_ends; i++) {
        if (v->ends[i] == id) {
            return true;
        }
    }
    return false;
}

static size_t gather(const zoo_vocab *v, token *tokens, size_t *n_bytes)
{
    uint32_t size = zoo_tokenizer_size(v->tokenizer);
    size_t n = 0;
    *n_bytes = 0;
    for (uint32_t id = 0; id < size; id++) {
        size_t len = 0;
        const char *s = zoo_tokenizer_bytes(v->tokenizer, id, &len);
        bool usable = s && len && len < UINT16_MAX && !is_end(v, id) &&
                      !zoo_tokenizer_is_special(v->tokenizer, id);
        if (usable) {
            tokens[n++] = (token){s, len, id};
            *n_bytes += len;
        }
    }
    qsort(tokens, n, sizeof *tokens, by_bytes);
    return n;
}

static size_t common(const token *a, const token *b)
{
    size_t n = 0;
    while (n < a->n && n < b->n && a->s[n] == b->s[n]) {
        n++;
    }
    return n;
}

/* open[d]: the node of depth d on the way to the last token. */
static void add_tokens(zoo_vocab *v, const token *tokens, size_t n, uint32_t *open)
{
    size_t n_open = 0;
    for (size_t i = 0; i < n; i++) {
        size_t shared = i ? common(&tokens[i - 1], &tokens[i]) : 0;
        while (n_open > shared) {
            v->nodes[open[--n_open]].skip = v->n_nodes;
        }
        while (n_open < tokens[i].n) {
            v->nodes[v->n_nodes] = (trie_node){
                .first = v->n_ids, .depth = (uint16_t)n_open, .byte = (uint8_t)tokens[i].s[n_open]};
            open[n_open++] = v->n_nodes++;
        }
        v->nodes[open[n_open - 1]].n_ids++;
        v->ids[v->n_ids++] = tokens[i].id;
        v->depth_max = tokens[i].n > v->depth_max ? (uint32_t)tokens[i].n : v->depth_max;
    }
    while (n_open > 0) {
        v->nodes[open[--n_open]].skip = v->n_nodes;
    }
}

static bool build_trie(zoo_vocab *v)
{
    uint32_t size = zoo_tokenizer_size(v->tokenizer);
    token *tokens = zoo_mem_array((size_t)size + 1, sizeof *tokens);
    uint32_t *open = zoo_mem_array(UINT16_MAX, sizeof *open);
    size_t n_bytes = 0;
    size_t n = tokens ? gather(v, tokens, &n_bytes) : 0;
    bool ok = tokens && open && n_bytes < UINT32_MAX / sizeof(trie_node);
    v->n_words = ((size_t)size + 31) / 32;
    if (ok) {
        v->nodes = zoo_mem_array(n_bytes + 1, sizeof *v->nodes);
        v->ids = zoo_mem_array(n + 1, sizeof *v->ids);
        ok = v->nodes && v->ids;
    }
    if (ok) {
        add_tokens(v, tokens, n, open);
        trie_node *fitted = zoo_mem_realloc(v->nodes, (v->n_nodes + 1) * sizeof *v->nodes);
        v->nodes = fitted ? fitted : v->nodes;
    }
    zoo_mem_free(tokens);
    zoo_mem_free(open);
    return ok;
}

zoo_status zoo_vocab_new(const zoo_tokenizer *tokenizer, const uint32_t *end_ids, size_t n_end_ids,
                         zoo_vocab **out, zoo_error *err)
{
    zoo_vocab *v = zoo_mem_array(1, sizeof *v);
    *out = NULL;
    if (v) {
        v->tokenizer = tokenizer;
        v->ends = zoo_mem_array(n_end_ids + 1, sizeof *v->ends);
    }
    if (!v || !v->ends) {
        zoo_vocab_free(v);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the tokens of a grammar");
    }
    for (size_t i = 0; i < n_end_ids; i++) {
        if (end_ids[i] < zoo_tokenizer_size(tokenizer)) {
            v->ends[v->n_ends++] = end_ids[i];
        }
    }
    if (!build_trie(v)) {
        zoo_vocab_free(v);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the tokens of a grammar");
    }
    *out = v;
    return ZOO_OK;
}

void zoo_vocab_free(zoo_vocab *v)
{
    if (v) {
        zoo_mem_free(v->nodes);
        zoo_mem_free(v->ids);
        zoo_mem_free(v->ends);
    }
    zoo_mem_free(v);
}

size_t zoo_vocab_mask_words(const zoo_vocab *vocab)
{
    return vocab->n_words;
}

/* ---- the grammar ---- */

zoo_status zoo_grammar_compile(const cJSON *schema, const zoo_vocab *vocab, zoo_grammar **out,
                               zoo_error *err)
{
    zoo_grammar *g = zoo_mem_array(1, sizeof *g);
    *out = NULL;
    if (!g || pthread_mutex_init(&g->lock, NULL) != 0) {
        zoo_mem_free(g);
        return zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
    }
    g->vocab = vocab;
    zoo_status status = zoo_gcode_build(schema, &g->code, err);
    if (status == ZOO_OK) {
        g->states = zoo_gstates_new(&g->code);
        g->path = zoo_mem_array((size_t)vocab->depth_max + 1, sizeof *g->path);
        if (!g->states || !g->path) {
            status = zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
        }
    }
    if (status != ZOO_OK) {
        zoo_grammar_free(g);
        return status;
    }
    *out = g;
    return ZOO_OK;
}

static void drop_masks(zoo_grammar *g)
{
    for (uint32_t i = 0; i < g->n_masks; i++) {
        zoo_mem_free(g->masks[i].bits);
        g->masks[i].bits = NULL;
    }
    g->mask_bytes = 0;
}

void zoo_grammar_free(zoo_grammar *g)
{
    if (!g) {
        return;
    }
    drop_masks(g);
    zoo_mem_free(g->masks);
    zoo_mem_free(g->path);
    zoo_gstates_free(g->states);
    zoo_gcode_free(&g->code);
    (void)pthread_mutex_destroy(&g->lock);
    zoo_mem_free(g);
}

static zoo_status no_memory(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "no memory for the states of a JSON schema");
}

/* New numbers when there are too many states; the mutex is held. */
static zoo_status renew(zoo_grammar *g, zoo_error *err)
{
    if (zoo_gstates_count(g->states) < STATES_MAX && !zoo_gstates_failed(g->states)) {
        return ZOO_OK;
    }
    zoo_gstates *fresh = zoo_gstates_new(&g->code);
    if (!fresh) {
        return no_memory(err);
    }
    drop_masks(g);
    zoo_gstates_free(g->states);
    g->states = fresh;
    g->epoch++;
    return ZOO_OK;
}

static uint32_t walk(zoo_gstates *states, uint32_t at, const char *s, size_t n)
{
    for (size_t i = 0; i < n && at != ZOO_GSTATE_DEAD; i++) {
        at = zoo_gstates_step(states, at, (uint8_t)s[i]);
    }
    return at;
}

/* The state's number in the numbers of today. */
static zoo_status refresh(zoo_grammar_state *s, zoo_error *err)
{
    zoo_grammar *g = s->grammar;
    ZOO_TRY(renew(g, err));
    if (s->epoch != g->epoch) {
        s->at = walk(g->states, ZOO_GSTATE_START, s->bytes, s->n);
        s->epoch = g->epoch;
        if (s->at == ZOO_GSTATE_DEAD) {
            return no_memory(err);
        }
    }
    return ZOO_OK;
}

/*
 * Fills bits with the tokens that may follow; of those only such from which the text can end within
 * `within` bytes. Gives the greatest distance that an allowed token leads to, and in *least the
 * smallest that any token does.
 */
static uint32_t fill(zoo_grammar *g, uint32_t at, uint32_t within, uint32_t *bits, uint32_t *least)
{
    const zoo_vocab *v = g->vocab;
    uint32_t distance_max = 0;
    *least = UINT32_MAX;
    memset(bits, 0, v->n_words * sizeof *bits);
    g->path[0] = at;
    for (uint32_t i = 0; i < v->n_nodes;) {
        const trie_node *t = &v->nodes[i];
        uint32_t next = zoo_gstates_step(g->states, g->path[t->depth], t->byte);
        if (next == ZOO_GSTATE_DEAD) {
            i = t->skip;
            continue;
        }
        g->path[t->depth + 1] = next;
        uint32_t distance = t->n_ids ? zoo_gstates_distance(g->states, next) : 0;
        *least = t->n_ids && distance < *least ? distance : *least;
        if (distance <= within) {
            for (uint32_t k = t->first; k < t->first + t->n_ids; k++) {
                bits[v->ids[k] / 32] |= 1u << (v->ids[k] % 32);
            }
            distance_max = distance > distance_max ? distance : distance_max;
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

/* Room in the list of masks for a state's number. */
static bool masks_room(zoo_grammar *g, uint32_t at)
{
    if (at < g->n_masks) {
        return true;
    }
    uint32_t n = at * 2 + 64;
    mask *grown = zoo_mem_realloc(g->masks, n * sizeof *grown);
    if (!grown) {
        return false;
    }
    memset(grown + g->n_masks, 0, (n - g->n_masks) * sizeof *grown);
    g->masks = grown;
    g->n_masks = n;
    return true;
}

static const mask *mask_of(zoo_grammar *g, uint32_t at)
{
    size_t bytes = g->vocab->n_words * sizeof(uint32_t);
    if (!masks_room(g, at)) {
        return NULL;
    }
    mask *m = &g->masks[at];
    if (m->bits) {
        return m;
    }
    if (g->mask_bytes + bytes > MASK_BYTES_MAX) {
        drop_masks(g);
    }
    m->bits = zoo_mem_alloc(bytes + 1);
    if (!m->bits) {
        return NULL;
    }
    uint32_t least = 0;
    m->distance_max = fill(g, at, UINT32_MAX, m->bits, &least);
    g->mask_bytes += bytes;
    return m;
}

static void allow_ends(const zoo_vocab *v, uint32_t *bits)
{
    for (size_t i = 0; i < v->n_ends; i++) {
        bits[v->ends[i] / 32] |= 1u << (v->ends[i] % 32);
    }
}

static zoo_status make_mask(zoo_grammar_state *s, uint32_t tokens_left, uint32_t *bits,
                            zoo_error *err)
{
    zoo_grammar *g = s->grammar;
    const zoo_vocab *v = g->vocab;
    ZOO_TRY(refresh(s, err));
    const mask *m = mask_of(g, s->at);
    if (!m || zoo_gstates_failed(g->states)) {
        return no_memory(err);
    }
    bool ends = zoo_gstates_accepts(g->states, s->at);
    memcpy(bits, m->bits, v->n_words * sizeof *bits);
    uint32_t within = tokens_left ? tokens_left - 1 : 0;
    if (m->distance_max > within) {
        uint32_t least = 0;
        (void)fill(g, s->at, within, bits, &least);
        /* A token may hold many bytes, so there may still be time: the shortest way out. */
        if (!ends && is_empty(v, bits)) {
            (void)fill(g, s->at, least, bits, &least);
        }
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
        status = zoo_fail(err, ZOO_E_UNSUPPORTED,
                          "no token of the vocabulary can continue the JSON at byte %zu", state->n);
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
        zoo_mem_free(state->bytes);
    }
    zoo_mem_free(state);
}

static bool remember(zoo_grammar_state *s, const char *bytes, size_t n)
{
    if (s->n + n > s->capacity) {
        size_t capacity = (s->n + n) * 2 + 64;
        char *grown = zoo_mem_realloc(s->bytes, capacity);
        if (!grown) {
            return false;
        }
        s->bytes = grown;
        s->capacity = capacity;
    }
    memcpy(s->bytes + s->n, bytes, n);
    s->n += n;
    return true;
}

static zoo_status take(zoo_grammar_state *s, uint32_t id, const char *bytes, size_t n,
                       zoo_error *err)
{
    ZOO_TRY(refresh(s, err));
    zoo_gstates *states = s->grammar->states;
    uint32_t next = walk(states, s->at, bytes, n);
    if (next == ZOO_GSTATE_DEAD) {
        return zoo_gstates_failed(states)
                   ? no_memory(err)
                   : zoo_fail(err, ZOO_E_USAGE, "token %u cannot follow in the JSON", id);
    }
    if (!remember(s, bytes, n)) {
        return no_memory(err);
    }
    s->at = next;
    s->is_complete = zoo_gstates_accepts(states, next);
    return ZOO_OK;
}

zoo_status zoo_grammar_accept(zoo_grammar_state *state, uint32_t id, zoo_error *err)
{
    zoo_grammar *g = state->grammar;
    size_t n = 0;
    if (is_end(g->vocab, id) && state->is_complete) {
        state->has_ended = true;
        return ZOO_OK;
    }
    const char *bytes = zoo_tokenizer_bytes(g->vocab->tokenizer, id, &n);
    bool usable = bytes && n && !state->has_ended && !is_end(g->vocab, id) &&
                  !zoo_tokenizer_is_special(g->vocab->tokenizer, id);
    if (!usable) {
        return zoo_fail(err, ZOO_E_USAGE, "token %u cannot follow in the JSON", id);
    }
    (void)pthread_mutex_lock(&g->lock);
    zoo_status status = take(state, id, bytes, n, err);
    (void)pthread_mutex_unlock(&g->lock);
    return status;
}

bool zoo_grammar_is_complete(const zoo_grammar_state *state)
{
    return state->is_complete;
}
