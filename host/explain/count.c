/*
 * count.c: parameters of an architecture, from bind tables and norms.
 *
 * A row of a bind table is rows * cols values, as many times as there are experts. A tensor that is
 * named again (tied, shared by layers, or cut into several fields) counts once. Active are the
 * values that one token is multiplied with: of experts those that it is routed to, of a lookup
 * table one row. Memory: a set of hashed names.
 */
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "config/tensor_names.h"
#include "explain/arch.h"

/* Hashes of what was counted; open addressing, capacity a power of two. */
typedef struct zoo_names {
    uint64_t *items;
    size_t n, capacity;
    zoo_arch_tensor_fn *tell; /* null: parameters are counted */
    void *arg;
} zoo_names;

static bool insert(uint64_t *items, size_t capacity, uint64_t hash)
{
    size_t i = (size_t)hash & (capacity - 1);
    hash += hash == 0;
    while (items[i] && items[i] != hash) {
        i = (i + 1) & (capacity - 1);
    }
    bool fresh = items[i] == 0;
    items[i] = hash;
    return fresh;
}

static zoo_status grow(zoo_names *names, zoo_error *err)
{
    size_t capacity = names->capacity ? names->capacity * 2 : 1024;
    uint64_t *items = zoo_mem_array(capacity, sizeof *items);
    if (!items) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < names->capacity; i++) {
        if (names->items[i]) {
            (void)insert(items, capacity, names->items[i]);
        }
    }
    zoo_mem_free(names->items);
    names->items = items;
    names->capacity = capacity;
    return ZOO_OK;
}

/* *fresh: this piece, from row `offset` of the tensor on, was not counted before. */
static zoo_status remember(zoo_names *names, const char *name, uint32_t offset, bool *fresh,
                           zoo_error *err)
{
    if (names->n * 2 >= names->capacity) {
        ZOO_TRY(grow(names, err));
    }
    *fresh =
        insert(names->items, names->capacity, XXH3_64bits_withSeed(name, strlen(name), offset));
    names->n += *fresh;
    return ZOO_OK;
}

static uint32_t param(const void *params, uint32_t offset, uint32_t none)
{
    uint32_t value = none;
    if (offset != ZOO_NONE) {
        memcpy(&value, (const char *)params + offset, sizeof value);
    }
    return value;
}

typedef struct piece {
    char name[ZOO_NAME_MAX];
    uint32_t offset; /* first row of the piece in its tensor */
    uint64_t n, active;
    zoo_arch_tensor tensor; /* that it lies in; its name is the piece's */
} piece;

static piece take_piece(const zoo_arch_block *block, const zoo_bound *bound, const zoo_bind *bind)
{
    piece p = {.offset = 0};
    const char *path = bind->flags & ZOO_BIND_ABSOLUTE ? "" : bound->path;
    (void)snprintf(p.name, sizeof p.name, "%s%s%s", path, *path ? "." : "", bind->name);
    if (bind->map != ZOO_NONE) {
        const zoo_rowmap *map = (const void *)((const char *)bound->params + bind->map);
        p.offset = map->total ? map->offset : 0;
    }
    uint64_t cols = param(bound->params, bind->cols, 1);
    p.tensor = (zoo_arch_tensor){.rows = param(bound->params, bind->rows, 1),
                                 .cols = cols,
                                 .stack = param(bound->params, bind->experts, 1),
                                 .turned = (bind->flags & ZOO_BIND_TRANSPOSED) != 0};
    if (bind->map != ZOO_NONE) {
        const zoo_rowmap *map = (const void *)((const char *)bound->params + bind->map);
        if ((bind->flags & ZOO_BIND_MAP_STORED) && map->total) { /* inside a longer one, turned */
            p.tensor.cols = p.tensor.rows;
            p.tensor.turned = false;
        }
        p.tensor.rows = map->total ? map->total : p.tensor.rows;
    }
    uint64_t one = (uint64_t)param(bound->params, bind->rows, 1) * cols;
    uint32_t experts = param(bound->params, bind->experts, 1);
    double told = zoo_arch_number(block, "experts", 0);
    double chosen = zoo_arch_number(block, "experts_per_token", 0);
    p.n = one * experts;
    p.active = bind->kind == ZOO_BIND_TABLE ? cols : p.n;
    if (bind->experts != ZOO_NONE && experts == told && chosen > 0 && chosen < told) {
        p.active = (uint64_t)((double)one * chosen);
    }
    return p;
}

static zoo_status count_rows(zoo_arch *arch, zoo_arch_block *block, const zoo_bound *bound,
                             zoo_error *err)
{
    bool filled = false; /* an earlier row is the same field */
    bool any = false;
    for (const zoo_bind *bind = bound->ops->binds; bind && bind->name; bind++) {
        bool more =
            bind[1].name && bind[1].field == bind->field && (bind->flags & ZOO_BIND_OR_NEXT);
        bool counted = bind->kind != ZOO_BIND_INTEGERS; /* these are no parameters */
        if (filled || !counted || param(bound->params, bind->when, 1) == 0) {
            filled = filled && more;
            continue;
        }
        filled = more;
        piece p = take_piece(block, bound, bind);
        bool fresh = false;
        ZOO_TRY(remember(arch->names, p.name, p.offset, &fresh, err));
        any = any || fresh;
        if (arch->names->tell) {
            p.tensor.name = p.name;
            arch->names->tell(arch->names->arg, &p.tensor);
            continue;
        }
        block->n_params += fresh ? p.n : 0;
        block->n_active += fresh ? p.active : 0;
        bool matrix = bind->kind == ZOO_BIND_MATRIX || bind->kind == ZOO_BIND_EXPERTS;
        arch->params.products += matrix ? p.active : 0;
    }
    block->shared = !any && bound->ops->binds && bound->ops->binds->name;
    return ZOO_OK;
}

static zoo_status count_vector(zoo_arch *arch, const char *name, uint32_t n, uint64_t *sum,
                               zoo_error *err)
{
    bool fresh = false;
    ZOO_TRY(remember(arch->names, name, 0, &fresh, err));
    *sum += fresh ? n : 0;
    if (arch->names->tell) {
        const zoo_arch_tensor t = {.name = name, .rows = n, .cols = 1, .stack = 1, .is_norm = true};
        arch->names->tell(arch->names->arg, &t);
    }
    return ZOO_OK;
}

/* The tables at both ends. */
static void tell_end(const zoo_names *names, const char *path, const char *what, uint64_t rows,
                     uint64_t cols)
{
    char name[ZOO_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s.%s", path, what);
    const zoo_arch_tensor t = {.name = name, .rows = rows, .cols = cols, .stack = 1};
    names->tell(names->arg, &t);
}

static zoo_status count_norm(zoo_arch *arch, const char *path, uint32_t width, const zoo_norm *norm,
                             uint64_t *sum, zoo_error *err)
{
    if (!norm || norm->kind == ZOO_NORM_NONE) {
        return ZOO_OK;
    }
    char name[ZOO_NAME_MAX];
    const char *own = norm->name ? norm->name : "";
    const char *dot = *path && *own ? "." : "";
    uint32_t n = norm->width ? norm->width : width;
    if (norm->has_weight) {
        (void)snprintf(name, sizeof name, "%s%s%s.weight", path, dot, own);
        ZOO_TRY(count_vector(arch, name, n, sum, err));
    }
    if (norm->has_bias) {
        (void)snprintf(name, sizeof name, "%s%s%s.bias", path, dot, own);
        ZOO_TRY(count_vector(arch, name, n, sum, err));
    }
    return ZOO_OK;
}

static zoo_status count_bound(zoo_arch *arch, const char *path, const zoo_bound *bound,
                              zoo_arch_block *block, zoo_error *err)
{
    if (bound->part) {
        uint32_t width =
            bound->part->width_in ? bound->part->width_in : arch->model.plan.hidden_size;
        ZOO_TRY(count_norm(arch, path, width, bound->norm.norm, &arch->params.norms, err));
    }
    if (bound->ops) {
        ZOO_TRY(count_rows(arch, block, bound, err));
    }
    uint64_t *sum = block->role == ZOO_ROLE_MIXER ? &arch->params.mixers
                    : block->role == ZOO_ROLE_FFN ? &arch->params.ffns
                                                  : &arch->params.others;
    *sum += block->n_params;
    arch->params.active += block->n_active;
    return ZOO_OK;
}

static zoo_status count_branches(zoo_arch *arch, const zoo_bound_layer *bound,
                                 zoo_arch_layer *layer, zoo_error *err)
{
    const zoo_layer *l = bound->layer;
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n_branches; i++) {
        const zoo_branch *branch = &l->branches[i];
        for (uint32_t k = 0; k < branch->n_parts; k++) {
            ZOO_TRY(
                count_bound(arch, l->path, &bound->branches[i].parts[k], &layer->blocks[n++], err));
        }
        uint32_t width = arch->model.plan.hidden_size;
        ZOO_TRY(count_norm(arch, l->path, width, &branch->post, &arch->params.norms, err));
        ZOO_TRY(count_norm(arch, l->path, width, &branch->after, &arch->params.norms, err));
    }
    return ZOO_OK;
}

static zoo_status count_layer(zoo_arch *arch, uint32_t index, zoo_error *err)
{
    const zoo_bound_layer *bound = &arch->model.layers[index];
    zoo_arch_layer *layer = &arch->layers[index];
    zoo_arch_params before = arch->params;
    if (bound->layer->ops) {
        for (uint32_t i = 0; i < bound->layer->n_parts; i++) {
            ZOO_TRY(
                count_bound(arch, bound->layer->path, &bound->parts[i], &layer->blocks[i], err));
        }
        ZOO_TRY(count_bound(arch, "", &bound->own, &layer->blocks[bound->layer->n_parts], err));
    } else {
        ZOO_TRY(count_branches(arch, bound, layer, err));
    }
    uint64_t norms = arch->params.norms - before.norms;
    arch->params.active += norms;
    layer->n_active = arch->params.active - before.active;
    layer->n_params = norms + arch->params.mixers - before.mixers + arch->params.ffns -
                      before.ffns + arch->params.others - before.others;
    return ZOO_OK;
}

static zoo_status count_ends(zoo_arch *arch, zoo_error *err)
{
    const zoo_plan *plan = &arch->model.plan;
    uint64_t embed_width = plan->embed_width ? plan->embed_width : plan->hidden_size;
    uint64_t rows = plan->vocab_size, embed_rows = plan->embed_rows ? plan->embed_rows : rows;
    uint64_t cols = plan->tied ? embed_width : plan->hidden_size;
    if (plan->n_epilogue) {
        const zoo_part *last = &plan->epilogue[plan->n_epilogue - 1];
        cols = last->width_out ? last->width_out : plan->hidden_size;
    }
    if (arch->names->tell) {
        tell_end(arch->names, plan->embed_path, "weight", embed_rows, embed_width);
        if (!plan->tied) {
            tell_end(arch->names, plan->head_path, "weight", rows, cols);
        }
        if (plan->head_bias) {
            tell_end(arch->names, plan->head_path, "bias", rows, 1);
        }
    }
    arch->params.products += rows * cols;
    uint64_t bias = plan->head_bias ? rows : 0, before = arch->params.norms;
    arch->params.embedding = embed_rows * embed_width;
    arch->params.head = (plan->tied ? 0 : rows * cols) + bias;
    ZOO_TRY(count_norm(arch, "", (uint32_t)cols, &plan->norm, &arch->params.norms, err));
    arch->params.active +=
        (plan->tied ? 0 : embed_width) + rows * cols + bias + arch->params.norms - before;
    return ZOO_OK;
}

static zoo_status count_all(zoo_arch *arch, zoo_error *err)
{
    const zoo_model *m = &arch->model;
    for (uint32_t i = 0; i < arch->n_prologue; i++) {
        ZOO_TRY(count_bound(arch, "", &m->prologue[i], &arch->prologue[i], err));
    }
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        ZOO_TRY(count_layer(arch, i, err));
    }
    for (uint32_t i = 0; i < arch->n_epilogue; i++) {
        ZOO_TRY(count_bound(arch, "", &m->epilogue[i], &arch->epilogue[i], err));
    }
    return count_ends(arch, err);
}

zoo_status zoo_arch_count(zoo_arch *arch, zoo_error *err)
{
    zoo_names names = {0};
    arch->names = &names;
    zoo_status status = count_all(arch, err);
    arch->names = NULL;
    zoo_mem_free(names.items);
    zoo_arch_params *p = &arch->params;
    p->total = p->embedding + p->head + p->mixers + p->ffns + p->others + p->norms;
    return status;
}

zoo_status zoo_arch_tensors(zoo_arch *arch, zoo_arch_tensor_fn *fn, void *arg, zoo_error *err)
{
    zoo_names names = {.tell = fn, .arg = arg};
    const zoo_arch_params params = arch->params;
    arch->names = &names;
    zoo_status status = count_all(arch, err);
    arch->names = NULL;
    arch->params = params;
    zoo_mem_free(names.items);
    return status;
}
