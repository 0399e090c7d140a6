/* schedule_private.h: what schedule.c (steps), schedule_admit.c (admission) and schedule_draft.c
 * (tokens read ahead) share. */
#ifndef ZOO_GENERATE_SCHEDULE_PRIVATE_H
#define ZOO_GENERATE_SCHEDULE_PRIVATE_H

#include "generate/draft_model.h"
#include "generate/kept.h"
#include "generate/schedule.h"

/* What sampling needs; one for each thread of the engine. */
typedef struct zoo_sample_workspace {
    zoo_sampler *sampler;
    uint32_t *mask; /* [n_mask] */
    float *raw;     /* [vocab_size] */
} zoo_sample_workspace;

/* A row of the step at hand, as it was before. */
typedef struct zoo_step_row {
    zoo_row *row;
    uint32_t n_out;
    bool is_proposed;  /* row->drafts say what may come */
    uint32_t n_room;   /* of them may be read now */
    uint32_t n_drafts; /* are read, at the end of the item */
} zoo_step_row;

/* A step from its begin to its end. */
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
    double kept_share;                 /* 0: nothing is kept of ended rows */
    uint32_t grain;                    /* zoo_engine_prefix_grain */
    zoo_row **running;                 /* [n_running], in the order of admission */
    zoo_row **waiting;                 /* [n_waiting], in no order */
    zoo_row **asking;                  /* [seqs_max] rows that ask the draft model */
    zoo_item *items;                   /* [n_items] of the step at hand */
    zoo_step_row *step_rows;           /* [n_items] */
    zoo_scheduled_step *micro_batches; /* [n_micro_batches]: several where ranks have the layers */
    uint32_t n_micro_batches, n_under_way, oldest;
    double begun; /* seconds: the last step that began */
    zoo_row *done_first, *done_last;
    size_t waiting_tokens;
    uint64_t n_added;
    uint32_t n_running, n_waiting, n_items;
    uint32_t n_answers; /* items of rows that generate; they come first */
    uint32_t waiting_max;
    uint32_t logits_max;
    size_t n_mask;                      /* words */
    const zoo_speculation *speculation; /* null: no drafts */
    zoo_draft_pool *pool;               /* of all rows; null: each goes by its own text */
    zoo_draft_model *draft_model;       /* null: there is none */
    double pace_model;                  /* seconds of its drafts over its table's; 0: not known */
    uint32_t n_unasked;                 /* steps for which the draft model did not seem to pay */
    bool has_states;
    zoo_draft_odds odds;             /* of all rows */
    bool drafts_now;                 /* the step at hand has drafts */
    double pace_plain, pace_drafted; /* seconds of a step over the table's, without and with */
    uint32_t n_drafted_steps;        /* since one without */
    uint32_t n_refused;              /* steps whose drafts the pace alone forbade */
    zoo_schedule_stats stats;
};

/* Adds drafts to the items, which are those of rows that generate, n_max at most; n_prompt_rows
 * come beside them. *n: how many. An error is the draft model's engine's. */
zoo_status zoo_schedule_draft(zoo_schedule *schedule, uint32_t n_prompt_rows, uint32_t n_max,
                              uint32_t *n, zoo_error *err);
/* Learns from a step of rows that generate. */
void zoo_schedule_paced(zoo_schedule *schedule, uint32_t n_rows, double seconds);
/* Learns from the tokens that a row with a proposal got, and takes back what was read wrongly:
 * row->pos is set where there were drafts. */
void zoo_schedule_judge(zoo_schedule *schedule, const zoo_step_row *step_row);

/* Shows the row's new tokens to other rows, where they read ahead by one another. */
void zoo_schedule_pool(zoo_schedule *schedule, zoo_row *row);

/* Opens waiting rows as long as the engine has room. */
void zoo_schedule_admit(zoo_schedule *schedule);
/* Finishes the row as cancelled if it waits; false: it does not. */
bool zoo_schedule_cancel_waiting(zoo_schedule *schedule, zoo_row *row);
/* ---- schedule_keep.c ---- */

/* What an ended row left that a row can start from; *common: its positions. Null: nothing. */
zoo_kept_entry *zoo_schedule_find_kept(zoo_schedule *schedule, const zoo_row *row,
                                       uint32_t *common);
/* The next position behind row->pos that is worth keeping, or UINT32_MAX. */
uint32_t zoo_schedule_next_kept(const zoo_schedule *schedule, const zoo_row *row);
/* Keeps what the row has read now, where that is worth it; has_ended: it goes no further. */
void zoo_schedule_keep_row(zoo_schedule *schedule, const zoo_row *row, bool has_ended);
/* Gives up the oldest, to make room; false: there is none. */
bool zoo_schedule_drop_oldest(zoo_schedule *schedule);

/* Puts a row whose sequence is closed among the finished. */
void zoo_schedule_finish(zoo_schedule *schedule, zoo_row *row);

#endif
