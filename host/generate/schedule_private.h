/* schedule_private.h: the scheduler's state, shared by schedule.c (steps), schedule_admit.c
 * (admission), schedule_draft.c (speculative decoding) and schedule_keep.c (kept prefixes). */
#ifndef ZOO_GENERATE_SCHEDULE_PRIVATE_H
#define ZOO_GENERATE_SCHEDULE_PRIVATE_H

#include "generate/draft_model.h"
#include "generate/kept.h"
#include "generate/schedule.h"

/* Sampling workspace, one for each thread of the engine. */
typedef struct zoo_sample_workspace {
    zoo_sampler *sampler;
    uint32_t *mask; /* [n_mask] words of allowed tokens */
    float *raw;     /* [vocab_size] logits before penalties */
} zoo_sample_workspace;

/* A row of the current step. */
typedef struct zoo_step_row {
    zoo_row *row;
    uint32_t n_out;    /* row->n_out before the step */
    bool is_proposed;  /* row->drafts were made for this step */
    uint32_t n_room;   /* of them that may be run */
    uint32_t n_drafts; /* of them that are run, at the end of the item */
} zoo_step_row;

/* A step between zoo_engine_step_begin and zoo_engine_step_end. */
typedef struct zoo_scheduled_step {
    zoo_item *items;         /* [seqs_max] */
    zoo_step_row *step_rows; /* [seqs_max] */
    uint32_t n_items;
} zoo_scheduled_step;

struct zoo_schedule {
    zoo_engine *engine;
    const zoo_tokenizer *tokenizer;
    const zoo_plan *plan;
    const zoo_limits *limits;
    zoo_sample_workspace *workspaces; /* [limits->n_threads] */
    zoo_prefixes prefixes;
    zoo_kept kept;
    double kept_share;                 /* of the pages; 0: ended rows are not kept */
    uint32_t grain;                    /* zoo_engine_prefix_grain */
    zoo_row **running;                 /* [n_running], in the order of admission */
    zoo_row **waiting;                 /* [n_waiting], in no order */
    zoo_row **drafting;                /* [seqs_max] rows that the draft model drafts for */
    zoo_item *items;                   /* [n_items] of the current step */
    zoo_step_row *step_rows;           /* [n_items] */
    zoo_scheduled_step *micro_batches; /* [n_micro_batches]; above 1 with pipeline parallelism */
    uint32_t n_micro_batches, n_in_flight, oldest;
    double begun; /* when the last step began, by zoo_clock_seconds */
    zoo_row *done_first, *done_last;
    size_t waiting_tokens;
    uint64_t n_added;
    uint32_t passes_max; /* zoo_schedule_turns; 0: no limit */
    uint32_t n_running, n_waiting, n_items;
    uint32_t n_answers; /* items of generating rows, which come first */
    uint32_t waiting_max;
    uint32_t logits_max;                /* rows of logits in one step */
    size_t n_mask;                      /* 32-bit words of a mask */
    const zoo_speculation *speculation; /* null: no drafts */
    zoo_draft_pool *pool;               /* outputs of all rows; null: drafts from own text only */
    zoo_draft_model *draft_model;       /* null: none */
    double pace_model;                  /* draft steps: measured / predicted time; 0: unknown */
    uint32_t n_model_skips;             /* steps since the draft model last seemed to pay */
    bool has_states;
    zoo_draft_rates rates; /* acceptance rates over all rows */
    bool drafts_now;       /* the current step has drafts */
    double pace_plain,
        pace_drafted;         /* measured / predicted time of steps without and with drafts */
    uint32_t n_drafted_steps; /* consecutive steps with drafts */
    uint32_t n_refused;       /* steps whose drafts were refused only because of the pace */
    zoo_schedule_stats stats;
};

/* Adds up to n_max drafts to the items, all of generating rows; the step will also have
 * n_prompt_rows rows of prompts. *n: drafts added. Errors are those of the draft model's engine. */
zoo_status zoo_schedule_draft(zoo_schedule *schedule, uint32_t n_prompt_rows, uint32_t n_max,
                              uint32_t *n, zoo_error *err);
/* Whether there is a draft model whose drafts pay with as many rows as run now. */
bool zoo_schedule_model_pays(zoo_schedule *schedule);
/* Updates the pace from the duration of a step that has only generating rows. */
void zoo_schedule_time_step(zoo_schedule *schedule, uint32_t n_rows, double seconds);
/* Compares a row's drafts with the tokens sampled: updates acceptance rates and counts, rewinds the
 * sequence past the rejected drafts and sets row->pos. */
void zoo_schedule_verify(zoo_schedule *schedule, const zoo_step_row *step_row);

/* Adds the row's new tokens to the draft pool, if there is one. */
void zoo_schedule_pool_output(zoo_schedule *schedule, zoo_row *row);

/* Opens waiting rows as long as the engine has room. */
void zoo_schedule_admit(zoo_schedule *schedule);
/* Finishes the row as cancelled if it waits; false: it does not. */
bool zoo_schedule_cancel_waiting(zoo_schedule *schedule, zoo_row *row);

/* ---- schedule_keep.c ---- */

/* The kept prefix of an ended row from which this row can start; *common: its length in tokens.
 * Null: none. */
zoo_kept_entry *zoo_schedule_find_kept(zoo_schedule *schedule, const zoo_row *row,
                                       uint32_t *common);
/* The next position after row->pos at which a copy is kept, or UINT32_MAX. */
uint32_t zoo_schedule_next_kept(const zoo_schedule *schedule, const zoo_row *row);
/* Keeps the row's cache if it has ended or stands at a position to keep. */
void zoo_schedule_keep_row(zoo_schedule *schedule, const zoo_row *row, bool has_ended);
/* Drops the least recently used kept prefix of an ended row; false: there is none. */
bool zoo_schedule_drop_oldest(zoo_schedule *schedule);

/* Appends a row whose sequence is closed to the finished rows. */
void zoo_schedule_finish(zoo_schedule *schedule, zoo_row *row);

#endif
