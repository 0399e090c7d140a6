/* cases_gemm.c: matrix products: every kind, every remainder of rows, outputs and columns. */
#include "kt.h"

#include "kernels/int_rows.h"

#include <math.h>
#include <string.h>

enum { CASES = 160, ROWS_MAX = 80 };

static const char *const kind_names[] = {"f32", "bf16", "int8", "int4", "int5", "int6"};

typedef struct gemm_case {
    zoo_weight w;
    uint32_t n_rows;
    float *x;
    size_t x_stride;
    const float *bias;
    double *want; /* [n_rows, rows] of exact products with the weights as packed */
    double *size; /* sum |w| * max |x| as rounded, + |bias|: what errors are measured by */
} gemm_case;

/* Rows of whole numbers from -12 to 12 in groups of 16, each with a scale of its own. */
static void fill_grid(zoo_weight *w)
{
    zoo_pack_factor(w, 0.37);
    for (uint32_t p = 0; p * ZOO_PANEL < w->rows; p++) {
        uint32_t n = w->rows - p * ZOO_PANEL < ZOO_PANEL ? w->rows - p * ZOO_PANEL : ZOO_PANEL;
        float *x = kt_floats((size_t)n * w->cols), unit = 0;
        for (size_t i = 0; i < (size_t)n * w->cols; i++) {
            unit = i % 16 ? unit : (float)((1 + kt_below(16)) * 0.37 / 64);
            x[i] = ((float)kt_below(25) - 12) * unit;
        }
        if (!zoo_pack_panel_exact(w, p, x, n)) {
            kt_check(false, "gemm int5: a grid of groups of 16 is not recognised");
        }
    }
}

static zoo_weight make_weight(uint32_t kind, uint32_t rows, uint32_t cols, uint32_t group)
{
    zoo_weight w = {.kind = kind, .rows = rows, .cols = cols, .group = group};
    size_t scales, bytes = zoo_pack_size((zoo_dtype)kind, rows, cols, group, &scales);
    w.data = kt_take(bytes);
    w.scales = scales ? kt_take(scales) : NULL;
    if (zoo_pack_needs_grid(&w)) {
        fill_grid(&w);
        return w;
    }
    for (uint32_t p = 0; p * ZOO_PANEL < rows; p++) {
        uint32_t n = rows - p * ZOO_PANEL < ZOO_PANEL ? rows - p * ZOO_PANEL : ZOO_PANEL;
        float *x = kt_values((size_t)n * cols, 1);
        for (size_t i = 0; i < (size_t)n * cols; i++) { /* zeros anywhere, the ends too */
            x[i] += (float)(i / cols % 5) * 0.5f - 1;
        }
        zoo_pack_panel(&w, p, x, n);
    }
    return w;
}

/* What rounding sees of n rows of floats [n, *width]: columns in the order of the weights, rotated
 * groups for int8 and int6, which are padded. */
static float *as_rounded(const zoo_weight *w, const float *x, size_t x_stride, uint32_t n,
                         uint32_t *width)
{
    uint32_t group = int_is_rotated(w->kind) ? w->group : 1;
    *width = (w->cols + group - 1) / group * group;
    float *out = kt_floats((size_t)n * *width);
    memset(out, 0, (size_t)n * *width * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < w->cols; k++) {
            out[(size_t)i * *width + k] = x[i * x_stride + (w->order ? w->order[k] : k)];
        }
    }
    if (int_is_rotated(w->kind)) {
        zoo_rotate(out, (size_t)n * *width, zoo_rotate_span(group));
    }
    return out;
}

/* sum |w| * max |x| as they are rounded; H w is divided by what H H multiplies. */
static double size_of(const zoo_weight *w, const float *row, const float *x, uint32_t width)
{
    double size = 0, top = 0;
    for (uint32_t k = 0; k < width; k++) {
        size += fabs((double)row[k]);
        top = fmax(top, fabs((double)x[k]));
    }
    return size * top / (int_is_rotated(w->kind) ? zoo_rotate_span(w->group) : 1);
}

static void make_wanted(gemm_case *c)
{
    size_t n = (size_t)c->n_rows * c->w.rows;
    uint32_t width;
    float *row = kt_floats(c->w.cols);
    const float *rounded = as_rounded(&c->w, c->x, c->x_stride, c->n_rows, &width);
    c->want = kt_take(n * sizeof *c->want);
    c->size = kt_take(n * sizeof *c->size);
    for (uint32_t o = 0; o < c->w.rows; o++) {
        zoo_unpack_row(&c->w, o, row);
        const float *rounded_row = as_rounded(&c->w, row, 0, 1, &width);
        for (uint32_t i = 0; i < c->n_rows; i++) {
            double sum = 0;
            for (uint32_t k = 0; k < c->w.cols; k++) {
                sum += (double)row[k] * (double)c->x[i * c->x_stride + k];
            }
            c->want[i * c->w.rows + o] = sum + (c->bias ? (double)c->bias[o] : 0);
            c->size[i * c->w.rows + o] =
                size_of(&c->w, rounded_row, rounded + (size_t)i * width, width) +
                (c->bias ? fabs((double)c->bias[o]) : 0) + 1e-9;
        }
    }
}

/* Rows [row, row + n) through the slots of one table; y dense. */
static float *run_rows(const zoo_kernels *k, const gemm_case *c, uint32_t row, uint32_t n)
{
    const zoo_gemm_slots *s = &k->gemm[c->w.kind];
    size_t size = s->prepared_size(c->w.cols, c->w.group), stride = c->w.rows + 3;
    const float *x = c->x + row * c->x_stride;
    float *y = kt_floats((n - 1) * stride + c->w.rows), *out = kt_floats((size_t)n * c->w.rows);
    zoo_gemm g = {.weight = &c->w, .x = x, .x_stride = c->x_stride, .y = y, .y_stride = stride};
    g.bias = c->bias;
    g.n_rows = n;
    if (size) {
        void *prepared = kt_take(size * n);
        s->prepare(x, c->x_stride, n, &c->w, prepared);
        g.x = prepared;
        g.x_stride = size;
    }
    uint32_t panels = (c->w.rows + ZOO_PANEL - 1) / ZOO_PANEL, cut = kt_below(panels + 1);
    g.panel_end = cut;
    s->gemm(&g);
    g.panel_begin = cut;
    g.panel_end = panels;
    s->gemm(&g);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(out + (size_t)i * c->w.rows, y + i * stride, c->w.rows * sizeof *y);
    }
    return out;
}

static uint32_t pick_size(uint32_t i, uint32_t max)
{
    return i < 67 ? i + 1 : 1 + kt_below(max);
}

static const uint32_t *random_order(uint32_t n)
{
    uint32_t *order = kt_take(n * sizeof *order);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = kt_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

static gemm_case make_case(uint32_t kind, uint32_t i)
{
    gemm_case c = {.n_rows = pick_size((i * 29) % CASES, ROWS_MAX)};
    uint32_t group = kind == ZOO_INT6 ? 64 : kind >= ZOO_INT8 ? 32 + i % 2 * 32 : 0;
    uint32_t cols = pick_size((i * 7) % CASES, i % 8 == 0 ? 1100 : 300);
    uint32_t rows = pick_size(i, 150);
    if (i < CASES / 2 && i % 5 == 4) { /* whole rounds of groups, which alone AMX takes */
        cols = 4 * (group ? group : 32) * (1 + i / 5 % 11);
        rows = 1 + kt_below(400);
    }
    if (kind == ZOO_INT5 && i % 3 == 2) {
        group = 16;
        cols = (cols + 31) / 32 * 32;
    }
    c.w = make_weight(kind, rows, cols, group);
    c.w.order = group && i % 4 == 3 ? random_order(cols) : NULL;
    c.x_stride = cols + i % 5;
    c.x = kt_values(c.n_rows * c.x_stride - i % 5, i % 3 ? 1.0f : 30.0f);
    c.bias = i % 2 ? kt_values(c.w.rows, 2) : NULL;
    make_wanted(&c);
    return c;
}

/* Largest error as a share of sum |w| max |x|. */
static double error_of(const gemm_case *c, const float *y)
{
    double worst = 0;
    for (size_t i = 0; i < (size_t)c->n_rows * c->w.rows; i++) {
        double error = fabs((double)y[i] - c->want[i]) / c->size[i];
        worst = error <= worst ? worst : error;
    }
    return worst;
}

/* Products with bf16 weights that round the activations too. */
static bool rounds_rows(const kt_pair *k, uint32_t kind)
{
    return kind == ZOO_BF16 && (strcmp(k->isa, "avx512bf16") == 0 || strcmp(k->isa, "amx") == 0 ||
                                strcmp(k->isa, "neonbf16") == 0);
}

/* Those and OpenBLAS have bits of their own; all else equals scalar. */
static bool equals_scalar(const kt_pair *k, uint32_t kind)
{
    bool theirs = strcmp(k->isa, "openblas") == 0 && (kind == ZOO_F32 || kind == ZOO_BF16);
    return !theirs && !rounds_rows(k, kind);
}

static void gemm_kind(const kt_pair *k, uint32_t kind)
{
    bool equal = true, alone = true;
    double worst = 0;
    for (uint32_t i = 0; i < CASES; i++) {
        gemm_case c = make_case(kind, i);
        float *y = run_rows(k->best, &c, 0, c.n_rows);
        double error = error_of(&c, y);
        worst = error <= worst ? worst : error;
        if (equals_scalar(k, kind)) {
            equal &= kt_same(y, run_rows(k->scalar, &c, 0, c.n_rows), (size_t)c.n_rows * c.w.rows);
        }
        for (uint32_t t = 0; t < 4; t++) {
            uint32_t row = kt_below(c.n_rows), n = 1 + kt_below(c.n_rows - row);
            n = t < 2 ? 1 : n;
            alone &= kt_same(run_rows(k->best, &c, row, n), y + (size_t)row * c.w.rows,
                             (size_t)n * c.w.rows);
        }
        kt_clear();
    }
    double limit = kind >= ZOO_INT8 ? 0.0045 : rounds_rows(k, kind) ? 6e-3 : 4e-6;
    kt_check(worst < limit, "gemm %s %s: error %.1e of sum |w| max |x|", kind_names[kind], k->isa,
             worst);
    kt_check(alone, "gemm %s %s: a row's bits do not depend on the other rows", kind_names[kind],
             k->isa);
    if (equals_scalar(k, kind)) {
        kt_check(equal, "gemm %s %s: the bits of scalar", kind_names[kind], k->isa);
    }
}

void kt_gemm(const kt_pair *k)
{
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        gemm_kind(k, kind);
    }
}
