/*
 * test_deal.c: the dealing policy (dealer.h), with simulated ranks: each runs up to 64 rows at once
 * and divides its speed among them. Whatever the speeds, all end nearly together. And the order in
 * which rows are dealt (window.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/dealer.h"

enum { RANKS_MAX = 8, SEQS = 64, ROWS_MAX = 20000, HELD_MAX = 2 * SEQS + 2 * ZOO_DEAL_BLOCK };
#define STEP   0.01 /* seconds */
#define REPORT 0.1

typedef struct rank {
    double speed;          /* work a second when full */
    double left[HELD_MAX]; /* of the rows it holds; the first SEQS run */
    double cost[HELD_MAX]; /* that these rows will have had */
    double spent;          /* all the time; it tells every REPORT seconds */
    double ready, reported, end;
} rank;

/* Rows: work is the most that one may cost, costs what it will. */
typedef struct row_list {
    zoo_deal_row *rows;
    double *costs;
    size_t n, next;
} row_list;

static double draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 40) / (double)(1 << 24);
}

static void take_rows(zoo_peer *p, rank *r, row_list *list, double room)
{
    size_t begin = p->n;
    do {
        zoo_deal_row *row = &list->rows[list->next];
        r->left[p->n] = r->cost[p->n] = list->costs[list->next++];
        p->rows[p->n++] = row;
        zoo_deal_begin(p, row);
        room -= row->work;
    } while (p->n - begin < ZOO_DEAL_BLOCK && list->next < list->n &&
             list->rows[list->next].work <= room);
}

/* A rank's speed does not grow with the rows that run, but a single row gets no more than a
 * sixteenth of it. */
static void compute(zoo_peer *p, rank *r, double now)
{
    size_t running = p->n < SEQS ? p->n : SEQS;
    double each = running > 0 ? r->speed * STEP / (double)(running < 16 ? 16 : running) : 0.0;
    for (size_t i = 0; i < running; i++) {
        r->spent += r->left[i] < each ? r->left[i] : each;
        r->left[i] -= each;
    }
    for (size_t i = 0, n = p->n; i < n;) {
        if (r->left[i] > 0.0) {
            i++;
            continue;
        }
        double work = p->rows[i]->work, cost = r->cost[i];
        p->n = --n;
        memmove(&r->left[i], &r->left[i + 1], (n - i) * sizeof(double));
        memmove(&r->cost[i], &r->cost[i + 1], (n - i) * sizeof(double));
        memmove(&p->rows[i], &p->rows[i + 1], (n - i) * sizeof(zoo_deal_row *));
        zoo_deal_finish(p, work, cost);
        r->end = now;
    }
    if (now - r->reported >= REPORT) {
        zoo_deal_spend(p, r->spent);
        r->reported = now;
    }
}

static void deal(zoo_deal_table *table, rank *ranks, row_list *list)
{
    zoo_peer *p;
    double room;
    do {
        table->work = 0.0;
        table->n_rows = (double)(list->n - list->next);
        for (size_t i = list->next; i < list->n; i++) {
            table->work += list->rows[i].work;
        }
        table->next_work = list->next < list->n ? list->rows[list->next].work : 0.0;
        p = zoo_deal_pick(table, &room);
        if (p) {
            assert_true(p->is_ready);
            take_rows(p, &ranks[p - table->peers], list, room);
            assert_in_range(p->n, 1, HELD_MAX);
        }
    } while (p);
}

/* Runs the rows to their end; returns how much later than the mean the last rank ends. */
static double simulate(rank *ranks, uint32_t n_ranks, row_list *list)
{
    static zoo_deal_row *held[RANKS_MAX][HELD_MAX];
    zoo_peer peers[RANKS_MAX];
    zoo_deal_table table = {.peers = peers, .n = n_ranks};
    double now = 0.0, sum = 0.0, last = 0.0;
    bool busy = true;
    memset(peers, 0, sizeof peers);
    for (uint32_t i = 0; i < n_ranks; i++) {
        peers[i].seqs_max = SEQS;
        peers[i].rows = held[i];
    }
    for (; busy; now += STEP) {
        for (uint32_t i = 0; i < n_ranks; i++) {
            peers[i].is_ready = now >= ranks[i].ready;
        }
        deal(&table, ranks, list);
        busy = list->next < list->n;
        for (uint32_t i = 0; i < n_ranks; i++) {
            compute(&peers[i], &ranks[i], now);
            busy = busy || peers[i].n > 0;
        }
        zoo_deal_tick(&table, STEP);
        assert_true(now < 1e5);
    }
    for (uint32_t i = 0; i < n_ranks; i++) {
        sum += ranks[i].end;
        last = ranks[i].end > last ? ranks[i].end : last;
    }
    return last * n_ranks / sum - 1.0;
}

static int down(const void *a, const void *b)
{
    double x = ((const zoo_deal_row *)a)->work, y = ((const zoo_deal_row *)b)->work;
    return x > y ? -1 : x < y;
}

/* Rows of 1 to 16 times `work`, the longest first; a part of them ends anywhere before that. */
static row_list some_rows(size_t n, double work, double early, uint64_t *seed)
{
    static zoo_deal_row rows[ROWS_MAX];
    static double costs[ROWS_MAX];
    for (size_t i = 0; i < n; i++) {
        rows[i].work = work * (1.0 + 15.0 * draw(seed));
    }
    qsort(rows, n, sizeof rows[0], down);
    for (size_t i = 0; i < n; i++) {
        costs[i] = rows[i].work * (draw(seed) < early ? draw(seed) : 1.0);
    }
    return (row_list){.rows = rows, .costs = costs, .n = n};
}

static void ranks_of_all_speeds_end_together(void **state)
{
    const struct {
        uint32_t n;
        double speeds[RANKS_MAX], ready[RANKS_MAX];
        size_t n_rows;
        double work, early; /* least of a row; part of the rows that end early */
        double late;        /* as much may the last be after the mean */
    } cases[] = {{2, {100, 25}, {0}, 3000, 1, 0, 0.03},
                 {3, {100, 100, 25}, {0}, 4000, 1, 0, 0.03},
                 {3, {25, 100, 100}, {0}, 4000, 1, 0, 0.03},
                 {4, {100, 90, 80, 20}, {0}, 6000, 1, 0, 0.03},
                 {3, {100, 100, 100}, {0, 0, 9}, 4000, 1, 0, 0.03},
                 {8, {9, 8, 7, 6, 5, 4, 3, 2}, {0}, 6000, 1, 0, 0.03},
                 {2, {100, 25}, {0}, 600, 1, 0, 0.05},
                 {2, {25, 100}, {0}, 300, 1, 0, 0.05},
                 {2, {100, 25}, {0}, 3000, 1, 0.5, 0.03},
                 {2, {25, 100}, {0}, 600, 1, 0.5, 0.05},
                 {2, {40000, 10000}, {0}, 600, 25, 0, 0.05},
                 {2, {40000, 10000}, {0}, 600, 25, 0.5, 0.05},
                 {3, {10000, 40000, 40000}, {0}, 600, 25, 0.5, 0.05},
                 {1, {100}, {0}, 200, 1, 0, 0.0001}};
    uint64_t seed = 7;
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        rank ranks[RANKS_MAX];
        memset(ranks, 0, sizeof ranks);
        for (uint32_t i = 0; i < cases[c].n; i++) {
            ranks[i].speed = cases[c].speeds[i];
            ranks[i].ready = cases[c].ready[i];
        }
        row_list rows = some_rows(cases[c].n_rows, cases[c].work, cases[c].early, &seed);
        double late = simulate(ranks, cases[c].n, &rows);
        print_message("# case %zu: the last %.2f %% later than the mean\n", c, 100.0 * late);
        assert_true(late <= cases[c].late);
    }
}

/* Few rows on many ranks: none gets them all. */
static void few_rows_are_spread(void **state)
{
    zoo_deal_row rows[40];
    double costs[40];
    row_list list = {.rows = rows, .costs = costs, .n = 40};
    rank ranks[4];
    (void)state;
    memset(rows, 0, sizeof rows);
    memset(ranks, 0, sizeof ranks);
    for (size_t i = 0; i < 40; i++) {
        rows[i].work = costs[i] = 10.0;
    }
    for (uint32_t i = 0; i < 4; i++) {
        ranks[i].speed = 16.0;
    }
    double late = simulate(ranks, 4, &list);
    assert_true(late < 0.35);
}

static zoo_deal_row *row_of(const char *text, uint64_t number, bool *has_id)
{
    zoo_id id;
    zoo_input_line line = {.text = text, .n = strlen(text), .number = number};
    zoo_deal_row *row = zoo_deal_row_new(&line, has_id, &id);
    assert_non_null(row);
    return row;
}

#define BODY(id, prompt, n)                                                                        \
    "{\"custom_id\":\"" id "\",\"body\":{\"prompt\":\"" prompt "\",\"max_tokens\":" n "}}"
#define COMMON                                                                                     \
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "    \
    "sixteen seventeen eighteen nineteen twenty twenty-one"

static void longest_first_and_alike_together(void **state)
{
    static const char *const lines[] = {
        BODY("a", "short", "4"),          BODY("b", COMMON " b", "10"),
        BODY("c", "middle", "30"),        BODY("d", COMMON " d", "60"),
        BODY("e", "long", "90"),          "no JSON",
        BODY("f", COMMON " and f", "20"), "{\"body\":3}"};
    static const uint64_t order[] = {5, 4, 7, 2, 3, 1};
    zoo_window window = {0};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        bool has_id;
        assert_true(zoo_window_add(&window, row_of(lines[i], i + 1, &has_id)));
        assert_int_equal(has_id, lines[i][0] == '{' && lines[i][2] == 'c');
    }
    zoo_window_sort(&window);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        double work = zoo_window_peek(&window);
        zoo_deal_row *row = zoo_window_next(&window, NULL);
        assert_int_equal(row->number, order[i]);
        assert_true(work == row->work);
        assert_int_equal(row->group != 0, order[i] == 4 || order[i] == 7 || order[i] == 2);
        zoo_deal_row_free(row);
    }
    assert_int_equal(window.n, 2);
    zoo_window_free(&window);
    assert_int_equal(window.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_of_all_speeds_end_together),
                                       cmocka_unit_test(few_rows_are_spread),
                                       cmocka_unit_test(longest_first_and_alike_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
