/*
 * ops.c: arithmetic and relations with Python's rules.
 *
 * Integers are 64 bits wide here; a result beyond that, or an operand that was (JV_BIG), is refused
 * and never rounded. / always gives a float; // and % round towards minus infinity. + and * also
 * join and repeat strings, lists and tuples; % formats a string.
 */
#include <math.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

static const char *const op_names[] = {
    [JO_ADD] = "+", [JO_SUB] = "-",  [JO_MUL] = "*", [JO_DIV] = "/", [JO_FLOORDIV] = "//",
    [JO_MOD] = "%", [JO_POW] = "**", [JO_EQ] = "==", [JO_NE] = "!=", [JO_LT] = "<",
    [JO_LE] = "<=", [JO_GT] = ">",   [JO_GE] = ">=", [JO_IN] = "in", [JO_NOTIN] = "not in"};

_Noreturn static void bad_operands(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b)
{
    zoo_jv_need(x, a);
    zoo_jv_need(x, b);
    if (op == JO_SUB && a.kind == JV_VIEW) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "sets are not supported");
    }
    bool joins = op == JO_ADD && (a.kind == JV_STR || a.kind == JV_LIST || a.kind == JV_TUPLE);
    if (joins) {
        const char *type = zoo_jv_type(a);
        zoo_jinja_raise(x, ZOO_E_CONFIG, "can only concatenate %s (not \"%s\") to %s", type,
                        zoo_jv_type(b), type);
    }
    zoo_jinja_raise(x, ZOO_E_CONFIG, "unsupported operand type(s) for %s: '%s' and '%s'",
                    op_names[op], zoo_jv_type(a), zoo_jv_type(b));
}

_Noreturn static void too_big(zoo_jinja *x)
{
    zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "arithmetic beyond 64-bit integers is not supported");
}

static double to_double(zoo_jv v)
{
    return v.kind == JV_FLOAT ? v.as.f : v.kind == JV_BOOL ? (double)v.as.b : (double)v.as.i;
}

/* Python's float // and %. */
static zoo_jv float_divmod(zoo_jop op, double a, double b)
{
    double m = fmod(a, b), q = (a - m) / b;
    if (m != 0.0 && (b < 0.0) != (m < 0.0)) {
        m += b;
        q -= 1.0;
    }
    if (op == JO_MOD) {
        return zoo_jv_float(m != 0.0 ? m : copysign(0.0, b));
    }
    if (q == 0.0) {
        return zoo_jv_float(copysign(0.0, a / b));
    }
    double whole = floor(q);
    return zoo_jv_float(q - whole > 0.5 ? whole + 1.0 : whole);
}

static zoo_jv float_power(zoo_jinja *x, double a, double b)
{
    if (a == 0.0 && b < 0.0 && !isnan(b)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "0.0 cannot be raised to a negative power");
    }
    if (isfinite(a) && isfinite(b)) {
        if (a < 0.0 && b != floor(b)) {
            zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "complex numbers are not supported");
        }
        if (isinf(pow(a, b))) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "a power is out of range");
        }
    }
    return zoo_jv_float(pow(a, b));
}

static zoo_jv float_op(zoo_jinja *x, zoo_jop op, double a, double b)
{
    if ((op == JO_DIV || op == JO_FLOORDIV || op == JO_MOD) && b == 0.0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "division by zero");
    }
    switch (op) {
    case JO_ADD:
        return zoo_jv_float(a + b);
    case JO_SUB:
        return zoo_jv_float(a - b);
    case JO_MUL:
        return zoo_jv_float(a * b);
    case JO_DIV:
        return zoo_jv_float(a / b);
    case JO_FLOORDIV:
    case JO_MOD:
        return float_divmod(op, a, b);
    default:
        return float_power(x, a, b);
    }
}

/* a / b of integers, correctly rounded. */
static zoo_jv int_quotient(zoo_jinja *x, int64_t a, int64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    const int64_t exact = (int64_t)1 << 53;
    if (b == 0 || a == 0 || (a <= exact && a >= -exact && b <= exact && b >= -exact)) {
        return float_op(x, JO_DIV, (double)a, (double)b);
    }
    uint64_t n = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, d = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    int exponent = -64;
    wide top = (wide)n << 64;
    while (!(top >> 127)) {
        top <<= 1;
        exponent--;
    }
    wide q = top / d;
    bool more = top % d != 0;
    while (q >> 62) {
        more |= (bool)(q & 1);
        q >>= 1;
        exponent++;
    }
    double f = ldexp((double)((int64_t)q | (int64_t)more), exponent);
    return zoo_jv_float((a < 0) != (b < 0) ? -f : f);
}

static zoo_jv int_power(zoo_jinja *x, int64_t a, int64_t b)
{
    if (b < 0) {
        return float_op(x, JO_POW, (double)a, (double)b);
    }
    if (a >= -1 && a <= 1) {
        return ZOO_JV_INT(b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a);
    }
    int64_t out = 1;
    for (; b > 0; b--) {
        if (__builtin_mul_overflow(out, a, &out)) {
            too_big(x);
        }
    }
    return ZOO_JV_INT(out);
}

static zoo_jv int_divide(zoo_jinja *x, zoo_jop op, int64_t a, int64_t b)
{
    if (b == 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "integer division or modulo by zero");
    }
    if (b == -1) {
        return op == JO_MOD ? ZOO_JV_INT(0) : zoo_jv_negate(x, ZOO_JV_INT(a));
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    return ZOO_JV_INT(op == JO_MOD ? rest : quotient);
}

static zoo_jv int_op(zoo_jinja *x, zoo_jop op, int64_t a, int64_t b)
{
    int64_t out = 0;
    bool overflow = false;
    switch (op) {
    case JO_ADD:
        overflow = __builtin_add_overflow(a, b, &out);
        break;
    case JO_SUB:
        overflow = __builtin_sub_overflow(a, b, &out);
        break;
    case JO_MUL:
        overflow = __builtin_mul_overflow(a, b, &out);
        break;
    case JO_DIV:
        return int_quotient(x, a, b);
    case JO_POW:
        return int_power(x, a, b);
    default:
        return int_divide(x, op, a, b);
    }
    if (overflow) {
        too_big(x);
    }
    return ZOO_JV_INT(out);
}

static zoo_jv number_op(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b)
{
    if (a.kind == JV_BIG || b.kind == JV_BIG) {
        too_big(x);
    }
    if (a.kind == JV_FLOAT || b.kind == JV_FLOAT) {
        return float_op(x, op, to_double(a), to_double(b));
    }
    int64_t i = a.kind == JV_BOOL ? (int64_t)a.as.b : a.as.i;
    int64_t j = b.kind == JV_BOOL ? (int64_t)b.as.b : b.as.i;
    return int_op(x, op, i, j);
}

static zoo_jv join(zoo_jinja *x, zoo_jv a, zoo_jv b)
{
    if (a.kind == JV_STR) {
        bool safe = a.safe || b.safe;
        zoo_jv left = safe ? zoo_jv_escape(x, a) : a, right = safe ? zoo_jv_escape(x, b) : b;
        const zoo_jstr *s = left.as.str, *t = right.as.str;
        char *out = zoo_jinja_take(x, s->n + t->n);
        memcpy(out, s->s, s->n);
        memcpy(out + s->n, t->s, t->n);
        zoo_jinja_step(x, (s->n + t->n) / 64);
        zoo_jv v = zoo_jv_view(x, out, s->n + t->n);
        v.safe = safe;
        return v;
    }
    const zoo_jlist *s = a.as.list, *t = b.as.list;
    zoo_jv out = zoo_jv_list(x, (zoo_jkind)a.kind, s->n + t->n);
    zoo_jinja_step(x, s->n + t->n);
    for (size_t i = 0; i < s->n + t->n; i++) {
        zoo_jlist_add(x, out.as.list, i < s->n ? s->items[i] : t->items[i - s->n]);
    }
    return out;
}

static zoo_jv repeat(zoo_jinja *x, zoo_jv what, int64_t times)
{
    size_t n = times > 0 ? (size_t)times : 0;
    size_t size = what.kind == JV_STR ? what.as.str->n : what.as.list->n;
    if (size && n > x->limits.memory_bytes_max / size) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "a repetition of %zu times is too long", n);
    }
    n = size ? n : 0;
    zoo_jinja_step(x, size * n / 16);
    if (what.kind == JV_STR) {
        char *out = zoo_jinja_take(x, size * n);
        for (size_t i = 0; i < n; i++) {
            memcpy(out + i * size, what.as.str->s, size);
        }
        zoo_jv v = zoo_jv_view(x, out, size * n);
        v.safe = what.safe;
        return v;
    }
    zoo_jv out = zoo_jv_list(x, (zoo_jkind)what.kind, size * n);
    for (size_t i = 0; i < size * n; i++) {
        zoo_jlist_add(x, out.as.list, what.as.list->items[i % size]);
    }
    return out;
}

static bool is_sequence(zoo_jv v)
{
    return v.kind == JV_STR || v.kind == JV_LIST || v.kind == JV_TUPLE;
}

static bool is_count(zoo_jv v)
{
    return v.kind == JV_INT || v.kind == JV_BOOL;
}

zoo_jv zoo_jv_binary(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b)
{
    if (zoo_jv_is_number(a) && zoo_jv_is_number(b)) {
        return number_op(x, op, a, b);
    }
    if (op == JO_ADD && is_sequence(a) && a.kind == b.kind) {
        return join(x, a, b);
    }
    if (op == JO_MUL && is_sequence(a) && is_count(b)) {
        return repeat(x, a, b.kind == JV_BOOL ? (int64_t)b.as.b : b.as.i);
    }
    if (op == JO_MUL && is_sequence(b) && is_count(a)) {
        return repeat(x, b, a.kind == JV_BOOL ? (int64_t)a.as.b : a.as.i);
    }
    if (op == JO_MOD && a.kind == JV_STR) {
        return zoo_jstr_format(x, a, b);
    }
    bad_operands(x, op, a, b);
}

zoo_jv zoo_jv_negate(zoo_jinja *x, zoo_jv a)
{
    if (a.kind == JV_FLOAT) {
        return zoo_jv_float(-a.as.f);
    }
    if (a.kind == JV_BIG || (a.kind == JV_INT && a.as.i == INT64_MIN)) {
        zoo_jbuf text = {0};
        zoo_jv out = ZOO_JV_NONE;
        bool negative = a.kind == JV_INT || a.as.str->s[0] == '-';
        zoo_jbuf_text(x, &text, negative ? "" : "-");
        zoo_jbuf_repr(x, &text, a);
        size_t skip = negative ? 1 : 0;
        (void)zoo_jv_parse_int(x, text.s + skip, text.n - skip, 10, &out);
        return out;
    }
    if (!zoo_jv_is_number(a)) {
        zoo_jv_need(x, a);
        zoo_jinja_raise(x, ZOO_E_CONFIG, "bad operand type for unary -: '%s'", zoo_jv_type(a));
    }
    return ZOO_JV_INT(a.kind == JV_BOOL ? -(int64_t)a.as.b : -a.as.i);
}

bool zoo_jv_relation(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b)
{
    switch (op) {
    case JO_EQ:
        return zoo_jv_equal(x, a, b);
    case JO_NE:
        return !zoo_jv_equal(x, a, b);
    case JO_IN:
        return zoo_jv_contains(x, b, a);
    case JO_NOTIN:
        return !zoo_jv_contains(x, b, a);
    default:
        break;
    }
    int order = zoo_jv_compare(x, a, b, op_names[op]);
    if (order == 2) {
        return false;
    }
    switch (op) {
    case JO_LT:
        return order < 0;
    case JO_LE:
        return order <= 0;
    case JO_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}
