/*
 * jinja_lists.c: filters over many items that keep their order: select, map, join, slices.
 *
 * What Jinja makes lazily (map, select, reject and their attr forms, items, unique, batch, slice)
 * is made at once here but stays a generator to the template: it can be read once and has neither
 * length nor items.
 */
#include <string.h>

#include "text/jinja_filters.h"

#define ARG(i) (args->args[i])

static bool is_absent(zoo_jv v)
{
    return v.kind == JV_UNDEFINED && !v.as.undefined;
}

zoo_jv zoo_jv_path(zoo_jinja *x, zoo_jv item, zoo_jv path)
{
    if (path.kind != JV_STR) {
        return zoo_jv_getitem(x, item, path);
    }
    const zoo_jstr *s = path.as.str;
    for (size_t at = 0; at <= s->n;) {
        const char *dot = memchr(s->s + at, '.', s->n - at);
        size_t n = dot ? (size_t)(dot - (s->s + at)) : s->n - at;
        zoo_jv key = zoo_jv_view(x, s->s + at, n);
        if (n && strspn(s->s + at, "0123456789") >= n) {
            (void)zoo_jv_parse_int(x, s->s + at, n, 10, &key);
        }
        item = zoo_jv_getitem(x, item, key);
        at += n + 1;
    }
    return item;
}

zoo_jv zoo_filter_list(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_to_list(x, self);
}

zoo_jv zoo_filter_first(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv item;
    (void)args;
    zoo_jiter it = zoo_jiter_begin(x, self);
    bool found = zoo_jiter_next(x, &it, &item);
    return found ? item : zoo_jv_undefined_hint(x, "No first item, sequence was empty.");
}

zoo_jv zoo_filter_last(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    if (self.kind == JV_GENERATOR) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'generator' object is not reversible");
    }
    zoo_jv list = zoo_jv_to_list(x, self);
    size_t n = list.as.list->n;
    return n ? list.as.list->items[n - 1]
             : zoo_jv_undefined_hint(x, "No last item, sequence was empty.");
}

zoo_jv zoo_filter_reverse(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    if (self.kind == JV_STR) {
        return zoo_jv_slice(x, self, ZOO_JV_NONE, ZOO_JV_NONE, ZOO_JV_INT(-1));
    }
    zoo_jv list = zoo_jv_to_list(x, self);
    zoo_jv out = zoo_jv_list(x, JV_GENERATOR, list.as.list->n);
    for (size_t i = list.as.list->n; i > 0; i--) {
        zoo_jlist_add(x, out.as.list, list.as.list->items[i - 1]);
    }
    return out;
}

zoo_jv zoo_filter_items(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv method, out = zoo_jv_list(x, JV_GENERATOR, 0), item;
    zoo_jstr name = {.n = 5, .n_chars = 5, .s = "items"};
    zoo_jargs none = {0};
    (void)args;
    if (self.kind == JV_UNDEFINED) {
        return out;
    }
    if (self.kind != JV_DICT) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "Can only get item pairs from a mapping.");
    }
    (void)zoo_jv_method(x, self, &name, &method);
    zoo_jiter it = zoo_jiter_begin(x, zoo_jinja_call(x, method, &none));
    while (zoo_jiter_next(x, &it, &item)) {
        zoo_jlist_add(x, out.as.list, item);
    }
    return out;
}

zoo_jv zoo_filter_join(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv separator = is_absent(ARG(0)) ? zoo_jv_text(x, "") : zoo_jv_to_str(x, ARG(0));
    separator.safe = 0;
    if (is_absent(ARG(1)) || ARG(1).kind == JV_NONE) {
        return zoo_jstr_join(x, separator, self);
    }
    zoo_jv list = zoo_jv_to_list(x, self);
    for (size_t i = 0; i < list.as.list->n; i++) {
        list.as.list->items[i] = zoo_jv_path(x, list.as.list->items[i], ARG(1));
    }
    return zoo_jstr_join(x, separator, list);
}

/* The arguments from the first-th on, for a filter or test called by name. */
static zoo_jargs rest(const zoo_jargs *args, size_t first)
{
    zoo_jargs out = *args;
    out.args += first;
    out.n_args -= first;
    return out;
}

static zoo_jv map_attribute(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv path = ZOO_JV_NONE, fallback = {0}, item;
    for (size_t i = 0; i < args->n_named; i++) {
        const zoo_jstr *name = args->names[i];
        if (name->n == 9 && memcmp(name->s, "attribute", 9) == 0) {
            path = args->named[i];
        } else if (name->n == 7 && memcmp(name->s, "default", 7) == 0) {
            fallback = args->named[i];
        } else {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "Unexpected keyword argument '%.*s'", (int)name->n,
                            name->s);
        }
    }
    zoo_jv out = zoo_jv_list(x, JV_GENERATOR, 0);
    zoo_jiter it = zoo_jiter_begin(x, self);
    while (zoo_jiter_next(x, &it, &item)) {
        zoo_jv value = zoo_jv_path(x, item, path);
        bool use_default = value.kind == JV_UNDEFINED && !is_absent(fallback);
        zoo_jlist_add(x, out.as.list, use_default ? fallback : value);
    }
    return out;
}

zoo_jv zoo_filter_map(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    if (!zoo_jv_truth(self)) {
        return zoo_jv_list(x, JV_GENERATOR, 0);
    }
    if (!args->n_args) {
        if (!args->n_named) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "map requires a filter argument");
        }
        return map_attribute(x, self, args);
    }
    const zoo_jstr *name = zoo_jarg_str(x, args->args[0], "the name of a filter");
    const zoo_jfunction *f = zoo_jfilter_find(name->s, name->n);
    if (!f) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the filter '%.*s' is not supported", (int)name->n,
                        name->s);
    }
    zoo_jargs given = rest(args, 1);
    zoo_jv out = zoo_jv_list(x, JV_GENERATOR, 0), item;
    zoo_jiter it = zoo_jiter_begin(x, self);
    zoo_jinja_enter(x);
    while (zoo_jiter_next(x, &it, &item)) {
        zoo_jlist_add(x, out.as.list, zoo_jfunction_call(x, f, item, &given));
    }
    zoo_jinja_leave(x);
    return out;
}

static zoo_jv select(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool by_path, bool keep)
{
    size_t first = by_path ? 1 : 0;
    const zoo_jfunction *test = NULL;
    zoo_jargs given = {0};
    /* Whatever is false, None too, selects nothing and is no error. */
    if (!zoo_jv_truth(self)) {
        return zoo_jv_list(x, JV_GENERATOR, 0);
    }
    if (args->n_args < first) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "Missing parameter for attribute name");
    }
    if (args->n_args > first) {
        const zoo_jstr *name = zoo_jarg_str(x, args->args[first], "the name of a test");
        test = zoo_jtest_find(name->s, name->n);
        if (!test) {
            zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the test '%.*s' is not supported", (int)name->n,
                            name->s);
        }
        given = rest(args, first + 1);
    }
    zoo_jv out = zoo_jv_list(x, JV_GENERATOR, 0), item;
    zoo_jiter it = zoo_jiter_begin(x, self);
    while (zoo_jiter_next(x, &it, &item)) {
        zoo_jv value = by_path ? zoo_jv_path(x, item, args->args[0]) : item;
        zoo_jv verdict = test ? zoo_jfunction_call(x, test, value, &given) : value;
        if (zoo_jv_truth(verdict) == keep) {
            zoo_jlist_add(x, out.as.list, item);
        }
    }
    return out;
}

zoo_jv zoo_filter_select(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return select(x, self, args, false, true);
}

zoo_jv zoo_filter_reject(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return select(x, self, args, false, false);
}

zoo_jv zoo_filter_selectattr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return select(x, self, args, true, true);
}

zoo_jv zoo_filter_rejectattr(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return select(x, self, args, true, false);
}

zoo_jv zoo_filter_sum(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv total = is_absent(ARG(1)) ? ZOO_JV_INT(0) : ARG(1), item;
    zoo_jiter it = zoo_jiter_begin(x, self);
    while (zoo_jiter_next(x, &it, &item)) {
        bool by_path = !is_absent(ARG(0)) && ARG(0).kind != JV_NONE;
        item = by_path ? zoo_jv_path(x, item, ARG(0)) : item;
        total = zoo_jv_binary(x, JO_ADD, total, item);
    }
    return total;
}

static void fill(zoo_jinja *x, zoo_jlist *row, size_t n, zoo_jv with)
{
    while (row->n < n) {
        zoo_jinja_step(x, 1);
        zoo_jlist_add(x, row, with);
    }
}

zoo_jv zoo_filter_batch(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    int64_t width = zoo_jarg_int(x, ARG(0), 0, "the width of a batch");
    zoo_jv list = zoo_jv_to_list(x, self), out = zoo_jv_list(x, JV_GENERATOR, 0);
    zoo_jv row = zoo_jv_list(x, JV_LIST, 0);
    for (size_t i = 0; i < list.as.list->n; i++) {
        if ((int64_t)row.as.list->n == width) {
            zoo_jlist_add(x, out.as.list, row);
            row = zoo_jv_list(x, JV_LIST, 0);
        }
        zoo_jlist_add(x, row.as.list, list.as.list->items[i]);
    }
    if (row.as.list->n) {
        if (!is_absent(ARG(1)) && ARG(1).kind != JV_NONE && width > 0) {
            fill(x, row.as.list, (size_t)width, ARG(1));
        }
        zoo_jlist_add(x, out.as.list, row);
    }
    return out;
}

zoo_jv zoo_filter_slice(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    int64_t slices = zoo_jarg_int(x, ARG(0), 0, "the number of slices");
    zoo_jv list = zoo_jv_to_list(x, self), out = zoo_jv_list(x, JV_GENERATOR, 0);
    size_t at = 0;
    if (slices <= 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "integer division or modulo by zero");
    }
    size_t n = list.as.list->n, each = n / (size_t)slices, more = n % (size_t)slices;
    for (size_t i = 0; i < (size_t)slices; i++) {
        zoo_jv row = zoo_jv_list(x, JV_LIST, 0);
        zoo_jinja_step(x, 1);
        for (size_t end = at + each + (i < more); at < end; at++) {
            zoo_jlist_add(x, row.as.list, list.as.list->items[at]);
        }
        if (!is_absent(ARG(1)) && ARG(1).kind != JV_NONE && more && i >= more) {
            zoo_jlist_add(x, row.as.list, ARG(1));
        }
        zoo_jlist_add(x, out.as.list, row);
    }
    return out;
}
