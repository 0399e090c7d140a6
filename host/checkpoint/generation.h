/*
 * generation.h: a checkpoint's sampling defaults: generation_config.json and the end tokens.
 *
 * Read are eos_token_id (one or a list; without the file that of config.json), max_new_tokens,
 * repetition_penalty, and where do_sample is true temperature, top_p, top_k and min_p. Other keys
 * that change what the reference generates are listed by name.
 */
#ifndef ZOO_CHECKPOINT_GENERATION_H
#define ZOO_CHECKPOINT_GENERATION_H

#include "base.h"

enum { ZOO_EOS_MAX = 64 };

typedef struct zoo_generation {
    float temperature; /* where a request says nothing; 0: greedy */
    float top_p, min_p, repetition;
    uint32_t top_k;
    uint32_t max_new_tokens; /* 0: not said */
    uint32_t n_eos;
    uint32_t eos[ZOO_EOS_MAX]; /* all below n_vocab */
    char unapplied[256];       /* names of keys that ask for something else, or "" */
} zoo_generation;

/* Reads the folder. n_vocab: rows of logits; end tokens beyond can never come and are left out.
 * ZOO_E_FORMAT, ZOO_E_CONFIG (a value of the wrong type, with file and key), ZOO_E_IO. [load] */
zoo_status zoo_generation_read(const char *folder, uint32_t n_vocab, zoo_generation *out,
                               zoo_error *err);

#endif
