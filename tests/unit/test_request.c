/*
 * test_request.c: batch lines as OpenAI and vLLM clients write them, and the refusals of all
 * others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "batch/request.h"

#define MODEL LMZOO_SOURCE_DIR "/demo/models/demo-llama"

static zoo_generation generation;
static zoo_request_context context;
static zoo_tokenizer *tokenizer;
static zoo_template *chat;

static int set_up(void **unused)
{
    zoo_error err;
    (void)unused;
    context = (zoo_request_context){
        .generation = &generation, .n_vocab = 1024, .context_max = 512, .usual_max = 16, .seed = 0};
    if (zoo_tokenizer_open(MODEL, &tokenizer, &err) != ZOO_OK ||
        zoo_template_open(MODEL, &chat, &err) != ZOO_OK ||
        zoo_generation_read(MODEL, 1024, &generation, &err) != ZOO_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    context.tokenizer = tokenizer;
    context.chat = chat;
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    zoo_tokenizer_close(tokenizer);
    zoo_template_close(chat);
    return 0;
}

static zoo_status read_line(const char *line, zoo_request *r, zoo_error *err)
{
    memset(r, 0, sizeof *r);
    zoo_status status = zoo_request_parse(&context, line, strlen(line), "line 1", r, err);
    return status == ZOO_OK ? zoo_request_encode(&context, r, err) : status;
}

#define FRAME(url, body)                                                                           \
    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/" url "\",\"body\":" body "}"
#define TEXT(rest) FRAME("completions", "{\"model\":\"m\",\"prompt\":\"Once upon\"" rest "}")
#define CHAT(rest)                                                                                 \
    FRAME("chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" rest "}")

static void read_good(const char *line, zoo_request *r)
{
    zoo_error err = {0};
    zoo_status status = read_line(line, r, &err);
    if (status != ZOO_OK) {
        print_error("%s\n  %s\n", line, err.text);
    }
    assert_int_equal(status, ZOO_OK);
}

typedef struct bad_line {
    const char *line;
    zoo_status status;
    const char *param;
    const char *words; /* part of the sentence */
} bad_line;

static const bad_line bad_lines[] = {
    {"", ZOO_E_FORMAT, "", "line 1"},
    {"{\"custom_id\":\"a\",", ZOO_E_FORMAT, "", "line 1"},
    {"{\"custom_id\":\"a\"} x", ZOO_E_FORMAT, "", "line 1"},
    {"[1,2]", ZOO_E_FORMAT, "", "not an object"},
    {"{\"custom_id\":\"\xff\"}", ZOO_E_FORMAT, "", "line 1"},
    {"{}", ZOO_E_FORMAT, "custom_id", "custom_id"},
    {"{\"custom_id\":7}", ZOO_E_FORMAT, "custom_id", "string"},
    {"{\"custom_id\":\"\"}", ZOO_E_FORMAT, "custom_id", "a non-empty string"},
    {"{\"custom_id\":\"a\",\"url\":\"/v1/completions\",\"body\":{}}", ZOO_E_FORMAT, "method",
     "POST"},
    {"{\"custom_id\":\"a\",\"method\":\"GET\",\"url\":\"/v1/completions\"}", ZOO_E_FORMAT, "method",
     "POST"},
    {"{\"custom_id\":\"a\",\"method\":\"POST\",\"body\":{}}", ZOO_E_FORMAT, "url", "url"},
    {FRAME("embeddings", "{}"), ZOO_E_UNSUPPORTED, "url", "/v1/embeddings"},
    {FRAME("completions", "[]"), ZOO_E_FORMAT, "body", "object"},
    {"{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/completions\"}", ZOO_E_FORMAT, "body",
     "object"},
    {"{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"priority\":1}",
     ZOO_E_FORMAT, "priority", "priority"},
    {"{\"custom_id\":\"a\",\"custom_id\":\"b\",\"method\":\"POST\"}", ZOO_E_FORMAT, "custom_id",
     "twice"},
    {TEXT(",\"temprature\":1"), ZOO_E_UNSUPPORTED, "temprature", "unknown key"},
    {TEXT(",\"messages\":[]"), ZOO_E_UNSUPPORTED, "messages", "no key"},
    {TEXT(",\"seed\":1,\"seed\":2"), ZOO_E_USAGE, "seed", "twice"},
    {TEXT(",\"temperature\":-1"), ZOO_E_USAGE, "temperature", "from 0 to 2, not -1"},
    {TEXT(",\"temperature\":\"hot\""), ZOO_E_USAGE, "temperature", "not \"hot\""},
    {TEXT(",\"top_p\":0"), ZOO_E_USAGE, "top_p", "above 0"},
    {TEXT(",\"top_p\":1.1"), ZOO_E_USAGE, "top_p", "up to 1"},
    {TEXT(",\"top_k\":-2"), ZOO_E_USAGE, "top_k", "-1"},
    {TEXT(",\"min_p\":2"), ZOO_E_USAGE, "min_p", "from 0 to 1"},
    {TEXT(",\"n\":0"), ZOO_E_USAGE, "n", "from 1 to 128"},
    {TEXT(",\"n\":1.5"), ZOO_E_USAGE, "n", "whole number"},
    {TEXT(",\"best_of\":4"), ZOO_E_UNSUPPORTED, "best_of", "equals n"},
    {TEXT(",\"max_tokens\":-1"), ZOO_E_USAGE, "max_tokens", "at least 0"},
    {TEXT(",\"max_tokens\":1e400"), ZOO_E_USAGE, "max_tokens", "whole number"},
    {TEXT(",\"max_tokens\":5000"), ZOO_E_LIMIT, "max_tokens", "context of 512"},
    {TEXT(",\"max_tokens\":4,\"min_tokens\":5"), ZOO_E_USAGE, "min_tokens", "more than"},
    {TEXT(",\"stop\":\"\""), ZOO_E_USAGE, "stop", "empty"},
    {TEXT(",\"stop\":[1]"), ZOO_E_USAGE, "stop", "strings"},
    {TEXT(",\"stop_token_ids\":[5000]"), ZOO_E_USAGE, "stop_token_ids", "token ids"},
    {TEXT(",\"logit_bias\":{\"x\":1}"), ZOO_E_USAGE, "logit_bias", "\"x\""},
    {TEXT(",\"logit_bias\":{\"1\":101}"), ZOO_E_USAGE, "logit_bias", "-100"},
    {TEXT(",\"logit_bias\":[1]"), ZOO_E_USAGE, "logit_bias", "object"},
    {TEXT(",\"logprobs\":true"), ZOO_E_USAGE, "logprobs", "from 0 to 20"},
    {TEXT(",\"logprobs\":21"), ZOO_E_USAGE, "logprobs", "from 0 to 20"},
    {TEXT(",\"stream\":true"), ZOO_E_UNSUPPORTED, "stream", "not supported"},
    {TEXT(",\"suffix\":\"end\""), ZOO_E_UNSUPPORTED, "suffix", "not supported"},
    {TEXT(",\"seed\":1.5"), ZOO_E_USAGE, "seed", "whole number"},
    {TEXT(",\"presence_penalty\":3"), ZOO_E_USAGE, "presence_penalty", "from -2 to 2"},
    {TEXT(",\"repetition_penalty\":0"), ZOO_E_USAGE, "repetition_penalty", "above 0"},
    {TEXT(",\"ignore_eos\":1"), ZOO_E_USAGE, "ignore_eos", "true or false"},
    {TEXT(",\"allowed_token_ids\":[]"), ZOO_E_USAGE, "allowed_token_ids", "list"},
    {TEXT(",\"user\":5"), ZOO_E_USAGE, "user", "string"},
    {FRAME("completions", "{\"model\":\"m\"}"), ZOO_E_USAGE, "prompt", "prompt must be"},
    {FRAME("completions", "{\"prompt\":7}"), ZOO_E_USAGE, "prompt", "prompt must be"},
    {FRAME("completions", "{\"prompt\":[]}"), ZOO_E_USAGE, "prompt", "prompt must be"},
    {FRAME("completions", "{\"prompt\":[1,\"a\"]}"), ZOO_E_USAGE, "prompt", "token ids"},
    {FRAME("completions", "{\"prompt\":[1,2.5]}"), ZOO_E_USAGE, "prompt", "token ids"},
    {FRAME("completions", "{\"prompt\":[1024]}"), ZOO_E_USAGE, "prompt", "below 1024"},
    {FRAME("completions", "{\"prompt\":[[1],[]]}"), ZOO_E_USAGE, "prompt", "prompt must be"},
    {FRAME("completions", "{\"prompt\":\"\",\"add_special_tokens\":false}"), ZOO_E_USAGE, "prompt",
     "no tokens"},
    {FRAME("chat/completions", "{\"model\":\"m\"}"), ZOO_E_USAGE, "messages", "a non-empty list"},
    {FRAME("chat/completions", "{\"messages\":[]}"), ZOO_E_USAGE, "messages", "a non-empty list"},
    {FRAME("chat/completions", "{\"messages\":[\"hi\"]}"), ZOO_E_USAGE, "messages",
     "not an object"},
    {FRAME("chat/completions", "{\"messages\":[{\"content\":\"hi\"}]}"), ZOO_E_USAGE, "messages",
     "messages[0] has no role"},
    {FRAME("chat/completions", "{\"messages\":[{\"role\":\"user\"}]}"), ZOO_E_USAGE, "messages",
     "content must be"},
    {FRAME("chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                               "\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"),
     ZOO_E_UNSUPPORTED, "messages", "\"image_url\""},
    {CHAT(",\"top_logprobs\":3"), ZOO_E_USAGE, "top_logprobs", "logprobs to be true"},
    {CHAT(",\"logprobs\":5"), ZOO_E_USAGE, "logprobs", "true or false"},
    {CHAT(",\"prompt\":\"x\""), ZOO_E_UNSUPPORTED, "prompt", "no key"},
    {CHAT(",\"max_tokens\":0"), ZOO_E_USAGE, "max_tokens", "at least 1"},
    {CHAT(",\"tool_choice\":\"always\""), ZOO_E_USAGE, "tool_choice", "auto"},
    {CHAT(",\"parallel_tool_calls\":1"), ZOO_E_USAGE, "parallel_tool_calls", "true or false"},
    {CHAT(",\"tool_choice\":\"required\""), ZOO_E_USAGE, "tool_choice", "no tools"},
    {CHAT(",\"tool_choice\":\"required\",\"response_format\":{\"type\":\"json_object\"}"),
     ZOO_E_USAGE, "tool_choice", "response_format"},
    {CHAT(",\"tools\":{}"), ZOO_E_USAGE, "tools", "list"},
    {CHAT(",\"chat_template_kwargs\":[]"), ZOO_E_USAGE, "chat_template_kwargs", "object"},
    {CHAT(",\"chat_template\":\"x\""), ZOO_E_UNSUPPORTED, "chat_template", "unknown key"},
};

static void test_refusals(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZOO_COUNT(bad_lines); i++) {
        const bad_line *bad = &bad_lines[i];
        zoo_request r;
        zoo_error err = {0};
        zoo_status status = read_line(bad->line, &r, &err);
        bool right = status == bad->status && strcmp(r.param, bad->param) == 0 &&
                     strstr(err.text, bad->words) != NULL;
        if (!right) {
            print_error("%s\n  %d \"%s\" %s\n", bad->line, status, r.param, err.text);
        }
        assert_true(right);
        zoo_request_free(&r);
    }
}

static void test_defaults(void **unused)
{
    zoo_request r;
    (void)unused;
    read_good(TEXT(""), &r);
    assert_true(r.sampling.temperature == 0.8f && r.sampling.top_p == 0.95f);
    assert_true(r.sampling.repetition == 1.0f && r.sampling.top_k == 0 && r.n_choices == 1);
    assert_int_equal(r.n_new_max, 16);
    assert_int_equal(r.n_top, ZOO_UNSAID);
    assert_int_equal(r.prompts[0].tokens[0], 1017); /* begin of text */
    assert_string_equal(r.model, "m");
    zoo_request_free(&r);
    read_good(CHAT(",\"temperature\":null"), &r);
    assert_int_equal(r.n_new_max, 256); /* of generation_config.json */
    assert_true(r.sampling.temperature == 0.8f);
    zoo_request_free(&r);
}

static void test_every_key(void **unused)
{
    zoo_request r;
    (void)unused;
    read_good(
        TEXT(",\"max_tokens\":7,\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"min_p\":0.05,"
             "\"n\":3,\"best_of\":3,\"seed\":-5,\"stop\":[\"a\",\"bc\"],\"stop_token_ids\":"
             "[5,6],\"ignore_eos\":true,\"min_tokens\":2,\"presence_penalty\":0.5,"
             "\"frequency_penalty\":-0.5,\"repetition_penalty\":1.1,\"logit_bias\":{\"10\":"
             "-100,\"11\":2.5},\"logprobs\":5,\"echo\":true,\"prompt_logprobs\":2,\"suffix\":"
             "null,\"stream\":false,\"user\":\"me\",\"allowed_token_ids\":[0,33,1023],"
             "\"skip_special_tokens\":false,\"include_stop_str_in_output\":true,"
             "\"return_token_ids\":true,\"add_special_tokens\":false,\"response_format\":"
             "{\"type\":\"text\"},\"metadata\":{\"k\":\"v\"},\"stream_options\":null"),
        &r);
    assert_int_equal(r.n_new_max, 7);
    assert_true(r.sampling.temperature == 0.5f && r.sampling.top_p == 0.9f);
    assert_true(r.sampling.min_p == 0.05f && r.sampling.presence == 0.5f);
    assert_true(r.sampling.frequency == -0.5f && r.sampling.repetition == 1.1f);
    assert_int_equal(r.sampling.top_k, 40);
    assert_int_equal(r.n_choices, 3);
    assert_true(r.sampling.seed == (uint64_t)-5);
    assert_int_equal(r.n_stops, 2);
    assert_string_equal(r.stops[1], "bc");
    assert_int_equal(r.sampling.n_stop_ids, 2);
    assert_int_equal(r.sampling.stop_ids[1], 6);
    assert_int_equal(r.sampling.n_biases, 2);
    assert_true(r.sampling.biases[1].id == 11 && r.sampling.biases[1].add == 2.5f);
    assert_int_equal(r.sampling.allowed[0], 1);
    assert_int_equal(r.sampling.allowed[1], 2);
    assert_true(r.sampling.allowed[31] == 0x80000000u);
    assert_true(r.sampling.ignore_eos && r.echo && r.keep_stop && r.keep_special && r.wants_ids);
    assert_int_equal(r.n_top, 5);
    assert_int_equal(r.n_prompt_top, 2);
    assert_int_not_equal(r.prompts[0].tokens[0], 1017);
    zoo_request_free(&r);
}

static void test_prompts(void **unused)
{
    zoo_request r;
    (void)unused;
    read_good(FRAME("completions", "{\"prompt\":[\"Once\",\"\"],\"n\":2}"), &r);
    assert_int_equal(r.n_prompts, 2);
    assert_int_equal(r.prompts[1].n_tokens, 1); /* begin of text alone */
    zoo_request_free(&r);
    read_good(FRAME("completions", "{\"prompt\":[5,6,7],\"max_tokens\":0,\"echo\":true}"), &r);
    assert_int_equal(r.n_prompts, 1);
    assert_int_equal(r.prompts[0].n_tokens, 3);
    assert_int_equal(r.prompts[0].tokens[2], 7);
    assert_null(r.prompts[0].text);
    assert_int_equal(r.n_new_max, 0);
    zoo_request_free(&r);
    read_good(FRAME("completions", "{\"prompt\":[[5],[6,7]]}"), &r);
    assert_int_equal(r.n_prompts, 2);
    assert_int_equal(r.prompts[1].n_tokens, 2);
    zoo_request_free(&r);
}

static void test_chat(void **unused)
{
    static const char *parts = FRAME(
        "chat/completions",
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\",\"text\":\"B\"}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":"
        "\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"user\",\"content\":\"C\"}],"
        "\"chat_template_kwargs\":{\"enable_thinking\":false},\"max_completion_tokens\":9,"
        "\"max_tokens\":5,\"logprobs\":true,\"top_logprobs\":2,\"tool_choice\":\"auto\"}");
    zoo_request r;
    (void)unused;
    read_good(parts, &r);
    assert_int_equal(r.n_new_max, 9);
    assert_int_equal(r.n_top, 2);
    assert_non_null(strstr(r.rendered, "<|im_start|>user\nA\nB<|im_end|>\n"));
    assert_non_null(strstr(r.rendered, "<think>\n\n</think>\n\n"));
    assert_int_equal(r.prompts[0].tokens[0], 1017);
    assert_int_not_equal(r.prompts[0].tokens[1], 1017);
    zoo_request_free(&r);
    read_good(CHAT(",\"logprobs\":true"), &r);
    assert_int_equal(r.n_top, 0);
    assert_false(r.one_call);
    zoo_request_free(&r);
    read_good(CHAT(",\"parallel_tool_calls\":false"), &r);
    assert_true(r.one_call);
    zoo_request_free(&r);
}

static void test_seeds_of_rows_without_one(void **unused)
{
    zoo_request a, b, c;
    (void)unused;
    read_good(TEXT(""), &a);
    read_good("{\"custom_id\":\"b\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":"
              "{\"prompt\":\"Once upon\"}}",
              &b);
    read_good(TEXT(",\"n\":2"), &c);
    assert_true(a.sampling.seed != b.sampling.seed);
    assert_true(a.sampling.seed == c.sampling.seed);
    zoo_request_free(&a);
    zoo_request_free(&b);
    zoo_request_free(&c);
}

static void test_failing_memory(void **unused)
{
    static const char *line = TEXT(",\"logit_bias\":{\"1\":1},\"stop_token_ids\":[1],"
                                   "\"allowed_token_ids\":[1,2]");
    bool failed = true;
    (void)unused;
    for (int64_t n = 1; failed && n < 5000; n++) {
        zoo_request r;
        zoo_error err = {0};
        zoo_status status;
        zoo_mem_fail_at(n);
        status = read_line(line, &r, &err);
        failed = zoo_mem_calls() >= n;
        zoo_mem_fail_at(0);
        assert_true(status == ZOO_OK || (failed && status == ZOO_E_MEMORY));
        zoo_request_free(&r);
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),      cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_chat),           cmocka_unit_test(test_seeds_of_rows_without_one),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
