/* cmd_batch.c: the command line of `batch` (batch.h). */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_hash.h"
#include "base/shard.h"
#include "batch/batch.h"
#include "batch/validate.h"
#include "checkpoint/hub.h"
#include "cluster/cluster.h"
#include "commands/commands.h"
#include "commands/session.h"
#include "model/ring.h"

static volatile sig_atomic_t caught, is_orderly, shows_now;

/* While rows run, the first signal ends the run in an orderly way; before that, exiting loses
 * nothing. A second one ends the program at once. */
static void on_signal(int number)
{
    caught = number;
    if (!is_orderly) {
        _exit(128 + number);
    }
}

static void on_usr1(int number)
{
    (void)number;
    shows_now = 1;
}

static void catch_signals(void)
{
    struct sigaction action;
    zoo_session_signals(on_signal);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_usr1;
    action.sa_flags = SA_RESTART;
    (void)sigaction(SIGUSR1, &action, NULL);
}

typedef struct zoo_batch_args {
    zoo_common common;
    const char *input, *output, *errors, *now, *order, *progress, *summary, *metrics, *shard;
    uint64_t seed, limit, errors_max;
    double row_timeout;
    bool restart, retry_errors, validate, cached_tokens, mpi;
} zoo_batch_args;

static const zoo_option options[] = {
    {"--input", 'i', ZOO_OPTION_TEXT, offsetof(zoo_batch_args, input), "FILE",
     "requests, one JSON object a line; may be gzip or zstd; - is stdin"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(zoo_batch_args, output), "FILE",
     "results; an interrupted run goes on from them; - is stdout, without resuming"},
    {"--errors", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, errors), "FILE",
     "refused lines (beside the results: x.errors.jsonl)"},
    {"--seed", 0, ZOO_OPTION_SEED, offsetof(zoo_batch_args, seed), "S",
     "for requests without one (0)"},
    {"--now", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, now), "TIME",
     "what chat templates see as the time, as 2026-01-02T03:04:05"},
    {"--restart", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, restart), NULL,
     "start again, replacing old results"},
    {"--retry-errors", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, retry_errors), NULL,
     "try the lines of the errors file again"},
    {"--validate", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, validate), NULL,
     "check the file and estimate the time; nothing is run, and only --errors is written"},
    {"--limit", 0, ZOO_OPTION_SEED, offsetof(zoo_batch_args, limit), "N",
     "stop after N more rows (0: all)"},
    {"--max-errors", 0, ZOO_OPTION_SEED, offsetof(zoo_batch_args, errors_max), "N",
     "stop when more than N lines are refused (0: never)"},
    {"--row-timeout", 0, ZOO_OPTION_NUMBER, offsetof(zoo_batch_args, row_timeout), "SECONDS",
     "limit for preparing a row, and for running it; then it is refused (0: none)"},
    {"--shard", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, shard), "I/N",
     "only the rows whose line number modulo N is I; lmzoo merge joins the shards"},
    {"--mpi", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, mpi), NULL,
     "distribute rows over all ranks that mpirun or srun started; under mpirun this is the default "
     "without --shard"},
    {"--order", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, order), "done|input",
     "results as they are done, or in the order of the input (done)"},
    {"--progress", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, progress), "text|json",
     "form of progress reports on stderr; SIGUSR1 prints one (text)"},
    {"--summary", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, summary), "FILE",
     "the end of the run as a JSON object"},
    {"--metrics-file", 0, ZOO_OPTION_TEXT, offsetof(zoo_batch_args, metrics), "FILE",
     "Prometheus's text form, kept up to date while the run goes on"},
    {"--cached-tokens", 0, ZOO_OPTION_FLAG, offsetof(zoo_batch_args, cached_tokens), NULL,
     "usage counts prompt tokens shared with other rows and draft tokens; lines then depend on "
     "what ran together"},
    ZOO_OPTIONS_PIPELINE,
    ZOO_OPTIONS_SPECULATE("text"),
    ZOO_OPTIONS_DRAFT,
    ZOO_OPTIONS_END};

static const zoo_batch_args defaults = {.common = {.speculate = "text"}};

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
    if (t->stats.n_drafted > 0) {
        (void)fprintf(stderr, "%llu of %llu draft tokens were accepted, in %llu steps\n",
                      (unsigned long long)t->stats.n_accepted,
                      (unsigned long long)t->stats.n_drafted, (unsigned long long)t->stats.n_steps);
    }
    if (t->is_limited) {
        (void)fprintf(stderr, "--limit or --max-errors ended the run\n");
    }
    if (zoo_journal_n_errors(journal) + t->n_errors > 0) {
        (void)fprintf(stderr, "errors: %s\n", zoo_journal_errors_path(journal));
    }
    if (t->interrupted) {
        (void)fprintf(stderr, "the same command resumes from here: %s\n", a->output);
    }
}

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("batch", err, code);
}

/* A run from its files on. */
typedef struct batch_run {
    const zoo_batch_args *a;
    const char *folder;
    zoo_input *input;
    zoo_shard shard; /* n 0: all rows */
    zoo_line_source source;
    zoo_journal *journal;
    zoo_journal_key key;
    zoo_clock now;
    uint64_t n_lines;
    zoo_progress_options progress;
    zoo_cluster cluster; /* link null: this process alone */
} batch_run;

static const char *or_default(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static zoo_batch_job job_of(const batch_run *r, const zoo_chat_model *loaded)
{
    const zoo_batch_args *a = r->a;
    /* One row is made ready at a time; what it works with is kept for the next. */
    const size_t row_least = (size_t)8 << 20;
    size_t share = zoo_session_share(&a->common.engine);
    return (zoo_batch_job){.input = r->input,
                           .source = r->shard.n > 0 ? &r->source : NULL,
                           .input_name = a->input,
                           .input_hash = r->key.requests,
                           .loaded = loaded,
                           .journal = r->journal,
                           .n_lines = r->n_lines,
                           .stop = &caught,
                           .progress = &r->progress,
                           .shows_cached = a->cached_tokens,
                           .in_order = strcmp(or_default(a->order, "done"), "input") == 0,
                           .line_bytes_max = share > row_least ? share : row_least,
                           .lines_bytes_max = share,
                           .row_seconds_max = a->row_timeout,
                           .rows_max = a->limit,
                           .errors_max = a->errors_max};
}

static zoo_status write_summary(const batch_run *r, const zoo_batch_totals *t, const char *state,
                                zoo_error *err)
{
    zoo_out out = {0};
    zoo_progress p;
    FILE *file = r->a->summary ? fopen(r->a->summary, "we") : NULL;
    if (!r->a->summary) {
        return ZOO_OK;
    }
    zoo_progress_begin(&p, &r->progress, r->journal, r->n_lines);
    p.started -= t->seconds;
    zoo_progress_json(&p, t, state, &out);
    zoo_out_text(&out, "\n");
    bool ok = file && !out.failed && fwrite(out.data, 1, out.n, file) == out.n;
    ok = file && fclose(file) == 0 && ok;
    zoo_out_free(&out);
    return ok ? ZOO_OK
              : zoo_fail(err, ZOO_E_IO, "%s: %s", r->a->summary, strerror(errno ? errno : EIO));
}

static int judge_end(const batch_run *r, const zoo_batch_totals *t, zoo_status status,
                     zoo_error *err)
{
    const char *state = status != ZOO_OK ? "failed"
                        : t->interrupted ? "interrupted"
                        : t->is_limited  ? "limited"
                                         : "ended";
    zoo_error ignored;
    zoo_status summed = write_summary(r, t, state, status == ZOO_OK ? err : &ignored);
    status = status == ZOO_OK ? summed : status;
    if (status != ZOO_OK) {
        return fail(err, status == ZOO_E_USAGE ? 2 : 4);
    }
    if (t->interrupted) {
        return 128 + (int)caught;
    }
    return zoo_journal_n_errors(r->journal) + t->n_errors > 0 ? 1 : 0;
}

/* The model is open. */
static int run_open(batch_run *r, const zoo_chat_model *loaded)
{
    zoo_batch_totals totals = {0};
    zoo_error err = {0};
    zoo_batch_job job = job_of(r, loaded);
    zoo_session_engine(loaded->engine, &r->key);
    zoo_status status = zoo_journal_set_engine(r->journal, &r->key, &err);
    if (status == ZOO_OK) {
        status = zoo_journal_keep(r->journal, &caught, &err);
    }
    if (status == ZOO_OK) {
        is_orderly = 1;
        status = r->cluster.link ? zoo_cluster_deal(&r->cluster, &job, &r->key, &totals, &err)
                                 : zoo_batch_run(&job, &totals, &err);
        summarise(r->a, r->journal, r->n_lines, &totals);
    }
    return judge_end(r, &totals, status, &err);
}

/* A rank that rank 0 deals rows to; the model is open. */
static int run_rank(batch_run *r, const zoo_chat_model *loaded)
{
    zoo_error err = {0};
    zoo_batch_job job = job_of(r, loaded);
    job.progress = NULL;
    job.input_hash = NULL;
    job.rows_max = job.errors_max = 0;
    zoo_session_engine(loaded->engine, &r->key);
    is_orderly = 1;
    zoo_status status = zoo_cluster_work(&r->cluster, &job, &r->key, &r->now, &err);
    if (caught) {
        return 128 + (int)caught;
    }
    return status == ZOO_OK || status == ZOO_E_CANCELLED ? 0 : fail(&err, zoo_exit_code(status));
}

static int run_validation(const batch_run *r, const zoo_chat_model *loaded)
{
    zoo_batch_job job = job_of(r, loaded);
    zoo_validation v;
    zoo_error err = {0};
    FILE *errors = r->a->errors ? fopen(r->a->errors, "wxe") : NULL;
    if (r->a->errors && !errors) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "%s: %s", r->a->errors, strerror(errno));
        return fail(&err, 2);
    }
    zoo_status status = zoo_batch_validate(&job, errors, stderr, &v, &err);
    if (errors && fclose(errors) != 0 && status == ZOO_OK) {
        status = zoo_fail(&err, ZOO_E_IO, "%s: %s", r->a->errors, strerror(errno));
    }
    if (status != ZOO_OK) {
        return fail(&err, 4);
    }
    zoo_validation_print(&v, stdout);
    return v.interrupted ? 128 + (int)caught : v.n_bad > 0 ? 1 : 0;
}

/* Merged shards must equal one run, so no shard may see a time of its own. */
static zoo_status reads_time(const batch_run *r, const zoo_chat_model *loaded, zoo_error *err)
{
    if (r->shard.n == 0 || r->a->now || !loaded->chat ||
        !zoo_template_mentions(loaded->chat, "strftime_now")) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_USAGE,
                    "the chat template of %s reads the time: give all shards the same --now",
                    r->folder);
}

static int run_model(batch_run *r)
{
    const zoo_batch_args *a = r->a;
    zoo_chat_model loaded;
    zoo_error err = {0};
    zoo_engine_options engine = a->common.engine;
    uint64_t n_old =
        r->journal ? zoo_journal_n_results(r->journal) + zoo_journal_n_errors(r->journal) : 0;
    zoo_batch_totals nothing = {0};
    if (n_old > 0 && n_old == r->n_lines) {
        summarise(a, r->journal, r->n_lines, &nothing);
        return judge_end(r, &nothing, ZOO_OK, &err);
    }
    engine.reserve = 3 * zoo_session_share(&engine) + zoo_session_drafts(&a->common);
    zoo_status status = zoo_chat_model_open_with(r->folder, a->common.draft,
                                                 a->common.draft_weights, &engine, &loaded, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    if (loaded.note[0] && !engine.quiet && r->cluster.rank == 0) {
        (void)fprintf(stderr, "lmzoo batch: %s\n", loaded.note);
    }
    if (reads_time(r, &loaded, &err) != ZOO_OK) {
        zoo_chat_model_close(&loaded);
        return fail(&err, 2);
    }
    if (!a->validate) {
        status = zoo_chat_model_speculate(&loaded, a->common.speculate, a->common.n_drafts,
                                          zoo_session_drafts(&a->common), &err);
    }
    if (status != ZOO_OK) {
        zoo_chat_model_close(&loaded);
        return fail(&err, 4);
    }
    zoo_chat_model_limit(&loaded, zoo_session_share(&engine));
    loaded.context.now = &r->now;
    loaded.context.seed = a->seed;
    loaded.context.usual_max = 16;
    int code = a->validate           ? run_validation(r, &loaded)
               : r->cluster.rank > 0 ? run_rank(r, &loaded)
                                     : run_open(r, &loaded);
    zoo_chat_model_close(&loaded);
    return code;
}

static void name_time(const zoo_batch_args *a, batch_run *r)
{
    if (r->shard.n == 0) {
        zoo_session_time(r->key.now); /* shards start at different times */
    }
    if (a->now) {
        (void)snprintf(r->key.now, sizeof r->key.now, "%s", a->now);
    }
}

/* The parts of the key that are known before the model is open. */
static zoo_status name_run(batch_run *r, zoo_error *err)
{
    ZOO_TRY(zoo_journal_hash_model(r->folder, r->key.model, err));
    zoo_session_options(&r->a->common, r->a->seed, r->key.options);
    if (r->shard.n > 0) {
        (void)snprintf(r->key.shard, sizeof r->key.shard, "%llu/%llu",
                       (unsigned long long)r->shard.i, (unsigned long long)r->shard.n);
    }
    (void)zoo_file_hash("/proc/self/exe", r->key.build, sizeof r->key.build);
    return ZOO_OK;
}

/* The input is open and hashed. */
static int run_journal(batch_run *r)
{
    const zoo_batch_args *a = r->a;
    const char *others[5] = {a->input, a->summary, a->metrics, NULL};
    if (!a->summary) {
        others[1] = a->metrics;
        others[2] = NULL;
    }
    zoo_journal_paths paths = {.results = a->output,
                               .errors = a->errors,
                               .others = others,
                               .restart = a->restart,
                               .retry_errors = a->retry_errors};
    zoo_error err = {0};
    zoo_status status = name_run(r, &err);
    if (status != ZOO_OK) {
        return fail(&err, 3);
    }
    status = zoo_progress_judge_files(a->input, a->summary, a->metrics, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code(status));
    }
    status = zoo_journal_open(&paths, &r->key, &r->journal, &err);
    if (status != ZOO_OK) {
        return fail(&err, status == ZOO_E_FORMAT ? 2 : zoo_exit_code(status));
    }
    (void)zoo_clock_parse(r->key.now, &r->now);
    int code = run_model(r);
    status = zoo_journal_close(r->journal, &err);
    return status == ZOO_OK ? code : fail(&err, 4);
}

/* A shard knows its lines from an index of the whole file. */
static zoo_status open_shard(batch_run *r, zoo_error *err)
{
    bool is_kept;
    zoo_shard *s = &r->shard;
    s->input = r->input;
    s->name = r->a->input;
    ZOO_TRY(zoo_line_index_open(r->input, r->a->input, &is_kept, &s->index, err));
    if (!is_kept && !r->a->common.engine.quiet) {
        (void)fprintf(stderr,
                      "lmzoo batch: no index can be kept beside %s; each shard reads the whole "
                      "file\n",
                      r->a->input);
    }
    ZOO_TRY(zoo_shard_init(s, err));
    ZOO_TRY(zoo_shard_count(s, &r->n_lines, err));
    r->source = zoo_shard_source(s);
    (void)snprintf(r->key.requests, sizeof r->key.requests, "%s", zoo_line_index_hash(s->index));
    return ZOO_OK;
}

static zoo_status open_input(batch_run *r, zoo_error *err)
{
    char path[PATH_MAX];
    ZOO_TRY(zoo_input_open(r->a->input, &caught, &r->input, err));
    if (realpath(r->a->input, path) && strlen(path) < sizeof r->key.input) {
        memcpy(r->key.input, path, strlen(path) + 1);
    }
    if (r->shard.n > 0) {
        return open_shard(r, err);
    }
    ZOO_TRY(zoo_input_scan(r->input, err));
    zoo_input_hash(r->input, r->key.requests);
    r->n_lines = zoo_input_n_lines(r->input);
    return ZOO_OK;
}

static void close_input(batch_run *r)
{
    zoo_line_index_close(r->shard.index);
    zoo_input_close(r->input);
}

static int run_input(batch_run *r)
{
    zoo_error err = {0};
    int code;
    zoo_status status = open_input(r, &err);
    if (status != ZOO_OK) {
        close_input(r);
        return fail(&err, status == ZOO_E_FORMAT ? 2 : 4);
    }
    name_time(r->a, r);
    if (r->a->validate) {
        (void)zoo_clock_parse(r->key.now, &r->now);
        code = run_model(r);
    } else {
        code = run_journal(r);
    }
    close_input(r);
    return code;
}

/* If one rank fails, all ranks end. */
static int leave_ranks(batch_run *r, int code)
{
    if (!r->cluster.link) {
        return code;
    }
    if (code == 0 || (code == 1 && r->cluster.rank == 0)) {
        zoo_cluster_leave(&r->cluster);
        return code;
    }
    if (r->cluster.rank > 0 && code > 128) {
        (void)sleep(2); /* rank 0 has the signal too, and closes its files first */
    }
    zoo_cluster_abort(&r->cluster, code);
    return code;
}

/* All ranks are given the same files, though only rank 0 opens them. */
static void name_files(batch_run *r)
{
    const char *in = r->a->input, *out = r->a->output;
    zoo_id id = zoo_id_of(in, strlen(in), zoo_id_of(out, strlen(out), 0).part[0]);
    (void)snprintf(r->cluster.files, sizeof r->cluster.files, "%016llx",
                   (unsigned long long)id.part[0]);
}

static int run_ranks(batch_run *r)
{
    zoo_error err = {0};
    zoo_status status = zoo_cluster_join("mpi", &r->cluster, &err);
    if (status != ZOO_OK) {
        r->cluster.link = NULL;
        return fail(&err, 4);
    }
    name_files(r);
    if (r->cluster.rank == 0) {
        return leave_ranks(r, run_input(r));
    }
    status = name_run(r, &err);
    return leave_ranks(r, status == ZOO_OK ? run_model(r) : fail(&err, 3));
}

static bool is_one_of(const char *text, const char *one, const char *other)
{
    return !text || strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static zoo_status judge_args(const zoo_batch_args *a, zoo_shard *shard, zoo_error *err)
{
    zoo_clock clock;
    if (a->shard) {
        ZOO_TRY(zoo_shard_read(a->shard, &shard->i, &shard->n, err));
    }
    if (!a->input || (!a->output && !a->validate)) {
        return zoo_fail(err, ZOO_E_USAGE, "usage: lmzoo batch %s", zoo_command_batch.arguments);
    }
    if (a->now && !zoo_clock_parse(a->now, &clock)) {
        return zoo_fail(err, ZOO_E_USAGE, "--now needs a time as 2026-01-02T03:04:05");
    }
    if (!is_one_of(a->order, "done", "input")) {
        return zoo_fail(err, ZOO_E_USAGE, "--order must be done or input, not \"%.40s\"", a->order);
    }
    if (!is_one_of(a->progress, "text", "json")) {
        return zoo_fail(err, ZOO_E_USAGE, "--progress must be text or json, not \"%.40s\"",
                        a->progress);
    }
    if (a->mpi && a->validate) {
        return zoo_fail(err, ZOO_E_USAGE, "--validate is done by one process, without --mpi");
    }
    if (a->common.pipeline && (a->mpi || a->validate)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--pipeline goes with neither --mpi nor --validate: the "
                        "ranks have parts of one model");
    }
    if (a->row_timeout < 0.0) {
        return zoo_fail(err, ZOO_E_USAGE, "--row-timeout must not be below 0");
    }
    return ZOO_OK;
}

static int run(void *args)
{
    const zoo_batch_args *a = args;
    zoo_error err = {0};
    char folder[4096];
    batch_run r = {.a = a, .folder = folder};
    zoo_status status = judge_args(a, &r.shard, &err);
    if (status != ZOO_OK) {
        return fail(&err, 2);
    }
    status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    catch_signals();
    r.progress = (zoo_progress_options){.shows = !a->common.engine.quiet,
                                        .is_terminal = isatty(STDERR_FILENO) != 0,
                                        .as_json = a->progress && strcmp(a->progress, "json") == 0,
                                        .metrics = a->metrics,
                                        .wanted = &shows_now};
    if (a->common.pipeline) {
        if (a->common.engine.ring) {
            a->common.engine.ring->stop = &caught;
        }
        return run_input(&r);
    }
    bool understood = zoo_cluster_is_launched() && !a->validate && !a->shard;
    return a->mpi || understood ? run_ranks(&r) : run_input(&r);
}

const zoo_command zoo_command_batch = {
    .name = "batch",
    .arguments = "MODEL -i requests.jsonl -o results.jsonl [options]",
    .summary = "a file of requests; resumes where it was interrupted",
    .text = "Runs OpenAI batch lines. Each result is written as soon as it is done; the same "
            "command after an interruption does the rest.\n\n"
            "Exit codes: 0 all done, 1 some rows refused, 2 usage, 3 model refused, "
            "4 environment; 128 and the signal's number when it was interrupted.",
    .example = "lmzoo batch ./model -i requests.jsonl -o results.jsonl",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(zoo_batch_args),
    .defaults = &defaults,
    .run = run};
