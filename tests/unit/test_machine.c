/* test_machine.c: measuring tools of the benchmarks: peaks, counted products; pinned threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "evaluate/counting_kernels.h"
#include "kernels/select.h"
#include "model/pack.h"

enum { OUTPUTS = 37, COLS = 100, ROWS = 3, PANELS = (OUTPUTS + ZOO_PANEL - 1) / ZOO_PANEL };

static void peaks_count_what_they_do(void **state)
{
    (void)state;
    assert_null(zoo_kernels_peak("scalar", ZOO_F32));
    for (uint32_t i = 1; zoo_kernels_isa(i); i++) {
        for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
            zoo_k_peak *peak = zoo_kernels_peak(zoo_kernels_isa(i), kind);
            if (strcmp(zoo_kernels_isa(i), "openblas") == 0) {
                assert_null(peak); /* no loop of our own */
                continue;
            }
            assert_non_null(peak);
            assert_true(peak(10) > 0);
            assert_int_equal(peak(30), 3 * peak(10));
            assert_int_equal(peak(0), 0);
        }
    }
}

/* The products of one kind through a table; y [ROWS, OUTPUTS]. */
static void run(const zoo_kernels *k, const zoo_weight *w, float *y)
{
    static _Alignas(64) unsigned char prepared[ROWS * 2048];
    static float x[ROWS * COLS];
    const zoo_gemm_slots *slots = &k->gemm[w->kind];
    size_t size = slots->prepared_size(COLS, w->group);
    zoo_gemm g = {.weight = w, .x = x, .x_stride = COLS, .y = y, .y_stride = OUTPUTS};
    for (uint32_t i = 0; i < ROWS * COLS; i++) {
        x[i] = (float)(i * 7 % 23) - 11.0f;
    }
    assert_true(size * ROWS <= sizeof prepared);
    if (size) {
        slots->prepare(x, COLS, ROWS, w, prepared);
        g.x = prepared;
        g.x_stride = size;
    }
    g.n_rows = ROWS;
    g.panel_end = 1; /* in two calls, as threads would share it */
    slots->gemm(&g);
    g.panel_begin = 1;
    g.panel_end = PANELS;
    slots->gemm(&g);
}

static void tally_counts_and_changes_nothing(void **state)
{
    static _Alignas(64) unsigned char data[PANELS * ZOO_PANEL * 128 * sizeof(float)];
    static uint16_t scales[PANELS * 8 * (ZOO_PANEL + 4)];
    static float rows[ZOO_PANEL * COLS];
    const zoo_kernels *plain = zoo_kernels_select(NULL, NULL);
    const zoo_kernels *counting = zoo_counting_kernels_wrap(plain);
    (void)state;
    for (uint32_t i = 0; i < ZOO_PANEL * COLS; i++) {
        rows[i] = (float)(i * 5 % 17) - 8.0f;
    }
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        zoo_weight w = {
            .kind = kind, .rows = OUTPUTS, .cols = COLS, .data = data, .scales = scales};
        float a[ROWS * OUTPUTS], b[ROWS * OUTPUTS];
        size_t n_scales, n_data;
        w.group = zoo_pack_group((zoo_dtype)kind);
        n_data = zoo_pack_size((zoo_dtype)kind, OUTPUTS, COLS, w.group, &n_scales);
        assert_true(n_data <= sizeof data && n_scales <= sizeof scales);
        for (uint32_t p = 0; p < PANELS; p++) {
            zoo_pack_panel(&w, p, rows, p + 1 < PANELS ? ZOO_PANEL : OUTPUTS % ZOO_PANEL);
        }
        (void)zoo_counting_kernels_take();
        run(plain, &w, a);
        run(counting, &w, b);
        assert_memory_equal(a, b, sizeof a);
        zoo_kernel_counts t = zoo_counting_kernels_take();
        assert_int_equal(t.operations[kind], 2 * OUTPUTS * COLS * ROWS);
        assert_int_equal(t.bytes, n_data + n_scales);
    }
    assert_int_equal(zoo_counting_kernels_take().bytes, 0);
}

static void add_item(void *arg, uint32_t item, uint32_t worker)
{
    (void)worker;
    atomic_fetch_add((_Atomic uint32_t *)arg, item + 1);
}

static void pinned_threads_run_every_item(void **state)
{
    _Atomic uint32_t sum = 0;
    zoo_pool *pool;
    (void)state;
    assert_int_equal(zoo_pool_new(3, true, &pool, NULL), ZOO_OK);
    zoo_pool_run(pool, 100, add_item, &sum);
    assert_int_equal(sum, 5050);
    zoo_pool_free(pool);
}

enum { ROUNDS = 20000, THREADS = 5, ITEMS = 11 };

typedef struct tally_items {
    uint32_t round;
    _Atomic uint32_t done[ITEMS];   /* how often in this round */
    _Atomic uint32_t busy[THREADS]; /* whether a worker is at an item */
    _Atomic uint32_t n_wrong;
} tally_items;

static void tally_item(void *arg, uint32_t item, uint32_t worker)
{
    tally_items *t = arg;
    bool is_wrong = item >= 2 + t->round % (ITEMS - 1) || atomic_fetch_add(&t->busy[worker], 1);
    is_wrong |= atomic_fetch_add(&t->done[item % ITEMS], 1) > 0;
    atomic_fetch_add(&t->n_wrong, is_wrong);
    if (t->round % 500 == item) {
        (void)sched_yield(); /* a helper that comes late, or leaves late */
    }
    atomic_fetch_sub(&t->busy[worker], 1);
}

/* More threads than cores: most helpers come late, some in the middle of a later round. */
static void late_threads_run_no_item_twice(void **state)
{
    tally_items t = {0};
    zoo_pool *pool;
    (void)state;
    assert_int_equal(zoo_pool_new(THREADS, false, &pool, NULL), ZOO_OK);
    for (t.round = 0; t.round < ROUNDS; t.round++) {
        uint32_t n_items = 2 + t.round % (ITEMS - 1);
        memset(t.done, 0, sizeof t.done);
        zoo_pool_run(pool, n_items, tally_item, &t);
        for (uint32_t i = 0; i < ITEMS; i++) {
            assert_int_equal(t.done[i], i < n_items);
        }
    }
    zoo_pool_free(pool);
    assert_int_equal(t.n_wrong, 0);
}

static void count_thread(void *arg, uint32_t item, uint32_t worker)
{
    _Atomic uint32_t *n_calls = arg;
    assert_int_equal(item, worker);
    atomic_fetch_add(&n_calls[worker], 1);
}

/* Helpers fall asleep while the next round begins. */
static void each_reaches_every_thread(void **state)
{
    _Atomic uint32_t n_calls[THREADS] = {0};
    zoo_pool *pool;
    (void)state;
    assert_int_equal(zoo_pool_new(THREADS, false, &pool, NULL), ZOO_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        zoo_pool_each(pool, count_thread, n_calls);
    }
    zoo_pool_free(pool);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(n_calls[i], ROUNDS);
    }
    atomic_store(&n_calls[0], 0);
    zoo_pool_each(NULL, count_thread, n_calls);
    assert_int_equal(n_calls[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peaks_count_what_they_do),
        cmocka_unit_test(tally_counts_and_changes_nothing),
        cmocka_unit_test(pinned_threads_run_every_item),
        cmocka_unit_test(late_threads_run_no_item_twice),
        cmocka_unit_test(each_reaches_every_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
