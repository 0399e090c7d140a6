/* batch_run.h: one batch, from its file to its output and errors (batches.h). */
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
    const char *id, *input;                                      /* of the batch and of its file */
    zoo_endpoint endpoint;                                       /* lines for another are refused */
    void (*progress)(void *arg, const zoo_batch_counts *counts); /* now and then */
    void *arg;
    atomic_bool stop;
} zoo_batch_task;

/* Runs what is left of the batch, until it is done or stopped; counts: of all its lines.
 * ZOO_E_USAGE: the model or its options are others than those it began with; ZOO_E_IO,
 * ZOO_E_MEMORY, ZOO_E_FORMAT: the file is no file of lines. */
zoo_status zoo_batch_task_run(zoo_batch_task *task, zoo_batch_counts *counts, zoo_error *err);
/* From any thread: gives up what is in the queue. */
void zoo_batch_task_stop(zoo_batch_task *task);

#endif
