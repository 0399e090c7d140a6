/*
 * spm.c: SentencePiece models (protobuf), BPE and Unigram, read into the common pipeline.
 *
 *   map of characters -> spaces to U+2581 with prefix and squeezing -> model over the whole gap
 *
 * BPE scores become ranks (equal scores share one), and every cut of a piece into two pieces a
 * merge. User-defined pieces are matched first and never merge. Control pieces are special added
 * tokens, as the converted form of such a model has them. Unused pieces are never produced.
 *
 * Source: google/sentencepiece sentencepiece_model.proto and its behaviour.
 */
#include "base/mem.h"
#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/norm.h"

#include <stdlib.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

typedef struct piece {
    tok_str text;
    float score;
    uint32_t type;
} piece;

typedef struct spm {
    zoo_tokenizer *t;
    const char *name;
    zoo_error *err;
    piece *pieces; /* [n] */
    uint32_t n;
    uint32_t model_type; /* 1 Unigram, 2 BPE */
    bool byte_fallback, suffix, prefix, squeeze;
    uint32_t bos, eos, pad;
    tok_str charsmap;
    uint8_t *barred; /* [n] */
} spm;

/* A reader over one message; fields come out one by one. */
typedef struct wire {
    const uint8_t *p;
    size_t n;
    uint32_t field, kind;
    uint64_t number; /* varint or fixed */
    tok_str bytes;
} wire;

static bool varint(wire *w, uint64_t *out)
{
    *out = 0;
    for (uint32_t shift = 0; shift < 64 && w->n; shift += 7) {
        uint8_t byte = *w->p++;
        w->n--;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            return true;
        }
    }
    return false;
}

static bool fixed(wire *w, size_t n)
{
    if (w->n < n) {
        return false;
    }
    w->number = 0;
    for (size_t i = n; i > 0; i--) {
        w->number = w->number << 8 | w->p[i - 1];
    }
    w->p += n;
    w->n -= n;
    return true;
}

/* The next field: 1, 0 at the end, -1 when the message is broken. */
static int next_field(wire *w)
{
    uint64_t key, length;
    if (!w->n) {
        return 0;
    }
    if (!varint(w, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        return -1;
    }
    w->field = (uint32_t)(key >> 3);
    w->kind = (uint32_t)key & 7;
    switch (w->kind) {
    case 0:
        return varint(w, &w->number) ? 1 : -1;
    case 1:
        return fixed(w, 8) ? 1 : -1;
    case 5:
        return fixed(w, 4) ? 1 : -1;
    case 2:
        if (!varint(w, &length) || length > w->n) {
            return -1;
        }
        w->bytes = (tok_str){(const char *)w->p, (size_t)length};
        w->p += length;
        w->n -= (size_t)length;
        return 1;
    default:
        return -1;
    }
}

static zoo_status broken(const spm *s, const char *what)
{
    return zoo_fail(s->err, ZOO_E_FORMAT, "%.300s: the SentencePiece message of %s is broken",
                    s->name, what);
}

static zoo_status read_piece(spm *s, tok_str message)
{
    wire w = {.p = (const uint8_t *)message.p, .n = message.n};
    piece *one = &s->pieces[s->n];
    int more;
    *one = (piece){.text = {"", 0}, .type = NORMAL};
    while ((more = next_field(&w)) > 0) {
        if (w.field == 1 && w.kind == 2) {
            one->text = w.bytes;
        } else if (w.field == 2 && w.kind == 5) {
            uint32_t bits = (uint32_t)w.number;
            memcpy(&one->score, &bits, 4);
        } else if (w.field == 3 && w.kind == 0) {
            one->type = (uint32_t)w.number;
        }
    }
    size_t bad;
    bool partial;
    (void)tok_utf8_valid(one->text.p, one->text.n, &bad, &partial);
    if (more < 0 || bad || one->type < NORMAL || one->type > BYTE || !(one->score == one->score)) {
        return broken(s, "a piece");
    }
    one->text = tok_pool_copy(&s->t->pool, one->text.p, one->text.n);
    s->n++;
    return one->text.p ? ZOO_OK : tok_no_memory(s->err);
}

static zoo_status read_trainer(spm *s, tok_str message)
{
    wire w = {.p = (const uint8_t *)message.p, .n = message.n};
    int more;
    while ((more = next_field(&w)) > 0) {
        uint32_t number = w.kind == 0 ? (uint32_t)w.number : 0;
        switch (w.kind == 0 ? w.field : 0) {
        case 3:
            s->model_type = number;
            break;
        case 24:
            s->suffix = number != 0;
            break;
        case 35:
            s->byte_fallback = number != 0;
            break;
        case 41:
            s->bos = number;
            break;
        case 42:
            s->eos = number;
            break;
        case 43:
            s->pad = number;
            break;
        default:
            break;
        }
    }
    return more < 0 ? broken(s, "the trainer") : ZOO_OK;
}

static zoo_status read_normalizer(spm *s, tok_str message)
{
    wire w = {.p = (const uint8_t *)message.p, .n = message.n};
    int more;
    while ((more = next_field(&w)) > 0) {
        if (w.field == 2 && w.kind == 2) {
            s->charsmap = w.bytes;
        } else if (w.field == 3 && w.kind == 0) {
            s->prefix = w.number != 0;
        } else if (w.field == 4 && w.kind == 0) {
            s->squeeze = w.number != 0;
        }
    }
    return more < 0 ? broken(s, "the normalizer") : ZOO_OK;
}

static zoo_status count_pieces(spm *s, const char *data, size_t n)
{
    wire w = {.p = (const uint8_t *)data, .n = n};
    uint32_t n_pieces = 0;
    int more;
    while ((more = next_field(&w)) > 0) {
        n_pieces += w.field == 1 && w.kind == 2;
        if (n_pieces >= TOK_ID_MAX) {
            return zoo_fail(s->err, ZOO_E_LIMIT, "%.300s has more than 2^24 pieces", s->name);
        }
    }
    if (more < 0 || !n_pieces) {
        return broken(s, "the model");
    }
    s->pieces = tok_pool_take(&s->t->pool, n_pieces * sizeof *s->pieces);
    s->barred = tok_pool_take(&s->t->pool, n_pieces);
    if (!s->pieces || !s->barred ||
        !tok_vocab_init(&s->t->model.vocab, &s->t->pool, n_pieces, n_pieces)) {
        return tok_no_memory(s->err);
    }
    return ZOO_OK;
}

static zoo_status read_all(spm *s, const char *data, size_t n)
{
    wire w = {.p = (const uint8_t *)data, .n = n};
    ZOO_TRY(count_pieces(s, data, n));
    while (next_field(&w) > 0) {
        if (w.kind != 2) {
            continue;
        }
        if (w.field == 1) {
            ZOO_TRY(read_piece(s, w.bytes));
        } else if (w.field == 2) {
            ZOO_TRY(read_trainer(s, w.bytes));
        } else if (w.field == 3) {
            ZOO_TRY(read_normalizer(s, w.bytes));
        }
    }
    return ZOO_OK;
}

static zoo_status fill_vocab(spm *s, uint32_t *unk)
{
    tok_vocab *vocab = &s->t->model.vocab;
    *unk = ZOO_ID_NONE;
    for (uint32_t id = 0; id < s->n; id++) {
        const piece *one = &s->pieces[id];
        if (tok_vocab_find(vocab, one->text.p, one->text.n) != ZOO_ID_NONE) {
            return zoo_fail(s->err, ZOO_E_FORMAT, "%.200s holds the piece \"%.100s\" twice",
                            s->name, one->text.p);
        }
        tok_vocab_put(vocab, one->text, id);
        s->barred[id] = one->type != NORMAL && one->type != USER_DEFINED;
        *unk = one->type == UNKNOWN ? id : *unk;
    }
    return ZOO_OK;
}

typedef struct ranked {
    float score;
    uint32_t id;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score > y->score || x->score < y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->id < y->id ? -1 : 1;
}

/* Ranks by falling score; equal scores share a rank, so that the leftmost pair goes first. */
static zoo_status fill_ranks(spm *s)
{
    uint32_t *rank = tok_pool_take(&s->t->pool, s->n * sizeof *rank);
    ranked *order = zoo_mem_alloc(s->n * sizeof *order);
    if (!rank || !order) {
        zoo_mem_free(order);
        return tok_no_memory(s->err);
    }
    for (uint32_t id = 0; id < s->n; id++) {
        order[id] = (ranked){s->pieces[id].score, id};
    }
    qsort(order, s->n, sizeof *order, by_score);
    for (uint32_t i = 0, r = 0; i < s->n; i++) {
        r += i > 0 && order[i].score < order[i - 1].score;
        rank[order[i].id] = s->barred[order[i].id] ? UINT32_MAX : r;
    }
    zoo_mem_free(order);
    s->t->model.bpe.rank = rank;
    return ZOO_OK;
}

/* User-defined pieces, longest first by way of a trie: node -> next node << 32 | id. */
static zoo_status fill_frozen(spm *s)
{
    tok_bpe *bpe = &s->t->model.bpe;
    size_t n_nodes = 1;
    uint32_t next_node = 1;
    for (uint32_t id = 0; id < s->n; id++) {
        n_nodes += s->pieces[id].type == USER_DEFINED ? s->pieces[id].text.n : 0;
    }
    bpe->frozen = n_nodes > 1;
    if (n_nodes > 1u << 28 || !tok_map_init(&bpe->frozen_trie, &s->t->pool, (uint32_t)n_nodes)) {
        return tok_no_memory(s->err);
    }
    uint8_t *barred = tok_pool_take(&s->t->pool, s->n);
    if (!barred) {
        return tok_no_memory(s->err);
    }
    memcpy(barred, s->barred, s->n);
    for (uint32_t id = 0; id < s->n; id++) {
        tok_str text = s->pieces[id].text;
        uint64_t node = 0;
        barred[id] |= s->pieces[id].type == USER_DEFINED;
        for (size_t i = 0; s->pieces[id].type == USER_DEFINED && i < text.n; i++) {
            uint64_t key = 1ull << 63 | node << 8 | (uint8_t)text.p[i];
            const uint64_t *found = tok_map_find(&bpe->frozen_trie, key);
            uint64_t value = found ? *found : (uint64_t)next_node++ << 32 | ZOO_ID_NONE;
            value = i + 1 == text.n ? (value & ~0xffffffffull) | id : value;
            tok_map_put(&bpe->frozen_trie, key, value);
            node = value >> 32;
        }
    }
    bpe->barred = barred;
    return ZOO_OK;
}

static zoo_status build_bpe(spm *s, uint32_t unk)
{
    tok_model *model = &s->t->model;
    model->kind = TOK_MODEL_BPE;
    model->bpe.unk = unk;
    model->bpe.fuse_unk = true;
    model->bpe.byte_fallback = s->byte_fallback;
    return fill_ranks(s);
}

static zoo_status build_unigram(spm *s, uint32_t unk)
{
    tok_unigram *u = &s->t->model.unigram;
    double *scores = tok_pool_take(&s->t->pool, s->n * sizeof *scores);
    uint8_t *forced = tok_pool_take(&s->t->pool, s->n);
    if (!scores || !forced) {
        return tok_no_memory(s->err);
    }
    for (uint32_t id = 0; id < s->n; id++) {
        scores[id] = (double)s->pieces[id].score;
        forced[id] = s->pieces[id].type == USER_DEFINED;
    }
    s->t->model.kind = TOK_MODEL_UNIGRAM;
    u->scores = scores;
    u->forced = forced;
    u->barred = s->barred;
    u->unk = unk;
    u->byte_fallback = s->byte_fallback;
    return ZOO_OK;
}

static zoo_status build_norms(spm *s)
{
    zoo_tokenizer *t = s->t;
    const cJSON *legacy = tok_config_get(t, "legacy");
    t->norms = tok_pool_take(&t->pool, 2 * sizeof *t->norms);
    if (!t->norms) {
        return tok_no_memory(s->err);
    }
    if (s->charsmap.n) {
        t->norms[t->n_norms].keep = t->model.bpe.frozen ? &t->model.bpe.frozen_trie : NULL;
        ZOO_TRY(
            tok_charsmap_open(t, &t->norms[t->n_norms++], s->charsmap.p, s->charsmap.n, s->err));
    }
    t->norms[t->n_norms].kind = TOK_NORM_SPM_SPACES;
    t->norms[t->n_norms++].flags =
        (s->prefix ? TOK_SPM_PREFIX : 0u) | (s->squeeze ? TOK_SPM_SQUEEZE : 0u) |
        (s->suffix ? TOK_SPM_SUFFIX : 0u) | (cJSON_IsFalse(legacy) ? TOK_SPM_FIRST : 0u);
    return ZOO_OK;
}

static zoo_status build_decs(spm *s)
{
    static const tok_str mark = {"\xe2\x96\x81", 3}, space = {" ", 1};
    zoo_tokenizer *t = s->t;
    t->decs = tok_pool_take(&t->pool, 4 * sizeof *t->decs);
    if (!t->decs) {
        return tok_no_memory(s->err);
    }
    t->decs[0] = (tok_dec){.kind = TOK_DEC_REPLACE, .text = space};
    ZOO_TRY(tok_add_regex(t, mark, true, &t->decs[0].regex, s->err));
    t->decs[1].kind = TOK_DEC_BYTE_FALLBACK;
    t->decs[2].kind = TOK_DEC_FUSE;
    t->decs[3] =
        (tok_dec){.kind = TOK_DEC_STRIP, .text = space, .start = s->squeeze ? UINT32_MAX : 1};
    t->n_decs = (s->prefix || s->squeeze) && !s->suffix ? 4 : 3;
    return ZOO_OK;
}

/* Control pieces and what the configuration lists beside the model. */
static zoo_status build_added(spm *s)
{
    uint32_t n = tok_config_count_added(s->t);
    for (uint32_t id = 0; id < s->n; id++) {
        n += s->pieces[id].type == CONTROL || s->pieces[id].type == UNKNOWN;
    }
    ZOO_TRY(tok_added_init(s->t, n, s->err));
    for (uint32_t id = 0; id < s->n; id++) {
        if (s->pieces[id].type == CONTROL || s->pieces[id].type == UNKNOWN) {
            tok_added_token token = {.content = s->pieces[id].text, .special = true};
            ZOO_TRY(tok_add_token(s->t, &token, id, s->name, s->err));
        }
    }
    return tok_config_add_tokens(s->t, s->err);
}

static zoo_status build_post(spm *s)
{
    zoo_tokenizer *t = s->t;
    const uint32_t ids[3] = {s->bos, s->eos, s->pad};
    const zoo_special roles[3] = {ZOO_SPECIAL_BOS, ZOO_SPECIAL_EOS, ZOO_SPECIAL_PAD};
    for (size_t i = 0; i < 3; i++) {
        if (ids[i] < s->n) {
            t->roles[roles[i]] = s->pieces[ids[i]].text;
        }
    }
    if (s->bos >= s->n || t->model.kind != TOK_MODEL_BPE) {
        return ZOO_OK;
    }
    t->post = tok_pool_take(&t->pool, 2 * sizeof *t->post);
    if (!t->post) {
        return tok_no_memory(s->err);
    }
    t->post[0] = s->bos;
    t->post[1] = ZOO_ID_NONE;
    t->n_post = 2;
    return ZOO_OK;
}

zoo_status tok_load_spm(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                        zoo_error *err)
{
    spm s = {.t = t,
             .name = name,
             .err = err,
             .model_type = 1,
             .prefix = true,
             .squeeze = true,
             .bos = 1,
             .eos = 2,
             .pad = UINT32_MAX};
    uint32_t unk;
    ZOO_TRY(read_all(&s, data, n));
    ZOO_TRY(fill_vocab(&s, &unk));
    if (s.model_type != 1 && s.model_type != 2) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "%.300s is a SentencePiece model of type %u, neither Unigram nor BPE", name,
                        s.model_type);
    }
    ZOO_TRY(s.model_type == 2 ? build_bpe(&s, unk) : build_unigram(&s, unk));
    ZOO_TRY(fill_frozen(&s));
    ZOO_TRY(build_norms(&s));
    ZOO_TRY(build_decs(&s));
    ZOO_TRY(build_added(&s));
    ZOO_TRY(build_post(&s));
    return tok_finish(t, err);
}
