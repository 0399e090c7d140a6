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
#include <string.h>

#include <cmocka.h>

#include "config/card.h"
#include "config/card_options.h"

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
        assert_int_equal(zoo_card_option_check("card.json", options->child, &err), ZOO_E_FORMAT);
        char wanted[80];
        (void)snprintf(wanted, sizeof wanted, "did you mean \"%s\"?", wrong[i].nearest);
        if (!strstr(err.text, wanted) || !strstr(err.text, "card.json")) {
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
    if (zoo_cards_read(LMZOO_SOURCE_DIR "/models.d", &cards, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(cards.n_cards > 100);
    zoo_cards_free(&cards);
}

static void names_are_those_of_the_sources(void **state)
{
    char line[80];
    uint32_t n = 0, n_table = 0;
    (void)state;
    FILE *found = popen("cd " LMZOO_SOURCE_DIR " && grep -rhoE '\"@[a-z0-9_]+\"' sdk plugins "
                        "--include=*.c --include=*.h | tr -d '\"@' | sort -u",
                        "r");
    assert_non_null(found);
    while (fgets(line, sizeof line, found)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "card") == 0) {
            continue;
        }
        bool known = false;
        for (const zoo_card_option *o = zoo_card_options; o->name; o++) {
            known = known || strcmp(o->name, line) == 0;
        }
        if (!known) {
            fail_msg("\"@%s\" is read and stands in no table", line);
        }
        n++;
    }
    assert_int_equal(pclose(found), 0);
    for (const zoo_card_option *o = zoo_card_options; o->name; o++) {
        n_table++;
    }
    assert_int_equal(n_table, n + 1); /* prefix_nested is the host's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misspellings_are_refused),
        cmocka_unit_test(all_cards_pass),
        cmocka_unit_test(names_are_those_of_the_sources),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
