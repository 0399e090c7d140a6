/* test_normalizers.c: normalizers of tokenizer.json against what huggingface/tokenizers 0.23 gives,
 * for chosen texts and, as one number, for every code point of Unicode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/tokenizer/tokenizer.h"

/* A tokenizer whose ids are the bytes of the normalised text. */
static zoo_tokenizer *open_bytes(const char *norm)
{
    char text[8192];
    zoo_tokenizer *t;
    zoo_error err;
    int n = snprintf(text, sizeof text,
                     "{\"normalizer\":%s,\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,"
                     "\"merges\":[],\"vocab\":{",
                     norm);
    for (uint32_t byte = 0; byte < 256; byte++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\"<0x%02X>\":%u", byte ? "," : "", byte,
                      byte);
    }
    (void)snprintf(text + n, sizeof text - (size_t)n, "}}}");
    if (zoo_tokenizer_open_data("tokenizer.json", text, strlen(text), &t, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    return t;
}

#define PLAIN(type) "{\"type\":\"" type "\"}"
#define BERT(accents, lower)                                                                       \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"              \
    "\"strip_accents\":" accents ",\"lowercase\":" lower "}"

static size_t put_utf8(char *out, uint32_t cp)
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; cp >>= 6) {
        out[i] = (char)(0x80 | (cp & 63));
    }
    out[0] = (char)(lead[n] | cp);
    return n;
}

/* FNV-1a of the normal forms of texts "a?b" over all code points, 4096 of them at once. */
static uint64_t hash_of(const zoo_tokenizer *t)
{
    uint64_t hash = 0xcbf29ce484222325u;
    char *text = zoo_mem_alloc(4096 * 6);
    zoo_ids ids = {0};
    zoo_error err;
    assert_non_null(text);
    for (uint32_t begin = 0; begin < 0x110000; begin += 4096) {
        size_t n = 0;
        for (uint32_t cp = begin; cp < begin + 4096; cp++) {
            if (cp < 0xd800 || cp > 0xdfff) {
                text[n++] = 'a';
                n += put_utf8(text + n, cp);
                text[n++] = 'b';
            }
        }
        ids.n = 0;
        assert_int_equal(zoo_tokenizer_encode(t, text, n, 0, &ids, &err), ZOO_OK);
        for (size_t i = 0; i < ids.n; i++) {
            hash = (hash ^ ids.data[i]) * 0x100000001b3u;
        }
    }
    zoo_ids_free(&ids);
    zoo_mem_free(text);
    return hash;
}

static void test_all_of_unicode(void **state)
{
    static const struct {
        const char *norm;
        uint64_t hash;
    } cases[] = {
        {PLAIN("NFC"), 0x1734d1b72d6b4f87u},          {PLAIN("NFD"), 0xe9ab5ca2eeb1f58bu},
        {PLAIN("NFKC"), 0xd8e573aad2b06be1u},         {PLAIN("NFKD"), 0xc2948181ebda4f10u},
        {PLAIN("Lowercase"), 0x442a75569d3b736eu},    {PLAIN("StripAccents"), 0xb34ba0b37343d50eu},
        {PLAIN("Nmt"), 0xd3b39825632b51e0u},          {BERT("null", "true"), 0xef4ca2cb3d398f71u},
        {BERT("true", "false"), 0x9b6d07d91c8d8f3au},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        zoo_tokenizer *t = open_bytes(cases[i].norm);
        if (hash_of(t) != cases[i].hash) {
            fail_msg("%s differs", cases[i].norm);
        }
        zoo_tokenizer_close(t);
    }
}

static void assert_normal(const zoo_tokenizer *t, const char *text, const char *want)
{
    zoo_ids ids = {0};
    zoo_error err;
    assert_int_equal(zoo_tokenizer_encode(t, text, strlen(text), 0, &ids, &err), ZOO_OK);
    bool same = ids.n == strlen(want);
    for (size_t i = 0; same && i < ids.n; i++) {
        same = ids.data[i] == (uint8_t)want[i];
    }
    zoo_ids_free(&ids);
    if (!same) {
        fail_msg("the normal form of %s is not %s", text, want);
    }
}

static void test_chosen(void **state)
{
    static const struct {
        const char *norm, *text, *want;
    } cases[] = {
        /* marks later than Unicode 9 have no class and end what composes */
        {PLAIN("NFC"), "i\u032e\u0eba", "i\u032e\u0eba"},
        {PLAIN("NFC"), "e\u1ac2\u0301", "e\u1ac2\u0301"},
        {PLAIN("NFC"), "e\u0316\u0301", "\u00e9\u0316"},
        {PLAIN("NFC"), "\U0001f972\u0301\u0316", "\U0001f972\u0316\u0301"},
        {PLAIN("NFD"), "\U00011938", "\U00011938"},
        {PLAIN("NFKC"), "\u32ff\ua7f2", "\u32ff\ua7f2"},
        {PLAIN("StripAccents"), "a\u0301\u07fd\u1cf2\U000111c9", "a\u07fd\U000111c9"},
        {PLAIN("Lowercase"), "\ua7cb\ua7dc\u1c89\u0130", "\u0264\u019b\u1c8ai\u0307"},
        /* marks of Unicode 8 */
        {BERT("null", "true"), "\u1885\u1734\u08d4x", "\u1885\u08d4x"},
        {BERT("null", "true"), "\U0002b820\u4e2d\u0890", "\U0002b820 \u4e2d \u0890"},
        /* decomposed in canonical order */
        {BERT("null", "true"), "\u0330\U0001e023\u302e", "\u302e\U0001e023"},
        /* nothing is replaced in an empty text */
        {"{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\",\"strip_left\":true,"
         "\"strip_right\":true},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"x*\"},"
         "\"content\":\"b\"}]}",
         " ", ""},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        zoo_tokenizer *t = open_bytes(cases[i].norm);
        assert_normal(t, cases[i].text, cases[i].want);
        zoo_tokenizer_close(t);
    }
}

/* Appends bytes[n], a multiple of three, as base64. */
static size_t put_base64(char *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t k = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) {
            out[k++] = digits[bits >> shift & 63];
        }
    }
    return k;
}

/* A precompiled map of A to a: it takes the marks along that are of one short grapheme with A. */
static void test_graphemes(void **state)
{
    static const char *const cases[][2] = {
        {"A\u0301\u0301", "a"},
        {"A\U00010d69x", "ax"},
        {"\U00010d69A\u0301", "\U00010d69a"},
        {"A\U000e0002\u0301", "a\U000e0002\u0301"},
        {"\U000e0002A\u0301", "\U000e0002a"},
        {"\U000113d1A\u0301", "\U000113d1a\u0301"},
    };
    enum { UNITS = 0xc2, BYTES = 4 + 4 * UNITS + 4 }; /* size, double array, "a", padding */
    uint32_t units[1 + UNITS] = {4 * UNITS, 0x80 << 10};
    uint8_t bytes[BYTES] = {0};
    char norm[2048];
    (void)state;
    units[1 + 0xc1] = 'A' | 0x100 | 1 << 10;
    memcpy(bytes, units, sizeof units);
    bytes[sizeof units] = 'a';
    int n = snprintf(norm, sizeof norm, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
    n += (int)put_base64(norm + n, bytes, BYTES / 3 * 3);
    (void)snprintf(norm + n, sizeof norm - (size_t)n, "\"}");
    zoo_tokenizer *t = open_bytes(norm);
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        assert_normal(t, cases[i][0], cases[i][1]);
    }
    zoo_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_of_unicode),
                                       cmocka_unit_test(test_chosen),
                                       cmocka_unit_test(test_graphemes)};
    return cmocka_run_group_tests_name("normalizers", tests, NULL, NULL);
}
