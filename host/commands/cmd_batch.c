/* cmd_batch.c: the command line of `batch` (batch.h). */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "batch/batch.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* The first signal ends the run in order, a second one at once. */
static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

typedef struct zoo_batch_args {
    zoo_common common;
    const char *input, *output, *errors, *now;
    uint64_t seed;
    bool restart;
} zoo_batch_args;

static const zoo_option options[] = {
    {"--input", 'i', ZOO_OPTION_TEXT, offsetof(zoo_batch_args, input), "FILE",
     "requests, one JSON object a line"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(zoo_batch_args, output), "FILE",
     "results; an interrupted run goes on from them"},
    {"--errors", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, errors), "FILE",
     "refused lines (beside the results: x.errors.jsonl)"},
    {"--seed", 0, ZOO_OPTION_SEED, offsetof(zoo_batch_args, seed), "S",
     "for requests that bring none (0)"},
    {"--now", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, now), "TIME",
     "what chat templates see as the time, as 2026-01-02T03:04:05"},
    {"--restart", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, restart), NULL,
     "begin anew, replacing old results"},
    ZOO_OPTIONS_END};

/* What can change a result, as text; threads and sizes of steps cannot. */
static void describe(const zoo_batch_args *a, char text[400])
{
    const zoo_engine_options *e = &a->common.engine;
    size_t n =
        (size_t)snprintf(text, 400, "lmzoo %s weights=%s cache=%s isa=%s context=%u seed=%llu",
                         LMZOO_VERSION, e->weights, e->cache, e->isa ? e->isa : "best",
                         e->context_max, (unsigned long long)a->seed);
    for (uint32_t i = 0; i < a->common.allow_unknown.n && n < 400; i++) {
        n += (size_t)snprintf(text + n, 400 - n, " allow=%s", a->common.allow_unknown.items[i]);
    }
}

static void local_time(char text[24])
{
    time_t now = time(NULL);
    struct tm parts;
    if (!localtime_r(&now, &parts) || strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        (void)snprintf(text, 24, "1970-01-01T00:00:00");
    }
}

static void summarise(const zoo_batch_args *a, const zoo_journal *journal, uint64_t n_lines,
                      const zoo_batch_totals *t)
{
    uint64_t old = zoo_journal_n_results(journal) + zoo_journal_n_errors(journal);
    double seconds = t->seconds > 1e-9 ? t->seconds : 1e-9;
    (void)fprintf(stderr, "%s%llu of %llu rows: %llu results, %llu errors",
                  t->interrupted ? "interrupted after " : "",
                  (unsigned long long)(old + t->n_results + t->n_errors),
                  (unsigned long long)n_lines,
                  (unsigned long long)(zoo_journal_n_results(journal) + t->n_results),
                  (unsigned long long)(zoo_journal_n_errors(journal) + t->n_errors));
    if (old > 0) {
        (void)fprintf(stderr, " (%llu rows were done before)", (unsigned long long)old);
    }
    (void)fprintf(stderr,
                  "; %llu prompt tokens read and %llu shared, %llu new tokens in %.2f s: %.1f new, "
                  "%.1f in all a second\n",
                  (unsigned long long)t->stats.n_read, (unsigned long long)t->stats.n_shared,
                  (unsigned long long)t->stats.n_written, t->seconds,
                  (double)t->stats.n_written / seconds,
                  (double)(t->stats.n_written + t->stats.n_read + t->stats.n_shared) / seconds);
    if (zoo_journal_n_errors(journal) + t->n_errors > 0) {
        (void)fprintf(stderr, "errors: %s\n", zoo_journal_errors_path(journal));
    }
    if (t->interrupted) {
        (void)fprintf(stderr, "the same command goes on from here: %s\n", a->output);
    }
}

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("batch", err, code);
}

/* The model is open. */
static int run_open(const zoo_batch_args *a, zoo_loaded *loaded, zoo_journal *journal,
                    uint64_t n_lines)
{
    zoo_batch_totals totals;
    zoo_error err = {0};
    zoo_batch_job job = {.input = a->input,
                         .loaded = loaded,
                         .journal = journal,
                         .n_lines = n_lines,
                         .stop = &caught,
                         .shows_progress = isatty(STDERR_FILENO) && !a->common.engine.quiet};
    zoo_status status = zoo_journal_set_isa(journal, zoo_engine_kernels(loaded->engine)->isa, &err);
    if (status == ZOO_OK) {
        status = zoo_batch_run(&job, &totals, &err);
        summarise(a, journal, n_lines, &totals);
    }
    if (status != ZOO_OK) {
        return fail(&err, status == ZOO_E_USAGE ? 2 : 4);
    }
    if (totals.interrupted) {
        return 128 + (int)caught;
    }
    return zoo_journal_n_errors(journal) + totals.n_errors > 0 ? 1 : 0;
}

static int run_model(const zoo_batch_args *a, const char *folder, zoo_journal *journal,
                     const zoo_clock *now, uint64_t n_lines)
{
    zoo_loaded loaded;
    zoo_error err = {0};
    uint64_t n_old = zoo_journal_n_results(journal) + zoo_journal_n_errors(journal);
    zoo_batch_totals nothing = {0};
    zoo_status status;
    int code;
    if (n_old > 0 && n_old == n_lines) {
        summarise(a, journal, n_lines, &nothing);
        return zoo_journal_n_errors(journal) > 0 ? 1 : 0;
    }
    status = zoo_loaded_open(folder, &a->common.engine, &loaded, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    if (loaded.note[0] && !a->common.engine.quiet) {
        (void)fprintf(stderr, "lmzoo batch: %s\n", loaded.note);
    }
    loaded.context.now = now;
    loaded.context.seed = a->seed;
    loaded.context.usual_max = 16;
    code = run_open(a, &loaded, journal, n_lines);
    zoo_loaded_close(&loaded);
    return code;
}

static int run_journal(const zoo_batch_args *a, const char *folder)
{
    zoo_journal_key key = {{0}, {0}, {0}, {0}, {0}};
    zoo_journal_paths paths = {a->output, a->errors, a->restart};
    zoo_journal *journal = NULL;
    zoo_error err = {0};
    zoo_clock now;
    uint64_t n_lines;
    zoo_status status = zoo_journal_hash_lines(a->input, key.requests, &n_lines, &err);
    int code;
    if (status != ZOO_OK) {
        return fail(&err, 4);
    }
    status = zoo_journal_hash_model(folder, key.model, &err);
    if (status != ZOO_OK) {
        return fail(&err, 3);
    }
    describe(a, key.options);
    local_time(key.now);
    if (a->now) {
        (void)snprintf(key.now, sizeof key.now, "%s", a->now);
    }
    status = zoo_journal_open(&paths, &key, &journal, &err);
    if (status != ZOO_OK) {
        return fail(&err, status == ZOO_E_FORMAT ? 2 : zoo_exit_code(status));
    }
    memset(&now, 0, sizeof now);
    (void)zoo_clock_parse(key.now, &now);
    code = run_model(a, folder, journal, &now, n_lines);
    status = zoo_journal_close(journal, &err);
    return status == ZOO_OK ? code : fail(&err, 4);
}

static int run(void *args)
{
    const zoo_batch_args *a = args;
    zoo_error err = {0};
    char folder[4096];
    zoo_clock clock;
    if (!a->input || !a->output) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "usage: lmzoo batch %s", zoo_command_batch.arguments);
        return fail(&err, 2);
    }
    if (a->now && !zoo_clock_parse(a->now, &clock)) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--now needs a time as 2026-01-02T03:04:05");
        return fail(&err, 2);
    }
    zoo_status status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    catch_signals();
    return run_journal(a, folder);
}

const zoo_command zoo_command_batch = {
    .name = "batch",
    .arguments = "MODEL -i requests.jsonl -o results.jsonl [options]",
    .summary = "a file of requests; resumes where it was interrupted",
    .text = "Runs OpenAI batch lines. Results are written as soon as each is done; the same "
            "command after an interruption does what is left.\n\n"
            "Exit codes: 0 all done, 1 some rows refused, 2 usage, 3 model refused, "
            "4 environment; 128 and the signal's number when it was interrupted.",
    .example = "lmzoo batch ./model -i requests.jsonl -o results.jsonl",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(zoo_batch_args),
    .run = run};
