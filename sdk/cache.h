/*
 * cache.h: a cache kind: how rows of a stream are kept, as one const ops table.
 *
 * The host owns pages: it reserves, shares, copies, saves and reads them back as bytes. A kind says
 * how many bytes a page of one head takes, writes a row into it and reads rows out of it. It keeps
 * no state, so a page is the same wherever it is copied to, and a row reads the same whatever
 * stands beside it.
 *
 *   put:   row of one head, float32 -> [turned] -> store
 *   read:  read -> [turned back] -> float32
 *
 * Turned: with ZOO_CACHE_TURNED the host multiplies each row by a Hadamard matrix before store sees
 * it (zoo_k_turn), so that a single large value no longer sets the step of those beside it. Nobody
 * turns a page back: attention turns the queries instead, and its sums of values once at the end.
 */
#ifndef ZOO_CACHE_H
#define ZOO_CACHE_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zoo_stream;

enum { ZOO_CACHE_TURNED = 1 /* rows are turned before store and after read */ };

/*
 * One row and what must come of it, checked before a kind is used: x [width], stored as row 0 of a
 * page, reads back as y [width], to the bit, and the page begins with these bytes. A table ends
 * with width 0. x and y are as store and read see them: turned already.
 */
typedef struct zoo_cache_vector {
    uint32_t width;
    uint32_t n_bytes; /* of `bytes`; 0: the layout is not told */
    const float *x, *y;
    const unsigned char *bytes;
} zoo_cache_vector;

/* The ops table. Slots may be appended; a slot beyond `size` reads as null. */
struct zoo_cache_ops {
    uint32_t size;
    uint32_t flags;      /* ZOO_CACHE_TURNED */
    const char *name;    /* "int8": what --cache and cards say; letters, digits, '-', '_' */
    const char *summary; /* for a reader, a line */
    /* ZOO_F32, ZOO_BF16, ZOO_INT8 or ZOO_INT4: about as narrow as that. A stream that does not
     * tolerate it (zoo_stream.dtype_min) is kept in the host's kind of its dtype_min instead. */
    uint32_t narrowness;
    uint32_t form; /* zoo_row_form: how kernels read a page without a call; ZOO_FORM_OWN: by read */
    /* Of rows of normal values: mean squared error of what is read, over their mean square, is at
     * most this; conformance holds the kind to it. */
    float error_max;
    uint32_t reserved;
    /* Streams that it can keep; null: all ROWS and RING of whatever width. [load] */
    bool (*suits)(const struct zoo_stream *stream);
    /* Bytes of a page of n_rows rows of width values. [any] */
    size_t (*bytes)(uint32_t width, uint32_t n_rows);
    /*
     * Writes row `row` < ZOO_PAGE of the page from x [width]. Rows come in any order, and a row may
     * be written anew; what was in the page before has no say, and no byte of another row may
     * change. Memory of a page is aligned to 64 bytes. [step]
     */
    void (*store)(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                  const float *x);
    /* Rows row .. row + n - 1 to y [n, width], y_stride floats apart; rows of a page that were
     * stored, no others. [step] */
    void (*read)(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                 uint32_t n, float *y, size_t y_stride);
    const zoo_cache_vector *vectors; /* at least one */
};

#ifdef __cplusplus
}
#endif

#endif
