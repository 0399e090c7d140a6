/*
 * test_score.c: nll and KL divergence against plain formulas over the logits of the same windows,
 * whatever the size of steps; failing memory; texts that are refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "evaluate/score.h"

#define DEMO LMZOO_SOURCE_DIR "/demo/models/demo-llama"

enum { N_TEXTS = 3, CONTEXT = 40, VOCAB = 1024, BEGIN = 1017 };

static const uint32_t lengths[N_TEXTS] = {101, 1, 40};

typedef struct fixture {
    zoo_engine *engine, *reference;
    zoo_score_texts texts;
} fixture;

static zoo_engine *open_demo(const char *weights, uint32_t rows_max, uint32_t seqs_max)
{
    zoo_engine_options options = {.weights = weights,
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .rows_max = rows_max,
                                  .seqs_max = seqs_max,
                                  .context_max = CONTEXT,
                                  .n_threads = 2,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    if (zoo_engine_open(DEMO, &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    return engine;
}

/* Random ids; the first text begins with the begin token and needs three windows. */
static void fill_texts(zoo_score_texts *texts)
{
    uint64_t state = 7;
    *texts = (zoo_score_texts){.n = N_TEXTS, .begin = BEGIN};
    texts->list = zoo_mem_array(N_TEXTS, sizeof *texts->list);
    for (uint32_t t = 0; t < N_TEXTS; t++) {
        zoo_score_text *text = &texts->list[t];
        *text = (zoo_score_text){.n = lengths[t], .line = t + 1, .first = texts->n_scored};
        text->tokens = zoo_mem_array(lengths[t], sizeof *text->tokens);
        for (uint32_t i = 0; i < lengths[t]; i++) {
            state = state * UINT64_C(6364136223846793005) + 1;
            text->tokens[i] = (int32_t)(state >> 33) % 1000;
        }
        texts->n_scored += lengths[t] - 1;
    }
    texts->list[0].tokens[0] = BEGIN;
}

static void open_all(fixture *f, uint32_t rows_max, uint32_t seqs_max)
{
    f->engine = open_demo("int4", rows_max, seqs_max);
    f->reference = open_demo("f32", rows_max, seqs_max);
    fill_texts(&f->texts);
}

static void close_all(fixture *f)
{
    zoo_engine_close(f->engine);
    zoo_engine_close(f->reference);
    zoo_score_texts_free(&f->texts);
}

static void logits_of(zoo_engine *engine, const int32_t *tokens, uint32_t n, float *out)
{
    uint32_t seq;
    zoo_error error = {0};
    assert_int_equal(zoo_engine_seq_open(engine, n, n, &seq, &error), ZOO_OK);
    zoo_item item = {.seq = seq, .n = n, .tokens = tokens, .want = ZOO_WANT_ALL};
    assert_int_equal(zoo_engine_step(engine, &item, 1, &error), ZOO_OK);
    memcpy(out, item.logits, (size_t)n * VOCAB * sizeof *out);
    zoo_engine_seq_close(engine, seq);
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * (1 + fabs(want)))) {
        fail_msg("%.17g, not %.17g", got, want);
    }
}

static void assert_token(const zoo_score_token *got, const float *x, const float *y, int32_t token)
{
    long double sum_x = 0, sum_y = 0, kl = 0;
    uint32_t best_x = 0, best_y = 0;
    for (uint32_t i = 0; i < VOCAB; i++) {
        sum_x += expl((long double)x[i]);
        sum_y += expl((long double)y[i]);
        best_x = x[i] > x[best_x] ? i : best_x;
        best_y = y[i] > y[best_y] ? i : best_y;
    }
    for (uint32_t i = 0; i < VOCAB; i++) {
        long double p = expl((long double)y[i]) / sum_y, q = expl((long double)x[i]) / sum_x;
        kl += p * logl(p / q);
    }
    assert_near(got->nll, (double)-logl(expl((long double)x[token]) / sum_x));
    assert_near(got->reference_nll, (double)-logl(expl((long double)y[token]) / sum_y));
    assert_near(got->kl, (double)kl);
    assert_int_equal(got->agrees, best_x == best_y);
}

/* The window that begins with `before` fed tokens, of which the last `n` - 1 predict. */
static void assert_window(const fixture *f, const int32_t *tokens, uint32_t n, uint32_t opens,
                          const zoo_score_token *got)
{
    static float x[CONTEXT * VOCAB], y[CONTEXT * VOCAB];
    int32_t window[CONTEXT] = {BEGIN};
    memcpy(window + opens, tokens, n * sizeof *window);
    logits_of(f->engine, window, opens + n, x);
    logits_of(f->reference, window, opens + n, y);
    for (uint32_t i = 0; i + 1 < n; i++) {
        size_t row = (size_t)(opens + i) * VOCAB;
        assert_token(&got[i], x + row, y + row, tokens[i + 1]);
    }
}

static void figures_are_those_of_the_formulas(void **state)
{
    (void)state;
    fixture f;
    zoo_error error = {0};
    zoo_score_token out[200];
    open_all(&f, 64, 4);
    zoo_score_job job = {.engine = f.engine, .reference = f.reference, .texts = &f.texts};
    assert_int_equal(f.texts.n_scored, 139);
    assert_int_equal(zoo_score_run(&job, out, &error), ZOO_OK);
    const int32_t *first = f.texts.list[0].tokens;
    assert_window(&f, first, 40, 0, out);
    assert_window(&f, first + 39, 39, 1, out + 39);
    assert_window(&f, first + 77, 24, 1, out + 77);
    assert_window(&f, f.texts.list[2].tokens, 40, 0, out + 100);
    close_all(&f);
}

static void steps_change_nothing(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{64, 4}, {7, 1}, {3, 2}, {200, 3}};
    zoo_score_token all[ZOO_COUNT(sizes)][200];
    memset(all, 0, sizeof all);
    for (size_t i = 0; i < ZOO_COUNT(sizes); i++) {
        fixture f;
        zoo_error error = {0};
        open_all(&f, sizes[i][0], sizes[i][1]);
        zoo_score_job job = {.engine = f.engine, .reference = f.reference, .texts = &f.texts};
        assert_int_equal(zoo_score_run(&job, all[i], &error), ZOO_OK);
        for (size_t k = 0; k < f.texts.n_scored; k++) {
            assert_true(all[i][k].nll == all[0][k].nll && all[i][k].kl == all[0][k].kl);
            assert_true(all[i][k].agrees == all[0][k].agrees);
        }
        close_all(&f);
    }
}

static void a_model_is_itself(void **state)
{
    (void)state;
    fixture f;
    zoo_error error = {0};
    zoo_score_token out[200];
    zoo_generation generation = {.n_eos = 0};
    zoo_score_pair pairs[N_TEXTS];
    zoo_score_greedy greedy = {N_TEXTS, 16, 20};
    open_all(&f, 64, 4);
    zoo_score_job job = {.engine = f.reference,
                         .reference = f.reference,
                         .texts = &f.texts,
                         .generation = &generation};
    assert_int_equal(zoo_score_continue(&job, &greedy, pairs, &error), ZOO_OK);
    for (uint32_t i = 0; i < N_TEXTS; i++) {
        assert_int_equal(pairs[i].n, 20);
        assert_int_equal(pairs[i].n_same, 20);
    }
    zoo_engine *same = open_demo("f32", 64, 4);
    job.engine = same;
    assert_int_equal(zoo_score_run(&job, out, &error), ZOO_OK);
    for (size_t k = 0; k < f.texts.n_scored; k++) {
        assert_true(out[k].kl == 0 && out[k].agrees && out[k].nll == out[k].reference_nll);
    }
    zoo_engine_close(same);
    close_all(&f);
}

/* Every allocation fails in turn; what was opened is closed again, so the next run works. */
static void failing_memory_is_survived(void **state)
{
    (void)state;
    fixture f;
    zoo_error error = {0};
    zoo_score_token out[200];
    zoo_generation generation = {.n_eos = 0};
    zoo_score_pair pairs[N_TEXTS];
    zoo_score_greedy greedy = {N_TEXTS, 16, 4};
    uint32_t n_failed = 0;
    open_all(&f, 64, 4);
    zoo_score_job job = {
        .engine = f.engine, .reference = f.reference, .texts = &f.texts, .generation = &generation};
    for (int64_t n = 1; n < 40; n++) {
        memset(&error, 0, sizeof error);
        zoo_mem_fail_at(n);
        zoo_status status = zoo_score_run(&job, out, &error);
        status = status == ZOO_OK ? zoo_score_continue(&job, &greedy, pairs, &error) : status;
        zoo_mem_fail_at(0);
        n_failed += status != ZOO_OK;
        assert_true(status == ZOO_OK || error.text[0] != '\0');
    }
    assert_true(n_failed > 5);
    assert_int_equal(zoo_score_run(&job, out, &error), ZOO_OK);
    close_all(&f);
}

static zoo_status read_lines(const char *text, zoo_score_texts *texts, zoo_error *error)
{
    char path[] = "/tmp/test_score.XXXXXX.jsonl";
    int fd = mkstemps(path, 6);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    const zoo_score_source source = {.path = path, .n_vocab = VOCAB, .end = ZOO_ID_NONE};
    memset(texts, 0, sizeof *texts);
    memset(error, 0, sizeof *error);
    zoo_status status = zoo_score_texts_read(&source, texts, error);
    (void)unlink(path);
    return status;
}

static void lines_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {{"{\"tokens\": [1, 2, 1024]}\n", "line 1: token 1024"},
               {"{\"tokens\": [1, 2]}\n\n{\"tokens\": [1, 2.5]}\n", "line 3: token 2.5"},
               {"{\"tokens\": [1, -2]}\n", "token -2"},
               {"{\"tokens\": [1, \"2\"]}\n", "line 1"},
               {"{\"tokens\": [1, 2], \"text\": \"a\"}\n", "line 1: wanted"},
               {"{\"words\": 1}\n", "line 1: wanted"},
               {"[1, 2]\n", "line 1: wanted"},
               {"{\"tokens\": [1, 2]}\n{\"tokens\"", "line 2: is not JSON"},
               {"{\"text\": \"a\"}\n", "no tokenizer"},
               {"{\"tokens\": []}\n{\"tokens\": [5]}\n", "no text of two tokens"},
               {"", "no text of two tokens"}};
    zoo_score_texts texts;
    zoo_error error;
    for (size_t i = 0; i < ZOO_COUNT(bad); i++) {
        assert_int_equal(read_lines(bad[i].text, &texts, &error), ZOO_E_USAGE);
        if (!strstr(error.text, bad[i].words)) {
            fail_msg("%s: %s", bad[i].text, error.text);
        }
        zoo_score_texts_free(&texts);
    }
    assert_int_equal(
        read_lines("{\"tokens\": [1, 2, 3]}\r\n{\"a\": 1, \"tokens\": [0, 1023]}", &texts, &error),
        ZOO_OK);
    assert_int_equal(texts.n, 2);
    assert_int_equal(texts.n_scored, 3);
    assert_int_equal(texts.list[1].first, 2);
    assert_int_equal(texts.list[1].tokens[1], 1023);
    assert_int_equal(texts.list[1].line, 2);
    zoo_score_texts_free(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_formulas),
        cmocka_unit_test(steps_change_nothing),
        cmocka_unit_test(a_model_is_itself),
        cmocka_unit_test(failing_memory_is_survived),
        cmocka_unit_test(lines_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
