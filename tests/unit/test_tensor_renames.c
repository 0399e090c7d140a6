/* test_tensor_renames.c: second names by patterns and prefixes, joined rows, malformed files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/matrix.h"
#include "config/tensor_renames.h"
#include "reference.h"

static char root[512];

static void file_make(const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/names/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    char path[1024];
    (void)state;
    assert_non_null(mkdtemp(test_temp(root, sizeof root, "zoo-renames-XXXXXX")));
    (void)snprintf(path, sizeof path, "%s/names", root);
    return mkdir(path, 0777);
}

static zoo_tensors *set_of(const char *const *names, size_t n)
{
    static const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    zoo_tensor list[16] = {{0}};
    char path[1024];
    zoo_tensors *set = NULL;
    for (size_t i = 0; i < n; i++) {
        list[i] = (zoo_tensor){.name = names[i], .dtype = ZOO_F32, .n_dims = 2, .dims = {2, 4}};
        list[i].data = values;
    }
    (void)snprintf(path, sizeof path, "%s/model.safetensors", root);
    assert_int_equal(zoo_tensors_write(path, list, n, NULL), ZOO_OK);
    assert_int_equal(zoo_tensors_open_file(path, &set, NULL), ZOO_OK);
    return set;
}

static zoo_status apply(zoo_tensors *set, const char *type, zoo_error *err)
{
    const char *const dirs[] = {"/nowhere", root, NULL};
    const char *const types[] = {"", "../names/a", "absent", type};
    return zoo_tensor_renames_apply(dirs, types, ZOO_COUNT(types), set, err);
}

static const char *stored(const zoo_tensors *set, const char *name)
{
    const zoo_tensor *t = zoo_tensors_find(set, name);
    return t ? t->name : "";
}

static void test_chain(void **state)
{
    static const char *const names[] = {"layers.3.attn.wq.weight", "layers.3.attn.wq.scale",
                                        "vit.layers.3.attn.wq.weight", "lm.norm.weight",
                                        "model.norm.weight"};
    (void)state;
    file_make("a.json", "{\"renames\": [[\"\\\\.attn\\\\.\", \".self_attn.\"],"
                        "[\"^layers\\\\.(\\\\d+)\\\\.\", \"model.layers.${1}.\"],"
                        "[\"\\\\.wq\\\\.\", \".q_proj.\", [\"model.\"]],"
                        "[\"^norm\\\\.\", \"model.norm.\", [\"lm.\", \"\"]],"
                        "[\"^lm\\\\.\", \"\"]]}");
    zoo_tensors *set = set_of(names, ZOO_COUNT(names));
    assert_int_equal(apply(set, "a", NULL), ZOO_OK);
    assert_string_equal(stored(set, "model.layers.3.self_attn.q_proj.weight"), names[0]);
    assert_string_equal(stored(set, "model.layers.3.self_attn.q_proj.scale"), names[1]);
    assert_string_equal(stored(set, names[0]), names[0]);
    assert_string_equal(stored(set, "vit.layers.3.self_attn.wq.weight"), names[2]);
    assert_string_equal(stored(set, "vit.layers.3.self_attn.q_proj.weight"), "");
    /* a tensor that is really called so keeps its name */
    assert_string_equal(stored(set, "model.norm.weight"), names[4]);
    zoo_tensors_close(set);
}

static void test_joined(void **state)
{
    static const char *const names[] = {"a.q.weight", "a.k.weight"};
    float rows[16];
    zoo_matrix m;
    (void)state;
    file_make("b.json", "{\"renames\": [[\"a\\\\.q\\\\.weight\", \"a.qk.weight@0\"],"
                        "[\"a\\\\.k\\\\.weight\", \"a.qk.weight@1\"]]}");
    zoo_tensors *set = set_of(names, ZOO_COUNT(names));
    assert_int_equal(apply(set, "b", NULL), ZOO_OK);
    assert_int_equal(zoo_matrix_find(set, NULL, "a.qk.weight", &m, NULL), ZOO_OK);
    assert_true(m.found && m.rows == 4 && m.cols == 4 && m.n_parts == 2);
    assert_int_equal(zoo_matrix_read_rows(&m, 1, 3, rows), ZOO_OK);
    assert_true(rows[0] == 5 && rows[4] == 1 && rows[8] == 5);
    zoo_tensors_close(set);
}

/* More parts than a matrix lists, in the order of their numbers. */
static void test_many_parts(void **state)
{
    static const char *const names[] = {"a.p0.weight", "a.p1.weight", "a.p2.weight", "a.p3.weight",
                                        "a.p4.weight", "a.p5.weight", "a.p6.weight", "a.p7.weight",
                                        "a.p8.weight", "a.p9.weight", "a.p10.weight"};
    const uint32_t n = ZOO_COUNT(names);
    float rows[8];
    zoo_matrix m;
    uint64_t at = 0;
    (void)state;
    file_make("b.json", "{\"renames\": [[\"a\\\\.p(\\\\d+)\\\\.weight\", \"a.all.weight@${1}\"]]}");
    zoo_tensors *set = set_of(names, n);
    assert_int_equal(apply(set, "b", NULL), ZOO_OK);
    assert_int_equal(zoo_matrix_find(set, NULL, "a.all.weight", &m, NULL), ZOO_OK);
    assert_true(m.found && m.rows == 2 * n && m.cols == 4 && m.n_parts == ZOO_MATRIX_PARTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        assert_string_equal(zoo_matrix_part_at(&m, i)->name, names[i]);
        assert_string_equal(zoo_matrix_plain_row(&m, 2 * i + 1, &at)->name, names[i]);
        assert_int_equal(at, 1);
    }
    assert_null(zoo_matrix_part_at(&m, n));
    assert_int_equal(zoo_matrix_read_rows(&m, 2 * n - 2, 2, rows), ZOO_OK);
    assert_true(rows[0] == 1 && rows[4] == 5);
    zoo_tensors_close(set);
}

/* A class that counts a list from another layer on, and parts of a packed stack. */
static void test_offset(void **state)
{
    static const char *const names[] = {"res.queries.0",  "res.queries.9", "res.output",
                                        "mlp.w13_packed", "mlp.w13_scale", "mlp.w2_scale"};
    (void)state;
    file_make("d.json", "{\"renames\": [[\"res\\\\.queries\\\\.(\\\\d+)\", "
                        "\"layers.${1}.query\", [], 1], [\"^res\\\\.\", \"end.\"], "
                        "[\"w13(?!\\\\w)\", \"gate_up\"], [\"w2(?!\\\\w)\", \"down\"]]}");
    zoo_tensors *set = set_of(names, ZOO_COUNT(names));
    assert_int_equal(apply(set, "d", NULL), ZOO_OK);
    assert_string_equal(stored(set, "layers.1.query"), names[0]);
    assert_string_equal(stored(set, "layers.10.query"), names[1]);
    assert_string_equal(stored(set, "end.output"), names[2]);
    assert_string_equal(stored(set, "layers.0.query"), "");
    assert_string_equal(stored(set, "mlp.gate_up_packed"), names[3]);
    assert_string_equal(stored(set, "mlp.gate_up_scale"), names[4]);
    assert_string_equal(stored(set, "mlp.down_scale"), ""); /* of no packed stack */
    zoo_tensors_close(set);
}

static void test_malformed(void **state)
{
    static const char *const names[] = {"a.weight"};
    static const char *const rows[][2] = {
        {"{}", "there is no list \"renames\""},
        {"{\"renames\": [[1, \"b\"]]}", "a rename should be"},
        {"{\"renames\": [[\"a\"]]}", "a rename should be"},
        {"{\"renames\": [[\"a\", \"b\", 3]]}", "a rename should be"},
        {"{\"renames\": [[\"a\", \"b\", [], -1]]}", "a rename should be"},
        {"{\"renames\": [[\"a(\", \"b\"]]}", "the pattern a( is wrong at byte"},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_error err = {0};
        zoo_tensors *set = set_of(names, 1);
        file_make("c.json", rows[i][0]);
        assert_int_equal(apply(set, "c", &err), ZOO_E_FORMAT);
        assert_non_null(strstr(err.text, rows[i][1]));
        assert_non_null(strstr(err.text, "c.json"));
        zoo_tensors_close(set);
    }
    zoo_tensors *set = set_of(names, 1);
    assert_int_equal(apply(set, "none", NULL), ZOO_OK);
    zoo_tensors_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain), cmocka_unit_test(test_joined),
                                       cmocka_unit_test(test_many_parts),
                                       cmocka_unit_test(test_offset),
                                       cmocka_unit_test(test_malformed)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
