/* moments.c: rows are recorded under a mutex during a step and added after it (moments.h). */
#include "quantise/moments.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The rows of one call. */
typedef struct piece {
    const float *x; /* their address in the step, by which pieces are sorted */
    uint32_t n;
    float *rows; /* [n, cols] */
} piece;

typedef struct moment {
    const zoo_weight *weight; /* null: skipped */
    float *h;                 /* null: shared, or no rows yet */
    uint32_t of;              /* the matrix whose h this one uses */
    uint64_t n_rows;
    piece *pieces; /* of the current step */
    uint32_t n_pieces, pieces_max;
} moment;

struct zoo_moments {
    moment *list;
    uint32_t *by_data; /* [n_by_data] indices of the matrices with a weight, by address of data */
    uint32_t n, n_by_data;
    const zoo_blas *blas;
    bool failed; /* out of memory */
};

static const zoo_kernels *wrapped;
static zoo_kernels collecting;
static zoo_moments *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static moment *find(zoo_moments *s, const void *data)
{
    uint32_t low = 0, high = s->n_by_data;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        moment *m = &s->list[s->by_data[middle]];
        if (m->weight->data == data) {
            return m;
        }
        if ((uintptr_t)m->weight->data < (uintptr_t)data) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool keep(moment *m, const zoo_gemm *g)
{
    size_t cols = m->weight->cols;
    if (m->n_pieces == m->pieces_max) {
        uint32_t max = m->pieces_max ? 2 * m->pieces_max : 4;
        piece *list = zoo_mem_realloc(m->pieces, max * sizeof *list);
        if (!list) {
            return false;
        }
        m->pieces = list;
        m->pieces_max = max;
    }
    float *rows = zoo_mem_alloc(g->n_rows * cols * sizeof *rows);
    for (uint32_t i = 0; rows && i < g->n_rows; i++) {
        memcpy(rows + i * cols, (const char *)g->x + i * g->x_stride, cols * sizeof *rows);
    }
    m->pieces[m->n_pieces] = (piece){g->x, g->n_rows, rows};
    m->n_pieces += rows != NULL;
    return rows != NULL;
}

static void collect(const zoo_gemm *g)
{
    if (g->panel_begin == 0 && g->panel_end > 0) {
        (void)pthread_mutex_lock(&lock);
        moment *m = current ? find(current, g->weight->data) : NULL;
        if (m && !keep(m, g)) {
            current->failed = true;
        }
        (void)pthread_mutex_unlock(&lock);
    }
    wrapped->gemm[g->weight->kind].gemm(g);
}

const zoo_kernels *zoo_moments_wrap(const zoo_kernels *kernels)
{
    wrapped = kernels;
    collecting = *kernels;
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        collecting.gemm[kind].gemm = collect;
    }
    return &collecting;
}

static const zoo_moments *sorting;

static int by_data(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)sorting->list[*(const uint32_t *)a].weight->data;
    uintptr_t y = (uintptr_t)sorting->list[*(const uint32_t *)b].weight->data;
    return (x > y) - (x < y);
}

zoo_status zoo_moments_begin(const zoo_weight *const *weights, uint32_t n, const zoo_blas *blas,
                             zoo_moments **out, zoo_error *err)
{
    zoo_moments *s = zoo_mem_array(1, sizeof *s);
    *out = s;
    if (s) {
        s->list = zoo_mem_array(n, sizeof *s->list);
        s->by_data = zoo_mem_array(n, sizeof *s->by_data);
    }
    if (!s || !s->list || !s->by_data) {
        zoo_moments_end(s);
        *out = NULL;
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for statistics of %u matrices", n);
    }
    s->n = n;
    s->blas = blas;
    for (uint32_t i = 0; i < n; i++) {
        s->list[i] = (moment){.weight = weights[i], .of = i};
        if (weights[i]) {
            s->by_data[s->n_by_data++] = i;
        }
    }
    sorting = s;
    qsort(s->by_data, s->n_by_data, sizeof *s->by_data, by_data);
    current = s;
    return ZOO_OK;
}

static int by_place(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const piece *)a)->x, y = (uintptr_t)((const piece *)b)->x;
    return (x > y) - (x < y);
}

static bool same_rows(const moment *a, const moment *b)
{
    bool same = a->n_pieces == b->n_pieces && a->weight->cols == b->weight->cols;
    for (uint32_t i = 0; same && i < a->n_pieces; i++) {
        const piece *x = &a->pieces[i], *y = &b->pieces[i];
        same = x->x == y->x && x->n == y->n &&
               memcmp(x->rows, y->rows, x->n * a->weight->cols * sizeof(float)) == 0;
    }
    return same;
}

/* Lets matrix i share the H of an earlier one with equal rows; decided at its first step. */
static void choose(zoo_moments *s, uint32_t i)
{
    moment *m = &s->list[i];
    uint32_t first = i < 16 ? 0 : i - 16;
    for (uint32_t j = first; j < i && m->of == i; j++) {
        moment *other = &s->list[j];
        if (other->of == j && other->n_rows == 0 && same_rows(m, other)) {
            m->of = j;
        }
    }
    if (m->of == i) {
        m->h = zoo_mem_array((size_t)m->weight->cols * m->weight->cols, sizeof *m->h);
        s->failed |= !m->h;
    }
}

static void add_one(void *arg, uint32_t i, uint32_t worker)
{
    zoo_moments *s = arg;
    moment *m = &s->list[i];
    int n = m->weight ? (int)m->weight->cols : 0;
    (void)worker;
    for (uint32_t p = 0; m->of == i && m->h && p < m->n_pieces; p++) {
        s->blas->syrk(CblasRowMajor, CblasUpper, CblasTrans, n, (int)m->pieces[p].n, 1.0f,
                      m->pieces[p].rows, n, 1.0f, m->h, n);
    }
}

static void drop_pieces(moment *m)
{
    for (uint32_t p = 0; p < m->n_pieces; p++) {
        m->n_rows += m->pieces[p].n;
        zoo_mem_free(m->pieces[p].rows);
    }
    m->n_pieces = 0;
}

zoo_status zoo_moments_add(zoo_moments *s, zoo_moments_run *run, void *arg, zoo_error *err)
{
    for (uint32_t i = 0; i < s->n; i++) {
        moment *m = &s->list[i];
        if (m->n_pieces > 1) {
            qsort(m->pieces, m->n_pieces, sizeof *m->pieces, by_place);
        }
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->list[i].n_pieces && s->list[i].n_rows == 0) {
            choose(s, i);
        }
    }
    run(arg, s->n, add_one, s);
    for (uint32_t i = 0; i < s->n; i++) {
        drop_pieces(&s->list[i]);
    }
    return s->failed ? zoo_fail(err, ZOO_E_MEMORY, "no memory for statistics of activations")
                     : ZOO_OK;
}

const float *zoo_moments_of(const zoo_moments *s, uint32_t i, uint32_t *of, uint64_t *n_rows)
{
    *of = s->list[i].of;
    *n_rows = s->list[i].n_rows;
    return s->list[*of].h;
}

void zoo_moments_end(zoo_moments *s)
{
    if (current == s) {
        current = NULL;
    }
    for (uint32_t i = 0; s && s->list && i < s->n; i++) {
        drop_pieces(&s->list[i]);
        zoo_mem_free(s->list[i].pieces);
        zoo_mem_free(s->list[i].h);
    }
    if (s) {
        zoo_mem_free(s->list);
        zoo_mem_free(s->by_data);
    }
    zoo_mem_free(s);
}
