/*
 * wordpiece.c: WordPiece (longest known beginning first) and WordLevel (the whole word or
 * unknown).
 *
 * Source: huggingface/tokenizers models/wordpiece and models/wordlevel (behaviour).
 */
#include "text/tokenizer/tokenizer_private.h"

/* The longest token that begins at `begin`; *end is after it. */
static uint32_t longest(tok_run *run, zoo_text *work, const char *p, size_t n, size_t begin,
                        size_t *end)
{
    const tok_model *model = &run->t->model;
    const tok_wordpiece *wp = &model->wordpiece;
    for (*end = n; *end > begin; *end = tok_utf8_back(p, *end)) {
        work->n = 0;
        if ((begin > 0 && !tok_text_push(work, wp->prefix.p, wp->prefix.n)) ||
            !tok_text_push(work, p + begin, *end - begin)) {
            return ZOO_ID_NONE;
        }
        uint32_t id = tok_vocab_find(&model->vocab, work->data, work->n);
        if (id != ZOO_ID_NONE) {
            return id;
        }
    }
    return ZOO_ID_NONE;
}

static zoo_status unknown_word(tok_run *run)
{
    uint32_t unk = run->t->model.wordpiece.unk;
    return unk == TOK_ID_LOST            ? tok_no_token(run->err)
           : tok_ids_push(run->out, unk) ? ZOO_OK
                                         : tok_no_memory(run->err);
}

zoo_status tok_wordpiece_run(tok_run *run, const char *p, size_t n)
{
    const tok_model *model = &run->t->model;
    size_t begin_ids = run->out->n, begin = 0, end, n_chars = 0;
    if (model->kind == TOK_MODEL_WORDLEVEL) {
        uint32_t id = tok_vocab_find(&model->vocab, p, n);
        return id == ZOO_ID_NONE            ? unknown_word(run)
               : tok_ids_push(run->out, id) ? ZOO_OK
                                            : tok_no_memory(run->err);
    }
    for (size_t i = 0; i < n; i += tok_utf8_length((uint8_t)p[i])) {
        if (++n_chars > model->wordpiece.chars_max) {
            return unknown_word(run);
        }
    }
    while (begin < n) {
        uint32_t id = longest(run, &run->s->word, p, n, begin, &end);
        if (id == ZOO_ID_NONE) {
            run->out->n = begin_ids;
            return unknown_word(run);
        }
        if (!tok_ids_push(run->out, id)) {
            return tok_no_memory(run->err);
        }
        begin = end;
    }
    return ZOO_OK;
}
