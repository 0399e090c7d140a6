/* journal.c: opening and resuming the files of a run (journal.h); journal_keep.c writes them. */
#include "batch/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "batch/journal_private.h"

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

bool zoo_journal_siblings(const char *results, char journal[4096], char errors[4096])
{
    return sibling(results, ".journal", journal) && sibling(results, ".errors.jsonl", errors);
}

#define NAME_BEGIN "batch_req_"
enum { NAME_AT = sizeof NAME_BEGIN - 1, NAME_BYTES = NAME_AT + 32 };

void zoo_journal_name(zoo_id id, char text[48])
{
    memcpy(text, NAME_BEGIN, NAME_AT);
    for (size_t i = 0; i < 32; i++) {
        text[NAME_AT + i] = "0123456789abcdef"[id.part[i < 16] >> (60 - 4 * (i % 16)) & 15];
    }
    text[NAME_AT + 32] = '\0';
}

/* ---- what a former run left ---- */

static bool id_from_name(const char *text, zoo_id *id)
{
    if (strlen(text) != NAME_BYTES || memcmp(text, NAME_BEGIN, NAME_AT) != 0) {
        return false;
    }
    *id = (zoo_id){{0, 0}};
    for (size_t i = 0; i < 32; i++) {
        char c = text[NAME_AT + i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) {
            return false;
        }
        id->part[i < 16] = id->part[i < 16] << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool zoo_journal_line_id(const char *line, size_t n, zoo_id *id)
{
    static const char begin[] = "{\"id\":\"";
    enum { BEGIN = sizeof begin - 1 };
    char name[NAME_BYTES + 1];
    if (n <= BEGIN + NAME_BYTES || memcmp(line, begin, BEGIN) != 0 ||
        line[BEGIN + NAME_BYTES] != '"') {
        return false;
    }
    memcpy(name, line + BEGIN, NAME_BYTES);
    name[NAME_BYTES] = 0;
    return id_from_name(name, id);
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
        return zoo_fail(err, ZOO_E_FORMAT, "%s, line %llu: this row occurs twice", path,
                        (unsigned long long)number);
    }
    return status;
}

/* Reads all whole lines; *end: where the last one ends. */
static zoo_status scan(zoo_journal *j, zoo_log *log, off_t *end, zoo_error *err)
{
    FILE *file;
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    zoo_status status = ZOO_OK;
    *end = 0;
    if (access(log->path, F_OK) != 0 && errno == ENOENT) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_file_stream(log->path, &file, err));
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
    struct stat info;
    off_t end = 0;
    if (resume) {
        ZOO_TRY(scan(j, log, &end, err));
    }
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0 || ftruncate(log->fd, end) != 0 || fstat(log->fd, &info) != 0) {
        return io_error(log->path, err);
    }
    log->device = info.st_dev;
    log->inode = info.st_ino;
    return ZOO_OK;
}

/* ---- the key ---- */

typedef struct zoo_key_part {
    const char *name, *what;
    size_t field, size;
} zoo_key_part;

#define PART(name, what)                                                                           \
    {                                                                                              \
#name, what, offsetof(zoo_journal_key, name), sizeof(((zoo_journal_key *)0)->name)         \
    }

/* The first ones are known before the model is opened. */
static const zoo_key_part parts[] = {PART(requests, "the request file has"),
                                     PART(model, "the model folder has"),
                                     PART(options, "the options have"),
                                     PART(shard, "the shard has"),
                                     PART(build, "the program has"),
                                     PART(isa, "the instruction set has"),
                                     PART(plugin, "the plugin has"),
                                     PART(card, "the card has"),
                                     PART(now, NULL),
                                     PART(input, NULL)};
enum { N_EARLY = 5, N_COMPARED = 8 };

static zoo_status write_key(zoo_journal *j, const zoo_journal_key *key, zoo_error *err)
{
    zoo_out out = {0};
    bool ok;
    zoo_out_text(&out, "{\"program\":\"lmzoo\"");
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        const char *value = (const char *)key + parts[i].field;
        zoo_out_format(&out, ",\"%s\":", parts[i].name);
        zoo_out_string(&out, value, strlen(value));
    }
    zoo_out_text(&out, "}\n");
    if (out.failed) {
        zoo_out_free(&out);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the journal");
    }
    ok = ftruncate(j->lock, 0) == 0 && pwrite(j->lock, out.data, out.n, 0) == (ssize_t)out.n &&
         fsync(j->lock) == 0;
    j->key_bytes = (off_t)out.n;
    zoo_out_free(&out);
    return ok ? ZOO_OK : io_error(j->path, err);
}

static zoo_status changed(const char *what, const char *results, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_USAGE,
                    "%s changed since %s was begun: give the run another output, or "
                    "--restart to start it again",
                    what, results);
}

/* Key and progress of the journal; *tree null: the file holds no whole key. */
static zoo_status read_key(zoo_journal *j, cJSON **tree, zoo_error *err)
{
    char *text = NULL;
    size_t n = 0;
    *tree = NULL;
    ZOO_TRY(zoo_file_read(j->path, 1 << 16, &text, &n, err));
    const char *end = memchr(text, '\n', n);
    if (end && zoo_json_parse(text, (size_t)(end - text), j->path, tree, NULL) == ZOO_OK) {
        j->key_bytes = end + 1 - text;
        (void)snprintf(j->last_progress, sizeof j->last_progress, "%s", end + 1);
    }
    zoo_mem_free(text);
    return ZOO_OK;
}

/* Compares with what the journal says; takes what it knows besides. *torn: there is no whole key.
 * */
static zoo_status check_key(zoo_journal *j, const char *results, zoo_journal_key *key, bool *torn,
                            zoo_error *err)
{
    cJSON *tree;
    zoo_status status = read_key(j, &tree, err);
    *torn = !tree;
    for (size_t i = 0; tree && status == ZOO_OK && i < ZOO_COUNT(parts); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, parts[i].name);
        const char *text = cJSON_IsString(value) ? value->valuestring : "";
        char *field = (char *)key + parts[i].field;
        if (i < N_EARLY && strcmp(text, field) != 0) {
            status = changed(parts[i].what, results, err);
        } else if (i >= N_EARLY && (i < N_COMPARED || text[0])) {
            (void)snprintf(field, parts[i].size, "%s", text);
        }
    }
    cJSON_Delete(tree);
    return status;
}

zoo_status zoo_journal_set_engine(zoo_journal *j, const zoo_journal_key *key, zoo_error *err)
{
    bool fresh = false;
    if (j->is_stream) {
        return ZOO_OK;
    }
    for (size_t i = N_EARLY; i < N_COMPARED; i++) {
        const char *found = (const char *)key + parts[i].field;
        char *known = (char *)&j->key + parts[i].field;
        if (known[0] && strcmp(known, found) != 0) {
            if (strcmp(parts[i].name, "isa") == 0) {
                return zoo_fail(err, ZOO_E_USAGE,
                                "%s was begun with instruction set %s, this is %s: give --isa %s, "
                                "another output, or --restart",
                                j->results.path, known, found, known);
            }
            return changed(parts[i].what, j->results.path, err);
        }
        fresh = fresh || !known[0];
        (void)snprintf(known, parts[i].size, "%s", found);
    }
    return fresh ? write_key(j, &j->key, err) : ZOO_OK;
}

/* ---- paths ---- */

static bool has_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_size > 0;
}

/* No output may be an input or another output. */
static zoo_status compare_paths(const zoo_journal *j, const zoo_journal_paths *paths,
                                zoo_error *err)
{
    const char *own[3] = {j->results.path, j->errors.path, j->path};
    for (int i = 0; i < 3; i++) {
        /* An errors file without a line is removed at the end: /dev/null must not be. */
        if (i > 0 && own[i][0] && !zoo_file_is_plain(own[i])) {
            return zoo_fail(err, ZOO_E_USAGE, "%s is not a plain file; %s has to be one", own[i],
                            i == 1 ? "the errors file" : "the journal");
        }
        for (const char *const *other = paths->others; own[i][0] && other && *other; other++) {
            if (strcmp(*other, "-") != 0 && zoo_file_is_same(own[i], *other)) {
                return zoo_fail(err, ZOO_E_USAGE,
                                "%s would be overwritten: it is %s too; give the run another "
                                "output",
                                *other,
                                i == 0   ? "the output"
                                : i == 1 ? "the errors file"
                                         : "the journal");
            }
        }
        for (int k = 0; k < i; k++) {
            if (own[i][0] && zoo_file_is_same(own[i], own[k])) {
                return zoo_fail(err, ZOO_E_USAGE, "%s and %s are one file", own[k], own[i]);
            }
        }
    }
    return ZOO_OK;
}

/* Whether a former run is there to resume; a journal is in place when this returns. */
static zoo_status settle_key(zoo_journal *j, const zoo_journal_paths *paths, zoo_journal_key *key,
                             bool *resume, zoo_error *err)
{
    bool torn = true;
    *resume = false;
    if (!zoo_file_is_kind(j->errors.path, "{\"id\":\"" NAME_BEGIN)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s exists and is not an errors file of this program; it is not replaced",
                        j->errors.path);
    }
    if (!paths->restart && has_bytes(j->path)) {
        ZOO_TRY(check_key(j, paths->results, key, &torn, err));
    }
    *resume = !torn;
    if (*resume) {
        return ZOO_OK;
    }
    if (!paths->restart && (has_bytes(paths->results) || has_bytes(j->errors.path))) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s exists without a journal beside it: give the run another output, or "
                        "--restart to replace it",
                        has_bytes(paths->results) ? paths->results : j->errors.path);
    }
    j->last_progress[0] = 0;
    /* Old lines must be gone before the new key vouches for them. */
    if ((has_bytes(j->results.path) && truncate(j->results.path, 0) != 0) ||
        (has_bytes(j->errors.path) && truncate(j->errors.path, 0) != 0)) {
        return io_error(paths->results, err);
    }
    return write_key(j, key, err);
}

static zoo_status name_files(zoo_journal *j, const zoo_journal_paths *paths, zoo_error *err)
{
    int n = snprintf(j->results.path, PATH_MAX_BYTES, "%s", paths->results);
    bool fits = n > 0 && n < PATH_MAX_BYTES;
    if (fits && !j->is_stream) {
        fits = zoo_journal_siblings(paths->results, j->path, j->errors.path);
    }
    if (paths->errors) {
        n = snprintf(j->errors.path, PATH_MAX_BYTES, "%s", paths->errors);
        fits = fits && n > 0 && n < PATH_MAX_BYTES;
    }
    return fits ? compare_paths(j, paths, err)
                : zoo_fail(err, ZOO_E_USAGE, "the name of the output is too long");
}

static bool is_stream(const char *path)
{
    struct stat info;
    return strcmp(path, "-") == 0 || strncmp(path, "/dev/", 5) == 0 ||
           (stat(path, &info) == 0 && !S_ISREG(info.st_mode));
}

/* A stream holds refused lines too, unless they have a file of their own. */
static zoo_status open_stream(zoo_journal *j, const zoo_journal_paths *paths, zoo_error *err)
{
    struct stat info;
    if (stat(paths->results, &info) == 0 && S_ISDIR(info.st_mode)) {
        return zoo_fail(err, ZOO_E_IO, "%s is a folder", paths->results);
    }
    j->results.fd = strcmp(paths->results, "-") == 0 || strcmp(paths->results, "/dev/stdout") == 0
                        ? dup(STDOUT_FILENO)
                        : open(paths->results, O_WRONLY | O_CLOEXEC | O_APPEND);
    if (j->results.fd < 0) {
        return io_error(paths->results, err);
    }
    if (!paths->errors) {
        j->errors.fd = -1;
        return ZOO_OK;
    }
    if (has_bytes(paths->errors)) {
        return zoo_fail(err, ZOO_E_USAGE, "%s exists; a run into a stream cannot go on from it",
                        paths->errors);
    }
    return open_log(j, &j->errors, false, err);
}

static zoo_status open_all(zoo_journal *j, const zoo_journal_paths *paths, zoo_journal_key *key,
                           zoo_error *err)
{
    bool resume = false;
    j->is_stream = is_stream(paths->results);
    ZOO_TRY(name_files(j, paths, err));
    if (j->is_stream) {
        return open_stream(j, paths, err);
    }
    j->lock = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (j->lock < 0) {
        return io_error(j->path, err);
    }
    if (flock(j->lock, LOCK_EX | LOCK_NB) != 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: another run is writing it", paths->results);
    }
    ZOO_TRY(settle_key(j, paths, key, &resume, err));
    ZOO_TRY(open_log(j, &j->results, resume, err));
    return open_log(j, &j->errors, resume && !paths->retry_errors, err);
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
    *out = j;
    return ZOO_OK;
}

const zoo_idmap *zoo_journal_done(const zoo_journal *j)
{
    static const zoo_idmap nothing;
    return j ? &j->done : &nothing;
}

uint64_t zoo_journal_n_results(const zoo_journal *j)
{
    return j ? j->results.n_old : 0;
}

uint64_t zoo_journal_n_errors(const zoo_journal *j)
{
    return j ? j->errors.n_old : 0;
}

const char *zoo_journal_errors_path(const zoo_journal *j)
{
    return j->errors.path[0] ? j->errors.path : j->results.path;
}

const char *zoo_journal_last_progress(const zoo_journal *j)
{
    return j ? j->last_progress : "";
}

zoo_status zoo_journal_look(const char *results, zoo_journal_facts *out, zoo_error *err)
{
    char path[PATH_MAX_BYTES], errors[PATH_MAX_BYTES];
    cJSON *tree = NULL, *progress = NULL;
    char *text = NULL;
    size_t n = 0;
    *out = (zoo_journal_facts){.n_rows = UINT64_MAX};
    if (!zoo_journal_siblings(results, path, errors)) {
        return zoo_fail(err, ZOO_E_USAGE, "the name %.200s... is too long", results);
    }
    ZOO_TRY(zoo_file_read(path, 1 << 16, &text, &n, err));
    const char *end = memchr(text, '\n', n);
    if (end && zoo_json_parse(text, (size_t)(end - text), path, &tree, NULL) == ZOO_OK) {
        (void)zoo_json_parse(end + 1, n - (size_t)(end + 1 - text), path, &progress, NULL);
    }
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        const char *value =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, parts[i].name));
        (void)snprintf((char *)&out->key + parts[i].field, parts[i].size, "%s", value ? value : "");
    }
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(progress, "rows");
    if (cJSON_IsNumber(rows) && rows->valuedouble >= 0.0) {
        out->n_rows = (uint64_t)rows->valuedouble;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    out->is_running = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        (void)close(fd);
    }
    bool ours = cJSON_GetObjectItemCaseSensitive(tree, "program") != NULL;
    cJSON_Delete(tree);
    cJSON_Delete(progress);
    zoo_mem_free(text);
    return ours ? ZOO_OK : zoo_fail(err, ZOO_E_FORMAT, "%s is no journal of a batch run", path);
}
