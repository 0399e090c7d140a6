/* journal.c: opening, resuming and appending to the files of a run (journal.h). */
#include "batch/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/mem.h"

enum { SYNC_SECONDS = 5, PATH_MAX_BYTES = 4096 };

typedef struct zoo_log {
    char path[PATH_MAX_BYTES];
    int fd;
    uint64_t n_old; /* lines found there */
    bool dirty;
} zoo_log;

struct zoo_journal {
    zoo_log results, errors;
    char path[PATH_MAX_BYTES];
    int lock;
    zoo_idmap done;
    zoo_journal_key key;
    time_t synced;
    uint64_t n_errors;
};

static zoo_status io_error(const char *path, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
}

/* "x.jsonl" + ".errors.jsonl" -> "x.errors.jsonl"; other names just get the end. */
static bool sibling(const char *results, const char *end, char path[PATH_MAX_BYTES])
{
    size_t n = strlen(results);
    const char *suffix = ".jsonl";
    size_t cut = n > strlen(suffix) && strcmp(results + n - strlen(suffix), suffix) == 0
                     ? n - strlen(suffix)
                     : n;
    int m = snprintf(path, PATH_MAX_BYTES, "%.*s%s", (int)cut, results, end);
    return n < PATH_MAX_BYTES && m > 0 && m < PATH_MAX_BYTES;
}

void zoo_journal_name(zoo_id id, char text[48])
{
    (void)snprintf(text, 48, "batch_req_%016llx%016llx", (unsigned long long)id.part[1],
                   (unsigned long long)id.part[0]);
}

/* ---- what a former run left ---- */

static bool id_from_name(const char *text, zoo_id *id)
{
    char again[48];
    unsigned long long high, low;
    if (strlen(text) != 42 || sscanf(text, "batch_req_%16llx%16llx", &high, &low) != 2) {
        return false;
    }
    *id = (zoo_id){{low, high}};
    zoo_journal_name(*id, again);
    return strcmp(again, text) == 0;
}

static zoo_status note_line(zoo_journal *j, const char *path, uint64_t number, const char *text,
                            size_t n, zoo_error *err)
{
    const cJSON *id, *custom_id;
    cJSON *tree = NULL;
    zoo_id key, value = {{0, 0}};
    bool fresh, ours;
    zoo_status status;
    if (zoo_json_parse(text, n, path, &tree, NULL) != ZOO_OK) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s, line %llu: not a line of this program", path,
                        (unsigned long long)number);
    }
    id = cJSON_GetObjectItemCaseSensitive(tree, "id");
    custom_id = cJSON_GetObjectItemCaseSensitive(tree, "custom_id");
    ours = cJSON_IsString(id) && id_from_name(id->valuestring, &key);
    if (cJSON_IsString(custom_id)) {
        value = zoo_id_of(custom_id->valuestring, strlen(custom_id->valuestring), 0);
    }
    cJSON_Delete(tree);
    if (!ours) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s, line %llu: not a line of this program", path,
                        (unsigned long long)number);
    }
    status = zoo_idmap_add(&j->done, key, value, &fresh, err);
    if (status == ZOO_OK && !fresh) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s, line %llu: this row stands there twice", path,
                        (unsigned long long)number);
    }
    return status;
}

/* Reads all whole lines; *end: where the last one ends. */
static zoo_status scan(zoo_journal *j, zoo_log *log, off_t *end, zoo_error *err)
{
    FILE *file = fopen(log->path, "rb");
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    zoo_status status = ZOO_OK;
    *end = 0;
    if (!file) {
        return errno == ENOENT ? ZOO_OK : io_error(log->path, err);
    }
    while (status == ZOO_OK && (n = getline(&text, &capacity, file)) > 0 && text[n - 1] == '\n') {
        status = note_line(j, log->path, ++log->n_old, text, (size_t)n - 1, err);
        *end += n;
    }
    if (status == ZOO_OK && ferror(file)) {
        status = io_error(log->path, err);
    }
    free(text);
    (void)fclose(file);
    return status;
}

static zoo_status open_log(zoo_journal *j, zoo_log *log, bool resume, zoo_error *err)
{
    off_t end = 0;
    if (resume) {
        ZOO_TRY(scan(j, log, &end, err));
    }
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0 || ftruncate(log->fd, end) != 0) {
        return io_error(log->path, err);
    }
    return ZOO_OK;
}

/* ---- the key ---- */

typedef struct zoo_key_part {
    const char *name, *what;
    size_t field;
} zoo_key_part;

static const zoo_key_part parts[] = {
    {"requests", "the request file has", offsetof(zoo_journal_key, requests)},
    {"model", "the model folder has", offsetof(zoo_journal_key, model)},
    {"options", "the options or the program have", offsetof(zoo_journal_key, options)},
};

static zoo_status write_key(const zoo_journal *j, const zoo_journal_key *key, zoo_error *err)
{
    zoo_out out = {0};
    bool ok;
    zoo_out_text(&out, "{\"program\":\"lmzoo\"");
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        const char *value = (const char *)key + parts[i].field;
        zoo_out_format(&out, ",\"%s\":", parts[i].name);
        zoo_out_string(&out, value, strlen(value));
    }
    zoo_out_text(&out, ",\"isa\":");
    zoo_out_string(&out, key->isa, strlen(key->isa));
    zoo_out_text(&out, ",\"now\":");
    zoo_out_string(&out, key->now, strlen(key->now));
    zoo_out_text(&out, "}\n");
    if (out.failed) {
        zoo_out_free(&out);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the journal");
    }
    ok = ftruncate(j->lock, 0) == 0 && pwrite(j->lock, out.data, out.n, 0) == (ssize_t)out.n &&
         fsync(j->lock) == 0;
    zoo_out_free(&out);
    return ok ? ZOO_OK : io_error(j->path, err);
}

/* Compares with what the journal says; takes its time. *torn: the file holds no whole key. */
static zoo_status check_key(const zoo_journal *j, const char *results, zoo_journal_key *key,
                            bool *torn, zoo_error *err)
{
    cJSON *tree = NULL;
    const cJSON *now, *isa;
    zoo_status status = ZOO_OK;
    *torn = zoo_json_read(j->path, 1 << 16, &tree, NULL) != ZOO_OK;
    for (size_t i = 0; !*torn && status == ZOO_OK && i < ZOO_COUNT(parts); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, parts[i].name);
        if (!cJSON_IsString(value) ||
            strcmp(value->valuestring, (const char *)key + parts[i].field) != 0) {
            status = zoo_fail(err, ZOO_E_USAGE,
                              "%s changed since %s was begun: give the run another output, or "
                              "--restart to begin this one anew",
                              parts[i].what, results);
        }
    }
    now = cJSON_GetObjectItemCaseSensitive(tree, "now");
    isa = cJSON_GetObjectItemCaseSensitive(tree, "isa");
    if (status == ZOO_OK && cJSON_IsString(isa)) {
        (void)snprintf(key->isa, sizeof key->isa, "%s", isa->valuestring);
    }
    if (status == ZOO_OK && cJSON_IsString(now)) {
        (void)snprintf(key->now, sizeof key->now, "%s", now->valuestring);
    }
    cJSON_Delete(tree);
    return status;
}

static bool has_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_size > 0;
}

/* Whether a former run is there to resume; a journal is in place when this returns. */
static zoo_status settle_key(zoo_journal *j, const zoo_journal_paths *paths, zoo_journal_key *key,
                             bool *resume, zoo_error *err)
{
    bool torn = true;
    *resume = false;
    if (!paths->restart && has_bytes(j->path)) {
        ZOO_TRY(check_key(j, paths->results, key, &torn, err));
    }
    *resume = !torn;
    if (*resume) {
        return ZOO_OK;
    }
    if (!paths->restart && has_bytes(paths->results)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s exists and no journal beside it: give the run another output, or "
                        "--restart to replace it",
                        paths->results);
    }
    /* Old lines must be gone before the new key vouches for them. */
    if ((has_bytes(j->results.path) && truncate(j->results.path, 0) != 0) ||
        (has_bytes(j->errors.path) && truncate(j->errors.path, 0) != 0)) {
        return io_error(paths->results, err);
    }
    return write_key(j, key, err);
}

static zoo_status open_all(zoo_journal *j, const zoo_journal_paths *paths, zoo_journal_key *key,
                           zoo_error *err)
{
    bool resume = false;
    int n = snprintf(j->results.path, PATH_MAX_BYTES, "%s", paths->results);
    bool fits = n > 0 && n < PATH_MAX_BYTES && sibling(paths->results, ".journal", j->path);
    if (paths->errors) {
        n = snprintf(j->errors.path, PATH_MAX_BYTES, "%s", paths->errors);
        fits = fits && n > 0 && n < PATH_MAX_BYTES;
    } else {
        fits = fits && sibling(paths->results, ".errors.jsonl", j->errors.path);
    }
    if (!fits) {
        return zoo_fail(err, ZOO_E_USAGE, "the name of the output is too long");
    }
    j->lock = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->lock < 0) {
        return io_error(j->path, err);
    }
    if (flock(j->lock, LOCK_EX | LOCK_NB) != 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: another run is writing it", paths->results);
    }
    ZOO_TRY(settle_key(j, paths, key, &resume, err));
    ZOO_TRY(open_log(j, &j->results, resume, err));
    return open_log(j, &j->errors, resume, err);
}

zoo_status zoo_journal_open(const zoo_journal_paths *paths, zoo_journal_key *key, zoo_journal **out,
                            zoo_error *err)
{
    zoo_journal *j = zoo_mem_array(1, sizeof *j);
    zoo_status status;
    *out = NULL;
    if (!j) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the journal");
    }
    j->results.fd = j->errors.fd = j->lock = -1;
    status = open_all(j, paths, key, err);
    if (status != ZOO_OK) {
        if (j->lock >= 0 && !has_bytes(j->path)) {
            (void)unlink(j->path);
        }
        (void)zoo_journal_close(j, NULL);
        return status;
    }
    j->key = *key;
    j->n_errors = j->errors.n_old;
    j->synced = time(NULL);
    *out = j;
    return ZOO_OK;
}

zoo_status zoo_journal_set_isa(zoo_journal *j, const char *isa, zoo_error *err)
{
    if (j->key.isa[0] && strncmp(j->key.isa, isa, sizeof j->key.isa - 1) != 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s was begun with instruction set %s, this is %s: give --isa %s, another "
                        "output, or --restart",
                        j->results.path, j->key.isa, isa, j->key.isa);
    }
    if (!j->key.isa[0]) {
        (void)snprintf(j->key.isa, sizeof j->key.isa, "%s", isa);
        return write_key(j, &j->key, err);
    }
    return ZOO_OK;
}

const zoo_idmap *zoo_journal_done(const zoo_journal *j)
{
    return &j->done;
}

uint64_t zoo_journal_n_results(const zoo_journal *j)
{
    return j->results.n_old;
}

uint64_t zoo_journal_n_errors(const zoo_journal *j)
{
    return j->errors.n_old;
}

const char *zoo_journal_errors_path(const zoo_journal *j)
{
    return j->errors.path;
}

/* ---- writing ---- */

static zoo_status sync_log(zoo_log *log, zoo_error *err)
{
    if (log->dirty && fdatasync(log->fd) != 0 && errno != EINVAL) {
        return io_error(log->path, err);
    }
    log->dirty = false;
    return ZOO_OK;
}

static zoo_status append(zoo_journal *j, zoo_log *log, const char *line, size_t n, zoo_error *err)
{
    time_t now = time(NULL);
    for (size_t at = 0; at < n;) {
        ssize_t written = write(log->fd, line + at, n - at);
        if (written < 0 && errno != EINTR) {
            return io_error(log->path, err);
        }
        at += written > 0 ? (size_t)written : 0;
    }
    log->dirty = true;
    if (now - j->synced >= SYNC_SECONDS) {
        j->synced = now;
        ZOO_TRY(sync_log(&j->results, err));
        ZOO_TRY(sync_log(&j->errors, err));
    }
    return ZOO_OK;
}

zoo_status zoo_journal_result(zoo_journal *j, const char *line, size_t n, zoo_error *err)
{
    return append(j, &j->results, line, n, err);
}

zoo_status zoo_journal_error(zoo_journal *j, const char *line, size_t n, zoo_error *err)
{
    j->n_errors++;
    return append(j, &j->errors, line, n, err);
}

zoo_status zoo_journal_close(zoo_journal *j, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    zoo_log *logs[2];
    if (!j) {
        return ZOO_OK;
    }
    logs[0] = &j->results;
    logs[1] = &j->errors;
    for (int i = 0; i < 2; i++) {
        if (logs[i]->fd >= 0) {
            zoo_status synced = sync_log(logs[i], err);
            status = status == ZOO_OK ? synced : status;
            (void)close(logs[i]->fd);
        }
    }
    if (j->errors.fd >= 0 && j->n_errors == 0) {
        (void)unlink(j->errors.path);
    }
    if (j->lock >= 0) {
        (void)close(j->lock);
    }
    zoo_idmap_free(&j->done);
    zoo_mem_free(j);
    return status;
}
