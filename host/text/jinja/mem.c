/*
 * mem.c: the pool of one compile or render, the text buffer, the bounds, and the unwinding.
 *
 * A pool is a list of blocks of at least 32 KiB, each twice the size of the one before up to 1 MiB;
 * nothing is given back before the end. Every growth is checked against bytes_max.
 */
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "text/jinja/jinja_private.h"

typedef struct zoo_jchunk {
    struct zoo_jchunk *next;
    size_t used, capacity;
    max_align_t data[];
} zoo_jchunk;

#define CHUNK_BYTES_MIN ((size_t)32 << 10)
#define CHUNK_BYTES_MAX ((size_t)1 << 20)

void zoo_jpool_free(zoo_jpool *pool)
{
    while (pool->chunks) {
        zoo_jchunk *next = pool->chunks->next;
        zoo_mem_free(pool->chunks);
        pool->chunks = next;
    }
    pool->bytes = 0;
}

void zoo_jinja_raise(zoo_jinja *x, zoo_status code, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    x->status = zoo_fail(x->err, code, "%s, line %d: %s", x->name, x->line, text);
    longjmp(x->unwind, 1);
}

static zoo_jchunk *chunk_add(zoo_jinja *x, size_t n)
{
    size_t want = x->pool.chunks ? x->pool.chunks->capacity * 2 : CHUNK_BYTES_MIN;
    want = want > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : want;
    want = want < n ? n : want;
    if (want > x->limits.memory_bytes_max - x->pool.bytes) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template needs more than %zu bytes of memory",
                        x->limits.memory_bytes_max);
    }
    zoo_jchunk *chunk = zoo_mem_alloc(sizeof *chunk + want);
    if (!chunk) {
        zoo_jinja_raise(x, ZOO_E_MEMORY, "no memory for %zu bytes", want);
    }
    chunk->next = x->pool.chunks;
    chunk->used = 0;
    chunk->capacity = want;
    x->pool.chunks = chunk;
    x->pool.bytes += want;
    return chunk;
}

void *zoo_jinja_take(zoo_jinja *x, size_t n)
{
    size_t rounded = (n + (sizeof(max_align_t) - 1)) / sizeof(max_align_t) * sizeof(max_align_t);
    if (rounded < n || rounded > x->limits.memory_bytes_max) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template needs more than %zu bytes of memory",
                        x->limits.memory_bytes_max);
    }
    zoo_jchunk *chunk = x->pool.chunks;
    if (!chunk || chunk->capacity - chunk->used < rounded) {
        chunk = chunk_add(x, rounded);
    }
    void *at = (char *)chunk->data + chunk->used;
    chunk->used += rounded;
    return at;
}

void *zoo_jinja_array(zoo_jinja *x, size_t n_items, size_t item_size)
{
    if (n_items > SIZE_MAX / item_size) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "%zu items are too many", n_items);
    }
    void *at = zoo_jinja_take(x, n_items * item_size);
    memset(at, 0, n_items * item_size);
    return at;
}

void zoo_jinja_step(zoo_jinja *x, uint64_t n)
{
    x->steps += n;
    if (!zoo_budget_step(n)) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template takes too long");
    }
    if (x->steps > x->limits.steps_max) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template runs for more than %llu steps",
                        (unsigned long long)x->limits.steps_max);
    }
}

void zoo_jinja_enter(zoo_jinja *x)
{
    if (++x->depth > x->limits.depth_max) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "nesting is deeper than %u", x->limits.depth_max);
    }
}

void zoo_jinja_leave(zoo_jinja *x)
{
    x->depth--;
}

void zoo_jbuf_add(zoo_jinja *x, zoo_jbuf *buf, const char *s, size_t n)
{
    if (n > buf->capacity - buf->n) {
        size_t capacity = buf->capacity ? buf->capacity : 64;
        while (capacity - buf->n < n) {
            if (capacity > x->limits.memory_bytes_max) {
                zoo_jinja_raise(x, ZOO_E_LIMIT, "a string is longer than %zu bytes",
                                x->limits.memory_bytes_max);
            }
            capacity *= 2;
        }
        char *grown = zoo_jinja_take(x, capacity);
        if (buf->n) {
            memcpy(grown, buf->s, buf->n);
        }
        buf->s = grown;
        buf->capacity = capacity;
    }
    if (n) {
        memcpy(buf->s + buf->n, s, n);
        buf->n += n;
    }
}

void zoo_jbuf_text(zoo_jinja *x, zoo_jbuf *buf, const char *s)
{
    zoo_jbuf_add(x, buf, s, strlen(s));
}

void zoo_jbuf_char(zoo_jinja *x, zoo_jbuf *buf, uint32_t c)
{
    char s[4];
    size_t n = 0;
    if (c < 0x80) {
        s[n++] = (char)c;
    } else if (c < 0x800) {
        s[n++] = (char)(0xC0 | c >> 6);
        s[n++] = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        s[n++] = (char)(0xE0 | c >> 12);
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        s[n++] = (char)(0x80 | (c & 0x3F));
    } else {
        s[n++] = (char)(0xF0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
        s[n++] = (char)(0x80 | (c & 0x3F));
    }
    zoo_jbuf_add(x, buf, s, n);
}
