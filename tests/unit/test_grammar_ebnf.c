/*
 * test_grammar_ebnf.c: grammars in EBNF: texts that they hold or not, what is refused and how it is
 * named, and ranges of code points against UTF-8 written by hand.
 *
 * Source of the arithmetic, JSON and list grammars' form: the guide to GBNF of llama.cpp; the texts
 * are our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "text/grammar/grammar_private.h"

static zoo_error err;

static const char sums[] = "# sums\n"
                           "root   ::= term (\" \" [-+] \" \" term)*\n"
                           "term   ::= factor (\" \" [*/] \" \" factor)*\n"
                           "factor ::= number | \"(\" root \")\"\n"
                           "number ::= [1-9] [0-9]{0,3} | '0'\n";
static const char json[] =
    "root ::= object\n"
    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::= \"{\" ws ( string \":\" ws value (\",\" ws string \":\" ws value)* )? \"}\" ws\n"
    "array ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x01-\\x1F] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";
static const char query[] = "root ::= select\n"
                            "select ::= \"SELECT \" column (\", \" column)* \" FROM \" table\n"
                            "column ::= \"col_1\"\n    | \"col_2\"\n"
                            "table ::= \"table_1\" | \"table_2\"";

static const struct {
    const char *grammar, *text;
    bool ok;
} told_apart[] = {
    {sums, "1 + 20 * (3 - 4)", true},
    {sums, "((((7))))", true},
    {sums, "((((7)))", false},
    {sums, "1 +", false},
    {sums, "01", false},
    {sums, "0", true},
    {sums, "12345", false},
    {json, "{\"a\": [1, 2.5, {\"b\": null}], \"\xc3\xa9\": \"\\n\"}", true},
    {json, "{\"a\": [1,, 2]}", false},
    {json, "{\"a\": \"\n\"}", false},
    {json, "[]", false},
    {json, "{}\n  ", true},
    {query, "SELECT col_1, col_2 FROM table_2", true},
    {query, "SELECT col_3 FROM table_2", false},
    {query, "SELECT col_1 FROM", false},
    {"root ::= 'it' [s]? \"\\x21\" \"\\u00e9\" \"\\U0001F600\"", "it!\xc3\xa9\xf0\x9f\x98\x80",
     true},
    {"root ::= [\xc3\xa0-\xc3\xbf]{2}", "\xc3\xa9\xc3\xbf", true},
    {"root ::= [\xc3\xa0-\xc3\xbf]{2}", "\xc3\xa9z", false},
    {"root ::= [^a-z\xc3\xa9]+", "AB\xe6\x97\xa5\n", true},
    {"root ::= [^a-z\xc3\xa9]+", "\xc3\xa9", false},
    {"root ::= [^a-z\xc3\xa9]+", "b", false},
    {"root ::= .", "\xf4\x8f\xbf\xbf", true},
    {"root ::= .", "\xed\xa0\x80", false},
    {"root ::= [\\]\\-a]+", "]-a", true},
    {"root ::= [a-]+", "a-", true},
    {"root ::= (\"a\"*)* b+\nb ::= \"b\"?", "aab", true},
    {"root ::= (\"a\"*)* b+\nb ::= \"b\"?", "", true},
    {"root ::= a{2,3}\na ::= \"x\" | \"yy\"", "xyyx", true},
    {"root ::= a{2,3}\na ::= \"x\" | \"yy\"", "x", false},
    {"root ::= a{2,}\na ::= \"x\"", "xxxxx", true},
    {"root ::= \"(\" root \")\" | \"\"", "((()))", true},
    {"root ::= \"(\" root \")\" | \"\"", "((())", false},
    {"root::=a-b\na-b::=\"1\" # one\n\n", "1", true},
};

static const struct {
    const char *grammar, *part;
} refused[] = {
    {"start: \"a\"", "Lark"},
    {"a ::= \"x\"", "no rule root"},
    {"root ::= item", "no rule item"},
    {"root ::= \"a\"\nroot ::= \"b\"", "line 2: a rule of this name"},
    {"root ::= \"a", "not closed"},
    {"root ::= \"a\n\"", "line 1: a text is not closed"},
    {"root ::= [a", "not closed"},
    {"root ::= []", "no character"},
    {"root ::= [z-a]", "backwards"},
    {"root ::= (\"a\"", "group is not closed"},
    {"root ::= \"a\")", "without its ("},
    {"root ::= \"a\"{3,2}", "count"},
    {"root ::= \"a\"{2000}", "1000"},
    {"root ::= \"\\q\"", "escape"},
    {"root ::= \"\\xZZ\"", "hexadecimal"},
    {"root ::= \"\\uD800\"", "no character of Unicode"},
    {"root ::= (=\"a\")", "look-ahead"},
    {"root ::= root \"a\" | \"b\"", "leads back to itself"},
    {"root ::= x \"a\"\nx ::= \"\" | y\ny ::= x", "leads back to itself"},
    {"root ::= \"a\" root", "no finite text"},
    {"\"a\"", "name ::="},
    {"", "no rule root"},
    {"root ::= & \"a\"", "may not stand"},
    {"root ::= ((\"a\"{1000}){1000}){1000}", "too large"},
};

static zoo_status build(const char *grammar, zoo_gcode *code)
{
    return zoo_gcode_build(&(zoo_grammar_want){.ebnf = grammar}, NULL, code, &err);
}

static bool takes(const zoo_gcode *code, const char *text)
{
    zoo_gstates *states = zoo_gstates_new(code);
    uint32_t at = ZOO_GSTATE_START;
    assert_non_null(states);
    zoo_gstates_allow(states, 1u << 24);
    for (; *text; text++) {
        at = zoo_gstates_step(states, at, (uint8_t)*text);
    }
    assert_false(zoo_gstates_failed(states));
    bool ok = at != ZOO_GSTATE_DEAD && zoo_gstates_accepts(states, at);
    zoo_gstates_free(states);
    return ok;
}

static void texts_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(told_apart); i++) {
        zoo_gcode code;
        if (build(told_apart[i].grammar, &code) != ZOO_OK) {
            fail_msg("%s: %s", told_apart[i].grammar, err.text);
        }
        if (takes(&code, told_apart[i].text) != told_apart[i].ok) {
            fail_msg("%s: '%s' is %s", told_apart[i].grammar, told_apart[i].text,
                     told_apart[i].ok ? "refused" : "taken");
        }
        zoo_gcode_free(&code);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(refused); i++) {
        zoo_gcode code;
        if (build(refused[i].grammar, &code) == ZOO_OK) {
            fail_msg("%s was taken", refused[i].grammar);
        }
        if (strncmp(err.text, "grammar: ", 9) != 0 || !strstr(err.text, refused[i].part)) {
            fail_msg("%s: '%s' lacks '%s'", refused[i].grammar, err.text, refused[i].part);
        }
    }
}

/* UTF-8 of c, surrogates as if they were characters. */
static void write_utf8(uint32_t c, char out[5])
{
    memset(out, 0, 5);
    if (c < 0x80) {
        out[0] = (char)c;
    } else if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
    } else {
        out[0] = (char)(0xF0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 63));
        out[2] = (char)(0x80 | (c >> 6 & 63));
        out[3] = (char)(0x80 | (c & 63));
    }
}

/* Ranges over each border hold their own code points and the two beside them do not belong. */
static void ranges_hold_their_code_points(void **state)
{
    static const uint32_t ends[] = {0x1,     0x41,    0x7F,    0x80,     0x7FF,   0x800,   0x1234,
                                    0xD7FF,  0xDFFF,  0xE000,  0xFFFF,   0x10000, 0x12345, 0x3FFFF,
                                    0x40000, 0x7F0FF, 0xFF000, 0x10FFFE, 0x10FFFF};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(ends); i++) {
        for (size_t k = i; k < ZOO_COUNT(ends); k++) {
            char grammar[64], text[5];
            zoo_gcode code;
            if (ends[i] > 0xD7FF && ends[k] < 0xE000) {
                continue; /* no character at all */
            }
            (void)snprintf(grammar, sizeof grammar, "root ::= [%s%08X-%s%08X]", "\\U",
                           ends[i] == 0xDFFF ? 0xE000 : ends[i], "\\U",
                           ends[k] == 0xDFFF ? 0xD7FF : ends[k]);
            assert_int_equal(build(grammar, &code), ZOO_OK);
            for (size_t j = 0; j < ZOO_COUNT(ends); j++) {
                for (int d = -1; d <= 1; d++) {
                    uint32_t c = ends[j] + (uint32_t)d;
                    bool wanted = c >= ends[i] && c <= ends[k] && (c < 0xD800 || c > 0xDFFF);
                    if (c == 0 || c > 0x10FFFF) {
                        continue;
                    }
                    write_utf8(c, text);
                    if (takes(&code, text) != wanted) {
                        fail_msg("%s: U+%04X", grammar, c);
                    }
                }
            }
            zoo_gcode_free(&code);
        }
    }
}

/* Any part of a grammar, and a grammar with a byte changed, is read or refused with a sentence. */
static void broken_grammars_are_refused(void **state)
{
    char text[sizeof json];
    (void)state;
    for (size_t i = 0; i < sizeof json; i++) {
        for (int how = 0; how < 4; how++) {
            zoo_gcode code;
            memcpy(text, json, sizeof json);
            text[i] = how == 0 ? '\0' : "(]\""[how - 1];
            text[sizeof json - 1] = '\0';
            if (build(text, &code) == ZOO_OK) {
                zoo_gcode_free(&code);
            } else {
                assert_memory_equal(err.text, "grammar: ", 9);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_told_apart),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(ranges_hold_their_code_points),
        cmocka_unit_test(broken_grammars_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
