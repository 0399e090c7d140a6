/*
 * access.c: attributes, items and slices, with the immutable sandbox in front.
 *
 * obj.name: a method or attribute of the Python type first, the key second. obj[key]: the key
 * first, for strings the attribute second. What neither finds is undefined, an error only when
 * used. Names that start with an underscore, and methods that would change a value, are what the
 * sandbox calls unsafe: undefined with that reason.
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

static bool is_unsafe(zoo_jv obj, const zoo_jstr *name)
{
    static const char *const list_names[] = {"append", "clear",   "extend", "insert",
                                             "pop",    "reverse", "remove", "sort"};
    static const char *const dict_names[] = {"clear", "pop", "popitem", "setdefault", "update"};
    if (name->n && name->s[0] == '_') {
        return true;
    }
    const char *const *names = obj.kind == JV_LIST ? list_names : dict_names;
    size_t n = obj.kind == JV_LIST   ? ZOO_COUNT(list_names)
               : obj.kind == JV_DICT ? ZOO_COUNT(dict_names)
                                     : 0;
    for (size_t i = 0; i < n; i++) {
        if (name->n == strlen(names[i]) && memcmp(name->s, names[i], name->n) == 0) {
            return true;
        }
    }
    return false;
}

/* What every dict of Python has under such a name; no key is reached after it. */
static bool is_python_own(const zoo_jstr *name)
{
    static const char own[] =
        " __class__ __class_getitem__ __contains__ __delattr__ __delitem__ __dir__ __doc__ __eq__ "
        "__format__ __ge__ __getattribute__ __getitem__ __getstate__ __gt__ __hash__ __init__ "
        "__init_subclass__ __ior__ __iter__ __le__ __len__ __lt__ __ne__ __new__ __or__ __reduce__ "
        "__reduce_ex__ __repr__ __reversed__ __ror__ __setattr__ __setitem__ __sizeof__ __str__ "
        "__subclasshook__ ";
    for (const char *at = own; (at = strchr(at, ' ')) && at[1]; at++) {
        if (strcspn(at + 1, " ") == name->n && memcmp(at + 1, name->s, name->n) == 0) {
            return true;
        }
    }
    return false;
}

static zoo_jv unsafe(zoo_jinja *x, zoo_jv obj, zoo_jv name)
{
    zoo_jundefined *u = zoo_jinja_take(x, sizeof *u);
    *u = (zoo_jundefined){.owner = obj, .key = name, .has_owner = true, .is_unsafe = true};
    return (zoo_jv){.kind = JV_UNDEFINED, .as.undefined = u};
}

static bool macro_attr(zoo_jinja *x, const zoo_jmacro *macro, zoo_jv name, zoo_jv *out)
{
    const zoo_jnode *node = macro->node;
    const struct {
        const char *name;
        bool value;
    } flags[] = {{"catch_kwargs", node->asks & ZOO_JA_KWARGS},
                 {"catch_varargs", node->asks & ZOO_JA_VARARGS},
                 {"caller", node->asks & ZOO_JA_CALLER},
                 {"explicit_caller", node->flag}};
    for (size_t i = 0; i < ZOO_COUNT(flags); i++) {
        if (zoo_jv_is(name, flags[i].name)) {
            *out = ZOO_JV_BOOL(flags[i].value);
            return true;
        }
    }
    if (zoo_jv_is(name, "name")) {
        *out = node->kind == JN_MACRO ? node->value : ZOO_JV_NONE;
        return true;
    }
    if (!zoo_jv_is(name, "arguments")) {
        return false;
    }
    *out = zoo_jv_list(x, JV_TUPLE, 0);
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        zoo_jlist_add(x, out->as.list, param->value);
    }
    return true;
}

static bool range_attr(const zoo_jrange *r, zoo_jv name, zoo_jv *out)
{
    bool is_start = zoo_jv_is(name, "start"), is_stop = zoo_jv_is(name, "stop");
    *out = ZOO_JV_INT(is_start ? r->start : is_stop ? r->stop : r->step);
    return is_start || is_stop || zoo_jv_is(name, "step");
}

bool zoo_jv_attribute(zoo_jinja *x, zoo_jv obj, zoo_jv name, zoo_jv *out)
{
    switch (obj.kind) {
    case JV_LOOP:
        *out = zoo_jloop_attr(x, obj, name);
        return out->kind != JV_UNDEFINED;
    case JV_MACRO:
        return macro_attr(x, obj.as.macro, name, out);
    case JV_TUPLE:
        if (obj.as.list->tag && (zoo_jv_is(name, "grouper") || zoo_jv_is(name, "list"))) {
            *out = obj.as.list->items[name.as.str->s[0] == 'l'];
            return true;
        }
        break;
    case JV_RANGE:
        if (range_attr(obj.as.range, name, out)) {
            return true;
        }
        break;
    case JV_NAMESPACE: {
        const zoo_jv *found = zoo_jdict_get(x, obj.as.dict, name);
        if (found) {
            *out = *found;
        }
        return found != NULL;
    }
    default:
        break;
    }
    if (is_unsafe(obj, name.as.str)) {
        /* A dict key such as "_type" is still reached, Python has no attribute of that name. */
        bool hidden = name.as.str->s[0] == '_' && !is_python_own(name.as.str);
        if (!hidden) {
            *out = unsafe(x, obj, name);
        }
        return !hidden;
    }
    return zoo_jv_method(x, obj, name.as.str, out);
}

static bool list_item(const zoo_jlist *list, zoo_jv key, zoo_jv *out)
{
    if (key.kind != JV_INT && key.kind != JV_BOOL) {
        return false;
    }
    int64_t i = key.kind == JV_BOOL ? (int64_t)key.as.b : key.as.i;
    i += i < 0 ? (int64_t)list->n : 0;
    if (i < 0 || i >= (int64_t)list->n) {
        return false;
    }
    *out = list->items[i];
    return true;
}

static bool str_item(zoo_jinja *x, zoo_jv str, zoo_jv key, zoo_jv *out)
{
    if (key.kind != JV_INT && key.kind != JV_BOOL) {
        return false;
    }
    const zoo_jstr *s = str.as.str;
    int64_t i = key.kind == JV_BOOL ? (int64_t)key.as.b : key.as.i;
    i += i < 0 ? (int64_t)s->n_chars : 0;
    if (i < 0 || i >= (int64_t)s->n_chars) {
        return false;
    }
    size_t at = zoo_jstr_offset(s, (size_t)i), n = 0;
    zoo_jinja_step(x, at / 64);
    (void)zoo_utf8_at(s->s + at, &n);
    *out = zoo_jv_view(x, s->s + at, n);
    out->safe = str.safe;
    return true;
}

static bool range_item(const zoo_jrange *r, zoo_jv key, zoo_jv *out)
{
    if (key.kind != JV_INT && key.kind != JV_BOOL) {
        return false;
    }
    int64_t at = key.kind == JV_BOOL ? (int64_t)key.as.b : key.as.i, i = at + (at < 0 ? r->n : 0);
    if (i < 0 || i >= r->n) {
        return false;
    }
    *out = ZOO_JV_INT(r->start + r->step * i);
    return true;
}

/* What Python's obj[key] finds; false when it raises a lookup or type error. */
static bool item(zoo_jinja *x, zoo_jv obj, zoo_jv key, zoo_jv *out)
{
    switch (obj.kind) {
    case JV_LIST:
    case JV_TUPLE:
        return list_item(obj.as.list, key, out);
    case JV_STR:
        return str_item(x, obj, key, out);
    case JV_RANGE:
        return range_item(obj.as.range, key, out);
    case JV_DICT: {
        const zoo_jv *found = zoo_jv_hashable(key) ? zoo_jdict_get(x, obj.as.dict, key) : NULL;
        if (found) {
            *out = *found;
        }
        return found != NULL;
    }
    default:
        return false;
    }
}

zoo_jv zoo_jv_getattr(zoo_jinja *x, zoo_jv obj, zoo_jv name)
{
    zoo_jv out;
    if (obj.kind == JV_UNDEFINED && is_python_own(name.as.str)) {
        return unsafe(x, obj, name);
    }
    zoo_jv_need(x, obj);
    if (zoo_jv_attribute(x, obj, name, &out) || item(x, obj, name, &out)) {
        return out;
    }
    return zoo_jv_undefined_of(x, obj, name);
}

zoo_jv zoo_jv_getitem(zoo_jinja *x, zoo_jv obj, zoo_jv key)
{
    zoo_jv out;
    zoo_jv_need(x, obj);
    if (item(x, obj, key, &out) || (key.kind == JV_STR && zoo_jv_attribute(x, obj, key, &out))) {
        return out;
    }
    return zoo_jv_undefined_of(x, obj, key);
}

typedef struct span {
    int64_t start, stop, step;
    int64_t n;
} span;

/* Integers of any size are cut to the range of what can be indexed. */
static int64_t slice_index(zoo_jinja *x, zoo_jv v)
{
    if (v.kind == JV_BIG) {
        return v.as.str->s[0] == '-' ? INT64_MIN : INT64_MAX;
    }
    return zoo_jarg_int(x, v, 0, "a slice index");
}

/* Python's slice.indices(). */
static span slice_span(zoo_jinja *x, int64_t n, zoo_jv start, zoo_jv stop, zoo_jv step)
{
    span s = {.step = step.kind == JV_NONE ? 1 : slice_index(x, step)};
    if (s.step == 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "slice step cannot be zero");
    }
    if (s.step > INT32_MAX || s.step < -INT32_MAX) {
        s.step = s.step > 0 ? INT32_MAX : -INT32_MAX;
    }
    int64_t low = s.step < 0 ? -1 : 0, high = s.step < 0 ? n - 1 : n;
    int64_t ends[2] = {s.step < 0 ? high : low, s.step < 0 ? low : high};
    const zoo_jv given[2] = {start, stop};
    for (int i = 0; i < 2; i++) {
        if (given[i].kind == JV_NONE) {
            continue;
        }
        zoo_jv_need(x, given[i]);
        int64_t at = slice_index(x, given[i]);
        at += at < 0 ? n : 0;
        ends[i] = at < low ? low : at > high ? high : at;
    }
    s.start = ends[0];
    s.stop = ends[1];
    int64_t distance = s.step < 0 ? s.start - s.stop : s.stop - s.start;
    int64_t step_size = s.step < 0 ? -s.step : s.step;
    s.n = distance > 0 ? (distance - 1) / step_size + 1 : 0;
    return s;
}

static zoo_jv slice_str(zoo_jinja *x, zoo_jv obj, span s)
{
    const zoo_jstr *str = obj.as.str;
    zoo_jbuf buf = {0};
    zoo_jinja_step(x, str->n / 64);
    if (s.step == 1) {
        size_t begin = zoo_jstr_offset(str, (size_t)s.start);
        size_t end = zoo_jstr_offset(str, (size_t)(s.start + s.n));
        zoo_jv out = zoo_jv_view(x, str->s + begin, end - begin);
        out.safe = obj.safe;
        return out;
    }
    size_t *offsets = zoo_jinja_array(x, str->n_chars + 1, sizeof *offsets);
    size_t at = 0, n = 0;
    for (size_t i = 0; i < str->n_chars; i++, at += n) {
        offsets[i] = at;
        (void)zoo_utf8_at(str->s + at, &n);
    }
    offsets[str->n_chars] = str->n;
    for (int64_t i = 0; i < s.n; i++) {
        size_t c = (size_t)(s.start + i * s.step);
        zoo_jbuf_add(x, &buf, str->s + offsets[c], offsets[c + 1] - offsets[c]);
    }
    zoo_jv out = zoo_jv_buf(x, &buf);
    out.safe = obj.safe;
    return out;
}

static bool is_index(zoo_jv v)
{
    return v.kind == JV_NONE || v.kind == JV_INT || v.kind == JV_BOOL || v.kind == JV_BIG;
}

zoo_jv zoo_jv_slice(zoo_jinja *x, zoo_jv obj, zoo_jv start, zoo_jv stop, zoo_jv step)
{
    size_t n = 0;
    zoo_jv_need(x, obj);
    bool is_list = obj.kind == JV_LIST || obj.kind == JV_TUPLE;
    if (!is_list && obj.kind != JV_STR && obj.kind != JV_RANGE) {
        if (x->folds) {
            return zoo_jv_undefined_of(x, obj, zoo_jv_text(x, "a slice"));
        }
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%s' object is not subscriptable", zoo_jv_type(obj));
    }
    if (x->folds && !(is_index(start) && is_index(stop) && is_index(step))) {
        return zoo_jv_undefined_of(x, obj, zoo_jv_text(x, "a slice"));
    }
    (void)zoo_jv_length(obj, &n);
    span s = slice_span(x, (int64_t)n, start, stop, step);
    if (obj.kind == JV_STR) {
        return slice_str(x, obj, s);
    }
    if (obj.kind == JV_RANGE) {
        zoo_jrange *r = zoo_jinja_take(x, sizeof *r);
        const zoo_jrange *from = obj.as.range;
        *r = (zoo_jrange){from->start + from->step * s.start, from->start + from->step * s.stop,
                          from->step * s.step, s.n};
        return (zoo_jv){.kind = JV_RANGE, .as.range = r};
    }
    zoo_jv out = zoo_jv_list(x, (zoo_jkind)obj.kind, (size_t)s.n);
    zoo_jinja_step(x, (uint64_t)s.n);
    for (int64_t i = 0; i < s.n; i++) {
        zoo_jlist_add(x, out.as.list, obj.as.list->items[s.start + i * s.step]);
    }
    return out;
}
