/*
 * test_schedule.c: the scheduler over the fake engine: whatever the sizes of steps and batches,
 * whatever shares what, each row's result is the same; and the work is what it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "schedule_rows.h"

static void test_any_batch_gives_the_same(void **unused)
{
    static const uint32_t rows_max[] = {1, 7, 63, 64, 512, 4096};
    static const uint32_t seqs_max[] = {1, 2, 5, 64};
    static fixture alone, together;
    (void)unused;
    make_rows(&alone);
    together = alone;
    for (uint32_t r = 0; r < N_ROWS; r++) {
        together.rows[r].prompt = together.prompts[r];
        zoo_engine *e = fake_engine(VOCAB, 4096, 64);
        fixture *one = calloc(1, sizeof *one);
        assert_non_null(one);
        one->n_rows = 1;
        one->rows[0] = alone.rows[r];
        (void)run_rows(e, one);
        alone.rows[r] = one->rows[0];
        free(one);
        zoo_engine_close(e);
    }
    for (uint32_t i = 0; i < 6 * 4 * 2; i++) {
        zoo_engine *e = fake_engine(VOCAB, rows_max[i % 6], seqs_max[i / 6 % 4]);
        e->pages_max = i < 24 ? 0 : 25; /* little memory: prefixes and rows compete */
        kept_share = i % 3 ? 0.8 : 0;
        e->grain = i % 5;
        e->n_micro_batches = 1 + i % 4; /* steps under way at once */
        (void)run_rows(e, &together);
        kept_share = 0;
        for (uint32_t r = 0; r < N_ROWS; r++) {
            assert_same(&alone.rows[r], &together.rows[r]);
        }
        forget_results(&together);
        zoo_engine_close(e);
    }
    forget_results(&alone);
}

static void test_a_shared_prefix_is_read_once(void **unused)
{
    static fixture f;
    zoo_engine *e = fake_engine(VOCAB, 512, 16);
    zoo_schedule_stats stats;
    (void)unused;
    make_alike(&f, 60, 450, 480); /* 7 whole pages and 2 tokens */
    stats = run_rows(e, &f);
    assert_int_equal(stats.n_read, 450 + 60 * 30);
    assert_int_equal(stats.n_shared, 59 * 450);
    assert_int_equal(e->n_rows, stats.n_read + 60 * 2); /* the last token is never read */
    assert_int_equal(e->most_seqs, 16);
    forget_results(&f);
    zoo_engine_close(e);
}

/* Prompts that are the same to their end, prompts alike in less than a page, and too little to be
 * worth keeping. */
static void test_shared_parts_of_pages(void **unused)
{
    static const struct {
        uint32_t n_rows, n_shared, n, n_read;
    } cases[] = {{50, 512, 512, 511 + 50}, {30, 40, 60, 40 + 30 * 20}, {3, 10, 60, 3 * 60}};
    static fixture f;
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zoo_engine *e = fake_engine(VOCAB, 512, 16);
        make_alike(&f, cases[i].n_rows, cases[i].n_shared, cases[i].n);
        zoo_schedule_stats stats = run_rows(e, &f);
        assert_int_equal(stats.n_read, cases[i].n_read);
        assert_int_equal(stats.n_read + stats.n_shared, cases[i].n_rows * cases[i].n);
        forget_results(&f);
        zoo_engine_close(e);
    }
}

/* Three texts that part inside one page, some rows each: every part is read once. */
static void test_a_tree_inside_a_page(void **unused)
{
    static fixture f;
    zoo_engine *e = fake_engine(VOCAB, 512, 16);
    (void)unused;
    make_alike(&f, 30, 70, 127);
    for (uint32_t r = 0; r < 30; r++) {
        for (uint32_t i = 70; i < 110; i++) {
            f.prompts[r][i] = (int32_t)((i + r / 10 * 7) % VOCAB);
        }
    }
    zoo_schedule_stats stats = run_rows(e, &f);
    assert_int_equal(stats.n_read, 70 + 3 * 40 + 30 * 17);
    forget_results(&f);
    zoo_engine_close(e);
}

/* A common text, three documents below it, five questions to each. */
static void test_a_tree_of_prefixes_is_read_once(void **unused)
{
    static fixture f;
    zoo_engine *e = fake_engine(VOCAB, 100, 8);
    zoo_schedule_stats stats;
    (void)unused;
    make_alike(&f, 15, 128, 400);
    for (uint32_t r = 0; r < 15; r++) {
        for (uint32_t i = 128; i < 320; i++) {
            f.prompts[r][i] = (int32_t)((i * (r / 5 + 2)) % VOCAB);
        }
    }
    stats = run_rows(e, &f);
    assert_int_equal(stats.n_read, 128 + 3 * 192 + 15 * 80);
    forget_results(&f);
    zoo_engine_close(e);
}

static void test_little_memory(void **unused)
{
    static fixture f;
    zoo_engine *e = fake_engine(VOCAB, 64, 16);
    (void)unused;
    make_alike(&f, 20, 450, 480);
    f.rows[4].n_new_max = 1000; /* never fits */
    e->pages_max = 9;           /* one row, or a prefix and a row's rest */
    (void)run_rows(e, &f);
    for (uint32_t r = 0; r < 20; r++) {
        if (r == 4) {
            assert_int_equal(f.rows[r].finish, ZOO_FINISH_FAILED);
            assert_int_equal(f.rows[r].error.code, ZOO_E_LIMIT);
        } else {
            assert_int_equal(f.rows[r].finish, ZOO_FINISH_LENGTH);
        }
    }
    forget_results(&f);
    zoo_engine_close(e);
}

/* Models whose positions depend on the length: nothing is shared beyond the border, and rows that
 * pass it are read again. */
static void test_rereading(void **unused)
{
    static fixture f;
    (void)unused;
    for (uint32_t always = 0; always < 2; always++) {
        zoo_engine *e = fake_engine(VOCAB, 512, 16);
        zoo_schedule_stats stats;
        make_alike(&f, 10, 128, 200);
        e->plan.reread_after = 201;
        e->plan.reread_always = always;
        for (uint32_t r = 0; r < 10; r++) {
            f.rows[r].n_new_max = 5; /* reads up to position 204 */
        }
        stats = run_rows(e, &f);
        assert_int_equal(stats.n_shared, 0);
        assert_int_equal(stats.n_reread, always ? 10 * (201 + 202 + 203) : 10 * 201);
        forget_results(&f);
        zoo_engine_close(e);
    }
}

static void test_an_engine_error_ends_the_run(void **unused)
{
    static fixture f;
    bool failed = true;
    (void)unused;
    for (int64_t at = 0; failed; at++) {
        zoo_engine *e = fake_engine(VOCAB, 64, 4);
        zoo_schedule *s;
        zoo_error err = {0};
        zoo_status status = ZOO_OK;
        make_alike(&f, 10, 130, 150);
        e->fail_at = at;
        assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
        for (uint32_t r = 0; r < 10; r++) {
            assert_int_equal(zoo_schedule_add(s, &f.rows[r], &err), ZOO_OK);
        }
        while (status == ZOO_OK && !zoo_schedule_is_idle(s)) {
            status = zoo_schedule_step(s, &err);
        }
        failed = status != ZOO_OK;
        assert_true(failed ? status == ZOO_E_INTERNAL : at > 5);
        zoo_schedule_free(s);
        assert_int_equal(e->pages_used, 0);
        forget_results(&f);
        zoo_engine_close(e);
    }
}

/* The n-th allocation fails: an error or a failed row, never a crash or a lost page. */
static void test_failing_memory(void **unused)
{
    static fixture f;
    bool failed = true;
    (void)unused;
    for (int64_t n = 1; failed && n < 2000; n++) {
        zoo_engine *e = fake_engine(VOCAB, 64, 4);
        zoo_schedule *s = NULL;
        zoo_error err = {0};
        zoo_status status;
        make_alike(&f, 8, 130, 150);
        zoo_mem_fail_at(n);
        status = zoo_schedule_new(e, NULL, &generation, &s, &err);
        for (uint32_t r = 0; status == ZOO_OK && r < 8; r++) {
            status = zoo_schedule_add(s, &f.rows[r], &err);
        }
        while (status == ZOO_OK && !zoo_schedule_is_idle(s)) {
            status = zoo_schedule_step(s, &err);
        }
        failed = zoo_mem_calls() >= n;
        zoo_mem_fail_at(0);
        zoo_schedule_free(s);
        assert_int_equal(e->pages_used, 0);
        forget_results(&f);
        zoo_engine_close(e);
    }
    assert_false(failed);
}

/* Allows multiples of 7. */
static zoo_status allow_multiples(void *arg, uint32_t tokens_left, uint32_t *bits, zoo_error *err)
{
    (void)arg;
    (void)err;
    assert_true(tokens_left > 0);
    for (uint32_t i = 0; i < VOCAB; i += 7) {
        bits[i / 32] |= 1u << (i % 32);
    }
    return ZOO_OK;
}

static zoo_status count_to_nine(void *arg, uint32_t token, zoo_error *err)
{
    uint32_t *n = arg;
    assert_int_equal(token % 7, 0);
    return ++*n == 9 ? zoo_fail(err, ZOO_E_USAGE, "nine is enough") : ZOO_OK;
}

static void test_filters(void **unused)
{
    static fixture f;
    zoo_engine *e = fake_engine(VOCAB, 64, 4);
    uint32_t counts[2] = {0, 0};
    (void)unused;
    make_alike(&f, 3, 10, 20);
    f.rows[0].filter = (zoo_filter){&counts[0], allow_multiples, count_to_nine, NULL, NULL, NULL};
    f.rows[0].n_new_max = 8;
    f.rows[1].filter = (zoo_filter){&counts[1], allow_multiples, count_to_nine, NULL, NULL, NULL};
    f.rows[1].n_new_max = 12;
    f.rows[1].sampling.temperature = 1.0f;
    (void)run_rows(e, &f);
    assert_int_equal(f.rows[0].finish, ZOO_FINISH_LENGTH);
    assert_int_equal(f.rows[0].n_out, 8);
    assert_int_equal(f.rows[1].finish, ZOO_FINISH_FAILED);
    assert_string_equal(f.rows[1].error.text, "nine is enough");
    assert_int_equal(f.rows[2].finish, ZOO_FINISH_LENGTH);
    forget_results(&f);
    zoo_engine_close(e);
}

/* One row after the other in one schedule; what it read of the prompt. */
static uint64_t run_turn(zoo_schedule *s, zoo_row *row)
{
    zoo_error err = {0};
    uint64_t before = zoo_schedule_stats_get(s).n_read;
    assert_int_equal(zoo_schedule_add(s, row, &err), ZOO_OK);
    while (zoo_schedule_pop(s) != row) {
        assert_int_equal(zoo_schedule_step(s, &err), ZOO_OK);
    }
    assert_int_equal(row->finish, ZOO_FINISH_LENGTH);
    return zoo_schedule_stats_get(s).n_read - before;
}

static zoo_row turn_row(const int32_t *tokens, uint32_t n)
{
    return (zoo_row){
        .prompt = tokens,
        .n_prompt = n,
        .n_new_max = 20,
        .sampling = {.temperature = 1, .top_p = 1, .repetition = 1, .ignore_eos = true},
        .n_top = ZOO_NO_LOGPROBS,
        .n_prompt_top = ZOO_NO_LOGPROBS};
}

/* Twelve turns, each the one before with its answer and 30 tokens more: from the second on nothing
 * is read twice, whether sequences can be cut or not, and the answers are those of fresh rows. */
static void test_turns_read_what_is_new(void **unused)
{
    static int32_t tokens[1024];
    (void)unused;
    for (uint32_t grain = 0; grain < 2; grain++) {
        zoo_engine *e = fake_engine(VOCAB, 64, 4), *fresh = fake_engine(VOCAB, 64, 4);
        zoo_schedule *s, *alone;
        zoo_error err;
        uint32_t n = 200, n_known = 0;
        e->grain = grain;
        assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
        assert_int_equal(zoo_schedule_new(fresh, NULL, &generation, &alone, &err), ZOO_OK);
        zoo_schedule_keep(s, 0.5);
        for (uint32_t i = 0; i < n; i++) {
            tokens[i] = (int32_t)(next_random() % VOCAB);
        }
        for (int turn = 0; turn < 12; turn++) {
            zoo_row a = turn_row(tokens, n), b = turn_row(tokens, n);
            assert_int_equal(run_turn(s, &a), n - n_known);
            assert_int_equal(run_turn(alone, &b), n);
            assert_same(&a, &b);
            n_known = n + 19; /* the last token was not read */
            memcpy(tokens + n, a.tokens + n, 20 * sizeof *tokens);
            for (uint32_t i = n + 20; i < n + 50; i++) {
                tokens[i] = (int32_t)(next_random() % VOCAB);
            }
            n += 50;
            zoo_row_free(&a);
            zoo_row_free(&b);
        }
        assert_int_equal(zoo_schedule_stats_get(s).n_resumed, 11);
        zoo_schedule_free(s);
        zoo_schedule_free(alone);
        assert_int_equal(e->n_kept_now, 0);
        zoo_engine_close(e);
        zoo_engine_close(fresh);
    }
}

/* A prompt that parts from an earlier one: what can be cut starts where they part, what cannot at
 * the nearest mark or rung before. */
static void test_where_prompts_part(void **unused)
{
    static int32_t first[700], second[700];
    static const uint32_t marks[] = {300};
    (void)unused;
    for (uint32_t i = 0; i < 700; i++) {
        first[i] = (int32_t)(next_random() % VOCAB);
    }
    for (uint32_t grain = 0; grain < 5; grain++) {
        zoo_engine *e = fake_engine(VOCAB, 64, 4);
        zoo_schedule *s;
        zoo_error err;
        e->grain = grain;
        assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
        zoo_schedule_keep(s, 0.5);
        zoo_row a = turn_row(first, 700);
        a.marks = marks;
        a.n_marks = 1;
        (void)run_turn(s, &a);
        zoo_row_free(&a);
        for (uint32_t part = 290; part < 620; part += 110) { /* 290, 400, 510 */
            uint32_t start = part == 290 ? 256 : part == 400 ? 384 : 384;
            start = grain ? part - part % grain : start;
            memcpy(second, first, sizeof first);
            second[part] = (first[part] + 1) % (int32_t)VOCAB;
            zoo_row b = turn_row(second, 700);
            assert_int_equal(run_turn(s, &b), 700 - start);
            assert_int_equal(b.n_cached, start);
            zoo_row_free(&b);
        }
        memcpy(second, first, sizeof first);
        second[301] = (first[301] + 1) % (int32_t)VOCAB;
        zoo_row c = turn_row(second, 700);
        assert_int_equal(run_turn(s, &c), 700 - (grain ? 301 - 301 % grain : 300));
        zoo_row_free(&c);
        zoo_schedule_free(s);
        zoo_engine_close(e);
    }
}

/* Little room: running rows come first, then what was used last. */
static void test_kept_rows_give_way(void **unused)
{
    static int32_t tokens[8][500];
    zoo_engine *e = fake_engine(VOCAB, 64, 4);
    zoo_schedule *s;
    zoo_error err;
    (void)unused;
    e->grain = 1;
    e->pages_max = 24;
    assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
    zoo_schedule_keep(s, 0.75);
    for (uint32_t i = 0; i < 8 * 500; i++) {
        tokens[i / 500][i % 500] = (int32_t)(i < 4000 ? next_random() % VOCAB : 0);
    }
    for (uint32_t k = 0; k < 8; k++) {
        zoo_row row = turn_row(tokens[k], 500);
        assert_int_equal(run_turn(s, &row), 500);
        assert_true(e->pages_used <= 18);
        zoo_row_free(&row);
    }
    zoo_row last = turn_row(tokens[7], 500), first = turn_row(tokens[0], 500);
    assert_int_equal(run_turn(s, &last), 1);
    assert_int_equal(run_turn(s, &first), 500);
    zoo_row_free(&last);
    zoo_row_free(&first);
    zoo_schedule_free(s);
    assert_int_equal(e->pages_used, 0);
    zoo_engine_close(e);
}

/* How many of 40 longer rows, added later, end before the first one. */
static uint32_t count_passes(uint32_t passes_max)
{
    static int32_t tokens[41][8];
    static zoo_row rows[41];
    zoo_engine *e = fake_engine(VOCAB, 64, 1);
    zoo_schedule *s;
    zoo_error err;
    uint32_t n_before = 0;
    assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
    zoo_schedule_turns(s, passes_max);
    for (uint32_t r = 0; r < 41; r++) {
        tokens[r][0] = (int32_t)r;
        rows[r] = turn_row(tokens[r], r == 0 ? 4 : 8);
        rows[r].n_new_max = 2;
        assert_int_equal(zoo_schedule_add(s, &rows[r], &err), ZOO_OK);
    }
    while (rows[0].finish == ZOO_UNFINISHED) {
        assert_int_equal(zoo_schedule_step(s, &err), ZOO_OK);
        for (zoo_row *row; (row = zoo_schedule_pop(s)) != NULL;) {
            n_before += row != &rows[0];
        }
    }
    zoo_schedule_free(s);
    for (uint32_t r = 0; r < 41; r++) {
        zoo_row_free(&rows[r]);
    }
    zoo_engine_close(e);
    return n_before;
}

static void test_a_short_row_has_its_turn(void **unused)
{
    (void)unused;
    assert_int_equal(count_passes(0), 40);
    assert_int_equal(count_passes(5), 5);
    assert_int_equal(count_passes(1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_batch_gives_the_same),
        cmocka_unit_test(test_a_shared_prefix_is_read_once),
        cmocka_unit_test(test_shared_parts_of_pages),
        cmocka_unit_test(test_a_tree_inside_a_page),
        cmocka_unit_test(test_a_tree_of_prefixes_is_read_once),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_rereading),
        cmocka_unit_test(test_an_engine_error_ends_the_run),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_turns_read_what_is_new),
        cmocka_unit_test(test_where_prompts_part),
        cmocka_unit_test(test_kept_rows_give_way),
        cmocka_unit_test(test_a_short_row_has_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
