/*
 * row.h: one sequence to generate: what is asked, what came out, and the text as it grows.
 *
 * A request with n choices of several prompts is n times as many rows. Tokens become text through a
 * streaming decoder, so no half character is ever in `text`; stop strings are looked for in the
 * text as it grows, across token borders, and cut it.
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
    ZOO_FINISH_END,       /* the model's end token, or the limit where the filter's text is whole */
    ZOO_FINISH_STOP_ID,   /* an end token of the request: the last one of the output */
    ZOO_FINISH_STOP_TEXT, /* stops[stop_index] */
    ZOO_FINISH_FAILED     /* error says why */
} zoo_finish;

/* Limits what the next token may be (constrained output); mask null: no limit. Errors fail the row
 * alone. bits has room for the model's and the tokenizer's vocabulary. */
typedef struct zoo_filter {
    void *state;
    /* Sets the bits of allowed tokens among bits [n_vocab], which come cleared; tokens_left: how
     * many more there will be at most. [step] */
    zoo_status (*mask)(void *state, uint32_t tokens_left, uint32_t *bits, zoo_error *err);
    /* The token was chosen; not called for one that ends the row. [step] */
    zoo_status (*accept)(void *state, uint32_t token, zoo_error *err);
    /* Whether what was accepted so far may be all: such a row ends well at its limit. [step] */
    bool (*is_whole)(const void *state);
    /* The row is settled; may be null. [any] */
    void (*end)(void *state);
    /* Writes what will probably come, as far as little else is allowed, to out [n_max]; returns how
     * many tokens. May be null. [step] */
    uint32_t (*guess)(void *state, int32_t *out, uint32_t n_max);
} zoo_filter;

typedef struct zoo_row zoo_row;
struct zoo_row {
    /* Asked; pointers are the request's. */
    const int32_t *prompt; /* [n_prompt] */
    uint32_t n_prompt;
    uint32_t n_new_max;
    zoo_sampling sampling;
    uint32_t n_top;        /* log-probabilities beside each output token's own; ZOO_NO_LOGPROBS */
    uint32_t n_prompt_top; /* the same for prompt tokens */
    const char *const *stops;
    uint32_t n_stops;
    bool keep_stop;         /* the stop string or end token stays in the text */
    bool keep_special;      /* special tokens are spelled in the text */
    const uint32_t *hidden; /* bits of tokens that are left out all the same; or null */
    const int32_t *close;   /* [n_close] tokens that end reasoning when it has had think_max */
    uint32_t n_close, think_max;
    const char *think_begin, *think_end; /* the marks as text */
    bool is_thinking;                    /* the prompt ends inside reasoning */
    zoo_filter filter;
    void (*on_text)(void *arg, const char *text,
                    size_t n); /* settled text, as it comes, from any thread; or null */
    void *arg;
    void *owner;
    const uint32_t *marks; /* [n_marks] rising positions of the prompt where others may part */
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
    uint32_t n_drafted;           /* tokens read ahead before they were chosen */
    uint32_t n_accepted;          /* of them, those that were chosen */
    zoo_error error;

    /* The scheduler's. */
    bool is_running;        /* it has a sequence */
    bool is_under_way;      /* of a step that has begun and not ended */
    bool shares;            /* it may start from pages of others, and others from its */
    uint64_t order;         /* in which it was added */
    uint32_t seq;           /* the engine's number */
    uint32_t pos;           /* tokens the engine has read */
    bool scored;            /* prompt_logprobs are complete */
    uint32_t n_forced;      /* tokens of close that were put */
    size_t n_shown;         /* bytes of text given to on_text */
    zoo_prefix_chain chain; /* while it waits, or owns a prefix */
    zoo_decoder *decoder;
    zoo_history history;
    zoo_drafts *drafts;      /* null: none are made */
    zoo_pool_tail pool_tail; /* of its answer, where rows read ahead what others said */
    zoo_model_ahead ahead;   /* in the draft model, where there is one */
    zoo_row *next;
};

/* Takes the memory of the result and the decoder; tokenizer null: no text. ZOO_E_MEMORY. */
zoo_status zoo_row_begin(zoo_row *row, const zoo_tokenizer *tokenizer, zoo_error *err);

/* Adds an output token whose log-probabilities are noted already: history, text, stop conditions;
 * row->finish is set when it was the last one. */
zoo_status zoo_row_accept(zoo_row *row, const zoo_sampler *sampler, uint32_t token, zoo_error *err);

/* The token that must come next because reasoning has had its tokens, or -1. */
int32_t zoo_row_forced(zoo_row *row);
/* Adds the tokens that must come next for that reason to a proposal. */
void zoo_row_draft_forced(const zoo_row *row, zoo_drafts *drafts);

/* Gives back what only a running row needs. */
void zoo_row_settle(zoo_row *row);

/* Frees the result too; the row itself is the caller's. */
void zoo_row_free(zoo_row *row);

static inline bool zoo_row_scores(const zoo_row *row)
{
    return row->n_prompt_top != ZOO_NO_LOGPROBS && !row->scored && row->n_prompt > 1;
}

#endif
