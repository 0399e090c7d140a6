/*
 * safetensors_pages.c: which pages of a mapped payload are in memory, and reading around them.
 *
 * Pages that are done with are released by madvise. A few rows are read by pread, since touching
 * the mapping makes up to 2 MiB of the file resident, which counts as this process's memory.
 * Memory: a few KiB of stack. Other readers of the set are not affected.
 */
#include "checkpoint/safetensors.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECE = 4096 }; /* bytes of one read */

/* Whole pages only when they are given back: a neighbour's first bytes stay. */
static void give_back(const zoo_tensor *t, bool inner)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)t->data, end = begin + t->n_bytes;
    begin = (inner ? begin + page - 1 : begin) / page * page;
    end = (inner ? end : end + page - 1) / page * page;
    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

void zoo_tensor_release(const zoo_tensor *t)
{
    give_back(t, true);
}

void zoo_tensor_forget(const zoo_tensor *t)
{
    give_back(t, false);
}

static zoo_status read_bytes(const zoo_tensor *t, uint64_t at, size_t n, unsigned char *out,
                             zoo_error *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(t->fd, out + done, n - done, (off_t)(t->at + at + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            return zoo_fail(err, ZOO_E_IO,
                            "%s: ends inside tensor %s: it was truncated after it was opened",
                            t->file, t->name);
        } else if (errno != EINTR) {
            return zoo_fail(err, ZOO_E_IO, "%s: cannot be read: %s", t->file, strerror(errno));
        }
    }
    return ZOO_OK;
}

static zoo_status check_open(const zoo_tensor *t, zoo_error *err)
{
    return t->fd >= 0 ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: is mapped but not open", t->file);
}

zoo_status zoo_tensor_copy(const zoo_tensor *t, void *out, zoo_error *err)
{
    ZOO_TRY(check_open(t, err));
    return read_bytes(t, 0, t->n_bytes, out, err);
}

zoo_status zoo_tensor_read(const zoo_tensor *t, uint64_t begin, size_t n, float *out,
                           zoo_error *err)
{
    size_t size = zoo_dtype_size(t->dtype);
    if (size == 0 || begin > t->n_items || n > t->n_items - begin) {
        return zoo_tensor_widen(t, begin, n, out, err); /* for its sentence */
    }
    ZOO_TRY(check_open(t, err));
    unsigned char bytes[PIECE];
    zoo_tensor piece = *t;
    piece.data = bytes;
    for (size_t done = 0; done < n; done += piece.n_items) {
        piece.n_items = n - done < PIECE / size ? n - done : PIECE / size;
        ZOO_TRY(read_bytes(t, (begin + done) * size, piece.n_items * size, bytes, err));
        ZOO_TRY(zoo_tensor_widen(&piece, 0, piece.n_items, out + done, err));
    }
    return ZOO_OK;
}
