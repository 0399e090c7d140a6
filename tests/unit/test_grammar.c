/*
 * test_grammar.c: schemas to masks. Random allowed tokens are taken until the text is whole; it
 * must parse and validate, whatever the schema, the vocabulary and the luck. Texts that do or do
 * not satisfy a schema are fed byte by byte; what is not enforced must be refused.
 *
 * LMZOO_GRAMMAR_DUMP=FILE writes [schema, text] lines for a validator of another make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "grammar_cases.h"
#include "json_check.h"
#include "reference.h"
#include "text/grammar/vocab.h"

static zoo_error err;
static zoo_tokenizer *tokenizer;
static zoo_vocab *vocab;
static uint32_t end_id;
static uint64_t seed = 1;
static FILE *dump;

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static bool has_bit(const uint32_t *bits, uint32_t id)
{
    return bits[id / 32] >> (id % 32) & 1u;
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What masks took. */
static struct {
    uint32_t n;
    double sum, longest;
} masks;

/* A random allowed id. Mostly one of few bytes, so that texts stay short. */
static uint32_t choose(const uint32_t *bits, size_t n_words)
{
    uint32_t n = (uint32_t)n_words * 32, start = dice(n), best = UINT32_MAX;
    if (has_bit(bits, end_id) && dice(2)) {
        return end_id;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = (start + i) % n;
        if (has_bit(bits, id)) {
            best = id;
            break;
        }
    }
    return best;
}

/* A text of random tokens, in a static buffer; tokens_max 0: no limit but 20000. */
static const char *random_text(zoo_grammar *g, uint32_t tokens_max)
{
    static char text[400000];
    size_t n = 0, n_words = zoo_vocab_mask_words(vocab);
    uint32_t bits[8192];
    zoo_grammar_state *s = NULL;
    assert_true(n_words <= ZOO_COUNT(bits));
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    for (uint32_t i = 0; i < (tokens_max ? tokens_max : 20000); i++) {
        uint32_t left = tokens_max ? tokens_max - i : ZOO_GRAMMAR_NO_LIMIT;
        double begin = seconds();
        if (zoo_grammar_mask(s, left, bits, &err) != ZOO_OK) {
            fail_msg("%s after %.*s", err.text, (int)n, text);
        }
        double took = seconds() - begin;
        masks.n++;
        masks.sum += took;
        masks.longest = took > masks.longest ? took : masks.longest;
        uint32_t id = choose(bits, n_words);
        if (zoo_grammar_accept(s, id, &err) != ZOO_OK) {
            fail_msg("%s", err.text);
        }
        if (id == end_id) {
            break;
        }
        size_t m = 0;
        const char *bytes = zoo_tokenizer_bytes(tokenizer, id, &m);
        assert_true(n + m < sizeof text);
        memcpy(text + n, bytes, m);
        n += m;
    }
    text[n] = 0;
    if (!zoo_grammar_is_complete(s)) {
        fail_msg("not whole after %u tokens: %.500s", tokens_max, text);
    }
    zoo_grammar_end(s);
    return text;
}

static zoo_grammar *compile(const char *schema)
{
    cJSON *json = cJSON_Parse(schema);
    zoo_grammar *g = NULL;
    assert_non_null(json);
    if (zoo_grammar_compile(&(zoo_grammar_want){.schema = json}, vocab, &g, &err) != ZOO_OK) {
        fail_msg("%s: %s", schema, err.text);
    }
    cJSON_Delete(json);
    return g;
}

static void expect_valid(const cJSON *schema, const char *text)
{
    cJSON *value = NULL;
    /* \u0000 is JSON, though a C string ends there. */
    if (zoo_json_parse(text, strlen(text), "text", &value, &err) != ZOO_OK) {
        if (strstr(text, "\\u0000")) {
            return;
        }
        fail_msg("%.300s: %s", text, err.text);
    }
    if (!check_schema(schema, schema, value)) {
        char *s = cJSON_PrintUnformatted(schema);
        fail_msg("%s\ndoes not validate by\n%s", text, s);
    }
    if (dump) {
        char *s = cJSON_PrintUnformatted(schema);
        cJSON *string = cJSON_CreateString(text);
        char *t = cJSON_PrintUnformatted(string);
        (void)fprintf(dump, "[%s, %s]\n", s, t);
        cJSON_free(s);
        cJSON_free(t);
        cJSON_Delete(string);
    }
    cJSON_Delete(value);
}

/* ---- random schemas ---- */

static cJSON *number_or_null(int value)
{
    return dice(2) ? cJSON_CreateNumber(value) : NULL;
}

static void put(cJSON *o, const char *key, cJSON *item)
{
    if (item) {
        cJSON_AddItemToObject(o, key, item);
    }
}

static cJSON *random_schema(int depth);

static cJSON *random_object(int depth)
{
    static const char *const names[] = {"a", "ab", "name", "n\xc3\xa4me", "q\"u", "na", "x y"};
    cJSON *o = cJSON_CreateObject(), *properties = cJSON_AddObjectToObject(o, "properties");
    cJSON *required = cJSON_AddArrayToObject(o, "required");
    put(o, "type", cJSON_CreateString("object"));
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        if (dice(3) == 0) {
            put(properties, names[i], random_schema(depth - 1));
            if (dice(2)) {
                cJSON_AddItemToArray(required, cJSON_CreateString(names[i]));
            }
        }
    }
    uint32_t kind = dice(4);
    if (kind) {
        put(o, "additionalProperties",
            kind == 1   ? cJSON_CreateTrue()
            : kind == 2 ? cJSON_CreateFalse()
                        : random_schema(0));
    }
    return o;
}

static cJSON *random_array(int depth)
{
    cJSON *o = cJSON_CreateObject();
    put(o, "type", cJSON_CreateString("array"));
    put(o, "items", random_schema(depth - 1));
    int min = (int)dice(3);
    put(o, "minItems", number_or_null(min));
    put(o, "maxItems", number_or_null(min + (int)dice(3) + 1));
    if (dice(3) == 0) {
        cJSON *prefix = cJSON_AddArrayToObject(o, "prefixItems");
        cJSON_AddItemToArray(prefix, random_schema(0));
        cJSON_AddItemToArray(prefix, random_schema(0));
    }
    return o;
}

static cJSON *random_number(bool whole)
{
    cJSON *o = cJSON_CreateObject();
    int low = (int)dice(4000) - 2000;
    put(o, "type", cJSON_CreateString(whole ? "integer" : "number"));
    put(o, dice(2) ? "minimum" : "exclusiveMinimum", number_or_null(low));
    put(o, dice(2) ? "maximum" : "exclusiveMaximum", number_or_null(low + 2 + (int)dice(3000)));
    return o;
}

static cJSON *random_string(void)
{
    cJSON *o = cJSON_CreateObject();
    int min = (int)dice(6);
    put(o, "type", cJSON_CreateString("string"));
    put(o, "minLength", number_or_null(min));
    put(o, "maxLength", cJSON_CreateNumber(min + (int)dice(20)));
    return o;
}

static cJSON *random_enum(void)
{
    static const char *const lists[] = {"[\"red\", \"green\", \"r\xc3\xa9\\n\"]", "[1, 2.5, -3]",
                                        "[null, true, \"x\"]", "[{\"a\": [1]}, []]"};
    cJSON *o = cJSON_CreateObject();
    put(o, "enum", cJSON_Parse(lists[dice(4)]));
    return o;
}

static cJSON *random_choice(int depth)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "anyOf");
    for (uint32_t i = 0; i < 1 + dice(3); i++) {
        cJSON_AddItemToArray(list, random_schema(depth - 1));
    }
    return o;
}

static cJSON *random_schema(int depth)
{
    uint32_t kind = dice(depth > 0 ? 10 : 6);
    cJSON *o = NULL;
    switch (kind) {
    case 0:
    case 1:
        return random_number(kind);
    case 2:
        return random_string();
    case 3:
        return random_enum();
    case 4:
    case 5:
        o = cJSON_CreateObject();
        put(o, "type", cJSON_Parse(kind == 4 ? "\"boolean\"" : "[\"integer\", \"null\"]"));
        return o;
    case 6:
        return random_choice(depth);
    case 7:
        return random_array(depth);
    default:
        return random_object(depth);
    }
}

static void random_schemas_hold(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        seed = 77777u + (uint64_t)i * 7919u;
        cJSON *schema = random_schema(3);
        zoo_grammar *g = NULL;
        if (zoo_grammar_compile(&(zoo_grammar_want){.schema = schema}, vocab, &g, &err) != ZOO_OK) {
            fail_msg("%s: %s", cJSON_PrintUnformatted(schema), err.text);
        }
        for (int k = 0; k < 3; k++) {
            expect_valid(schema, random_text(g, k == 0 ? 500 : 300));
        }
        /* As many tokens as suffice, and a few more. */
        uint32_t least = zoo_gsteps(g, ZOO_GSTATE_START);
        assert_true(least > 0 && least <= zoo_gstates_distance(g->states, ZOO_GSTATE_START));
        for (uint32_t more = 0; more < 4; more++) {
            expect_valid(schema, random_text(g, least + more));
        }
        zoo_grammar_free(g);
        cJSON_Delete(schema);
    }
}

/* ---- fixed schemas ---- */

/* Whether the bytes of text lead to a whole text. */
static bool takes(const char *schema, const char *text)
{
    zoo_grammar *g = compile(schema);
    zoo_grammar_state *s = NULL;
    bool ok = true;
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    for (const char *c = text; *c && ok; c++) {
        uint32_t id = 0;
        for (; id < zoo_tokenizer_size(tokenizer); id++) {
            size_t n = 0;
            const char *bytes = zoo_tokenizer_bytes(tokenizer, id, &n);
            if (bytes && n == 1 && bytes[0] == *c && !zoo_tokenizer_is_special(tokenizer, id)) {
                break;
            }
        }
        ok = zoo_grammar_accept(s, id, &err) == ZOO_OK;
    }
    ok = ok && zoo_grammar_is_complete(s);
    zoo_grammar_end(s);
    zoo_grammar_free(g);
    return ok;
}

static void texts_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(told_apart); i++) {
        if (takes(told_apart[i].schema, told_apart[i].text) != told_apart[i].ok) {
            fail_msg("%s: %s is %s", told_apart[i].schema, told_apart[i].text,
                     told_apart[i].ok ? "refused" : "taken");
        }
    }
}

static void what_is_not_enforced_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(refused); i++) {
        cJSON *json = cJSON_Parse(refused[i].schema);
        zoo_grammar *g = NULL;
        if (zoo_grammar_compile(&(zoo_grammar_want){.schema = json}, vocab, &g, &err) == ZOO_OK) {
            fail_msg("%s was taken", refused[i].schema);
        }
        assert_null(g);
        if (!strstr(err.text, refused[i].part)) {
            fail_msg("%s: '%s' lacks '%s'", refused[i].schema, err.text, refused[i].part);
        }
        cJSON_Delete(json);
    }
}

static void any_object(void **state)
{
    zoo_grammar *g = NULL;
    cJSON *schema = cJSON_Parse("{\"type\": \"object\"}");
    (void)state;
    assert_int_equal(zoo_grammar_compile(&(zoo_grammar_want){0}, vocab, &g, &err), ZOO_OK);
    for (int i = 0; i < 20; i++) {
        seed = 4242u + (uint64_t)i;
        expect_valid(schema, random_text(g, 100));
    }
    zoo_grammar_free(g);
    cJSON_Delete(schema);
}

static void short_limits_are_met(void **state)
{
    static const char schema[] =
        "{\"type\": \"object\", \"properties\": {\"title\": {\"type\": \"string\"}, \"list\": "
        "{\"type\": \"array\", \"items\": {\"type\": \"object\", \"properties\": {\"k\": "
        "{\"type\": "
        "\"string\"}}, \"required\": [\"k\"]}}}, \"required\": [\"title\", \"list\"]}";
    cJSON *json = cJSON_Parse(schema);
    zoo_grammar *g = compile(schema);
    (void)state;
    /* {"title":"","list":[]} has 22 bytes, so 22 tokens always suffice. */
    for (uint32_t limit = 22; limit < 60; limit++) {
        seed = 99u + limit;
        expect_valid(json, random_text(g, limit));
    }
    zoo_grammar_free(g);
    cJSON_Delete(json);
}

/* The mask of a state is exactly the set of tokens that accept takes. */
static void masks_are_exact(void **state)
{
    zoo_grammar *g =
        compile("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\", "
                "\"maxLength\": 3}, \"b\": {\"type\": \"integer\"}}}");
    zoo_grammar_state *s = NULL;
    uint32_t bits[8192];
    (void)state;
    seed = 5;
    for (int steps = 0; steps < 6; steps++) {
        assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
        uint32_t path[8];
        for (int i = 0; i < steps; i++) {
            assert_int_equal(zoo_grammar_mask(s, ZOO_GRAMMAR_NO_LIMIT, bits, &err), ZOO_OK);
            path[i] = choose(bits, zoo_vocab_mask_words(vocab));
            assert_int_equal(zoo_grammar_accept(s, path[i], &err), ZOO_OK);
        }
        assert_int_equal(zoo_grammar_mask(s, ZOO_GRAMMAR_NO_LIMIT, bits, &err), ZOO_OK);
        uint32_t size = zoo_tokenizer_size(tokenizer);
        for (uint32_t id = 0; id<size; id += size> 5000 ? 7 : 1) {
            zoo_grammar_state *t = NULL;
            assert_int_equal(zoo_grammar_begin(g, &t, &err), ZOO_OK);
            for (int i = 0; i < steps; i++) {
                assert_int_equal(zoo_grammar_accept(t, path[i], &err), ZOO_OK);
            }
            bool taken = zoo_grammar_accept(t, id, &err) == ZOO_OK;
            assert_int_equal(taken, has_bit(bits, id));
            zoo_grammar_end(t);
        }
        zoo_grammar_end(s);
    }
    zoo_grammar_free(g);
}

/* What masks cost: the first of a state, and all later ones. */
static void cost(void **state)
{
    zoo_grammar *g = compile("{\"type\": \"object\", \"properties\": {\"name\": {\"type\": "
                             "\"string\"}, \"age\": {\"type\": \"integer\", \"minimum\": 0, "
                             "\"maximum\": 150}, \"tags\": {\"type\": \"array\", \"items\": "
                             "{\"type\": \"string\"}}}, \"required\": [\"name\", \"age\", "
                             "\"tags\"]}");
    (void)state;
    for (int round = 0; round < 3; round++) {
        memset(&masks, 0, sizeof masks);
        for (int i = 0; i < 32; i++) {
            seed = 1000u + (uint64_t)i;
            (void)random_text(g, round == 2 ? zoo_gsteps(g, ZOO_GSTATE_START) + 20 : 200);
        }
        print_message("# %s: %.2f us a mask, the longest %.2f ms; %u masks, vocabulary of %u\n",
                      round == 0   ? "new states"
                      : round == 1 ? "known states"
                                   : "few tokens left",
                      masks.sum / masks.n * 1e6, masks.longest * 1e3, masks.n,
                      zoo_tokenizer_size(tokenizer));
    }
    uint32_t bits[8192];
    zoo_grammar_state *s = NULL;
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    double begin = seconds();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(zoo_grammar_mask(s, ZOO_GRAMMAR_NO_LIMIT, bits, &err), ZOO_OK);
    }
    print_message("# one state again and again: %.2f us a mask\n", (seconds() - begin) * 1e3);
    zoo_grammar_end(s);
    zoo_grammar_free(g);
}

/* Vocabularies in which the shortest text cannot be spelled, and some tokens lead nowhere. */
static void missing_bytes(void **state)
{
    static const char model[] =
        "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 8, \"content\": \"</s>\", \"special\": "
        "true, \"normalized\": false, \"single_word\": false, \"lstrip\": false, \"rstrip\": "
        "false}], \"decoder\": {\"type\": \"Fuse\"}, \"model\": {\"type\": \"BPE\", \"merges\": "
        "[], "
        "\"vocab\": {\"{ \": 0, \"\\\"a\\\"\": 1, \": \": 2, \"1\": 3, \" }\": 4, \"{\\\"\": 5, "
        "\"\\n\": 6, \"\\\"b\\\"\": 7, \"</s>\": 8}}}";
    static const char schema[] =
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": "
        "[\"a\"], \"additionalProperties\": false}";
    zoo_tokenizer *own = NULL, *kept = tokenizer;
    zoo_vocab *own_vocab = NULL, *kept_vocab = vocab;
    uint32_t kept_end = end_id, bits[1];
    zoo_grammar_state *s = NULL;
    zoo_grammar *g = NULL;
    (void)state;
    end_id = 8;
    if (zoo_tokenizer_open_data("tokenizer.json", model, strlen(model), &own, &err) != ZOO_OK ||
        zoo_vocab_new(own, &end_id, 1, &own_vocab, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    tokenizer = own;
    vocab = own_vocab;
    g = compile(schema);
    /* { "a": 1 } */
    assert_int_equal(zoo_gsteps(g, ZOO_GSTATE_START), 5);
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    assert_int_equal(zoo_grammar_mask(s, 100, bits, &err), ZOO_OK);
    assert_int_equal(bits[0], 1u << 0);
    zoo_grammar_end(s);
    cJSON *json = cJSON_Parse(schema);
    for (uint32_t i = 0; i < 20; i++) {
        seed = 3u + i;
        expect_valid(json, random_text(g, 5 + i / 4));
    }
    zoo_grammar_free(g);
    cJSON_Delete(json);
    json = cJSON_Parse("{\"const\": {\"c\": 1}}");
    assert_int_equal(zoo_grammar_compile(&(zoo_grammar_want){.schema = json}, vocab, &g, &err),
                     ZOO_E_UNSUPPORTED);
    cJSON_Delete(json);
    zoo_vocab_free(own_vocab);
    zoo_tokenizer_close(own);
    tokenizer = kept;
    vocab = kept_vocab;
    end_id = kept_end;
}

/* After the beginning of a constant comes its rest; after free text nothing is certain. */
static void what_must_come_is_guessed(void **state)
{
    static const char rest[] = "onderful days ahead\"";
    char text[256] = "";
    zoo_grammar *g = compile("{\"enum\": [\"wonderful days ahead\", \"no\"]}");
    zoo_grammar_state *s;
    uint32_t id;
    int32_t out[64];
    (void)state;
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    for (const char *begin = "\"w"; *begin; begin++) {
        id = zoo_tokenizer_id(tokenizer, begin, 1);
        assert_int_equal(zoo_grammar_accept(s, id, &err), ZOO_OK);
    }
    uint32_t n = zoo_grammar_guess(s, out, 64);
    for (uint32_t i = 0; i < n; i++) {
        size_t length;
        const char *bytes = zoo_tokenizer_bytes(tokenizer, (uint32_t)out[i], &length);
        (void)strncat(text, bytes, length);
        assert_int_equal(zoo_grammar_accept(s, (uint32_t)out[i], &err), ZOO_OK);
    }
    assert_string_equal(text, rest);
    assert_true(n < sizeof rest - 1);
    assert_true(zoo_grammar_is_complete(s));
    assert_int_equal(zoo_grammar_guess(s, out, 64), 0);
    zoo_grammar_end(s);
    zoo_grammar_free(g);
    g = compile("{\"type\": \"string\"}");
    assert_int_equal(zoo_grammar_begin(g, &s, &err), ZOO_OK);
    id = zoo_tokenizer_id(tokenizer, "\"", 1);
    assert_int_equal(zoo_grammar_accept(s, id, &err), ZOO_OK);
    assert_int_equal(zoo_grammar_guess(s, out, 64), 0);
    zoo_grammar_end(s);
    zoo_grammar_free(g);
}

static int open_tokenizer(const char *file, const char *end)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", test_reference(), file);
    if (access(path, R_OK) != 0 || zoo_tokenizer_open(path, &tokenizer, &err) != ZOO_OK) {
        return 1;
    }
    end_id = zoo_tokenizer_id(tokenizer, end, strlen(end));
    return end_id == ZOO_ID_NONE || zoo_vocab_new(tokenizer, &end_id, 1, &vocab, &err) != ZOO_OK;
}

static void close_tokenizer(void)
{
    zoo_vocab_free(vocab);
    zoo_tokenizer_close(tokenizer);
    vocab = NULL;
    tokenizer = NULL;
}

int main(void)
{
    static const struct {
        const char *file, *end;
    } vocabularies[] = {{"demo-models/demo-llama/tokenizer.json", "<|im_end|>"},
                        {"demo-models/demo-gemma/tokenizer.json", "<eos>"},
                        {"tokenizers/llama3.tokenizer.json", "<|end_of_text|>"}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_told_apart),
        cmocka_unit_test(what_is_not_enforced_is_refused),
        cmocka_unit_test(random_schemas_hold),
        cmocka_unit_test(any_object),
        cmocka_unit_test(short_limits_are_met),
        cmocka_unit_test(masks_are_exact),
        cmocka_unit_test(what_must_come_is_guessed),
        cmocka_unit_test(missing_bytes),
        cmocka_unit_test(cost),
    };
    int failed = 0;
    const char *dump_path = getenv("LMZOO_GRAMMAR_DUMP");
    dump = dump_path ? fopen(dump_path, "w") : NULL;
    for (size_t i = 0; i < ZOO_COUNT(vocabularies); i++) {
        if (open_tokenizer(vocabularies[i].file, vocabularies[i].end)) {
            printf("1..0 # SKIP no %s\n", vocabularies[i].file);
            continue;
        }
        failed += cmocka_run_group_tests_name(vocabularies[i].file, tests, NULL, NULL);
        close_tokenizer();
    }
    if (dump) {
        (void)fclose(dump);
    }
    return failed;
}
