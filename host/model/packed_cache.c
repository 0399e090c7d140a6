/* packed_cache.c: matrices from a file or for one (packed_cache.h). */
#include "model/packed_cache_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "base/mapped.h"
#include "base/mem.h"
#include "model/pack.h"

ZOO_PRINTF(2, 3)
static void note(zoo_packed *packed, const char *fmt, ...)
{
    size_t n = strlen(packed->note);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(packed->note + n, sizeof packed->note - n, fmt, args);
    va_end(args);
}

static void refuse(zoo_packed *packed, const char *why)
{
    packed->reads = false;
    note(packed, "%.600s is not used and will be rebuilt: %.120s", packed->path, why);
}

zoo_status zoo_packed_open(const zoo_model *model, const char *where, const char *kind,
                           zoo_packed **out, zoo_error *err)
{
    char why[200];
    zoo_packed *packed = zoo_mem_array(1, sizeof *packed);
    *out = NULL;
    if (!packed) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    zoo_status status = zoo_packed_locate(packed, model, where, kind, err);
    if (status != ZOO_OK) {
        zoo_packed_close(packed);
        return status;
    }
    packed->reads = zoo_packed_map(packed, why, sizeof why);
    if (why[0]) {
        refuse(packed, why);
    }
    *out = packed;
    return ZOO_OK;
}

void zoo_packed_close(zoo_packed *packed)
{
    if (!packed) {
        return;
    }
    if (packed->base) {
        zoo_mapped_remove(packed->base);
        (void)munmap(packed->base, packed->size);
    }
    zoo_mem_free(packed->entries);
    zoo_mem_free((void *)packed->data);
    zoo_mem_free(packed);
}

static zoo_packed_entry entry_of(const char *name, const zoo_weight *w)
{
    zoo_packed_entry e = {
        XXH3_64bits(name, strlen(name)), w->kind, w->rows, w->cols, w->group, 0, 0};
    e.n_bytes = zoo_packed_bytes(&e);
    return e;
}

static bool is_same(const zoo_packed_entry *a, const zoo_packed_entry *b)
{
    return a->name == b->name && a->kind == b->kind && a->rows == b->rows && a->cols == b->cols &&
           a->group == b->group && a->n_bytes == b->n_bytes;
}

/* What keeps the next matrix of the file from being this one, or null. */
static const char *judge(const zoo_packed *packed, const zoo_packed_entry *wanted, zoo_pool *pool)
{
    uint64_t check;
    if (packed->n_taken == packed->n_matrices ||
        !is_same(&packed->table[packed->n_taken], wanted)) {
        return "its table is not that of the model";
    }
    if (wanted->n_bytes > packed->size - packed->at) {
        return "it is cut or damaged";
    }
    if (!zoo_packed_check(packed->base + packed->at, wanted->n_bytes, pool, &check)) {
        return "there is no memory to check it";
    }
    return check == packed->table[packed->n_taken].check ? NULL : "a matrix of it is damaged";
}

bool zoo_packed_take(zoo_packed *packed, const char *name, zoo_weight *w, zoo_pool *pool)
{
    if (!packed || !packed->reads) {
        return false;
    }
    zoo_packed_entry wanted = entry_of(name, w);
    const char *fault = judge(packed, &wanted, pool);
    if (fault) {
        refuse(packed, fault);
        return false;
    }
    const unsigned char *data = packed->base + packed->at;
    w->data = data;
    w->scales = zoo_pack_scales(w, data);
    packed->at += wanted.n_bytes;
    packed->n_taken++;
    return true;
}

static bool make_room(zoo_packed *packed)
{
    if (packed->n_entries < packed->entries_max) {
        return true;
    }
    uint64_t grown = packed->entries_max * 2 + 64;
    zoo_packed_entry *entries = zoo_mem_realloc(packed->entries, grown * sizeof *entries);
    packed->entries = entries ? entries : packed->entries;
    const void **data = zoo_mem_realloc((void *)packed->data, grown * sizeof *data);
    packed->data = data ? data : packed->data;
    packed->entries_max = entries && data ? grown : packed->entries_max;
    return entries && data;
}

zoo_status zoo_packed_add(zoo_packed *packed, const char *name, const zoo_weight *w, zoo_error *err)
{
    if (!packed) {
        return ZOO_OK;
    }
    if (packed->n_entries == ZOO_PACKED_MATRICES_MAX || !make_room(packed)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a table of %llu matrices",
                        (unsigned long long)packed->n_entries);
    }
    packed->entries[packed->n_entries] = entry_of(name, w);
    packed->data[packed->n_entries++] = w->data;
    return ZOO_OK;
}

bool zoo_packed_holds(const zoo_packed *packed, const void *data)
{
    uintptr_t at = (uintptr_t)data, base = packed ? (uintptr_t)packed->base : 0;
    return base && at >= base && at < base + packed->size;
}

static int write_file(zoo_packed *packed, const zoo_model *model)
{
    for (uint64_t i = 0; i < packed->n_entries; i++) {
        zoo_packed_entry *e = &packed->entries[i];
        if (!zoo_packed_check(packed->data[i], e->n_bytes, model->pool, &e->check)) {
            return ENOMEM;
        }
    }
    return zoo_packed_write(packed);
}

void zoo_packed_finish(zoo_packed *packed, const zoo_model *model)
{
    if (packed->reads && packed->n_taken < packed->n_matrices) {
        refuse(packed, "its table is not that of the model");
    }
    if (packed->reads || packed->n_entries == 0) {
        return;
    }
    const char *before = packed->note[0] ? "; " : "";
    if (!zoo_tensors_unchanged(model->tensors)) {
        note(packed, "%s%.600s is not written: the model's files changed meanwhile", before,
             packed->path);
        return;
    }
    int code = write_file(packed, model);
    if (code != 0 && code != EBUSY) {
        note(packed, "%s%.600s cannot be written (%s); the run goes on without it", before,
             packed->path, strerror(code));
    }
}

const char *zoo_packed_path(const zoo_packed *packed)
{
    return packed->path;
}

const char *zoo_packed_note(const zoo_packed *packed)
{
    return packed->note;
}
