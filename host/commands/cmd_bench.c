/*
 * cmd_bench.c: the command `bench`: how fast this machine runs a model folder.
 *
 *   open -> for each test: rounds of (rows of random ids -> scheduler -> all tokens) -> medians
 *
 * Three tests, all through the scheduler as a batch file would go:
 *
 *   prefill   one prompt, one new token
 *   decode    one sequence from one token
 *   batch     n sequences, prompt and new tokens, with --shared tokens that all prompts begin with
 *
 * Greedy, end tokens ignored. Prefill ends when the last prompt token has been read. Every figure
 * is given for two clocks: wall time, and CPU time of the process divided by the threads, which
 * other programs disturb less (threads that spin while they wait are counted).
 *
 * With --machine the machine is measured first (machine.h), and a test also reports which share of
 * its limits the matrix products reach: of the multiply-adds, and, where no step has more than 64
 * rows and each weight is read once, of the read bandwidth.
 *
 * Memory: the engine's and the rows'. One JSON line a test to stdout. What it will not do: quality,
 * other engines (bench/peers.py).
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "batch/batch.h"
#include "batch/chat_model.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "commands/session.h"
#include "engine/engine_private.h"
#include "evaluate/counting_kernels.h"
#include "evaluate/machine.h"
#include "generate/schedule.h"

enum { ROUNDS_MAX = 64 };

typedef struct bench_args {
    zoo_common common;
    uint32_t n_batch, n_prompt, n_new, n_prefill, n_decode, n_shared, n_rounds;
    const char *tests;
    uint64_t seed;
    bool machine;
} bench_args;

/* Seconds by both clocks. */
typedef struct bench_time {
    double wall, cpu;
} bench_time;

/* Measurements of one round. */
typedef struct bench_round {
    bench_time read;          /* until the last prompt token is read */
    bench_time all;           /* until the last row is done */
    uint64_t n_late;          /* tokens written after the last prompt token was read */
    uint64_t n_steps;         /* of the engine */
    zoo_kernel_counts counts; /* of all products */
    zoo_schedule_stats stats;
} bench_round;

typedef struct bench {
    const bench_args *args;
    zoo_engine *engine;
    zoo_generation generation;
    uint64_t state; /* of the random ids */
    zoo_machine machine;
    zoo_speculation speculation;
} bench;

static double clock_of(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bench_time now(void)
{
    return (bench_time){clock_of(CLOCK_MONOTONIC), clock_of(CLOCK_PROCESS_CPUTIME_ID)};
}

static bench_time since(bench_time begin, uint32_t n_threads)
{
    bench_time end = now();
    return (bench_time){end.wall - begin.wall, (end.cpu - begin.cpu) / n_threads};
}

/* Largest resident size of the process so far, in bytes; 0 where the system does not tell. */
static uint64_t peak_memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtoull(line + 6, NULL, 10);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return kib * 1024;
}

static int32_t random_id(bench *b)
{
    b->state = b->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return zoo_engine_some_token(b->engine, (uint32_t)(b->state >> 33));
}

/* Prompts of n rows, alike in their first n_shared tokens. */
static void fill_prompts(bench *b, int32_t *prompts, uint32_t n, uint32_t n_prompt)
{
    uint32_t n_shared = b->args->n_shared < n_prompt ? b->args->n_shared : n_prompt;
    for (size_t i = 0; i < (size_t)n * n_prompt; i++) {
        bool copies = i >= n_prompt && i % n_prompt < n_shared;
        prompts[i] = copies ? prompts[i % n_prompt] : random_id(b);
    }
}

static void fill_row(zoo_row *row, const int32_t *prompt, uint32_t n_prompt, uint32_t n_new)
{
    memset(row, 0, sizeof *row);
    row->prompt = prompt;
    row->n_prompt = n_prompt;
    row->n_new_max = n_new;
    row->n_top = row->n_prompt_top = ZOO_NO_LOGPROBS;
    row->sampling = (zoo_sampling){.top_p = 1.0f, .repetition = 1.0f, .ignore_eos = true};
}

static zoo_status run_schedule(bench *b, zoo_schedule *schedule, uint32_t n_tokens,
                               bench_round *out, zoo_error *err)
{
    uint32_t n_threads = zoo_engine_limits(b->engine)->n_threads;
    (void)zoo_counting_kernels_take();
    bench_time begin = now();
    uint64_t n_written = 0;
    bool has_read = false;
    while (!zoo_schedule_is_idle(schedule)) {
        ZOO_TRY(zoo_schedule_step(schedule, err));
        zoo_schedule_stats s = zoo_schedule_stats_get(schedule);
        if (!has_read && s.n_read + s.n_shared >= n_tokens) {
            out->read = since(begin, n_threads);
            n_written = s.n_written;
            has_read = true;
        }
    }
    out->all = since(begin, n_threads);
    out->counts = zoo_counting_kernels_take();
    out->stats = zoo_schedule_stats_get(schedule);
    out->n_late = out->stats.n_written - n_written;
    out->n_steps = out->stats.n_steps;
    return ZOO_OK;
}

static zoo_status run_rows(bench *b, zoo_row *rows, uint32_t n, bench_round *out, zoo_error *err)
{
    zoo_schedule *schedule;
    ZOO_TRY(zoo_schedule_new(b->engine, NULL, &b->generation, &schedule, err));
    zoo_status status = zoo_schedule_speculate(schedule, &b->speculation, err);
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        status = zoo_schedule_add(schedule, &rows[i], err);
    }
    if (status == ZOO_OK) {
        status = run_schedule(b, schedule, n * rows[0].n_prompt, out, err);
    }
    zoo_schedule_free(schedule);
    for (uint32_t i = 0; i < n; i++) {
        if (status == ZOO_OK && rows[i].finish == ZOO_FINISH_FAILED) {
            *err = rows[i].error;
            status = (zoo_status)err->code;
        }
        zoo_row_free(&rows[i]);
    }
    return status;
}

static zoo_status run_round(bench *b, uint32_t n, uint32_t n_prompt, uint32_t n_new,
                            bench_round *out, zoo_error *err)
{
    zoo_row *rows = zoo_mem_array(n, sizeof *rows);
    int32_t *prompts = zoo_mem_array((size_t)n * n_prompt, sizeof *prompts);
    zoo_status status = rows && prompts ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    if (status == ZOO_OK) {
        fill_prompts(b, prompts, n, n_prompt);
        for (uint32_t i = 0; i < n; i++) {
            fill_row(&rows[i], prompts + (size_t)i * n_prompt, n_prompt, n_new);
        }
        status = run_rows(b, rows, n, out, err);
    }
    zoo_mem_free(rows);
    zoo_mem_free(prompts);
    return status;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double rate(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

/* Medians of tokens per second by one clock: prompt, generation and all tokens. */
static void print_rates(const bench_round *rounds, uint32_t n_rounds, double n_read, bool cpu)
{
    double read[ROUNDS_MAX], late[ROUNDS_MAX], all[ROUNDS_MAX];
    double least = INFINITY, most = 0;
    const char *prefix = cpu ? "cpu_" : "";
    for (uint32_t i = 0; i < n_rounds; i++) {
        const bench_round *r = &rounds[i];
        double t_read = cpu ? r->read.cpu : r->read.wall, t_all = cpu ? r->all.cpu : r->all.wall;
        read[i] = rate(n_read, t_read);
        late[i] = rate((double)r->n_late, t_all - t_read);
        all[i] = rate(n_read + (double)r->stats.n_written, t_all);
        least = all[i] < least ? all[i] : least;
        most = all[i] > most ? all[i] : most;
    }
    (void)printf(",\"%sprompt_tps\":%.2f,\"%sgen_tps\":%.2f,\"%stotal_tps\":%.2f", prefix,
                 median(read, n_rounds), prefix, median(late, n_rounds), prefix,
                 median(all, n_rounds));
    (void)printf(",\"%stotal_tps_range\":[%.2f,%.2f]", prefix, least, most);
}

/* Medians of the shares of the machine that matrix products used. */
static void print_shares(const bench *b, const bench_round *rounds, uint32_t n_rounds,
                         bool reads_once)
{
    double peak[ROUNDS_MAX], read[ROUNDS_MAX];
    for (uint32_t i = 0; i < n_rounds; i++) {
        const zoo_kernel_counts *t = &rounds[i].counts;
        double least = 0;
        for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
            least += rate((double)t->operations[kind], b->machine.peak[kind]);
        }
        peak[i] = rate(least, rounds[i].all.wall);
        read[i] = rate((double)t->bytes / b->machine.read, rounds[i].all.wall);
    }
    (void)printf(",\"peak_share\":%.3f", median(peak, n_rounds));
    if (reads_once) {
        (void)printf(",\"read_share\":%.3f", median(read, n_rounds));
    }
}

static void print_common(const bench *b, const char *test)
{
    const zoo_engine_options *o = &b->args->common.engine;
    const zoo_limits *l = zoo_engine_limits(b->engine);
    (void)printf("{\"tool\":\"lmzoo\",\"test\":\"%s\",\"weights\":\"%s\",\"cache\":\"%s\","
                 "\"isa\":\"%s\",\"threads\":%u",
                 test, o->weights, o->cache, zoo_engine_kernels(b->engine)->isa, l->n_threads);
}

static void print_end(const bench *b)
{
    (void)printf(",\"packed_bytes\":%llu,\"peak_bytes\":%llu}\n",
                 (unsigned long long)b->engine->model.stats.bytes_packed,
                 (unsigned long long)peak_memory());
    (void)fflush(stdout);
}

static zoo_status run_test(bench *b, const char *test, uint32_t n, uint32_t n_prompt,
                           uint32_t n_new, zoo_error *err)
{
    bench_round rounds[ROUNDS_MAX];
    memset(rounds, 0, sizeof rounds);
    uint32_t n_rounds = b->args->n_rounds;
    bool warms = strcmp(test, "batch") != 0;
    if (!strstr(b->args->tests, test)) {
        return ZOO_OK;
    }
    for (uint32_t i = 0; i < n_rounds + warms; i++) {
        /* the first round of the short tests is a warm-up */
        ZOO_TRY(run_round(b, n, n_prompt, n_new, &rounds[warms && i ? i - 1 : i], err));
    }
    print_common(b, test);
    (void)printf(",\"batch\":%u,\"prompt_tokens\":%u,\"new_tokens\":%u,\"shared_tokens\":%llu,"
                 "\"steps\":%llu,\"rounds\":%u",
                 n, n_prompt, n_new, (unsigned long long)rounds[0].stats.n_shared,
                 (unsigned long long)rounds[0].n_steps, n_rounds);
    if (b->speculation.kind != ZOO_SPECULATE_OFF) {
        (void)printf(",\"drafted_tokens\":%llu,\"accepted_tokens\":%llu",
                     (unsigned long long)rounds[0].stats.n_drafted,
                     (unsigned long long)rounds[0].stats.n_accepted);
    }
    print_rates(rounds, n_rounds, (double)n * n_prompt, false);
    print_rates(rounds, n_rounds, (double)n * n_prompt, true);
    if (b->args->machine) {
        print_shares(b, rounds, n_rounds, (uint64_t)n * n_prompt <= 64);
    }
    print_end(b);
    return ZOO_OK;
}

static zoo_status measure_machine(bench *b, zoo_error *err)
{
    zoo_model *model = &b->engine->model;
    ZOO_TRY(zoo_machine_measure(model->kernels, model->pool, &b->machine, err));
    model->kernels = b->engine->step.ctx.kernels = zoo_counting_kernels_wrap(model->kernels);
    print_common(b, "machine");
    const double *peak = b->machine.peak;
    (void)printf(",\"read_gb_s\":%.1f,\"f32_gop_s\":%.0f,\"bf16_gop_s\":%.0f,\"int8_gop_s\":%.0f,"
                 "\"int4_gop_s\":%.0f}\n",
                 b->machine.read * 1e-9, peak[ZOO_F32] * 1e-9, peak[ZOO_BF16] * 1e-9,
                 peak[ZOO_INT8] * 1e-9, peak[ZOO_INT4] * 1e-9);
    return ZOO_OK;
}

static zoo_status open_engines(bench *b, const char *folder, zoo_error *err)
{
    const zoo_engine_options *options = &b->args->common.engine;
    zoo_engine_options of_main;
    if (!options->predicts) {
        return zoo_engine_open(folder, options, &b->engine, err);
    }
    ZOO_TRY(zoo_chat_model_open_layers(folder, options, &of_main, &b->speculation.draft, err));
    ZOO_TRY(zoo_engine_open(folder, &of_main, &b->engine, err));
    return zoo_chat_model_join_layers(b->engine, b->speculation.draft, folder, err);
}

static zoo_status prepare_drafts(bench *b, zoo_error *err)
{
    (void)zoo_speculate_read(b->args->common.speculate, &b->speculation.kind);
    b->speculation.n_always = b->args->common.n_drafts;
    b->speculation.pool_bytes = zoo_session_drafts(&b->args->common);
    if (b->speculation.kind == ZOO_SPECULATE_OFF || b->speculation.n_always > 0) {
        return ZOO_OK;
    }
    if (b->speculation.draft) {
        ZOO_TRY(zoo_step_costs_measure(b->speculation.draft, &b->speculation.draft_costs, err));
    }
    return zoo_step_costs_measure(b->engine, &b->speculation.costs, err);
}

static zoo_status run_tests(bench *b, zoo_error *err)
{
    const bench_args *a = b->args;
    ZOO_TRY(prepare_drafts(b, err));
    if (a->machine) {
        ZOO_TRY(measure_machine(b, err));
    }
    ZOO_TRY(run_test(b, "prefill", 1, a->n_prefill, 1, err));
    ZOO_TRY(run_test(b, "decode", 1, 1, a->n_decode, err));
    return run_test(b, "batch", a->n_batch, a->n_prompt, a->n_new, err);
}

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("bench", err, code);
}

static int run_model(const bench_args *a)
{
    bench b = {.args = a, .state = a->seed};
    char folder[4096];
    zoo_error err = {0};
    bench_time begin = now();
    zoo_status status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &err);
    if (status == ZOO_OK) {
        status = open_engines(&b, folder, &err);
    }
    if (status != ZOO_OK) {
        zoo_engine_close(b.engine);
        zoo_engine_close(b.speculation.draft);
        return fail(&err, zoo_exit_code_model(status));
    }
    bench_time load = since(begin, 1);
    print_common(&b, "load");
    (void)printf(",\"seconds\":%.3f,\"cpu_seconds\":%.3f", load.wall, load.cpu);
    print_end(&b);
    status = run_tests(&b, &err);
    zoo_engine_close(b.engine);
    zoo_engine_close(b.speculation.draft);
    return status == ZOO_OK ? 0 : fail(&err, zoo_exit_code(status));
}

static const zoo_option options[] = {
    {"--batch", 'b', ZOO_OPTION_COUNT, offsetof(bench_args, n_batch), "N",
     "sequences of the batch (32)"},
    {"--prompt", 0, ZOO_OPTION_COUNT, offsetof(bench_args, n_prompt), "N",
     "prompt tokens of each (64)"},
    {"--new", 'n', ZOO_OPTION_COUNT, offsetof(bench_args, n_new), "N", "new tokens of each (32)"},
    {"--shared", 0, ZOO_OPTION_COUNT, offsetof(bench_args, n_shared), "N",
     "tokens that all prompts of the batch begin with (0)"},
    {"--prefill", 0, ZOO_OPTION_COUNT, offsetof(bench_args, n_prefill), "N",
     "tokens of the one prompt (512)"},
    {"--decode", 0, ZOO_OPTION_COUNT, offsetof(bench_args, n_decode), "N",
     "tokens of the one sequence (32)"},
    {"--rounds", 'r', ZOO_OPTION_COUNT, offsetof(bench_args, n_rounds), "N",
     "rounds of each test; medians are printed (3)"},
    {"--tests", 0, ZOO_OPTION_TEXT, offsetof(bench_args, tests), "LIST",
     "of prefill,decode,batch (all)"},
    {"--seed", 0, ZOO_OPTION_SEED, offsetof(bench_args, seed), "S", "of the random tokens (1)"},
    {"--machine", 0, ZOO_OPTION_FLAG, offsetof(bench_args, machine), NULL,
     "also measure the machine, and report shares of its limits"},
    ZOO_OPTIONS_SPECULATE("off, as random tokens are not like text"),
    ZOO_OPTIONS_END};

static zoo_status judge_args(const bench_args *a, zoo_error *err)
{
    const uint32_t counts[] = {a->n_batch,   a->n_prompt, a->n_new,
                               a->n_prefill, a->n_decode, a->n_rounds};
    for (size_t i = 0; i < ZOO_COUNT(counts); i++) {
        if (counts[i] == 0 || counts[i] > 1 << 20) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "--batch, --prompt and the other counts go from 1 to %d", 1 << 20);
        }
    }
    if (a->n_rounds > ROUNDS_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "--rounds goes up to %d", ROUNDS_MAX);
    }
    if ((uint64_t)a->n_batch * a->n_prompt > UINT32_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "--batch times --prompt is more than a run counts");
    }
    return ZOO_OK;
}

static int run(void *args)
{
    bench_args *a = args;
    zoo_error err = {0};
    if (judge_args(a, &err) != ZOO_OK) {
        return fail(&err, 2);
    }
    a->common.engine.reserve = zoo_session_drafts(&a->common);
    a->common.engine.seqs_max = a->common.engine.seqs_max ? a->common.engine.seqs_max : a->n_batch;
    return run_model(a);
}

static const bench_args defaults = {.common = {.speculate = "off"},
                                    .n_batch = 32,
                                    .n_prompt = 64,
                                    .n_new = 32,
                                    .n_prefill = 512,
                                    .n_decode = 32,
                                    .n_rounds = 3,
                                    .tests = "prefill,decode,batch",
                                    .seed = 1};

const zoo_command zoo_command_bench = {
    .name = "bench",
    .arguments = "MODEL [options]",
    .summary = "tokens a second: one prompt, one sequence, a batch",
    .text = "Times loading, one prompt, one sequence and a batch of random tokens. One JSON object "
            "a line: of loading, of the machine with --machine, and of each test.",
    .example = "lmzoo bench ./model --tests batch --batch 64",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(bench_args),
    .defaults = &defaults,
    .run = run};
