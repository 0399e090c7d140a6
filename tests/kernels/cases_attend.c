/* cases_attend.c: attention against softmax in double; any cut into calls, every kind of
 * cache. Levels that multiply narrow caches in bf16 have bits of their own for those. */
#include "kt.h"

#include "cache/kinds.h"

#include <math.h>
#include <string.h>

enum { CASES = 60, FEW = 48, SEGMENTS_MAX = 16 };

typedef struct attend_case {
    zoo_attend_args args;
    zoo_segment k[SEGMENTS_MAX], v[SEGMENTS_MAX];
    uint32_t n_keys;
    float *wide_k, *wide_v; /* [n_keys, dim] as stored, widened by formula */
} attend_case;

/* A kind that reads its pages itself: float32 rows, the last one first. */
static size_t own_bytes(uint32_t width, uint32_t n_rows)
{
    return (size_t)width * n_rows * sizeof(float);
}

static void own_store(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                      const float *x)
{
    (void)kernels;
    memcpy((float *)page + (size_t)(ZOO_PAGE - 1 - row) * width, x, width * sizeof *x);
}

static void own_read(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                     uint32_t n, float *y, size_t y_stride)
{
    (void)kernels;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(y + i * y_stride, (const float *)page + (size_t)(ZOO_PAGE - 1 - row - i) * width,
               width * sizeof *y);
    }
}

static const zoo_cache_ops own_kind = {
    .form = ZOO_FORM_OWN, .bytes = own_bytes, .store = own_store, .read = own_read};

static const zoo_cache_ops *draw_kind(void)
{
    uint32_t i = kt_below(5);
    return i < 4 ? zoo_cache_kinds[i] : &own_kind;
}

/* Rows first .. n_keys - 1 into pages; returns all rows as they read, in float32. */
static float *make_stream(const kt_pair *k, const zoo_cache_ops *kind, uint32_t width,
                          attend_case *c, zoo_segment *segments, uint32_t first)
{
    float *wide = kt_floats((size_t)c->n_keys * width), *rotated = kt_floats(width);
    uint32_t n = 0;
    for (uint32_t row = first; row < c->n_keys; n++) {
        uint32_t end = (row / ZOO_PAGE + 1) * ZOO_PAGE, at = row % ZOO_PAGE;
        uint32_t rows = (end < c->n_keys ? end : c->n_keys) - row;
        unsigned char *page = kt_take(kind->bytes(width, ZOO_PAGE));
        for (uint32_t i = 0; i < rows; i++) {
            float *to = wide + (size_t)(row + i) * width;
            const float *x = kt_values(width, 1);
            if (kind->flags & ZOO_CACHE_HADAMARD) {
                k->scalar->hadamard(x, rotated, width, false);
                x = rotated;
            }
            kind->store(k->scalar, width, page, at + i, x);
            kind->read(k->scalar, width, page, at + i, 1, to, width);
            if (kind->flags & ZOO_CACHE_HADAMARD) {
                k->scalar->hadamard(to, to, width, true);
            }
        }
        segments[n] = (zoo_segment){.page = page, .at = at, .n_rows = rows, .row = row};
        row += rows;
    }
    c->args.n_segments = n;
    return wide;
}

static void make_first(zoo_attend_args *a, uint32_t window)
{
    uint32_t *first = kt_take(a->n_queries * sizeof *first);
    for (uint32_t i = 0; i < a->n_queries; i++) {
        uint32_t last = a->pos + i;
        first[i] = window && last + 1 > window ? last + 1 - window : 0;
    }
    a->first = first;
}

/* Up to eight rows over many whole blocks, every pair of kinds. */
static void make_few(zoo_attend_args *a, uint32_t i)
{
    a->n_queries = 1 + i % 2;
    a->n_heads = 1 + kt_below(8 / a->n_queries);
    a->head_dim = 32 * (1 + kt_below(4));
    a->v_dim = i % 3 ? a->head_dim : 32 * (1 + kt_below(4));
    a->pos = 130 + kt_below(700);
    a->k_kind = zoo_cache_kinds[i % 4];
    a->v_kind = zoo_cache_kinds[i / 4 % 4];
}

static void make_case(const kt_pair *k, uint32_t i, attend_case *c)
{
    static const uint32_t dims[] = {64, 128, 16, 40, 72, 96, 8, 33};
    zoo_attend_args *a = &c->args;
    *c = (attend_case){0};
    a->n_queries = 1 + (i % 3 ? kt_below(70) : 0);
    a->n_heads = i % 7 == 0 ? 70 : 1 + kt_below(9);
    a->head_dim = dims[i % 8];
    a->v_dim = i % 4 == 3 ? dims[kt_below(8)] : a->head_dim;
    a->pos = kt_below(i % 8 == 5 ? 900 : i % 2 ? 200 : 40);
    a->k_kind = draw_kind();
    a->v_kind = draw_kind();
    if (i >= CASES) {
        make_few(a, i);
    }
    a->kernels = k->scalar;
    a->scale = 0.3f;
    a->softcap = i % 5 == 1 ? 3.0f : 0;
    a->slopes = i % 6 == 2 ? kt_values(a->n_heads, 0.2f) : NULL;
    a->sinks = i % 3 == 1 ? kt_values(a->n_heads, 3) : NULL;
    a->q_stride = (size_t)a->n_heads * a->head_dim + i % 4;
    a->out_stride = (size_t)a->n_heads * a->v_dim + i % 3;
    a->q = kt_values(a->n_queries * a->q_stride - i % 4, 1);
    c->n_keys = a->pos + a->n_queries;
    make_first(a, i % 4 == 1 ? 1 + kt_below(90) : 0);
    c->wide_k = make_stream(k, a->k_kind, a->head_dim, c, c->k, a->first[0]);
    c->wide_v = make_stream(k, a->v_kind, a->v_dim, c, c->v, a->first[0]);
    a->k = c->k;
    a->v = c->v;
}

static double score_of(const attend_case *c, uint32_t i, uint32_t h, uint32_t j)
{
    const zoo_attend_args *a = &c->args;
    const float *q = a->q + i * a->q_stride + (size_t)h * a->head_dim;
    double s = 0;
    for (uint32_t d = 0; d < a->head_dim; d++) {
        s += (double)q[d] * (double)c->wide_k[(size_t)j * a->head_dim + d];
    }
    s *= (double)a->scale;
    if (a->softcap > 0) {
        s = (double)a->softcap * tanh(s / (double)a->softcap);
    }
    return a->slopes ? s + (double)a->slopes[h] * ((double)j - (double)(a->pos + i)) : s;
}

static void wanted_row(const attend_case *c, uint32_t i, uint32_t h, double *out)
{
    const zoo_attend_args *a = &c->args;
    double total = a->sinks ? exp((double)a->sinks[h]) : 0;
    memset(out, 0, a->v_dim * sizeof *out);
    for (uint32_t j = a->first[i]; j <= a->pos + i; j++) {
        double p = exp(score_of(c, i, h, j));
        total += p;
        for (uint32_t d = 0; d < a->v_dim; d++) {
            out[d] += p * (double)c->wide_v[(size_t)j * a->v_dim + d];
        }
    }
    for (uint32_t d = 0; d < a->v_dim; d++) {
        out[d] /= total;
    }
}

/* Queries [begin, begin + n) as a call of their own, dense out [n, heads, v_dim]. */
static float *run_queries(const zoo_kernels *k, const attend_case *c, uint32_t begin, uint32_t n)
{
    zoo_attend_args a = c->args;
    size_t width = (size_t)a.n_heads * a.v_dim;
    float *out = kt_floats((n - 1) * a.out_stride + width), *dense = kt_floats(n * width);
    zoo_segment ks[SEGMENTS_MAX], vs[SEGMENTS_MAX];
    uint32_t skip = 0;
    while (a.k[skip].row + a.k[skip].n_rows <= a.first[begin]) {
        skip++;
    }
    a.n_segments -= skip;
    memcpy(ks, a.k + skip, a.n_segments * sizeof *ks);
    memcpy(vs, a.v + skip, a.n_segments * sizeof *vs);
    uint32_t cut = a.first[begin] - ks[0].row;
    ks[0].at += cut;
    vs[0].at += cut;
    ks[0].row += cut;
    vs[0].row += cut;
    ks[0].n_rows -= cut;
    vs[0].n_rows -= cut;
    a.k = ks;
    a.v = vs;
    a.q += begin * a.q_stride;
    a.first += begin;
    a.pos += begin;
    a.n_queries = n;
    a.out = out;
    a.scratch = kt_floats(zoo_attend_scratch(a.head_dim, a.v_dim));
    k->attend(&a);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(dense + i * width, out + i * a.out_stride, width * sizeof *out);
    }
    return dense;
}

/* All queries, every part by itself and then joined. */
static float *run_parts(const zoo_kernels *k, const attend_case *c)
{
    zoo_attend_args a = c->args;
    size_t n = a.n_queries, width = (size_t)a.n_heads * a.v_dim, size = n * (width + 2 * a.n_heads);
    float *dense = kt_floats(n * width);
    const float *parts[SEGMENTS_MAX];
    uint32_t n_parts = 0, n_segments = a.n_segments;
    a.out = kt_floats((n - 1) * a.out_stride + width);
    a.scratch = kt_floats(zoo_attend_scratch(a.head_dim, a.v_dim));
    for (uint32_t s = 0; s < n_segments; s += a.n_segments, n_parts++) {
        a.k = c->args.k + s;
        a.v = c->args.v + s;
        a.n_segments = 0;
        while (s + a.n_segments < n_segments &&
               a.k[a.n_segments].row / ZOO_PART == a.k->row / ZOO_PART) {
            a.n_segments++;
        }
        float *sums = kt_floats(size);
        k->attend_part(&a, sums);
        parts[n_parts] = sums;
    }
    k->attend_join(&a, parts, n_parts);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(dense + i * width, a.out + i * a.out_stride, width * sizeof *dense);
    }
    return dense;
}

static double attend_error(const attend_case *c, const float *y)
{
    const zoo_attend_args *a = &c->args;
    double worst = 0, *want = kt_take(a->v_dim * sizeof *want);
    for (uint32_t i = 0; i < a->n_queries; i++) {
        for (uint32_t h = 0; h < a->n_heads; h++) {
            wanted_row(c, i, h, want);
            double e = kt_worst(y + ((size_t)i * a->n_heads + h) * a->v_dim, want, a->v_dim, 1);
            worst = e > worst ? e : worst;
        }
    }
    return worst;
}

/* The level rounds queries and weights of this case to bf16. */
static bool rounds(const kt_pair *k, const attend_case *c)
{
    bool wide = c->args.k_kind->form == ZOO_FORM_F32 || c->args.k_kind == &own_kind ||
                c->args.v_kind->form == ZOO_FORM_F32 || c->args.v_kind == &own_kind;
    return !wide && (strcmp(k->isa, "amx") == 0 || strcmp(k->isa, "avx512bf16") == 0);
}

void kt_attend(const kt_pair *k)
{
    bool equal = true, alone = true, joined = true;
    double worst = 0, rounded = 0;
    for (uint32_t i = 0; i < CASES + FEW; i++) {
        attend_case c;
        make_case(k, i, &c);
        uint32_t n = c.args.n_queries;
        size_t width = (size_t)c.args.n_heads * c.args.v_dim;
        float *y = run_queries(k->best, &c, 0, n);
        double e = attend_error(&c, y);
        if (rounds(k, &c)) {
            rounded = e > rounded ? e : rounded;
        } else {
            worst = e > worst ? e : worst;
            equal &= kt_same(y, run_queries(k->scalar, &c, 0, n), n * width);
        }
        joined &= kt_same(y, run_parts(k->best, &c), n * width);
        for (uint32_t t = 0; t < 3; t++) {
            uint32_t begin = kt_below(n), count = t ? 1 + kt_below(n - begin) : 1;
            alone &=
                kt_same(run_queries(k->best, &c, begin, count), y + begin * width, count * width);
        }
        kt_clear();
    }
    kt_check(worst < 5e-6, "attend %s: error %.1e", k->isa, worst);
    kt_check(rounded < 8e-3, "attend %s: error of narrow caches %.1e", k->isa, rounded);
    kt_check(equal, "attend %s: the bits of scalar", k->isa);
    kt_check(joined, "attend %s: parts by themselves, then joined", k->isa);
    kt_check(alone, "attend %s: a query's bits do not depend on its call", k->isa);
}
