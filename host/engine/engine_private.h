/* engine_private.h: the inside of zoo_engine, for the files of this room. */
#ifndef ZOO_ENGINE_ENGINE_PRIVATE_H
#define ZOO_ENGINE_ENGINE_PRIVATE_H

#include "config/plugin_loader.h"
#include "engine/engine.h"
#include "model/bound_model.h"
#include "model/step.h"

/* What the engine knows of a sequence; its number is its slot in the cache. */
typedef struct zoo_seq_state {
    uint32_t open;
    uint32_t length;   /* positions read */
    uint32_t n_prompt; /* as given */
    uint32_t n_whole;  /* zoo_seq.n_total of rows at positions below it */
    uint32_t length_max;
    uint64_t step; /* the last one that it took part in */
} zoo_seq_state;

/* A step, from its begin to its end. */
typedef struct zoo_micro_batch {
    zoo_span span;
    zoo_seq *seqs;                   /* [seqs_max] */
    uint32_t *pos, *seq_of, *wanted; /* [rows_max] */
    int32_t *tokens;                 /* [rows_max] */
    float *given;                    /* [rows_max, plan.given_width], or null where that is 0 */
    uint32_t n_wanted;
} zoo_micro_batch;

struct zoo_engine {
    zoo_model model;
    zoo_step step;
    zoo_seq_state *states; /* [seqs_max] */
    uint64_t n_steps;
    zoo_micro_batch *micro_batches; /* [n_micro_batches] */
    uint32_t n_micro_batches;
    struct zoo_pipeline *pipeline; /* null: all layers are here */
};

#endif
