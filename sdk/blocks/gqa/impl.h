/*
 * impl.h: what the files of the attention block share: params.c and bind.c (params and tensors),
 * rows.c (queries, keys, values of a row), attend.c (softmax over the cache), parts.c (parts of the
 * keys), gqa.c (block); and what blocks that build on attention take from it, whose params begin
 * with a zoo_gqa and whose weights begin with a zoo_gqa_weights.
 */
#ifndef ZOO_BLOCKS_GQA_IMPL_H
#define ZOO_BLOCKS_GQA_IMPL_H

#include "blocks/gqa/gqa.h"
#include "blocks/ops.h"

/* Query rows times heads of one item of the attend loop: at most, and where items are few. */
enum { GQA_TILE = 256, GQA_TILE_FEW = 64 };
enum { GQA_SUMS_MAX = 1 << 22 }; /* floats of scratch for sums of parts */

extern const zoo_bind zoo_gqa_binds[];

/* Some consecutive queries of one sequence. */
typedef struct gqa_tile {
    uint32_t seq, begin, n; /* index into span.seqs, first query, queries */
    uint32_t run;           /* number of its run plus 1; 0: none */
} gqa_tile;

/* Tiles whose first n_parts parts are summed by themselves: parts.c. */
typedef struct gqa_run {
    uint32_t tile, n_tiles;
    uint32_t row, n_rows; /* of the span */
    uint32_t n_parts;
    uint32_t item, n_items; /* first item, items */
    size_t at;              /* of its sums [n_parts, n_kv_heads, n_rows, group, v_dim + 2] */
    bool shared;            /* all of its rows see all of its parts */
} gqa_run;

/* Scratch of one forward. Rows of q and k are head after head, k_width floats each. */
typedef struct gqa_buffers {
    float *q;            /* [n_rows, n_heads, k_width] */
    float *k;            /* [n_rows, n_kv_heads, k_width] */
    float *v;            /* [n_rows, n_kv_heads, v_dim] */
    float *gate;         /* [n_rows, gate_rows] */
    float *out;          /* [n_rows, n_heads, v_dim] */
    float *x;            /* [n_rows, width_in], rounded rows */
    float *slopes;       /* [n_heads] */
    gqa_tile *tiles;     /* [n_rows] at most */
    float *attend;       /* [n_threads, attend_size] */
    zoo_segment *k_segs; /* [n_threads, segs_max] */
    zoo_segment *v_segs;
    uint32_t *first;     /* [n_threads, GQA_TILE] */
    gqa_run *runs;       /* [n_rows] at most */
    float *sums;         /* [sums_size] of runs */
    float *own;          /* [n_threads, own_size] of one row, [parts_max, group, v_dim + 2] */
    const float **parts; /* [n_threads, parts_max] */
    size_t attend_size, sums_size, own_size;
    uint32_t segs_max, parts_max;
} gqa_buffers;

/* Everything that the items of a forward read. */
typedef struct gqa_step {
    zoo_ctx *ctx;
    const zoo_gqa *params;
    const zoo_gqa_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    zoo_rope_rows rope;
    const float *added; /* the columns of x after width_in, or null */
    size_t x_stride;
    gqa_buffers buffers;
    uint32_t tile;                     /* queries of a tile at most */
    uint32_t n_tiles, n_runs, n_items; /* n_items: of all runs */
    size_t sums_used;
    /* Key-value head g reads the values of head v_first + g % v_heads: its own by zoo_gqa_begin. */
    uint32_t v_first, v_heads;
} gqa_step;

/* The last position of a span's sequences, plus one. */
static inline uint32_t zoo_span_length(const zoo_span *span)
{
    uint32_t longest = 0;
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        uint32_t length = span->seqs[s].pos + span->seqs[s].n;
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* The slots of the block. */
uint32_t zoo_gqa_streams(const void *params, zoo_stream *out);
size_t zoo_gqa_scratch(const void *params, const zoo_limits *limits);
zoo_status zoo_gqa_check(const void *params, zoo_error *err);
zoo_status zoo_gqa_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err);
void zoo_gqa_facts(const void *params, const zoo_facts *to); /* facts.c */

/* Lays out the scratch of a step and makes its rotary rows. */
gqa_step zoo_gqa_begin(zoo_ctx *ctx, const zoo_gqa *p, const zoo_gqa_weights *w, zoo_cache *cache,
                       const zoo_span *span);

/* Fills q, k, v and gate from x: matrices, then zoo_gqa_shape. */
void zoo_gqa_project(gqa_step *step, const float *x);
/* Norms, rotates and scales q, k and v as they came out of the matrices; stores k and v. */
void zoo_gqa_shape_rows(gqa_step *step);
/* Fills out from q and the cache, gates and norms it. */
void zoo_gqa_attend(gqa_step *step);

/* The arguments of n queries from span row `row` on at positions pos .. for one key-value head, but
 * for n_segments. */
zoo_attend_args zoo_gqa_args(const gqa_step *step, uint32_t worker, uint32_t head, uint32_t row,
                             uint32_t n, uint32_t pos);
/* Lists the segments of keys and values begin .. end - 1; returns their number. */
uint32_t zoo_gqa_segments(const gqa_step *step, uint32_t worker, const zoo_seq *seq, uint32_t head,
                          uint32_t begin, uint32_t end);
/* Finds runs and sums their parts. parts.c */
void zoo_gqa_sum_parts(gqa_step *step);
/* Sums of row `row` of a run. */
float *zoo_gqa_sums(const gqa_step *step, const gqa_run *run, uint32_t part, uint32_t head,
                    uint32_t row);
/* Attention of a tile of a run: its sums, and those of what the run leaves. */
void zoo_gqa_join(const gqa_step *step, const gqa_tile *tile, uint32_t head, uint32_t worker);

/* chosen.c: attention of one row and key-value head over keys that were chosen. */
typedef struct gqa_chosen {
    float *q, *k, *v;  /* [group, head_dim + n_biases], [keys_max, the same], [keys_max, v_dim] */
    float *scratch;    /* zoo_attend_scratch */
    zoo_segment *segs; /* 2 [keys_max / ZOO_PAGE + 1] */
    uint32_t n_biases; /* 1: the same for all query heads of a key head; or one for each of them */
} gqa_chosen;
typedef struct gqa_keys {
    const uint32_t *at; /* [n] rows of the cache, ascending */
    uint32_t n;         /* at least 1 */
    const float *bias;  /* by row of the cache, added to the scores; or null */
    size_t bias_stride; /* from a query head's biases to the next one's; unused with one for all */
    const float *sinks; /* [group] a logit without a value for each query head, or null */
} gqa_keys;
/* Scratch of one worker; the second with biases of each query head. */
gqa_chosen zoo_gqa_chosen_take(const zoo_gqa *p, uint32_t keys_max, zoo_scratch_layout *layout);
gqa_chosen zoo_gqa_biased_take(const zoo_gqa *p, uint32_t keys_max, zoo_scratch_layout *layout);
/* Attends row `row` over the keys for the queries of key-value head `head`. [step] */
void zoo_gqa_chosen_attend(const gqa_step *step, const gqa_chosen *buffers, uint32_t row,
                           uint32_t head, const gqa_keys *keys);

#endif
