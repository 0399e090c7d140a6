/*
 * progress.h: progress reports of a run: a line for people, JSON for programs, the journal's
 * progress line, a file for node_exporter's textfile collector, and the summary at the end.
 *
 * On a terminal the line is overwritten; elsewhere one comes every 30 seconds. Counts of rows
 * and tokens are those of all attempts at the same output, rates those of this one.
 */
#ifndef ZOO_BATCH_PROGRESS_H
#define ZOO_BATCH_PROGRESS_H

#include <signal.h>

#include "batch/journal.h"
#include "batch/result.h"
#include "generate/schedule.h"

typedef struct zoo_progress_options {
    bool shows;          /* a line now and then on stderr */
    bool is_terminal;    /* stderr is one */
    bool as_json;        /* the line is a JSON object */
    const char *metrics; /* file in Prometheus's text form, replaced every 15 seconds; or null */
    volatile sig_atomic_t *wanted; /* not 0: show it now; cleared; or null */
} zoo_progress_options;

/* Of this run. */
typedef struct zoo_batch_totals {
    uint64_t n_results, n_errors;
    uint64_t kinds[ZOO_RESULT_CODES]; /* n_errors by zoo_result_codes */
    zoo_schedule_stats stats;
    double seconds;
    bool interrupted; /* by a signal */
    bool is_limited;  /* --limit or --max-errors ended it */
} zoo_batch_totals;

typedef struct zoo_progress {
    const zoo_progress_options *options;
    zoo_journal *journal;
    uint64_t n_lines; /* of the input */
    double started, shown, noted, measured;
    uint64_t read_before, written_before; /* tokens of former attempts */
    double seconds_before;
    bool is_open; /* a line on the terminal is written over */
} zoo_progress;

/* Before anything is written: neither file may be the input or the other one, or replace what is no
 * summary or no metrics of this program. Null: not asked for. ZOO_E_USAGE. */
zoo_status zoo_progress_judge_files(const char *input, const char *summary, const char *metrics,
                                    zoo_error *err);

void zoo_progress_begin(zoo_progress *progress, const zoo_progress_options *options,
                        zoo_journal *journal, uint64_t n_lines);
/* Between two steps; looks at the clock and shows what is due. */
void zoo_progress_tick(zoo_progress *progress, const zoo_batch_totals *totals);
/* The final report. state: "ended", "interrupted", "failed". */
void zoo_progress_end(zoo_progress *progress, const zoo_batch_totals *totals, const char *state);

/* The state of the run as one JSON object without a line feed, as the journal has it. */
void zoo_progress_json(const zoo_progress *progress, const zoo_batch_totals *totals,
                       const char *state, zoo_out *out);

#endif
