/*
 * matrix_private.h: what matrix.c and the format_*.c share: the search for a matrix and one
 * function per layout.
 */
#ifndef ZOO_CHECKPOINT_MATRIX_PRIVATE_H
#define ZOO_CHECKPOINT_MATRIX_PRIVATE_H

#include <string.h>

#include "checkpoint/matrix.h"

/* One search: the name asked for, its module ("...q_proj" without ".weight"), the tensors that may
 * belong to it. */
typedef struct zoo_search {
    const zoo_tensors *set;
    const cJSON *config; /* quantization_config or null */
    const char *name;
    size_t n_stem;            /* bytes of name without ".weight" */
    bool is_weight;           /* name ends in ".weight" */
    const zoo_tensor *weight; /* the tensor of the very name, or null */
    zoo_error *err;
} zoo_search;

/* Each fills m, whose name was found to have that layout, or fails with a sentence. */
zoo_status zoo_format_scaled(const zoo_search *s, const zoo_tensor *scale, zoo_matrix *m);
zoo_status zoo_format_bnb8(const zoo_search *s, const zoo_tensor *scb, zoo_matrix *m);
zoo_status zoo_format_bnb4(const zoo_search *s, const zoo_tensor *state, zoo_matrix *m);
zoo_status zoo_format_packed(const zoo_search *s, const zoo_tensor *packed, zoo_matrix *m);
zoo_status zoo_format_gptq(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m);
zoo_status zoo_format_awq(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m);
zoo_status zoo_format_fp4(const zoo_search *s, const zoo_tensor *codes, const zoo_tensor *scale,
                          zoo_matrix *m);
zoo_status zoo_format_ternary(const zoo_search *s, const zoo_tensor *scale, zoo_matrix *m);

zoo_status zoo_format_joined(const zoo_search *s, const zoo_tensor *first, zoo_matrix *m);
/* divides: by global, else times it. */
zoo_status zoo_format_nvfp4(const zoo_search *s, const zoo_tensor *codes, const zoo_tensor *global,
                            bool divides, zoo_matrix *m);

/* Whose layout qweight and its like have: quant_method, or what another quantiser packed as.
 * "(absent)" without one. quantization.c */
const char *zoo_quantization_layout(const cJSON *config);
/* Whether GPTQ zero points are stored as they are, and not less 1. */
bool zoo_quantization_v2(const cJSON *config);

/* The tensor named stem + suffix (of the module), name + suffix (of the name);
 * null when there is none. */
const zoo_tensor *zoo_search_module(const zoo_search *s, const char *suffix);
const zoo_tensor *zoo_search_name(const zoo_search *s, const char *suffix);

/* ZOO_E_WEIGHT with the sentence "file: weight name: what". */
zoo_status zoo_search_fail(const zoo_search *s, const zoo_tensor *t, const char *what);

/* Adds a tensor to the parts (null: nothing to add). */
void zoo_matrix_part(zoo_matrix *m, const zoo_tensor *t);

/* Sets the logical shape; stack: dims before the last two. */
void zoo_matrix_shape(zoo_matrix *m, const uint64_t *dims, uint32_t n_dims);

/* A whole number of the config that is at least 1, or 0 when the key is absent
 * or something else. */
uint64_t zoo_config_count(const cJSON *config, const char *key);

/* Item i of t as float32; i is known to lie inside and the dtype to be read. */
static inline float zoo_tensor_item(const zoo_tensor *t, uint64_t i)
{
    float value = 0;
    (void)zoo_tensor_widen(t, i, 1, &value, NULL);
    return value;
}

/* Little-endian 32 bits of any alignment. */
static inline uint32_t zoo_word(const void *base, uint64_t i)
{
    uint32_t word;
    memcpy(&word, (const unsigned char *)base + i * sizeof word, sizeof word);
    return word;
}

/* e2m1 by code, and the value of an e8m0 exponent. */
extern const float zoo_fp4_values[16];

#endif
