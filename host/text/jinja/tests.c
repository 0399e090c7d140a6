/*
 * tests.c: the tests after `is`, by the names that also select and reject take.
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

#define ARG(i) (args->args[i])

static zoo_jv t_defined(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind != JV_UNDEFINED);
}

static zoo_jv t_undefined(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_UNDEFINED);
}

static zoo_jv t_none(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_NONE);
}

static zoo_jv t_boolean(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_BOOL);
}

static zoo_jv t_true(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_BOOL && v.as.b);
}

static zoo_jv t_false(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_BOOL && !v.as.b);
}

static zoo_jv t_integer(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_INT || v.kind == JV_BIG);
}

static zoo_jv t_float(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_FLOAT);
}

static zoo_jv t_number(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(zoo_jv_is_number(v));
}

static zoo_jv t_string(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_STR);
}

static zoo_jv t_mapping(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_DICT);
}

static zoo_jv t_iterable(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(zoo_jv_iterable(v));
}

/* What has a length and items: an undefined value has both in Jinja. */
static zoo_jv t_sequence(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_STR || v.kind == JV_LIST || v.kind == JV_TUPLE ||
                       v.kind == JV_DICT || v.kind == JV_RANGE || v.kind == JV_UNDEFINED);
}

static zoo_jv t_callable(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind >= JV_MACRO || v.kind == JV_UNDEFINED);
}

static zoo_jv t_escaped(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(v.kind == JV_STR && v.safe);
}

static zoo_jv t_lower(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    zoo_jv s = zoo_jv_to_str(x, v), method;
    zoo_jstr name = {.n = 7, .n_chars = 7, .s = "islower"};
    zoo_jargs none = {0};
    (void)zoo_jv_method(x, s, &name, &method);
    return zoo_jinja_call(x, method, &none);
}

static zoo_jv t_upper(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    zoo_jv s = zoo_jv_to_str(x, v), method;
    zoo_jstr name = {.n = 7, .n_chars = 7, .s = "isupper"};
    zoo_jargs none = {0};
    (void)zoo_jv_method(x, s, &name, &method);
    return zoo_jinja_call(x, method, &none);
}

static zoo_jv t_divisibleby(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    zoo_jv rest = zoo_jv_binary(x, JO_MOD, v, ARG(0));
    return ZOO_JV_BOOL(zoo_jv_equal(x, rest, ZOO_JV_INT(0)));
}

static zoo_jv t_even(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    zoo_jv rest = zoo_jv_binary(x, JO_MOD, v, ZOO_JV_INT(2));
    return ZOO_JV_BOOL(zoo_jv_equal(x, rest, ZOO_JV_INT(0)));
}

static zoo_jv t_odd(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    zoo_jv rest = zoo_jv_binary(x, JO_MOD, v, ZOO_JV_INT(2));
    return ZOO_JV_BOOL(zoo_jv_equal(x, rest, ZOO_JV_INT(1)));
}

static zoo_jv t_eq(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_EQ, v, ARG(0)));
}

static zoo_jv t_ne(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_NE, v, ARG(0)));
}

static zoo_jv t_lt(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_LT, v, ARG(0)));
}

static zoo_jv t_le(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_LE, v, ARG(0)));
}

static zoo_jv t_gt(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_GT, v, ARG(0)));
}

static zoo_jv t_ge(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_GE, v, ARG(0)));
}

static zoo_jv t_in(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    return ZOO_JV_BOOL(zoo_jv_relation(x, JO_IN, v, ARG(0)));
}

/* Identity. Whether two equal texts or large numbers are one object is a matter of how they came
 * to be, which is not followed here. */
static zoo_jv t_sameas(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    zoo_jv other = ARG(0);
    if (v.kind != other.kind || v.safe != other.safe) {
        return ZOO_JV_BOOL(false);
    }
    if (v.kind == JV_NONE || v.kind == JV_BOOL ||
        (v.kind == JV_INT && v.as.i >= -5 && v.as.i < 257)) {
        return ZOO_JV_BOOL(zoo_jv_equal(x, v, other));
    }
    bool by_value = v.kind == JV_INT || v.kind == JV_FLOAT || v.kind == JV_BIG ||
                    v.kind == JV_STR || v.kind == JV_TUPLE || v.kind == JV_RANGE;
    if (v.kind != JV_INT && v.kind != JV_FLOAT && v.as.list == other.as.list) {
        return ZOO_JV_BOOL(true);
    }
    if (by_value && zoo_jv_equal(x, v, other)) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "sameas of two equal '%s' is not supported",
                        zoo_jv_type(v));
    }
    return ZOO_JV_BOOL(false);
}

static void need_key(zoo_jinja *x, zoo_jv v)
{
    if (!zoo_jv_hashable(v)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "unhashable type: '%s'", zoo_jv_type(v));
    }
}

static zoo_jv t_filter(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    need_key(x, v);
    return ZOO_JV_BOOL(zoo_jfilter_exists(v));
}

static zoo_jv t_test(zoo_jinja *x, zoo_jv v, const zoo_jargs *args)
{
    (void)args;
    need_key(x, v);
    return ZOO_JV_BOOL(v.kind == JV_STR && zoo_jtest_find(v.as.str->s, v.as.str->n) != NULL);
}

static const zoo_jfunction tests[] = {
    {"defined", t_defined, "", 0},
    {"undefined", t_undefined, "", 0},
    {"none", t_none, "", 0},
    {"boolean", t_boolean, "", 0},
    {"true", t_true, "", 0},
    {"false", t_false, "", 0},
    {"integer", t_integer, "", 0},
    {"float", t_float, "", 0},
    {"number", t_number, "", 0},
    {"string", t_string, "", 0},
    {"mapping", t_mapping, "", 0},
    {"iterable", t_iterable, "", 0},
    {"sequence", t_sequence, "", 0},
    {"callable", t_callable, "", 0},
    {"escaped", t_escaped, "", 0},
    {"lower", t_lower, "", 0},
    {"upper", t_upper, "", 0},
    {"divisibleby", t_divisibleby, "num", 1},
    {"even", t_even, "", 0},
    {"odd", t_odd, "", 0},
    {"eq", t_eq, "/ other", 1},
    {"==", t_eq, "/ other", 1},
    {"equalto", t_eq, "/ other", 1},
    {"ne", t_ne, "/ other", 1},
    {"!=", t_ne, "/ other", 1},
    {"lt", t_lt, "/ other", 1},
    {"<", t_lt, "/ other", 1},
    {"lessthan", t_lt, "/ other", 1},
    {"le", t_le, "/ other", 1},
    {"<=", t_le, "/ other", 1},
    {"gt", t_gt, "/ other", 1},
    {">", t_gt, "/ other", 1},
    {"greaterthan", t_gt, "/ other", 1},
    {"ge", t_ge, "/ other", 1},
    {">=", t_ge, "/ other", 1},
    {"in", t_in, "seq", 1},
    {"sameas", t_sameas, "other", 1},
    {"filter", t_filter, "", 0},
    {"test", t_test, "", 0},
};

const zoo_jfunction *zoo_jtest_find(const char *s, size_t n)
{
    for (size_t i = 0; i < ZOO_COUNT(tests); i++) {
        if (strlen(tests[i].name) == n && memcmp(tests[i].name, s, n) == 0) {
            return &tests[i];
        }
    }
    return NULL;
}
