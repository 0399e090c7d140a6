/* test_table.c: items read from the file equal those of the map; rows of a large table, whose map
 * must stay untouched; a truncated file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/embedding_table.h"
#include "checkpoint/safetensors.h"
#include "reference.h"

enum { ITEMS = 5000, ROWS = 4096, COLS = 1280 }; /* of the large table: 10 MiB of bf16 */

static char path[512];

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(test_temp(path, sizeof path, "zoo-table-XXXXXX"));
    return fd >= 0 ? close(fd) : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* Writes one byte and then "t" of these dims, so that t lies at an odd address; opens the file. */
static const zoo_tensor *one_tensor(zoo_dtype dtype, uint64_t rows, uint64_t cols,
                                    zoo_tensors **set)
{
    zoo_error err;
    size_t n = rows * cols * zoo_dtype_size(dtype);
    unsigned char *bytes = malloc(n);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)((i * 2654435761u) >> 24);
    }
    const zoo_tensor list[] = {
        {.name = "first", .dtype = ZOO_U8, .n_dims = 1, .dims = {1}, .data = bytes},
        {.name = "t", .dtype = dtype, .n_dims = 2, .dims = {rows, cols}, .data = bytes}};
    assert_int_equal(zoo_tensors_write(path, list, 2, &err), ZOO_OK);
    free(bytes);
    assert_int_equal(zoo_tensors_open_file(path, set, &err), ZOO_OK);
    return zoo_tensors_find(*set, "t");
}

static void same_range(const zoo_tensor *t, uint64_t begin, size_t n)
{
    static float read[ITEMS], widened[ITEMS];
    zoo_error err;
    assert_int_equal(zoo_tensor_read(t, begin, n, read, &err), ZOO_OK);
    assert_int_equal(zoo_tensor_widen(t, begin, n, widened, &err), ZOO_OK);
    assert_memory_equal(read, widened, n * sizeof *read);
}

static void read_is_widen(void **state)
{
    static const zoo_dtype dtypes[] = {ZOO_F32, ZOO_F16,     ZOO_BF16,    ZOO_F64,  ZOO_I8,
                                       ZOO_I64, ZOO_F8_E4M3, ZOO_F8_E5M2, ZOO_BOOL, ZOO_U16};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(dtypes); i++) {
        zoo_tensors *set;
        const zoo_tensor *t = one_tensor(dtypes[i], 1, ITEMS, &set);
        same_range(t, 0, ITEMS);
        same_range(t, 1, ITEMS - 1);
        same_range(t, 511, 514);
        same_range(t, ITEMS - 1, 1);
        same_range(t, ITEMS, 0);
        zoo_tensors_close(set);
    }
}

static void outside_and_cut(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    static float out[ITEMS];
    const zoo_tensor *t = one_tensor(ZOO_F32, 1, ITEMS, &set);
    (void)state;
    assert_int_equal(zoo_tensor_read(t, 1, ITEMS, out, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_tensor_read(t, UINT64_MAX, 2, out, &err), ZOO_E_USAGE);
    assert_int_equal(truncate(path, (off_t)(t->at + t->n_bytes - 1)), 0);
    assert_int_equal(zoo_tensor_read(t, 0, ITEMS - 1, out, &err), ZOO_OK);
    assert_int_equal(zoo_tensor_read(t, 0, ITEMS, out, &err), ZOO_E_IO);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "ends inside tensor t"));
    zoo_tensors_close(set);
}

/* KiB of files that are resident in this process; -1 where the system does not tell. */
static long resident_files(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "RssFile:", 8) == 0) {
            kib = strtol(line + 8, NULL, 10);
        }
    }
    if (f) {
        (void)fclose(f);
    }
    return kib;
}

static void large_table(void **state)
{
    zoo_tensors *set;
    zoo_error err;
    static float row[COLS], wanted[COLS];
    const zoo_tensor *t = one_tensor(ZOO_BF16, ROWS, COLS, &set);
    zoo_table_source source = {.is_large = false};
    (void)state;
    assert_int_equal(zoo_matrix_find(set, NULL, "t", &source.matrix, &err), ZOO_OK);
    zoo_table table = zoo_table_make(&source);
    assert_true(source.is_large);
    table.read(&table, 0, row);
    long before = resident_files();
    for (uint32_t i = 0; i < ROWS; i += 3) {
        table.read(&table, i, row);
    }
    assert_true(resident_files() - before < 1024);
    for (uint32_t i = 0; i < ROWS; i += 5) {
        table.read(&table, i, row);
        assert_int_equal(zoo_tensor_widen(t, (uint64_t)i * COLS, COLS, wanted, &err), ZOO_OK);
        assert_memory_equal(row, wanted, sizeof row);
    }
    zoo_tensors_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_is_widen),
        cmocka_unit_test(outside_and_cut),
        cmocka_unit_test(large_table),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
