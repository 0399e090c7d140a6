/*
 * lookup.c: the questions about single tokens.
 */
#include "text/tokenizer/tokenizer_private.h"

static const tok_added_token *added_of(const zoo_tokenizer *t, uint32_t id)
{
    uint32_t found = id < t->added.n_by_id ? t->added.by_id[id] : 0;
    return found ? &t->added.tokens[found - 1] : NULL;
}

uint32_t zoo_tokenizer_size(const zoo_tokenizer *t)
{
    return t->n_ids;
}

uint32_t zoo_tokenizer_id(const zoo_tokenizer *t, const char *text, size_t n)
{
    uint32_t index = tok_vocab_find(&t->added.by_text, text, n);
    return index != ZOO_ID_NONE ? t->added.tokens[index].id
                                : tok_vocab_find(&t->model.vocab, text, n);
}

const char *zoo_tokenizer_token(const zoo_tokenizer *t, uint32_t id, size_t *n)
{
    const tok_added_token *added = added_of(t, id);
    tok_str text = added                       ? added->content
                   : id < t->model.vocab.n_ids ? t->model.vocab.by_id[id]
                                               : (tok_str){NULL, 0};
    *n = text.n;
    return text.p;
}

const char *zoo_tokenizer_bytes(const zoo_tokenizer *t, uint32_t id, size_t *n)
{
    tok_str text = id < t->n_ids ? t->bytes[id] : (tok_str){NULL, 0};
    *n = text.n;
    return text.p;
}

bool zoo_tokenizer_is_special(const zoo_tokenizer *t, uint32_t id)
{
    return id < t->n_ids && t->specials[id];
}

const char *zoo_tokenizer_special_text(const zoo_tokenizer *t, zoo_special role, size_t *n)
{
    tok_str text = (unsigned)role < ZOO_SPECIAL_COUNT ? t->roles[role] : (tok_str){NULL, 0};
    *n = text.n;
    return text.p;
}

uint32_t zoo_tokenizer_special(const zoo_tokenizer *t, zoo_special role)
{
    size_t n;
    const char *text = zoo_tokenizer_special_text(t, role, &n);
    return text ? zoo_tokenizer_id(t, text, n) : ZOO_ID_NONE;
}

const char *zoo_tokenizer_note(const zoo_tokenizer *t, size_t index)
{
    return index < t->n_notes ? t->notes[index].p : NULL;
}

bool zoo_tokenizer_warns(const zoo_tokenizer *t, size_t index)
{
    return index < t->n_notes && (t->warnings >> index & 1u);
}
