/*
 * steps.h: the parts of pre-tokenization that have a file of their own.
 */
#ifndef ZOO_TEXT_TOKENIZER_STEPS_H
#define ZOO_TEXT_TOKENIZER_STEPS_H

#include "text/tokenizer/tokenizer_private.h"

/* Whether the character belongs to the class; `number` is the character of TOK_CLASS_CHAR. */
bool tok_class_has(const zoo_tokenizer *t, tok_class of, uint32_t number, uint32_t cp);

/* Of a character without a script, which goes with what is before it. */
enum { TOK_SCRIPT_ANY = 255 };

/* zoo_tokenizer.scripts, for splitting by script. [load] */
zoo_status tok_scripts_open(zoo_tokenizer *t, zoo_error *err);

#endif
