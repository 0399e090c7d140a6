/*
 * bpe_load.c: the tables of a byte-pair model, made once from vocabulary and merges.
 *
 * Byte mode: when the only thing between pieces and model is the byte alphabet, tokens are kept as
 * raw bytes and pieces are never rewritten. Tokens with a character outside the alphabet cannot be
 * reached.
 */
#include "text/tokenizer/tokenizer_private.h"

#include <stdlib.h>

int tok_byte_token(const char *p, size_t n)
{
    int value = 0;
    if (n != 6 || memcmp(p, "<0x", 3) != 0 || p[5] != '>') {
        return -1;
    }
    for (size_t i = 3; i < 5; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static void find_byte_tokens(const tok_vocab *vocab, uint32_t bytes[256])
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[8];
        (void)snprintf(text, sizeof text, "<0x%02X>", byte);
        bytes[byte] = tok_vocab_find(vocab, text, 6);
    }
}

/* Whether the pipeline is: pieces, then the byte alphabet as the last step. */
static bool byte_mode(const zoo_tokenizer *t)
{
    const tok_bpe *bpe = &t->model.bpe;
    uint32_t n_maps = 0;
    for (uint32_t i = 0; i < t->n_steps; i++) {
        n_maps += t->steps[i].kind == TOK_STEP_MAP;
    }
    return n_maps == 1 && t->steps[t->n_steps - 1].kind == TOK_STEP_MAP && !bpe->byte_fallback &&
           !bpe->prefix.n && !bpe->suffix.n;
}

/* Copies every token that is made of the byte alphabet, as bytes. */
static bool fill_byte_vocab(zoo_tokenizer *t)
{
    const tok_vocab *vocab = &t->model.vocab;
    tok_vocab *bytes = &t->model.bpe.byte_vocab;
    if (!tok_vocab_init(bytes, &t->pool, vocab->n_ids, vocab->n_keys)) {
        return false;
    }
    for (uint32_t id = 0; id < vocab->n_ids; id++) {
        tok_str token = vocab->by_id[id];
        if (!token.p || !token.n) {
            continue;
        }
        char *copy = tok_pool_take(&t->pool, token.n + 1);
        size_t n;
        if (!copy) {
            return false;
        }
        if (tok_alphabet_bytes(token.p, token.n, copy, &n)) {
            tok_vocab_put(bytes, (tok_str){copy, n}, id);
        }
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->model.bpe.bytes[byte] = tok_vocab_find(bytes, &c, 1);
    }
    return true;
}

static bool fill_char_ids(zoo_tokenizer *t)
{
    tok_bpe *bpe = &t->model.bpe;
    bpe->char_ids = tok_pool_take(&t->pool, 65536 * sizeof *bpe->char_ids);
    if (!bpe->char_ids) {
        return false;
    }
    for (uint32_t cp = 0; cp < 65536; cp++) {
        char text[4];
        uint32_t id = tok_vocab_find(&t->model.vocab, text, tok_utf8_put(text, cp));
        bool barred = id != ZOO_ID_NONE && bpe->barred && bpe->barred[id];
        bpe->char_ids[cp] = barred ? ZOO_ID_NONE : id;
    }
    return true;
}

/* Notes which characters stand directly before the mark in some token. */
static bool fill_joins(zoo_tokenizer *t)
{
    const tok_vocab *vocab = &t->model.vocab;
    uint8_t *joins = tok_pool_take(&t->pool, 0x110000 / 8);
    if (!joins) {
        return false;
    }
    for (uint32_t id = 0; id < vocab->n_ids; id++) {
        tok_str token = vocab->by_id[id];
        uint32_t before = UINT32_MAX, cp;
        for (size_t i = 0; token.p && i < token.n;) {
            i += tok_utf8((const uint8_t *)token.p + i, &cp);
            if (cp == 0x2581 && before != UINT32_MAX) {
                joins[before >> 3] |= (uint8_t)(1u << (before & 7));
            }
            before = cp;
        }
    }
    t->model.bpe.joins = joins;
    return true;
}

/* Whether cutting before marks leaves every result as it is. Without an unknown token a character
 * can vanish and what stood around it can meet. */
static bool marks_cut(const zoo_tokenizer *t)
{
    const tok_bpe *bpe = &t->model.bpe;
    if (bpe->ignore_merges || bpe->prefix.n || bpe->suffix.n || bpe->frozen ||
        bpe->unk == ZOO_ID_NONE || bpe->char_ids[0x2581] == ZOO_ID_NONE) {
        return false;
    }
    for (uint64_t i = 0; i <= bpe->merges.mask; i++) { /* byte tokens that merge hide their text */
        uint64_t key = bpe->merges.rows[2 * i];
        uint32_t sides[2] = {(uint32_t)(key >> 32) & 0x7fffffffu, (uint32_t)key};
        for (size_t k = 0; key && k < 2; k++) {
            tok_str token = t->model.vocab.by_id[sides[k]];
            if (bpe->byte_fallback && tok_byte_token(token.p, token.n) >= 0) {
                return false;
            }
        }
    }
    return true;
}

/* Calls put (or counts) for every cut of a token into two tokens. */
static uint32_t for_cuts(const tok_vocab *vocab, const uint32_t *rank, const uint8_t *barred,
                         tok_map *merges)
{
    uint32_t n = 0;
    for (uint32_t id = 0; id < vocab->n_ids; id++) {
        tok_str token = vocab->by_id[id];
        for (size_t i = 1; token.p && rank[id] != UINT32_MAX && i < token.n; i++) {
            uint32_t left = tok_vocab_find(vocab, token.p, i);
            uint32_t right =
                left == ZOO_ID_NONE ? ZOO_ID_NONE : tok_vocab_find(vocab, token.p + i, token.n - i);
            if (right == ZOO_ID_NONE || (barred && (barred[left] || barred[right]))) {
                continue;
            }
            n += n < UINT32_MAX / 4;
            if (merges) {
                tok_map_put(merges, 1ull << 63 | (uint64_t)left << 32 | right,
                            (uint64_t)rank[id] << 32 | id);
            }
        }
    }
    return n;
}

/* Merges for a model whose order is a rank per token: every cut of a token into two tokens. */
static zoo_status fill_cuts(zoo_tokenizer *t, const tok_vocab *vocab, zoo_error *err)
{
    tok_bpe *bpe = &t->model.bpe;
    uint32_t n = for_cuts(vocab, bpe->rank, bpe->barred, NULL);
    if (n > 1u << 28) {
        return zoo_fail(err, ZOO_E_LIMIT, "the vocabulary has more than 2^28 ways to join tokens");
    }
    if (!tok_map_init(&bpe->merges, &t->pool, n)) {
        return tok_no_memory(err);
    }
    (void)for_cuts(vocab, bpe->rank, bpe->barred, &bpe->merges);
    return ZOO_OK;
}

zoo_status tok_bpe_finish(zoo_tokenizer *t, zoo_error *err)
{
    tok_bpe *bpe = &t->model.bpe;
    bpe->byte_mode = byte_mode(t);
    if (bpe->byte_mode && !fill_byte_vocab(t)) {
        return tok_no_memory(err);
    }
    if (bpe->rank) {
        ZOO_TRY(fill_cuts(t, bpe->byte_mode ? &bpe->byte_vocab : &t->model.vocab, err));
    }
    if (!bpe->merges.rows && !tok_map_init(&bpe->merges, &t->pool, 0)) {
        return tok_no_memory(err);
    }
    if (bpe->byte_mode) {
        t->n_steps--;
        return ZOO_OK;
    }
    find_byte_tokens(&t->model.vocab, bpe->bytes);
    if (!fill_char_ids(t)) {
        return tok_no_memory(err);
    }
    return marks_cut(t) && !fill_joins(t) ? tok_no_memory(err) : ZOO_OK;
}
