/*
 * predicates.c: the methods of str that ask what its characters are: isalpha, isdigit, ...
 */
#include <string.h>
#include <utf8proc.h>

#include "text/jinja/jinja_private.h"

typedef bool (*char_test)(uint32_t c);

static bool all_chars(zoo_jv self, char_test test)
{
    const zoo_jstr *s = self.as.str;
    size_t n = 0;
    for (size_t at = 0; at < s->n; at += n) {
        if (!test(zoo_utf8_at(s->s + at, &n))) {
            return false;
        }
    }
    return s->n > 0;
}

static bool is_alpha(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

static bool is_digit(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND;
}

static bool is_alnum(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return is_alpha(c) || (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

static bool any_char(zoo_jv self, bool (*test)(uint32_t c))
{
    const zoo_jstr *s = self.as.str;
    size_t n = 0;
    for (size_t at = 0; at < s->n; at += n) {
        if (test(zoo_utf8_at(s->s + at, &n))) {
            return true;
        }
    }
    return false;
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

static zoo_jv m_isalpha(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(all_chars(self, is_alpha));
}

static zoo_jv m_isdecimal(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(all_chars(self, is_digit));
}

static zoo_jv m_isdigit(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)args;
    if (any_char(self, zoo_char_is_odd_digit)) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "isdigit of such a character is not supported");
    }
    return ZOO_JV_BOOL(all_chars(self, is_digit));
}

static zoo_jv m_isalnum(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(all_chars(self, is_alnum));
}

static zoo_jv m_isprintable(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(self.as.str->n == 0 || all_chars(self, zoo_char_is_printable));
}

/* Upper case begins each run of cased letters, lower case goes on. */
static zoo_jv m_istitle(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    const zoo_jstr *s = self.as.str;
    bool in_word = false, found = false;
    size_t n = 0;
    (void)x, (void)args;
    for (size_t at = 0; at < s->n; at += n) {
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        bool upper = zoo_char_is_upper(c) || zoo_char_is_title(c), lower = zoo_char_is_lower(c);
        if ((upper && in_word) || (lower && !in_word)) {
            return ZOO_JV_BOOL(false);
        }
        in_word = upper || lower;
        found |= in_word;
    }
    return ZOO_JV_BOOL(found);
}

static zoo_jv m_isspace(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(all_chars(self, zoo_char_is_space));
}

static zoo_jv m_isascii(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(self.as.str->n == 0 || all_chars(self, is_ascii));
}

/* Letters of the one case exist and none of the other, nor title ones. */
static bool has_only_case(zoo_jv self, char_test want, char_test other)
{
    return any_char(self, want) && !any_char(self, other) && !any_char(self, zoo_char_is_title);
}

static zoo_jv m_isupper(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(has_only_case(self, zoo_char_is_upper, zoo_char_is_lower));
}

static zoo_jv m_islower(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    (void)x, (void)args;
    return ZOO_JV_BOOL(has_only_case(self, zoo_char_is_lower, zoo_char_is_upper));
}

static const zoo_jfunction predicates[] = {
    {"isalpha", m_isalpha, "", 0},     {"isdigit", m_isdigit, "", 0},
    {"isdecimal", m_isdecimal, "", 0}, {"isprintable", m_isprintable, "", 0},
    {"istitle", m_istitle, "", 0},     {"isalnum", m_isalnum, "", 0},
    {"isspace", m_isspace, "", 0},     {"isascii", m_isascii, "", 0},
    {"isupper", m_isupper, "", 0},     {"islower", m_islower, "", 0},
};

const zoo_jfunction *zoo_jpredicate_find(const zoo_jstr *name)
{
    for (size_t i = 0; i < ZOO_COUNT(predicates); i++) {
        if (strlen(predicates[i].name) == name->n &&
            memcmp(predicates[i].name, name->s, name->n) == 0) {
            return &predicates[i];
        }
    }
    return NULL;
}
