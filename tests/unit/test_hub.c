/* test_hub.c: folders and repositories of a made-up cache, names that must not lead out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "checkpoint/hub.h"
#include "reference.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER  "89abcdef0123456789abcdef0123456701234567"

static char root[512];

static const char *in_root(const char *name)
{
    static char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void folder_make(const char *name)
{
    assert_int_equal(mkdir(in_root(name), 0777), 0);
}

static void file_make(const char *name, const char *text)
{
    FILE *f = fopen(in_root(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    static const char *const folders[] = {
        "plain",
        "empty",
        "hub",
        "hub/models--org--name",
        "hub/models--org--name/refs",
        "hub/models--org--name/refs/pr",
        "hub/models--org--name/snapshots",
        "hub/models--org--name/snapshots/" COMMIT,
        "hub/models--org--name/snapshots/" OTHER,
        "hub/models--solo",
        "hub/models--solo/refs",
        "home",
        "home/.cache",
        "home/.cache/huggingface",
        "home/.cache/huggingface/hub",
    };
    (void)state;
    test_temp(root, sizeof root, "zoo-hub-XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    for (size_t i = 0; i < ZOO_COUNT(folders); i++) {
        folder_make(folders[i]);
    }
    file_make("plain/config.json", "{}");
    file_make("hub/models--org--name/refs/main", COMMIT "\n");
    file_make("hub/models--org--name/refs/pr/7", OTHER);
    file_make("hub/models--org--name/refs/bad", "../../../plain");
    file_make("hub/models--org--name/blob", "{}");
    return symlink("../../blob", in_root("hub/models--org--name/snapshots/" COMMIT "/config.json"));
}

static int teardown(void **state)
{
    char command[1024];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void environment(const char *cache, const char *home, const char *xdg, const char *user)
{
    assert_int_equal(setenv("HF_HUB_CACHE", cache, 1), 0);
    assert_int_equal(setenv("HF_HOME", home, 1), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", xdg, 1), 0);
    assert_int_equal(setenv("HOME", user, 1), 0);
}

static void found(const char *model, const char *wanted)
{
    char path[2048];
    zoo_error err;
    if (zoo_model_folder(model, path, sizeof path, &err) != ZOO_OK) {
        fail_msg("%s: %s", model, err.text);
    }
    assert_string_equal(path, in_root(wanted));
}

static void refused(const char *model, zoo_status status, const char *sentence)
{
    char path[2048];
    zoo_error err;
    assert_int_equal(zoo_model_folder(model, path, sizeof path, &err), status);
    if (!strstr(err.text, sentence)) {
        fail_msg("%s: \"%s\" lacks \"%s\"", model, err.text, sentence);
    }
}

static void test_folders(void **state)
{
    char model[600], path[4];
    zoo_error err;
    (void)state;
    environment(in_root("hub"), "", "", "");
    (void)snprintf(model, sizeof model, "%s/plain", root);
    found(model, "plain");
    assert_int_equal(zoo_model_folder(model, path, sizeof path, &err), ZOO_E_LIMIT);
    (void)snprintf(model, sizeof model, "%s/empty", root);
    refused(model, ZOO_E_IO, "/empty: holds no config.json");
    refused("/nonexistent/x/y", ZOO_E_IO, "no such folder, and not a repository name");
}

static void test_repositories(void **state)
{
    (void)state;
    environment(in_root("hub"), "/nonexistent", "/nonexistent", "/nonexistent");
    found("org/name", "hub/models--org--name/snapshots/" COMMIT);
    found("org/name@main", "hub/models--org--name/snapshots/" COMMIT);
    found("org/name@" COMMIT, "hub/models--org--name/snapshots/" COMMIT);
    refused("org/name@pr/7", ZOO_E_IO, OTHER ": holds no config.json");
    refused("org/name@" OTHER, ZOO_E_IO, OTHER ": holds no config.json");
    refused("org/name@v2", ZOO_E_IO, "no reference v2 in the Hub's cache");
    refused("org/name@bad", ZOO_E_FORMAT, "refs/bad: holds no commit");
    refused("solo", ZOO_E_IO, "models--solo: no reference main");
    refused("org/none", ZOO_E_IO, "org/none: no such folder, and not in the Hub's cache");
    refused("Org/name", ZOO_E_IO, "not in the Hub's cache");
}

static void test_places(void **state)
{
    char hub[600], home[600], cache[600];
    (void)state;
    (void)snprintf(home, sizeof home, "%s/home", root);
    (void)snprintf(cache, sizeof cache, "%s/home/.cache", root);
    (void)snprintf(hub, sizeof hub, "%s", root);
    environment("", hub, "/nonexistent", "/nonexistent");
    found("org/name", "hub/models--org--name/snapshots/" COMMIT);
    environment("", "", cache, "/nonexistent");
    refused("org/name", ZOO_E_IO, "/home/.cache/huggingface/hub");
    environment("", "", "", home);
    refused("org/name", ZOO_E_IO, "/home/.cache/huggingface/hub");
    environment("", "", "", "");
    refused("org/name", ZOO_E_IO, "the location of the Hub's cache is not known");
}

static void test_hostile_names(void **state)
{
    static const char *const names[] = {
        "",
        "/",
        "..",
        "../plain",
        "org/../plain",
        "org/name/x",
        "org//name",
        "/org/name",
        "org/",
        "org\\name",
        "org/na me",
        "org/name@",
        "org/name@../../../plain",
        "org/name@/x",
        "org/name@a//b",
        "org/.hidden",
        "org/name@a/../b",
        "\xc3\xa9/name",
    };
    (void)state;
    environment(in_root("hub"), "", "", "");
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        if (strcmp(names[i], "/") == 0 || strcmp(names[i], "..") == 0) {
            refused(names[i], ZOO_E_IO, "holds no config.json");
        } else {
            refused(names[i], ZOO_E_IO, "no such folder, and not a repository name");
        }
    }
}

static void test_no_memory(void **state)
{
    char path[2048];
    (void)state;
    environment(in_root("hub"), "", "", "");
    zoo_mem_fail_at(1);
    assert_int_equal(zoo_model_folder("org/name", path, sizeof path, NULL), ZOO_E_MEMORY);
    zoo_mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),   cmocka_unit_test(test_repositories),
        cmocka_unit_test(test_places),    cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
