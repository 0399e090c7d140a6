/*
 * compare_context.h: explains a wrong tensor from those around it: which norm, of which input, with
 * which layer's weights.
 */
#ifndef ZOO_EVALUATE_COMPARE_CONTEXT_H
#define ZOO_EVALUATE_COMPARE_CONTEXT_H

#include "evaluate/compare.h"

/* The two files, and the first tensor in which they differ. */
typedef struct zoo_compare_place {
    const zoo_tensors *a, *b; /* b: the reference */
    const char *prefix_a, *prefix_b;
    const char *name;
    double limit;
} zoo_compare_place;

/* A sentence of at most n bytes, or false where the neighbours say nothing. [any] */
bool zoo_compare_context(const zoo_compare_place *place, char *text, size_t n);

#endif
