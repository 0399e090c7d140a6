/* bits.c: see bits.h. */
#include "quantise/bits.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { STEPS_MAX = ZOO_JOB_KINDS * (ZOO_JOB_KINDS - 1) / 2 };

/* One step upwards of a unit. */
typedef struct step {
    uint32_t job, from, to, rank; /* job: the unit's first */
    double gain, more;            /* a bit; bits */
} step;

double zoo_bits_of(uint32_t kind)
{
    static const double bits[ZOO_JOB_KINDS] = {4 + 32.0 / 64, 5 + 16.0 / 32, 6 + 16.0 / 64,
                                               8 + 16.0 / 64};
    return bits[kind];
}

static double values_of(const zoo_job *job)
{
    return (double)job->rows * (double)job->cols;
}

static double bits_between(const zoo_job *job, uint32_t from, uint32_t to)
{
    return (zoo_bits_of(to) - zoo_bits_of(from)) * values_of(job);
}

/* What is left of the cost of four bits in another kind. */
static double cost_of(const zoo_job *job, double cost, uint32_t kind)
{
    return job->error[0] > 0 ? cost * job->error[kind] / job->error[0] : 0;
}

static int by_gain(const void *a, const void *b)
{
    const step *x = a, *y = b;
    if (x->rank != y->rank) {
        return x->rank < y->rank ? -1 : 1;
    }
    if (x->gain < y->gain || x->gain > y->gain) {
        return x->gain < y->gain ? 1 : -1;
    }
    return (x->job > y->job) - (x->job < y->job);
}

/* Without costs: the output matrix, then wide ones, then the others. */
static uint32_t rank_of(const zoo_job *job, bool measured)
{
    return measured || job->is_head ? 0 : job->is_wide ? 1 : 2;
}

/* Of all members of the unit that begins with job i; gain 0 and more 0 where a part is missing. */
static step step_of(const zoo_jobs *jobs, uint32_t i, uint32_t from, uint32_t to, bool measured)
{
    step s = {.job = i, .from = from, .to = to, .rank = rank_of(&jobs->list[i], measured)};
    for (uint32_t j = i; j < jobs->n; j++) {
        const zoo_job *job = &jobs->list[j];
        double cost = measured ? job->cost : job->error[0];
        if (job->unit == i && !(job->done[from] && job->done[to])) {
            return (step){0};
        }
        if (job->unit == i) {
            s.gain += cost_of(job, cost, from) - cost_of(job, cost, to);
            s.more += bits_between(job, from, to);
        }
    }
    s.gain /= s.more;
    return s;
}

/* Appends the steps of the unit of job i. Sorted, that from 4 to 8 stands before those to 5 and 6
 * where it gains more a bit, and else is no longer possible when it comes. */
static uint32_t add_steps(const zoo_jobs *jobs, uint32_t i, bool measured, step *out)
{
    uint32_t n = 0;
    for (uint32_t from = 0; from < ZOO_JOB_KINDS; from++) {
        for (uint32_t to = from + 1; to < ZOO_JOB_KINDS; to++) {
            out[n] = step_of(jobs, i, from, to, measured);
            n += out[n].more > 0;
        }
    }
    return n;
}

static void take_step(zoo_jobs *jobs, const step *s)
{
    for (uint32_t j = s->job; j < jobs->n; j++) {
        if (jobs->list[j].unit == s->job) {
            jobs->list[j].kind = s->to;
        }
    }
}

static void summarise(const zoo_jobs *jobs, bool measured, zoo_bits_result *out)
{
    double values = 0, bits = 0;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < jobs->n; i++) {
        const zoo_job *job = &jobs->list[i];
        values += values_of(job);
        bits += zoo_bits_of(job->kind) * values_of(job);
        out->kl += measured ? cost_of(job, job->cost, job->kind) : 0;
        out->n_kinds[job->kind]++;
    }
    out->bits = bits / values;
}

zoo_status zoo_bits_choose(zoo_jobs *jobs, bool measured, double budget, zoo_bits_result *out,
                           zoo_error *err)
{
    step *steps = zoo_mem_array((size_t)jobs->n * STEPS_MAX, sizeof *steps);
    uint32_t n = 0;
    double left = 0;
    if (!steps) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for an order of %u matrices", jobs->n);
    }
    for (uint32_t i = 0; i < jobs->n; i++) {
        jobs->list[i].kind = 0;
        left += (budget - zoo_bits_of(0)) * values_of(&jobs->list[i]);
        n += jobs->list[i].unit == i ? add_steps(jobs, i, measured, steps + n) : 0;
    }
    qsort(steps, n, sizeof *steps, by_gain);
    for (uint32_t s = 0; s < n; s++) {
        bool next = jobs->list[steps[s].job].kind == steps[s].from;
        if (next && steps[s].more <= left && steps[s].gain > 0) {
            take_step(jobs, &steps[s]);
            left -= steps[s].more;
        }
    }
    summarise(jobs, measured, out);
    zoo_mem_free(steps);
    return ZOO_OK;
}
