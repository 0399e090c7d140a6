/* ngrams.c: hash chains and the match of the end (ngrams.h). */
#include "generate/ngrams.h"

#include <string.h>

#include "base/mem.h"

/* HEADS_MAX bounds the memory of a long row; CANDIDATES earlier positions are compared. */
enum { HEADS_MIN = 256, HEADS_MAX = 1 << 16, CANDIDATES = 12 };

static const uint32_t orders[ZOO_NGRAM_ORDERS] = {2, 4};

zoo_status zoo_ngrams_init(zoo_ngrams *g, uint32_t n_max, zoo_error *err)
{
    bool ok = true;
    memset(g, 0, sizeof *g);
    g->n_max = n_max;
    g->n_heads = HEADS_MIN;
    while (g->n_heads < n_max && g->n_heads < HEADS_MAX) {
        g->n_heads *= 2;
    }
    for (uint32_t k = 0; k < ZOO_NGRAM_ORDERS; k++) {
        g->heads[k] = zoo_mem_array(g->n_heads, sizeof **g->heads);
        g->links[k] = zoo_mem_array(n_max, sizeof **g->links);
        ok = ok && g->heads[k] && g->links[k];
    }
    if (!ok) {
        zoo_ngrams_free(g);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to index %u tokens", n_max);
    }
    return ZOO_OK;
}

void zoo_ngrams_free(zoo_ngrams *g)
{
    for (uint32_t k = 0; k < ZOO_NGRAM_ORDERS; k++) {
        zoo_mem_free(g->heads[k]);
        zoo_mem_free(g->links[k]);
    }
    memset(g, 0, sizeof *g);
}

/* Hash of the n-gram that ends at `last`. */
static uint32_t head_of(const zoo_ngrams *g, const int32_t *tokens, uint32_t last, uint32_t order)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < order; i++) {
        h = (h ^ (uint32_t)tokens[last - i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return (uint32_t)h & (g->n_heads - 1);
}

static void add(zoo_ngrams *g, const int32_t *tokens)
{
    uint32_t last = g->n++;
    for (uint32_t k = 0; k < ZOO_NGRAM_ORDERS; k++) {
        if (g->n >= orders[k]) {
            uint32_t head = head_of(g, tokens, last, orders[k]);
            g->links[k][last] = g->heads[k][head];
            g->heads[k][head] = last + 1;
        }
    }
}

/* Length of the common suffix of tokens [a] and tokens [b], a < b. */
static uint32_t match_length(const int32_t *tokens, uint32_t a, uint32_t b)
{
    uint32_t n = 0;
    while (n < ZOO_MATCH_MAX && n < a && tokens[a - 1 - n] == tokens[b - 1 - n]) {
        n++;
    }
    return n;
}

static void look_up(zoo_ngrams *g, const int32_t *tokens)
{
    for (uint32_t k = ZOO_NGRAM_ORDERS; k-- > 0;) {
        uint32_t end = g->n >= orders[k] ? g->links[k][g->n - 1] : 0;
        for (uint32_t tries = 0; end && tries < CANDIDATES; tries++) {
            uint32_t n = match_length(tokens, end, g->n);
            if (n >= orders[k] && n > g->length) {
                g->length = n;
                g->next = end;
            }
            end = g->links[k][end - 1];
        }
        if (g->length) {
            return;
        }
    }
}

void zoo_ngrams_follow(zoo_ngrams *g, const int32_t *tokens, uint32_t n)
{
    bool grew = g->n < n;
    n = n < g->n_max ? n : g->n_max;
    while (g->n < n) {
        if (g->length && tokens[g->next] == tokens[g->n]) {
            g->next++;
            g->length += g->length < ZOO_MATCH_MAX;
        } else {
            g->length = 0;
        }
        add(g, tokens);
    }
    /* A long match that continues is kept; for a short one there may be a better one by now. */
    if (grew && g->n && g->length < ZOO_MATCH_MAX / 4) {
        look_up(g, tokens);
    }
}

uint32_t zoo_ngrams_guess(const zoo_ngrams *g, const int32_t *tokens, int32_t *out, uint32_t n_max)
{
    uint32_t period = g->n - g->next;
    if (g->length == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < n_max; i++) {
        out[i] = i < period ? tokens[g->next + i] : out[i - period];
    }
    return n_max;
}
