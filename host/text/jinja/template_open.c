/*
 * template_open.c: from a model folder or a file to a compiled template.
 *
 * Folder: chat_template.jinja (with additional_chat_templates/tool_use.jinja beside it), else the
 * key chat_template of tokenizer_config.json, else that of chat_template.json. The variables that
 * the reference always passes (tools, documents, add_generation_prompt) and the special tokens of
 * tokenizer_config.json become defaults; a lone template file gets none.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/jinja/template_private.h"

#define CONFIG_BYTES_MAX ((size_t)64 << 20)
#define PATH_BYTES_MAX   4096

typedef struct path_text {
    char s[PATH_BYTES_MAX];
} path_text;

static zoo_status join_path(const char *folder, const char *file, path_text *out, zoo_error *err)
{
    int n = snprintf(out->s, sizeof out->s, "%s/%s", folder, file);
    if (n < 0 || (size_t)n >= sizeof out->s) {
        return zoo_fail(err, ZOO_E_USAGE, "%.200s...: the path is too long", folder);
    }
    return ZOO_OK;
}

static bool is_kind(const char *path, mode_t kind)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static zoo_status open_source(const char *path, zoo_template **out, zoo_error *err)
{
    char *data = NULL;
    size_t n = 0;
    /* One byte more, so that the compile names the limit. */
    size_t bytes_max = zoo_jinja_limits_default.source_bytes_max;
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > (off_t)bytes_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%s: the template has %lld bytes, the limit is %zu", path,
                        (long long)st.st_size, bytes_max);
    }
    ZOO_TRY(zoo_file_read(path, bytes_max, &data, &n, err));
    zoo_status status = zoo_template_compile(data, n, path, NULL, out, err);
    zoo_mem_free(data);
    return status;
}

static zoo_status open_text(const char *text, const char *path, zoo_template **out, zoo_error *err)
{
    return zoo_template_compile(text, strlen(text), path, NULL, out, err);
}

/* [{"name": ..., "template": ...}]: default and tool_use are what can be asked for. */
static zoo_status open_named(const cJSON *list, const char *path, zoo_template **out,
                             zoo_error *err)
{
    const char *normal = NULL, *tool_use = NULL;
    for (const cJSON *c = list->child; c; c = c->next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, "name"));
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, "template"));
        if (!name || !text) {
            return zoo_fail(err, ZOO_E_FORMAT,
                            "%s: an entry of chat_template has no name or template", path);
        }
        normal = strcmp(name, "default") == 0 ? text : normal;
        tool_use = strcmp(name, "tool_use") == 0 ? text : tool_use;
    }
    if (!normal && !tool_use) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s: chat_template has neither a template `default` nor `tool_use`", path);
    }
    ZOO_TRY(open_text(normal ? normal : tool_use, path, out, err));
    if (normal && tool_use) {
        zoo_status status = open_text(tool_use, path, &(*out)->tool_use, err);
        if (status != ZOO_OK) {
            zoo_template_close(*out);
            *out = NULL;
            return status;
        }
    }
    return ZOO_OK;
}

static zoo_status open_key(const cJSON *config, const char *path, zoo_template **out,
                           zoo_error *err)
{
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(config, "chat_template");
    if (cJSON_IsString(key)) {
        return open_text(key->valuestring, path, out, err);
    }
    if (cJSON_IsArray(key)) {
        return open_named(key, path, out, err);
    }
    return zoo_fail(err, ZOO_E_IO, "%s: there is no chat_template in it", path);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* bos_token and the like: a string, or an object that holds it as content. */
static bool add_special(cJSON *into, const cJSON *c)
{
    const cJSON *content = cJSON_IsObject(c) ? cJSON_GetObjectItemCaseSensitive(c, "content") : c;
    if (!ends_with(c->string, "_token") || !cJSON_IsString(content)) {
        return true;
    }
    return cJSON_AddStringToObject(into, c->string, content->valuestring) != NULL;
}

static zoo_status set_defaults(zoo_template *t, const cJSON *config, zoo_error *err)
{
    t->defaults = cJSON_CreateObject();
    bool ok = t->defaults && cJSON_AddNullToObject(t->defaults, "tools") &&
              cJSON_AddNullToObject(t->defaults, "documents") &&
              cJSON_AddFalseToObject(t->defaults, "add_generation_prompt");
    for (const cJSON *c = config ? config->child : NULL; c && ok; c = c->next) {
        ok = c->string && add_special(t->defaults, c);
    }
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "%s: no memory", t->name);
}

static zoo_status open_jinja_files(const char *folder, const char *main_path, zoo_template **out,
                                   zoo_error *err)
{
    path_text path;
    ZOO_TRY(open_source(main_path, out, err));
    ZOO_TRY(join_path(folder, "additional_chat_templates/tool_use.jinja", &path, err));
    if (!is_kind(path.s, S_IFREG)) {
        return ZOO_OK;
    }
    return open_source(path.s, &(*out)->tool_use, err);
}

static zoo_status open_chat_json(const char *folder, zoo_template **out, zoo_error *err)
{
    path_text path;
    cJSON *json = NULL;
    ZOO_TRY(join_path(folder, "chat_template.json", &path, err));
    if (!is_kind(path.s, S_IFREG)) {
        return zoo_fail(err, ZOO_E_IO,
                        "%s: no chat template (chat_template.jinja, or the key chat_template of "
                        "tokenizer_config.json)",
                        folder);
    }
    ZOO_TRY(zoo_json_read(path.s, CONFIG_BYTES_MAX, &json, err));
    zoo_status status = open_key(json, path.s, out, err);
    cJSON_Delete(json);
    return status;
}

static zoo_status open_parts(const char *folder, const cJSON *config, const char *config_path,
                             zoo_template **out, zoo_error *err)
{
    path_text path;
    ZOO_TRY(join_path(folder, "chat_template.jinja", &path, err));
    if (is_kind(path.s, S_IFREG)) {
        ZOO_TRY(open_jinja_files(folder, path.s, out, err));
    } else if (config && cJSON_GetObjectItemCaseSensitive(config, "chat_template")) {
        ZOO_TRY(open_key(config, config_path, out, err));
    } else {
        ZOO_TRY(open_chat_json(folder, out, err));
    }
    return set_defaults(*out, config, err);
}

static zoo_status open_folder(const char *folder, zoo_template **out, zoo_error *err)
{
    path_text path;
    cJSON *config = NULL;
    ZOO_TRY(join_path(folder, "tokenizer_config.json", &path, err));
    if (is_kind(path.s, S_IFREG)) {
        ZOO_TRY(zoo_json_read_python(path.s, CONFIG_BYTES_MAX, &config, err));
    }
    zoo_status status = open_parts(folder, config, path.s, out, err);
    if (status != ZOO_OK) {
        zoo_template_close(*out);
        *out = NULL;
    }
    cJSON_Delete(config);
    return status;
}

zoo_status zoo_template_open(const char *path, zoo_template **out, zoo_error *err)
{
    cJSON *json = NULL;
    *out = NULL;
    if (is_kind(path, S_IFDIR)) {
        return open_folder(path, out, err);
    }
    if (!ends_with(path, ".json")) {
        return open_source(path, out, err);
    }
    ZOO_TRY(zoo_json_read_python(path, CONFIG_BYTES_MAX, &json, err));
    zoo_status status = open_key(json, path, out, err);
    cJSON_Delete(json);
    return status;
}
