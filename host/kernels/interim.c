/* throwaway: serial pool, f32 pack, scalar kernels, so that the engine can be tried */
#include "kernels/select.h"
#include "pack.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
uint32_t zoo_pack_group(zoo_dtype k)
{
    (void)k;
    return 0;
}
size_t zoo_pack_size(zoo_dtype k, uint32_t rows, uint32_t cols, uint32_t g, size_t *s)
{
    (void)k;
    (void)g;
    *s = 0;
    return (size_t)((rows + 15) / 16) * 16 * cols * 4;
}
void zoo_pack_panel(zoo_weight *w, uint32_t p, const float *rows, uint32_t n)
{
    float *d = (float *)(uintptr_t)w->data + (size_t)p * 16 * w->cols;
    for (uint32_t k = 0; k < w->cols; k++)
        for (uint32_t i = 0; i < 16; i++)
            d[k * 16 + i] = i < n ? rows[(size_t)i * w->cols + k] : 0;
    w->kind = ZOO_F32;
}
void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out)
{
    const float *d = (const float *)w->data + (size_t)(row / 16) * 16 * w->cols;
    for (uint32_t k = 0; k < w->cols; k++)
        out[k] = d[k * 16 + row % 16];
}
static size_t ps(uint32_t c, uint32_t g)
{
    (void)c;
    (void)g;
    return 0;
}
static void gemm(const zoo_gemm *a)
{
    const zoo_weight *w = a->weight;
    for (uint32_t i = 0; i < a->n_rows; i++)
        for (uint32_t p = a->panel_begin; p < a->panel_end; p++) {
            const float *d = (const float *)w->data + (size_t)p * 16 * w->cols;
            const float *x = (const float *)a->x + i * a->x_stride;
            for (uint32_t o = 0; o < 16 && p * 16 + o < w->rows; o++) {
                float s = 0;
                for (uint32_t k = 0; k < w->cols; k++)
                    s = fmaf(x[k], d[k * 16 + o], s);
                a->y[i * a->y_stride + p * 16 + o] = s + (a->bias ? a->bias[p * 16 + o] : 0);
            }
        }
}
static void rms(const zoo_norm_args *a)
{
    for (uint32_t i = 0; i < a->n_rows; i++) {
        const float *x = a->x + i * a->x_stride;
        float *y = a->y + i * a->y_stride;
        float s = 0;
        for (uint32_t k = 0; k < a->width; k++)
            s += x[k] * x[k];
        float r = 1 / sqrtf(s / (float)a->width + a->eps);
        for (uint32_t k = 0; k < a->width; k++)
            y[k] = x[k] * r * (a->weight ? a->weight[k] + a->offset : 1);
    }
}
static void lnorm(const zoo_norm_args *a)
{
    for (uint32_t i = 0; i < a->n_rows; i++) {
        const float *x = a->x + i * a->x_stride;
        float *y = a->y + i * a->y_stride;
        double s = 0, v = 0;
        for (uint32_t k = 0; k < a->width; k++)
            s += x[k];
        float m = (float)(s / a->width);
        for (uint32_t k = 0; k < a->width; k++)
            v += (x[k] - m) * (x[k] - m);
        float r = 1 / sqrtf((float)(v / a->width) + a->eps);
        for (uint32_t k = 0; k < a->width; k++)
            y[k] = (x[k] - m) * r * (a->weight ? a->weight[k] + a->offset : 1) +
                   (a->bias ? a->bias[k] : 0);
    }
}
static float act1(zoo_act a, float x)
{
    switch (a) {
    case ZOO_ACT_SILU:
        return x / (1 + expf(-x));
    case ZOO_ACT_GELU:
        return 0.5f * x * (1 + erff(x * 0.70710678f));
    case ZOO_ACT_GELU_TANH:
        return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case ZOO_ACT_RELU:
        return x > 0 ? x : 0;
    case ZOO_ACT_RELU2:
        return x > 0 ? x * x : 0;
    case ZOO_ACT_SIGMOID:
        return 1 / (1 + expf(-x));
    case ZOO_ACT_TANH:
        return tanhf(x);
    case ZOO_ACT_SOFTPLUS:
        return x > 20 ? x : log1pf(expf(x));
    case ZOO_ACT_EXP:
        return expf(x);
    default:
        return x;
    }
}
static void act(zoo_act a, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = act1(a, x[i]);
}
static void actmul(zoo_act a, const float *g, const float *u, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = act1(a, g[i]) * u[i];
}
static void axpy(float s, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(x[i], s, y[i]);
}
static void add(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}
static void mul(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}
static void scale(float s, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * s;
}
static void cap(float c, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = c * tanhf(x[i] / c);
}
static void clampk(float l, float h, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fminf(fmaxf(x[i], l), h);
}
static float dot(const float *a, const float *b, size_t n)
{
    float s = 0;
    for (size_t i = 0; i < n; i++)
        s = fmaf(a[i], b[i], s);
    return s;
}
static void softmax(const float *x, float *y, size_t n)
{
    float m = -INFINITY, s = 0;
    for (size_t i = 0; i < n; i++)
        m = fmaxf(m, x[i]);
    for (size_t i = 0; i < n; i++) {
        y[i] = expf(x[i] - m);
        s += y[i];
    }
    for (size_t i = 0; i < n; i++)
        y[i] /= s;
}
static void rope(const zoo_rope_args *a)
{
    for (uint32_t h = 0; h < a->n_heads; h++) {
        float *x = a->x + h * a->head_stride;
        uint32_t off = a->pair_offset ? a->pair_offset : a->n_pairs;
        for (uint32_t i = 0; i < a->n_pairs; i++) {
            float *p = a->interleaved ? x + 2 * i : x + i;
            float *q = a->interleaved ? x + 2 * i + 1 : x + i + off;
            float u = *p, v = *q;
            *p = u * a->cos[i] - v * a->sin[i];
            *q = v * a->cos[i] + u * a->sin[i];
        }
    }
}
static const float *seg(const zoo_segment *s, uint32_t n, uint32_t row, uint32_t w)
{
    for (uint32_t i = 0; i < n; i++)
        if (row >= s[i].row && row < s[i].row + s[i].n_rows)
            return (const float *)s[i].rows + (size_t)(row - s[i].row) * w;
    abort();
}
static void attend(const zoo_attend_args *a)
{
    for (uint32_t i = 0; i < a->n_queries; i++)
        for (uint32_t h = 0; h < a->n_heads; h++) {
            const float *q = a->q + i * a->q_stride + h * a->head_dim;
            float *o = a->out + i * a->out_stride + h * a->v_dim;
            uint32_t last = a->pos + i;
            uint32_t n = last - a->first[i] + 1;
            float *s = malloc(n * 4);
            float m = -INFINITY;
            for (uint32_t j = 0; j < n; j++) {
                float d =
                    dot(q, seg(a->k, a->n_segments, a->first[i] + j, a->head_dim), a->head_dim) *
                    a->scale;
                if (a->softcap > 0)
                    d = a->softcap * tanhf(d / a->softcap);
                if (a->slopes)
                    d += a->slopes[h] * ((float)(a->first[i] + j) - (float)last);
                s[j] = d;
                m = fmaxf(m, d);
            }
            if (a->sinks)
                m = fmaxf(m, a->sinks[h]);
            float t = a->sinks ? expf(a->sinks[h] - m) : 0;
            for (uint32_t d = 0; d < a->v_dim; d++)
                o[d] = 0;
            for (uint32_t j = 0; j < n; j++) {
                float p = expf(s[j] - m);
                t += p;
                const float *v = seg(a->v, a->n_segments, a->first[i] + j, a->v_dim);
                for (uint32_t d = 0; d < a->v_dim; d++)
                    o[d] = fmaf(p, v[d], o[d]);
            }
            for (uint32_t d = 0; d < a->v_dim; d++)
                o[d] /= t;
            free(s);
        }
}
static void widen(zoo_dtype t, const void *x, const float *s, uint32_t w, float *y, size_t n)
{
    (void)t;
    (void)s;
    (void)w;
    memcpy(y, x, n * 4);
}
static void narrow(zoo_dtype t, const float *x, void *y, float *s, uint32_t w)
{
    (void)t;
    (void)s;
    memcpy(y, x, w * 4);
}
static void topk(const float *x, uint32_t n, uint32_t k, uint32_t *idx)
{
    for (uint32_t j = 0; j < k; j++) {
        uint32_t b = UINT32_MAX;
        for (uint32_t i = 0; i < n; i++) {
            bool used = false;
            for (uint32_t t = 0; t < j; t++)
                used |= idx[t] == i;
            if (!used && (b == UINT32_MAX || x[i] > x[b]))
                b = i;
        }
        idx[j] = b;
    }
}
static void conv(const zoo_conv_args *a)
{
    uint32_t past = a->taps - 1;
    for (uint32_t c = a->channel_begin; c < a->channel_end; c++) {
        for (uint32_t t = 0; t < a->n_rows; t++) {
            float s = a->bias ? a->bias[c] : 0;
            for (uint32_t j = 0; j < a->taps; j++) {
                float x = t + j < past ? a->state[(size_t)(t + j) * a->channels + c]
                                       : a->x[(t + j - past) * a->x_stride + c];
                s = fmaf(a->weight[(size_t)c * a->taps + j], x, s);
            }
            a->y[t * a->y_stride + c] = act1(a->act, s);
        }
        for (uint32_t j = 0; j < past; j++) {
            uint32_t from = j + a->n_rows;
            a->state[(size_t)j * a->channels + c] =
                from < past ? a->state[(size_t)from * a->channels + c]
                            : a->x[(from - past) * a->x_stride + c];
        }
    }
}
static void ssm(const zoo_ssm_args *a)
{
    for (uint32_t t = 0; t < a->n_rows; t++) {
        const float *x = a->x + t * a->x_stride, *b = a->b + t * a->b_stride;
        const float *c = a->c + t * a->c_stride;
        float dt = a->dt[t * a->dt_stride], decay = expf(dt * a->a);
        for (uint32_t p = 0; p < a->head_dim; p++) {
            float *s = a->state + (size_t)p * a->state_size, in = dt * x[p], y = 0;
            for (uint32_t n = 0; n < a->state_size; n++) {
                s[n] = fmaf(in, b[n], decay * s[n]);
                y = fmaf(s[n], c[n], y);
            }
            a->y[t * a->y_stride + p] = fmaf(a->d, x[p], y);
        }
    }
}
static void scan(const zoo_scan_args *a)
{
    for (uint32_t t = 0; t < a->n_rows; t++) {
        const float *b = a->b + t * a->b_stride, *c = a->c + t * a->c_stride;
        for (uint32_t i = 0; i < a->channels; i++) {
            float dt = a->dt[t * a->dt_stride + i], x = a->x[t * a->x_stride + i], y = 0;
            float *s = a->state + (size_t)i * a->state_size;
            for (uint32_t n = 0; n < a->state_size; n++) {
                s[n] = fmaf(dt * x, b[n], expf(dt * a->a[(size_t)i * a->state_size + n]) * s[n]);
                y = fmaf(s[n], c[n], y);
            }
            a->y[t * a->y_stride + i] = fmaf(a->d[i], x, y);
        }
    }
}
static void delta(const zoo_delta_args *a)
{
    for (uint32_t t = 0; t < a->n_rows; t++) {
        const float *q = a->q + t * a->q_stride, *k = a->k + t * a->k_stride;
        const float *v = a->v + t * a->v_stride, *g = a->g + t * a->g_stride;
        float beta = a->beta[t * a->beta_stride], *o = a->o + t * a->o_stride;
        for (uint32_t i = 0; i < a->k_dim; i++) {
            float decay = expf(g[a->g_dim == 1 ? 0 : i]);
            for (uint32_t j = 0; j < a->v_dim; j++)
                a->state[(size_t)i * a->v_dim + j] *= decay;
        }
        for (uint32_t j = 0; j < a->v_dim; j++) {
            float seen = 0, out = 0;
            for (uint32_t i = 0; i < a->k_dim; i++)
                seen = fmaf(a->state[(size_t)i * a->v_dim + j], k[i], seen);
            float d = beta * (v[j] - seen);
            for (uint32_t i = 0; i < a->k_dim; i++) {
                float *s = a->state + (size_t)i * a->v_dim + j;
                *s = fmaf(k[i], d, *s);
                out = fmaf(*s, q[i], out);
            }
            o[j] = out;
        }
    }
}
static zoo_kernels K;
const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err)
{
    (void)isa;
    (void)err;
    K.size = sizeof K;
    K.isa = "stub";
    for (int i = 0; i < 4; i++) {
        K.gemm[i].prepared_size = ps;
        K.gemm[i].gemm = gemm;
    }
    K.rms_norm = rms;
    K.layer_norm = lnorm;
    K.act = act;
    K.act_mul = actmul;
    K.axpy = axpy;
    K.add = add;
    K.mul = mul;
    K.scale = scale;
    K.softcap = cap;
    K.clamp = clampk;
    K.dot = dot;
    K.softmax = softmax;
    K.rope = rope;
    K.attend = attend;
    K.widen = widen;
    K.narrow = narrow;
    K.topk = topk;
    K.conv = conv;
    K.ssm = ssm;
    K.scan = scan;
    K.delta = delta;
    return &K;
}
