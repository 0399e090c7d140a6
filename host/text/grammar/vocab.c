/*
 * vocab.c: the vocabulary as a trie.
 *
 * The trie lies in one array in the order of a walk, each node with the place after its subtree;
 * so a mask is one pass with a stack of states, leaping over what a dead byte cuts off.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/grammar/vocab.h"

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

bool zoo_vocab_is_end(const zoo_vocab *v, uint32_t id)
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
        bool usable = s && len && len < UINT16_MAX && !zoo_vocab_is_end(v, id) &&
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
            v->nodes[v->n_nodes] = (zoo_gtrie){
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

/* Whether each byte of printable ASCII, of line feeds and of UTF-8 is a token of its own. */
static bool has_all_bytes(const zoo_vocab *v)
{
    bool has[256] = {false};
    for (uint32_t i = 0; i < v->n_nodes; i = v->nodes[i].skip) {
        has[v->nodes[i].byte] = v->nodes[i].n_ids > 0;
    }
    for (int b = 0; b < 256; b++) {
        bool used = b == '\n' || (b >= 0x20 && b < 0x7F) || (b >= 0x80 && b < 0xF5);
        used = used && b != 0xC0 && b != 0xC1;
        if (used && !has[b]) {
            return false;
        }
    }
    return true;
}

static bool build_trie(zoo_vocab *v)
{
    uint32_t size = zoo_tokenizer_size(v->tokenizer);
    token *tokens = zoo_mem_array((size_t)size + 1, sizeof *tokens);
    uint32_t *open = zoo_mem_array(UINT16_MAX, sizeof *open);
    size_t n_bytes = 0;
    size_t n = tokens ? gather(v, tokens, &n_bytes) : 0;
    bool ok = tokens && open && n_bytes < UINT32_MAX / sizeof(zoo_gtrie);
    v->n_words = ((size_t)size + 31) / 32;
    if (ok) {
        v->nodes = zoo_mem_array(n_bytes + 1, sizeof *v->nodes);
        v->ids = zoo_mem_array(n + 1, sizeof *v->ids);
        ok = v->nodes && v->ids;
    }
    if (ok) {
        add_tokens(v, tokens, n, open);
        zoo_gtrie *fitted = zoo_mem_realloc(v->nodes, (v->n_nodes + 1) * sizeof *v->nodes);
        v->nodes = fitted ? fitted : v->nodes;
        v->is_whole = has_all_bytes(v);
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

void zoo_vocab_limit(zoo_vocab *v, size_t bytes_max)
{
    v->bytes_max = bytes_max;
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
