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
#include "quantise/bits.h"
#include "quantise/costs.h"
#include "quantise/factor.h"
#include "quantise/feedback.h"
#include "quantise/folder.h"
#include "quantise/job.h"
#include "quantise/moments.h"

static const double eight_from = 0.5; /* spare bits from which every tensor has a part of 8 */
enum { HEAD_ROWS = 64 };              /* rows of a step that computes logits */

typedef struct run {
    zoo_engine *engine;
    zoo_model *model;
    const zoo_quantise_options *options;
    zoo_quantise_report *report;
    zoo_blas blas;
    zoo_jobs jobs;
    zoo_moments *moments; /* of the matrices of jobs begin .. end - 1, stacks one by one */
    uint32_t begin, end;
    zoo_factor factor; /* of the moments `of`; UINT32_MAX: of none */
    uint32_t of;
    uint32_t n_done;
} run;

/* The best instruction set of this CPU but for OpenBLAS, whose products may depend on other rows.
 * plain: whose products with bf16 weights take float32 rows, as those with f32 weights do. */
static const char *best_isa(bool plain)
{
    const char *best = "scalar";
    for (uint32_t i = 0; zoo_kernels_isa(i); i++) {
        const char *isa = zoo_kernels_isa(i);
        const zoo_kernels *k = strcmp(isa, "openblas") != 0 ? zoo_kernels_select(isa, NULL) : NULL;
        best = k && (!plain || k->gemm[ZOO_BF16].prepare == k->gemm[ZOO_F32].prepare) ? isa : best;
    }
    return best;
}

const char *zoo_quantise_isa(void)
{
    return best_isa(true);
}

static const zoo_kernels *costs_kernels(const run *r)
{
    return r->options->any_isa ? zoo_kernels_select(best_isa(false), NULL) : r->model->kernels;
}

/* Whether a part of this kind is needed: one of more bits only if the budget may allow it, and of 8
 * where the budget leaves no other use for bits, or the block asks for them. */
static bool is_wanted(const run *r, const zoo_job *job, uint32_t kind)
{
    double spare = r->options->bits - zoo_bits_of(0);
    return kind == 0 || (spare > 0 && (kind == 1 || job->is_wide || spare > eight_from));
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

/* ---- one tensor ---- */

/* The outputs of one matrix, where its codes and scales go, and the kinds wanted of it. */
typedef struct making {
    uint32_t job, each, n_kinds;
    uint32_t kinds[ZOO_JOB_KINDS];
    uint8_t *codes[ZOO_JOB_KINDS];
    uint16_t *scales[ZOO_JOB_KINDS];
    double error[ZOO_JOB_KINDS], size[ZOO_JOB_KINDS];
} making;

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

/* Quantises one matrix on all threads; adds its error and size. */
static zoo_status run_feedback(run *r, zoo_feedback *f, double *error, double *size, zoo_error *err)
{
    uint32_t items = (f->rows + ZOO_FEEDBACK_ROWS - 1) / ZOO_FEEDBACK_ROWS;
    uint32_t threads = zoo_engine_limits(r->engine)->n_threads;
    work w = {.feedback = f, .room_size = zoo_feedback_scratch(f->cols)};
    w.room = zoo_mem_array(threads * w.room_size, sizeof *w.room);
    f->errors = zoo_mem_array((size_t)items * 2, sizeof *f->errors);
    if (!w.room || !f->errors) {
        zoo_mem_free(w.room);
        zoo_mem_free(f->errors);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", f->tensor->name);
    }
    zoo_engine_parallel(r->engine, items, work_item, &w);
    for (uint32_t t = 0; t < items; t++) {
        *error += f->errors[2 * t];
        *size += f->errors[2 * t + 1];
    }
    zoo_mem_free(w.room);
    zoo_mem_free(f->errors);
    return w.status == ZOO_OK ? ZOO_OK
                              : zoo_fail(err, w.status, "%s: tensor %s cannot be read",
                                         f->tensor->file, f->tensor->name);
}

/* Matrix e of the job's stack in all kinds that are wanted, with the current factor. */
static zoo_status make_matrix(run *r, making *m, uint32_t e, zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[m->job];
    const zoo_factor *factor = &r->factor;
    const zoo_source *source = &r->model->sources[job->sources[0]];
    for (uint32_t i = 0; i < m->n_kinds; i++) {
        uint32_t bits = zoo_job_bits(m->kinds[i]), group = zoo_feedback_group(bits);
        size_t groups = (job->cols + group - 1) / group, first = (size_t)e * m->each;
        zoo_feedback f = {.blas = &r->blas,
                          .tensor = job->tensor,
                          .row0 = e * source->stored_rows,
                          .is_transposed = job->is_transposed,
                          .rows = m->each,
                          .cols = job->cols,
                          .bits = bits,
                          .h = factor->factor ? factor->h : NULL,
                          .factor = factor->factor,
                          .order = factor->factor ? factor->order : NULL,
                          .weight = factor->weight,
                          .codes = m->codes[i] + first * job->cols,
                          .scales = m->scales[i] + first * groups};
        ZOO_TRY(run_feedback(r, &f, &m->error[i], &m->size[i], err));
    }
    return ZOO_OK;
}

static zoo_status write_parts(run *r, const making *m, zoo_error *err)
{
    zoo_job *job = &r->jobs.list[m->job];
    for (uint32_t i = 0; i < m->n_kinds; i++) {
        uint32_t kind = m->kinds[i];
        job->error[kind] = m->size[i] > 0 ? m->error[i] / m->size[i] : 0;
        ZOO_TRY(zoo_part_write(&r->jobs, m->job, kind, m->codes[i], m->scales[i], err));
        job->done[kind] = true;
    }
    return ZOO_OK;
}

/* Room for the codes of job i in the kinds that are wanted. */
static zoo_status begin_making(const run *r, uint32_t i, making *m, zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[i];
    *m = (making){.job = i, .each = job->rows / job->n_stack};
    for (uint32_t kind = 0; kind < ZOO_JOB_KINDS; kind++) {
        uint32_t at = m->n_kinds, group = zoo_feedback_group(zoo_job_bits(kind));
        size_t groups = (job->cols + group - 1) / group;
        if (is_wanted(r, job, kind)) {
            m->codes[at] = zoo_mem_array(job->rows, job->cols);
            m->scales[at] = zoo_mem_array(job->rows * groups, sizeof *m->scales[at]);
            m->kinds[m->n_kinds++] = kind;
        }
        if (m->n_kinds > at && (!m->codes[at] || !m->scales[at])) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", job->name);
        }
    }
    return ZOO_OK;
}

/* ---- moments of one matrix ---- */

/* The first entry of job i among the moments of the round. */
static uint32_t entry_of(const run *r, uint32_t i)
{
    uint32_t n = 0;
    for (uint32_t j = r->begin; j < i; j++) {
        n += r->jobs.list[j].n_stack;
    }
    return n;
}

/* The members of job i's family that are in the round: their entries. */
static void family_entries(const run *r, uint32_t i, uint32_t *first, uint32_t *end)
{
    uint32_t family = r->jobs.list[i].family, a = i, b = i + 1;
    while (a > r->begin && r->jobs.list[a - 1].family == family) {
        a--;
    }
    while (b < r->end && r->jobs.list[b].family == family) {
        b++;
    }
    *first = entry_of(r, a);
    *end = entry_of(r, b);
}

/* h of an expert that fewer rows reached than it has inputs: as many rows as are missing are those
 * of all experts. */
static zoo_status blend(run *r, uint32_t i, const float *h, uint64_t n_rows, zoo_error *err)
{
    uint32_t cols = r->jobs.list[i].cols, first, end, of;
    float *sum = zoo_mem_array((size_t)cols * cols, sizeof *sum);
    uint64_t n_all = 0, n;
    if (!sum) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the factor of %u inputs", cols);
    }
    family_entries(r, i, &first, &end);
    for (uint32_t e = first; e < end; e++) {
        const float *other = zoo_moments_of(r->moments, e, &of, &n);
        n_all += other ? n : 0;
        for (size_t k = 0; other && k < (size_t)cols * cols; k++) {
            sum[k] += other[k];
        }
    }
    float share = n_all ? (float)(cols - n_rows) / (float)n_all : 0;
    for (size_t k = 0; k < (size_t)cols * cols; k++) {
        sum[k] = sum[k] * share + (h ? h[k] : 0);
    }
    zoo_status status = ZOO_OK;
    if (n_all) {
        status = zoo_factor_make(&r->blas, sum, cols, cols, &r->factor, err);
    }
    zoo_mem_free(sum);
    return status;
}

/* Makes the factor of matrix e of job i the current one. */
static zoo_status use_moments(run *r, uint32_t i, uint32_t e, zoo_error *err)
{
    zoo_job *job = &r->jobs.list[i];
    uint32_t of = 0, first, end;
    uint64_t n_rows = 0;
    const float *h =
        r->moments ? zoo_moments_of(r->moments, entry_of(r, i) + e, &of, &n_rows) : NULL;
    job->n_rows += n_rows;
    if (r->of == of && h && r->factor.weight) {
        return ZOO_OK;
    }
    zoo_factor_free(&r->factor);
    r->of = h ? of : UINT32_MAX;
    if (!r->moments) {
        return ZOO_OK;
    }
    family_entries(r, i, &first, &end);
    if (end - first > 1 && n_rows < job->cols) {
        ZOO_TRY(blend(r, i, h, n_rows, err));
    } else if (h && n_rows) {
        ZOO_TRY(zoo_factor_make(&r->blas, h, job->cols, (double)n_rows, &r->factor, err));
    }
    return ZOO_OK;
}

static zoo_status make_matrices(run *r, making *m, zoo_error *err)
{
    zoo_job *job = &r->jobs.list[m->job];
    bool unseen = false, damped = false;
    job->n_rows = 0;
    for (uint32_t e = 0; e < job->n_stack; e++) {
        ZOO_TRY(use_moments(r, m->job, e, err));
        unseen = unseen || (r->moments && !r->factor.weight);
        damped = damped || r->factor.damping > 1.5 * ZOO_DAMPING_MIN;
        ZOO_TRY(make_matrix(r, m, e, err));
    }
    zoo_tensor_release(job->tensor);
    r->report->n_unseen += unseen;
    r->report->n_damped += damped;
    return write_parts(r, m, err);
}

static zoo_status make_part(run *r, uint32_t i, zoo_error *err)
{
    making m;
    zoo_status status = begin_making(r, i, &m, err);
    status = status == ZOO_OK ? make_matrices(r, &m, err) : status;
    for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
        zoo_mem_free(m.codes[k]);
        zoo_mem_free(m.scales[k]);
    }
    return status;
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
        ZOO_TRY(make_part(r, i, err));
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
        const zoo_job *job = &r->jobs.list[r->end];
        size_t n = job->cols, size = n * n * sizeof(float) * job->n_stack;
        if (r->end > r->begin && used + size > room) {
            break;
        }
        used += size;
        any = any || !is_done(r, r->end);
        r->end++;
    }
    return any;
}

/* Whether the moments of job i are needed: for itself or for others of its family. */
static bool is_needed(const run *r, uint32_t i)
{
    bool needed = false;
    for (uint32_t j = r->begin; j < r->end; j++) {
        bool kin = r->jobs.list[j].family == r->jobs.list[i].family;
        needed = needed || (kin && !is_done(r, j));
    }
    return needed;
}

/* The first matrix that was bound from each of the stored ones; null where none was. */
static void take_weights(const run *r, const zoo_job *job, const zoo_weight **out)
{
    for (uint32_t s = 0; s < job->n_sources; s++) {
        const zoo_source *source = &r->model->sources[job->sources[s]];
        uint64_t e = source->row0 / source->stored_rows;
        out[e] = out[e] ? out[e] : source->weight;
    }
}

static zoo_status collect(run *r, zoo_error *err)
{
    uint32_t n = entry_of(r, r->end);
    const zoo_weight **weights = zoo_mem_array(n, sizeof *weights);
    if (!weights) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for statistics of %u matrices", n);
    }
    for (uint32_t i = r->begin; i < r->end; i++) {
        if (is_needed(r, i)) {
            take_weights(r, &r->jobs.list[i], weights + entry_of(r, i));
        }
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
        zoo_factor_free(&r->factor);
        r->of = UINT32_MAX;
    }
    if (r->options->shows_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    return status;
}

/* ---- bits ---- */

static void show_costs(void *arg, uint32_t done, uint32_t of)
{
    show_progress(arg, "costs of matrices", done, of);
}

static zoo_status choose_bits(run *r, zoo_error *err)
{
    const zoo_quantise_options *o = r->options;
    bool measures = o->texts && o->bits > zoo_bits_of(0);
    zoo_bits_result result;
    zoo_status status = ZOO_OK;
    if (measures) {
        status =
            zoo_costs_measure(r->engine, costs_kernels(r), &r->jobs, o->texts, show_costs, r, err);
    }
    if (o->shows_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    status = status == ZOO_OK ? zoo_bits_choose(&r->jobs, measures, o->bits, &result, err) : status;
    if (status == ZOO_OK) {
        r->report->n_matrices = r->jobs.n;
        r->report->n_wide = result.n_kinds[1];
        r->report->n_eight = result.n_kinds[2];
        r->report->bits = result.bits;
        r->report->kl = result.kl;
        for (uint32_t i = 0; i < r->jobs.n; i++) {
            const zoo_job *job = &r->jobs.list[i];
            bool stacked = zoo_job_is_stacked(job);
            r->report->n_stacked += stacked;
            r->report->n_experts += !stacked && zoo_job_has_family(&r->jobs, i);
        }
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
    const char *isa = r->model->kernels->isa, *costs_isa = costs_kernels(r)->isa;
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
    (void)XXH3_128bits_update(state, costs_isa, strlen(costs_isa));
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
    if (!(r->options->bits >= zoo_bits_of(0))) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--bits %.3g: int4 takes %.4g bits a weight with its scales and steps",
                        r->options->bits, zoo_bits_of(0));
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
    zoo_factor_free(&r.factor);
    zoo_jobs_free(&r.jobs);
    return status;
}
