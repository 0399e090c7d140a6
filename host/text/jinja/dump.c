/*
 * dump.c: the filter tojson: json.dumps with ensure_ascii, indent, separators, sort_keys.
 *
 * Keys that are no strings become ones (True -> "true", None -> "null", numbers as printed). NaN
 * and Infinity are written so. Nothing is escaped for HTML.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

static void dump(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v, const zoo_jdump *how, size_t level);

static void dump_code(zoo_jinja *x, zoo_jbuf *buf, uint32_t c)
{
    char text[16];
    (void)snprintf(text, sizeof text, "\\u%04x", c);
    zoo_jbuf_text(x, buf, text);
}

static void dump_str(zoo_jinja *x, zoo_jbuf *buf, const zoo_jstr *s, bool ascii)
{
    static const char from[] = "\"\\\n\r\t\f\b";
    static const char to[] = "\"\\nrtfb";
    size_t n = 0;
    zoo_jbuf_text(x, buf, "\"");
    for (size_t at = 0; at < s->n; at += n) {
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        const char *found = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (found) {
            zoo_jbuf_text(x, buf, "\\");
            zoo_jbuf_add(x, buf, to + (found - from), 1);
        } else if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) {
            dump_code(x, buf, c);
        } else if (ascii && c >= 0x10000) {
            dump_code(x, buf, 0xD800 + ((c - 0x10000) >> 10));
            dump_code(x, buf, 0xDC00 + ((c - 0x10000) & 0x3FF));
        } else {
            zoo_jbuf_add(x, buf, s->s + at, n);
        }
    }
    zoo_jbuf_text(x, buf, "\"");
    zoo_jinja_step(x, s->n / 16);
}

static void dump_float(zoo_jinja *x, zoo_jbuf *buf, double f)
{
    char text[32];
    zoo_float_print(f, text);
    zoo_jbuf_text(x, buf, isnan(f) ? "NaN" : isinf(f) ? (f < 0 ? "-Infinity" : "Infinity") : text);
}

static void dump_newline(zoo_jinja *x, zoo_jbuf *buf, const zoo_jdump *how, size_t level)
{
    zoo_jbuf_text(x, buf, "\n");
    for (size_t i = 0; i < level; i++) {
        zoo_jbuf_str(x, buf, how->indent);
    }
}

static void dump_list(zoo_jinja *x, zoo_jbuf *buf, const zoo_jlist *list, const zoo_jdump *how,
                      size_t level)
{
    zoo_jbuf_text(x, buf, "[");
    for (size_t i = 0; i < list->n; i++) {
        if (i) {
            zoo_jbuf_str(x, buf, how->item_separator);
        }
        if (how->pretty) {
            dump_newline(x, buf, how, level + 1);
        }
        dump(x, buf, list->items[i], how, level + 1);
    }
    if (how->pretty && list->n) {
        dump_newline(x, buf, how, level);
    }
    zoo_jbuf_text(x, buf, "]");
}

static void dump_key(zoo_jinja *x, zoo_jbuf *buf, zoo_jv key, const zoo_jdump *how)
{
    if (key.kind == JV_STR) {
        dump_str(x, buf, key.as.str, how->ascii);
        return;
    }
    if (key.kind != JV_NONE && !zoo_jv_is_number(key)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "keys must be str, int, float, bool or None, not %s",
                        zoo_jv_type(key));
    }
    zoo_jbuf_text(x, buf, "\"");
    dump(x, buf, key, how, 0);
    zoo_jbuf_text(x, buf, "\"");
}

static const zoo_jentry **sorted_entries(zoo_jinja *x, const zoo_jdict *dict, bool sorted)
{
    const zoo_jentry **order = zoo_jinja_array(x, dict->n + 1, sizeof *order);
    for (size_t i = 0; i < dict->n; i++) {
        size_t at = i;
        while (sorted && at > 0 &&
               zoo_jv_compare(x, dict->entries[i].key, order[at - 1]->key, "<") < 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = &dict->entries[i];
    }
    return order;
}

static void dump_dict(zoo_jinja *x, zoo_jbuf *buf, const zoo_jdict *dict, const zoo_jdump *how,
                      size_t level)
{
    const zoo_jentry **order = sorted_entries(x, dict, how->sorted);
    zoo_jbuf_text(x, buf, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i) {
            zoo_jbuf_str(x, buf, how->item_separator);
        }
        if (how->pretty) {
            dump_newline(x, buf, how, level + 1);
        }
        dump_key(x, buf, order[i]->key, how);
        zoo_jbuf_str(x, buf, how->key_separator);
        dump(x, buf, order[i]->value, how, level + 1);
    }
    if (how->pretty && dict->n) {
        dump_newline(x, buf, how, level);
    }
    zoo_jbuf_text(x, buf, "}");
}

static void dump(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v, const zoo_jdump *how, size_t level)
{
    zoo_jinja_enter(x);
    zoo_jinja_step(x, 1);
    switch (v.kind) {
    case JV_NONE:
        zoo_jbuf_text(x, buf, "null");
        break;
    case JV_BOOL:
        zoo_jbuf_text(x, buf, v.as.b ? "true" : "false");
        break;
    case JV_INT:
    case JV_BIG:
        zoo_jbuf_repr(x, buf, v);
        break;
    case JV_FLOAT:
        dump_float(x, buf, v.as.f);
        break;
    case JV_STR:
        dump_str(x, buf, v.as.str, how->ascii);
        break;
    case JV_LIST:
    case JV_TUPLE:
        dump_list(x, buf, v.as.list, how, level);
        break;
    case JV_DICT:
        dump_dict(x, buf, v.as.dict, how, level);
        break;
    default:
        zoo_jinja_raise(x, ZOO_E_CONFIG, "Object of type %s is not JSON serializable",
                        zoo_jv_type(v));
    }
    zoo_jinja_leave(x);
}

void zoo_jbuf_json(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v, const zoo_jdump *how)
{
    dump(x, buf, v, how, 0);
}
