/* malloc.h: macOS's, the call that is used (tests/arch/foreign). */
#include <stddef.h>
size_t malloc_size(const void *block);
