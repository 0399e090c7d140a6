/* file.c: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

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
                       ? zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno))
                       : zoo_fail(err, ZOO_E_LIMIT, "%s: longer than %zu bytes", path, bytes_max);
        }
    }
    block[*n] = '\0';
    *data = block;
    return ZOO_OK;
}

zoo_status zoo_file_read(const char *path, size_t bytes_max, char **data, size_t *n, zoo_error *err)
{
    struct stat st;
    *data = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        zoo_status status = zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    size_t hint = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 4096;
    zoo_status status;
    if (S_ISDIR(st.st_mode)) {
        status = zoo_fail(err, ZOO_E_IO, "%s: is a folder", path);
    } else if (S_ISREG(st.st_mode) && hint > bytes_max) {
        status = zoo_fail(err, ZOO_E_LIMIT, "%s: longer than %zu bytes", path, bytes_max);
    } else {
        status = read_all(fd, path, hint, bytes_max, data, n, err);
    }
    (void)close(fd);
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
