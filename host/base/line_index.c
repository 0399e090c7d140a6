/* line_index.c: see line_index.h. */
#define _GNU_SOURCE
#include "base/line_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { BUFFERED = 1024, VERSION = 1, PATH_BYTES = 4096, PARSED_MAX = 64 << 20 };
#define DUPLICATE (UINT64_C(1) << 63)
#define ORDER     UINT64_C(0x0102030405060708)

typedef struct stored {
    uint64_t offset, n, id; /* n with DUPLICATE */
} stored;

typedef struct header {
    char magic[8];
    uint32_t version, entry_bytes;
    uint64_t order; /* of bytes in a number */
    int64_t bytes, seconds, nanoseconds;
    uint64_t n_lines, n_rows, checksum; /* of the entries */
    char hash[40];
} header;

static const char magic[8] = {'Z', 'O', 'O', 'L', 'I', 'N', 'E', 'S'};

struct zoo_line_index {
    int fd;
    header head;
    char path[PATH_BYTES];
    uint64_t first; /* number of buffer[0] */
    size_t n;
    stored buffer[BUFFERED];
};

bool zoo_line_custom_id(const char *line, size_t n, zoo_id *out)
{
    cJSON *tree = NULL;
    bool has = zoo_json_parse(line, n, "line", &tree, NULL) == ZOO_OK && cJSON_IsObject(tree);
    const cJSON *id = has ? cJSON_GetObjectItemCaseSensitive(tree, "custom_id") : NULL;
    has = cJSON_IsString(id) && id->valuestring[0];
    if (has) {
        *out = zoo_id_of(id->valuestring, strlen(id->valuestring), 0);
    }
    cJSON_Delete(tree);
    return has;
}

/* ---- building it ---- */

typedef struct maker {
    int fd;
    header head;
    XXH3_state_t *sum;
    zoo_idmap custom_ids;
    stored buffer[BUFFERED];
    size_t n;
} maker;

static zoo_status write_error(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_IO, "the index of the lines cannot be written: %s", strerror(errno));
}

static zoo_status flush(maker *m, zoo_error *err)
{
    size_t n = m->n * sizeof(stored);
    (void)XXH3_64bits_update(m->sum, m->buffer, n);
    m->n = 0;
    return zoo_file_write(m->fd, m->buffer, n) ? ZOO_OK : write_error(err);
}

static zoo_status put(maker *m, stored entry, zoo_error *err)
{
    m->buffer[m->n++] = entry;
    m->head.n_lines++;
    return m->n == BUFFERED ? flush(m, err) : ZOO_OK;
}

static zoo_status put_line(maker *m, const zoo_input_line *line, zoo_error *err)
{
    zoo_id custom_id;
    bool fresh = true;
    while (m->head.n_lines + 1 < line->number) {
        ZOO_TRY(put(m, (stored){0, 0, 0}, err)); /* blank */
    }
    if (line->text && zoo_line_custom_id(line->text, line->n, &custom_id)) {
        ZOO_TRY(zoo_idmap_add(&m->custom_ids, custom_id, (zoo_id){{0, 0}}, &fresh, err));
    }
    m->head.n_rows++;
    return put(m, (stored){line->offset, line->n | (fresh ? 0 : DUPLICATE), line->id.part[0]}, err);
}

static bool is_stamp(const header *h, const zoo_input_stamp *s)
{
    return h->bytes == s->bytes && h->seconds == s->seconds && h->nanoseconds == s->nanoseconds;
}

static zoo_status make_entries(maker *m, zoo_input *input, zoo_error *err)
{
    zoo_input_line line;
    zoo_input_stamp stamp;
    bool more = true;
    ZOO_TRY(zoo_input_stamp_get(input, &stamp, err));
    m->head = (header){.version = VERSION,
                       .entry_bytes = sizeof(stored),
                       .order = ORDER,
                       .bytes = stamp.bytes,
                       .seconds = stamp.seconds,
                       .nanoseconds = stamp.nanoseconds};
    memcpy(m->head.magic, magic, sizeof magic);
    ZOO_TRY(zoo_input_rewind(input, PARSED_MAX, err));
    ZOO_TRY(zoo_input_next(input, &line, &more, err));
    while (more) {
        ZOO_TRY(put_line(m, &line, err));
        ZOO_TRY(zoo_input_next(input, &line, &more, err));
    }
    ZOO_TRY(flush(m, err));
    zoo_input_hash(input, m->head.hash);
    m->head.checksum = XXH3_64bits_digest(m->sum);
    ZOO_TRY(zoo_input_stamp_get(input, &stamp, err));
    return is_stamp(&m->head, &stamp)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_IO, "the request file changed while its lines were indexed");
}

/* Fills the empty file fd. The header comes last: without it the file is not an index. */
static zoo_status make(zoo_input *input, int fd, zoo_error *err)
{
    maker *m = zoo_mem_array(1, sizeof *m);
    zoo_status status = ZOO_OK;
    if (!m || !(m->sum = XXH3_createState())) {
        zoo_mem_free(m);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to index the lines of the requests");
    }
    m->fd = fd;
    m->custom_ids.is_set = true;
    (void)XXH3_64bits_reset(m->sum);
    if (ftruncate(fd, 0) != 0 || lseek(fd, (off_t)sizeof(header), SEEK_SET) < 0) {
        status = write_error(err);
    }
    status = status == ZOO_OK ? make_entries(m, input, err) : status;
    if (status == ZOO_OK && pwrite(fd, &m->head, sizeof m->head, 0) != (ssize_t)sizeof m->head) {
        status = write_error(err);
    }
    (void)XXH3_freeState(m->sum);
    zoo_idmap_free(&m->custom_ids);
    zoo_mem_free(m);
    return status;
}

/* ---- using an existing one ---- */

static bool read_all(int fd, void *data, size_t n, uint64_t offset)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(fd, (char *)data + at, n - at, (off_t)(offset + at));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static uint64_t place_of(uint64_t number)
{
    return sizeof(header) + (number - 1) * sizeof(stored);
}

static bool fill(zoo_line_index *index, uint64_t number)
{
    uint64_t left = index->head.n_lines - (number - 1);
    index->first = number;
    index->n = left < BUFFERED ? (size_t)left : BUFFERED;
    return read_all(index->fd, index->buffer, index->n * sizeof(stored), place_of(number));
}

static bool sums_up(zoo_line_index *index)
{
    XXH3_state_t *sum = XXH3_createState();
    bool ok = sum && XXH3_64bits_reset(sum) == XXH_OK;
    for (uint64_t at = 1; ok && at <= index->head.n_lines; at += BUFFERED) {
        ok = fill(index, at);
        (void)XXH3_64bits_update(sum, index->buffer, index->n * sizeof(stored));
    }
    ok = ok && XXH3_64bits_digest(sum) == index->head.checksum;
    (void)XXH3_freeState(sum);
    return ok;
}

/* Whether fd holds a whole index of the input as it is now. */
static bool is_valid(zoo_line_index *index, const zoo_input_stamp *stamp)
{
    struct stat info;
    header *h = &index->head;
    return fstat(index->fd, &info) == 0 && read_all(index->fd, h, sizeof *h, 0) &&
           memcmp(h->magic, magic, sizeof magic) == 0 && h->version == VERSION &&
           h->entry_bytes == sizeof(stored) && h->order == ORDER && is_stamp(h, stamp) &&
           h->n_lines < (UINT64_C(1) << 56) && h->n_rows <= h->n_lines &&
           (uint64_t)info.st_size == place_of(h->n_lines + 1) &&
           memchr(h->hash, 0, sizeof h->hash) && sums_up(index);
}

static bool load(zoo_line_index *index, const char *path, const zoo_input_stamp *stamp)
{
    index->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (index->fd >= 0 && !is_valid(index, stamp)) {
        (void)close(index->fd);
        index->fd = -1;
    }
    return index->fd >= 0;
}

/* ---- opening ---- */

/* Opens and locks path.part; -1: it cannot be done here. */
static int lock_part(const char *part)
{
    for (;;) {
        struct stat mine, there;
        int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0) {
            return -1;
        }
        int code;
        do {
            code = flock(fd, LOCK_EX);
        } while (code != 0 && errno == EINTR);
        if (code != 0 || fstat(fd, &mine) != 0) {
            (void)close(fd);
            return -1;
        }
        /* The process that held the lock may have renamed the file. */
        if (stat(part, &there) == 0 && there.st_ino == mine.st_ino && there.st_dev == mine.st_dev) {
            return fd;
        }
        (void)close(fd);
    }
}

/* The index beside the input; false: it cannot be kept there. */
static bool open_beside(zoo_line_index *index, zoo_input *input, const char *path,
                        const zoo_input_stamp *stamp)
{
    char kept[PATH_BYTES], part[PATH_BYTES];
    int n = snprintf(kept, sizeof kept, "%s.index", path);
    int m = snprintf(part, sizeof part, "%s.index.part", path);
    if (n < 0 || m < 0 || (size_t)m >= sizeof part) {
        return false;
    }
    if (load(index, kept, stamp)) {
        return true;
    }
    int fd = lock_part(part);
    if (fd < 0) {
        return false;
    }
    if (load(index, kept, stamp)) {
        (void)unlink(part);
    } else if (make(input, fd, NULL) != ZOO_OK || rename(part, kept) != 0 ||
               !load(index, kept, stamp)) {
        (void)unlink(part);
    }
    (void)close(fd);
    return index->fd >= 0;
}

static zoo_status open_unnamed(zoo_line_index *index, zoo_input *input, zoo_error *err)
{
    const char *folder = getenv("TMPDIR");
    char name[PATH_BYTES];
    zoo_input_stamp stamp;
    (void)snprintf(name, sizeof name, "%.4000s/lmzoo-index-XXXXXX",
                   folder && folder[0] ? folder : "/tmp");
    index->fd = mkostemp(name, O_CLOEXEC);
    if (index->fd < 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s (for the index of the lines)", name,
                        strerror(errno));
    }
    (void)unlink(name);
    ZOO_TRY(make(input, index->fd, err));
    ZOO_TRY(zoo_input_stamp_get(input, &stamp, err));
    return is_valid(index, &stamp)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_IO, "the index of the lines cannot be read back");
}

zoo_status zoo_line_index_open(zoo_input *input, const char *path, bool *is_kept,
                               zoo_line_index **out, zoo_error *err)
{
    zoo_input_stamp stamp;
    zoo_line_index *index = zoo_mem_array(1, sizeof *index);
    *out = NULL;
    *is_kept = false;
    if (!index) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the index of the lines");
    }
    index->fd = -1;
    (void)snprintf(index->path, sizeof index->path, "%s", path);
    zoo_status status = zoo_input_stamp_get(input, &stamp, err);
    if (status == ZOO_OK && stamp.is_named) {
        *is_kept = open_beside(index, input, path, &stamp);
    }
    if (status == ZOO_OK && !*is_kept) {
        status = open_unnamed(index, input, err);
    }
    if (status != ZOO_OK) {
        zoo_line_index_close(index);
        return status;
    }
    index->n = 0;
    *out = index;
    return ZOO_OK;
}

void zoo_line_index_close(zoo_line_index *index)
{
    if (index && index->fd >= 0) {
        (void)close(index->fd);
    }
    zoo_mem_free(index);
}

const char *zoo_line_index_hash(const zoo_line_index *index)
{
    return index->head.hash;
}

uint64_t zoo_line_index_n_lines(const zoo_line_index *index)
{
    return index->head.n_lines;
}

uint64_t zoo_line_index_n_rows(const zoo_line_index *index)
{
    return index->head.n_rows;
}

zoo_status zoo_line_index_get(zoo_line_index *index, uint64_t number, zoo_line_entry *out,
                              zoo_error *err)
{
    if (number < index->first || number - index->first >= index->n) {
        if (!fill(index, number)) {
            index->n = 0;
            return zoo_fail(err, ZOO_E_IO, "%s.index cannot be read: %s", index->path,
                            strerror(errno));
        }
    }
    const stored *s = &index->buffer[number - index->first];
    *out = (zoo_line_entry){.number = number,
                            .offset = s->offset,
                            .n = s->n & ~DUPLICATE,
                            .id = s->id,
                            .is_duplicate = (s->n & DUPLICATE) != 0};
    return ZOO_OK;
}
