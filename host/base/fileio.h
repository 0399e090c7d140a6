/* fileio.h: what the writers of files share. */
#ifndef ZOO_BASE_FILEIO_H
#define ZOO_BASE_FILEIO_H

#include <stdbool.h>
#include <stdint.h>

/* All n bytes, whatever signals come between; false: errno says why. [any] */
bool zoo_file_write(int fd, const void *data, uint64_t n);

#endif
