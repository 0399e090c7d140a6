/*
 * cmd_status.c: lmzoo status RESULTS [--json]: how far a batch run is or was, even a killed one.
 *
 * Rows are counted in the files themselves; tokens, rate and what the run is doing come from the
 * progress line of the journal, which is at most a few seconds old while it runs. Nothing is
 * written, no lock is kept. Memory: one line of the errors file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "batch/journal.h"
#include "batch/result.h"
#include "commands/commands.h"

typedef struct zoo_status_args {
    zoo_common common;
    const char *errors;
    bool json;
} zoo_status_args;

static const zoo_option options[] = {
    {"--errors", 0, ZOO_OPTION_TEXT, offsetof(zoo_status_args, errors), "FILE",
     "refused lines, where the run had --errors"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(zoo_status_args, json), NULL, "one JSON object"},
    ZOO_OPTIONS_END};

typedef struct findings {
    char journal[4096], errors[4096];
    cJSON *progress; /* of the journal; null: none yet */
    bool is_running;
    uint64_t n_results, n_errors;
    uint64_t kinds[ZOO_RESULT_CODES];
} findings;

static double number_of(const findings *f, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(f->progress, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0.0;
}

static zoo_status read_journal(findings *f, zoo_error *err)
{
    char *text = NULL;
    size_t n = 0;
    cJSON *key = NULL;
    ZOO_TRY(zoo_file_read(f->journal, 1 << 16, &text, &n, err));
    const char *end = memchr(text, '\n', n);
    bool ours = end &&
                zoo_json_parse(text, (size_t)(end - text), f->journal, &key, NULL) == ZOO_OK &&
                cJSON_GetObjectItemCaseSensitive(key, "program");
    if (ours) {
        (void)zoo_json_parse(end + 1, n - (size_t)(end + 1 - text), f->journal, &f->progress, NULL);
    }
    cJSON_Delete(key);
    zoo_mem_free(text);
    return ours ? ZOO_OK
                : zoo_fail(err, ZOO_E_FORMAT, "%s is not a journal of a batch run", f->journal);
}

/* A run holds the lock; it is given back at once. */
static bool is_locked(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return locked;
}

static void count_kind(findings *f, const char *line, size_t n)
{
    cJSON *tree = NULL;
    if (zoo_json_parse(line, n, "line", &tree, NULL) == ZOO_OK) {
        const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(tree, "error"), "code"));
        for (int i = 0; code && i < ZOO_RESULT_CODES; i++) {
            f->kinds[i] += strcmp(code, zoo_result_codes[i]) == 0;
        }
    }
    cJSON_Delete(tree);
}

static zoo_status count_errors(findings *f, zoo_error *err)
{
    FILE *file;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    if (access(f->errors, F_OK) != 0) {
        return ZOO_OK; /* a run without errors leaves none */
    }
    ZOO_TRY(zoo_file_stream(f->errors, &file, err));
    while ((n = getline(&line, &capacity, file)) > 0 && line[n - 1] == '\n') {
        f->n_errors++;
        count_kind(f, line, (size_t)n - 1);
    }
    free(line);
    (void)fclose(file);
    return ZOO_OK;
}

static zoo_status count_results(const char *path, uint64_t *count, zoo_error *err)
{
    FILE *file;
    char *bytes = zoo_mem_alloc(1 << 16);
    size_t n;
    if (!bytes) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory to read it", path);
    }
    zoo_status status = zoo_file_stream(path, &file, err);
    while (status == ZOO_OK && (n = fread(bytes, 1, 1 << 16, file)) > 0) {
        for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + n - at))); at++) {
            ++*count;
        }
    }
    if (status == ZOO_OK) {
        (void)fclose(file);
    }
    zoo_mem_free(bytes);
    return status;
}

/* A run that was killed could not write its last word. */
static const char *state_of(const findings *f)
{
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f->progress, "state"));
    if (f->is_running) {
        return "running";
    }
    return !said || strcmp(said, "running") == 0 ? "killed" : said;
}

static void print_json(const findings *f)
{
    double rows = number_of(f, "rows"), done = (double)(f->n_results + f->n_errors);
    double rate = number_of(f, "rows_per_second");
    bool first = true;
    (void)printf("{\"state\":\"%s\",\"rows\":%.0f,\"done\":%.0f,\"results\":%llu,\"errors\":%llu,"
                 "\"errors_by_kind\":{",
                 state_of(f), rows, done, (unsigned long long)f->n_results,
                 (unsigned long long)f->n_errors);
    for (int i = 0; i < ZOO_RESULT_CODES; i++) {
        if (f->kinds[i] > 0) {
            (void)printf("%s\"%s\":%llu", first ? "" : ",", zoo_result_codes[i],
                         (unsigned long long)f->kinds[i]);
            first = false;
        }
    }
    (void)printf("},\"prompt_tokens\":%.0f,\"new_tokens\":%.0f,\"seconds\":%.1f,"
                 "\"rows_per_second\":%.3f,\"tokens_per_second\":%.1f,\"updated\":%.0f",
                 number_of(f, "prompt_tokens"), number_of(f, "new_tokens"), number_of(f, "seconds"),
                 rate, number_of(f, "tokens_per_second"), number_of(f, "updated"));
    if (rate > 0.0 && rows >= done) {
        (void)printf(",\"eta_seconds\":%.0f", (rows - done) / rate);
    }
    (void)printf("}\n");
}

static void print_words(const findings *f)
{
    double rows = number_of(f, "rows"), done = (double)(f->n_results + f->n_errors);
    double rate = number_of(f, "rows_per_second"), left = rate > 0.0 ? (rows - done) / rate : -1.0;
    (void)printf("%s: %.0f of %.0f rows: %llu results, %llu errors\n", state_of(f), done, rows,
                 (unsigned long long)f->n_results, (unsigned long long)f->n_errors);
    for (int i = 0; i < ZOO_RESULT_CODES; i++) {
        if (f->kinds[i] > 0) {
            (void)printf("  %-20s %llu\n", zoo_result_codes[i], (unsigned long long)f->kinds[i]);
        }
    }
    (void)printf(
        "%.0f prompt tokens, %.0f new tokens in %.1f s; last: %.2f rows/s, %.1f tokens/s\n",
        number_of(f, "prompt_tokens"), number_of(f, "new_tokens"), number_of(f, "seconds"), rate,
        number_of(f, "tokens_per_second"));
    if (f->is_running && left >= 0.0) {
        long s = (long)left;
        (void)printf("about %ld:%02ld:%02ld left\n", s / 3600, s / 60 % 60, s % 60);
    }
}

static int run(void *args)
{
    const zoo_status_args *a = args;
    const char *results = a->common.positional[0];
    findings f = {.n_results = 0};
    zoo_error err = {0};
    zoo_status status = ZOO_OK;
    if (!zoo_journal_siblings(results, f.journal, f.errors)) {
        status = zoo_fail(&err, ZOO_E_USAGE, "the name of the results is too long");
    }
    if (a->errors) {
        (void)snprintf(f.errors, sizeof f.errors, "%s", a->errors);
    }
    status = status == ZOO_OK ? read_journal(&f, &err) : status;
    status = status == ZOO_OK ? count_results(results, &f.n_results, &err) : status;
    status = status == ZOO_OK ? count_errors(&f, &err) : status;
    if (status == ZOO_OK) {
        f.is_running = is_locked(f.journal);
        if (a->json) {
            print_json(&f);
        } else {
            print_words(&f);
        }
        status =
            fflush(stdout) == 0 ? ZOO_OK : zoo_fail(&err, ZOO_E_IO, "stdout cannot be written");
    }
    cJSON_Delete(f.progress);
    return status == ZOO_OK ? 0
                            : zoo_command_failed("status", &err, status == ZOO_E_FORMAT ? 2 : 4);
}

const zoo_command zoo_command_status = {
    .name = "status",
    .arguments = "RESULTS [options]",
    .summary = "how far a batch run is or was",
    .text = "Counts results and errors by kind, and prints tokens, rate and the time left from the "
            "journal beside the results. It does not disturb a run.\n\n"
            "Exit codes: 0 done, 2 not a run of this program, 4 a file cannot be read.",
    .example = "lmzoo status results.jsonl",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(zoo_status_args),
    .run = run};
