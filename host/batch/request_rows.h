/* request_rows.h: what a request asks of the scheduler. */
#ifndef ZOO_BATCH_REQUEST_ROWS_H
#define ZOO_BATCH_REQUEST_ROWS_H

#include "base/budget.h"
#include "batch/request.h"
#include "generate/row.h"

/* Sets up the rows of a request [n_prompts * n_choices], zero-initialised, with owner. parsed: its
 * answers are taken apart by a format, which needs special tokens in the text. */
void zoo_request_rows(const zoo_request *request, const uint32_t *hidden, zoo_row *rows,
                      void *owner);
/* Bytes that the rows and the answer of an encoded request may take: tokens, log-probabilities in
 * memory and as text. */
double zoo_request_bytes(const zoo_request *request);
/* ZOO_E_LIMIT: that is more than bytes_max. */
zoo_status zoo_request_judge_size(zoo_request *request, size_t bytes_max, zoo_error *err);
/* Turns `status` into an error of the request if its budget was spent; option: the option that sets
 * seconds_max. */
zoo_status zoo_request_judge_spent(const zoo_budget *budget, const char *option, double seconds_max,
                                   zoo_status status, zoo_error *err);

#endif
