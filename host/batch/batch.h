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

/* A line of results or of refusals. */
typedef struct zoo_finished {
    uint64_t number; /* of its request line */
    bool is_error;
    uint32_t kind; /* of an error, as zoo_result_codes */
    double cost;   /* zoo_batch_cost of its rows */
    const char *text;
    size_t n;
} zoo_finished;

/* Takes finished lines instead of the journal, on the thread of the run; copies what it keeps. */
typedef struct zoo_batch_sink {
    void *arg;
    zoo_status (*put)(void *arg, const zoo_finished *line, zoo_error *err);
    /* After each step; or null. */
    void (*step)(void *arg, const zoo_schedule_stats *stats);
} zoo_batch_sink;

/* Estimated cost of rows in new tokens: reading a token costs a fraction of generating one. */
static inline double zoo_batch_cost(uint64_t n_read, uint64_t n_written)
{
    return (double)n_written + 0.2 * (double)n_read;
}

typedef struct zoo_batch_job {
    zoo_input *input;                    /* the whole file; null: source alone gives lines */
    const zoo_line_source *source;       /* of lines; null: the input's own */
    const zoo_batch_sink *sink;          /* null: the journal; with a sink there need be none */
    const char *input_name, *input_hash; /* for errors; what it must hold, or null */
    const zoo_chat_model *loaded;
    zoo_journal *journal;                 /* or null */
    uint64_t n_lines;                     /* of the input that are rows */
    const volatile sig_atomic_t *stop;    /* not 0: end after the current step; or null */
    const zoo_progress_options *progress; /* null: nothing is told */
    bool shows_cached;      /* results count prompt tokens from kept prefixes, and drafts */
    bool in_order;          /* results come in the order of the input */
    size_t line_bytes_max;  /* one row may take, made ready or finished */
    size_t lines_bytes_max; /* all rows read and not finished may hold */
    double row_seconds_max; /* making a row ready, and running it; 0: no bound */
    uint64_t rows_max;      /* rows of this run; 0: all */
    uint64_t errors_max;    /* more lines in the errors file end the run; 0: no bound */
} zoo_batch_job;

/* The lines of the job. */
zoo_line_source zoo_batch_source(const zoo_batch_job *job);
/* Runs all lines that are not done. An error ends the run, which can be resumed. */
zoo_status zoo_batch_run(const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err);

#endif
