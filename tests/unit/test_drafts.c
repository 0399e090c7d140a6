/*
 * test_drafts.c: speculative decoding over the fake engine: results are those without drafts,
 * whatever number of drafts is forced; drafts that pay are computed and others are not.
 */
#include "schedule_rows.h"

static const zoo_engine *timed; /* whose steps take the time; null: none passes */

/* In place of the machine's clock, which depends on other load. */
double __wrap_zoo_clock_seconds(void);
double __wrap_zoo_clock_seconds(void)
{
    return timed ? timed->seconds : 0.0;
}

static zoo_engine *habitual_engine(uint32_t rows_max, uint32_t seqs_max, bool has_states)
{
    zoo_engine *e = fake_engine(VOCAB, rows_max, seqs_max);
    free(e->logits);
    e->logits_max = rows_max;
    e->logits = malloc((size_t)rows_max * VOCAB * sizeof(float));
    assert_non_null(e->logits);
    e->has_states = has_states;
    e->marks_left = seqs_max < 3 ? seqs_max : 3;
    e->habit = 5.0f;
    e->end_bias = 1;
    return e;
}

/* Rows that fall into habits, with and without drafts: all results are the same, in fewer steps. */
static void test_drafts_change_nothing(void **unused)
{
    static const uint32_t rows_max[] = {1, 2, 9, 64, 4096}, seqs_max[] = {1, 4, 64};
    static fixture plain, drafted;
    (void)unused;
    make_rows(&plain);
    for (uint32_t r = 0; r < N_ROWS; r++) {
        plain.rows[r].n_new_max = 3 * plain.rows[r].n_new_max;
    }
    drafted = plain;
    for (uint32_t r = 0; r < N_ROWS; r++) {
        drafted.rows[r].prompt = drafted.prompts[r];
    }
    zoo_engine *e = habitual_engine(4096, 1, false);
    zoo_schedule_stats before = run_rows(e, &plain);
    zoo_engine_close(e);
    for (uint32_t i = 0; i < 5 * 3 * 2; i++) {
        zoo_speculation s = {.kind = i % 4 < 2 ? ZOO_SPECULATE_TEXT : ZOO_SPECULATE_FILE,
                             .n_always = 1 + i * 5 % 23,
                             .pool_bytes = (size_t)1 << (14 + i % 6)};
        e = habitual_engine(rows_max[i % 5], seqs_max[i / 5 % 3], i >= 15);
        speculation = &s;
        kept_share = i % 2 ? 0.8 : 0;
        e->grain = i >= 15 ? 0 : 1;
        zoo_schedule_stats after = run_rows(e, &drafted);
        speculation = NULL;
        kept_share = 0;
        for (uint32_t r = 0; r < N_ROWS; r++) {
            assert_same(&plain.rows[r], &drafted.rows[r]);
            assert_true(drafted.rows[r].n_accepted <= drafted.rows[r].n_drafted);
        }
        assert_true(rows_max[i % 5] == 1
                        ? after.n_drafted == 0
                        : after.n_accepted > 0 && after.n_drafted > after.n_accepted);
        assert_true(i % 2 || seqs_max[i / 5 % 3] > 1 || rows_max[i % 5] < 4096 ||
                    after.n_steps + after.n_accepted / 2 < before.n_steps);
        assert_int_equal(after.n_written, before.n_written);
        assert_int_equal(e->marks_left, seqs_max[i / 5 % 3] < 3 ? seqs_max[i / 5 % 3] : 3);
        forget_results(&drafted);
        zoo_engine_close(e);
    }
    forget_results(&plain);
}

/* What a step costs decides: nothing is drafted where rows cost as much as steps, much where they
 * cost nothing. */
static void test_drafts_pay_or_are_off(void **unused)
{
    static fixture f;
    (void)unused;
    for (uint32_t i = 0; i < 2; i++) {
        zoo_speculation s = {.kind = ZOO_SPECULATE_TEXT, .costs = {.n_rows = ZOO_COST_ROWS_MAX}};
        for (uint32_t n = 1; n <= ZOO_COST_ROWS_MAX; n++) {
            s.costs.seconds[n] = i == 0 ? 1.0f + 0.01f * (float)n : (float)n;
        }
        make_alike(&f, 8, 0, 40);
        for (uint32_t r = 0; r < 8; r++) {
            f.rows[r].n_new_max = 200;
        }
        zoo_engine *e = habitual_engine(512, 4, false);
        e->habit = 9.0f;
        e->step_seconds = 1.5;
        timed = e;
        speculation = &s;
        zoo_schedule_stats stats = run_rows(e, &f);
        speculation = NULL;
        timed = NULL;
        assert_true(i == 0 ? stats.n_accepted > stats.n_written / 2 : stats.n_drafted == 0);
        forget_results(&f);
        zoo_engine_close(e);
    }
}

/* Drafts of another engine: results are those without, and where it is the same model and rows are
 * greedy, it is always right. It may have room for few rows, or not pay. */
static void test_draft_model_changes_nothing(void **unused)
{
    static const uint32_t draft_seqs[] = {64, 3, 1}, draft_rows[] = {4096, 30};
    static fixture plain, drafted;
    (void)unused;
    make_rows(&plain);
    drafted = plain;
    for (uint32_t r = 0; r < N_ROWS; r++) {
        drafted.rows[r].prompt = drafted.prompts[r];
    }
    zoo_engine *e = habitual_engine(4096, 1, false);
    (void)run_rows(e, &plain);
    zoo_engine_close(e);
    for (uint32_t i = 0; i < 24; i++) {
        zoo_speculation s = {.kind = i % 4 < 2 ? ZOO_SPECULATE_TEXT : ZOO_SPECULATE_FILE,
                             .n_always = i % 2 ? 1 + i % 7 : 0,
                             .pool_bytes = 1 << 16,
                             .costs = {.n_rows = ZOO_COST_ROWS_MAX},
                             .draft_costs = {.n_rows = ZOO_COST_ROWS_MAX}};
        for (uint32_t n = 1; n <= ZOO_COST_ROWS_MAX; n++) {
            s.costs.seconds[n] = 1.0f + 0.01f * (float)n;
            s.draft_costs.seconds[n] = 0.1f;
        }
        e = habitual_engine(4096, i % 3 ? 5 : 64, i % 5 == 4);
        e->step_seconds = 1.1;
        timed = e;
        s.draft = habitual_engine(draft_rows[i / 3 % 2], draft_seqs[i % 3], false);
        s.draft->habit = i % 4 ? 3.0f : 5.0f;
        speculation = &s;
        zoo_schedule_stats after = run_rows(e, &drafted);
        speculation = NULL;
        timed = NULL;
        for (uint32_t r = 0; r < N_ROWS; r++) {
            assert_same(&plain.rows[r], &drafted.rows[r]);
        }
        assert_true(after.n_accepted > 0);
        for (uint32_t k = 0; k < FAKE_SEQS_MAX; k++) {
            assert_false(s.draft->seqs[k].open);
        }
        forget_results(&drafted);
        zoo_engine_close(s.draft);
        zoo_engine_close(e);
    }
    forget_results(&plain);
}

/* A draft model whose steps take as long as the model's is not used after a trial. */
static void test_draft_model_pays_or_is_off(void **unused)
{
    static fixture f;
    (void)unused;
    for (uint32_t i = 0; i < 2; i++) {
        zoo_speculation s = {.kind = ZOO_SPECULATE_TEXT,
                             .costs = {.n_rows = ZOO_COST_ROWS_MAX},
                             .draft_costs = {.n_rows = ZOO_COST_ROWS_MAX}};
        for (uint32_t n = 1; n <= ZOO_COST_ROWS_MAX; n++) {
            s.costs.seconds[n] = 1.0f + 0.01f * (float)n;
            s.draft_costs.seconds[n] = i == 0 ? 0.1f : 1.0f;
        }
        make_alike(&f, 6, 0, 60);
        for (uint32_t r = 0; r < f.n_rows; r++) {
            f.rows[r].n_new_max = 101;
        }
        zoo_engine *e = habitual_engine(512, 3, false);
        s.draft = habitual_engine(512, 3, false);
        e->habit = s.draft->habit = 0.0f;
        e->step_seconds = 1.04;
        timed = e;
        speculation = &s;
        zoo_schedule_stats stats = run_rows(e, &f);
        speculation = NULL;
        timed = NULL;
        assert_true(i == 0 ? stats.n_accepted > stats.n_written / 2
                           : stats.n_drafted < stats.n_written / 20);
        forget_results(&f);
        zoo_engine_close(s.draft);
        zoo_engine_close(e);
    }
}

/* The model itself drafts: all drafts of greedy rows are accepted. */
static void test_draft_model_is_right(void **unused)
{
    static fixture f;
    zoo_speculation s = {.kind = ZOO_SPECULATE_TEXT, .n_always = 4};
    (void)unused;
    make_alike(&f, 6, 0, 60);
    for (uint32_t r = 0; r < f.n_rows; r++) {
        f.rows[r].n_new_max = 101;
        f.rows[r].sampling.temperature = r % 2 ? 0.8f : 0.0f;
        f.rows[r].sampling.seed = r;
    }
    zoo_engine *e = habitual_engine(512, 3, false);
    s.draft = habitual_engine(512, 3, false);
    e->habit = s.draft->habit = 0.0f; /* answers do not repeat themselves */
    speculation = &s;
    zoo_schedule_stats stats = run_rows(e, &f);
    speculation = NULL;
    assert_int_equal(stats.n_accepted, stats.n_drafted);
    assert_true(stats.n_steps < 6 * 101 / 3 / 4);
    forget_results(&f);
    zoo_engine_close(s.draft);
    zoo_engine_close(e);
}

/* Rows with the same output one after the other: the second is drafted from the first. */
static void test_rows_go_by_one_another(void **unused)
{
    static fixture f;
    uint64_t n_steps[2];
    (void)unused;
    for (uint32_t i = 0; i < 2; i++) {
        zoo_speculation s = {.kind = i == 0 ? ZOO_SPECULATE_TEXT : ZOO_SPECULATE_FILE,
                             .n_always = 8,
                             .pool_bytes = 1 << 16};
        make_alike(&f, 6, 60, 60);
        for (uint32_t r = 0; r < f.n_rows; r++) {
            f.rows[r].n_new_max = 100;
            f.rows[r].sampling.temperature = 0.7f;
            f.rows[r].sampling.seed = 11;
        }
        zoo_engine *e = habitual_engine(512, 1, false);
        e->habit = 0.0f; /* an answer does not repeat itself */
        speculation = &s;
        n_steps[i] = run_rows(e, &f).n_steps;
        speculation = NULL;
        forget_results(&f);
        zoo_engine_close(e);
    }
    assert_true(n_steps[0] > 550);
    assert_true(n_steps[1] < 250);
}

/* A guess is what followed some place of the rows that ends like this one. */
static void test_pool_finds_what_followed(void **unused)
{
    enum { ROWS = 40, LONG = 300 };
    static int32_t texts[ROWS][LONG];
    zoo_draft_pool *pool = zoo_draft_pool_new((size_t)1 << 18);
    zoo_pool_tail tails[ROWS] = {0};
    uint32_t n_guesses = 0;
    (void)unused;
    assert_non_null(pool);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t i = 0; i < LONG; i++) {
            bool copies = r > 0 && i % 50 > 5;
            texts[r][i] = copies ? texts[(r - 1) / 2][i] : (int32_t)(next_random() % VOCAB);
        }
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t n = 20; n < LONG; n++) { /* in pieces */
            zoo_pool_match match = {0};
            int32_t guess[8];
            zoo_draft_pool_follow(pool, &match, texts[r], n);
            uint32_t n_guessed = zoo_draft_pool_guess(pool, &match, guess, 8);
            bool is_true = n_guessed == 0;
            for (uint32_t k = 0; k < ROWS && !is_true; k++) {
                for (uint32_t i = match.length; i + n_guessed <= LONG && !is_true; i++) {
                    is_true = memcmp(texts[k] + i - match.length, texts[r] + n - match.length,
                                     match.length * sizeof(int32_t)) == 0 &&
                              memcmp(texts[k] + i, guess, n_guessed * sizeof(int32_t)) == 0;
                }
            }
            assert_true(is_true);
            n_guesses += n_guessed == 8; /* beyond ends of pieces */
            if (n % (7 + r % 9) == 0) {
                zoo_draft_pool_add(pool, &tails[r], texts[r], tails[r].n ? tails[r].n : 20, n);
            }
        }
    }
    assert_true(n_guesses > LONG * ROWS / 2);
    zoo_draft_pool_free(pool);
    assert_null(zoo_draft_pool_new(100));
}

/* Small rings are overwritten again and again. */
static void test_pool_forgets(void **unused)
{
    static int32_t text[5000];
    zoo_draft_pool *pool = zoo_draft_pool_new(1 << 14);
    zoo_pool_match match = {0};
    int32_t guess[8];
    (void)unused;
    assert_non_null(pool);
    for (uint32_t i = 0; i < 5000; i++) {
        text[i] = (int32_t)(next_random() % 20000);
    }
    zoo_draft_pool_add(pool, &(zoo_pool_tail){0}, text, 10, 5000); /* keeps its end */
    zoo_draft_pool_follow(pool, &match, text, 4900);
    assert_int_equal(zoo_draft_pool_guess(pool, &match, guess, 8), 8);
    assert_memory_equal(guess, text + 4900, sizeof guess);
    match = (zoo_pool_match){0};
    zoo_draft_pool_follow(pool, &match, text, 1000);
    assert_int_equal(match.length, 0);
    for (uint32_t i = 0; i < 100; i++) {
        zoo_draft_pool_add(pool, &(zoo_pool_tail){0}, text, 40 * i, 40 * i + 39);
        match = (zoo_pool_match){0};
        zoo_draft_pool_follow(pool, &match, text, 40 * i + 20);
        assert_int_equal(zoo_draft_pool_guess(pool, &match, guess, 8), 8);
        assert_memory_equal(guess, text + 40 * i + 20, sizeof guess);
    }
    match = (zoo_pool_match){0};
    zoo_draft_pool_follow(pool, &match, text, 100);
    assert_int_equal(match.length, 0);
    zoo_draft_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft_model_changes_nothing),
        cmocka_unit_test(test_draft_model_is_right),
        cmocka_unit_test(test_draft_model_pays_or_is_off),
        cmocka_unit_test(test_rows_go_by_one_another),
        cmocka_unit_test(test_pool_finds_what_followed),
        cmocka_unit_test(test_pool_forgets),
        cmocka_unit_test(test_drafts_change_nothing),
        cmocka_unit_test(test_drafts_pay_or_are_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
