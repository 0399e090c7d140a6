/*
 * calls.c: what surrounds JSON in a model's own format: reasoning that the prompt left
 * open, channels, and the call of a tool.
 *
 * A call has the shape that the format's entry for writing has (output.h); its arguments are the
 * tool's `parameters`:
 *
 *   json     begin {"name": NAME, "arguments": JSON} end, or a list of them
 *   named    begin [skip] NAME separator JSON [close] end
 *   tagged   begin function_begin NAME .. (parameter_begin KEY .. VALUE parameter_end)* .. end; a
 *            string is written bare, everything else as JSON
 *   loose    begin prefix NAME {key:value,...} end
 *   channels channel, recipient, message, JSON
 *
 * and bare {"name": NAME, "arguments": JSON} where the format has no calls.
 *
 * Exactly one call is written; with `many` one or more, a line feed between them at will. Channels
 * have one always, since a message to a recipient ends the turn. Not enforced, so refused by name:
 * length and pattern of strings that are written bare, parameters of a tagged call that are not
 * listed as properties.
 */
#include <string.h>

#include "text/grammar/grammar_private.h"

typedef struct tool {
    zoo_piece name;
    const cJSON *parameters; /* or null */
} tool;

static zoo_piece piece(const char *s)
{
    return (zoo_piece){s, strlen(s)};
}

static zoo_gnode maybe_line(zoo_gbuild *b, zoo_gnode next)
{
    return zoo_g_either(b, zoo_g_text(b, "\n", 1, next), next);
}

/* The JSON object of the arguments. */
static zoo_gnode arguments(zoo_gbuild *b, const tool *t, zoo_gnode next)
{
    const cJSON *p = t->parameters;
    b->root = p;
    if (!p || !p->child) {
        return zoo_g_object(b, next);
    }
    return zoo_g_schema(b, p, next);
}

static zoo_gnode quoted(zoo_gbuild *b, zoo_piece text, zoo_gnode next)
{
    zoo_bytes bytes = {0};
    zoo_bytes_quote(&bytes, text);
    if (bytes.failed) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
    } else {
        next = zoo_g_text(b, bytes.s, bytes.n, next);
    }
    zoo_bytes_free(&bytes);
    return next;
}

static zoo_gnode json_member(zoo_gbuild *b, zoo_piece key, zoo_gnode value)
{
    return quoted(b, key, zoo_g_text(b, ":", 1, zoo_g_space(b, value)));
}

static zoo_gnode json_call(zoo_gbuild *b, const zoo_call_marks *m, const tool *t, zoo_gnode next)
{
    zoo_gnode at = zoo_g_space(b, zoo_g_text(b, "}", 1, next));
    at = json_member(b, m->arguments.at[0], arguments(b, t, at));
    at = quoted(b, t->name, zoo_g_text(b, ",", 1, zoo_g_space(b, at)));
    at = json_member(b, m->name.at[0], at);
    return zoo_g_text(b, "{", 1, zoo_g_space(b, at));
}

static zoo_gnode named_shape(zoo_gbuild *b, const zoo_call_marks *m, const tool *t, zoo_gnode next)
{
    zoo_gnode at = m->end.n ? zoo_g_mark(b, m->end, next) : next;
    at = m->close.n ? zoo_g_space(b, zoo_g_mark(b, m->close, at)) : at;
    at = zoo_g_mark(b, m->separator, arguments(b, t, at));
    at = zoo_g_text(b, t->name.s, t->name.n, at);
    at = m->skip.n ? zoo_g_either(b, zoo_g_mark(b, m->skip, at), at) : at;
    return zoo_g_mark(b, m->begin, at);
}

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* A string without its quotes, and the mark after it. */
static zoo_gnode bare_string(zoo_gbuild *b, const zoo_call_marks *m, const cJSON *schema,
                             zoo_gnode next)
{
    static const char *const not_kept[] = {"minLength", "maxLength", "pattern", "$ref",
                                           "allOf",     "anyOf",     "oneOf"};
    const cJSON *list = get(schema, "enum"), *only = get(schema, "const"), *c;
    zoo_gnode end = maybe_line(b, zoo_g_mark(b, m->parameter_end, next)), out = ZOO_GNODE_RETURN;
    bool any = false;
    for (size_t i = 0; i < ZOO_COUNT(not_kept); i++) {
        if (get(schema, not_kept[i])) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                            "%s of the parameter '%.60s' cannot be kept in this model's calls",
                            not_kept[i], schema->string);
        }
    }
    if (!list && !only) {
        return zoo_g_until(b, m->parameter_end, next);
    }
    for (c = list ? list->child : only; c; c = list ? c->next : NULL) {
        if (cJSON_IsString(c) && (!only || cJSON_Compare(c, only, 1))) {
            zoo_gnode one = zoo_g_text(b, c->valuestring, strlen(c->valuestring), end);
            out = any ? zoo_g_either(b, out, one) : one;
            any = true;
        }
    }
    if (!any) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "enum and const leave no string for '%.60s'",
                        schema->string);
    }
    return maybe_line(b, out);
}

static zoo_gnode parameter(zoo_gbuild *b, const zoo_call_marks *m, const cJSON *schema,
                           zoo_gnode next)
{
    const cJSON *type = get(schema, "type");
    bool is_string = cJSON_IsString(type) && strcmp(type->valuestring, "string") == 0;
    zoo_gnode at;
    if (is_string) {
        at = bare_string(b, m, schema, next);
    } else {
        at = maybe_line(b, zoo_g_mark(b, m->parameter_end, next));
        at = maybe_line(b, zoo_g_schema(b, schema, at));
    }
    at = m->parameter_open_end.n ? zoo_g_mark(b, m->parameter_open_end, at) : at;
    if (is_string && m->string_mark.n) {
        at = zoo_g_text(b, " ", 1, zoo_g_mark(b, m->string_mark, at));
    } else if (m->parameter_open_end.n) {
        at = maybe_line(b, at);
    }
    at = zoo_g_mark(b, m->parameter_name_end, at);
    at = zoo_g_mark(b, piece(schema->string), at);
    return zoo_g_mark(b, m->parameter_begin, at);
}

static bool is_required(const cJSON *required, const char *name)
{
    for (const cJSON *c = required ? required->child : NULL; c; c = c->next) {
        if (cJSON_IsString(c) && strcmp(c->valuestring, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_parameters(zoo_gbuild *b, const cJSON *parameters)
{
    static const char *const known[] = {"type",   "properties",  "required", "additionalProperties",
                                        "$defs",  "definitions", "title",    "description",
                                        "$schema"};
    const cJSON *required = get(parameters, "required");
    for (const cJSON *c = parameters ? parameters->child : NULL; c; c = c->next) {
        size_t i = 0;
        while (i < ZOO_COUNT(known) && strcmp(c->string, known[i]) != 0) {
            i++;
        }
        if (i == ZOO_COUNT(known)) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                            "'%.60s' in parameters cannot be kept in this model's calls",
                            c->string);
        }
    }
    for (const cJSON *c = required ? required->child : NULL; c; c = c->next) {
        if (!cJSON_IsString(c) || !get(get(parameters, "properties"), c->valuestring)) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                            "required in parameters names something that is no property");
        }
    }
}

static zoo_gnode parameters(zoo_gbuild *b, const zoo_call_marks *m, const tool *t, zoo_gnode next)
{
    const cJSON *properties = get(t->parameters, "properties"), *p;
    const cJSON *required = get(t->parameters, "required");
    int n = cJSON_GetArraySize(properties);
    check_parameters(b, t->parameters);
    b->root = t->parameters;
    for (int i = n - 1; i >= 0 && b->status == ZOO_OK; i--) {
        p = cJSON_GetArrayItem(properties, i);
        zoo_gnode with = maybe_line(b, parameter(b, m, p, next));
        next = is_required(required, p->string) ? with : zoo_g_either(b, with, next);
    }
    return next;
}

static zoo_gnode tagged_shape(zoo_gbuild *b, const zoo_call_marks *m, const tool *t, zoo_gnode next)
{
    zoo_gnode at = m->end.n ? maybe_line(b, zoo_g_mark(b, m->end, next)) : next;
    at = maybe_line(b, zoo_g_mark(b, m->function_end, at));
    at = parameters(b, m, t, at);
    at = m->function_open_end.n ? zoo_g_mark(b, m->function_open_end, at) : at;
    at = zoo_g_mark(b, m->function_name_end, at);
    at = zoo_g_text(b, t->name.s, t->name.n, at);
    at = zoo_g_mark(b, m->function_begin, at);
    return m->begin.n ? zoo_g_mark(b, m->begin, maybe_line(b, at)) : at;
}

static zoo_gnode loose_shape(zoo_gbuild *b, const zoo_call_marks *m, const tool *t, zoo_gnode next)
{
    zoo_gnode at = m->end.n ? zoo_g_mark(b, m->end, next) : next;
    b->quote = m->quote;
    at = zoo_g_text(b, t->name.s, t->name.n, arguments(b, t, at));
    b->quote = (zoo_piece){0};
    return zoo_g_mark(b, m->begin, m->prefix.n ? zoo_g_mark(b, m->prefix, at) : at);
}

static zoo_gnode channel(zoo_gbuild *b, const zoo_channel_marks *c, zoo_piece name, zoo_gnode next)
{
    return zoo_g_mark(b, c->channel, zoo_g_mark(b, name, next));
}

static zoo_gnode channel_call(zoo_gbuild *b, const zoo_output_format *f, const tool *t,
                              zoo_gnode next)
{
    const zoo_channel_marks *c = &f->channels;
    zoo_gnode at = zoo_g_mark(b, c->message, arguments(b, t, next));
    at = c->constrain.n ? zoo_g_either(b, zoo_g_mark(b, c->constrain, at), at) : at;
    at = zoo_g_text(b, t->name.s, t->name.n, at);
    at = zoo_g_mark(b, c->recipient, zoo_g_mark(b, c->recipient_prefix, at));
    return channel(b, c, c->content.at[c->content.n - 1], at);
}

static zoo_gnode marked_call(zoo_gbuild *b, const zoo_output_format *f, const tool *t,
                             zoo_gnode next)
{
    const zoo_call_marks *m = &f->tools[f->written];
    return m->shape == ZOO_CALL_NAMED    ? named_shape(b, m, t, next)
           : m->shape == ZOO_CALL_TAGGED ? tagged_shape(b, m, t, next)
           : m->shape == ZOO_CALL_LOOSE  ? loose_shape(b, m, t, next)
                                         : json_call(b, m, t, next);
}

static zoo_gnode bare_call(zoo_gbuild *b, const zoo_output_format *f, const tool *t, zoo_gnode next)
{
    (void)f;
    return json_call(b, &zoo_calls_bare, t, next);
}

typedef zoo_gnode call_shape(zoo_gbuild *b, const zoo_output_format *f, const tool *t,
                             zoo_gnode next);

/* A call of one of the tools. */
static zoo_gnode one_call(zoo_gbuild *b, const zoo_grammar_want *want, call_shape *shape,
                          zoo_gnode next)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    for (const cJSON *c = want->tools->child; c && b->status == ZOO_OK; c = c->next) {
        const cJSON *function = get(c, "function");
        function = function ? function : c;
        const cJSON *name = get(function, "name");
        if (!cJSON_IsString(name) || !name->valuestring[0]) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "a tool has no name");
            return out;
        }
        tool t = {piece(name->valuestring), get(function, "parameters")};
        if (!want->choice || strcmp(want->choice, name->valuestring) == 0) {
            zoo_gnode one = shape(b, want->format, &t, next);
            out = any ? zoo_g_either(b, out, one) : one;
            any = true;
        }
    }
    if (!any) {
        zoo_gbuild_fail(b, ZOO_E_USAGE, "there is no tool%s%.60s", want->choice ? " " : "",
                        want->choice ? want->choice : "");
    }
    return out;
}

/* A list of JSON calls after its bracket. */
static zoo_gnode listed_calls(zoo_gbuild *b, const zoo_grammar_want *want, zoo_gnode next)
{
    zoo_gnode close = zoo_g_text(b, "]", 1, next);
    if (!want->many) {
        return zoo_g_space(b, one_call(b, want, marked_call, zoo_g_space(b, close)));
    }
    zoo_gnode after = zoo_g_loop(b);
    zoo_gnode item = zoo_g_space(b, one_call(b, want, marked_call, zoo_g_space(b, after)));
    zoo_g_loop_set(b, after, zoo_g_text(b, ",", 1, item), close);
    return item;
}

/* JSON calls between marks: one, or a list. */
static zoo_gnode json_shape(zoo_gbuild *b, const zoo_grammar_want *want, zoo_gnode next)
{
    const zoo_call_marks *m = &want->format->tools[want->format->written];
    zoo_gnode end = m->end.n ? zoo_g_space(b, zoo_g_mark(b, m->end, next)) : next;
    zoo_gnode one = one_call(b, want, marked_call, end);
    if (!m->begin.n) {
        return one;
    }
    zoo_gnode list = zoo_g_text(b, "[", 1, listed_calls(b, want, end));
    return zoo_g_mark(b, m->begin, zoo_g_space(b, zoo_g_either(b, one, list)));
}

/* A call with its marks. */
static zoo_gnode whole_call(zoo_gbuild *b, const zoo_grammar_want *want, zoo_gnode next)
{
    const zoo_output_format *f = want->format;
    if (zoo_calls_are_bare(f)) {
        return one_call(b, want, bare_call, next);
    }
    return f->tools[f->written].shape == ZOO_CALL_JSON ? json_shape(b, want, next)
                                                       : one_call(b, want, marked_call, next);
}

static zoo_gnode calls(zoo_gbuild *b, const zoo_grammar_want *want)
{
    const zoo_output_format *f = want->format;
    bool bare = zoo_calls_are_bare(f), framed = !bare && f->section.n == 2;
    if (!bare && f->channels.given) {
        return one_call(b, want, channel_call, ZOO_GNODE_RETURN);
    }
    zoo_gnode end = framed ? zoo_g_mark(b, f->section.at[1], ZOO_GNODE_RETURN) : ZOO_GNODE_RETURN;
    zoo_gnode after = want->many ? zoo_g_loop(b) : end;
    zoo_gnode out = whole_call(b, want, after);
    if (want->many) {
        zoo_g_loop_set(b, after, maybe_line(b, out), end);
    }
    return framed ? zoo_g_mark(b, f->section.at[0], out) : out;
}

/* Reasoning first, at will: a message of its own before the one that counts. */
static zoo_gnode channels(zoo_gbuild *b, const zoo_channel_marks *c, zoo_gnode out)
{
    if (!c->reasoning.n || !c->ends.n || !c->role.n) {
        return out;
    }
    zoo_gnode again = zoo_g_mark(b, c->start, zoo_g_mark(b, c->role, out));
    zoo_gnode text = zoo_g_mark(b, c->message, zoo_g_until(b, c->ends.at[0], again));
    return zoo_g_either(b, out, channel(b, c, c->reasoning.at[0], text));
}

/* One of the strings, as it stands. */
static zoo_gnode options(zoo_gbuild *b, const cJSON *list)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    for (const cJSON *c = list->child; c && b->status == ZOO_OK; c = c->next) {
        zoo_piece text = piece(cJSON_IsString(c) ? c->valuestring : "");
        zoo_gnode one = zoo_g_text(b, text.s, text.n, ZOO_GNODE_RETURN);
        out = c == list->child ? one : zoo_g_either(b, out, one);
    }
    return out;
}

/* What is asked for after reasoning and marks. */
static zoo_gnode answer(zoo_gbuild *b, const zoo_grammar_want *want)
{
    if (want->tools) {
        return calls(b, want);
    }
    if (want->options) {
        return options(b, want->options);
    }
    if (want->ebnf) {
        return zoo_g_ebnf(b, want->ebnf, ZOO_GNODE_RETURN);
    }
    if (want->pattern) {
        return zoo_g_pattern_text(b, want->pattern, ZOO_GNODE_RETURN);
    }
    return want->schema ? zoo_g_schema(b, want->schema, ZOO_GNODE_RETURN)
                        : zoo_g_object(b, ZOO_GNODE_RETURN);
}

zoo_gnode zoo_g_want(zoo_gbuild *b, const zoo_grammar_want *want)
{
    const zoo_output_format *f = want->format;
    zoo_gnode out = answer(b, want);
    if (f && f->channels.given) {
        if (!want->tools && f->channels.content.n) {
            out = channel(b, &f->channels, f->channels.content.at[0],
                          zoo_g_mark(b, f->channels.message, out));
        }
        return channels(b, &f->channels, out);
    }
    if (f && want->reasoning && want->reasoning <= f->n_reasoning) {
        out = maybe_line(b, maybe_line(b, out));
        out = zoo_g_until(b, f->reasoning[want->reasoning - 1].close, out);
    }
    return out;
}
