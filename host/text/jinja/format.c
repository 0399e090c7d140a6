/*
 * format.c: Python's formatting with %: "%-5s|%05.2f" % values.
 *
 * %(key)..., flags, width and precision, * for either; d i u o x X e E f F g G c r s a %. Integers
 * beyond 64 bits are written by d and s only, precisions over 1000 are refused.
 */
#include <math.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

#define PRECISION_MAX 1000
#define WIDTH_MAX     INT32_MAX

typedef struct format {
    zoo_jinja *x;
    const zoo_jstr *f;
    size_t at;
    zoo_jv args;
    size_t used, n_args;
    bool is_safe, has_mapping;
    bool is_single; /* args is one value, tuple or not */
    zoo_jbuf out;
} format;

typedef struct spec {
    bool left, plus, blank, alt, zero;
    int64_t width, precision; /* precision -1: none */
    char kind;
} spec;

static zoo_jv next_arg(format *p)
{
    if (p->used >= p->n_args) {
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "not enough arguments for format string");
    }
    return p->is_single ? (p->used++, p->args) : p->args.as.list->items[p->used++];
}

static char peek(const format *p)
{
    if (p->at >= p->f->n) {
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "incomplete format");
    }
    return p->f->s[p->at];
}

/* %(key): from then on the value of the key is the one argument. */
static void take_key(format *p, zoo_jv mapping)
{
    size_t begin = ++p->at, depth = 1;
    if (!p->has_mapping) {
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "format requires a mapping");
    }
    for (; depth; p->at++) {
        char c = p->at < p->f->n ? p->f->s[p->at] : 0;
        if (p->at >= p->f->n) {
            zoo_jinja_raise(p->x, ZOO_E_CONFIG, "incomplete format key");
        }
        depth += (c == '(') - (size_t)(c == ')');
    }
    zoo_jv key = zoo_jv_view(p->x, p->f->s + begin, p->at - 1 - begin);
    const zoo_jv *found =
        mapping.kind == JV_DICT ? zoo_jdict_get(p->x, mapping.as.dict, key) : NULL;
    if (!found) {
        zoo_jv_need(p->x, mapping);
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "the format's key is missing");
    }
    p->args = *found;
    p->used = 0;
    p->n_args = 1;
    p->is_single = true;
}

static int64_t take_number(format *p, int64_t none, int64_t max)
{
    int64_t n = 0;
    if (peek(p) == '*') {
        p->at++;
        zoo_jv v = next_arg(p);
        if (v.kind != JV_INT && v.kind != JV_BOOL) {
            zoo_jinja_raise(p->x, ZOO_E_CONFIG, "* wants int");
        }
        n = zoo_jarg_int(p->x, v, 0, "*");
    } else if (peek(p) >= '0' && peek(p) <= '9') {
        while (peek(p) >= '0' && peek(p) <= '9' && n <= max) {
            n = n * 10 + (p->f->s[p->at++] - '0');
        }
    } else {
        return none;
    }
    if (n > max || n < -max) {
        zoo_jinja_raise(p->x, ZOO_E_UNSUPPORTED, "a width or precision over %lld is not supported",
                        (long long)max);
    }
    return n;
}

static spec take_spec(format *p)
{
    spec s = {.precision = -1};
    for (;; p->at++) {
        char c = peek(p);
        bool *flag = c == '-'   ? &s.left
                     : c == '+' ? &s.plus
                     : c == ' ' ? &s.blank
                     : c == '#' ? &s.alt
                     : c == '0' ? &s.zero
                                : NULL;
        if (!flag) {
            break;
        }
        *flag = true;
    }
    s.width = take_number(p, 0, WIDTH_MAX);
    if (s.width < 0) {
        s.left = true;
        s.width = -s.width;
    }
    if (peek(p) == '.') {
        p->at++;
        s.precision = take_number(p, 0, PRECISION_MAX);
        s.precision = s.precision < 0 ? 0 : s.precision;
    }
    if (strchr("hlL", peek(p))) {
        p->at++;
    }
    s.kind = peek(p);
    p->at++;
    return s;
}

static void fill(format *p, char c, int64_t n)
{
    zoo_jinja_step(p->x, n > 0 ? (uint64_t)n : 0);
    for (; n > 0; n--) {
        zoo_jbuf_add(p->x, &p->out, &c, 1);
    }
}

/* body stands after its sign ("-", "+", " ", "") and prefix ("0x", "0o", ""). */
static void put_number(format *p, const spec *s, const char *sign, const char *prefix,
                       const char *body)
{
    int64_t n = (int64_t)(strlen(sign) + strlen(prefix) + strlen(body)), missing = s->width - n;
    fill(p, ' ', s->left || s->zero ? 0 : missing);
    zoo_jbuf_text(p->x, &p->out, sign);
    zoo_jbuf_text(p->x, &p->out, prefix);
    fill(p, '0', s->zero && !s->left ? missing : 0);
    zoo_jbuf_text(p->x, &p->out, body);
    fill(p, ' ', s->left ? missing : 0);
}

static const char *sign_of(const spec *s, bool minus)
{
    return minus ? "-" : s->plus ? "+" : s->blank ? " " : "";
}

_Noreturn static void bad_type(const format *p, const spec *s, zoo_jv v)
{
    zoo_jv_need(p->x, v);
    zoo_jinja_raise(p->x, ZOO_E_CONFIG, "%%%c format: a number is required, not %s", s->kind,
                    zoo_jv_type(v));
}

static void put_int(format *p, const spec *s, zoo_jv v)
{
    char kind = s->kind, text[80];
    bool decimal = kind == 'd' || kind == 'i' || kind == 'u';
    if (v.kind == JV_FLOAT && decimal) {
        v = zoo_jv_whole(p->x, v.as.f);
    }
    if (v.kind == JV_BOOL) {
        v = ZOO_JV_INT(v.as.b);
    }
    if (v.kind != JV_INT && v.kind != JV_BIG) {
        bad_type(p, s, v);
    }
    if (v.kind == JV_BIG && !decimal) {
        zoo_jinja_raise(p->x, ZOO_E_UNSUPPORTED, "%%%c of an integer beyond 64 bits", kind);
    }
    zoo_jbuf digits = {0}, body = {0};
    bool minus = v.kind == JV_BIG ? v.as.str->s[0] == '-' : v.as.i < 0;
    if (v.kind == JV_BIG) {
        zoo_jbuf_add(p->x, &digits, v.as.str->s + minus, v.as.str->n - minus);
    } else {
        uint64_t u = minus ? 0 - (uint64_t)v.as.i : (uint64_t)v.as.i;
        int n = kind == 'o'   ? snprintf(text, sizeof text, "%llo", (unsigned long long)u)
                : kind == 'x' ? snprintf(text, sizeof text, "%llx", (unsigned long long)u)
                : kind == 'X' ? snprintf(text, sizeof text, "%llX", (unsigned long long)u)
                              : snprintf(text, sizeof text, "%llu", (unsigned long long)u);
        zoo_jbuf_add(p->x, &digits, text, (size_t)n);
    }
    for (int64_t i = (int64_t)digits.n; i < s->precision; i++) {
        zoo_jbuf_text(p->x, &body, "0");
    }
    zoo_jbuf_add(p->x, &body, digits.s, digits.n);
    zoo_jbuf_add(p->x, &body, "", 1);
    const char *prefix = !s->alt || decimal ? "" : kind == 'o' ? "0o" : kind == 'x' ? "0x" : "0X";
    put_number(p, s, sign_of(s, minus), prefix, body.s);
}

static int print_double(char *out, size_t n, const spec *s, int precision, double f)
{
    switch (s->kind) {
    case 'e':
        return snprintf(out, n, s->alt ? "%#.*e" : "%.*e", precision, f);
    case 'E':
        return snprintf(out, n, s->alt ? "%#.*E" : "%.*E", precision, f);
    case 'f':
        return snprintf(out, n, s->alt ? "%#.*f" : "%.*f", precision, f);
    case 'F':
        return snprintf(out, n, s->alt ? "%#.*F" : "%.*F", precision, f);
    case 'g':
        return snprintf(out, n, s->alt ? "%#.*g" : "%.*g", precision, f);
    default:
        return snprintf(out, n, s->alt ? "%#.*G" : "%.*G", precision, f);
    }
}

static void put_float(format *p, const spec *s, zoo_jv v)
{
    char text[PRECISION_MAX + 400];
    double f = 0.0;
    if (!zoo_jv_is_number(v) || !zoo_jv_to_double(p->x, v, &f)) {
        bad_type(p, s, v);
    }
    bool minus = signbit(f) && !isnan(f);
    (void)print_double(text, sizeof text, s, s->precision < 0 ? 6 : (int)s->precision,
                       isnan(f) ? (double)NAN : fabs(f));
    if (isnan(f)) {
        (void)snprintf(text, sizeof text, s->kind < 'a' ? "NAN" : "nan");
    }
    put_number(p, s, sign_of(s, minus), "", text);
}

static void put_text(format *p, const spec *s, zoo_jv text)
{
    const zoo_jstr *str = text.as.str;
    size_t keep = s->precision >= 0 && (size_t)s->precision < str->n_chars ? (size_t)s->precision
                                                                           : str->n_chars;
    int64_t missing = s->width - (int64_t)keep;
    fill(p, ' ', s->left ? 0 : missing);
    zoo_jbuf_add(p->x, &p->out, str->s, zoo_jstr_offset(str, keep));
    fill(p, ' ', s->left ? missing : 0);
}

static zoo_jv char_of(format *p, const spec *s, zoo_jv v)
{
    zoo_jbuf buf = {0};
    if (v.kind == JV_STR && v.as.str->n_chars == 1) {
        return v;
    }
    if (v.kind != JV_INT && v.kind != JV_BOOL) {
        bad_type(p, s, v);
    }
    int64_t c = zoo_jarg_int(p->x, v, 0, "a character");
    if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "%%c arg not in range(0x110000)");
    }
    zoo_jbuf_char(p->x, &buf, (uint32_t)c);
    return zoo_jv_buf(p->x, &buf);
}

static zoo_jv text_of(format *p, const spec *s, zoo_jv v)
{
    zoo_jbuf buf = {0};
    if (s->kind == 'c') {
        return char_of(p, s, v);
    }
    if (s->kind == 's') {
        return p->is_safe ? zoo_jv_escape(p->x, v) : zoo_jv_to_str(p->x, v);
    }
    zoo_jbuf_repr(p->x, &buf, v);
    zoo_jv text = zoo_jv_buf(p->x, &buf);
    if (s->kind == 'a' && text.as.str->n != text.as.str->n_chars) {
        zoo_jinja_raise(p->x, ZOO_E_UNSUPPORTED, "%%a of a text beyond ASCII is not supported");
    }
    return p->is_safe ? zoo_jv_escape(p->x, text) : text;
}

static void put(format *p, zoo_jv mapping)
{
    p->at++;
    if (peek(p) == '(') {
        take_key(p, mapping);
    }
    spec s = take_spec(p);
    if (s.kind == '%') {
        zoo_jbuf_text(p->x, &p->out, "%");
        return;
    }
    zoo_jv v = next_arg(p);
    if (strchr("diuoxX", s.kind)) {
        put_int(p, &s, v);
    } else if (strchr("eEfFgG", s.kind)) {
        put_float(p, &s, v);
    } else if (strchr("srac", s.kind)) {
        put_text(p, &s, text_of(p, &s, v));
    } else {
        zoo_jinja_raise(p->x, ZOO_E_CONFIG, "unsupported format character");
    }
}

zoo_jv zoo_jstr_format(zoo_jinja *x, zoo_jv text, zoo_jv args)
{
    format p = {.x = x, .f = text.as.str, .args = args, .is_safe = text.safe};
    p.is_single = args.kind != JV_TUPLE;
    p.n_args = p.is_single ? 1 : args.as.list->n;
    p.has_mapping = args.kind == JV_DICT || args.kind == JV_LIST || args.kind == JV_RANGE ||
                    args.kind == JV_UNDEFINED;
    while (p.at < p.f->n) {
        const char *next = memchr(p.f->s + p.at, '%', p.f->n - p.at);
        size_t end = next ? (size_t)(next - p.f->s) : p.f->n;
        zoo_jbuf_add(x, &p.out, p.f->s + p.at, end - p.at);
        p.at = end;
        if (next) {
            put(&p, args);
        }
    }
    if (p.used < p.n_args && !p.has_mapping) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "not all arguments converted during string formatting");
    }
    zoo_jv out = zoo_jv_buf(x, &p.out);
    out.safe = text.safe;
    return out;
}
