/*
 * dialect.h: the reference's regular expressions written for PCRE2.
 */
#ifndef ZOO_TEXT_TOKENIZER_DIALECT_H
#define ZOO_TEXT_TOKENIZER_DIALECT_H

#include "text/tokenizer/tokenizer_private.h"

/* Appends to `out` a PCRE2 pattern (UTF, UCP) that matches what `pattern` matches in Oniguruma's
 * Ruby syntax. Errors: ZOO_E_UNSUPPORTED with the construct, ZOO_E_LIMIT when classes nest too
 * deep. */
zoo_status tok_dialect(tok_str pattern, zoo_text *out, zoo_error *err);

/* Where the class or property at p begins ([...] or \p{...}): the byte after it, or 0. */
size_t tok_dialect_class_end(tok_str pattern, size_t i);

#endif
