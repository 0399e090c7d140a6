/*
 * engine.c: an open model (model/open.h) with the buffers of its steps; sequences.c runs them.
 *
 * Memory: what the model holds, the activations of a step and a few words for each sequence.
 */
#include "engine/engine_private.h"

#include <string.h>

#include "base/mem.h"
#include "engine/pipeline.h"
#include "model/open.h"

static bool open_micro_batch(zoo_micro_batch *f, const zoo_limits *l, uint32_t given_width)
{
    uint32_t **const lists[] = {&f->pos, &f->seq_of, &f->wanted};
    f->seqs = zoo_mem_array(l->seqs_max + 1, sizeof *f->seqs);
    for (size_t i = 0; i < ZOO_COUNT(lists); i++) {
        *lists[i] = zoo_mem_array(l->rows_max + 1, sizeof(uint32_t));
    }
    f->tokens = zoo_mem_array(l->rows_max + 1, sizeof *f->tokens);
    f->given = given_width ? zoo_mem_array(l->rows_max, given_width * sizeof *f->given) : NULL;
    return f->seqs && f->pos && f->seq_of && f->wanted && f->tokens && (!given_width || f->given);
}

static void close_micro_batch(zoo_micro_batch *f)
{
    zoo_mem_free(f->seqs);
    zoo_mem_free(f->pos);
    zoo_mem_free(f->seq_of);
    zoo_mem_free(f->wanted);
    zoo_mem_free(f->tokens);
    zoo_mem_free(f->given);
}

static zoo_status open_session(zoo_engine *engine, zoo_error *err)
{
    const zoo_limits *l = &engine->model.limits;
    uint32_t n = engine->model.ring ? engine->model.ring->n_micro_batches : 1;
    engine->states = zoo_mem_array(l->seqs_max + 1, sizeof *engine->states);
    engine->micro_batches = zoo_mem_array(n, sizeof *engine->micro_batches);
    bool all = engine->states && engine->micro_batches;
    engine->n_micro_batches = all ? n : 0;
    for (uint32_t i = 0; i < engine->n_micro_batches && all; i++) {
        all = open_micro_batch(&engine->micro_batches[i], l, engine->model.plan.given_width);
    }
    return all ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
}

/* The ranks open the same model, with the bounds of rank 0. */
static zoo_status tell_bounds(const zoo_engine_options *o, zoo_error *err)
{
    const zoo_ring_bounds bounds = {.reserve = o->reserve,
                                    .rows_max = o->rows_max,
                                    .seqs_max = o->seqs_max,
                                    .context_max = o->context_max,
                                    .n_marks = o->n_marks};
    zoo_ring *ring = o->ring;
    for (uint32_t i = 1; ring && ring->rank == 0 && i < ring->n_ranks; i++) {
        ZOO_TRY(ring->send(ring, i, ZOO_RING_OPEN, &bounds, sizeof bounds, err));
    }
    return ZOO_OK;
}

static zoo_status open_ring(zoo_engine *engine, zoo_error *err)
{
    if (!engine->model.ring) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_pipeline_new(engine, err));
    return engine->model.ring->meet(engine->model.ring, engine, err);
}

zoo_status zoo_engine_open(const char *folder, const zoo_engine_options *options, zoo_engine **out,
                           zoo_error *err)
{
    zoo_engine *engine = zoo_mem_array(1, sizeof *engine);
    *out = NULL;
    if (!engine) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    zoo_status status = tell_bounds(options, err);
    if (status == ZOO_OK) {
        status = zoo_model_open(&engine->model, folder, options, err);
    }
    if (status == ZOO_OK && !options->plan_only) {
        status = zoo_step_init(&engine->step, &engine->model, err);
    }
    zoo_mem_trim();
    if (status == ZOO_OK) {
        status = open_session(engine, err);
    }
    if (status == ZOO_OK) {
        status = open_ring(engine, err);
    }
    if (status != ZOO_OK) {
        zoo_engine_close(engine);
        if (status == ZOO_E_IO && err) {
            err->code = ZOO_E_FORMAT; /* a file of the model is not there: the model is refused */
        }
        return status == ZOO_E_IO ? ZOO_E_FORMAT : status;
    }
    *out = engine;
    return ZOO_OK;
}

void zoo_engine_close(zoo_engine *engine)
{
    if (!engine) {
        return;
    }
    zoo_model *model = &engine->model;
    zoo_pipeline_free(engine);
    zoo_step_release(&engine->step);
    zoo_model_release(model);
    zoo_mem_free(engine->states);
    for (uint32_t i = 0; i < engine->n_micro_batches; i++) {
        close_micro_batch(&engine->micro_batches[i]);
    }
    zoo_mem_free(engine->micro_batches);
    zoo_mem_free(engine);
}

const zoo_plan *zoo_engine_plan(const zoo_engine *engine)
{
    return &engine->model.plan;
}

const zoo_limits *zoo_engine_limits(const zoo_engine *engine)
{
    return &engine->model.limits;
}

const zoo_kernels *zoo_engine_kernels(const zoo_engine *engine)
{
    return engine->model.kernels;
}

const char *zoo_engine_plugin_path(const zoo_engine *engine)
{
    return engine->model.plugin_path;
}

const char *zoo_engine_card_path(const zoo_engine *engine)
{
    return engine->model.card ? engine->model.card->path : NULL;
}

size_t zoo_engine_memory_limit(const zoo_engine_options *options)
{
    return zoo_model_memory_limit(options);
}

size_t zoo_engine_memory(const zoo_engine *engine)
{
    return (size_t)engine->model.stats.bytes_packed +
           zoo_cache_pool_use(engine->model.cache).mapped;
}

void zoo_engine_parallel(zoo_engine *engine, uint32_t n_items, zoo_task *fn, void *arg)
{
    zoo_pool_run(engine->model.pool, n_items, fn, arg);
}

void zoo_engine_rows(zoo_engine *engine, uint32_t first, uint32_t n, bool normed, float *out)
{
    zoo_step_rows(&engine->step, first, n, normed, out);
}

bool zoo_engine_has_rows(const zoo_engine *engine)
{
    const zoo_plan *plan = &engine->model.plan;
    return !engine->pipeline && plan->n_epilogue == 0 && plan->stream_width == plan->hidden_size;
}

void zoo_engine_lend_head(const zoo_engine *engine, zoo_engine *predictor)
{
    predictor->model.head = engine->model.head;
    predictor->model.head_bias = engine->model.head_bias;
}

void zoo_engine_trace(zoo_engine *engine, zoo_trace_fn *fn, void *arg)
{
    engine->step.trace = fn;
    engine->step.trace_arg = arg;
}
