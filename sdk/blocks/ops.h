/*
 * ops.h: building blocks of blocks: linear maps, row loops, norms, scratch layouts over a zoo_ctx.
 *
 * Everything here splits work by rows, panels or heads and never the sum of one output, so a row's
 * bits depend neither on the rows beside it nor on the number of threads. All of it is [step].
 */
#ifndef ZOO_BLOCKS_OPS_H
#define ZOO_BLOCKS_OPS_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The layout of a block's scratch: with ctx null it only counts bytes, with ctx it takes them. A
 * block writes one function `layout(params, sizes, zoo_scratch_layout *)` that its scratch() and
 * its forward() both call, so that the two never differ.
 */
typedef struct zoo_scratch_layout {
    zoo_ctx *ctx; /* null: counting */
    size_t used;  /* bytes so far, each piece rounded up to 64 */
} zoo_scratch_layout;

/* n bytes of scratch, or null while counting. */
void *zoo_scratch_layout_take(zoo_scratch_layout *layout, size_t n);
/* rows * cols floats. */
float *zoo_scratch_layout_floats(zoo_scratch_layout *layout, size_t rows, size_t cols);

/* One matrix of a zoo_linear call: y = W x + bias. */
typedef struct zoo_proj {
    const zoo_weight *weight; /* [outputs, cols] */
    const float *bias;        /* [outputs] or null */
    float *y;                 /* [n_rows, outputs] with a stride of y_stride floats */
    size_t y_stride;          /* 0: weight->rows */
} zoo_proj;

enum { ZOO_PROJ_MAX = 8 }; /* matrices of one zoo_linear call */

/*
 * y_i = W_i x + b_i for n_proj matrices that read the same rows x [n_rows, cols] (stride x_stride
 * floats), in one parallel loop. Rows are prepared once for each weight kind among them. Matrices
 * whose weight has no rows are skipped. scratch: zoo_linear_scratch bytes that a caller who
 * processes rows in parts reuses; null: taken from ctx.
 */
void zoo_linear_in(zoo_ctx *ctx, const zoo_proj *proj, uint32_t n_proj, const float *x,
                   size_t x_stride, uint32_t n_rows, void *scratch);
static inline void zoo_linear(zoo_ctx *ctx, const zoo_proj *proj, uint32_t n_proj, const float *x,
                              size_t x_stride, uint32_t n_rows)
{
    zoo_linear_in(ctx, proj, n_proj, x, x_stride, n_rows, NULL);
}
/* Upper bound of the scratch that one zoo_linear call takes, whatever the weight kinds. [load] */
size_t zoo_linear_scratch(uint32_t cols, uint32_t n_rows);
/* Upper bound of the bytes of one prepared row. [load] */
size_t zoo_prepared_bound(uint32_t cols);

/* Rows [begin, end) of something, on worker `worker`. */
typedef void zoo_rows_fn(void *arg, uint32_t begin, uint32_t end, uint32_t worker);

/* Calls fn for ranges of rows 0 .. n_rows - 1 on all threads. row_cost: about how many floats a row
 * touches; small loops stay on one thread. */
void zoo_rows(zoo_ctx *ctx, uint32_t n_rows, size_t row_cost, zoo_rows_fn *fn, void *arg);

/* Calls fn for n_items items of about item_cost floats each, on all threads where that pays. */
void zoo_items(zoo_ctx *ctx, uint32_t n_items, size_t item_cost, zoo_task *fn, void *arg);

/* Norm of kind zoo_norm_kind on the calling thread; sets args->offset. ZOO_NORM_NONE copies. */
void zoo_norm_run(const zoo_kernels *kernels, uint32_t kind, zoo_norm_args args);
/* The same on all threads. */
void zoo_norm_rows(zoo_ctx *ctx, uint32_t kind, zoo_norm_args args);

/*
 * Dense float32 rows x [n_rows, width] as the segments that attend reads, a page each, at out
 * [ceil(n_rows / ZOO_PAGE)]; returns their number. [step]
 */
uint32_t zoo_rows_segments(const float *x, uint32_t width, uint32_t n_rows, zoo_segment *out);

/* Elementwise over dense [n_rows, width] arrays on all threads; y may be an input. */
void zoo_act_rows(zoo_ctx *ctx, zoo_act act, const float *x, float *y, uint32_t n_rows,
                  uint32_t width);
void zoo_add_rows(zoo_ctx *ctx, const float *x, float *y, uint32_t n_rows, uint32_t width);
void zoo_scale_rows(zoo_ctx *ctx, float scale, float *y, uint32_t n_rows, uint32_t width);

/* Offers x [n_rows, width] to the trace if there is one; name null: not traced. */
static inline void zoo_trace_rows(zoo_ctx *ctx, const char *name, const float *x, uint32_t n_rows,
                                  uint32_t width)
{
    if (ctx->trace && name) {
        ctx->trace(ctx, name, x, n_rows, width);
    }
}

/*
 * Rounds each row to 8 bits and back: y = round(x / s) * s, s = largest magnitude / 127. y may be
 * x.
 */
void zoo_round_rows(zoo_ctx *ctx, const float *x, float *y, uint32_t n_rows, uint32_t width);

/*
 * The activation that a config key names ("silu", "swish", "gelu", "gelu_new", "gelu_fast",
 * "gelu_pytorch_tanh", "relu", "relu2", "sigmoid", "tanh", "linear"); refuses other names. [load]
 */
uint32_t zoo_act_read(const zoo_config *config, const char *key, const char *fallback);

/*
 * Makes a block's part of a layer from the config: ops, params (in the model arena), module name;
 * norm and scales are the caller's. out->ops stays null where the config is not for this block.
 * [load]
 */
typedef zoo_status zoo_part_maker(const zoo_config *config, zoo_setup *setup, uint32_t hidden,
                                  zoo_part *out, zoo_error *err);

/* Parts that a card chooses by name; a null name ends the list. */
typedef struct zoo_part_choice {
    const char *name;
    zoo_part_maker *make;
} zoo_part_choice;

/* The maker of this name; null: none. [load] */
zoo_part_maker *zoo_part_choose(const zoo_part_choice *list, const char *name);

#ifdef __cplusplus
}
#endif

#endif
