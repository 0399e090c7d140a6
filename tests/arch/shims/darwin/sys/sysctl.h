/* sysctl.h: macOS's, the call that is used (tests/arch/foreign). */
#include <stddef.h>
int sysctlbyname(const char *name, void *old, size_t *old_size, void *value, size_t size);
