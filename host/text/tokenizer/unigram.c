/*
 * unigram.c: the unigram language model: the cut of a piece with the highest sum of scores.
 *
 *   best(0) = 0;  best(j) = max over tokens piece[i..j) of best(i) + score(token)
 *
 * A character that begins no token of one character also counts as an unknown one, ten below the
 * lowest score. Neighbouring unknowns become one; with byte tokens they become their bytes. The
 * trie bounds the work at text length times the longest token.
 *
 * Source: Kudo 2018; huggingface/tokenizers models/unigram (behaviour, order of ties).
 */
#include "text/tokenizer/tokenizer_private.h"

#include <float.h>
#include <stdlib.h>

#define EDGE(node, byte) (1ull << 63 | (uint64_t)(node) << 8 | (uint8_t)(byte))

typedef struct cell { /* the best way to end here */
    double score;
    uint32_t begin; /* where its last token begins; UINT32_MAX: not reached */
    uint32_t id;
} cell;

static void reach(cell *to, double score, size_t begin, uint32_t id)
{
    if (to->begin == UINT32_MAX || score > to->score) {
        *to = (cell){score, (uint32_t)begin, id};
    }
}

/* All tokens that begin at i; true when one of them is just the character. */
static bool reach_tokens(const tok_unigram *u, const char *p, size_t n, size_t i, cell *cells)
{
    uint32_t node = 0;
    size_t length = tok_utf8_length((uint8_t)p[i]);
    bool single = false;
    for (size_t k = i; k < n; k++) {
        const uint64_t *next = tok_map_find(&u->trie, EDGE(node, p[k]));
        if (!next) {
            break;
        }
        node = (uint32_t)*next;
        if (u->node_id[node]) {
            uint32_t id = u->node_id[node] - 1;
            double score = u->scores[id];
            if (u->forced && u->forced[id]) {
                score = (double)(k + 1 - i) * u->score_max - 0.1;
            }
            reach(&cells[k + 1], cells[i].score + score, i, id);
            single = single || k + 1 - i == length;
        }
    }
    return single;
}

static zoo_status push_unknown(tok_run *run, const char *p, size_t begin, size_t end, size_t *at)
{
    const tok_unigram *u = &run->t->model.unigram;
    uint32_t id = tok_vocab_find(&run->t->model.vocab, p + begin, end - begin);
    bool bytes = u->byte_fallback && id == ZOO_ID_NONE;
    id = id == ZOO_ID_NONE || (u->barred && u->barred[id]) ? u->unk : id;
    for (size_t i = begin; bytes && i < end; i++) {
        bytes = u->bytes[(uint8_t)p[i]] != ZOO_ID_NONE;
    }
    if (!bytes && id == ZOO_ID_NONE) {
        return tok_no_token(run->err);
    }
    for (size_t i = end; bytes && i > begin; i--) {
        if (!tok_ids_push(run->out, u->bytes[(uint8_t)p[i - 1]])) {
            return tok_no_memory(run->err);
        }
    }
    *at = begin;
    return bytes || tok_ids_push(run->out, id) ? ZOO_OK : tok_no_memory(run->err);
}

/* Whether the last token that ends here is an unknown one, spelled out or not. */
static bool is_unknown(const tok_unigram *u, const cell *c)
{
    return c->id == ZOO_ID_NONE || c->id == u->unk;
}

/* Walks back from the end and leaves the ids in order. */
static zoo_status collect(tok_run *run, const char *p, size_t n, const cell *cells)
{
    size_t first = run->out->n, at = n;
    while (at > 0) {
        if (!is_unknown(&run->t->model.unigram, &cells[at])) {
            if (!tok_ids_push(run->out, cells[at].id)) {
                return tok_no_memory(run->err);
            }
            at = cells[at].begin;
            continue;
        }
        size_t begin = cells[at].begin;
        while (begin > 0 && is_unknown(&run->t->model.unigram, &cells[begin])) {
            begin = cells[begin].begin;
        }
        ZOO_TRY(push_unknown(run, p, begin, at, &at));
    }
    for (size_t i = first, k = run->out->n; i + 1 < k; i++) {
        k--;
        uint32_t swap = run->out->data[i];
        run->out->data[i] = run->out->data[k];
        run->out->data[k] = swap;
    }
    return ZOO_OK;
}

zoo_status tok_unigram_run(tok_run *run, const char *p, size_t n)
{
    const tok_unigram *u = &run->t->model.unigram;
    if (n >= UINT32_MAX ||
        !tok_grow(&run->s->lattice, &run->s->lattice_capacity, n + 1, sizeof(cell))) {
        return tok_no_memory(run->err);
    }
    cell *cells = run->s->lattice;
    for (size_t i = 0; i <= n; i++) {
        cells[i] = (cell){0, UINT32_MAX, ZOO_ID_NONE};
    }
    cells[0].begin = 0;
    for (size_t i = 0; i < n; i += tok_utf8_length((uint8_t)p[i])) {
        if (!reach_tokens(u, p, n, i, cells)) {
            size_t length = tok_utf8_length((uint8_t)p[i]);
            reach(&cells[i + length], cells[i].score + u->unk_score, i, ZOO_ID_NONE);
        }
    }
    return collect(run, p, n, cells);
}

zoo_status tok_unigram_finish(zoo_tokenizer *t, zoo_error *err)
{
    const tok_vocab *vocab = &t->model.vocab;
    tok_unigram *u = &t->model.unigram;
    size_t n_nodes = 1;
    double low = DBL_MAX;
    u->score_max = -DBL_MAX;
    for (uint32_t id = 0; id < vocab->n_ids; id++) {
        n_nodes += vocab->by_id[id].n;
        if (u->barred && u->barred[id]) {
            continue;
        }
        low = u->scores[id] < low ? u->scores[id] : low;
        u->score_max = u->scores[id] > u->score_max ? u->scores[id] : u->score_max;
    }
    u->unk_score = low - 10.0;
    if (n_nodes > 1u << 28) {
        return zoo_fail(err, ZOO_E_LIMIT, "the vocabulary has more than 2^28 bytes");
    }
    u->node_id = tok_pool_take(&t->pool, n_nodes * sizeof *u->node_id);
    if (!u->node_id || !tok_map_init(&u->trie, &t->pool, (uint32_t)n_nodes)) {
        return tok_no_memory(err);
    }
    uint32_t n = 1;
    for (uint32_t id = 0; id < vocab->n_ids; id++) {
        tok_str token = vocab->by_id[id];
        uint32_t node = 0;
        for (size_t i = 0; token.p && i < token.n && !(u->barred && u->barred[id]); i++) {
            const uint64_t *next = tok_map_find(&u->trie, EDGE(node, token.p[i]));
            uint32_t found = next ? (uint32_t)*next : n++;
            if (!next) {
                tok_map_put(&u->trie, EDGE(node, token.p[i]), found);
            }
            node = found;
        }
        if (node) {
            u->node_id[node] = id + 1;
        }
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[8];
        (void)snprintf(text, sizeof text, "<0x%02X>", byte);
        u->bytes[byte] = tok_vocab_find(vocab, text, 6);
    }
    return ZOO_OK;
}
