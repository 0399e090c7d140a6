/*
 * safetensors.c: headers checked, payloads mapped, names hashed.
 *
 *   file   -> header length -> JSON -> one zoo_tensor per entry -> sorted by offset: no hole, no
 *             overlap, no rest
 *   folder -> which files -> each of them as above -> one hash table over all names -> the index
 *             compared
 *
 * Shard headers are the truth; the index only says which shards there are, and where it disagrees a
 * note is kept. Memory: the tables; a header's JSON tree while it is read. It does not check values
 * and never writes to a mapping. Truncating a file while it is mapped ends the program
 * (base/mapped.h). Source: the README of huggingface/safetensors.
 */
#include "checkpoint/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/idmap.h"
#include "base/json.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "base/system.h"
#include "checkpoint/safetensors_set.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors payloads are little-endian and read as they are"
#endif

#define HEADER_MAX  100000000u
#define TENSORS_MAX (1u << 24)
#define EXACT_MAX   9007199254740992.0 /* 2^53: a double counts exactly to here */
#define FDS_MAX     256                /* files that stay open; a process may have 1024 */

typedef struct tensor_file {
    char *path;
    unsigned char *base; /* null: not mapped yet */
    int fd;              /* -1: not kept open, after FDS_MAX files */
    size_t size;
    zoo_file_stamp stamp;
} tensor_file;

struct zoo_tensors {
    tensor_file *files;
    zoo_tensor *tensors;
    uint32_t *slots; /* 1 + number of a tensor, 0: empty */
    char **notes;
    size_t n_files, n_tensors, n_slots, n_notes;
    size_t tensors_max, notes_max;
    uint64_t seed;
    zoo_idmap aliases; /* second names: number of the tensor */
};

/* Dtypes of the format: those with a zoo_dtype, then those that are listed but not read. */
static const struct {
    const char *name;
    uint32_t bits;
    zoo_dtype dtype;
} stored_dtypes[] = {
    {"F32", 32, ZOO_F32},
    {"BF16", 16, ZOO_BF16},
    {"F16", 16, ZOO_F16},
    {"F64", 64, ZOO_F64},
    {"I8", 8, ZOO_I8},
    {"I16", 16, ZOO_I16},
    {"I32", 32, ZOO_I32},
    {"I64", 64, ZOO_I64},
    {"U8", 8, ZOO_U8},
    {"U16", 16, ZOO_U16},
    {"U32", 32, ZOO_U32},
    {"U64", 64, ZOO_U64},
    {"BOOL", 8, ZOO_BOOL},
    {"F8_E4M3", 8, ZOO_F8_E4M3},
    {"F8_E5M2", 8, ZOO_F8_E5M2},
    {"F8_E8M0", 8, ZOO_F8_E8M0},
    {"F4", 4, ZOO_DTYPE_MAX},
    {"F6_E2M3", 6, ZOO_DTYPE_MAX},
    {"F6_E3M2", 6, ZOO_DTYPE_MAX},
    {"C64", 64, ZOO_DTYPE_MAX},
    {"F8_E4M3FNUZ", 8, ZOO_DTYPE_MAX},
    {"F8_E5M2FNUZ", 8, ZOO_DTYPE_MAX},
};

zoo_status zoo_tensors_note_add(zoo_tensors *set, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (set->n_notes == set->notes_max) {
        size_t larger = set->notes_max * 2 + 4;
        char **notes = zoo_mem_realloc(set->notes, larger * sizeof *notes);
        if (!notes) {
            return ZOO_E_MEMORY;
        }
        set->notes = notes;
        set->notes_max = larger;
    }
    char *copy = zoo_mem_text(text, strlen(text));
    if (!copy) {
        return ZOO_E_MEMORY;
    }
    set->notes[set->n_notes++] = copy;
    return ZOO_OK;
}

/* A whole number of 0 .. 2^53. */
static bool item_count(const cJSON *item, uint64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= EXACT_MAX)) {
        return false;
    }
    *value = (uint64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

static zoo_status entry_dtype(zoo_tensor *t, const cJSON *item, uint32_t *bits, zoo_error *err)
{
    if (!cJSON_IsString(item)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: dtype is not a string", t->file,
                        t->name);
    }
    for (size_t i = 0; i < ZOO_COUNT(stored_dtypes); i++) {
        if (strcmp(item->valuestring, stored_dtypes[i].name) == 0) {
            t->dtype = stored_dtypes[i].dtype;
            t->dtype_name = stored_dtypes[i].name;
            *bits = stored_dtypes[i].bits;
            return ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: tensor %s: unknown dtype %.32s", t->file, t->name,
                    item->valuestring);
}

/* Fills dims and n_items and gives the bytes they take. */
static zoo_status entry_shape(zoo_tensor *t, const cJSON *item, uint32_t bits, uint64_t *n_bytes,
                              zoo_error *err)
{
    uint64_t total_bits;
    const cJSON *dim = cJSON_IsArray(item) ? item->child : NULL;
    if (!cJSON_IsArray(item)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: shape is not a list", t->file, t->name);
    }
    t->n_items = 1;
    for (t->n_dims = 0; dim; dim = dim->next, t->n_dims++) {
        uint64_t size;
        if (t->n_dims == ZOO_TENSOR_DIMS_MAX) {
            return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: tensor %s: more than %d dimensions",
                            t->file, t->name, ZOO_TENSOR_DIMS_MAX);
        }
        if (!item_count(dim, &size)) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: dimension %u is not a size", t->file,
                            t->name, t->n_dims);
        }
        if (__builtin_mul_overflow(t->n_items, size, &t->n_items)) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: its shape overflows", t->file,
                            t->name);
        }
        t->dims[t->n_dims] = size;
    }
    if (__builtin_mul_overflow(t->n_items, bits, &total_bits)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: its shape overflows", t->file, t->name);
    }
    if (total_bits % 8) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: its %s items end inside a byte", t->file,
                        t->name, t->dtype_name);
    }
    *n_bytes = total_bits / 8;
    return ZOO_OK;
}

static zoo_status entry_offsets(zoo_tensor *t, const cJSON *item, const unsigned char *payload,
                                uint64_t payload_size, zoo_error *err)
{
    uint64_t begin, end;
    if (!cJSON_IsArray(item) || !item->child || !item->child->next || item->child->next->next ||
        !item_count(item->child, &begin) || !item_count(item->child->next, &end) || begin > end) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: data_offsets are not [begin, end]",
                        t->file, t->name);
    }
    if (end > payload_size) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s: tensor %s ends at byte %llu of a payload of %llu (is the file cut?)",
                        t->file, t->name, (unsigned long long)end,
                        (unsigned long long)payload_size);
    }
    t->n_bytes = end - begin;
    t->data = payload + begin;
    t->at += begin;
    return ZOO_OK;
}

/* The three members of an entry, each once and nothing else. */
static zoo_status entry_members(const zoo_tensor *t, const cJSON *entry, const cJSON *members[3],
                                zoo_error *err)
{
    static const char *const names[3] = {"dtype", "shape", "data_offsets"};
    const cJSON *item = cJSON_IsObject(entry) ? entry->child : NULL;
    for (; item; item = item->next) {
        size_t i = 0;
        while (i < 3 && strcmp(item->string, names[i]) != 0) {
            i++;
        }
        if (i == 3 || members[i]) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: %s key %.64s", t->file, t->name,
                            i == 3 ? "unknown" : "repeated", item->string);
        }
        members[i] = item;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!members[i]) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s: no %s", t->file, t->name, names[i]);
        }
    }
    return ZOO_OK;
}

static zoo_status entry_read(zoo_tensor *t, const cJSON *entry, const unsigned char *payload,
                             uint64_t payload_size, zoo_error *err)
{
    const cJSON *members[3] = {NULL, NULL, NULL};
    uint32_t bits = 0;
    uint64_t n_bytes = 0;
    ZOO_TRY(entry_members(t, entry, members, err));
    ZOO_TRY(entry_dtype(t, members[0], &bits, err));
    ZOO_TRY(entry_shape(t, members[1], bits, &n_bytes, err));
    ZOO_TRY(entry_offsets(t, members[2], payload, payload_size, err));
    if (n_bytes != t->n_bytes) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s: tensor %s: shape and dtype %s make %llu bytes, its offsets %llu",
                        t->file, t->name, t->dtype_name, (unsigned long long)n_bytes,
                        (unsigned long long)t->n_bytes);
    }
    return ZOO_OK;
}

/* __metadata__ is read by nobody here, but must be what the format says. */
static zoo_status metadata_check(const char *path, const cJSON *entry, zoo_error *err)
{
    if (!cJSON_IsObject(entry)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: __metadata__ is not an object", path);
    }
    for (const cJSON *item = entry->child; item; item = item->next) {
        if (!cJSON_IsString(item)) {
            return zoo_fail(err, ZOO_E_FORMAT,
                            "%s: __metadata__: the value of %.64s is not a string", path,
                            item->string);
        }
    }
    return ZOO_OK;
}

static int by_offset(const void *left, const void *right)
{
    const zoo_tensor *a = left, *b = right;
    if (a->data != b->data) {
        return (uintptr_t)a->data < (uintptr_t)b->data ? -1 : 1;
    }
    if (a->n_bytes != b->n_bytes) {
        return a->n_bytes < b->n_bytes ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* Tensors of one file, sorted, must follow each other from the payload's first byte to its last. */
static zoo_status offsets_check(const tensor_file *file, const zoo_tensor *list, size_t n,
                                const unsigned char *payload, zoo_error *err)
{
    const unsigned char *end = payload;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *begin = list[i].data;
        if (begin != end) {
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s %s", file->path, list[i].name,
                            begin < end ? "overlaps the one before it" : "leaves a gap before it");
        }
        end = begin + list[i].n_bytes;
    }
    if (end != file->base + file->size) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: %zu bytes after the last tensor belong to none",
                        file->path, (size_t)(file->base + file->size - end));
    }
    return ZOO_OK;
}

static zoo_status tensors_reserve(zoo_tensors *set, size_t more, const char *path, zoo_error *err)
{
    size_t wanted = set->n_tensors + more;
    if (wanted > TENSORS_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%s: more than %u tensors", path, TENSORS_MAX);
    }
    if (wanted > set->tensors_max) {
        size_t larger = wanted + set->tensors_max;
        zoo_tensor *tensors = zoo_mem_realloc(set->tensors, larger * sizeof *tensors);
        if (!tensors) {
            return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for a table of %zu tensors", path,
                            larger);
        }
        set->tensors = tensors;
        set->tensors_max = larger;
    }
    return ZOO_OK;
}

static zoo_status tensor_add(zoo_tensors *set, const tensor_file *file, const cJSON *entry,
                             const unsigned char *payload, zoo_error *err)
{
    size_t length = strlen(entry->string);
    zoo_tensor *t = &set->tensors[set->n_tensors];
    if (length > ZOO_TENSOR_NAME_MAX) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: a tensor's name has %zu bytes (%.64s...)",
                        file->path, length, entry->string);
    }
    memset(t, 0, sizeof *t);
    char *name = zoo_mem_text(entry->string, length);
    if (!name) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the name of a tensor", file->path);
    }
    t->name = name;
    t->file = file->path;
    t->fd = file->fd;
    t->at = (uint64_t)(payload - file->base);
    set->n_tensors++;
    return entry_read(t, entry, payload, (uint64_t)(file->base + file->size - payload), err);
}

static zoo_status header_read(zoo_tensors *set, const tensor_file *file, const cJSON *header,
                              const unsigned char *payload, zoo_error *err)
{
    size_t first = set->n_tensors, n_metadata = 0;
    ZOO_TRY(tensors_reserve(set, (size_t)cJSON_GetArraySize(header), file->path, err));
    for (const cJSON *entry = header->child; entry; entry = entry->next) {
        if (strcmp(entry->string, "__metadata__") == 0) {
            ZOO_TRY(metadata_check(file->path, entry, err));
            if (n_metadata++) {
                return zoo_fail(err, ZOO_E_FORMAT, "%s: __metadata__ occurs twice", file->path);
            }
            continue;
        }
        ZOO_TRY(tensor_add(set, file, entry, payload, err));
    }
    size_t n = set->n_tensors - first;
    zoo_tensor *list = n ? set->tensors + first : NULL;
    if (n) {
        qsort(list, n, sizeof *list, by_offset);
    }
    return offsets_check(file, list, n, payload, err);
}

static zoo_file_stamp stamp_of(const struct stat *st)
{
    const uint64_t second = 1000000000u;
    struct timespec changed = zoo_system_changed(st), touched = zoo_system_touched(st);
    return (zoo_file_stamp){(uint64_t)st->st_size, (uint64_t)st->st_ino,
                            (uint64_t)changed.tv_sec * second + (uint64_t)changed.tv_nsec,
                            (uint64_t)touched.tv_sec * second + (uint64_t)touched.tv_nsec};
}

/* Maps the whole of fd, at least 8 bytes. */
static zoo_status file_map(tensor_file *file, int fd, zoo_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return zoo_fail(err, zoo_file_status(errno), "%s: %s", file->path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || st.st_size < 8 || (uintmax_t)st.st_size > SIZE_MAX / 2) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: not a safetensors file: %s", file->path,
                        S_ISREG(st.st_mode) ? "shorter than 8 bytes" : "not a regular file");
    }
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        return zoo_fail(err, zoo_file_status(errno), "%s: cannot be mapped: %s", file->path,
                        strerror(errno));
    }
    zoo_mapped_add(base, (size_t)st.st_size, file->path);
    file->base = base;
    file->size = (size_t)st.st_size;
    file->stamp = stamp_of(&st);
    return ZOO_OK;
}

static zoo_status file_header(zoo_tensors *set, const tensor_file *file, zoo_error *err)
{
    uint64_t length;
    cJSON *header;
    memcpy(&length, file->base, sizeof length);
    if (zoo_file_is_pointer(file->base, file->size)) {
        return zoo_fail(err, ZOO_E_FORMAT, ZOO_POINTER_SENTENCE, file->path);
    }
    if (length > HEADER_MAX) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: a header of %llu bytes, more than %u", file->path,
                        (unsigned long long)length, HEADER_MAX);
    }
    if (length > file->size - 8) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: a header of %llu bytes in a file of %zu",
                        file->path, (unsigned long long)length, file->size);
    }
    if (length == 0 || file->base[8] != '{') {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the header does not begin with {", file->path);
    }
    ZOO_TRY(zoo_json_parse((const char *)file->base + 8, (size_t)length, file->path, &header, err));
    zoo_status status = header_read(set, file, header, file->base + 8 + length, err);
    cJSON_Delete(header);
    return status;
}

/* Opens one more file of the set, whose table of files has room for it. */
static zoo_status file_open(zoo_tensors *set, const char *path, zoo_error *err)
{
    tensor_file *file = &set->files[set->n_files];
    file->path = zoo_mem_text(path, strlen(path));
    if (!file->path) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory", path);
    }
    set->n_files++;
    int fd;
    ZOO_TRY(zoo_file_open(path, &fd, err));
    zoo_status status = file_map(file, fd, err);
    file->fd = status == ZOO_OK && set->n_files <= FDS_MAX ? fd : -1;
    if (file->fd < 0) {
        (void)close(fd);
    }
    return status == ZOO_OK ? file_header(set, file, err) : status;
}

/* The slot of name: the tensor's own, or the empty one where it would go. */
static size_t slot_of(const zoo_tensors *set, const char *name)
{
    size_t mask = set->n_slots - 1;
    size_t slot = (size_t)XXH3_64bits_withSeed(name, strlen(name), set->seed) & mask;
    while (set->slots[slot] && strcmp(set->tensors[set->slots[slot] - 1].name, name) != 0) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static zoo_status names_hash(zoo_tensors *set, zoo_error *err)
{
    set->n_slots = 16;
    while (set->n_slots < set->n_tensors * 2) {
        set->n_slots *= 2;
    }
    set->slots = zoo_mem_array(set->n_slots, sizeof *set->slots);
    if (!set->slots) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the names of %zu tensors",
                        set->files[0].path, set->n_tensors);
    }
    set->seed = (uintptr_t)set->slots; /* so that nobody can prepare names that collide */
    for (size_t i = 0; i < set->n_tensors; i++) {
        size_t slot = slot_of(set, set->tensors[i].name);
        if (set->slots[slot]) {
            const zoo_tensor *other = &set->tensors[set->slots[slot] - 1];
            return zoo_fail(err, ZOO_E_FORMAT, "%s: tensor %s is a duplicate of one in %s",
                            set->tensors[i].file, other->name, other->file);
        }
        set->slots[slot] = (uint32_t)i + 1;
    }
    return ZOO_OK;
}

zoo_status zoo_tensors_open_list(const char *folder, const char *const *names, size_t n,
                                 zoo_tensors **out, zoo_error *err)
{
    char path[ZOO_PATH_MAX];
    zoo_status status = ZOO_OK;
    zoo_tensors *set = zoo_mem_array(1, sizeof *set);
    *out = NULL;
    if (set) {
        set->files = zoo_mem_array(n, sizeof *set->files);
    }
    if (!set || !set->files) {
        zoo_mem_free(set);
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for a table of %zu files", folder, n);
    }
    for (size_t i = 0; i < n && status == ZOO_OK; i++) {
        int length = folder[0] ? snprintf(path, sizeof path, "%s/%s", folder, names[i])
                               : snprintf(path, sizeof path, "%s", names[i]);
        if (length < 0 || (size_t)length >= sizeof path) {
            status = zoo_fail(err, ZOO_E_IO, "%.64s...: the path is too long", folder);
        } else {
            status = file_open(set, path, err);
        }
    }
    if (status == ZOO_OK) {
        status = names_hash(set, err);
    }
    if (status != ZOO_OK) {
        zoo_tensors_close(set);
        return status;
    }
    *out = set;
    return ZOO_OK;
}

void zoo_tensors_close(zoo_tensors *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->n_tensors; i++) {
        zoo_mem_free((void *)(uintptr_t)set->tensors[i].name);
    }
    for (size_t i = 0; i < set->n_files; i++) {
        if (set->files[i].base) {
            zoo_mapped_remove(set->files[i].base);
            (void)munmap(set->files[i].base, set->files[i].size);
            if (set->files[i].fd >= 0) {
                (void)close(set->files[i].fd);
            }
        }
        zoo_mem_free(set->files[i].path);
    }
    for (size_t i = 0; i < set->n_notes; i++) {
        zoo_mem_free(set->notes[i]);
    }
    zoo_idmap_free(&set->aliases);
    zoo_mem_free(set->notes);
    zoo_mem_free(set->files);
    zoo_mem_free(set->tensors);
    zoo_mem_free(set->slots);
    zoo_mem_free(set);
}

zoo_status zoo_tensors_open_file(const char *path, zoo_tensors **set, zoo_error *err)
{
    return zoo_tensors_open_list("", &path, 1, set, err);
}

const zoo_tensor *zoo_tensors_find(const zoo_tensors *set, const char *name)
{
    uint32_t slot = set->slots[slot_of(set, name)];
    if (slot) {
        return &set->tensors[slot - 1];
    }
    const zoo_id *alias = zoo_idmap_find(&set->aliases, zoo_id_of(name, strlen(name), set->seed));
    return alias ? &set->tensors[alias->part[0]] : NULL;
}

zoo_status zoo_tensors_alias(zoo_tensors *set, size_t i, const char *name, zoo_error *err)
{
    bool fresh;
    return zoo_idmap_add(&set->aliases, zoo_id_of(name, strlen(name), set->seed), (zoo_id){{i, 0}},
                         &fresh, err);
}

size_t zoo_tensors_count(const zoo_tensors *set)
{
    return set->n_tensors;
}

const zoo_tensor *zoo_tensors_at(const zoo_tensors *set, size_t i)
{
    return &set->tensors[i];
}

size_t zoo_tensors_n_files(const zoo_tensors *set)
{
    return set->n_files;
}

const char *zoo_tensors_file(const zoo_tensors *set, size_t i)
{
    return set->files[i].path;
}

zoo_file_stamp zoo_tensors_stamp(const zoo_tensors *set, size_t i)
{
    return set->files[i].stamp;
}

bool zoo_tensors_unchanged(const zoo_tensors *set)
{
    bool same = true;
    for (size_t i = 0; i < set->n_files && same; i++) {
        struct stat st;
        same = stat(set->files[i].path, &st) == 0;
        zoo_file_stamp now = same ? stamp_of(&st) : (zoo_file_stamp){0};
        same = same && memcmp(&now, &set->files[i].stamp, sizeof now) == 0;
    }
    return same;
}

size_t zoo_tensors_n_notes(const zoo_tensors *set)
{
    return set->n_notes;
}

const char *zoo_tensors_note(const zoo_tensors *set, size_t i)
{
    return set->notes[i];
}
