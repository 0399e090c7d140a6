/*
 * schedule.h: continuous batching: rows in, steps of the engine, finished rows out.
 *
 * A step: admit waiting rows while the engine has room (the whole length of a row is reserved, so a
 * started row never runs out of cache); add one token of every generating row, then drafts of these
 * rows where they pay (schedule_draft.c), then chunks of prompts up to limits.rows_max rows; run;
 * sample; rewind rejected drafts; retire finished rows.
 *
 * Speculative decoding: drafts are run as if they had been sampled. Each position is then sampled
 * as it would be without drafts: from its own logits, with its own random number, under the
 * penalties and masks of the tokens before it. The first sample that differs from its draft is
 * accepted, and the drafts after it are discarded.
 *
 * The caches of ended rows can be kept (zoo_schedule_keep), up to a share of the pages: a later
 * prompt with the same beginning starts there (kept.h). Sequences with rings or states can only be
 * continued where a copy was taken: at the row's marks, at the end of its prompt, at its own end
 * and at up to eight regular intervals of the prompt; the interval copies are dropped first.
 *
 * Admission order: rows whose prefix is kept, then the longest; with zoo_schedule_turns a row that
 * came much earlier starts before. Rows with a common beginning wait
 * for the first of them and start from the prefix that it leaves in the engine (prefix_tree.h).
 * Without room, kept prefixes are dropped, least recently used first. The order depends on the rows
 * and options alone; only the choice of drafts depends on measured times. Results depend on
 * neither.
 *
 * Cost: a step is linear in the running rows, an admission in the waiting ones, of which the caller
 * adds few at a time (zoo_schedule_wants_more). One thread at a time.
 */
#ifndef ZOO_GENERATE_SCHEDULE_H
#define ZOO_GENERATE_SCHEDULE_H

#include "checkpoint/generation.h"
#include "engine/engine.h"
#include "generate/kept_file.h"
#include "generate/row.h"
#include "generate/step_costs.h"

typedef struct zoo_schedule zoo_schedule;

typedef struct zoo_schedule_stats {
    uint64_t n_steps;
    uint64_t n_read;     /* prompt tokens run */
    uint64_t n_shared;   /* prompt tokens taken from kept prefixes */
    uint64_t n_written;  /* tokens generated */
    uint64_t n_reread;   /* tokens run again: changed positions, or after rejected drafts */
    uint64_t n_resumed;  /* rows that started from the cache of an ended row */
    uint64_t n_drafted;  /* draft tokens that were run */
    uint64_t n_accepted; /* of them, those that were then sampled */
    uint32_t n_kept;     /* prefixes of ended rows that are kept now */
    double cache_fill;   /* share of the cache pages in use or reserved, 0 to 1 */
    uint32_t n_running, n_waiting;
} zoo_schedule_stats;

/* Engine, tokenizer and generation are referenced, not copied; tokenizer null: rows have no text.
 * ZOO_E_MEMORY. [load] */
zoo_status zoo_schedule_new(zoo_engine *engine, const zoo_tokenizer *tokenizer,
                            const zoo_generation *generation, zoo_schedule **out, zoo_error *err);
/* From now on keeps the caches of ended rows, while kept and running sequences together use no more
 * than this share of the pages, 0 to 1. */
void zoo_schedule_keep(zoo_schedule *schedule, double share);
/* Loads the prefixes that an earlier process saved, within the share; before the first row. Save
 * writes those that are kept now. Failures are file->note. */
void zoo_schedule_load(zoo_schedule *schedule, zoo_kept_file *file);
void zoo_schedule_save(zoo_schedule *schedule, zoo_kept_file *file);
/* Rows that are still waiting or running are settled (zoo_row_settle), not freed. */
void zoo_schedule_free(zoo_schedule *schedule);

typedef enum zoo_speculate {
    ZOO_SPECULATE_OFF = 0,
    ZOO_SPECULATE_TEXT, /* drafts from the row's own prompt and output */
    ZOO_SPECULATE_FILE, /* also from the outputs of other running or ended rows */
    ZOO_SPECULATE_MTP   /* text, and the prediction layer as zoo_speculation.draft */
} zoo_speculate;

/* zoo_model_options.n_marks while speculating: drafts of models with states seldom pay with more
 * running rows than this. */
enum { ZOO_SPECULATE_MARKS = 8 };

/* "off", "text", "file", "mtp"; false: another word. */
bool zoo_speculate_read(const char *word, zoo_speculate *out);

typedef struct zoo_speculation {
    zoo_speculate kind;
    uint32_t n_always; /* drafts of every row in every step, even where they do not pay; 0: those
                          that pay by `costs`, none while costs.n_rows is 0 */
    zoo_engine
        *draft; /* a draft model with the same vocabulary, or the prediction layer, or null */
    zoo_step_costs draft_costs; /* of the draft model's steps */
    size_t pool_bytes;          /* of the draft pool, with ZOO_SPECULATE_FILE */
    zoo_step_costs costs;       /* of the engine's steps */
} zoo_speculation;

/* Turns speculative decoding on: the same tokens and log-probabilities in fewer steps. The struct
 * is referenced, not copied. Call at most once, before the first row. ZOO_E_MEMORY. */
zoo_status zoo_schedule_speculate(zoo_schedule *schedule, const zoo_speculation *speculation,
                                  zoo_error *err);

/* A row that could start is passed by rows only of the next passes_max that were added, however
 * long they are: for rows that come without an end. Before the first row; 0, as without the call:
 * no such limit. */
void zoo_schedule_turns(zoo_schedule *schedule, uint32_t passes_max);

/* Whether the caller should add more rows: too few wait to find common prefixes. */
bool zoo_schedule_wants_more(const zoo_schedule *schedule);
/* Adds a row, which must stay valid until it is popped. ZOO_E_MEMORY. */
zoo_status zoo_schedule_add(zoo_schedule *schedule, zoo_row *row, zoo_error *err);
/* Runs one step, or none if there is nothing to do. An error is the engine's and ends the run; the
 * failure of a single row is its result (ZOO_FINISH_FAILED). */
zoo_status zoo_schedule_step(zoo_schedule *schedule, zoo_error *err);
/* Cancels a waiting or running row, between two steps: it fails with ZOO_E_CANCELLED and is popped
 * like any other. No effect on a finished row. */
void zoo_schedule_cancel(zoo_schedule *schedule, zoo_row *row);
/* Drops all kept prefixes that no row waits for, and frees their pages. */
void zoo_schedule_drop_kept(zoo_schedule *schedule);
/* The next finished row, or null. */
zoo_row *zoo_schedule_pop(zoo_schedule *schedule);
/* Whether no row waits or runs. */
bool zoo_schedule_is_idle(const zoo_schedule *schedule);
zoo_schedule_stats zoo_schedule_stats_get(const zoo_schedule *schedule);

#endif
