/*
 * batch.h: the command `batch`: request lines in, results as soon as each is done, resumable.
 *
 * A reader thread parses and tokenizes ahead (reader.h), the scheduler runs rows together
 * (schedule.h), the journal writes and remembers (journal.h). Lines that cannot run go to the
 * errors file with their number, the others go on.
 */
#ifndef ZOO_BATCH_BATCH_H
#define ZOO_BATCH_BATCH_H

#include <signal.h>

#include "batch/chat_model.h"
#include "batch/journal.h"
#include "batch/progress.h"
#include "batch/reader.h"
#include "generate/schedule.h"

typedef struct zoo_batch_job {
    zoo_input *input;
    const char *input_name, *input_hash; /* for errors; what it must hold, or null */
    const zoo_chat_model *loaded;
    zoo_journal *journal;
    uint64_t n_lines;                     /* of the input that are rows */
    const volatile sig_atomic_t *stop;    /* not 0: leave after the step at hand; or null */
    const zoo_progress_options *progress; /* null: nothing is told */
    bool shows_cached;                    /* results count prompt tokens from kept prefixes */
    bool in_order;                        /* results come in the order of the input */
    size_t line_bytes_max;                /* one row may take, made ready or finished */
    size_t lines_bytes_max;               /* all rows read and not finished may hold */
    double row_seconds_max;               /* making a row ready, and running it; 0: no bound */
    uint64_t rows_max;                    /* rows of this run; 0: all */
    uint64_t errors_max; /* more lines in the errors file end the run; 0: no bound */
} zoo_batch_job;

/* Runs all lines that are not done. An error ends the run, which can be resumed. */
zoo_status zoo_batch_run(const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err);

#endif
