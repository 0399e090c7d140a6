/*
 * chat.c: messages as chat clients write them, for templates that expect a text in each.
 *
 * An assistant turn that only calls a tool has the content null, [] or none at all. Templates join
 * it, iterate over it or print it; the empty string suits all of them but those that test for none
 * themselves, which see what the client wrote. Whether a template tests is told from its source:
 * the word `content`, closing brackets and quotes, `is [not] none` or `== none` (`!=`).
 */
#include <string.h>

#include "text/jinja/jinja_private.h"
#include "text/jinja/template_private.h"

static size_t skip(const char *s, size_t n, size_t at, const char *among)
{
    while (at < n && s[at] && strchr(among, s[at])) {
        at++;
    }
    return at;
}

static bool word_at(const char *s, size_t n, size_t *at, const char *word)
{
    size_t length = strlen(word);
    if (n - *at < length || memcmp(s + *at, word, length) != 0) {
        return false;
    }
    *at = skip(s, n, *at + length, " \t\n\r");
    return true;
}

static bool is_word_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

bool zoo_template_mentions(const zoo_template *t, const char *word)
{
    size_t length = strlen(word);
    for (; t; t = t->tool_use) {
        for (size_t at = 0; length > 0 && at + length <= t->source_n; at++) {
            const char *hit = memchr(t->source + at, word[0], t->source_n - at - length + 1);
            if (!hit) {
                break;
            }
            at = (size_t)(hit - t->source);
            if (memcmp(hit, word, length) == 0 && (at == 0 || !is_word_char(hit[-1])) &&
                !is_word_char(hit[length])) {
                return true;
            }
        }
    }
    return false;
}

bool zoo_template_tests_content(const char *s, size_t n)
{
    static const char name[] = "content";
    for (size_t at = 0; at + sizeof name - 1 <= n; at++) {
        size_t next = at;
        if ((at > 0 && is_word_char(s[at - 1])) || !word_at(s, n, &next, name)) {
            continue;
        }
        next = skip(s, n, next, " \t\n\r'\"])");
        bool tests = word_at(s, n, &next, "==") || word_at(s, n, &next, "!=");
        if (!tests && word_at(s, n, &next, "is")) {
            (void)word_at(s, n, &next, "not");
            tests = true;
        }
        if (tests && (word_at(s, n, &next, "none") || word_at(s, n, &next, "None"))) {
            return true;
        }
    }
    return false;
}

static bool is_missing(const zoo_jv *content)
{
    return !content || content->kind == JV_NONE ||
           (content->kind == JV_LIST && content->as.list->n == 0);
}

bool zoo_jinja_fill_contents(zoo_jinja *x, bool only_look)
{
    const zoo_jv *messages = zoo_jdict_text(x, x->globals, "messages");
    bool any = false;
    for (size_t i = 0; messages && messages->kind == JV_LIST && i < messages->as.list->n; i++) {
        zoo_jv m = messages->as.list->items[i];
        if (m.kind == JV_DICT && is_missing(zoo_jdict_text(x, m.as.dict, "content"))) {
            any = true;
            if (!only_look) {
                zoo_jdict_set(x, m.as.dict, zoo_jv_text(x, "content"), zoo_jv_text(x, ""));
            }
        }
    }
    return any;
}
