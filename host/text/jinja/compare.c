/*
 * compare.c: equality, order and membership as in Python, and the dict that rests on them.
 *
 * 1, 1.0 and True are equal and are one key. Integers beyond 64 bits are equal digit by digit and
 * always lie outside the others. A dict keeps insertion order; from nine entries on it has an
 * open-addressing index over XXH3 hashes with a seed of its render.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "text/jinja/jinja_private.h"

#define DICT_LINEAR_MAX 8

static bool is_exact_int(double f)
{
    return f >= -9223372036854775808.0 && f < 9223372036854775808.0 && f == floor(f);
}

static int64_t int_of(zoo_jv v)
{
    return v.kind == JV_BOOL ? (int64_t)v.as.b : v.as.i;
}

static double big_to_double(const zoo_jstr *s)
{
    char text[400];
    size_t n = s->n < sizeof text ? s->n : sizeof text - 1;
    memcpy(text, s->s, n);
    text[n] = 0;
    return strtod(text, NULL);
}

static int big_compare(const zoo_jstr *a, const zoo_jstr *b)
{
    bool minus_a = a->s[0] == '-', minus_b = b->s[0] == '-';
    if (minus_a != minus_b) {
        return minus_a ? -1 : 1;
    }
    int order = a->n != b->n ? (a->n < b->n ? -1 : 1) : memcmp(a->s, b->s, a->n);
    order = order < 0 ? -1 : order > 0;
    return minus_a ? -order : order;
}

/* The double lies outside 64 bits, the integer may. */
static int big_compare_double(zoo_jv a, double f)
{
    char text[400];
    if (a.kind != JV_BIG || isinf(f)) {
        return f < 0 ? 1 : -1;
    }
    int n = snprintf(text, sizeof text, "%.0f", f);
    zoo_jstr digits = {.n = (size_t)n, .n_chars = (size_t)n, .s = text};
    return big_compare(a.as.str, &digits);
}

/* 2: not comparable (NaN). */
static int number_compare(zoo_jv a, zoo_jv b)
{
    if (a.kind == JV_BIG && b.kind == JV_BIG) {
        return big_compare(a.as.str, b.as.str);
    }
    if (a.kind != JV_FLOAT && b.kind != JV_FLOAT) {
        if (a.kind == JV_BIG) {
            return a.as.str->s[0] == '-' ? -1 : 1;
        }
        if (b.kind == JV_BIG) {
            return b.as.str->s[0] == '-' ? 1 : -1;
        }
        int64_t i = int_of(a), j = int_of(b);
        return i < j ? -1 : i > j;
    }
    if (a.kind == JV_FLOAT && b.kind != JV_FLOAT) {
        int order = number_compare(b, a);
        return order == 2 ? 2 : -order;
    }
    double f = b.as.f;
    if (isnan(f) || (a.kind == JV_FLOAT && isnan(a.as.f))) {
        return 2;
    }
    if ((a.kind == JV_INT || a.kind == JV_BOOL) && is_exact_int(f)) {
        int64_t i = int_of(a), j = (int64_t)f;
        return i < j ? -1 : i > j;
    }
    if (a.kind != JV_FLOAT && (f >= 9223372036854775808.0 || f < -9223372036854775808.0)) {
        return big_compare_double(a, f);
    }
    if (a.kind == JV_BIG) {
        return a.as.str->s[0] == '-' ? -1 : 1;
    }
    double e = a.kind == JV_FLOAT ? a.as.f : (double)int_of(a);
    return e < f ? -1 : e > f;
}

static int str_compare(const zoo_jstr *a, const zoo_jstr *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    int order = n ? memcmp(a->s, b->s, n) : 0;
    return order ? (order < 0 ? -1 : 1) : (a->n < b->n ? -1 : a->n > b->n);
}

bool zoo_jv_same(zoo_jinja *x, zoo_jv a, zoo_jv b)
{
    bool both_nan = a.kind == JV_FLOAT && b.kind == JV_FLOAT && isnan(a.as.f) && isnan(b.as.f);
    return both_nan ? a.as.i == b.as.i : zoo_jv_equal(x, a, b);
}

/* Its bits say which NaN it is; arithmetic keeps those of an operand. */
zoo_jv zoo_jv_nan(zoo_jinja *x)
{
    return (zoo_jv){.kind = JV_FLOAT,
                    .as.i = (int64_t)(0x7FF8000000000000u | (++x->n_nans & 0xFFFFFFFFFFFFu))};
}

static bool is_values(zoo_jv view)
{
    return view.as.list->tag[5] == 'v';
}

static bool list_equal(zoo_jinja *x, const zoo_jlist *a, const zoo_jlist *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!zoo_jv_same(x, a->items[i], b->items[i])) {
            return false;
        }
    }
    return true;
}

static bool dict_equal(zoo_jinja *x, const zoo_jdict *a, const zoo_jdict *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        const zoo_jv *other = zoo_jdict_get(x, b, a->entries[i].key);
        if (!other || !zoo_jv_same(x, a->entries[i].value, *other)) {
            return false;
        }
    }
    return true;
}

/* Keys and pairs are sets, values are only themselves. */
static bool view_equal(zoo_jinja *x, zoo_jv a, zoo_jv b)
{
    if (a.as.list == b.as.list) {
        return true;
    }
    if (is_values(a) || is_values(b) || a.as.list->n != b.as.list->n) {
        return false;
    }
    for (size_t i = 0; i < a.as.list->n; i++) {
        if (!zoo_jv_contains(x, b, a.as.list->items[i])) {
            return false;
        }
    }
    return true;
}

bool zoo_jv_equal(zoo_jinja *x, zoo_jv a, zoo_jv b)
{
    zoo_jinja_step(x, 1);
    if (zoo_jv_is_number(a) && zoo_jv_is_number(b)) {
        return number_compare(a, b) == 0;
    }
    if (a.kind != b.kind) {
        return false;
    }
    bool equal = false;
    zoo_jinja_enter(x);
    switch (a.kind) {
    case JV_UNDEFINED:
    case JV_NONE:
        equal = true;
        break;
    case JV_STR:
        equal = a.as.str->n == b.as.str->n && str_compare(a.as.str, b.as.str) == 0;
        break;
    case JV_LIST:
    case JV_TUPLE:
        equal = list_equal(x, a.as.list, b.as.list);
        break;
    case JV_DICT:
        equal = dict_equal(x, a.as.dict, b.as.dict);
        break;
    case JV_RANGE:
        equal =
            a.as.range->n == b.as.range->n &&
            (a.as.range->n == 0 || (a.as.range->start == b.as.range->start &&
                                    (a.as.range->n == 1 || a.as.range->step == b.as.range->step)));
        break;
    case JV_VIEW:
        equal = view_equal(x, a, b);
        break;
    default:
        equal = a.as.list == b.as.list;
    }
    zoo_jinja_leave(x);
    return equal;
}

static int list_compare(zoo_jinja *x, const zoo_jlist *a, const zoo_jlist *b, const char *op)
{
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        if (!zoo_jv_same(x, a->items[i], b->items[i])) {
            return zoo_jv_compare(x, a->items[i], b->items[i], op);
        }
    }
    return a->n < b->n ? -1 : a->n > b->n;
}

int zoo_jv_compare(zoo_jinja *x, zoo_jv a, zoo_jv b, const char *op)
{
    zoo_jinja_step(x, 1);
    zoo_jv_need(x, a);
    zoo_jv_need(x, b);
    if (zoo_jv_is_number(a) && zoo_jv_is_number(b)) {
        return number_compare(a, b);
    }
    if (a.kind == JV_STR && b.kind == JV_STR) {
        return str_compare(a.as.str, b.as.str);
    }
    if ((a.kind == JV_LIST || a.kind == JV_TUPLE) && a.kind == b.kind) {
        zoo_jinja_enter(x);
        int order = list_compare(x, a.as.list, b.as.list, op);
        zoo_jinja_leave(x);
        return order;
    }
    bool sets = a.kind == JV_VIEW && b.kind == JV_VIEW && !is_values(a) && !is_values(b);
    zoo_jinja_raise(x, sets ? ZOO_E_UNSUPPORTED : ZOO_E_CONFIG,
                    "'%s' not supported between instances of '%s' and '%s'", op, zoo_jv_type(a),
                    zoo_jv_type(b));
}

static uint64_t hash_of(zoo_jinja *x, zoo_jv key)
{
    switch (key.kind) {
    case JV_BIG: {
        double f = big_to_double(key.as.str);
        return XXH3_64bits_withSeed(&f, sizeof f, x->seed);
    }
    case JV_STR:
        return XXH3_64bits_withSeed(key.as.str->s, key.as.str->n, x->seed);
    case JV_FLOAT:
        if (is_exact_int(key.as.f)) {
            int64_t i = (int64_t)key.as.f;
            return XXH3_64bits_withSeed(&i, sizeof i, x->seed);
        }
        return XXH3_64bits_withSeed(&key.as.f, sizeof key.as.f, x->seed);
    case JV_BOOL:
    case JV_INT: {
        int64_t i = int_of(key);
        return XXH3_64bits_withSeed(&i, sizeof i, x->seed);
    }
    case JV_NONE:
    case JV_UNDEFINED:
    case JV_RANGE:
        return key.kind;
    case JV_NAMESPACE:
    case JV_GENERATOR:
    case JV_MACRO:
    case JV_FUNCTION:
    case JV_METHOD:
    case JV_LOOP: /* themselves */
        return XXH3_64bits_withSeed(&key.as, sizeof key.as, x->seed);
    case JV_TUPLE: {
        uint64_t h = 7;
        zoo_jinja_enter(x);
        for (size_t i = 0; i < key.as.list->n; i++) {
            h = h * 1000003u + hash_of(x, key.as.list->items[i]);
        }
        zoo_jinja_leave(x);
        return h;
    }
    case JV_VIEW:
        if (is_values(key)) {
            return XXH3_64bits_withSeed(&key.as, sizeof key.as, x->seed);
        }
        /* fall through */
    default:
        zoo_jinja_raise(x, ZOO_E_CONFIG, "unhashable type: '%s'", zoo_jv_type(key));
    }
}

bool zoo_jv_hashable(zoo_jv v)
{
    if (v.kind == JV_TUPLE) {
        for (size_t i = 0; i < v.as.list->n; i++) {
            if (!zoo_jv_hashable(v.as.list->items[i])) {
                return false;
            }
        }
    }
    return v.kind != JV_LIST && v.kind != JV_DICT && (v.kind != JV_VIEW || is_values(v));
}

bool zoo_jv_contains(zoo_jinja *x, zoo_jv container, zoo_jv item)
{
    if (container.kind == JV_STR) {
        if (item.kind != JV_STR) {
            zoo_jv_need(x, item);
            zoo_jinja_raise(x, ZOO_E_CONFIG,
                            "'in <string>' requires string as left operand, not %s",
                            zoo_jv_type(item));
        }
        zoo_jinja_step(x, container.as.str->n / 64);
        return zoo_jstr_find(x, container.as.str, item.as.str, 0, false) != SIZE_MAX;
    }
    if (container.kind == JV_DICT) {
        return zoo_jdict_get(x, container.as.dict, item) != NULL;
    }
    if (container.kind == JV_VIEW && container.as.list->tag[5] == 'k') {
        (void)hash_of(x, item);
    }
    if (container.kind == JV_VIEW && container.as.list->tag[5] == 'i' && item.kind == JV_TUPLE &&
        item.as.list->n == 2) {
        (void)hash_of(x, item.as.list->items[0]);
    }
    if (!zoo_jv_iterable(container)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "argument of type '%s' is not iterable",
                        zoo_jv_type(container));
    }
    zoo_jiter it = zoo_jiter_begin(x, container);
    zoo_jv other;
    while (zoo_jiter_next(x, &it, &other)) {
        if (zoo_jv_same(x, other, item)) {
            return true;
        }
    }
    return false;
}

static size_t slot_of(zoo_jinja *x, const zoo_jdict *d, zoo_jv key, uint64_t hash)
{
    size_t mask = d->n_index - 1;
    size_t slot = (size_t)hash & mask;
    while (d->index[slot]) {
        const zoo_jentry *e = &d->entries[d->index[slot] - 1];
        if (e->hash == hash && zoo_jv_same(x, e->key, key)) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

static zoo_jentry *dict_find(zoo_jinja *x, const zoo_jdict *d, zoo_jv key, uint64_t hash)
{
    if (d->index) {
        uint32_t at = d->index[slot_of(x, d, key, hash)];
        return at ? &d->entries[at - 1] : NULL;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (d->entries[i].hash == hash && zoo_jv_same(x, d->entries[i].key, key)) {
            return &d->entries[i];
        }
    }
    return NULL;
}

static void dict_grow(zoo_jinja *x, zoo_jdict *d)
{
    size_t capacity = d->capacity ? d->capacity * 2 : 4;
    if (capacity > UINT32_MAX / 4) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "a dict has too many entries");
    }
    zoo_jentry *grown = zoo_jinja_array(x, capacity, sizeof *grown);
    if (d->n) {
        memcpy(grown, d->entries, d->n * sizeof *grown);
    }
    d->entries = grown;
    d->capacity = capacity;
    if (capacity <= DICT_LINEAR_MAX) {
        return;
    }
    d->n_index = capacity * 2;
    d->index = zoo_jinja_array(x, d->n_index, sizeof *d->index);
    for (size_t i = 0; i < d->n; i++) {
        size_t slot = slot_of(x, d, d->entries[i].key, d->entries[i].hash);
        d->index[slot] = (uint32_t)i + 1;
    }
}

zoo_jv zoo_jv_dict(zoo_jinja *x)
{
    return (zoo_jv){.kind = JV_DICT, .as.dict = zoo_jinja_array(x, 1, sizeof(zoo_jdict))};
}

void zoo_jdict_set(zoo_jinja *x, zoo_jdict *dict, zoo_jv key, zoo_jv value)
{
    uint64_t hash = hash_of(x, key);
    zoo_jentry *found = dict_find(x, dict, key, hash);
    if (found) {
        found->value = value;
        return;
    }
    if (dict->n == dict->capacity) {
        dict_grow(x, dict);
    }
    dict->entries[dict->n] = (zoo_jentry){.key = key, .value = value, .hash = hash};
    if (dict->index) {
        dict->index[slot_of(x, dict, key, hash)] = (uint32_t)dict->n + 1;
    }
    dict->n++;
}

zoo_jv *zoo_jdict_get(zoo_jinja *x, const zoo_jdict *dict, zoo_jv key)
{
    zoo_jentry *found = dict_find(x, dict, key, hash_of(x, key));
    return found ? &found->value : NULL;
}

zoo_jv *zoo_jdict_text(zoo_jinja *x, const zoo_jdict *dict, const char *key)
{
    zoo_jstr str = {.n = strlen(key), .n_chars = strlen(key), .s = key};
    return zoo_jdict_get(x, dict, (zoo_jv){.kind = JV_STR, .as.str = &str});
}
