/*
 * cache.h: a cache kind: the storage format of a stream's rows, as one const ops table.
 *
 * The host owns pages: it reserves, shares, copies, saves and loads them as bytes. A kind defines
 * the size of a page of one head, writes rows to it and reads them. It keeps no state, so a page
 * can be copied anywhere, and a row does not depend on the other rows of its page.
 *
 *   put:   row of one head, float32 -> [Hadamard rotation] -> store
 *   read:  read -> [inverse rotation] -> float32
 *
 * With ZOO_CACHE_HADAMARD the host multiplies each row by a Hadamard matrix before store
 * (zoo_k_hadamard), so that a single outlier does not set the quantisation step of its neighbours.
 * Attention does not rotate pages back: it rotates the queries instead, and the sums of values once
 * at the end.
 */
#ifndef ZOO_CACHE_H
#define ZOO_CACHE_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zoo_stream;

enum { ZOO_CACHE_HADAMARD = 1 /* flag: rows are rotated before store, and back after read */ };

/*
 * A test vector, checked before a kind is used: x [width], stored as row 0 of a page, must read
 * back as y [width] to the bit, and the page must begin with `bytes`. A table ends with width 0. x
 * and y are as store and read see them, rotated already.
 */
typedef struct zoo_cache_vector {
    uint32_t width;
    uint32_t n_bytes; /* of `bytes`; 0: the layout is not checked */
    const float *x, *y;
    const unsigned char *bytes;
} zoo_cache_vector;

/* The ops table. Slots may be appended; a slot beyond `size` reads as null. */
struct zoo_cache_ops {
    uint32_t size;
    uint32_t flags;      /* ZOO_CACHE_HADAMARD */
    const char *name;    /* "int8": for --cache and cards; letters, digits, '-', '_' */
    const char *summary; /* one line for readers */
    /* Precision class: ZOO_F32, ZOO_BF16, ZOO_INT8 or ZOO_INT4. A stream that does not tolerate it
     * (zoo_stream.dtype_min) uses the host's kind of its dtype_min instead. */
    uint32_t narrowness;
    uint32_t form; /* zoo_row_form if kernels can read pages directly; ZOO_FORM_OWN: by `read` */
    /* Upper bound of the NMSE (mean squared error over mean square) of normally distributed rows;
     * conformance tests it. */
    float error_max;
    uint32_t reserved;
    /* Whether the kind can store the stream; null: any ROWS or RING. [load] */
    bool (*suits)(const struct zoo_stream *stream);
    /* Bytes of a page of n_rows rows of width values. [any] */
    size_t (*bytes)(uint32_t width, uint32_t n_rows);
    /*
     * Writes row `row` < ZOO_PAGE of the page from x [width]. Rows come in any order, and a row may
     * be overwritten; the result must not depend on the page's old contents, and bytes of other
     * rows must not change. Pages are aligned to 64 bytes. [step]
     */
    void (*store)(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                  const float *x);
    /* Reads rows row .. row + n - 1, which have been stored, to y [n, width], y_stride floats
     * apart. [step] */
    void (*read)(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                 uint32_t n, float *y, size_t y_stride);
    const zoo_cache_vector *vectors; /* at least one */
};

#ifdef __cplusplus
}
#endif

#endif
