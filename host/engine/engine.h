/*
 * engine.h: a loaded model and its steps: the one interface for everything above.
 *
 * One step runs a ragged span: some rows of many sequences, prefill and decode mixed. The engine
 * does not choose what runs; the scheduler (batch.h) does. Not thread-safe: one caller at a time;
 * threads are inside.
 */
#ifndef ZOO_ENGINE_ENGINE_H
#define ZOO_ENGINE_ENGINE_H

#include "cache/save.h"
#include "model/options.h"
#include "model/trace.h"
#include "zoo.h"

typedef struct zoo_engine zoo_engine;

/* An engine is opened with what its model is opened with. */
typedef zoo_model_options zoo_engine_options;

/* Loads the folder: config, card, plugin, plan, weights, caches.
 * On error nothing is left behind. */
zoo_status zoo_engine_open(const char *folder, const zoo_engine_options *options, zoo_engine **out,
                           zoo_error *err);
void zoo_engine_close(zoo_engine *engine);

const zoo_plan *zoo_engine_plan(const zoo_engine *engine);
/* Any number as a token that can be computed: n modulo the vocabulary, or the next one. [any] */
int32_t zoo_engine_some_token(const zoo_engine *engine, uint32_t n);
const zoo_limits *zoo_engine_limits(const zoo_engine *engine);
/* The kernel table in use. */
const zoo_kernels *zoo_engine_kernels(const zoo_engine *engine);
/* Files that the model was opened with, besides its folder; card null: none. */
const char *zoo_engine_plugin_path(const zoo_engine *engine);
const char *zoo_engine_card_path(const zoo_engine *engine);
/* Bytes of packed weights and caches; and the limit that options set, for opening a second engine.
 * */
size_t zoo_engine_memory(const zoo_engine *engine);
size_t zoo_engine_memory_limit(const zoo_engine_options *options);

/*
 * Opens a sequence of n_prompt tokens to read and at most length_max positions in all; *seq is its
 * number. ZOO_E_MEMORY: not now, others hold the pages; ZOO_E_LIMIT: never, with these options.
 */
zoo_status zoo_engine_seq_open(zoo_engine *engine, uint32_t n_prompt, uint32_t length_max,
                               uint32_t *seq, zoo_error *err);
/* As above, sharing the pages of a kept prefix, of which `length` positions are then already read:
 * all of them, or a multiple of zoo_engine_prefix_grain. */
zoo_status zoo_engine_seq_open_shared(zoo_engine *engine, uint32_t prefix, uint32_t length,
                                      uint32_t n_prompt, uint32_t length_max, uint32_t *seq,
                                      zoo_error *err);
void zoo_engine_seq_close(zoo_engine *engine, uint32_t seq);
/* Keeps the first `length` positions of seq, which must have exactly that length now. */
zoo_status zoo_engine_prefix_keep(zoo_engine *engine, uint32_t seq, uint32_t length,
                                  uint32_t *prefix, zoo_error *err);
void zoo_engine_prefix_drop(zoo_engine *engine, uint32_t prefix);
/* For a file of kept prefixes (cache/save.h); positions of one, 0: not kept. */
zoo_status zoo_engine_saver(zoo_engine *engine, zoo_cache_saver **out, zoo_error *err);
uint64_t zoo_engine_cache_shape(const zoo_engine *engine);
uint32_t zoo_engine_prefix_length(const zoo_engine *engine, uint32_t prefix);
/* A sequence may start inside a kept prefix at multiples of this; 0: only at its end. */
uint32_t zoo_engine_prefix_grain(const zoo_engine *engine);
/* The part of the pages that sequences and kept prefixes hold or have reserved, 0 to 1. */
double zoo_engine_cache_fill(const zoo_engine *engine);

/* Whether sequences have states, which cannot be truncated, only copied and restored. */
bool zoo_engine_has_states(const zoo_engine *engine);
/*
 * Before a step with draft tokens: makes the step revocable by zoo_engine_seq_rewind. False: not
 * now, since states must be copied and all n_marks copies are in use; nothing changed.
 */
bool zoo_engine_seq_mark(zoo_engine *engine, uint32_t seq);
/*
 * After that step: takes back the positions from `length` on, none where it is where the sequence
 * stands. Returns the position that is read next: `length`, or, for a model with states, where the
 * step began when anything was taken back. Without states it may go back over several steps, fewer
 * than rows_max positions, marked or not.
 */
uint32_t zoo_engine_seq_rewind(zoo_engine *engine, uint32_t seq, uint32_t length);

/* Which rows of an item get logits. */
typedef enum zoo_want {
    ZOO_WANT_NONE = 0,
    ZOO_WANT_LAST = 1,
    ZOO_WANT_ALL = 2,
    ZOO_WANT_TAIL = 3 /* the last n_tail */
} zoo_want;

/* The next n tokens of one sequence, following what it has read. */
typedef struct zoo_item {
    uint32_t seq;
    uint32_t n;
    const int32_t *tokens; /* [n] */
    zoo_want want;
    uint32_t n_tail; /* 1 .. n, for ZOO_WANT_TAIL */
    /* [n, plan.given_width] for a plan that reads given rows; null: zeros. */
    const float *given;
    /* Out: [1, n or n_tail; vocab_size], valid until the next step; null for ZOO_WANT_NONE. */
    float *logits;
} zoo_item;

/* How many rows of an item get logits. */
static inline uint32_t zoo_item_n_wanted(const zoo_item *item)
{
    const uint32_t n[] = {0, 1, item->n, item->n_tail};
    return n[item->want];
}

/* Runs one step. The rows of all items together must not pass limits.rows_max. */
zoo_status zoo_engine_step(zoo_engine *engine, zoo_item *items, uint32_t n_items, zoo_error *err);

/*
 * Rows first .. first + n - 1 of the last step, counted over its items, behind all layers: out
 * [n, hidden_size]; normed: behind the last norm, too. Not for a plan with an epilogue or several
 * residual streams, nor for layers on several ranks (zoo_engine_has_rows).
 */
void zoo_engine_rows(zoo_engine *engine, uint32_t first, uint32_t n, bool normed, float *out);
bool zoo_engine_has_rows(const zoo_engine *engine);
/* Gives an engine that was opened with options.predicts the head of its main model, which must be
 * closed after it. [load] */
void zoo_engine_lend_head(const zoo_engine *engine, zoo_engine *predictor);

/*
 * A step in two halves, for an engine whose layers lie on several ranks: as many steps as there are
 * micro-batches may have begun and not ended, so that no rank waits. They end in the order in which
 * they began; until then a sequence takes part in no other, and nothing is done to it. What
 * step_end gives is valid until the next begin or end.
 */
uint32_t zoo_engine_n_micro_batches(const zoo_engine *engine);
zoo_status zoo_engine_step_begin(zoo_engine *engine, uint32_t micro_batch, zoo_item *items,
                                 uint32_t n_items, zoo_error *err);
zoo_status zoo_engine_step_end(zoo_engine *engine, uint32_t micro_batch, zoo_item *items,
                               uint32_t n_items, zoo_error *err);
/* A rank above 0 of such an engine: computes its layers until rank 0 closes the model. */
zoo_status zoo_engine_serve(zoo_engine *engine, zoo_error *err);

/* Runs fn(arg, item, worker) for items 0 .. n_items - 1 on the engine's threads, between steps;
 * worker < limits.n_threads. Returns when all are done. */
void zoo_engine_parallel(zoo_engine *engine, uint32_t n_items, zoo_task *fn, void *arg);

/* How many rows of logits a step may ask for; rows beyond need another step. */
uint32_t zoo_engine_logits_max(const zoo_engine *engine);

/*
 * A model whose rotary tables depend on the present length has its sequences read again
 * (zoo_plan.reread_*). True: before the next token of seq, all its tokens must be given again from
 * position 0 as prompt (the engine has forgotten them after zoo_engine_seq_restart).
 */
bool zoo_engine_must_reread(const zoo_engine *engine, uint32_t length_before,
                            uint32_t length_after);
void zoo_engine_seq_restart(zoo_engine *engine, uint32_t seq, uint32_t n_total);

/* fn is called for every named activation of each step; null: tracing is off.
 * Slow; one sequence at a time. */
void zoo_engine_trace(zoo_engine *engine, zoo_trace_fn *fn, void *arg);

/* Words for inspect and plan, to stdout-like streams; json: one object. */
zoo_status zoo_engine_inspect(const zoo_engine *engine, FILE *out, bool json);

#endif
