/*
 * explain.c: what latent attention caches and reads, for a reader new to it. Bytes are those of a
 * bf16 cache.
 */
#include "blocks/mla/impl.h"

#include <stdarg.h>
#include <stdio.h>

enum { FEW = 1024, MANY = 32768 }; /* tokens of the examples */

typedef struct writer {
    char *text;
    size_t n;
} writer;

static void add(writer *to, const char *format, ...) ZOO_PRINTF(2, 3);

static void add(writer *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int used = vsnprintf(to->text, to->n, format, args);
    va_end(args);
    size_t step = used < 0 ? 0 : (size_t)used < to->n ? (size_t)used : to->n ? to->n - 1 : 0;
    to->text += step;
    to->n -= step;
}

static void add_bytes(writer *to, double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    uint32_t unit = 0;
    while (unit < 3 && bytes >= 1024) {
        bytes /= 1024;
        unit++;
    }
    add(to, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
}

static void add_kept(writer *to, const zoo_mla *p)
{
    uint32_t kept = 2 * (p->kv_rows + p->index_row / p->index.pool);
    uint32_t whole = 2 * p->n_heads * (p->nope + p->rope_dim + p->v_dim);
    add(to,
        "\nkept for a token: a latent of %u numbers, from which keys and values of every head "
        "follow",
        p->kv_lora);
    if (p->rope_dim) {
        add(to, ", %sa rope key of %u, %s", p->index_row ? "" : "and ", p->rope_dim,
            p->rope ? "which holds the position" : "which is not rotated here");
    }
    if (p->when.pool) {
        add(to, ", and for every %u tokens an index key of %u, by which they are found",
            p->index.pool, p->index_row);
    } else if (p->index_row) {
        add(to, ", and an index key of %u, by which it is found", p->index_row);
    }
    add(to, ": %u bytes in bf16; keys and values of %u heads would be %u, %.1f times as many", kept,
        p->n_heads, whole, (double)whole / kept);
}

static void add_read(writer *to, const zoo_mla *p)
{
    double row = 2.0 * p->kv_rows, key = 2.0 * p->index_row / p->index.pool, top = p->index.top_k;
    add(to, "\nread for a new token: ");
    if (p->window) {
        add(to, "the latents and rope keys of the last %u tokens, ", p->window);
        add_bytes(to, row * p->window);
        add(to, " at most");
        return;
    }
    if (!p->when.index && !p->index.follows) {
        add(to, "the latents%s of all tokens before it, ", p->rope_dim ? " and rope keys" : "");
        add_bytes(to, row * FEW);
        add(to, " behind %d tokens, ", FEW);
        add_bytes(to, row * MANY);
        add(to, " behind %d", MANY);
        return;
    }
    if (p->when.index) {
        add(to, "all index keys, which %u index heads score, then ", p->index.n_heads);
    }
    add(to, "the latents%s of the %u tokens %s%s; ", p->rope_dim ? " and rope keys" : "",
        p->index.top_k, p->when.index ? "of best score" : "that an earlier layer chose",
        p->index.pool > 1 ? " and of those that no index key stands for yet" : "");
    add_bytes(to, key * MANY + row * (top < MANY ? top : MANY));
    add(to, " behind %d tokens, where all rows are ", MANY);
    add_bytes(to, row * MANY);
    add(to, "; up to %u tokens all are read and none is scored", p->index.top_k);
}

void zoo_mla_explain(const void *params, char *text, size_t n)
{
    const zoo_mla *p = params;
    writer to = {text, n};
    add(&to, "latent attention: %u heads share what is kept of a token", p->n_heads);
    add_kept(&to, p);
    add_read(&to, p);
}
