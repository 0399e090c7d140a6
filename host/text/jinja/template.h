/*
 * template.h: chat templates: messages in, prompt text out, byte for byte as the reference prints.
 *
 * A template is constant once opened: any number of threads may render it. A render is bounded in
 * memory, steps, nesting and output, whatever the template and variables are.
 *
 * Source order in a model folder: chat_template.jinja, the key chat_template of
 * tokenizer_config.json (a string, or a list of {name, template}), chat_template.json. With tools
 * in the variables the template named tool_use is taken where there is one, otherwise `default`.
 *
 * Not done here: tokenizing, fetching images (an image part goes to the template as it is).
 */
#ifndef ZOO_TEXT_JINJA_TEMPLATE_H
#define ZOO_TEXT_JINJA_TEMPLATE_H

#include <cjson/cJSON.h>

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What strftime_now prints. */
typedef struct zoo_clock {
    int year, month, day; /* 2026, 1..12, 1..31 */
    int hour, minute, second;
    int microsecond;
} zoo_clock;

/* Reads "2026-01-02T03:04:05"; false when it is no such date. */
bool zoo_clock_parse(const char *text, zoo_clock *out);

typedef struct zoo_jinja_limits {
    size_t source_bytes_max;
    size_t memory_bytes_max; /* of one compile or render */
    size_t output_bytes_max;
    uint64_t steps_max;
    uint32_t depth_max; /* of nested expressions, blocks, macro calls and values */
} zoo_jinja_limits;

/* 4 MiB of source, 1 GiB, 256 MiB, 50 million, 250. */
extern const zoo_jinja_limits zoo_jinja_limits_default;

typedef struct zoo_template zoo_template;

/*
 * Opens a model folder or a template file (*.jinja, or a tokenizer_config.json). A folder also
 * gives what the reference passes without being asked, unless the caller sets it: the special
 * tokens of its tokenizer_config.json (bos_token, ...), tools and documents None,
 * add_generation_prompt False. ZOO_E_IO: none there. ZOO_E_FORMAT, ZOO_E_UNSUPPORTED, ZOO_E_LIMIT:
 * with file, line and construct. The owner frees with zoo_template_close. [load]
 */
zoo_status zoo_template_open(const char *path, zoo_template **out, zoo_error *err);

/* From text in memory; name stands in errors; limits null: the default. [load] */
zoo_status zoo_template_compile(const char *source, size_t n, const char *name,
                                const zoo_jinja_limits *limits, zoo_template **out, zoo_error *err);

/* The source that is rendered without tools, as long as the template is open: what an output format
 * is found by (output.h). */
const char *zoo_template_source(const zoo_template *t, size_t *n);

/* Whether the word occurs in a source of the template. */
bool zoo_template_mentions(const zoo_template *t, const char *word);

/* Null is fine. */
void zoo_template_close(zoo_template *t);

/*
 * Renders. variables is an object: messages, tools, documents, add_generation_prompt,
 * continue_final_message, special tokens, and any other name that the template asks for; an object
 * chat_template_kwargs is spread into them. Numbers of a cJSON tree are doubles: integral ones
 * below 2^53 print as integers; raw items (cJSON_CreateRaw) are read exactly from their text.
 * continue_final_message: the text ends where the last message's content ends. A message whose
 * content is null, [] or absent has the empty string, unless the template tests for none itself.
 * *text, *n: null-terminated UTF-8, freed by free(). Thread-safe.
 */
zoo_status zoo_template_render(const zoo_template *t, const cJSON *variables, const zoo_clock *now,
                               char **text, size_t *n, zoo_error *err);

/* The same from JSON text: integers of any size, floats as floats, U+0000 inside strings. */
zoo_status zoo_template_render_json(const zoo_template *t, const char *json, size_t json_n,
                                    const zoo_clock *now, char **text, size_t *n, zoo_error *err);

#ifdef __cplusplus
}
#endif

#endif
