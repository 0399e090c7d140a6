/* request_rows.h: what a request asks of the scheduler. */
#ifndef ZOO_BATCH_REQUEST_ROWS_H
#define ZOO_BATCH_REQUEST_ROWS_H

#include "batch/request.h"
#include "generate/row.h"

/* Sets up the rows of a request [n_prompts * n_choices], zero-initialised, with owner. parsed: its
 * answers are taken apart by a format, which needs special tokens in the text. */
void zoo_request_rows(const zoo_request *request, const uint32_t *hidden, zoo_row *rows,
                      void *owner);

#endif
