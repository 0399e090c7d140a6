/* file.c: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

zoo_status zoo_file_status(int code)
{
    return code == ENOMEM || code == EMFILE || code == ENFILE ? ZOO_E_MEMORY : ZOO_E_IO;
}

/* Reads fd to its end into a buffer that grows by halves; hint is its expected size. */
static zoo_status read_all(int fd, const char *path, size_t hint, size_t bytes_max, char **data,
                           size_t *n, zoo_error *err)
{
    size_t capacity = hint < bytes_max ? hint : bytes_max;
    char *block = NULL;
    *n = 0;
    for (ssize_t got = 1; got != 0; *n += (size_t)got) {
        if (!block || *n == capacity + 1) {
            capacity = block ? capacity + capacity / 2 + 4096 : capacity;
            char *larger = capacity < SIZE_MAX - 2 ? zoo_mem_realloc(block, capacity + 2) : NULL;
            if (!larger) {
                zoo_mem_free(block);
                return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory to read it", path);
            }
            block = larger;
        }
        do {
            got = read(fd, block + *n, capacity + 1 - *n);
        } while (got < 0 && errno == EINTR);
        if (got < 0 || *n + (size_t)got > bytes_max) {
            zoo_mem_free(block);
            return got < 0
                       ? zoo_fail(err, zoo_file_status(errno), "%s: %s", path, strerror(errno))
                       : zoo_fail(err, ZOO_E_LIMIT, "%s: longer than %zu bytes", path, bytes_max);
        }
    }
    block[*n] = '\0';
    *data = block;
    return ZOO_OK;
}

zoo_status zoo_file_open(const char *path, int *fd, zoo_error *err)
{
    bool is_device = strncmp(path, "/dev/", 5) == 0;
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | (is_device ? 0 : O_NONBLOCK | O_NOCTTY));
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        zoo_status status = zoo_fail(err, zoo_file_status(errno), "%s: %s", path, strerror(errno));
        if (*fd >= 0) {
            (void)close(*fd);
            *fd = -1;
        }
        return status;
    }
    if (S_ISREG(st.st_mode) || (is_device && !S_ISDIR(st.st_mode))) {
        return ZOO_OK;
    }
    (void)close(*fd);
    *fd = -1;
    return S_ISDIR(st.st_mode) ? zoo_fail(err, ZOO_E_IO, "%s: is a folder", path)
                               : zoo_fail(err, ZOO_E_FORMAT, "%s: not a regular file", path);
}

zoo_status zoo_file_stream(const char *path, FILE **file, zoo_error *err)
{
    int fd;
    *file = NULL;
    ZOO_TRY(zoo_file_open(path, &fd, err));
    *file = fdopen(fd, "rb");
    if (!*file) {
        (void)close(fd);
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory to read it", path);
    }
    return ZOO_OK;
}

bool zoo_file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0) {
        return true;
    }
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool zoo_file_is_plain(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 || S_ISREG(info.st_mode);
}

bool zoo_file_is_kind(const char *path, const char *begin)
{
    char text[64] = "";
    struct stat info;
    FILE *file;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
        return true;
    }
    if (zoo_file_stream(path, &file, NULL) != ZOO_OK) {
        return false;
    }
    size_t n = fread(text, 1, strlen(begin) < sizeof text ? strlen(begin) : sizeof text, file);
    (void)fclose(file);
    return n == strlen(begin) && memcmp(text, begin, n) == 0;
}

bool zoo_file_is_pointer(const void *data, size_t n)
{
    static const char start[] = "version https://git-lfs.github.com/spec/";
    return n >= sizeof start - 1 && memcmp(data, start, sizeof start - 1) == 0;
}

zoo_status zoo_file_read(const char *path, size_t bytes_max, char **data, size_t *n, zoo_error *err)
{
    struct stat st;
    int fd;
    zoo_status status;
    *data = NULL;
    *n = 0;
    ZOO_TRY(zoo_file_open(path, &fd, err));
    size_t hint =
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 4096;
    if (S_ISREG(st.st_mode) && hint > bytes_max) {
        status = zoo_fail(err, ZOO_E_LIMIT, "%s: longer than %zu bytes", path, bytes_max);
    } else {
        status = read_all(fd, path, hint, bytes_max, data, n, err);
    }
    (void)close(fd);
    if (status == ZOO_OK && zoo_file_is_pointer(*data, *n)) {
        zoo_mem_free(*data);
        *data = NULL;
        return zoo_fail(err, ZOO_E_FORMAT, ZOO_POINTER_SENTENCE, path);
    }
    return status;
}

bool zoo_file_write(int fd, const void *data, uint64_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t done = write(fd, p, n < (1u << 30) ? (size_t)n : 1u << 30);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        p += done > 0 ? done : 0;
        n -= done > 0 ? (uint64_t)done : 0;
    }
    return true;
}
