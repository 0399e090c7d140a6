/* impl.h: what read.c (finds the parameters in a config) and kinds.c (formulas) share. */
#ifndef ZOO_BLOCKS_ROPE_IMPL_H
#define ZOO_BLOCKS_ROPE_IMPL_H

#include "blocks/rope/rope.h"

/* Parameters of one table, read and resolved. Zero: not in the file. */
typedef struct rope_params {
    const zoo_config *config;
    zoo_setup *setup;
    const char *type; /* canonical rope_type */
    char dict[96];    /* path of the dict; empty: none */
    char outer[32];   /* path of the top-level dict that holds it */
    double theta, partial;
    uint32_t head_dim, rotary_dim; /* D, R */
    double max_positions, original;
} rope_params;

/* A number of the dict; the fallback where it is absent or null. */
double zoo_rope_number(const rope_params *p, const char *key, double fallback);
/* Fills the tables of *out for p->type; false: the type is unknown. [load] */
bool zoo_rope_fill(const rope_params *p, zoo_rope *out);

#endif
