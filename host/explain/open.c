/* open.c: what a name given to explain and its kin stands for. */
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/hub.h"
#include "config/plugin_loader.h"
#include "explain/arch.h"

/* Whether a card names this type. */
static zoo_status names_card(const char *name, const zoo_model_options *options, bool *found,
                             zoo_error *err)
{
    char folder[4096];
    zoo_cards cards = {0};
    ZOO_TRY(zoo_install_folder(options->card_dir, "models.d", folder, sizeof folder, err));
    ZOO_TRY(zoo_cards_read(folder, &cards, err));
    *found = zoo_cards_find(&cards, name) != NULL;
    zoo_cards_free(&cards);
    return ZOO_OK;
}

zoo_status zoo_arch_open(const char *name, const zoo_model_options *options, zoo_arch **out,
                         zoo_error *err)
{
    struct stat info;
    bool is_card = false;
    char folder[4096], text[300];
    *out = NULL;
    if (stat(name, &info) == 0) {
        return zoo_arch_open_text(name, NULL, options, out, err);
    }
    if (!strchr(name, '/') && strlen(name) < 200 && !strchr(name, '"') && !strchr(name, '\\')) {
        ZOO_TRY(names_card(name, options, &is_card, err));
    }
    if (is_card) {
        (void)snprintf(text, sizeof text, "{\"model_type\": \"%s\"}", name);
        return zoo_arch_open_text(name, text, options, out, err);
    }
    if (zoo_model_folder(name, folder, sizeof folder, err) != ZOO_OK) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "\"%.200s\" is no folder, no config.json, no model in the Hub's cache and no "
            "model type of a card (lmzoo cards lists them)",
            name);
    }
    return zoo_arch_open_text(folder, NULL, options, out, err);
}
