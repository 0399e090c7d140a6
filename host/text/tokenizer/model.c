/*
 * model.c: one piece of text through the model of the tokenizer.
 */
#include "text/tokenizer/tokenizer_private.h"

zoo_status tok_model_run(tok_run *run, const char *p, size_t n)
{
    switch (run->t->model.kind) {
    case TOK_MODEL_BPE:
        return tok_bpe_run(run, p, n);
    case TOK_MODEL_UNIGRAM:
        return tok_unigram_run(run, p, n);
    default:
        return tok_wordpiece_run(run, p, n);
    }
}
