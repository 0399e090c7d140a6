/* draft_pool.c: the ring, its hash chains and the links between pieces (draft_pool.h). */
#include "generate/draft_pool.h"

#include "base/mem.h"
#include "generate/ngrams.h"

enum {
    ORDERS = 2,
    CONTEXT = 8,     /* tokens from before a piece that it repeats */
    CANDIDATES = 12, /* positions that are compared */
    END = -1,        /* end mark without a next piece; smaller numbers: a link (link_to) */
    TOKENS_MIN = 1 << 10,
    TOKENS_MAX = 1 << 22
};

static const uint32_t orders[ORDERS] = {3, 6};

/* A place is the number of tokens added before it, modulo 2^32; it is stored at place % n_ring. */
struct zoo_draft_pool {
    uint32_t n, n_ring; /* n_ring: a power of two */
    int32_t *tokens;
    uint32_t *heads[ORDERS]; /* [n_ring / 2] place after the last such n-gram; may be overwritten */
    uint32_t *links[ORDERS]; /* [n_ring] place after the n-gram before it */
};

zoo_draft_pool *zoo_draft_pool_new(size_t bytes)
{
    const size_t each = sizeof(int32_t) + ORDERS * (sizeof(uint32_t) + sizeof(uint32_t) / 2);
    zoo_draft_pool *p = bytes >= TOKENS_MIN * each ? zoo_mem_array(1, sizeof *p) : NULL;
    if (!p) {
        return NULL;
    }
    p->n_ring = TOKENS_MIN;
    while (p->n_ring < TOKENS_MAX && 2 * p->n_ring * each <= bytes) {
        p->n_ring *= 2;
    }
    p->tokens = zoo_mem_array(p->n_ring, sizeof *p->tokens);
    bool ok = p->tokens != NULL;
    for (uint32_t k = 0; k < ORDERS; k++) {
        p->heads[k] = zoo_mem_array(p->n_ring / 2, sizeof **p->heads);
        p->links[k] = zoo_mem_array(p->n_ring, sizeof **p->links);
        ok = ok && p->heads[k] && p->links[k];
    }
    if (!ok) {
        zoo_draft_pool_free(p);
        return NULL;
    }
    p->tokens[p->n++] = END; /* so that place 0 means none */
    return p;
}

void zoo_draft_pool_free(zoo_draft_pool *p)
{
    if (!p) {
        return;
    }
    for (uint32_t k = 0; k < ORDERS; k++) {
        zoo_mem_free(p->heads[k]);
        zoo_mem_free(p->links[k]);
    }
    zoo_mem_free(p->tokens);
    zoo_mem_free(p);
}

static int32_t *at(const zoo_draft_pool *p, uint32_t place)
{
    return &p->tokens[place & (p->n_ring - 1)];
}

/* Whether it has not been overwritten. */
static bool is_kept(const zoo_draft_pool *p, uint32_t place)
{
    return p->n - place - 1 < p->n_ring;
}

/* Hash of the n-gram last[-order + 1 .. 0]. */
static uint32_t head_of(const zoo_draft_pool *p, const int32_t *last, uint32_t order)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < order; i++) {
        h = (h ^ (uint32_t) * (last - i)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return (uint32_t)h & (p->n_ring / 2 - 1);
}

static void put(zoo_draft_pool *p, int32_t token)
{
    *at(p, p->n++) = token;
}

/* A link is stored as its distance below END. */
static int32_t link_to(uint32_t from, uint32_t to)
{
    return END - (int32_t)(to - from);
}

void zoo_draft_pool_add(zoo_draft_pool *p, zoo_pool_tail *tail, const int32_t *tokens,
                        uint32_t from, uint32_t n)
{
    uint32_t begin = from > CONTEXT ? from - CONTEXT : 0;
    /* Of a piece longer than half the ring only the end is added. */
    begin = n - begin < p->n_ring / 2 ? begin : n - p->n_ring / 2;
    from = from > begin ? from : begin;
    if (tail->end && is_kept(p, tail->end - 1) && p->n - tail->end < p->n_ring / 2) {
        *at(p, tail->end - 1) = link_to(tail->end - 1, p->n + (from - begin));
    }
    /* The n-gram before the first piece is hashed with it; before later pieces the link leads
     * on. */
    uint32_t hashed = tail->end ? from : from - (from > begin);
    for (uint32_t i = begin; i < n; i++) {
        put(p, tokens[i]);
        for (uint32_t k = 0; k < ORDERS; k++) {
            uint32_t place = p->n & (p->n_ring - 1);
            p->links[k][place] = 0;
            if (i + 1 >= begin + orders[k] && i >= hashed) {
                uint32_t *head = &p->heads[k][head_of(p, tokens + i, orders[k])];
                p->links[k][place] = *head;
                *head = p->n;
            }
        }
    }
    tail->n = n;
    put(p, END);
    tail->end = p->n;
}

/* Follows a link at *place, if there is one, and reads *token there; false: the end. */
static bool resolve(const zoo_draft_pool *p, uint32_t *place, int32_t *token)
{
    if (!is_kept(p, *place)) {
        return false;
    }
    *token = *at(p, *place);
    if (*token < END) {
        *place += (uint32_t)(END - *token);
        *token = is_kept(p, *place) ? *at(p, *place) : END;
    }
    return *token >= 0;
}

/* Length of the common suffix of the ring before `place` and tokens [n]. */
static uint32_t match_length(const zoo_draft_pool *p, uint32_t place, const int32_t *tokens,
                             uint32_t n)
{
    uint32_t same = 0;
    while (same < ZOO_MATCH_MAX && same < n && is_kept(p, place - 1 - same) &&
           *at(p, place - 1 - same) == tokens[n - 1 - same]) {
        same++;
    }
    return same;
}

static void look_up(const zoo_draft_pool *p, zoo_pool_match *m, const int32_t *tokens)
{
    m->length = 0;
    for (uint32_t k = ORDERS; k-- > 0 && m->length == 0;) {
        bool has = m->n >= orders[k];
        uint32_t place = has ? p->heads[k][head_of(p, tokens + m->n - 1, orders[k])] : 0;
        for (uint32_t tries = 0; place && is_kept(p, place) && tries < CANDIDATES; tries++) {
            uint32_t next = place, n = match_length(p, place, tokens, m->n);
            int32_t token;
            if (n >= orders[k] && n > m->length && resolve(p, &next, &token)) {
                m->length = n;
                m->next = next;
            }
            uint32_t before = p->links[k][place & (p->n_ring - 1)];
            place = before - place < UINT32_MAX / 2 ? 0 : before; /* later: an overwritten link */
        }
    }
}

void zoo_draft_pool_follow(const zoo_draft_pool *p, zoo_pool_match *m, const int32_t *tokens,
                           uint32_t n)
{
    bool grew = m->n < n;
    for (; m->n < n; m->n++) {
        int32_t token = END;
        if (m->length && resolve(p, &m->next, &token) && token == tokens[m->n]) {
            m->next++;
            m->length += m->length < ZOO_MATCH_MAX;
        } else {
            m->length = 0;
        }
    }
    /* A long match that continues is kept; for a short one there may be a better one by now. */
    if (grew && m->length < ZOO_MATCH_MAX / 4) {
        look_up(p, m, tokens);
    }
}

uint32_t zoo_draft_pool_guess(const zoo_draft_pool *p, const zoo_pool_match *m, int32_t *out,
                              uint32_t n_max)
{
    uint32_t n = 0, place = m->next;
    while (m->length && n < n_max && resolve(p, &place, &out[n])) {
        n++;
        place++;
    }
    return n;
}
