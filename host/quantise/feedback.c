/* feedback.c: see feedback.h. Rows of an item lie side by side: x [cols][64]. */
#include "quantise/feedback.h"

#include <math.h>
#include <string.h>

#include "kernels/bf16.h"

enum { ROWS = ZOO_FEEDBACK_ROWS, GROUP = ZOO_FEEDBACK_GROUP, BLOCK = 64 };
enum { SPANS = 12, FIVES = 12, AGAIN = 2 };

/* Nearest whole number, ties to even, of less than 2^22. */
static inline float whole(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

static inline float clamp(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* The nearest bf16 that half floats hold too: at least 2^-17, where those have 8 bits. */
static uint16_t narrow_scale(float x)
{
    float least = x < 0 ? -0x1p-17f : 0x1p-17f;
    uint32_t bits;
    x = fabsf(x) < 0x1p-17f ? least : clamp(x, -65280.0f, 65280.0f);
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* The best steps of each row of a group so far. */
typedef struct fit {
    float gain[ROWS], scale[ROWS], low[ROWS], high[ROWS];
} fit;

static void fit_trial(const float *x, const float *weight, uint32_t n, const float *inverse,
                      const float *low, const float *high, fit *best)
{
    float xq[ROWS] = {0}, qq[ROWS] = {0};
    for (uint32_t k = 0; k < n; k++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            float v = x[k * ROWS + r], q = clamp(whole(v * inverse[r]), low[r], high[r]);
            xq[r] += weight[k] * v * q;
            qq[r] += weight[k] * q * q;
        }
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        float scale = xq[r] / (qq[r] > 1e-30f ? qq[r] : 1e-30f), gain = xq[r] * scale;
        if (gain > best->gain[r]) {
            best->gain[r] = gain;
            best->scale[r] = scale;
            best->low[r] = low[r];
            best->high[r] = high[r];
        }
    }
}

static void fit_four(const float *x, const float *weight, uint32_t n, fit *best)
{
    float lo[ROWS] = {0}, hi[ROWS] = {0}, inverse[ROWS], low[ROWS], high[ROWS];
    for (uint32_t i = 0; i < n * ROWS; i++) {
        uint32_t r = i % ROWS;
        lo[r] = x[i] < lo[r] ? x[i] : lo[r];
        hi[r] = x[i] > hi[r] ? x[i] : hi[r];
    }
    for (int t = 0; t < 2 * SPANS; t++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            float span = hi[r] - lo[r] > 1e-30f ? hi[r] - lo[r] : 1e-30f;
            inverse[r] = (14.4f + 0.6f * (float)(t / 2)) / span;
            float middle = (lo[r] + hi[r]) * inverse[r] * -0.5f;
            low[r] = -clamp(whole(middle + 7.0f + (float)(t % 2)), 0, 15);
            high[r] = 15 + low[r];
        }
        fit_trial(x, weight, n, inverse, low, high, best);
    }
}

static void fit_five(const float *x, const float *weight, uint32_t n, fit *best)
{
    float size[ROWS], inverse[ROWS], low[ROWS], high[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) {
        size[r] = 1e-30f;
        low[r] = -16;
        high[r] = 15;
    }
    for (uint32_t i = 0; i < n * ROWS; i++) {
        uint32_t r = i % ROWS;
        size[r] = fabsf(x[i]) > size[r] ? fabsf(x[i]) : size[r];
    }
    for (int t = 0; t < 2 * FIVES; t++) {
        float steps = 14.5f + 0.2f * (float)(t % FIVES);
        for (uint32_t r = 0; r < ROWS; r++) {
            inverse[r] = (t < FIVES ? steps : -steps) / size[r];
        }
        fit_trial(x, weight, n, inverse, low, high, best);
    }
}

/* Scales and zeros of the group of n columns x [n][ROWS]. */
static void fit_group(uint32_t bits, const float *x, const float *weight, uint32_t n, fit *best)
{
    memset(best, 0, sizeof *best);
    for (uint32_t r = 0; r < ROWS; r++) {
        best->low[r] = bits == 4 ? -8 : -16;
        best->high[r] = bits == 4 ? 7 : 15;
    }
    (bits == 4 ? fit_four : fit_five)(x, weight, n, best);
    for (int i = 0; i < AGAIN; i++) {
        fit last = *best;
        float inverse[ROWS];
        for (uint32_t r = 0; r < ROWS; r++) {
            inverse[r] = last.scale[r] != 0 ? 1 / last.scale[r] : 0;
        }
        fit_trial(x, weight, n, inverse, last.low, last.high, best);
    }
}

typedef struct part {
    const zoo_feedback *f;
    uint32_t first, n; /* rows */
    float *x;          /* [cols][ROWS], in order */
    float *y;          /* [cols][ROWS]: errors */
} part;

/* Rows of the tensor, the columns as they stand. */
static zoo_status read_rows(const part *p, float *room)
{
    size_t cols = p->f->cols;
    for (uint32_t r = 0; r < ROWS; r++) {
        if (r < p->n) {
            ZOO_TRY(zoo_tensor_widen(p->f->tensor, (p->first + r) * cols, cols, room, NULL));
        } else {
            memset(room, 0, cols * sizeof *room);
        }
        for (size_t k = 0; k < cols; k++) {
            p->y[k * ROWS + r] = room[k];
        }
    }
    return ZOO_OK;
}

static void fit_groups(const part *p)
{
    const zoo_feedback *f = p->f;
    uint32_t groups = (f->cols + GROUP - 1) / GROUP;
    float ones[GROUP], *weight = ones;
    fit best;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t begin = g * GROUP, n = f->cols - begin < GROUP ? f->cols - begin : GROUP;
        for (uint32_t k = 0; k < n; k++) {
            weight[k] = f->weight ? f->weight[begin + k] : 1;
        }
        fit_group(f->bits, p->y + (size_t)begin * ROWS, weight, n, &best);
        for (uint32_t r = 0; r < p->n; r++) {
            size_t at = (size_t)(p->first + r) * groups + g;
            f->scales[at] = narrow_scale(best.scale[r]);
            f->zeros[at] = (uint8_t)-best.low[r];
        }
    }
}

/* Column i of the order: codes, and errors over U_ii to e [ROWS]. */
static void round_column(const part *p, uint32_t i, const float *x, float *e, double *error)
{
    const zoo_feedback *f = p->f;
    uint32_t k = f->order ? f->order[i] : i, groups = (f->cols + GROUP - 1) / GROUP;
    float top = (float)((1u << f->bits) - 1);
    float divisor = f->factor ? f->factor[(size_t)i * f->cols + i] : 1;
    for (uint32_t r = 0; r < p->n; r++) {
        size_t at = (size_t)(p->first + r) * groups + k / GROUP;
        float scale = bf16_value(f->scales[at]), zero = (float)f->zeros[at];
        float code = clamp(whole(clamp(x[r] / scale, -100, 100)) + zero, 0, top);
        f->codes[(size_t)(p->first + r) * f->cols + k] = (uint8_t)code;
        e[r] = (x[r] - (code - zero) * scale) / divisor;
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

/* x of the columns behind `end` -= U[begin .. end, behind]^T e */
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

size_t zoo_feedback_room(uint32_t cols)
{
    return (size_t)cols * (2 * ROWS + 1);
}

zoo_status zoo_feedback_item(const zoo_feedback *f, uint32_t item, float *room)
{
    uint32_t left = f->rows - item * ROWS;
    size_t cells = (size_t)f->cols * ROWS;
    part p = {f, item * ROWS, left < ROWS ? left : ROWS, room, room + cells};
    double *errors = f->errors + 2 * (size_t)item;
    ZOO_TRY(read_rows(&p, room + 2 * cells));
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
