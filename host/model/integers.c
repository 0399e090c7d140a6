/*
 * integers.c: reads a stored tensor of whole numbers, which float32 would round.
 *
 * Memory: the model's. It converts no floats: a tensor of another kind is refused.
 */
#include <string.h>

#include "base/mem.h"
#include "config/tensor_names.h"
#include "model/bound_model.h"

static zoo_status find(zoo_model *model, const char *canonical, const zoo_tensor **out,
                       zoo_error *err)
{
    zoo_name_list *list = zoo_mem_alloc(sizeof *list);
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    zoo_names_candidates(model->card, canonical, list);
    model->renames_used |= list->used;
    *out = NULL;
    for (uint32_t i = 0; i < list->n_names && !*out; i++) {
        *out = zoo_tensors_find(model->tensors, list->names[i]);
    }
    zoo_mem_free(list);
    return ZOO_OK;
}

static int64_t item(const zoo_tensor *t, const void *bytes, uint64_t i)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    size_t size = zoo_dtype_size(t->dtype);
    const char *at = (const char *)bytes + i * size;
    if (size == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

zoo_status zoo_model_bind_integers(zoo_model *model, const char *name, uint64_t n,
                                   const int64_t **out, bool *found, zoo_error *err)
{
    const zoo_tensor *t = NULL;
    ZOO_TRY(find(model, name, &t, err));
    *found = t != NULL;
    if (!t) {
        return ZOO_OK;
    }
    if ((t->dtype != ZOO_I64 && t->dtype != ZOO_I32) || t->n_items != n) {
        return zoo_fail(err, ZOO_E_WEIGHT,
                        "%s: tensor %s: wanted %llu values of I64, found %llu of %s", model->folder,
                        name, (unsigned long long)n, (unsigned long long)t->n_items, t->dtype_name);
    }
    int64_t *values = zoo_model_take(model, (size_t)n * sizeof *values);
    void *bytes = zoo_mem_alloc((size_t)t->n_bytes + 1);
    zoo_status status = values && bytes ? zoo_tensor_copy(t, bytes, err)
                                        : zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for %s",
                                                   model->folder, name);
    for (uint64_t i = 0; status == ZOO_OK && i < n; i++) {
        values[i] = item(t, bytes, i);
    }
    zoo_mem_free(bytes);
    model->used[t - zoo_tensors_at(model->tensors, 0)] = 1;
    *out = values;
    return status;
}
