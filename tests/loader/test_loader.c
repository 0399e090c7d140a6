/* test_loader.c: each deliberately bad plugin is refused with a sentence that names the file
 * and the mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/plugin_loader.h"

static const struct {
    const char *mistake, *words;
} cases[] = {
    {"magic", "no plugin magic"},
    {"abi_major", "abi_major is 41, this host has 5"},
    {"abi_minor", "abi_minor is 1, this host has 0"},
    {"size_bind", "size_bind is"},
    {"size_attend_args", "size_attend_args is"},
    {"panel", "panel is 8, this host has 16"},
    {"short_descriptor", "descriptor of 100 bytes"},
    {"no_name", "lacks name"},
    {"no_configure", "has no configure"},
    {"needs", "needs \"zoo.telepathy/1\""},
    {"no_forward", "has no forward"},
    {"no_block_name", "has no name"},
    {"short_ops", "table of 16 bytes"},
    {"bind_outside", "lies outside its weights struct"},
    {"bind_kind", "is not one this host knows"},
    {"key_rule", "has no rule"},
    {"endless_list", "is not null-terminated"},
    {"cache_name", "name is not of lower-case letters"},
    {"cache_of_host", "cache kind int8 has the name of a host's kind"},
    {"cache_form", "no form or narrowness"},
    {"cache_no_read", "cache kind bad-rows has no read"},
    {"cache_no_vectors", "cache kind bad-rows has no test vectors"},
    {"no_symbol", "exports no zoo_plugin_entry"},
};

static void bad_plugins_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        const zoo_plugin *plugin = NULL;
        zoo_error error = {0};
        char path[512];
        (void)snprintf(path, sizeof path, "%s/tests/loader/%s.so", LMZOO_BUILD_DIR,
                       cases[i].mistake);
        assert_int_equal(zoo_plugin_load(path, &plugin, &error), ZOO_E_PLUGIN);
        assert_null(plugin);
        if (!strstr(error.text, cases[i].words) || !strstr(error.text, cases[i].mistake)) {
            fail_msg("%s: the sentence is \"%s\"", cases[i].mistake, error.text);
        }
    }
}

static void a_right_plugin_is_taken(void **state)
{
    (void)state;
    const zoo_plugin *plugin = NULL;
    zoo_error error = {0};
    assert_int_equal(zoo_plugin_load(LMZOO_BUILD_DIR "/tests/loader/none.so", &plugin, &error),
                     ZOO_OK);
    assert_string_equal(plugin->name, "bad");
}

static void files_that_are_no_plugins(void **state)
{
    (void)state;
    const zoo_plugin *plugin = NULL;
    zoo_error error = {0};
    assert_int_equal(zoo_plugin_load(LMZOO_BUILD_DIR "/tests/loader/absent.so", &plugin, &error),
                     ZOO_E_PLUGIN);
    assert_non_null(strstr(error.text, "absent.so"));
    assert_int_equal(zoo_plugin_load(LMZOO_SOURCE_DIR "/CMakeLists.txt", &plugin, &error),
                     ZOO_E_PLUGIN);
    assert_non_null(strstr(error.text, "CMakeLists.txt"));
    assert_int_equal(zoo_plugin_load_named("x", "../y", &plugin, &error), ZOO_E_PLUGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_plugins_are_refused),
        cmocka_unit_test(a_right_plugin_is_taken),
        cmocka_unit_test(files_that_are_no_plugins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
