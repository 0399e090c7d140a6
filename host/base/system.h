/*
 * system.h: calls that differ between Linux, FreeBSD and macOS. Only pool.c and machine_limits.c
 * (pinned threads, CPU counts) and kernels/detect_*.c (CPU features) test for a system elsewhere.
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

/* Usable bytes of a block from malloc, at least as many as were requested. [any] */
static inline size_t zoo_system_block_size(void *block)
{
#if defined(__APPLE__)
    return malloc_size(block);
#else
    return malloc_usable_size(block);
#endif
}

/* Advises large pages for [begin, begin + n), which begins at a page: fewer faults, faster reads.
 * Does nothing on systems without such a call. [any] */
static inline void zoo_system_large_pages(void *begin, size_t n)
{
#if defined(MADV_HUGEPAGE)
    (void)madvise(begin, n, MADV_HUGEPAGE);
#else
    (void)begin;
    (void)n;
#endif
}

/* Returns 0 once what was written to fd is on disk; else -1 and errno. [any] */
static inline int zoo_system_sync(int fd)
{
#if defined(__APPLE__)
    return fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
#else
    return fdatasync(fd);
#endif
}

/* Modification time and status-change time. [any] */
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
