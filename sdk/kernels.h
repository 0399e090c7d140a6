/*
 * kernels.h: the kernel table. One slot is one operation on float32 rows; the scalar file fills
 * every slot and better instruction sets overwrite, so a slot is never null in a running host.
 *
 * A kernel is serial, cannot fail, allocates nothing and keeps no state. Threads come from
 * zoo_ctx.parallel: callers split rows, panels or heads, never the sum of one output. Every slot
 * sums in one fixed order, so its result for a row does not depend on the rows beside it, on the
 * number of threads or on the instruction set (integer and bf16 gemm: see their notes).
 *
 * Strides count floats. Rows need no alignment. Arrays do not overlap unless a slot says so.
 */
#ifndef ZOO_KERNELS_H
#define ZOO_KERNELS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ZOO_PANEL = 16,       /* outputs that one panel of a packed matrix interleaves */
    ZOO_WEIGHT_KINDS = 6, /* ZOO_F32, ZOO_BF16, ZOO_INT8, ZOO_INT4, ZOO_INT5, ZOO_INT6 */
    ZOO_PAGE = 64,        /* rows of a cache page; keys are walked in blocks of this size */
    ZOO_PART = 256,       /* keys that attention sums by themselves; whole pages */
    ZOO_TAPS_MAX = 64     /* of a convolution */
};

/*
 * A packed matrix [rows, cols], made by the host at load. `data` holds ceil(rows / 16) panels one
 * after the other; a panel holds its 16 outputs interleaved:
 *
 *   f32   [cols][16]                                float
 *   bf16  [ceil(cols / 2)][16][2]                   pairs of neighbouring columns
 *   int8  [ceil(cols / group) * group / 4][16][4]   signed bytes, four columns side by side, of
 *                                                   rotated groups (below)
 *   int4  [ceil(cols / group) * group / 8][16][4]   bytes of eight columns: byte j holds column j
 *                                                   in its low nibble, column j + 4 in its high
 *                                                   one; value = times * nibble - zero, in
 *                                                   eighths of the scale
 *   int5  [ceil(cols / group) * group / 32][5][16][4]
 *                                                   32 columns: first the upper bits, bit i of
 *                                                   byte j that of column 4 i + j, then the lower
 *                                                   four as int4; value = the five - 16; in
 *                                                   groups of 16 two share these 32 columns
 *   int6  [ceil(cols / 64) * 4][3][16][4]           16 columns of rotated groups of 64: first the
 *                                                   upper bits, bits 2 i and 2 i + 1 of byte j
 *                                                   those of column 4 i + j, then the lower four
 *                                                   as int4; value = the six - 32
 *
 * `scales` of a group of a panel: int8 and int6 16 bf16; int5 16 f16; int4 16 f16 and 16 bytes for
 * each 32 columns of the group, byte o with times - 5 of output o in its upper two bits and zero /
 * 2 in its lower six. So two runs of 32 columns have steps of their own, in the ratio of two whole
 * numbers from 5 to 8, while one integer sum and one scale serve both. int5 in groups of 16 has,
 * behind the scales of all panels, a double that multiplies them all. Outputs past `rows` are zero;
 * columns past `cols` meet zeros.
 *
 * int8 and int6 store H w / n of each group in place of w, H the Hadamard matrix of n = 64 columns
 * (or of the largest power of two that divides the group, if that is less), in natural order, and
 * products take H x of the same columns of a row: x . w = (H x) . (H w / n). Rounding to bytes then
 * loses less, since a single outlier does not set the step of its group.
 */
typedef struct zoo_weight {
    uint32_t kind;  /* zoo_dtype below ZOO_WEIGHT_KINDS */
    uint32_t rows;  /* outputs */
    uint32_t cols;  /* inputs */
    uint32_t group; /* columns that share a scale; 0: no scales */
    const void *data;
    const uint16_t *scales; /* [panels][groups][16], int4 [16 + group / 4]; null without group */
    const uint32_t *order;  /* [cols] column k multiplies number order[k] of a row; null: k. Kinds
                               with groups alone; matrices of experts have none */
} zoo_weight;

/* y[i, o] = sum_k x[i, k] * w[o, k] + bias[o], for rows i < n_rows and the outputs o of panels
 * panel_begin .. panel_end - 1. */
typedef struct zoo_gemm {
    const zoo_weight *weight;
    const void *x;   /* the output of prepare; the rows themselves if prepared_size is 0 */
    size_t x_stride; /* floats, or bytes of a prepared row */
    float *y;        /* [n_rows, weight.rows] */
    size_t y_stride;
    const float *bias; /* [weight.rows] or null */
    uint32_t n_rows;
    uint32_t panel_begin, panel_end;
} zoo_gemm;

/* Bytes of one prepared row of `cols` inputs, a multiple of 64; 0: this kind reads float32 rows
 * as they are. */
typedef size_t zoo_k_prepared_size(uint32_t cols, uint32_t group);
/* Converts n_rows rows of x to the form that gemm reads: bf16, or int8 groups with their scales. */
typedef void zoo_k_prepare(const float *x, size_t x_stride, uint32_t n_rows,
                           const zoo_weight *weight, void *out);
typedef void zoo_k_gemm(const zoo_gemm *args);

typedef struct zoo_gemm_slots {
    zoo_k_prepared_size *prepared_size;
    zoo_k_prepare *prepare;
    zoo_k_gemm *gemm;
} zoo_gemm_slots;

typedef enum zoo_act {
    ZOO_ACT_NONE = 0,
    ZOO_ACT_SILU = 1,      /* x * sigmoid(x) */
    ZOO_ACT_GELU = 2,      /* x * Phi(x), exact erf */
    ZOO_ACT_GELU_TANH = 3, /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    ZOO_ACT_RELU = 4,
    ZOO_ACT_RELU2 = 5, /* max(x, 0)^2 */
    ZOO_ACT_SIGMOID = 6,
    ZOO_ACT_TANH = 7,
    ZOO_ACT_SOFTPLUS = 8, /* ln(1 + e^x), x for x > 20 */
    ZOO_ACT_EXP = 9,
    ZOO_ACT_COUNT = 10
} zoo_act;

/* y = x / sqrt(mean(x^2) + eps) * (w + offset), per row; w null: no weight. y may be x. */
typedef struct zoo_norm_args {
    const float *x;
    float *y;
    const float *weight; /* [width] or null */
    const float *bias;   /* [width] or null; layer_norm reads it, rms_norm does not */
    size_t x_stride, y_stride;
    uint32_t n_rows, width;
    float eps;
    float offset; /* 0, or 1 where the file stores w - 1 */
} zoo_norm_args;
typedef void zoo_k_norm(const zoo_norm_args *args);

/* y[i] = act(x[i]), n values. y may be x. */
typedef void zoo_k_act(zoo_act act, const float *x, float *y, size_t n);
/* y[i] = act(gate[i]) * up[i]. y may be gate or up. */
typedef void zoo_k_act_mul(zoo_act act, const float *gate, const float *up, float *y, size_t n);
/* y[i] = fma(x[i], scale, y[i]) */
typedef void zoo_k_axpy(float scale, const float *x, float *y, size_t n);
/* y[i] = a[i] + b[i]; a[i] * b[i]. y may be a or b. */
typedef void zoo_k_binary(const float *a, const float *b, float *y, size_t n);
/* y[i] = x[i] * scale. y may be x. */
typedef void zoo_k_scale(float scale, const float *x, float *y, size_t n);
/* y[i] = cap * tanh(x[i] / cap). y may be x. */
typedef void zoo_k_softcap(float cap, const float *x, float *y, size_t n);
/* y[i] = min(max(x[i], lo), hi). y may be x. */
typedef void zoo_k_clamp(float lo, float hi, const float *x, float *y, size_t n);
/* Sum of a[i] * b[i]: 16 partial sums by i mod 16 through fma, then a fixed tree of additions. */
typedef float zoo_k_dot(const float *a, const float *b, size_t n);
/* y = softmax(x), one row of n values, the maximum subtracted first. y may be x. */
typedef void zoo_k_softmax(const float *x, float *y, size_t n);

/*
 * Rotates n_heads heads of one row, head_stride floats apart, in place, by the row's angles:
 *
 *   (a, b) -> (a cos_i - b sin_i, b cos_i + a sin_i), i < n_pairs
 *   half-split:  (a, b) = elements (i, i + n_pairs), or (i, i + pair_offset) where that is not 0
 *   interleaved: (a, b) = elements (2 i, 2 i + 1)
 */
typedef struct zoo_rope_args {
    float *x;
    const float *cos, *sin; /* [n_pairs] */
    uint32_t n_heads, head_stride;
    uint32_t n_pairs, pair_offset;
    bool interleaved;
} zoo_rope_args;
typedef void zoo_k_rope(const zoo_rope_args *args);

typedef struct zoo_cache_ops zoo_cache_ops; /* cache.h: the storage format of rows */
typedef struct zoo_kernels zoo_kernels;

/*
 * Page layouts that kernels read directly. A page of one head holds 64 rows of `width` values; the
 * last group of a row may be short.
 *
 *   f32   float [64][width]
 *   bf16  uint16_t [64][width]
 *   int8  int8_t [64][width], then bf16 scales [64][ceil(width / 32)]: value = code * scale
 *   int4  uint8_t [64][ceil(width / 2)]: byte b holds codes 2 b (low nibble) and 2 b + 1; then
 *         uint16_t [64][ceil(width / 16)], s = its upper 9 bits for the scale, z = its lower 7 for
 *         the zero of 16 values: value = (code - 7.5 - (z - 64) / 8) * scale,
 *         scale = 2^(s / 16 - 18) (1 + s % 16 / 16) in whole division, and 0 for s = 0
 */
typedef enum zoo_row_form {
    ZOO_FORM_OWN = 0, /* any other: read through zoo_cache_ops.read */
    ZOO_FORM_F32 = 1,
    ZOO_FORM_BF16 = 2,
    ZOO_FORM_INT8 = 3,
    ZOO_FORM_INT4 = 4,
    ZOO_FORMS = 5
} zoo_row_form;

/* Values of a row that share a scale; columns of the largest Hadamard matrix. */
enum { ZOO_GROUP_INT8 = 32, ZOO_GROUP_INT4 = 16, ZOO_HADAMARD_MAX = 512 };

/* Consecutive rows of one stream and head within a page. */
typedef struct zoo_segment {
    const void *page; /* in the layout of its cache kind; float32 rows if the kind is null */
    uint32_t at;      /* index of the first row in the page */
    uint32_t n_rows;  /* at least 1 */
    uint32_t row;     /* index of the first row in its stream (its position, for plain streams) */
    uint32_t reserved;
} zoo_segment;

/*
 * Attention of n_queries consecutive positions of one sequence, n_heads query heads that share one
 * key-value head. For query i (position pos + i), head h and keys first[i] <= j <= pos + i:
 *
 *   s_j = scale * (q . k_j), then softcap * tanh(s_j / softcap) if softcap > 0,
 *         then + slopes[h] * (j - (pos + i))
 *   out = sum_j e^(s_j - m) v_j / (sum_j e^(s_j - m) [+ e^(sinks[h] - m)]),  m the largest s_j
 *
 * Keys are processed in blocks of ZOO_PAGE at absolute positions with a running maximum (online
 * softmax). Each part of ZOO_PART keys, also at absolute positions, has sums of its own, and parts
 * are joined in ascending order, so the bits depend neither on how queries are split into calls nor
 * on which calls computed which parts:
 *
 *   a, then b: m = max(m_a, m_b), sums = e^(m_a - m) sums_a + e^(m_b - m) sums_b
 *
 * A key may be split over two streams: k then holds its first head_dim - tail_dim elements and tail
 * its last tail_dim, in segments of the same rows. Keys and values may be the same segments.
 */
typedef struct zoo_attend_args {
    const float *q; /* query i, head h at q + i * q_stride + h * head_dim */
    float *out;     /* query i, head h at out + i * out_stride + h * v_dim */
    size_t q_stride, out_stride;
    /* [n_segments], one page each, in order, the first one holding row first[0] */
    const zoo_segment *k, *v;
    const uint32_t *first; /* [n_queries] first visible key; non-decreasing */
    const float *sinks;    /* [n_heads] or null */
    const float *slopes;   /* [n_heads] or null */
    uint32_t n_segments;
    uint32_t n_queries, n_heads;
    uint32_t head_dim, v_dim;
    uint32_t pos;
    uint32_t tail_dim; /* 0 without tail */
    float scale, softcap;
    float *scratch;          /* [zoo_attend_scratch(head_dim, v_dim)] of the calling thread */
    const zoo_segment *tail; /* [n_segments] or null */
    /* Cache kinds of the three streams; null: float32 rows. */
    const zoo_cache_ops *k_kind, *v_kind, *tail_kind;
    const zoo_kernels *kernels; /* passed to zoo_cache_ops.read; may be null if no kind needs it */
} zoo_attend_args;
typedef void zoo_k_attend(const zoo_attend_args *args);
/*
 * One part of attend: all segments hold keys of the same part, row / ZOO_PART. Writes the sums of
 * query i and head h to sums + (i * n_heads + h) * (v_dim + 2), in a form that attend_join of the
 * same table reads. out and sinks are not used.
 */
typedef void zoo_k_attend_part(const zoo_attend_args *args, float *sums);
/*
 * Joins n_parts parts, ascending, into out: parts[p] is the output of attend_part for the same
 * queries. Gives the bits of attend over all of their keys. q, first, pos and segments are not
 * read.
 */
typedef void zoo_k_attend_join(const zoo_attend_args *args, const float *const *parts,
                               uint32_t n_parts);

/* Floats of scratch for one attend call: a block of keys as read, a widened block of keys and
 * values, and a tile of queries. */
static inline size_t zoo_attend_scratch(uint32_t head_dim, uint32_t v_dim)
{
    return (size_t)ZOO_PAGE * (3 * ((size_t)head_dim + v_dim) + 2 * ZOO_PAGE + 68) + 256;
}

/*
 * Hadamard rotation of one row x [width], in parts of n values, n the largest power of two that
 * fits the rest of the row, at most ZOO_HADAMARD_MAX: y = H x, or y = H x / n with `inverse`, H the
 * n x n matrix of 1 and -1 in natural order. rotate then inverse gives x, and x . z = rotate(x) .
 * inverse(z). y may be x.
 */
typedef void zoo_k_hadamard(const float *x, float *y, uint32_t width, bool inverse);
/* Writes x [width] as row `row` of a page of any form but ZOO_FORM_OWN. INT8: scale amax / 127 as
 * bf16. INT4: of five scales around range / 15, the one with the least squared error. */
typedef void zoo_k_encode(zoo_row_form form, const float *x, uint32_t width, void *page,
                          uint32_t row);
/* Reads rows row .. row + n - 1 of such a page to y [n, width]. */
typedef void zoo_k_decode(zoo_row_form form, const void *page, uint32_t row, uint32_t n,
                          uint32_t width, float *y, size_t y_stride);
/* Rounds x [width] to multiples of amax / 127. y may be x. */
typedef void zoo_k_round8(const float *x, float *y, uint32_t width);

/*
 * Causal depthwise convolution of n_rows consecutive rows of one sequence, channels channel_begin
 * .. channel_end - 1:
 *
 *   y[t, c] = act(bias[c] + sum_j w[c, j] * x[t - taps + 1 + j, c]), from the oldest tap to the
 *   newest
 *
 * taps <= ZOO_TAPS_MAX. `state` [taps - 1, channels] holds the rows before the first one, oldest
 * first, and is updated to the last rows.
 */
typedef struct zoo_conv_args {
    const float *x; /* [n_rows, channels] */
    float *y;       /* [n_rows, channels], not x */
    float *state;
    const float *weight; /* [channels, taps] */
    const float *bias;   /* [channels] or null */
    size_t x_stride, y_stride;
    uint32_t n_rows, channels, taps;
    uint32_t channel_begin, channel_end;
    zoo_act act;
} zoo_conv_args;
typedef void zoo_k_conv(const zoo_conv_args *args);

/*
 * State-space recurrence of one head over n_rows consecutive rows of one sequence, state S
 * [state_size, head_dim]:
 *
 *   S = exp(dt_t a) S + B_t (dt_t x_t)^T;   y_t = S^T C_t + d x_t
 */
typedef struct zoo_ssm_args {
    const float *x, *b, *c; /* rows of head_dim, state_size, state_size */
    const float *dt;        /* one value a row, after softplus and clamp */
    float *y;
    float *state;
    size_t x_stride, b_stride, c_stride, dt_stride, y_stride;
    uint32_t n_rows, head_dim, state_size;
    float a, d;
} zoo_ssm_args;
typedef void zoo_k_ssm(const zoo_ssm_args *args);

/*
 * Selective scan (Mamba-1): every channel has states of its own, S [channels, state_size]:
 *
 *   S[c, n] = exp(dt_t[c] A[c, n]) S[c, n] + dt_t[c] x_t[c] B_t[n]
 *   y_t[c]  = sum_n S[c, n] C_t[n] + d[c] x_t[c]
 */
typedef struct zoo_scan_args {
    const float *x, *dt; /* rows of channels */
    const float *b, *c;  /* rows of state_size */
    const float *a;      /* [channels, state_size], negative */
    const float *d;      /* [channels] */
    float *y;
    float *state;
    size_t x_stride, dt_stride, b_stride, c_stride, y_stride;
    uint32_t n_rows, channels, state_size;
} zoo_scan_args;
typedef void zoo_k_scan(const zoo_scan_args *args);

/*
 * Gated delta rule of one head over n_rows consecutive rows of one sequence, state S
 * [k_dim, v_dim]:
 *
 *   S = diag(exp(g_t)) S;  S = S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = S^T q_t
 *
 * g has one value a row (g_dim 1) or k_dim values a row (g_dim k_dim).
 */
typedef struct zoo_delta_args {
    const float *q, *k, *v, *g, *beta;
    float *o;
    float *state;
    size_t q_stride, k_stride, v_stride, g_stride, beta_stride, o_stride;
    uint32_t n_rows, k_dim, v_dim, g_dim;
} zoo_delta_args;
typedef void zoo_k_delta(const zoo_delta_args *args);

/*
 * The k largest of n values: indices in descending order of value, ties by ascending index.
 * idx has room for k; k <= n.
 */
typedef void zoo_k_topk(const float *x, uint32_t n, uint32_t k, uint32_t *idx);

/*
 * Scores of one query against n_keys index keys, h ascending:
 *
 *   score[j] = sum_h weight[h] * max(q_h . k_j, 0) * scale
 */
typedef struct zoo_index_args {
    const float *q;      /* [n_heads, dim] */
    const float *weight; /* [n_heads] */
    const float *keys;   /* [n_keys, dim] float32 */
    float *score;        /* [n_keys] */
    uint32_t n_heads, dim, n_keys;
    float scale;
} zoo_index_args;
typedef void zoo_k_index(const zoo_index_args *args);

/* Every slot but the gemm group, once: SLOT(type, name).
 * Tests and benchmarks are made from this list. */
#define ZOO_KERNEL_SLOTS(SLOT)                                                                     \
    SLOT(zoo_k_norm, rms_norm)                                                                     \
    SLOT(zoo_k_norm, layer_norm)                                                                   \
    SLOT(zoo_k_act, act)                                                                           \
    SLOT(zoo_k_act_mul, act_mul)                                                                   \
    SLOT(zoo_k_axpy, axpy)                                                                         \
    SLOT(zoo_k_binary, add)                                                                        \
    SLOT(zoo_k_binary, mul)                                                                        \
    SLOT(zoo_k_scale, scale)                                                                       \
    SLOT(zoo_k_softcap, softcap)                                                                   \
    SLOT(zoo_k_clamp, clamp)                                                                       \
    SLOT(zoo_k_dot, dot)                                                                           \
    SLOT(zoo_k_softmax, softmax)                                                                   \
    SLOT(zoo_k_rope, rope)                                                                         \
    SLOT(zoo_k_attend, attend)                                                                     \
    SLOT(zoo_k_hadamard, hadamard)                                                                 \
    SLOT(zoo_k_encode, encode)                                                                     \
    SLOT(zoo_k_decode, decode)                                                                     \
    SLOT(zoo_k_round8, round8)                                                                     \
    SLOT(zoo_k_conv, conv)                                                                         \
    SLOT(zoo_k_ssm, ssm)                                                                           \
    SLOT(zoo_k_scan, scan)                                                                         \
    SLOT(zoo_k_delta, delta)                                                                       \
    SLOT(zoo_k_topk, topk)                                                                         \
    SLOT(zoo_k_index, index)                                                                       \
    SLOT(zoo_k_attend_part, attend_part)                                                           \
    SLOT(zoo_k_attend_join, attend_join)

struct zoo_kernels {
    uint32_t size;
    uint32_t reserved;
    const char *isa; /* name of the best instruction set that filled a slot */
    zoo_gemm_slots gemm[ZOO_WEIGHT_KINDS];
#define ZOO_KERNEL_FIELD(type, name) type *name;
    ZOO_KERNEL_SLOTS(ZOO_KERNEL_FIELD)
#undef ZOO_KERNEL_FIELD
};

#ifdef __cplusplus
}
#endif

#endif
