/*
 * engine.c: an open model (model/open.h) with the buffers of its steps; sequences.c runs them.
 *
 * Memory: what the model holds, the activations of a step and a few words for each sequence.
 */
#include "engine/engine_private.h"

#include <string.h>

#include "base/mem.h"
#include "model/open.h"

static zoo_status open_session(zoo_engine *engine, zoo_error *err)
{
    const zoo_limits *l = &engine->model.limits;
    engine->states = zoo_mem_array(l->seqs_max + 1, sizeof *engine->states);
    engine->seqs = zoo_mem_array(l->seqs_max + 1, sizeof *engine->seqs);
    uint32_t **const lists[] = {&engine->pos, &engine->seq_of, &engine->wanted};
    for (size_t i = 0; i < ZOO_COUNT(lists); i++) {
        *lists[i] = zoo_mem_array(l->rows_max + 1, sizeof(uint32_t));
    }
    engine->tokens = zoo_mem_array(l->rows_max + 1, sizeof(int32_t));
    bool all = engine->states && engine->seqs && engine->pos && engine->seq_of && engine->wanted &&
               engine->tokens;
    return all ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
}

zoo_status zoo_engine_open(const char *folder, const zoo_engine_options *options, zoo_engine **out,
                           zoo_error *err)
{
    zoo_engine *engine = zoo_mem_array(1, sizeof *engine);
    *out = NULL;
    if (!engine) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    zoo_status status = zoo_model_open(&engine->model, folder, options, err);
    if (status == ZOO_OK && !options->plan_only) {
        status = zoo_step_init(&engine->step, &engine->model, err);
    }
    zoo_mem_trim();
    if (status == ZOO_OK) {
        status = open_session(engine, err);
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
    zoo_step_release(&engine->step);
    zoo_model_release(model);
    zoo_mem_free(engine->states);
    zoo_mem_free(engine->seqs);
    zoo_mem_free(engine->pos);
    zoo_mem_free(engine->seq_of);
    zoo_mem_free(engine->wanted);
    zoo_mem_free(engine->tokens);
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

void zoo_engine_trace(zoo_engine *engine, zoo_trace_fn *fn, void *arg)
{
    engine->step.trace = fn;
    engine->step.trace_arg = arg;
}
