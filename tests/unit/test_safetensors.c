/* test_safetensors.c: headers good and hostile, folders and indexes, writing, failing memory.
 * Widening is in test_widen.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "checkpoint/safetensors.h"
#include "reference.h"

static char folder[512];

static const char *in_folder(const char *name)
{
    static char path[4][1024];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

/* Empties the folder of the tests. */
static void folder_clear(void)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(in_folder(entry->d_name)), 0);
        }
    }
    closedir(dir);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(test_temp(folder, sizeof folder, "zoo-tensors-XXXXXX")) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    folder_clear();
    return rmdir(folder);
}

static void file_write(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A safetensors file of this header and a payload of n bytes 0, 1, 2, ... */
static void tensors_write(const char *name, const char *header, size_t n)
{
    char data[4096];
    uint64_t length = strlen(header);
    memcpy(data, &length, 8);
    memcpy(data + 8, header, length);
    for (size_t i = 0; i < n; i++) {
        data[8 + length + i] = (char)i;
    }
    file_write(name, data, 8 + length + n);
}

static void test_plain_file(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    float out[4];
    (void)state;
    tensors_write("a.safetensors",
                  "{\"b\":{\"dtype\":\"I16\",\"shape\":[2,1],\"data_offsets\":[4,8]},"
                  "\"__metadata__\":{\"format\":\"pt\"},"
                  "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                  "\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[4,4]},"
                  "\"one\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[8,9]}}   ",
                  9);
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_count(set), 4);
    assert_int_equal(zoo_tensors_n_files(set), 1);
    assert_int_equal(zoo_tensors_n_notes(set), 0);
    assert_string_equal(zoo_tensors_file(set, 0), in_folder("a.safetensors"));
    static const char *const order[] = {"a", "none", "b", "one"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(zoo_tensors_at(set, i)->name, order[i]);
        assert_ptr_equal(zoo_tensors_find(set, order[i]), zoo_tensors_at(set, i));
    }
    assert_null(zoo_tensors_find(set, "c"));
    assert_null(zoo_tensors_find(set, ""));
    const zoo_tensor *b = zoo_tensors_find(set, "b");
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->dims[0], 2);
    assert_int_equal(b->n_bytes, 4);
    assert_int_equal(zoo_tensor_widen(b, 0, 2, out, &err), ZOO_OK);
    assert_true(out[0] == 5 * 256 + 4 && out[1] == 7 * 256 + 6);
    assert_int_equal(zoo_tensor_widen(b, 1, 1, out, &err), ZOO_OK);
    assert_true(out[0] == 7 * 256 + 6);
    assert_int_equal(zoo_tensor_widen(b, 1, 2, out, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_tensor_widen(b, UINT64_MAX, 2, out, &err), ZOO_E_USAGE);
    const zoo_tensor *none = zoo_tensors_find(set, "none");
    assert_int_equal(none->n_items, 0);
    assert_int_equal(zoo_tensor_widen(none, 0, 0, out, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_find(set, "one")->n_items, 1);
    zoo_tensor_release(b);
    zoo_tensors_close(set);
    zoo_tensors_close(NULL);
    folder_clear();
}

/* More shards than a process may have files open. */
static void test_many_shards(void **state)
{
    enum { SHARDS = 1100 };
    zoo_tensors *set;
    zoo_error err;
    char file[64], header[128];
    float out[4];
    (void)state;
    for (int i = 1; i <= SHARDS; i++) {
        (void)snprintf(file, sizeof file, "x-%05d-of-%05d.safetensors", i, SHARDS);
        (void)snprintf(header, sizeof header,
                       "{\"t%d\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", i);
        tensors_write(file, header, 4);
    }
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    const zoo_tensor *first = zoo_tensors_find(set, "t1"), *last = zoo_tensors_find(set, "t1100");
    assert_int_equal(zoo_tensor_read(first, 1, 3, out, &err), ZOO_OK);
    assert_true(out[0] == 1 && out[2] == 3);
    assert_int_equal(zoo_tensor_read(last, 1, 3, out, &err), ZOO_E_IO);
    assert_int_equal(zoo_tensor_widen(last, 0, 4, out, &err), ZOO_OK);
    assert_true(out[1] == 1 && out[3] == 3);
    zoo_tensors_close(set);
    folder_clear();
}

/* Opens a file of header and payload; gives the sentence without the path,
 * or "" when it is taken. */
static const char *verdict(const char *header, size_t n_payload)
{
    static zoo_error err;
    zoo_tensors *set;
    tensors_write("model.safetensors", header, n_payload);
    if (zoo_tensors_open(folder, &set, &err) == ZOO_OK) {
        zoo_tensors_close(set);
        return "";
    }
    assert_null(set);
    const char *path = in_folder("model.safetensors");
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
    return err.text + strlen(path);
}

#define ENTRY(name, dtype, shape, offsets)                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_hostile_headers(void **state)
{
    static const struct {
        const char *header;
        size_t n;
        const char *sentence;
    } rows[] = {
        {"{}", 0, ""},
        {"{" ENTRY("a", "U8", "[2]", "[0,2]") "}", 2, ""},
        {"{}", 1, ": 1 bytes after the last tensor belong to none"},
        {"", 0, ": the header does not begin with {"},
        {" {}", 0, ": the header does not begin with {"},
        {"[1]", 0, ": the header does not begin with {"},
        {"{\"a\":1}", 0, ": tensor a: no dtype"},
        {"{\"a\":{}}", 0, ": tensor a: no dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, ": tensor a: no data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"x\":[1]}}", 1, ": tensor a: unknown key x"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 1, ": tensor a: repeated key dtype"},
        {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         ": tensor a: dtype is not a string"},
        {"{" ENTRY("a", "F7", "[2]", "[0,2]") "}", 2, ": tensor a: unknown dtype F7"},
        {"{" ENTRY("a", "U8", "2", "[0,2]") "}", 2, ": tensor a: shape is not a list"},
        {"{" ENTRY("a", "U8", "[-2]", "[0,2]") "}", 2, ": tensor a: dimension 0 is not a size"},
        {"{" ENTRY("a", "U8", "[2,0.5]", "[0,2]") "}", 2, ": tensor a: dimension 1 is not a size"},
        {"{" ENTRY("a", "U8", "[2,1e17]", "[0,2]") "}", 2, ": tensor a: dimension 1 is not a size"},
        {"{" ENTRY("a", "U8", "[\"2\"]", "[0,2]") "}", 2, ": tensor a: dimension 0 is not a size"},
        {"{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,2]", "[0,2]") "}", 2,
         ": tensor a: more than 8 dimensions"},
        {"{" ENTRY("a", "U8", "[4294967296,4294967296]", "[0,2]") "}", 2,
         ": tensor a: its shape overflows"},
        {"{" ENTRY("a", "F64", "[4294967296,134217728]", "[0,2]") "}", 2,
         ": tensor a: its shape overflows"},
        {"{" ENTRY("a", "F4", "[3]", "[0,2]") "}", 2, ": tensor a: its F4 items end inside a byte"},
        {"{" ENTRY("a", "F4", "[4]", "[0,2]") "}", 2, ""},
        {"{" ENTRY("a", "U8", "[2]", "[0,2,3]") "}", 2,
         ": tensor a: data_offsets are not [begin, end]"},
        {"{" ENTRY("a", "U8", "[2]", "[2,0]") "}", 2,
         ": tensor a: data_offsets are not [begin, end]"},
        {"{" ENTRY("a", "U8", "[2]", "[-1,1]") "}", 2,
         ": tensor a: data_offsets are not [begin, end]"},
        {"{" ENTRY("a", "U8", "[2]", "[0,3]") "}", 2,
         ": tensor a ends at byte 3 of a payload of 2 (is the file cut?)"},
        {"{" ENTRY("a", "U8", "[3]", "[0,2]") "}", 2,
         ": tensor a: shape and dtype U8 make 3 bytes, its offsets 2"},
        {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[1,3]") "}", 3,
         ": tensor b overlaps the one before it"},
        {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[0,2]") "}", 2,
         ": tensor b overlaps the one before it"},
        {"{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[3,5]") "}", 5,
         ": tensor b leaves a gap before it"},
        {"{" ENTRY("a", "U8", "[2]", "[1,3]") "}", 3, ": tensor a leaves a gap before it"},
        {"{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("a", "U8", "[1]", "[1,2]") "}", 2, "dup"},
        {"{\"__metadata__\":{\"a\":1}}", 0, ": __metadata__: the value of a is not a string"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, ": __metadata__ occurs twice"},
        {"{\"__metadata__\":[]}", 0, ": __metadata__ is not an object"},
        {"{\"a\\u0000b\":1}", 0,
         ", line 1, column 10: the escape \\u0000, which this program does not accept"},
        {"{\"a\":}", 0, ", line 1, column 6: no JSON value"},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        const char *text = verdict(rows[i].header, rows[i].n);
        if (strcmp(rows[i].sentence, "dup") == 0) {
            assert_non_null(strstr(text, ": tensor a is a duplicate of one in "));
        } else {
            assert_string_equal(text, rows[i].sentence);
        }
    }
    folder_clear();
}

static void test_lengths(void **state)
{
    static const struct {
        uint64_t length;
        const char *sentence;
    } rows[] = {
        {3, "a header of 3 bytes in a file of 10"},
        {UINT64_MAX, "a header of 18446744073709551615 bytes, more than 100000000"},
        {UINT64_MAX - 7, "bytes, more than 100000000"},
        {100000001, "a header of 100000001 bytes, more than 100000000"},
        {100000000, "a header of 100000000 bytes in a file of 10"},
        {0, "the header does not begin with {"},
    };
    char data[10] = "........{}";
    zoo_tensors *set;
    zoo_error err;
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        memcpy(data, &rows[i].length, 8);
        file_write("model.safetensors", data, 10);
        assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_FORMAT);
        assert_non_null(strstr(err.text, rows[i].sentence));
    }
    for (size_t n = 0; n < 8; n++) {
        file_write("model.safetensors", data, n);
        assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_FORMAT);
        assert_non_null(strstr(err.text, "shorter than 8 bytes"));
    }
    assert_int_equal(zoo_tensors_open_file("/dev/null", &set, &err), ZOO_E_FORMAT);
    assert_int_equal(zoo_tensors_open_file(in_folder("absent"), &set, &err), ZOO_E_IO);
    folder_clear();
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_IO);
    assert_non_null(strstr(err.text, "holds no model.safetensors"));
    assert_int_equal(zoo_tensors_open("/nonexistent", &set, &err), ZOO_E_IO);
}

static void test_unread_dtype(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    float out[4];
    (void)state;
    tensors_write("m.safetensors", "{" ENTRY("a", "F6_E2M3", "[4]", "[0,3]") "}", 3);
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    const zoo_tensor *a = zoo_tensors_find(set, "a");
    assert_int_equal(a->dtype, ZOO_DTYPE_MAX);
    assert_int_equal(zoo_tensor_widen(a, 0, 4, out, &err), ZOO_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "tensor a has dtype F6_E2M3, which is not read"));
    zoo_tensors_close(set);
    folder_clear();
}

static void index_write(const char *text)
{
    file_write("model.safetensors.index.json", text, strlen(text));
}

static void shards_write(void)
{
    tensors_write("model-00001-of-00002.safetensors",
                  "{" ENTRY("b", "U8", "[1]", "[1,2]") "," ENTRY("a", "U8", "[1]", "[0,1]") "}", 2);
    tensors_write("model-00002-of-00002.safetensors", "{" ENTRY("c", "U8", "[3]", "[0,3]") "}", 3);
}

static void test_index(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    (void)state;
    shards_write();
    index_write(
        "{\"metadata\":{\"total_size\":5},\"weight_map\":{"
        "\"c\":\"model-00002-of-00002.safetensors\",\"a\":\"model-00001-of-00002.safetensors\","
        "\"b\":\"model-00001-of-00002.safetensors\"}}");
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_n_notes(set), 0);
    assert_int_equal(zoo_tensors_count(set), 3);
    assert_string_equal(zoo_tensors_at(set, 2)->name, "c");
    zoo_tensors_close(set);
    index_write(
        "{\"weight_map\":{\"c\":\"model-00001-of-00002.safetensors\","
        "\"x\":\"model-00002-of-00002.safetensors\",\"y\":\"model-00001-of-00002.safetensors\"}}");
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_n_notes(set), 3);
    assert_non_null(
        strstr(zoo_tensors_note(set, 0), "names 2 tensors that no shard holds, first x"));
    assert_non_null(strstr(zoo_tensors_note(set, 1), "wrong shard for 1 tensors, first c"));
    assert_non_null(strstr(zoo_tensors_note(set, 2), "leaves out 2 tensors"));
    zoo_tensors_close(set);
    tensors_write("x.safetensors", "{" ENTRY("a", "U8", "[3]", "[0,3]") "}", 3);
    index_write(
        "{\"weight_map\":{\"c\":\"model-00001-of-00002.safetensors\",\"a\":\"x.safetensors\"}}");
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_FORMAT);
    assert_non_null(strstr(err.text, "x.safetensors: tensor a is a duplicate of one in "));
    folder_clear();
}

static void test_hostile_index(void **state)
{
    static const struct {
        const char *index, *sentence;
    } rows[] = {
        {"{\"weight_map\":{\"a\":\"../model.safetensors\"}}",
         "tensor a: \"../model.safetensors\" is not the name of a safetensors file in this folder"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "is not the name of a safetensors file"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "is not the name of a safetensors file"},
        {"{\"weight_map\":{\"a\":\"a\\\\b.safetensors\"}}",
         "is not the name of a safetensors file"},
        {"{\"weight_map\":{\"a\":7}}", "\"\" is not the name of a safetensors file"},
        {"{\"weight_map\":{\"a\":\"pytorch_model.bin\"}}", "is not the name of a safetensors file"},
        {"{\"weight_map\":{\"a\":\"absent.safetensors\"}}",
         "model.safetensors.index.json names the shard absent.safetensors, which is missing"},
        {"{\"weight_map\":{}}", "its weight_map names 0 files"},
        {"{\"weight_map\":[]}", "no object weight_map"},
        {"[]", "no object weight_map"},
        {"{", "line 1, column 2: no quoted key where one should be"},
    };
    zoo_tensors *set;
    (void)state;
    shards_write();
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_error err = {0};
        index_write(rows[i].index);
        assert_true(zoo_tensors_open(folder, &set, &err) < 0);
        assert_null(set);
        if (!strstr(err.text, rows[i].sentence)) {
            fail_msg("row %zu: %s", i, err.text);
        }
    }
    folder_clear();
}

static void test_series(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    (void)state;
    shards_write();
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_count(set), 3);
    zoo_tensors_close(set);
    tensors_write("other.safetensors", "{}", 0);
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_FORMAT);
    assert_non_null(
        strstr(err.text, "holds 3 safetensors files (model-00001-of-00002.safetensors, "));
    assert_int_equal(unlink(in_folder("other.safetensors")), 0);
    assert_int_equal(unlink(in_folder("model-00001-of-00002.safetensors")), 0);
    tensors_write("model-00003-of-00002.safetensors", "{}", 0);
    assert_int_equal(zoo_tensors_open(folder, &set, &err), ZOO_E_FORMAT);
    folder_clear();
}

static void test_write(void **state)
{
    static const float values[] = {1, -2.5f, 3e-39f, 4, 5, 6};
    static const uint16_t halves[] = {0x3f80, 0x4000};
    zoo_tensor list[] = {
        {.name = "0/model.layers.0", .dtype = ZOO_F32, .n_dims = 2, .dims = {2, 3}, .data = values},
        {.name = "a \"quoted\"\xc3\xa9\n", .dtype = ZOO_F32, .data = values + 1},
        {.name = "none", .dtype = ZOO_F32, .n_dims = 1, .dims = {0}, .data = NULL},
        {.name = "half", .dtype = ZOO_BF16, .n_dims = 1, .dims = {2}, .data = halves},
    };
    float out[6];
    zoo_tensors *set;
    zoo_error err;
    (void)state;
    const char *path = in_folder("trace.safetensors");
    assert_int_equal(zoo_tensors_write(path, list, ZOO_COUNT(list), &err), ZOO_OK);
    assert_int_equal(zoo_tensors_open_file(path, &set, &err), ZOO_OK);
    assert_int_equal(zoo_tensors_count(set), 4);
    const zoo_tensor *t = zoo_tensors_find(set, "0/model.layers.0");
    assert_int_equal((uintptr_t)t->data % 8, 0);
    assert_int_equal(zoo_tensor_widen(t, 0, 6, out, &err), ZOO_OK);
    assert_memory_equal(out, values, sizeof values);
    t = zoo_tensors_find(set, list[1].name);
    assert_int_equal(t->n_dims, 0);
    assert_int_equal(zoo_tensor_widen(t, 0, 1, out, &err), ZOO_OK);
    assert_true(out[0] == -2.5f);
    zoo_tensors_close(set);
    assert_int_equal(zoo_tensors_write(path, list, 0, &err), ZOO_OK);
    list[1].name = list[0].name;
    assert_int_equal(zoo_tensors_write(path, list, 2, &err), ZOO_E_USAGE);
    assert_non_null(strstr(err.text, "two tensors are named 0/model.layers.0"));
    assert_int_equal(zoo_tensors_write("/nonexistent/x", list, 1, &err), ZOO_E_IO);
    list[0].dims[0] = UINT64_MAX;
    assert_int_equal(zoo_tensors_write(path, list, 1, &err), ZOO_E_USAGE);
    folder_clear(); /* and no temporary file is left */
}

static void test_no_memory(void **state)
{
    zoo_tensor one = {.name = "z", .dtype = ZOO_U8, .n_dims = 1, .dims = {1}, .data = "1"};
    zoo_status status;
    zoo_tensors *set;
    (void)state;
    shards_write();
    index_write("{\"weight_map\":{\"c\":\"model-00001-of-00002.safetensors\","
                "\"x\":\"model-00002-of-00002.safetensors\"}}");
    for (int with_index = 1; with_index >= 0; with_index--) {
        int n_failed = 0;
        do {
            zoo_error err = {0};
            zoo_mem_fail_at(n_failed + 1);
            status = zoo_tensors_open(folder, &set, &err);
            assert_int_equal(status == ZOO_E_MEMORY, err.text[0] != 0);
            n_failed += status == ZOO_E_MEMORY;
        } while (status == ZOO_E_MEMORY);
        zoo_mem_fail_at(0);
        assert_int_equal(status, ZOO_OK);
        assert_true(n_failed > 30);
        zoo_tensors_close(set);
        (void)unlink(in_folder("model.safetensors.index.json"));
    }
    int n_failed = 0;
    do {
        zoo_mem_fail_at(n_failed + 1);
        status = zoo_tensors_write(in_folder("z.safetensors"), &one, 1, NULL);
        n_failed += status == ZOO_E_MEMORY;
    } while (status == ZOO_E_MEMORY);
    zoo_mem_fail_at(0);
    assert_int_equal(status, ZOO_OK);
    assert_true(n_failed > 8);
    folder_clear();
}

/* Every case of the parity folder opens: weights and reference. */
static void test_parity_cases(void **state)
{
    char path[4096], file[8192];
    const struct dirent *entry;
    int n_cases = 0;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/parity", test_reference());
    DIR *dir = opendir(path);
    if (!dir) {
        skip();
    }
    while ((entry = readdir(dir))) {
        zoo_tensors *set;
        zoo_error err;
        (void)snprintf(file, sizeof file, "%s/%s/reference.safetensors", path, entry->d_name);
        if (access(file, R_OK) != 0) {
            continue;
        }
        assert_int_equal(zoo_tensors_open_file(file, &set, &err), ZOO_OK);
        assert_non_null(zoo_tensors_find(set, "0/logits"));
        zoo_tensors_close(set);
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        assert_int_equal(zoo_tensors_open(file, &set, &err), ZOO_OK);
        assert_int_equal(zoo_tensors_n_notes(set), 0);
        assert_true(zoo_tensors_count(set) > 0);
        zoo_tensors_close(set);
        n_cases++;
    }
    closedir(dir);
    assert_true(n_cases >= 237);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_file),      cmocka_unit_test(test_many_shards),
        cmocka_unit_test(test_hostile_headers), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_unread_dtype),    cmocka_unit_test(test_index),
        cmocka_unit_test(test_hostile_index),   cmocka_unit_test(test_series),
        cmocka_unit_test(test_write),           cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_parity_cases),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
