/* feedback.c: unit search, rounding and feedback (feedback.h). The 64 rows of an item are
 * interleaved, x [cols][64], so that loops over rows vectorise. The search is that of
 * kernels/fit.inc with weighted squares and more trials. */
#include "quantise/feedback.h"

#include <math.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/int_rows.h"

enum { ROWS = ZOO_FEEDBACK_ROWS, GROUP_MAX = ZOO_FEEDBACK_GROUP_MAX, RUN = 32, BLOCK = 64 };
enum { SPANS = 8, COMMONS = 7, ZEROS = 2, DIVISORS = 12, REFITS = 2 };

/* Rounds to the nearest integer, ties to even; |x| < 2^22. */
static inline float whole(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

static inline float clamp(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* The nearest bf16 of size 2^-17 to 8160, so that 8 times it is exact in half floats; wide: of any
 * size with exact products. */
static uint16_t narrow_unit(float x, bool wide)
{
    float low = wide ? 0x1p-90f : 0x1p-17f, high = wide ? 0x1p90f : 8160.0f;
    float least = x < 0 ? -low : low;
    uint32_t bits;
    x = fabsf(x) < low ? least : clamp(x, -high, high);
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Columns [n][ROWS] of a group and the weights of their squares. */
typedef struct columns {
    const float *x, *weight;
    uint32_t n;
} columns;

/* For each row of a group its unit, and for each of its runs times and zero. */
typedef struct fit {
    float unit[ROWS], times[2][ROWS], zero[2][ROWS];
} fit;

/* Weighted sums over the columns of a trial: squared error (in units), x q, q q. */
typedef struct sums {
    float left[ROWS], xq[ROWS], qq[ROWS];
} sums;

static void try_steps(const columns *c, const float *inverse, const float *times, const float *zero,
                      float top, sums *out)
{
    float each[ROWS];
    memset(out, 0, sizeof *out);
    for (uint32_t r = 0; r < ROWS; r++) {
        each[r] = 1 / times[r];
    }
    for (uint32_t k = 0; k < c->n; k++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            float x = c->x[k * ROWS + r], v = x * inverse[r];
            float q = clamp(whole((v + zero[r]) * each[r]), 0, top) * times[r] - zero[r];
            out->left[r] += c->weight[k] * (v - q) * (v - q);
            out->xq[r] += c->weight[k] * x * q;
            out->qq[r] += c->weight[k] * q * q;
        }
    }
}

static void ends_of(const columns *c, float *low, float *high)
{
    memset(low, 0, ROWS * sizeof *low);
    memset(high, 0, ROWS * sizeof *high);
    for (uint32_t i = 0; i < c->n * ROWS; i++) {
        uint32_t r = i % ROWS;
        low[r] = c->x[i] < low[r] ? c->x[i] : low[r];
        high[r] = c->x[i] > high[r] ? c->x[i] : high[r];
    }
}

/* Keeps the scale of a trial in the rows where its gain xq^2 / qq is the largest so far. */
static void take_better(const sums *s, float *gain, float *scale)
{
    for (uint32_t r = 0; r < ROWS; r++) {
        float fitted = s->xq[r] / (s->qq[r] > 1e-30f ? s->qq[r] : 1e-30f);
        if (s->xq[r] * fitted > gain[r]) {
            gain[r] = s->xq[r] * fitted;
            scale[r] = fitted;
        }
    }
}

/* The best step of 16 codes for a run of 32 columns alone. */
static void run_scale(const columns *c, const float *low, const float *high, float *scale)
{
    float gain[ROWS] = {0}, inverse[ROWS], zero[ROWS], ones[ROWS];
    sums s;
    memset(scale, 0, ROWS * sizeof *scale);
    for (int t = 0; t < SPANS; t++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            float span = high[r] - low[r] > 1e-30f ? high[r] - low[r] : 1e-30f;
            ones[r] = 1;
            inverse[r] = (14.4f + 0.65f * (float)t) / span;
            zero[r] = clamp(7.5f - (low[r] + high[r]) * inverse[r] * 0.5f, 0, 15);
        }
        try_steps(c, inverse, ones, zero, 15, &s);
        take_better(&s, gain, scale);
    }
}

/* The best zero of a run with unit 1 / inverse. */
static void best_zero(const columns *c, const float *inverse, const float *low, const float *high,
                      const float *times, float *zero, sums *best)
{
    for (int i = -ZEROS; i <= ZEROS; i++) {
        float trial[ROWS];
        sums s;
        for (uint32_t r = 0; r < ROWS; r++) {
            float middle = 7.5f * times[r] - (low[r] + high[r]) * 0.5f * inverse[r];
            trial[r] = 2 * clamp(whole(middle * 0.5f) + (float)i, 0, INT4_ZERO_MAX / 2);
        }
        try_steps(c, inverse, times, trial, 15, &s);
        for (uint32_t r = 0; r < ROWS; r++) {
            if (i == -ZEROS || s.left[r] < best->left[r]) {
                best->left[r] = s.left[r];
                best->xq[r] = s.xq[r];
                best->qq[r] = s.qq[r];
                zero[r] = trial[r];
            }
        }
    }
}

/* The runs of a group with their ranges and own scales; try_common tries one scale for both. */
typedef struct common {
    columns runs[2];
    float low[2][ROWS], high[2][ROWS], scale[2][ROWS];
    uint32_t n_runs;
} common;

static void try_common(const common *c, float factor, float *gain, fit *best)
{
    fit f;
    float inverse[ROWS];
    sums all = {0}, s;
    for (uint32_t r = 0; r < ROWS; r++) {
        float top = c->scale[0][r];
        top = c->n_runs > 1 && c->scale[1][r] > top ? c->scale[1][r] : top;
        inverse[r] = 8 / (top * factor > 1e-30f ? top * factor : 1e-30f);
    }
    for (uint32_t i = 0; i < c->n_runs; i++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            float times = whole(c->scale[i][r] * inverse[r]);
            f.times[i][r] = clamp(times, INT4_TIMES_MIN, INT4_TIMES_MAX);
        }
        best_zero(&c->runs[i], inverse, c->low[i], c->high[i], f.times[i], f.zero[i], &s);
        for (uint32_t r = 0; r < ROWS; r++) {
            all.xq[r] += s.xq[r];
            all.qq[r] += s.qq[r];
        }
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        float fitted = all.xq[r] / (all.qq[r] > 1e-30f ? all.qq[r] : 1e-30f);
        if (all.xq[r] * fitted > gain[r]) {
            gain[r] = all.xq[r] * fitted;
            best->unit[r] = fitted;
            for (uint32_t i = 0; i < c->n_runs; i++) {
                best->times[i][r] = f.times[i][r];
                best->zero[i][r] = f.zero[i][r];
            }
        }
    }
}

static void fit_int4(const columns *group, fit *best)
{
    common c = {.n_runs = group->n > RUN ? 2 : 1};
    float gain[ROWS] = {0};
    for (uint32_t i = 0; i < c.n_runs; i++) {
        uint32_t left = group->n - i * RUN;
        c.runs[i] = (columns){group->x + (size_t)i * RUN * ROWS, group->weight + i * RUN,
                              left < RUN ? left : RUN};
        ends_of(&c.runs[i], c.low[i], c.high[i]);
        run_scale(&c.runs[i], c.low[i], c.high[i], c.scale[i]);
    }
    for (int t = 0; t < COMMONS; t++) {
        try_common(&c, 1 + 0.02f * (float)(t - COMMONS / 2), gain, best);
    }
}

/* Fixed zero, codes up to top: units of the largest value over first, first + apart and so on; n
 * trials, from the thirteenth on of the other sign, so that the largest value can be either end;
 * the last trials refit the best unit. */
static void fit_fixed(const columns *group, float first, float apart, int n, float top, fit *best)
{
    float low[ROWS], high[ROWS], gain[ROWS] = {0}, inverse[ROWS];
    sums s;
    ends_of(group, low, high);
    for (int t = 0; t < n + REFITS; t++) {
        float steps = first + apart * (float)(t % DIVISORS);
        for (uint32_t r = 0; r < ROWS; r++) {
            float size = high[r] > -low[r] ? high[r] : -low[r];
            inverse[r] = (t < DIVISORS ? steps : -steps) / (size > 1e-30f ? size : 1e-30f);
            if (t >= n) {
                inverse[r] = best->unit[r] != 0 ? 1 / best->unit[r] : 0;
            }
        }
        try_steps(group, inverse, best->times[0], best->zero[0], top, &s);
        take_better(&s, gain, best->unit);
    }
}

static void fit_int5(const columns *group, fit *best)
{
    fit_fixed(group, 14.5f, 0.2f, 2 * DIVISORS, 31, best);
}

static void fit_int6(const columns *group, fit *best)
{
    fit_fixed(group, 31, 0.5f, DIVISORS, 62, best);
}

static void fit_int8(const columns *group, fit *best)
{
    float low[ROWS], high[ROWS];
    ends_of(group, low, high);
    for (uint32_t r = 0; r < ROWS; r++) {
        best->unit[r] = (high[r] > -low[r] ? high[r] : -low[r]) / 127;
    }
}

/* The fixed zero of codes of 5, 6 and 8 bits. */
static float zero_of(uint32_t bits)
{
    return bits == 5 ? 16 : bits == 6 ? 31 : 127;
}

static float top_of(uint32_t bits)
{
    return bits == 4 ? 15 : bits == 5 ? 31 : 2 * zero_of(bits);
}

static void fit_group(uint32_t bits, const columns *group, fit *best)
{
    memset(best, 0, sizeof *best);
    for (uint32_t r = 0; r < 2 * ROWS; r++) {
        best->times[r / ROWS][r % ROWS] = bits == 4 ? INT4_TIMES_MAX : 1;
        best->zero[r / ROWS][r % ROWS] = bits == 4 ? 64 : zero_of(bits);
    }
    (bits == 4 ? fit_int4 : bits == 5 ? fit_int5 : bits == 6 ? fit_int6 : fit_int8)(group, best);
}

typedef struct part {
    const zoo_feedback *f;
    uint32_t first, n; /* rows */
    float *x;          /* [cols][ROWS] weights in the order of quantisation */
    float *y;          /* [cols][ROWS] first weights in file order, then errors */
    fit *fits;         /* [groups] */
} part;

/* Reads the item's rows to y where outputs lie side by side in the file. */
static zoo_status read_transposed(const part *p)
{
    const zoo_feedback *f = p->f;
    size_t width = f->tensor->dims[f->tensor->n_dims - 1];
    memset(p->y, 0, (size_t)f->cols * ROWS * sizeof *p->y);
    for (size_t k = 0; k < f->cols; k++) {
        size_t at = (f->row0 + k) * width + p->first;
        ZOO_TRY(zoo_tensor_widen(f->tensor, at, p->n, p->y + k * ROWS, NULL));
    }
    return ZOO_OK;
}

/* Reads the item's rows to y; those past the last one are zeros. */
static zoo_status read_rows(const part *p, float *room)
{
    size_t cols = p->f->cols;
    if (p->f->is_transposed) {
        return read_transposed(p);
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        if (r < p->n) {
            ZOO_TRY(zoo_tensor_widen(p->f->tensor, (p->f->row0 + p->first + r) * cols, cols, room,
                                     NULL));
        } else {
            memset(room, 0, cols * sizeof *room);
        }
        for (size_t k = 0; k < cols; k++) {
            p->y[k * ROWS + r] = room[k];
        }
    }
    return ZOO_OK;
}

/* y = H y / 64 of each group of columns. */
static void rotate_columns(const part *p)
{
    size_t n = (size_t)p->f->cols * ROWS;
    for (size_t step = GROUP_MAX / 2; step; step /= 2) {
        for (size_t k = 0; k < p->f->cols; k++) {
            float *a = p->y + k * ROWS, *b = a + step * ROWS;
            for (uint32_t r = 0; r < ROWS && !(k & step); r++) {
                float x = a[r], y = b[r];
                a[r] = x + y;
                b[r] = x - y;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        p->y[i] /= GROUP_MAX;
    }
}

static void fit_groups(const part *p)
{
    const zoo_feedback *f = p->f;
    uint32_t size = zoo_feedback_group(f->bits, f->is_rotated),
             groups = (f->cols + size - 1) / size;
    float weight[GROUP_MAX];
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t begin = g * size, n = f->cols - begin < size ? f->cols - begin : size;
        columns c = {p->y + (size_t)begin * ROWS, weight, n};
        for (uint32_t k = 0; k < n; k++) {
            weight[k] = f->weight ? f->weight[begin + k] : 1;
        }
        fit_group(f->bits, &c, &p->fits[g]);
        for (uint32_t r = 0; r < ROWS; r++) {
            uint16_t unit = narrow_unit(p->fits[g].unit[r], f->is_rotated);
            p->fits[g].unit[r] = bf16_value(unit);
            if (r < p->n) {
                f->scales[(size_t)(p->first + r) * groups + g] = unit;
            }
        }
    }
}

/* Quantises column i of the order: codes, and errors over U_ii to e [ROWS]. */
static void round_column(const part *p, uint32_t i, const float *x, float *e, double *error)
{
    const zoo_feedback *f = p->f;
    uint32_t k = f->order ? f->order[i] : i, group = zoo_feedback_group(f->bits, f->is_rotated);
    const fit *of = &p->fits[k / group];
    const float *times = of->times[k % group / RUN], *zero = of->zero[k % group / RUN];
    float top = top_of(f->bits);
    float divisor = f->factor ? f->factor[(size_t)i * f->cols + i] : 1;
    int middle = f->bits == 5 ? 16 : 128;
    for (uint32_t r = 0; r < p->n; r++) {
        float v = clamp(x[r] / of->unit[r], -1000, 1000);
        float code = clamp(whole((v + zero[r]) / times[r]), 0, top);
        float q = code * times[r] - zero[r];
        f->codes[(size_t)(p->first + r) * f->cols + k] = (uint8_t)((int)q + middle);
        e[r] = (x[r] - q * of->unit[r]) / divisor;
        *error += (double)e[r] * (double)e[r];
    }
}

static void feed_block(const part *p, uint32_t begin, uint32_t end, double *error)
{
    const zoo_feedback *f = p->f;
    for (uint32_t i = begin; i < end; i++) {
        float *e = p->y + (size_t)i * ROWS;
        round_column(p, i, p->x + (size_t)i * ROWS, e, error);
        for (uint32_t j = i + 1; f->factor && j < end; j++) {
            float u = f->factor[(size_t)i * f->cols + j], *x = p->x + (size_t)j * ROWS;
            for (uint32_t r = 0; r < ROWS; r++) {
                x[r] -= u * e[r];
            }
        }
    }
}

/* x[end ..] -= U[begin .. end - 1, end ..]^T e */
static void feed_rest(const part *p, uint32_t begin, uint32_t end)
{
    const zoo_feedback *f = p->f;
    if (f->factor && end < f->cols) {
        f->blas->gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(f->cols - end), ROWS,
                      (int)(end - begin), -1.0f, f->factor + (size_t)begin * f->cols + end,
                      (int)f->cols, p->y + (size_t)begin * ROWS, ROWS, 1.0f,
                      p->x + (size_t)end * ROWS, ROWS);
    }
}

/* sum w H w over the rows. */
static double size_of(const part *p)
{
    const zoo_feedback *f = p->f;
    double size = 0;
    if (f->h) {
        f->blas->symm(CblasRowMajor, CblasLeft, CblasUpper, (int)f->cols, ROWS, 1.0f, f->h,
                      (int)f->cols, p->x, ROWS, 0.0f, p->y, ROWS);
    }
    for (size_t i = 0; i < (size_t)f->cols * ROWS; i++) {
        size += (double)p->x[i] * (double)(f->h ? p->y[i] : p->x[i]);
    }
    return size;
}

size_t zoo_feedback_scratch(uint32_t cols)
{
    size_t fits = (cols + RUN - 1) / RUN * sizeof(fit) / sizeof(float);
    return (size_t)cols * (2 * ROWS + 1) + fits;
}

zoo_status zoo_feedback_item(const zoo_feedback *f, uint32_t item, float *room)
{
    uint32_t left = f->rows - item * ROWS;
    size_t cells = (size_t)f->cols * ROWS;
    part p = {f, item * ROWS, left < ROWS ? left : ROWS, room, room + cells, NULL};
    p.fits = (fit *)(void *)(room + 2 * cells + f->cols);
    double *errors = f->errors + 2 * (size_t)item;
    ZOO_TRY(read_rows(&p, room + 2 * cells));
    if (f->is_rotated) {
        rotate_columns(&p);
    }
    fit_groups(&p);
    for (uint32_t i = 0; i < f->cols; i++) {
        uint32_t k = f->order ? f->order[i] : i;
        memcpy(p.x + (size_t)i * ROWS, p.y + (size_t)k * ROWS, ROWS * sizeof *p.x);
    }
    errors[1] = size_of(&p);
    errors[0] = 0;
    memset(p.y, 0, cells * sizeof *p.y);
    for (uint32_t b = 0; b < f->cols; b += BLOCK) {
        uint32_t end = f->cols - b < BLOCK ? f->cols : b + BLOCK;
        feed_block(&p, b, end, &errors[0]);
        feed_rest(&p, b, end);
    }
    return ZOO_OK;
}
