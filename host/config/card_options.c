/* card_options.c: reads options.json and checks a card's options against it (card_options.h). */
#include "config/card_options.h"

#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "config/nearest.h"
#include "config/plugin_loader.h"

enum { OPTIONS_BYTES_MAX = 1 << 20 };

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *name_of(const cJSON *option)
{
    const char *name = cJSON_GetStringValue(member(option, "name"));
    return name ? name : "";
}

zoo_status zoo_card_options_read(const char *folder, cJSON **out, zoo_error *err)
{
    char path[4096], own[4000];
    *out = NULL;
    (void)snprintf(path, sizeof path, "%s/options.json", folder);
    if (access(path, R_OK) != 0) {
        if (zoo_install_folder(NULL, "models.d", own, sizeof own, NULL) != ZOO_OK) {
            return ZOO_OK;
        }
        (void)snprintf(path, sizeof path, "%s/options.json", own);
    }
    if (access(path, R_OK) != 0) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_json_read(path, OPTIONS_BYTES_MAX, out, err));
    if (cJSON_IsArray(*out)) {
        return ZOO_OK;
    }
    cJSON_Delete(*out);
    *out = NULL;
    return zoo_fail(err, ZOO_E_FORMAT, "%s: the file is not a list of options", path);
}

static bool is_listed(const cJSON *list, const char *word)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, word) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_read_by(const cJSON *option, const char *plugin)
{
    const cJSON *readers = member(option, "readers");
    return !plugin || is_listed(readers, "shared") || is_listed(readers, plugin);
}

static const cJSON *find(const cJSON *options, const char *name)
{
    const cJSON *option = NULL;
    cJSON_ArrayForEach(option, options)
    {
        if (strcmp(name_of(option), name) == 0) {
            return option;
        }
    }
    return NULL;
}

static bool has_kind(const cJSON *option, const cJSON *value)
{
    const cJSON *kinds = member(option, "kinds");
    return (cJSON_IsBool(value) && is_listed(kinds, "flag")) ||
           (cJSON_IsNumber(value) && is_listed(kinds, "number")) ||
           (cJSON_IsArray(value) && is_listed(kinds, "list")) ||
           (cJSON_IsString(value) && (is_listed(kinds, "text") || is_listed(kinds, "key")));
}

/* Joins the texts of a list with `between`. */
static void join(const cJSON *list, const char *between, char *out, size_t n)
{
    size_t k = 0;
    const cJSON *item = NULL;
    out[0] = '\0';
    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_GetStringValue(item);
        int m = snprintf(out + k, n - k, "%s%s", k ? between : "", text ? text : "");
        k = m > 0 && k + (size_t)m < n ? k + (size_t)m : k;
    }
}

static zoo_status unknown(const cJSON *options, const char *path, const char *plugin,
                          const char *name, zoo_error *err)
{
    zoo_nearest near = {.word = name};
    const cJSON *other = find(options, name), *option = NULL;
    cJSON_ArrayForEach(option, options)
    {
        if (is_read_by(option, plugin)) {
            zoo_nearest_try(&near, name_of(option));
        }
    }
    if (other) {
        char readers[80];
        join(member(other, "readers"), " and ", readers, sizeof readers);
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s: plugin %s does not read option \"%s\", %s does; did you mean \"%s\"?",
                        path, plugin, name, readers, near.text);
    }
    return zoo_fail(err, ZOO_E_FORMAT, "%s: no plugin reads option \"%.60s\"; did you mean \"%s\"?",
                    path, name, near.text);
}

static zoo_status check_word(const char *path, const cJSON *option, const char *word,
                             zoo_error *err)
{
    const cJSON *words = member(option, "words"), *item = NULL;
    if (!words || !word || is_listed(member(option, "kinds"), "key") || is_listed(words, word)) {
        return ZOO_OK;
    }
    char list[200];
    zoo_nearest near = {.word = word};
    cJSON_ArrayForEach(item, words)
    {
        zoo_nearest_try(&near, cJSON_IsString(item) ? item->valuestring : "");
    }
    join(words, ", ", list, sizeof list);
    return zoo_fail(err, ZOO_E_FORMAT,
                    "%s: option \"%s\" is \"%.60s\", none of %s; did you mean \"%s\"?", path,
                    name_of(option), word, list, near.text);
}

zoo_status zoo_card_option_check(const cJSON *options, const char *path, const char *plugin,
                                 const cJSON *option, zoo_error *err)
{
    if (!options) {
        return ZOO_OK;
    }
    const cJSON *known = find(options, option->string);
    if (!known || !is_read_by(known, plugin)) {
        return unknown(options, path, plugin, option->string, err);
    }
    if (!has_kind(known, option)) {
        char kinds[80];
        const char *what = cJSON_GetStringValue(member(known, "what"));
        join(member(known, "kinds"), " or a ", kinds, sizeof kinds);
        return zoo_fail(err, ZOO_E_FORMAT, "%s: option \"%s\" must be a %s: %s", path,
                        option->string, kinds, what ? what : "");
    }
    return check_word(path, known, cJSON_GetStringValue(option), err);
}
