/*
 * tok_norm.h: the parts of normalization that have files of their own.
 */
#ifndef ZOO_TOK_NORM_H
#define ZOO_TOK_NORM_H

#include "tok.h"

/* Tables that a normalizer needs. [load] */
zoo_status tok_norm_finish(zoo_tokenizer *t, tok_norm *norm, zoo_error *err);

/* Each appends the normal form of `in` to `out`. */
zoo_status tok_charsmap_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out);
zoo_status tok_bert_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out);
zoo_status tok_spm_spaces_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                              bool at_zero);

/* Reads a precompiled map of characters (SentencePiece): size, double array, strings. [load] */
zoo_status tok_charsmap_open(zoo_tokenizer *t, tok_norm *norm, const char *data, size_t n,
                             zoo_error *err);

#endif
