/*
 * text.c: str() and repr() of values, as Python prints them.
 *
 * Floats: the shortest decimal digits that read back as the same double, with an exponent below
 * 1e-4 and from 1e16 on. Strings in repr: single quotes unless the text has one and no double one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

static int shortest_digits(double f, char digits[32])
{
    int precision = 0;
    char *end = NULL;
    for (precision = 1; precision < 17; precision++) {
        (void)snprintf(digits, 32, "%.*e", precision - 1, f);
        if (strtod(digits, &end) == f) {
            return precision;
        }
    }
    (void)snprintf(digits, 32, "%.16e", f);
    return 17;
}

void zoo_float_print(double f, char *out)
{
    char text[32];
    if (isnan(f) || isinf(f)) {
        (void)snprintf(out, 32, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int n = shortest_digits(f, text);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        (void)snprintf(out, 32, "%.*e", n - 1, f);
        return;
    }
    int decimals = n - 1 - exponent;
    (void)snprintf(out, 32, "%.*f", decimals > 1 ? decimals : 1, f);
}

static void repr_str(zoo_jinja *x, zoo_jbuf *buf, const zoo_jstr *s)
{
    bool has_single = memchr(s->s, '\'', s->n) != NULL;
    bool has_double = memchr(s->s, '"', s->n) != NULL;
    char quote = has_single && !has_double ? '"' : '\'';
    char code[16];
    size_t n = 0;
    zoo_jbuf_add(x, buf, &quote, 1);
    for (size_t at = 0; at < s->n; at += n) {
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        if (c == (uint32_t)quote || c == '\\') {
            zoo_jbuf_text(x, buf, "\\");
            zoo_jbuf_char(x, buf, c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            zoo_jbuf_text(x, buf, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (zoo_char_is_printable(c)) {
            zoo_jbuf_add(x, buf, s->s + at, n);
        } else {
            const char *format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
            (void)snprintf(code, sizeof code, format, c);
            zoo_jbuf_text(x, buf, code);
        }
    }
    zoo_jbuf_add(x, buf, &quote, 1);
}

static void repr_items(zoo_jinja *x, zoo_jbuf *buf, const zoo_jlist *list, const char *around)
{
    zoo_jbuf_add(x, buf, around, 1);
    for (size_t i = 0; i < list->n; i++) {
        if (i) {
            zoo_jbuf_text(x, buf, ", ");
        }
        zoo_jbuf_repr(x, buf, list->items[i]);
    }
    if (around[0] == '(' && list->n == 1) {
        zoo_jbuf_text(x, buf, ",");
    }
    zoo_jbuf_add(x, buf, around + 1, 1);
}

static void repr_dict(zoo_jinja *x, zoo_jbuf *buf, const zoo_jdict *dict)
{
    zoo_jbuf_text(x, buf, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i) {
            zoo_jbuf_text(x, buf, ", ");
        }
        zoo_jbuf_repr(x, buf, dict->entries[i].key);
        zoo_jbuf_text(x, buf, ": ");
        zoo_jbuf_repr(x, buf, dict->entries[i].value);
    }
    zoo_jbuf_text(x, buf, "}");
}

static void repr_range(zoo_jinja *x, zoo_jbuf *buf, const zoo_jrange *r)
{
    char text[96];
    (void)snprintf(text, sizeof text, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
    zoo_jbuf_text(x, buf, text);
    if (r->step != 1) {
        (void)snprintf(text, sizeof text, ", %lld", (long long)r->step);
        zoo_jbuf_text(x, buf, text);
    }
    zoo_jbuf_text(x, buf, ")");
}

static void repr_number(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v)
{
    char text[32];
    if (v.kind == JV_BOOL) {
        zoo_jbuf_text(x, buf, v.as.b ? "True" : "False");
    } else if (v.kind == JV_BIG) {
        zoo_jbuf_add(x, buf, v.as.str->s, v.as.str->n);
    } else if (v.kind == JV_INT) {
        (void)snprintf(text, sizeof text, "%lld", (long long)v.as.i);
        zoo_jbuf_text(x, buf, text);
    } else {
        zoo_float_print(v.as.f, text);
        zoo_jbuf_text(x, buf, text);
    }
}

/* What Python prints with an address in it has no value that could be equal to the reference's. */
static void refuse_address(zoo_jinja *x, zoo_jv v)
{
    zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "printing a '%s' object is not supported",
                    zoo_jv_type(v));
}

static void repr_view(zoo_jinja *x, zoo_jbuf *buf, const zoo_jlist *list)
{
    zoo_jbuf_text(x, buf, list->tag);
    zoo_jbuf_text(x, buf, "(");
    repr_items(x, buf, list, "[]");
    zoo_jbuf_text(x, buf, ")");
}

void zoo_jbuf_repr(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v)
{
    char text[80];
    zoo_jinja_enter(x);
    zoo_jinja_step(x, 1);
    switch (v.kind) {
    case JV_UNDEFINED:
        zoo_jbuf_text(x, buf, "Undefined");
        break;
    case JV_NONE:
        zoo_jbuf_text(x, buf, "None");
        break;
    case JV_BOOL:
    case JV_INT:
    case JV_BIG:
    case JV_FLOAT:
        repr_number(x, buf, v);
        break;
    case JV_STR:
        if (v.safe) {
            zoo_jbuf_text(x, buf, "Markup(");
        }
        repr_str(x, buf, v.as.str);
        if (v.safe) {
            zoo_jbuf_text(x, buf, ")");
        }
        break;
    case JV_LIST:
        repr_items(x, buf, v.as.list, "[]");
        break;
    case JV_TUPLE:
        repr_items(x, buf, v.as.list, "()");
        break;
    case JV_VIEW:
        repr_view(x, buf, v.as.list);
        break;
    case JV_DICT:
        repr_dict(x, buf, v.as.dict);
        break;
    case JV_NAMESPACE:
        zoo_jbuf_text(x, buf, "<Namespace ");
        repr_dict(x, buf, v.as.dict);
        zoo_jbuf_text(x, buf, ">");
        break;
    case JV_RANGE:
        repr_range(x, buf, v.as.range);
        break;
    case JV_MACRO:
        zoo_jbuf_text(x, buf, "<Macro ");
        if (v.as.macro->node->kind == JN_MACRO) {
            repr_str(x, buf, v.as.macro->node->value.as.str);
        } else {
            zoo_jbuf_text(x, buf, "anonymous");
        }
        zoo_jbuf_text(x, buf, ">");
        break;
    case JV_LOOP:
        (void)snprintf(text, sizeof text, "<LoopContext %lld/%lld>",
                       (long long)v.as.loop->index0 + 1, (long long)zoo_jloop_length(x, v.as.loop));
        zoo_jbuf_text(x, buf, text);
        break;
    default:
        refuse_address(x, v);
    }
    zoo_jinja_leave(x);
}

void zoo_jbuf_str(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v)
{
    if (v.kind == JV_STR) {
        zoo_jbuf_add(x, buf, v.as.str->s, v.as.str->n);
    } else if (v.kind != JV_UNDEFINED) {
        zoo_jbuf_repr(x, buf, v);
    }
}

zoo_jv zoo_jv_to_str(zoo_jinja *x, zoo_jv v)
{
    if (v.kind == JV_STR) {
        return v;
    }
    zoo_jbuf buf = {0};
    zoo_jbuf_str(x, &buf, v);
    return zoo_jv_buf(x, &buf);
}

zoo_jv zoo_jv_escape(zoo_jinja *x, zoo_jv v)
{
    zoo_jv str = zoo_jv_to_str(x, v);
    if (str.safe) {
        return str;
    }
    zoo_jbuf buf = {0};
    for (size_t i = 0; i < str.as.str->n; i++) {
        const char *c = str.as.str->s + i;
        switch (*c) {
        case '&':
            zoo_jbuf_text(x, &buf, "&amp;");
            break;
        case '<':
            zoo_jbuf_text(x, &buf, "&lt;");
            break;
        case '>':
            zoo_jbuf_text(x, &buf, "&gt;");
            break;
        case '"':
            zoo_jbuf_text(x, &buf, "&#34;");
            break;
        case '\'':
            zoo_jbuf_text(x, &buf, "&#39;");
            break;
        default:
            zoo_jbuf_add(x, &buf, c, 1);
        }
    }
    zoo_jv out = zoo_jv_buf(x, &buf);
    out.safe = 1;
    return out;
}
