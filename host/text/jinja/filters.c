/*
 * filters.c: filters of one value, and the table of all filters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/filters.h"

#define ARG(i) (args->args[i])

static zoo_jv f_trim(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jv_strip(x, zoo_jv_to_str(x, self), ARG(0), 3);
}

static zoo_jv f_upper(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, zoo_jv_to_str(x, self), JC_UPPER);
}

static zoo_jv f_lower(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, zoo_jv_to_str(x, self), JC_LOWER);
}

static zoo_jv f_capitalize(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, zoo_jv_to_str(x, self), JC_CAPITALIZE);
}

static bool starts_word(uint32_t c)
{
    return zoo_char_is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* Words begin after spaces, hyphens and opening brackets only. */
static zoo_jv f_title(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    zoo_jv v = zoo_jv_to_str(x, self);
    const zoo_jstr *s = v.as.str;
    zoo_jbuf buf = {0};
    size_t at = 0, n = 0;
    while (at < s->n) {
        if (starts_word(zoo_utf8_at(s->s + at, &n))) {
            zoo_jbuf_add(x, &buf, s->s + at, n);
            at += n;
            continue;
        }
        size_t end = at, first = n;
        while (end < s->n && !starts_word(zoo_utf8_at(s->s + end, &n))) {
            end += n;
        }
        zoo_jv head = zoo_jv_case(x, zoo_jv_view(x, s->s + at, first), JC_UPPER);
        zoo_jv tail = zoo_jv_view(x, s->s + at + first, end - at - first);
        zoo_jbuf_str(x, &buf, head);
        zoo_jbuf_str(x, &buf, zoo_jv_case(x, tail, JC_LOWER));
        at = end;
    }
    return zoo_jv_buf(x, &buf);
}

static zoo_jv f_string(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_to_str(x, self);
}

static zoo_jv f_safe(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    zoo_jv out = zoo_jv_to_str(x, self);
    out.safe = 1;
    return out;
}

static zoo_jv f_escape(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_escape(x, self);
}

static zoo_jv f_forceescape(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    zoo_jv v = zoo_jv_to_str(x, self);
    v.safe = 0;
    return zoo_jv_escape(x, v);
}

static zoo_jv f_replace(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv s = zoo_jv_to_str(x, self), from = zoo_jv_to_str(x, ARG(0));
    s.safe = 0;
    return zoo_jstr_replace(x, s, from, zoo_jv_to_str(x, ARG(1)),
                            ARG(2).kind == JV_NONE ? -1 : zoo_jarg_int(x, ARG(2), -1, "count"));
}

static zoo_jv f_default(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    bool use = self.kind == JV_UNDEFINED || (zoo_jarg_bool(ARG(1), false) && !zoo_jv_truth(self));
    if (!use) {
        return self;
    }
    return zoo_jv_absent(ARG(0)) ? zoo_jv_text(x, "") : ARG(0);
}

static zoo_jv f_length(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    size_t n = 0;
    (void)args;
    if (self.kind == JV_LOOP) {
        return ZOO_JV_INT(zoo_jloop_length(x, self.as.loop));
    }
    if (!zoo_jv_length(self, &n)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "object of type '%s' has no len()", zoo_jv_type(self));
    }
    return ZOO_JV_INT((int64_t)n);
}

/* A string as it is, a number as so many blanks. */
static zoo_jv blanks(zoo_jinja *x, zoo_jv width, int64_t fallback)
{
    if (width.kind == JV_STR) {
        return width;
    }
    zoo_jv n = ZOO_JV_INT(zoo_jarg_int(x, width, fallback, "an indent"));
    return zoo_jv_binary(x, JO_MUL, zoo_jv_text(x, " "), n);
}

static zoo_jv f_indent(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv by = blanks(x, ARG(0), 4);
    bool first = zoo_jarg_bool(ARG(1), false), blank = zoo_jarg_bool(ARG(2), false);
    zoo_jv newline = zoo_jv_text(x, "\n");
    zoo_jbuf buf = {0};
    (void)zoo_jarg_str(x, self, "what is indented");
    by.safe = by.safe || self.safe;
    zoo_jv lines = zoo_jstr_lines(x, zoo_jv_binary(x, JO_ADD, self, newline), false);
    for (size_t i = 0; i < lines.as.list->n; i++) {
        zoo_jv line = lines.as.list->items[i];
        if (i) {
            zoo_jbuf_text(x, &buf, "\n");
        }
        if (i && (blank || line.as.str->n)) {
            line = zoo_jv_binary(x, JO_ADD, by, line);
        }
        zoo_jbuf_str(x, &buf, line);
    }
    zoo_jv out = zoo_jv_buf(x, &buf);
    out.safe = self.safe;
    return first ? zoo_jv_binary(x, JO_ADD, by, out) : out;
}

static zoo_jv f_tojson(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jdump how = {.ascii = zoo_jarg_bool(ARG(0), false), .sorted = zoo_jarg_bool(ARG(3), false)};
    how.pretty = !zoo_jv_absent(ARG(1)) && ARG(1).kind != JV_NONE;
    if (how.pretty) {
        how.indent = blanks(x, ARG(1), 0);
    }
    how.item_separator = zoo_jv_text(x, how.pretty ? "," : ", ");
    how.key_separator = zoo_jv_text(x, ": ");
    if (!zoo_jv_absent(ARG(2)) && ARG(2).kind != JV_NONE) {
        zoo_jv pair = zoo_jv_to_list(x, ARG(2));
        if (pair.as.list->n != 2) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "tojson wants two separators");
        }
        how.item_separator = pair.as.list->items[0];
        how.key_separator = pair.as.list->items[1];
        (void)zoo_jarg_str(x, how.item_separator, "a separator");
        (void)zoo_jarg_str(x, how.key_separator, "a separator");
    }
    zoo_jbuf buf = {0};
    zoo_jbuf_json(x, &buf, self, &how);
    return zoo_jv_buf(x, &buf);
}

/* Lengths are compared as numbers; only a cut needs a string and integers. */
static zoo_jv f_truncate(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv length = zoo_jv_absent(ARG(0)) ? ZOO_JV_INT(255) : ARG(0);
    bool no_leeway = zoo_jv_absent(ARG(3)) || ARG(3).kind == JV_NONE;
    zoo_jv leeway = no_leeway ? ZOO_JV_INT(5) : ARG(3);
    zoo_jv end = zoo_jv_absent(ARG(2)) ? zoo_jv_text(x, "...") : ARG(2);
    size_t tail = 0, n = 0;
    if (!zoo_jv_length(end, &tail) || !zoo_jv_length(self, &n)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "truncate: an object has no len()");
    }
    if (!zoo_jv_relation(x, JO_GE, length, ZOO_JV_INT((int64_t)tail)) ||
        !zoo_jv_relation(x, JO_GE, leeway, ZOO_JV_INT(0))) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "truncate: length and leeway do not fit");
    }
    zoo_jv most = zoo_jv_binary(x, JO_ADD, length, leeway);
    if (zoo_jv_relation(x, JO_LE, ZOO_JV_INT((int64_t)n), most)) {
        return self;
    }
    zoo_jv keep = zoo_jv_binary(x, JO_SUB, length, ZOO_JV_INT((int64_t)tail));
    zoo_jv head = zoo_jv_slice(x, self, ZOO_JV_NONE, keep, ZOO_JV_NONE);
    if (!zoo_jarg_bool(ARG(1), false)) {
        (void)zoo_jarg_str(x, head, "what is truncated");
        zoo_jv parts = zoo_jstr_split(x, head, zoo_jv_text(x, " "), 1, true);
        head = parts.as.list->items[0];
    }
    return zoo_jv_binary(x, JO_ADD, head, end);
}

static zoo_jv f_wordcount(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    const zoo_jstr *s = zoo_jv_to_str(x, self).as.str;
    int64_t count = 0;
    bool in_word = false;
    size_t n = 0;
    for (size_t at = 0; at < s->n; at += n) {
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        bool is_word = zoo_char_is_word(c);
        count += is_word && !in_word;
        in_word = is_word;
    }
    return ZOO_JV_INT(count);
}

static zoo_jv f_center(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv method, s = zoo_jv_to_str(x, self);
    zoo_jstr name = {.n = 6, .n_chars = 6, .s = "center"};
    (void)zoo_jv_method(x, s, &name, &method);
    zoo_jv width = zoo_jv_absent(ARG(0)) ? ZOO_JV_INT(80) : ARG(0);
    zoo_jargs given = {.args = &width, .n_args = 1};
    return zoo_jinja_call(x, method, &given);
}

static zoo_jv f_format(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv named = zoo_jv_dict(x), tuple = zoo_jv_list(x, JV_TUPLE, args->n_args);
    if (args->n_named && args->n_args) {
        zoo_jinja_raise(x, ZOO_E_CONFIG,
                        "can't handle positional and keyword arguments at the same time");
    }
    for (size_t i = 0; i < args->n_named; i++) {
        zoo_jv key = {.kind = JV_STR, .as.str = args->names[i]};
        zoo_jdict_set(x, named.as.dict, key, args->named[i]);
    }
    for (size_t i = 0; i < args->n_args; i++) {
        zoo_jlist_add(x, tuple.as.list, args->args[i]);
    }
    return zoo_jstr_format(x, zoo_jv_to_str(x, self), args->n_named ? named : tuple);
}

static zoo_jv f_attr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv out;
    (void)zoo_jarg_str(x, ARG(0), "the name of an attribute");
    zoo_jv_need(x, self);
    return zoo_jv_attribute(x, self, ARG(0), &out) ? out : zoo_jv_undefined_of(x, self, ARG(0));
}

static const zoo_jfunction filters[] = {
    {"abs", zoo_filter_abs, "", 0},
    {"attr", f_attr, "name", 1},
    {"batch", zoo_filter_batch, "linecount fill_with", 1},
    {"capitalize", f_capitalize, "", 0},
    {"center", f_center, "width", 0},
    {"count", f_length, "", 0},
    {"d", f_default, "default_value boolean", 0},
    {"default", f_default, "default_value boolean", 0},
    {"dictsort", zoo_filter_dictsort, "case_sensitive by reverse", 0},
    {"e", f_escape, "", 0},
    {"escape", f_escape, "", 0},
    {"first", zoo_filter_first, "", 0},
    {"float", zoo_filter_float, "default", 0},
    {"forceescape", f_forceescape, "", 0},
    {"format", f_format, "*", 0},
    {"groupby", zoo_filter_groupby, "attribute default case_sensitive", 1},
    {"indent", f_indent, "width first blank", 0},
    {"int", zoo_filter_int, "default base", 0},
    {"items", zoo_filter_items, "", 0},
    {"join", zoo_filter_join, "d attribute", 0},
    {"last", zoo_filter_last, "", 0},
    {"length", f_length, "", 0},
    {"list", zoo_filter_list, "", 0},
    {"lower", f_lower, "", 0},
    {"map", zoo_filter_map, "*", 0},
    {"max", zoo_filter_max, "case_sensitive attribute", 0},
    {"min", zoo_filter_min, "case_sensitive attribute", 0},
    {"reject", zoo_filter_reject, "*", 0},
    {"rejectattr", zoo_filter_rejectattr, "*", 0},
    {"replace", f_replace, "old new count", 2},
    {"reverse", zoo_filter_reverse, "", 0},
    {"round", zoo_filter_round, "precision method", 0},
    {"safe", f_safe, "", 0},
    {"select", zoo_filter_select, "*", 0},
    {"selectattr", zoo_filter_selectattr, "*", 0},
    {"slice", zoo_filter_slice, "slices fill_with", 1},
    {"sort", zoo_filter_sort, "reverse case_sensitive attribute", 0},
    {"string", f_string, "", 0},
    {"sum", zoo_filter_sum, "attribute start", 0},
    {"title", f_title, "", 0},
    {"tojson", f_tojson, "ensure_ascii indent separators sort_keys", 0},
    {"trim", f_trim, "chars", 0},
    {"truncate", f_truncate, "length killwords end leeway", 0},
    {"unique", zoo_filter_unique, "case_sensitive attribute", 0},
    {"upper", f_upper, "", 0},
    {"wordcount", f_wordcount, "", 0},
};

bool zoo_jfilter_exists(zoo_jv name)
{
    static const char *const refused[] = {"filesizeformat", "pprint", "random",   "striptags",
                                          "urlencode",      "urlize", "wordwrap", "xmlattr"};
    for (size_t i = 0; i < ZOO_COUNT(refused); i++) {
        if (zoo_jv_is(name, refused[i])) {
            return true;
        }
    }
    return name.kind == JV_STR && zoo_jfilter_find(name.as.str->s, name.as.str->n);
}

const zoo_jfunction *zoo_jfilter_find(const char *s, size_t n)
{
    for (size_t i = 0; i < ZOO_COUNT(filters); i++) {
        if (strlen(filters[i].name) == n && memcmp(filters[i].name, s, n) == 0) {
            return &filters[i];
        }
    }
    return NULL;
}
