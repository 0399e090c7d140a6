/* folder.c: tensors, config.json, the note, and copies of all other files (folder.h). Memory: the
 * list of tensors. */
#define _GNU_SOURCE
#include "quantise/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

static const size_t config_max = (size_t)16 << 20, copy_max = (size_t)1 << 30;

typedef struct writing {
    const zoo_model *model;
    const zoo_jobs *jobs;
    zoo_tensor *list;
    size_t n;
    char *names; /* of the tensors of jobs */
    size_t names_used;
    int64_t *shapes;            /* [jobs][DIMS] */
    const unsigned char **data; /* [jobs] mapped parts, */
    const float **values;       /* or mapped values */
} writing;

enum {
    NAME_ROOM = ZOO_TENSOR_NAME_MAX + 32,
    TENSORS_A_JOB = 3,
    DIMS = 3,
    SIZES = 3 /* of groups, from ZOO_JOB_RUN on */
};

/* Adds the tensor "<name>.weight_packed" of a module, or "<name>_packed", with no dims yet. */
static zoo_tensor *add(writing *w, const zoo_job *job, const char *suffix, zoo_dtype dtype,
                       const void *data)
{
    char *name = w->names + w->names_used++ * NAME_ROOM;
    (void)snprintf(name, NAME_ROOM, "%s%s%s", job->name, job->is_module ? ".weight" : "", suffix);
    zoo_tensor *t = &w->list[w->n++];
    *t = (zoo_tensor){.name = name, .dtype = dtype, .data = data};
    return t;
}

/* Rows of the job and `width`; of a stack in three dims first its matrices. */
static void set_dims(const zoo_job *job, uint64_t width, zoo_tensor *t)
{
    bool stack = job->tensor->n_dims > 2;
    t->n_dims = stack ? 3 : 2;
    t->dims[0] = job->n_stack;
    t->dims[t->n_dims - 2] = stack ? job->rows / job->n_stack : job->rows;
    t->dims[t->n_dims - 1] = width;
}

static bool is_plain(const zoo_job *job)
{
    return zoo_job_rotates(job, job->kind);
}

/* The tensor as it was stored, with other numbers, in float32. */
static zoo_status add_values(writing *w, uint32_t i, zoo_error *err)
{
    const zoo_job *job = &w->jobs->list[i];
    ZOO_TRY(zoo_part_values(w->jobs, i, &w->values[i], err));
    zoo_tensor *t = add(w, job, "", ZOO_F32, w->values[i]);
    t->n_dims = job->tensor->n_dims;
    memcpy(t->dims, job->tensor->dims, sizeof t->dims);
    return ZOO_OK;
}

static zoo_status add_job(writing *w, uint32_t i, zoo_error *err)
{
    const zoo_job *job = &w->jobs->list[i];
    if (is_plain(job)) {
        return add_values(w, i, err);
    }
    zoo_part_sizes s = zoo_part_measure(job, job->kind);
    ZOO_TRY(zoo_part_map(w->jobs, i, job->kind, &w->data[i], err));
    const unsigned char *at = w->data[i];
    int64_t *shape = w->shapes + DIMS * (size_t)i;
    zoo_tensor logical = {0}, *t = add(w, job, "_packed", ZOO_I32, at);
    set_dims(job, s.words, t);
    t = add(w, job, "_scale", ZOO_BF16, at + s.codes);
    set_dims(job, s.groups, t);
    set_dims(job, job->cols, &logical);
    for (uint32_t d = 0; d < logical.n_dims; d++) {
        shape[d] = (int64_t)logical.dims[d];
    }
    t = add(w, job, "_shape", ZOO_I64, shape);
    t->n_dims = 1;
    t->dims[0] = logical.n_dims;
    return ZOO_OK;
}

static zoo_status add_all(writing *w, zoo_error *err)
{
    for (size_t i = 0; i < zoo_tensors_count(w->model->tensors); i++) {
        const zoo_tensor *t = zoo_tensors_at(w->model->tensors, i);
        bool stays = true;
        for (uint32_t j = 0; j < w->jobs->n; j++) {
            if (w->jobs->list[j].tensor == t) {
                stays = w->jobs->list[j].is_shared;
                ZOO_TRY(add_job(w, j, err));
            }
        }
        if (stays && t->dtype == ZOO_DTYPE_MAX) {
            return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: tensor %s: its dtype cannot be written",
                            t->file, t->name);
        }
        if (stays) {
            w->list[w->n++] = *t;
        }
    }
    return ZOO_OK;
}

static zoo_status write_tensors(writing *w, zoo_error *err)
{
    uint32_t n = w->jobs->n;
    char path[4200];
    size_t n_list = zoo_tensors_count(w->model->tensors) + (size_t)TENSORS_A_JOB * n;
    w->list = zoo_mem_array(n_list, sizeof *w->list);
    w->names = zoo_mem_array((size_t)TENSORS_A_JOB * n, NAME_ROOM);
    w->shapes = zoo_mem_array((size_t)DIMS * n, sizeof *w->shapes);
    w->data = zoo_mem_array(n, sizeof *w->data);
    w->values = zoo_mem_array(n, sizeof *w->values);
    if (!w->list || !w->names || !w->shapes || !w->data || !w->values) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the names of tensors");
    }
    ZOO_TRY(add_all(w, err));
    (void)snprintf(path, sizeof path, "%s/model.safetensors", w->jobs->folder);
    return zoo_tensors_write(path, w->list, w->n, err);
}

/* ---- config.json ---- */

/* Whether a matrix is stored as codes of this kind with groups of `size`. */
static bool is_so(const zoo_job *job, uint32_t kind, uint32_t size)
{
    return job->kind == kind && !is_plain(job) && zoo_part_group(job, kind) == size;
}

static cJSON *group_of(const zoo_jobs *jobs, uint32_t kind, uint32_t size)
{
    cJSON *group = cJSON_CreateObject(), *targets = cJSON_AddArrayToObject(group, "targets");
    for (uint32_t i = 0; i < jobs->n; i++) {
        if (is_so(&jobs->list[i], kind, size)) {
            (void)cJSON_AddItemToArray(targets, cJSON_CreateString(jobs->list[i].name));
        }
    }
    cJSON *weights = cJSON_AddObjectToObject(group, "weights");
    (void)cJSON_AddNumberToObject(weights, "num_bits", kind == ZOO_JOB_FIVE ? 5 : 8);
    (void)cJSON_AddStringToObject(weights, "type", "int");
    (void)cJSON_AddStringToObject(weights, "strategy", "group");
    (void)cJSON_AddNumberToObject(weights, "group_size", size);
    (void)cJSON_AddBoolToObject(weights, "symmetric", 1);
    (void)cJSON_AddBoolToObject(weights, "dynamic", 0);
    (void)cJSON_AddNullToObject(group, "input_activations");
    (void)cJSON_AddNullToObject(group, "output_activations");
    return group;
}

static bool has_group(const zoo_jobs *jobs, uint32_t kind, uint32_t size)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        if (is_so(&jobs->list[i], kind, size)) {
            return true;
        }
    }
    return false;
}

static void add_groups(cJSON *groups, const zoo_jobs *jobs)
{
    for (uint32_t i = 0, n = 0; i < SIZES * ZOO_JOB_KINDS; i++) {
        uint32_t kind = i / SIZES, size = (uint32_t)ZOO_JOB_RUN << (i % SIZES);
        char name[16];
        if (has_group(jobs, kind, size)) {
            (void)snprintf(name, sizeof name, "group_%u", n++);
            (void)cJSON_AddItemToObject(groups, name, group_of(jobs, kind, size));
        }
    }
}

static void add_quantization(cJSON *config, const zoo_jobs *jobs)
{
    cJSON *q = cJSON_AddObjectToObject(config, "quantization_config");
    bool head = false;
    (void)cJSON_AddStringToObject(q, "quant_method", "compressed-tensors");
    (void)cJSON_AddStringToObject(q, "format", "pack-quantized");
    (void)cJSON_AddStringToObject(q, "quantization_status", "compressed");
    add_groups(cJSON_AddObjectToObject(q, "config_groups"), jobs);
    cJSON *ignore = cJSON_AddArrayToObject(q, "ignore");
    for (uint32_t i = 0; i < jobs->n; i++) {
        const zoo_job *job = &jobs->list[i];
        head = head || job->is_head;
        if (is_plain(job) && job->is_module) {
            (void)cJSON_AddItemToArray(ignore, cJSON_CreateString(job->name));
        }
    }
    if (!head) {
        (void)cJSON_AddItemToArray(ignore, cJSON_CreateString("lm_head"));
    }
}

static zoo_status save_text(const char *path, const char *text, zoo_error *err)
{
    char part[4224];
    (void)snprintf(part, sizeof part, "%s.new", path);
    FILE *file = text ? fopen(part, "w") : NULL;
    bool good = file && fputs(text, file) >= 0 && fputc('\n', file) != EOF;
    good = file && fclose(file) == 0 && good;
    return good && rename(part, path) == 0 ? ZOO_OK
                                           : zoo_fail(err, ZOO_E_IO, "%s: cannot be written", path);
}

static zoo_status write_json(const zoo_jobs *jobs, const char *name, cJSON *json, zoo_error *err)
{
    char path[4200], *text = cJSON_Print(json);
    (void)snprintf(path, sizeof path, "%s/%s", jobs->folder, name);
    zoo_status status = save_text(path, text, err);
    cJSON_free(text);
    return status;
}

/* A number of the config is kept as it is spelled: 0.0 is no 0 to those who check types, and cJSON
 * prints infinities as null. So it is parsed as a string with a mark, which is printed raw. */
enum { NUMBER_MARK = 0x7f };

static bool is_number_part(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '+' || c == '.';
}

/* Copies one token of JSON: a string, a number with its mark, or a character. Returns the bytes
 * read. */
static size_t copy_token(const char *from, char **to)
{
    size_t n = 1;
    bool number = isdigit((unsigned char)*from) || *from == '-' || *from == 'I' || *from == 'N';
    while (*from == '"' && from[n] && from[n] != '"') {
        n += from[n] == '\\' && from[n + 1] ? 2 : 1;
    }
    n += *from == '"' && from[n] == '"';
    while (is_number_part(*from) && is_number_part(from[n])) {
        n++;
    }
    if (number) {
        *(*to)++ = '"';
        *(*to)++ = NUMBER_MARK;
    }
    memcpy(*to, from, n);
    *to += n;
    if (number) {
        *(*to)++ = '"';
    }
    return n;
}

static void print_numbers_raw(cJSON *parent)
{
    for (cJSON *item = parent->child; item; item = item->next) {
        print_numbers_raw(item);
        if (cJSON_IsString(item) && item->valuestring[0] == NUMBER_MARK) {
            memmove(item->valuestring, item->valuestring + 1, strlen(item->valuestring));
            item->type = (item->type & ~0xff) | cJSON_Raw;
        }
    }
}

static zoo_status read_config(const char *path, cJSON **config, zoo_error *err)
{
    char *text;
    size_t n;
    ZOO_TRY(zoo_file_read(path, config_max, &text, &n, err));
    char *marked = zoo_mem_array(n + 1, 4), *to = marked;
    if (!marked) {
        zoo_mem_free(text);
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", path);
    }
    for (size_t at = 0; at < n;) {
        at += copy_token(text + at, &to);
    }
    zoo_status status = zoo_json_parse(marked, (size_t)(to - marked), path, config, err);
    zoo_mem_free(marked);
    zoo_mem_free(text);
    if (status == ZOO_OK) {
        print_numbers_raw(*config);
    }
    return status;
}

static zoo_status write_config(const writing *w, zoo_error *err)
{
    cJSON *config;
    ZOO_TRY(read_config(zoo_model_config_path(w->model->config), &config, err));
    cJSON_DeleteItemFromObjectCaseSensitive(config, "quantization_config");
    bool codes = false;
    for (uint32_t i = 0; i < w->jobs->n; i++) {
        codes = codes || !is_plain(&w->jobs->list[i]);
    }
    if (codes) {
        add_quantization(config, w->jobs);
    }
    for (uint32_t i = 0; i < w->jobs->n; i++) {
        if (w->jobs->list[i].is_shared) {
            cJSON_DeleteItemFromObjectCaseSensitive(config, "tie_word_embeddings");
            (void)cJSON_AddBoolToObject(config, "tie_word_embeddings", 0);
        }
    }
    zoo_status status = write_json(w->jobs, "config.json", config, err);
    cJSON_Delete(config);
    return status;
}

static zoo_status write_note(const writing *w, const zoo_folder_note *note, zoo_error *err)
{
    cJSON *json = cJSON_CreateObject();
    char hash[20];
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)note->text_hash);
    (void)cJSON_AddStringToObject(json, "method",
                                  note->text || note->n_own ? "error feedback" : "rounding");
    if (note->text) {
        (void)cJSON_AddStringToObject(json, "text", note->text);
        (void)cJSON_AddStringToObject(json, "text_xxh3", hash);
        (void)cJSON_AddNumberToObject(json, "tokens", (double)note->n_tokens);
    }
    if (note->n_own) {
        (void)cJSON_AddNumberToObject(json, "own_tokens", (double)note->n_own);
    }
    (void)cJSON_AddNumberToObject(json, "bits", note->bits);
    cJSON *matrices = cJSON_AddArrayToObject(json, "matrices");
    for (uint32_t i = 0; i < w->jobs->n; i++) {
        const zoo_job *job = &w->jobs->list[i];
        cJSON *one = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(one, "name", job->name);
        (void)cJSON_AddNumberToObject(one, "bits", zoo_job_bits(job->kind));
        (void)cJSON_AddNumberToObject(one, "rows", (double)job->n_rows);
        (void)cJSON_AddNumberToObject(one, "error", job->error[job->kind]);
        if (job->is_transposed) {
            (void)cJSON_AddBoolToObject(one, "transposed", 1);
        }
        if (job->cost > 0) {
            (void)cJSON_AddNumberToObject(one, "kl_of_4_bits", job->cost);
        }
        (void)cJSON_AddItemToArray(matrices, one);
    }
    zoo_status status = write_json(w->jobs, ZOO_QUANTISE_NOTE, json, err);
    cJSON_Delete(json);
    return status;
}

/* ---- the other files ---- */

static bool is_copied(const char *name)
{
    size_t n = strlen(name);
    bool weights = (n > 12 && strcmp(name + n - 12, ".safetensors") == 0) ||
                   strcmp(name, "model.safetensors.index.json") == 0;
    return name[0] != '.' && !weights && strcmp(name, "config.json") != 0 &&
           strcmp(name, ZOO_QUANTISE_NOTE) != 0;
}

static zoo_status copy_file(const char *from, const char *to, zoo_error *err)
{
    char *data;
    size_t n;
    ZOO_TRY(zoo_file_read(from, copy_max, &data, &n, err));
    FILE *file = fopen(to, "w");
    bool good = file && fwrite(data, 1, n, file) == n;
    good = file && fclose(file) == 0 && good;
    zoo_mem_free(data);
    return good ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: cannot be written", to);
}

static zoo_status copy_files(const writing *w, zoo_error *err)
{
    DIR *folder = opendir(w->model->folder);
    zoo_status status = ZOO_OK;
    struct stat st;
    for (struct dirent *e; folder && status == ZOO_OK && (e = readdir(folder));) {
        char from[4400], to[4400];
        (void)snprintf(from, sizeof from, "%s/%.255s", w->model->folder, e->d_name);
        (void)snprintf(to, sizeof to, "%s/%.255s", w->jobs->folder, e->d_name);
        if (is_copied(e->d_name) && stat(from, &st) == 0 && S_ISREG(st.st_mode) &&
            (size_t)st.st_size <= copy_max) {
            status = copy_file(from, to, err);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
    return status;
}

zoo_status zoo_folder_write(const zoo_model *model, const zoo_jobs *jobs,
                            const zoo_folder_note *note, zoo_error *err)
{
    writing w = {.model = model, .jobs = jobs};
    zoo_status status = copy_files(&w, err);
    status = status == ZOO_OK ? write_tensors(&w, err) : status;
    status = status == ZOO_OK ? write_note(&w, note, err) : status;
    status = status == ZOO_OK ? write_config(&w, err) : status;
    for (uint32_t i = 0; w.data && i < jobs->n; i++) {
        zoo_part_unmap(jobs, i, jobs->list[i].kind, w.data[i]);
    }
    for (uint32_t i = 0; w.values && i < jobs->n; i++) {
        zoo_values_unmap(jobs, i, w.values[i]);
    }
    zoo_mem_free(w.list);
    zoo_mem_free(w.names);
    zoo_mem_free(w.shapes);
    zoo_mem_free((void *)w.data);
    zoo_mem_free((void *)w.values);
    return status;
}

/* ---- reading the note ---- */

static const char *text_of(const cJSON *json, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
    return text ? text : "?";
}

static double number_of(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

void zoo_folder_describe(const char *folder, FILE *out)
{
    char path[4200];
    cJSON *json = NULL;
    (void)snprintf(path, sizeof path, "%.4000s/%s", folder, ZOO_QUANTISE_NOTE);
    if (zoo_json_read(path, config_max, &json, NULL) != ZOO_OK) {
        return;
    }
    (void)fprintf(out, "quantised    %.40s, %d matrices, %.4g bits a weight",
                  text_of(json, "method"),
                  cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "matrices")),
                  number_of(json, "bits"));
    if (cJSON_HasObjectItem(json, "text")) {
        (void)fprintf(out, ", activations of %.0f tokens of %.200s (XXH3 %.20s)",
                      number_of(json, "tokens"), text_of(json, "text"), text_of(json, "text_xxh3"));
    }
    if (cJSON_HasObjectItem(json, "own_tokens")) {
        (void)fprintf(out, ", activations of %.0f tokens that the model wrote itself",
                      number_of(json, "own_tokens"));
    }
    (void)fputc('\n', out);
    cJSON_Delete(json);
}
