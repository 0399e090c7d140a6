/*
 * output.h: parses what a model wrote into reasoning, answer and tool calls in OpenAI's shape.
 *
 * How a release marks these is data, a JSON object (a card's key `output`, or a file of
 * models.d/formats), never code:
 *
 *   "when":      ["<tool_call>", ...]    all of them in the chat template: this format fits
 *   "reasoning": [{"open": "<think>", "close": "</think>", "implicit": true}]
 *                implicit: a close without an open ends reasoning that began with the text
 *   "channels":  {"start", "channel", "message", "ends": [..], "recipient", "recipient_prefix",
 *                 "reasoning": [..], "content": [..]}: the whole text is a row of messages; `role`
 *                 and `constrain` (after a recipient) are written only, never looked for
 *   "tools":     [{"shape": ...}], tried in order of place in the text:
 *     "json"     begin JSON end: an object or array of objects with the keys `name` and `arguments`
 *                (lists of names); with begin "" the whole answer is JSON objects, split by
 *                white space, commas or semicolons
 *     "named"    begin [skip] NAME separator JSON [close] end; an `id` marker may stand before the
 *                separator
 *     "tagged"   begin (function_begin NAME function_name_end .. function_open_end
 *                (parameter_begin NAME parameter_name_end .. parameter_open_end TEXT
 *                parameter_end)* function_end)* end; a text is a string when the tool's schema says
 *                so or string_mark stands after its name, else JSON when it parses as JSON
 *     "loose"    begin prefix NAME {key:value,...} end with strings between `quote` marks
 *   "drop":      ["<|eot|>", ...] markers that are no text, wherever they stand
 *   "section":   ["<calls>", ...] dropped only when a call was found
 *
 * Of several entries of `tools` a model that is made to call writes the one that has the most marks
 * in its chat template.
 *
 * The text must be decoded with its special tokens kept, except the end token. Incomplete output
 * parses too: open reasoning is reasoning, an unfinished call stays in the content as it is. Not
 * done here: validation of arguments against the tool's schema.
 */
#ifndef ZOO_TEXT_OUTPUT_OUTPUT_H
#define ZOO_TEXT_OUTPUT_OUTPUT_H

#include <cjson/cJSON.h>

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zoo_output_format zoo_output_format;

/*
 * Checks and copies a format; name stands in errors. Constant from then on and shared by threads.
 * ZOO_E_FORMAT names the key. The owner frees with zoo_output_format_free. [load]
 */
zoo_status zoo_output_format_new(const cJSON *spec, const char *name, zoo_output_format **out,
                                 zoo_error *err);

/*
 * Of the *.json files of a folder the format that fits a chat template: all of its `when` are in
 * the template, and it has the most of them (ties: the first name). *out is null when none fits.
 * ZOO_E_IO, ZOO_E_FORMAT. [load]
 */
zoo_status zoo_output_format_find(const char *folder, const char *chat_template, size_t n,
                                  zoo_output_format **out, zoo_error *err);

/* The name it was made or found under. */
const char *zoo_output_format_name(const zoo_output_format *format);

/* Null is fine. */
void zoo_output_format_free(zoo_output_format *format);

typedef struct zoo_output {
    const char *prompt; /* rendered prompt: whether it ends inside reasoning; may be null */
    size_t prompt_n;
    const char *text; /* what was generated, UTF-8 */
    size_t text_n;
    const cJSON *tools; /* the request's tools; null: tool calls are left in the content */
    bool is_json;       /* the answer was made to be JSON: only open reasoning is taken off */
    bool is_call;       /* it was made to be calls: bare JSON where the format has no calls */
    bool one_call;      /* calls after the first are left out */
} zoo_output;

/*
 * *message becomes {"role": "assistant", "content": string or null, "reasoning_content": string,
 * "tool_calls": [{"id", "type": "function", "function": {"name", "arguments": JSON text}}]}, the
 * last two only when there is something. A null format gives the text as content. The caller frees
 * with cJSON_Delete. ZOO_E_MEMORY. [any]
 */
zoo_status zoo_output_parse(const zoo_output_format *format, const zoo_output *output,
                            cJSON **message, zoo_error *err);

/*
 * The entry of `reasoning`, from 1 on, that a prompt leaves open at its end; 0: none. A format with
 * channels has none.
 */
uint32_t zoo_output_reasoning_open(const zoo_output_format *format, const char *prompt, size_t n);

/* The mark that closes that entry of `reasoning` (0: the first), as a text of less than size bytes.
 * False: the format has no such marks. */
bool zoo_output_reasoning_close(const zoo_output_format *format, uint32_t entry, char *mark,
                                size_t size);
/* The same for the mark that opens it. */
bool zoo_output_reasoning_begin(const zoo_output_format *format, uint32_t entry, char *mark,
                                size_t size);

/*
 * While a text is being generated: how many of its first bytes can be parsed and shown, whatever
 * follows. Held back are the beginning of a mark at its end, a call that is not whole, and all of
 * an answer that may turn out to be JSON calls without marks.
 */
size_t zoo_output_stable(const zoo_output_format *format, const zoo_output *output);

/* Whether the text occurs in a mark of the format. */
bool zoo_output_format_marks(const zoo_output_format *format, const char *text);

#ifdef __cplusplus
}
#endif

#endif
