/*
 * sample.h: from a row of logits to the next token, and log-probabilities.
 *
 * Order: repetition, frequency and presence penalty, bias, masks; then the largest logit if the
 * temperature is 0, else top-k, temperature, top-p, min-p and a draw. Ties go to the lower id
 * everywhere. The random number of position t of a row is a hash of (seed, t), so a row's tokens do
 * not depend on other rows. Sums have an order fixed by the vocabulary, and exponentials come from
 * the kernel table, which gives the same bits with every instruction set.
 *
 * Cost: linear in the vocabulary (radix selection, no sort). Memory: taken by zoo_sampler_new;
 * nothing is allocated per token. One sampler serves one thread at a time.
 *
 * Semantics after: Hugging Face transformers, generation/logits_process.py; vLLM, SamplingParams.
 */
#ifndef ZOO_GENERATE_SAMPLE_H
#define ZOO_GENERATE_SAMPLE_H

#include "kernels.h"

#define ZOO_LOGPROBS_MAX 20

typedef struct zoo_bias {
    uint32_t id;
    float add;
} zoo_bias;

/* A sequence of tokens that must not occur in the output. */
typedef struct zoo_word {
    const uint32_t *ids; /* [n], n > 0 */
    uint32_t n;
} zoo_word;

/* Sampling parameters of a request. Pointers belong to the request. */
typedef struct zoo_sampling {
    float temperature; /* 0: greedy */
    float top_p;       /* nucleus: keeps tokens until their sum reaches this; 1: all */
    float min_p;       /* keeps tokens of at least this share of the largest probability; 0: all */
    uint32_t top_k;    /* 0: all */
    float repetition;  /* on every token of prompt and output; 1: none */
    float presence, frequency; /* on tokens of the output; 0: none */
    uint32_t min_tokens;       /* no end token before this many tokens */
    bool ignore_eos;           /* the model's end tokens do not end the row */
    uint32_t n_biases, n_stop_ids, n_bad;
    uint64_t seed;
    const zoo_bias *biases;
    const uint32_t *stop_ids; /* end the row, besides the model's end tokens */
    const zoo_word *bad;      /* [n_bad]: the token that would complete one is masked */
    const uint32_t *allowed;  /* bits [n_vocab] of tokens that may be chosen; null: all */
} zoo_sampling;

/* Token counts of a row, for penalties. Zero-initialise. */
typedef struct zoo_history {
    struct zoo_seen {
        uint32_t id;
        uint32_t n_output;
    } * seen;        /* [n], one for each distinct token */
    uint32_t *index; /* open addressing, entry + 1 */
    uint32_t n, n_index;
} zoo_history;

/* Room for n_max calls of zoo_history_note. ZOO_E_MEMORY. */
zoo_status zoo_history_init(zoo_history *history, uint32_t n_max, zoo_error *err);
void zoo_history_note(zoo_history *history, uint32_t id, bool is_output);
void zoo_history_free(zoo_history *history);

typedef struct zoo_logprob {
    uint32_t id;
    uint32_t rank; /* 1: the largest */
    float logprob; /* natural */
} zoo_logprob;

typedef struct zoo_sampler zoo_sampler;

/* Uses the kernels softmax and scale. eos [n_eos]: the model's end tokens. Kernels and eos are
 * referenced, not copied. ZOO_E_MEMORY. [load] */
zoo_status zoo_sampler_new(const zoo_kernels *kernels, uint32_t n_vocab, const uint32_t *eos,
                           uint32_t n_eos, zoo_sampler **out, zoo_error *err);
void zoo_sampler_free(zoo_sampler *sampler);

/*
 * Samples token number n_output of a row. logits [n_vocab] are overwritten. history may be null if
 * no penalty is set; mask: bits [n_vocab] of allowed tokens, in addition to sampling->allowed, or
 * null. ZOO_E_INTERNAL: a logit is not finite, or no token is allowed.
 */
typedef struct zoo_draw {
    const zoo_sampling *sampling;
    const zoo_history *history;
    const uint32_t *mask;
    float *logits;
    const int32_t *output; /* [n_output] tokens so far; read for sampling->bad only */
    uint32_t n_output;
} zoo_draw;
zoo_status zoo_sample(zoo_sampler *sampler, const zoo_draw *draw, uint32_t *token, zoo_error *err);

/* Whether the token ends the row: a model's end token or one of the request. */
bool zoo_sample_ends(const zoo_sampler *sampler, const zoo_sampling *sampling, uint32_t token);

/*
 * Log-softmax of the model's logits [n_vocab]: out[0] is `token`, out[1 .. n_top] the largest ones,
 * descending; n_top <= ZOO_LOGPROBS_MAX and <= n_vocab. ZOO_E_INTERNAL: a logit is not finite.
 */
zoo_status zoo_logprobs(zoo_sampler *sampler, const float *logits, uint32_t token, uint32_t n_top,
                        zoo_logprob *out, zoo_error *err);

/* A uniform number in [0, 1), a function of seed and position. */
double zoo_uniform(uint64_t seed, uint64_t position);

#endif
