/*
 * safetensors_folder.c: which files of a folder hold its tensors.
 *
 * model.safetensors, else the shards of model.safetensors.index.json, else the one *.safetensors
 * there is, else a whole series x-00001-of-0000N.safetensors. Several other files and no index:
 * refused, since nobody can say which are meant. The index is then compared with the shards'
 * headers, and differences become notes. Source: the files that transformers writes and reads.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "checkpoint/safetensors_set.h"

#define INDEX_NAME "model.safetensors.index.json"
#define INDEX_MAX  100000000u
#define FILES_MAX  65536u
#define SUFFIX     ".safetensors"

/* Borrowed or own file names; the owner knows. */
typedef struct name_list {
    const char **names;
    size_t n, max;
} name_list;

static bool has_suffix(const char *name)
{
    size_t n = strlen(name), n_suffix = strlen(SUFFIX);
    return n > n_suffix && strcmp(name + n - n_suffix, SUFFIX) == 0;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool list_add(name_list *list, const char *name)
{
    if (list->n == list->max) {
        size_t larger = list->max * 2 + 16;
        const char **names = zoo_mem_realloc((void *)list->names, larger * sizeof *names);
        if (!names) {
            return false;
        }
        list->names = names;
        list->max = larger;
    }
    list->names[list->n++] = name;
    return true;
}

/* Sorted, each name once. */
static void list_unique(name_list *list)
{
    size_t n = 0;
    if (list->n == 0) {
        return;
    }
    qsort((void *)list->names, list->n, sizeof *list->names, by_name);
    for (size_t i = 0; i < list->n; i++) {
        if (n == 0 || strcmp(list->names[n - 1], list->names[i]) != 0) {
            list->names[n++] = list->names[i];
        }
    }
    list->n = n;
}

static bool file_exists(const char *folder, const char *name)
{
    char path[ZOO_PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && stat(path, &st) == 0;
}

/* The shards that an index names: plain file names, or the index could point anywhere. */
static zoo_status index_files(const char *folder, const cJSON *map, name_list *list, zoo_error *err)
{
    for (const cJSON *item = map->child; item; item = item->next) {
        const char *file = cJSON_IsString(item) ? item->valuestring : "";
        if (!has_suffix(file) || strchr(file, '/') || strchr(file, '\\')) {
            return zoo_fail(err, ZOO_E_FORMAT,
                            "%s/" INDEX_NAME ": tensor %.200s: \"%.100s\" is not the name of a "
                            "safetensors file in this folder",
                            folder, item->string, file);
        }
        if (!list_add(list, file)) {
            return zoo_fail(err, ZOO_E_MEMORY, "%s/" INDEX_NAME ": no memory", folder);
        }
    }
    list_unique(list);
    if (list->n == 0 || list->n > FILES_MAX) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s/" INDEX_NAME ": its weight_map names %zu files",
                        folder, list->n);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!file_exists(folder, list->names[i])) {
            return zoo_fail(err, ZOO_E_IO, "%s/" INDEX_NAME " names the shard %s, which is missing",
                            folder, list->names[i]);
        }
    }
    return ZOO_OK;
}

typedef struct index_count {
    size_t absent, elsewhere;
    const char *first_absent, *first_elsewhere;
    size_t found;
} index_count;

static index_count index_compare(const zoo_tensors *set, const cJSON *map)
{
    index_count count = {0};
    for (const cJSON *item = map->child; item; item = item->next) {
        const zoo_tensor *t = zoo_tensors_find(set, item->string);
        const char *slash = t ? strrchr(t->file, '/') : NULL;
        if (!t) {
            count.first_absent = count.absent++ ? count.first_absent : item->string;
            continue;
        }
        count.found++;
        if (strcmp(slash ? slash + 1 : t->file, item->valuestring) != 0) {
            count.first_elsewhere = count.elsewhere++ ? count.first_elsewhere : item->string;
        }
    }
    return count;
}

/* One note for each way in which index and shards differ. */
static zoo_status index_notes(const char *folder, zoo_tensors *set, const cJSON *map)
{
    index_count c = index_compare(set, map);
    if (c.absent) {
        ZOO_TRY(zoo_tensors_note_add(
            set, "%s/" INDEX_NAME " names %zu tensors that no shard holds, first %s", folder,
            c.absent, c.first_absent));
    }
    if (c.elsewhere) {
        ZOO_TRY(zoo_tensors_note_add(
            set, "%s/" INDEX_NAME " gives the wrong shard for %zu tensors, first %s", folder,
            c.elsewhere, c.first_elsewhere));
    }
    if (c.found < zoo_tensors_count(set)) {
        ZOO_TRY(zoo_tensors_note_add(set, "%s/" INDEX_NAME " leaves out %zu tensors of its shards",
                                     folder, zoo_tensors_count(set) - c.found));
    }
    return ZOO_OK;
}

static zoo_status index_open(const char *folder, const cJSON *index, zoo_tensors **set,
                             zoo_error *err)
{
    name_list list = {0};
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(index, "weight_map");
    if (!cJSON_IsObject(map)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s/" INDEX_NAME ": it has no object weight_map",
                        folder);
    }
    zoo_status status = index_files(folder, map, &list, err);
    if (status == ZOO_OK) {
        status = zoo_tensors_open_list(folder, list.names, list.n, set, err);
    }
    zoo_mem_free((void *)list.names);
    if (status == ZOO_OK && index_notes(folder, *set, map) != ZOO_OK) {
        zoo_tensors_close(*set);
        *set = NULL;
        return zoo_fail(err, ZOO_E_MEMORY, "%s/" INDEX_NAME ": no memory", folder);
    }
    return status;
}

static zoo_status index_read(const char *folder, zoo_tensors **set, zoo_error *err)
{
    char path[ZOO_PATH_MAX];
    cJSON *index;
    (void)snprintf(path, sizeof path, "%s/" INDEX_NAME, folder);
    ZOO_TRY(zoo_json_read_python(path, INDEX_MAX, &index, err));
    zoo_status status = index_open(folder, index, set, err);
    cJSON_Delete(index);
    return status;
}

/* Whether the sorted names are x-00001-of-0000N to x-0000N-of-0000N and nothing else. */
static bool is_series(const name_list *list)
{
    char wanted[512];
    for (size_t i = 0; i < list->n; i++) {
        const char *of = strstr(list->names[i], "-of-");
        size_t n_stem = of ? (size_t)(of - list->names[i]) : 0;
        if (n_stem < 7 || n_stem > 256) {
            return false;
        }
        (void)snprintf(wanted, sizeof wanted, "%.*s-%05zu-of-%05zu" SUFFIX, (int)n_stem - 6,
                       list->names[0], i + 1, list->n);
        if (strcmp(wanted, list->names[i]) != 0) {
            return false;
        }
    }
    return list->n > 0;
}

/* All *.safetensors of the folder; the names are the list's own. */
static zoo_status folder_list(const char *folder, name_list *list, zoo_error *err)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir) {
        return zoo_fail(err, zoo_file_status(errno), "%s: %s", folder, strerror(errno));
    }
    zoo_status status = ZOO_OK;
    while (status == ZOO_OK && (entry = readdir(dir))) {
        if (has_suffix(entry->d_name)) {
            char *name = zoo_mem_text(entry->d_name, strlen(entry->d_name));
            if (!name || !list_add(list, name)) {
                zoo_mem_free(name);
                status = zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for its list", folder);
            }
        }
    }
    (void)closedir(dir);
    return status;
}

static zoo_status folder_open(const char *folder, name_list *list, zoo_tensors **set,
                              zoo_error *err)
{
    ZOO_TRY(folder_list(folder, list, err));
    if (list->n == 0) {
        return zoo_fail(err, ZOO_E_IO,
                        "%s: holds no model.safetensors, no " INDEX_NAME
                        " and no other safetensors file",
                        folder);
    }
    qsort((void *)list->names, list->n, sizeof *list->names, by_name);
    if (list->n > 1 && !is_series(list)) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s: holds %zu safetensors files (%.100s, %.100s, ...) and no " INDEX_NAME
                        " to say which belong together",
                        folder, list->n, list->names[0], list->names[1]);
    }
    return zoo_tensors_open_list(folder, list->names, list->n, set, err);
}

zoo_status zoo_tensors_open(const char *folder, zoo_tensors **set, zoo_error *err)
{
    const char *whole = "model.safetensors";
    name_list list = {0};
    *set = NULL;
    if (file_exists(folder, whole)) {
        return zoo_tensors_open_list(folder, &whole, 1, set, err);
    }
    if (file_exists(folder, INDEX_NAME)) {
        return index_read(folder, set, err);
    }
    zoo_status status = folder_open(folder, &list, set, err);
    for (size_t i = 0; i < list.n; i++) {
        zoo_mem_free((void *)(uintptr_t)list.names[i]);
    }
    zoo_mem_free((void *)list.names);
    return status;
}
