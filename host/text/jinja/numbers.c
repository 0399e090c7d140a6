/*
 * numbers.c: numbers from values, and the filters int, float, abs and round.
 *
 * round halves to even on the exact decimal digits of the double, as Python does; it gives an
 * integer for an integer. Refused: precisions over 60 digits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/filters.h"

#define ARG(i)        (args->args[i])
#define TEXT_MAX      400
#define PRECISION_MAX 60

/* The number that a text is as a whole, as Python reads one. */
static bool text_to_double(zoo_jinja *x, zoo_jv v, double *out)
{
    zoo_jv stripped = zoo_jv_strip(x, v, ZOO_JV_NONE, 3);
    zoo_jv ascii = zoo_jstr_digits(x, stripped.as.str->s, stripped.as.str->n);
    const zoo_jstr *s = ascii.as.str;
    char *text = zoo_jinja_take(x, s->n + 1), *end = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        bool joins = s->s[i] == '_' && i > 0 && i + 1 < s->n && s->s[i - 1] >= '0' &&
                     s->s[i - 1] <= '9' && s->s[i + 1] >= '0' && s->s[i + 1] <= '9';
        if (!s->s[i] || strchr("xXpP(", s->s[i])) {
            return false;
        }
        if (!joins) {
            text[n++] = s->s[i];
        }
    }
    text[n] = 0;
    if (!n || zoo_char_is_space((unsigned char)text[0])) {
        return false;
    }
    *out = strtod(text, &end);
    if (isnan(*out)) {
        *out = zoo_jv_nan(x).as.f;
    }
    return end == text + n;
}

bool zoo_jv_to_double(zoo_jinja *x, zoo_jv v, double *out)
{
    char text[TEXT_MAX];
    switch (v.kind) {
    case JV_FLOAT:
        *out = v.as.f;
        return true;
    case JV_INT:
        *out = (double)v.as.i;
        return true;
    case JV_BOOL:
        *out = v.as.b;
        return true;
    case JV_STR:
        return text_to_double(x, v, out);
    case JV_BIG:
        *out = INFINITY;
        if (v.as.str->n < sizeof text) {
            memcpy(text, v.as.str->s, v.as.str->n);
            text[v.as.str->n] = 0;
            *out = strtod(text, NULL);
        }
        if (isinf(*out)) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "int too large to convert to float");
        }
        return true;
    default:
        zoo_jv_need(x, v);
        return false;
    }
}

zoo_jv zoo_jv_whole(zoo_jinja *x, double f)
{
    char text[TEXT_MAX];
    zoo_jv out = ZOO_JV_NONE;
    if (!isfinite(f)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "cannot convert float %s to integer",
                        isnan(f) ? "NaN" : "infinity");
    }
    int n = snprintf(text, sizeof text, "%.0f", trunc(f));
    (void)zoo_jv_parse_int(x, text, (size_t)n, 10, &out);
    return out;
}

zoo_jv zoo_filter_int(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jv out, fallback = zoo_jv_absent(ARG(0)) ? ZOO_JV_INT(0) : ARG(0);
    zoo_jv base_v = zoo_jv_absent(ARG(1)) ? ZOO_JV_INT(10) : ARG(1);
    double f = 0.0;
    if (self.kind == JV_BIG || self.kind == JV_INT) {
        return self;
    }
    bool is_number = base_v.kind == JV_INT || base_v.kind == JV_BOOL;
    int64_t base = is_number ? zoo_jarg_int(x, base_v, 10, "the base") : -1;
    if (self.kind == JV_STR && (base == 0 || (base >= 2 && base <= 36)) &&
        zoo_jv_parse_int(x, self.as.str->s, self.as.str->n, (int)base, &out)) {
        return out;
    }
    if (!zoo_jv_to_double(x, self, &f) || isnan(f) || (isinf(f) && self.kind == JV_STR)) {
        return fallback;
    }
    return zoo_jv_whole(x, f);
}

zoo_jv zoo_filter_float(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    double f = 0.0;
    if (zoo_jv_to_double(x, self, &f)) {
        return zoo_jv_float(f);
    }
    return zoo_jv_absent(ARG(0)) ? zoo_jv_float(0.0) : ARG(0);
}

zoo_jv zoo_filter_abs(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    zoo_jv_need(x, self);
    if (self.kind == JV_FLOAT) {
        return zoo_jv_float(fabs(self.as.f));
    }
    if (!zoo_jv_is_number(self)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "bad operand type for abs(): '%s'", zoo_jv_type(self));
    }
    bool negative =
        self.kind == JV_INT ? self.as.i < 0 : self.kind == JV_BIG && self.as.str->s[0] == '-';
    return negative ? zoo_jv_negate(x, self) : self.kind == JV_BOOL ? ZOO_JV_INT(self.as.b) : self;
}

/* To -digits places left of the point. */
static double round_left(double f, int places)
{
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof text, "%.25e", fabs(f));
    int exponent = atoi(strchr(text, 'e') + 1), kept = exponent - places;
    double unit = pow(10.0, places);
    if (f == 0.0 || kept < -1) {
        return copysign(0.0, f);
    }
    if (kept == -1) {
        return copysign(fabs(f) > unit / 2 ? unit : 0.0, f);
    }
    (void)snprintf(text, sizeof text, "%.*e", kept, f);
    return strtod(text, NULL);
}

static double round_to(double f, int64_t digits)
{
    char text[TEXT_MAX];
    if (!isfinite(f)) {
        return f;
    }
    if (digits < 0) {
        return digits < -308 ? copysign(0.0, f) : round_left(f, (int)-digits);
    }
    (void)snprintf(text, sizeof text, "%.*f", (int)digits, f);
    return strtod(text, NULL);
}

static zoo_jv round_int(zoo_jinja *x, zoo_jv v, int64_t digits)
{
    int64_t unit = 1, i = v.kind == JV_BOOL ? (int64_t)v.as.b : v.kind == JV_INT ? v.as.i : 0;
    if (digits >= 0) {
        return v.kind == JV_BIG ? v : ZOO_JV_INT(i);
    }
    if (v.kind == JV_BIG || digits < -18) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "this rounding of an integer is not supported");
    }
    for (; digits < 0; digits++) {
        unit *= 10;
    }
    int64_t rest = i % unit;
    rest += rest < 0 ? unit : 0;
    zoo_jv low = zoo_jv_binary(x, JO_SUB, ZOO_JV_INT(i), ZOO_JV_INT(rest));
    int64_t whole = low.kind == JV_INT ? low.as.i / unit : 0;
    bool up = rest > unit / 2 || (rest == unit / 2 && whole % 2 != 0);
    return up ? zoo_jv_binary(x, JO_ADD, low, ZOO_JV_INT(unit)) : low;
}

/* ceil and floor go through value * 10 ** digits / 10 ** digits. */
static zoo_jv round_way(zoo_jinja *x, zoo_jv v, int64_t digits, bool up)
{
    zoo_jv scale = zoo_jv_binary(x, JO_POW, ZOO_JV_INT(10), ZOO_JV_INT(digits));
    zoo_jv scaled = zoo_jv_binary(x, JO_MUL, v, scale);
    if (scaled.kind == JV_FLOAT) {
        double f = up ? ceil(scaled.as.f) : floor(scaled.as.f);
        scaled = zoo_jv_whole(x, f);
    }
    return zoo_jv_binary(x, JO_DIV, scaled, scale);
}

zoo_jv zoo_filter_round(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    bool common = zoo_jv_absent(ARG(1)) || zoo_jv_is(ARG(1), "common");
    bool up = zoo_jv_is(ARG(1), "ceil"), to_int = ARG(0).kind == JV_NONE;
    if (!common && !up && !zoo_jv_is(ARG(1), "floor")) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "method must be common, ceil or floor");
    }
    zoo_jv_need(x, self);
    if (!zoo_jv_is_number(self) || (to_int && !common)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "type %s doesn't define __round__", zoo_jv_type(self));
    }
    int64_t digits = to_int ? 0 : zoo_jarg_int(x, ARG(0), 0, "the precision");
    if (digits > PRECISION_MAX) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "round to %lld digits is not supported",
                        (long long)digits);
    }
    if (!common) {
        return round_way(x, self, digits, up);
    }
    if (self.kind != JV_FLOAT) {
        return round_int(x, self, digits);
    }
    double f = round_to(self.as.f, digits);
    return to_int ? zoo_jv_whole(x, f) : zoo_jv_float(f);
}
