/*
 * calls.c: tool calls in an answer, by the shapes json and named; the search for all shapes.
 *
 * The answer is walked from mark to mark. What reads as a whole call is taken out; a begin mark
 * after which no whole call stands is text.
 */
#include <string.h>

#include "text/output/output_private.h"

bool zoo_calls_know(const zoo_calls *calls, zoo_piece name)
{
    for (const cJSON *t = calls->tools ? calls->tools->child : NULL; t; t = t->next) {
        const cJSON *function = cJSON_GetObjectItemCaseSensitive(t, "function");
        const cJSON *known = cJSON_GetObjectItemCaseSensitive(function ? function : t, "name");
        if (cJSON_IsString(known) && zoo_piece_is(name, known->valuestring)) {
            return true;
        }
    }
    return false;
}

static bool member_of(zoo_piece object, const zoo_marks *keys, zoo_piece *value)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (zoo_json_member(object, keys->at[i], value)) {
            return true;
        }
    }
    return false;
}

/* The inside of a JSON string; a name with an escape is not one. */
static zoo_piece string_inside(zoo_piece p)
{
    bool plain = p.n >= 2 && p.s[0] == '"' && !memchr(p.s, '\\', p.n);
    return plain ? zoo_piece_sub(p, 1, p.n - 1) : (zoo_piece){0};
}

static bool add_object(const zoo_call_marks *m, zoo_piece object, zoo_calls *calls, bool must_know)
{
    static const zoo_piece id_key = {"id", 2}, none = {"{}", 2};
    zoo_piece name, arguments, id;
    if (!member_of(object, &m->name, &name)) {
        return false;
    }
    name = string_inside(name);
    bool has_arguments = member_of(object, &m->arguments, &arguments);
    if (!name.n || (!has_arguments && must_know) || (must_know && !zoo_calls_know(calls, name))) {
        return false;
    }
    id = zoo_json_member(object, id_key, &id) ? string_inside(id) : (zoo_piece){0};
    return zoo_calls_add(calls, name, has_arguments ? arguments : none, id);
}

/* How many objects of a JSON value (an object, or a list of them) are calls; 0 unless all are. */
static size_t add_value(const zoo_call_marks *m, zoo_piece value, zoo_calls *calls, bool must_know)
{
    value = zoo_piece_trim(value);
    if (!value.n || value.s[0] != '[') {
        return value.n && add_object(m, value, calls, must_know);
    }
    size_t n = 0, at = 1;
    int before = calls->list ? cJSON_GetArraySize(calls->list) : 0;
    while (at < value.n) {
        zoo_piece rest = zoo_piece_sub(value, at, value.n);
        size_t used = zoo_json_extent(rest);
        if (!used || !add_object(m, zoo_piece_sub(rest, 0, used), calls, must_know)) {
            break;
        }
        n++;
        at += used;
        while (at < value.n && value.s[at] != '{') {
            at++;
        }
    }
    if (at < value.n) {
        while (calls->list && cJSON_GetArraySize(calls->list) > before) {
            cJSON_DeleteItemFromArray(calls->list, before);
        }
        return 0;
    }
    return n;
}

static size_t skip_spaces(zoo_piece p, size_t at)
{
    zoo_piece rest = zoo_piece_trim(zoo_piece_sub(p, at, p.n));
    return rest.n ? (size_t)(rest.s - p.s) : p.n;
}

/* After mark when, after white space, it stands at `at`; else at. */
static size_t skip_mark(zoo_piece p, size_t at, zoo_piece mark)
{
    size_t next = skip_spaces(p, at);
    return mark.n && zoo_piece_starts(zoo_piece_sub(p, next, p.n), mark) ? next + mark.n : at;
}

static size_t call_json(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls)
{
    size_t used = zoo_json_extent(text);
    if (!used || !add_value(m, zoo_piece_sub(text, 0, used), calls, false)) {
        return 0;
    }
    return skip_mark(text, used, m->end);
}

static size_t call_named(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls)
{
    size_t begin = skip_mark(text, 0, m->skip);
    size_t at = zoo_piece_find(text, m->separator, begin);
    if (at == SIZE_MAX) {
        return 0;
    }
    zoo_piece name = zoo_piece_sub(text, begin, at), id = {0};
    size_t id_at = zoo_piece_find(name, m->id, 0);
    if (id_at != SIZE_MAX) {
        id = zoo_piece_sub(name, id_at + m->id.n, name.n);
        name = zoo_piece_sub(name, 0, id_at);
    }
    zoo_piece rest = zoo_piece_sub(text, at + m->separator.n, text.n);
    size_t used = zoo_json_extent(rest);
    if (!used || !zoo_calls_add(calls, name, zoo_piece_sub(rest, 0, used), id)) {
        return 0;
    }
    at = skip_mark(text, at + m->separator.n + used, m->close);
    return skip_mark(text, at, m->end);
}

static size_t call_at(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls)
{
    switch (m->shape) {
    case ZOO_CALL_JSON:
        return call_json(m, text, calls);
    case ZOO_CALL_NAMED:
        return call_named(m, text, calls);
    case ZOO_CALL_TAGGED:
        return zoo_call_tagged(m, text, calls);
    default:
        return zoo_call_loose(m, text, calls);
    }
}

/* The earliest begin mark from `at` on; of those at one place the longest, then the first. */
static size_t next_begin(const zoo_output_format *f, zoo_piece answer, size_t at, size_t *length)
{
    size_t best = SIZE_MAX;
    *length = 0;
    for (size_t i = 0; i < f->n_tools; i++) {
        zoo_piece begin = f->tools[i].begin;
        begin = begin.n ? begin : f->tools[i].function_begin;
        size_t found = zoo_piece_find(answer, begin, at);
        if (found < best || (found == best && found != SIZE_MAX && begin.n > *length)) {
            best = found;
            *length = begin.n;
        }
    }
    return best;
}

/* Bytes of the call that some format reads at this place, its begin mark included. */
static size_t take_call(const zoo_output_format *f, zoo_piece at, zoo_calls *calls)
{
    for (size_t i = 0; i < f->n_tools; i++) {
        const zoo_call_marks *m = &f->tools[i];
        bool bare = !m->begin.n;
        if ((bare && m->shape != ZOO_CALL_TAGGED) || !zoo_piece_starts(at, m->begin)) {
            continue;
        }
        size_t used = call_at(m, zoo_piece_sub(at, m->begin.n, at.n), calls);
        if (used) {
            return used + m->begin.n;
        }
    }
    return 0;
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == ';';
}

const zoo_call_marks zoo_calls_bare = {
    .shape = ZOO_CALL_JSON,
    .name = {.at = {{"name", 4}}, .n = 1},
    .arguments = {.at = {{"arguments", 9}}, .n = 1},
};

bool zoo_calls_are_bare(const zoo_output_format *f)
{
    bool in_channels = f && f->channels.given && f->channels.recipient.n && f->channels.content.n;
    return !f || (!f->n_tools && !in_channels);
}

bool zoo_calls_take_bare(const zoo_call_marks *m, zoo_piece answer, zoo_calls *calls)
{
    size_t at = 0;
    bool ok = answer.n > 0;
    while (ok && at < answer.n) {
        zoo_piece rest = zoo_piece_sub(answer, at, answer.n);
        size_t used = zoo_json_extent(rest);
        ok = used && add_value(m, zoo_piece_sub(rest, 0, used), calls, true);
        at += used;
        while (at < answer.n && is_separator(answer.s[at])) {
            at++;
        }
    }
    if (!ok) {
        cJSON_Delete(calls->list);
        calls->list = NULL;
    }
    return ok;
}

/* The whole answer as JSON calls without marks. */
static bool take_bare(const zoo_output_format *f, zoo_piece answer, zoo_calls *calls)
{
    for (size_t i = 0; i < f->n_tools; i++) {
        const zoo_call_marks *m = &f->tools[i];
        bool bare = m->shape == ZOO_CALL_JSON && !m->begin.n;
        if (bare && zoo_calls_take_bare(m, answer, calls)) {
            return true;
        }
    }
    return false;
}

static size_t section_at(const zoo_output_format *f, zoo_piece p)
{
    for (size_t i = 0; i < f->section.n; i++) {
        if (zoo_piece_starts(p, f->section.at[i])) {
            return f->section.at[i].n;
        }
    }
    return 0;
}

/* rest without the marks that only frame calls. */
static void drop_sections(const zoo_output_format *f, zoo_bytes *rest)
{
    size_t to = 0;
    for (size_t at = 0; at < rest->n;) {
        size_t n = section_at(f, (zoo_piece){rest->s + at, rest->n - at});
        if (n) {
            at += n;
        } else {
            rest->s[to++] = rest->s[at++];
        }
    }
    rest->n = to;
}

void zoo_calls_parse(const zoo_output_format *f, zoo_piece answer, zoo_calls *calls,
                     zoo_bytes *rest)
{
    size_t at = 0, length = 0;
    zoo_piece whole = zoo_piece_trim(answer);
    size_t framed = section_at(f, whole);
    if (take_bare(f, zoo_piece_trim(zoo_piece_sub(whole, framed, whole.n)), calls)) {
        return;
    }
    for (size_t hit = next_begin(f, answer, 0, &length); hit != SIZE_MAX;
         hit = next_begin(f, answer, at, &length)) {
        zoo_bytes_piece(rest, zoo_piece_sub(answer, at, hit));
        size_t used = take_call(f, zoo_piece_sub(answer, hit, answer.n), calls);
        if (!used) {
            zoo_bytes_piece(rest, zoo_piece_sub(answer, hit, hit + length));
        }
        at = hit + (used ? used : length);
    }
    zoo_bytes_piece(rest, zoo_piece_sub(answer, at, answer.n));
    if (calls->list) {
        drop_sections(f, rest);
    }
}
