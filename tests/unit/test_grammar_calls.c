/*
 * test_grammar_calls.c: forced calls in every known format: random allowed tokens within a limit,
 * taken apart again by the same format, give one call of a known tool with valid arguments, or
 * several where they may; and JSON after open reasoning or in a channel.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "json_check.h"
#include "reference.h"
#include "text/grammar/grammar.h"

static zoo_error err;
static zoo_tokenizer *tokenizer;
static zoo_vocab *vocab;
static uint32_t end_id;
static uint64_t seed = 1;
static bool goes_on;

static const char tools_text[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": "
    "{\"type\": "
    "\"object\", \"properties\": {\"city\": {\"type\": \"string\"}, \"days\": {\"type\": "
    "\"integer\", \"minimum\": 1, \"maximum\": 14}, \"unit\": {\"type\": \"string\", \"enum\": "
    "[\"C\", \"F\"]}, \"where\": {\"$ref\": \"#/$defs/place\"}}, \"required\": [\"city\", "
    "\"days\"], "
    "\"additionalProperties\": false, \"$defs\": {\"place\": {\"type\": \"object\", "
    "\"properties\": "
    "{\"x\": {\"type\": \"number\"}, \"tags\": {\"type\": \"array\", \"items\": {\"type\": "
    "\"string\"}}}, \"required\": [\"x\"], \"additionalProperties\": false}}}}}, {\"type\": "
    "\"function\", \"function\": {\"name\": \"ping\"}}]";

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static bool allows(const uint32_t *bits, uint32_t id)
{
    return bits[id / 32] >> (id % 32) & 1u;
}

/* The allowed token that follows a random id: those behind a wide gap are chosen most. */
static uint32_t choose(const uint32_t *bits, size_t n_words)
{
    uint32_t n = (uint32_t)n_words * 32, start = dice(n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = (start + i) % n;
        if (allows(bits, id)) {
            return id;
        }
    }
    return UINT32_MAX;
}

/* An allowed token, each as likely as the other, but the end only where nothing else is. */
static uint32_t choose_on(const uint32_t *bits, size_t n_words)
{
    uint32_t n = (uint32_t)n_words * 32, found = end_id, n_found = 0;
    for (uint32_t id = 0; id < n; id++) {
        if (bits[id / 32] == 0) {
            id |= 31u;
        } else if (allows(bits, id) && id != end_id && dice(++n_found) == 0) {
            found = id;
        }
    }
    return found;
}

/* A text of at most `limit` random tokens, as a decoder that keeps special tokens gives it. */
static void generate(zoo_grammar *g, uint32_t limit, zoo_text *out)
{
    uint32_t *bits = malloc(zoo_vocab_mask_words(vocab) * sizeof *bits);
    zoo_grammar_state *s = NULL;
    zoo_ids ids = {0};
    assert_non_null(bits);
    ids.data = malloc(limit * sizeof *ids.data);
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    for (uint32_t i = 0; i < limit; i++) {
        if (zoo_grammar_mask(s, limit - i, bits, &err) != ZOO_OK) {
            fail_msg("%s", err.text);
        }
        uint32_t id = (goes_on ? choose_on : choose)(bits, zoo_vocab_mask_words(vocab));
        assert_int_equal(zoo_grammar_accept(s, id, &err), ZOO_OK);
        if (id == end_id) {
            break;
        }
        ids.data[ids.n++] = id;
    }
    assert_true(zoo_grammar_is_complete(s));
    out->n = 0;
    assert_int_equal(zoo_tokenizer_decode(tokenizer, ids.data, ids.n, 0, out, &err), ZOO_OK);
    zoo_grammar_end(s);
    free(ids.data);
    free(bits);
}

static const cJSON *parameters_of(const cJSON *tools, const char *name)
{
    for (const cJSON *t = tools->child; t; t = t->next) {
        const cJSON *f = cJSON_GetObjectItemCaseSensitive(t, "function");
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f, "name")), name) == 0) {
            return f;
        }
    }
    return NULL;
}

/* The call must be one that its tool's parameters allow. */
static void check_call(const char *name, const cJSON *tools, const cJSON *item,
                       const zoo_text *text)
{
    cJSON *arguments = NULL;
    const cJSON *call = cJSON_GetObjectItemCaseSensitive(item, "function");
    const char *tool = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call, "name"));
    const char *json = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call, "arguments"));
    const cJSON *function = parameters_of(tools, tool);
    assert_non_null(function);
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(function, "parameters");
    if (zoo_json_parse(json, strlen(json), "arguments", &arguments, &err) != ZOO_OK) {
        if (!strstr(json, "\\u0000")) {
            fail_msg("%s: %s in: %s", name, err.text, text->data);
        }
    } else if (schema && !check_schema(schema, schema, arguments)) {
        fail_msg("%s: not valid: %s", name, json);
    }
    cJSON_Delete(arguments);
}

static const char *name_of(const zoo_output_format *f)
{
    return f ? zoo_output_format_name(f) : "no format";
}

/* The text must be calls and nothing else; gives how many. */
static int check_calls(const zoo_output_format *f, const cJSON *tools, const zoo_text *text,
                       const char *prompt, bool one_call)
{
    zoo_output output = {.prompt = prompt,
                         .prompt_n = strlen(prompt),
                         .text = text->data,
                         .text_n = text->n,
                         .tools = tools,
                         .is_call = true,
                         .one_call = one_call};
    cJSON *message = NULL;
    const cJSON *item;
    assert_int_equal(zoo_output_parse(f, &output, &message, &err), ZOO_OK);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    int n = cJSON_GetArraySize(list);
    cJSON_ArrayForEach(item, list)
    {
        check_call(name_of(f), tools, item, text);
    }
    if (n == 0 || !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(message, "content"))) {
        fail_msg("%s: no call, or text beside it: %s", name_of(f), text->data);
    }
    cJSON_Delete(message);
    return n;
}

static void expect_call(const zoo_output_format *f, const cJSON *tools, const zoo_text *text,
                        const char *prompt)
{
    if (check_calls(f, tools, text, prompt, false) != 1) {
        fail_msg("%s: more than one call: %s", zoo_output_format_name(f), text->data);
    }
}

static zoo_grammar *compile(const zoo_grammar_want *want)
{
    zoo_grammar *g = NULL;
    if (zoo_grammar_compile(want, vocab, &g, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    return g;
}

static void calls_of(const zoo_output_format *f, const cJSON *tools)
{
    zoo_grammar_want want = {.tools = tools, .format = f};
    zoo_text text = {0};
    for (int k = 0; k < 3; k++) {
        const char *prompt = k == 2 ? "...<think>\n" : "...";
        want.choice = k == 1 ? "get_weather" : NULL;
        want.reasoning = zoo_output_reasoning_open(f, prompt, strlen(prompt));
        zoo_grammar *g = compile(&want);
        uint32_t n = zoo_tokenizer_size(tokenizer) > 5000 ? 3 : 20;
        for (uint32_t i = 0; i < n; i++) {
            seed = 991u + i;
            generate(g, 200 + dice(200), &text);
            expect_call(f, tools, &text, prompt);
        }
        zoo_grammar_free(g);
    }
    zoo_text_free(&text);
}

/* One call or more: of texts that go on where they may some have several, unless the format's calls
 * end the turn. What takes only the first finds one. */
static void several_calls_of(const zoo_output_format *f, const cJSON *tools)
{
    zoo_grammar *g = compile(&(zoo_grammar_want){.tools = tools, .format = f, .many = true});
    bool ends_turn = strcmp(name_of(f), "channels.json") == 0;
    zoo_text text = {0};
    int most = 0;
    goes_on = true;
    for (uint32_t i = 0; i < (ends_turn ? 6 : 40) && most < 2; i++) {
        seed = 577u + i;
        generate(g, 250 + dice(100), &text);
        int n = check_calls(f, tools, &text, "", false);
        most = n > most ? n : most;
        assert_int_equal(check_calls(f, tools, &text, "", true), 1);
    }
    goes_on = false;
    if (ends_turn != (most == 1)) {
        fail_msg("%s: %d calls at most, the last: %s", name_of(f), most, text.data);
    }
    zoo_text_free(&text);
    zoo_grammar_free(g);
}

static zoo_output_format *open_format(const char *name)
{
    char path[4096];
    cJSON *spec = NULL;
    zoo_output_format *f = NULL;
    (void)snprintf(path, sizeof path, "%s/models.d/formats/%s", LMZOO_SOURCE_DIR, name);
    assert_int_equal(zoo_json_read(path, 1 << 20, &spec, &err), ZOO_OK);
    assert_int_equal(zoo_output_format_new(spec, name, &f, &err), ZOO_OK);
    cJSON_Delete(spec);
    return f;
}

/* How many formats there are; check is called for each. */
static int each_format(void (*check)(const zoo_output_format *, const cJSON *), const cJSON *tools)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/models.d/formats", LMZOO_SOURCE_DIR);
    DIR *dir = opendir(path);
    int n = 0;
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strstr(e->d_name, ".json")) {
            zoo_output_format *f = open_format(e->d_name);
            check(f, tools);
            n++;
            zoo_output_format_free(f);
        }
    }
    (void)closedir(dir);
    return n;
}

static void every_format_calls(void **state)
{
    cJSON *tools = cJSON_Parse(tools_text);
    (void)state;
    assert_non_null(tools);
    assert_true(each_format(calls_of, tools) >= 10);
    cJSON_Delete(tools);
}

/* Every format but channels, whose calls end the turn, and a model without a format. */
static void several_calls_where_they_may(void **state)
{
    cJSON *tools = cJSON_Parse("[{\"function\": {\"name\": \"ping\", \"parameters\": {\"type\": "
                               "\"object\", \"properties\": {\"n\": {\"type\": \"boolean\"}}, "
                               "\"additionalProperties\": false}}}, {\"function\": {\"name\": "
                               "\"pong\", \"parameters\": {\"type\": \"object\", \"properties\": "
                               "{}, \"additionalProperties\": false}}}]");
    (void)state;
    assert_non_null(tools);
    assert_true(each_format(several_calls_of, tools) >= 10);
    several_calls_of(NULL, tools);
    cJSON_Delete(tools);
}

/* A second entry of `tools` is written where the template has its marks. */
static void the_template_chooses_the_shape(void **state)
{
    static const char template[] = "<tool_call> </tool_call> <function= </function> <parameter= "
                                   "</parameter>";
    char path[4096];
    zoo_output_format *f = NULL;
    cJSON *tools = cJSON_Parse(tools_text);
    zoo_text text = {0};
    (void)state;
    (void)snprintf(path, sizeof path, "%s/models.d/formats", LMZOO_SOURCE_DIR);
    assert_int_equal(zoo_output_format_find(path, template, strlen(template), &f, &err), ZOO_OK);
    assert_non_null(f);
    zoo_grammar *g = compile(&(zoo_grammar_want){.tools = tools, .format = f});
    for (uint32_t i = 0; i < 10; i++) {
        seed = 17u + i;
        generate(g, 300, &text);
        assert_non_null(strstr(text.data, "<function="));
        expect_call(f, tools, &text, "");
    }
    zoo_grammar_free(g);
    zoo_output_format_free(f);
    zoo_text_free(&text);
    cJSON_Delete(tools);
}

/* Reasoning that the prompt left open, or a channel, then the object. */
static void json_stands_in_its_place(void **state)
{
    static const char *const names[] = {"think.json", "channels.json", "tool_calls_bracket.json"};
    static const char *const prompts[] = {"<think>\n", "<|start|>assistant", "[THINK]"};
    cJSON *schema = cJSON_Parse("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": "
                                "\"string\"}}, \"required\": [\"a\"]}");
    zoo_text text = {0};
    (void)state;
    for (size_t k = 0; k < ZOO_COUNT(names); k++) {
        zoo_output_format *f = open_format(names[k]);
        const char *prompt = prompts[k];
        zoo_grammar_want want = {.schema = schema, .format = f};
        want.reasoning = zoo_output_reasoning_open(f, prompt, strlen(prompt));
        zoo_grammar *g = compile(&want);
        for (uint32_t i = 0; i < 10; i++) {
            cJSON *message = NULL, *value = NULL;
            seed = 7u + i;
            generate(g, 40 + dice(100), &text);
            zoo_output output = {.prompt = prompt,
                                 .prompt_n = strlen(prompt),
                                 .text = text.data,
                                 .text_n = text.n,
                                 .is_json = true};
            assert_int_equal(zoo_output_parse(f, &output, &message, &err), ZOO_OK);
            const char *json =
                cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
            if (zoo_json_parse(json, strlen(json), "content", &value, &err) != ZOO_OK ||
                !check_schema(schema, schema, value)) {
                if (!strstr(json, "\\u0000")) {
                    fail_msg("%s: not valid: %s", names[k], text.data);
                }
            }
            cJSON_Delete(value);
            cJSON_Delete(message);
        }
        zoo_grammar_free(g);
        zoo_output_format_free(f);
    }
    zoo_text_free(&text);
    cJSON_Delete(schema);
}

static void what_cannot_be_written_is_refused(void **state)
{
    zoo_output_format *f = open_format("seed_tags.json");
    cJSON *tools = cJSON_Parse("[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": "
                               "{\"s\": {\"type\": \"string\", \"pattern\": \"^a$\"}}}}}]");
    zoo_grammar *g = NULL;
    (void)state;
    zoo_grammar_want want = {.tools = tools, .format = f};
    assert_int_equal(zoo_grammar_compile(&want, vocab, &g, &err), ZOO_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "pattern"));
    want.choice = "g";
    assert_int_equal(zoo_grammar_compile(&want, vocab, &g, &err), ZOO_E_USAGE);
    cJSON_Delete(tools);
    zoo_output_format_free(f);
}

/* Equal wants share one grammar, others do not, and one outlives the store. */
static void a_store_shares(void **state)
{
    cJSON *schema = cJSON_Parse("{\"type\": \"integer\"}");
    zoo_grammars *store = NULL;
    zoo_grammar *a = NULL, *b = NULL, *c = NULL;
    zoo_text text = {0};
    (void)state;
    assert_int_equal(zoo_grammars_new(vocab, &store, &err), ZOO_OK);
    zoo_grammar_want want = {.schema = schema};
    assert_int_equal(zoo_grammars_get(store, &want, &a, &err), ZOO_OK);
    assert_int_equal(zoo_grammars_get(store, &want, &b, &err), ZOO_OK);
    assert_ptr_equal(a, b);
    for (int i = 0; i < 40; i++) {
        cJSON *other = cJSON_CreateObject();
        cJSON_AddItemToObject(other, "const", cJSON_CreateNumber(i));
        want.schema = other;
        assert_int_equal(zoo_grammars_get(store, &want, &c, &err), ZOO_OK);
        assert_ptr_not_equal(a, c);
        zoo_grammar_free(c);
        cJSON_Delete(other);
    }
    zoo_grammar_free(b);
    zoo_grammars_free(store);
    generate(a, 5, &text);
    zoo_grammar_free(a);
    zoo_text_free(&text);
    cJSON_Delete(schema);
}

static int open_tokenizer(const char *file, const char *end)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", test_reference(), file);
    if (access(path, R_OK) != 0 || zoo_tokenizer_open(path, &tokenizer, &err) != ZOO_OK) {
        return 1;
    }
    end_id = zoo_tokenizer_id(tokenizer, end, strlen(end));
    return end_id == ZOO_ID_NONE || zoo_vocab_new(tokenizer, &end_id, 1, &vocab, &err) != ZOO_OK;
}

int main(void)
{
    /* The last ones have the marks of some formats as special tokens. */
    static const struct {
        const char *file, *end;
    } vocabularies[] = {{"demo-models/demo-llama/tokenizer.json", "<|im_end|>"},
                        {"demo-models/demo-gemma/tokenizer.json", "<eos>"},
                        {"tokenizers/qwen3.tokenizer.json", "<|im_end|>"},
                        {"tokenizers/gpt-oss.tokenizer.json", "<|return|>"},
                        {"tokenizers/mistral-tekken.tokenizer.json", "</s>"},
                        {"tokenizers/deepseek-v3.tokenizer.json", "<\xef\xbd\x9c"
                                                                  "end\xe2\x96\x81of\xe2\x96\x81"
                                                                  "sentence\xef\xbd\x9c>"}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_calls),
        cmocka_unit_test(several_calls_where_they_may),
        cmocka_unit_test(the_template_chooses_the_shape),
        cmocka_unit_test(json_stands_in_its_place),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_store_shares),
    };
    int failed = 0;
    for (size_t i = 0; i < ZOO_COUNT(vocabularies); i++) {
        if (open_tokenizer(vocabularies[i].file, vocabularies[i].end)) {
            printf("1..0 # SKIP no %s\n", vocabularies[i].file);
            continue;
        }
        failed += cmocka_run_group_tests_name(vocabularies[i].file, tests, NULL, NULL);
        zoo_vocab_free(vocab);
        zoo_tokenizer_close(tokenizer);
        vocab = NULL;
        tokenizer = NULL;
    }
    return failed;
}
