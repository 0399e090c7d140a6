/*
 * number.c: integers and numbers of a range, and multiples.
 *
 * A bound is the decimal that its JSON text says (the shortest that gives the double back). A
 * number of the range low..high, both of one sign, is one of
 *
 *   I          low's whole part, then decimals not below low's
 *   J          high's whole part, then decimals not above high's
 *   I+1..J-1   any decimals
 *
 * Decimals are at most 6, or as many as a bound has (up to 18; what a bound has beyond is rounded
 * inwards). Where a bound is open, ways that could only end on it are left out, so every prefix
 * that is offered can be finished. Bounded numbers have no exponent.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar/grammar_private.h"

#define DECIMALS_MIN  6
#define DECIMALS_MAX  18
#define MULTIPLES_MAX 1000

typedef struct decimal {
    int64_t whole;
    char digits[DECIMALS_MAX + 1]; /* after the point, zeros at the end */
    int n;                         /* of them that are said */
    bool open, cut;                /* cut: there were more than DECIMALS_MAX */
} decimal;

/* A node, or none: no text leads to an end. */
typedef struct way {
    zoo_gnode node;
    bool any;
} way;

static way join(zoo_gbuild *b, way x, way y)
{
    if (!x.any || !y.any) {
        return x.any ? x : y;
    }
    return (way){zoo_g_either(b, x.node, y.node), true};
}

/* x >= 0, below 10^16. */
static decimal decimal_of(double x, bool open)
{
    decimal d = {.open = open};
    char text[64];
    int precision = 0;
    do {
        (void)snprintf(text, sizeof text, "%.*e", precision, x);
    } while (++precision < 18 && strtod(text, NULL) != x);
    int exponent = atoi(strchr(text, 'e') + 1), at = 0;
    memset(d.digits, '0', DECIMALS_MAX);
    for (const char *s = text; *s != 'e'; s++) {
        int place = at - exponent - 1; /* 0: the first after the point */
        if (*s == '.') {
            continue;
        }
        at++;
        if (place < 0) {
            d.whole = d.whole * 10 + (*s - '0');
        } else if (place < DECIMALS_MAX) {
            d.digits[place] = *s;
            d.n = *s != '0' ? place + 1 : d.n;
        } else {
            d.cut = d.cut || *s != '0';
        }
    }
    for (; at <= exponent; at++) {
        d.whole *= 10;
    }
    return d;
}

typedef struct range {
    decimal low, high;
    int n; /* decimals */
    zoo_gnode next;
} range;

static bool is_zero_from(const decimal *d, int at)
{
    return strspn(d->digits + at, "0") == strlen(d->digits + at);
}

/* Whether the text may end here: zeros would follow. */
static bool may_end(const range *r, int at, bool at_low, bool at_high)
{
    bool low = !at_low || (is_zero_from(&r->low, at) && !r->low.open);
    bool high = !at_high || !is_zero_from(&r->high, at) || !r->high.open;
    return low && high;
}

/* One digit of from..to and what follows it. */
static way decimals(zoo_gbuild *b, const range *r, int at, bool at_low, bool at_high);

static way digit(zoo_gbuild *b, const range *r, int at, const char span[2], bool at_low,
                 bool at_high)
{
    if (span[0] > span[1]) {
        return (way){ZOO_GNODE_RETURN, false};
    }
    way rest = decimals(b, r, at + 1, at_low, at_high);
    if (may_end(r, at + 1, at_low, at_high)) {
        rest = join(b, rest, (way){r->next, true});
    }
    return rest.any ? (way){zoo_g_range(b, span[0], span[1], rest.node), true} : rest;
}

/* At least one digit more, the one at `at`. */
static way decimals(zoo_gbuild *b, const range *r, int at, bool at_low, bool at_high)
{
    if (at == r->n) {
        return (way){ZOO_GNODE_RETURN, false};
    }
    char low = at_low ? r->low.digits[at] : '0', high = at_high ? r->high.digits[at] : '9';
    if (low == high || (!at_low && !at_high)) {
        return digit(b, r, at, (char[2]){low, high}, at_low, at_high);
    }
    char from = (char)(low + at_low), to = (char)(high - at_high);
    way out = digit(b, r, at, (char[2]){from, to}, false, false);
    if (at_low) {
        out = join(b, out, digit(b, r, at, (char[2]){low, low}, true, false));
    }
    if (at_high && low <= high) {
        out = join(b, out, digit(b, r, at, (char[2]){high, high}, false, true));
    }
    return out;
}

/* What stands after a whole part: nothing, or a point and decimals. */
static way behind_whole(zoo_gbuild *b, const range *r, bool at_low, bool at_high)
{
    way out = decimals(b, r, 0, at_low, at_high);
    if (out.any) {
        out.node = zoo_g_text(b, ".", 1, out.node);
    }
    return may_end(r, 0, at_low, at_high) ? join(b, out, (way){r->next, true}) : out;
}

static way with_whole(zoo_gbuild *b, int64_t from, int64_t to, way behind)
{
    if (from > to || !behind.any) {
        return (way){ZOO_GNODE_RETURN, false};
    }
    return (way){zoo_g_integer(b, from, to, behind.node), true};
}

/* 0 <= low <= high. */
static way positive(zoo_gbuild *b, const range *r)
{
    int64_t i = r->low.whole, j = r->high.whole;
    if (i == j) {
        int order = strcmp(r->low.digits, r->high.digits);
        bool none = order > 0 || (order == 0 && (r->low.open || r->high.open));
        return none ? (way){ZOO_GNODE_RETURN, false}
                    : with_whole(b, i, i, behind_whole(b, r, true, true));
    }
    way out = with_whole(b, i, i, behind_whole(b, r, true, false));
    out = join(b, out, with_whole(b, j, j, behind_whole(b, r, false, true)));
    return j - i > 1 ? join(b, out, with_whole(b, i + 1, j - 1, behind_whole(b, r, false, false)))
                     : out;
}

/* The numbers of low..high, 0 <= low; open says of each bound whether it is left out. */
static way between(zoo_gbuild *b, double low, double high, const bool open[2], zoo_gnode next)
{
    const double most = (double)ZOO_G_INTEGER_MAX;
    range r = {.n = DECIMALS_MIN, .next = next};
    if (low > high || low > most) {
        return (way){ZOO_GNODE_RETURN, false};
    }
    r.low = decimal_of(low, open[0]);
    r.high = decimal_of(high > most ? most : high, open[1] && high <= most);
    /* Rounded inwards: above a cut low bound, on a cut high one. */
    r.low.open = r.low.open || r.low.cut;
    r.high.open = r.high.open && !r.high.cut;
    r.n = r.low.n > r.n ? r.low.n : r.n;
    r.n = r.high.n > r.n ? r.high.n : r.n;
    r.n = r.low.cut || r.high.cut ? DECIMALS_MAX : r.n;
    /* An open bound of many decimals needs one more to be left behind. */
    r.n += r.low.open && r.n < DECIMALS_MAX && r.n == r.low.n;
    return positive(b, &r);
}

typedef struct bounds {
    double low, high;
    bool low_open, high_open;
} bounds;

static double number_of(zoo_gbuild *b, const cJSON *schema, const char *key, double fallback)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(schema, key);
    if (v && !cJSON_IsNumber(v)) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "%s is not a number", key);
    }
    return cJSON_IsNumber(v) ? v->valuedouble : fallback;
}

static bounds read_bounds(zoo_gbuild *b, const cJSON *schema)
{
    double inf = (double)INFINITY;
    bounds r = {.low = number_of(b, schema, "minimum", -inf),
                .high = number_of(b, schema, "maximum", inf)};
    double low = number_of(b, schema, "exclusiveMinimum", -inf);
    double high = number_of(b, schema, "exclusiveMaximum", inf);
    r.low_open = low >= r.low && !isinf(low);
    r.high_open = high <= r.high && !isinf(high);
    r.low = r.low_open ? low : r.low;
    r.high = r.high_open ? high : r.high;
    return r;
}

static int64_t clamp(double d, int64_t limit)
{
    return d < -(double)limit ? -limit : d > (double)limit ? limit : (int64_t)d;
}

/* The integers between the bounds that have few enough digits. */
static void whole_bounds(const bounds *r, int64_t limit, int64_t *low, int64_t *high)
{
    double from = ceil(r->low), to = floor(r->high);
    from += r->low_open && from == r->low ? 1.0 : 0.0;
    to -= r->high_open && to == r->high ? 1.0 : 0.0;
    *low = from > (double)limit ? limit + 1 : clamp(from, limit);
    *high = to < -(double)limit ? -limit - 1 : clamp(to, limit);
}

/* ---- multiples ---- */

/* Digits of a number whose remainder by m is known: at[r] is the node for remainder r, `left` more
 * digits may come. */
static void add_digits(zoo_gbuild *b, uint32_t m, zoo_gnode *at, zoo_gnode *next, zoo_gnode end)
{
    for (uint32_t r = 0; r < m && b->status == ZOO_OK; r++) {
        zoo_gnode out = ZOO_GNODE_RETURN;
        for (int d = 0; d < 10; d++) {
            zoo_gnode one = zoo_g_range(b, '0' + d, '0' + d, at[(r * 10 + (uint32_t)d) % m]);
            out = d ? zoo_g_either(b, out, one) : one;
        }
        next[r] = r == 0 ? zoo_g_either(b, out, end) : out;
    }
}

/* Every multiple of m with at most DIGITS digits, by listing where they are few, else by remainders
 * where the range has no bounds, or begins at 0. */
static zoo_gnode multiples(zoo_gbuild *b, int64_t m, int64_t low, int64_t high, zoo_gnode next)
{
    int64_t first = low / m + (low > 0 && low % m != 0),
            last = high / m - (high < 0 && high % m != 0);
    zoo_gnode out = ZOO_GNODE_RETURN;
    if (first > last) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "multipleOf and the bounds leave no integer");
        return out;
    }
    if (last - first < MULTIPLES_MAX) {
        for (int64_t k = first; k <= last && b->status == ZOO_OK; k++) {
            zoo_gnode one = zoo_g_integer(b, k * m, k * m, next);
            out = k > first ? zoo_g_either(b, out, one) : one;
        }
        return out;
    }
    bool fits = (low == 0 || low == -ZOO_G_INTEGER_MAX) && high == ZOO_G_INTEGER_MAX;
    if (!fits || m > 200) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                        "multipleOf %lld within these bounds is not supported (up to %d values "
                        "are, or no upper bound)",
                        (long long)m, MULTIPLES_MAX);
        return out;
    }
    zoo_gnode rows[2][200];
    uint32_t n = (uint32_t)m;
    zoo_gclass none = {{0}};
    for (uint32_t r = 0; r < n; r++) {
        /* Past the last digit only remainder 0 may stand. */
        rows[0][r] = r == 0 ? next : zoo_g_class(b, &none, next);
    }
    for (int i = 0; i < 14 && b->status == ZOO_OK; i++) {
        add_digits(b, n, rows[i % 2], rows[(i + 1) % 2], next);
    }
    for (int d = 1; d < 10; d++) {
        zoo_gnode one = zoo_g_range(b, '0' + d, '0' + d, rows[0][(uint32_t)d % n]);
        out = d > 1 ? zoo_g_either(b, out, one) : one;
    }
    zoo_gnode minus = low < 0 ? zoo_g_text(b, "-", 1, out) : out;
    out = zoo_g_either(b, zoo_g_text(b, "0", 1, next), out);
    return low < 0 ? zoo_g_either(b, out, minus) : out;
}

/* multipleOf as a whole number; 0: not said. */
static int64_t read_multiple(zoo_gbuild *b, const cJSON *schema)
{
    double m = number_of(b, schema, "multipleOf", 0.0);
    bool said = cJSON_GetObjectItemCaseSensitive(schema, "multipleOf") != NULL;
    if (said && !(m >= 1.0 && m <= 1e12 && m == floor(m))) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "multipleOf is supported for whole numbers above 0");
    }
    return said && b->status == ZOO_OK ? (int64_t)m : 0;
}

zoo_gnode zoo_g_schema_integer(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    bounds r = read_bounds(b, schema);
    int64_t low = 0, high = 0, m = read_multiple(b, schema);
    whole_bounds(&r, ZOO_G_INTEGER_MAX, &low, &high);
    return m > 1 ? multiples(b, m, low, high, next) : zoo_g_integer(b, low, high, next);
}

zoo_gnode zoo_g_schema_number(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    bounds r = read_bounds(b, schema);
    way out = {ZOO_GNODE_RETURN, false};
    if (read_multiple(b, schema)) {
        return zoo_g_schema_integer(b, schema, next);
    }
    if (isinf(r.low) && isinf(r.high)) {
        return zoo_g_number(b, next);
    }
    if (r.high >= 0.0) {
        bool from_zero = r.low < 0.0;
        out = between(b, from_zero ? 0.0 : r.low, r.high,
                      (bool[2]){!from_zero && r.low_open, r.high_open}, next);
    }
    if (r.low < 0.0) {
        bool to_zero = r.high >= 0.0;
        way digits = between(b, to_zero ? 0.0 : -r.high, -r.low,
                             (bool[2]){to_zero || r.high_open, r.low_open}, next);
        if (digits.any) {
            digits.node = zoo_g_text(b, "-", 1, digits.node);
        }
        out = join(b, out, digits);
    }
    if (!out.any) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "minimum and maximum leave no number that can be written");
    }
    return out.node;
}
