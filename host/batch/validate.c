/* validate.c: see validate.h. */
#include "batch/validate.h"

#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "batch/constraint.h"
#include "batch/request_rows.h"

enum { SAMPLES = 64, WORDS_MAX = 20 };
#define MEASURE_SECONDS 2.0

typedef struct judge {
    const zoo_batch_job *job;
    zoo_validation *v;
    FILE *errors, *words;
    zoo_line *samples[SAMPLES];
    uint32_t n_samples;
} judge;

static zoo_status note_bad(judge *j, const zoo_line *line, zoo_error *err)
{
    zoo_out out = {0};
    zoo_refusal refusal = {.line = line->number,
                           .id = line->id,
                           .custom_id = line->request.custom_id,
                           .param = line->request.param,
                           .message = line->error.text,
                           .status = line->status,
                           .is_duplicate = line->is_duplicate,
                           .is_line =
                               !cJSON_IsObject(line->request.tree) || !line->request.endpoint};
    j->v->n_bad++;
    j->v->kinds[zoo_result_code(&refusal)]++;
    if (j->v->n_bad <= WORDS_MAX) {
        (void)fprintf(j->words, "line %llu: %s\n", (unsigned long long)line->number,
                      line->error.text);
    } else if (j->v->n_bad == WORDS_MAX + 1) {
        (void)fprintf(j->words, "...\n");
    }
    zoo_result_refusal(&out, &refusal);
    bool ok = !j->errors || (!out.failed && fwrite(out.data, 1, out.n, j->errors) == out.n);
    zoo_out_free(&out);
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "the errors file cannot be written");
}

/* Keeps the first ones to measure with. */
static void note_good(judge *j, zoo_line *line)
{
    const zoo_request *r = &line->request;
    j->v->n_good++;
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        uint32_t n = r->prompts[i].n_tokens;
        j->v->prompt_tokens += (uint64_t)n * r->n_choices;
        j->v->new_tokens += (uint64_t)r->n_new_max * r->n_choices;
        j->v->longest = n > j->v->longest ? n : j->v->longest;
    }
    if (j->n_samples < SAMPLES && r->n_prompts == 1 && line->bytes < 1u << 16) {
        j->samples[j->n_samples++] = line;
    } else {
        zoo_line_free(line);
    }
}

static zoo_status judge_all(judge *j, zoo_reader *reader, zoo_error *err)
{
    bool ended = false;
    while (!ended && !(j->job->stop && *j->job->stop)) {
        zoo_line *line;
        ZOO_TRY(zoo_reader_next(reader, true, &line, &ended, err));
        if (line && line->status == ZOO_OK) {
            note_good(j, line);
        } else if (line) {
            zoo_status status = note_bad(j, line, err);
            zoo_line_free(line);
            ZOO_TRY(status);
        }
    }
    j->v->interrupted = !ended;
    return ZOO_OK;
}

static zoo_status step_for_a_while(zoo_schedule *schedule, double seconds, zoo_error *err)
{
    double until = zoo_clock_seconds() + seconds;
    while (!zoo_schedule_is_idle(schedule) && zoo_clock_seconds() < until) {
        ZOO_TRY(zoo_schedule_step(schedule, err));
        while (zoo_schedule_pop(schedule)) {
        }
    }
    return ZOO_OK;
}

/* Runs the samples for two seconds and discards their output. */
static zoo_status measure(judge *j, zoo_error *err)
{
    const zoo_chat_model *s = j->job->loaded;
    zoo_row *rows = zoo_mem_array(j->n_samples, sizeof *rows);
    zoo_schedule *schedule = NULL;
    double started = zoo_clock_seconds();
    zoo_status status =
        rows ? zoo_schedule_new(s->engine, s->tokenizer, &s->generation, &schedule, err)
             : zoo_fail(err, ZOO_E_MEMORY, "no memory to measure with");
    for (uint32_t i = 0; status == ZOO_OK && i < j->n_samples; i++) {
        zoo_request *r = &j->samples[i]->request;
        r->n_choices = 1;
        zoo_request_rows(r, r->endpoint == ZOO_CHAT ? s->hidden : NULL, &rows[i], NULL);
        status = zoo_constraint_begin(r->grammar, &rows[i], err);
        status = status == ZOO_OK ? zoo_schedule_add(schedule, &rows[i], err) : status;
    }
    if (status == ZOO_OK) {
        status = step_for_a_while(schedule, MEASURE_SECONDS, err);
    }
    if (status == ZOO_OK) {
        zoo_schedule_stats stats = zoo_schedule_stats_get(schedule);
        double seconds = zoo_clock_seconds() - started;
        j->v->tokens_a_second = (double)(stats.n_read + stats.n_shared + stats.n_written) /
                                (seconds > 1e-6 ? seconds : 1e-6);
    }
    zoo_schedule_free(schedule);
    for (uint32_t i = 0; rows && i < j->n_samples; i++) {
        zoo_row_free(&rows[i]);
    }
    zoo_mem_free(rows);
    return status;
}

zoo_status zoo_batch_validate(const zoo_batch_job *job, FILE *errors, FILE *words,
                              zoo_validation *out, zoo_error *err)
{
    static const zoo_idmap none = {NULL, 0, 0, false};
    judge j = {.job = job, .v = out, .errors = errors, .words = words};
    zoo_reader *reader = NULL;
    zoo_reader_options options = {.source = zoo_batch_source(job),
                                  .input = job->source ? NULL : job->input,
                                  .name = job->input_name,
                                  .hash = job->input_hash,
                                  .context = &job->loaded->context,
                                  .done = &none,
                                  .line_bytes_max = job->line_bytes_max,
                                  .bytes_max = job->lines_bytes_max + ((size_t)SAMPLES << 16),
                                  .rows_max = job->rows_max ? job->rows_max : UINT64_MAX,
                                  .seconds_max = job->row_seconds_max,
                                  .stop = job->stop};
    *out = (zoo_validation){.n_good = 0};
    ZOO_TRY(zoo_reader_start(&options, &reader, err));
    zoo_status status = judge_all(&j, reader, err);
    if (status == ZOO_OK && !out->interrupted && j.n_samples > 0) {
        status = measure(&j, err);
    }
    for (uint32_t i = 0; i < j.n_samples; i++) {
        zoo_line_free(j.samples[i]);
    }
    zoo_reader_stop(reader);
    return status;
}

void zoo_validation_print(const zoo_validation *v, FILE *file)
{
    bool first = true;
    (void)fprintf(file, "{\"rows\":%llu,\"good\":%llu,\"bad\":%llu,\"errors\":{",
                  (unsigned long long)(v->n_good + v->n_bad), (unsigned long long)v->n_good,
                  (unsigned long long)v->n_bad);
    for (int i = 0; i < ZOO_RESULT_CODES; i++) {
        if (v->kinds[i] > 0) {
            (void)fprintf(file, "%s\"%s\":%llu", first ? "" : ",", zoo_result_codes[i],
                          (unsigned long long)v->kinds[i]);
            first = false;
        }
    }
    (void)fprintf(file, "},\"prompt_tokens\":%llu,\"max_new_tokens\":%llu,\"longest_prompt\":%u",
                  (unsigned long long)v->prompt_tokens, (unsigned long long)v->new_tokens,
                  v->longest);
    if (v->tokens_a_second > 0.0) {
        double seconds = (double)(v->prompt_tokens + v->new_tokens) / v->tokens_a_second;
        (void)fprintf(file, ",\"tokens_per_second\":%.1f,\"at_most_seconds\":%.1f",
                      v->tokens_a_second, seconds);
    }
    (void)fprintf(file, "}\n");
}
