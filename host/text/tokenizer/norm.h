/*
 * norm.h: the parts of normalization that have files of their own.
 */
#ifndef ZOO_TEXT_TOKENIZER_NORM_H
#define ZOO_TEXT_TOKENIZER_NORM_H

#include "text/tokenizer/tokenizer_private.h"

/* Whether a normalizer is one of the Unicode forms (norm_form.c). */
bool tok_norm_is_form(tok_norm_kind kind);
/* The first character at or after i that a form may change, or n. */
size_t tok_norm_find_unsafe(const tok_norm *norm, const char *p, size_t n, size_t i);
/* Tables that a normalizer needs. [load] */
zoo_status tok_norm_finish(zoo_tokenizer *t, tok_norm *norm, zoo_error *err);

/* Character properties in the Unicode versions of the reference's normalizers (norm_late.c). Late:
 * the forms treat it as unassigned. Accent: StripAccents removes it. Nonspacing, control:
 * BertNormalizer does. */
bool tok_norm_is_late(uint32_t cp);
bool tok_norm_is_accent(const tok_chars *chars, uint32_t cp);
bool tok_norm_is_nonspacing(const tok_chars *chars, uint32_t cp);
bool tok_norm_is_control(const tok_chars *chars, uint32_t cp);
/* A character that utf8proc knows and that breaks graphemes as cp does. */
uint32_t tok_norm_grapheme_like(uint32_t cp);
/* Appends the small letter. False: no memory. */
bool tok_norm_push_lower(zoo_text *out, uint32_t cp);

/* Each appends the normal form of `in` to `out`; tok_form_run: NFD for BertNormalizer. */
zoo_status tok_form_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out);
zoo_status tok_charsmap_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out);
zoo_status tok_bert_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out);
zoo_status tok_spm_spaces_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                              bool at_zero);

/* Reads a precompiled map of characters (SentencePiece): size, double array, strings. [load] */
zoo_status tok_charsmap_open(zoo_tokenizer *t, tok_norm *norm, const char *data, size_t n,
                             zoo_error *err);

#endif
