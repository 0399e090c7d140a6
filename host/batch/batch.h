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
#include "generate/schedule.h"

typedef struct zoo_batch_job {
    const char *input;
    const zoo_loaded *loaded;
    zoo_journal *journal;
    uint64_t n_lines;                  /* of the input that are rows */
    const volatile sig_atomic_t *stop; /* not 0: leave after the step at hand; or null */
    bool shows_cached;                 /* results count prompt tokens from kept prefixes */
    bool shows_progress;               /* a line on stderr that is written over */
} zoo_batch_job;

typedef struct zoo_batch_totals {
    uint64_t n_results, n_errors; /* of this run */
    zoo_schedule_stats stats;
    double seconds;
    bool interrupted;
} zoo_batch_totals;

/* Runs all lines that are not done. An error ends the run, which can be resumed. */
zoo_status zoo_batch_run(const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err);

#endif
