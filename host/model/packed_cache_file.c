/*
 * packed_cache_file.c: reads and writes the file whose layout is in packed_cache_private.h.
 *
 * Writing goes to <path>.part under a lock: of two processes one writes and the other skips it, and
 * what a killed one left is overwritten. The file gets its name by rename, so a reader sees a whole
 * file or none, and a process that has mapped an older one keeps it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "base/system.h"
#include "model/pack.h"
#include "model/packed_cache_private.h"

enum { PIECE = 1 << 20 };

uint64_t zoo_packed_bytes(const zoo_packed_entry *e)
{
    size_t scales, data = zoo_pack_size((zoo_dtype)e->kind, e->rows, e->cols, e->group, &scales);
    return data ? ((uint64_t)data + 63) / 64 * 64 + ((uint64_t)scales + 63) / 64 * 64 : 0;
}

typedef struct check_job {
    const unsigned char *data;
    uint64_t n;
    uint64_t *checks;
} check_job;

static void check_piece(void *arg, uint32_t piece, uint32_t worker)
{
    const check_job *job = arg;
    uint64_t begin = (uint64_t)piece * PIECE, left = job->n - begin;
    (void)worker;
    job->checks[piece] = XXH3_64bits(job->data + begin, left < PIECE ? (size_t)left : PIECE);
}

bool zoo_packed_check(const void *data, uint64_t n, zoo_pool *pool, uint64_t *check)
{
    uint32_t n_pieces = (uint32_t)((n + PIECE - 1) / PIECE);
    check_job job = {data, n, zoo_mem_array(n_pieces, sizeof *job.checks)};
    if (!job.checks) {
        return false;
    }
    zoo_pool_run(pool, n_pieces, check_piece, &job);
    *check = XXH3_64bits(job.checks, n_pieces * sizeof *job.checks);
    zoo_mem_free(job.checks);
    return true;
}

static uint64_t begin_of(uint64_t n_matrices)
{
    uint64_t table = sizeof(zoo_packed_header) + n_matrices * sizeof(zoo_packed_entry);
    return (table + ZOO_PACKED_ALIGN - 1) / ZOO_PACKED_ALIGN * ZOO_PACKED_ALIGN;
}

/* Checksum of the header with check 0 and of the table; false: out of memory. */
static bool table_check(const zoo_packed_header *h, const zoo_packed_entry *table, uint64_t *check)
{
    zoo_packed_header zero = *h;
    XXH3_state_t *state = XXH3_createState();
    zero.check = 0;
    if (!state || XXH3_64bits_reset(state) == XXH_ERROR) {
        (void)XXH3_freeState(state);
        return false;
    }
    (void)XXH3_64bits_update(state, &zero, sizeof zero);
    (void)XXH3_64bits_update(state, table, (size_t)h->n_matrices * sizeof *table);
    *check = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    return true;
}

/* What is wrong with the mapped file, or null. */
static const char *judge(const zoo_packed *packed)
{
    zoo_packed_header h;
    if (packed->size < sizeof h) {
        return "it is shorter than a header";
    }
    memcpy(&h, packed->base, sizeof h);
    if (memcmp(h.magic, ZOO_PACKED_MAGIC, sizeof h.magic) != 0) {
        return "it is not a file of packed weights";
    }
    if (h.order != ZOO_PACKED_ORDER) {
        return "it was written in another byte order";
    }
    if (h.version != ZOO_PACKED_VERSION) {
        return "it has another version";
    }
    if (h.n_matrices > ZOO_PACKED_MATRICES_MAX || h.begin != begin_of(h.n_matrices) ||
        h.n_bytes != packed->size || h.begin > h.n_bytes) {
        return "it is cut or damaged";
    }
    uint64_t check;
    const void *table = packed->base + sizeof h;
    if (!table_check(&h, table, &check)) {
        return "there is no memory to check it";
    }
    if (check != h.check) {
        return "its header is damaged";
    }
    return memcmp(h.key, packed->key, sizeof h.key) == 0
               ? NULL
               : "it was made from another state of the model or by another build";
}

static bool map_file(zoo_packed *packed, int fd, char *why, size_t n_why)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uintmax_t)st.st_size > SIZE_MAX / 2) {
        (void)snprintf(why, n_why, "it is empty or not a regular file");
        return false;
    }
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        (void)snprintf(why, n_why, "it cannot be mapped: %s", strerror(errno));
        return false;
    }
    zoo_system_large_pages(base,
                           (size_t)st.st_size); /* so that it is read from disk in large pages */
    zoo_mapped_add(base, (size_t)st.st_size, packed->path);
    packed->base = base;
    packed->size = (size_t)st.st_size;
    return true;
}

bool zoo_packed_map(zoo_packed *packed, char *why, size_t n_why)
{
    int fd = open(packed->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    why[0] = '\0';
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            (void)snprintf(why, n_why, "%s", strerror(errno));
        }
        return false;
    }
    bool mapped = map_file(packed, fd, why, n_why);
    (void)close(fd);
    const char *fault = mapped ? judge(packed) : NULL;
    if (fault) {
        (void)snprintf(why, n_why, "%s", fault);
    }
    if (!mapped || fault) {
        return false;
    }
    zoo_packed_header h;
    memcpy(&h, packed->base, sizeof h);
    packed->table = (const void *)(packed->base + sizeof h);
    packed->n_matrices = h.n_matrices;
    packed->at = h.begin;
    return true;
}

static bool write_parts(int fd, const zoo_packed *packed)
{
    static const char zeros[ZOO_PACKED_ALIGN];
    uint64_t table = packed->n_entries * sizeof *packed->entries;
    zoo_packed_header h = {.version = ZOO_PACKED_VERSION,
                           .order = ZOO_PACKED_ORDER,
                           .key = {packed->key[0], packed->key[1]},
                           .n_matrices = packed->n_entries,
                           .begin = begin_of(packed->n_entries)};
    memcpy(h.magic, ZOO_PACKED_MAGIC, sizeof h.magic);
    h.n_bytes = h.begin;
    for (uint64_t i = 0; i < packed->n_entries; i++) {
        h.n_bytes += packed->entries[i].n_bytes;
    }
    if (!table_check(&h, packed->entries, &h.check)) {
        errno = ENOMEM;
        return false;
    }
    bool good = zoo_file_write(fd, &h, sizeof h) && zoo_file_write(fd, packed->entries, table) &&
                zoo_file_write(fd, zeros, h.begin - sizeof h - table);
    for (uint64_t i = 0; i < packed->n_entries && good; i++) {
        good = zoo_file_write(fd, packed->data[i], packed->entries[i].n_bytes);
    }
    return good;
}

/* Whether the locked file still has the name part: another writer may have renamed it. */
static bool is_ours(int fd, const char *part)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && lstat(part, &named) == 0 &&
           open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

static int write_locked(int fd, const char *part, const zoo_packed *packed)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_ours(fd, part)) {
        return EBUSY;
    }
    if (ftruncate(fd, 0) != 0 || !write_parts(fd, packed) || fsync(fd) != 0 ||
        rename(part, packed->path) != 0) {
        int code = errno;
        (void)unlink(part);
        return code ? code : EIO;
    }
    return 0;
}

int zoo_packed_write(const zoo_packed *packed)
{
    char part[sizeof packed->path + 8];
    (void)snprintf(part, sizeof part, "%s.part", packed->path);
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    int code = write_locked(fd, part, packed);
    if (close(fd) != 0 && code == 0) {
        code = errno;
    }
    return code;
}
