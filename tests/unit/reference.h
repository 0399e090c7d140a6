/* reference.h: where tests find data that is no part of the repository; they skip when it is
 * absent. */
#ifndef ZOO_TESTS_REFERENCE_H
#define ZOO_TESTS_REFERENCE_H

#include <stdlib.h>

static inline const char *test_reference(void)
{
    const char *path = getenv("LMZOO_REFERENCE");
    return path ? path : LMZOO_SOURCE_DIR "/../shared/reference";
}

#endif
