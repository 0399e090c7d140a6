/* fileio.c: see fileio.h. */
#include "base/fileio.h"

#include <errno.h>
#include <unistd.h>

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
