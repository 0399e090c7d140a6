/* file_hash.h: a hash that identifies the contents of a file. */
#ifndef ZOO_BASE_FILE_HASH_H
#define ZOO_BASE_FILE_HASH_H

#include "base.h"

/* XXH3 of the file's bytes as 32 hex digits; n: bytes of hex, at least 33. ZOO_E_IO. [load] */
zoo_status zoo_file_hash(const char *path, char *hex, size_t n);

#endif
