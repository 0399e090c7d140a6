/* vectors_files.c: see vectors.h. */
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

static const char *reference(void)
{
    const char *path = getenv("LMZOO_REFERENCE");
    return path ? path : LMZOO_SOURCE_DIR "/../shared/reference";
}

bool vector_push(zoo_text *text, const char *p, size_t n)
{
    if (text->n + n + 1 > text->capacity) {
        size_t capacity = 2 * (text->n + n + 64);
        char *grown = realloc(text->data, capacity);
        if (!grown) {
            return false;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->n, p, n);
    text->n += n;
    text->data[text->n] = 0;
    return true;
}

vector_text vector_read(const char *name)
{
    char path[4096], block[4096];
    zoo_text text = {0};
    size_t n;
    (void)snprintf(path, sizeof path, "%s/%s", reference(), name);
    FILE *in = fopen(path, "rb");
    if (!in) {
        return (vector_text){NULL, 0};
    }
    while ((n = fread(block, 1, sizeof block, in)) > 0 && vector_push(&text, block, n)) {
    }
    (void)fclose(in);
    return (vector_text){text.data, text.n};
}

bool vector_next(vector_parts *parts, const char **p, size_t *n)
{
    if (parts->over || !parts->text.data) {
        return false;
    }
    const char *begin = parts->text.data + parts->at;
    const char *end = strstr(begin, parts->separator);
    *p = begin;
    *n = end ? (size_t)(end - begin) : parts->text.n - parts->at;
    parts->over = !end;
    parts->at += *n + strlen(parts->separator);
    return true;
}

void vector_ids(const char *p, size_t n, zoo_ids *ids)
{
    for (size_t i = 0; i < n;) {
        uint32_t value = 0;
        size_t begin = i;
        while (i < n && p[i] >= '0' && p[i] <= '9') {
            value = value * 10 + (uint32_t)(p[i++] - '0');
        }
        if (i == begin) {
            i++;
            continue;
        }
        if (ids->n == ids->capacity) {
            size_t capacity = 2 * ids->capacity + 64;
            uint32_t *grown = realloc(ids->data, capacity * sizeof *grown);
            if (!grown) {
                abort();
            }
            ids->data = grown;
            ids->capacity = capacity;
        }
        ids->data[ids->n++] = value;
    }
}
