/*
 * mla_explain.c: what latent attention keeps and reads, for a reader who has not met it.
 */
#include "mla_impl.h"

static void add(char **text, size_t *n, const char *format, ...) ZOO_PRINTF(3, 4);

static void add(char **text, size_t *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int used = vsnprintf(*text, *n, format, args);
    va_end(args);
    size_t step = used < 0 ? 0 : (size_t)used < *n ? (size_t)used : *n ? *n - 1 : 0;
    *text += step;
    *n -= step;
}

void zoo_mla_explain(const void *params, char *text, size_t n)
{
    const zoo_mla *p = params;
    uint32_t row = p->kv_rows, index = p->index_row;
    uint32_t whole = p->n_heads * (p->nope + p->rope_dim + p->v_dim);
    add(&text, &n,
        "%u heads share one cached row per token: a latent of %u numbers and a rope key of %u",
        p->n_heads, p->kv_lora, p->rope_dim);
    add(&text, &n, "%s%s", p->rope ? "" : " (not rotated)", index ? ", " : "");
    if (index) {
        add(&text, &n, "an index key of %u", index);
    }
    add(&text, &n,
        "; %u bytes a token in bf16, %u if keys and values of each head were kept instead",
        2 * (row + index), 2 * whole);
    if (index) {
        add(&text, &n,
            "; a new token scores all earlier ones by their index keys (%u heads of %u) and reads "
            "the %u best rows, %u bytes, however long the text is",
            p->index.n_heads, p->index.dim, p->index.top_k, 2 * row * p->index.top_k);
    } else if (p->index.follows) {
        add(&text, &n,
            "; a new token reads the %u rows that an earlier layer chose, %u bytes at most",
            p->index.top_k, 2 * row * p->index.top_k);
    } else {
        add(&text, &n, "; a new token reads %u bytes for each token before it", 2 * row);
    }
}
