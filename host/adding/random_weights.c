/*
 * random_weights.c: see random_weights.h.
 *
 * The generator is fixed, so that two runs give the same file. Memory: all weights in float32.
 */
#include "adding/random_weights.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "checkpoint/safetensors.h"
#include "config/tensor_names.h"

typedef struct writer {
    zoo_tensor *list; /* [n] with names and data of their own */
    uint32_t n, capacity;
    uint64_t seed;
    const zoo_card *card; /* whose names of tensors count */
    zoo_error *err;
    zoo_status status;
} writer;

static double uniform(writer *w)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(w->seed >> 11) + 0.5) / 9007199254740992.0;
}

static float normal(writer *w)
{
    return (float)(sqrt(-2 * log(uniform(w))) * cos(6.283185307179586 * uniform(w)));
}

static zoo_status grow(writer *w)
{
    if (w->n < w->capacity) {
        return ZOO_OK;
    }
    uint32_t capacity = w->capacity ? 2 * w->capacity : 256;
    zoo_tensor *list = zoo_mem_realloc(w->list, capacity * sizeof *list);
    if (!list) {
        return zoo_fail(w->err, ZOO_E_MEMORY, "out of memory");
    }
    w->list = list;
    w->capacity = capacity;
    return ZOO_OK;
}

static bool is_made(const writer *w, const char *name)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (strcmp(w->list[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void fill(writer *w, float *x, const zoo_arch_tensor *t)
{
    float scale = t->is_norm ? 0.1f : t->cols > 1 ? 1.0f / sqrtf((float)t->cols) : 0.1f;
    for (uint64_t i = 0; i < t->stack * t->rows * t->cols; i++) {
        x[i] = scale * normal(w) + (t->is_norm && !strstr(t->name, ".bias") ? 1.0f : 0.0f);
    }
}

/* The stored name that the loader looks for first. */
static zoo_status stored_name(const writer *w, const char *canonical, char *out)
{
    zoo_name_list *list = zoo_mem_alloc(sizeof *list);
    if (!list) {
        return zoo_fail(w->err, ZOO_E_MEMORY, "out of memory");
    }
    zoo_names_candidates(w->card, canonical, list);
    (void)snprintf(out, ZOO_NAME_MAX, "%s", list->names[0]);
    zoo_mem_free(list);
    return ZOO_OK;
}

static zoo_status add(writer *w, const zoo_arch_tensor *t, const char *canonical)
{
    char name[ZOO_NAME_MAX];
    uint64_t n = t->stack * t->rows * t->cols;
    ZOO_TRY(stored_name(w, canonical, name));
    if (is_made(w, name)) {
        return ZOO_OK;
    }
    ZOO_TRY(grow(w));
    float *x = zoo_mem_array((size_t)n + 1, sizeof *x);
    char *copy = zoo_mem_text(name, strlen(name));
    if (!x || !copy) {
        zoo_mem_free(x);
        zoo_mem_free(copy);
        return zoo_fail(w->err, ZOO_E_MEMORY, "out of memory for random weights");
    }
    fill(w, x, t);
    zoo_tensor *out = &w->list[w->n++];
    *out = (zoo_tensor){
        .name = copy, .data = x, .n_items = n, .n_bytes = n * sizeof *x, .dtype = ZOO_F32};
    const uint64_t dims[] = {t->stack, t->turned ? t->cols : t->rows,
                             t->turned ? t->rows : t->cols};
    for (uint32_t i = t->stack > 1 ? 0 : 1; i < 3; i++) {
        if (i < 2 || t->cols > 1) {
            out->dims[out->n_dims++] = dims[i];
        }
    }
    return ZOO_OK;
}

/* One tensor of the plan; each expert where they are stored apart. */
static void take(void *arg, const zoo_arch_tensor *t)
{
    writer *w = arg;
    const char *mark = strstr(t->name, "%u");
    zoo_arch_tensor one = *t;
    if (!mark) {
        w->status = w->status == ZOO_OK ? add(w, t, t->name) : w->status;
        return;
    }
    one.stack = 1;
    for (uint64_t e = 0; e < t->stack && w->status == ZOO_OK; e++) {
        char name[ZOO_NAME_MAX];
        (void)snprintf(name, sizeof name, "%.*s%llu%s", (int)(mark - t->name), t->name,
                       (unsigned long long)e, mark + 2);
        w->status = add(w, &one, name);
    }
}

zoo_status zoo_random_weights(zoo_arch *arch, const char *folder, zoo_error *err)
{
    char path[4200];
    writer w = {.seed = 42, .card = arch->model.card, .err = err};
    if (arch->params.total > ZOO_RANDOM_PARAMS_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT,
                        "%s: %llu parameters are too many for random weights (at most %d); give a "
                        "config with small sizes",
                        arch->name, (unsigned long long)arch->params.total, ZOO_RANDOM_PARAMS_MAX);
    }
    zoo_status status = zoo_arch_tensors(arch, take, &w, err);
    status = status == ZOO_OK ? w.status : status;
    (void)snprintf(path, sizeof path, "%.4000s/model.safetensors", folder);
    if (status == ZOO_OK) {
        status = zoo_tensors_write(path, w.list, w.n, err);
    }
    for (uint32_t i = 0; i < w.n; i++) {
        zoo_mem_free((void *)(uintptr_t)w.list[i].name);
        zoo_mem_free((void *)(uintptr_t)w.list[i].data);
    }
    zoo_mem_free(w.list);
    return status;
}
