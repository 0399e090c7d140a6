/* test_tokenizer_rules.c: small tokenizer.json files with ids and texts of huggingface/tokenizers
 * 0.23; each case is a rule that random files (tools/reference/tokenizer_files.py) showed broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "small_tokenizer.h"
#include "text/tokenizer/tokenizer.h"

#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\" \":2,\"_\":3,\"\u2581\":4,\"\\n\":5}"
#define MODEL "\"model\":{\"type\":\"BPE\",\"merges\":[]," VOCAB "}"
#define WORDS "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}}"
#define SCORED                                                                                     \
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",-1.0],[\"a\",-1.0],"           \
    "[\"b\",-2.0],[\"a\",-3.0]]}"
#define FIRST                                                                                      \
    ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","                            \
    "\"prepend_scheme\":\"first\",\"split\":false}"
#define REPLACE(kind, pattern, content)                                                            \
    "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"content\":\"" content "\"" \
    "}"
#define ADDED                                                                                      \
    ",\"added_tokens\":[{\"id\":6,\"content\":\"\\n\\n\",\"lstrip\":true,\"rstrip\":true,"         \
    "\"normalized\":false},{\"id\":7,\"content\":\"  \",\"normalized\":false},"                    \
    "{\"id\":8,\"content\":\"<s>\",\"rstrip\":true,\"normalized\":false}]"

typedef struct rule {
    const char *file, *text;
    uint32_t n, want[8];
} rule;

static void test_ids(void **state)
{
    static const rule rules[] = {
        /* what an added token before has taken is no token, unless it is not stripped itself */
        {"{" MODEL ADDED "}", "a\n\n\n\nb", 3, {0, 6, 1}},
        {"{" MODEL ADDED "}", "<s>    b", 4, {8, 7, 7, 1}},
        {"{" MODEL ADDED "}", "<s>\n\nb", 2, {8, 1}},
        /* `first`: the mark stands only before what belongs to the first character */
        {"{" MODEL FIRST ",\"normalizer\":" REPLACE("Regex", "\\\\s+", "b") "}",
         "\n\na",
         2,
         {1, 0}},
        {"{" MODEL FIRST ",\"normalizer\":" REPLACE("Regex", "\\\\s+", "b") "}",
         "\na",
         3,
         {3, 1, 0}},
        {"{" MODEL FIRST ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
         "{\"type\":\"Prepend\",\"prepend\":\"ab\"}," REPLACE("String", "ab", "b") "]}}",
         "a",
         3,
         {3, 1, 0}},
        {"{" MODEL FIRST ",\"normalizer\":{\"type\":\"Nmt\"}}",
         "\x01"
         "a",
         1,
         {0}},
        {"{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"i\":0,\"_\":1,\"\u0307\":2,\"b\":"
         "3}}"
         ",\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
         "\"pretokenizers\":[{\"type\":\"FixedLength\",\"length\":1},{\"type\":\"Metaspace\","
         "\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"split\":false}]}}",
         "\u0130b",
         5,
         {1, 0, 1, 2, 3}},
        /* the empty text is found everywhere */
        {"{" MODEL ",\"normalizer\":" REPLACE("String", "", "b") "}", "aa", 5, {1, 0, 1, 0, 1}},
        {"{" WORDS ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},"
         "\"behavior\":\"Isolated\",\"invert\":false}}",
         "aaa",
         3,
         {0, 0, 0}},
        /* a text listed twice is found as its last id */
        {"{" SCORED ",\"added_tokens\":[{\"id\":4,\"content\":\"<s>\"}]}", "ab<s>", 3, {3, 2, 4}},
        /* scripts of Unicode 9 */
        {"{" WORDS ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "a\u07fd", 1, {0}},
        {"{" WORDS ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", ".\u0589", 1, {0}},
        {"{" WORDS ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "\u0915\u0953", 1, {0}},
        {"{" WORDS ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "\u03b1\u0589", 2, {0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rules); i++) {
        zoo_tokenizer *t = open_text(rules[i].file);
        zoo_ids ids = {0};
        zoo_error err;
        const char *text = rules[i].text;
        assert_int_equal(zoo_tokenizer_encode(t, text, strlen(text), 0, &ids, &err), ZOO_OK);
        assert_int_equal(ids.n, rules[i].n);
        assert_memory_equal(ids.data, rules[i].want, ids.n * sizeof *ids.data);
        zoo_ids_free(&ids);
        zoo_tokenizer_close(t);
    }
}

static void test_texts(void **state)
{
    static const struct {
        const char *file;
        uint32_t n, ids[4];
        const char *want;
    } rules[] = {
        /* an added token comes back as it was searched */
        {"{" MODEL ",\"normalizer\":{\"type\":\"Lowercase\"},\"decoder\":{\"type\":\"Fuse\"},"
         "\"added_tokens\":[{\"id\":6,\"content\":\"<S>\",\"normalized\":true}]}",
         2,
         {0, 6},
         "a<s>"},
        {"{" SCORED ",\"decoder\":{\"type\":\"Fuse\"}}", 3, {1, 3, 2}, "aab"},
        /* an empty text stands between all characters */
        {"{" MODEL ",\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"\"}}",
         3,
         {0, 1, 3},
         " a  b _"},
        {"{" MODEL ",\"decoder\":{\"type\":\"CTC\",\"pad_token\":\"\","
         "\"word_delimiter_token\":\"\",\"cleanup\":true}}",
         3,
         {0, 1, 3},
         " a  b  _ "},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rules); i++) {
        zoo_tokenizer *t = open_text(rules[i].file);
        zoo_text text = {0};
        zoo_error err;
        assert_int_equal(zoo_tokenizer_decode(t, rules[i].ids, rules[i].n, 0, &text, &err), ZOO_OK);
        assert_string_equal(text.data, rules[i].want);
        zoo_text_free(&text);
        zoo_tokenizer_close(t);
    }
}

/* A part of a character leaves the decoders before they take it for text. */
static void test_part_of_character(void **state)
{
    zoo_tokenizer *t = open_text(
        "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\u00f0\":0}},"
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"}," REPLACE(
            "Regex", "\\\\d", "") "]}}");
    size_t n;
    (void)state;
    assert_memory_equal(zoo_tokenizer_bytes(t, 0, &n), "\xf0", 1);
    assert_int_equal(n, 1);
    zoo_tokenizer_close(t);
}

static void test_empty_form(void **state)
{
    static const char file[] = "{" MODEL ",\"normalizer\":{\"type\":\"StripAccents\"},"
                               "\"added_tokens\":[{\"content\":\"\u0301\",\"normalized\":true}]}";
    zoo_tokenizer *t;
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_tokenizer_open_data("tokenizer.json", file, sizeof file - 1, &t, &err),
                     ZOO_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "empty once normalised"));
}

/* An unknown token that the vocabulary lacks fails the text that needs it, not the file. */
static void test_lost_unknown(void **state)
{
    static const char *const models[] = {
        "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"merges\":[],\"vocab\":{\"a\":0}}}",
        "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"a\":0}}}",
        "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":0}}}"};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(models); i++) {
        zoo_tokenizer *t = open_text(models[i]);
        zoo_ids ids = {0};
        zoo_error err;
        assert_int_equal(zoo_tokenizer_encode(t, "a", 1, 0, &ids, &err), ZOO_OK);
        assert_int_equal(ids.n, 1);
        assert_int_equal(zoo_tokenizer_encode(t, "x", 1, 0, &ids, &err), ZOO_E_FORMAT);
        assert_non_null(strstr(err.text, "no token for"));
        assert_int_equal(ids.n, 1);
        zoo_ids_free(&ids);
        zoo_tokenizer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_part_of_character),
                                       cmocka_unit_test(test_empty_form),
                                       cmocka_unit_test(test_lost_unknown)};
    return cmocka_run_group_tests_name("tokenizer rules", tests, NULL, NULL);
}
