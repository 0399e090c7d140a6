/*
 * json_writer.h: text and JSON appended piece by piece to one growing buffer.
 *
 * A failed allocation sets `failed`: later pieces are dropped, and the owner checks it once, at the
 * end. Strings from zoo_out_string are always valid UTF-8.
 */
#ifndef ZOO_BASE_JSON_WRITER_H
#define ZOO_BASE_JSON_WRITER_H

#include "base.h"

/* Zero-initialise; zoo_out_free frees the memory. data is not null-terminated. */
typedef struct zoo_out {
    char *data; /* [n] */
    size_t n, capacity;
    bool failed;
} zoo_out;

void zoo_out_free(zoo_out *out);
void zoo_out_bytes(zoo_out *out, const char *bytes, size_t n);
void zoo_out_text(zoo_out *out, const char *text);
void zoo_out_number(zoo_out *out, uint64_t x);
void zoo_out_format(zoo_out *out, const char *format, ...) ZOO_PRINTF(2, 3);
/* A quoted JSON string; each invalid byte becomes U+FFFD. text null: the word null. */
void zoo_out_string(zoo_out *out, const char *text, size_t n);
/* The fewest digits that read back as the same float; values that JSON cannot hold become +-9999.
 * */
void zoo_out_float(zoo_out *out, float x);

/* Bytes of the UTF-8 character at text (n > 0 bytes are left): 1 to 4, or 0 when it is not one. */
size_t zoo_utf8_length(const char *text, size_t n);
/* Characters of a text, invalid bytes counted as one each. */
size_t zoo_utf8_characters(const char *text, size_t n);

#endif
