/* own_text.c: see own_text.h. */
#include "quantise/own_text.h"

#include <string.h>

#include "base/mem.h"
#include "generate/schedule.h"

/* A prime near 2^32 over the golden ratio: its multiples, modulo 2^32, spread evenly. */
static const uint32_t spread = 2654435761u;

static int32_t first_token(const zoo_generation *generation, const zoo_score_texts *texts)
{
    if (texts->begin >= 0) {
        return texts->begin;
    }
    return generation->n_eos ? (int32_t)generation->eos[0] : 0;
}

static zoo_status add(zoo_score_texts *texts, const zoo_row *row, zoo_error *err)
{
    uint32_t n = row->n_prompt + row->n_out;
    int32_t *tokens = zoo_mem_array(n, sizeof *tokens);
    if (!tokens) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a text of %u tokens", n);
    }
    memcpy(tokens, row->tokens, n * sizeof *tokens);
    return zoo_score_texts_add(texts, (zoo_score_text){.tokens = tokens, .n = n, .line = 1},
                               "the model's own text", err);
}

/* Writes all rows; they are whole or failed afterwards. */
static zoo_status write_text(zoo_engine *engine, const zoo_generation *generation, zoo_row *rows,
                             uint32_t n, zoo_error *err)
{
    zoo_schedule *schedule;
    ZOO_TRY(zoo_schedule_new(engine, NULL, generation, &schedule, err));
    zoo_status status = ZOO_OK;
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        status = zoo_schedule_add(schedule, &rows[i], err);
    }
    while (status == ZOO_OK && !zoo_schedule_is_idle(schedule)) {
        status = zoo_schedule_step(schedule, err);
    }
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        if (rows[i].finish == ZOO_FINISH_FAILED) {
            *err = rows[i].error;
            status = (zoo_status)err->code;
        }
    }
    zoo_schedule_free(schedule);
    return status;
}

static zoo_row row_from(const int32_t *prompt, uint32_t n_prompt, uint32_t length, uint32_t seed)
{
    return (zoo_row){.prompt = prompt,
                     .n_prompt = n_prompt,
                     .n_new_max = length - n_prompt,
                     .n_top = ZOO_NO_LOGPROBS,
                     .n_prompt_top = ZOO_NO_LOGPROBS,
                     .sampling = {.temperature = 1.0f,
                                  .top_p = 1.0f,
                                  .repetition = 1.0f,
                                  .ignore_eos = true,
                                  .seed = seed}};
}

zoo_status zoo_own_text_add(zoo_engine *engine, const zoo_generation *generation, uint32_t n_tokens,
                            zoo_score_texts *texts, zoo_error *err)
{
    uint32_t length = zoo_engine_limits(engine)->context_max;
    uint32_t n = (n_tokens + length - 1) / length;
    zoo_row *rows = zoo_mem_array(n, sizeof *rows);
    int32_t *prompts = zoo_mem_array(n, 2 * sizeof *prompts);
    zoo_status status = ZOO_OK;
    if (!rows || !prompts) {
        status = zoo_fail(err, ZOO_E_MEMORY, "no memory for %u texts", n);
    }
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        int32_t *prompt = prompts + 2 * (size_t)i;
        prompt[0] = first_token(generation, texts);
        prompt[1] = zoo_engine_some_token(engine, (i + 1) * spread >> 3);
        rows[i] = row_from(prompt, length > 2 && i % 2 ? 2 : 1, length, i);
    }
    status = status == ZOO_OK ? write_text(engine, generation, rows, n, err) : status;
    for (uint32_t i = 0; rows && i < n; i++) {
        status = status == ZOO_OK ? add(texts, &rows[i], err) : status;
        zoo_row_free(&rows[i]);
    }
    zoo_mem_free(rows);
    zoo_mem_free(prompts);
    return status;
}
