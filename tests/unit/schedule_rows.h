/*
 * schedule_rows.h: rows of every kind and the fake engine that runs them, for tests of the
 * scheduler.
 */
#ifndef ZOO_TESTS_SCHEDULE_ROWS_H
#define ZOO_TESTS_SCHEDULE_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_engine.h"
#include "generate/schedule.h"

enum { N_ROWS = 60, VOCAB = 50, PROMPT_MAX = 512 };

static const zoo_generation generation = {.temperature = 1.0f, .n_eos = 1, .eos = {3}};
static const zoo_speculation *speculation; /* of the runs to come; null: none */
static uint64_t state = 5;

static uint32_t next_random(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33);
}

typedef struct fixture {
    int32_t prompts[N_ROWS][PROMPT_MAX];
    zoo_row rows[N_ROWS];
    uint32_t n_rows;
} fixture;

/* Rows of every kind; prompts begin like one of three texts for some pages. */
static void make_rows(fixture *f)
{
    static int32_t texts[3][PROMPT_MAX];
    memset(f, 0, sizeof *f);
    for (uint32_t i = 0; i < 3 * PROMPT_MAX; i++) {
        texts[i / PROMPT_MAX][i % PROMPT_MAX] = (int32_t)(next_random() % VOCAB);
    }
    f->n_rows = N_ROWS;
    for (uint32_t r = 0; r < N_ROWS; r++) {
        zoo_row *row = &f->rows[r];
        uint32_t shared = next_random() % 2 ? next_random() % 300 : 0;
        row->n_prompt = 1 + next_random() % (PROMPT_MAX - 1);
        for (uint32_t i = 0; i < row->n_prompt; i++) {
            f->prompts[r][i] = i < shared ? texts[r % 3][i] : (int32_t)(next_random() % VOCAB);
        }
        row->prompt = f->prompts[r];
        row->n_new_max = next_random() % 40;
        row->sampling = (zoo_sampling){.temperature = next_random() % 3 ? 0.9f : 0.0f,
                                       .top_p = 0.95f,
                                       .repetition = next_random() % 4 ? 1.0f : 1.2f,
                                       .presence = next_random() % 4 ? 0.0f : 0.5f,
                                       .min_tokens = next_random() % 5,
                                       .ignore_eos = next_random() % 4 == 0,
                                       .seed = next_random()};
        row->n_top = next_random() % 3 ? ZOO_NO_LOGPROBS : next_random() % 6;
        row->n_prompt_top = next_random() % 6 ? ZOO_NO_LOGPROBS : next_random() % 4;
    }
}

static void forget_results(fixture *f)
{
    for (uint32_t r = 0; r < f->n_rows; r++) {
        zoo_row *row = &f->rows[r];
        zoo_row_free(row);
        row->finish = ZOO_UNFINISHED;
        row->n_out = row->pos = row->n_cached = 0;
        row->scored = false;
    }
}

static double kept_share; /* of what run_rows keeps of ended rows */

/* Runs all rows; returns the steps' statistics. The engine must be as clean after as before. */
static zoo_schedule_stats run_rows(zoo_engine *e, fixture *f)
{
    zoo_schedule *s;
    zoo_schedule_stats stats;
    zoo_error err = {0};
    uint32_t n_added = 0, n_done = 0;
    assert_int_equal(zoo_schedule_new(e, NULL, &generation, &s, &err), ZOO_OK);
    zoo_schedule_keep(s, kept_share);
    if (speculation) {
        assert_int_equal(zoo_schedule_speculate(s, speculation, &err), ZOO_OK);
    }
    while (n_done < f->n_rows) {
        while (n_added < f->n_rows && zoo_schedule_wants_more(s)) {
            assert_int_equal(zoo_schedule_add(s, &f->rows[n_added++], &err), ZOO_OK);
        }
        assert_false(zoo_schedule_is_idle(s));
        assert_int_equal(zoo_schedule_step(s, &err), ZOO_OK);
        while (zoo_schedule_pop(s)) {
            n_done++;
        }
    }
    assert_true(zoo_schedule_is_idle(s));
    stats = zoo_schedule_stats_get(s);
    zoo_schedule_free(s);
    for (int i = 0; i < FAKE_SEQS_MAX; i++) {
        assert_false(e->seqs[i].open);
    }
    assert_int_equal(e->n_kept_now, 0);
    assert_int_equal(e->pages_used, 0);
    return stats;
}

static void assert_same(const zoo_row *a, const zoo_row *b)
{
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->n_out, b->n_out);
    assert_memory_equal(a->tokens, b->tokens, (a->n_prompt + a->n_out) * sizeof(int32_t));
    if (a->n_top != ZOO_NO_LOGPROBS && a->n_out > 0) {
        assert_memory_equal(a->logprobs, b->logprobs,
                            a->n_out * (a->n_top + 1) * sizeof *a->logprobs);
    }
    if (a->n_prompt_top != ZOO_NO_LOGPROBS && a->n_prompt > 1) {
        assert_memory_equal(a->prompt_logprobs, b->prompt_logprobs,
                            (a->n_prompt - 1) * (a->n_prompt_top + 1) * sizeof *a->prompt_logprobs);
    }
}

/* Rows of n tokens whose first n_shared are one text. */
static void make_alike(fixture *f, uint32_t n_rows, uint32_t n_shared, uint32_t n)
{
    memset(f, 0, sizeof *f);
    f->n_rows = n_rows;
    for (uint32_t r = 0; r < n_rows; r++) {
        zoo_row *row = &f->rows[r];
        for (uint32_t i = 0; i < n; i++) {
            f->prompts[r][i] = (int32_t)(i < n_shared ? i % VOCAB : next_random() % VOCAB);
        }
        row->prompt = f->prompts[r];
        row->n_prompt = n;
        row->n_new_max = 3;
        row->sampling = (zoo_sampling){.top_p = 1.0f, .repetition = 1.0f, .ignore_eos = true};
        row->n_top = row->n_prompt_top = ZOO_NO_LOGPROBS;
    }
}

#endif
