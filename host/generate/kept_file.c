/* kept_file.c: writes, checks and reads the file (kept_file.h). */
#include "generate/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"

enum { VERSION = 1, BUFFER = 1 << 20 };

typedef struct header {
    char magic[8];
    uint32_t version, n_entries;
    uint64_t key[2], shape;
    uint64_t n_bytes; /* after the header */
    uint64_t hash[2]; /* XXH3-128 of them */
} header;

static const char magic[8] = "lmzkept";

typedef struct entry_head {
    uint32_t n, is_spare;
} entry_head;

static void note(zoo_kept_file *file, const char *what, const char *why)
{
    (void)snprintf(file->note, sizeof file->note, "%.400s %s: %s", file->path, what, why);
}

/* A file position with a running hash and the number of bytes written. */
typedef struct stream {
    int fd;
    XXH3_state_t *hash;
    uint64_t n;
} stream;

static bool begin_stream(stream *s, int fd)
{
    *s = (stream){.fd = fd, .hash = XXH3_createState()};
    return s->hash && XXH3_128bits_reset(s->hash) == XXH_OK;
}

static bool put(void *arg, void *data, size_t n)
{
    stream *s = arg;
    s->n += n;
    return n == 0 ||
           (XXH3_128bits_update(s->hash, data, n) == XXH_OK && zoo_file_write(s->fd, data, n));
}

static bool get(void *arg, void *data, size_t n)
{
    const stream *s = arg;
    char *at = data;
    while (n > 0) {
        ssize_t got = read(s->fd, at, n);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        at += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* ---- saving ---- */

static int by_use(const void *a, const void *b)
{
    const zoo_kept_entry *const *x = a, *const *y = b;
    return (*x)->used < (*y)->used ? -1 : (*x)->used > (*y)->used;
}

/* Index of the first entry of list [n], sorted by last use, that is saved: it and all after it fit
 * bytes_max. */
static uint32_t choose(const zoo_kept_file *file, zoo_cache_saver *saver,
                       const zoo_kept_entry *const *list, uint32_t n)
{
    uint64_t sum = sizeof(header);
    while (n > 0) {
        const zoo_kept_entry *e = list[n - 1];
        sum +=
            sizeof(entry_head) + e->n * sizeof *e->tokens + zoo_cache_saver_count(saver, e->prefix);
        if (sum > file->bytes_max) {
            break;
        }
        n--;
    }
    return n;
}

static bool write_entry(stream *s, zoo_cache_saver *saver, const zoo_kept_entry *e)
{
    entry_head head = {e->n, e->used == 0};
    return put(s, &head, sizeof head) && put(s, e->tokens, e->n * sizeof *e->tokens) &&
           zoo_cache_saver_write(saver, e->prefix, put, s);
}

static bool write_all(const zoo_kept_file *file, zoo_engine *engine, zoo_cache_saver *saver,
                      const zoo_kept_entry *const *list, uint32_t n, int fd)
{
    header h = {.version = VERSION,
                .n_entries = n,
                .key = {file->key[0], file->key[1]},
                .shape = zoo_engine_cache_shape(engine)};
    stream s;
    bool ok = begin_stream(&s, fd) && lseek(fd, sizeof h, SEEK_SET) == (off_t)sizeof h;
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = write_entry(&s, saver, list[i]);
    }
    if (ok) {
        XXH128_hash_t hash = XXH3_128bits_digest(s.hash);
        memcpy(h.magic, magic, sizeof magic);
        h.n_bytes = s.n;
        h.hash[0] = hash.low64;
        h.hash[1] = hash.high64;
        ok = fsync(fd) == 0 && lseek(fd, 0, SEEK_SET) == 0 && zoo_file_write(fd, &h, sizeof h) &&
             fsync(fd) == 0;
    }
    (void)XXH3_freeState(s.hash);
    return ok;
}

static bool write_file(const zoo_kept_file *file, zoo_engine *engine,
                       const zoo_kept_entry *const *list, uint32_t n)
{
    char part[sizeof file->path + 8];
    zoo_cache_saver *saver = NULL;
    (void)snprintf(part, sizeof part, "%s.part", file->path);
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 &&
              zoo_engine_saver(engine, &saver, NULL) == ZOO_OK &&
              write_all(file, engine, saver, list, n, fd) && rename(part, file->path) == 0;
    int code = errno;
    zoo_cache_saver_free(saver);
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = code;
    return ok;
}

void zoo_kept_save(zoo_kept_file *file, zoo_engine *engine, const zoo_kept *kept)
{
    const zoo_kept_entry **list = zoo_mem_array((size_t)kept->n + 1, sizeof(zoo_kept_entry *));
    zoo_cache_saver *saver = NULL;
    file->note[0] = 0;
    if (!list || zoo_engine_saver(engine, &saver, NULL) != ZOO_OK) {
        zoo_mem_free(list);
        note(file, "is not written", "no memory");
        return;
    }
    for (uint32_t i = 0; i < kept->n; i++) {
        list[i] = &kept->entries[i];
    }
    qsort(list, kept->n, sizeof *list, by_use);
    uint32_t first = choose(file, saver, list, kept->n), n = kept->n - first;
    zoo_cache_saver_free(saver);
    errno = 0;
    if (n == 0) {
        (void)unlink(file->path);
    } else if (!write_file(file, engine, list + first, n)) {
        note(file, "is not written", strerror(errno ? errno : EIO));
    }
    zoo_mem_free(list);
}

/* ---- loading ---- */

/* Why the header does not fit; null: it does. */
static const char *check_header(const zoo_kept_file *file, const zoo_engine *engine,
                                const header *h, uint64_t size)
{
    if (memcmp(h->magic, magic, sizeof magic) != 0) {
        return "its writer was killed, or it is another kind of file";
    }
    if (h->version != VERSION || h->key[0] != file->key[0] || h->key[1] != file->key[1] ||
        h->shape != zoo_engine_cache_shape(engine)) {
        return "it is of another model, program, instruction set or cache";
    }
    return h->n_bytes != size - sizeof *h ? "it is truncated" : NULL;
}

static bool hash_matches(const header *h, int fd)
{
    stream s;
    char *buffer = zoo_mem_alloc(BUFFER);
    bool ok = begin_stream(&s, fd) && buffer;
    for (uint64_t left = h->n_bytes; ok && left > 0;) {
        size_t n = left < BUFFER ? (size_t)left : BUFFER;
        ok = get(&s, buffer, n) && XXH3_128bits_update(s.hash, buffer, n) == XXH_OK;
        left -= n;
    }
    if (ok) {
        XXH128_hash_t hash = XXH3_128bits_digest(s.hash);
        ok = hash.low64 == h->hash[0] && hash.high64 == h->hash[1];
    }
    (void)XXH3_freeState(s.hash);
    zoo_mem_free(buffer);
    return ok;
}

/* Reads one entry into the engine and the index. */
static zoo_status read_entry(stream *s, zoo_engine *engine, zoo_cache_saver *saver, zoo_kept *kept,
                             zoo_error *err)
{
    entry_head head;
    uint32_t prefix = ZOO_NONE;
    if (!get(s, &head, sizeof head) || head.n == 0 ||
        head.n > zoo_engine_limits(engine)->context_max) {
        return zoo_fail(err, ZOO_E_FORMAT, "an entry has an impossible length");
    }
    int32_t *tokens = zoo_mem_array(head.n, sizeof *tokens);
    zoo_status status = !tokens ? zoo_fail(err, ZOO_E_MEMORY, "no memory for its tokens")
                        : !get(s, tokens, head.n * sizeof *tokens)
                            ? zoo_fail(err, ZOO_E_IO, "it ends too early")
                            : zoo_cache_saver_read(saver, get, s, &prefix, err);
    if (status == ZOO_OK && (zoo_engine_prefix_length(engine, prefix) != head.n ||
                             !zoo_kept_add(kept, tokens, head.n, prefix, head.is_spare))) {
        zoo_engine_prefix_drop(engine, prefix);
        status = zoo_fail(err, ZOO_E_FORMAT, "an entry's tokens and cache differ in length");
    }
    zoo_mem_free(tokens);
    return status;
}

static void read_all(zoo_kept_file *file, zoo_engine *engine, zoo_kept *kept, const header *h,
                     int fd)
{
    zoo_cache_saver *saver = NULL;
    stream s = {.fd = fd};
    zoo_error err = {0};
    zoo_status status = zoo_engine_saver(engine, &saver, &err);
    uint32_t n = 0;
    while (status == ZOO_OK && n < h->n_entries) {
        status = read_entry(&s, engine, saver, kept, &err);
        n += status == ZOO_OK;
    }
    zoo_cache_saver_free(saver);
    if (status != ZOO_OK) {
        char what[64];
        (void)snprintf(what, sizeof what, "is used for %u of its %u entries", n, h->n_entries);
        note(file, what, err.text);
    }
}

void zoo_kept_load(zoo_kept_file *file, zoo_engine *engine, zoo_kept *kept)
{
    header h = {.version = 0};
    struct stat info;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    file->note[0] = 0;
    if (fd < 0) {
        if (errno != ENOENT) {
            note(file, "is not used", strerror(errno));
        }
        return;
    }
    bool there = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    stream s = {.fd = fd};
    const char *why = !there ? "it is not a regular file" : NULL;
    if (!why && (info.st_size < (off_t)sizeof h || !get(&s, &h, sizeof h))) {
        why = "it is truncated";
    }
    why = why ? why : check_header(file, engine, &h, (uint64_t)info.st_size);
    if (!why && (!hash_matches(&h, fd) || lseek(fd, sizeof h, SEEK_SET) < 0)) {
        why = "its checksum is wrong";
    }
    if (why) {
        note(file, "is not used", why);
    } else {
        read_all(file, engine, kept, &h, fd);
    }
    (void)close(fd);
}
