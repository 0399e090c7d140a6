/*
 * row.h: one sequence to generate: its parameters, its output tokens and its text.
 *
 * A request for n choices of m prompts is n * m rows. A streaming decoder turns tokens into text,
 * so `text` never ends inside a UTF-8 character. Stop strings are searched for in the growing text,
 * across token boundaries, and truncate it.
 *
 * Memory: tokens and log-probabilities for the whole row are allocated by zoo_row_begin.
 */
#ifndef ZOO_GENERATE_ROW_H
#define ZOO_GENERATE_ROW_H

#include "generate/drafts.h"
#include "generate/prefix_tree.h"
#include "generate/sample.h"
#include "text/tokenizer/tokenizer.h"

#define ZOO_NO_LOGPROBS UINT32_MAX

typedef enum zoo_finish {
    ZOO_UNFINISHED = 0,
    ZOO_FINISH_LENGTH,    /* n_new_max tokens */
    ZOO_FINISH_END,       /* the model's end token, or the limit with the filter's text complete */
    ZOO_FINISH_STOP_ID,   /* an end token of the request: the last one of the output */
    ZOO_FINISH_STOP_TEXT, /* stops[stop_index] */
    ZOO_FINISH_FAILED     /* error says why */
} zoo_finish;

/* Constrained output: which tokens may come next; mask null: any. An error fails only this row.
 * bits has room for the larger of the model's and the tokenizer's vocabulary. */
typedef struct zoo_filter {
    void *state;
    /* Sets the bits of allowed tokens in bits [n_vocab], all clear on entry; tokens_left: the
     * number of tokens before the limit, this one included. [step] */
    zoo_status (*mask)(void *state, uint32_t tokens_left, uint32_t *bits, zoo_error *err);
    /* Advances by the sampled token; not called for one that ends the row. [step] */
    zoo_status (*accept)(void *state, uint32_t token, zoo_error *err);
    /* Whether the output so far is complete: a row at its limit then has ZOO_FINISH_END. [step] */
    bool (*is_whole)(const void *state);
    /* Frees the state when the row ends; may be null. [any] */
    void (*end)(void *state);
    /* Drafts: writes up to n_max probable next tokens to out, as far as the constraint leaves
     * little choice; returns their number. May be null. [step] */
    uint32_t (*guess)(void *state, int32_t *out, uint32_t n_max);
} zoo_filter;

typedef struct zoo_row zoo_row;
struct zoo_row {
    /* Input; the pointers belong to the request. */
    const int32_t *prompt; /* [n_prompt] */
    uint32_t n_prompt;
    uint32_t n_new_max;
    zoo_sampling sampling;
    uint32_t n_top;        /* top log-probabilities with each output token; or ZOO_NO_LOGPROBS */
    uint32_t n_prompt_top; /* the same for prompt tokens */
    const char *const *stops;
    uint32_t n_stops;
    bool keep_stop;         /* the stop string or end token stays in the text */
    bool keep_special;      /* special tokens are written to the text */
    const uint32_t *hidden; /* bits of tokens that are never written to the text; or null */
    const int32_t *close;   /* [n_close] tokens forced after think_max tokens of reasoning */
    uint32_t n_close, think_max;
    const char *think_begin, *think_end; /* the reasoning marks as text */
    bool is_thinking;                    /* the prompt ends inside reasoning */
    zoo_filter filter;
    void (*on_text)(void *arg, const char *text,
                    size_t n); /* new text that no stop string can cut; any thread; or null */
    void *arg;
    void *owner;
    const uint32_t *marks; /* [n_marks] rising prompt positions where other prompts may diverge */
    uint32_t n_marks;

    /* Result. */
    zoo_finish finish;
    uint32_t stop_index;
    uint32_t n_out;
    int32_t *tokens;              /* [n_prompt + n_out] */
    zoo_logprob *logprobs;        /* [n_out, 1 + n_top] */
    zoo_logprob *prompt_logprobs; /* [n_prompt - 1, 1 + n_prompt_top]: of tokens 1 .. */
    zoo_text text;                /* of the output, cut at the stop string */
    uint32_t n_cached;            /* prompt tokens taken from a kept prefix */
    uint32_t n_drafted;           /* draft tokens that were run */
    uint32_t n_accepted;          /* of them, those that were then sampled */
    zoo_error error;

    /* Private to the scheduler. */
    bool is_running;        /* it has a sequence */
    bool is_in_flight;      /* it is part of a step that has begun and not ended */
    bool shares;            /* cache pages may be shared with other rows */
    uint64_t order;         /* serial number of zoo_schedule_add */
    uint32_t seq;           /* the engine's sequence */
    uint32_t pos;           /* tokens the engine has run */
    bool scored;            /* prompt_logprobs are complete */
    uint32_t n_forced;      /* tokens of close that were emitted */
    size_t n_shown;         /* bytes of text given to on_text */
    zoo_prefix_chain chain; /* waiting: the nodes of its prompt; running: the nodes it owns */
    zoo_decoder *decoder;
    zoo_history history;
    zoo_drafts *drafts;      /* null: no drafts */
    zoo_pool_tail pool_tail; /* its output in the draft pool */
    zoo_draft_seq draft_seq; /* its sequence in the draft model */
    zoo_row *next;
};

/* Allocates the result and opens the decoder; tokenizer null: no text. ZOO_E_MEMORY. */
zoo_status zoo_row_begin(zoo_row *row, const zoo_tokenizer *tokenizer, zoo_error *err);

/* Appends an output token whose log-probabilities are stored already: history, filter, text, stop
 * conditions. Sets row->finish if it is the last one. Errors are the filter's and the decoder's. */
zoo_status zoo_row_accept(zoo_row *row, const zoo_sampler *sampler, uint32_t token, zoo_error *err);

/* The next token of `close` if the row must end its reasoning now, else -1. */
int32_t zoo_row_forced(zoo_row *row);
/* Adds the remaining tokens of `close` to the drafts if the row must end its reasoning now. */
void zoo_row_draft_forced(const zoo_row *row, zoo_drafts *drafts);

/* Frees what only a waiting or running row needs; the result remains. */
void zoo_row_settle(zoo_row *row);

/* Frees the result too; the row itself is the caller's. */
void zoo_row_free(zoo_row *row);

/* Whether log-probabilities of prompt tokens are still to be computed. */
static inline bool zoo_row_scores(const zoo_row *row)
{
    return row->n_prompt_top != ZOO_NO_LOGPROBS && !row->scored && row->n_prompt > 1;
}

#endif
