/*
 * fuzz_output.c: the first byte picks a format, the rest is a model's output: parsed into a message
 * whose calls have complete JSON objects as arguments.
 */
#include <stdlib.h>
#include <string.h>

#include "text/output/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const specs[] = {
    "{\"reasoning\": [{\"open\": \"<t>\", \"close\": \"</t>\", \"implicit\": true}], \"tools\": "
    "[{\"shape\": \"json\", \"begin\": \"<c>\", \"end\": \"</c>\", \"name\": [\"name\"], "
    "\"arguments\": [\"arguments\"]}, {\"shape\": \"named\", \"begin\": \"<n>\", \"skip\": \"f\", "
    "\"separator\": \":\", \"id\": \"#\", \"close\": \";\", \"end\": \"</n>\"}], \"section\": "
    "[\"<s>\"], \"drop\": [\"<d>\"]}",
    "{\"tools\": [{\"shape\": \"json\", \"begin\": \"\", \"name\": [\"name\"], \"arguments\": "
    "[\"arguments\"]}, {\"shape\": \"loose\", \"begin\": \"<l>\", \"end\": \"</l>\", \"prefix\": "
    "\"call:\", \"quote\": \"'\"}]}",
    "{\"tools\": [{\"shape\": \"tagged\", \"begin\": \"\", \"function_begin\": \"<f \", "
    "\"function_name_end\": \">\", \"function_end\": \"</f>\", \"parameter_begin\": \"<p \", "
    "\"parameter_name_end\": \" \", \"parameter_open_end\": \">\", \"parameter_end\": \"</p>\", "
    "\"string_mark\": \"s\"}]}",
    "{\"channels\": {\"start\": \"<s>\", \"channel\": \"<c>\", \"message\": \"<m>\", \"ends\": "
    "[\"<e>\"], \"recipient\": \" to=\", \"recipient_prefix\": \"f.\", \"reasoning\": [\"a\"], "
    "\"content\": [\"b\"]}}"};

static void check(const cJSON *message)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        const cJSON *f = cJSON_GetObjectItemCaseSensitive(c, "function");
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(f, "arguments");
        if (!cJSON_IsString(a) || a->valuestring[0] != '{') {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    zoo_error err;
    zoo_output_format *f = NULL;
    cJSON *message = NULL;
    if (n < 1) {
        return 0;
    }
    cJSON *spec = cJSON_Parse(specs[data[0] % ZOO_COUNT(specs)]);
    cJSON *tools = cJSON_Parse("[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": "
                               "{\"a\": {\"type\": \"string\"}}}}}]");
    zoo_output o = {.text = (const char *)data + 1, .text_n = n - 1, .tools = tools};
    if (zoo_output_format_new(spec, "fuzz", &f, &err) != ZOO_OK) {
        abort();
    }
    if (zoo_output_parse(f, &o, &message, &err) == ZOO_OK) {
        check(message);
    }
    cJSON_Delete(message);
    zoo_output_format_free(f);
    cJSON_Delete(tools);
    cJSON_Delete(spec);
    return 0;
}
