/*
 * test_demo.c: the demo models answer as the reference does, token for token, from text and from
 * chat messages, all rows together in one batch of float32.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "batch/chat_model.h"
#include "batch/request_rows.h"
#include "batch/result.h"
#include "generate/schedule.h"

enum { CASES_MAX = 16 };

typedef struct demo_case {
    const cJSON *spec;
    zoo_request request;
    zoo_row row;
} demo_case;

static cJSON *body_of(const cJSON *spec)
{
    const cJSON *messages = cJSON_GetObjectItem(spec, "messages");
    const cJSON *kwargs = cJSON_GetObjectItem(spec, "template_kwargs");
    cJSON *body = cJSON_CreateObject();
    if (messages) {
        cJSON_AddItemToObject(body, "messages", cJSON_Duplicate(messages, true));
        if (kwargs) {
            cJSON_AddItemToObject(body, "chat_template_kwargs", cJSON_Duplicate(kwargs, true));
        }
    } else {
        cJSON_AddStringToObject(body, "prompt", cJSON_GetObjectItem(spec, "prompt")->valuestring);
    }
    cJSON_AddNumberToObject(body, "temperature", 0);
    cJSON_AddNumberToObject(body, "max_tokens", 64);
    return body;
}

static void assert_ids(const cJSON *want, const int32_t *got, uint32_t n)
{
    const cJSON *id;
    uint32_t i = 0;
    assert_int_equal(cJSON_GetArraySize(want), (int)n);
    cJSON_ArrayForEach(id, want)
    {
        assert_int_equal(id->valueint, got[i++]);
    }
}

static void prepare(const zoo_chat_model *loaded, demo_case *c)
{
    zoo_error err = {0};
    zoo_endpoint endpoint = cJSON_GetObjectItem(c->spec, "messages") ? ZOO_CHAT : ZOO_COMPLETIONS;
    memset(&c->request, 0, sizeof c->request);
    memset(&c->row, 0, sizeof c->row);
    assert_int_equal(
        zoo_request_body(&loaded->context, endpoint, body_of(c->spec), &c->request, &err), ZOO_OK);
    assert_int_equal(zoo_request_encode(&loaded->context, &c->request, &err), ZOO_OK);
    zoo_request_rows(&c->request, NULL, &c->row, NULL);
    assert_ids(cJSON_GetObjectItem(c->spec, "input_ids"), c->row.prompt, c->row.n_prompt);
}

static void run_cases(const zoo_chat_model *loaded, demo_case *cases, uint32_t n)
{
    zoo_schedule *schedule;
    zoo_error err = {0};
    assert_int_equal(
        zoo_schedule_new(loaded->engine, loaded->tokenizer, &loaded->generation, &schedule, &err),
        ZOO_OK);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(zoo_schedule_add(schedule, &cases[i].row, &err), ZOO_OK);
    }
    while (!zoo_schedule_is_idle(schedule)) {
        assert_int_equal(zoo_schedule_step(schedule, &err), ZOO_OK);
    }
    zoo_schedule_free(schedule);
    for (uint32_t i = 0; i < n; i++) {
        const zoo_row *row = &cases[i].row;
        const char *text = cJSON_GetObjectItem(cases[i].spec, "output_text")->valuestring;
        assert_ids(cJSON_GetObjectItem(cases[i].spec, "output_ids"), row->tokens + row->n_prompt,
                   row->n_out);
        assert_int_equal(row->text.n, strlen(text));
        assert_memory_equal(row->text.data, text, row->text.n);
    }
}

static void check_model(const char *name)
{
    static const char *const kinds[] = {"plain", "chat"};
    static demo_case cases[CASES_MAX];
    zoo_engine_options options = {.weights = "f32",
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .n_threads = 2,
                                  .quiet = true};
    char plugin[512], folder[512], file[600];
    zoo_chat_model loaded;
    zoo_error err = {0};
    cJSON *reference;
    uint32_t n = 0;
    (void)snprintf(plugin, sizeof plugin, LMZOO_BUILD_DIR "/plugins/%s.so", name);
    if (access(plugin, R_OK) != 0) {
        skip();
    }
    (void)snprintf(folder, sizeof folder, LMZOO_SOURCE_DIR "/demo/models/demo-%s", name);
    (void)snprintf(file, sizeof file, "%s/reference.json", folder);
    assert_int_equal(zoo_json_read(file, 1 << 24, &reference, &err), ZOO_OK);
    if (zoo_chat_model_open(folder, &options, &loaded, &err) != ZOO_OK) {
        print_error("%s\n", err.text);
        fail();
    }
    for (size_t k = 0; k < ZOO_COUNT(kinds); k++) {
        const cJSON *spec;
        cJSON_ArrayForEach(spec, cJSON_GetObjectItem(reference, kinds[k]))
        {
            assert_true(n < CASES_MAX);
            cases[n].spec = spec;
            prepare(&loaded, &cases[n++]);
        }
    }
    assert_true(n >= 6);
    run_cases(&loaded, cases, n);
    for (uint32_t i = 0; i < n; i++) {
        zoo_row_free(&cases[i].row);
        zoo_request_free(&cases[i].request);
    }
    zoo_chat_model_close(&loaded);
    cJSON_Delete(reference);
}

/* One test for each folder of demo/models: the name is that of the plugin, too. */
#define DEMO_TEST(name)                                                                            \
    static void test_##name(void **unused)                                                         \
    {                                                                                              \
        (void)unused;                                                                              \
        check_model(#name);                                                                        \
    }
DEMO_TEST(llama)
DEMO_TEST(gemma)
DEMO_TEST(deepseek)
DEMO_TEST(hybrid)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_gemma),
        cmocka_unit_test(test_deepseek),
        cmocka_unit_test(test_hybrid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
