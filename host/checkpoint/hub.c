/*
 * hub.c: the Hub's local cache, read only.
 *
 *   org/name -> <cache>/models--org--name -> refs/<revision> holds a commit -> snapshots/<commit>
 *
 * A revision of forty hexadecimal digits is a commit. Nothing is downloaded or guessed: the error
 * says which reference is missing. Memory: the caller's path. Source: huggingface_hub's page on its
 * cache layout.
 */
#include "checkpoint/hub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#define PATH_BYTES  4096
#define COMMIT_SIZE 40
#define REF_MAX     256

/* False when the text was cut. */
ZOO_PRINTF(3, 4)
static bool text_make(char *text, size_t n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(text, n, fmt, args);
    va_end(args);
    return length >= 0 && (size_t)length < n;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool has_config(const char *folder)
{
    char path[PATH_BYTES];
    struct stat st;
    return text_make(path, sizeof path, "%s/config.json", folder) && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode);
}

static bool env_set(const char *name, const char **value)
{
    *value = getenv(name);
    return *value && **value;
}

static bool cache_folder(char *path, size_t n)
{
    const char *value;
    if (env_set("HF_HUB_CACHE", &value)) {
        return text_make(path, n, "%s", value);
    }
    if (env_set("HF_HOME", &value)) {
        return text_make(path, n, "%s/hub", value);
    }
    if (env_set("XDG_CACHE_HOME", &value)) {
        return text_make(path, n, "%s/huggingface/hub", value);
    }
    return env_set("HOME", &value) && text_make(path, n, "%s/.cache/huggingface/hub", value);
}

/* Letters, digits, '.', '_', '-' and up to slashes_max slashes between parts that do not
 * begin with a dot. */
static bool is_name(const char *text, size_t n, int slashes_max)
{
    char before = '/';
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.' || c == '/';
        slashes_max -= c == '/';
        if (!good || slashes_max < 0 || (before == '/' && (c == '.' || c == '/'))) {
            return false;
        }
        before = c;
    }
    return n > 0 && before != '/';
}

static bool is_commit(const char *text, size_t n)
{
    return n == COMMIT_SIZE && strspn(text, "0123456789abcdef") >= n;
}

/* The folder of a repository: models--org--name. */
static bool repository_folder(char *path, size_t n, const char *cache, const char *name,
                              size_t n_name)
{
    const char *slash = memchr(name, '/', n_name);
    if (!slash) {
        return text_make(path, n, "%s/models--%.*s", cache, (int)n_name, name);
    }
    return text_make(path, n, "%s/models--%.*s--%.*s", cache, (int)(slash - name), name,
                     (int)(n_name - (size_t)(slash - name) - 1), slash + 1);
}

/* The commit that refs/<revision> holds. */
static zoo_status ref_read(const char *repository, const char *revision, char *commit,
                           zoo_error *err)
{
    char path[PATH_BYTES], *text;
    size_t n;
    if (!text_make(path, sizeof path, "%s/refs/%s", repository, revision)) {
        return zoo_fail(err, ZOO_E_LIMIT, "%.100s...: the path is too long", repository);
    }
    zoo_status status = zoo_file_read(path, REF_MAX, &text, &n, NULL);
    if (status != ZOO_OK) {
        return zoo_fail(err, status,
                        "%s: no reference %s in the Hub's cache (a commit can be named: @COMMIT)",
                        repository, revision);
    }
    while (n > 0 && strchr(" \r\n", text[n - 1])) {
        n--;
    }
    bool good = is_commit(text, n);
    if (good) {
        memcpy(commit, text, COMMIT_SIZE);
        commit[COMMIT_SIZE] = '\0';
    }
    zoo_mem_free(text);
    return good ? ZOO_OK : zoo_fail(err, ZOO_E_FORMAT, "%s: holds no commit", path);
}

static zoo_status snapshot_find(const char *repository, const char *revision, char *path, size_t n,
                                zoo_error *err)
{
    char commit[COMMIT_SIZE + 1];
    if (is_commit(revision, strlen(revision))) {
        memcpy(commit, revision, sizeof commit);
    } else {
        ZOO_TRY(ref_read(repository, revision, commit, err));
    }
    if (!text_make(path, n, "%s/snapshots/%s", repository, commit)) {
        return zoo_fail(err, ZOO_E_LIMIT, "%.100s...: the path is too long", repository);
    }
    return has_config(path) ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: holds no config.json", path);
}

zoo_status zoo_model_folder(const char *model, char *path, size_t n, zoo_error *err)
{
    char cache[PATH_BYTES], repository[PATH_BYTES];
    if (is_folder(model)) {
        if (!text_make(path, n, "%s", model)) {
            return zoo_fail(err, ZOO_E_LIMIT, "%.100s...: the path is too long", model);
        }
        return has_config(path) ? ZOO_OK
                                : zoo_fail(err, ZOO_E_IO, "%s: holds no config.json", path);
    }
    const char *at = strchr(model, '@');
    const char *revision = at ? at + 1 : "main";
    size_t n_name = at ? (size_t)(at - model) : strlen(model);
    if (!is_name(model, n_name, 1) || !is_name(revision, strlen(revision), 8)) {
        return zoo_fail(err, ZOO_E_IO, "%.300s: no such folder, and not a repository name", model);
    }
    if (!cache_folder(cache, sizeof cache) ||
        !repository_folder(repository, sizeof repository, cache, model, n_name)) {
        return zoo_fail(err, ZOO_E_IO,
                        "%.300s: no such folder, and the location of the Hub's cache is not known",
                        model);
    }
    if (!is_folder(repository)) {
        return zoo_fail(err, ZOO_E_IO, "%.200s: no such folder, and not in the Hub's cache %s",
                        model, cache);
    }
    return snapshot_find(repository, revision, path, n, err);
}
