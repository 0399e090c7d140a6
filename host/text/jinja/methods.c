/*
 * methods.c: methods of str, dict, list and tuple.
 *
 * All that Python 3.12 has on these types and a sandboxed template may call is either here or
 * refused by name: a method that exists there must not look like a missing attribute here.
 */
#include <string.h>
#include <utf8proc.h>

#include "text/jinja/jinja_private.h"

#define ARG(i) (args->args[i])

static zoo_jv m_strip(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jv_strip(x, self, ARG(0), 3);
}

static zoo_jv m_lstrip(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jv_strip(x, self, ARG(0), 1);
}

static zoo_jv m_rstrip(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jv_strip(x, self, ARG(0), 2);
}

static zoo_jv m_split(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jstr_split(x, self, ARG(0), zoo_jarg_int(x, ARG(1), -1, "maxsplit"), false);
}

static zoo_jv m_rsplit(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jstr_split(x, self, ARG(0), zoo_jarg_int(x, ARG(1), -1, "maxsplit"), true);
}

static zoo_jv m_splitlines(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jstr_lines(x, self, zoo_jarg_bool(ARG(0), false));
}

static zoo_jv m_replace(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jstr_replace(x, self, ARG(0), ARG(1), zoo_jarg_int(x, ARG(2), -1, "count"));
}

static zoo_jv m_join(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv list = zoo_jv_to_list(x, ARG(0));
    for (size_t i = 0; i < list.as.list->n; i++) {
        if (list.as.list->items[i].kind != JV_STR) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "sequence item %zu: expected str instance, %s found",
                            i, zoo_jv_type(list.as.list->items[i]));
        }
    }
    return zoo_jstr_join(x, self, list);
}

static bool has_affix(const zoo_jstr *s, const zoo_jstr *affix, bool at_end)
{
    return affix->n <= s->n &&
           memcmp(at_end ? s->s + s->n - affix->n : s->s, affix->s, affix->n) == 0;
}

static int64_t bound(zoo_jinja *x, zoo_jv v, int64_t n, int64_t fallback)
{
    if (zoo_jv_absent(v) || v.kind == JV_NONE) {
        return fallback;
    }
    if (v.kind == JV_BIG) {
        return v.as.str->s[0] == '-' ? 0 : INT64_MAX;
    }
    int64_t at = zoo_jarg_int(x, v, 0, "a position");
    at += at < 0 ? n : 0;
    return at < 0 ? 0 : at;
}

/* self from the second argument to the third, as characters; false when the begin lies after the
 * end, where not even an empty text is found. *from: the characters before. */
static bool within(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, zoo_jstr *out, int64_t *from)
{
    const zoo_jstr *s = self.as.str;
    int64_t n = (int64_t)s->n_chars;
    int64_t start = bound(x, ARG(1), n, 0), end = bound(x, ARG(2), n, n);
    end = end > n ? n : end;
    if (start > end) {
        return false;
    }
    size_t begin = zoo_jstr_offset(s, (size_t)start), stop = zoo_jstr_offset(s, (size_t)end);
    *out = (zoo_jstr){.s = s->s + begin, .n = stop - begin, .n_chars = (size_t)(end - start)};
    *from = start;
    return true;
}

static zoo_jv affix_test(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool at_end)
{
    zoo_jstr s;
    int64_t from = 0;
    bool inside = within(x, self, args, &s, &from);
    if (ARG(0).kind != JV_TUPLE) {
        const zoo_jstr *affix = zoo_jarg_str(x, ARG(0), "an affix");
        return ZOO_JV_BOOL(inside && has_affix(&s, affix, at_end));
    }
    for (size_t i = 0; i < ARG(0).as.list->n; i++) {
        const zoo_jstr *affix = zoo_jarg_str(x, ARG(0).as.list->items[i], "an affix");
        if (inside && has_affix(&s, affix, at_end)) {
            return ZOO_JV_BOOL(true);
        }
    }
    return ZOO_JV_BOOL(false);
}

static zoo_jv m_startswith(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return affix_test(x, self, args, false);
}

static zoo_jv m_endswith(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return affix_test(x, self, args, true);
}

static zoo_jv m_removeprefix(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jstr *s = self.as.str, *affix = zoo_jarg_str(x, ARG(0), "the prefix");
    return has_affix(s, affix, false) ? zoo_jv_view(x, s->s + affix->n, s->n - affix->n) : self;
}

static zoo_jv m_removesuffix(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jstr *s = self.as.str, *affix = zoo_jarg_str(x, ARG(0), "the suffix");
    return has_affix(s, affix, true) ? zoo_jv_view(x, s->s, s->n - affix->n) : self;
}

static zoo_jv m_upper(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, self, JC_UPPER);
}

static zoo_jv m_lower(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, self, JC_LOWER);
}

static zoo_jv m_title(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, self, JC_TITLE);
}

static zoo_jv m_capitalize(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, self, JC_CAPITALIZE);
}

static zoo_jv m_swapcase(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_case(x, self, JC_SWAP);
}

static zoo_jv find_within(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool last)
{
    zoo_jstr s;
    int64_t from = 0;
    const zoo_jstr *needle = zoo_jarg_str(x, ARG(0), "what to find");
    bool inside = within(x, self, args, &s, &from);
    zoo_jinja_step(x, self.as.str->n / 64);
    size_t at = inside ? zoo_jstr_find(x, &s, needle, 0, last) : SIZE_MAX;
    return ZOO_JV_INT(at == SIZE_MAX ? -1 : from + (int64_t)zoo_utf8_count(s.s, at));
}

static zoo_jv m_find(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return find_within(x, self, args, false);
}

static zoo_jv m_rfind(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return find_within(x, self, args, true);
}

static zoo_jv index_of(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool last)
{
    zoo_jv at = find_within(x, self, args, last);
    if (at.as.i < 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "substring not found");
    }
    return at;
}

static zoo_jv m_index(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return index_of(x, self, args, false);
}

static zoo_jv m_rindex(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return index_of(x, self, args, true);
}

static zoo_jv m_count(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jstr *needle = zoo_jarg_str(x, ARG(0), "what to count");
    zoo_jstr part;
    const zoo_jstr *s = &part;
    int64_t n = 0, from = 0;
    if (!within(x, self, args, &part, &from)) {
        return ZOO_JV_INT(0);
    }
    if (needle->n == 0) {
        return ZOO_JV_INT((int64_t)s->n_chars + 1);
    }
    size_t at = zoo_jstr_find(x, s, needle, 0, false);
    while (at != SIZE_MAX) {
        n++;
        zoo_jinja_step(x, 1);
        at = zoo_jstr_find(x, s, needle, at + needle->n, false);
    }
    return ZOO_JV_INT(n);
}

static zoo_jv partition(zoo_jinja *x, zoo_jv self, zoo_jv separator, bool last)
{
    const zoo_jstr *s = self.as.str, *by = zoo_jarg_str(x, separator, "the separator");
    if (by->n == 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "empty separator");
    }
    size_t at = zoo_jstr_find(x, s, by, 0, last);
    bool found = at != SIZE_MAX;
    zoo_jv out = zoo_jv_list(x, JV_TUPLE, 3), none = zoo_jv_text(x, "");
    size_t head = found ? at : last ? 0 : s->n;
    zoo_jlist_add(x, out.as.list, zoo_jv_view(x, s->s, head));
    zoo_jlist_add(x, out.as.list, found ? separator : none);
    size_t tail = found ? at + by->n : head;
    zoo_jlist_add(x, out.as.list, zoo_jv_view(x, s->s + tail, s->n - tail));
    return out;
}

static zoo_jv m_partition(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return partition(x, self, ARG(0), false);
}

static zoo_jv m_rpartition(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return partition(x, self, ARG(0), true);
}

static zoo_jv pad(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, int side)
{
    const zoo_jstr *s = self.as.str;
    int64_t width = zoo_jarg_int(x, ARG(0), 0, "the width");
    zoo_jv fill = zoo_jv_absent(ARG(1)) ? zoo_jv_text(x, " ") : ARG(1);
    if (zoo_jarg_str(x, fill, "the fill character")->n_chars != 1) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "the fill character must be exactly one character long");
    }
    int64_t total = width - (int64_t)s->n_chars;
    total = total > 0 ? total : 0;
    /* Python's centre puts the odd blank on the left when the width is odd, too. */
    int64_t left = side == 0 ? total / 2 + (total & width & 1) : side < 0 ? total : 0;
    zoo_jbuf buf = {0};
    for (int64_t i = 0; i < left; i++) {
        zoo_jbuf_str(x, &buf, fill);
    }
    zoo_jbuf_add(x, &buf, s->s, s->n);
    for (int64_t i = 0; i < total - left; i++) {
        zoo_jbuf_str(x, &buf, fill);
    }
    return zoo_jv_buf(x, &buf);
}

static zoo_jv m_ljust(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return pad(x, self, args, 1);
}

static zoo_jv m_rjust(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return pad(x, self, args, -1);
}

static zoo_jv m_center(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return pad(x, self, args, 0);
}

static zoo_jv m_zfill(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jstr *s = self.as.str;
    int64_t missing = zoo_jarg_int(x, ARG(0), 0, "the width") - (int64_t)s->n_chars;
    size_t sign = s->n && (s->s[0] == '-' || s->s[0] == '+');
    zoo_jbuf buf = {0};
    zoo_jbuf_add(x, &buf, s->s, sign);
    for (; missing > 0; missing--) {
        zoo_jbuf_text(x, &buf, "0");
    }
    zoo_jbuf_add(x, &buf, s->s + sign, s->n - sign);
    return zoo_jv_buf(x, &buf);
}

static const zoo_jfunction str_methods[] = {
    {"strip", m_strip, "/ chars", 0},
    {"lstrip", m_lstrip, "/ chars", 0},
    {"rstrip", m_rstrip, "/ chars", 0},
    {"split", m_split, "sep maxsplit", 0},
    {"rsplit", m_rsplit, "sep maxsplit", 0},
    {"splitlines", m_splitlines, "keepends", 0},
    {"replace", m_replace, "/ old new count", 2},
    {"join", m_join, "/ iterable", 1},
    {"startswith", m_startswith, "/ prefix start end", 1},
    {"endswith", m_endswith, "/ suffix start end", 1},
    {"removeprefix", m_removeprefix, "/ prefix", 1},
    {"removesuffix", m_removesuffix, "/ suffix", 1},
    {"upper", m_upper, "", 0},
    {"lower", m_lower, "", 0},
    {"title", m_title, "", 0},
    {"capitalize", m_capitalize, "", 0},
    {"swapcase", m_swapcase, "", 0},
    {"find", m_find, "/ sub start end", 1},
    {"rfind", m_rfind, "/ sub start end", 1},
    {"index", m_index, "/ sub start end", 1},
    {"rindex", m_rindex, "/ sub start end", 1},
    {"count", m_count, "/ sub start end", 1},
    {"partition", m_partition, "/ sep", 1},
    {"rpartition", m_rpartition, "/ sep", 1},
    {"ljust", m_ljust, "/ width fillchar", 1},
    {"rjust", m_rjust, "/ width fillchar", 1},
    {"center", m_center, "/ width fillchar", 1},
    {"zfill", m_zfill, "/ width", 1},
};

static const char *const str_refused[] = {"casefold",  "encode",     "expandtabs",
                                          "format",    "format_map", "isidentifier",
                                          "isnumeric", "maketrans",  "translate"};

static zoo_jv dict_pairs(zoo_jinja *x, zoo_jv self, const char *tag)
{
    const zoo_jdict *dict = self.as.dict;
    zoo_jv out = zoo_jv_list(x, JV_VIEW, dict->n);
    out.as.list->tag = tag;
    for (size_t i = 0; i < dict->n; i++) {
        zoo_jinja_step(x, 1);
        if (tag[5] == 'k') {
            zoo_jlist_add(x, out.as.list, dict->entries[i].key);
        } else if (tag[5] == 'v') {
            zoo_jlist_add(x, out.as.list, dict->entries[i].value);
        } else {
            zoo_jv pair = zoo_jv_list(x, JV_TUPLE, 2);
            zoo_jlist_add(x, pair.as.list, dict->entries[i].key);
            zoo_jlist_add(x, pair.as.list, dict->entries[i].value);
            zoo_jlist_add(x, out.as.list, pair);
        }
    }
    return out;
}

static zoo_jv m_items(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return dict_pairs(x, self, "dict_items");
}

static zoo_jv m_keys(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return dict_pairs(x, self, "dict_keys");
}

static zoo_jv m_values(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return dict_pairs(x, self, "dict_values");
}

static zoo_jv m_get(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jv *found = zoo_jdict_get(x, self.as.dict, ARG(0));
    return found ? *found : zoo_jv_absent(ARG(1)) ? ZOO_JV_NONE : ARG(1);
}

/* No template can change a dict or list, so a copy may be the same one. */
static zoo_jv m_copy(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return self;
}

static const zoo_jfunction dict_methods[] = {
    {"items", m_items, "", 0},          {"keys", m_keys, "", 0}, {"values", m_values, "", 0},
    {"get", m_get, "/ key default", 1}, {"copy", m_copy, "", 0},
};

static const char *const dict_refused[] = {"fromkeys"};

static zoo_jv m_list_count(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    int64_t n = 0;
    for (size_t i = 0; i < self.as.list->n; i++) {
        n += zoo_jv_same(x, self.as.list->items[i], ARG(0));
    }
    return ZOO_JV_INT(n);
}

static zoo_jv m_list_index(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    int64_t n = (int64_t)self.as.list->n;
    int64_t start = zoo_jarg_int(x, ARG(1), 0, "a position");
    int64_t stop = zoo_jarg_int(x, ARG(2), n, "a position");
    start += start < 0 ? n : 0;
    stop += stop < 0 ? n : 0;
    for (int64_t i = start < 0 ? 0 : start; i < n && i < stop; i++) {
        if (zoo_jv_same(x, self.as.list->items[i], ARG(0))) {
            return ZOO_JV_INT(i);
        }
    }
    zoo_jinja_raise(x, ZOO_E_CONFIG, "the value is not in the list");
}

static zoo_jv m_range_count(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return ZOO_JV_INT(zoo_jv_contains(x, self, ARG(0)));
}

static zoo_jv m_range_index(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv list = zoo_jv_to_list(x, self);
    zoo_jv given[3] = {ARG(0)};
    zoo_jargs one = {.args = given, .n_args = 3};
    return m_list_index(x, list, &one);
}

static const zoo_jfunction range_methods[] = {
    {"count", m_range_count, "/ value", 1},
    {"index", m_range_index, "/ value", 1},
};

static const zoo_jfunction list_methods[] = {
    {"count", m_list_count, "/ value", 1},
    {"index", m_list_index, "/ value start stop", 1},
    {"copy", m_copy, "", 0},
};

static const char *const view_refused[] = {"isdisjoint", "mapping"};
static const char *const generator_refused[] = {"close",      "send",         "throw",
                                                "gi_running", "gi_suspended", "gi_yieldfrom"};

static const char *const number_refused[] = {
    "real",       "imag",      "numerator", "denominator", "conjugate",
    "bit_length", "bit_count", "to_bytes",  "from_bytes",  "as_integer_ratio",
    "is_integer", "hex",       "fromhex"};

typedef struct method_table {
    const zoo_jfunction *methods;
    size_t n_methods;
    const char *const *refused;
    size_t n_refused;
} method_table;

static method_table table_of(zoo_jv obj)
{
    switch (obj.kind) {
    case JV_STR:
        return (method_table){str_methods, ZOO_COUNT(str_methods), str_refused,
                              ZOO_COUNT(str_refused)};
    case JV_DICT:
        return (method_table){dict_methods, ZOO_COUNT(dict_methods), dict_refused,
                              ZOO_COUNT(dict_refused)};
    case JV_LIST:
        return (method_table){list_methods, ZOO_COUNT(list_methods), NULL, 0};
    case JV_TUPLE:
        return (method_table){list_methods, ZOO_COUNT(list_methods) - 1, NULL, 0};
    case JV_RANGE:
        return (method_table){range_methods, ZOO_COUNT(range_methods), NULL, 0};
    case JV_VIEW:
        return (method_table){NULL, 0, view_refused, ZOO_COUNT(view_refused)};
    case JV_GENERATOR:
        return (method_table){NULL, 0, generator_refused, ZOO_COUNT(generator_refused)};
    case JV_FUNCTION:
        return (method_table){NULL, 0, dict_refused, ZOO_COUNT(dict_refused)};
    case JV_INT:
    case JV_BIG:
    case JV_BOOL:
    case JV_FLOAT:
        return (method_table){NULL, 0, number_refused, ZOO_COUNT(number_refused)};
    default:
        return (method_table){NULL, 0, NULL, 0};
    }
}

static zoo_jv bound_method(zoo_jinja *x, const zoo_jfunction *f, zoo_jv self)
{
    zoo_jbound *bound = zoo_jinja_take(x, sizeof *bound);
    *bound = (zoo_jbound){.function = f, .self = self};
    return (zoo_jv){.kind = JV_METHOD, .as.method = bound};
}

bool zoo_jv_method(zoo_jinja *x, zoo_jv obj, const zoo_jstr *name, zoo_jv *out)
{
    method_table table = table_of(obj);
    for (size_t i = 0; i < table.n_methods; i++) {
        const zoo_jfunction *f = &table.methods[i];
        if (strlen(f->name) == name->n && memcmp(f->name, name->s, name->n) == 0) {
            *out = bound_method(x, f, obj);
            return true;
        }
    }
    const zoo_jfunction *predicate = obj.kind == JV_STR ? zoo_jpredicate_find(name) : NULL;
    if (predicate) {
        *out = bound_method(x, predicate, obj);
        return true;
    }
    for (size_t i = 0; i < table.n_refused; i++) {
        const char *refused = table.refused[i];
        if (strlen(refused) == name->n && memcmp(refused, name->s, name->n) == 0) {
            zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the attribute '%s' of '%s' is not supported",
                            refused, zoo_jv_type(obj));
        }
    }
    return false;
}
