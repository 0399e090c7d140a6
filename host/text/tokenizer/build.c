/*
 * build.c: what the loaders of all file formats do to a tokenizer: added tokens, patterns, notes,
 * and the tables that are made when all is read.
 */
#include <string.h>

#include "text/tokenizer/json_fields.h"

zoo_status tok_added_init(zoo_tokenizer *t, uint32_t n, zoo_error *err)
{
    t->added.tokens = tok_pool_take(&t->pool, ((size_t)n + 1) * sizeof *t->added.tokens);
    if (!t->added.tokens || !tok_vocab_init(&t->added.by_text, &t->pool, n, n)) {
        return tok_no_memory(err);
    }
    return ZOO_OK;
}

zoo_status tok_add_token(zoo_tokenizer *t, const tok_added_token *token, uint32_t stated,
                         const char *name, zoo_error *err)
{
    tok_added *added = &t->added;
    tok_str content = token->content;
    if (!content.n) {
        return ZOO_OK;
    }
    if (content.n > TOK_CONTENT_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%.180s: an added token is longer than %d bytes", name,
                        TOK_CONTENT_MAX);
    }
    uint32_t index = tok_vocab_find(&added->by_text, content.p, content.n);
    uint32_t id = index != ZOO_ID_NONE ? added->tokens[index].id
                                       : tok_vocab_find(&t->model.vocab, content.p, content.n);
    if (id == ZOO_ID_NONE) {
        uint32_t n_keys = t->model.vocab.n_keys;
        id = added->next_id > n_keys ? added->next_id : n_keys;
    }
    if (id >= TOK_ID_MAX || (stated != ZOO_ID_NONE && stated != id)) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%.180s: the added token \"%.100s\" says id %u but its place gives it %u",
                        name, content.p, stated, id);
    }
    return tok_add_token_at(t, token, id, name, err);
}

zoo_status tok_add_token_at(zoo_tokenizer *t, const tok_added_token *token, uint32_t id,
                            const char *name, zoo_error *err)
{
    tok_added *added = &t->added;
    tok_str content = token->content;
    uint32_t index = tok_vocab_find(&added->by_text, content.p, content.n);
    if (id >= TOK_ID_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%.180s: the added token \"%.100s\" has id %u", name,
                        content.p, id);
    }
    if (index == ZOO_ID_NONE) {
        index = added->n++;
        tok_vocab_put(&added->by_text, content, index);
    }
    added->tokens[index] = *token;
    added->tokens[index].id = id;
    added->next_id = id >= added->next_id ? id + 1 : added->next_id;
    return ZOO_OK;
}

zoo_status tok_add_regex(zoo_tokenizer *t, tok_str pattern, bool literal, tok_regex **out,
                         zoo_error *err)
{
    *out = NULL;
    if (t->n_regexes >= 256) {
        return zoo_fail(err, ZOO_E_LIMIT, "the tokenizer has more than 256 patterns");
    }
    if (!tok_grow(&t->regexes, &t->regexes_capacity, t->n_regexes + 1, sizeof(tok_regex *))) {
        return tok_no_memory(err);
    }
    zoo_status status = tok_regex_open(&t->pool, &t->chars, pattern, literal, out, err);
    if (*out) {
        t->regexes[t->n_regexes++] = *out;
    }
    return status;
}

void tok_add_note(zoo_tokenizer *t, const char *text)
{
    if (t->n_notes < ZOO_COUNT(t->notes)) {
        tok_str copy = tok_pool_copy(&t->pool, text, strlen(text));
        t->notes[t->n_notes] = copy;
        t->n_notes += copy.p != NULL;
    }
}

void tok_add_warning(zoo_tokenizer *t, const char *text)
{
    uint32_t before = t->n_notes;
    tok_add_note(t, text);
    t->warnings |= t->n_notes > before ? UINT32_C(1) << before : 0;
}

/* A large vocabulary that was learnt from words cut before a capital has no token with a capital
 * behind a small letter; any other has hundreds. Such files are about with the pattern of the others,
 * which their writer took where the release's own one was not stated. */
static void judge_pattern(zoo_tokenizer *t)
{
    const uint32_t large = 100000;
    bool runs = false;
    for (uint32_t i = 0; i < t->n_steps; i++) {
        runs |= t->steps[i].kind == TOK_STEP_SPLIT && tok_regex_takes_runs(t->steps[i].regex);
    }
    if (!runs || t->model.kind != TOK_MODEL_BPE || t->model.vocab.n_ids <= large) {
        return;
    }
    for (uint32_t id = 0; id < t->model.vocab.n_ids; id++) {
        tok_str token = t->bytes[id];
        for (size_t i = 1; token.p && i < token.n; i++) {
            if (token.p[i - 1] >= 'a' && token.p[i - 1] <= 'z' && token.p[i] >= 'A' &&
                token.p[i] <= 'Z') {
                return;
            }
        }
    }
    tok_add_warning(t,
                    "The pattern that cuts texts into words keeps capitals behind small letters, "
                    "and no token of the vocabulary has one there: it is another pattern than "
                    "the one that the vocabulary was learnt with, a known fault of released "
                    "files; ask for the mended tokenizer.json.");
}

/* Flags the special ids and counts all ids. */
static zoo_status fill_specials(zoo_tokenizer *t, zoo_error *err)
{
    t->n_ids = t->model.vocab.n_ids;
    for (uint32_t i = 0; i < t->added.n; i++) {
        uint32_t id = t->added.tokens[i].id;
        t->n_ids = id >= t->n_ids ? id + 1 : t->n_ids;
    }
    t->specials = tok_pool_take(&t->pool, t->n_ids + 1);
    if (!t->specials) {
        return tok_no_memory(err);
    }
    for (uint32_t i = 0; i < t->added.n; i++) {
        t->specials[t->added.tokens[i].id] = t->added.tokens[i].special;
    }
    return ZOO_OK;
}

zoo_status tok_finish(zoo_tokenizer *t, zoo_error *err)
{
    if (t->model.kind == TOK_MODEL_BPE) {
        ZOO_TRY(tok_bpe_finish(t, err));
    } else if (t->model.kind == TOK_MODEL_UNIGRAM) {
        ZOO_TRY(tok_unigram_finish(t, err));
    }
    ZOO_TRY(fill_specials(t, err));
    ZOO_TRY(tok_added_finish(t, err));
    ZOO_TRY(tok_bytes_finish(t, err));
    judge_pattern(t);
    return ZOO_OK;
}
