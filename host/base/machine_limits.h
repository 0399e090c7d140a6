/*
 * machine_limits.h: how much of the machine the process may use: CPUs by affinity and by the quota
 * of its control group, memory by the machine's size and by the group's limit.
 *
 * Control groups of version 1 and 2 are read, from the process's own group up to the root; the
 * tightest bound counts. A file that cannot be read sets none.
 */
#ifndef ZOO_BASE_MACHINE_LIMITS_H
#define ZOO_BASE_MACHINE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Threads that can run at once, at least 1. */
uint32_t zoo_machine_threads(void);
/* Bytes of memory, SIZE_MAX when nothing is known. */
size_t zoo_machine_memory(void);

/* The same from other places, for tests: proc is /proc, sys /sys/fs/cgroup. 0 and SIZE_MAX: no
 * bound. */
uint32_t zoo_cgroup_threads(const char *proc, const char *sys);
size_t zoo_cgroup_memory(const char *proc, const char *sys);

#endif
