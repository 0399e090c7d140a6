/*
 * recorder.h: records every named activation of one forward pass.
 *
 * A name is that of the module in the reference, `<layer path>.<module>`; a module that runs again
 * in the same pass gets "#2", "#3". Where the reference names an output otherwise than the module's
 * tensors, the card says so (member "trace", docs/adding-a-model.md), and the activation is
 * recorded under both names.
 *
 * Memory: all activations, until zoo_recorder_free.
 */
#ifndef ZOO_ENGINE_RECORDER_H
#define ZOO_ENGINE_RECORDER_H

#include "checkpoint/safetensors.h"
#include "engine/engine.h"

typedef struct zoo_recorder zoo_recorder;

/* A pass: tokens [n] in a sequence of its own, `chunk` at a time (0: in one step), which gives the
 * same bits. given: as in zoo_item, or null. */
typedef struct zoo_recorder_pass {
    const int32_t *tokens;
    uint32_t n, chunk;
    const float *given;
} zoo_recorder_pass;

/* The engine's steps, sequences and contexts must have room for the pass. *out is for
 * zoo_recorder_free, null on error. */
zoo_status zoo_recorder_run(zoo_engine *engine, const zoo_recorder_pass *pass, zoo_recorder **out,
                            zoo_error *err);
/* The rows of the pass behind all layers (zoo_engine_rows): rows [n, hidden_size]. */
zoo_status zoo_recorder_rows(zoo_engine *engine, const zoo_recorder_pass *pass, bool normed,
                             float *rows, zoo_error *err);
void zoo_recorder_free(zoo_recorder *recorder);

uint32_t zoo_recorder_count(const zoo_recorder *recorder);
/* In the order of the pass: float32 [n, width], or [n, streams, width] of a residual stream of
 * several streams. Lives as long as the recorder. */
const zoo_tensor *zoo_recorder_at(const zoo_recorder *recorder, uint32_t index);
const zoo_tensor *zoo_recorder_find(const zoo_recorder *recorder, const char *name);

/* All of it as a safetensors file. */
zoo_status zoo_recorder_write(const zoo_recorder *recorder, const char *path, zoo_error *err);

#endif
