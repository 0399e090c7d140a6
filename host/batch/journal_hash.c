/* journal_hash.c: what a run depends on, as hashes (journal.h). */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"
#include "batch/journal.h"

enum { CHUNK = 1 << 16, SAMPLES = 64, FILES_MAX = 4096 };

static void to_hex(XXH128_hash_t hash, char hex[40])
{
    (void)snprintf(hex, 40, "%016llx%016llx", (unsigned long long)hash.high64,
                   (unsigned long long)hash.low64);
}

/* ---- the model ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool is_weight_file(const char *name)
{
    return ends_with(name, ".safetensors");
}

static bool counts(const char *name)
{
    return is_weight_file(name) || ends_with(name, ".json") || ends_with(name, ".jinja") ||
           ends_with(name, ".model") || ends_with(name, ".tiktoken");
}

/* Adds n bytes at offset; short files just end. */
static bool add_range(XXH3_state_t *state, FILE *file, long offset, size_t n, char *buffer)
{
    if (fseek(file, offset, SEEK_SET) != 0) {
        return false;
    }
    while (n > 0) {
        size_t got = fread(buffer, 1, n < CHUNK ? n : CHUNK, file);
        if (got == 0) {
            return !ferror(file);
        }
        (void)XXH3_128bits_update(state, buffer, got);
        n -= got;
    }
    return true;
}

/* Small files whole; large ones by their first MiB and samples of 4 KiB spread over the rest. */
static bool add_file(XXH3_state_t *state, FILE *file, char *buffer)
{
    struct stat info;
    const long whole = 1L << 20;
    if (fstat(fileno(file), &info) != 0) {
        return false;
    }
    (void)XXH3_128bits_update(state, &info.st_size, sizeof info.st_size);
    if (info.st_size <= 16 * whole) {
        return add_range(state, file, 0, (size_t)info.st_size, buffer);
    }
    if (!add_range(state, file, 0, (size_t)whole, buffer)) {
        return false;
    }
    for (long i = 1; i <= SAMPLES; i++) {
        if (!add_range(state, file, (long)info.st_size / SAMPLES * i - 4096, 4096, buffer)) {
            return false;
        }
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        zoo_mem_free(names[i]);
    }
    zoo_mem_free(names);
}

/* Names of the files that count, sorted. */
static zoo_status list_folder(const char *folder, char ***out, size_t *n_out, zoo_error *err)
{
    DIR *dir = opendir(folder);
    char **names = zoo_mem_array(FILES_MAX, sizeof *names);
    struct dirent *entry;
    size_t n = 0;
    bool ok = names != NULL;
    if (!dir) {
        zoo_mem_free(names);
        return zoo_fail(err, ZOO_E_IO, "%s: %s", folder, strerror(errno));
    }
    while (ok && n < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (counts(entry->d_name)) {
            names[n] = zoo_mem_text(entry->d_name, strlen(entry->d_name));
            ok = names[n++] != NULL;
        }
    }
    (void)closedir(dir);
    if (!ok) {
        free_names(names, names ? n : 0);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to list %s", folder);
    }
    qsort(names, n, sizeof *names, by_name);
    *out = names;
    *n_out = n;
    return ZOO_OK;
}

static zoo_status add_named(XXH3_state_t *state, const char *folder, const char *name, char *buffer,
                            zoo_error *err)
{
    char path[4096];
    FILE *file;
    bool ok;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        return zoo_fail(err, ZOO_E_IO, "%s: the path is too long", folder);
    }
    ZOO_TRY(zoo_file_stream(path, &file, err));
    (void)XXH3_128bits_update(state, name, strlen(name) + 1);
    ok = add_file(state, file, buffer);
    (void)fclose(file);
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: cannot be read", path);
}

zoo_status zoo_journal_hash_model(const char *folder, char hex[40], zoo_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    char *buffer = zoo_mem_alloc(CHUNK);
    char **names = NULL;
    size_t n_names = 0;
    zoo_status status = ZOO_E_MEMORY;
    if (!state || !buffer || XXH3_128bits_reset(state) == XXH_ERROR) {
        (void)zoo_fail(err, ZOO_E_MEMORY, "no memory to read %s", folder);
    } else {
        status = list_folder(folder, &names, &n_names, err);
    }
    for (size_t i = 0; status == ZOO_OK && i < n_names; i++) {
        status = add_named(state, folder, names[i], buffer, err);
    }
    if (status == ZOO_OK) {
        to_hex(XXH3_128bits_digest(state), hex);
    }
    free_names(names, n_names);
    (void)XXH3_freeState(state);
    zoo_mem_free(buffer);
    return status;
}
