/*
 * globals.c: the functions every template sees, and the clock.
 *
 * range is bounded at 100,000 items as the reference's sandbox bounds it. strftime_now knows the
 * conversions of C's strftime in the C locale, Python's %f, and one flag (- _ 0 ^ #); field widths
 * are refused.
 */
#include <string.h>
#include <time.h>

#include "text/jinja/jinja_private.h"

#define ARG(i)    (args->args[i])
#define RANGE_MAX 100000

static zoo_jv g_range(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self;
    bool one = zoo_jv_absent(ARG(1));
    int64_t start = one ? 0 : zoo_jarg_int(x, ARG(0), 0, "an argument of range");
    int64_t stop = zoo_jarg_int(x, ARG(one ? 0 : 1), 0, "an argument of range");
    int64_t step = zoo_jarg_int(x, ARG(2), 1, "the step of range");
    if (step == 0) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "range() arg 3 must not be zero");
    }
    if (start > INT32_MAX || start < INT32_MIN || stop > INT32_MAX || stop < INT32_MIN ||
        step > INT32_MAX || step < INT32_MIN) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "range() with an argument beyond 32 bits");
    }
    int64_t distance = step > 0 ? stop - start : start - stop;
    int64_t size = step > 0 ? step : -step;
    int64_t n = distance > 0 ? (distance - 1) / size + 1 : 0;
    if (n > RANGE_MAX) {
        zoo_jinja_raise(x, ZOO_E_LIMIT,
                        "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                        RANGE_MAX);
    }
    zoo_jrange *range = zoo_jinja_take(x, sizeof *range);
    *range = (zoo_jrange){.start = start, .stop = stop, .step = step, .n = n};
    return (zoo_jv){.kind = JV_RANGE, .as.range = range};
}

/* A dict of a mapping or of pairs, then of the named arguments. */
static zoo_jv make_dict(zoo_jinja *x, const zoo_jargs *args)
{
    zoo_jv out = zoo_jv_dict(x), item;
    if (args->n_args > 1) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "dict expected at most 1 argument, got %zu", args->n_args);
    }
    if (args->n_args && ARG(0).kind == JV_DICT) {
        const zoo_jdict *from = ARG(0).as.dict;
        for (size_t i = 0; i < from->n; i++) {
            zoo_jdict_set(x, out.as.dict, from->entries[i].key, from->entries[i].value);
        }
    } else if (args->n_args) {
        zoo_jv_need(x, ARG(0));
        zoo_jiter it = zoo_jiter_begin(x, ARG(0));
        while (zoo_jiter_next(x, &it, &item)) {
            zoo_jv pair = zoo_jv_to_list(x, item);
            if (pair.as.list->n != 2) {
                zoo_jinja_raise(x, ZOO_E_CONFIG, "a dict needs pairs, one has %zu parts",
                                pair.as.list->n);
            }
            zoo_jdict_set(x, out.as.dict, pair.as.list->items[0], pair.as.list->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_named; i++) {
        zoo_jv key = {.kind = JV_STR, .as.str = args->names[i]};
        zoo_jdict_set(x, out.as.dict, key, args->named[i]);
    }
    return out;
}

static zoo_jv g_dict(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self;
    return make_dict(x, args);
}

static zoo_jv g_namespace(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self;
    zoo_jv out = make_dict(x, args);
    for (size_t i = 0; i < out.as.dict->n; i++) {
        zoo_jv key = out.as.dict->entries[i].key;
        if (key.kind == JV_STR && key.as.str->n && key.as.str->s[0] == '_') {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "a namespace keeps no attribute '%.*s'",
                            (int)key.as.str->n, key.as.str->s);
        }
    }
    out.kind = JV_NAMESPACE;
    return out;
}

static zoo_jv g_raise(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self;
    zoo_jv text = zoo_jv_to_str(x, ARG(0));
    zoo_jinja_raise(x, ZOO_E_CONFIG, "%.*s", text.as.str->n > 380 ? 380 : (int)text.as.str->n,
                    text.as.str->s);
}

static zoo_jv g_strftime(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self;
    return zoo_jv_strftime(x, ARG(0));
}

static zoo_jv g_refused(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)self, (void)args;
    zoo_jinja_raise(x, ZOO_E_UNSUPPORTED,
                    "the functions cycler, joiner and lipsum are not supported");
}

static const zoo_jfunction globals[] = {
    {"range", g_range, "/ start stop step", 1},
    {"dict", g_dict, "*", 0},
    {"namespace", g_namespace, "*", 0},
    {"raise_exception", g_raise, "message", 1},
    {"strftime_now", g_strftime, "format", 1},
    {"cycler", g_refused, "*", 0},
    {"joiner", g_refused, "*", 0},
    {"lipsum", g_refused, "*", 0},
};

const zoo_jfunction *zoo_jglobal_find(const char *s, size_t n)
{
    for (size_t i = 0; i < ZOO_COUNT(globals); i++) {
        if (strlen(globals[i].name) == n && memcmp(globals[i].name, s, n) == 0) {
            return &globals[i];
        }
    }
    return NULL;
}

static struct tm time_fields(const zoo_clock *now)
{
    struct tm t = {0};
    if (!now) {
        time_t seconds = time(NULL);
        (void)localtime_r(&seconds, &t);
        return t;
    }
    t.tm_year = now->year - 1900;
    t.tm_mon = now->month - 1;
    t.tm_mday = now->day;
    t.tm_hour = now->hour;
    t.tm_min = now->minute;
    t.tm_sec = now->second;
    struct tm noon = t;
    noon.tm_hour = 12;
    time_t seconds = timegm(&noon);
    (void)gmtime_r(&seconds, &noon);
    t.tm_wday = noon.tm_wday;
    t.tm_yday = noon.tm_yday;
    return t;
}

static void add_conversion(zoo_jinja *x, zoo_jbuf *buf, const char *s, size_t n, const struct tm *t)
{
    static const char known[] = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";
    char format[4] = "%", text[128];
    char kind = s[n - 1];
    if (kind == 'f') {
        (void)snprintf(text, sizeof text, "%06d", x->now ? x->now->microsecond : 0);
        zoo_jbuf_text(x, buf, text);
        return;
    }
    if (!kind || !strchr(known, kind)) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the time format %%%.*s is not supported", (int)n, s);
    }
    memcpy(format + 1, s, n);
    format[n + 1] = 0;
    size_t written = strftime(text, sizeof text, format, t);
    zoo_jbuf_add(x, buf, text, written);
}

zoo_jv zoo_jv_strftime(zoo_jinja *x, zoo_jv format)
{
    const zoo_jstr *s = zoo_jarg_str(x, format, "the time format");
    struct tm t = time_fields(x->now);
    zoo_jbuf buf = {0};
    for (size_t i = 0; i < s->n; i++) {
        if (s->s[i] != '%') {
            zoo_jbuf_add(x, &buf, s->s + i, 1);
            continue;
        }
        bool has_flag = i + 1 < s->n && s->s[i + 1] && strchr("-_0^#", s->s[i + 1]);
        size_t n = has_flag ? 2 : 1;
        if (i + n >= s->n) {
            zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the time format ends inside a conversion");
        }
        add_conversion(x, &buf, s->s + i + 1, n, &t);
        i += n;
    }
    return zoo_jv_buf(x, &buf);
}
