/*
 * test_api.c: liblmzoo through its public header: its versions, the life cycle of a model,
 * many threads, cancelling, and refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lmzoo.h"

#define DEMO LMZOO_SOURCE_DIR "/demo/models/demo-llama"

static void versions_are_told(void **state)
{
    (void)state;
    assert_int_equal(lmzoo_api_version(), LMZOO_API_VERSION);
    assert_int_equal(LMZOO_API_VERSION, 1);
    assert_string_equal(lmzoo_version(), LMZOO_VERSION_WANTED);
}

static lmzoo_model *open_demo(void)
{
    lmzoo_options options = {.size = sizeof options,
                             .weights = "f32",
                             .cache = "f32",
                             .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                             .card_dir = LMZOO_SOURCE_DIR "/models.d",
                             .threads = 2};
    lmzoo_model *model;
    lmzoo_error error = {0};
    if (lmzoo_open(DEMO, &options, &model, &error) != LMZOO_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

static int setup(void **state)
{
    *state = open_demo();
    return 0;
}

static int teardown(void **state)
{
    lmzoo_close(*state);
    return 0;
}

static int collect(void *arg, uint32_t choice, const char *text, size_t n)
{
    char *whole = arg;
    (void)choice;
    (void)strncat(whole, text, n);
    return 0;
}

static void pieces_join_to_the_answer(void **state)
{
    static const char body[] =
        "{\"prompt\":\"Once upon a time\",\"max_tokens\":20,\"temperature\":0}";
    char whole[1024] = "", wanted[1100], *answer;
    lmzoo_error error = {0};
    assert_int_equal(
        lmzoo_generate(*state, LMZOO_COMPLETION, body, collect, whole, &answer, &error), LMZOO_OK);
    (void)snprintf(wanted, sizeof wanted, "\"text\":\"%s\"", whole);
    assert_non_null(strstr(answer, wanted));
    assert_non_null(strstr(answer, "\"completion_tokens\":20"));
    lmzoo_free(answer);
}

static int stop_at_once(void *arg, uint32_t choice, const char *text, size_t n)
{
    (void)arg;
    (void)choice;
    (void)text;
    return n > 0;
}

static void a_callback_cancels(void **state)
{
    static const char body[] = "{\"prompt\":\"Once\",\"max_tokens\":400,\"ignore_eos\":true}";
    char *answer;
    lmzoo_error error = {0};
    assert_int_equal(
        lmzoo_generate(*state, LMZOO_COMPLETION, body, stop_at_once, NULL, &answer, &error),
        LMZOO_E_CANCELLED);
    assert_null(answer);
}

static void errors_are_sentences(void **state)
{
    static const char *const bodies[] = {"{", "{}", "{\"prompt\":\"x\",\"temperature\":-1}",
                                         "{\"prompt\":\"x\",\"nonsense\":1}"};
    lmzoo_options bad = {.size = 3};
    lmzoo_model *none;
    lmzoo_error error = {0};
    char *answer;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        error.message[0] = '\0';
        assert_true(
            lmzoo_generate(*state, LMZOO_COMPLETION, bodies[i], NULL, NULL, &answer, &error) < 0);
        assert_true(strlen(error.message) > 10);
    }
    assert_int_equal(lmzoo_generate(*state, 7, "{}", NULL, NULL, &answer, &error), LMZOO_E_USAGE);
    assert_int_equal(lmzoo_open(DEMO, &bad, &none, &error), LMZOO_E_USAGE);
    assert_int_equal(lmzoo_open("no/such/folder", NULL, &none, &error), LMZOO_E_IO);
    assert_null(none);
}

static void *ask(void *arg)
{
    static const char body[] =
        "{\"prompt\":\"The cat\",\"max_tokens\":30,\"temperature\":0.8,\"seed\":5}";
    char *answer = NULL;
    if (lmzoo_generate(arg, LMZOO_COMPLETION, body, NULL, NULL, &answer, NULL) != LMZOO_OK) {
        return NULL;
    }
    return answer;
}

static const char *text_of(const char *answer)
{
    return strstr(answer, "\"choices\"");
}

static void requests_of_many_threads(void **state)
{
    enum { N = 12 };
    pthread_t threads[N];
    char *alone = ask(*state);
    assert_non_null(alone);
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, *state), 0);
    }
    for (int i = 0; i < N; i++) {
        void *answer;
        (void)pthread_join(threads[i], &answer);
        assert_non_null(answer);
        assert_string_equal(text_of(alone), text_of(answer));
        lmzoo_free(answer);
    }
    lmzoo_free(alone);
}

static void freeing_a_request_that_runs(void **state)
{
    static const char body[] = "{\"prompt\":\"Once\",\"max_tokens\":400,\"ignore_eos\":true}";
    lmzoo_stats stats = {.size = sizeof stats};
    for (int i = 0; i < 20; i++) {
        lmzoo_request *request;
        lmzoo_event event;
        assert_int_equal(lmzoo_submit(*state, LMZOO_COMPLETION, body, sizeof body - 1, LMZOO_STREAM,
                                      &request, NULL),
                         LMZOO_OK);
        assert_int_equal(lmzoo_wait(request, i % 3, &event, NULL), LMZOO_OK);
        lmzoo_request_free(request);
    }
    lmzoo_model_stats(*state, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
}

static void closing_a_model_ends_its_threads(void **state)
{
    lmzoo_model *model = open_demo();
    (void)state;
    lmzoo_close(model);
    lmzoo_close(NULL);
}

static void scores_follow_from_logits(void **state)
{
    enum { N = 6 };
    static const int32_t tokens[N + 2] = {300, 317, 334, 351, 368, 385, 300, 317};
    static const uint32_t lengths[2] = {N, 2};
    lmzoo_info info = {.size = sizeof info};
    double nll[N];
    uint8_t greedy[N];
    float *logits;
    lmzoo_model_info(*state, &info);
    logits = test_malloc((size_t)N * info.vocab_size * sizeof *logits);
    assert_int_equal(lmzoo_score(*state, tokens, lengths, 2, nll, greedy, NULL), LMZOO_OK);
    assert_int_equal(lmzoo_logits(*state, tokens, N, logits, NULL), LMZOO_OK);
    for (uint32_t i = 0; i + 1 < N; i++) {
        const float *x = logits + (size_t)i * info.vocab_size;
        uint32_t best = 0;
        for (uint32_t k = 0; k < info.vocab_size; k++) {
            best = x[k] > x[best] ? k : best;
        }
        assert_int_equal(greedy[i], best == (uint32_t)tokens[i + 1]);
        assert_true(nll[i] > 0);
    }
    assert_memory_equal(&nll[0], &nll[N - 1], sizeof nll[0]);
    assert_int_equal(lmzoo_score(*state, tokens, (uint32_t[]){0}, 1, nll, greedy, NULL),
                     LMZOO_E_USAGE);
    test_free(logits);
}

static void text_there_and_back(void **state)
{
    lmzoo_error error = {0};
    int32_t *ids;
    char *text;
    size_t n, n_text;
    assert_int_equal(lmzoo_tokenize(*state, "Once upon", 9, 0, &ids, &n, &error), LMZOO_OK);
    assert_int_equal(lmzoo_detokenize(*state, ids, n, 1, &text, &n_text, &error), LMZOO_OK);
    assert_string_equal(text, "Once upon");
    lmzoo_free(ids);
    lmzoo_free(text);
    assert_int_equal(lmzoo_detokenize(*state, (int32_t[]){-1}, 1, 1, &text, &n_text, &error),
                     LMZOO_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_told),
        cmocka_unit_test(pieces_join_to_the_answer),
        cmocka_unit_test(a_callback_cancels),
        cmocka_unit_test(errors_are_sentences),
        cmocka_unit_test(requests_of_many_threads),
        cmocka_unit_test(freeing_a_request_that_runs),
        cmocka_unit_test(closing_a_model_ends_its_threads),
        cmocka_unit_test(scores_follow_from_logits),
        cmocka_unit_test(text_there_and_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
