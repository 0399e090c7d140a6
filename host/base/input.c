/* input.c: see input.h. */
#define _GNU_SOURCE
#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/mem.h"

enum { BUFFER = 1 << 16 };

typedef enum kind { PLAIN, GZIP, ZSTD } kind;

struct zoo_input {
    int fd;
    char *path;
    const volatile sig_atomic_t *stop;
    kind kind;
    z_stream gzip;
    bool gzip_open, in_frame;
    ZSTD_DStream *zstd;
    unsigned char raw[BUFFER];
    size_t raw_at, raw_n;
    char data[BUFFER];
    size_t at, n;
    bool file_end, at_start, is_spooled;
    uint64_t base; /* of data in the decoded bytes */
    char *line;
    size_t line_n, line_capacity, line_max;
    uint64_t number, n_lines, offset;
    XXH3_state_t *hash, *line_hash;
};

static zoo_status io_error(const zoo_input *in, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_IO, "%s: %s", in->path, strerror(errno));
}

/* ---- bytes of the file ---- */

static ssize_t read_some(const zoo_input *in, int fd, void *data, size_t n)
{
    for (;;) {
        ssize_t got = read(fd, data, n);
        if (got >= 0 || errno != EINTR || (in->stop && *in->stop)) {
            return got;
        }
    }
}

static zoo_status fill_raw(zoo_input *in, zoo_error *err)
{
    ssize_t got;
    if (in->raw_at < in->raw_n || in->file_end) {
        return ZOO_OK;
    }
    got = read_some(in, in->fd, in->raw, BUFFER);
    if (got < 0) {
        return io_error(in, err);
    }
    in->raw_at = 0;
    in->raw_n = (size_t)got;
    in->file_end = got == 0;
    return ZOO_OK;
}

/* Members of a gzip file follow one another. */
static zoo_status inflate_some(zoo_input *in, zoo_error *err)
{
    int code = Z_OK;
    in->gzip.next_in = in->raw + in->raw_at;
    in->gzip.avail_in = (uInt)(in->raw_n - in->raw_at);
    in->gzip.next_out = (Bytef *)in->data;
    in->gzip.avail_out = BUFFER;
    if (in->gzip.avail_in > 0) {
        in->in_frame = true;
        code = inflate(&in->gzip, Z_NO_FLUSH);
    }
    in->raw_at = in->raw_n - in->gzip.avail_in;
    in->n = BUFFER - in->gzip.avail_out;
    if (code == Z_STREAM_END) {
        in->in_frame = false;
        code = inflateReset(&in->gzip);
    }
    return code == Z_OK || code == Z_BUF_ERROR
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_FORMAT, "%s: the gzip data are damaged", in->path);
}

static zoo_status zstd_some(zoo_input *in, zoo_error *err)
{
    ZSTD_inBuffer from = {in->raw + in->raw_at, in->raw_n - in->raw_at, 0};
    ZSTD_outBuffer to = {in->data, BUFFER, 0};
    size_t code = ZSTD_decompressStream(in->zstd, &to, &from);
    in->raw_at += from.pos;
    in->n = to.pos;
    in->in_frame = code != 0;
    return ZSTD_isError(code) ? zoo_fail(err, ZOO_E_FORMAT, "%s: the zstd data are damaged (%s)",
                                         in->path, ZSTD_getErrorName(code))
                              : ZOO_OK;
}

/* Some more decoded bytes; n 0: the end. */
static zoo_status fill(zoo_input *in, zoo_error *err)
{
    in->base += in->n;
    in->at = in->n = 0;
    while (in->n == 0) {
        if (in->stop && *in->stop) {
            return zoo_fail(err, ZOO_E_IO, "%s: interrupted while it was read", in->path);
        }
        ZOO_TRY(fill_raw(in, err));
        if (in->file_end) {
            return in->in_frame
                       ? zoo_fail(err, ZOO_E_IO, "%s: the compressed data end early", in->path)
                       : ZOO_OK;
        }
        if (in->kind == GZIP) {
            ZOO_TRY(inflate_some(in, err));
        } else if (in->kind == ZSTD) {
            ZOO_TRY(zstd_some(in, err));
        } else {
            in->n = in->raw_n - in->raw_at;
            memcpy(in->data, in->raw + in->raw_at, in->n);
            in->raw_at = in->raw_n;
        }
    }
    (void)XXH3_128bits_update(in->hash, in->data, in->n);
    if (in->at_start && in->n >= 3 && memcmp(in->data, "\xef\xbb\xbf", 3) == 0) {
        in->at = 3;
    }
    in->at_start = false;
    return ZOO_OK;
}

/* ---- lines ---- */

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Adds bytes to the line, of which line_max are kept; the rest only goes into its hash. */
static zoo_status add(zoo_input *in, const char *bytes, size_t n, zoo_error *err)
{
    bool was_cut = in->line_n > in->line_max;
    size_t sum = in->line_n + n;
    if (sum > in->line_max) {
        if (!was_cut) {
            (void)XXH3_128bits_reset_withSeed(in->line_hash, in->number);
            (void)XXH3_128bits_update(in->line_hash, in->line ? in->line : "", in->line_n);
        }
        (void)XXH3_128bits_update(in->line_hash, bytes, n);
        in->line_n = sum;
        return ZOO_OK;
    }
    if (sum > in->line_capacity) {
        size_t capacity = sum + sum / 2 + 256;
        char *grown = zoo_mem_realloc(in->line, capacity);
        if (!grown) {
            return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for line %llu", in->path,
                            (unsigned long long)in->number);
        }
        in->line = grown;
        in->line_capacity = capacity;
    }
    memcpy(in->line + in->line_n, bytes, n);
    in->line_n = sum;
    return ZOO_OK;
}

static bool is_blank(const zoo_input *in)
{
    for (size_t i = 0; i < in->line_n; i++) {
        if (i >= in->line_max || !is_white(in->line[i])) {
            return false;
        }
    }
    return true;
}

/* One line, blank or not; *more false: the end. */
static zoo_status take_line(zoo_input *in, bool *more, zoo_error *err)
{
    bool any = false;
    in->line_n = 0;
    in->number++;
    for (;;) {
        if (in->at == in->n) {
            ZOO_TRY(fill(in, err));
            if (in->n == 0) {
                *more = any;
                return ZOO_OK;
            }
        }
        in->offset = any ? in->offset : in->base + in->at;
        const char *begin = in->data + in->at;
        const char *end = memchr(begin, '\n', in->n - in->at);
        size_t n = end ? (size_t)(end - begin) : in->n - in->at;
        any = true;
        ZOO_TRY(add(in, begin, n, err));
        in->at += n + (end != NULL);
        if (end) {
            *more = true;
            return ZOO_OK;
        }
    }
}

static void give_line(const zoo_input *in, zoo_input_line *line)
{
    *line = (zoo_input_line){.number = in->number, .offset = in->offset, .n = in->line_n};
    if (in->line_n <= in->line_max) {
        line->text = in->line ? in->line : "";
        line->id = zoo_id_of(line->text, line->n, line->number);
    } else {
        XXH128_hash_t h = XXH3_128bits_digest(in->line_hash);
        line->id = (zoo_id){{h.low64, h.high64}};
    }
}

zoo_status zoo_input_next(zoo_input *in, zoo_input_line *line, bool *more, zoo_error *err)
{
    do {
        ZOO_TRY(take_line(in, more, err));
    } while (*more && is_blank(in));
    if (!*more) {
        return ZOO_OK;
    }
    in->n_lines++;
    give_line(in, line);
    return ZOO_OK;
}

static zoo_status next_of(void *arg, zoo_input_line *line, bool *more, zoo_error *err)
{
    return zoo_input_next(arg, line, more, err);
}

static zoo_status begin_of(void *arg, size_t line_max, zoo_error *err)
{
    return zoo_input_rewind(arg, line_max, err);
}

zoo_line_source zoo_input_source(zoo_input *in)
{
    return (zoo_line_source){.arg = in, .begin = begin_of, .next = next_of};
}

zoo_status zoo_input_at(zoo_input *in, uint64_t offset, uint64_t n, uint64_t number,
                        zoo_input_line *line, zoo_error *err)
{
    in->line_n = 0;
    in->number = number;
    in->offset = offset;
    for (uint64_t at = 0; at < n;) {
        size_t wanted = n - at < BUFFER ? (size_t)(n - at) : BUFFER;
        ssize_t got = pread(in->fd, in->data, wanted, (off_t)(offset + at));
        if (got < 0 && errno == EINTR && !(in->stop && *in->stop)) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? io_error(in, err)
                           : zoo_fail(err, ZOO_E_IO, "%s was cut while it was read", in->path);
        }
        ZOO_TRY(add(in, in->data, (size_t)got, err));
        at += (uint64_t)got;
    }
    give_line(in, line);
    return ZOO_OK;
}

zoo_status zoo_input_scan(zoo_input *in, zoo_error *err)
{
    bool in_line = false;
    for (;;) {
        if (in->at == in->n) {
            ZOO_TRY(fill(in, err));
            if (in->n == 0) {
                return ZOO_OK;
            }
        }
        for (; in->at < in->n; in->at++) {
            char c = in->data[in->at];
            if (c == '\n') {
                in_line = false;
            } else if (!in_line && !is_white(c)) {
                in_line = true;
                in->n_lines++;
            }
        }
    }
}

void zoo_input_hash(const zoo_input *in, char hex[40])
{
    XXH128_hash_t h = XXH3_128bits_digest(in->hash);
    (void)snprintf(hex, 40, "%016llx%016llx", (unsigned long long)h.high64,
                   (unsigned long long)h.low64);
}

uint64_t zoo_input_n_lines(const zoo_input *in)
{
    return in->n_lines;
}

/* ---- opening ---- */

/* Copies a pipe to a file without a name. */
static zoo_status spool(zoo_input *in, zoo_error *err)
{
    const char *folder = getenv("TMPDIR");
    char name[4096];
    ssize_t got;
    folder = folder && folder[0] ? folder : "/tmp";
    (void)snprintf(name, sizeof name, "%.4000s/lmzoo-input-XXXXXX", folder);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s (to keep what comes from %s)", name, strerror(errno),
                        in->path);
    }
    (void)unlink(name);
    while ((got = read_some(in, in->fd, in->raw, BUFFER)) > 0) {
        if (!zoo_file_write(fd, in->raw, (uint64_t)got)) {
            zoo_status status = zoo_fail(err, ZOO_E_IO, "%s: %s (to keep what comes from %s)",
                                         folder, strerror(errno), in->path);
            (void)close(fd);
            return status;
        }
    }
    zoo_status status = got < 0 ? io_error(in, err) : ZOO_OK;
    if (in->fd != STDIN_FILENO) {
        (void)close(in->fd);
    }
    in->fd = fd;
    return status;
}

static zoo_status judge_start(zoo_input *in, zoo_error *err)
{
    unsigned char head[64];
    ssize_t n = pread(in->fd, head, sizeof head, 0);
    if (n < 0) {
        return io_error(in, err);
    }
    in->kind = n >= 2 && head[0] == 0x1f && head[1] == 0x8b         ? GZIP
               : n >= 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ? ZSTD
                                                                    : PLAIN;
    if (zoo_file_is_pointer(head, (size_t)n)) {
        return zoo_fail(err, ZOO_E_FORMAT, ZOO_POINTER_SENTENCE, in->path);
    }
    if (n >= 2 && ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff))) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s is UTF-16; requests are UTF-8", in->path);
    }
    return ZOO_OK;
}

static zoo_status open_file(zoo_input *in, zoo_error *err)
{
    struct stat info;
    bool is_stdin = strcmp(in->path, "-") == 0;
    in->fd = is_stdin ? STDIN_FILENO : open(in->path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &info) != 0) {
        return io_error(in, err);
    }
    if (S_ISDIR(info.st_mode)) {
        return zoo_fail(err, ZOO_E_IO, "%s is a folder", in->path);
    }
    in->is_spooled = is_stdin || !S_ISREG(info.st_mode);
    if (!S_ISREG(info.st_mode)) {
        ZOO_TRY(spool(in, err));
    }
    return judge_start(in, err);
}

zoo_status zoo_input_open(const char *path, const volatile sig_atomic_t *stop, zoo_input **out,
                          zoo_error *err)
{
    zoo_input *in = zoo_mem_array(1, sizeof *in);
    *out = NULL;
    if (in) {
        in->fd = -1;
        in->stop = stop;
        in->path = zoo_mem_text(path, strlen(path));
        in->hash = XXH3_createState();
        in->line_hash = XXH3_createState();
        in->zstd = ZSTD_createDStream();
    }
    if (!in || !in->path || !in->hash || !in->line_hash || !in->zstd) {
        zoo_input_close(in);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to read %s", path);
    }
    zoo_status status = open_file(in, err);
    if (status == ZOO_OK) {
        status = zoo_input_rewind(in, 0, err);
    }
    if (status != ZOO_OK) {
        zoo_input_close(in);
        return status;
    }
    *out = in;
    return ZOO_OK;
}

zoo_status zoo_input_rewind(zoo_input *in, size_t line_max, zoo_error *err)
{
    if (lseek(in->fd, 0, SEEK_SET) != 0) {
        return io_error(in, err);
    }
    if (in->kind == GZIP && !in->gzip_open) {
        in->gzip_open = inflateInit2(&in->gzip, 15 + 32) == Z_OK;
        if (!in->gzip_open) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory to read %s", in->path);
        }
    } else if (in->kind == GZIP) {
        (void)inflateReset(&in->gzip);
    }
    (void)ZSTD_initDStream(in->zstd);
    (void)XXH3_128bits_reset(in->hash);
    in->raw_at = in->raw_n = in->at = in->n = in->line_n = 0;
    in->file_end = in->in_frame = false;
    in->at_start = true;
    in->number = in->n_lines = in->base = in->offset = 0;
    in->line_max = line_max;
    return ZOO_OK;
}

zoo_status zoo_input_stamp_get(const zoo_input *in, zoo_input_stamp *out, zoo_error *err)
{
    struct stat info;
    if (fstat(in->fd, &info) != 0) {
        return io_error(in, err);
    }
    *out = (zoo_input_stamp){.bytes = info.st_size,
                             .seconds = info.st_mtim.tv_sec,
                             .nanoseconds = info.st_mtim.tv_nsec,
                             .is_named = !in->is_spooled,
                             .is_plain = in->kind == PLAIN};
    return ZOO_OK;
}

void zoo_input_close(zoo_input *in)
{
    if (!in) {
        return;
    }
    if (in->gzip_open) {
        (void)inflateEnd(&in->gzip);
    }
    if (in->fd > STDIN_FILENO) {
        (void)close(in->fd);
    }
    (void)ZSTD_freeDStream(in->zstd);
    (void)XXH3_freeState(in->hash);
    (void)XXH3_freeState(in->line_hash);
    zoo_mem_free(in->path);
    zoo_mem_free(in->line);
    zoo_mem_free(in);
}
