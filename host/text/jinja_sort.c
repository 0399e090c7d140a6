/*
 * jinja_sort.c: filters that order items or find equal ones: sort, dictsort, groupby, unique, min,
 * max.
 *
 * Unless told otherwise strings compare without case. Sorting is a stable merge sort.
 */
#include <string.h>

#include "text/jinja_filters.h"

#define ARG(i) (args->args[i])

typedef struct keyed {
    zoo_jv key, item;
} keyed;

static bool is_absent(zoo_jv v)
{
    return v.kind == JV_NONE || (v.kind == JV_UNDEFINED && !v.as.undefined);
}

static zoo_jv fold(zoo_jinja *x, zoo_jv v, bool case_sensitive)
{
    return v.kind == JV_STR && !case_sensitive ? zoo_jv_case(x, v, JC_LOWER) : v;
}

/* The key of an item: itself, an attribute path, or a tuple of several paths "a,b". */
static zoo_jv key_of(zoo_jinja *x, zoo_jv item, zoo_jv path, bool case_sensitive)
{
    if (is_absent(path)) {
        return fold(x, item, case_sensitive);
    }
    if (path.kind != JV_STR || !memchr(path.as.str->s, ',', path.as.str->n)) {
        return fold(x, zoo_jv_path(x, item, path), case_sensitive);
    }
    zoo_jv paths = zoo_jstr_split(x, path, zoo_jv_text(x, ","), -1, false);
    zoo_jv key = zoo_jv_list(x, JV_LIST, paths.as.list->n);
    for (size_t i = 0; i < paths.as.list->n; i++) {
        zoo_jv part = zoo_jv_path(x, item, paths.as.list->items[i]);
        zoo_jlist_add(x, key.as.list, fold(x, part, case_sensitive));
    }
    return key;
}

static keyed *with_keys(zoo_jinja *x, const zoo_jlist *list, zoo_jv path, bool case_sensitive)
{
    keyed *rows = zoo_jinja_array(x, list->n + 1, sizeof *rows);
    for (size_t i = 0; i < list->n; i++) {
        rows[i] = (keyed){key_of(x, list->items[i], path, case_sensitive), list->items[i]};
    }
    return rows;
}

static void merge(zoo_jinja *x, const keyed *a, size_t n, const keyed *b, size_t m, bool reverse,
                  keyed *out)
{
    size_t i = 0, j = 0;
    while (i < n && j < m) {
        int order = zoo_jv_compare(x, b[j].key, a[i].key, "<");
        bool take_b = reverse ? order > 0 && order != 2 : order < 0;
        *out++ = take_b ? b[j++] : a[i++];
    }
    while (i < n) {
        *out++ = a[i++];
    }
    while (j < m) {
        *out++ = b[j++];
    }
}

static void sort_rows(zoo_jinja *x, keyed *rows, size_t n, bool reverse)
{
    keyed *from = rows, *to = zoo_jinja_array(x, n + 1, sizeof *to);
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t left = n - at < width ? n - at : width;
            size_t right = n - at - left < width ? n - at - left : width;
            merge(x, from + at, left, from + at + left, right, reverse, to + at);
        }
        keyed *swap = from;
        from = to;
        to = swap;
    }
    if (from != rows) {
        memcpy(rows, from, n * sizeof *rows);
    }
}

zoo_jv zoo_filter_sort(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv list = zoo_jv_to_list(x, self);
    keyed *rows = with_keys(x, list.as.list, ARG(2), zoo_jarg_bool(ARG(1), false));
    sort_rows(x, rows, list.as.list->n, zoo_jarg_bool(ARG(0), false));
    for (size_t i = 0; i < list.as.list->n; i++) {
        list.as.list->items[i] = rows[i].item;
    }
    return list;
}

zoo_jv zoo_filter_dictsort(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    bool case_sensitive = zoo_jarg_bool(ARG(0), false);
    bool by_value = zoo_jv_is(ARG(1), "value");
    if (!is_absent(ARG(1)) && !by_value && !zoo_jv_is(ARG(1), "key")) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "You can only sort by either \"key\" or \"value\"");
    }
    zoo_jv_need(x, self);
    if (self.kind != JV_DICT) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "dictsort wants a dict, not '%s'", zoo_jv_type(self));
    }
    const zoo_jdict *dict = self.as.dict;
    keyed *rows = zoo_jinja_array(x, dict->n + 1, sizeof *rows);
    for (size_t i = 0; i < dict->n; i++) {
        zoo_jv pair = zoo_jv_list(x, JV_TUPLE, 2);
        zoo_jlist_add(x, pair.as.list, dict->entries[i].key);
        zoo_jlist_add(x, pair.as.list, dict->entries[i].value);
        rows[i] = (keyed){fold(x, pair.as.list->items[by_value], case_sensitive), pair};
    }
    sort_rows(x, rows, dict->n, zoo_jarg_bool(ARG(2), false));
    zoo_jv out = zoo_jv_list(x, JV_LIST, dict->n);
    for (size_t i = 0; i < dict->n; i++) {
        zoo_jlist_add(x, out.as.list, rows[i].item);
    }
    return out;
}

/* Each group is a tuple (key, items); Jinja also names its parts grouper and list, which is refused
 * as a missing attribute would be. */
zoo_jv zoo_filter_groupby(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    if (!is_absent(ARG(1))) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "groupby with a default is not supported");
    }
    zoo_jv list = zoo_jv_to_list(x, self), out = zoo_jv_list(x, JV_LIST, 0);
    keyed *rows = with_keys(x, list.as.list, ARG(0), zoo_jarg_bool(ARG(2), false));
    zoo_jv items = ZOO_JV_NONE;
    sort_rows(x, rows, list.as.list->n, false);
    for (size_t i = 0; i < list.as.list->n; i++) {
        if (i == 0 || !zoo_jv_equal(x, rows[i].key, rows[i - 1].key)) {
            zoo_jv group = zoo_jv_list(x, JV_TUPLE, 2);
            items = zoo_jv_list(x, JV_LIST, 0);
            zoo_jlist_add(x, group.as.list, zoo_jv_path(x, rows[i].item, ARG(0)));
            zoo_jlist_add(x, group.as.list, items);
            zoo_jlist_add(x, out.as.list, group);
        }
        zoo_jlist_add(x, items.as.list, rows[i].item);
    }
    return out;
}

zoo_jv zoo_filter_unique(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv list = zoo_jv_to_list(x, self), out = zoo_jv_list(x, JV_GENERATOR, 0);
    zoo_jv seen = zoo_jv_dict(x);
    keyed *rows = with_keys(x, list.as.list, ARG(1), zoo_jarg_bool(ARG(0), false));
    for (size_t i = 0; i < list.as.list->n; i++) {
        if (!zoo_jdict_get(x, seen.as.dict, rows[i].key)) {
            zoo_jdict_set(x, seen.as.dict, rows[i].key, ZOO_JV_NONE);
            zoo_jlist_add(x, out.as.list, rows[i].item);
        }
    }
    return out;
}

static zoo_jv extreme(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool largest)
{
    zoo_jv list = zoo_jv_to_list(x, self);
    keyed *rows = with_keys(x, list.as.list, ARG(1), zoo_jarg_bool(ARG(0), false));
    if (!list.as.list->n) {
        return zoo_jv_undefined_hint(x, "No aggregated item, sequence was empty.");
    }
    size_t best = 0;
    for (size_t i = 1; i < list.as.list->n; i++) {
        int order = zoo_jv_compare(x, rows[i].key, rows[best].key, largest ? ">" : "<");
        if (order != 2 && (largest ? order > 0 : order < 0)) {
            best = i;
        }
    }
    return rows[best].item;
}

zoo_jv zoo_filter_max(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return extreme(x, self, args, true);
}

zoo_jv zoo_filter_min(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return extreme(x, self, args, false);
}
