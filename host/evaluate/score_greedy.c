/* score_greedy.c: continuations of the same prompts by two engines, compared (score.h). */
#include <string.h>

#include "base/mem.h"
#include "evaluate/score.h"
#include "generate/schedule.h"

static void fill_row(zoo_row *row, const zoo_score_text *text, const zoo_score_greedy *greedy)
{
    row->prompt = text->tokens;
    row->n_prompt = text->n < greedy->n_prompt ? text->n : greedy->n_prompt;
    row->n_new_max = greedy->n_new;
    row->n_top = row->n_prompt_top = ZOO_NO_LOGPROBS;
    row->sampling = (zoo_sampling){.top_p = 1.0f, .repetition = 1.0f};
}

static zoo_status run_rows(zoo_schedule *schedule, zoo_row *rows, uint32_t n, zoo_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        ZOO_TRY(zoo_schedule_add(schedule, &rows[i], err));
    }
    while (!zoo_schedule_is_idle(schedule)) {
        ZOO_TRY(zoo_schedule_step(schedule, err));
    }
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].finish == ZOO_FINISH_FAILED) {
            *err = rows[i].error;
            return (zoo_status)err->code;
        }
    }
    return ZOO_OK;
}

/* Fills rows [greedy->n_texts], for free_rows whatever is returned. */
static zoo_status continue_all(zoo_engine *engine, const zoo_score_job *job,
                               const zoo_score_greedy *greedy, zoo_row *rows, zoo_error *err)
{
    zoo_schedule *schedule;
    for (uint32_t i = 0; i < greedy->n_texts; i++) {
        fill_row(&rows[i], &job->texts->list[i], greedy);
    }
    ZOO_TRY(zoo_schedule_new(engine, NULL, job->generation, &schedule, err));
    zoo_status status = run_rows(schedule, rows, greedy->n_texts, err);
    zoo_schedule_free(schedule);
    return status;
}

static void free_rows(zoo_row *rows, uint32_t n)
{
    for (uint32_t i = 0; rows && i < n; i++) {
        zoo_row_free(&rows[i]);
    }
    zoo_mem_free(rows);
}

static zoo_score_pair pair_of(const zoo_row *a, const zoo_row *b)
{
    zoo_score_pair p = {a->n_out, b->n_out, 0};
    while (p.n_same < a->n_out && p.n_same < b->n_out &&
           a->tokens[a->n_prompt + p.n_same] == b->tokens[b->n_prompt + p.n_same]) {
        p.n_same++;
    }
    return p;
}

zoo_status zoo_score_continue(const zoo_score_job *job, const zoo_score_greedy *greedy,
                              zoo_score_pair *out, zoo_error *err)
{
    uint32_t n = greedy->n_texts;
    zoo_row *rows = zoo_mem_array(n, sizeof *rows);
    zoo_row *reference = zoo_mem_array(n, sizeof *reference);
    zoo_status status = ZOO_OK;
    if (!rows || !reference) {
        status = zoo_fail(err, ZOO_E_MEMORY, "no memory for %u continuations", n);
    }
    if (status == ZOO_OK) {
        status = continue_all(job->engine, job, greedy, rows, err);
    }
    if (status == ZOO_OK) {
        status = continue_all(job->reference, job, greedy, reference, err);
    }
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        out[i] = pair_of(&rows[i], &reference[i]);
    }
    free_rows(rows, n);
    free_rows(reference, n);
    return status;
}
