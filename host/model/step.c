/*
 * step.c: runs the bound plan over the rows of a ragged span.
 *
 *   h = embed(tokens) * embed_scale; prologue; for each layer its branches, or its own block;
 *   epilogue; norm; head
 *
 *   branch: u = sum_i out_scale_i * block_i(in_scale_i * norm_i(h));  u = post(u);
 *           h = h_scale h + scale u;  h = after(h)
 *
 * Memory: the buffers of zoo_step and two scratch allocators: scratch (released after each part)
 * and kept (released after the step).
 */
#include "model/step.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "blocks/ops.h"
#include "checkpoint/embedding_table.h"

static zoo_step *step_of(zoo_ctx *ctx)
{
    return (zoo_step *)ctx;
}

static void *take(zoo_ctx *ctx, size_t n)
{
    void *bytes = zoo_scratch_take(&step_of(ctx)->scratch, n);
    if (!bytes) {
        abort(); /* a step cannot report an error: the system is out of memory */
    }
    return bytes;
}

static void parallel(zoo_ctx *ctx, uint32_t n_items, zoo_task *fn, void *arg)
{
    zoo_pool_run(step_of(ctx)->model->pool, n_items, fn, arg);
}

static void *memo(zoo_ctx *ctx, const void *key, size_t n, bool *fresh)
{
    zoo_step *step = step_of(ctx);
    for (uint32_t i = 0; i < step->n_memos; i++) {
        if (step->memos[i].key == key) {
            *fresh = false;
            return step->memos[i].bytes;
        }
    }
    void *bytes = zoo_scratch_take(&step->kept, n);
    if (!bytes || step->n_memos == ZOO_MEMOS_MAX) {
        abort(); /* as in take; ZOO_MEMOS_MAX is above the number of keys of any plan */
    }
    step->memos[step->n_memos++] = (zoo_memo){key, bytes, n};
    *fresh = true;
    return bytes;
}

static void emit_trace(zoo_step *step, const char *path, const char *name, const float *x,
                       uint32_t n_rows, uint32_t width)
{
    if (!step->trace) {
        return;
    }
    char full[512];
    (void)snprintf(full, sizeof full, "%s%s%s", path, *path && *name ? "." : "", name);
    step->trace(step->trace_arg, full, x, n_rows, width);
}

/* The residual as a trace shows it: rows are copied to h_next where only a part of them counts. */
static void emit_stream(zoo_step *step, const char *path, const char *name, uint32_t n_rows)
{
    const zoo_plan *plan = &step->model->plan;
    uint32_t shown = plan->stream_shown ? plan->stream_shown : plan->stream_width;
    const float *x = step->h;
    for (uint32_t row = 0; step->trace && shown < plan->stream_width && row < n_rows; row++) {
        memcpy(step->h_next + (size_t)row * shown, step->h + (size_t)row * plan->stream_width,
               shown * sizeof(float));
        x = step->h_next;
    }
    emit_trace(step, path, name, x, n_rows, shown);
}

/* A norm without a name is not a module of the reference, so it is not traced. */
static void trace(zoo_ctx *ctx, const char *name, const float *x, uint32_t n_rows, uint32_t width)
{
    zoo_step *step = step_of(ctx);
    if (name && *name) {
        emit_trace(step, step->layer ? step->layer->layer->path : "", name, x, n_rows, width);
    }
}

/* Offers x as "<before><names of the branch's parts with + between>". */
static void trace_branch(zoo_step *step, const char *before, const zoo_branch *branch,
                         const float *x, uint32_t n_rows)
{
    char name[256];
    size_t n = (size_t)snprintf(name, sizeof name, "%s", before);
    for (uint32_t i = 0; step->trace && i < branch->n_parts && n < sizeof name; i++) {
        n += (size_t)snprintf(name + n, sizeof name - n, "%s%s", i ? "+" : "",
                              branch->parts[i].name);
    }
    trace(&step->ctx, name, x, n_rows, step->model->plan.hidden_size);
}

static uint32_t part_width_in(const zoo_step *step, const zoo_part *part)
{
    return part->width_in ? part->width_in : step->model->plan.hidden_size;
}

static uint32_t part_width_out(const zoo_step *step, const zoo_part *part)
{
    return part->width_out ? part->width_out : step->model->plan.hidden_size;
}

static void run_norm(zoo_step *step, const zoo_bound_norm *bound, const float *x, float *y,
                     uint32_t n_rows, uint32_t width)
{
    const zoo_norm *norm = bound->norm;
    const zoo_norm_args args = {.x = x,
                                .y = y,
                                .weight = bound->weight,
                                .bias = bound->bias,
                                .x_stride = width,
                                .y_stride = width,
                                .n_rows = n_rows,
                                .width = width,
                                .eps = norm->eps};
    zoo_norm_rows(&step->ctx, norm->kind, args);
}

static bool has_norm(const zoo_bound_norm *bound)
{
    return bound->norm && bound->norm->kind != ZOO_NORM_NONE;
}

/* The input of a part: x, or its norm (shared with the part before where they name the
 * same one), scaled. */
static const float *part_input(zoo_step *step, const zoo_bound *bound, const float *x,
                               const zoo_span *span)
{
    const zoo_part *part = bound->part;
    uint32_t width = part_width_in(step, part);
    size_t n = (size_t)span->n_rows * width;
    const float *in = x;
    if (has_norm(&bound->norm)) {
        const char *name = part->norm.name;
        if (!name || !step->normed_name || step->normed_of != x ||
            strcmp(name, step->normed_name) != 0) {
            run_norm(step, &bound->norm, x, step->normed, span->n_rows, width);
            trace(&step->ctx, name, step->normed, span->n_rows, width);
            step->normed_name = name;
            step->normed_of = x;
        }
        in = step->normed;
    }
    if (part->in_scale != 1.0f) {
        step->ctx.kernels->scale(part->in_scale, in, step->scaled, n);
        in = step->scaled;
    }
    return in;
}

static void run_part(zoo_step *step, const zoo_bound *bound, const float *x, float *y,
                     const zoo_span *span)
{
    const zoo_part *part = bound->part;
    zoo_scratch_mark mark = zoo_scratch_get_mark(&step->scratch);
    const float *in = part_input(step, bound, x, span);
    if (!bound->ops) {
        memcpy(y, in, (size_t)span->n_rows * part_width_in(step, part) * sizeof(float));
        return;
    }
    bound->ops->forward(&step->ctx, bound->params, bound->weights, bound->cache, in, y, span);
    zoo_scratch_return(&step->scratch, mark);
    uint32_t width = part_width_out(step, part);
    trace(&step->ctx, part->name, y, span->n_rows, width);
    if (part->out_scale != 1.0f) {
        step->ctx.kernels->scale(part->out_scale, y, y, (size_t)span->n_rows * width);
    }
}

static void part_of_layer(zoo_ctx *ctx, uint32_t index, const float *x, float *y,
                          const zoo_span *span)
{
    zoo_step *step = step_of(ctx);
    assert(index < step->layer->layer->n_parts);
    step->normed_name = NULL;
    run_part(step, &step->layer->parts[index], x, y, span);
}

typedef struct join_job {
    const zoo_kernels *kernels;
    const zoo_branch *branch;
    const float *base, *sum;
    float *h;
    size_t width;
} join_job;

/* h = h_scale * base + scale * sum */
static void join_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const join_job *job = arg;
    const zoo_branch *branch = job->branch;
    const zoo_kernels *k = job->kernels;
    size_t at = begin * job->width, n = (end - begin) * job->width;
    (void)worker;
    if (branch->h_scale != 1.0f || branch->residual_from_norm) {
        k->scale(branch->h_scale, job->base + at, job->h + at, n);
    }
    if (branch->scale == 1.0f) {
        k->add(job->h + at, job->sum + at, job->h + at, n);
    } else {
        k->axpy(branch->scale, job->sum + at, job->h + at, n);
    }
}

static void run_branch(zoo_step *step, const zoo_bound_branch *bound, const zoo_span *span)
{
    const zoo_branch *branch = bound->branch;
    uint32_t width = step->model->plan.hidden_size;
    step->normed_name = NULL;
    for (uint32_t i = 0; i < branch->n_parts; i++) {
        float *y = i ? step->out : step->sum;
        run_part(step, &bound->parts[i], step->h, y, span);
        if (i) {
            zoo_add_rows(&step->ctx, y, step->sum, span->n_rows, width);
        }
    }
    if (branch->n_parts > 1) {
        trace_branch(step, "", branch, step->sum, span->n_rows);
    }
    if (has_norm(&bound->post)) {
        run_norm(step, &bound->post, step->sum, step->sum, span->n_rows, width);
        trace(&step->ctx, bound->post.norm->name, step->sum, span->n_rows, width);
    }
    join_job job = {step->ctx.kernels, branch,  branch->residual_from_norm ? step->normed : step->h,
                    step->sum,         step->h, width};
    zoo_rows(&step->ctx, span->n_rows, width, join_range, &job);
    trace_branch(step, "residual+", branch, step->h, span->n_rows);
    if (has_norm(&bound->after)) {
        run_norm(step, &bound->after, step->h, step->h, span->n_rows, width);
        trace(&step->ctx, bound->after.norm->name, step->h, span->n_rows, width);
    }
}

static void run_layer(zoo_step *step, const zoo_bound_layer *bound, const zoo_span *span)
{
    const zoo_layer *layer = bound->layer;
    step->layer = bound;
    if (layer->ops) {
        zoo_scratch_mark mark = zoo_scratch_get_mark(&step->scratch);
        layer->ops->forward(&step->ctx, layer->params, bound->own.weights, bound->own.cache,
                            step->h, step->h_next, span);
        zoo_scratch_return(&step->scratch, mark);
        float *swap = step->h;
        step->h = step->h_next;
        step->h_next = swap;
    } else {
        for (uint32_t i = 0; i < layer->n_branches; i++) {
            run_branch(step, &bound->branches[i], span);
        }
    }
    emit_stream(step, layer->path, "", span->n_rows);
    step->layer = NULL;
}

/* Runs a chain of parts over h; each maps its width_in to its width_out. */
static void run_chain(zoo_step *step, const zoo_bound *parts, uint32_t n_parts,
                      const zoo_span *span)
{
    for (uint32_t i = 0; i < n_parts; i++) {
        step->normed_name = NULL;
        run_part(step, &parts[i], step->h, step->h_next, span);
        float *swap = step->h;
        step->h = step->h_next;
        step->h_next = swap;
    }
}

typedef struct embed_job {
    zoo_step *step;
    const zoo_span *span;
    uint32_t width; /* of the embedding; a given row follows */
} embed_job;

static void embed_row(void *arg, uint32_t row, uint32_t worker)
{
    const embed_job *job = arg;
    const zoo_step *step = job->step;
    size_t n_given = step->model->plan.given_width;
    float *out = step->h + row * (job->width + n_given);
    (void)worker;
    step->model->embed.read(&step->model->embed, (uint32_t)job->span->tokens[row], out);
    if (n_given && step->given) {
        memcpy(out + job->width, step->given + row * n_given, n_given * sizeof *out);
    } else if (n_given) {
        memset(out + job->width, 0, n_given * sizeof *out);
    }
}

static void embed(zoo_step *step, const zoo_span *span)
{
    const zoo_plan *plan = &step->model->plan;
    uint32_t width = plan->embed_width ? plan->embed_width : plan->hidden_size;
    uint32_t stride = width + plan->given_width;
    embed_job job = {step, span, width};
    parallel(&step->ctx, span->n_rows, embed_row, &job);
    if (!plan->embed_scale_inside) {
        emit_trace(step, "", "embed", step->h, span->n_rows, stride);
    }
    if (plan->embed_scale != 1.0f && stride == width) {
        step->ctx.kernels->scale(plan->embed_scale, step->h, step->h, (size_t)span->n_rows * width);
    }
    for (uint32_t i = 0; plan->embed_scale != 1.0f && stride > width && i < span->n_rows; i++) {
        float *row = step->h + (size_t)i * stride;
        step->ctx.kernels->scale(plan->embed_scale, row, row, width);
    }
    if (plan->embed_scale_inside == 1) {
        emit_trace(step, "", "embed", step->h, span->n_rows, stride);
    }
}

static zoo_status check_tables(const zoo_model *model, zoo_error *err)
{
    for (const zoo_table_source *t = model->tables; t; t = t->next) {
        ZOO_TRY(zoo_table_check(t, err));
    }
    return ZOO_OK;
}

static zoo_status fit_logits(zoo_step *step, uint32_t n_rows, zoo_error *err)
{
    size_t need = (size_t)n_rows * step->model->head.rows;
    if (need > step->logits_size) {
        float *logits = zoo_mem_realloc(step->logits, need * sizeof *logits);
        if (!logits) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for logits of %u rows", n_rows);
        }
        step->logits = logits;
        step->logits_size = need;
    }
    return ZOO_OK;
}

/* Last norm and head over the wanted rows of h, which is `width` wide. */
static void head(zoo_step *step, const uint32_t *rows, uint32_t n_rows)
{
    zoo_model *model = step->model;
    const zoo_plan *plan = &model->plan;
    uint32_t width = model->head.cols;
    size_t n = (size_t)n_rows * model->head.rows;
    for (uint32_t i = 0; i < n_rows; i++) {
        memcpy(step->last + (size_t)i * width, step->h + (size_t)rows[i] * width,
               width * sizeof(float));
    }
    if (has_norm(&model->norm)) {
        run_norm(step, &model->norm, step->last, step->last, n_rows, width);
        emit_trace(step, "", "norm", step->last, n_rows, width);
    }
    zoo_scratch_mark mark = zoo_scratch_get_mark(&step->scratch);
    const zoo_proj proj = {&model->head, model->head_bias, step->logits, model->head.rows};
    zoo_linear(&step->ctx, &proj, 1, step->last, width, n_rows);
    zoo_scratch_return(&step->scratch, mark);
    if (plan->head_scale != 1.0f) {
        step->ctx.kernels->scale(plan->head_scale, step->logits, step->logits, n);
    }
    if (plan->softcap > 0.0f) {
        step->ctx.kernels->softcap(plan->softcap, step->logits, step->logits, n);
    }
    emit_trace(step, "", "logits", step->logits, n_rows, model->head.rows);
}

void zoo_step_rows(zoo_step *step, uint32_t first, uint32_t n, bool normed, float *out)
{
    const zoo_model *model = step->model;
    uint32_t width = model->plan.hidden_size;
    const float *rows = step->h + (size_t)first * width;
    if (normed && has_norm(&model->norm)) {
        run_norm(step, &model->norm, rows, out, n, width);
    } else {
        memcpy(out, rows, (size_t)n * width * sizeof *out);
    }
}

zoo_status zoo_step_run(zoo_step *step, const zoo_span *span, const uint32_t *rows, uint32_t n_rows,
                        zoo_error *err)
{
    ZOO_TRY(zoo_step_enter(step, span, err));
    ZOO_TRY(zoo_step_layers(step, span, err));
    return zoo_step_leave(step, span, rows, n_rows, err);
}

void zoo_step_clear(zoo_step *step)
{
    step->n_memos = 0;
    zoo_scratch_clear(&step->scratch);
    zoo_scratch_clear(&step->kept);
    step->ctx.trace = step->trace ? trace : NULL;
}

void *zoo_step_put(zoo_step *step, const void *key, size_t n)
{
    bool fresh;
    return memo(&step->ctx, key, n, &fresh);
}

zoo_status zoo_step_enter(zoo_step *step, const zoo_span *span, zoo_error *err)
{
    const zoo_model *model = step->model;
    zoo_step_clear(step);
    embed(step, span);
    ZOO_TRY(check_tables(model, err)); /* before the layers compute with zeros */
    run_chain(step, model->prologue, model->plan.n_prologue, span);
    if (model->plan.embed_scale_inside == 2) {
        emit_stream(step, "", "embed", span->n_rows);
    }
    return ZOO_OK;
}

zoo_status zoo_step_layers(zoo_step *step, const zoo_span *span, zoo_error *err)
{
    const zoo_model *model = step->model;
    for (uint32_t i = model->layer_begin; i < model->layer_end; i++) {
        run_layer(step, &model->layers[i], span);
        if (model->ring) {
            model->ring->progress(model->ring);
        }
    }
    return check_tables(model, err); /* blocks read tables too */
}

zoo_status zoo_step_leave(zoo_step *step, const zoo_span *span, const uint32_t *rows,
                          uint32_t n_rows, zoo_error *err)
{
    const zoo_model *model = step->model;
    ZOO_TRY(fit_logits(step, n_rows, err));
    if (n_rows || step->trace) {
        run_chain(step, model->epilogue, model->plan.n_epilogue, span);
        head(step, rows, n_rows);
    }
    return check_tables(model, err);
}

static uint32_t widest(const zoo_model *model)
{
    const zoo_plan *plan = &model->plan;
    uint32_t width =
        plan->stream_width > plan->hidden_size ? plan->stream_width : plan->hidden_size;
    width = plan->embed_width > width ? plan->embed_width : width;
    for (uint32_t i = 0; i < model->n_bounds; i++) {
        const zoo_part *part = model->bounds[i]->part;
        if (part) {
            width = part->width_in > width ? part->width_in : width;
            width = part->width_out > width ? part->width_out : width;
        }
    }
    return width;
}

static size_t scratch_bytes(const zoo_model *model)
{
    size_t most = 1 << 16;
    for (uint32_t i = 0; i < model->n_bounds; i++) {
        const zoo_bound *bound = model->bounds[i];
        size_t n = bound->ops && bound->ops->scratch
                       ? bound->ops->scratch(bound->params, &model->limits)
                       : 0;
        most = n > most ? n : most;
    }
    return most;
}

size_t zoo_step_size(const zoo_model *model)
{
    size_t rows = (size_t)model->limits.rows_max + 1;
    return rows * widest(model) * sizeof(float) * 7 + scratch_bytes(model) + rows * 1024 + 65536;
}

zoo_status zoo_step_init(zoo_step *step, zoo_model *model, zoo_error *err)
{
    memset(step, 0, sizeof *step);
    step->model = model;
    step->ctx = (zoo_ctx){.size = sizeof(zoo_ctx),
                          .n_threads = model->limits.n_threads,
                          .kernels = model->kernels,
                          .host = step,
                          .take = take,
                          .parallel = parallel,
                          .memo = memo,
                          .part = part_of_layer};
    step->width_max = widest(model);
    float **const buffers[] = {&step->h,   &step->h_next, &step->normed, &step->scaled,
                               &step->sum, &step->out,    &step->last};
    for (size_t i = 0; i < ZOO_COUNT(buffers); i++) {
        *buffers[i] = zoo_mem_array((size_t)model->limits.rows_max + 1,
                                    (size_t)step->width_max * sizeof(float));
        if (!*buffers[i]) {
            zoo_step_release(step);
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for a step of %u rows",
                            model->limits.rows_max);
        }
    }
    zoo_status status = zoo_scratch_init(&step->scratch, scratch_bytes(model), err);
    if (status == ZOO_OK) {
        status = zoo_scratch_init(&step->kept, (size_t)model->limits.rows_max * 1024 + 65536, err);
    }
    return status;
}

void zoo_step_release(zoo_step *step)
{
    float *const buffers[] = {step->h,   step->h_next, step->normed, step->scaled,
                              step->sum, step->out,    step->last,   step->logits};
    for (size_t i = 0; i < ZOO_COUNT(buffers); i++) {
        zoo_mem_free(buffers[i]);
    }
    zoo_scratch_release(&step->scratch);
    zoo_scratch_release(&step->kept);
    memset(step, 0, sizeof *step);
}
