/*
 * plugin_loader.c: dlopen and the checks of descriptor, stamp and tables.
 *
 * Plugins are never unloaded: plans point to their blocks.
 */
#define _GNU_SOURCE /* dladdr */
#include "config/plugin_loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/cache.h"

#ifndef LMZOO_PLUGINS_FROM_BIN
#define LMZOO_PLUGINS_FROM_BIN "../lib/lmzoo/plugins"
#endif
#ifndef LMZOO_PLUGINS_FROM_LIB
#define LMZOO_PLUGINS_FROM_LIB "lmzoo/plugins"
#endif
#ifndef LMZOO_CARDS_FROM_LIB
#define LMZOO_CARDS_FROM_LIB "../share/lmzoo/models.d"
#endif
#ifndef LMZOO_CARDS_FROM_BIN
#define LMZOO_CARDS_FROM_BIN "../share/lmzoo/models.d"
#endif

enum { BINDS_MAX = 256, BLOCKS_MAX = 64, KEYS_MAX = 4096 };

/* Features of this host; a plugin's needs[] must be among them. */
static const char *const offers[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", "zoo.parts/1"};

static const struct {
    const char *name;
    size_t offset;
} stamp_fields[] = {
    {"abi_major", offsetof(zoo_stamp, abi_major)},
    {"size_stamp", offsetof(zoo_stamp, size_stamp)},
    {"size_bind", offsetof(zoo_stamp, size_bind)},
    {"size_stream", offsetof(zoo_stamp, size_stream)},
    {"size_part", offsetof(zoo_stamp, size_part)},
    {"size_branch", offsetof(zoo_stamp, size_branch)},
    {"size_layer", offsetof(zoo_stamp, size_layer)},
    {"size_seq", offsetof(zoo_stamp, size_seq)},
    {"size_weight", offsetof(zoo_stamp, size_weight)},
    {"size_norm", offsetof(zoo_stamp, size_norm)},
    {"size_key", offsetof(zoo_stamp, size_key)},
    {"size_rowmap", offsetof(zoo_stamp, size_rowmap)},
    {"size_table", offsetof(zoo_stamp, size_table)},
    {"size_error", offsetof(zoo_stamp, size_error)},
    {"size_segment", offsetof(zoo_stamp, size_segment)},
    {"size_gemm", offsetof(zoo_stamp, size_gemm)},
    {"size_gemm_slots", offsetof(zoo_stamp, size_gemm_slots)},
    {"size_norm_args", offsetof(zoo_stamp, size_norm_args)},
    {"size_rope_args", offsetof(zoo_stamp, size_rope_args)},
    {"size_attend_args", offsetof(zoo_stamp, size_attend_args)},
    {"size_conv_args", offsetof(zoo_stamp, size_conv_args)},
    {"size_ssm_args", offsetof(zoo_stamp, size_ssm_args)},
    {"size_scan_args", offsetof(zoo_stamp, size_scan_args)},
    {"size_delta_args", offsetof(zoo_stamp, size_delta_args)},
    {"size_index_args", offsetof(zoo_stamp, size_index_args)},
    {"panel", offsetof(zoo_stamp, panel)},
    {"page", offsetof(zoo_stamp, page)},
};

static uint32_t stamp_value(const zoo_stamp *stamp, size_t offset)
{
    uint32_t value;
    memcpy(&value, (const char *)stamp + offset, sizeof value);
    return value;
}

static zoo_status check_stamp(const char *path, const zoo_stamp *stamp, zoo_error *err)
{
    static const zoo_stamp own = ZOO_STAMP;
    if (memcmp(stamp->magic, own.magic, sizeof own.magic) != 0) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: " ZOO_PLUGIN_SYMBOL " has no plugin magic", path);
    }
    for (size_t i = 0; i < ZOO_COUNT(stamp_fields); i++) {
        uint32_t found = stamp_value(stamp, stamp_fields[i].offset);
        uint32_t want = stamp_value(&own, stamp_fields[i].offset);
        if (found != want) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: plugin stamp: %s is %u, this host has %u", path,
                            stamp_fields[i].name, found, want);
        }
    }
    if (stamp->abi_minor > own.abi_minor) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: plugin stamp: abi_minor is %u, this host has %u",
                        path, stamp->abi_minor, own.abi_minor);
    }
    return ZOO_OK;
}

static zoo_status check_needs(const char *path, const zoo_plugin *plugin, zoo_error *err)
{
    for (const char *const *need = plugin->needs; need && *need; need++) {
        bool offered = false;
        for (size_t i = 0; i < ZOO_COUNT(offers); i++) {
            offered = offered || strcmp(*need, offers[i]) == 0;
        }
        if (!offered) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: plugin %s needs \"%s\", which this host does not offer", path,
                            plugin->name, *need);
        }
    }
    return ZOO_OK;
}

static zoo_status check_binds(const char *path, const zoo_block_ops *ops, zoo_error *err)
{
    uint32_t n = 0;
    for (const zoo_bind *bind = ops->binds; bind && bind->name; bind++) {
        if (++n > BINDS_MAX || bind->kind > ZOO_BIND_INTEGERS) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: block %s: bind row %u (\"%s\") is not one this host knows", path,
                            ops->name, n, bind->name);
        }
        if (bind->field >= ops->weights_size) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: block %s: bind row \"%s\" lies outside its weights struct", path,
                            ops->name, bind->name);
        }
    }
    return ZOO_OK;
}

static zoo_status check_blocks(const char *path, const char *role, const zoo_block_ops *const *list,
                               zoo_error *err)
{
    for (uint32_t i = 0; list && list[i]; i++) {
        const zoo_block_ops *ops = list[i];
        if (i == BLOCKS_MAX) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: the list of %s is not null-terminated", path,
                            role);
        }
        if (ops->size < offsetof(zoo_block_ops, explain)) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: %s[%u]: table of %u bytes, at least %zu are needed", path, role, i,
                            ops->size, offsetof(zoo_block_ops, explain));
        }
        if (!ops->name || !ops->forward) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: %s[%u] (%s) has no %s", path, role, i,
                            ops->name ? ops->name : "unnamed", ops->name ? "forward" : "name");
        }
        ZOO_TRY(check_binds(path, ops, err));
    }
    return ZOO_OK;
}

static bool is_kind_name(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n > 0 && n < ZOO_STREAM_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

static const char *missing_member(const zoo_cache_ops *ops)
{
    return !ops->bytes                               ? "bytes"
           : !ops->store                             ? "store"
           : !ops->read                              ? "read"
           : !ops->summary                           ? "summary"
           : !ops->vectors || !ops->vectors[0].width ? "test vectors"
                                                     : NULL;
}

static zoo_status check_caches(const char *path, const zoo_cache_ops *const *list, zoo_error *err)
{
    for (uint32_t i = 0; list && list[i]; i++) {
        const zoo_cache_ops *ops = list[i];
        if (i == BLOCKS_MAX) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: the list of caches is not null-terminated",
                            path);
        }
        if (ops->size < sizeof(zoo_cache_ops) || !is_kind_name(ops->name)) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: caches[%u]: the table has %u bytes, at least %zu are needed, or "
                            "its name is not of lower-case letters, digits, '-' and '_'",
                            path, i, ops->size, sizeof(zoo_cache_ops));
        }
        if (strcmp(ops->name, "auto") == 0 || zoo_cache_kind(ops->name)) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: cache kind %s has the name of a host's kind",
                            path, ops->name);
        }
        if (missing_member(ops) || ops->form >= ZOO_FORMS || ops->narrowness > ZOO_INT4) {
            return zoo_fail(err, ZOO_E_PLUGIN, "%s: cache kind %s has no %s", path, ops->name,
                            missing_member(ops) ? missing_member(ops)
                                                : "form or narrowness that this host knows");
        }
    }
    return ZOO_OK;
}

zoo_status zoo_plugin_check(const char *path, const zoo_plugin *plugin, zoo_error *err)
{
    ZOO_TRY(check_stamp(path, &plugin->stamp, err));
    if (plugin->size < sizeof(zoo_plugin)) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: descriptor of %u bytes, this host needs %zu", path,
                        plugin->size, sizeof(zoo_plugin));
    }
    if (!plugin->name || !plugin->version || !plugin->licence || !plugin->summary) {
        return zoo_fail(err, ZOO_E_PLUGIN,
                        "%s: the descriptor lacks name, version, licence or summary", path);
    }
    if (!plugin->probe || !plugin->configure) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: plugin %s has no %s", path, plugin->name,
                        plugin->probe ? "configure" : "probe");
    }
    ZOO_TRY(check_needs(path, plugin, err));
    ZOO_TRY(check_blocks(path, "mixers", plugin->mixers, err));
    ZOO_TRY(check_blocks(path, "ffns", plugin->ffns, err));
    ZOO_TRY(check_blocks(path, "layers", plugin->layers, err));
    ZOO_TRY(check_caches(path, plugin->caches, err));
    uint32_t n_keys = 0;
    for (const zoo_key *key = plugin->keys; key && key->key; key++) {
        if (++n_keys > KEYS_MAX || key->rule > ZOO_KEY_IS ||
            (key->rule == ZOO_KEY_IS && !key->note)) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "%s: plugin %s: key \"%s\" has no rule this host knows", path,
                            plugin->name, key->key);
        }
    }
    return ZOO_OK;
}

/* Whether dlopen failed for lack of memory: by errno, where the loader has kept it, or because as
 * many bytes as the file has cannot be mapped. */
static bool lacks_memory(int why, off_t n_bytes)
{
    enum { DATA = 1 << 20 }; /* what its variables and the loader take beside the file */
    if (zoo_file_status(why) == ZOO_E_MEMORY) {
        return true;
    }
    size_t n = (size_t)n_bytes + DATA;
    void *at = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return true;
    }
    (void)munmap(at, n);
    return false;
}

zoo_status zoo_plugin_load(const char *path, const zoo_plugin **out, zoo_error *err)
{
    *out = NULL;
    struct stat info;
    if (access(path, R_OK) != 0 || stat(path, &info) != 0) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: there is no such plugin file", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: not a regular file", path);
    }
    errno = 0;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        bool lacks = lacks_memory(errno, info.st_size);
        const char *why = dlerror();
        return zoo_fail(err, lacks ? ZOO_E_MEMORY : ZOO_E_PLUGIN, "%s: %s: %s", path,
                        lacks ? "cannot be loaded" : "not a loadable plugin",
                        why ? why : "unknown reason");
    }
    const zoo_plugin *plugin = dlsym(library, ZOO_PLUGIN_SYMBOL);
    if (!plugin) {
        (void)dlclose(library);
        return zoo_fail(err, ZOO_E_PLUGIN, "%s: exports no " ZOO_PLUGIN_SYMBOL, path);
    }
    zoo_status status = zoo_plugin_check(path, plugin, err);
    if (status != ZOO_OK) {
        (void)dlclose(library);
        return status;
    }
    *out = plugin;
    return ZOO_OK;
}

zoo_status zoo_plugin_load_named(const char *folder, const char *name, const zoo_plugin **out,
                                 zoo_error *err)
{
    char path[PATH_MAX];
    if (strchr(name, '/') ||
        snprintf(path, sizeof path, "%s/%s.so", folder, name) >= (int)sizeof path) {
        return zoo_fail(err, ZOO_E_PLUGIN, "\"%.80s\" is not the name of a plugin", name);
    }
    return zoo_plugin_load(path, out, err);
}

static int is_plugin_file(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 3 && strcmp(entry->d_name + n - 3, ".so") == 0;
}

zoo_status zoo_plugins_list(const char *folder, void (*fn)(void *arg, const char *name), void *arg,
                            zoo_error *err)
{
    struct dirent **files = NULL;
    int n_files = scandir(folder, &files, is_plugin_file, alphasort);
    if (n_files < 0) {
        return zoo_fail(err, zoo_file_status(errno), "%s: the plugin folder cannot be read: %s",
                        folder, strerror(errno));
    }
    for (int i = 0; i < n_files; i++) {
        files[i]->d_name[strlen(files[i]->d_name) - 3] = '\0';
        fn(arg, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    return ZOO_OK;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* An address in this file, for dladdr. */
static const char own_anchor = 0;

/* The dynamic linker's name of the file with this code; for a program it may be argv[0]. */
static const char *linked_as(void)
{
    Dl_info where;
    bool known = dladdr((const void *)&own_anchor, &where) != 0 && where.dli_fname;
    return known ? where.dli_fname : "";
}

static bool real_path(const char *name, char *path, size_t n)
{
    char real[PATH_MAX];
    int length = realpath(name, real) ? snprintf(path, n, "%s", real) : 0;
    return length > 0 && (size_t)length < n;
}

bool zoo_own_file(char *path, size_t n)
{
    if (strstr(linked_as(), ".so") && real_path(linked_as(), path, n)) {
        return true;
    }
    ssize_t length = readlink("/proc/self/exe", path, n - 1);
    path[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* The folder of that file. Without /proc, that of the path by which the program was started: a
 * wrong one can do no more harm than --plugin-dir. */
static void own_folder(char *path, size_t n)
{
    path[0] = '\0';
    if (!zoo_own_file(path, n) && (!strchr(linked_as(), '/') || !real_path(linked_as(), path, n))) {
        path[0] = '\0';
    }
    char *slash = strrchr(path, '/');
    if (slash) {
        *slash = '\0';
    }
}

/* The option that names such a folder. */
static const char *remedy(const char *kind)
{
    static const char *const options[][2] = {
        {"plugins", ", or give --plugin-dir DIR"},
        {"models.d", ", or give --card-dir DIR"},
    };
    for (size_t i = 0; i < ZOO_COUNT(options); i++) {
        if (strcmp(kind, options[i][0]) == 0) {
            return options[i][1];
        }
    }
    return "";
}

zoo_status zoo_install_folder(const char *given, const char *kind, char *path, size_t n,
                              zoo_error *err)
{
    if (given) {
        bool fits = snprintf(path, n, "%s", given) < (int)n;
        return fits && is_folder(path)
                   ? ZOO_OK
                   : zoo_fail(err, ZOO_E_IO, "%s: no such folder of %s", given, kind);
    }
    char own[PATH_MAX];
    own_folder(own, sizeof own);
    const char *beside = "";
    bool plugins = strcmp(kind, "plugins") == 0, cards = strcmp(kind, "models.d") == 0;
    bool links = strcmp(kind, "links") == 0; /* installed beside plugins, other data beside cards */
    const char *const places[] = {kind,
                                  plugins || links ? LMZOO_PLUGINS_FROM_BIN : LMZOO_CARDS_FROM_BIN,
                                  plugins || links ? LMZOO_PLUGINS_FROM_LIB : LMZOO_CARDS_FROM_LIB};
    for (size_t i = 0; i < ZOO_COUNT(places); i++) {
        beside = i > 0 && !plugins && !cards ? "/../" : "";
        if (snprintf(path, n, "%s/%s%s%s", own, places[i], beside, *beside ? kind : "") < (int)n &&
            is_folder(path)) {
            return ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_IO,
                    "no folder of %s beside the program in %.200s: build the whole tree (ninja -C "
                    "build) or install it%s",
                    kind, own, remedy(kind));
}
