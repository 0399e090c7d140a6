/*
 * score.h: how well a model predicts texts (perplexity), and its KL divergence from a reference.
 *
 *   file -> texts (ids) -> windows -> steps with the logits of all rows -> one result a token
 *
 *   nll = log sum_i e^x_i - x_token;   kl = sum_i p_i (log p_i - log q_i)
 *
 * x: the model's logits, q: their softmax, p: that of the reference. Sums are float64 and go over
 * the vocabulary in one order, so a token's result does not depend on batch, threads or chunks.
 *
 * A text longer than limits.context_max is read in windows that overlap by one token: every token
 * but a text's first is scored once. Where a text begins with the tokenizer's begin token, each of
 * its windows does.
 *
 * Memory: the ids, one zoo_score_token a token, logits of LOGITS_BYTES at most for each engine.
 */
#ifndef ZOO_EVALUATE_SCORE_H
#define ZOO_EVALUATE_SCORE_H

#include "checkpoint/generation.h"
#include "engine/engine.h"
#include "text/jinja/template.h"
#include "text/tokenizer/tokenizer.h"

typedef struct zoo_score_text {
    int32_t *tokens; /* [n], n >= 1 */
    uint32_t n;
    uint64_t line;  /* of the file, 1 is the first; 1 for a whole file */
    size_t n_bytes; /* of the text; 0: it was given as ids */
    size_t first;   /* index of its first result (of n - 1) among those of all texts */
} zoo_score_text;

/* Zero-initialise; free with zoo_score_texts_free, after failures too. */
typedef struct zoo_score_texts {
    zoo_score_text *list;
    uint32_t n, capacity;
    size_t n_scored; /* results of all texts */
    size_t n_bytes;  /* of all texts; 0 where a text is ids or its first character is not scored */
    int32_t begin;   /* the tokenizer's begin token, or -1 */
} zoo_score_texts;

typedef struct zoo_score_source {
    const char *path; /* x.jsonl: {"text": ...}, {"tokens": [...]} or {"messages": [...]} a line */
    const zoo_tokenizer *tokenizer; /* null: ids alone */
    const zoo_template *chat;       /* writes messages; null: they are refused */
    uint32_t n_vocab;
    bool by_lines;  /* each line of a text file that is not empty is a text */
    bool documents; /* texts are put between the tokenizer's begin and end token */
    uint32_t end;   /* the end token in its place; ZOO_ID_NONE: the tokenizer's */
} zoo_score_source;

/* Adds a text (of which `first` is set), taking its tokens, after failures too. source: its name in
 * messages. ZOO_E_LIMIT, ZOO_E_MEMORY. */
zoo_status zoo_score_texts_add(zoo_score_texts *texts, zoo_score_text text, const char *source,
                               zoo_error *err);
/* ZOO_E_IO, ZOO_E_LIMIT, ZOO_E_MEMORY; ZOO_E_USAGE: a line is refused, by number, or there is
 * nothing to score. */
zoo_status zoo_score_texts_read(const zoo_score_source *source, zoo_score_texts *out,
                                zoo_error *err);
void zoo_score_texts_free(zoo_score_texts *texts);

typedef struct zoo_score_token {
    double nll;           /* natural; infinite for a token that cannot come */
    double reference_nll; /* without a reference 0, as kl and agrees */
    double kl;
    bool is_first; /* no token is likelier (of equal ones the lower id counts) */
    bool agrees;   /* both find the same token most likely (of equal ones the lower id) */
} zoo_score_token;

typedef struct zoo_score_job {
    zoo_engine *engine;
    zoo_engine *reference; /* of as many logits; or null */
    const zoo_score_texts *texts;
    const zoo_generation *generation; /* greedy: whose end tokens end a continuation */
    bool shows_progress;
} zoo_score_job;

/* Fills out [texts->n_scored]. ZOO_E_USAGE: contexts of less than 3; ZOO_E_INTERNAL: logits that
 * are not numbers. */
zoo_status zoo_score_run(const zoo_score_job *job, zoo_score_token *out, zoo_error *err);

/* A greedy continuation by model and reference. */
typedef struct zoo_score_pair {
    uint32_t n, n_reference; /* tokens written */
    uint32_t n_same;         /* before the first difference */
} zoo_score_pair;

/* Continues the first n_prompt tokens of each of the first n_texts texts by at most n_new tokens;
 * fills out [n_texts]. */
typedef struct zoo_score_greedy {
    uint32_t n_texts, n_prompt, n_new;
} zoo_score_greedy;
zoo_status zoo_score_continue(const zoo_score_job *job, const zoo_score_greedy *greedy,
                              zoo_score_pair *out, zoo_error *err);

#endif
