/*
 * system.h: what Linux, FreeBSD and macOS name differently. Nothing else of the host asks which
 * system it is built for, but for threads pinned to cores and what a CPU has (pool.c,
 * machine_limits.c, kernels/detect_*.c).
 */
#ifndef ZOO_BASE_SYSTEM_H
#define ZOO_BASE_SYSTEM_H

#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <fcntl.h>
#include <malloc/malloc.h>
#elif defined(__FreeBSD__)
#include <malloc_np.h>
#else
#include <malloc.h>
#endif

/* Bytes that a block of malloc's has, at least those that were asked for. [any] */
static inline size_t zoo_system_block_size(void *block)
{
#if defined(__APPLE__)
    return malloc_size(block);
#else
    return malloc_usable_size(block);
#endif
}

/* Asks for large pages under [begin, begin + n), which begins at a page: fewer faults, faster
 * reads. A system that has no such call decides by itself. [any] */
static inline void zoo_system_large_pages(void *begin, size_t n)
{
#if defined(MADV_HUGEPAGE)
    (void)madvise(begin, n, MADV_HUGEPAGE);
#else
    (void)begin;
    (void)n;
#endif
}

/* What was written to fd is on the disk when this returns 0; else -1 and errno. [any] */
static inline int zoo_system_sync(int fd)
{
#if defined(__APPLE__)
    return fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
#else
    return fdatasync(fd);
#endif
}

/* When content, and when content or owner, changed last. [any] */
#if defined(__APPLE__)
static inline struct timespec zoo_system_changed(const struct stat *st)
{
    return st->st_mtimespec;
}
static inline struct timespec zoo_system_touched(const struct stat *st)
{
    return st->st_ctimespec;
}
#else
static inline struct timespec zoo_system_changed(const struct stat *st)
{
    return st->st_mtim;
}
static inline struct timespec zoo_system_touched(const struct stat *st)
{
    return st->st_ctim;
}
#endif

#endif
