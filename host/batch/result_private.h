/* result_private.h: what result.c and result_logprobs.c share. */
#ifndef ZOO_BATCH_RESULT_PRIVATE_H
#define ZOO_BATCH_RESULT_PRIVATE_H

#include "batch/result.h"

void zoo_result_prompt_logprobs(zoo_out *out, const zoo_answer *answer, const zoo_row *row);

/* Appends bytes; no memory is noted in out. */
void zoo_result_add_text(zoo_text *text, const char *bytes, size_t n, zoo_out *out);
/* The prompt as it was given, or as its ids decode. */
void zoo_result_prompt_text(const zoo_answer *answer, const zoo_prompt *prompt, zoo_text *text,
                            zoo_out *out);

#endif
