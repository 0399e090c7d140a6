/* costs.c: see costs.h. */
#include "quantise/costs.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine_private.h"
#include "model/pack.h"

/* Tokens that are run for all tensors together, and of one probe. */
enum { TOKENS_ALL = 1 << 17, WINDOW = 256, WINDOWS_MIN = 2, WINDOWS_MAX = 4 };
static const size_t logits_bytes = (size_t)256 << 20;

typedef struct probe {
    zoo_engine *engine;
    const zoo_kernels *plain, *fast; /* of the model as it is; of measurements */
    const zoo_jobs *jobs;
    int32_t windows[WINDOWS_MAX][WINDOW];
    uint32_t n[WINDOWS_MAX], n_windows, n_tokens, vocab;
    float *logits; /* [n_tokens, vocab] of the model as it is */
    double *kl;    /* [rows of a step] */
    float *shares; /* [threads, vocab] */
    double base;   /* divergence by the fast kernels alone */
    bool is_first; /* logits are being written */
} probe;

/* ---- one run ---- */

typedef struct row_work {
    const probe *p;
    const float *reference, *logits; /* [n, vocab] */
} row_work;

/* log sum e^x; shares [n] = softmax(x) */
static double log_sum(const probe *p, const float *x, float *shares)
{
    uint32_t top = 0;
    p->plain->softmax(x, shares, p->vocab);
    for (uint32_t i = 1; i < p->vocab; i++) {
        top = shares[i] > shares[top] ? i : top;
    }
    return (double)x[top] - log((double)shares[top]);
}

static void score_row(void *arg, uint32_t row, uint32_t worker)
{
    const row_work *w = arg;
    size_t n = w->p->vocab;
    const float *x = w->reference + row * n, *y = w->logits + row * n;
    float *shares = w->p->shares + worker * n;
    double log_y = log_sum(w->p, y, shares), log_x = log_sum(w->p, x, shares), kl = 0;
    for (size_t i = 0; i < n; i++) {
        kl += (double)shares[i] * (((double)x[i] - log_x) - ((double)y[i] - log_y));
    }
    w->p->kl[row] = kl;
}

/* Logits of one step: kept if they are the first, else compared. */
static double take_logits(const probe *p, uint32_t first, const zoo_item *item)
{
    float *reference = p->logits + (size_t)first * p->vocab;
    row_work w = {p, reference, item->logits};
    double kl = 0;
    if (p->is_first) {
        memcpy(reference, item->logits, (size_t)item->n * p->vocab * sizeof *reference);
        return 0;
    }
    zoo_engine_parallel(p->engine, item->n, score_row, &w);
    for (uint32_t i = 0; i < item->n; i++) {
        kl += p->kl[i];
    }
    return kl;
}

static uint32_t rows_of_step(const probe *p)
{
    uint32_t rows = zoo_engine_limits(p->engine)->rows_max, most = zoo_engine_logits_max(p->engine);
    return rows < most ? rows : most;
}

static zoo_status run_window(const probe *p, uint32_t w, uint32_t first, double *kl, zoo_error *err)
{
    uint32_t seq, rows = rows_of_step(p), n = p->n[w];
    ZOO_TRY(zoo_engine_seq_open(p->engine, n, n, &seq, err));
    zoo_status status = ZOO_OK;
    for (uint32_t i = 0; i < n && status == ZOO_OK; i += rows) {
        zoo_item item = {.seq = seq,
                         .n = n - i < rows ? n - i : rows,
                         .tokens = p->windows[w] + i,
                         .want = ZOO_WANT_ALL};
        status = zoo_engine_step(p->engine, &item, 1, err);
        *kl += status == ZOO_OK ? take_logits(p, first + i, &item) : 0;
    }
    zoo_engine_seq_close(p->engine, seq);
    return status;
}

static zoo_status run_probe(const probe *p, double *kl, zoo_error *err)
{
    uint32_t first = 0;
    *kl = 0;
    for (uint32_t w = 0; w < p->n_windows; w++) {
        ZOO_TRY(run_window(p, w, first, kl, err));
        first += p->n[w];
    }
    *kl /= p->n_tokens;
    return ZOO_OK;
}

/* ---- weights in four bits ---- */

/* A matrix, the data that it had, and the memory of what it has now. */
typedef struct swapped {
    zoo_weight *weight;
    const void *before;
    void *memory;
} swapped;

typedef struct packing {
    const zoo_job *job;
    const zoo_source *source;
    const unsigned char *data; /* of the part */
    zoo_weight weight;
    uint32_t row0; /* of the job's outputs, where the stored matrix begins */
    float *rows;   /* [threads, 16, cols] */
} packing;

static void pack_panel(void *arg, uint32_t panel, uint32_t worker)
{
    packing *k = arg;
    uint32_t cols = k->job->cols, first = panel * ZOO_PANEL, left = k->weight.rows - first;
    uint32_t n = left < ZOO_PANEL ? left : ZOO_PANEL;
    float *rows = k->rows + (size_t)worker * ZOO_PANEL * cols;
    const zoo_rowmap *map = k->source->map;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = first + i;
        row = map ? map->offset + row / map->group * map->stride + row % map->group : row;
        zoo_part_row(k->job, k->data, k->row0 + row, rows + (size_t)i * cols);
    }
    zoo_pack_panel(&k->weight, panel, rows, n);
}

/* Gives a matrix data of its own, made from the part. */
static zoo_status swap_in(const probe *p, packing *k, swapped *out, zoo_error *err)
{
    zoo_weight *weight = (zoo_weight *)(uintptr_t)k->source->weight;
    size_t scales, n = zoo_pack_size((zoo_dtype)weight->kind, weight->rows, weight->cols,
                                     weight->group, &scales);
    void *memory = zoo_mem_alloc(n + 64);
    if (!memory || weight->group) {
        zoo_mem_free(memory);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a second %s", k->job->name);
    }
    uint32_t each = k->job->rows / k->job->n_stack;
    k->row0 = (uint32_t)(k->source->row0 / k->source->stored_rows) * each;
    k->weight = *weight;
    k->weight.data = (void *)(((uintptr_t)memory + 63) / 64 * 64);
    zoo_engine_parallel(p->engine, (weight->rows + ZOO_PANEL - 1) / ZOO_PANEL, pack_panel, k);
    *out = (swapped){weight, weight->data, memory};
    weight->data = k->weight.data;
    return ZOO_OK;
}

static void swap_out(swapped *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        list[i].weight->data = list[i].before;
        zoo_mem_free(list[i].memory);
    }
}

/* Swaps the matrices of job i; *n counts on. */
static zoo_status swap_job(const probe *p, uint32_t i, swapped *list, uint32_t *n, zoo_error *err)
{
    const zoo_job *job = &p->jobs->list[i];
    const zoo_model *model = &p->engine->model;
    packing k = {.job = job};
    size_t threads = zoo_engine_limits(p->engine)->n_threads;
    k.rows = zoo_mem_array(threads * ZOO_PANEL, job->cols * sizeof *k.rows);
    if (!k.rows) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a second %s", job->name);
    }
    zoo_status status = zoo_part_map(p->jobs, i, 0, &k.data, err);
    for (uint32_t s = 0; s < job->n_sources && status == ZOO_OK; s++) {
        k.source = &model->sources[job->sources[s]];
        status = swap_in(p, &k, &list[*n], err);
        *n += status == ZOO_OK;
    }
    zoo_part_unmap(p->jobs, i, 0, k.data);
    zoo_mem_free(k.rows);
    return status;
}

/* Divergence with the jobs of a unit in four bits. */
static zoo_status measure(const probe *p, uint32_t unit, double *kl, zoo_error *err)
{
    uint32_t n = 0, all = 0;
    for (uint32_t i = unit; i < p->jobs->n; i++) {
        all += p->jobs->list[i].unit == unit ? p->jobs->list[i].n_sources : 0;
    }
    swapped *list = zoo_mem_array(all, sizeof *list);
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a list of %u matrices", all);
    }
    zoo_status status = ZOO_OK;
    for (uint32_t i = unit; i < p->jobs->n && status == ZOO_OK; i++) {
        if (p->jobs->list[i].unit == unit) {
            status = swap_job(p, i, list, &n, err);
        }
    }
    status = status == ZOO_OK ? run_probe(p, kl, err) : status;
    *kl = *kl > p->base ? *kl - p->base : 0;
    swap_out(list, n);
    zoo_mem_free(list);
    return status;
}

/* ---- all tensors ---- */

/* The text and the place in it where window w begins: at texts if there are enough of them, else
 * spread over their tokens. */
static const zoo_score_text *place_of(const zoo_score_texts *texts, uint32_t w, uint32_t n,
                                      uint64_t *at)
{
    uint64_t all = texts->n_scored + texts->n;
    uint32_t t = 0;
    *at = 0;
    if (texts->n >= n) {
        return &texts->list[(uint64_t)w * texts->n / n];
    }
    uint64_t left = all * w / n;
    while (t + 1 < texts->n && left >= texts->list[t].n) {
        left -= texts->list[t++].n;
    }
    *at = left;
    return &texts->list[t];
}

/* Windows begin as texts do, with the begin token if theirs have it. */
static void choose_windows(probe *p, const zoo_score_texts *texts, uint32_t n_units)
{
    size_t room = logits_bytes / sizeof(float) / p->vocab;
    uint32_t want = TOKENS_ALL / WINDOW / (n_units + 1);
    want = want < WINDOWS_MIN ? WINDOWS_MIN : want > WINDOWS_MAX ? WINDOWS_MAX : want;
    for (uint32_t w = 0; w < want; w++) {
        uint64_t at;
        const zoo_score_text *text = place_of(texts, w, want, &at);
        bool begins = at > 0 && texts->begin >= 0 && text->tokens[0] == texts->begin;
        size_t n = text->n - at + begins, most = room - p->n_tokens;
        n = n < WINDOW ? n : WINDOW;
        n = n < most ? n : most;
        if (n > 1) {
            int32_t *to = p->windows[p->n_windows];
            to[0] = texts->begin;
            memcpy(to + begins, text->tokens + at, (n - begins) * sizeof *to);
            p->n[p->n_windows++] = (uint32_t)n;
            p->n_tokens += (uint32_t)n;
        }
    }
}

/* Packed weights are the same for all. */
static void use_kernels(zoo_engine *engine, const zoo_kernels *kernels)
{
    engine->model.kernels = engine->step.ctx.kernels = kernels;
}

static zoo_status begin_probe(probe *p, const zoo_score_texts *texts, zoo_error *err)
{
    uint32_t n_units = 0;
    for (uint32_t i = 0; i < p->jobs->n; i++) {
        n_units += p->jobs->list[i].unit == i;
    }
    p->vocab = zoo_engine_plan(p->engine)->vocab_size;
    choose_windows(p, texts, n_units);
    p->logits = zoo_mem_array((size_t)p->n_tokens * p->vocab, sizeof *p->logits);
    p->kl = zoo_mem_array(rows_of_step(p), sizeof *p->kl);
    p->shares = zoo_mem_array((size_t)zoo_engine_limits(p->engine)->n_threads * p->vocab,
                              sizeof *p->shares);
    if (!p->logits || !p->kl || !p->shares) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the logits of %u tokens", p->n_tokens);
    }
    double none;
    p->is_first = true;
    ZOO_TRY(run_probe(p, &none, err));
    p->is_first = false;
    use_kernels(p->engine, p->fast);
    return p->fast == p->plain ? ZOO_OK : run_probe(p, &p->base, err);
}

/* Shares the cost of a unit by the squared errors that its members' activations saw. */
static void share_cost(zoo_jobs *jobs, uint32_t unit, double kl)
{
    double all = 0;
    for (uint32_t i = unit; i < jobs->n; i++) {
        zoo_job *job = &jobs->list[i];
        if (job->unit == unit) {
            job->cost = job->error[0] * (double)(job->n_rows + 1);
            all += job->cost;
        }
    }
    for (uint32_t i = unit; i < jobs->n; i++) {
        zoo_job *job = &jobs->list[i];
        job->cost *= job->unit != unit ? 1 : all > 0 ? kl / all : 0;
    }
}

static zoo_status measure_all(probe *p, zoo_jobs *jobs, const zoo_score_texts *texts,
                              zoo_costs_progress *progress, void *arg, zoo_error *err)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        double kl;
        if (jobs->list[i].unit != i) {
            continue;
        }
        if (!zoo_cost_read(jobs, i, &kl)) {
            progress(arg, i, jobs->n);
            if (!p->logits) {
                ZOO_TRY(begin_probe(p, texts, err));
            }
            ZOO_TRY(measure(p, i, &kl, err));
            ZOO_TRY(zoo_cost_write(jobs, i, kl, err));
        }
        share_cost(jobs, i, kl);
    }
    return ZOO_OK;
}

zoo_status zoo_costs_measure(zoo_engine *engine, const zoo_kernels *fast, zoo_jobs *jobs,
                             const zoo_score_texts *texts, zoo_costs_progress *progress, void *arg,
                             zoo_error *err)
{
    probe p = {.engine = engine, .plain = engine->model.kernels, .fast = fast, .jobs = jobs};
    zoo_status status = measure_all(&p, jobs, texts, progress, arg, err);
    use_kernels(engine, p.plain);
    zoo_mem_free(p.logits);
    zoo_mem_free(p.kl);
    zoo_mem_free(p.shares);
    return status;
}
