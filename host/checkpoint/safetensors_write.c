/*
 * safetensors_write.c: writes tensors to a file that is either complete or absent.
 *
 *   list -> header (cJSON, padded with spaces to 8 bytes) -> temporary file beside the target
 *        -> fsync -> rename
 *
 * Payload goes straight from the caller's arrays to the file. Memory: the header.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "checkpoint/safetensors_set.h"

#define BYTES_MAX 100000000000000u /* cJSON prints whole numbers up to here as digits */

/* A list of two or more numbers under a name; false without memory. */
static bool numbers_add(cJSON *entry, const char *name, const uint64_t *numbers, uint32_t n)
{
    cJSON *list = cJSON_AddArrayToObject(entry, name);
    for (uint32_t i = 0; list && i < n; i++) {
        cJSON *number = cJSON_CreateNumber((double)numbers[i]);
        if (!cJSON_AddItemToArray(list, number)) {
            cJSON_Delete(number);
            return false;
        }
    }
    return list != NULL;
}

static zoo_status tensor_bytes(const char *path, const zoo_tensor *t, uint64_t *n_bytes,
                               zoo_error *err)
{
    uint64_t n = zoo_dtype_size(t->dtype);
    if (n == 0 || t->n_dims > ZOO_TENSOR_DIMS_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: tensor %s: its dtype or shape cannot be written",
                        path, t->name);
    }
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (__builtin_mul_overflow(n, t->dims[i], &n)) {
            n = UINT64_MAX;
        }
    }
    if (n > BYTES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: tensor %s: too large", path, t->name);
    }
    *n_bytes = n;
    return ZOO_OK;
}

static zoo_status entry_add(const char *path, cJSON *header, const zoo_tensor *t, uint64_t *offset,
                            zoo_error *err)
{
    uint64_t n_bytes = 0;
    ZOO_TRY(tensor_bytes(path, t, &n_bytes, err));
    uint64_t span[2] = {*offset, *offset + n_bytes};
    if (span[1] > BYTES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: too large", path);
    }
    cJSON *entry = cJSON_AddObjectToObject(header, t->name);
    if (!entry || !cJSON_AddStringToObject(entry, "dtype", zoo_dtype_name(t->dtype)) ||
        !numbers_add(entry, "shape", t->dims, t->n_dims) ||
        !numbers_add(entry, "data_offsets", span, 2)) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for its header", path);
    }
    *offset = span[1];
    return ZOO_OK;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static zoo_status names_check(const char *path, const zoo_tensor *list, size_t n, zoo_error *err)
{
    const char **names = zoo_mem_array(n, sizeof *names);
    const char *twice = NULL;
    if (!names) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for %zu names", path, n);
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = list[i].name;
    }
    qsort((void *)names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n && !twice; i++) {
        twice = strcmp(names[i - 1], names[i]) == 0 ? names[i] : NULL;
    }
    zoo_mem_free((void *)names);
    return twice ? zoo_fail(err, ZOO_E_USAGE, "%s: two tensors are named %s", path, twice) : ZOO_OK;
}

/* The header's text, for cJSON_free. */
static zoo_status header_text(const char *path, const zoo_tensor *list, size_t n, char **text,
                              zoo_error *err)
{
    uint64_t offset = 0;
    cJSON *header;
    *text = NULL;
    /* An empty text through the reader sets cJSON's memory functions. */
    ZOO_TRY(zoo_json_parse("{}", 2, path, &header, err));
    zoo_status status = names_check(path, list, n, err);
    for (size_t i = 0; i < n && status == ZOO_OK; i++) {
        status = entry_add(path, header, &list[i], &offset, err);
    }
    if (status == ZOO_OK) {
        *text = cJSON_PrintUnformatted(header);
        status = *text ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for its header", path);
    }
    cJSON_Delete(header);
    return status;
}

static bool write_parts(int fd, const char *header, const zoo_tensor *list, size_t n)
{
    size_t n_header = strlen(header);
    uint64_t length = (n_header + 7) / 8 * 8;
    bool good = zoo_file_write(fd, &length, sizeof length) &&
                zoo_file_write(fd, header, n_header) &&
                zoo_file_write(fd, "       ", length - n_header);
    for (size_t i = 0; i < n && good; i++) {
        uint64_t n_bytes = 0;
        good = tensor_bytes("", &list[i], &n_bytes, NULL) == ZOO_OK &&
               zoo_file_write(fd, list[i].data, n_bytes);
    }
    return good;
}

static zoo_status write_and_rename(const char *path, const char *header, const zoo_tensor *list,
                                   size_t n, zoo_error *err)
{
    char part[ZOO_PATH_MAX];
    int length = snprintf(part, sizeof part, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof part) {
        return zoo_fail(err, ZOO_E_IO, "%.64s...: the path is too long", path);
    }
    if (!zoo_file_is_plain(path)) {
        return zoo_fail(err, ZOO_E_IO, "%s: not a plain file; it would be replaced", path);
    }
    int fd = mkstemp(part);
    if (fd < 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s", part, strerror(errno));
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    bool good = write_parts(fd, header, list, n) && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
    int code = errno;
    good = close(fd) == 0 && good;
    if (good && rename(part, path) == 0) {
        return ZOO_OK;
    }
    code = good ? errno : code;
    (void)unlink(part);
    return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(code));
}

zoo_status zoo_tensors_write(const char *path, const zoo_tensor *list, size_t n, zoo_error *err)
{
    char *header;
    ZOO_TRY(header_text(path, list, n, &header, err));
    zoo_status status = write_and_rename(path, header, list, n, err);
    cJSON_free(header);
    return status;
}
