/* reference.h: the folder of reference data, which is not part of the repository; tests skip when
 * it is absent. */
#ifndef ZOO_TESTS_REFERENCE_H
#define ZOO_TESTS_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>

static inline const char *test_reference(void)
{
    const char *path = getenv("LMZOO_REFERENCE");
    return path ? path : LMZOO_SOURCE_DIR "/../shared/reference";
}

/* A path in the folder for temporary files, for mkstemp and mkdtemp. */
static inline char *test_temp(char *path, size_t n, const char *name)
{
    const char *folder = getenv("TMPDIR");
    (void)snprintf(path, n, "%s/%s", folder && *folder ? folder : "/tmp", name);
    return path;
}

#endif
