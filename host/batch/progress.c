/* progress.c: see progress.h. */
#include "batch/progress.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/file.h"
#include "base/json.h"

#define TERMINAL_SECONDS 0.5
#define LINE_SECONDS     30.0
#define NOTE_SECONDS     2.0
#define METRICS_SECONDS  15.0

static uint64_t number_of(const cJSON *tree, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, key);
    return cJSON_IsNumber(value) && value->valuedouble > 0.0 ? (uint64_t)value->valuedouble : 0;
}

void zoo_progress_begin(zoo_progress *p, const zoo_progress_options *options, zoo_journal *journal,
                        uint64_t n_lines)
{
    const char *last = zoo_journal_last_progress(journal);
    cJSON *tree = NULL;
    *p = (zoo_progress){.options = options, .journal = journal, .n_lines = n_lines};
    p->started = p->shown = p->measured = zoo_clock_seconds();
    if (last[0] && zoo_json_parse(last, strlen(last), "progress", &tree, NULL) == ZOO_OK) {
        const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(tree, "seconds");
        p->read_before = number_of(tree, "prompt_tokens");
        p->written_before = number_of(tree, "new_tokens");
        p->seconds_before = cJSON_IsNumber(seconds) ? seconds->valuedouble : 0.0;
    }
    cJSON_Delete(tree);
}

/* What the lines are made of. */
typedef struct figures {
    uint64_t results, errors, done, left, read, written;
    double seconds, rows_a_second, tokens_a_second, eta; /* eta below 0: not known */
} figures;

static figures figures_of(const zoo_progress *p, const zoo_batch_totals *t)
{
    figures f = {.results = zoo_journal_n_results(p->journal) + t->n_results,
                 .errors = zoo_journal_n_errors(p->journal) + t->n_errors,
                 .read = p->read_before + t->stats.n_read + t->stats.n_shared,
                 .written = p->written_before + t->stats.n_written,
                 .eta = -1.0};
    double here = zoo_clock_seconds() - p->started, fresh = (double)(t->n_results + t->n_errors);
    here = here > 1e-6 ? here : 1e-6;
    f.done = f.results + f.errors;
    f.left = p->n_lines > f.done ? p->n_lines - f.done : 0;
    f.seconds = p->seconds_before + here;
    f.rows_a_second = fresh / here;
    f.tokens_a_second = (double)(t->stats.n_written + t->stats.n_read + t->stats.n_shared) / here;
    f.eta = f.rows_a_second > 0.0 ? (double)f.left / f.rows_a_second : f.eta;
    return f;
}

void zoo_progress_json(const zoo_progress *p, const zoo_batch_totals *t, const char *state,
                       zoo_out *out)
{
    figures f = figures_of(p, t);
    bool first = true;
    zoo_out_format(out,
                   "{\"state\":\"%s\",\"rows\":%llu,\"done\":%llu,\"results\":%llu,\"errors\":%llu",
                   state, (unsigned long long)p->n_lines, (unsigned long long)f.done,
                   (unsigned long long)f.results, (unsigned long long)f.errors);
    zoo_out_text(out, ",\"errors_of_this_attempt\":{");
    for (int i = 0; i < ZOO_RESULT_CODES; i++) {
        if (t->kinds[i] > 0) {
            zoo_out_format(out, "%s\"%s\":%llu", first ? "" : ",", zoo_result_codes[i],
                           (unsigned long long)t->kinds[i]);
            first = false;
        }
    }
    zoo_out_format(out,
                   "},\"prompt_tokens\":%llu,\"new_tokens\":%llu,\"seconds\":%.1f,"
                   "\"rows_per_second\":%.3f,\"tokens_per_second\":%.1f,\"running\":%u,"
                   "\"waiting\":%u",
                   (unsigned long long)f.read, (unsigned long long)f.written, f.seconds,
                   f.rows_a_second, f.tokens_a_second, t->stats.n_running, t->stats.n_waiting);
    if (t->stats.n_drafted > 0) {
        zoo_out_format(out, ",\"drafted_tokens\":%llu,\"accepted_tokens\":%llu",
                       (unsigned long long)t->stats.n_drafted,
                       (unsigned long long)t->stats.n_accepted);
    }
    if (f.eta >= 0.0) {
        zoo_out_format(out, ",\"eta_seconds\":%.0f", f.eta);
    }
    zoo_out_format(out, ",\"updated\":%lld,\"pid\":%ld}", (long long)time(NULL), (long)getpid());
}

static void show_json(const zoo_progress *p, const zoo_batch_totals *t, const char *state)
{
    zoo_out out = {0};
    zoo_progress_json(p, t, state, &out);
    zoo_out_text(&out, "\n");
    if (!out.failed) {
        (void)fwrite(out.data, 1, out.n, stderr);
        (void)fflush(stderr);
    }
    zoo_out_free(&out);
}

static void show_line(zoo_progress *p, const zoo_batch_totals *t, bool over)
{
    figures f = figures_of(p, t);
    long eta = (long)f.eta;
    char left[48] = "";
    if (f.eta >= 0.0 && f.eta < 1e9) {
        (void)snprintf(left, sizeof left, ", %ld:%02ld:%02ld left", eta / 3600, eta / 60 % 60,
                       eta % 60);
    }
    (void)fprintf(stderr, "%s%llu of %llu rows, %llu errors, %u running, %.1f tokens/s%s%s",
                  over ? "\r" : "lmzoo batch: ", (unsigned long long)f.done,
                  (unsigned long long)p->n_lines, (unsigned long long)f.errors, t->stats.n_running,
                  f.tokens_a_second, left, over ? "\033[K" : "\n");
    (void)fflush(stderr);
    p->is_open = over;
}

static void show(zoo_progress *p, const zoo_batch_totals *t, double now)
{
    const zoo_progress_options *o = p->options;
    bool is_over = o->is_terminal && !o->as_json;
    bool due = o->shows && now - p->shown >= (is_over ? TERMINAL_SECONDS : LINE_SECONDS);
    bool wanted = o->wanted && *o->wanted;
    if (!due && !wanted) {
        return;
    }
    if (wanted) {
        *o->wanted = 0;
    }
    p->shown = due ? now : p->shown;
    if (o->as_json) {
        show_json(p, t, "running");
    } else {
        show_line(p, t, is_over && !wanted);
    }
}

#define METRICS_BEGIN "# HELP lmzoo_"

/* A file beside the results: not the input, and nothing of another kind. */
static zoo_status judge_file(const char *path, const char *what, const char *begin,
                             const char *input, zoo_error *err)
{
    if (strcmp(input, "-") != 0 && zoo_file_is_same(path, input)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s would be overwritten: it is the %s too; give that another file", input,
                        what);
    }
    return zoo_file_is_kind(path, begin)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_USAGE,
                          "%s exists and is no %s of this program; it is not replaced", path, what);
}

zoo_status zoo_progress_judge_files(const char *input, const char *summary, const char *metrics,
                                    zoo_error *err)
{
    if (summary) {
        ZOO_TRY(judge_file(summary, "summary", "{\"state\":\"", input, err));
    }
    if (!metrics) {
        return ZOO_OK;
    }
    if (summary && zoo_file_is_same(summary, metrics)) {
        return zoo_fail(err, ZOO_E_USAGE, "%s and %s are one file", summary, metrics);
    }
    if (!zoo_file_is_plain(metrics)) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: not a plain file; metrics replace a whole file",
                        metrics);
    }
    return judge_file(metrics, "file of metrics", METRICS_BEGIN, input, err);
}

static void put_metric(FILE *file, const char *name, const char *type, const char *help, double x)
{
    (void)fprintf(file,
                  METRICS_BEGIN "batch_%s %s\n# TYPE lmzoo_batch_%s %s\nlmzoo_batch_%s %.17g\n",
                  name, help, name, type, name, x);
}

/* Written beside and moved over, so that a collector never sees half of it. */
static void write_metrics(const zoo_progress *p, const zoo_batch_totals *t, bool is_running)
{
    char part[4096];
    figures f = figures_of(p, t);
    int n = snprintf(part, sizeof part, "%s.part", p->options->metrics);
    FILE *file = n > 0 && n < (int)sizeof part ? fopen(part, "we") : NULL;
    if (!file) {
        return;
    }
    put_metric(file, "rows", "gauge", "Rows of the request file.", (double)p->n_lines);
    put_metric(file, "results_total", "counter", "Rows with a result.", (double)f.results);
    put_metric(file, "errors_total", "counter", "Rows that were refused.", (double)f.errors);
    put_metric(file, "prompt_tokens_total", "counter", "Prompt tokens read or shared.",
               (double)f.read);
    put_metric(file, "new_tokens_total", "counter", "Tokens generated.", (double)f.written);
    put_metric(file, "drafted_tokens_total", "counter", "Draft tokens computed in this attempt.",
               (double)t->stats.n_drafted);
    put_metric(file, "accepted_tokens_total", "counter", "Draft tokens that were accepted.",
               (double)t->stats.n_accepted);
    put_metric(file, "seconds_total", "counter", "Seconds of all attempts.", f.seconds);
    put_metric(file, "tokens_per_second", "gauge", "Tokens a second of this attempt.",
               f.tokens_a_second);
    put_metric(file, "eta_seconds", "gauge", "Seconds left at this rate, -1: not known.", f.eta);
    put_metric(file, "running", "gauge", "1 while the run goes on.", is_running ? 1.0 : 0.0);
    put_metric(file, "updated_seconds", "gauge", "Time of this file, seconds of 1970.",
               (double)time(NULL));
    if (fclose(file) == 0) {
        (void)rename(part, p->options->metrics);
    }
}

static void note(zoo_progress *p, const zoo_batch_totals *t, const char *state)
{
    zoo_out out = {0};
    zoo_progress_json(p, t, state, &out);
    zoo_out_bytes(&out, "", 1);
    if (!out.failed) {
        zoo_journal_progress(p->journal, out.data);
    }
    zoo_out_free(&out);
}

void zoo_progress_tick(zoo_progress *p, const zoo_batch_totals *t)
{
    double now = zoo_clock_seconds();
    show(p, t, now);
    if (now - p->noted >= NOTE_SECONDS) {
        p->noted = now;
        note(p, t, "running");
    }
    if (p->options->metrics && now - p->measured >= METRICS_SECONDS) {
        p->measured = now;
        write_metrics(p, t, true);
    }
}

void zoo_progress_end(zoo_progress *p, const zoo_batch_totals *t, const char *state)
{
    if (p->is_open) {
        (void)fputs("\r\033[K", stderr);
    }
    note(p, t, state);
    if (p->options->as_json) {
        show_json(p, t, state);
    }
    if (p->options->metrics) {
        write_metrics(p, t, false);
    }
}
