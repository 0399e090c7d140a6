/* malloc_np.h: FreeBSD's, the call that is used (tests/arch/foreign). */
#include <stddef.h>
size_t malloc_usable_size(const void *block);
