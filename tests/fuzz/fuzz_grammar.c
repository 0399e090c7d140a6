/*
 * fuzz_grammar.c: a grammar in EBNF: compiled, then walked down the shortest way to a whole text,
 * which must be as long as the automaton says; and walked once along the input's bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/grammar/grammar_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { WALK_MAX = 3000, BYTES_MAX = 1 << 16 };

static void shortest(zoo_gstates *states)
{
    uint32_t at = ZOO_GSTATE_START, left = zoo_gstates_distance(states, at);
    for (; left > 0 && left <= WALK_MAX && !zoo_gstates_failed(states); left--) {
        uint32_t next = ZOO_GSTATE_DEAD;
        for (int byte = 0; byte < 256 && next == ZOO_GSTATE_DEAD; byte++) {
            next = zoo_gstates_step(states, at, (uint8_t)byte);
            if (next != ZOO_GSTATE_DEAD && zoo_gstates_distance(states, next) >= left) {
                next = ZOO_GSTATE_DEAD;
            }
        }
        if (next == ZOO_GSTATE_DEAD && !zoo_gstates_failed(states)) {
            abort();
        }
        at = next;
    }
    if (left == 0 && !zoo_gstates_failed(states) && !zoo_gstates_accepts(states, at)) {
        abort();
    }
}

static void run(const char *grammar)
{
    zoo_error err = {0};
    zoo_gcode code = {0};
    if (zoo_gcode_build(&(zoo_grammar_want){.ebnf = grammar}, NULL, &code, &err) != ZOO_OK) {
        if (!err.text[0]) {
            abort();
        }
        return;
    }
    zoo_gstates *states = zoo_gstates_new(&code);
    if (states) {
        uint32_t at = ZOO_GSTATE_START;
        zoo_gstates_allow(states, 1u << 22);
        shortest(states);
        for (const char *p = grammar; *p && !zoo_gstates_failed(states); p++) {
            at = zoo_gstates_step(states, at, (uint8_t)*p);
        }
    }
    zoo_gstates_free(states);
    zoo_gcode_free(&code);
}

/* Grammars come out of JSON, so only what JSON can hold is tried. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cJSON *held = NULL, *string;
    char *quoted;
    char *text = n < BYTES_MAX ? calloc(n + 1, 1) : NULL;
    if (!text) {
        return 0;
    }
    memcpy(text, data, n);
    string = cJSON_CreateString(text);
    quoted = string ? cJSON_PrintUnformatted(string) : NULL;
    if (quoted && zoo_json_parse(quoted, strlen(quoted), "grammar", &held, NULL) == ZOO_OK) {
        run(held->valuestring);
    }
    cJSON_Delete(held);
    cJSON_free(quoted);
    cJSON_Delete(string);
    free(text);
    return 0;
}
