/*
 * unicode.c: characters as Python's str sees them: whitespace, case, what repr prints as is.
 *
 * Case mapping is the full one (one character may become three). utf8proc has the simple mappings
 * and the full case folding; the full upper case of a character that has no simple one is the upper
 * case of its folding. Unicode data are those of the installed utf8proc.
 */
#include <string.h>
#include <utf8proc.h>

#include "text/jinja/jinja_private.h"

uint32_t zoo_utf8_at(const char *s, size_t *n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *n = 1;
        return u[0];
    }
    if (u[0] < 0xE0) {
        *n = 2;
        return (u[0] & 0x1Fu) << 6 | (u[1] & 0x3Fu);
    }
    if (u[0] < 0xF0) {
        *n = 3;
        return (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
    }
    *n = 4;
    return (u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu);
}

size_t zoo_utf8_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    }
    return count;
}

size_t zoo_jstr_offset(const zoo_jstr *s, size_t i)
{
    if (i >= s->n_chars) {
        return s->n;
    }
    if (s->n == s->n_chars) {
        return i;
    }
    size_t at = 0;
    while (i) {
        size_t n = 0;
        (void)zoo_utf8_at(s->s + at, &n);
        at += n;
        i--;
    }
    return at;
}

bool zoo_char_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool zoo_char_is_printable(uint32_t c)
{
    if (c < 0x7F) {
        return c >= 0x20;
    }
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

int zoo_char_digit(uint32_t c)
{
    if (c < 0x80) {
        return c >= '0' && c <= '9' ? (int)c - '0' : -1;
    }
    if (utf8proc_category((utf8proc_int32_t)c) != UTF8PROC_CATEGORY_ND) {
        return -1;
    }
    /* Decimal digits stand in runs of ten, from zero up. */
    uint32_t first = c;
    while (utf8proc_category((utf8proc_int32_t)first - 1) == UTF8PROC_CATEGORY_ND) {
        first--;
    }
    return (int)((c - first) % 10);
}

bool zoo_char_is_odd_digit(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_NO;
}

bool zoo_char_is_word(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return c == '_' || (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

typedef struct char_range {
    uint32_t first, last;
} char_range;

static bool in_ranges(uint32_t c, const char_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

bool zoo_char_is_upper(uint32_t c)
{
    /* Other_Uppercase of Unicode */
    static const char_range others[] = {{0x2160, 0x216F},
                                        {0x24B6, 0x24CF},
                                        {0x1F130, 0x1F149},
                                        {0x1F150, 0x1F169},
                                        {0x1F170, 0x1F189}};
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LU ||
           in_ranges(c, others, ZOO_COUNT(others));
}

bool zoo_char_is_lower(uint32_t c)
{
    /* Other_Lowercase of Unicode 14 */
    static const char_range others[] = {
        {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},
        {0x2E0, 0x2E4},     {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},
        {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},   {0x2071, 0x2071},   {0x207F, 0x207F},
        {0x2090, 0x209C},   {0x2170, 0x217F},   {0x24D0, 0x24E9},   {0x2C7C, 0x2C7D},
        {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},   {0xAB5C, 0xAB5F},
        {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LL ||
           (c >= 0x80 && in_ranges(c, others, ZOO_COUNT(others)));
}

bool zoo_char_is_title(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LT;
}

static bool is_cased(uint32_t c)
{
    return zoo_char_is_upper(c) || zoo_char_is_lower(c) || zoo_char_is_title(c);
}

/* Characters that word-inner punctuation and marks are to the rule of the final sigma. */
static bool is_case_ignorable(uint32_t c)
{
    static const char_range inner[] = {
        {0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
        {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
        {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
        {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return in_ranges(c, inner, ZOO_COUNT(inner));
    }
}

/* Greek letters with a subscript iota whose title case is several characters. */
static bool add_greek_title(zoo_jinja *x, zoo_jbuf *buf, uint32_t c)
{
    static const uint32_t titles[][4] = {
        {0x1FB2, 0x1FBA, 0x345, 0}, {0x1FB4, 0x386, 0x345, 0}, {0x1FB7, 0x391, 0x342, 0x345},
        {0x1FC2, 0x1FCA, 0x345, 0}, {0x1FC4, 0x389, 0x345, 0}, {0x1FC7, 0x397, 0x342, 0x345},
        {0x1FF2, 0x1FFA, 0x345, 0}, {0x1FF4, 0x38F, 0x345, 0}, {0x1FF7, 0x3A9, 0x342, 0x345}};
    for (size_t i = 0; i < ZOO_COUNT(titles); i++) {
        for (size_t k = 1; titles[i][0] == c && k < 4 && titles[i][k]; k++) {
            zoo_jbuf_char(x, buf, titles[i][k]);
        }
        if (titles[i][0] == c) {
            return true;
        }
    }
    return false;
}

/* first: only the first character of a folding is put into (title) case. */
static void add_upper(zoo_jinja *x, zoo_jbuf *buf, uint32_t c, bool first)
{
    utf8proc_int32_t folded[8];
    int last = 0;
    utf8proc_ssize_t n = 0;
    if (first && zoo_char_is_title(c)) {
        zoo_jbuf_char(x, buf, c);
        return;
    }
    if (first && add_greek_title(x, buf, c)) {
        return;
    }
    if (c >= 0x80 && utf8proc_category((utf8proc_int32_t)c) != UTF8PROC_CATEGORY_LU) {
        n = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, &last);
    }
    if (n <= 1 || n > 8) {
        utf8proc_int32_t s = (utf8proc_int32_t)c;
        zoo_jbuf_char(x, buf, (uint32_t)(first ? utf8proc_totitle(s) : utf8proc_toupper(s)));
        return;
    }
    /* Letters that have a title form of their own; utf8proc gives sharp s a capital, Python not. */
    utf8proc_int32_t title = utf8proc_totitle((utf8proc_int32_t)c);
    if (first && title != (utf8proc_int32_t)c && c != 0xDF) {
        zoo_jbuf_char(x, buf, (uint32_t)title);
        return;
    }
    bool keep = false;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        zoo_jbuf_char(x, buf, (uint32_t)(keep ? folded[i] : utf8proc_toupper(folded[i])));
        keep = keep || (first && is_cased((uint32_t)folded[i]));
    }
}

static bool cased_before(const zoo_jstr *s, size_t at)
{
    while (at > 0) {
        do {
            at--;
        } while (((unsigned char)s->s[at] & 0xC0) == 0x80);
        size_t n = 0;
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        if (!is_case_ignorable(c)) {
            return is_cased(c);
        }
    }
    return false;
}

static bool cased_after(const zoo_jstr *s, size_t at)
{
    while (at < s->n) {
        size_t n = 0;
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        if (!is_case_ignorable(c)) {
            return is_cased(c);
        }
        at += n;
    }
    return false;
}

static void add_lower(zoo_jinja *x, zoo_jbuf *buf, const zoo_jstr *s, size_t at)
{
    size_t n = 0;
    uint32_t c = zoo_utf8_at(s->s + at, &n);
    if (c == 0x3A3) {
        bool is_final = cased_before(s, at) && !cased_after(s, at + n);
        zoo_jbuf_char(x, buf, is_final ? 0x3C2 : 0x3C3);
    } else if (c == 0x130) {
        zoo_jbuf_char(x, buf, 'i');
        zoo_jbuf_char(x, buf, 0x307);
    } else {
        zoo_jbuf_char(x, buf, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

zoo_jv zoo_jv_case(zoo_jinja *x, zoo_jv v, zoo_jcase how)
{
    const zoo_jstr *s = v.as.str;
    zoo_jbuf buf = {0};
    bool in_word = false;
    zoo_jinja_step(x, s->n / 16);
    for (size_t at = 0; at < s->n;) {
        size_t n = 0;
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        bool first = how == JC_TITLE ? !in_word : at == 0;
        if (how == JC_UPPER || (how == JC_SWAP && zoo_char_is_lower(c))) {
            add_upper(x, &buf, c, false);
        } else if (how == JC_SWAP && !zoo_char_is_upper(c)) {
            zoo_jbuf_add(x, &buf, s->s + at, n);
        } else if ((how == JC_TITLE || how == JC_CAPITALIZE) && first) {
            add_upper(x, &buf, c, true);
        } else {
            add_lower(x, &buf, s, at);
        }
        in_word = is_cased(c);
        at += n;
    }
    zoo_jv out = zoo_jv_buf(x, &buf);
    out.safe = v.safe;
    return out;
}

static bool in_set(const zoo_jstr *set, const char *s, size_t n)
{
    size_t m = 0;
    for (size_t at = 0; at < set->n; at += m) {
        (void)zoo_utf8_at(set->s + at, &m);
        if (m == n && memcmp(set->s + at, s, n) == 0) {
            return true;
        }
    }
    return false;
}

zoo_jv zoo_jv_strip(zoo_jinja *x, zoo_jv v, zoo_jv chars, int sides)
{
    const zoo_jstr *s = v.as.str;
    const zoo_jstr *set = NULL;
    if (!zoo_jv_absent(chars) && chars.kind != JV_NONE) {
        set = zoo_jarg_str(x, chars, "the characters to strip");
    }
    size_t begin = 0, end = s->n, n = 0;
    while ((sides & 1) && begin < end) {
        uint32_t c = zoo_utf8_at(s->s + begin, &n);
        if (set ? !in_set(set, s->s + begin, n) : !zoo_char_is_space(c)) {
            break;
        }
        begin += n;
    }
    while ((sides & 2) && end > begin) {
        size_t at = end;
        do {
            at--;
        } while (((unsigned char)s->s[at] & 0xC0) == 0x80);
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        if (set ? !in_set(set, s->s + at, n) : !zoo_char_is_space(c)) {
            break;
        }
        end = at;
    }
    zoo_jinja_step(x, (s->n - (end - begin)) / 16 + 1);
    zoo_jv out = zoo_jv_view(x, s->s + begin, end - begin);
    out.safe = v.safe;
    return out;
}
