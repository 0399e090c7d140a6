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
#include "kernels/bf16.h"
#include "kernels/rotate.h"
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

static const char part_magic[8] = "zoopart5";

static zoo_job *find(const zoo_jobs *jobs, const zoo_tensor *tensor)
{
    for (uint32_t i = jobs->n; i-- > 0;) {
        if (jobs->list[i].tensor == tensor) {
            return &jobs->list[i];
        }
    }
    return NULL;
}

/* Outputs and inputs of all matrices of a tensor; false: too large, or too small to be worth it. */
static bool measure(const zoo_source *s, uint64_t *rows, uint64_t *cols, uint64_t *n_stack)
{
    uint64_t width = s->tensor->dims[s->tensor->n_dims - 1];
    uint64_t stored = width ? s->tensor->n_items / width : 0;
    *n_stack = s->stored_rows ? stored / s->stored_rows : 0;
    *rows = s->is_transposed ? *n_stack * width : stored;
    *cols = s->is_transposed ? s->stored_rows : width;
    bool small = *n_stack == 0 || *rows / *n_stack < ROWS_MIN || *cols % ZOO_JOB_RUN;
    return !small && *rows <= INT32_MAX && *cols <= INT32_MAX;
}

static void add(zoo_jobs *jobs, const zoo_model *model, const zoo_source *source)
{
    const zoo_tensor *t = source->tensor;
    bool shared = source->is_head && model->plan.tied;
    uint64_t rows, cols, n_stack;
    if (!measure(source, &rows, &cols, &n_stack)) {
        return;
    }
    zoo_job *job = &jobs->list[jobs->n++];
    const char *name = shared ? model->plan.head_path : t->name;
    size_t n = strlen(name), suffix = strlen(".weight");
    bool is_module = n > suffix && strcmp(name + n - suffix, ".weight") == 0;
    *job = (zoo_job){.tensor = t,
                     .is_module = is_module || shared,
                     .is_head = source->is_head,
                     .is_shared = shared,
                     .is_transposed = source->is_transposed,
                     .rows = (uint32_t)rows,
                     .cols = (uint32_t)cols,
                     .n_stack = (uint32_t)n_stack,
                     .is_wide = source->is_wide};
    (void)snprintf(job->name, sizeof job->name, "%.*s", (int)(is_module ? n - suffix : n), name);
}

/* Gives each job its sources; of a stack they come in the order of its matrices, several times. */
static zoo_status give_sources(const zoo_model *model, zoo_jobs *jobs, zoo_error *err)
{
    for (uint32_t i = 0; i < model->n_sources; i++) {
        zoo_job *job = find(jobs, model->sources[i].tensor);
        uint32_t n = job ? job->n_sources : 0;
        if (job && (n & (n - 1)) == 0) {
            uint32_t *more = zoo_mem_realloc(job->sources, (n ? 2 * n : 1) * sizeof *more);
            if (!more) {
                return zoo_fail(err, ZOO_E_MEMORY, "no memory for %u matrices", model->n_sources);
            }
            job->sources = more;
        }
        if (job) {
            job->sources[job->n_sources++] = i;
        }
    }
    return ZOO_OK;
}

/* The first job of a block's experts and heads. */
static uint32_t unit_of(const zoo_model *model, const zoo_jobs *jobs, uint32_t i)
{
    const void *stacks = model->sources[jobs->list[i].sources[0]].stacks;
    for (uint32_t j = 0; stacks && j < i; j++) {
        if (model->sources[jobs->list[j].sources[0]].stacks == stacks) {
            return j;
        }
    }
    return i;
}

/* Jobs of one family follow each other: experts that are stored one by one. */
static void find_families(const zoo_model *model, zoo_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        zoo_job *job = &jobs->list[i], *before = i ? job - 1 : NULL;
        const void *family = model->sources[job->sources[0]].family;
        bool same = before && model->sources[before->sources[0]].family == family;
        job->family = same ? before->family : i;
        job->unit = same ? before->unit : unit_of(model, jobs, i);
    }
}

zoo_status zoo_jobs_list(const zoo_model *model, zoo_jobs *out, zoo_error *err)
{
    out->list = zoo_mem_array((size_t)model->n_sources + 1, sizeof *out->list);
    if (!out->list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %u matrices", model->n_sources);
    }
    for (uint32_t i = 0; i < model->n_sources; i++) {
        if (!find(out, model->sources[i].tensor)) {
            add(out, model, &model->sources[i]);
        }
    }
    if (out->n == 0) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "%s: there is nothing to quantise: no matrix is stored in plain numbers "
                        "with inputs in multiples of %d",
                        model->folder, ZOO_JOB_RUN);
    }
    ZOO_TRY(give_sources(model, out, err));
    find_families(model, out);
    return ZOO_OK;
}

void zoo_jobs_free(zoo_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        zoo_mem_free(jobs->list[i].sources);
    }
    zoo_mem_free(jobs->list);
    jobs->list = NULL;
    jobs->n = 0;
}

bool zoo_job_is_stacked(const zoo_job *job)
{
    return job->is_transposed || job->tensor->n_dims > 2;
}

bool zoo_job_has_family(const zoo_jobs *jobs, uint32_t i)
{
    uint32_t family = jobs->list[i].family;
    return family != i || (i + 1 < jobs->n && jobs->list[i + 1].family == family);
}

bool zoo_job_rotates(const zoo_job *job, uint32_t kind)
{
    return kind >= ZOO_JOB_SIX && !job->is_transposed && job->cols % ZOO_ROTATE_MAX == 0;
}

/* Columns that share a scale in feedback. */
static uint32_t own_group(const zoo_job *job, uint32_t kind)
{
    return zoo_feedback_group(zoo_job_bits(kind), zoo_job_rotates(job, kind));
}

uint32_t zoo_part_group(const zoo_job *job, uint32_t kind)
{
    uint32_t group = own_group(job, kind);
    while (job->cols % group) {
        group /= 2;
    }
    return group;
}

zoo_part_sizes zoo_part_measure(const zoo_job *job, uint32_t kind)
{
    uint32_t group = zoo_part_group(job, kind);
    zoo_part_sizes s = {.bits = kind == ZOO_JOB_FIVE ? 5 : 8, .group = group};
    s.words = ((uint64_t)job->cols * s.bits + 31) / 32;
    s.groups = (job->cols + group - 1) / group;
    s.codes = job->rows * s.words * sizeof(uint32_t);
    s.scales = (job->rows * s.groups * sizeof(uint16_t) + 3) / 4 * 4;
    return s;
}

static void part_path(const zoo_jobs *jobs, uint32_t i, uint32_t kind, char *path, size_t n)
{
    (void)snprintf(path, n, "%s/.parts/%05u-%u.part", jobs->folder, i, zoo_job_bits(kind));
}

static size_t part_size(const zoo_job *job, uint32_t kind)
{
    zoo_part_sizes s = zoo_part_measure(job, kind);
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
    uint32_t own = own_group(job, kind), group = zoo_part_group(job, kind);
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
    zoo_part_sizes s = zoo_part_measure(job, kind);
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

zoo_status zoo_part_map(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const unsigned char **data,
                        zoo_error *err)
{
    char path[4200];
    size_t size = part_size(&jobs->list[i], kind);
    part_path(jobs, i, kind, path, sizeof path);
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

void zoo_part_unmap(const zoo_jobs *jobs, uint32_t i, uint32_t kind, const unsigned char *data)
{
    if (data) {
        (void)munmap((void *)(uintptr_t)(data - sizeof(part_head)),
                     part_size(&jobs->list[i], kind));
    }
}

/* Codes of eight bits of one output times their scales. */
static void scaled_row(const zoo_job *job, uint32_t kind, const unsigned char *data, uint32_t row,
                       float *out)
{
    zoo_part_sizes s = zoo_part_measure(job, kind);
    const unsigned char *codes = data + row * s.words * sizeof(uint32_t);
    const uint16_t *scales = (const uint16_t *)(const void *)(data + s.codes) + row * s.groups;
    for (uint32_t k = 0; k < job->cols; k++) {
        out[k] = (float)(codes[k] - 128) * bf16_value(scales[k / s.group]);
    }
}

void zoo_part_row(const zoo_job *job, const unsigned char *data, uint32_t row, float *out)
{
    scaled_row(job, ZOO_JOB_FOUR, data, row, out);
}

void zoo_part_turned(const zoo_job *job, const unsigned char *data, uint32_t row, float *out)
{
    scaled_row(job, ZOO_JOB_EIGHT, data, row, out);
    zoo_rotate(out, job->cols, ZOO_ROTATE_MAX);
}

static void values_path(const zoo_jobs *jobs, uint32_t i, char *path, size_t n)
{
    (void)snprintf(path, n, "%s/.parts/%05u.values", jobs->folder, i);
}

static size_t values_size(const zoo_job *job)
{
    return (size_t)job->rows * job->cols * sizeof(float);
}

/* A file of the size of the values, mapped to be written; null: errno. */
static float *map_values(const char *path, size_t n)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int code = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)n);
    void *map = code ? MAP_FAILED : mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    code = code ? code : errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = code;
    return map == MAP_FAILED ? NULL : map;
}

zoo_status zoo_part_values(const zoo_jobs *jobs, uint32_t i, const float **values, zoo_error *err)
{
    const zoo_job *job = &jobs->list[i];
    const unsigned char *data = NULL;
    char path[4200];
    ZOO_TRY(zoo_part_map(jobs, i, job->kind, &data, err));
    values_path(jobs, i, path, sizeof path);
    float *out = map_values(path, values_size(job));
    for (uint32_t row = 0; out && row < job->rows; row++) {
        zoo_part_turned(job, data, row, out + (size_t)row * job->cols);
    }
    int code = errno;
    zoo_part_unmap(jobs, i, job->kind, data);
    *values = out;
    return out ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(code));
}

void zoo_values_unmap(const zoo_jobs *jobs, uint32_t i, const float *values)
{
    if (values) {
        (void)munmap((void *)(uintptr_t)values, values_size(&jobs->list[i]));
    }
}

typedef struct cost_file {
    uint64_t key[2];
    double cost;
} cost_file;

static void cost_path(const zoo_jobs *jobs, uint32_t i, char *path, size_t n)
{
    (void)snprintf(path, n, "%s/.parts/%05u.cost", jobs->folder, i);
}

bool zoo_cost_read(const zoo_jobs *jobs, uint32_t i, double *cost)
{
    char path[4200];
    cost_file file;
    cost_path(jobs, i, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, &file, sizeof file) == (ssize_t)sizeof file &&
                memcmp(file.key, jobs->key, sizeof file.key) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    *cost = good ? file.cost : 0;
    return good;
}

zoo_status zoo_cost_write(const zoo_jobs *jobs, uint32_t i, double cost, zoo_error *err)
{
    char path[4200];
    cost_file file = {{jobs->key[0], jobs->key[1]}, cost};
    cost_path(jobs, i, path, sizeof path);
    return save(path, &file, sizeof file, err);
}

void zoo_parts_remove(const zoo_jobs *jobs)
{
    char path[4200];
    for (uint32_t i = 0; i < jobs->n; i++) {
        for (uint32_t k = 0; k < ZOO_JOB_KINDS; k++) {
            part_path(jobs, i, k, path, sizeof path);
            (void)unlink(path);
        }
        cost_path(jobs, i, path, sizeof path);
        (void)unlink(path);
        values_path(jobs, i, path, sizeof path);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/.parts", jobs->folder);
    (void)rmdir(path);
}
