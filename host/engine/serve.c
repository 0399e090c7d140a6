/*
 * serve.c: a rank of a pipeline that computes its layers for rank 0 (pipeline.h).
 *
 *   message -> what was done to sequences, again -> extend -> layers -> message to the next rank
 */
#include <string.h>

#include "base/budget.h"
#include "engine/pipeline_private.h"

static zoo_status repeat(zoo_cache_pool *cache, const zoo_seq_op *op, zoo_error *err)
{
    uint32_t got = op->result;
    zoo_status status = ZOO_OK;
    switch (op->kind) {
    case ZOO_SEQ_OPEN:
        status = zoo_cache_seq_open(cache, op->a, &got, err);
        break;
    case ZOO_SEQ_OPEN_AT:
        status = zoo_cache_seq_open_at(cache, op->a, op->b, op->c, &got, err);
        break;
    case ZOO_SEQ_CLOSE:
        zoo_cache_seq_close(cache, op->a);
        break;
    case ZOO_SEQ_RESTART:
        got = zoo_cache_seq_restart(cache, op->a, NULL) == ZOO_OK;
        break;
    case ZOO_SEQ_MARK:
        got = zoo_cache_seq_mark(cache, op->a);
        break;
    case ZOO_SEQ_REWIND:
        got = zoo_cache_seq_rewind(cache, op->a, op->b);
        break;
    case ZOO_SEQ_KEEP:
        status = zoo_cache_prefix_keep(cache, op->a, op->b, &got, err);
        break;
    case ZOO_SEQ_DROP:
        zoo_cache_prefix_drop(cache, op->a);
        break;
    default:
        return zoo_fail(err, ZOO_E_INTERNAL, "rank 0 sent an unknown operation on sequences");
    }
    ZOO_TRY(status);
    return got == op->result
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_INTERNAL, "its caches differ from those of rank 0");
}

/* The step's rows, checked, as they were on rank 0. */
static zoo_status fill_micro_batch(zoo_engine *engine, const zoo_wire_rows *rows,
                                   zoo_micro_batch *f, zoo_error *err)
{
    const zoo_limits *l = &engine->model.limits;
    const zoo_wire_head *h = &rows->head;
    uint32_t row = 0;
    if (h->n_seqs > l->seqs_max || h->n_rows > l->rows_max || h->n_hidden != h->n_rows ||
        h->n_wanted > h->n_rows || h->width != engine->model.plan.stream_width) {
        return zoo_fail(err, ZOO_E_INTERNAL, "a step is larger than its bounds");
    }
    for (uint32_t i = 0; i < h->n_seqs; i++) {
        const zoo_seq *s = &rows->seqs[i];
        if (s->row != row || s->n > h->n_rows - row) {
            return zoo_fail(err, ZOO_E_INTERNAL, "the rows of a step do not fit together");
        }
        ZOO_TRY(zoo_cache_seq_extend(engine->model.cache, s->slot, s->pos, s->n, err));
        f->seqs[i] = *s;
        for (uint32_t k = 0; k < s->n; k++, row++) {
            f->pos[row] = s->pos + k;
            f->seq_of[row] = i;
            f->tokens[row] = rows->tokens[row];
        }
    }
    for (uint32_t i = 0; i < h->n_wanted; i++) {
        f->wanted[i] = rows->wanted[i] < row ? rows->wanted[i] : 0;
    }
    f->n_wanted = h->n_wanted;
    f->span = (zoo_span){.size = sizeof f->span,
                         .n_rows = row,
                         .n_seqs = h->n_seqs,
                         .seqs = f->seqs,
                         .tokens = f->tokens,
                         .pos = f->pos,
                         .seq_of = f->seq_of};
    return row == h->n_rows ? ZOO_OK
                            : zoo_fail(err, ZOO_E_INTERNAL, "a step has rows of no sequence");
}

/* Sends an activation to the next rank; the last one's next is rank 0. */
static void send_trace(void *arg, const char *name, const float *x, uint32_t n_rows, uint32_t width)
{
    zoo_engine *engine = arg;
    zoo_pipeline *p = engine->pipeline;
    zoo_ring *ring = engine->model.ring;
    zoo_trace_head head = {.n_rows = n_rows, .width = width};
    (void)snprintf(head.name, sizeof head.name, "%s", name);
    p->wire.n = 0;
    zoo_wire_add(&p->wire, &head, sizeof head);
    zoo_wire_add(&p->wire, x, (size_t)n_rows * width * sizeof *x);
    if (p->status == ZOO_OK) {
        p->status = p->wire.failed ? zoo_fail(&p->error, ZOO_E_MEMORY, "no memory for a trace")
                                   : ring->send(ring, zoo_ring_next(ring), ZOO_RING_TRACE,
                                                p->wire.data, p->wire.n, &p->error);
    }
}

static zoo_status send_on(zoo_engine *engine, const zoo_micro_batch *f, const zoo_wire_rows *in,
                          zoo_error *err)
{
    zoo_pipeline *p = engine->pipeline;
    zoo_ring *ring = engine->model.ring;
    zoo_wire_rows out = *in;
    const uint32_t *from = NULL;
    out.head.n_memos = engine->step.n_memos;
    if (zoo_ring_next(ring) == 0) { /* back: rows alone */
        bool all = zoo_pipeline_wants_all(engine, in->head.traces);
        out.head.n_ops = out.head.n_seqs = out.head.n_rows = out.head.n_wanted = 0;
        out.head.n_memos = engine->model.plan.n_epilogue > 0 ? out.head.n_memos : 0;
        out.head.n_hidden = all ? f->span.n_rows : f->n_wanted;
        from = all ? NULL : f->wanted;
    }
    ZOO_TRY(zoo_wire_write(&p->wire, &out, &engine->step, from, err));
    return ring->send(ring, zoo_ring_next(ring), ZOO_RING_STEP, p->wire.data, p->wire.n, err);
}

static zoo_status run_step(zoo_engine *engine, const zoo_ring_message *m, zoo_error *err)
{
    zoo_pipeline *p = engine->pipeline;
    zoo_step *step = &engine->step;
    zoo_micro_batch *f = &engine->micro_batches[0];
    zoo_wire_rows rows;
    zoo_pipeline_works(p);
    ZOO_TRY(zoo_wire_read(m->data, m->n, &rows, err));
    for (uint32_t i = 0; i < rows.head.n_ops; i++) {
        ZOO_TRY(repeat(engine->model.cache, &rows.ops[i], err));
    }
    ZOO_TRY(fill_micro_batch(engine, &rows, f, err));
    step->trace = rows.head.traces ? send_trace : NULL;
    step->trace_arg = engine;
    zoo_step_clear(step);
    ZOO_TRY(zoo_wire_put(&rows, step, err));
    ZOO_TRY(zoo_step_layers(step, &f->span, err));
    p->n_steps++;
    if (p->status != ZOO_OK) {
        *err = p->error;
        return p->status;
    }
    ZOO_TRY(send_on(engine, f, &rows, err));
    p->ended = zoo_clock_seconds();
    return ZOO_OK;
}

static zoo_status hear(zoo_engine *engine, const zoo_ring_message *m, zoo_error *err)
{
    zoo_ring *ring = engine->model.ring;
    switch (m->kind) {
    case ZOO_RING_STEP:
        return run_step(engine, m, err);
    case ZOO_RING_TRACE:
        return ring->send(ring, zoo_ring_next(ring), m->kind, m->data, m->n, err);
    default:
        return zoo_fail(err, ZOO_E_INTERNAL, "rank %u sent an unexpected message", m->from);
    }
}

zoo_status zoo_engine_serve(zoo_engine *engine, zoo_error *err)
{
    zoo_ring *ring = engine->model.ring;
    zoo_status status = ZOO_OK;
    bool closed = false;
    while (status == ZOO_OK && !closed) {
        zoo_ring_message m;
        ZOO_TRY(zoo_pipeline_wait(engine, &m, err));
        closed = m.kind == ZOO_RING_CLOSE;
        status = closed ? ZOO_OK : hear(engine, &m, err);
        ring->release(ring, &m);
    }
    return status;
}
