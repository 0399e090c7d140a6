/*
 * value.c: values as Python has them: construction, truth, length, iteration, undefined.
 *
 * A value is 16 bytes and is passed by copy; what it points to lives in the pool. Lists and dicts
 * are shared by reference; the sandbox lets no template change one, so sharing is never seen.
 */
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

zoo_jv zoo_jv_float(double f)
{
    return (zoo_jv){.kind = JV_FLOAT, .as.f = f};
}

zoo_jv zoo_jv_view(zoo_jinja *x, const char *s, size_t n)
{
    zoo_jstr *str = zoo_jinja_take(x, sizeof *str);
    *str = (zoo_jstr){.n = n, .n_chars = zoo_utf8_count(s, n), .s = s ? s : ""};
    return (zoo_jv){.kind = JV_STR, .as.str = str};
}

zoo_jv zoo_jv_str(zoo_jinja *x, const char *s, size_t n)
{
    char *copy = zoo_jinja_take(x, n);
    if (n) {
        memcpy(copy, s, n);
    }
    zoo_jinja_step(x, n / 64);
    return zoo_jv_view(x, copy, n);
}

zoo_jv zoo_jv_text(zoo_jinja *x, const char *s)
{
    return zoo_jv_str(x, s, strlen(s));
}

zoo_jv zoo_jv_buf(zoo_jinja *x, const zoo_jbuf *buf)
{
    zoo_jinja_step(x, buf->n / 64);
    return zoo_jv_view(x, buf->s, buf->n);
}

zoo_jv zoo_jv_list(zoo_jinja *x, zoo_jkind kind, size_t capacity)
{
    zoo_jlist *list = zoo_jinja_array(x, 1, sizeof *list);
    if (capacity) {
        list->items = zoo_jinja_array(x, capacity, sizeof *list->items);
        list->capacity = capacity;
    }
    return (zoo_jv){.kind = (uint8_t)kind, .as.list = list};
}

void zoo_jlist_add(zoo_jinja *x, zoo_jlist *list, zoo_jv item)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        zoo_jv *grown = zoo_jinja_array(x, capacity, sizeof *grown);
        if (list->n) {
            memcpy(grown, list->items, list->n * sizeof *grown);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->n++] = item;
}

bool zoo_jv_absent(zoo_jv v)
{
    return v.kind == JV_UNDEFINED && !v.as.undefined;
}

zoo_jv zoo_jv_lazy(zoo_jinja *x, const zoo_jlazy *lazy)
{
    zoo_jv out = zoo_jv_list(x, JV_GENERATOR, 0);
    out.as.list->lazy = zoo_jinja_take(x, sizeof *lazy);
    *out.as.list->lazy = *lazy;
    return out;
}

zoo_jv zoo_jv_function(const zoo_jfunction *function)
{
    return (zoo_jv){.kind = JV_FUNCTION, .as.function = function};
}

static zoo_jv undefined(zoo_jinja *x, zoo_jundefined why)
{
    zoo_jundefined *u = zoo_jinja_take(x, sizeof *u);
    *u = why;
    return (zoo_jv){.kind = JV_UNDEFINED, .as.undefined = u};
}

zoo_jv zoo_jv_undefined_name(zoo_jinja *x, zoo_jv name)
{
    return undefined(x, (zoo_jundefined){.key = name});
}

zoo_jv zoo_jv_undefined_of(zoo_jinja *x, zoo_jv owner, zoo_jv key)
{
    return undefined(x, (zoo_jundefined){.owner = owner, .key = key, .has_owner = true});
}

zoo_jv zoo_jv_undefined_hint(zoo_jinja *x, const char *hint)
{
    return undefined(x, (zoo_jundefined){.hint = hint});
}

static const char *type_of_owner(zoo_jv v)
{
    switch (v.kind) {
    case JV_NONE:
        return "None";
    case JV_STR:
        return "str object";
    case JV_LIST:
        return "list object";
    case JV_DICT:
        return "dict object";
    case JV_TUPLE:
        return "tuple object";
    case JV_INT:
    case JV_BIG:
        return "int object";
    case JV_FLOAT:
        return "float object";
    case JV_BOOL:
        return "bool object";
    default:
        return zoo_jv_type(v);
    }
}

void zoo_jv_need(zoo_jinja *x, zoo_jv v)
{
    if (v.kind != JV_UNDEFINED) {
        return;
    }
    const zoo_jundefined *u = v.as.undefined;
    if (!u || (!u->hint && !u->has_owner && u->key.kind != JV_STR)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "a value is undefined");
    }
    if (u->hint) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "%s", u->hint);
    }
    zoo_jbuf key = {0};
    zoo_jbuf_str(x, &key, u->key);
    int n = key.n > 200 ? 200 : (int)key.n;
    if (u->is_unsafe) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "access to attribute '%.*s' of '%s' object is unsafe.", n,
                        key.s, zoo_jv_type(u->owner));
    }
    if (!u->has_owner) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%.*s' is undefined", n, key.s);
    }
    if (u->key.kind == JV_STR) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%s' has no attribute '%.*s'", type_of_owner(u->owner), n,
                        key.s);
    }
    zoo_jinja_raise(x, ZOO_E_CONFIG, "%s has no element %.*s", type_of_owner(u->owner), n, key.s);
}

const char *zoo_jv_type(zoo_jv v)
{
    static const char *const names[] = {
        [JV_UNDEFINED] = "Undefined",
        [JV_NONE] = "NoneType",
        [JV_BOOL] = "bool",
        [JV_INT] = "int",
        [JV_BIG] = "int",
        [JV_FLOAT] = "float",
        [JV_STR] = "str",
        [JV_LIST] = "list",
        [JV_TUPLE] = "tuple",
        [JV_DICT] = "dict",
        [JV_NAMESPACE] = "Namespace",
        [JV_RANGE] = "range",
        [JV_GENERATOR] = "generator",
        [JV_VIEW] = "dict_view",
        [JV_MACRO] = "Macro",
        [JV_FUNCTION] = "function",
        [JV_METHOD] = "builtin_function_or_method",
        [JV_LOOP] = "LoopContext",
    };
    if (v.kind == JV_VIEW && v.as.list->tag) {
        return v.as.list->tag;
    }
    if (v.kind == JV_STR && v.safe) {
        return "Markup";
    }
    return names[v.kind];
}

bool zoo_jv_is(zoo_jv v, const char *text)
{
    return v.kind == JV_STR && v.as.str->n == strlen(text) &&
           memcmp(v.as.str->s, text, v.as.str->n) == 0;
}

bool zoo_jv_is_number(zoo_jv v)
{
    return v.kind == JV_BOOL || v.kind == JV_INT || v.kind == JV_BIG || v.kind == JV_FLOAT;
}

bool zoo_jv_length(zoo_jv v, size_t *n)
{
    switch (v.kind) {
    case JV_UNDEFINED:
        *n = 0;
        return true;
    case JV_STR:
        *n = v.as.str->n_chars;
        return true;
    case JV_LIST:
    case JV_TUPLE:
    case JV_VIEW:
        *n = v.as.list->n;
        return true;
    case JV_DICT:
        *n = v.as.dict->n;
        return true;
    case JV_RANGE:
        *n = (size_t)v.as.range->n;
        return true;
    default:
        return false;
    }
}

bool zoo_jv_truth(zoo_jv v)
{
    size_t n = 0;
    switch (v.kind) {
    case JV_NONE:
        return false;
    case JV_BOOL:
        return v.as.b;
    case JV_INT:
        return v.as.i != 0;
    case JV_FLOAT:
        return v.as.f != 0.0;
    default:
        return zoo_jv_length(v, &n) ? n > 0 : true;
    }
}

bool zoo_jv_iterable(zoo_jv v)
{
    switch (v.kind) {
    case JV_UNDEFINED:
    case JV_STR:
    case JV_LIST:
    case JV_TUPLE:
    case JV_DICT:
    case JV_RANGE:
    case JV_GENERATOR:
    case JV_VIEW:
    case JV_LOOP:
        return true;
    default:
        return false;
    }
}

zoo_jiter zoo_jiter_begin(zoo_jinja *x, zoo_jv v)
{
    if (!zoo_jv_iterable(v)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%s' object is not iterable", zoo_jv_type(v));
    }
    return (zoo_jiter){.over = v};
}

static bool list_next(zoo_jlist *list, size_t *at, zoo_jv *item)
{
    if (*at >= list->n) {
        return false;
    }
    *item = list->items[(*at)++];
    return true;
}

static bool str_next(zoo_jinja *x, zoo_jiter *it, zoo_jv *item)
{
    const zoo_jstr *s = it->over.as.str;
    if (it->at >= s->n) {
        return false;
    }
    size_t n = 0;
    (void)zoo_utf8_at(s->s + it->at, &n);
    *item = zoo_jv_view(x, s->s + it->at, n);
    it->at += n;
    return true;
}

static bool lazy_next(zoo_jinja *x, zoo_jlist *list, zoo_jv *item)
{
    if (!list->lazy) {
        return list_next(list, &list->used, item);
    }
    zoo_jinja_enter(x);
    list->lazy->has_ended = list->lazy->has_ended || !list->lazy->next(x, list->lazy, item);
    zoo_jinja_leave(x);
    return !list->lazy->has_ended;
}

/* A loop that is iterated gives (item, loop), and moves on with it. */
static bool pair_next(zoo_jinja *x, zoo_jv loop, zoo_jv *item)
{
    zoo_jv pair = zoo_jv_list(x, JV_TUPLE, 2), first;
    if (!zoo_jloop_next(x, loop.as.loop, &first)) {
        return false;
    }
    zoo_jlist_add(x, pair.as.list, first);
    zoo_jlist_add(x, pair.as.list, loop);
    *item = pair;
    return true;
}

bool zoo_jiter_next(zoo_jinja *x, zoo_jiter *it, zoo_jv *item)
{
    zoo_jinja_step(x, 1);
    switch (it->over.kind) {
    case JV_STR:
        return str_next(x, it, item);
    case JV_LIST:
    case JV_TUPLE:
    case JV_VIEW:
        return list_next(it->over.as.list, &it->at, item);
    case JV_GENERATOR:
        return lazy_next(x, it->over.as.list, item);
    case JV_LOOP:
        return pair_next(x, it->over, item);
    case JV_DICT:
        if (it->at >= it->over.as.dict->n) {
            return false;
        }
        *item = it->over.as.dict->entries[it->at++].key;
        return true;
    case JV_RANGE: {
        const zoo_jrange *r = it->over.as.range;
        if ((int64_t)it->at >= r->n) {
            return false;
        }
        *item = ZOO_JV_INT(r->start + r->step * (int64_t)it->at);
        it->at++;
        return true;
    }
    default:
        return false;
    }
}

zoo_jv zoo_jv_to_list(zoo_jinja *x, zoo_jv v)
{
    zoo_jiter it = zoo_jiter_begin(x, v);
    zoo_jv list = zoo_jv_list(x, JV_LIST, 0);
    zoo_jv item;
    while (zoo_jiter_next(x, &it, &item)) {
        zoo_jlist_add(x, list.as.list, item);
    }
    return list;
}
