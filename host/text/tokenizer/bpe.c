/*
 * bpe.c: byte-pair encoding of one piece.
 *
 *   symbols of the piece (bytes or characters) -> join the pair of lowest rank, leftmost first,
 *   until no pair has a rank -> ids
 *
 * Short pieces scan all ranks for each join; long ones (a model without a splitter makes the whole
 * text one piece) use a heap of (rank, place), n log n. Where no token can reach across a place the
 * piece is cut there first, which changes nothing and lets the word cache work: before the mark
 * U+2581 when the character in front of it never precedes the mark inside a token.
 *
 * Source: huggingface/tokenizers models/bpe (behaviour), Sennrich et al. 2016.
 */
#define XXH_INLINE_ALL
#include "text/tokenizer/tokenizer_private.h"

#include <stdlib.h>
#include <xxhash.h>

#define SHORT_MAX 40
#define NO_RANK   UINT32_MAX
#define NONE      UINT32_MAX

/* rank << 32 | new id of the pair, or UINT64_MAX. */
static inline uint64_t pair_of(const tok_bpe *bpe, uint32_t left, uint32_t right)
{
    const uint64_t *found = tok_map_find(&bpe->merges, 1ull << 63 | (uint64_t)left << 32 | right);
    return found ? *found : UINT64_MAX;
}

static size_t merge_short(const tok_bpe *bpe, uint32_t *ids, size_t n)
{
    uint64_t pairs[SHORT_MAX];
    for (size_t i = 0; i + 1 < n; i++) {
        pairs[i] = pair_of(bpe, ids[i], ids[i + 1]);
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            best = pairs[i] >> 32 < pairs[best] >> 32 ? i : best;
        }
        if (pairs[best] == UINT64_MAX) {
            break;
        }
        ids[best] = (uint32_t)pairs[best];
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        memmove(pairs + best, pairs + best + 1, (n - best - 1) * sizeof *pairs);
        if (best + 1 < n) {
            pairs[best] = pair_of(bpe, ids[best], ids[best + 1]);
        }
        if (best > 0) {
            pairs[best - 1] = pair_of(bpe, ids[best - 1], ids[best]);
        }
    }
    return n;
}

/* A heap with eight children to a node: its rows of one level share cache lines. */
typedef struct heap {
    uint64_t *rows; /* rank << 32 | place */
    size_t n;
} heap;

static void sift_down(heap *h, size_t i, uint64_t row)
{
    for (;;) {
        size_t child = 8 * i + 1, end = child + 8 < h->n ? child + 8 : h->n;
        if (child >= h->n) {
            break;
        }
        size_t least = child;
        for (size_t k = child + 1; k < end; k++) {
            least = h->rows[k] < h->rows[least] ? k : least;
        }
        if (h->rows[least] >= row) {
            break;
        }
        h->rows[i] = h->rows[least];
        i = least;
    }
    h->rows[i] = row;
}

static void heap_push(heap *h, uint64_t row)
{
    size_t i = h->n++;
    while (i > 0 && h->rows[(i - 1) / 8] > row) {
        h->rows[i] = h->rows[(i - 1) / 8];
        i = (i - 1) / 8;
    }
    h->rows[i] = row;
}

static uint64_t heap_pop(heap *h)
{
    uint64_t least = h->rows[0], row = h->rows[--h->n];
    if (h->n) {
        sift_down(h, 0, row);
    }
    return least;
}

typedef struct chain { /* [n] each, in one block */
    uint32_t *prev, *next, *rank, *joined;
    uint32_t *ids;
    heap heap;
} chain;

/* Looks up the pair that begins at i and queues it. */
static void queue_pair(const tok_bpe *bpe, chain *c, uint32_t i)
{
    uint64_t pair = c->next[i] == NONE ? UINT64_MAX : pair_of(bpe, c->ids[i], c->ids[c->next[i]]);
    c->rank[i] = (uint32_t)(pair >> 32);
    c->joined[i] = (uint32_t)pair;
    if (pair != UINT64_MAX) {
        heap_push(&c->heap, (pair >> 32) << 32 | i);
    }
}

static void join(const tok_bpe *bpe, chain *c, uint32_t i)
{
    uint32_t gone = c->next[i];
    c->ids[i] = c->joined[i];
    c->next[i] = c->next[gone];
    c->rank[gone] = NO_RANK;
    if (c->next[i] != NONE) {
        c->prev[c->next[i]] = i;
    }
    queue_pair(bpe, c, i);
    if (c->prev[i] != NONE) {
        queue_pair(bpe, c, c->prev[i]);
    }
}

static bool chain_init(chain *c, tok_scratch *s, uint32_t *ids, size_t n)
{
    /* Each join queues at most two pairs and ends one symbol, so 3 n rows hold all. */
    if (n >= NONE / 4 || !tok_grow(&s->sym, &s->sym_capacity, 4 * n, sizeof *s->sym) ||
        !tok_grow(&s->heap, &s->heap_capacity, 3 * n, sizeof *s->heap)) {
        return false;
    }
    *c = (chain){.prev = s->sym,
                 .next = s->sym + n,
                 .rank = s->sym + 2 * n,
                 .joined = s->sym + 3 * n,
                 .ids = ids,
                 .heap = {s->heap, 0}};
    for (size_t i = 0; i < n; i++) {
        c->prev[i] = i ? (uint32_t)i - 1 : NONE;
        c->next[i] = i + 1 < n ? (uint32_t)i + 1 : NONE;
    }
    return true;
}

static size_t merge_long(const tok_bpe *bpe, tok_scratch *s, uint32_t *ids, size_t n)
{
    chain c;
    if (!chain_init(&c, s, ids, n)) {
        return SIZE_MAX;
    }
    for (uint32_t i = 0; i < n; i++) {
        queue_pair(bpe, &c, i);
    }
    while (c.heap.n) {
        uint64_t row = heap_pop(&c.heap);
        uint32_t i = (uint32_t)row;
        if (c.rank[i] == (uint32_t)(row >> 32) && c.rank[i] != NO_RANK) {
            join(bpe, &c, i);
        }
    }
    size_t k = 0;
    for (uint32_t i = 0; i != NONE; i = c.next[i]) {
        ids[k++] = ids[i];
    }
    return k;
}

size_t tok_bpe_merge(const tok_bpe *bpe, tok_scratch *s, uint32_t *ids, size_t n)
{
    return n < 2 ? n : n <= SHORT_MAX ? merge_short(bpe, ids, n) : merge_long(bpe, s, ids, n);
}

/* Pending unknown characters of one piece. */
typedef struct unknown {
    bool pending;
} unknown;

static bool push_known(tok_run *run, unknown *u, uint32_t id)
{
    if (u->pending && !tok_ids_push(run->out, run->t->model.bpe.unk)) {
        return false;
    }
    u->pending = false;
    return tok_ids_push(run->out, id);
}

static bool push_unknown(tok_run *run, unknown *u)
{
    const tok_bpe *bpe = &run->t->model.bpe;
    if (bpe->unk == ZOO_ID_NONE) {
        return true;
    }
    if (u->pending && !bpe->fuse_unk && !tok_ids_push(run->out, bpe->unk)) {
        return false;
    }
    u->pending = true;
    return true;
}

/* The character as byte tokens, when all of them exist; *done says so. */
static bool push_bytes(tok_run *run, const char *p, size_t n, bool *done)
{
    const tok_bpe *bpe = &run->t->model.bpe;
    *done = bpe->byte_fallback;
    for (size_t i = 0; *done && i < n; i++) {
        *done = bpe->bytes[(uint8_t)p[i]] != ZOO_ID_NONE;
    }
    for (size_t i = 0; *done && i < n; i++) {
        if (!tok_ids_push(run->out, bpe->bytes[(uint8_t)p[i]])) {
            return false;
        }
    }
    return true;
}

static uint32_t char_id(const tok_model *model, const char *p, size_t n)
{
    uint32_t cp;
    (void)tok_utf8((const uint8_t *)p, &cp);
    return cp < 0x10000 ? model->bpe.char_ids[cp] : tok_vocab_find(&model->vocab, p, n);
}

/* The character with the prefix or suffix of its place in the piece. */
static tok_str affixed(const tok_bpe *bpe, char text[256], tok_str c, bool first, bool last)
{
    size_t k = 0;
    if (!first && bpe->prefix.n) {
        memcpy(text, bpe->prefix.p, bpe->prefix.n);
        k = bpe->prefix.n;
    }
    memcpy(text + k, c.p, c.n);
    k += c.n;
    if (last && bpe->suffix.n) {
        memcpy(text + k, bpe->suffix.p, bpe->suffix.n);
        k += bpe->suffix.n;
    }
    return (tok_str){text, k};
}

static bool symbols_of_chars(tok_run *run, const char *p, size_t n)
{
    const tok_model *model = &run->t->model;
    bool affixes = model->bpe.prefix.n || model->bpe.suffix.n;
    char text[256];
    unknown u = {false};
    bool ok = true;
    for (size_t i = 0, length; ok && i < n; i += length) {
        if (model->bpe.frozen) {
            uint32_t id;
            length = tok_trie_longest(&model->bpe.frozen_trie, p + i, n - i, &id);
            if (length) {
                ok = push_known(run, &u, id);
                continue;
            }
        }
        length = tok_utf8_length((uint8_t)p[i]);
        tok_str c = {p + i, length};
        c = affixes ? affixed(&model->bpe, text, c, i == 0, i + length == n) : c;
        uint32_t id = affixes ? tok_vocab_find(&model->vocab, c.p, c.n) : char_id(model, c.p, c.n);
        if (id != ZOO_ID_NONE) {
            ok = push_known(run, &u, id);
            continue;
        }
        bool done;
        ok = push_bytes(run, c.p, c.n, &done) && (done || push_unknown(run, &u));
    }
    return ok && (!u.pending || tok_ids_push(run->out, model->bpe.unk));
}

static bool symbols_of_bytes(tok_run *run, const char *p, size_t n)
{
    const tok_bpe *bpe = &run->t->model.bpe;
    unknown u = {false};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        uint32_t id = bpe->bytes[(uint8_t)p[i]];
        ok = id != ZOO_ID_NONE ? push_known(run, &u, id) : push_unknown(run, &u);
    }
    return ok && (!u.pending || tok_ids_push(run->out, bpe->unk));
}

static bool holds_lost(const zoo_ids *ids, size_t begin)
{
    while (begin < ids->n && ids->data[begin] != TOK_ID_LOST) {
        begin++;
    }
    return begin < ids->n;
}

static zoo_status merge_piece(tok_run *run, const char *p, size_t n)
{
    const tok_bpe *bpe = &run->t->model.bpe;
    size_t begin = run->out->n;
    if (bpe->ignore_merges) {
        const tok_vocab *vocab = bpe->byte_mode ? &bpe->byte_vocab : &run->t->model.vocab;
        uint32_t id = tok_vocab_find(vocab, p, n);
        if (id != ZOO_ID_NONE) {
            return tok_ids_push(run->out, id) ? ZOO_OK : tok_no_memory(run->err);
        }
    }
    if (!(bpe->byte_mode ? symbols_of_bytes(run, p, n) : symbols_of_chars(run, p, n))) {
        return tok_no_memory(run->err);
    }
    if (bpe->unk == TOK_ID_LOST && holds_lost(run->out, begin)) {
        return tok_no_token(run->err);
    }
    size_t left = tok_bpe_merge(bpe, run->s, run->out->data + begin, run->out->n - begin);
    if (left == SIZE_MAX) {
        return tok_no_memory(run->err);
    }
    run->out->n = begin + left;
    return ZOO_OK;
}

/* The piece through the word cache. */
static zoo_status cached_piece(tok_run *run, const char *p, size_t n)
{
    tok_word *word = NULL;
    if (n <= sizeof word->key) {
        word = &run->s->words[XXH3_64bits(p, n) & (TOK_WORDS - 1)];
        if (word->n_bytes == n && memcmp(word->key, p, n) == 0) {
            if (!tok_grow(&run->out->data, &run->out->capacity, run->out->n + word->n_ids,
                          sizeof(uint32_t))) {
                return tok_no_memory(run->err);
            }
            for (uint32_t i = 0; i < word->n_ids; i++) {
                run->out->data[run->out->n++] = word->ids[i];
            }
            return ZOO_OK;
        }
    }
    size_t begin = run->out->n;
    ZOO_TRY(merge_piece(run, p, n));
    size_t n_ids = run->out->n - begin;
    if (word && n_ids <= ZOO_COUNT(word->ids)) {
        word->n_bytes = (uint8_t)n;
        word->n_ids = (uint8_t)n_ids;
        memcpy(word->key, p, n);
        memcpy(word->ids, run->out->data + begin, n_ids * sizeof *word->ids);
    }
    return ZOO_OK;
}

/* Whether a token may reach across the mark at i > 0. */
static bool joined_at(const tok_bpe *bpe, const char *p, size_t i)
{
    uint32_t cp;
    (void)tok_utf8((const uint8_t *)p + tok_utf8_back(p, i), &cp);
    return bpe->joins[cp >> 3] >> (cp & 7) & 1;
}

static zoo_status cut_at_marks(tok_run *run, const char *p, size_t n)
{
    const tok_bpe *bpe = &run->t->model.bpe;
    size_t begin = 0, i = 1;
    while (i < n) {
        const char *hit = memchr(p + i, 0xe2, n - i);
        if (!hit) {
            break;
        }
        i = (size_t)(hit - p);
        if (n - i >= 3 && memcmp(hit, "\xe2\x96\x81", 3) == 0 && !joined_at(bpe, p, i)) {
            ZOO_TRY(cached_piece(run, p + begin, i - begin));
            begin = i;
        }
        i++;
    }
    return cached_piece(run, p + begin, n - begin);
}

zoo_status tok_bpe_run(tok_run *run, const char *p, size_t n)
{
    return run->t->model.bpe.joins ? cut_at_marks(run, p, n) : cached_piece(run, p, n);
}
