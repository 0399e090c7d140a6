/* open.c: resolves the argument of explain, diff, draw and cache. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "checkpoint/hub.h"
#include "config/plugin_loader.h"
#include "explain/arch.h"

enum { RELEASES_BYTES_MAX = 16 << 20 };

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

/* The config of a release of models.d/releases.json, for cJSON_free; *text is null where there is
 * none of that name. ZOO_E_USAGE: its values have no source. */
static zoo_status find_release(const char *name, const zoo_model_options *options, char **text,
                               zoo_error *err)
{
    char path[4200];
    cJSON *list = NULL;
    const cJSON *item = NULL;
    *text = NULL;
    ZOO_TRY(zoo_install_folder(options->card_dir, "models.d", path, sizeof path - 32, err));
    (void)strcat(path, "/releases.json");
    if (access(path, R_OK) != 0) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_json_read(path, RELEASES_BYTES_MAX, &list, err));
    zoo_status status = ZOO_OK;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(item, "name");
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(item, "config");
        if (!cJSON_IsString(own) || strcasecmp(own->valuestring, name) != 0) {
            continue;
        }
        *text = !*text && config ? cJSON_PrintUnformatted(config) : *text;
        status = config ? status
                        : zoo_fail(err, ZOO_E_USAGE,
                                   "\"%.200s\" stands in releases.json without a config, as no "
                                   "source tells its values; give its config.json or model type",
                                   own->valuestring);
    }
    cJSON_Delete(list);
    return status;
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
    char *release = NULL;
    ZOO_TRY(find_release(name, options, &release, err));
    if (release) {
        zoo_status status = zoo_arch_open_text(name, release, options, out, err);
        cJSON_free(release);
        return status;
    }
    if (zoo_model_folder(name, folder, sizeof folder, err) != ZOO_OK) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "\"%.200s\" is no folder, no config.json, no model in the Hub's cache, no model "
            "type of a card (lmzoo cards lists them) and no release of releases.json",
            name);
    }
    return zoo_arch_open_text(folder, NULL, options, out, err);
}
