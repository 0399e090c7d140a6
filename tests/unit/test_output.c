/*
 * test_output.c: parsing outputs in the formats of models.d/formats; the texts are those that
 * the families' own templates write for the same calls. Every prefix of every output must parse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "text/output/output.h"

static zoo_error err;

static const char tools_json[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": "
    "{\"type\": "
    "\"object\", \"properties\": {\"city\": {\"type\": \"string\"}, \"days\": {\"type\": "
    "\"integer\"}}}}}, {\"type\": \"function\", \"function\": {\"name\": \"now\"}}]";

/* format, prompt, text, content (null: JSON null), reasoning (null: absent),
 * calls "name args|..." */
typedef struct output_case {
    const char *format, *prompt, *text, *content, *reasoning, *calls;
} output_case;

static const output_case cases[] = {
    {"think", "<a>\n", "plain <b> text\n", "plain <b> text\n", NULL, NULL},
    {"think", "<a>\n", "<think>\nwhy\n</think>\n\nanswer", "answer", "why", NULL},
    {"think", "<a>\n<think>\n", "why\n</think>\n\nanswer", "answer", "why", NULL},
    {"think", "<a>\n<think>\n\n</think>\n\n", "answer", "answer", NULL, NULL},
    {"think", "<a>\n<think>\n", "cut in the mid", "", "cut in the mid", NULL},
    {"think", "<a>\n", "<think>cut", "", "cut", NULL},
    {"think", "<a>\n", "why</think>answer", "answer", "why", NULL},
    {"think", "<a>\n", "<think>\n\n</think>\n\nanswer", "answer", NULL, NULL},
    {"tool_call_tags", "",
     "<think>x</think>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
     "\"Z\xc3\xbcrich\", \"days\": 2}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", "
     "\"arguments\": {}}\n</tool_call>",
     NULL, "x", "get_weather {\"city\": \"Z\xc3\xbcrich\", \"days\": 2}|now {}"},
    {"tool_call_tags", "", "Let me see.\n<tool_call>{\"name\": \"now\"}</tool_call>", "Let me see.",
     NULL, "now {}"},
    {"tool_call_tags", "",
     "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"big\": 123456789012345678901234567890}}\n"
     "</tool_call>",
     NULL, NULL, "now {\"big\": 123456789012345678901234567890}"},
    {"tool_call_tags", "", "<tool_call>\n{\"name\": \"now\", \"argu",
     "<tool_call>\n{\"name\": \"now\", \"argu", NULL, NULL},
    {"tool_call_tags", "", "<tool_call>no json</tool_call>", "<tool_call>no json</tool_call>", NULL,
     NULL},
    {"tool_call_tags", "",
     "<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n</"
     "parameter>\n<parameter=days>\n3\n"
     "</parameter>\n</function>\n</tool_call>",
     NULL, NULL, "get_weather {\"city\": \"12\", \"days\": 3}"},
    {"tool_call_args", "",
     "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>A \"B\"</arg_value>\n"
     "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
     NULL, NULL, "get_weather {\"city\": \"A \\\"B\\\"\", \"days\": 3}"},
    {"bare_json", "", "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"X\"}}", NULL, NULL,
     "get_weather {\"city\": \"X\"}"},
    {"bare_json", "",
     "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"get_weather\", "
     "\"parameters\": {}}<|eom_id|>",
     NULL, NULL, "now {}|get_weather {}"},
    {"bare_json", "", "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", NULL, NULL,
     "now {}"},
    {"bare_json", "", "{\"name\": \"unknown\", \"parameters\": {}}",
     "{\"name\": \"unknown\", \"parameters\": {}}", NULL, NULL},
    {"bare_json", "", "{\"name\": \"now\"}", "{\"name\": \"now\"}", NULL, NULL},
    {"fullwidth_calls", "<think>\n",
     "r\n</"
     "think>\n\nok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
     "```json\n{\"city\": "
     "\"X\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>"
     "now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
     "ok", "r", "get_weather {\"city\": \"X\"}|now {}"},
    {"fullwidth_calls", "",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{\"a\": [1]}<｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>",
     NULL, NULL, "now {\"a\": [1]}"},
    {"fullwidth_invoke", "",
     "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" "
     "string=\"true\">5</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" string=\"false\">[1, 2]"
     "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
     NULL, NULL, "f {\"a\": \"5\", \"b\": [1, 2]}"},
    {"tool_calls_bracket", "",
     "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"get_weather\", "
     "\"arguments\": {\"city\": \"X\"}, \"id\": \"abcdefghi\"}]",
     NULL, NULL, "now {}|get_weather {\"city\": \"X\"}"},
    {"tool_calls_bracket", "",
     "[THINK]t[/THINK]a[TOOL_CALLS]now[CALL_ID]000000001[ARGS]{}[TOOL_CALLS]get_weather[ARGS]"
     "{\"city\": \"X\"}</s>",
     "a", "t", "now {}|get_weather {\"city\": \"X\"}"},
    {"tool_call_mark", "",
     "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}, {\"arguments\": {\"city\": \"X\"}, "
     "\"name\": \"get_weather\"}]",
     NULL, NULL, "now {}|get_weather {\"city\": \"X\"}"},
    {"tool_call_mark", "",
     "Here is my thought process:\n\nHm.\n\nHere is my response:\n\nYes.<|end_of_text|>", "Yes.",
     "Hm.", NULL},
    {"channels", "<|start|>assistant",
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes."
     "<|return|>",
     "Yes.", "Hm.", NULL},
    {"channels", "<|start|>assistant",
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"X\"}<|call|>",
     NULL, "Hm.", "get_weather {\"city\": \"X\"}"},
    {"channels", "<|start|>assistant",
     " to=functions.now<|channel|>commentary<|constrain|>json<|message|>{}<|call|>", NULL, NULL,
     "now {}"},
    {"channels", "<|start|>assistant", "<|channel|>analysis<|message|>cut he", "", "cut he", NULL},
    {"channels", "<|start|>assistant", "no marks at all", "no marks at all", NULL, NULL},
    {"loose_calls", "",
     "<|channel>thought\nHm.\n<channel|><|tool_call>call:get_weather{city:<|\"|>X: {y}, "
     "z<|\"|>,days:2,l:[1,<|\"|>a<|\"|>,{k:true}],n:null}<tool_call|>",
     NULL, "Hm.",
     "get_weather {\"city\": \"X: {y}, z\", \"days\": 2, \"l\": [1, \"a\", {\"k\": true}], \"n\": "
     "null}"},
    {"loose_function_calls", "",
     "<start_function_call>call:now{}<end_function_call><start_function_call>call:get_weather{city:"
     "<escape>X<escape>}<end_function_call><end_of_turn>",
     NULL, NULL, "now {}|get_weather {\"city\": \"X\"}"},
    {"toolcall_upper", "", "<TOOLCALL>[{\"name\": \"now\", \"arguments\": {}}]</TOOLCALL>", NULL,
     NULL, "now {}"},
    {"seed_tags", "",
     "<seed:think>a</seed:think><seed:tool_call>\n<function=now>\n</function>\n</seed:tool_call>",
     NULL, "a", "now {}"},
    {"invoke_tags", "",
     "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">X</parameter>\n"
     "</invoke>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>",
     NULL, NULL, "get_weather {\"city\": \"X\"}|now {}"},
};

static zoo_output_format *format_of(const char *name)
{
    char path[4096];
    cJSON *json = NULL;
    zoo_output_format *f = NULL;
    (void)snprintf(path, sizeof path, LMZOO_SOURCE_DIR "/models.d/formats/%s.json", name);
    if (zoo_json_read(path, 1 << 20, &json, &err) != ZOO_OK ||
        zoo_output_format_new(json, name, &f, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    cJSON_Delete(json);
    return f;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void expect_text(const char *what, const char *got, const char *want, const char *of)
{
    if ((got == NULL) != (want == NULL) || (got && strcmp(got, want) != 0)) {
        fail_msg("%s of %s\nwant %s\ngot  %s", what, of, want ? want : "none", got ? got : "none");
    }
}

/* "name arguments|name arguments", in a static buffer. */
static const char *calls_of(const cJSON *message)
{
    static char out[4000];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    out[0] = 0;
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        const cJSON *f = cJSON_GetObjectItemCaseSensitive(c, "function");
        assert_string_equal(text_of(c, "type"), "function");
        assert_non_null(text_of(c, "id"));
        size_t n = strlen(out);
        (void)snprintf(out + n, sizeof out - n, "%s%s %s", n ? "|" : "", text_of(f, "name"),
                       text_of(f, "arguments"));
    }
    return list ? out : NULL;
}

static void formats_parse(void **state)
{
    cJSON *tools = cJSON_Parse(tools_json);
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        const output_case *c = &cases[i];
        zoo_output_format *f = format_of(c->format);
        zoo_output o = {.prompt = c->prompt,
                        .prompt_n = strlen(c->prompt),
                        .text = c->text,
                        .text_n = strlen(c->text),
                        .tools = tools};
        cJSON *message = NULL;
        assert_int_equal(zoo_output_parse(f, &o, &message, &err), ZOO_OK);
        expect_text("content", text_of(message, "content"), c->content, c->text);
        expect_text("reasoning", text_of(message, "reasoning_content"), c->reasoning, c->text);
        expect_text("calls", calls_of(message), c->calls, c->text);
        cJSON_Delete(message);
        zoo_output_format_free(f);
    }
    cJSON_Delete(tools);
}

/* Whether `part` without white space at its end begins `whole`; null is empty. */
static bool begins(const char *part, const char *whole)
{
    size_t n = part ? strlen(part) : 0;
    while (n > 0 && strchr(" \t\r\n", part[n - 1])) {
        n--;
    }
    return n == 0 || (whole && strncmp(part, whole, n) == 0);
}

/* Written byte by byte: what can be shown at any moment stays true to the end. */
static void what_is_shown_stays(void **state)
{
    cJSON *tools = cJSON_Parse(tools_json);
    size_t n_early = 0;
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        const output_case *c = &cases[i];
        zoo_output_format *f = format_of(c->format);
        const char *close = strstr(c->text, "</think>");
        if (close && !strstr(c->text, "<think>") && !strstr(c->prompt, "<think>")) {
            zoo_output_format_free(f); /* reasoning that nothing announced */
            continue;
        }
        for (size_t cut = 0; cut < strlen(c->text); cut++) {
            zoo_output o = {.prompt = c->prompt,
                            .prompt_n = strlen(c->prompt),
                            .text = c->text,
                            .text_n = cut,
                            .tools = tools};
            cJSON *message = NULL;
            o.text_n = zoo_output_stable(f, &o);
            assert_true(o.text_n <= cut);
            assert_int_equal(zoo_output_parse(f, &o, &message, &err), ZOO_OK);
            if (!begins(text_of(message, "content"), c->content) ||
                !begins(text_of(message, "reasoning_content"), c->reasoning) ||
                !begins(calls_of(message), c->calls)) {
                fail_msg("%s cut at %zu shows too much: %s", c->text, cut,
                         cJSON_PrintUnformatted(message));
            }
            n_early += o.text_n > 0;
            cJSON_Delete(message);
        }
        zoo_output_format_free(f);
    }
    assert_true(n_early > 500);
    cJSON_Delete(tools);
}

/* Cut anywhere: a message comes out, and calls in it are whole JSON. */
static void every_prefix_parses(void **state)
{
    cJSON *tools = cJSON_Parse(tools_json);
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        zoo_output_format *f = format_of(cases[i].format);
        size_t n = strlen(cases[i].text);
        for (size_t cut = 0; cut <= n; cut++) {
            char *copy = malloc(cut + 1);
            assert_non_null(copy);
            memcpy(copy, cases[i].text, cut);
            zoo_output o = {.text = copy, .text_n = cut, .tools = tools};
            cJSON *message = NULL;
            assert_int_equal(zoo_output_parse(f, &o, &message, &err), ZOO_OK);
            assert_string_equal(text_of(message, "role"), "assistant");
            const cJSON *list = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
            for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
                const cJSON *call = cJSON_GetObjectItemCaseSensitive(c, "function");
                cJSON *arguments = cJSON_Parse(text_of(call, "arguments"));
                assert_true(cJSON_IsObject(arguments));
                cJSON_Delete(arguments);
            }
            cJSON_Delete(message);
            free(copy);
        }
        zoo_output_format_free(f);
    }
    cJSON_Delete(tools);
}

static void without_tools_calls_are_text(void **state)
{
    static const char text[] = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    zoo_output_format *f = format_of("tool_call_tags");
    zoo_output o = {.text = text, .text_n = strlen(text)};
    cJSON *message = NULL;
    (void)state;
    assert_int_equal(zoo_output_parse(f, &o, &message, &err), ZOO_OK);
    assert_string_equal(text_of(message, "content"), text);
    assert_null(cJSON_GetObjectItemCaseSensitive(message, "tool_calls"));
    cJSON_Delete(message);
    assert_int_equal(zoo_output_parse(NULL, &o, &message, &err), ZOO_OK);
    assert_string_equal(text_of(message, "content"), text);
    cJSON_Delete(message);
    zoo_output_format_free(f);
}

static void ids_differ_and_repeat(void **state)
{
    static const char text[] = "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": "
                               "\"now\", \"arguments\": {}}]";
    zoo_output_format *f = format_of("tool_calls_bracket");
    cJSON *tools = cJSON_Parse(tools_json), *message[2];
    zoo_output o = {.text = text, .text_n = strlen(text), .tools = tools};
    const char *ids[2][2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(zoo_output_parse(f, &o, &message[i], &err), ZOO_OK);
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(message[i], "tool_calls");
        ids[i][0] = text_of(cJSON_GetArrayItem(list, 0), "id");
        ids[i][1] = text_of(cJSON_GetArrayItem(list, 1), "id");
    }
    assert_string_not_equal(ids[0][0], ids[0][1]);
    assert_string_equal(ids[0][0], ids[1][0]);
    cJSON_Delete(message[0]);
    cJSON_Delete(message[1]);
    cJSON_Delete(tools);
    zoo_output_format_free(f);
}

static void formats_are_found(void **state)
{
    static const struct {
        const char *source, *name;
    } wanted[] = {
        {"{{ '<|im_start|>' }}", NULL},
        {"..</think>..", "think.json"},
        {"<tool_call></tool_call></think>", "tool_call_tags.json"},
        {"<tool_call></tool_call></think><arg_key><arg_value>", "tool_call_args.json"},
        {"<|start_header_id|>", "bare_json.json"},
        {"<\xef\xbd\x9c"
         "tool\xe2\x96\x81"
         "calls\xe2\x96\x81"
         "begin\xef\xbd\x9c>",
         "fullwidth_calls.json"},
        {"<|channel|>x<|message|>", "channels.json"},
        {"[TOOL_CALLS]", "tool_calls_bracket.json"},
        {"<|tool_call>", "loose_calls.json"},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(wanted); i++) {
        zoo_output_format *f = NULL;
        assert_int_equal(zoo_output_format_find(LMZOO_SOURCE_DIR "/models.d/formats",
                                                wanted[i].source, strlen(wanted[i].source), &f,
                                                &err),
                         ZOO_OK);
        expect_text("format", f ? zoo_output_format_name(f) : NULL, wanted[i].name,
                    wanted[i].source);
        zoo_output_format_free(f);
    }
}

static void bad_formats_are_refused(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{\"reasoning\": {}}",
        "{\"reasoning\": [{\"open\": \"x\"}]}",
        "{\"reasoning\": [{\"open\": \"\", \"close\": \"y\"}]}",
        "{\"tools\": [{\"shape\": \"xml\"}]}",
        "{\"tools\": [{\"shape\": \"json\", \"begin\": \"\"}]}",
        "{\"tools\": [{\"shape\": \"named\", \"begin\": \"x\"}]}",
        "{\"tools\": [{\"shape\": \"loose\", \"begin\": \"x\"}]}",
        "{\"tools\": [{\"shape\": \"tagged\", \"begin\": \"x\"}]}",
        "{\"drop\": [1]}",
        "{\"drop\": [\"\"]}",
        "{\"channels\": {\"start\": \"x\"}}",
        "{\"shapes\": []}",
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(bad); i++) {
        cJSON *json = cJSON_Parse(bad[i]);
        zoo_output_format *f = NULL;
        if (zoo_output_format_new(json, "bad", &f, &err) != ZOO_E_FORMAT || f) {
            fail_msg("%s was taken", bad[i]);
        }
        assert_non_null(strstr(err.text, "output format bad: "));
        cJSON_Delete(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_parse),           cmocka_unit_test(every_prefix_parses),
        cmocka_unit_test(what_is_shown_stays),     cmocka_unit_test(without_tools_calls_are_text),
        cmocka_unit_test(ids_differ_and_repeat),   cmocka_unit_test(formats_are_found),
        cmocka_unit_test(bad_formats_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
