/*
 * choose.h: the places of the largest of many values, where their order does not matter.
 */
#ifndef ZOO_BLOCKS_CHOOSE_H
#define ZOO_BLOCKS_CHOOSE_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The places of the k largest of n values, ascending; k <= n. Equal values take the lower place.
 * Time grows with n alone. 8 KiB of stack. [step] */
void zoo_choose(const float *x, uint32_t n, uint32_t k, uint32_t *places);

#ifdef __cplusplus
}
#endif

#endif
