/* scaffold_text.c: see scaffold_text.h. Memory: one file at a time. */
#include "adding/scaffold_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { FILE_BYTES_MAX = 1 << 20 };

zoo_status zoo_scaffold_read(const char *path, char **text, zoo_error *err)
{
    FILE *in = fopen(path, "rb");
    *text = NULL;
    if (!in) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    char *data = zoo_mem_alloc(FILE_BYTES_MAX + 1);
    size_t n = data ? fread(data, 1, FILE_BYTES_MAX + 1, in) : 0;
    bool bad = !data || ferror(in) || n > FILE_BYTES_MAX;
    (void)fclose(in);
    if (bad) {
        zoo_mem_free(data);
        return zoo_fail(err, ZOO_E_IO, "%s: cannot be read, or is no source file", path);
    }
    data[n] = '\0';
    *text = data;
    return ZOO_OK;
}

zoo_status zoo_scaffold_write(const char *path, const char *text, bool fresh, zoo_error *err)
{
    FILE *out = fopen(path, fresh ? "wbx" : "wb");
    size_t n = strlen(text);
    if (!out && errno == EEXIST) {
        return zoo_fail(err, ZOO_E_USAGE, "%s is there already", path);
    }
    bool written = out && fwrite(text, 1, n, out) == n;
    written = out && fclose(out) == 0 && written;
    return written ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
}

char *zoo_scaffold_replace(char *text, const char *from, const char *to)
{
    size_t n = 0, n_from = strlen(from), n_to = strlen(to);
    for (const char *p = text; text && (p = strstr(p, from)); p += n_from) {
        n++;
    }
    char *out = text ? zoo_mem_alloc(strlen(text) + n * n_to + 1) : NULL, *to_at = out;
    for (const char *p = text, *next; out && *p; p = next ? next + n_from : p + strlen(p)) {
        next = strstr(p, from);
        size_t before = next ? (size_t)(next - p) : strlen(p);
        memcpy(to_at, p, before);
        to_at += before;
        memcpy(to_at, to, next ? n_to : 0);
        to_at += next ? n_to : 0;
    }
    if (out) {
        *to_at = '\0';
    }
    zoo_mem_free(text);
    return out;
}

zoo_status zoo_scaffold_insert(char **text, const char *after, const char *before, const char *what,
                               zoo_error *err)
{
    const char *at = strstr(*text, after);
    at = at ? strstr(at + strlen(after), before) : NULL;
    if (!at) {
        return zoo_fail(err, ZOO_E_FORMAT, "there is no \"%s\" followed by \"%s\"", after, before);
    }
    size_t n_text = strlen(*text), n_what = strlen(what), head = (size_t)(at - *text);
    char *out = zoo_mem_alloc(n_text + n_what + 1);
    if (!out) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    memcpy(out, *text, head);
    memcpy(out + head, what, n_what);
    memcpy(out + head + n_what, at, n_text - head + 1);
    zoo_mem_free(*text);
    *text = out;
    return ZOO_OK;
}
