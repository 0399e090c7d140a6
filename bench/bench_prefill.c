/*
 * bench_prefill.c: time of reading a prompt relative to its matrix products.
 *
 *   bench_prefill MODEL [--tokens 2048] [--rounds 3] [common options: --weights, --isa, --max-rows]
 *
 * One thread reads a prompt of random ids in steps of --max-rows rows (512) through kernels that
 * count their time, in CPU time of the thread, which other programs disturb less than wall time.
 * Prints one JSON line for the round of the least ratio: seconds of the whole, of the gemm slot
 * alone (the time that the same multiply-adds take by themselves), whole / gemm, and the share of
 * each group of kernels; "other" is what no timed slot took. What it will not do: several threads.
 */
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands/commands.h"
#include "engine/engine_private.h"

enum { GEMM, PREPARE, SSM, SCAN, DELTA, CONV, ATTEND, N_GROUPS };

static const char *const names[N_GROUPS] = {"gemm",  "prepare", "ssm",   "scan",
                                            "delta", "conv",    "attend"};

static const zoo_kernels *plain;
static double spent[N_GROUPS];

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define TIMED(name, type, group, slot)                                                             \
    static void name(const type *args)                                                             \
    {                                                                                              \
        double begin = now();                                                                      \
        plain->slot(args);                                                                         \
        spent[group] += now() - begin;                                                             \
    }                                                                                              \
    static void name(const type *args) /* takes the semicolon */

TIMED(timed_gemm, zoo_gemm, GEMM, gemm[args->weight->kind].gemm);
TIMED(timed_ssm, zoo_ssm_args, SSM, ssm);
TIMED(timed_scan, zoo_scan_args, SCAN, scan);
TIMED(timed_delta, zoo_delta_args, DELTA, delta);
TIMED(timed_conv, zoo_conv_args, CONV, conv);
TIMED(timed_attend, zoo_attend_args, ATTEND, attend);

static void timed_prepare(const float *x, size_t x_stride, uint32_t n_rows,
                          const zoo_weight *weight, void *out)
{
    double begin = now();
    plain->gemm[weight->kind].prepare(x, x_stride, n_rows, weight, out);
    spent[PREPARE] += now() - begin;
}

static zoo_kernels timed_kernels(const zoo_kernels *kernels)
{
    zoo_kernels timed = *kernels;
    plain = kernels;
    timed.ssm = timed_ssm;
    timed.scan = timed_scan;
    timed.delta = timed_delta;
    timed.conv = timed_conv;
    timed.attend = timed_attend;
    for (uint32_t i = 0; i < ZOO_WEIGHT_KINDS; i++) {
        timed.gemm[i].gemm = timed_gemm;
        timed.gemm[i].prepare = timed_prepare;
    }
    return timed;
}

/* Seconds of one prompt; negative: failed. */
static double read_prompt(zoo_engine *e, const int32_t *tokens, uint32_t n_tokens, zoo_error *err)
{
    uint32_t seq, rows = e->model.limits.rows_max;
    if (zoo_engine_seq_open(e, n_tokens, n_tokens, &seq, err) != ZOO_OK) {
        return -1;
    }
    zoo_status status = ZOO_OK;
    double begin = now();
    for (uint32_t i = 0; i < n_tokens && status == ZOO_OK; i += rows) {
        zoo_item item = {.seq = seq,
                         .n = n_tokens - i < rows ? n_tokens - i : rows,
                         .tokens = tokens + i,
                         .want = ZOO_WANT_LAST};
        status = zoo_engine_step(e, &item, 1, err);
    }
    double seconds = now() - begin;
    zoo_engine_seq_close(e, seq);
    return status == ZOO_OK ? seconds : -1;
}

static void print(const zoo_engine *e, uint32_t n_tokens, double seconds, const double *groups)
{
    double other = seconds;
    (void)printf("{\"tokens\":%u,\"isa\":\"%s\",\"seconds\":%.3f,\"gemm_seconds\":%.3f,"
                 "\"ratio\":%.3f,\"share\":{",
                 n_tokens, e->model.kernels->isa, seconds, groups[GEMM], seconds / groups[GEMM]);
    for (uint32_t g = 0; g < N_GROUPS; g++) {
        (void)printf("\"%s\":%.3f,", names[g], groups[g] / seconds);
        other -= groups[g];
    }
    (void)printf("\"other\":%.3f}}\n", other / seconds);
}

static zoo_status run(zoo_engine *e, uint32_t n_tokens, uint32_t n_rounds, zoo_error *err)
{
    int32_t *tokens = malloc(n_tokens * sizeof *tokens);
    double best[N_GROUPS] = {0}, best_seconds = -1;
    if (!tokens) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %u tokens", n_tokens);
    }
    for (uint32_t i = 0; i < n_tokens; i++) {
        tokens[i] = (int32_t)(i * 37 % e->model.plan.vocab_size);
    }
    zoo_kernels timed = timed_kernels(e->model.kernels);
    e->step.ctx.kernels = &timed;
    for (uint32_t r = 0; r < n_rounds; r++) {
        memset(spent, 0, sizeof spent);
        double seconds = read_prompt(e, tokens, n_tokens, err);
        if (seconds < 0) {
            break;
        }
        if (best_seconds < 0 || seconds / spent[GEMM] < best_seconds / best[GEMM]) {
            best_seconds = seconds;
            memcpy(best, spent, sizeof best);
        }
    }
    e->step.ctx.kernels = plain;
    free(tokens);
    if (best_seconds > 0) {
        print(e, n_tokens, best_seconds, best);
    }
    return err->code;
}

/* The folder `name` beside that of the program. */
static const char *beside(const char *program, const char *name, char *path, size_t n)
{
    const char *slash = strrchr(program, '/');
    (void)snprintf(path, n, "%.*s/../%s", slash ? (int)(slash - program) : 1, slash ? program : ".",
                   name);
    return path;
}

typedef struct prefill_args {
    zoo_common common;
    uint32_t n_tokens, n_rounds;
} prefill_args;

static const zoo_option options[] = {
    {"--tokens", 0, ZOO_OPTION_COUNT, offsetof(prefill_args, n_tokens), "N",
     "tokens of the prompt (2048)"},
    {"--rounds", 'r', ZOO_OPTION_COUNT, offsetof(prefill_args, n_rounds), "N", "rounds (3)"},
    ZOO_OPTIONS_END};

static const char *program;

static int start(void *args)
{
    prefill_args *a = args;
    zoo_engine_options *o = &a->common.engine;
    char plugins[PATH_MAX], cards[PATH_MAX];
    zoo_error err = {0};
    zoo_engine *e = NULL;
    if (!a->n_tokens || !a->n_rounds) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--tokens and --rounds are 1 at least");
        return zoo_command_failed("bench_prefill", &err, 2);
    }
    if (!o->plugin_dir) {
        o->plugin_dir = beside(program, "plugins", plugins, sizeof plugins);
    }
    if (!o->card_dir) {
        o->card_dir = beside(program, "models.d", cards, sizeof cards);
    }
    o->n_threads = 1;
    o->context_max = a->n_tokens + 1;
    zoo_status status = zoo_engine_open(a->common.positional[0], o, &e, &err);
    if (status == ZOO_OK) {
        status = run(e, a->n_tokens, a->n_rounds, &err);
    }
    zoo_engine_close(e);
    return status == ZOO_OK ? 0 : zoo_command_failed("bench_prefill", &err, zoo_exit_code(status));
}

int main(int argc, char **argv)
{
    static const prefill_args defaults = {
        .common.engine = {.seqs_max = 1, .quiet = true}, .n_tokens = 2048, .n_rounds = 3};
    static const zoo_command command = {
        .name = "bench_prefill",
        .arguments = "MODEL [options]",
        .text = "Reading a prompt against its matrix products; one thread.",
        .options = options,
        .opens_model = true,
        .n_min = 1,
        .n_max = 1,
        .args_size = sizeof(prefill_args),
        .defaults = &defaults,
        .run = start};
    program = argv[0];
    return zoo_command_main(&command, argc, argv);
}
