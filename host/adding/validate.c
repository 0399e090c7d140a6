/* validate.c: see validate.h. */
#include "adding/validate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adding/conformance.h"
#include "adding/new_card.h"
#include "adding/random_weights.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/card_options.h"
#include "config/plugin_loader.h"

enum { JSON_BYTES_MAX = 64 << 20, PATH_BYTES = 4096 };

zoo_status zoo_validate_kind(const char *path, zoo_subject_kind *out, zoo_error *err)
{
    struct stat info;
    size_t n = strlen(path);
    if (stat(path, &info) != 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode) || (n > 3 && strcmp(path + n - 3, ".so") == 0)) {
        *out = S_ISDIR(info.st_mode) ? ZOO_SUBJECT_FOLDER : ZOO_SUBJECT_PLUGIN;
        return ZOO_OK;
    }
    cJSON *json = NULL;
    ZOO_TRY(zoo_json_read_python(path, JSON_BYTES_MAX, &json, err));
    bool card = cJSON_GetObjectItemCaseSensitive(json, "plugin") ||
                cJSON_GetObjectItemCaseSensitive(json, "refused");
    bool typed = cJSON_GetObjectItemCaseSensitive(json, "model_type") != NULL;
    cJSON_Delete(json);
    *out = card ? ZOO_SUBJECT_CARD : ZOO_SUBJECT_CONFIG;
    return card || typed
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_USAGE,
                          "%s: neither a card (it names no plugin) nor a config (it names "
                          "no model_type)",
                          path);
}

/* ---- folders */

typedef struct pair {
    const zoo_validation *v;
    const char *weights, *cache;
} pair;

static void tell_property(void *arg, bool ok, const char *what, const char *why)
{
    const pair *p = arg;
    char text[200];
    (void)snprintf(text, sizeof text, "%s weights, %s cache: %s", p->weights, p->cache, what);
    p->v->told(p->v->arg, ok, text, why);
}

zoo_status zoo_validate_folder(const zoo_validation *v, const char *folder, zoo_error *err)
{
    static const char *const kinds[] = {"f32", "bf16", "int8", "int4"};
    bool one = v->weights || v->cache;
    for (size_t i = 0; i < (one ? 1 : ZOO_COUNT(kinds)); i++) {
        const char *weights = v->weights ? v->weights : kinds[i];
        pair p = {v, weights, v->cache ? v->cache : weights};
        const zoo_conformance c = {.folder = folder,
                                   .plugin_dir = v->plugin_dir,
                                   .card_dir = v->card_dir,
                                   .weights = p.weights,
                                   .cache = p.cache,
                                   .result = tell_property,
                                   .arg = &p};
        ZOO_TRY(zoo_conformance_run(&c, err));
    }
    return ZOO_OK;
}

/* ---- configs */

static zoo_status copy_config(const char *from, const char *folder, zoo_error *err)
{
    char path[PATH_BYTES];
    cJSON *json = NULL;
    ZOO_TRY(zoo_json_read(from, JSON_BYTES_MAX, &json, err));
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    (void)snprintf(path, sizeof path, "%.4000s/config.json", folder);
    FILE *out = text ? fopen(path, "wb") : NULL;
    bool written = out && fputs(text, out) >= 0;
    written = out && fclose(out) == 0 && written;
    cJSON_free(text);
    return written ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: cannot be written", path);
}

static void remove_folder(const char *folder)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < ZOO_COUNT(files); i++) {
        char path[PATH_BYTES + 32];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static zoo_status with_random_weights(const zoo_validation *v, const char *config,
                                      const char *folder, zoo_error *err)
{
    zoo_arch *arch = NULL;
    const zoo_model_options options = {.plugin_dir = v->plugin_dir, .card_dir = v->card_dir};
    ZOO_TRY(zoo_arch_open_text(config, NULL, &options, &arch, err));
    zoo_status status = zoo_random_weights(arch, folder, err);
    zoo_arch_close(arch);
    ZOO_TRY(status);
    ZOO_TRY(copy_config(config, folder, err));
    return zoo_validate_folder(v, folder, err);
}

zoo_status zoo_validate_config(const zoo_validation *v, const char *config, zoo_error *err)
{
    const char *tmp = getenv("TMPDIR");
    char folder[PATH_BYTES];
    int n = snprintf(folder, sizeof folder, "%s/lmzoo-validate-XXXXXX", tmp ? tmp : "/tmp");
    if (n >= (int)sizeof folder || !mkdtemp(folder)) {
        return zoo_fail(err, ZOO_E_IO, "%s: no temporary folder can be made there (TMPDIR)",
                        tmp ? tmp : "/tmp");
    }
    zoo_status status = with_random_weights(v, config, folder, err);
    remove_folder(folder);
    return status;
}

/* ---- plugins */

static uint32_t count_blocks(const zoo_block_ops *const *list)
{
    uint32_t n = 0;
    for (; list && list[n]; n++) {
    }
    return n;
}

/* Reports blocks without facts. */
static void tell_silent(const zoo_validation *v, const zoo_block_ops *const *list)
{
    for (; list && *list; list++) {
        bool facts = (*list)->size >= offsetof(zoo_block_ops, facts) + sizeof(*list)->facts &&
                     (*list)->facts;
        if (!facts) {
            v->told(v->arg, -1, (*list)->name,
                    "has no facts: explain, diff and draw show only its name");
        }
    }
}

static void dirname_of(const char *path, char *out, size_t n)
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(out, n, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

zoo_status zoo_validate_plugin(const zoo_validation *v, zoo_error *err)
{
    const zoo_plugin *plugin = NULL;
    char what[200], folder[PATH_BYTES];
    ZOO_TRY(zoo_plugin_load(v->path, &plugin, err));
    v->told(v->arg, 1, "the file is a plugin of this ABI, and its tables are whole", "");
    (void)snprintf(what, sizeof what, "%.60s %.20s: %u mixers, %u feed-forward parts, %u layers",
                   plugin->name, plugin->version, count_blocks(plugin->mixers),
                   count_blocks(plugin->ffns), count_blocks(plugin->layers));
    v->told(v->arg, -1, what, "");
    tell_silent(v, plugin->mixers);
    tell_silent(v, plugin->ffns);
    tell_silent(v, plugin->layers);
    if (!v->config) {
        v->told(v->arg, -1, "no --config was given", "conformance needs a config or folder to run");
        return ZOO_OK;
    }
    struct stat info;
    zoo_validation own = *v;
    dirname_of(v->path, folder, sizeof folder);
    own.plugin_dir = folder;
    return stat(v->config, &info) == 0 && S_ISDIR(info.st_mode)
               ? zoo_validate_folder(&own, v->config, err)
               : zoo_validate_config(&own, v->config, err);
}

/* ---- cards */

static uint32_t tell_unsettled(const zoo_validation *v, const cJSON *json)
{
    const cJSON *item = NULL;
    uint32_t n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "ignored"))
    {
        const char *note = cJSON_GetStringValue(item);
        if (note && strncmp(note, ZOO_UNSETTLED, strlen(ZOO_UNSETTLED)) == 0) {
            char what[300];
            (void)snprintf(what, sizeof what, "the key %.200s is settled", item->string);
            v->told(v->arg, 0, what, note);
            n++;
        }
    }
    return n;
}

/* The plan of one type, from the defaults of its class. */
static zoo_status try_type(const zoo_validation *v, const zoo_card *card, const char *type,
                           zoo_error *err)
{
    char text[300], what[300];
    zoo_arch *arch = NULL;
    zoo_error why;
    const zoo_model_options options = {
        .plugin_dir = v->plugin_dir, .card_dir = v->card_dir, .card = card};
    (void)snprintf(text, sizeof text, "{\"model_type\": \"%.200s\"}", type);
    (void)snprintf(what, sizeof what, "%.200s: its class's defaults give a plan", type);
    zoo_status status = zoo_arch_open_text(type, text, &options, &arch, &why);
    if (status == ZOO_E_MEMORY) {
        return zoo_fail(err, status, "%s", why.text);
    }
    if (status == ZOO_OK && !zoo_model_config_class(arch->model.config)) {
        (void)snprintf(what, sizeof what, "%.200s: it has a class file", type);
        v->told(v->arg, -1, what, "there is none: every key of a file must be known to the card");
    } else {
        v->told(v->arg, status == ZOO_OK ? 1 : -1, what, status == ZOO_OK ? "" : why.text);
    }
    zoo_arch_close(arch);
    return ZOO_OK;
}

static zoo_status judge_card(const zoo_validation *v, const zoo_card *card, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    v->told(v->arg, 1, "its members, options and words are known", "");
    if (tell_unsettled(v, card->json) == 0) {
        v->told(v->arg, 1, "nothing in it is unsettled", "");
    }
    if (!zoo_card_text(card, "refused")) {
        const cJSON *types = zoo_card_part(card, "model_type"), *type = types;
        type = cJSON_IsArray(types) ? types->child : types;
        for (; type && status == ZOO_OK; type = cJSON_IsArray(types) ? type->next : NULL) {
            status = try_type(v, card, cJSON_GetStringValue(type), err);
        }
    }
    if (!zoo_card_part(card, "about")) {
        v->told(v->arg, -1, "it says nothing about the release",
                "\"about\": {\"released\", \"new\"}");
    }
    return status;
}

zoo_status zoo_validate_card(const zoo_validation *v, zoo_error *err)
{
    zoo_card card = {.path = NULL};
    char folder[PATH_BYTES];
    cJSON *options = NULL;
    ZOO_TRY(zoo_install_folder(v->card_dir, "models.d", folder, sizeof folder, err));
    ZOO_TRY(zoo_card_options_read(folder, &options, err));
    zoo_status status = zoo_card_read(options, v->path, &card, err);
    cJSON_Delete(options);
    if (status == ZOO_OK) {
        status = judge_card(v, &card, err);
    }
    zoo_mem_free(card.path);
    cJSON_Delete(card.json);
    return status;
}
