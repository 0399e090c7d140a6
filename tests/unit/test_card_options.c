/*
 * test_card_options.c: a misspelt option of a card, or a word outside its list, is refused with the
 * nearest right one; the table of options is that of the sources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/card.h"
#include "config/card_options.h"

static cJSON *options_list;

static int read_list(void **state)
{
    (void)state;
    return zoo_card_options_read(LMZOO_SOURCE_DIR "/models.d", &options_list, NULL) != ZOO_OK ||
           !options_list;
}

static int free_list(void **state)
{
    (void)state;
    cJSON_Delete(options_list);
    return 0;
}

static void misspellings_are_refused(void **state)
{
    static const struct {
        const char *name, *value, *nearest;
    } wrong[] = {
        {"rotat", "\"none\"", "rotate"},         {"qk_norm", "\"haed\"", "head"},
        {"qkv_bais", "true", "qkv_bias"},        {"norm", "\"rms_plusone\"", "rms_plus_one"},
        {"placment", "\"post\"", "placement"},   {"sliding", "\"patern\"", "pattern"},
        {"interleaveed", "true", "interleaved"}, {"score", "\"sigmod\"", "sigmoid"},
        {"sparce", "\"all\"", "sparse"},         {"logits", "\"multipy\"", "multiply"},
        {"layer_lsit", "\"a\"", "layer_list"},   {"embed_scal", "\"sqrt\"", "embed_scale"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        zoo_error err = {0};
        cJSON *options = cJSON_CreateObject();
        cJSON_AddItemToObject(options, wrong[i].name, cJSON_Parse(wrong[i].value));
        assert_int_equal(
            zoo_card_option_check(options_list, "card.json", NULL, options->child, &err),
            ZOO_E_FORMAT);
        char wanted[80];
        (void)snprintf(wanted, sizeof wanted, "did you mean \"%s\"?", wrong[i].nearest);
        if (!strstr(err.text, wanted) || !strstr(err.text, "card.json")) {
            fail_msg("%s: %s", wrong[i].name, err.text);
        }
        cJSON_Delete(options);
    }
}

/* A word of another plugin, and a value of another kind. */
static void foreign_options_are_refused(void **state)
{
    static const struct {
        const char *plugin, *name, *value, *words;
    } wrong[] = {
        {"llama", "delta_layout", "\"fused\"", "plugin llama does not read option"},
        {"gemma", "rank_scale", "true", "deepseek does"},
        {"llama", "full_at", "\"3\"", "must be a number"},
        {"llama", "qkv_bias", "3", "must be a flag or a key"},
        {"classic", "norms", "\"ln_1\"", "must be a list"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        zoo_error err = {0};
        cJSON *options = cJSON_CreateObject();
        cJSON_AddItemToObject(options, wrong[i].name, cJSON_Parse(wrong[i].value));
        zoo_status status =
            zoo_card_option_check(options_list, "card.json", wrong[i].plugin, options->child, &err);
        assert_int_equal(status, ZOO_E_FORMAT);
        if (!strstr(err.text, wrong[i].words)) {
            fail_msg("%s: %s", wrong[i].name, err.text);
        }
        cJSON_Delete(options);
    }
}

static void all_cards_pass(void **state)
{
    zoo_cards cards;
    zoo_error err = {0};
    (void)state;
    if (zoo_cards_read(LMZOO_SOURCE_DIR "/models.d", &cards, &err) != ZOO_OK ||
        zoo_cards_check(&cards, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(cards.n_cards > 100);
    zoo_cards_free(&cards);
}

/* Whether the table says that the plugin of this folder of sources reads the option. */
static bool table_has(const char *folder, const char *name)
{
    const char *plugin = strncmp(folder, "plugins/", 8) == 0 ? folder + 8 : "shared";
    const cJSON *row = NULL, *reader = NULL;
    cJSON_ArrayForEach(row, options_list)
    {
        if (strcmp(cJSON_GetObjectItem(row, "name")->valuestring, name) != 0) {
            continue;
        }
        cJSON_ArrayForEach(reader, cJSON_GetObjectItem(row, "readers"))
        {
            if (strcmp(reader->valuestring, "shared") == 0 ||
                strcmp(reader->valuestring, plugin) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void names_are_those_of_the_sources(void **state)
{
    char line[200];
    uint32_t n = 0, n_table = 0;
    (void)state;
    FILE *found = popen("cd " LMZOO_SOURCE_DIR " && grep -roE '\"@[a-z0-9_]+[\"[]' sdk plugins "
                        "--include=*.c --include=*.h | "
                        "sed 's/\\/[^\\/]*:\"@/ /; s/[\"[]$//' | sort -u",
                        "r");
    assert_non_null(found);
    while (fgets(line, sizeof line, found)) {
        char *name = strchr(line, ' ');
        assert_non_null(name);
        line[strcspn(line, "\n")] = '\0';
        *name++ = '\0';
        if (strcmp(name, "card") != 0 && !table_has(line, name)) {
            fail_msg("%s reads \"@%s\", which the table does not say", line, name);
        }
        n++;
    }
    assert_int_equal(pclose(found), 0);
    assert_true(n > 100);
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, options_list)
    {
        const char *name = cJSON_GetObjectItem(row, "name")->valuestring;
        char command[300];
        (void)snprintf(command, sizeof command,
                       "cd " LMZOO_SOURCE_DIR " && grep -rq '\"@%s[\"[]' sdk plugins", name);
        if (system(command) != 0 && strcmp(name, "prefix_nested") != 0) {
            fail_msg("nobody reads \"@%s\"", name);
        }
        n_table++;
    }
    assert_true(n_table > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misspellings_are_refused),
        cmocka_unit_test(foreign_options_are_refused),
        cmocka_unit_test(all_cards_pass),
        cmocka_unit_test(names_are_those_of_the_sources),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, read_list, free_list);
}
