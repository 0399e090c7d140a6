/*
 * steps.h: the parts of pre-tokenization that have a file of their own.
 */
#ifndef ZOO_TEXT_TOKENIZER_STEPS_H
#define ZOO_TEXT_TOKENIZER_STEPS_H

#include "text/tokenizer/tokenizer_private.h"

/* Whether the character belongs to the class; `number` is the character of TOK_CLASS_CHAR. */
bool tok_class_has(const zoo_tokenizer *t, tok_class of, uint32_t number, uint32_t cp);

/* The table of scripts that tok_scripts_run reads. [load] */
zoo_status tok_scripts_open(zoo_tokenizer *t, zoo_error *err);

/* Pieces of one script each, spaces going with the piece before and leading ones with none. */
zoo_status tok_scripts_run(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero);

#endif
