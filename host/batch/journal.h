/*
 * journal.h: the files of a batch run, so that it can be interrupted at any moment and go on.
 *
 * Three files: results and errors, each line written by one write() as soon as it is known, and the
 * journal beside them: one small JSON object, written once before the first result, with hashes of
 * model folder, request lines, program, plugin and card and with the options that can change a
 * result, and a second line that says how far the run is. A later run with
 * the same key goes on: lines whose id stands in a file are done; a last line without line feed is
 * torn and cut off. Any other difference is refused.
 *
 * What a crash can lose: after kill -9 nothing but the line being written. Lines reach the disk
 * (fdatasync) within five seconds and at the end, so a power cut may cost the last seconds' lines,
 * which are computed again. A lock on the journal keeps a second run away.
 *
 * The hash of a model: name and bytes of its JSON files and templates, and of each weight file
 * name, size, header and samples spread over the data.
 */
#ifndef ZOO_BATCH_JOURNAL_H
#define ZOO_BATCH_JOURNAL_H

#include <signal.h>

#include "base/idmap.h"

/* What must be the same for a run to be resumed. Each is text. */
typedef struct zoo_journal_key {
    char model[40];    /* hash of the folder */
    char requests[40]; /* hash of the request file */
    char options[400]; /* options that can change a result */
    char build[40];    /* hash of the program */
    char isa[48];      /* instruction set that computes; these three are "" until known */
    char plugin[40];   /* hash of the plugin's file */
    char card[40];     /* of the card's, "none" without one */
    char shard[48];    /* "I/N"; "": all rows */
    char now[24];      /* time that templates see; a resumed run keeps the first run's */
    char input[1024];  /* where the request file lies, "" where nothing can go back to it */
} zoo_journal_key;

typedef struct zoo_journal zoo_journal;

typedef struct zoo_journal_paths {
    const char *results; /* "-", a pipe or a device: a stream, which cannot be resumed */
    const char *errors;  /* null: beside the results, x.errors.jsonl for x.jsonl; in the stream */
    const char *const *others; /* files that none of these may be, null-ended; or null */
    bool restart;              /* begin anew, whatever stands there */
    bool retry_errors;         /* lines of the errors file are not done */
} zoo_journal_paths;

/*
 * Opens or resumes; key->now is replaced by that of the run to resume. On return `done` has every
 * finished line's id with the hash of its custom_id. Nothing is truncated before all paths were
 * compared. ZOO_E_USAGE: another run wrote these files, a path is that of an input, or a file is
 * none of ours; ZOO_E_IO; ZOO_E_FORMAT: a line of the files is none of ours.
 */
zoo_status zoo_journal_open(const zoo_journal_paths *paths, zoo_journal_key *key, zoo_journal **out,
                            zoo_error *err);
/* Notes instruction set, plugin and card of key, or compares them with those of the run to resume:
 * sums of quantised weights may differ between them. ZOO_E_USAGE, ZOO_E_IO. */
zoo_status zoo_journal_set_engine(zoo_journal *journal, const zoo_journal_key *key, zoo_error *err);
/* From here to zoo_journal_last_progress null is a journal without lines. */
const zoo_idmap *zoo_journal_done(const zoo_journal *journal);
/* Lines that a former run left. */
uint64_t zoo_journal_n_results(const zoo_journal *journal);
uint64_t zoo_journal_n_errors(const zoo_journal *journal);
const char *zoo_journal_errors_path(const zoo_journal *journal);

/*
 * Starts the keeper, a thread that brings lines to the disk within five seconds after they were
 * written, keeps the progress line of the journal, sees whether the files are still there, and ends
 * the program (128 + *stop) when *stop has been set for a second and a half and the run has not
 * left by itself. stop may be null. ZOO_E_MEMORY.
 */
zoo_status zoo_journal_keep(zoo_journal *journal, const volatile sig_atomic_t *stop,
                            zoo_error *err);
/* What the keeper found (null: nothing): ZOO_E_IO when a file vanished or cannot be written. */
zoo_status zoo_journal_check(zoo_journal *journal, zoo_error *err);
/* The line after the key, a JSON object of less than ZOO_PROGRESS_BYTES, written by the keeper and
 * at the end. */
enum { ZOO_PROGRESS_BYTES = 1024 };
/* Null is fine. */
void zoo_journal_progress(zoo_journal *journal, const char *json);
/* The progress line that a former run left; "" when there is none. */
const char *zoo_journal_last_progress(const zoo_journal *journal);

/* Appends line[n], which ends with a line feed. ZOO_E_IO. */
zoo_status zoo_journal_result(zoo_journal *journal, const char *line, size_t n, zoo_error *err);
zoo_status zoo_journal_error(zoo_journal *journal, const char *line, size_t n, zoo_error *err);

/* Brings everything to the disk and closes; null is fine.
 * An errors file without lines is removed. */
zoo_status zoo_journal_close(zoo_journal *journal, zoo_error *err);

/* What the journal beside results says of a run that is, or was. */
typedef struct zoo_journal_facts {
    zoo_journal_key key;
    uint64_t n_rows; /* of the run; UINT64_MAX: it was killed before it said so */
    bool is_running;
} zoo_journal_facts;
/* Nothing is written, no lock kept. ZOO_E_IO; ZOO_E_FORMAT: no journal of a batch run. */
zoo_status zoo_journal_look(const char *results, zoo_journal_facts *out, zoo_error *err);

/* The journal and the errors file that belong to results; false: the name is too long. */
bool zoo_journal_siblings(const char *results, char journal[4096], char errors[4096]);

/* Hex of the hash of a model folder. */
zoo_status zoo_journal_hash_model(const char *folder, char hex[40], zoo_error *err);

/* The id that a line of results or errors begins with; false: none of this program's. */
bool zoo_journal_line_id(const char *line, size_t n, zoo_id *id);

/* "batch_req_" and 32 hex digits; text has 48 bytes. */
void zoo_journal_name(zoo_id id, char text[48]);

#endif
