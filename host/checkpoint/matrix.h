/*
 * matrix.h: one view of a weight, however the checkpoint stores it.
 *
 * A module's weight may be stored as it is, or as codes with scales, zero points and groups under
 * several names. zoo_matrix_find looks at which of these names exist and gives a matrix of float32
 * rows, so that binding need not know the difference. Supported: every dtype of
 * safetensors.h; fp8 and int8 with scales per tensor, row or block (fp8, fbgemm_fp8, modelopt FP8,
 * compressed-tensors int-, float- and naive-quantized); compressed-tensors pack-quantized of 2 to 8
 * bits; GPTQ (both zero point forms, act-order) of 2, 3, 4 and 8 bits; AWQ gemm; bitsandbytes int8,
 * nf4 and fp4; MXFP4 in its three spellings; packed ternary. Everything else is refused by name.
 * Rounding of activations, which some of these formats also define, is not done here.
 */
#ifndef ZOO_CHECKPOINT_MATRIX_H
#define ZOO_CHECKPOINT_MATRIX_H

#include <cjson/cJSON.h>

#include "checkpoint/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZOO_MATRIX_PARTS_MAX 8

typedef struct zoo_matrix zoo_matrix;

struct zoo_matrix {
    bool found;
    /* The rows are outputs, although a plain tensor of this name may hold [.., in, out]: stacked
     * MXFP4 experts, pack-quantized. */
    bool flipped;
    uint32_t n_dims; /* of the logical tensor */
    uint64_t dims[ZOO_TENSOR_DIMS_MAX];
    uint64_t n_stack; /* matrices: the product of all dims but the last two */
    uint64_t rows;    /* of one matrix; 1 when there are fewer than two dims */
    uint64_t cols;    /* 1 without dims */
    char format[48];  /* for people: "BF16", "fp8 64x64", "gptq int4 group 32" */
    uint32_t n_parts;
    /* The tensors of the file that belong to it; the first of them where it is joined. */
    const zoo_tensor *parts[ZOO_MATRIX_PARTS_MAX];
    bool joined;             /* its rows lie in parts[0], in the tensor after it, and so on */
    const zoo_tensor *plain; /* the one tensor whose items the values are, or null */

    /* What follows is for the readers (format_*.c). */
    void (*read)(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out);
    const zoo_tensor *codes, *scale, *zero, *groups; /* groups: the group of each column, or null */
    uint32_t bits;
    bool is_e2m1;        /* codes are four-bit floats with usual scales */
    uint32_t variant;    /* of the reader */
    uint64_t block_rows; /* rows and columns that share a scale */
    uint64_t block_cols;
    uint64_t grid_rows; /* scales of one matrix: grid_rows x grid_cols */
    uint64_t grid_cols;
    float divisor;         /* of every scale */
    float offset;          /* bitsandbytes: added to a nested scale */
    uint64_t nested_block; /* bitsandbytes: scales that share one scale; 0: plain */
    const zoo_tensor *nested_scale, *nested_values;
    float values[16]; /* of a 4-bit code */
};

/*
 * Whether the weights of this quantization_config (null: none) can be read: ZOO_E_UNSUPPORTED names
 * the method, version or variant that is not, ZOO_E_FORMAT what is malformed. zoo_matrix_find asks
 * the same. [any]
 */
zoo_status zoo_formats_check(const cJSON *quantization_config, zoo_error *err);

/*
 * Whether a tensor that no weight claims is the quantiser's and changes nothing: scales of a cache
 * of 8-bit floats, biases of zeros that GPTQ adds everywhere. false without a config. [load]
 */
bool zoo_quantization_sets_aside(const cJSON *quantization_config, const zoo_tensor *t);

/*
 * Looks for the weight of this name, spelled as a plain checkpoint would
 * ("model.layers.0.self_attn.q_proj.weight"). A missing weight is ZOO_OK with out->found false. All
 * shapes, groups and blocks are checked here. The matrix points into the set and holds nothing of
 * its own. ZOO_E_WEIGHT: parts that do not fit together, in one sentence; ZOO_E_UNSUPPORTED: stored
 * in a way that is not read. Allocates nothing, but for the JSON state of bitsandbytes. [load]
 */
zoo_status zoo_matrix_find(const zoo_tensors *set, const cJSON *quantization_config,
                           const char *name, zoo_matrix *out, zoo_error *err);

/* The tensor i of the file that belongs to it, for the report of what is left over; null past the
 * last. [any] */
const zoo_tensor *zoo_matrix_part_at(const zoo_matrix *m, uint32_t i);

/*
 * nvfp4: what the e4m3 scales of the matrix that holds row `row` are multiplied by, so that each
 * scale times it, rounded to float32, is the one that rows are read with. 1 in other formats.
 * [load]
 */
double zoo_matrix_global_scale(const zoo_matrix *m, uint64_t row);

/* The one tensor that holds row `row` as plain values, and which of its rows it is; null where the
 * values are not plain. [any] */
const zoo_tensor *zoo_matrix_plain_row(const zoo_matrix *m, uint64_t row, uint64_t *at);

/*
 * Rows row .. row + n_rows of the n_stack * rows there are, as out [n_rows, cols] float32. Exact
 * for plain tensors (see zoo_tensor_widen); else code, minus zero point, times scale, each one
 * float32 operation. Thread-safe, allocates nothing. GPTQ and AWQ store columns, so ask for 16 rows
 * or more at once. ZOO_E_USAGE: out of the matrix. [load]
 */
zoo_status zoo_matrix_read_rows(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out);

#ifdef __cplusplus
}
#endif

#endif
