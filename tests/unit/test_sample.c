/*
 * test_sample.c: the sampler against a naive one in double precision, and its properties.
 *
 * The naive sampler sorts, sums and cuts as the definitions read. Both draw from the same uniform
 * number, so the tokens must be equal but where the number falls within rounding of a border.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "generate/sample.h"
#include "kernels/select.h"

enum { VOCAB_MAX = 5000 };

static uint64_t state = 1;

static uint32_t next_random(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33);
}

static double next_unit(void)
{
    return (double)next_random() / 2147483648.0;
}

/* Logits like a model's: a few large ones, a long tail; some exactly equal. */
static void fill_logits(float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double u = next_unit() + next_unit() + next_unit() - 1.5;
        x[i] = (float)(u * 6.0);
        if (next_random() % 8 == 0) {
            x[i] = (float)(int)x[i];
        }
    }
}

static const float *sort_by;

static int by_logit(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    if (sort_by[i] != sort_by[k]) {
        return sort_by[i] > sort_by[k] ? -1 : 1;
    }
    return i < k ? -1 : i > k;
}

static int by_id(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    return i < k ? -1 : i > k;
}

/* The token, and how far u is from the borders of its share. */
static uint32_t naive(const float *x, uint32_t n, const zoo_sampling *s, double u, double *margin)
{
    static uint32_t order[VOCAB_MAX];
    static double w[VOCAB_MAX];
    double sum = 0.0, before = 0.0, at = 0.0;
    uint32_t m = n, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    sort_by = x;
    qsort(order, n, sizeof *order, by_logit);
    m = s->top_k > 0 && s->top_k < n ? s->top_k : n;
    for (uint32_t i = 0; i < m; i++) {
        w[order[i]] = exp(((double)x[order[i]] - (double)x[order[0]]) / (double)s->temperature);
        sum += w[order[i]];
    }
    *margin = 1.0;
    while (kept < m) {
        double gap = fabs(before - (double)s->top_p * sum) / sum;
        *margin = s->top_p < 1.0f && gap < *margin ? gap : *margin;
        if (!(before < (double)s->top_p * sum)) {
            break;
        }
        before += w[order[kept++]];
    }
    m = 0;
    for (uint32_t i = 0; i < kept; i++) {
        double gap = fabs(w[order[i]] - (double)s->min_p);
        *margin = s->min_p > 0.0f && i > 0 && gap < *margin ? gap : *margin;
        if (w[order[i]] >= (double)s->min_p) {
            order[m++] = order[i];
        }
    }
    qsort(order, m, sizeof *order, by_id);
    sum = 0.0;
    for (uint32_t i = 0; i < m; i++) {
        sum += w[order[i]];
    }
    for (uint32_t i = 0; i < m; i++) {
        double low = fabs(u - at / sum);
        at += w[order[i]];
        *margin = low < *margin ? low : *margin;
        if (at / sum > u) {
            double high = at / sum - u;
            *margin = high < *margin ? high : *margin;
            return order[i];
        }
    }
    return order[m - 1];
}

static uint32_t sample(zoo_sampler *sampler, const zoo_sampling *s, const float *x, uint32_t n,
                       uint32_t position)
{
    static float copy[VOCAB_MAX];
    zoo_draw draw = {.sampling = s, .logits = copy, .n_output = position};
    uint32_t token = UINT32_MAX;
    zoo_error err;
    memcpy(copy, x, n * sizeof *x);
    assert_int_equal(zoo_sample(sampler, &draw, &token, &err), ZOO_OK);
    return token;
}

static const zoo_kernels *kernels(void)
{
    zoo_error err;
    const zoo_kernels *table = zoo_kernels_select(NULL, &err);
    assert_non_null(table);
    return table;
}

static zoo_sampler *new_sampler(uint32_t n)
{
    static const uint32_t eos[1] = {3};
    zoo_sampler *sampler;
    zoo_error err;
    assert_int_equal(zoo_sampler_new(kernels(), n, eos, 1, &sampler, &err), ZOO_OK);
    return sampler;
}

static zoo_sampling plain(void)
{
    return (zoo_sampling){.temperature = 1.0f, .top_p = 1.0f, .repetition = 1.0f, .seed = 7};
}

static void random_settings(zoo_sampling *s, uint32_t n)
{
    static const float ps[] = {1.0f, 0.95f, 0.9f, 0.5f, 0.1f, 0.01f, 0.999f};
    static const float mins[] = {0.0f, 0.0f, 0.05f, 0.3f, 1.0f};
    static const float temperatures[] = {1.0f, 0.7f, 0.2f, 1.9f, 0.01f};
    s->temperature = temperatures[next_random() % 5];
    s->top_p = ps[next_random() % 7];
    s->min_p = mins[next_random() % 5];
    s->top_k = next_random() % 3 == 0 ? 0 : 1 + next_random() % (n + 5);
    if (next_random() % 2) {
        s->top_k = s->top_k % 60;
    }
}

static void test_equals_naive(void **unused)
{
    static const uint32_t sizes[] = {1, 2, 17, 63, 64, 65, 300, 1024, 4999};
    static float x[VOCAB_MAX];
    uint32_t n_compared = 0;
    (void)unused;
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t n = sizes[round % 9];
        zoo_sampler *sampler = new_sampler(n);
        zoo_sampling s = plain();
        double margin;
        uint32_t want;
        s.seed = round;
        random_settings(&s, n);
        fill_logits(x, n);
        want = naive(x, n, &s, zoo_uniform(s.seed, round % 11), &margin);
        if (margin > 1e-5) {
            assert_int_equal(sample(sampler, &s, x, n, round % 11), want);
            n_compared++;
        }
        zoo_sampler_free(sampler);
    }
    assert_true(n_compared > 2300);
}

static void test_greedy_takes_the_lower_id(void **unused)
{
    float x[200];
    zoo_sampler *sampler = new_sampler(200);
    zoo_sampling s = plain();
    (void)unused;
    s.temperature = 0.0f;
    for (uint32_t i = 0; i < 200; i++) {
        x[i] = i % 50 == 33 ? 2.5f : -1.0f;
    }
    assert_int_equal(sample(sampler, &s, x, 200, 0), 33);
    x[20] = 0.0f;
    for (uint32_t i = 0; i < 200; i++) {
        x[i] = i == 20 ? 0.0f : -0.0f;
    }
    assert_int_equal(sample(sampler, &s, x, 200, 0), 0);
    zoo_sampler_free(sampler);
}

static void test_top_k_of_equals_keeps_the_lower_ids(void **unused)
{
    float x[300];
    bool seen[300] = {false};
    zoo_sampler *sampler = new_sampler(300);
    zoo_sampling s = plain();
    (void)unused;
    s.top_k = 5;
    for (uint32_t i = 0; i < 300; i++) {
        x[i] = 1.0f;
    }
    for (uint32_t t = 0; t < 500; t++) {
        seen[sample(sampler, &s, x, 300, t)] = true;
    }
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(seen[i], i < 5);
    }
    zoo_sampler_free(sampler);
}

/* Chi-square of 20,000 draws against the probabilities. */
static void test_draws_follow_the_probabilities(void **unused)
{
    float x[8] = {1.0f, 0.0f, -1.0f, 2.0f, 0.5f, -2.0f, 1.5f, -0.5f};
    double p[8], sum = 0.0, chi = 0.0;
    uint32_t counts[8] = {0};
    zoo_sampler *sampler = new_sampler(8);
    zoo_sampling s = plain();
    (void)unused;
    for (int i = 0; i < 8; i++) {
        sum += p[i] = exp((double)x[i]);
    }
    for (uint32_t t = 0; t < 20000; t++) {
        s.seed = t / 100;
        counts[sample(sampler, &s, x, 8, t % 100)]++;
    }
    for (int i = 0; i < 8; i++) {
        double want = 20000.0 * p[i] / sum;
        chi += ((double)counts[i] - want) * ((double)counts[i] - want) / want;
    }
    assert_true(chi < 24.3); /* 7 degrees of freedom, 0.999 */
    zoo_sampler_free(sampler);
}

static void test_penalties(void **unused)
{
    float x[6] = {1.0f, -1.0f, 2.0f, 0.5f, 0.25f, 3.0f};
    zoo_history h = {0};
    zoo_sampler *sampler = new_sampler(6);
    zoo_bias bias = {4, 10.0f};
    zoo_sampling s = plain();
    zoo_draw draw = {.sampling = &s, .history = &h, .logits = x};
    uint32_t token;
    zoo_error err;
    (void)unused;
    assert_int_equal(zoo_history_init(&h, 8, &err), ZOO_OK);
    s.temperature = 0.0f;
    s.repetition = 2.0f;
    s.presence = 0.25f;
    s.frequency = 0.5f;
    s.biases = &bias;
    s.n_biases = 1;
    zoo_history_note(&h, 0, false);
    zoo_history_note(&h, 1, true);
    zoo_history_note(&h, 5, true);
    zoo_history_note(&h, 5, true);
    assert_int_equal(zoo_sample(sampler, &draw, &token, &err), ZOO_OK);
    assert_int_equal(token, 4);
    assert_true(x[0] == 0.5f);                 /* prompt: repetition only */
    assert_true(x[1] == -2.0f - 0.5f - 0.25f); /* negative: times; once in the output */
    assert_true(x[2] == 2.0f && x[3] == 0.5f);
    assert_true(x[5] == 1.5f - 1.0f - 0.25f); /* twice in the output */
    zoo_history_free(&h);
    zoo_sampler_free(sampler);
}

static void test_masks_and_minimum(void **unused)
{
    float x[6] = {1.0f, 2.0f, 3.0f, 9.0f, 5.0f, 8.0f};
    uint32_t allowed = 0x1f, stop = 4;
    zoo_sampler *sampler = new_sampler(6); /* its end token is 3 */
    zoo_sampling s = plain();
    (void)unused;
    s.temperature = 0.0f;
    s.allowed = &allowed;
    s.stop_ids = &stop;
    s.n_stop_ids = 1;
    s.min_tokens = 2;
    assert_int_equal(sample(sampler, &s, x, 6, 1), 2);
    assert_int_equal(sample(sampler, &s, x, 6, 2), 3);
    s.ignore_eos = true;
    assert_int_equal(sample(sampler, &s, x, 6, 1), 3);
    assert_false(zoo_sample_ends(sampler, &s, 3));
    assert_true(zoo_sample_ends(sampler, &s, 4));
    zoo_sampler_free(sampler);
}

static void test_refuses_what_is_no_number(void **unused)
{
    float x[70];
    zoo_sampler *sampler = new_sampler(70);
    zoo_sampling s = plain();
    zoo_draw draw = {.sampling = &s, .logits = x};
    uint32_t token, none[3] = {0};
    zoo_error err;
    (void)unused;
    fill_logits(x, 70);
    x[66] = NAN;
    assert_int_equal(zoo_sample(sampler, &draw, &token, &err), ZOO_E_INTERNAL);
    fill_logits(x, 70);
    draw.mask = none;
    assert_int_equal(zoo_sample(sampler, &draw, &token, &err), ZOO_E_INTERNAL);
    assert_non_null(strstr(err.text, "no token is allowed"));
    zoo_sampler_free(sampler);
}

static void test_logprobs(void **unused)
{
    static float x[VOCAB_MAX];
    static uint32_t order[VOCAB_MAX];
    static const uint32_t sizes[] = {1, 20, 65, 1500, 5000};
    (void)unused;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t n = sizes[round % 5], token = next_random() % n;
        uint32_t n_top = n < 20 ? n : round % 21;
        zoo_sampler *sampler = new_sampler(n);
        zoo_logprob got[1 + ZOO_LOGPROBS_MAX];
        zoo_error err;
        double sum = 0.0;
        fill_logits(x, n);
        for (uint32_t i = 0; i < n; i++) {
            sum += exp((double)x[i]);
            order[i] = i;
        }
        sort_by = x;
        qsort(order, n, sizeof *order, by_logit);
        assert_int_equal(zoo_logprobs(sampler, x, token, n_top, got, &err), ZOO_OK);
        assert_true(fabs((double)got[0].logprob - ((double)x[token] - log(sum))) < 2e-6);
        assert_int_equal(order[got[0].rank - 1], token);
        for (uint32_t i = 0; i < n_top; i++) {
            assert_int_equal(got[i + 1].id, order[i]);
            assert_int_equal(got[i + 1].rank, i + 1);
            assert_true(fabs((double)got[i + 1].logprob - ((double)x[order[i]] - log(sum))) < 2e-6);
        }
        zoo_sampler_free(sampler);
    }
}

/* A row's tokens come from its seed and position alone: used samplers and fresh ones agree. */
static void test_does_not_remember(void **unused)
{
    static float x[VOCAB_MAX], y[VOCAB_MAX];
    zoo_sampler *used = new_sampler(1024);
    (void)unused;
    for (uint32_t round = 0; round < 200; round++) {
        zoo_sampler *fresh = new_sampler(1024);
        zoo_sampling s = plain();
        random_settings(&s, 1024);
        fill_logits(x, 1024);
        fill_logits(y, 1024);
        (void)sample(used, &s, y, 1024, round + 1);
        assert_int_equal(sample(used, &s, x, 1024, round), sample(fresh, &s, x, 1024, round));
        zoo_sampler_free(fresh);
    }
    zoo_sampler_free(used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_naive),
        cmocka_unit_test(test_greedy_takes_the_lower_id),
        cmocka_unit_test(test_top_k_of_equals_keeps_the_lower_ids),
        cmocka_unit_test(test_draws_follow_the_probabilities),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_masks_and_minimum),
        cmocka_unit_test(test_refuses_what_is_no_number),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_does_not_remember),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
