/*
 * fake.h: a small host for tests of blocks: scratch, memo, a loop that runs items out of order, a
 * cache of plain arrays cut into pages, weights made from a block's bind table, a config of a few
 * keys. One kernel table for all.
 */
#ifndef LMZOO_TESTS_FAKE_H
#define LMZOO_TESTS_FAKE_H

#include "zoo.h"

enum { FAKE_SEQS = 4, FAKE_LENGTH = 256, FAKE_MATRICES = 96, FAKE_MEMOS = 8 };

/* A tensor that the fake binder made, as the block sees it: [experts][rows, cols]. */
typedef struct fake_tensor {
    uint32_t field, rows, cols, experts;
    float *x;
} fake_tensor;

typedef struct fake {
    zoo_ctx ctx;
    zoo_cache cache;
    zoo_setup setup;
    zoo_limits limits;
    uint64_t seed;
    zoo_dtype weight_kind; /* what fake_pack makes; ZOO_F32 after fake_open */
    size_t taken;          /* bytes of scratch since fake_begin */
    void *pieces[4096];
    uint32_t n_pieces;
    struct {
        const void *key;
        void *memory;
    } memos[FAKE_MEMOS];
    zoo_stream streams[ZOO_STREAMS_MAX];
    const zoo_cache_ops *kinds[ZOO_STREAMS_MAX];
    float *rows[ZOO_STREAMS_MAX][FAKE_SEQS]; /* [heads][FAKE_LENGTH][width / heads] */
    fake_tensor tensors[FAKE_MATRICES];
    uint32_t n_tensors;
    void *kept[8192];
    uint32_t n_kept;
} fake;

/* The host's scalar kernels. */
const zoo_kernels *test_kernels(void);
void fake_open(fake *f, const zoo_kernels *kernels, uint32_t n_threads);
void fake_close(fake *f);
/* A number in [-1, 1). */
float fake_random(fake *f);
/* n zeroed bytes until fake_close. */
void *fake_keep(fake *f, size_t n);
/* Allocates the streams of a block and drops all rows. */
void fake_streams(fake *f, const zoo_block_ops *ops, const void *params);
/* Fills a weights struct with random tensors for every row that the params switch on; fails the
 * test where two rows fill one field or where a dim is 0. */
void *fake_bind(fake *f, const zoo_block_ops *ops, const void *params);
/* The tensor in a field of the weights struct, or null. */
const fake_tensor *fake_tensor_at(const fake *f, size_t field);
/* Packs a [rows, cols] matrix as the host does. */
zoo_weight fake_pack(fake *f, const float *x, uint32_t rows, uint32_t cols);
/* Frees scratch and memos: one call before each forward. */
void fake_begin(fake *f);

/*
 * Runs x [n_rows, width_in] of sequence `slot` through the block in pieces of `chunk` rows, from
 * position pos on.
 */
typedef struct fake_run {
    const zoo_block_ops *ops;
    const void *params, *weights;
    uint32_t width_in, width_out;
    uint32_t slot, pos, n, chunk;
} fake_run;
void fake_forward(fake *f, const fake_run *run, const float *x, float *y);
/* All sequences at once: sequence i has rows row[i] .. row[i] + n[i] - 1 at position 0. */
void fake_forward_batch(fake *f, const fake_run *run, const uint32_t *n, uint32_t n_seqs,
                        const float *x, float *y);

/* A config of keys with JSON-like values: numbers, "text", null, true, [n] for a list of n and {}
 * for an object. */
typedef struct fake_key {
    const char *key, *value;
} fake_key;
zoo_config fake_config(const fake_key *keys);
extern char fake_refusal[256]; /* the first refusal, "" without */

/* sum (a - b)^2 / sum b^2 */
double fake_nmse(const float *a, const double *b, size_t n);

#endif
