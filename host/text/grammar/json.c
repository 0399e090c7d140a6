/*
 * json.c: the parts that all JSON is made of, as nodes: blanks, strings, numbers, integers
 * of a range, free values.
 */
#include "text/grammar/grammar_private.h"

#define BLANKS_MAX  20
#define DIGITS_MAX  15
#define STRINGS_MAX 100000u

/* At most one blank, or a newline and up to BLANKS_MAX blanks: pretty printing without the chance
 * of blanks for ever. */
zoo_gnode zoo_g_space(zoo_gbuild *b, zoo_gnode next)
{
    if (b->space == ZOO_GRULE_NONE) {
        zoo_gnode indent = ZOO_GNODE_RETURN;
        b->space = zoo_g_rule(b, NULL);
        for (int i = 0; i < BLANKS_MAX; i++) {
            indent = zoo_g_either(b, zoo_g_text(b, " ", 1, indent), ZOO_GNODE_RETURN);
        }
        zoo_gnode line = zoo_g_text(b, "\n", 1, indent);
        zoo_gnode blank = zoo_g_text(b, " ", 1, ZOO_GNODE_RETURN);
        zoo_gnode some = zoo_g_either(b, blank, line);
        zoo_g_rule_set(b, b->space, zoo_g_either(b, ZOO_GNODE_RETURN, some));
    }
    return zoo_g_call(b, b->space, next);
}

zoo_gnode zoo_g_beyond_ascii(zoo_gbuild *b, zoo_gnode next)
{
    zoo_gnode one = zoo_g_range(b, 0x80, 0xBF, next), two = zoo_g_range(b, 0x80, 0xBF, one);
    zoo_gclass three_bytes = {{0}};
    zoo_gclass_add(&three_bytes, 0xE1, 0xEC);
    zoo_gclass_add(&three_bytes, 0xEE, 0xEF);
    zoo_gnode out = zoo_g_range(b, 0xC2, 0xDF, one);
    out = zoo_g_either(b, out, zoo_g_range(b, 0xE0, 0xE0, zoo_g_range(b, 0xA0, 0xBF, one)));
    out = zoo_g_either(b, out, zoo_g_class(b, &three_bytes, two));
    out = zoo_g_either(b, out, zoo_g_range(b, 0xED, 0xED, zoo_g_range(b, 0x80, 0x9F, one)));
    out = zoo_g_either(b, out, zoo_g_range(b, 0xF0, 0xF0, zoo_g_range(b, 0x90, 0xBF, two)));
    zoo_gnode three = zoo_g_range(b, 0x80, 0xBF, two);
    out = zoo_g_either(b, out, zoo_g_range(b, 0xF1, 0xF3, three));
    return zoo_g_either(b, out, zoo_g_range(b, 0xF4, 0xF4, zoo_g_range(b, 0x80, 0x8F, two)));
}

static zoo_gclass hex_class(bool without_d)
{
    zoo_gclass c = {{0}};
    zoo_gclass_add(&c, '0', '9');
    zoo_gclass_add(&c, 'a', without_d ? 'c' : 'f');
    zoo_gclass_add(&c, 'A', without_d ? 'C' : 'F');
    zoo_gclass_add(&c, 'e', 'f');
    zoo_gclass_add(&c, 'E', 'F');
    return c;
}

/* After a backslash. \u of a surrogate half is left out: the character itself may be written. */
static zoo_gnode escape(zoo_gbuild *b, zoo_gnode next)
{
    static const char simple[] = "\"\\/bfnrt";
    zoo_gclass c = {{0}}, hex = hex_class(false), first = hex_class(true), d = {{0}};
    for (const char *s = simple; *s; s++) {
        zoo_gclass_add(&c, *s, *s);
    }
    zoo_gclass_add(&d, 'd', 'd');
    zoo_gclass_add(&d, 'D', 'D');
    zoo_gnode two = zoo_g_class(b, &hex, zoo_g_class(b, &hex, next));
    zoo_gnode plain = zoo_g_class(b, &first, zoo_g_class(b, &hex, two));
    zoo_gnode below_surrogates = zoo_g_class(b, &d, zoo_g_range(b, '0', '7', two));
    zoo_gnode code = zoo_g_text(b, "u", 1, zoo_g_either(b, plain, below_surrogates));
    return zoo_g_either(b, zoo_g_class(b, &c, next), code);
}

zoo_gnode zoo_g_character(zoo_gbuild *b, zoo_gnode next)
{
    if (b->character == ZOO_GRULE_NONE) {
        zoo_gclass plain = {{0}};
        b->character = zoo_g_rule(b, NULL);
        zoo_gclass_add(&plain, 0x20, 0x21);
        zoo_gclass_add(&plain, 0x23, 0x5B);
        zoo_gclass_add(&plain, 0x5D, 0x7E);
        zoo_gnode out = zoo_g_class(b, &plain, ZOO_GNODE_RETURN);
        out = zoo_g_either(b, out, zoo_g_text(b, "\\", 1, escape(b, ZOO_GNODE_RETURN)));
        out = zoo_g_either(b, out, zoo_g_beyond_ascii(b, ZOO_GNODE_RETURN));
        zoo_g_rule_set(b, b->character, out);
    }
    return zoo_g_call(b, b->character, next);
}

zoo_gnode zoo_g_string(zoo_gbuild *b, uint32_t min, uint32_t max, zoo_gnode next)
{
    zoo_gnode quote = zoo_g_text(b, "\"", 1, next), at = quote;
    if (min > STRINGS_MAX || (max != UINT32_MAX && max > STRINGS_MAX)) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "minLength or maxLength over %u", STRINGS_MAX);
        return ZOO_GNODE_RETURN;
    }
    if (b->quote.n) {
        if (min || max != UINT32_MAX) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                            "minLength and maxLength cannot be kept in this model's calls");
        }
        return zoo_g_mark(b, b->quote, zoo_g_until(b, b->quote, next));
    }
    if (max == UINT32_MAX) {
        at = zoo_g_loop(b);
        zoo_g_loop_set(b, at, zoo_g_character(b, at), quote);
    }
    for (uint32_t i = min; max != UINT32_MAX && i < max && b->status == ZOO_OK; i++) {
        at = zoo_g_either(b, zoo_g_character(b, at), quote);
    }
    for (uint32_t i = 0; i < min && b->status == ZOO_OK; i++) {
        at = zoo_g_character(b, at);
    }
    return zoo_g_text(b, "\"", 1, at);
}

/* 0 to n more digits. */
static zoo_gnode digits_up_to(zoo_gbuild *b, int n, zoo_gnode next)
{
    zoo_gnode at = next;
    for (int i = 0; i < n; i++) {
        at = zoo_g_either(b, zoo_g_range(b, '0', '9', at), next);
    }
    return at;
}

zoo_gnode zoo_g_number(zoo_gbuild *b, zoo_gnode next)
{
    if (b->number == ZOO_GRULE_NONE) {
        b->number = zoo_g_rule(b, NULL);
        zoo_gnode end = ZOO_GNODE_RETURN;
        zoo_gnode power = zoo_g_range(b, '0', '9', digits_up_to(b, 1, end));
        zoo_gclass sign = {{0}}, e = {{0}};
        zoo_gclass_add(&sign, '+', '+');
        zoo_gclass_add(&sign, '-', '-');
        zoo_gclass_add(&e, 'e', 'e');
        zoo_gclass_add(&e, 'E', 'E');
        zoo_gnode exponent =
            zoo_g_class(b, &e, zoo_g_either(b, zoo_g_class(b, &sign, power), power));
        zoo_gnode tail = zoo_g_either(b, end, exponent);
        zoo_gnode digits = zoo_g_range(b, '0', '9', digits_up_to(b, DIGITS_MAX - 1, tail));
        zoo_gnode fraction = zoo_g_either(b, tail, zoo_g_text(b, ".", 1, digits));
        zoo_gnode whole =
            zoo_g_either(b, zoo_g_text(b, "0", 1, fraction),
                         zoo_g_range(b, '1', '9', digits_up_to(b, DIGITS_MAX - 1, fraction)));
        zoo_g_rule_set(b, b->number, zoo_g_either(b, whole, zoo_g_text(b, "-", 1, whole)));
    }
    return zoo_g_call(b, b->number, next);
}

typedef struct digit_range {
    char low[32], high[32];
    int n;
} digit_range;

/* The digits from `at` on; at_low, at_high: those before were equal to the bound's. */
static zoo_gnode between(zoo_gbuild *b, const digit_range *r, int at, bool at_low, bool at_high,
                         zoo_gnode next)
{
    if (at == r->n) {
        return next;
    }
    char low = at_low ? r->low[at] : '0', high = at_high ? r->high[at] : '9';
    if ((!at_low && !at_high) || low == high) {
        zoo_gnode rest = between(b, r, at + 1, at_low && low == high, at_high && low == high, next);
        return zoo_g_range(b, low, high, rest);
    }
    zoo_gnode out = zoo_g_range(b, low, low, between(b, r, at + 1, at_low, false, next));
    out = zoo_g_either(b, out,
                       zoo_g_range(b, high, high, between(b, r, at + 1, false, at_high, next)));
    if (high - low > 1) {
        zoo_gnode rest = between(b, r, at + 1, false, false, next);
        out = zoo_g_either(b, out, zoo_g_range(b, low + 1, high - 1, rest));
    }
    return out;
}

/* low..high, 0 <= low <= high: one range for each number of digits. */
static zoo_gnode natural(zoo_gbuild *b, int64_t low, int64_t high, zoo_gnode next)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    int64_t first = 0, last = 9;
    for (int n = 1; n <= DIGITS_MAX; n++) {
        int64_t from = low > first ? low : first, to = high < last ? high : last;
        if (from <= to) {
            digit_range r = {.n = n};
            (void)snprintf(r.low, sizeof r.low, "%0*lld", n, (long long)from);
            (void)snprintf(r.high, sizeof r.high, "%0*lld", n, (long long)to);
            zoo_gnode part = between(b, &r, 0, true, true, next);
            out = any ? zoo_g_either(b, out, part) : part;
            any = true;
        }
        first = last + 1;
        last = last * 10 + 9;
    }
    return out;
}

zoo_gnode zoo_g_integer(zoo_gbuild *b, int64_t low, int64_t high, zoo_gnode next)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    if (low > high) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "minimum and maximum leave no integer of up to %d digits",
                        DIGITS_MAX);
        return out;
    }
    if (high >= 0) {
        out = natural(b, low > 0 ? low : 0, high, next);
    }
    if (low < 0) {
        zoo_gnode digits = natural(b, high < 0 ? -high : 1, -low, next);
        zoo_gnode minus = zoo_g_text(b, "-", 1, digits);
        out = high >= 0 ? zoo_g_either(b, out, minus) : minus;
    }
    return out;
}

/* open, then items of their kind with commas between, then close. */
static zoo_gnode row(zoo_gbuild *b, const char *open, const char *close,
                     zoo_gnode (*item)(zoo_gbuild *, zoo_gnode))
{
    zoo_gnode end = zoo_g_text(b, close, 1, ZOO_GNODE_RETURN);
    zoo_gnode more = zoo_g_loop(b);
    zoo_gnode next = zoo_g_text(b, ",", 1, zoo_g_space(b, item(b, more)));
    zoo_g_loop_set(b, more, next, zoo_g_space(b, end));
    zoo_gnode first = zoo_g_space(b, zoo_g_either(b, item(b, more), end));
    return zoo_g_text(b, open, 1, first);
}

/* A key of letters, digits and underscores without quotes. */
static zoo_gnode bare_key(zoo_gbuild *b, zoo_gnode next)
{
    zoo_gclass c = {{0}};
    zoo_gnode more = zoo_g_loop(b);
    zoo_gclass_add(&c, '0', '9');
    zoo_gclass_add(&c, 'A', 'Z');
    zoo_gclass_add(&c, 'a', 'z');
    zoo_gclass_add(&c, '_', '_');
    zoo_g_loop_set(b, more, zoo_g_class(b, &c, more), next);
    return zoo_g_class(b, &c, more);
}

static zoo_gnode member(zoo_gbuild *b, zoo_gnode next)
{
    zoo_gnode value = zoo_g_space(b, zoo_g_value(b, next));
    if (b->quote.n) {
        return bare_key(b, zoo_g_text(b, ":", 1, value));
    }
    return zoo_g_string(b, 0, UINT32_MAX, zoo_g_text(b, ":", 1, value));
}

zoo_gnode zoo_g_object(zoo_gbuild *b, zoo_gnode next)
{
    if (b->object == ZOO_GRULE_NONE) {
        b->object = zoo_g_rule(b, NULL);
        zoo_g_rule_set(b, b->object, row(b, "{", "}", member));
    }
    return zoo_g_call(b, b->object, next);
}

zoo_gnode zoo_g_array(zoo_gbuild *b, zoo_gnode next)
{
    if (b->array == ZOO_GRULE_NONE) {
        b->array = zoo_g_rule(b, NULL);
        zoo_g_rule_set(b, b->array, row(b, "[", "]", zoo_g_value));
    }
    return zoo_g_call(b, b->array, next);
}

zoo_gnode zoo_g_value(zoo_gbuild *b, zoo_gnode next)
{
    if (b->value == ZOO_GRULE_NONE) {
        zoo_gnode end = ZOO_GNODE_RETURN;
        b->value = zoo_g_rule(b, NULL);
        zoo_gnode out = zoo_g_string(b, 0, UINT32_MAX, end);
        out = zoo_g_either(b, out, zoo_g_number(b, end));
        out = zoo_g_either(b, out, zoo_g_object(b, end));
        out = zoo_g_either(b, out, zoo_g_array(b, end));
        out = zoo_g_either(b, out, zoo_g_text(b, "true", 4, end));
        out = zoo_g_either(b, out, zoo_g_text(b, "false", 5, end));
        out = zoo_g_either(b, out, zoo_g_text(b, "null", 4, end));
        zoo_g_rule_set(b, b->value, out);
    }
    return zoo_g_call(b, b->value, next);
}
