/* test_config.c: config.json through cards: lookup order, aliases, nesting, claims, misuse;
 * names of tensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/tensor_names.h"

static char folder[256];

static void write_file(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/zoo_config_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/card.json", folder);
    (void)unlink(path);
    return rmdir(folder);
}

static zoo_model_config *open_config(const char *text, const zoo_card *card)
{
    zoo_model_config *config = NULL;
    zoo_error error = {0};
    write_file("config.json", text);
    zoo_status status = zoo_model_config_open(folder, &config, &error);
    if (status != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    zoo_model_config_use(config, card, NULL, NULL);
    return config;
}

static zoo_card card_of(const char *text)
{
    zoo_card card = {.json = cJSON_Parse(text)};
    assert_non_null(card.json);
    return card;
}

static void lookup_goes_fixed_file_alias_default(void **state)
{
    (void)state;
    zoo_card card = card_of(
        "{\"model_type\": \"t\", \"plugin\": \"p\", \"fixed\": {\"a\": 1}, \"aliases\": {\"b\": "
        "[\"b2\", \"b3\"]}, \"defaults\": {\"c\": 7, \"d\": 8}, \"options\": {\"norm\": "
        "\"layer\"}}");
    zoo_model_config *config = open_config(
        "{\"model_type\": \"t\", \"a\": 5, \"b3\": 6, \"d\": null, \"r\": {\"x\": [1, 2.5]}}",
        &card);
    const zoo_config *view = zoo_model_config_view(config);
    assert_int_equal(view->whole(view, "a", 0), 1);
    assert_int_equal(view->whole(view, "b", 0), 6);
    assert_int_equal(view->whole(view, "c", 0), 7);
    assert_int_equal(view->whole(view, "d", 9), 9);
    assert_int_equal(view->type(view, "d"), ZOO_NULL);
    assert_int_equal(view->type(view, "e"), ZOO_ABSENT);
    assert_true(view->number(view, "r.x[1]", 0) == 2.5);
    assert_int_equal(view->count(view, "r.x"), 2);
    assert_string_equal(view->text(view, "@norm", "rms"), "layer");
    assert_string_equal(view->text(view, "@other", "rms"), "rms");
    assert_int_equal(zoo_model_config_misuse(config, NULL), ZOO_OK);
    zoo_model_config_close(config);
    cJSON_Delete(card.json);
}

static void defaults_hold_for_other_names_but_not_inside_what_is_given(void **state)
{
    (void)state;
    zoo_card card = card_of(
        "{\"model_type\": \"t\", \"plugin\": \"p\", \"aliases\": {\"b\": [\"b2\", \"b3\"]}, "
        "\"defaults\": {\"b3\": 4, \"r\": {\"x\": 5, \"y\": 6}, \"s\": {\"x\": 7}, \"l\": [1, "
        "2]}}");
    zoo_model_config *config =
        open_config("{\"model_type\": \"t\", \"r\": {\"x\": 8}, \"s\": null, \"l\": [3]}", &card);
    const zoo_config *view = zoo_model_config_view(config);
    assert_int_equal(view->whole(view, "b", 0), 4);
    assert_int_equal(view->whole(view, "r.x", 0), 8);
    assert_int_equal(view->type(view, "r.y"), ZOO_ABSENT);
    assert_int_equal(view->whole(view, "s.x", 0), 7);
    assert_int_equal(view->whole(view, "l[0]", 0), 3);
    assert_int_equal(view->type(view, "l[1]"), ZOO_ABSENT);
    zoo_model_config_close(config);
    cJSON_Delete(card.json);
}

static void the_text_part_is_read_and_some_outer_keys(void **state)
{
    (void)state;
    zoo_model_config *config =
        open_config("{\"model_type\": \"wrap\", \"eos_token_id\": [4, 5], \"hidden\": 1, "
                    "\"text_config\": {\"model_type\": \"inner\", \"hidden\": 2}}",
                    NULL);
    const zoo_config *view = zoo_model_config_view(config);
    assert_string_equal(zoo_model_config_type(config), "wrap");
    assert_string_equal(zoo_model_config_text_type(config), "inner");
    assert_true(zoo_model_config_nested(config));
    assert_int_equal(view->whole(view, "hidden", 0), 2);
    assert_int_equal(view->whole(view, "eos_token_id[1]", 0), 5);
    zoo_model_config_close(config);
}

static void misuse_is_remembered(void **state)
{
    (void)state;
    zoo_error error = {0};
    zoo_model_config *config =
        open_config("{\"model_type\": \"t\", \"a\": 1.5, \"b\": \"x\"}", NULL);
    const zoo_config *view = zoo_model_config_view(config);
    assert_int_equal(view->whole(view, "a", 3), 3);
    assert_false(view->flag(view, "b", false));
    assert_int_equal(zoo_model_config_misuse(config, &error), ZOO_E_CONFIG);
    assert_non_null(strstr(error.text, "\"a\" should be a whole number"));
    zoo_model_config_close(config);
}

static const zoo_key keys[] = {{"window", ZOO_KEY_READ, NULL},
                               {"tp", ZOO_KEY_IGNORED, "splits matrices in training"},
                               {"act", ZOO_KEY_IS, "\"silu\"|\"swish\""},
                               {NULL, 0, NULL}};
static const zoo_plugin plugin = {.name = "test", .keys = keys};

static zoo_status judge(const char *text, const char *const *allowed, zoo_error *error)
{
    zoo_model_config *config = open_config(text, NULL);
    const zoo_config *view = zoo_model_config_view(config);
    (void)view->number(view, "read", 0);
    (void)view->number(view, "rope.theta", 0);
    zoo_status status = zoo_model_config_check(config, &plugin, allowed, NULL, NULL, error);
    zoo_model_config_close(config);
    return status;
}

static void unclaimed_keys_are_refused(void **state)
{
    (void)state;
    static const char *const allowed[] = {"odd", NULL};
    zoo_error error = {0};
    assert_int_equal(judge("{\"model_type\": \"t\", \"read\": 1, \"tp\": 2, \"act\": \"swish\", "
                           "\"torch_dtype\": \"x\", "
                           "\"rope\": {\"theta\": 1}, \"nothing\": null}",
                           NULL, &error),
                     ZOO_OK);
    assert_int_equal(judge("{\"model_type\": \"t\", \"odd\": 3}", NULL, &error), ZOO_E_CONFIG);
    assert_non_null(strstr(error.text, "\"odd\" is 3, which plugin test does not know, and no card "
                                       "names model_type \"t\""));
    assert_int_equal(judge("{\"model_type\": \"t\", \"odd\": 3}", allowed, &error), ZOO_OK);
    assert_int_equal(
        judge("{\"model_type\": \"t\", \"rope\": {\"theta\": 1, \"factor\": 2}}", NULL, &error),
        ZOO_E_CONFIG);
    assert_non_null(strstr(error.text, "\"rope.factor\" is 2"));
    assert_int_equal(judge("{\"model_type\": \"t\", \"act\": \"gelu\"}", NULL, &error),
                     ZOO_E_CONFIG);
    assert_non_null(
        strstr(error.text, "\"act\" is \"gelu\"; plugin test computes only \"silu\"|\"swish\""));
    /* A key that the plugin knows but did not read for this model is not claimed. */
    assert_int_equal(judge("{\"model_type\": \"t\", \"window\": 8}", NULL, &error), ZOO_E_CONFIG);
}

static void broken_configs_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "[]", "{", "{\"a\": 1}", "{\"model_type\": 3}"};
    for (size_t i = 0; i < ZOO_COUNT(texts); i++) {
        zoo_model_config *config = NULL;
        zoo_error error = {0};
        write_file("config.json", texts[i]);
        assert_int_not_equal(zoo_model_config_open(folder, &config, &error), ZOO_OK);
        assert_null(config);
        assert_non_null(strstr(error.text, "config.json"));
    }
}

static zoo_status read_card(const char *text, zoo_error *error)
{
    zoo_cards cards;
    char path[512];
    write_file("card.json", text);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    (void)unlink(path);
    zoo_status status = zoo_cards_read(folder, &cards, error);
    status = status == ZOO_OK ? zoo_cards_check(&cards, error) : status;
    if (status == ZOO_OK) {
        assert_non_null(zoo_cards_find(&cards, "x"));
        assert_null(zoo_cards_find(&cards, "z"));
    }
    zoo_cards_free(&cards);
    return status;
}

static void cards_are_checked(void **state)
{
    (void)state;
    zoo_error error = {0};
    assert_int_equal(read_card("{\"model_type\": [\"y\", \"x\"], \"plugin\": \"p\"}", &error),
                     ZOO_OK);
    assert_int_equal(read_card("{\"model_type\": \"x\", \"plugin\": \"p\", \"alias\": {}}", &error),
                     ZOO_E_FORMAT);
    assert_non_null(strstr(error.text, "unknown card member \"alias\""));
    assert_int_equal(read_card("{\"model_type\": \"x\"}", &error), ZOO_E_FORMAT);
    assert_non_null(strstr(error.text, "names no plugin"));
    assert_int_equal(read_card("{\"plugin\": \"x\"}", &error), ZOO_E_FORMAT);
    assert_int_equal(read_card("{\"model_type\": \"x\", \"plugin\": 3}", &error), ZOO_E_FORMAT);
    assert_int_equal(
        read_card("{\"model_type\": \"x\", \"plugin\": \"p\", \"tensors\": [[\"a\"]]}", &error),
        ZOO_E_FORMAT);
    assert_int_equal(read_card("[]", &error), ZOO_E_FORMAT);
}

static bool lists(const zoo_name_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n_names; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void names_are_replaced_and_prefixed(void **state)
{
    (void)state;
    static zoo_name_list list;
    zoo_card card =
        card_of("{\"tensors\": [[\"self_attn.o_proj\", \"attn.dense\"], [\"model.layers\", "
                "\"transformer.h\"]]}");
    zoo_names_candidates(&card, "model.layers.3.self_attn.o_proj.weight", &list);
    assert_string_equal(list.names[0], "transformer.h.3.attn.dense.weight");
    assert_true(lists(&list, "h.3.attn.dense.weight"));
    assert_true(lists(&list, "model.layers.3.self_attn.o_proj.weight"));
    assert_true(lists(&list, "language_model.model.layers.3.attn.dense.weight"));
    zoo_names_candidates(NULL, "lm_head.weight", &list);
    assert_string_equal(list.names[0], "lm_head.weight");
    assert_true(lists(&list, "language_model.lm_head.weight"));
    cJSON_Delete(card.json);
    assert_true(zoo_name_matches("*.inv_freq", "a.b.inv_freq"));
    assert_false(zoo_name_matches("*.inv_freq", "a.b.inv_freq2"));
    assert_true(zoo_name_matches("a*c*e", "abcde"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_goes_fixed_file_alias_default),
        cmocka_unit_test(defaults_hold_for_other_names_but_not_inside_what_is_given),
        cmocka_unit_test(the_text_part_is_read_and_some_outer_keys),
        cmocka_unit_test(misuse_is_remembered),
        cmocka_unit_test(unclaimed_keys_are_refused),
        cmocka_unit_test(broken_configs_are_refused),
        cmocka_unit_test(cards_are_checked),
        cmocka_unit_test(names_are_replaced_and_prefixed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
