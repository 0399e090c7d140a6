/*
 * test_jinja.c: the template engine: vectors of Jinja itself, exact numbers, bounds, and what
 * template.h adds (folders, named templates, continued messages, threads).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "reference.h"
#include "text/jinja/template.h"
#include "text/tokenizer/tokenizer.h"

static zoo_error err;

/* The text of a template over JSON variables, or null with err filled. */
static char *render_within(const char *source, const char *json, const zoo_jinja_limits *limits)
{
    zoo_template *t = NULL;
    char *text = NULL;
    size_t n = 0;
    zoo_clock now;
    assert_true(zoo_clock_parse("2026-01-02T03:04:05", &now));
    if (zoo_template_compile(source, strlen(source), "test", limits, &t, &err) == ZOO_OK) {
        (void)zoo_template_render_json(t, json, strlen(json), &now, &text, &n, &err);
    }
    zoo_template_close(t);
    return text;
}

static void expect(const char *source, const char *json, const char *want)
{
    char *text = render_within(source, json, NULL);
    if (!text) {
        fail_msg("%s: %s", source, err.text);
    }
    assert_string_equal(text, want);
    free(text);
}

static void expect_error(const char *source, const char *json, zoo_status status, const char *part)
{
    char *text = render_within(source, json, NULL);
    if (text) {
        fail_msg("%s gave %s", source, text);
    }
    assert_int_equal(err.code, status);
    if (!strstr(err.text, part)) {
        fail_msg("'%s' lacks '%s'", err.text, part);
    }
}

static void vectors(void **state)
{
    cJSON *json = NULL;
    int n = 0;
    (void)state;
    assert_int_equal(
        zoo_json_read(LMZOO_SOURCE_DIR "/tests/vectors/jinja_variables.json", 1 << 20, &json, &err),
        ZOO_OK);
    cJSON_Delete(json);
    char *variables = NULL;
    size_t variables_n = 0;
    assert_int_equal(zoo_file_read(LMZOO_SOURCE_DIR "/tests/vectors/jinja_variables.json", 1 << 20,
                                   &variables, &variables_n, &err),
                     ZOO_OK);
    assert_int_equal(
        zoo_json_read(LMZOO_SOURCE_DIR "/tests/vectors/jinja.json", 1 << 20, &json, &err), ZOO_OK);
    const cJSON *cases = cJSON_GetObjectItemCaseSensitive(json, "cases");
    for (const cJSON *c = cases->child; c; c = c->next, n++) {
        const char *source = cJSON_GetObjectItemCaseSensitive(c, "template")->valuestring;
        const cJSON *want = cJSON_GetObjectItemCaseSensitive(c, "text");
        char *text = render_within(source, variables, NULL);
        if (!want && text) {
            fail_msg("%s: no error but %s", source, text);
        }
        if (want && (!text || strcmp(text, want->valuestring) != 0)) {
            fail_msg("%s\nwant %s\ngot  %s", source, want->valuestring, text ? text : err.text);
        }
        free(text);
    }
    assert_true(n > 140);
    zoo_mem_free(variables);
    cJSON_Delete(json);
}

static void numbers_are_exact(void **state)
{
    (void)state;
    expect("{{ a }} {{ a|tojson }}", "{\"a\": 123456789012345678901234567890}",
           "123456789012345678901234567890 123456789012345678901234567890");
    expect("{{ a|tojson }}", "{\"a\": [9007199254740993, 1.0, 1, -0.0, 1e2, NaN, -Infinity]}",
           "[9007199254740993, 1.0, 1, -0.0, 100.0, NaN, -Infinity]");
    expect("{{ a > 5 }}{{ -1 > a }}{{ a == a }}", "{\"a\": 99999999999999999999}", "TrueFalseTrue");
    expect_error("{{ a + 1 }}", "{\"a\": 99999999999999999999}", ZOO_E_UNSUPPORTED, "64-bit");
    expect_error("{{ 9223372036854775807 + 1 }}", "{}", ZOO_E_UNSUPPORTED, "64-bit");
    expect("{{ a|length }}{{ a|tojson }}", "{\"a\": \"x\\u0000y\"}", "3\"x\\u0000y\"");
}

static void input_is_checked(void **state)
{
    static const char *const bad[] = {"",           "{",
                                      "[1,]",       "{\"a\":1} x",
                                      "{\"a\"}",    "{\"a\":01}",
                                      "{\"a\":.5}", "{\"a\":\"\x01\"}",
                                      "nul",        "{\"a\":\"\\x\"}",
                                      "[\"\xff\"]", "{\"a\":1,}"};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(bad); i++) {
        expect_error("x", bad[i], ZOO_E_FORMAT, "test, line 0: ");
    }
    expect_error("x", "{\"a\":\"\\ud800\"}", ZOO_E_FORMAT, "lone surrogate");
    expect_error("x", "{\"a\":\"\\udc00x\"}", ZOO_E_FORMAT, "lone surrogate");
    expect_error("x", "[]", ZOO_E_FORMAT, "not a JSON object");
    expect_error("\xff", "{}", ZOO_E_FORMAT, "not UTF-8");
}

/* The suite's files as a variable's value: y_ must be read, n_ must not, i_ may do either. What
 * Python reads beyond JSON is read: NaN and Infinity. */
static void json_test_suite(void **state)
{
    char folder[4096], path[4400];
    int n = 0;
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/malformed/JSONTestSuite_parsing", test_reference());
    DIR *dir = opendir(folder);
    if (!dir) {
        skip();
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char *data = NULL, *text = NULL;
        size_t size = 0, text_n = 0;
        zoo_template *t = NULL;
        if (!strstr(e->d_name, ".json")) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        assert_int_equal(zoo_file_read(path, 1 << 24, &data, &size, &err), ZOO_OK);
        char *json = malloc(size + 20);
        assert_non_null(json);
        memcpy(json, "{\"x\": ", 6);
        memcpy(json + 6, data, size);
        json[6 + size] = '}';
        assert_int_equal(zoo_template_compile("{{ x|tojson }}", 14, "test", NULL, &t, &err),
                         ZOO_OK);
        zoo_status status = zoo_template_render_json(t, json, size + 7, NULL, &text, &text_n, &err);
        bool python = strstr(e->d_name, "NaN") || strstr(e->d_name, "nfinity");
        if ((e->d_name[0] == 'y' && status != ZOO_OK) ||
            (e->d_name[0] == 'n' && status == ZOO_OK && !python)) {
            fail_msg("%s: %s", e->d_name, status == ZOO_OK ? text : err.text);
        }
        n++;
        free(text);
        free(json);
        zoo_template_close(t);
        zoo_mem_free(data);
    }
    (void)closedir(dir);
    assert_true(n > 300);
}

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
    size_t m = strlen(part);
    char *out = malloc(strlen(head) + n * m + strlen(tail) + 1);
    assert_non_null(out);
    strcpy(out, head);
    char *at = out + strlen(head);
    for (size_t i = 0; i < n; i++, at += m) {
        memcpy(at, part, m);
    }
    strcpy(at, tail);
    return out;
}

static void expect_limit(const char *head, const char *part, size_t n, const char *tail)
{
    char *source = repeated(head, part, n, tail);
    char *text = render_within(source, "{}", NULL);
    if (text) {
        fail_msg("%s%s... is not stopped", head, part);
    }
    assert_int_equal(err.code, ZOO_E_LIMIT);
    free(source);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    expect_limit("{{ ", "(", 100000, "1");
    expect_limit("{{ ", "[", 100000, "1");
    expect_limit("{{ ", "not ", 100000, "1 }}");
    expect_limit("{{ ", "-", 100000, "1 }}");
    expect_limit("{{ 1", "+1", 100000, " }}");
    expect_limit("{{ a", ".a", 100000, " }}");
    expect_limit("{{ a", "|trim", 100000, " }}");
    expect_limit("{{ 1", " if 1 else 1", 100000, " }}");
    expect_limit("", "{% if 1 %}", 100000, "");
    expect_limit("", "{% for a in b %}", 100000, "");
    expect_limit("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}", "", 0, "");
    expect_limit("{% set ns = namespace(x=1) %}{% for i in range(1000) %}"
                 "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
                 "", 0, "");
    char *branches = repeated("", "{% if a %}{% set b = 1 %}{% endif %}", 20000, "{{ b }}.");
    char *wide = render_within(branches, "{\"b\": 2}", NULL);
    assert_string_equal(wide, "2.");
    free(wide);
    free(branches);
    char *deep = repeated("{\"a\": ", "[", 100000, "");
    assert_null(render_within("x", deep, NULL));
    assert_int_equal(err.code, ZOO_E_LIMIT);
    free(deep);
    char *hundred = repeated("{\"a\": ", "[", 100, "");
    char *closed = repeated(hundred, "]", 100, "}");
    char *text = render_within("{{ a|tojson|length }}", closed, NULL);
    assert_string_equal(text, "200");
    free(text);
    free(hundred);
    free(closed);
}

static void work_is_bounded(void **state)
{
    static const char *const sources[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ range(10**9) }}",
        "{{ 'x' * 10**9 * 10**3 }}",
        "{{ [0] * 10**12 }}",
        ("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}"),
        "{{ 'x'.ljust(10**15) }}",
        "{{ '%s'|replace('', 'x' * 10**6)|replace('x', 'y' * 10**6) }}",
        "{% for i in range(99999) %}{% set x = 'a' * 100000 %}{% endfor %}",
        "{{ [1]|batch(10**12, 0)|list }}",
        "{{ ''|indent(10**12, true) }}",
        "{{ [1]|slice(10**15)|list }}",
        "{{ '%1000000000d' % 1 }}",
        ("{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}"
         "{% set ns.x = ns.x|map('abs') %}{% endfor %}{{ ns.x|list }}"),
        ("{% for a in range(99999) recursive %}{{ loop(range(99999)) }}{% endfor %}"),
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(sources); i++) {
        char *text = render_within(sources[i], "{}", NULL);
        if (text || err.code != ZOO_E_LIMIT) {
            fail_msg("%s: %s", sources[i], text ? "not stopped" : err.text);
        }
    }
    zoo_jinja_limits small = zoo_jinja_limits_default;
    small.output_bytes_max = 10;
    assert_null(render_within("{{ 'x' * 11 }}", "{}", &small));
    assert_non_null(strstr(err.text, "more than 10 bytes"));
    small.source_bytes_max = 3;
    assert_null(render_within("abcd", "{}", &small));
    assert_int_equal(err.code, ZOO_E_LIMIT);
}

static void huge_source_is_refused(void **state)
{
    char *source = repeated("", "{{ x }}", ((size_t)50 << 20) / 7, "");
    (void)state;
    assert_null(render_within(source, "{}", NULL));
    assert_int_equal(err.code, ZOO_E_LIMIT);
    assert_non_null(strstr(err.text, "the limit is"));
    free(source);
}

static void refusals_name_line_and_construct(void **state)
{
    (void)state;
    expect_error("a\n\n{% include 'x' %}", "{}", ZOO_E_UNSUPPORTED, "line 3: the tag 'include'");
    expect_error("\n{{ 1|xmlattr }}", "{}", ZOO_E_UNSUPPORTED, "line 2: the filter 'xmlattr'");
    expect_error("{{ 1 is foo }}", "{}", ZOO_E_UNSUPPORTED, "the test 'foo'");
    expect_error("\n{{ 'a'.encode() }}", "{}", ZOO_E_UNSUPPORTED, "line 2: the attribute 'encode'");
    expect_error("{{ 1 }}\n{{ self }}", "{}", ZOO_E_UNSUPPORTED, "the name 'self'");
    expect_error("{{ (-8)**0.5 }}", "{}", ZOO_E_UNSUPPORTED, "complex numbers");
    expect_error("{{ '%.2000f' % 1 }}", "{}", ZOO_E_UNSUPPORTED, "width or precision");
    expect_error("{{ [1.5] is sameas 1 }}{{ 1.5 is sameas 1.5 }}", "{}", ZOO_E_UNSUPPORTED,
                 "sameas of two equal 'float'");
    expect_error("{{ '\\ud800' }}", "{}", ZOO_E_UNSUPPORTED, "lone surrogates");
    expect_error("{{ strftime_now('%100d') }}", "{}", ZOO_E_UNSUPPORTED, "time format");
    expect_error("{{ strftime_now('%') }}", "{}", ZOO_E_UNSUPPORTED, "ends inside");
    expect_error("\n\n{{ raise_exception('No ' ~ 1) }}", "{}", ZOO_E_CONFIG, "test, line 3: No 1");
}

#define CONTINUE(content, more)                                                                    \
    "{\"continue_final_message\": true, " more                                                     \
    "\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "          \
    "\"content\": " content "}]}"

static void final_message_continues(void **state)
{
    static const char keeps[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>"
                                "{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";
    static const char trims[] = "{% for m in messages %}[{{ m.content|trim }}]{% endfor %}";
    static const char parts[] = "{% for m in messages %}[{{ m.content if m.content is string else "
                                "m.content[0].text }}]{% endfor %}";
    (void)state;
    expect(keeps, CONTINUE("\"Sure, \"", ""), "<user>q<end><assistant>Sure, ");
    expect(trims, CONTINUE("\"Sure, \"", ""), "[q][Sure,");
    expect(parts, CONTINUE("[{\"type\": \"text\", \"text\": \"So\"}]", ""), "[q][So");
    expect_error(keeps, CONTINUE("\"x\"", "\"add_generation_prompt\": true, "), ZOO_E_USAGE,
                 "exclude each other");
    expect_error(keeps, "{\"continue_final_message\": true, \"messages\": []}", ZOO_E_USAGE,
                 "no message");
    expect_error("x", CONTINUE("\"x\"", ""), ZOO_E_CONFIG, "does not appear");
}

static void extra_variables_are_spread(void **state)
{
    (void)state;
    expect("{{ enable_thinking }} {{ k.a }}",
           "{\"chat_template_kwargs\": {\"enable_thinking\": false, \"k\": {\"a\": 1.0}}}",
           "False 1.0");
}

static void cjson_variables(void **state)
{
    static const char source[] = "{{ n|tojson }} {{ m|tojson }}";
    zoo_template *t = NULL;
    char *text = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(zoo_template_compile(source, strlen(source), "test", NULL, &t, &err), ZOO_OK);
    cJSON *variables = cJSON_Parse("{\"n\": [1, 2.5, true, null, \"\\u00e9\"]}");
    cJSON_AddItemToObject(variables, "m",
                          cJSON_CreateRaw("{\"big\": 18446744073709551616, "
                                          "\"f\": 1.0}"));
    assert_int_equal(zoo_template_render(t, variables, NULL, &text, &n, &err), ZOO_OK);
    assert_string_equal(
        text, "[1, 2.5, true, null, \"\xc3\xa9\"] {\"big\": 18446744073709551616, \"f\": 1.0}");
    free(text);
    cJSON_Delete(variables);
    zoo_template_close(t);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void expect_folder(const char *folder, const char *json, const char *want)
{
    zoo_template *t = NULL;
    char *text = NULL;
    size_t n = 0;
    if (zoo_template_open(folder, &t, &err) != ZOO_OK ||
        zoo_template_render_json(t, json, strlen(json), NULL, &text, &n, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(text, want);
    free(text);
    zoo_template_close(t);
}

static void folders(void **state)
{
    char folder[] = "/tmp/lmzoo-template-XXXXXX";
    zoo_template *t = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(zoo_template_open(folder, &t, &err), ZOO_E_IO);
    assert_null(t);
    write_file(folder, "chat_template.json", "{\"chat_template\": \"old\"}");
    expect_folder(folder, "{}", "old");
    write_file(
        folder, "tokenizer_config.json",
        "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}, \"add_bos_token\": "
        "true, \"chat_template\": [{\"name\": \"default\", \"template\": "
        "\"d{{ bos_token }}{{ eos_token }}{{ tools }}{{ add_generation_prompt }}\"}, "
        "{\"name\": \"tool_use\", \"template\": \"t\"}, {\"name\": \"rag\", \"template\": "
        "\"{% r %}\"}]}");
    expect_folder(folder, "{}", "d<s></s>NoneFalse");
    expect_folder(folder, "{\"tools\": [], \"bos_token\": 1}", "t");
    expect_folder(folder, "{\"tools\": null, \"bos_token\": 1}", "d1</s>NoneFalse");
    write_file(folder, "chat_template.jinja", "{{ bos_token }}\njinja\n");
    expect_folder(folder, "{}", "<s>\njinja");
    write_file(folder, "chat_template.jinja", "\n{% bad %}");
    assert_int_equal(zoo_template_open(folder, &t, &err), ZOO_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "chat_template.jinja, line 2: the tag 'bad'"));
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void check_prompt(const zoo_template *t, const zoo_tokenizer *tokenizer, const cJSON *c,
                         bool thinks)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(c, "input_ids");
    cJSON *variables = cJSON_CreateObject();
    cJSON_AddItemToObject(variables, "messages",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(c, "messages"), 1));
    cJSON_AddTrueToObject(variables, "add_generation_prompt");
    /* The second prompt of each model was made with thinking switched off. */
    if (!thinks) {
        cJSON_AddFalseToObject(variables, "enable_thinking");
    }
    char *text = NULL;
    size_t n = 0;
    zoo_ids ids = {0};
    assert_int_equal(zoo_template_render(t, variables, NULL, &text, &n, &err), ZOO_OK);
    assert_int_equal(zoo_tokenizer_encode(tokenizer, text, n, 0, &ids, &err), ZOO_OK);
    assert_int_equal(ids.n, cJSON_GetArraySize(want));
    for (size_t i = 0; i < ids.n; i++) {
        assert_int_equal(ids.data[i], cJSON_GetArrayItem(want, (int)i)->valueint);
    }
    zoo_ids_free(&ids);
    free(text);
    cJSON_Delete(variables);
}

/* Messages of the demo models to exactly the ids that the reference used. */
static void demo_prompts(void **state)
{
    static const char *const names[] = {"demo-llama", "demo-gemma", "demo-hybrid", "demo-deepseek"};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        char folder[4096], path[4200];
        cJSON *json = NULL;
        zoo_template *t = NULL;
        zoo_tokenizer *tokenizer = NULL;
        (void)snprintf(folder, sizeof folder, "%s/demo-models/%s", test_reference(), names[i]);
        (void)snprintf(path, sizeof path, "%s/reference.json", folder);
        if (access(path, R_OK) != 0) {
            skip();
        }
        assert_int_equal(zoo_json_read(path, 1 << 24, &json, &err), ZOO_OK);
        assert_int_equal(zoo_template_open(folder, &t, &err), ZOO_OK);
        assert_int_equal(zoo_tokenizer_open(folder, &tokenizer, &err), ZOO_OK);
        const cJSON *chat = cJSON_GetObjectItemCaseSensitive(json, "chat");
        assert_true(cJSON_GetArraySize(chat) > 0);
        for (const cJSON *c = chat->child; c; c = c->next) {
            check_prompt(t, tokenizer, c, c != chat->child->next);
        }
        zoo_tokenizer_close(tokenizer);
        zoo_template_close(t);
        cJSON_Delete(json);
    }
}

static void *render_often(void *arg)
{
    const zoo_template *t = arg;
    static const char json[] = "{\"l\": [{\"a\": 1}, {\"a\": 2}]}";
    for (int i = 0; i < 300; i++) {
        char *text = NULL;
        size_t n = 0;
        zoo_error e;
        if (zoo_template_render_json(t, json, strlen(json), NULL, &text, &n, &e) != ZOO_OK ||
            strcmp(text, "1,2|[1, 2]") != 0) {
            return arg;
        }
        free(text);
    }
    return NULL;
}

static void threads_share_a_template(void **state)
{
    static const char source[] = "{% for x in l %}{{ x.a }}{{ ',' if not loop.last }}{% endfor %}|"
                                 "{{ l|map(attribute='a')|list }}";
    zoo_template *t = NULL;
    pthread_t threads[4];
    (void)state;
    assert_int_equal(zoo_template_compile(source, strlen(source), "test", NULL, &t, &err), ZOO_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, t), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    zoo_template_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(input_is_checked),
        cmocka_unit_test(json_test_suite),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(huge_source_is_refused),
        cmocka_unit_test(refusals_name_line_and_construct),
        cmocka_unit_test(final_message_continues),
        cmocka_unit_test(extra_variables_are_spread),
        cmocka_unit_test(cjson_variables),
        cmocka_unit_test(folders),
        cmocka_unit_test(demo_prompts),
        cmocka_unit_test(threads_share_a_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
