/* quantise.c: rounds of matrices, their moments and parts, and the choice of bits (quantise.h). */
#define _GNU_SOURCE
#include "quantise/quantise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "engine/engine_private.h"
#include "kernels/select.h"
#include "quantise/feedback.h"
#include "quantise/folder.h"
#include "quantise/job.h"
#include "quantise/moments.h"

static const double damping_min = 0.01;
enum { HEAD_ROWS = 64 }; /* rows of a step that computes logits */

typedef struct run {
    zoo_engine *engine;
    zoo_model *model;
    const zoo_quantise_options *options;
    zoo_quantise_report *report;
    zoo_blas blas;
    zoo_jobs jobs;
    zoo_moments *moments; /* of jobs begin .. end - 1 */
    uint32_t begin, end;
    /* Of the current H, that of job `of`. */
    uint32_t of;
    float *h, *factor, *weight;
    uint32_t *order;
    double damping;
    uint32_t n_done;
} run;

/* Whether products with bf16 weights take float32 rows, as those with f32 weights do. */
static bool plain_rows(const zoo_kernels *k)
{
    return k && k->gemm[ZOO_BF16].prepare == k->gemm[ZOO_F32].prepare;
}

const char *zoo_quantise_isa(void)
{
    const char *best = "scalar";
    for (uint32_t i = 0; zoo_kernels_isa(i); i++) {
        const char *isa = zoo_kernels_isa(i);
        if (strcmp(isa, "openblas") != 0 && plain_rows(zoo_kernels_select(isa, NULL))) {
            best = isa;
        }
    }
    return best;
}

/* ---- bits ---- */

/* Bits per weight in memory, with scales and steps. */
static double bits_of(uint32_t kind)
{
    return kind == 0 ? 4 + 32.0 / 64 : kind == 1 ? 5 + 16.0 / 32 : 8 + 16.0 / 64;
}

static double values_of(const zoo_job *job)
{
    return (double)job->rows * (double)job->cols;
}

/* The kind of more than four bits that a matrix may have. */
static uint32_t wide_kind(const zoo_job *job)
{
    return job->is_wide ? 2 : 1;
}

/* Whether a part of this kind is needed: one of more bits only if the budget may allow it. */
static bool is_wanted(const run *r, const zoo_job *job, uint32_t kind)
{
    return kind == 0 || (kind == wide_kind(job) && r->options->bits > bits_of(0));
}

/* Reduction of the error by the wider kind, per bit. */
static double gain_of(const zoo_job *job)
{
    uint32_t kind = wide_kind(job);
    return (job->error[0] - job->error[kind]) / (values_of(job) * (bits_of(kind) - bits_of(0)));
}

static const zoo_jobs *sorting_jobs;

/* The output matrix, then wide ones, then the others. */
static int rank_of(const zoo_job *job)
{
    return job->is_head ? 0 : job->is_wide ? 1 : 2;
}

static int by_gain(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    double x = gain_of(&sorting_jobs->list[i]), y = gain_of(&sorting_jobs->list[j]);
    int first = rank_of(&sorting_jobs->list[i]) - rank_of(&sorting_jobs->list[j]);
    return first ? first : x == y ? (i > j) - (i < j) : x < y ? 1 : -1;
}

static zoo_status choose_bits(run *r, zoo_error *err)
{
    zoo_jobs *jobs = &r->jobs;
    uint32_t *order = zoo_mem_array(jobs->n, sizeof *order);
    double values = 0, bits = 0;
    if (!order) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for an order of %u matrices", jobs->n);
    }
    for (uint32_t i = 0; i < jobs->n; i++) {
        order[i] = i;
        values += values_of(&jobs->list[i]);
        bits += bits_of(0) * values_of(&jobs->list[i]);
    }
    sorting_jobs = jobs;
    qsort(order, jobs->n, sizeof *order, by_gain);
    for (uint32_t i = 0; i < jobs->n; i++) {
        zoo_job *job = &jobs->list[order[i]];
        uint32_t kind = wide_kind(job);
        double more = (bits_of(kind) - bits_of(0)) * values_of(job);
        if (is_wanted(r, job, kind) && bits + more <= r->options->bits * values &&
            gain_of(job) > 0) {
            bits += more;
            job->kind = kind;
            r->report->n_wide += kind == 1;
            r->report->n_eight += kind == 2;
        }
    }
    r->report->bits = bits / values;
    r->report->n_matrices = jobs->n;
    zoo_mem_free(order);
    return ZOO_OK;
}

/* ---- the text ---- */

static void show_progress(const run *r, const char *what, uint64_t done, uint64_t of)
{
    if (r->options->shows_progress) {
        (void)fprintf(stderr, "\r\033[K%s: %llu of %llu", what, (unsigned long long)done,
                      (unsigned long long)of);
    }
}

static void on_threads(void *arg, uint32_t n, void (*fn)(void *, uint32_t, uint32_t), void *fn_arg)
{
    zoo_engine_parallel(arg, n, fn, fn_arg);
}

/* Runs one window in steps of at most rows_max tokens. */
static zoo_status read_window(run *r, const int32_t *tokens, uint32_t n, bool head, zoo_error *err)
{
    uint32_t seq, rows = zoo_engine_limits(r->engine)->rows_max;
    rows = head && rows > HEAD_ROWS ? HEAD_ROWS : rows;
    ZOO_TRY(zoo_engine_seq_open(r->engine, n, n, &seq, err));
    zoo_status status = ZOO_OK;
    for (uint32_t i = 0; i < n && status == ZOO_OK; i += rows) {
        zoo_item item = {.seq = seq,
                         .n = n - i < rows ? n - i : rows,
                         .tokens = tokens + i,
                         .want = head ? ZOO_WANT_ALL : ZOO_WANT_NONE};
        status = zoo_engine_step(r->engine, &item, 1, err);
        if (status == ZOO_OK) {
            status = zoo_moments_add(r->moments, on_threads, r->engine, err);
        }
    }
    zoo_engine_seq_close(r->engine, seq);
    return status;
}

static zoo_status read_texts(run *r, zoo_error *err)
{
    const zoo_score_texts *texts = r->options->texts;
    uint32_t context = zoo_engine_limits(r->engine)->context_max;
    uint64_t done = 0, all = texts->n_scored + texts->n;
    bool head = false;
    for (uint32_t i = r->begin; i < r->end; i++) {
        head = head || r->jobs.list[i].is_head;
    }
    for (uint32_t t = 0; t < texts->n; t++) {
        const zoo_score_text *text = &texts->list[t];
        for (uint32_t at = 0, n; at < text->n; at += n) {
            n = text->n - at < context ? text->n - at : context;
            show_progress(r, "activations of tokens", done, all);
            ZOO_TRY(read_window(r, text->tokens + at, n, head, err));
            done += n;
        }
    }
    r->report->n_tokens = done;
    return ZOO_OK;
}

/* ---- one matrix ---- */

static const float *diagonal_at;
static uint32_t diagonal_n;

static int by_diagonal(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    float x = diagonal_at[(size_t)i * diagonal_n + i], y = diagonal_at[(size_t)j * diagonal_n + j];
    return x == y ? (i > j) - (i < j) : x < y ? 1 : -1;
}

/* r->h = H / n_rows with columns in descending order of mean square; sets order and weight. */
static void permute(run *r, const float *h, uint32_t n, uint64_t n_rows)
{
    diagonal_at = h;
    diagonal_n = n;
    for (uint32_t i = 0; i < n; i++) {
        r->order[i] = i;
        r->weight[i] = h[(size_t)i * n + i] / (float)n_rows + 1e-20f;
    }
    qsort(r->order, n, sizeof *r->order, by_diagonal);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i; j < n; j++) {
            uint32_t a = r->order[i], b = r->order[j];
            float x = a < b ? h[(size_t)a * n + b] : h[(size_t)b * n + a];
            r->h[(size_t)i * n + j] = x / (float)n_rows;
        }
    }
}

static void free_factor(run *r)
{
    zoo_mem_free(r->h);
    zoo_mem_free(r->factor);
    zoo_mem_free(r->weight);
    zoo_mem_free(r->order);
    r->h = r->factor = r->weight = NULL;
    r->order = NULL;
    r->of = UINT32_MAX;
}

static zoo_status make_factor(run *r, const float *h, uint32_t n, uint64_t n_rows, zoo_error *err)
{
    free_factor(r);
    r->h = zoo_mem_array((size_t)n * n, sizeof *r->h);
    r->factor = zoo_mem_array((size_t)n * n, sizeof *r->factor);
    r->weight = zoo_mem_array(n, sizeof *r->weight);
    r->order = zoo_mem_array(n, sizeof *r->order);
    if (!r->h || !r->factor || !r->weight || !r->order) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the factor of %u inputs", n);
    }
    permute(r, h, n, n_rows);
    r->damping = damping_min;
    if (zoo_blas_inverse_factor(&r->blas, r->h, n, &r->damping, r->factor) != ZOO_OK) {
        zoo_mem_free(r->factor);
        r->factor = NULL; /* no feedback; the weights of squares still apply */
    }
    return ZOO_OK;
}

typedef struct work {
    const zoo_feedback *feedback;
    float *room;
    size_t room_size;
    zoo_status status;
} work;

static void work_item(void *arg, uint32_t item, uint32_t worker)
{
    work *w = arg;
    zoo_status status = zoo_feedback_item(w->feedback, item, w->room + worker * w->room_size);
    if (status != ZOO_OK) {
        w->status = status;
    }
}

/* Quantises job i to one kind on all threads; sets its error. */
static zoo_status run_feedback(run *r, uint32_t i, uint32_t kind, zoo_feedback *f, zoo_error *err)
{
    zoo_job *job = &r->jobs.list[i];
    uint32_t items = (job->rows + ZOO_FEEDBACK_ROWS - 1) / ZOO_FEEDBACK_ROWS;
    uint32_t threads = zoo_engine_limits(r->engine)->n_threads;
    work w = {.feedback = f, .room_size = zoo_feedback_scratch(job->cols)};
    w.room = zoo_mem_array(threads * w.room_size, sizeof *w.room);
    f->errors = zoo_mem_array((size_t)items * 2, sizeof *f->errors);
    if (!w.room || !f->errors) {
        zoo_mem_free(w.room);
        zoo_mem_free(f->errors);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", job->name);
    }
    zoo_engine_parallel(r->engine, items, work_item, &w);
    double error = 0, size = 0;
    for (uint32_t t = 0; t < items; t++) {
        error += f->errors[2 * t];
        size += f->errors[2 * t + 1];
    }
    job->error[kind] = size > 0 ? error / size : 0;
    zoo_mem_free(w.room);
    zoo_mem_free(f->errors);
    zoo_tensor_release(job->tensor);
    return w.status == ZOO_OK ? ZOO_OK
                              : zoo_fail(err, w.status, "%s: tensor %s cannot be read",
                                         job->tensor->file, job->tensor->name);
}

static zoo_status make_part(run *r, uint32_t i, uint32_t kind, zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[i];
    uint32_t group = zoo_feedback_group(zoo_job_bits(kind));
    size_t groups = (job->cols + group - 1) / group;
    zoo_feedback f = {.blas = &r->blas,
                      .tensor = job->tensor,
                      .rows = job->rows,
                      .cols = job->cols,
                      .bits = zoo_job_bits(kind),
                      .h = r->factor ? r->h : NULL,
                      .factor = r->factor,
                      .order = r->factor ? r->order : NULL,
                      .weight = r->weight,
                      .codes = zoo_mem_array(job->rows, job->cols),
                      .scales = zoo_mem_array(job->rows * groups, sizeof *f.scales)};
    zoo_status status = f.codes && f.scales
                            ? run_feedback(r, i, kind, &f, err)
                            : zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", job->name);
    if (status == ZOO_OK) {
        status = zoo_part_write(&r->jobs, i, kind, f.codes, f.scales, err);
    }
    zoo_mem_free(f.codes);
    zoo_mem_free(f.scales);
    return status;
}

/* Makes the factor of job i's moments the current one. */
static zoo_status use_moments(run *r, uint32_t i, zoo_error *err)
{
    uint32_t of = 0;
    uint64_t n_rows = 0;
    const float *h = r->moments ? zoo_moments_of(r->moments, i - r->begin, &of, &n_rows) : NULL;
    r->jobs.list[i].n_rows = n_rows;
    if (!h || n_rows == 0) {
        free_factor(r);
        r->report->n_unseen += r->moments != NULL;
        return ZOO_OK;
    }
    if (r->of != r->begin + of || !r->weight) {
        ZOO_TRY(make_factor(r, h, r->jobs.list[i].cols, n_rows, err));
        r->of = r->begin + of;
    }
    r->report->n_damped += r->damping > 1.5 * damping_min;
    return ZOO_OK;
}

static bool is_done(const run *r, uint32_t i)
{
    const zoo_job *job = &r->jobs.list[i];
    bool done = true;
    for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
        done = done && (job->done[k] || !is_wanted(r, job, k));
    }
    return done;
}

static zoo_status make_parts(run *r, zoo_error *err)
{
    for (uint32_t i = r->begin; i < r->end; i++) {
        show_progress(r, "matrices", r->n_done, r->jobs.n);
        r->n_done++;
        if (is_done(r, i)) {
            r->report->n_resumed++;
            continue;
        }
        ZOO_TRY(use_moments(r, i, err));
        for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
            if (is_wanted(r, &r->jobs.list[i], k)) {
                ZOO_TRY(make_part(r, i, k, err));
            }
        }
    }
    return ZOO_OK;
}

/* ---- rounds ---- */

/*
 * Sets r->end so that the moments of the round fit in memory; returns whether any matrix is not
 * done. The end of a round must not depend on what is done: with the output matrix in a round the
 * text is cut into other steps, which changes the order of sums.
 */
static bool plan_round(run *r)
{
    size_t room = r->model->stats.bytes_packed, used = 0;
    bool any = false;
    r->end = r->begin;
    while (r->end < r->jobs.n) {
        size_t n = r->jobs.list[r->end].cols, size = n * n * sizeof(float);
        if (r->end > r->begin && used + size > room) {
            break;
        }
        used += size;
        any = any || !is_done(r, r->end);
        r->end++;
    }
    return any;
}

static zoo_status collect(run *r, zoo_error *err)
{
    uint32_t n = r->end - r->begin;
    const zoo_weight **weights = zoo_mem_array(n, sizeof *weights);
    if (!weights) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for statistics of %u matrices", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        weights[i] = is_done(r, r->begin + i) ? NULL : r->jobs.list[r->begin + i].weight;
    }
    zoo_status status = zoo_moments_begin(weights, n, &r->blas, &r->moments, err);
    status = status == ZOO_OK ? read_texts(r, err) : status;
    zoo_mem_free((void *)weights);
    return status;
}

static zoo_status run_rounds(run *r, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    for (r->begin = 0; r->begin < r->jobs.n && status == ZOO_OK; r->begin = r->end) {
        bool any = plan_round(r);
        if (any && r->options->texts) {
            status = collect(r, err);
        }
        status = status == ZOO_OK ? make_parts(r, err) : status;
        zoo_moments_end(r->moments);
        r->moments = NULL;
        free_factor(r);
    }
    if (r->options->shows_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    return status;
}

/* ---- the run ---- */

/* The key of parts: a hash of everything that they depend on. */
static void make_key(run *r)
{
    XXH3_state_t *state = XXH3_createState();
    const zoo_quantise_options *o = r->options;
    const zoo_limits *limits = zoo_engine_limits(r->engine);
    const char *isa = r->model->kernels->isa;
    (void)XXH3_128bits_reset(state);
    for (size_t i = 0; i < zoo_tensors_n_files(r->model->tensors); i++) {
        zoo_file_stamp stamp = zoo_tensors_stamp(r->model->tensors, i);
        (void)XXH3_128bits_update(state, &stamp, sizeof stamp);
    }
    for (uint32_t t = 0; o->texts && t < o->texts->n; t++) {
        const zoo_score_text *text = &o->texts->list[t];
        (void)XXH3_128bits_update(state, &text->n, sizeof text->n);
        (void)XXH3_128bits_update(state, text->tokens, text->n * sizeof *text->tokens);
    }
    (void)XXH3_128bits_update(state, &limits->context_max, sizeof limits->context_max);
    (void)XXH3_128bits_update(state, &limits->rows_max, sizeof limits->rows_max);
    (void)XXH3_128bits_update(state, isa, strlen(isa));
    (void)XXH3_128bits_update(state, LMZOO_VERSION, strlen(LMZOO_VERSION));
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    r->jobs.key[0] = hash.low64;
    r->jobs.key[1] = hash.high64;
    (void)XXH3_freeState(state);
}

static zoo_status open_folder(run *r, zoo_error *err)
{
    const char *folder = r->options->folder;
    char path[4200];
    struct stat st;
    if (strlen(folder) >= sizeof r->jobs.folder) {
        return zoo_fail(err, ZOO_E_USAGE, "%.64s...: the path is too long", folder);
    }
    (void)snprintf(r->jobs.folder, sizeof r->jobs.folder, "%s", folder);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    if (stat(path, &st) == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: holds a checkpoint already; name another folder",
                        folder);
    }
    (void)snprintf(path, sizeof path, "%s/.parts", folder);
    if ((mkdir(folder, 0777) != 0 && errno != EEXIST) ||
        (mkdir(path, 0777) != 0 && errno != EEXIST)) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    return ZOO_OK;
}

static zoo_status check_usage(const run *r, zoo_error *err)
{
    const cJSON *stored = zoo_model_config_quantization(r->model->config);
    if (stored && !cJSON_IsNull(stored)) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: is quantised already; give the original model",
                        r->model->folder);
    }
    if (!(r->options->bits >= bits_of(0))) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--bits %.3g: int4 takes %.4g bits a weight with its scales and steps",
                        r->options->bits, bits_of(0));
    }
    return ZOO_OK;
}

static zoo_status run_all(run *r, zoo_error *err)
{
    const zoo_quantise_options *o = r->options;
    ZOO_TRY(check_usage(r, err));
    ZOO_TRY(zoo_blas_open(&r->blas, err));
    ZOO_TRY(zoo_jobs_list(r->model, &r->jobs, err));
    ZOO_TRY(open_folder(r, err));
    make_key(r);
    zoo_jobs_resume(&r->jobs);
    r->model->kernels = r->engine->step.ctx.kernels = zoo_moments_wrap(r->model->kernels);
    ZOO_TRY(run_rounds(r, err));
    ZOO_TRY(choose_bits(r, err));
    zoo_folder_note note = {.text = o->texts ? o->text_name : NULL,
                            .text_hash = o->text_hash,
                            .n_tokens = o->texts ? o->texts->n_scored + o->texts->n - o->n_own : 0,
                            .n_own = o->n_own,
                            .bits = r->report->bits};
    ZOO_TRY(zoo_folder_write(r->model, &r->jobs, &note, err));
    zoo_parts_remove(&r->jobs);
    return ZOO_OK;
}

zoo_status zoo_quantise_run(zoo_engine *engine, const zoo_quantise_options *options,
                            zoo_quantise_report *report, zoo_error *err)
{
    run r = {.engine = engine,
             .model = &engine->model,
             .options = options,
             .report = report,
             .of = UINT32_MAX};
    *report = (zoo_quantise_report){0};
    zoo_status status = run_all(&r, err);
    zoo_moments_end(r.moments);
    free_factor(&r);
    zoo_jobs_free(&r.jobs);
    return status;
}
