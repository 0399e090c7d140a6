/* store.c: see store.h. */
#include "serve/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { OBJECT_BYTES_MAX = 1 << 20 };

struct zoo_store {
    char folder[3900];
    uint64_t seed[2], n_ids;
    pthread_mutex_t lock;
};

zoo_status zoo_store_open(const char *folder, zoo_store **out, zoo_error *err)
{
    zoo_store *s = zoo_mem_array(1, sizeof *s);
    *out = NULL;
    if (!s) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the store of files");
    }
    if (strlen(folder) >= sizeof s->folder || (mkdir(folder, 0700) != 0 && errno != EEXIST) ||
        access(folder, W_OK | X_OK) != 0) {
        zoo_mem_free(s);
        return zoo_fail(err, ZOO_E_IO, "--files %.200s: %s", folder, strerror(errno));
    }
    (void)snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (getrandom(s->seed, sizeof s->seed, 0) != (ssize_t)sizeof s->seed) {
        s->seed[0] ^= (uint64_t)time(NULL);
        s->seed[1] ^= (uint64_t)getpid();
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return ZOO_OK;
}

void zoo_store_close(zoo_store *s)
{
    if (s) {
        (void)pthread_mutex_destroy(&s->lock);
        zoo_mem_free(s);
    }
}

void zoo_store_id(zoo_store *s, const char *prefix, char id[ZOO_STORE_ID])
{
    XXH128_hash_t hash;
    (void)pthread_mutex_lock(&s->lock);
    s->n_ids++;
    hash = XXH3_128bits_withSeed(s->seed, sizeof s->seed, s->n_ids);
    (void)pthread_mutex_unlock(&s->lock);
    (void)snprintf(id, ZOO_STORE_ID, "%s%016llx%08llx", prefix, (unsigned long long)hash.low64,
                   (unsigned long long)(hash.high64 & 0xffffffffu));
}

bool zoo_store_is_id(const char *id)
{
    size_t n = strlen(id);
    return n > 0 && n < ZOO_STORE_ID &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

bool zoo_store_path(const zoo_store *s, const char *id, const char *ending, char path[4096])
{
    int n = snprintf(path, 4096, "%s/%s%s", s->folder, id, ending);
    return n > 0 && n < 4096;
}

zoo_status zoo_store_put(zoo_store *s, const char *id, const cJSON *object, zoo_error *err)
{
    char path[4096], other[4096];
    char *text = cJSON_PrintUnformatted(object);
    bool ok =
        text && zoo_store_path(s, id, ".json", path) && zoo_store_path(s, id, ".json.new", other);
    int fd = ok ? open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    ok = fd >= 0 && zoo_file_write(fd, text, strlen(text)) && fsync(fd) == 0;
    ok = (fd < 0 || close(fd) == 0) && ok && rename(other, path) == 0;
    cJSON_free(text);
    return ok ? ZOO_OK
              : zoo_fail(err, ZOO_E_IO, "%s/%s.json: %s", s->folder, id,
                         strerror(errno ? errno : EIO));
}

cJSON *zoo_store_get(const zoo_store *s, const char *id)
{
    char path[4096];
    cJSON *object = NULL;
    if (!zoo_store_is_id(id) || !zoo_store_path(s, id, ".json", path) ||
        zoo_json_read(path, OBJECT_BYTES_MAX, &object, NULL) != ZOO_OK) {
        return NULL;
    }
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static double created(const cJSON *object)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(object, "created_at");
    return cJSON_IsNumber(at) ? at->valuedouble : 0;
}

/* Puts the object before the first one that is older. */
static bool insert(cJSON *list, cJSON *object)
{
    int at = 0;
    const cJSON *other;
    cJSON_ArrayForEach(other, list)
    {
        if (created(other) < created(object)) {
            break;
        }
        at++;
    }
    return cJSON_InsertItemInArray(list, at, object);
}

cJSON *zoo_store_list(const zoo_store *s, const char *prefix)
{
    cJSON *list = cJSON_CreateArray();
    DIR *dir = opendir(s->folder);
    const struct dirent *entry;
    while (list && dir && (entry = readdir(dir)) != NULL) {
        char id[ZOO_STORE_ID];
        size_t n = strlen(entry->d_name);
        if (n < 6 || n - 5 >= sizeof id || strcmp(entry->d_name + n - 5, ".json") != 0 ||
            strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        memcpy(id, entry->d_name, n - 5);
        id[n - 5] = '\0';
        cJSON *object = zoo_store_get(s, id);
        if (object && !insert(list, object)) {
            cJSON_Delete(object);
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
    return list;
}

bool zoo_store_remove(zoo_store *s, const char *id)
{
    char path[4096];
    if (!zoo_store_is_id(id) || !zoo_store_path(s, id, ".json", path) || unlink(path) != 0) {
        return false;
    }
    if (zoo_store_path(s, id, "", path)) {
        (void)unlink(path);
    }
    return true;
}

cJSON *zoo_store_file(const zoo_store *s, const char *id, const char *filename, const char *purpose)
{
    char path[4096];
    struct stat info;
    cJSON *out;
    if (!zoo_store_path(s, id, "", path) || stat(path, &info) != 0) {
        return NULL;
    }
    out = cJSON_CreateObject();
    if (!out || !cJSON_AddStringToObject(out, "id", id) ||
        !cJSON_AddStringToObject(out, "object", "file") ||
        !cJSON_AddNumberToObject(out, "bytes", (double)info.st_size) ||
        !cJSON_AddNumberToObject(out, "created_at", (double)time(NULL)) ||
        !cJSON_AddStringToObject(out, "filename", filename) ||
        !cJSON_AddStringToObject(out, "purpose", purpose) ||
        !cJSON_AddStringToObject(out, "status", "processed")) {
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}
