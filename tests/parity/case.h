/*
 * case.h: one reference checkpoint: config, weights, and what the reference computed from them.
 */
#ifndef ZOO_TESTS_CASE_H
#define ZOO_TESTS_CASE_H

#include <cjson/cJSON.h>

#include "checkpoint/safetensors.h"
#include "engine/engine.h"

enum { CASE_PROMPTS_MAX = 16, CASE_TOKENS_MAX = 512 };

typedef struct case_prompt {
    int32_t tokens[CASE_TOKENS_MAX]; /* prompt, then continuation */
    uint32_t n_prompt, n_all;
} case_prompt;

typedef struct parity_case {
    char name[128], folder[1024], model_type[64];
    double limit;
    case_prompt prompts[CASE_PROMPTS_MAX];
    uint32_t n_prompts;
    bool generated_otherwise; /* a generated token sees other keys than one of a prompt */
    zoo_tensors *reference;
} parity_case;

/* The result of a case: the worst nmse of each kind, or a sentence. */
typedef struct case_result {
    double logits, layers, decode; /* against the reference */
    double cached;                 /* cached steps against one whole pass, 0: the same bits */
    uint32_t chunks_differ, batch_differs, kept_differs, taken_back_differ; /* rows */
    uint32_t n_wrong_tokens;
    /* Tensors: compared; that a reference must hold and this one does not; of the reference, that
     * were not recorded; of another size; that no step of the program gives (inside.txt). */
    uint32_t n_compared, n_absent, n_missing, n_resized, n_inside;
    uint32_t n_tensors; /* of the reference file */
    char first[256];    /* first tensor that is wrong */
    char why[512];      /* not empty: could not run */
    zoo_status status;
    char plugin[64];
} case_result;

zoo_status case_open(const char *folder, const char *name, parity_case *out, zoo_error *err);
void case_close(parity_case *c);
/* Runs everything; cache is "f32", "bf16", "int8" or "int4" (others than f32: only logits and
 * tokens are checked). */
void case_run(const parity_case *c, const char *cache, uint32_t n_threads, case_result *out);

#endif
