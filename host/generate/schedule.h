/*
 * schedule.h: continuous batching: rows in, steps of the engine, finished rows out.
 *
 * Pipeline of a step: admit waiting rows as long as the engine has room (a row's whole length is
 * reserved, so a started row never runs out); one token of every row that is generating, and drafts
 * of what it will say behind it where they pay (schedule_draft.c); with what is left of
 * limits.rows_max, chunks of prompts; run; sample; take wrong drafts back; finish.
 *
 * A draft is read as if it had been chosen. Each position is then sampled as it would be without
 * it: from its own logits, with its own number, under the penalties and masks of what came before;
 * the first sample that is not the draft ends the look at what was read behind it.
 *
 * What rows have read may be kept when they end, too (zoo_schedule_keep), up to a part of the
 * pages: a later prompt that begins alike starts there (kept.h). Sequences with rings or states are
 * kept at the marks of a row, at the end of its prompt, at its own end, and on a ladder of eight
 * positions that make room first.
 *
 * Order: rows whose prefix is kept first, then the longest. Rows that begin alike wait
 * for the first of them and start from what the engine kept (prefix_tree.h). Kept prefixes are
 * dropped, the longest unused first, when there is no room. What is chosen depends on the rows and
 * options alone, but for drafts never on time; results do not depend on it at all.
 *
 * Work of a step grows with running rows; of an admission with waiting ones, of which the owner
 * keeps few (zoo_schedule_wants_more). Finished rows cost nothing. One thread at a time.
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
    uint64_t n_read;     /* prompt tokens computed */
    uint64_t n_shared;   /* prompt tokens taken from kept prefixes */
    uint64_t n_written;  /* tokens generated */
    uint64_t n_reread;   /* tokens computed again because of their position or of wrong drafts */
    uint64_t n_resumed;  /* rows that started from what an ended row left */
    uint64_t n_drafted;  /* tokens read ahead before they were chosen */
    uint64_t n_accepted; /* of them, those that were chosen */
    uint32_t n_kept;     /* entries of what ended rows left now */
    double cache_fill;   /* part of the pages that is held or promised */
    uint32_t n_running, n_waiting;
} zoo_schedule_stats;

/* All three are kept by reference; tokenizer may be null: rows have no text then. [load] */
zoo_status zoo_schedule_new(zoo_engine *engine, const zoo_tokenizer *tokenizer,
                            const zoo_generation *generation, zoo_schedule **out, zoo_error *err);
/* From now on what rows have read is kept after their end, while it and what runs take no more than
 * this part of the pages, 0 to 1. */
void zoo_schedule_keep(zoo_schedule *schedule, double share);
/* What an earlier process left in the file is kept from now on, within the share; before the first
 * row. And what is kept now goes to the file. */
void zoo_schedule_load(zoo_schedule *schedule, zoo_kept_file *file);
void zoo_schedule_save(zoo_schedule *schedule, zoo_kept_file *file);
/* Rows still inside are settled, not freed. */
void zoo_schedule_free(zoo_schedule *schedule);

typedef enum zoo_speculate {
    ZOO_SPECULATE_OFF = 0,
    ZOO_SPECULATE_TEXT, /* drafts from the row's own prompt and output */
    ZOO_SPECULATE_FILE  /* and from the outputs of other rows that run or have ended */
} zoo_speculate;

/* zoo_model_options.n_marks for it: with more rows than these, drafts of models with states seldom
 * pay. */
enum { ZOO_SPECULATE_MARKS = 8 };

/* "off", "text", "file"; false: another word. */
bool zoo_speculate_read(const char *word, zoo_speculate *out);

typedef struct zoo_speculation {
    zoo_speculate kind;
    uint32_t n_always; /* drafts of every row in every step, whether they pay or not; 0: what
                             pays by costs, of which something must be known for any */
    zoo_engine *draft; /* a model with the same vocabulary that drafts, or null; its steps' costs */
    zoo_step_costs draft_costs;
    size_t pool_bytes; /* for what other rows said, with ZOO_SPECULATE_FILE */
    zoo_step_costs costs;
} zoo_speculation;

/* Rows read ahead what they will probably say, and keep what they then choose: the same tokens and
 * log-probabilities in fewer steps. Kept by reference. Once, before the first row; without this
 * call there are no drafts. ZOO_E_MEMORY. */
zoo_status zoo_schedule_speculate(zoo_schedule *schedule, const zoo_speculation *speculation,
                                  zoo_error *err);

/* Whether more waiting rows would help to choose well. */
bool zoo_schedule_wants_more(const zoo_schedule *schedule);
/* Adds a row, which must live until it is popped. ZOO_E_MEMORY. */
zoo_status zoo_schedule_add(zoo_schedule *schedule, zoo_row *row, zoo_error *err);
/* Runs one step, or none when there is nothing to do. An error ends the run: the engine failed. A
 * row's own failure is its result (ZOO_FINISH_FAILED). */
zoo_status zoo_schedule_step(zoo_schedule *schedule, zoo_error *err);
/* Ends a row that waits or runs, between two steps: it is finished as failed with ZOO_E_CANCELLED
 * and popped like any other. A finished row stays as it is. */
void zoo_schedule_cancel(zoo_schedule *schedule, zoo_row *row);
/* Gives up the kept prefixes that no row waits for, and their pages. */
void zoo_schedule_drop_kept(zoo_schedule *schedule);
/* The next finished row, or null. */
zoo_row *zoo_schedule_pop(zoo_schedule *schedule);
/* Nothing waits or runs. */
bool zoo_schedule_is_idle(const zoo_schedule *schedule);
zoo_schedule_stats zoo_schedule_stats_get(const zoo_schedule *schedule);

#endif
