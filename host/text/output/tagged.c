/*
 * tagged.c: tool calls whose arguments are not JSON: the shapes tagged and loose.
 *
 * Both become JSON text. tagged: each parameter is a piece of text; the tool's schema, or a mark,
 * says whether it is a string. loose: JSON with bare keys and strings between quote marks.
 */
#include <string.h>

#include "text/output/output_private.h"

#define LOOSE_DEPTH_MAX 50

static const cJSON *tool_parameters(const zoo_calls *calls, zoo_piece name)
{
    for (const cJSON *t = calls->tools ? calls->tools->child : NULL; t; t = t->next) {
        const cJSON *function = cJSON_GetObjectItemCaseSensitive(t, "function");
        function = function ? function : t;
        const cJSON *known = cJSON_GetObjectItemCaseSensitive(function, "name");
        if (cJSON_IsString(known) && zoo_piece_is(name, known->valuestring)) {
            const cJSON *schema = cJSON_GetObjectItemCaseSensitive(function, "parameters");
            return cJSON_GetObjectItemCaseSensitive(schema, "properties");
        }
    }
    return NULL;
}

static bool schema_says_string(const cJSON *properties, zoo_piece name)
{
    for (const cJSON *c = properties ? properties->child : NULL; c; c = c->next) {
        if (zoo_piece_is(name, c->string)) {
            const cJSON *type = cJSON_GetObjectItemCaseSensitive(c, "type");
            return cJSON_IsString(type) && strcmp(type->valuestring, "string") == 0;
        }
    }
    return false;
}

/* One newline at each end belongs to the tags. */
static zoo_piece without_frame(zoo_piece p)
{
    if (p.n && p.s[0] == '\n') {
        p = zoo_piece_sub(p, 1, p.n);
    }
    return p.n && p.s[p.n - 1] == '\n' ? zoo_piece_sub(p, 0, p.n - 1) : p;
}

static void add_parameter(zoo_bytes *out, zoo_piece name, zoo_piece value, bool is_string)
{
    zoo_piece text = without_frame(value), bare = zoo_piece_trim(text);
    zoo_bytes_add(out, ", ", out->n > 1 ? 2 : 0);
    zoo_bytes_quote(out, name);
    zoo_bytes_add(out, ": ", 2);
    if (!is_string && bare.n && zoo_json_extent(bare) == bare.n) {
        zoo_bytes_piece(out, bare);
    } else {
        zoo_bytes_quote(out, text);
    }
}

/* From after parameter_begin to after parameter_end; SIZE_MAX: not whole. */
static size_t read_parameter(const zoo_call_marks *m, zoo_piece text, size_t at,
                             const cJSON *properties, zoo_bytes *out)
{
    size_t name_end = zoo_piece_find(text, m->parameter_name_end, at);
    if (name_end == SIZE_MAX) {
        return SIZE_MAX;
    }
    zoo_piece name = zoo_piece_trim(zoo_piece_sub(text, at, name_end));
    size_t body = name_end + m->parameter_name_end.n;
    bool is_string = schema_says_string(properties, name);
    if (m->parameter_open_end.n) {
        size_t open_end = zoo_piece_find(text, m->parameter_open_end, body);
        if (open_end == SIZE_MAX) {
            return SIZE_MAX;
        }
        zoo_piece marks = zoo_piece_sub(text, body, open_end);
        is_string = is_string || zoo_piece_find(marks, m->string_mark, 0) != SIZE_MAX;
        body = open_end + m->parameter_open_end.n;
    }
    size_t end = zoo_piece_find(text, m->parameter_end, body);
    if (end == SIZE_MAX) {
        return SIZE_MAX;
    }
    add_parameter(out, name, zoo_piece_sub(text, body, end), is_string);
    return end + m->parameter_end.n;
}

static size_t skip_spaces(zoo_piece p, size_t at)
{
    while (at < p.n && (p.s[at] == ' ' || p.s[at] == '\n' || p.s[at] == '\t' || p.s[at] == '\r')) {
        at++;
    }
    return at;
}

static bool at_mark(zoo_piece p, size_t at, zoo_piece mark)
{
    return mark.n && zoo_piece_starts(zoo_piece_sub(p, at, p.n), mark);
}

/* The parameters up to after function_end; SIZE_MAX: not whole. */
static size_t read_parameters(const zoo_call_marks *m, zoo_piece text, size_t at,
                              const cJSON *properties, zoo_bytes *out)
{
    zoo_bytes_add(out, "{", 1);
    for (at = skip_spaces(text, at); at_mark(text, at, m->parameter_begin);
         at = skip_spaces(text, at)) {
        at = read_parameter(m, text, at + m->parameter_begin.n, properties, out);
        if (at == SIZE_MAX) {
            return SIZE_MAX;
        }
    }
    zoo_bytes_add(out, "}", 1);
    return at_mark(text, at, m->function_end) ? at + m->function_end.n : SIZE_MAX;
}

/* One function from `at` (after white space) on; SIZE_MAX: none or not whole. */
static size_t read_function(const zoo_call_marks *m, zoo_piece text, size_t at, zoo_calls *calls)
{
    static const zoo_piece no_id = {0};
    at = skip_spaces(text, at);
    if (!at_mark(text, at, m->function_begin)) {
        return SIZE_MAX;
    }
    at += m->function_begin.n;
    size_t name_end = zoo_piece_find(text, m->function_name_end, at);
    if (name_end == SIZE_MAX) {
        return SIZE_MAX;
    }
    zoo_piece name = zoo_piece_trim(zoo_piece_sub(text, at, name_end));
    at = name_end + m->function_name_end.n;
    if (m->function_open_end.n) {
        at = zoo_piece_find(text, m->function_open_end, at);
        if (at == SIZE_MAX) {
            return SIZE_MAX;
        }
        at += m->function_open_end.n;
    }
    zoo_bytes arguments = {0};
    at = read_parameters(m, text, at, tool_parameters(calls, name), &arguments);
    zoo_piece json = {arguments.s, arguments.n};
    calls->failed = calls->failed || arguments.failed;
    if (at != SIZE_MAX && !zoo_calls_add(calls, name, json, no_id)) {
        at = SIZE_MAX;
    }
    zoo_bytes_free(&arguments);
    return at;
}

size_t zoo_call_tagged(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls)
{
    size_t at = read_function(m, text, 0, calls), used = 0;
    while (at != SIZE_MAX) {
        used = at;
        at = m->begin.n ? read_function(m, text, at, calls) : SIZE_MAX;
    }
    size_t next = skip_spaces(text, used);
    return used && at_mark(text, next, m->end) ? next + m->end.n : used;
}

static size_t loose_value(const zoo_call_marks *m, zoo_piece p, size_t at, int depth,
                          zoo_bytes *out);

static size_t loose_string(const zoo_call_marks *m, zoo_piece p, size_t at, zoo_bytes *out)
{
    size_t begin = at + m->quote.n, end = zoo_piece_find(p, m->quote, begin);
    if (end == SIZE_MAX) {
        return SIZE_MAX;
    }
    zoo_bytes_quote(out, zoo_piece_sub(p, begin, end));
    return end + m->quote.n;
}

/* A bare key up to the colon, or one between quote marks. */
static size_t loose_key(const zoo_call_marks *m, zoo_piece p, size_t at, zoo_bytes *out)
{
    static const zoo_piece colon = {":", 1};
    size_t end = at;
    at = skip_spaces(p, at);
    if (at_mark(p, at, m->quote)) {
        end = loose_string(m, p, at, out);
    } else {
        end = zoo_piece_find(p, colon, at);
        if (end == SIZE_MAX) {
            return SIZE_MAX;
        }
        zoo_bytes_quote(out, zoo_piece_trim(zoo_piece_sub(p, at, end)));
    }
    end = end == SIZE_MAX ? end : skip_spaces(p, end);
    zoo_bytes_add(out, ": ", 2);
    return end != SIZE_MAX && at_mark(p, end, colon) ? end + 1 : SIZE_MAX;
}

static size_t loose_items(const zoo_call_marks *m, zoo_piece p, size_t at, int depth,
                          zoo_bytes *out)
{
    char open = p.s[at], close = open == '{' ? '}' : ']';
    zoo_bytes_add(out, &open, 1);
    at = skip_spaces(p, at + 1);
    for (bool first = true; at < p.n && p.s[at] != close; first = false) {
        if (!first && p.s[at] != ',') {
            return SIZE_MAX;
        }
        if (!first) {
            zoo_bytes_add(out, ", ", 2);
            at = skip_spaces(p, at + 1);
        }
        at = open == '{' ? loose_key(m, p, at, out) : at;
        at = at == SIZE_MAX ? at : loose_value(m, p, at, depth + 1, out);
        if (at == SIZE_MAX) {
            return SIZE_MAX;
        }
        at = skip_spaces(p, at);
    }
    zoo_bytes_add(out, &close, 1);
    return at < p.n ? at + 1 : SIZE_MAX;
}

static size_t loose_value(const zoo_call_marks *m, zoo_piece p, size_t at, int depth,
                          zoo_bytes *out)
{
    at = skip_spaces(p, at);
    if (at >= p.n || depth > LOOSE_DEPTH_MAX) {
        return SIZE_MAX;
    }
    if (at_mark(p, at, m->quote)) {
        return loose_string(m, p, at, out);
    }
    if (p.s[at] == '{' || p.s[at] == '[') {
        return loose_items(m, p, at, depth, out);
    }
    zoo_piece rest = zoo_piece_sub(p, at, p.n);
    size_t used = zoo_json_extent(rest);
    zoo_bytes_piece(out, zoo_piece_sub(rest, 0, used));
    return used ? at + used : SIZE_MAX;
}

size_t zoo_call_loose(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls)
{
    static const zoo_piece brace = {"{", 1}, no_id = {0};
    size_t begin = skip_spaces(text, 0);
    begin += at_mark(text, begin, m->prefix) ? m->prefix.n : 0;
    size_t at = zoo_piece_find(text, brace, begin);
    if (at == SIZE_MAX) {
        return 0;
    }
    zoo_bytes arguments = {0};
    size_t end = loose_items(m, text, at, 0, &arguments);
    zoo_piece json = {arguments.s, arguments.n};
    calls->failed = calls->failed || arguments.failed;
    if (end != SIZE_MAX && !zoo_calls_add(calls, zoo_piece_sub(text, begin, at), json, no_id)) {
        end = SIZE_MAX;
    }
    zoo_bytes_free(&arguments);
    if (end == SIZE_MAX) {
        return 0;
    }
    size_t next = skip_spaces(text, end);
    return at_mark(text, next, m->end) ? next + m->end.n : end;
}
