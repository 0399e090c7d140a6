/*
 * request.h: one line of a batch file, checked and made ready to run.
 *
 * A line is {"custom_id", "method": "POST", "url", "body"} with the body of an OpenAI request to
 * /v1/completions or /v1/chat/completions and the sampling keys of vLLM beside it. Every key is
 * either understood, known to be harmless, or refused by name; every value has its type and range
 * checked; a refusal is one sentence and names the key. null means absent, for unknown keys too.
 *
 * Pipeline: parse (line -> tree -> fields), encode (template and tokenizer -> token ids). Both may
 * run in a thread of their own: the context is only read.
 *
 * Not done: images and sound in messages, a template in the request, best_of beyond n, suffix.
 * Source: the OpenAI API reference; vLLM, SamplingParams.
 */
#ifndef ZOO_BATCH_REQUEST_H
#define ZOO_BATCH_REQUEST_H

#include "base/json.h"
#include "checkpoint/generation.h"
#include "generate/sample.h"
#include "text/grammar/grammar.h"
#include "text/jinja/template.h"
#include "text/tokenizer/tokenizer.h"

#define ZOO_UNSAID UINT32_MAX

/* Steps that making a request ready may take (base/budget.h): templates count theirs besides. */
#define ZOO_REQUEST_STEPS_MAX UINT64_C(50000000)

enum { ZOO_STOPS_MAX = 64, ZOO_CHOICES_MAX = 128 };

typedef enum zoo_endpoint { ZOO_COMPLETIONS = 1, ZOO_CHAT = 2 } zoo_endpoint;

/* What requests are checked against; the same for all lines of a file. */
typedef struct zoo_request_context {
    const zoo_generation *generation;
    const zoo_tokenizer *tokenizer;  /* null: only prompts of token ids */
    const zoo_template *chat;        /* null: no chat requests */
    const zoo_vocab *vocab;          /* null: no constrained output */
    zoo_grammars *grammars;          /* of vocab; null: each request has its own */
    const zoo_output_format *format; /* of the model's chats; null: not known */
    const zoo_clock *now;            /* what a template sees as the time */
    uint32_t n_vocab;
    uint32_t context_max;
    uint32_t usual_max; /* new tokens of a completion without max_tokens; 0: as a chat */
    bool marks_turns;   /* zoo_request_mark is called for chats */
    uint64_t seed;      /* of requests that bring none, mixed with their custom_id */
} zoo_request_context;

/* The arguments of a call as the client wrote them. */
typedef struct zoo_call_text {
    cJSON *function;
    cJSON *text; /* null: given back to the function */
} zoo_call_text;

typedef struct zoo_prompt {
    const char *text; /* null: given as ids. The request's. */
    int32_t *tokens;  /* [n_tokens] */
    uint32_t n_tokens;
} zoo_prompt;

/* Zero-initialise; zoo_request_free releases everything, after failures too. */
typedef struct zoo_request {
    cJSON *tree;           /* owns the strings */
    cJSON *variables;      /* chat: what the template is given */
    const char *custom_id; /* null: not known */
    const char *model;     /* null: not said */
    zoo_endpoint endpoint;
    zoo_sampling sampling; /* its pointers are those below */
    zoo_bias *biases;
    uint32_t *bad_ids;   /* of all bad_words, one after the other */
    zoo_word *bad_words; /* [sampling.n_bad] */
    uint32_t *stop_ids, *allowed;
    const char *stops[ZOO_STOPS_MAX];
    uint32_t n_stops;
    uint32_t n_choices;    /* of each prompt */
    uint32_t n_new_max;    /* tokens to generate; ZOO_UNSAID until encoded */
    uint32_t n_top;        /* log-probabilities a token; ZOO_UNSAID: none */
    uint32_t n_prompt_top; /* the same for prompt tokens (prompt_logprobs) */
    bool echo, has_seed, wants_logprobs;
    bool keep_stop; /* the stop string stays in the text */
    bool keep_special;
    bool wants_ids; /* token ids stand in the result */
    bool add_special;
    bool add_special_said;
    zoo_prompt *prompts;
    uint32_t n_prompts;
    bool wants_json;        /* the answer is JSON, or of a shape that the fields below say */
    const cJSON *schema;    /* of the JSON; null: any object */
    const char *pattern;    /* not null: the whole answer matches this regular expression instead */
    const char *ebnf;       /* not null: the whole answer is a text of this grammar instead */
    const cJSON *options;   /* not null: the answer is one of these strings instead */
    const char *shape_key;  /* who asked for a shape, for refusals */
    const cJSON *bad_texts; /* strings that must not be written */
    int64_t truncate;       /* prompt tokens kept, the last; -1: what fits; INT64_MAX: all */
    uint32_t think_max;     /* tokens of reasoning; ZOO_UNSAID: no bound */
    bool must_call;         /* tool_choice forces a call */
    const char *choice;     /* of that tool; null: of any */
    bool one_call;          /* parallel_tool_calls is false */
    uint32_t reasoning;     /* zoo_grammar_want's; set by encode where there is a grammar */
    zoo_grammar *grammar;   /* compiled by encode */
    char *rendered;         /* chat: the prompt's text */
    cJSON *owned;           /* what reading the body made, kept for the fields above */
    zoo_call_text *call_texts; /* [n_call_texts] */
    uint32_t n_call_texts;
    int32_t
        *think_close; /* [n_think_close]: what the template writes behind reasoning, as tokens */
    uint32_t n_think_close;
    char think_marks[2][64]; /* that begin and end reasoning */
    bool think_open;         /* the prompt ends inside reasoning */
    uint32_t marks[2];       /* [n_marks] tokens of the prompt up to the first user's words, and to
                                the end of what was said */
    uint32_t n_marks;
    char param[64]; /* the key that a refusal is about, or "" */
} zoo_request;

/*
 * Reads line[n]; name identifies it in errors ("line 17"). ZOO_E_FORMAT: not JSON or not a request
 * line; ZOO_E_USAGE: a key or value is refused; ZOO_E_UNSUPPORTED: named and not done here;
 * ZOO_E_MEMORY.
 */
zoo_status zoo_request_parse(const zoo_request_context *context, const char *line, size_t n,
                             const char *name, zoo_request *out, zoo_error *err);

/* The same for a body alone, which out owns from here on, whatever is returned. */
zoo_status zoo_request_body(const zoo_request_context *context, zoo_endpoint endpoint, cJSON *body,
                            zoo_request *out, zoo_error *err);

/* Renders and tokenizes the prompts, and settles the lengths. Also ZOO_E_LIMIT: too long. */
zoo_status zoo_request_encode(const zoo_request_context *context, zoo_request *request,
                              zoo_error *err);

void zoo_request_free(zoo_request *request);

/* ---- between request.c, request_keys.c and request_chat.c ---- */

/* Refuses with the key noted in request->param. */
zoo_status zoo_request_refuse(zoo_request *request, const char *key, zoo_status code,
                              zoo_error *err, const char *format, ...) ZOO_PRINTF(5, 6);
/* Reads all keys of the body. */
zoo_status zoo_request_keys(const zoo_request_context *context, cJSON *body, zoo_request *out,
                            zoo_error *err);
/* response_format, structured_outputs and guided_*: one of them at most. */
zoo_status zoo_request_shape(const char *key, const cJSON *value, zoo_request *out, zoo_error *err);
/* Tokens of bad_words. */
zoo_status zoo_request_bad_words(const zoo_request_context *context, zoo_request *request,
                                 zoo_error *err);
/* The mark that max_thinking_tokens closes reasoning with. */
zoo_status zoo_request_thinking(const zoo_request_context *context, zoo_request *request,
                                zoo_error *err);
/* Checks the messages and moves them, with tools and other template variables, into
 * request->variables. */
zoo_status zoo_request_chat(const zoo_request_context *context, cJSON *body, zoo_request *out,
                            zoo_error *err);
/* Finds the places of a rendered and encoded chat where other chats may diverge from it: the start
 * of the first user message (after system message and tools), and the end of the last message. */
void zoo_request_mark(const zoo_request_context *context, zoo_request *request);
/* Gives calls their arguments as text again; false: none had any. */
bool zoo_request_arguments_as_text(zoo_request *request);

#endif
