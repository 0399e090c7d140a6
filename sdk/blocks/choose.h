/*
 * choose.h: the indices of the k largest of many values, where their order does not matter.
 */
#ifndef ZOO_BLOCKS_CHOOSE_H
#define ZOO_BLOCKS_CHOOSE_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The indices of the k largest of n values to places [k], ascending; k <= n. Ties go to the lower
 * index. O(n) whatever k; 8 KiB of stack. [step] */
void zoo_choose(const float *x, uint32_t n, uint32_t k, uint32_t *places);

#ifdef __cplusplus
}
#endif

#endif
