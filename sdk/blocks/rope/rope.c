/*
 * rope.c: rotary angles of a step, and the rotation; slopes of linear position biases.
 *
 * angle = (float)position * inv_freq, a float32 product as in the reference; cosine and sine are
 * taken in double and rounded once, then multiplied by the attention factor. Memory: two arrays
 * [n_rows, n_pairs] that live as long as the step (zoo_ctx.memo), one pair for each table.
 */
#include "blocks/rope/rope.h"

#include "blocks/ops.h"

#include <math.h>

typedef struct angle_job {
    const zoo_rope *rope;
    const zoo_span *span;
    float *cos, *sin;
} angle_job;

/* theta of a forward call of n_total positions, in float32 as in the reference. */
static float dynamic_theta(const zoo_rope *rope, uint32_t n_total)
{
    float growth = (float)rope->growth;
    float r = (float)rope->rotary_dim;
    float stretch = growth * (float)n_total / (float)rope->limit - (growth - 1.0f);
    return (float)rope->theta * powf(stretch, r / (r - 2.0f));
}

static float dynamic_freq(const zoo_rope *rope, float theta, uint32_t i)
{
    return 1.0f / powf(theta, (float)(2 * i) / (float)rope->rotary_dim);
}

static void angle_row(const angle_job *job, uint32_t row)
{
    const zoo_rope *rope = job->rope;
    uint32_t n_total = job->span->seqs[job->span->seq_of[row]].n_total;
    bool beyond = rope->kind != ZOO_ROPE_FIXED && n_total > rope->limit;
    bool dynamic = beyond && rope->kind == ZOO_ROPE_DYNAMIC;
    bool long_table = beyond && rope->kind == ZOO_ROPE_LONG;
    const float *inv = long_table ? rope->inv_freq_long : rope->inv_freq;
    float factor = long_table ? rope->factor_long : rope->factor;
    float theta = dynamic ? dynamic_theta(rope, n_total) : 0.0f;
    float pos = (float)job->span->pos[row];
    size_t at = (size_t)row * rope->n_pairs;
    for (uint32_t i = 0; i < rope->n_pairs; i++) {
        float angle = pos * (dynamic ? dynamic_freq(rope, theta, i) : inv[i]);
        job->cos[at + i] = (float)cos((double)angle) * factor;
        job->sin[at + i] = (float)sin((double)angle) * factor * rope->sign;
    }
}

static void angle_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        angle_row(arg, row);
    }
}

zoo_rope_rows zoo_rope_rows_of(zoo_ctx *ctx, const zoo_rope *rope, const zoo_span *span)
{
    size_t n = (size_t)span->n_rows * rope->n_pairs;
    bool fresh = false;
    float *memory = ctx->memo(ctx, rope, (2 * n + 1) * sizeof(float), &fresh);
    if (fresh) {
        angle_job job = {rope, span, memory, memory + n};
        zoo_rows(ctx, span->n_rows, (size_t)rope->n_pairs * 32, angle_range, &job);
    }
    zoo_rope_rows rows = {memory, memory + n};
    return rows;
}

void zoo_rope_rotate(const zoo_kernels *kernels, const zoo_rope *rope, zoo_rope_rows rows,
                     uint32_t row, float *x, uint32_t n_heads, uint32_t head_stride)
{
    size_t at = (size_t)row * rope->n_pairs;
    zoo_rope_args args = {.x = x,
                          .cos = rows.cos + at,
                          .sin = rows.sin + at,
                          .n_heads = n_heads,
                          .head_stride = head_stride,
                          .n_pairs = rope->n_pairs,
                          .pair_offset = rope->pair_offset,
                          .interleaved = rope->interleaved != 0};
    if (rope->n_pairs) {
        kernels->rope(&args);
    }
}

static void lower_limit(uint32_t *limit, uint32_t value)
{
    if (*limit == 0 || value < *limit) {
        *limit = value;
    }
}

void zoo_rope_reread(const zoo_rope *rope, zoo_plan *plan)
{
    if (rope->kind == ZOO_ROPE_DYNAMIC) {
        lower_limit(&plan->reread_after, rope->limit);
        lower_limit(&plan->reread_always, rope->limit);
    } else if (rope->kind == ZOO_ROPE_LONG) {
        lower_limit(&plan->reread_after, rope->limit);
    }
}

void zoo_alibi_slopes(uint32_t n_heads, double max_bias, float *out)
{
    uint32_t full = 1;
    while (full < n_heads) {
        full *= 2;
    }
    /* Where n is no power of two: the slopes of the next power, its even places first, then the
     * odd ones. */
    uint32_t half = full == n_heads ? n_heads : full / 2;
    for (uint32_t h = 0; h < n_heads; h++) {
        uint32_t step = full == n_heads ? h + 1 : h < half ? 2 * h + 2 : 2 * (h - half) + 1;
        out[h] = (float)exp2(-max_bias * step / full);
    }
}
