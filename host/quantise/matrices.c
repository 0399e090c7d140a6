/*
 * matrices.c: the parts of one tensor: for each of its matrices the factors of its moments, then
 * codes of all kinds that are wanted by feedback (quantise.h). Memory: two factors, and the codes.
 */
#include "quantise/quantise_private.h"

#include "base/mem.h"
#include "engine/engine_private.h"
#include "quantise/bits.h"
#include "quantise/feedback.h"

static const double eight_from = 0.5; /* spare bits from which every tensor has a part of 8 */

bool zoo_quantise_wants(const zoo_quantising *r, const zoo_job *job, uint32_t kind)
{
    double spare = r->options->bits - zoo_bits_of(ZOO_JOB_FOUR);
    if (kind == ZOO_JOB_FOUR || spare <= 0) {
        return kind == ZOO_JOB_FOUR;
    }
    return kind == ZOO_JOB_EIGHT ? job->is_wide || spare > eight_from
                                 : kind == ZOO_JOB_FIVE || zoo_job_rotates(job, kind);
}

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
static zoo_status run_feedback(zoo_quantising *r, zoo_feedback *f, double *error, double *size,
                               zoo_error *err)
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

uint32_t zoo_quantise_entry(const zoo_quantising *r, uint32_t i)
{
    uint32_t n = 0;
    for (uint32_t j = r->begin; j < i; j++) {
        n += r->jobs.list[j].n_stack;
    }
    return n;
}

/* The members of job i's family that are in the round: their entries. */
static void family_entries(const zoo_quantising *r, uint32_t i, uint32_t *first, uint32_t *end)
{
    uint32_t family = r->jobs.list[i].family, a = i, b = i + 1;
    while (a > r->begin && r->jobs.list[a - 1].family == family) {
        a--;
    }
    while (b < r->end && r->jobs.list[b].family == family) {
        b++;
    }
    *first = zoo_quantise_entry(r, a);
    *end = zoo_quantise_entry(r, b);
}

/* h of an expert that fewer rows reached than it has inputs: as many rows as are missing are those
 * of all experts. */
static zoo_status blend(zoo_quantising *r, uint32_t i, const float *h, uint64_t n_rows,
                        bool rotated, zoo_error *err)
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
        status =
            zoo_factor_make(&r->blas, sum, cols, cols, rotated, &r->factors[rotated].factor, err);
    }
    zoo_mem_free(sum);
    return status;
}

/* Makes the factor of matrix e of job i the current one. */
static zoo_status use_moments(zoo_quantising *r, uint32_t i, uint32_t e, bool rotated,
                              zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[i];
    zoo_quantise_factor *current = &r->factors[rotated];
    uint32_t of = 0, first, end;
    uint64_t n_rows = 0;
    const float *h =
        r->moments ? zoo_moments_of(r->moments, zoo_quantise_entry(r, i) + e, &of, &n_rows) : NULL;
    if (current->of == of && h && current->factor.weight) {
        return ZOO_OK;
    }
    zoo_factor_free(&current->factor);
    current->of = h ? of : UINT32_MAX;
    if (!r->moments) {
        return ZOO_OK;
    }
    family_entries(r, i, &first, &end);
    if (end - first > 1 && n_rows < job->cols) {
        return blend(r, i, h, n_rows, rotated, err);
    }
    return h && n_rows ? zoo_factor_make(&r->blas, h, job->cols, (double)n_rows, rotated,
                                         &current->factor, err)
                       : ZOO_OK;
}

/* Rows of activations that matrix e of job i saw. */
static uint64_t rows_seen(const zoo_quantising *r, uint32_t i, uint32_t e)
{
    uint32_t of;
    uint64_t n_rows = 0;
    if (r->moments) {
        (void)zoo_moments_of(r->moments, zoo_quantise_entry(r, i) + e, &of, &n_rows);
    }
    return n_rows;
}

/* Matrix e of the job's stack in those of the kinds whose groups are rotated, or are not, with the
 * current factor. */
static zoo_status make_matrix(zoo_quantising *r, making *m, uint32_t e, bool rotated,
                              zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[m->job];
    const zoo_factor *factor = &r->factors[rotated].factor;
    const zoo_source *source = &r->model->sources[job->sources[0]];
    for (uint32_t i = 0; i < m->n_kinds; i++) {
        uint32_t bits = zoo_job_bits(m->kinds[i]), group = zoo_feedback_group(bits, rotated);
        size_t groups = (job->cols + group - 1) / group, first = (size_t)e * m->each;
        zoo_feedback f = {.blas = &r->blas,
                          .tensor = job->tensor,
                          .row0 = e * source->stored_rows,
                          .is_transposed = job->is_transposed,
                          .is_rotated = rotated,
                          .rows = m->each,
                          .cols = job->cols,
                          .bits = bits,
                          .h = factor->factor ? factor->h : NULL,
                          .factor = factor->factor,
                          .order = factor->factor ? factor->order : NULL,
                          .weight = factor->weight,
                          .codes = m->codes[i] + first * job->cols,
                          .scales = m->scales[i] + first * groups};
        if (zoo_job_rotates(job, m->kinds[i]) == rotated) {
            ZOO_TRY(run_feedback(r, &f, &m->error[i], &m->size[i], err));
        }
    }
    return ZOO_OK;
}

/* The same of all kinds. */
static zoo_status make_both(zoo_quantising *r, making *m, uint32_t e, zoo_error *err)
{
    for (int rotated = 0; rotated < 2; rotated++) {
        bool any = false;
        for (uint32_t i = 0; i < m->n_kinds; i++) {
            any = any || zoo_job_rotates(&r->jobs.list[m->job], m->kinds[i]) == rotated;
        }
        if (any) {
            ZOO_TRY(use_moments(r, m->job, e, rotated, err));
            ZOO_TRY(make_matrix(r, m, e, rotated, err));
        }
    }
    return ZOO_OK;
}

static zoo_status write_parts(zoo_quantising *r, const making *m, zoo_error *err)
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
static zoo_status begin_making(const zoo_quantising *r, uint32_t i, making *m, zoo_error *err)
{
    const zoo_job *job = &r->jobs.list[i];
    *m = (making){.job = i, .each = job->rows / job->n_stack};
    for (uint32_t kind = 0; kind < ZOO_JOB_KINDS; kind++) {
        uint32_t at = m->n_kinds,
                 group = zoo_feedback_group(zoo_job_bits(kind), zoo_job_rotates(job, kind));
        size_t groups = (job->cols + group - 1) / group;
        if (zoo_quantise_wants(r, job, kind)) {
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

static zoo_status make_matrices(zoo_quantising *r, making *m, zoo_error *err)
{
    zoo_job *job = &r->jobs.list[m->job];
    bool unseen = false, damped = false;
    job->n_rows = 0;
    for (uint32_t e = 0; e < job->n_stack; e++) {
        const zoo_factor *plain = &r->factors[0].factor;
        ZOO_TRY(make_both(r, m, e, err));
        job->n_rows += rows_seen(r, m->job, e);
        unseen = unseen || (r->moments && !plain->weight);
        damped = damped || plain->damping > 1.5 * ZOO_DAMPING_MIN;
    }
    zoo_tensor_release(job->tensor);
    r->report->n_unseen += unseen;
    r->report->n_damped += damped;
    return write_parts(r, m, err);
}

zoo_status zoo_quantise_make(zoo_quantising *r, uint32_t i, zoo_error *err)
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

void zoo_quantise_forget(zoo_quantising *r)
{
    for (uint32_t i = 0; i < ZOO_COUNT(r->factors); i++) {
        zoo_factor_free(&r->factors[i].factor);
        r->factors[i].of = UINT32_MAX;
    }
}
