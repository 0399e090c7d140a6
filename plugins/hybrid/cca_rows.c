/*
 * cca_rows.c: queries, keys and values of compressed convolutional attention (formulas: cca.h).
 */
#include <math.h>
#include <string.h>

#include "cca.h"

enum { CONV = 2, LATE = 3 }; /* streams */

/* The raw row `t` of a sequence's step; t < 0: of its state. */
static const float *raw_row(const cca_job *job, const zoo_seq *seq, const float *state, int64_t t)
{
    size_t width = job->params->channels;
    return t >= 0 ? job->raw + ((size_t)seq->row + (size_t)t) * width
                  : state + (size_t)(t + job->params->behind) * width;
}

/* Channel c after the first convolution, at row t. */
static float depthwise(const cca_job *job, const zoo_seq *seq, const float *state, int64_t t,
                       uint32_t c)
{
    uint32_t taps = job->params->taps;
    const float *w = job->weights->depth + (size_t)c * taps;
    float sum = job->weights->depth_bias[c];
    for (uint32_t i = 0; i < taps; i++) {
        sum += w[i] * raw_row(job, seq, state, t + i + 1 - taps)[c];
    }
    return sum;
}

/* Both convolutions of one head, whose channels begin at `first`, to out [head_dim]. */
static void convolve(const cca_job *job, const zoo_seq *seq, const float *state, int64_t t,
                     uint32_t first, float *window, float *out)
{
    const cca_params *p = job->params;
    uint32_t d = p->gqa.shape.head_dim;
    for (uint32_t c = 0; c < d; c++) {
        for (uint32_t i = 0; i < p->group_taps; i++) {
            window[c * p->group_taps + i] =
                depthwise(job, seq, state, t + i + 1 - p->group_taps, first + c);
        }
    }
    for (uint32_t c = 0; c < d; c++) {
        const float *w = job->weights->grouped + (size_t)(first + c) * p->group_cols;
        out[c] = job->weights->grouped_bias[first + c] +
                 job->step.ctx->kernels->dot(w, window, p->group_cols);
    }
}

/* x becomes scale sqrt(d) x / |x|. */
static void set_length(const cca_job *job, float scale, float *x)
{
    const zoo_kernels *k = job->step.ctx->kernels;
    uint32_t d = job->params->gqa.shape.head_dim;
    float length = sqrtf(k->dot(x, x, d));
    k->scale(sqrtf((float)d) / fmaxf(length, 1.1920929e-07f), x, x, d);
    k->scale(scale, x, x, d);
}

/* One key head and its query heads of one row. */
static void make_group(const cca_job *job, const zoo_seq *seq, const float *state, uint32_t i,
                       uint32_t g, float *window)
{
    const zoo_gqa_shape *s = &job->params->gqa.shape;
    const zoo_kernels *kernels = job->step.ctx->kernels;
    uint32_t d = s->head_dim, group = s->n_heads / s->n_kv_heads;
    size_t row = (size_t)seq->row + i;
    const float *raw = raw_row(job, seq, state, i), *raw_k = raw + (size_t)(s->n_heads + g) * d;
    float *key = job->step.buffers.k + (row * s->n_kv_heads + g) * d;
    convolve(job, seq, state, i, (s->n_heads + g) * d, window, key);
    for (uint32_t h = g * group; h < (g + 1) * group; h++) {
        float *q = job->step.buffers.q + (row * s->n_heads + h) * d;
        convolve(job, seq, state, i, h * d, window, q);
        kernels->axpy(0.5f, raw + (size_t)h * d, q, d);
        kernels->axpy(0.5f, raw_k, q, d);
        kernels->axpy(0.5f / (float)group, raw + (size_t)h * d, key, d);
        set_length(job, 1.0f, q);
    }
    kernels->axpy(0.5f, raw_k, key, d);
    set_length(job, job->weights->temp[g], key);
}

/* The late half of a row's values: the row before it, nothing but the bias at the first one. */
static void make_value(const cca_job *job, const zoo_seq *seq, uint32_t i)
{
    const cca_params *p = job->params;
    size_t row = (size_t)seq->row + i, bytes = p->half * sizeof(float);
    float *to = job->step.buffers.v + row * 2 * p->half + p->half;
    if (i) {
        memcpy(to, job->late + (row - 1) * p->half, bytes);
    } else if (seq->pos) {
        memcpy(to, job->step.cache->state(job->step.cache, LATE, seq), bytes);
    } else if (job->weights->late_bias) {
        memcpy(to, job->weights->late_bias, bytes);
    } else {
        memset(to, 0, bytes);
    }
}

static void make_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const cca_job *job = arg;
    float *window = job->window + (size_t)worker * job->params->group_cols;
    for (uint32_t row = begin; row < end; row++) {
        const zoo_seq *seq = &job->step.span->seqs[job->step.span->seq_of[row]];
        const float *state = job->step.cache->state(job->step.cache, CONV, seq);
        for (uint32_t g = 0; g < job->params->gqa.shape.n_kv_heads; g++) {
            make_group(job, seq, state, row - seq->row, g, window);
        }
        make_value(job, seq, row - seq->row);
    }
}

/* The states after the step's rows of one sequence. */
static void carry(const cca_job *job, const zoo_seq *seq)
{
    const cca_params *p = job->params;
    float *state = job->step.cache->state(job->step.cache, CONV, seq);
    float *late = job->step.cache->state(job->step.cache, LATE, seq);
    for (uint32_t i = 0; i < p->behind; i++) {
        int64_t t = (int64_t)seq->n - p->behind + i;
        memmove(state + (size_t)i * p->channels, raw_row(job, seq, state, t),
                p->channels * sizeof(float));
    }
    memcpy(late, job->late + ((size_t)seq->row + seq->n - 1) * p->half, p->half * sizeof(float));
}

void hybrid_cca_rows(cca_job *job)
{
    const zoo_span *span = job->step.span;
    zoo_rows(job->step.ctx, span->n_rows, (size_t)job->params->channels * job->params->group_cols,
             make_rows, job);
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        carry(job, &span->seqs[s]);
    }
}
