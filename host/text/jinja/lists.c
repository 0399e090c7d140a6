/*
 * lists.c: filters over many items that keep their order: select, map, join, slices.
 *
 * What Jinja makes lazily (map, select, reject and their attr forms, items, batch, slice) is a
 * generator: its items are made as they are read, so that what nobody reads cannot fail; it can be
 * read once and has neither length nor items.
 */
#include <string.h>

#include "text/jinja/filters.h"

#define ARG(i) (args->args[i])

static zoo_jv path_step(zoo_jinja *x, zoo_jv item, zoo_jv key, zoo_jv fallback)
{
    item = zoo_jv_getitem(x, item, key);
    return item.kind == JV_UNDEFINED && fallback.kind != JV_NONE ? fallback : item;
}

zoo_jv zoo_jv_path(zoo_jinja *x, zoo_jv item, zoo_jv path, zoo_jv fallback)
{
    if (path.kind == JV_NONE) {
        return item;
    }
    if (path.kind != JV_STR) {
        return path_step(x, item, path, fallback);
    }
    const zoo_jstr *s = path.as.str;
    for (size_t at = 0; at <= s->n;) {
        const char *dot = memchr(s->s + at, '.', s->n - at);
        size_t n = dot ? (size_t)(dot - (s->s + at)) : s->n - at;
        zoo_jv key = zoo_jv_view(x, s->s + at, n);
        size_t digits = 0;
        while (digits < n && s->s[at + digits] >= '0' && s->s[at + digits] <= '9') {
            digits++;
        }
        if (n && digits == n) {
            (void)zoo_jv_parse_int(x, s->s + at, n, 10, &key);
        }
        item = path_step(x, item, key, fallback);
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
    if (self.kind == JV_GENERATOR || self.kind == JV_LOOP) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%s' object is not reversible", zoo_jv_type(self));
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
    /* What Python cannot walk backwards becomes a list first, and stays one. */
    bool is_list = self.kind == JV_GENERATOR || self.kind == JV_LOOP;
    zoo_jv out = zoo_jv_list(x, is_list ? JV_LIST : JV_GENERATOR, list.as.list->n);
    for (size_t i = list.as.list->n; i > 0; i--) {
        zoo_jlist_add(x, out.as.list, list.as.list->items[i - 1]);
    }
    return out;
}

/* Starts reading the source; false when it is one that counts as false, which gives no items. */
static bool begin(zoo_jinja *x, zoo_jlazy *l)
{
    if (l->has_begun) {
        return true;
    }
    l->has_begun = true;
    if (!zoo_jv_truth(l->source)) {
        return false;
    }
    l->it = zoo_jiter_begin(x, l->source);
    return true;
}

static bool next_pair(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    zoo_jstr name = {.n = 5, .n_chars = 5, .s = "items"};
    zoo_jv method;
    zoo_jargs none = {0};
    if (l->source.kind == JV_UNDEFINED) {
        return false;
    }
    if (l->source.kind != JV_DICT) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "Can only get item pairs from a mapping.");
    }
    if (!l->has_begun) {
        l->has_begun = true;
        (void)zoo_jv_method(x, l->source, &name, &method);
        l->it = zoo_jiter_begin(x, zoo_jinja_call(x, method, &none));
    }
    return zoo_jiter_next(x, &l->it, item);
}

zoo_jv zoo_filter_items(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    return zoo_jv_lazy(x, &(zoo_jlazy){.next = next_pair, .source = self});
}

zoo_jv zoo_filter_join(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv separator = zoo_jv_absent(ARG(0)) ? zoo_jv_text(x, "") : zoo_jv_to_str(x, ARG(0));
    separator.safe = 0;
    if (zoo_jv_absent(ARG(1)) || ARG(1).kind == JV_NONE) {
        return zoo_jstr_join(x, separator, self);
    }
    zoo_jv list = zoo_jv_to_list(x, self);
    for (size_t i = 0; i < list.as.list->n; i++) {
        list.as.list->items[i] = zoo_jv_path(x, list.as.list->items[i], ARG(1), ZOO_JV_NONE);
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

static const zoo_jv *named(const zoo_jargs *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (args->names[i]->n == strlen(name) &&
            memcmp(args->names[i]->s, name, args->names[i]->n) == 0) {
            return &args->named[i];
        }
    }
    return NULL;
}

static void check_map(zoo_jinja *x, const zoo_jargs *args)
{
    if (args->n_args) {
        return;
    }
    if (!named(args, "attribute")) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "map requires a filter argument");
    }
    if (args->n_named > 1 + (named(args, "default") != NULL)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "map() has an unexpected named argument");
    }
}

/* The filter or test of that name, which any value may be asked for. */
static const zoo_jfunction *find_named(zoo_jinja *x, zoo_jv name, bool is_test)
{
    const zoo_jfunction *f = NULL;
    if (name.kind == JV_STR) {
        f = is_test ? zoo_jtest_find(name.as.str->s, name.as.str->n)
                    : zoo_jfilter_find(name.as.str->s, name.as.str->n);
    }
    if (!f) {
        zoo_jbuf text = {0};
        zoo_jbuf_str(x, &text, name);
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the %s '%.*s' is not supported",
                        is_test ? "test" : "filter", text.n > 60 ? 60 : (int)text.n, text.s);
    }
    return f;
}

static bool next_mapped(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    if (!l->has_begun && zoo_jv_truth(l->source)) {
        check_map(x, &l->args);
    }
    if (!begin(x, l) || !zoo_jiter_next(x, &l->it, item)) {
        return false;
    }
    if (l->args.n_args) {
        zoo_jargs given = rest(&l->args, 1);
        *item = zoo_jfunction_call(x, find_named(x, l->args.args[0], false), *item, &given);
        return true;
    }
    const zoo_jv *fallback = named(&l->args, "default");
    *item =
        zoo_jv_path(x, *item, *named(&l->args, "attribute"), fallback ? *fallback : ZOO_JV_NONE);
    return true;
}

zoo_jv zoo_filter_map(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    return zoo_jv_lazy(x, &(zoo_jlazy){.next = next_mapped, .source = self, .args = *args});
}

typedef struct choice {
    size_t by_path; /* 1: the first argument is an attribute */
    bool keep;
} choice;

static bool passes(zoo_jinja *x, const zoo_jlazy *l, zoo_jv item)
{
    const choice *how = l->how;
    zoo_jv value = how->by_path ? zoo_jv_path(x, item, l->args.args[0], ZOO_JV_NONE) : item;
    if (l->args.n_args > how->by_path) {
        zoo_jargs given = rest(&l->args, how->by_path + 1);
        value =
            zoo_jfunction_call(x, find_named(x, l->args.args[how->by_path], true), value, &given);
    }
    return zoo_jv_truth(value) == how->keep;
}

static bool next_chosen(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    if (!begin(x, l)) {
        return false;
    }
    while (zoo_jiter_next(x, &l->it, item)) {
        if (passes(x, l, *item)) {
            return true;
        }
    }
    return false;
}

static bool next_chosen_by_path(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    if (!l->has_begun && zoo_jv_truth(l->source) && !l->args.n_args) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "Missing parameter for attribute name");
    }
    return next_chosen(x, l, item);
}

static zoo_jv select(zoo_jinja *x, zoo_jv self, const zoo_jargs *args, bool by_path, bool keep)
{
    static const choice choices[2][2] = {{{0, false}, {0, true}}, {{1, false}, {1, true}}};
    return zoo_jv_lazy(x, &(zoo_jlazy){.next = by_path ? next_chosen_by_path : next_chosen,
                                       .source = self,
                                       .args = *args,
                                       .how = &choices[by_path][keep]});
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
    zoo_jv total = zoo_jv_absent(ARG(1)) ? ZOO_JV_INT(0) : ARG(1), item;
    zoo_jv path = zoo_jv_absent(ARG(0)) ? ZOO_JV_NONE : ARG(0);
    zoo_jiter it = zoo_jiter_begin(x, self);
    if (total.kind == JV_STR) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "sum() can't sum strings");
    }
    while (zoo_jiter_next(x, &it, &item)) {
        total = zoo_jv_binary(x, JO_ADD, total, zoo_jv_path(x, item, path, ZOO_JV_NONE));
    }
    return total;
}

static bool next_batch(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    zoo_jv width = l->args.args[0], fill = l->args.args[1], row = zoo_jv_list(x, JV_LIST, 0), one;
    zoo_jlist *list = row.as.list;
    if (!l->has_begun) {
        l->has_begun = true;
        l->it = zoo_jiter_begin(x, l->source);
    } else if (!zoo_jv_absent(l->state)) {
        zoo_jlist_add(x, list, l->state);
    }
    l->state = (zoo_jv){0};
    while (zoo_jiter_next(x, &l->it, &one)) {
        if (zoo_jv_equal(x, ZOO_JV_INT((int64_t)list->n), width)) {
            l->state = one;
            *item = row;
            return true;
        }
        zoo_jlist_add(x, list, one);
    }
    if (list->n && !zoo_jv_absent(fill) && fill.kind != JV_NONE &&
        zoo_jv_compare(x, ZOO_JV_INT((int64_t)list->n), width, "<") < 0) {
        int64_t missing = zoo_jarg_int(x, width, 0, "the width of a batch") - (int64_t)list->n;
        for (; missing > 0; missing--) {
            zoo_jinja_step(x, 1);
            zoo_jlist_add(x, list, fill);
        }
    }
    *item = row;
    return list->n > 0;
}

zoo_jv zoo_filter_batch(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jlazy lazy = {.next = next_batch, .source = self, .args = *args};
    lazy.args.args = zoo_jinja_array(x, 2, sizeof(zoo_jv));
    lazy.args.args[0] = ARG(0);
    lazy.args.args[1] = ARG(1);
    return zoo_jv_lazy(x, &lazy);
}

/* it.at counts the slices, l->state holds the items. */
static bool next_slice(zoo_jinja *x, zoo_jlazy *l, zoo_jv *item)
{
    zoo_jv fill = l->args.args[1];
    if (!l->has_begun) {
        l->has_begun = true;
        l->state = zoo_jv_to_list(x, l->source);
        l->slices = zoo_jarg_int(x, l->args.args[0], 0, "the number of slices");
        if (l->slices == 0) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "integer division or modulo by zero");
        }
    }
    if ((int64_t)l->it.at >= l->slices) {
        return false;
    }
    size_t n = l->state.as.list->n, slices = (size_t)l->slices, i = l->it.at++;
    size_t each = n / slices, more = n % slices, at = i * each + (i < more ? i : more);
    zoo_jv row = zoo_jv_list(x, JV_LIST, 0);
    for (size_t end = at + each + (i < more); at < end; at++) {
        zoo_jlist_add(x, row.as.list, l->state.as.list->items[at]);
    }
    if (!zoo_jv_absent(fill) && fill.kind != JV_NONE && i >= more) {
        zoo_jlist_add(x, row.as.list, fill);
    }
    *item = row;
    return true;
}

zoo_jv zoo_filter_slice(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jlazy lazy = {.next = next_slice, .source = self, .args = *args};
    lazy.args.args = zoo_jinja_array(x, 2, sizeof(zoo_jv));
    lazy.args.args[0] = ARG(0);
    lazy.args.args[1] = ARG(1);
    return zoo_jv_lazy(x, &lazy);
}
