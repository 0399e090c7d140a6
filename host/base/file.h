/* file.h: whole files in, whole blocks out. */
#ifndef ZOO_BASE_FILE_H
#define ZOO_BASE_FILE_H

#include <stdio.h>

#include "base.h"

/* What an errno of a file is: ZOO_E_MEMORY where the system lacks memory or file descriptors, which
 * is no fault of the file, ZOO_E_IO otherwise. */
zoo_status zoo_file_status(int code);

/*
 * Opens a regular file to read. Others are refused (opening a FIFO would block), except names under
 * /dev that the user chose (/dev/stdin, /dev/fd/3). ZOO_E_IO: it cannot be opened, or is a folder;
 * ZOO_E_FORMAT: it is not a regular file.
 */
zoo_status zoo_file_open(const char *path, int *fd, zoo_error *err);
/* The same as a stream. */
zoo_status zoo_file_stream(const char *path, FILE **file, zoo_error *err);

/*
 * Reads a file (zoo_file_open) to its end: *data holds *n bytes and a terminating null; the caller
 * frees it with zoo_mem_free. A folder is ZOO_E_IO, more than bytes_max bytes ZOO_E_LIMIT, a Git
 * LFS pointer ZOO_E_FORMAT. [load]
 */
zoo_status zoo_file_read(const char *path, size_t bytes_max, char **data, size_t *n,
                         zoo_error *err);

/* Whether both names are of one file. */
bool zoo_file_is_same(const char *a, const char *b);
/* Whether the file may be replaced or removed: it is absent or a plain file. */
bool zoo_file_is_plain(const char *path);
/* Whether writing the file loses nothing but a former one of its kind: it is absent, empty or no
 * plain file, or begins with this text. */
bool zoo_file_is_kind(const char *path, const char *begin);

/* Whether a file with these first bytes is a Git LFS pointer; and the error message for it. */
bool zoo_file_is_pointer(const void *data, size_t n);
#define ZOO_POINTER_SENTENCE                                                                       \
    "%s is a Git LFS pointer, not the file itself: `git lfs pull` fetches it"

/* Writes all n bytes, retrying after signals; false: errno says why. [any] */
bool zoo_file_write(int fd, const void *data, uint64_t n);

#endif
