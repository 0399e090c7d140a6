/*
 * result.h: finished rows as OpenAI answers: lines of the results and of the errors file.
 *
 * An answer holds only what a second run would repeat: ids are hashes of the line, `created` is 0,
 * and nothing depends on the machine's state. So equal requests give equal bytes, whatever ran
 * beside them and however often the run was interrupted.
 *
 * Log-probabilities come in both shapes: completions (tokens, token_logprobs, top_logprobs,
 * text_offset), chat (content[] with bytes and top_logprobs), and vLLM's prompt_logprobs.
 * Infinities become -9999.
 */
#ifndef ZOO_BATCH_RESULT_H
#define ZOO_BATCH_RESULT_H

#include "base/idmap.h"
#include "base/json_writer.h"
#include "batch/request.h"
#include "generate/row.h"
#include "text/output/output.h"

/* Rows of a request: prompt by prompt, each n_choices times. */
typedef struct zoo_answer {
    const zoo_request *request;
    const zoo_row *rows; /* [n_prompts * n_choices] */
    uint32_t n_rows;
    zoo_id id;
    const char *model;              /* where the request names none */
    const zoo_tokenizer *tokenizer; /* null: no text */
    char *const *marks; /* special tokens that never stand in content, null-ended; or null */
    bool
        shows_cached; /* usage tells prompt tokens that were taken from kept prefixes, and drafts */
    int64_t created;  /* seconds of the epoch; 0 in a batch, whose answers repeat */
    const zoo_output_format *format; /* null: a chat's text is its content */
} zoo_answer;

/* The body of the answer. */
void zoo_result_body(zoo_out *out, const zoo_answer *answer);
/* Parts of it, for answers that are sent piece by piece: id, object, created and model as members
 * of an open object; a chat's text as a message {role, content, reasoning_content, tool_calls}, the
 * caller's, null: no memory; why a choice ended, with what closes its object; the usage, from its
 * comma on. */
void zoo_result_head(zoo_out *out, const zoo_answer *answer, const char *object);
zoo_output zoo_result_output(const zoo_answer *answer, const zoo_row *row);
cJSON *zoo_result_message(const zoo_answer *answer, const zoo_row *row);
void zoo_result_end(zoo_out *out, const zoo_answer *answer, const zoo_row *row, bool calls);
void zoo_result_usage(zoo_out *out, const zoo_answer *answer);
/* The log-probabilities of the output's tokens from .. to - 1, in the shape of the endpoint; up to
 * n_out, those of an echoed prompt are counted with them. */
void zoo_result_logprobs(zoo_out *out, const zoo_answer *answer, const zoo_row *row, uint32_t from,
                         uint32_t to);
/* The whole line of the results file. */
void zoo_result_line(zoo_out *out, const zoo_answer *answer);

/* Kinds of refusals, as `code` in the errors file. */
enum { ZOO_RESULT_CODES = 7 };
extern const char *const zoo_result_codes[ZOO_RESULT_CODES];

/* Why a line has no answer. */
typedef struct zoo_refusal {
    uint64_t line;
    zoo_id id;
    const char *custom_id; /* or null */
    const char *param;     /* the key it is about, or "" */
    const char *message;
    zoo_status status;
    bool is_duplicate;
    bool is_line; /* the line itself is at fault, not its body */
} zoo_refusal;

/* Index of its kind. */
uint32_t zoo_result_code(const zoo_refusal *refusal);
/* The line of the errors file: an HTTP-like response and the error object of a batch, so that
 * readers of either find it. */
void zoo_result_refusal(zoo_out *out, const zoo_refusal *refusal);

const char *zoo_finish_name(zoo_finish finish);

#endif
