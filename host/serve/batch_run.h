/* batch_run.h: one batch, from its input file to its output and error files (batches.h). */
#ifndef ZOO_SERVE_BATCH_RUN_H
#define ZOO_SERVE_BATCH_RUN_H

#include <stdatomic.h>

#include "batch/request.h"
#include "serve/batches.h"

typedef struct zoo_batch_counts {
    uint64_t n_lines, n_results, n_errors;
} zoo_batch_counts;

typedef struct zoo_batch_task {
    const zoo_batches_options *options;
    const char *id, *input; /* ids of the batch and of its input file */
    zoo_endpoint endpoint;  /* lines for another endpoint are refused */
    /* Called several times a second from the thread of zoo_batch_task_run. */
    void (*progress)(void *arg, const zoo_batch_counts *counts);
    void *arg;
    atomic_bool stop;
} zoo_batch_task;

/* Runs the rows without a line in output or errors, until all are done or the task is stopped.
 * *counts covers all rows, those of earlier runs included. ZOO_E_USAGE: the model or its options
 * changed since the batch began; ZOO_E_FORMAT: the input is not a file of lines; ZOO_E_IO,
 * ZOO_E_MEMORY. */
zoo_status zoo_batch_task_run(zoo_batch_task *task, zoo_batch_counts *counts, zoo_error *err);
/* From any thread: cancels what is in the queue; zoo_batch_task_run then returns. */
void zoo_batch_task_stop(zoo_batch_task *task);

#endif
