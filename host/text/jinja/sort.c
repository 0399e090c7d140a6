/*
 * sort.c: filters that order items or find equal ones: sort, dictsort, groupby, unique, min,
 * max.
 *
 * Unless told otherwise strings compare without case. Sorting is a stable merge sort.
 */
#include <string.h>

#include "text/jinja/filters.h"

#define ARG(i) (args->args[i])

typedef struct keyed {
    zoo_jv key, item;
} keyed;

static bool is_absent(zoo_jv v)
{
    return v.kind == JV_NONE || zoo_jv_absent(v);
}

static zoo_jv fold(zoo_jinja *x, zoo_jv v, bool case_sensitive)
{
    return v.kind == JV_STR && !case_sensitive ? zoo_jv_case(x, v, JC_LOWER) : v;
}

typedef struct keying {
    zoo_jv path, fallback; /* None: none */
    bool case_sensitive;
} keying;

static keying key_by(zoo_jv path, zoo_jv case_sensitive)
{
    return (keying){.path = is_absent(path) ? ZOO_JV_NONE : path,
                    .fallback = ZOO_JV_NONE,
                    .case_sensitive = zoo_jarg_bool(case_sensitive, false)};
}

static zoo_jv key_of(zoo_jinja *x, zoo_jv item, const keying *how)
{
    return fold(x, zoo_jv_path(x, item, how->path, how->fallback), how->case_sensitive);
}

/* The key of sort is a list: of one path, or of several "a,b". */
static zoo_jv list_key(zoo_jinja *x, zoo_jv item, const keying *how)
{
    zoo_jv key = zoo_jv_list(x, JV_LIST, 1);
    if (how->path.kind != JV_STR) {
        zoo_jlist_add(x, key.as.list, key_of(x, item, how));
        return key;
    }
    zoo_jv paths = zoo_jstr_split(x, how->path, zoo_jv_text(x, ","), -1, false);
    for (size_t i = 0; i < paths.as.list->n; i++) {
        zoo_jv part = zoo_jv_path(x, item, paths.as.list->items[i], ZOO_JV_NONE);
        zoo_jlist_add(x, key.as.list, fold(x, part, how->case_sensitive));
    }
    return key;
}

static keyed *with_keys(zoo_jinja *x, const zoo_jlist *list, const keying *how)
{
    keyed *rows = zoo_jinja_array(x, list->n + 1, sizeof *rows);
    for (size_t i = 0; i < list->n; i++) {
        rows[i] = (keyed){key_of(x, list->items[i], how), list->items[i]};
    }
    return rows;
}

/* Python takes an integer for reverse, nothing else. */
static bool reverse_of(zoo_jinja *x, zoo_jv v)
{
    return zoo_jv_absent(v) ? false : zoo_jarg_int(x, v, 0, "reverse") != 0;
}

static void merge(zoo_jinja *x, const keyed *a, size_t n, const keyed *b, size_t m, bool reverse,
                  keyed *out)
{
    size_t i = 0, j = 0;
    while (i < n && j < m) {
        int order = zoo_jv_compare(x, b[j].key, a[i].key, "<");
        if (order == 2) {
            zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "sorting NaN is not supported");
        }
        bool take_b = reverse ? order > 0 : order < 0;
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
    keying how = key_by(ARG(2), ARG(1));
    bool reverse = reverse_of(x, ARG(0));
    keyed *rows = zoo_jinja_array(x, list.as.list->n + 1, sizeof *rows);
    for (size_t i = 0; i < list.as.list->n; i++) {
        zoo_jv item = list.as.list->items[i];
        rows[i] = (keyed){list_key(x, item, &how), item};
    }
    sort_rows(x, rows, list.as.list->n, reverse);
    for (size_t i = 0; i < list.as.list->n; i++) {
        list.as.list->items[i] = rows[i].item;
    }
    return list;
}

zoo_jv zoo_filter_dictsort(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    bool case_sensitive = zoo_jarg_bool(ARG(0), false);
    bool by_value = zoo_jv_is(ARG(1), "value");
    if (!zoo_jv_absent(ARG(1)) && !by_value && !zoo_jv_is(ARG(1), "key")) {
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
    sort_rows(x, rows, dict->n, reverse_of(x, ARG(2)));
    zoo_jv out = zoo_jv_list(x, JV_LIST, dict->n);
    for (size_t i = 0; i < dict->n; i++) {
        zoo_jlist_add(x, out.as.list, rows[i].item);
    }
    return out;
}

/* Each group is a tuple (key, items) whose parts are also named grouper and list. */
static zoo_jv group_new(zoo_jinja *x, zoo_jv key, zoo_jv items)
{
    zoo_jv group = zoo_jv_list(x, JV_TUPLE, 2);
    group.as.list->tag = "group";
    zoo_jlist_add(x, group.as.list, key);
    zoo_jlist_add(x, group.as.list, items);
    return group;
}

zoo_jv zoo_filter_groupby(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv list = zoo_jv_to_list(x, self), out = zoo_jv_list(x, JV_LIST, 0), items = ZOO_JV_NONE;
    keying how = key_by(ARG(0), ARG(2));
    how.fallback = is_absent(ARG(1)) ? ZOO_JV_NONE : ARG(1);
    keyed *rows = with_keys(x, list.as.list, &how);
    sort_rows(x, rows, list.as.list->n, false);
    for (size_t i = 0; i < list.as.list->n; i++) {
        if (i == 0 || !zoo_jv_same(x, rows[i].key, rows[i - 1].key)) {
            items = zoo_jv_list(x, JV_LIST, 0);
            zoo_jv key = zoo_jv_path(x, rows[i].item, how.path, how.fallback);
            zoo_jlist_add(x, out.as.list, group_new(x, key, items));
        }
        zoo_jlist_add(x, items.as.list, rows[i].item);
    }
    return out;
}

typedef struct uniqueness {
    keying how;
    zoo_jdict seen;
} uniqueness;

static bool next_unique(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    uniqueness *u = l->data;
    if (!l->has_begun) {
        l->has_begun = true;
        l->it = zoo_jiter_begin(x, l->source);
    }
    while (zoo_jiter_next(x, &l->it, item)) {
        zoo_jv key = key_of(x, *item, &u->how);
        if (!zoo_jdict_get(x, &u->seen, key)) {
            zoo_jdict_set(x, &u->seen, key, ZOO_JV_NONE);
            return true;
        }
    }
    return false;
}

zoo_jv zoo_filter_unique(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    uniqueness *u = zoo_jinja_array(x, 1, sizeof *u);
    u->how = key_by(ARG(1), ARG(0));
    return zoo_jv_lazy(x, &(zoo_jlazy){.next = next_unique, .source = self, .data = u});
}

static zoo_jv extreme(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool largest)
{
    zoo_jv list = zoo_jv_to_list(x, self);
    keying how = key_by(ARG(1), ARG(0));
    keyed *rows = with_keys(x, list.as.list, &how);
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
