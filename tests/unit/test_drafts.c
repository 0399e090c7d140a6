/*
 * test_drafts.c: tokens read ahead, over the fake engine: results are those without, whatever is
 * forced on rows; what pays is read and what does not is not.
 */
#include "schedule_rows.h"

static const zoo_engine *timed; /* whose steps take the time; null: none passes */

/* In place of the machine's clock, which other programs hold up. */
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
        zoo_speculation s = {.kind = ZOO_SPECULATE_TEXT, .n_always = 1 + i * 5 % 23};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drafts_change_nothing),
        cmocka_unit_test(test_drafts_pay_or_are_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
