/*
 * pipeline.h: a step over ranks that have one part of the layers each (model/ring.h).
 *
 *   rank 0: [begin: embed, its layers] -> rows -> rank 1: its layers -> ... -> rows
 *           -> rank 0: [end: epilogue, norm, head of the wanted rows]
 *
 * All ranks have the tables of all sequences: what rank 0 does to them travels with the next step,
 * in order, so that pages, states and snapshots are the same everywhere, each with the streams of
 * its own layers. With the rows goes what blocks share over layers; back come the rows that get
 * logits. Sums are whole on one rank, so the bits are those of one process.
 *
 * Memory: a message and what was noted since the last step.
 */
#ifndef ZOO_ENGINE_PIPELINE_H
#define ZOO_ENGINE_PIPELINE_H

#include "engine/engine_private.h"

typedef struct zoo_pipeline zoo_pipeline;

typedef enum zoo_seq_op_kind {
    ZOO_SEQ_OPEN,    /* length_max -> slot */
    ZOO_SEQ_OPEN_AT, /* length_max, prefix, length -> slot */
    ZOO_SEQ_CLOSE,   /* slot */
    ZOO_SEQ_RESTART, /* slot -> whether it could */
    ZOO_SEQ_MARK,    /* slot -> whether it could */
    ZOO_SEQ_REWIND,  /* slot, length -> where it stands */
    ZOO_SEQ_KEEP,    /* slot, length -> prefix */
    ZOO_SEQ_DROP     /* prefix */
} zoo_seq_op_kind;

/* What was done to sequences, with what came of it: the other ranks compare. */
typedef struct zoo_seq_op {
    uint32_t kind, a, b, c, result;
} zoo_seq_op;

/* ZOO_E_MEMORY. [load] */
zoo_status zoo_pipeline_new(zoo_engine *engine, zoo_error *err);
/* Rank 0 tells the others that the model is closed. */
void zoo_pipeline_free(zoo_engine *engine);
/* Nothing where all layers are here. */
void zoo_pipeline_note(zoo_engine *engine, zoo_seq_op op);

/* Rank 0's halves of a step. */
zoo_status zoo_pipeline_begin(zoo_engine *engine, zoo_micro_batch *micro_batch, zoo_error *err);
zoo_status zoo_pipeline_end(zoo_engine *engine, zoo_micro_batch *micro_batch, zoo_error *err);

#endif
