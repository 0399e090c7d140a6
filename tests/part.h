/*
 * part.h: the argument --part I/N of a test's program: of its cases, counted from 0, only those
 * whose number leaves the rest I divided by N. Parts 0 to N-1 together are all of them.
 */
#ifndef ZOO_TESTS_PART_H
#define ZOO_TESTS_PART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct test_part {
    uint32_t number, of, n_seen; /* of 0: all cases */
} test_part;

/* Reads arguments i and i + 1; false: they are something else, or no such part. */
static inline bool test_part_read(test_part *part, int argc, char **argv, int i)
{
    return i + 1 < argc && strcmp(argv[i], "--part") == 0 &&
           sscanf(argv[i + 1], "%u/%u", &part->number, &part->of) == 2 && part->number < part->of;
}

/* Whether the next case is one of this part. */
static inline bool test_part_takes(test_part *part)
{
    uint32_t n = part->n_seen++;
    return part->of == 0 || n % part->of == part->number;
}

#endif
