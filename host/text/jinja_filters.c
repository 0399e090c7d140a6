/*
 * jinja_filters.c: filters of one value, and the table of all filters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_filters.h"

#define ARG(i) (args->args[i])

static bool is_absent(zoo_jv v)
{
    return v.kind == JV_UNDEFINED && !v.as.undefined;
}

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
    zoo_jv s = zoo_jv_to_str(x, self);
    s.safe = 0;
    return zoo_jstr_replace(x, s, zoo_jv_to_str(x, ARG(0)), zoo_jv_to_str(x, ARG(1)),
                            zoo_jarg_int(x, ARG(2), -1, "count"));
}

static zoo_jv f_default(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    bool use = self.kind == JV_UNDEFINED || (zoo_jarg_bool(ARG(1), false) && !zoo_jv_truth(self));
    if (!use) {
        return self;
    }
    return is_absent(ARG(0)) ? zoo_jv_text(x, "") : ARG(0);
}

static zoo_jv f_length(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    size_t n = 0;
    (void)args;
    if (!zoo_jv_length(self, &n)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "object of type '%s' has no len()", zoo_jv_type(self));
    }
    return ZOO_JV_INT((int64_t)n);
}

static zoo_jv blanks(zoo_jinja *x, zoo_jv width, int64_t fallback)
{
    if (width.kind == JV_STR) {
        return width;
    }
    int64_t n = zoo_jarg_int(x, width, fallback, "an indent");
    zoo_jbuf buf = {0};
    for (int64_t i = 0; i < n; i++) {
        zoo_jbuf_text(x, &buf, " ");
    }
    return zoo_jv_buf(x, &buf);
}

static zoo_jv f_indent(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv by = blanks(x, ARG(0), 4);
    bool first = zoo_jarg_bool(ARG(1), false), blank = zoo_jarg_bool(ARG(2), false);
    zoo_jbuf text = {0}, buf = {0};
    zoo_jbuf_str(x, &text, self);
    zoo_jbuf_text(x, &text, "\n");
    zoo_jv lines = zoo_jstr_lines(x, zoo_jv_buf(x, &text), false);
    for (size_t i = 0; i < lines.as.list->n; i++) {
        zoo_jv line = lines.as.list->items[i];
        if (i) {
            zoo_jbuf_text(x, &buf, "\n");
        }
        if (i ? blank || line.as.str->n : first) {
            zoo_jbuf_str(x, &buf, by);
        }
        zoo_jbuf_str(x, &buf, line);
    }
    return zoo_jv_buf(x, &buf);
}

static zoo_jv f_tojson(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jdump how = {.ascii = zoo_jarg_bool(ARG(0), false), .sorted = zoo_jarg_bool(ARG(3), false)};
    how.pretty = !is_absent(ARG(1)) && ARG(1).kind != JV_NONE;
    if (how.pretty) {
        how.indent = blanks(x, ARG(1), 0);
    }
    how.item_separator = zoo_jv_text(x, how.pretty ? "," : ", ");
    how.key_separator = zoo_jv_text(x, ": ");
    if (!is_absent(ARG(2)) && ARG(2).kind != JV_NONE) {
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

/* float(v) as Python has it; false when it raises. */
static bool to_float(zoo_jv v, double *out)
{
    char text[400];
    char *end = NULL;
    if (v.kind == JV_INT || v.kind == JV_BOOL || v.kind == JV_FLOAT) {
        *out = v.kind == JV_FLOAT ? v.as.f : v.kind == JV_BOOL ? (double)v.as.b : (double)v.as.i;
        return true;
    }
    if ((v.kind != JV_STR && v.kind != JV_BIG) || v.as.str->n >= sizeof text) {
        return false;
    }
    memcpy(text, v.as.str->s, v.as.str->n);
    text[v.as.str->n] = 0;
    if (strpbrk(text, "xXpP(")) {
        return false;
    }
    *out = strtod(text, &end);
    if (end == text) {
        return false;
    }
    end += strspn(end, " \t\n\r\v\f");
    return *end == 0;
}

static bool float_to_int(double f, zoo_jv *out)
{
    if (!(f > -9223372036854775809.0 && f < 9223372036854775808.0)) {
        return false;
    }
    *out = ZOO_JV_INT((int64_t)f);
    return true;
}

static zoo_jv f_int(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv out, fallback = is_absent(ARG(0)) ? ZOO_JV_INT(0) : ARG(0);
    int64_t base = zoo_jarg_int(x, ARG(1), 10, "the base");
    double f = 0.0;
    bool has_base = base == 0 || (base >= 2 && base <= 36);
    if (self.kind == JV_BIG || self.kind == JV_INT) {
        return self;
    }
    if (self.kind == JV_STR && has_base &&
        zoo_jv_parse_int(x, self.as.str->s, self.as.str->n, (int)base, &out)) {
        return out;
    }
    zoo_jv_need(x, self);
    if (!to_float(self, &f)) {
        return fallback;
    }
    if (isnan(f) || isinf(f)) {
        return fallback;
    }
    if (!float_to_int(f, &out)) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "an integer beyond 64 bits from a float");
    }
    return out;
}

static zoo_jv f_float(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    double f = 0.0;
    zoo_jv_need(x, self);
    if (to_float(self, &f)) {
        return zoo_jv_float(f);
    }
    return is_absent(ARG(0)) ? zoo_jv_float(0.0) : ARG(0);
}

static zoo_jv f_abs(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    zoo_jv_need(x, self);
    if (self.kind == JV_FLOAT) {
        return zoo_jv_float(fabs(self.as.f));
    }
    if (!zoo_jv_is_number(self)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "bad operand type for abs(): '%s'", zoo_jv_type(self));
    }
    bool negative = self.kind == JV_INT && self.as.i < 0;
    return negative || self.kind == JV_BIG ? zoo_jv_negate(x, self) : self;
}

/* round(v, digits): half to even on the decimal digits of the double, always a float. */
static zoo_jv f_round(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    char text[400];
    double f = 0.0;
    int64_t digits = zoo_jarg_int(x, ARG(0), 0, "the precision");
    zoo_jv_need(x, self);
    if (self.kind == JV_STR || !to_float(self, &f)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "type %s doesn't define __round__", zoo_jv_type(self));
    }
    if (digits < 0 || digits > 60) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "round to %lld digits is not supported",
                        (long long)digits);
    }
    double scale = pow(10.0, (double)digits);
    if (zoo_jv_is(ARG(1), "ceil")) {
        return zoo_jv_float(ceil(f * scale) / scale);
    }
    if (zoo_jv_is(ARG(1), "floor")) {
        return zoo_jv_float(floor(f * scale) / scale);
    }
    if (!is_absent(ARG(1)) && !zoo_jv_is(ARG(1), "common")) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "method must be common, ceil or floor");
    }
    (void)snprintf(text, sizeof text, "%.*f", (int)digits, f);
    zoo_jv out = zoo_jv_float(strtod(text, NULL));
    return self.kind == JV_FLOAT ? out : self;
}

static zoo_jv f_truncate(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv v = zoo_jv_to_str(x, self);
    const zoo_jstr *s = v.as.str;
    int64_t length = zoo_jarg_int(x, ARG(0), 255, "the length");
    int64_t leeway = zoo_jarg_int(x, ARG(3), 5, "the leeway");
    zoo_jv end = is_absent(ARG(2)) ? zoo_jv_text(x, "...") : ARG(2);
    int64_t tail = (int64_t)zoo_jarg_str(x, end, "the end")->n_chars;
    if (length < tail || leeway < 0 || leeway > INT32_MAX || length > INT32_MAX) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "truncate: length %lld and leeway %lld do not fit",
                        (long long)length, (long long)leeway);
    }
    if ((int64_t)s->n_chars <= length + leeway) {
        return v;
    }
    size_t keep = zoo_jstr_offset(s, (size_t)(length - tail));
    zoo_jstr head = {.n = keep, .s = s->s};
    zoo_jstr space = {.n = 1, .n_chars = 1, .s = " "};
    size_t cut = zoo_jarg_bool(ARG(1), false) ? SIZE_MAX : zoo_jstr_find(&head, &space, 0, true);
    zoo_jbuf buf = {0};
    zoo_jbuf_add(x, &buf, s->s, cut == SIZE_MAX ? keep : cut);
    zoo_jbuf_str(x, &buf, end);
    return zoo_jv_buf(x, &buf);
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
    zoo_jv width = is_absent(ARG(0)) ? ZOO_JV_INT(80) : ARG(0);
    zoo_jargs given = {.args = &width, .n_args = 1};
    return zoo_jinja_call(x, method, &given);
}

static zoo_jv f_format(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    if (args->n_named) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "format with named arguments is not supported");
    }
    zoo_jv tuple = zoo_jv_list(x, JV_TUPLE, args->n_args);
    for (size_t i = 0; i < args->n_args; i++) {
        zoo_jlist_add(x, tuple.as.list, args->args[i]);
    }
    return zoo_jstr_format(x, zoo_jv_to_str(x, self), tuple);
}

static zoo_jv f_attr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv out;
    zoo_jv name = zoo_jv_to_str(x, ARG(0));
    zoo_jv_need(x, self);
    if (self.kind == JV_NAMESPACE || self.kind == JV_LOOP || self.kind == JV_MACRO) {
        return zoo_jv_getattr(x, self, name);
    }
    return zoo_jv_method(x, self, name.as.str, &out) ? out : zoo_jv_undefined_of(x, self, name);
}

static const zoo_jfunction filters[] = {
    {"abs", f_abs, "", 0},
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
    {"float", f_float, "default", 0},
    {"forceescape", f_forceescape, "", 0},
    {"format", f_format, "*", 0},
    {"groupby", zoo_filter_groupby, "attribute default case_sensitive", 1},
    {"indent", f_indent, "width first blank", 0},
    {"int", f_int, "default base", 0},
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
    {"round", f_round, "precision method", 0},
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

const zoo_jfunction *zoo_jfilter_find(const char *s, size_t n)
{
    for (size_t i = 0; i < ZOO_COUNT(filters); i++) {
        if (strlen(filters[i].name) == n && memcmp(filters[i].name, s, n) == 0) {
            return &filters[i];
        }
    }
    return NULL;
}
