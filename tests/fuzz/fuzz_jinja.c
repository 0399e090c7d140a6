/*
 * fuzz_jinja.c: a template, a zero byte, then the JSON of its variables: compile and render with
 * small limits. Without a zero byte the variables are a fixed conversation.
 */
#include <stdlib.h>
#include <string.h>

#include "text/jinja/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char conversation[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": "
    "[{\"type\": \"text\", \"text\": \"\xc3\xa9 'x'\"}]}, {\"role\": \"assistant\", \"content\": "
    "null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, 2.5, "
    "true]}}}]}], \"tools\": [{\"a\": 123456789012345678901234567890}], "
    "\"add_generation_prompt\": true, \"bos_token\": \"<s>\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const zoo_jinja_limits limits = {.source_bytes_max = 1 << 16,
                                            .memory_bytes_max = 1 << 22,
                                            .output_bytes_max = 1 << 18,
                                            .steps_max = 50000,
                                            .depth_max = 60};
    static const zoo_clock now = {.year = 2026, .month = 1, .day = 2};
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    size_t source_n = zero ? (size_t)(zero - data) : n;
    const char *json = zero ? (const char *)zero + 1 : conversation;
    size_t json_n = zero ? n - source_n - 1 : strlen(conversation);
    zoo_template *t = NULL;
    zoo_error err;
    char *text = NULL;
    size_t text_n = 0;
    if (zoo_template_compile((const char *)data, source_n, "fuzz", &limits, &t, &err) == ZOO_OK) {
        (void)zoo_template_render_json(t, json, json_n, &now, &text, &text_n, &err);
    }
    free(text);
    zoo_template_close(t);
    return 0;
}
