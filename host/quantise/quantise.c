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
#include "quantise/folder.h"
#include "quantise/quantise_private.h"

enum { HEAD_ROWS = 64 }; /* rows of a step that computes logits */

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

static const zoo_kernels *costs_kernels(const zoo_quantising *r)
{
    return r->options->any_isa ? zoo_kernels_select(best_isa(false), NULL) : r->model->kernels;
}

/* ---- the text ---- */

static void show_progress(const zoo_quantising *r, const char *what, uint64_t done, uint64_t of)
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
static zoo_status read_window(zoo_quantising *r, const int32_t *tokens, uint32_t n, bool head,
                              zoo_error *err)
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

static zoo_status read_texts(zoo_quantising *r, zoo_error *err)
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

static bool is_done(const zoo_quantising *r, uint32_t i)
{
    const zoo_job *job = &r->jobs.list[i];
    bool done = true;
    for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
        done = done && (job->done[k] || !zoo_quantise_wants(r, job, k));
    }
    return done;
}

static zoo_status make_parts(zoo_quantising *r, zoo_error *err)
{
    for (uint32_t i = r->begin; i < r->end; i++) {
        show_progress(r, "matrices", r->n_done, r->jobs.n);
        r->n_done++;
        if (is_done(r, i)) {
            r->report->n_resumed++;
            continue;
        }
        ZOO_TRY(zoo_quantise_make(r, i, err));
    }
    return ZOO_OK;
}

/* ---- rounds ---- */

/*
 * Sets r->end so that the moments of the round fit in memory; returns whether any matrix is not
 * done. The end of a round must not depend on what is done: with the output matrix in a round the
 * text is cut into other steps, which changes the order of sums.
 */
static bool plan_round(zoo_quantising *r)
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
static bool is_needed(const zoo_quantising *r, uint32_t i)
{
    bool needed = false;
    for (uint32_t j = r->begin; j < r->end; j++) {
        bool kin = r->jobs.list[j].family == r->jobs.list[i].family;
        needed = needed || (kin && !is_done(r, j));
    }
    return needed;
}

/* The first matrix that was bound from each of the stored ones; null where none was. */
static void take_weights(const zoo_quantising *r, const zoo_job *job, const zoo_weight **out)
{
    for (uint32_t s = 0; s < job->n_sources; s++) {
        const zoo_source *source = &r->model->sources[job->sources[s]];
        uint64_t e = source->row0 / source->stored_rows;
        out[e] = out[e] ? out[e] : source->weight;
    }
}

static zoo_status collect(zoo_quantising *r, zoo_error *err)
{
    uint32_t n = zoo_quantise_entry(r, r->end);
    const zoo_weight **weights = zoo_mem_array(n, sizeof *weights);
    if (!weights) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for statistics of %u matrices", n);
    }
    for (uint32_t i = r->begin; i < r->end; i++) {
        if (is_needed(r, i)) {
            take_weights(r, &r->jobs.list[i], weights + zoo_quantise_entry(r, i));
        }
    }
    zoo_status status = zoo_moments_begin(weights, n, &r->blas, &r->moments, err);
    status = status == ZOO_OK ? read_texts(r, err) : status;
    zoo_mem_free((void *)weights);
    return status;
}

static zoo_status run_rounds(zoo_quantising *r, zoo_error *err)
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
        zoo_quantise_forget(r);
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

static zoo_status choose_bits(zoo_quantising *r, zoo_error *err)
{
    const zoo_quantise_options *o = r->options;
    bool has_choice = o->bits > zoo_bits_of(0) && o->bits < zoo_bits_of(ZOO_JOB_EIGHT);
    bool measures = o->texts && has_choice;
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
        memcpy(r->report->n_kinds, result.n_kinds, sizeof r->report->n_kinds);
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
static void make_key(zoo_quantising *r)
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

static zoo_status open_folder(zoo_quantising *r, zoo_error *err)
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

static zoo_status check_usage(const zoo_quantising *r, zoo_error *err)
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

/* Parts that a stopped run with another budget left do not take part. */
static void pass_over_unwanted(zoo_quantising *r)
{
    for (uint32_t i = 0; i < r->jobs.n; i++) {
        zoo_job *job = &r->jobs.list[i];
        for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
            job->done[k] = job->done[k] && zoo_quantise_wants(r, job, k);
        }
    }
}

static zoo_status run_all(zoo_quantising *r, zoo_error *err)
{
    const zoo_quantise_options *o = r->options;
    ZOO_TRY(check_usage(r, err));
    ZOO_TRY(zoo_blas_open(&r->blas, err));
    ZOO_TRY(zoo_jobs_list(r->model, &r->jobs, err));
    ZOO_TRY(open_folder(r, err));
    make_key(r);
    zoo_jobs_resume(&r->jobs);
    pass_over_unwanted(r);
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
    zoo_quantising r = {.engine = engine,
                        .model = &engine->model,
                        .options = options,
                        .report = report,
                        .factors = {{.of = UINT32_MAX}, {.of = UINT32_MAX}}};
    *report = (zoo_quantise_report){0};
    zoo_status status = run_all(&r, err);
    zoo_moments_end(r.moments);
    zoo_quantise_forget(&r);
    zoo_jobs_free(&r.jobs);
    return status;
}
