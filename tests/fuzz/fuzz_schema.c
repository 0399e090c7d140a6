/*
 * fuzz_schema.c: a JSON schema: compiled, then walked down the shortest way to a whole text, which
 * must be as long as the automaton says and must be JSON; and walked once along the input's bytes.
 */
#include <stdlib.h>

#include "base/json.h"
#include "text/grammar/grammar_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { WALK_MAX = 3000 };

static void shortest(zoo_gstates *states)
{
    static char text[WALK_MAX + 1];
    uint32_t at = ZOO_GSTATE_START, left = zoo_gstates_distance(states, at);
    size_t n = 0;
    zoo_error err;
    cJSON *json = NULL;
    if (left > WALK_MAX) {
        return;
    }
    while (left > 0 && !zoo_gstates_failed(states)) {
        uint32_t next = ZOO_GSTATE_DEAD;
        int byte = 0;
        for (; byte < 256; byte++) {
            next = zoo_gstates_step(states, at, (uint8_t)byte);
            if (next != ZOO_GSTATE_DEAD && zoo_gstates_distance(states, next) < left) {
                break;
            }
        }
        if (byte == 256) {
            abort();
        }
        text[n++] = (char)byte;
        at = next;
        left--;
    }
    if (zoo_gstates_failed(states)) {
        return;
    }
    /* Deeper than the reader goes is no error of the text. */
    zoo_status status = zoo_json_parse(text, n, "text", &json, &err);
    if (!zoo_gstates_accepts(states, at) || (status != ZOO_OK && status != ZOO_E_LIMIT)) {
        abort();
    }
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    zoo_error err;
    cJSON *schema = NULL;
    zoo_gcode code = {0};
    if (zoo_json_parse((const char *)data, n, "schema", &schema, &err) != ZOO_OK) {
        return 0;
    }
    zoo_gstates *states = NULL;
    if (zoo_gcode_build(&(zoo_grammar_want){.schema = schema}, NULL, &code, &err) == ZOO_OK) {
        states = zoo_gstates_new(&code);
    }
    if (states) {
        uint32_t at = ZOO_GSTATE_START;
        shortest(states);
        for (size_t i = 0; i < n && i < WALK_MAX && !zoo_gstates_failed(states); i++) {
            at = zoo_gstates_step(states, at, data[i]);
        }
    }
    zoo_gstates_free(states);
    zoo_gcode_free(&code);
    cJSON_Delete(schema);
    return 0;
}
