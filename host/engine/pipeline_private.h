/* pipeline_private.h: what the two sides of a pipeline share (pipeline.c, serve.c). */
#ifndef ZOO_ENGINE_PIPELINE_PRIVATE_H
#define ZOO_ENGINE_PIPELINE_PRIVATE_H

#include "engine/pipeline.h"
#include "engine/wire.h"

struct zoo_pipeline {
    zoo_seq_op *ops; /* [n_ops], since the last step was sent */
    uint32_t n_ops, ops_max;
    bool no_memory;
    zoo_wire wire;
    uint64_t n_steps;
    double began, ended, waited; /* seconds: of the first step, of the last, for messages between */
    zoo_status status;           /* of activations that were sent on */
    zoo_error error;
};

/* Of ZOO_RING_TRACE; [n_rows, width] floats follow. */
typedef struct zoo_trace_head {
    uint32_t n_rows, width;
    char name[504];
} zoo_trace_head;

/* A step begins. */
void zoo_pipeline_works(zoo_pipeline *pipeline);
/* The next message, its wait counted where steps have begun. */
zoo_status zoo_pipeline_wait(zoo_engine *engine, zoo_ring_message *out, zoo_error *err);
/* How this rank spent its time, on stderr. */
void zoo_pipeline_tell(const zoo_engine *engine);
/* Whether all rows of a step come back, not only those that get logits. */
bool zoo_pipeline_wants_all(const zoo_engine *engine, bool traces);
/* An activation that came: to whoever traces. */
void zoo_pipeline_trace(const zoo_engine *engine, const zoo_ring_message *message);

#endif
