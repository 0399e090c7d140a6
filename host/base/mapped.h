/*
 * mapped.h: files that are mapped: a file that is cut, or a disk that fails, while pages of it are
 * read raises SIGBUS; it becomes one sentence that names the file, and exit code 4.
 */
#ifndef ZOO_BASE_MAPPED_H
#define ZOO_BASE_MAPPED_H

#include <stddef.h>

/* Notes that [base, base + n) is the file; path is copied. Full: the sentence will not name it. */
void zoo_mapped_add(const void *base, size_t n, const char *path);
void zoo_mapped_remove(const void *base);

/* Installs the handler, once, at the start of the program. */
void zoo_mapped_guard(void);

#endif
