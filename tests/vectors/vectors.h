/*
 * vectors.h: reading files of expected ids, shared by the runners.
 */
#ifndef ZOO_TESTS_VECTORS_H
#define ZOO_TESTS_VECTORS_H

#include "text/tokenizer/tokenizer.h"

typedef struct vector_text {
    char *data; /* null: the file is absent */
    size_t n;
} vector_text;

/* The whole file below the reference folder, 0-ended. */
vector_text vector_read(const char *name);

/* The next part of text up to the separator; false at the end. An empty last part counts when
 * last_empty is set. */
typedef struct vector_parts {
    vector_text text;
    const char *separator;
    size_t at;
    bool over;
} vector_parts;
bool vector_next(vector_parts *parts, const char **p, size_t *n);

/* Appends the numbers in the text; anything but digits separates them. */
void vector_ids(const char *p, size_t n, zoo_ids *ids);

bool vector_push(zoo_text *text, const char *p, size_t n);

#endif
