/* throwaway: contiguous caches */
#include "cache.h"
#include <stdlib.h>
#include <string.h>
typedef struct blk {
    zoo_cache c;
    zoo_stream s[8];
    zoo_dtype d[8];
    float *mem[8];
    zoo_cache_pool *p;
} blk;
struct zoo_cache_pool {
    zoo_cache_options o;
    blk *b[8192];
    uint32_t n;
    uint8_t *open;
};
static void put(zoo_cache *c, uint32_t st, const zoo_seq *q, uint32_t row, uint32_t n,
                const float *x, size_t xs)
{
    blk *b = (blk *)c;
    uint32_t w = b->s[st].width;
    uint32_t H = b->s[st].heads ? b->s[st].heads : 1, hw = w / H;
    size_t C = b->p->o.limits.context_max;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < H; h++)
            memcpy(b->mem[st] + ((size_t)q->slot * H + h) * C * hw + (size_t)(row + i) * hw,
                   x + i * xs + h * hw, hw * 4);
}
static zoo_segment get(const zoo_cache *c, uint32_t st, const zoo_seq *q, uint32_t h, uint32_t row)
{
    const blk *b = (const blk *)c;
    uint32_t w = b->s[st].width;
    uint32_t H = b->s[st].heads ? b->s[st].heads : 1, hw = w / H;
    size_t C = b->p->o.limits.context_max;
    uint32_t e = (row / 64 + 1) * 64;
    if (e > C)
        e = (uint32_t)C;
    zoo_segment s = {b->mem[st] + ((size_t)q->slot * H + h) * C * hw + (size_t)row * hw, NULL,
                     e - row, row};
    return s;
}
static float *state(const zoo_cache *c, uint32_t st, const zoo_seq *q)
{
    const blk *b = (const blk *)c;
    return b->mem[st] + (size_t)q->slot * b->s[st].width;
}
zoo_status zoo_cache_pool_new(const zoo_cache_options *o, zoo_cache_pool **out, zoo_error *e)
{
    (void)e;
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    (*out)->open = calloc(o->limits.seqs_max, 1);
    return ZOO_OK;
}
zoo_status zoo_cache_pool_add(zoo_cache_pool *p, const zoo_stream *s, uint32_t n, zoo_cache **h,
                              zoo_error *e)
{
    (void)e;
    blk *b = calloc(1, sizeof *b);
    memcpy(b->s, s, n * sizeof *s);
    b->c.size = sizeof(zoo_cache);
    b->c.n_streams = n;
    b->c.dtypes = b->d;
    b->c.put = put;
    b->c.get = get;
    b->c.state = state;
    b->p = p;
    p->b[p->n++] = b;
    *h = &b->c;
    return ZOO_OK;
}
zoo_status zoo_cache_pool_fix(zoo_cache_pool *p, zoo_error *e)
{
    (void)e;
    for (uint32_t i = 0; i < p->n; i++)
        for (uint32_t s = 0; s < p->b[i]->c.n_streams; s++)
            p->b[i]->mem[s] =
                calloc((size_t)p->o.limits.seqs_max *
                           (p->b[i]->s[s].kind == ZOO_STATE ? 1 : p->o.limits.context_max) *
                           p->b[i]->s[s].width,
                       4);
    return ZOO_OK;
}
void zoo_cache_pool_free(zoo_cache_pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n; i++) {
        for (int s = 0; s < 8; s++)
            free(p->b[i]->mem[s]);
        free(p->b[i]);
    }
    free(p->open);
    free(p);
}
zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *p, uint32_t l)
{
    (void)p;
    (void)l;
    zoo_cache_cost c = {0};
    return c;
}
zoo_status zoo_cache_seq_open(zoo_cache_pool *p, uint32_t l, uint32_t *slot, zoo_error *e)
{
    (void)l;
    for (uint32_t i = 0; i < p->o.limits.seqs_max; i++)
        if (!p->open[i]) {
            p->open[i] = 1;
            *slot = i;
            zoo_cache_seq_restart(p, i);
            return ZOO_OK;
        }
    return zoo_fail(e, ZOO_E_MEMORY, "full");
}
zoo_status zoo_cache_seq_open_at(zoo_cache_pool *p, uint32_t l, uint32_t x, uint32_t *s,
                                 zoo_error *e)
{
    (void)x;
    return zoo_cache_seq_open(p, l, s, e);
}
void zoo_cache_seq_close(zoo_cache_pool *p, uint32_t s)
{
    p->open[s] = 0;
}
void zoo_cache_seq_restart(zoo_cache_pool *p, uint32_t slot)
{
    for (uint32_t i = 0; i < p->n; i++)
        for (uint32_t s = 0; s < p->b[i]->c.n_streams; s++)
            if (p->b[i]->s[s].kind == ZOO_STATE)
                memset(p->b[i]->mem[s] + (size_t)slot * p->b[i]->s[s].width, 0,
                       p->b[i]->s[s].width * 4);
}
zoo_status zoo_cache_seq_extend(zoo_cache_pool *p, uint32_t s, uint32_t a, uint32_t n, zoo_error *e)
{
    (void)p;
    (void)s;
    (void)a;
    (void)n;
    (void)e;
    return ZOO_OK;
}
zoo_status zoo_cache_prefix_keep(zoo_cache_pool *p, uint32_t s, uint32_t l, uint32_t *x,
                                 zoo_error *e)
{
    (void)p;
    (void)s;
    (void)l;
    (void)x;
    return zoo_fail(e, ZOO_E_UNSUPPORTED, "no");
}
void zoo_cache_prefix_drop(zoo_cache_pool *p, uint32_t x)
{
    (void)p;
    (void)x;
}
uint32_t zoo_cache_prefix_length(const zoo_cache_pool *p, uint32_t x)
{
    (void)p;
    (void)x;
    return 0;
}
void zoo_cache_pool_kernels(zoo_cache_pool *p, const zoo_kernels *k)
{
    (void)p;
    (void)k;
}
