/* file.h: whole files in, whole blocks out. */
#ifndef ZOO_BASE_FILE_H
#define ZOO_BASE_FILE_H

#include "base.h"

/*
 * Reads a file, device or pipe to its end: *data holds *n bytes and one null more, to be given to
 * zoo_mem_free. A folder is ZOO_E_IO, more than bytes_max bytes ZOO_E_LIMIT. [load]
 */
zoo_status zoo_file_read(const char *path, size_t bytes_max, char **data, size_t *n,
                         zoo_error *err);

/* Writes all n bytes, whatever signals come between; false: errno says why. [any] */
bool zoo_file_write(int fd, const void *data, uint64_t n);

#endif
