/* pipeline.c: rank 0's side of a step over ranks (pipeline.h); serve.c is that of the others. */
#include "engine/pipeline.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "engine/pipeline_private.h"

zoo_status zoo_pipeline_new(zoo_engine *engine, zoo_error *err)
{
    engine->pipeline = zoo_mem_array(1, sizeof *engine->pipeline);
    return engine->pipeline ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
}

void zoo_pipeline_free(zoo_engine *engine)
{
    zoo_pipeline *p = engine->pipeline;
    zoo_ring *ring = engine->model.ring;
    if (!p) {
        return;
    }
    for (uint32_t i = 1; ring->rank == 0 && i < ring->n_ranks; i++) {
        (void)ring->send(ring, i, ZOO_RING_CLOSE, NULL, 0, NULL);
    }
    zoo_pipeline_tell(engine);
    zoo_mem_free(p->ops);
    zoo_wire_free(&p->wire);
    zoo_mem_free(p);
    engine->pipeline = NULL;
}

void zoo_pipeline_note(zoo_engine *engine, zoo_seq_op op)
{
    zoo_pipeline *p = engine->pipeline;
    if (!p || p->no_memory) {
        return;
    }
    if (p->n_ops == p->ops_max) {
        uint32_t max = p->ops_max ? 2 * p->ops_max : 64;
        zoo_seq_op *grown = zoo_mem_realloc(p->ops, max * sizeof *grown);
        p->no_memory = !grown;
        p->ops = grown ? grown : p->ops;
        p->ops_max = grown ? max : p->ops_max;
    }
    if (!p->no_memory) {
        p->ops[p->n_ops++] = op;
    }
}

/* ---- what both sides do ---- */

void zoo_pipeline_works(zoo_pipeline *p)
{
    p->began = p->n_steps > 0 ? p->began : zoo_clock_seconds();
}

zoo_status zoo_pipeline_wait(zoo_engine *engine, zoo_ring_message *out, zoo_error *err)
{
    zoo_pipeline *p = engine->pipeline;
    double begin = zoo_clock_seconds();
    ZOO_TRY(engine->model.ring->receive(engine->model.ring, out, err));
    if (p->n_steps > 0 && out->kind == ZOO_RING_STEP) {
        p->waited += zoo_clock_seconds() - begin;
    }
    return ZOO_OK;
}

void zoo_pipeline_tell(const zoo_engine *engine)
{
    const zoo_pipeline *p = engine->pipeline;
    const zoo_model *model = &engine->model;
    char host[64] = "";
    struct rusage use = {0};
    double seconds = p->ended - p->began;
    if (model->quiet || p->n_steps == 0 || seconds <= 0.0) {
        return;
    }
    (void)gethostname(host, sizeof host - 1);
    (void)getrusage(RUSAGE_SELF, &use);
    (void)fprintf(
        stderr,
        "lmzoo: rank %u of %u (%s): %u layers from %u on of %u, %.1f MiB of weights, %.1f "
        "MiB in memory; %llu steps in %.2f s, %.1f %% of it waiting\n",
        model->ring->rank, model->ring->n_ranks, host, model->layer_end - model->layer_begin,
        model->layer_begin, model->plan.n_layers, (double)model->stats.bytes_packed / 1048576.0,
        (double)use.ru_maxrss / 1024.0, (unsigned long long)p->n_steps, seconds,
        100.0 * p->waited / seconds);
}

bool zoo_pipeline_wants_all(const zoo_engine *engine, bool traces)
{
    return traces || engine->model.plan.n_epilogue > 0;
}

void zoo_pipeline_trace(const zoo_engine *engine, const zoo_ring_message *m)
{
    zoo_trace_head head;
    const zoo_step *step = &engine->step;
    if (!step->trace || m->n < sizeof head) {
        return;
    }
    memcpy(&head, m->data, sizeof head);
    head.name[sizeof head.name - 1] = 0;
    if ((m->n - sizeof head) / sizeof(float) / (head.width ? head.width : 1) >= head.n_rows) {
        step->trace(step->trace_arg, head.name, (const float *)(m->data + sizeof head), head.n_rows,
                    head.width);
    }
}

/* ---- rank 0 ---- */

zoo_status zoo_pipeline_begin(zoo_engine *engine, zoo_micro_batch *f, zoo_error *err)
{
    zoo_pipeline *p = engine->pipeline;
    zoo_step *step = &engine->step;
    zoo_ring *ring = engine->model.ring;
    if (p->no_memory) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for what was done to sequences");
    }
    zoo_pipeline_works(p);
    ZOO_TRY(zoo_step_enter(step, &f->span, err));
    ZOO_TRY(zoo_step_layers(step, &f->span, err));
    const zoo_wire_rows rows = {.head = {.n_ops = p->n_ops,
                                         .n_seqs = f->span.n_seqs,
                                         .n_rows = f->span.n_rows,
                                         .n_wanted = f->n_wanted,
                                         .width = engine->model.plan.stream_width,
                                         .n_hidden = f->span.n_rows,
                                         .n_memos = step->n_memos,
                                         .traces = step->trace != NULL},
                                .ops = p->ops,
                                .seqs = f->seqs,
                                .tokens = f->tokens,
                                .wanted = f->wanted};
    ZOO_TRY(zoo_wire_write(&p->wire, &rows, step, NULL, err));
    p->n_ops = 0;
    p->n_steps++;
    return ring->send(ring, zoo_ring_next(ring), ZOO_RING_STEP, p->wire.data, p->wire.n, err);
}

/* The next message that is no activation; those go to whoever traces. */
static zoo_status next_rows(zoo_engine *engine, zoo_ring_message *m, zoo_error *err)
{
    zoo_ring *ring = engine->model.ring;
    for (;;) {
        ZOO_TRY(zoo_pipeline_wait(engine, m, err));
        if (m->kind != ZOO_RING_TRACE) {
            return ZOO_OK;
        }
        zoo_pipeline_trace(engine, m);
        ring->release(ring, m);
    }
}

/* Rows that came back, over the step that is to be left: all, or those that get logits. */
static zoo_status leave(zoo_engine *engine, const zoo_micro_batch *f, const zoo_ring_message *m,
                        zoo_error *err)
{
    zoo_wire_rows rows;
    zoo_step *step = &engine->step;
    if (m->kind != ZOO_RING_STEP) {
        return zoo_fail(err, ZOO_E_INTERNAL, "rank %u sent an unexpected message", m->from);
    }
    ZOO_TRY(zoo_wire_read(m->data, m->n, &rows, err));
    bool all = zoo_pipeline_wants_all(engine, step->trace != NULL);
    uint32_t n = all ? f->span.n_rows : f->n_wanted;
    if (rows.head.n_hidden != n || rows.head.width != engine->model.plan.stream_width) {
        return zoo_fail(err, ZOO_E_INTERNAL, "rank %u sent %u rows of %u values for %u of %u",
                        m->from, rows.head.n_hidden, rows.head.width, n,
                        engine->model.plan.stream_width);
    }
    zoo_step_clear(step);
    ZOO_TRY(zoo_wire_put(&rows, step, err));
    for (uint32_t i = 0; !all && i < n; i++) {
        f->wanted[i] = i;
    }
    return zoo_step_leave(step, &f->span, f->wanted, f->n_wanted, err);
}

zoo_status zoo_pipeline_end(zoo_engine *engine, zoo_micro_batch *f, zoo_error *err)
{
    zoo_ring_message m;
    zoo_ring *ring = engine->model.ring;
    ZOO_TRY(next_rows(engine, &m, err));
    zoo_status status = leave(engine, f, &m, err);
    ring->release(ring, &m);
    engine->pipeline->ended = zoo_clock_seconds();
    return status;
}
