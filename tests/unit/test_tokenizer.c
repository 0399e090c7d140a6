/* test_tokenizer.c: tokenizers from small inline files:
 * rules, refusals, streaming, threads, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "reference.h"
#include "small_tokenizer.h"
#include "text/tokenizer/tokenizer.h"

#define FILE_WITH(added, norm, pre, post, dec, model)                                              \
    "{\"version\":\"1.0\",\"added_tokens\":[" added "],\"normalizer\":" norm                       \
    ",\"pre_tokenizer\":" pre ",\"post_processor\":" post ",\"decoder\":" dec ",\"model\":" model  \
    "}"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define BYTE_VOCAB                                                                                 \
    "\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,\"\xc4\xa0"                                   \
    "ab\":5,\"abc\":6,\"\xc3\xa3\":7,"                                                             \
    "\"\xc4\xa3\":8,\"\xc4\xa4\":9,\"\xc4\xa0"                                                     \
    "a\":10,\"x\":11"
#define BYTE_MODEL                                                                                 \
    "{\"type\":\"BPE\",\"ignore_merges\":false,\"vocab\":{" BYTE_VOCAB "},"                        \
    "\"merges\":[\"a b\",\"\xc4\xa0 ab\",[\"ab\",\"c\"]]}"
#define ADDED(id, text, flags) "{\"id\":" id ",\"content\":\"" text "\"" flags "}"
#define SPACES                                                                                     \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}," \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]}"
#define SPACES_BACK                                                                                \
    "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"          \
    "\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"        \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}"
#define MARK_MODEL                                                                                 \
    "{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,"          \
    "\"vocab\":{\"<unk>\":0,\"\xe2\x96\x81\":1,\"a\":2,\"b\":3,\"\xe2\x96\x81"                     \
    "a\":4,"                                                                                       \
    "\"<0xC3>\":5,\"<0xA9>\":6,\"ab\":7,\"\xe2\x96\x81\xe2\x96\x81\":8,\"<0x0A>\":9},"             \
    "\"merges\":[\"\xe2\x96\x81 a\",\"a b\",\"\xe2\x96\x81 \xe2\x96\x81\"]}"

static void assert_encodes(const zoo_tokenizer *t, const char *text, size_t n, unsigned flags,
                           const uint32_t *want, size_t n_want)
{
    zoo_ids ids = {0};
    zoo_error err;
    assert_int_equal(zoo_tokenizer_encode(t, text, n, flags, &ids, &err), ZOO_OK);
    assert_int_equal(ids.n, n_want);
    if (n_want) {
        assert_memory_equal(ids.data, want, n_want * sizeof *want);
    }
    zoo_ids_free(&ids);
}

#define ENCODES(t, text, flags, ...)                                                               \
    do {                                                                                           \
        const uint32_t want_[] = {__VA_ARGS__};                                                    \
        assert_encodes(t, text, sizeof(text) - 1, flags, want_, ZOO_COUNT(want_));                 \
    } while (0)

static void assert_decodes(const zoo_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                           const char *want)
{
    zoo_text text = {0};
    zoo_error err;
    assert_int_equal(zoo_tokenizer_decode(t, ids, n, flags, &text, &err), ZOO_OK);
    assert_string_equal(text.data, want);
    zoo_text_free(&text);
}

#define DECODES(t, want, flags, ...)                                                               \
    do {                                                                                           \
        const uint32_t ids_[] = {__VA_ARGS__};                                                     \
        assert_decodes(t, ids_, ZOO_COUNT(ids_), flags, want);                                     \
    } while (0)

static void test_bytes(void **state)
{
    zoo_tokenizer *t = open_text(FILE_WITH("", "null", BYTES, "null", BYTES, BYTE_MODEL));
    (void)state;
    ENCODES(t, "abc ab", 0, 6, 5);
    ENCODES(t, "a  ab", 0, 0, 3, 5);
    ENCODES(t, "zaz", 0, 0); /* bytes without a token vanish */
    ENCODES(t, "\xe3\x81\x82", 0, 7, 8, 9);
    DECODES(t, "abc ab", 0, 6, 5);
    DECODES(t,
            "a\xef\xbf\xbd"
            "b",
            0, 0, 7, 1);
    DECODES(t, "ab", 0, 0, 99, 1);
    assert_int_equal(zoo_tokenizer_size(t), 12);
    assert_int_equal(zoo_tokenizer_id(t, "abc", 3), 6);
    assert_int_equal(zoo_tokenizer_id(t, "zzz", 3), ZOO_ID_NONE);
    size_t n;
    assert_memory_equal(zoo_tokenizer_bytes(t, 7, &n), "\xe3", 1);
    assert_int_equal(n, 1);
    assert_memory_equal(zoo_tokenizer_token(t, 7, &n), "\xc3\xa3", 2);
    assert_null(zoo_tokenizer_token(t, 12, &n));
    zoo_tokenizer_close(t);
}

static void test_marks(void **state)
{
    zoo_tokenizer *t = open_text(FILE_WITH("", SPACES, "null", "null", SPACES_BACK, MARK_MODEL));
    (void)state;
    ENCODES(t, "ab", 0, 4, 3);
    ENCODES(t, "ab ab", 0, 4, 3, 4, 3);
    ENCODES(t, "   ", 0, 8, 8);
    ENCODES(t, "\xc3\xa9", 0, 1, 5, 6);
    ENCODES(t, "azzb", 0, 4, 0, 3);
    /* An unknown character waits after byte tokens, as in the reference. */
    ENCODES(t,
            "z\xc3\xa9"
            "a",
            0, 1, 5, 6, 0, 2);
    DECODES(t, "ab a", 0, 4, 3, 4);
    DECODES(t, "a\xc3\xa9", 0, 4, 5, 6);
    DECODES(t,
            "a\xef\xbf\xbd\xef\xbf\xbd"
            "a",
            0, 4, 6, 5, 2);
    size_t n;
    assert_memory_equal(zoo_tokenizer_bytes(t, 4, &n), " a", 2);
    assert_memory_equal(zoo_tokenizer_bytes(t, 9, &n), "\n", 1);
    zoo_tokenizer_close(t);
}

static void test_added(void **state)
{
    zoo_tokenizer *t = open_text(
        FILE_WITH(ADDED("12", "<s>", ",\"special\":true,\"lstrip\":true") "," ADDED(
                      "13", "<e>", ",\"special\":true,\"rstrip\":true") "," ADDED("14", "x",
                                                                                  ",\"normalized\":"
                                                                                  "false,\"single_"
                                                                                  "word\":true"),
                  "null", BYTES, "null", BYTES,
                  "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,"
                  "\"d\":5,\"e\":6,"
                  "\"<\":7,\"s\":8,\">\":9,\"f\":10,\"g\":11},\"merges\":[]}"));
    (void)state;
    ENCODES(t, "a  <s> a", 0, 0, 12, 3, 0);
    ENCODES(t, "a <e>  a", 0, 0, 3, 13, 0);
    ENCODES(t, "a<s>", ZOO_ENCODE_PLAIN_SPECIAL, 0, 7, 8, 9);
    ENCODES(t, "ax x", 0, 0, 3, 14);
    DECODES(t, "a<s>a", 0, 0, 12, 0);
    DECODES(t, "aa", ZOO_DECODE_SKIP_SPECIAL, 0, 12, 0);
    assert_true(zoo_tokenizer_is_special(t, 12));
    assert_false(zoo_tokenizer_is_special(t, 14));
    assert_false(zoo_tokenizer_is_special(t, 1u << 31));
    zoo_tokenizer_close(t);
}

static void test_post(void **state)
{
    zoo_tokenizer *t = open_text(FILE_WITH(
        ADDED("12", "<s>", ",\"special\":true"), "null", BYTES,
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
        "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[12]}}}",
        BYTES, BYTE_MODEL));
    (void)state;
    ENCODES(t, "ab", ZOO_ENCODE_ADD_SPECIAL, 12, 4);
    ENCODES(t, "<s>ab", ZOO_ENCODE_ADD_SPECIAL, 12, 12, 4);
    ENCODES(t, "", ZOO_ENCODE_ADD_SPECIAL, 12);
    ENCODES(t, "ab", 0, 4);
    zoo_tokenizer_close(t);
}

/* U+0000 in the file and in the text; invalid UTF-8 in the text. */
static void test_zero(void **state)
{
    zoo_tokenizer *t = open_text(
        FILE_WITH("", "null", "null", "null", "null",
                  "{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"\\u0000\":1,"
                  "\"a\\u0000\":2,\"a\":3,\"\xef\xbf\xbd\":4,\"\\\\u0000\":5},"
                  "\"merges\":[[\"a\",\"\\u0000\"]]}"));
    (void)state;
    ENCODES(t,
            "a\0"
            "a",
            0, 2, 3);
    ENCODES(t, "\0", 0, 1);
    ENCODES(t,
            "\xff"
            "a\xe3\x81",
            0, 4, 3, 4);
    assert_int_equal(zoo_tokenizer_id(t, "\\u0000", 6), 5);
    zoo_tokenizer_close(t);
}

static void test_models(void **state)
{
    zoo_tokenizer *t = open_text(
        FILE_WITH("", "null", "{\"type\":\"WhitespaceSplit\"}", "null",
                  "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
                  "{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"max_input_chars_per_word\":5,"
                  "\"vocab\":{\"?\":0,\"he\":1,\"##l\":2,\"##lo\":3,\",\":4}}"));
    (void)state;
    ENCODES(t, "hello hex he", 0, 1, 2, 3, 0, 1);
    ENCODES(t, "hellll", 0, 0);
    DECODES(t, "hello, he", 0, 1, 2, 3, 4, 1);
    zoo_tokenizer_close(t);
    t = open_text(FILE_WITH("", "null", "null", "null", "null",
                            "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0],[\"a\",-1],"
                            "[\"b\",-1],[\"ab\",-1.5],[\"aba\",-4]]}"));
    ENCODES(t, "ababa", 0, 3, 3, 1);
    ENCODES(t, "xxaxx", 0, 0, 1, 0);
    zoo_tokenizer_close(t);
}

static const char *const streamed[] = {
    FILE_WITH("", "null", BYTES, "null", BYTES, BYTE_MODEL),
    FILE_WITH("", SPACES, "null", "null", SPACES_BACK, MARK_MODEL),
    FILE_WITH("", "null", "null", "null", "null", MARK_MODEL),
    FILE_WITH("", "null", "null", "null", "{\"type\":\"Metaspace\"}", MARK_MODEL),
    FILE_WITH("", "null", "null", "null", "{\"type\":\"BPEDecoder\",\"suffix\":\"b\"}", MARK_MODEL),
    FILE_WITH(
        "", "null", "null", "null",
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
        "{\"type\":\"Strip\",\"content\":\"a\",\"start\":2,\"stop\":2},{\"type\":\"Replace\","
        "\"pattern\":{\"Regex\":\"b+\"},\"content\":\"-\"}]}",
        MARK_MODEL)};

static void assert_whole(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t lead = (uint8_t)p[i];
        assert_true(lead < 0x80 || lead >= 0xc2);
        i += lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        assert_true(i <= n);
    }
}

static void test_stream(void **state)
{
    (void)state;
    for (size_t k = 0; k < ZOO_COUNT(streamed); k++) {
        zoo_tokenizer *t = open_text(streamed[k]);
        zoo_decoder *d;
        zoo_error err;
        uint32_t seed = 7;
        assert_int_equal(zoo_decoder_open(t, 0, &d, &err), ZOO_OK);
        for (int round = 0; round < 500; round++) {
            uint32_t ids[12];
            zoo_text parts = {0}, whole = {0};
            for (size_t i = 0; i < ZOO_COUNT(ids); i++) {
                seed = seed * 1664525u + 1013904223u;
                ids[i] = (seed >> 16) % 13;
                size_t before = parts.n;
                assert_int_equal(zoo_decoder_feed(d, ids[i], &parts, &err), ZOO_OK);
                assert_whole(parts.data + before, parts.n - before);
            }
            assert_int_equal(zoo_decoder_flush(d, &parts, &err), ZOO_OK);
            assert_int_equal(zoo_tokenizer_decode(t, ids, ZOO_COUNT(ids), 0, &whole, &err), ZOO_OK);
            assert_int_equal(parts.n, whole.n);
            assert_memory_equal(parts.data, whole.data, whole.n);
            zoo_text_free(&parts);
            zoo_text_free(&whole);
        }
        zoo_decoder_close(d);
        zoo_tokenizer_close(t);
    }
}

typedef struct bad_file {
    const char *text, *says;
} bad_file;

#define BPE_WITH(vocab, merges)                                                                    \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
#define PART(key, value)                                                                           \
    "{\"" key "\":" value ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}"

static const bad_file bad_files[] = {
    {"", "is not JSON"},
    {"[", "is not JSON"},
    {"[]", "not one JSON object"},
    {"{} x", "not one JSON object"},
    {"\xff{}", "is not UTF-8"},
    {"{\"a\":\"\\ud800\"}", "is not JSON"},
    {"{}", "has no model"},
    {"{\"version\":\"2.0\",\"model\":{}}", "version"},
    {"{\"model\":{\"type\":\"Magic\"}}", "unknown type \"Magic\""},
    {BPE_WITH("\"a\":-1", ""), "not a number"},
    {BPE_WITH("\"a\":1.5", ""), "not a whole number"},
    {BPE_WITH("\"a\":4294967296", ""), "not a number"},
    {BPE_WITH("\"a\":\"x\"", ""), "not a number"},
    {BPE_WITH("\"a\":0", "\"a b\""), "not in the vocab"},
    {BPE_WITH("\"a\":0", "\"a a\""), "gives \"aa\""},
    {BPE_WITH("\"a\":0", "\"a a a\""), "one space"},
    {BPE_WITH("\"a\":0", "[\"a\"]"), "not a pair"},
    {BPE_WITH("\"a\":0", "7"), "not a pair"},
    {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}", "dropout"},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "unk_token"},
    {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"a\",1]]}}", "unk_id"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", "pair of text and score"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "unk_token"},
    {PART("normalizer", "{\"type\":\"No\"}"), "unknown type \"No\""},
    {PART("normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}"),
     "refused"},
    {PART("normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA!\"}"), "base64"},
    {PART("normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"////////\"}"),
     "its trie"},
    {PART("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\"}"),
     "neither String nor Regex"},
    {PART("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a\"},"
                           "\"behavior\":\"Isolated\"}"),
     "not closed"},
    {PART("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},"
                           "\"behavior\":\"Odd\"}"),
     "behavior"},
    {PART("pre_tokenizer", "{\"type\":\"FixedLength\",\"length\":0}"), "no pieces"},
    {PART("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), "one character"},
    {PART("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
                            "{\"id\":\"q\"}}],\"special_tokens\":{}}"),
     "does not list"},
    {PART("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":"
                            "{\"id\":\"C\"}}],\"special_tokens\":{}}"),
     "neither a token nor A"},
    {PART("decoder", "{\"type\":\"Odd\"}"), "unknown type \"Odd\""},
    {PART("added_tokens", "[{\"id\":5,\"content\":\"x\"}]"), "says id 5"},
    {PART("added_tokens", "[7]"), "not an object"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(bad_files); i++) {
        zoo_tokenizer *t;
        zoo_error err = {0};
        zoo_status status = zoo_tokenizer_open_data("tokenizer.json", bad_files[i].text,
                                                    strlen(bad_files[i].text), &t, &err);
        assert_null(t);
        assert_true(status < 0);
        if (!strstr(err.text, bad_files[i].says)) {
            fail_msg("%s: %s", bad_files[i].text, err.text);
        }
    }
}

static void test_binary_refusals(void **state)
{
    static const char *const names[] = {"tokenizer.model", "tekken.json", "tiktoken.model"};
    static const char *const texts[] = {"\n\x05\n\x01\x61",
                                        "\n\xff\xff\xff\xff\x0f",
                                        "{}",
                                        "YQ== 0\nYQ== 1\n",
                                        "YQ== 99999999999\n",
                                        "x",
                                        ""};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        for (size_t k = 0; k < ZOO_COUNT(texts); k++) {
            zoo_tokenizer *t;
            zoo_error err = {0};
            assert_true(zoo_tokenizer_open_data(names[i], texts[k], strlen(texts[k]), &t, &err) <
                        0);
            assert_true(err.text[0]);
        }
    }
}

/* A pattern that backtracks without end gives an error in bounded time, never a wrong split. */
static void test_hostile_pattern(void **state)
{
    zoo_tokenizer *t = open_text(FILE_WITH("", "null",
                                           "{\"type\":\"Split\",\"pattern\":{\"Regex\":"
                                           "\"(a+)+$|(x+x+)+y\"},\"behavior\":\"Isolated\"}",
                                           "null", "null", BYTE_MODEL));
    char text[64];
    zoo_ids ids = {0};
    zoo_error err;
    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(zoo_tokenizer_encode(t, text, sizeof text, 0, &ids, &err), ZOO_E_LIMIT);
    assert_non_null(strstr(err.text, "too many steps"));
    assert_int_equal(ids.n, 0);
    ENCODES(t, "ab", 0, 4);
    zoo_ids_free(&ids);
    zoo_tokenizer_close(t);
}

/* A search that fails slowly at every place ends too. */
static void test_slow_search(void **state)
{
    enum { N = 300000 };
    zoo_tokenizer *t = open_text(FILE_WITH("", "null",
                                           "{\"type\":\"Split\",\"pattern\":{\"Regex\":"
                                           "\"a(?:a)*?[bc]\"},\"behavior\":\"Isolated\"}",
                                           "null", "null", BYTE_MODEL));
    char *text = malloc(N);
    zoo_ids ids = {0};
    zoo_error err;
    (void)state;
    memset(text, 'a', N);
    assert_int_equal(zoo_tokenizer_encode(t, text, N, 0, &ids, &err), ZOO_E_LIMIT);
    ENCODES(t, "aab", 0, 0, 4);
    free(text);
    zoo_ids_free(&ids);
    zoo_tokenizer_close(t);
}

/* One piece of a million equal letters: heap merge, exact. */
static void test_long_piece(void **state)
{
    enum { N = 1000000 };
    zoo_tokenizer *t =
        open_text(FILE_WITH("", "null", BYTES, "null", BYTES,
                            "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1,\"aaaa\":2,\"aaa\":3},"
                            "\"merges\":[\"a a\",\"aa aa\",\"aa a\"]}"));
    char *text = malloc(N + 3);
    zoo_ids ids = {0};
    zoo_error err;
    (void)state;
    memset(text, 'a', N + 3);
    assert_int_equal(zoo_tokenizer_encode(t, text, N + 3, 0, &ids, &err), ZOO_OK);
    assert_int_equal(ids.n, N / 4 + 1);
    assert_int_equal(ids.data[N / 4], 3);
    free(text);
    zoo_ids_free(&ids);
    zoo_tokenizer_close(t);
}

static void *encode_often(void *arg)
{
    const zoo_tokenizer *t = arg;
    zoo_ids ids = {0};
    zoo_error err;
    bool same = true;
    for (int i = 0; same && i < 2000; i++) {
        ids.n = 0;
        same = zoo_tokenizer_encode(t, "abc ab a  ab", 12, 0, &ids, &err) == ZOO_OK && ids.n == 6 &&
               ids.data[0] == 6 && ids.data[5] == 5;
    }
    zoo_ids_free(&ids);
    return same ? arg : NULL;
}

static void test_threads(void **state)
{
    zoo_tokenizer *t = open_text(FILE_WITH("", "null", BYTES, "null", BYTES, BYTE_MODEL));
    pthread_t threads[4];
    (void)state;
    ENCODES(t, "abc ab a  ab", 0, 6, 5, 3, 0, 3, 5);
    zoo_tokenizer_close(t);
    t = open_text(FILE_WITH("", "null", BYTES, "null", BYTES, BYTE_MODEL));
    for (size_t i = 0; i < ZOO_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    }
    for (size_t i = 0; i < ZOO_COUNT(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, t);
    }
    zoo_tokenizer_close(t);
}

/* Each allocation fails once: an error or the right ids, nothing lost (the sanitizer looks). */
static void test_no_memory(void **state)
{
    static const char file[] = FILE_WITH(ADDED("10", "<s>", ",\"special\":true"), SPACES, "null",
                                         "null", SPACES_BACK, MARK_MODEL);
    (void)state;
    for (int64_t at = 1; at < 400; at++) {
        zoo_tokenizer *t = NULL;
        zoo_ids ids = {0};
        zoo_text text = {0};
        zoo_error err = {0};
        zoo_mem_fail_at(at);
        zoo_status status =
            zoo_tokenizer_open_data("tokenizer.json", file, sizeof file - 1, &t, &err);
        if (status == ZOO_OK) {
            status = zoo_tokenizer_encode(t, "ab\xc3\xa9<s>", 7, 0, &ids, &err);
        }
        if (status == ZOO_OK) {
            status = zoo_tokenizer_decode(t, ids.data, ids.n, 0, &text, &err);
        }
        int64_t calls = zoo_mem_calls();
        zoo_mem_fail_at(0);
        assert_true(status == ZOO_OK || status == ZOO_E_MEMORY);
        assert_true(status != ZOO_OK || strcmp(text.data, "ab\xc3\xa9<s>") == 0);
        zoo_ids_free(&ids);
        zoo_text_free(&text);
        zoo_tokenizer_close(t);
        if (calls < at) {
            break;
        }
        assert_true(at < 399);
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static void test_folder(void **state)
{
    char folder[512];
    zoo_tokenizer *t;
    zoo_error err;
    size_t n;
    (void)state;
    assert_non_null(mkdtemp(test_temp(folder, sizeof folder, "tokenizerXXXXXX")));
    assert_int_equal(zoo_tokenizer_open(folder, &t, &err), ZOO_E_IO);
    write_file(folder, "tokenizer.json",
               "{\"truncation\":{\"max_length\":1},\"pre_tokenizer\":" BYTES
               ",\"model\":" BYTE_MODEL
               ",\"added_tokens\":[" ADDED("12", "<s>", ",\"special\":true") "]}");
    write_file(
        folder, "tokenizer_config.json",
        "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"abc\",\"add_bos_token\":true}");
    write_file(folder, "special_tokens_map.json", "{\"pad_token\":\"x\",\"eos_token\":\"a\"}");
    assert_int_equal(zoo_tokenizer_open(folder, &t, &err), ZOO_OK);
    assert_int_equal(zoo_tokenizer_special(t, ZOO_SPECIAL_BOS), 12);
    assert_int_equal(zoo_tokenizer_special(t, ZOO_SPECIAL_EOS), 6);
    assert_int_equal(zoo_tokenizer_special(t, ZOO_SPECIAL_PAD), 11);
    assert_int_equal(zoo_tokenizer_special(t, ZOO_SPECIAL_UNK), ZOO_ID_NONE);
    assert_string_equal(zoo_tokenizer_special_text(t, ZOO_SPECIAL_BOS, &n), "<s>");
    assert_non_null(strstr(zoo_tokenizer_note(t, 0), "truncation"));
    assert_null(zoo_tokenizer_note(t, 1));
    ENCODES(t, "ab ab", ZOO_ENCODE_ADD_SPECIAL, 12, 4, 5);
    zoo_tokenizer_close(t);
    write_file(folder, "tokenizer_config.json", "{\"bos_token\":7}");
    assert_int_equal(zoo_tokenizer_open(folder, &t, &err), ZOO_E_FORMAT);
    assert_non_null(strstr(err.text, "bos_token"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes),
                                       cmocka_unit_test(test_marks),
                                       cmocka_unit_test(test_added),
                                       cmocka_unit_test(test_post),
                                       cmocka_unit_test(test_zero),
                                       cmocka_unit_test(test_models),
                                       cmocka_unit_test(test_stream),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_binary_refusals),
                                       cmocka_unit_test(test_hostile_pattern),
                                       cmocka_unit_test(test_slow_search),
                                       cmocka_unit_test(test_long_piece),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_no_memory),
                                       cmocka_unit_test(test_folder)};
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
