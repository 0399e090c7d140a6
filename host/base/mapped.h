/*
 * mapped.h: mapped files: when a file is truncated or a disk fails while its pages are read, the
 * kernel raises SIGBUS; the handler here names the file in one sentence and ends with exit code 4.
 */
#ifndef ZOO_BASE_MAPPED_H
#define ZOO_BASE_MAPPED_H

#include <stddef.h>

/* Records that [base, base + n) maps this file; path is copied. When the table is full the sentence
 * will not name the file. */
void zoo_mapped_add(const void *base, size_t n, const char *path);
void zoo_mapped_remove(const void *base);

/* Installs the handler, once, at the start of the program. */
void zoo_mapped_guard(void);

#endif
