/*
 * freebsd.h: musl's headers cut to what FreeBSD has (tests/arch/foreign). After the headers, names
 * that FreeBSD lacks may not be used any more.
 */
#define _GNU_SOURCE       /* FreeBSD shows everything */
#define __DEFINED_wchar_t /* its own type, which is the compiler's */
#include <stddef.h>

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

#undef MADV_HUGEPAGE
#undef MAP_POPULATE
#undef O_TMPFILE
#pragma GCC poison sched_setaffinity fallocate mremap syncfs secure_getenv prctl epoll_create1
#pragma GCC poison canonicalize_file_name getauxval
