/*
 * darwin.h: musl's headers cut to what macOS has (tests/arch/foreign). After the headers, names
 * that macOS lacks may not be used any more.
 */
#define _GNU_SOURCE /* as _DARWIN_C_SOURCE: dladdr, mkostemp */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define F_FULLFSYNC  51
#define st_mtimespec st_mtim
#define st_ctimespec st_ctim
#undef MADV_HUGEPAGE
#undef MAP_POPULATE
#undef O_TMPFILE
#undef POSIX_FADV_DONTNEED
#pragma GCC poison sched_getaffinity sched_setaffinity pthread_setaffinity_np
#pragma GCC poison pthread_condattr_setclock fdatasync malloc_usable_size getauxval memfd_create
#pragma GCC poison pipe2 posix_fadvise posix_fallocate fallocate mremap syncfs strchrnul
#pragma GCC poison clock_nanosleep sem_timedwait qsort_r secure_getenv prctl epoll_create1
#pragma GCC poison canonicalize_file_name
