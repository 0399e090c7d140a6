/* test_block_choose.c: the chosen places are those of a full sort with the lower place first. */
#include "blocks/choose.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_MAX = 3000 };

static float values[N_MAX];

static int by_value(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (values[i] != values[j]) {
        return values[i] > values[j] ? -1 : 1;
    }
    return i < j ? -1 : i > j;
}

static int by_place(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return i < j ? -1 : i > j;
}

static void compare(uint32_t n, uint32_t k)
{
    static uint32_t want[N_MAX], got[N_MAX];
    for (uint32_t i = 0; i < n; i++) {
        want[i] = i;
    }
    qsort(want, n, sizeof *want, by_value);
    qsort(want, k, sizeof *want, by_place);
    zoo_choose(values, n, k, got);
    for (uint32_t i = 0; i < k; i++) {
        assert_int_equal(got[i], want[i]);
    }
}

/* steps: how many different values there are about; few make many ties. */
static void fill(uint32_t steps, float scale)
{
    static uint32_t seed = 7;
    for (uint32_t i = 0; i < N_MAX; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ((float)(seed >> 8) / 8388608.0f - 1.0f) * scale;
        values[i] = steps ? floorf(values[i] * (float)steps / scale) : values[i];
    }
}

static void test_sizes(void **state)
{
    static const uint32_t sizes[] = {1, 2, 7, 64, 65, 300, N_MAX};
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        fill(kind == 1 ? 3 : kind == 2 ? 50 : 0, kind == 3 ? 1e-38f : 2.0f);
        for (size_t i = 0; i < ZOO_COUNT(sizes); i++) {
            uint32_t n = sizes[i];
            compare(n, 1);
            compare(n, n / 2 ? n / 2 : 1);
            compare(n, n - (n > 1));
            compare(n, n);
        }
    }
}

static void test_special(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        values[i] = i % 3 == 0 ? -0.0f : i % 3 == 1 ? 0.0f : i % 2 ? INFINITY : -INFINITY;
    }
    for (uint32_t k = 1; k <= 40; k++) {
        compare(40, k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_special)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
