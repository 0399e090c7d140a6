/* job.c: the list of matrices and the files of parts (job.h). */
#define _GNU_SOURCE
#include "quantise/job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "quantise/feedback.h"

enum { ROWS_MIN = 16 };

typedef struct part_head {
    char magic[8];
    uint64_t key[2];
    double error;
    uint64_t n_rows;
    uint32_t rows, cols, bits, size;
    unsigned char zeros[8];
} part_head;

static const char part_magic[8] = "zoopart3";

static bool is_listed(const zoo_jobs *jobs, const zoo_source *source)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        if (jobs->list[i].tensor == source->tensor) {
            return true;
        }
    }
    return false;
}

static void add(zoo_jobs *jobs, const zoo_model *model, const zoo_source *source)
{
    const zoo_tensor *t = source->tensor;
    bool shared = source->is_head && model->plan.tied;
    zoo_job *job = &jobs->list[jobs->n++];
    *job = (zoo_job){.tensor = t,
                     .weight = source->weight,
                     .is_head = source->is_head,
                     .is_shared = shared,
                     .rows = (uint32_t)t->dims[0],
                     .cols = (uint32_t)t->dims[1],
                     .is_wide = source->is_wide};
    const char *name = shared ? model->plan.head_path : t->name;
    size_t n = strlen(name), suffix = strlen(".weight");
    bool is_weight = n > suffix && strcmp(name + n - suffix, ".weight") == 0;
    (void)snprintf(job->name, sizeof job->name, "%.*s", (int)(is_weight ? n - suffix : n), name);
}

zoo_status zoo_jobs_list(const zoo_model *model, zoo_jobs *out, zoo_error *err)
{
    out->list = zoo_mem_array((size_t)model->n_sources + 1, sizeof *out->list);
    if (!out->list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %u matrices", model->n_sources);
    }
    for (uint32_t i = 0; i < model->n_sources; i++) {
        const zoo_source *s = &model->sources[i];
        bool small = s->tensor->dims[0] < ROWS_MIN || s->tensor->dims[1] % ZOO_JOB_RUN;
        bool huge = s->tensor->dims[0] > INT32_MAX || s->tensor->dims[1] > INT32_MAX;
        if (!small && !huge && !is_listed(out, s)) {
            add(out, model, s);
        }
    }
    return out->n ? ZOO_OK
                  : zoo_fail(err, ZOO_E_UNSUPPORTED,
                             "%s: there is nothing to quantise: no matrix is stored as plain "
                             "[outputs, inputs]",
                             model->folder);
}

void zoo_jobs_free(zoo_jobs *jobs)
{
    zoo_mem_free(jobs->list);
    jobs->list = NULL;
    jobs->n = 0;
}

uint32_t zoo_part_group(uint32_t cols, uint32_t kind)
{
    uint32_t group = zoo_feedback_group(zoo_job_bits(kind));
    return cols % group ? ZOO_JOB_RUN : group;
}

zoo_part_sizes zoo_part_measure(uint32_t rows, uint32_t cols, uint32_t kind)
{
    uint32_t bits = zoo_job_bits(kind), group = zoo_part_group(cols, kind);
    zoo_part_sizes s = {.bits = bits == 4 ? 8 : bits, .group = group};
    s.words = ((uint64_t)cols * s.bits + 31) / 32;
    s.groups = (cols + group - 1) / group;
    s.codes = rows * s.words * sizeof(uint32_t);
    s.scales = (rows * s.groups * sizeof(uint16_t) + 3) / 4 * 4;
    return s;
}

static void part_path(const zoo_jobs *jobs, uint32_t i, uint32_t kind, char *path, size_t n)
{
    (void)snprintf(path, n, "%s/.parts/%05u-%u.part", jobs->folder, i, zoo_job_bits(kind));
}

static size_t part_size(const zoo_job *job, uint32_t kind)
{
    zoo_part_sizes s = zoo_part_measure(job->rows, job->cols, kind);
    return sizeof(part_head) + s.codes + s.scales;
}

static bool read_head(const zoo_jobs *jobs, uint32_t i, uint32_t kind, part_head *head)
{
    char path[4200];
    struct stat st;
    part_path(jobs, i, kind, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good =
        fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == part_size(&jobs->list[i], kind) &&
        read(fd, head, sizeof *head) == (ssize_t)sizeof *head &&
        memcmp(head->magic, part_magic, sizeof part_magic) == 0 &&
        memcmp(head->key, jobs->key, sizeof head->key) == 0 && head->bits == zoo_job_bits(kind) &&
        head->rows == jobs->list[i].rows && head->cols == jobs->list[i].cols;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

void zoo_jobs_resume(zoo_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
            part_head head;
            if (read_head(jobs, i, k, &head)) {
                jobs->list[i].done[k] = true;
                jobs->list[i].error[k] = head.error;
                jobs->list[i].n_rows = head.n_rows;
            }
        }
    }
}

/* Packs a row of codes densely, lowest bits first. */
static void pack_row(const uint8_t *codes, uint32_t cols, uint32_t bits, uint32_t *words)
{
    for (uint32_t k = 0; k < cols; k++) {
        uint64_t bit = (uint64_t)k * bits;
        uint64_t at = bit / 32, two = (uint64_t)codes[k] << (bit % 32);
        words[at] |= (uint32_t)two;
        if (two >> 32) {
            words[at + 1] |= (uint32_t)(two >> 32);
        }
    }
}

/* Scales of feedback's groups, those of a group once for each group that is stored. */
static void put_scales(const zoo_job *job, uint32_t kind, const uint16_t *scales, uint16_t *out)
{
    uint32_t own = zoo_feedback_group(zoo_job_bits(kind)), group = zoo_part_group(job->cols, kind);
    size_t n_own = (job->cols + own - 1) / own, n = job->cols / group;
    for (size_t r = 0; r < job->rows; r++) {
        for (size_t g = 0; g < n; g++) {
            out[r * n + g] = scales[r * n_own + g * group / own];
        }
    }
}

static zoo_status save(const char *path, const void *data, size_t n, zoo_error *err)
{
    char part[4224];
    (void)snprintf(part, sizeof part, "%s.new", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = fd >= 0 && zoo_file_write(fd, data, n) && fsync(fd) == 0;
    int code = errno;
    good = fd >= 0 && close(fd) == 0 && good;
    if (good && rename(part, path) == 0) {
        return ZOO_OK;
    }
    code = good ? errno : code;
    return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(code));
}

zoo_status zoo_part_write(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const uint8_t *codes,
                          const uint16_t *scales, zoo_error *err)
{
    const zoo_job *job = &jobs->list[i];
    zoo_part_sizes s = zoo_part_measure(job->rows, job->cols, kind);
    size_t size = part_size(job, kind);
    unsigned char *data = zoo_mem_array(size, 1);
    char path[4200];
    if (!data) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", job->name);
    }
    part_head head = {.error = job->error[kind],
                      .key = {jobs->key[0], jobs->key[1]},
                      .n_rows = job->n_rows,
                      .rows = job->rows,
                      .cols = job->cols,
                      .bits = zoo_job_bits(kind),
                      .size = sizeof head};
    memcpy(head.magic, part_magic, sizeof head.magic);
    memcpy(data, &head, sizeof head);
    unsigned char *at = data + sizeof head;
    for (uint32_t r = 0; r < job->rows; r++) {
        uint32_t *words = (uint32_t *)(void *)at + r * s.words;
        pack_row(codes + (size_t)r * job->cols, job->cols, s.bits, words);
    }
    put_scales(job, kind, scales, (uint16_t *)(void *)(at + s.codes));
    part_path(jobs, i, kind, path, sizeof path);
    zoo_status status = save(path, data, size, err);
    zoo_mem_free(data);
    return status;
}

zoo_status zoo_part_map(const zoo_jobs *jobs, uint32_t i, const unsigned char **data,
                        zoo_error *err)
{
    char path[4200];
    size_t size = part_size(&jobs->list[i], jobs->list[i].kind);
    part_path(jobs, i, jobs->list[i].kind, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (map == MAP_FAILED) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    *data = (const unsigned char *)map + sizeof(part_head);
    return ZOO_OK;
}

void zoo_part_unmap(const zoo_jobs *jobs, uint32_t i, const unsigned char *data)
{
    if (data) {
        (void)munmap((void *)(uintptr_t)(data - sizeof(part_head)),
                     part_size(&jobs->list[i], jobs->list[i].kind));
    }
}

void zoo_parts_remove(const zoo_jobs *jobs)
{
    char path[4200];
    for (uint32_t i = 0; i < jobs->n; i++) {
        for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
            part_path(jobs, i, k, path, sizeof path);
            (void)unlink(path);
        }
    }
    (void)snprintf(path, sizeof path, "%s/.parts", jobs->folder);
    (void)rmdir(path);
}
