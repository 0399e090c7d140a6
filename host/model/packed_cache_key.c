/*
 * packed_cache_key.c: the path and the key of a file of packed matrices.
 *
 * The path is <folder>/<name of the model's folder>-<hash of its whole path>-<kind>.packed, so a
 * changed checkpoint replaces its own file and leaves no old ones behind. The key is one XXH3 of
 * 128 bits over everything that the packed bytes come from, but for the payload of the checkpoint:
 * reading 2.5 GB again would cost more than the second that a start may take. That payload is
 * assumed unchanged while size, inode, modification and status-change time of its file are; a
 * write in place that resets the modification time still changes the last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file_hash.h"
#include "config/plugin_loader.h"
#include "model/packed_cache_private.h"

static void add_text(XXH3_state_t *state, const char *text)
{
    (void)XXH3_128bits_update(state, text, strlen(text) + 1);
}

/* A file that cannot be read counts as absent, so the key changes when it can be read again. */
static void add_file(XXH3_state_t *state, const char *path)
{
    char hex[40] = "";
    if (!path || zoo_file_hash(path, hex, sizeof hex) != ZOO_OK) {
        hex[0] = '\0';
    }
    add_text(state, hex);
}

static void add_tensors(XXH3_state_t *state, const zoo_tensors *tensors)
{
    for (size_t i = 0; i < zoo_tensors_n_files(tensors); i++) {
        zoo_file_stamp stamp = zoo_tensors_stamp(tensors, i);
        (void)XXH3_128bits_update(state, &stamp, sizeof stamp);
    }
    for (size_t i = 0; i < zoo_tensors_count(tensors); i++) {
        const zoo_tensor *t = zoo_tensors_at(tensors, i);
        add_text(state, t->name);
        add_text(state, t->dtype_name);
        (void)XXH3_128bits_update(state, t->dims, t->n_dims * sizeof t->dims[0]);
        (void)XXH3_128bits_update(state, &t->n_bytes, sizeof t->n_bytes);
    }
}

/* Hash of the program. Without it a file written by another version would be accepted. */
static zoo_status own_hash(const zoo_model *model, char *hex, size_t n, zoo_error *err)
{
    char path[PATH_MAX];
    if (zoo_own_file(path, sizeof path) && zoo_file_hash(path, hex, n) == ZOO_OK) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_USAGE,
                    "%s: --packed-cache needs /proc to tell this program from another version of "
                    "it, and it is not there: leave the option out",
                    model->folder);
}

static zoo_status make_key(zoo_packed *packed, const zoo_model *model, zoo_error *err)
{
    char own[40];
    ZOO_TRY(own_hash(model, own, sizeof own, err));
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_128bits_reset(state) == XXH_ERROR) {
        (void)XXH3_freeState(state);
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    const uint32_t kind = (uint32_t)model->weight_kind | (model->packs_all ? 1u << 31 : 0);
    (void)XXH3_128bits_update(state, &kind, sizeof kind);
    add_text(state, LMZOO_VERSION);
    add_text(state, own);
    add_file(state, model->plugin_path);
    add_file(state, model->card ? model->card->path : NULL);
    add_file(state, zoo_model_config_path(model->config));
    add_tensors(state, model->tensors);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    packed->key[0] = hash.low64;
    packed->key[1] = hash.high64;
    (void)XXH3_freeState(state);
    return ZOO_OK;
}

static bool is_set(const char *name, const char **value)
{
    *value = getenv(name);
    return *value && (*value)[0] == '/';
}

static zoo_status find_folder(const char *where, char *folder, size_t n, zoo_error *err)
{
    const char *base;
    int length = -1;
    if (strcmp(where, "auto") != 0) {
        length = snprintf(folder, n, "%s", where);
    } else if (is_set("XDG_CACHE_HOME", &base)) {
        length = snprintf(folder, n, "%s/lmzoo", base);
    } else if (is_set("HOME", &base)) {
        length = snprintf(folder, n, "%s/.cache/lmzoo", base);
    } else {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--packed-cache auto: neither XDG_CACHE_HOME nor HOME is an absolute path");
    }
    if (length <= 0 || (size_t)length >= n) {
        return zoo_fail(err, ZOO_E_USAGE, "--packed-cache: \"%.60s\" is %s", where,
                        length == 0 ? "no folder" : "too long");
    }
    return ZOO_OK;
}

/* A failure here is reported when the file is opened. */
static void make_folders(const char *folder)
{
    char path[PATH_MAX];
    size_t n = strlen(folder);
    for (size_t i = 1; i <= n && n < sizeof path; i++) {
        if (folder[i] == '/' || folder[i] == '\0') {
            memcpy(path, folder, i);
            path[i] = '\0';
            (void)mkdir(path, 0700);
        }
    }
}

zoo_status zoo_packed_locate(zoo_packed *packed, const zoo_model *model, const char *where,
                             const char *kind, zoo_error *err)
{
    char folder[PATH_MAX], whole[PATH_MAX];
    ZOO_TRY(find_folder(where, folder, sizeof folder, err));
    const char *path = realpath(model->folder, whole) ? whole : model->folder;
    const char *slash = strrchr(path, '/');
    XXH64_hash_t hash = XXH3_64bits(path, strlen(path));
    make_folders(folder);
    (void)snprintf(packed->path, sizeof packed->path, "%s/%.100s-%016llx-%s.packed", folder,
                   slash ? slash + 1 : path, (unsigned long long)hash, kind);
    return make_key(packed, model, err);
}
