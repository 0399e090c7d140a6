/*
 * lmzoo.h: the C interface of liblmzoo, for programs and for other languages.
 *
 *   lmzoo_open -> model -> lmzoo_submit -> request -> lmzoo_wait ... -> answer -> lmzoo_free
 *
 * Requests are OpenAI request bodies as JSON, with the keys that `lmzoo batch` takes; answers are
 * the bodies that it writes. All requests of a model share one continuous batch: submit many, then
 * wait for each. A request's tokens don't depend on what runs beside it.
 *
 * Every function may be called from any thread; calls on one request must not overlap. A model must
 * outlive its requests. Functions that can fail return LMZOO_OK or a negative status and fill an
 * error, which may be null. Memory that a function returns through a `char **` or another pointer
 * to a pointer is the caller's and is freed with lmzoo_free. Texts are UTF-8; token ids are int32.
 *
 * Stable: functions are added, never changed; structs that the caller fills begin with their size,
 * so that fields can be appended.
 */
#ifndef LMZOO_H
#define LMZOO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LMZOO_API __attribute__((visibility("default")))
#else
#define LMZOO_API
#endif

#define LMZOO_API_VERSION 1

/* Why a call failed. */
enum {
    LMZOO_OK = 0,
    LMZOO_E_USAGE = -1,       /* an argument is wrong */
    LMZOO_E_IO = -2,          /* a file cannot be opened, read or written */
    LMZOO_E_FORMAT = -3,      /* a file or text breaks the rules of its format */
    LMZOO_E_CONFIG = -4,      /* config.json needs something that is not supported */
    LMZOO_E_WEIGHT = -5,      /* a tensor is missing or has the wrong shape or dtype */
    LMZOO_E_PLUGIN = -6,      /* a plugin file was refused */
    LMZOO_E_MEMORY = -7,      /* an allocation failed or a limit would be exceeded */
    LMZOO_E_UNSUPPORTED = -8, /* well-formed input that is named and refused */
    LMZOO_E_LIMIT = -9,       /* a bound on length, depth, steps or count was reached */
    LMZOO_E_INTERNAL = -10,
    LMZOO_E_CANCELLED = -11
};

typedef struct lmzoo_error {
    int32_t status;
    char message[508]; /* one sentence, null-terminated, truncated if longer */
} lmzoo_error;

typedef struct lmzoo_model lmzoo_model;
typedef struct lmzoo_request lmzoo_request;

/* How a model is opened. Zero-initialise and set size; zero or null is the default of each. */
typedef struct lmzoo_options {
    uint32_t size;            /* sizeof(lmzoo_options) */
    uint32_t threads;         /* 0: one for each core */
    const char *weights;      /* "auto", "f32", "bf16", "int8", "int6", "int4", "int4-all" */
    const char *cache;        /* "auto", a kind, or kinds of streams: "k=int8,v=int4" */
    const char *isa;          /* null: the best that the CPU has */
    const char *plugin_dir;   /* null: beside the library or the program */
    const char *card_dir;     /* the same */
    const char *packed_cache; /* folder of packed weights, or "auto"; null: none */
    const char *const *allow_unknown; /* config keys to ignore, null-ended; or null */
    uint64_t memory;                  /* bytes of weights and caches; 0: most of the machine's */
    uint32_t context;                 /* tokens of a sequence; 0: the model's, at most 8192 */
    uint32_t sequences;               /* running at once, at most; 0: 64 */
    uint32_t rows;                    /* tokens of a step, at most; 0: 512 */
    uint32_t reserved;
} lmzoo_options;

/* LMZOO_API_VERSION of the library, to compare with the header's. */
LMZOO_API uint32_t lmzoo_api_version(void);
/* The version of the program, as "0.1.0". */
LMZOO_API const char *lmzoo_version(void);

/* Frees memory that this library allocated. Null is fine. */
LMZOO_API void lmzoo_free(void *memory);

/* model: a folder with config.json, or a name in the Hub's local cache. options may be null. Reads
 * and packs the weights, which can take long. */
LMZOO_API int lmzoo_open(const char *model, const lmzoo_options *options, lmzoo_model **out,
                         lmzoo_error *error);
/* Cancels requests that still run, then frees the model. Null is fine. */
LMZOO_API void lmzoo_close(lmzoo_model *model);

/* What a model is and how much memory it takes with these options, as one JSON object (that of
 * `lmzoo inspect --json`), without reading weights. */
LMZOO_API int lmzoo_plan(const char *model, const lmzoo_options *options, char **json,
                         lmzoo_error *error);
/* The same for an open model. */
LMZOO_API int lmzoo_inspect(lmzoo_model *model, char **json, lmzoo_error *error);

/* Numbers of an open model. Set size before the call; fields beyond it are left alone. */
typedef struct lmzoo_info {
    uint32_t size; /* sizeof(lmzoo_info) */
    uint32_t vocab_size;
    uint32_t hidden_size;
    uint32_t layers;
    uint32_t context;                        /* tokens of a sequence at most */
    uint32_t sequences;                      /* that run at once at most */
    uint32_t has_tokenizer, has_template;    /* 0 or 1 */
    int32_t bos_token, eos_token, pad_token; /* -1: none */
    uint32_t threads;
} lmzoo_info;
LMZOO_API void lmzoo_model_info(const lmzoo_model *model, lmzoo_info *info);

/* ---- text ---- */

/* add_special: also the special tokens that the tokenizer puts around a text. *ids [*n]. */
LMZOO_API int lmzoo_tokenize(const lmzoo_model *model, const char *text, size_t n_text,
                             int add_special, int32_t **ids, size_t *n, lmzoo_error *error);
/* *text is null-terminated, *n bytes without the null. */
LMZOO_API int lmzoo_detokenize(const lmzoo_model *model, const int32_t *ids, size_t n_ids,
                               int skip_special, char **text, size_t *n, lmzoo_error *error);
/* Renders the chat template. variables: a JSON object with messages, tools, add_generation_prompt
 * and what else the template reads. */
LMZOO_API int lmzoo_render(const lmzoo_model *model, const char *variables, char **text, size_t *n,
                           lmzoo_error *error);

/* ---- generating ---- */

enum { LMZOO_COMPLETION = 1, LMZOO_CHAT = 2 };
enum { LMZOO_STREAM = 1 }; /* flag of submit: text events arrive as tokens are generated */

/* body [n]: the JSON body of a request. A bad body is refused here, not later by lmzoo_wait. */
LMZOO_API int lmzoo_submit(lmzoo_model *model, int endpoint, const char *body, size_t n,
                           uint32_t flags, lmzoo_request **out, lmzoo_error *error);

typedef enum lmzoo_event_kind {
    LMZOO_TIMEOUT = 0, /* no event within timeout_ms */
    LMZOO_TEXT = 1,    /* a piece of text of one choice; whole characters */
    LMZOO_DONE = 2     /* the complete answer; returned again by every later call */
} lmzoo_event_kind;

typedef struct lmzoo_event {
    int32_t kind;
    uint32_t choice;  /* LMZOO_TEXT: index of the choice */
    const char *text; /* LMZOO_TEXT: the piece; LMZOO_DONE: the JSON answer. Null-terminated; owned
                         by the request and valid until the next call on it */
    size_t n;         /* bytes of text */
} lmzoo_event;

/* Waits for the next event of a request, at most timeout_ms (negative: for ever). If the request
 * failed, this call returns its error. */
LMZOO_API int lmzoo_wait(lmzoo_request *request, int32_t timeout_ms, lmzoo_event *event,
                         lmzoo_error *error);
/* Cancels the request; lmzoo_wait then returns LMZOO_E_CANCELLED. From any thread. */
LMZOO_API void lmzoo_cancel(lmzoo_request *request);
/* Frees the request, cancelling it if it still runs. Null is fine. */
LMZOO_API void lmzoo_request_free(lmzoo_request *request);

/* Called with each piece of text; a result other than 0 cancels the request. */
typedef int lmzoo_text_fn(void *arg, uint32_t choice, const char *text, size_t n);
/* Submit, wait and free in one call. on_text may be null. *answer: the JSON answer. */
LMZOO_API int lmzoo_generate(lmzoo_model *model, int endpoint, const char *body,
                             lmzoo_text_fn *on_text, void *arg, char **answer, lmzoo_error *error);

/* ---- numbers ---- */

/*
 * Likelihoods of texts: tokens [sum of lengths], one text after the other; lengths [n_texts]. For
 * every token except the first of each text, in order, nll gets -ln p(token | tokens before it)
 * and is_greedy (may be null) whether it was the most likely token (ties go to the lower id). Each
 * holds sum of lengths - n_texts values; a text without tokens is refused. A text longer than the
 * context is scored in windows that overlap by one token.
 */
LMZOO_API int lmzoo_score(lmzoo_model *model, const int32_t *tokens, const uint32_t *lengths,
                          uint32_t n_texts, double *nll, uint8_t *is_greedy, lmzoo_error *error);

/* Logits of every position: tokens [n], logits [n, vocab_size]. */
LMZOO_API int lmzoo_logits(lmzoo_model *model, const int32_t *tokens, uint32_t n, float *logits,
                           lmzoo_error *error);

/* Called with a named activation: values [rows, width], valid during the call. */
typedef void lmzoo_trace_fn(void *arg, const char *name, const float *values, uint32_t rows,
                            uint32_t width);
/* Reads tokens [n] and calls fn for every activation, named as the reference's modules are. */
LMZOO_API int lmzoo_trace(lmzoo_model *model, const int32_t *tokens, uint32_t n, lmzoo_trace_fn *fn,
                          void *arg, lmzoo_error *error);

/* Counts since the model was opened. Set size before the call. */
typedef struct lmzoo_stats {
    uint32_t size;
    uint32_t running, waiting; /* sequences */
    uint32_t reserved;
    uint64_t steps;
    uint64_t prompt_tokens_read, prompt_tokens_shared, tokens_written;
} lmzoo_stats;
LMZOO_API void lmzoo_model_stats(lmzoo_model *model, lmzoo_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
