/*
 * kt.h: guarded memory, random numbers, comparisons and TAP for the kernel tests.
 *
 * Arrays of a test end right before a page that may not be touched, so a kernel that reads or
 * writes one byte too far ends the program. Every slot is compared with a plain formula in double
 * precision, and every instruction set with scalar.
 */
#ifndef ZOO_TESTS_KT_H
#define ZOO_TESTS_KT_H

#include "zoo.h"

#include "kernels/select.h"
#include "model/pack.h"

/* n bytes that end at a guard page, filled with 0xab; gone at kt_clear. Never null. */
void *kt_take(size_t n);
float *kt_floats(size_t n);
void kt_clear(void);

uint32_t kt_random(void);
/* Below n. */
uint32_t kt_below(uint32_t n);
/* Uniform in [-scale, scale]. */
float kt_value(float scale);
float *kt_values(size_t n, float scale);
/* A copy that ends at a guard page. */
float *kt_copy(const float *x, size_t n);

/* One TAP result; `what` may hold a format. */
ZOO_PRINTF(2, 3)
bool kt_check(bool ok, const char *what, ...);
/* Ends the plan; exit status. */
int kt_done(void);

/* Bits of both arrays are equal (two values that are not a number count as equal). */
bool kt_same(const float *a, const float *b, size_t n);
/* Largest |a - b| / (|b| + floor). */
double kt_worst(const float *a, const double *b, size_t n, double floor);

/* The scalar table and the one under test. */
typedef struct kt_pair {
    const zoo_kernels *scalar, *best;
    const char *isa;
} kt_pair;

void kt_gemm(const kt_pair *k);
void kt_rows(const kt_pair *k);
void kt_attend(const kt_pair *k);
void kt_recur(const kt_pair *k);
void kt_math(const kt_pair *k);
void kt_fma(void);
void kt_pack(void);

#endif
