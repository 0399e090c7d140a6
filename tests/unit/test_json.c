/* test_json.c: the strict JSON reader against JSONTestSuite, Python's numbers,
 * error texts and failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "reference.h"

/* Parses text and gives the status; the tree is freed. */
static zoo_status status_of(const char *text, size_t n, bool python, zoo_error *err)
{
    cJSON *tree;
    zoo_status status = python ? zoo_json_parse_python(text, n, "text", &tree, err)
                               : zoo_json_parse(text, n, "text", &tree, err);
    assert_int_equal(status == ZOO_OK, tree != NULL);
    cJSON_Delete(tree);
    return status;
}

static void test_suite(void **state)
{
    char folder[4096], path[8192];
    struct dirent *entry;
    int n_yes = 0, n_no = 0, n_either = 0;
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/malformed/JSONTestSuite_parsing", test_reference());
    DIR *dir = opendir(folder);
    if (!dir) {
        skip();
    }
    while ((entry = readdir(dir))) {
        cJSON *tree;
        zoo_error err;
        if (!strchr("yni", entry->d_name[0])) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        zoo_status status = zoo_json_read(path, 1 << 24, &tree, &err);
        cJSON_Delete(tree);
        /* The one difference: a C string would end at the null that these files ask for. */
        if (strcmp(entry->d_name, "y_string_null_escape.json") == 0 ||
            strcmp(entry->d_name, "y_object_escaped_null_in_key.json") == 0) {
            assert_int_equal(status, ZOO_E_FORMAT);
            assert_non_null(strstr(err.text, "the escape \\u0000"));
            status = ZOO_OK;
        }
        n_yes += entry->d_name[0] == 'y';
        n_no += entry->d_name[0] == 'n';
        n_either += entry->d_name[0] == 'i';
        if ((entry->d_name[0] == 'y' && status != ZOO_OK) ||
            (entry->d_name[0] == 'n' && status != ZOO_E_FORMAT)) {
            fail_msg("%s: %d %s", entry->d_name, status, status ? err.text : "accepted");
        }
    }
    closedir(dir);
    assert_int_equal(n_yes, 95);
    assert_int_equal(n_no, 188);
    assert_int_equal(n_either, 35);
}

static void test_python_numbers(void **state)
{
    const char text[] =
        "{\"a\": Infinity, \"b\":-Infinity,\"c\":[NaN,{\"__float__\":\"Infinity\"}],"
        "\"d\": {\"__float__\": \"-Infinity\"}, \"e\": \"NaN\", \"f\":[Infinity]}";
    cJSON *tree;
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_json_parse(text, sizeof text - 1, "config.json", &tree, &err),
                     ZOO_E_FORMAT);
    assert_string_equal(err.text, "config.json, line 1, column 7: no JSON value");
    assert_int_equal(zoo_json_parse_python(text, sizeof text - 1, "c", &tree, &err), ZOO_OK);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "c");
    assert_true(isinf(cJSON_GetObjectItemCaseSensitive(tree, "a")->valuedouble));
    assert_true(cJSON_GetObjectItemCaseSensitive(tree, "b")->valuedouble < -1e300);
    assert_true(cJSON_IsNumber(list->child));
    assert_true(isnan(list->child->valuedouble));
    assert_true(cJSON_IsNumber(list->child->next));
    assert_true(list->child->next->valuedouble > 1e300);
    assert_true(cJSON_GetObjectItemCaseSensitive(tree, "d")->valuedouble < -1e300);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "e")->valuestring, "NaN");
    cJSON_Delete(tree);
    assert_int_equal(status_of("[Infinit]", 9, true, &err), ZOO_E_FORMAT);
    assert_int_equal(status_of("[-NaN]", 6, true, &err), ZOO_E_FORMAT);
    assert_int_equal(status_of("Infinity", 8, true, &err), ZOO_OK);
}

static void test_python_keeps_last(void **state)
{
    const char text[] =
        "{\"a\": 1, \"b\": {\"c\": 1, \"d\": 2, \"c\": {\"e\": 1, \"e\": 3}}, \"a\": 4, "
        "\"l\": [{\"x\": 0, \"x\": 5}]}";
    cJSON *tree;
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_json_parse_python(text, sizeof text - 1, "c", &tree, &err), ZOO_OK);
    char *kept = cJSON_PrintUnformatted(tree);
    assert_string_equal(kept, "{\"b\":{\"d\":2,\"c\":{\"e\":3}},\"a\":4,\"l\":[{\"x\":5}]}");
    cJSON_free(kept);
    cJSON_Delete(tree);
}

static void test_long_numbers(void **state)
{
    char text[600], digits[100];
    cJSON *tree;
    zoo_error err;
    (void)state;
    memset(digits, '1', 99);
    digits[99] = '\0';
    int n = snprintf(text, sizeof text, "[%s, 0.%s,-%s.5e-20,%s%s%s%s]", digits, digits, digits,
                     "9e", "0000000000000000000000000000000000",
                     "0000000000000000000000000000000000", "99999");
    assert_int_equal(zoo_json_parse(text, (size_t)n, "t", &tree, &err), ZOO_OK);
    const cJSON *item = tree->child;
    assert_true(item->valuedouble == strtod(digits, NULL));
    assert_true(item->next->valuedouble == 0.1111111111111111111);
    assert_true(item->next->next->valuedouble == -1.1111111111111111e78);
    assert_true(isinf(item->next->next->next->valuedouble));
    cJSON_Delete(tree);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "text, line 1, column 1: the end of the text where a value should be"},
        {"\xef\xbb\xbf{}", "text, line 1, column 1: a byte order mark"},
        {"{\n \"a\": tru}", "text, line 2, column 7: no JSON value"},
        {"[\"\\u0000\"]",
         "text, line 1, column 9: the escape \\u0000, which this program does not accept"},
        {"[\"\\ud800\"]", "text, line 1, column 9: half a surrogate pair"},
        {"[\"\xed\xa0\x80\"]", "text, line 1, column 3: bytes that are not UTF-8"},
        {"[\"\xc0\x80\"]", "text, line 1, column 3: bytes that are not UTF-8"},
        {"[\"\xff\"]", "text, line 1, column 3: bytes that are not UTF-8"},
        {"[1 2]", "text, line 1, column 4: neither comma nor ] after an element"},
        {"{\"a\":1,}", "text, line 1, column 8: no quoted key where one should be"},
        {"[01]", "text, line 1, column 3: neither comma nor ] after an element"},
        {"{} x", "text, line 1, column 4: more text after the value"},
        {"// a\n1", "text, line 1, column 1: no JSON value"},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_error err = {0};
        assert_int_equal(status_of(rows[i].text, strlen(rows[i].text), true, &err), ZOO_E_FORMAT);
        assert_string_equal(err.text, rows[i].error);
    }
    assert_int_equal(status_of("[\"a\0b\"]", 7, false, NULL), ZOO_E_FORMAT);
}

static void test_depth(void **state)
{
    char text[300];
    zoo_error err;
    (void)state;
    for (int depth = 99; depth <= 101; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(status_of(text, (size_t)depth * 2, false, &err),
                         depth <= ZOO_JSON_DEPTH_MAX ? ZOO_OK : ZOO_E_FORMAT);
    }
    assert_string_equal(err.text, "text, line 1, column 101: nesting deeper than 100");
}

/* Every prefix and every changed byte of a text gives an answer and no crash. */
static void test_broken_everywhere(void **state)
{
    static const char text[] =
        "{\"k\\u00e9\": [1.5e-3, true, null, \"\xc3\xa9\\\"\", {\"x\": {}}], \"z\": -0}";
    char copy[sizeof text];
    int n_ok = 0;
    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++) {
        assert_int_equal(status_of(text, n, false, NULL), ZOO_E_FORMAT);
    }
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            n_ok += status_of(copy, sizeof text - 1, c & 1, NULL) == ZOO_OK;
        }
    }
    assert_true(n_ok > 500 && n_ok < 256 * (int)sizeof text / 2);
}

static void test_no_memory(void **state)
{
    static const char text[] = "{\"a\": [1, 2, {\"b\": \"c\"}], \"d\": NaN}";
    zoo_status status;
    int n_failed = 0;
    (void)state;
    do {
        zoo_error err = {0};
        zoo_mem_fail_at(n_failed + 1);
        status = status_of(text, sizeof text - 1, true, &err);
        n_failed += status == ZOO_E_MEMORY;
    } while (status == ZOO_E_MEMORY);
    zoo_mem_fail_at(0);
    assert_int_equal(status, ZOO_OK);
    assert_true(n_failed > 8);
}

static void test_files(void **state)
{
    char path[512];
    char *data;
    size_t n;
    cJSON *tree;
    zoo_error err;
    (void)state;
    int fd = mkstemp(test_temp(path, sizeof path, "zoo-json-XXXXXX"));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[1]\n", 4), 4);
    close(fd);
    assert_int_equal(zoo_file_read(path, 4, &data, &n, &err), ZOO_OK);
    assert_int_equal(n, 4);
    assert_string_equal(data, "[1]\n");
    zoo_mem_free(data);
    assert_int_equal(zoo_file_read(path, 3, &data, &n, &err), ZOO_E_LIMIT);
    assert_null(data);
    zoo_mem_fail_at(1);
    assert_int_equal(zoo_file_read(path, 4, &data, &n, &err), ZOO_E_MEMORY);
    zoo_mem_fail_at(0);
    assert_int_equal(zoo_json_read_python(path, 100, &tree, &err), ZOO_OK);
    cJSON_Delete(tree);
    unlink(path);
    assert_int_equal(zoo_json_read(path, 100, &tree, &err), ZOO_E_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(zoo_file_read("/", 100, &data, &n, &err), ZOO_E_IO);
    assert_int_equal(zoo_file_read("/dev/zero", 100000, &data, &n, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_file_read("/dev/null", 10, &data, &n, &err), ZOO_OK);
    assert_int_equal(n, 0);
    zoo_mem_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_python_numbers),
        cmocka_unit_test(test_python_keeps_last),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_broken_everywhere),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
