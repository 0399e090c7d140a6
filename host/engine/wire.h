/*
 * wire.h: rows of a step as bytes, from one rank of a pipeline to the next.
 *
 *   head, ops, sequences, tokens, wanted rows, hidden rows, memos: each at a multiple of 8
 *
 * A memo is named by the place of its key in the model arena, which is the same on all ranks.
 * Ranks run the same program (zoo_ring.meet), so numbers are as the machine has them; sizes are
 * checked all the same.
 */
#ifndef ZOO_ENGINE_WIRE_H
#define ZOO_ENGINE_WIRE_H

#include "engine/pipeline.h"

/* Bytes that grow; not cleared when they are used again. */
typedef struct zoo_wire {
    unsigned char *data;
    size_t n, max;
    bool failed; /* no memory */
} zoo_wire;

typedef struct zoo_wire_head {
    uint32_t n_ops, n_seqs, n_rows, n_wanted;
    uint32_t width; /* of a hidden row */
    uint32_t n_hidden, n_memos;
    uint32_t traces;
} zoo_wire_head;

/* A message taken apart; pointers lead into it. */
typedef struct zoo_wire_rows {
    zoo_wire_head head;
    const zoo_seq_op *ops;
    const zoo_seq *seqs;
    const int32_t *tokens;
    const uint32_t *wanted;
    const float *hidden; /* [n_hidden, width] */
    const unsigned char *memos;
    size_t n_memo_bytes;
} zoo_wire_rows;

void zoo_wire_free(zoo_wire *wire);
void zoo_wire_add(zoo_wire *wire, const void *data, size_t n);

/* The step's rows [head.n_hidden, width] and memos behind what rows says; hidden is set apart:
 * row i of the message is row `from[i]`, or i where from is null. ZOO_E_UNSUPPORTED: a block shares
 * over layers what has no place. ZOO_E_MEMORY. */
zoo_status zoo_wire_write(zoo_wire *wire, const zoo_wire_rows *rows, const zoo_step *step,
                          const uint32_t *from, zoo_error *err);
/* ZOO_E_INTERNAL: it is cut, or of another shape. */
zoo_status zoo_wire_read(const void *data, size_t n, zoo_wire_rows *out, zoo_error *err);
/* Hidden rows and memos into a cleared step. */
zoo_status zoo_wire_put(const zoo_wire_rows *rows, zoo_step *step, zoo_error *err);

#endif
