/* merge.c: see merge.h. */
#include "cluster/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/line_index.h"
#include "base/mem.h"
#include "base/shard.h"
#include "batch/progress.h"

enum { PATH_BYTES = 4096 };

typedef struct part {
    const char *results;
    char errors[PATH_BYTES];
    zoo_journal_facts facts;
    uint64_t i, n; /* shard i (0-based) of n */
    uint64_t n_results, n_errors;
} part;

/* Position of a row's line. */
typedef struct place {
    uint64_t offset;
    uint32_t n;    /* bytes, the line feed included; 0: no line */
    uint32_t file; /* 2 * part for its results, 2 * part + 1 for its errors */
} place;

typedef struct merger {
    const zoo_merge_job *job;
    part *parts; /* [job->n], sorted by shard number once checked */
    zoo_journal *journal;
    zoo_merge_totals *totals;
    /* For the order of the input. */
    zoo_input *input;
    zoo_line_index *index;
    place *places;     /* [lines of the input] */
    zoo_idmap numbers; /* of the part at hand: id -> line number */
} merger;

/* ---- which shards ---- */

static zoo_status look(part *p, zoo_error *err)
{
    char journal[PATH_BYTES];
    zoo_error ignored;
    if (access(p->results, R_OK) != 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: %s", p->results, strerror(errno));
    }
    if (!zoo_journal_siblings(p->results, journal, p->errors)) {
        return zoo_fail(err, ZOO_E_USAGE, "the name %.200s... is too long", p->results);
    }
    if (access(journal, R_OK) != 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s has no journal %s beside it, which says what shard it is; copy it too",
                        p->results, journal);
    }
    ZOO_TRY(zoo_journal_look(p->results, &p->facts, err));
    const char *shard = p->facts.key.shard;
    if (!shard[0]) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s holds a whole run, not a shard; there is nothing to merge", p->results);
    }
    if (zoo_shard_read(shard, &p->i, &p->n, &ignored) != ZOO_OK) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: \"%.40s\" is not a shard (I/N)", journal, shard);
    }
    return ZOO_OK;
}

static zoo_status refuse_other_run(const part *p, const part *first, const char *what,
                                   zoo_error *err)
{
    return zoo_fail(err, ZOO_E_USAGE, "%s (shard %s) is of another run than %s (shard %s): %s",
                    p->results, p->facts.key.shard, first->results, first->facts.key.shard, what);
}

static zoo_status compare(const part *p, const part *first, zoo_error *err)
{
    const zoo_journal_key *a = &p->facts.key, *b = &first->facts.key;
    const struct {
        const char *a, *b, *what;
    } rows[] = {{a->requests, b->requests, "the request file differs"},
                {a->model, b->model, "the model folder differs"},
                {a->options, b->options, "the options differ"},
                {a->build, b->build, "the program differs"},
                {a->isa, b->isa, "the instruction set differs; give all shards the same --isa"},
                {a->plugin, b->plugin, "the plugin differs"},
                {a->card, b->card, "the card differs"},
                {a->now, b->now, "--now differs"}};
    if (p->n != first->n) {
        return refuse_other_run(p, first, "the number of shards differs", err);
    }
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        if (strcmp(rows[i].a, rows[i].b) != 0) {
            return refuse_other_run(p, first, rows[i].what, err);
        }
    }
    return ZOO_OK;
}

static int by_shard(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return x->i < y->i ? -1 : x->i > y->i;
}

/* In sorted parts every shard number occurs exactly once. */
static zoo_status check_numbers(const merger *m, zoo_error *err)
{
    const uint64_t n = m->parts[0].n;
    char missing[200] = "";
    size_t at = 0;
    uint64_t n_missing = 0;
    for (uint32_t k = 1; k < m->job->n; k++) {
        if (m->parts[k].i == m->parts[k - 1].i) {
            return zoo_fail(err, ZOO_E_USAGE, "shard %s is given twice: %s and %s",
                            m->parts[k].facts.key.shard, m->parts[k - 1].results,
                            m->parts[k].results);
        }
    }
    for (uint64_t i = 0, k = 0; i < n && n_missing <= n - m->job->n; i++) {
        if (k < m->job->n && m->parts[k].i == i) {
            k++;
        } else if (n_missing++ < 8) {
            at += (size_t)snprintf(missing + at, sizeof missing - at, "%s%llu/%llu", at ? ", " : "",
                                   (unsigned long long)i, (unsigned long long)n);
            at = at < sizeof missing ? at : sizeof missing - 1;
        }
        if (n_missing > 8 && n - m->job->n > 8) {
            break;
        }
    }
    return m->job->n == n
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_USAGE, "missing: shard %s%s (%llu of %llu are here)", missing,
                          n - m->job->n > 8 ? ", ..." : "", (unsigned long long)m->job->n,
                          (unsigned long long)n);
}

static zoo_status check_all(merger *m, zoo_error *err)
{
    for (uint32_t k = 0; k < m->job->n; k++) {
        m->parts[k].results = m->job->results[k];
        ZOO_TRY(look(&m->parts[k], err));
        ZOO_TRY(compare(&m->parts[k], &m->parts[0], err));
    }
    qsort(m->parts, m->job->n, sizeof *m->parts, by_shard);
    return check_numbers(m, err);
}

/* ---- lines of the shards ---- */

typedef struct line_of {
    uint32_t k; /* part */
    bool is_error;
    zoo_id id;
    const char *text;
    size_t n;
    uint64_t offset;
} line_of;

typedef zoo_status (*line_fn)(merger *m, const line_of *line, zoo_error *err);

/* Calls fn for each complete line; a missing errors file has no lines. */
static zoo_status each_line(merger *m, uint32_t k, bool is_error, line_fn fn, zoo_error *err)
{
    const part *p = &m->parts[k];
    const char *path = is_error ? p->errors : p->results;
    FILE *file;
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    zoo_status status = ZOO_OK;
    line_of line = {.k = k, .is_error = is_error};
    if (is_error && access(path, F_OK) != 0 && errno == ENOENT) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_file_stream(path, &file, err));
    while (status == ZOO_OK && (n = getline(&text, &capacity, file)) > 0 && text[n - 1] == '\n') {
        line.text = text;
        line.n = (size_t)n;
        status = zoo_journal_line_id(text, (size_t)n, &line.id)
                     ? fn(m, &line, err)
                     : zoo_fail(err, ZOO_E_FORMAT,
                                "%s: the line at byte %llu was not written by "
                                "this program",
                                path, (unsigned long long)line.offset);
        line.offset += (uint64_t)n;
    }
    if (status == ZOO_OK && ferror(file)) {
        status = zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    free(text);
    (void)fclose(file);
    return status;
}

static zoo_status twice(const merger *m, const line_of *line, zoo_error *err)
{
    char name[48];
    zoo_journal_name(line->id, name);
    return zoo_fail(err, ZOO_E_USAGE, "%s: row %s occurs twice", m->parts[line->k].results, name);
}

static zoo_status count_line(merger *m, const line_of *line, zoo_error *err)
{
    bool fresh;
    part *p = &m->parts[line->k];
    *(line->is_error ? &p->n_errors : &p->n_results) += 1;
    ZOO_TRY(zoo_idmap_add(&m->numbers, line->id, (zoo_id){{0, 0}}, &fresh, err));
    return fresh ? ZOO_OK : twice(m, line, err);
}

/* Every row of the shard has exactly one line in its files. */
static zoo_status check_rows(merger *m, uint32_t k, zoo_error *err)
{
    part *p = &m->parts[k];
    if (p->facts.is_running) {
        return zoo_fail(err, ZOO_E_USAGE, "shard %s (%s) is still being written",
                        p->facts.key.shard, p->results);
    }
    zoo_idmap_free(&m->numbers);
    m->numbers = (zoo_idmap){.is_set = true};
    ZOO_TRY(each_line(m, k, false, count_line, err));
    ZOO_TRY(each_line(m, k, true, count_line, err));
    uint64_t n = p->n_results + p->n_errors;
    if (p->facts.n_rows == UINT64_MAX || n < p->facts.n_rows) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "shard %s (%s) is not finished: %llu rows are done, %s%llu are not; start "
                        "it again with the same command",
                        p->facts.key.shard, p->results, (unsigned long long)n,
                        p->facts.n_rows == UINT64_MAX ? "at least " : "",
                        p->facts.n_rows == UINT64_MAX ? 1ull
                                                      : (unsigned long long)(p->facts.n_rows - n));
    }
    return n == p->facts.n_rows ? ZOO_OK
                                : zoo_fail(err, ZOO_E_USAGE,
                                           "shard %s (%s) has %llu lines, but its journal has %llu "
                                           "rows",
                                           p->facts.key.shard, p->results, (unsigned long long)n,
                                           (unsigned long long)p->facts.n_rows);
}

/* ---- order of the input ---- */

static zoo_status open_input(merger *m, zoo_error *err)
{
    const zoo_journal_key *key = &m->parts[0].facts.key;
    const char *path = m->job->input ? m->job->input : key->input;
    bool is_kept;
    zoo_error why;
    if (!path[0] || access(path, R_OK) != 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--order input needs the request file%s%s: give it with --input",
                        path[0] ? ", which cannot be read at " : "", path);
    }
    ZOO_TRY(zoo_input_open(path, NULL, &m->input, &why) == ZOO_OK
                ? ZOO_OK
                : zoo_fail(err, ZOO_E_USAGE, "%s", why.text));
    ZOO_TRY(zoo_line_index_open(m->input, path, &is_kept, &m->index, err));
    if (strcmp(zoo_line_index_hash(m->index), key->requests) != 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s is not the request file of these shards, or it changed since", path);
    }
    m->places = zoo_mem_array(zoo_line_index_n_lines(m->index) + 1, sizeof *m->places);
    return m->places ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory to keep the input's order");
}

/* Maps the ids of a shard's rows to line numbers; the index holds the first half of an id. */
static zoo_status read_numbers(merger *m, const part *p, zoo_error *err)
{
    zoo_line_entry entry;
    bool fresh;
    zoo_idmap_free(&m->numbers);
    m->numbers = (zoo_idmap){.is_set = false};
    for (uint64_t at = p->i ? p->i : p->n; at <= zoo_line_index_n_lines(m->index); at += p->n) {
        ZOO_TRY(zoo_line_index_get(m->index, at, &entry, err));
        if (entry.n > 0) {
            ZOO_TRY(zoo_idmap_add(&m->numbers, (zoo_id){{entry.id, 1}}, (zoo_id){{at, 0}}, &fresh,
                                  err));
        }
    }
    return ZOO_OK;
}

static zoo_status place_line(merger *m, const line_of *line, zoo_error *err)
{
    const zoo_id *number = zoo_idmap_find(&m->numbers, (zoo_id){{line->id.part[0], 1}});
    if (!number) {
        return zoo_fail(err, ZOO_E_USAGE, "%s, byte %llu: the row is not of shard %s",
                        line->is_error ? m->parts[line->k].errors : m->parts[line->k].results,
                        (unsigned long long)line->offset, m->parts[line->k].facts.key.shard);
    }
    place *p = &m->places[number->part[0]];
    if (p->n > 0) {
        return twice(m, line, err);
    }
    if (line->n > UINT32_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%s: a line of %zu bytes", m->parts[line->k].results,
                        line->n);
    }
    *p = (place){line->offset, (uint32_t)line->n, 2 * line->k + line->is_error};
    return ZOO_OK;
}

static zoo_status put(merger *m, bool is_error, zoo_id id, const char *text, size_t n,
                      zoo_error *err)
{
    *(is_error ? &m->totals->n_errors : &m->totals->n_results) += 1;
    if (zoo_idmap_find(zoo_journal_done(m->journal), id)) {
        return ZOO_OK; /* copied before the merge was interrupted */
    }
    return is_error ? zoo_journal_error(m->journal, text, n, err)
                    : zoo_journal_result(m->journal, text, n, err);
}

typedef struct files {
    int *fds; /* [2 * parts], -1: not open */
    uint32_t n, n_open;
    char *text;
    size_t capacity;
} files;

static void close_files(files *f)
{
    for (uint32_t i = 0; f->fds && i < f->n; i++) {
        if (f->fds[i] >= 0) {
            (void)close(f->fds[i]);
            f->fds[i] = -1;
        }
    }
    f->n_open = 0;
}

/* At most 500 files are open at once, however many shards there are. */
static zoo_status read_place(const merger *m, files *f, const place *p, zoo_error *err)
{
    const part *from = &m->parts[p->file / 2];
    const char *path = p->file % 2 ? from->errors : from->results;
    if (f->fds[p->file] < 0) {
        if (f->n_open == 500) {
            close_files(f);
        }
        ZOO_TRY(zoo_file_open(path, &f->fds[p->file], err));
        f->n_open++;
    }
    if (p->n > f->capacity) {
        char *grown = zoo_mem_realloc(f->text, p->n);
        if (!grown) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for a line of %s", path);
        }
        f->text = grown;
        f->capacity = p->n;
    }
    for (size_t at = 0; at < p->n;) {
        ssize_t got = pread(f->fds[p->file], f->text + at, p->n - at, (off_t)(p->offset + at));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return zoo_fail(err, ZOO_E_IO, "%s: %s", path,
                            got < 0 ? strerror(errno) : "it was truncated while it was read");
        }
        at += got > 0 ? (size_t)got : 0;
    }
    return ZOO_OK;
}

static zoo_status copy_ordered(merger *m, zoo_error *err)
{
    files f = {.n = 2 * m->job->n};
    zoo_status status = ZOO_OK;
    f.fds = zoo_mem_array(f.n, sizeof *f.fds);
    if (!f.fds) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to merge");
    }
    memset(f.fds, -1, f.n * sizeof *f.fds);
    for (uint64_t i = 1; status == ZOO_OK && i <= zoo_line_index_n_lines(m->index); i++) {
        const place *p = &m->places[i];
        zoo_id id;
        if (p->n == 0) {
            continue;
        }
        status = read_place(m, &f, p, err);
        if (status == ZOO_OK && !zoo_journal_line_id(f.text, p->n, &id)) {
            status = zoo_fail(err, ZOO_E_IO, "%s changed while it was read",
                              m->parts[p->file / 2].results);
        }
        if (status == ZOO_OK) {
            status = put(m, p->file % 2, id, f.text, p->n, err);
        }
    }
    close_files(&f);
    zoo_mem_free(f.fds);
    zoo_mem_free(f.text);
    return status;
}

static zoo_status copy_line(merger *m, const line_of *line, zoo_error *err)
{
    return put(m, line->is_error, line->id, line->text, line->n, err);
}

static zoo_status copy_all(merger *m, zoo_error *err)
{
    if (m->job->in_order) {
        return copy_ordered(m, err);
    }
    for (uint32_t k = 0; k < m->job->n; k++) {
        ZOO_TRY(each_line(m, k, false, copy_line, err));
        ZOO_TRY(each_line(m, k, true, copy_line, err));
    }
    return ZOO_OK;
}

/* ---- the whole ---- */

static zoo_status prepare(merger *m, zoo_error *err)
{
    ZOO_TRY(check_all(m, err));
    for (uint32_t k = 0; k < m->job->n; k++) {
        ZOO_TRY(check_rows(m, k, err));
    }
    if (!m->job->in_order) {
        return ZOO_OK;
    }
    ZOO_TRY(open_input(m, err));
    for (uint32_t k = 0; k < m->job->n; k++) {
        ZOO_TRY(read_numbers(m, &m->parts[k], err));
        ZOO_TRY(each_line(m, k, false, place_line, err));
        ZOO_TRY(each_line(m, k, true, place_line, err));
    }
    return ZOO_OK;
}

/* Opens the output as the files of a run; none of them may be a file of a shard. */
static zoo_status open_output(merger *m, zoo_journal_key *key, zoo_error *err)
{
    uint32_t n = 2 * m->job->n;
    const char **others = zoo_mem_array((size_t)n + 2, sizeof *others);
    if (!others) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to merge");
    }
    for (uint32_t k = 0; k < m->job->n; k++) {
        others[2 * k] = m->parts[k].results;
        others[2 * k + 1] = m->parts[k].errors;
    }
    others[n] = m->job->in_order && m->job->input ? m->job->input : NULL;
    zoo_journal_paths paths = {.results = m->job->output,
                               .errors = m->job->errors,
                               .others = others,
                               .restart = m->job->restart};
    *key = m->parts[0].facts.key;
    key->shard[0] = 0;
    zoo_status status = zoo_journal_open(&paths, key, &m->journal, err);
    zoo_mem_free(others);
    ZOO_TRY(status);
    ZOO_TRY(zoo_journal_set_engine(m->journal, key, err));
    return zoo_journal_keep(m->journal, NULL, err);
}

static zoo_status write_all(merger *m, zoo_error *err)
{
    static const zoo_progress_options silent = {.shows = false};
    zoo_journal_key key;
    zoo_progress progress;
    zoo_batch_totals totals = {0};
    ZOO_TRY(open_output(m, &key, err));
    zoo_progress_begin(&progress, &silent, m->journal, 0);
    ZOO_TRY(copy_all(m, err));
    uint64_t n_old = zoo_journal_n_results(m->journal), e_old = zoo_journal_n_errors(m->journal);
    totals.n_results = m->totals->n_results - n_old;
    totals.n_errors = m->totals->n_errors - e_old;
    progress.n_lines = m->totals->n_results + m->totals->n_errors;
    zoo_progress_end(&progress, &totals, "ended");
    return ZOO_OK;
}

zoo_status zoo_merge(const zoo_merge_job *job, zoo_merge_totals *totals, zoo_error *err)
{
    merger m = {.job = job, .totals = totals};
    *totals = (zoo_merge_totals){0, 0};
    m.parts = zoo_mem_array(job->n, sizeof *m.parts);
    if (!m.parts) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to merge %u shards", job->n);
    }
    zoo_status status = prepare(&m, err);
    if (status == ZOO_OK) {
        status = write_all(&m, err);
    }
    zoo_error ignored;
    zoo_status closed = zoo_journal_close(m.journal, status == ZOO_OK ? err : &ignored);
    zoo_idmap_free(&m.numbers);
    zoo_line_index_close(m.index);
    zoo_input_close(m.input);
    zoo_mem_free(m.places);
    zoo_mem_free(m.parts);
    return status == ZOO_OK ? closed : status;
}
