/*
 * weights.c: for each bind row, find the stored tensor, check its shape, pack or widen it.
 *
 * Errors give the full tensor name, the wanted and the found shape and dtype.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "checkpoint/embedding_table.h"
#include "checkpoint/matrix.h"
#include "config/tensor_names.h"
#include "model/bound_model.h"
#include "model/column_order.h"
#include "model/kinds_told.h"
#include "model/pack.h"
#include "model/pack_job.h"
#include "model/packed_cache.h"

/* What the row of a bind table, or a whole weight, asks for. */
typedef struct dims {
    uint64_t rows, cols, experts;
    const zoo_rowmap *map; /* null: identity */
    uint64_t row0;         /* of the source, where a stack is cut */
    uint32_t flags;        /* of the bind row */
    zoo_bind_mode mode;
    const void *family; /* of the matrices of a bind row; null: one matrix */
    const void *block;  /* whose bind row it is; null: none */
} dims;

static uint32_t param(const void *params, uint32_t offset, uint32_t none)
{
    uint32_t value = none;
    if (offset != ZOO_NONE) {
        memcpy(&value, (const char *)params + offset, sizeof value);
    }
    return value;
}

static dims row_dims(zoo_bind_mode mode, const zoo_bind *bind, const void *params)
{
    dims d = {.rows = param(params, bind->rows, 1),
              .cols = param(params, bind->cols, 1),
              .experts = param(params, bind->experts, 1),
              .flags = bind->flags,
              .mode = mode};
    if (bind->map != ZOO_NONE) {
        const zoo_rowmap *map = (const void *)((const char *)params + bind->map);
        d.map = map->total ? map : NULL;
    }
    return d;
}

/* Finds the stored matrix of a canonical name; found false where no candidate is there. */
static zoo_status find_stored(zoo_model *model, const char *canonical, zoo_matrix *out, bool *found,
                              zoo_error *err)
{
    zoo_name_list *list = zoo_mem_alloc(sizeof *list);
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    const cJSON *quantization = zoo_model_config_quantization(model->config);
    zoo_status status = ZOO_OK;
    *found = false;
    zoo_names_candidates(model->card, canonical, list);
    model->renames_used |= list->used;
    for (uint32_t i = 0; i < list->n_names && !*found && status == ZOO_OK; i++) {
        status = zoo_matrix_find(model->tensors, quantization, list->names[i], out, err);
        *found = status == ZOO_OK && out->found;
    }
    zoo_mem_free(list);
    return status;
}

uint32_t zoo_model_shape(zoo_model *model, const char *canonical, uint64_t *out, uint32_t n)
{
    zoo_matrix matrix;
    bool found = false;
    if (!model->tensors || find_stored(model, canonical, &matrix, &found, NULL) != ZOO_OK ||
        !found) {
        return 0;
    }
    uint32_t n_dims = matrix.n_dims ? matrix.n_dims : 1; /* a scalar is a vector of one */
    for (uint32_t i = 0; i < n && i < n_dims; i++) {
        out[i] = matrix.n_dims ? matrix.dims[i] : 1;
    }
    return n_dims;
}

/* Rows of all matrices of a stack, one after the other. */
static uint64_t all_rows(const zoo_matrix *m)
{
    return m->n_stack * m->rows;
}

static void mark_used(zoo_model *model, const zoo_matrix *m)
{
    bool again = true; /* a tensor that several fields are cut from counts once */
    const zoo_tensor *part = NULL;
    for (uint32_t i = 0; (part = zoo_matrix_part_at(m, i)); i++) {
        uint8_t *used = &model->used[part - zoo_tensors_at(model->tensors, 0)];
        again = again && *used;
        *used = 1;
    }
    model->stats.n_parameters += again ? 0 : all_rows(m) * m->cols;
    if (!strstr(model->stats.stored, m->format)) {
        size_t n = strlen(model->stats.stored);
        (void)snprintf(model->stats.stored + n, sizeof model->stats.stored - n, "%s%s",
                       n ? ", " : "", m->format);
    }
}

static zoo_status missing(const zoo_model *model, const char *name, const dims *d, zoo_error *err)
{
    if (d->experts > 1) {
        return zoo_fail(err, ZOO_E_WEIGHT, "%s: tensor %s is missing (wanted %llu of [%llu, %llu])",
                        model->folder, name, (unsigned long long)d->experts,
                        (unsigned long long)d->rows, (unsigned long long)d->cols);
    }
    return zoo_fail(err, ZOO_E_WEIGHT, "%s: tensor %s is missing (wanted [%llu, %llu])",
                    model->folder, name, (unsigned long long)d->rows, (unsigned long long)d->cols);
}

static zoo_status wrong_shape(const zoo_model *model, const char *name, uint64_t rows,
                              uint64_t cols, const zoo_matrix *m, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_WEIGHT, "%s: tensor %s: wanted [%llu, %llu], found %s [%llu, %llu]",
                    model->folder, name, (unsigned long long)rows, (unsigned long long)cols,
                    m->format, (unsigned long long)all_rows(m), (unsigned long long)m->cols);
}

/* Rows of one matrix in the file. */
static uint64_t stored_rows_of(const dims *d)
{
    uint64_t total = d->map ? d->map->total : d->rows;
    return d->flags & ZOO_BIND_TRANSPOSED ? d->cols : total;
}

/* Packs the matrix [rows, cols] that begins at row d->row0 of the source. */
static zoo_status pack_matrix(zoo_model *model, const char *name, const zoo_matrix *m,
                              const dims *d, zoo_weight *out, zoo_error *err)
{
    *out = (zoo_weight){.rows = (uint32_t)d->rows, .cols = (uint32_t)d->cols};
    zoo_model_choose_kind(model, m, d->flags | (d->family ? ZOO_BIND_STACK : 0), out);
    zoo_model_count_kind(model, m, d->flags, out);
    bool keeps = out->group != 0;
    if (keeps && m->groups && d->mode == ZOO_BIND_PACK) {
        out->order = zoo_column_order_make(model, m);
        if (!out->order) {
            return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for %s", model->folder, name);
        }
    }
    ZOO_TRY(zoo_model_take_packed(model, d->mode, name, out, err));
    if (d->mode == ZOO_BIND_PACK) {
        zoo_source source = {.weight = out,
                             .family = d->family ? d->family : out,
                             .stacks = d->family ? d->block : NULL,
                             .map = d->map,
                             .row0 = d->row0,
                             .stored_rows = stored_rows_of(d)};
        ZOO_TRY(zoo_model_note_source(model, m, d->flags, source, err));
    }
    zoo_pack_job job = {.source = m, .weight = out, .map = d->map, .row0 = d->row0};
    zoo_status status = ZOO_OK;
    if (d->mode == ZOO_BIND_CHECK || zoo_model_is_packed(model, out)) {
        return ZOO_OK;
    }
    zoo_pack_factor(out, zoo_matrix_global_scale(m, d->row0));
    if (d->flags & ZOO_BIND_TRANSPOSED) {
        status =
            zoo_pack_job_transpose(model, &job, d->cols, d->map ? d->map->total : d->rows, err);
    }
    if (status == ZOO_OK) {
        status = zoo_pack_job_run(model, &job, err);
    }
    if (status == ZOO_OK && zoo_pack_needs_grid(out) && atomic_load(&job.loses)) {
        status = zoo_fail(err, ZOO_E_WEIGHT, "%s: tensor %s: one of its scales is not a number",
                          model->folder, name);
    }
    if (keeps && atomic_load(&job.loses)) {
        model->stats.n_kept--;
        zoo_model_count_rounded(model, m);
    }
    zoo_mem_free((void *)(uintptr_t)job.whole);
    return status;
}

/* Stored shape that dims ask for, [rows, cols] of one matrix in the file. */
static void stored_shape(const dims *d, uint64_t *rows, uint64_t *cols)
{
    *rows = stored_rows_of(d);
    *cols = d->flags & ZOO_BIND_TRANSPOSED ? (d->map ? d->map->total : d->rows) : d->cols;
}

static zoo_status bind_matrix(zoo_model *model, const char *name, const zoo_matrix *m,
                              const dims *d, zoo_weight *out, zoo_error *err)
{
    uint64_t rows, cols;
    dims one = *d;
    if (m->flipped) {
        one.flags &= ~(uint32_t)ZOO_BIND_TRANSPOSED;
    }
    stored_shape(&one, &rows, &cols);
    if (all_rows(m) != rows || m->cols != cols) {
        return wrong_shape(model, name, rows, cols, m, err);
    }
    return pack_matrix(model, name, m, &one, out, err);
}

static zoo_status bind_stack(zoo_model *model, const char *name, const zoo_matrix *m, const dims *d,
                             zoo_weight *out, zoo_error *err)
{
    uint64_t rows, cols;
    dims one = *d;
    uint64_t skip = 0;
    if (m->flipped && !(d->flags & ZOO_BIND_MAP_STORED)) {
        one.flags &= ~(uint32_t)ZOO_BIND_TRANSPOSED;
    }
    stored_shape(&one, &rows, &cols);
    if ((d->flags & ZOO_BIND_MAP_STORED) && d->map) { /* a transposed matrix inside a longer one */
        rows = d->map->total;
        cols = d->rows;
        skip = d->map->offset;
        one.map = NULL;
    }
    bool short_stack = (d->flags & ZOO_BIND_MAP_STORED) && skip + d->cols > rows;
    if (all_rows(m) != rows * d->experts || m->cols != cols || short_stack) {
        return wrong_shape(model, name, rows * d->experts, cols, m, err);
    }
    for (uint64_t e = 0; e < d->experts; e++) {
        one.row0 = e * rows + skip;
        ZOO_TRY(pack_matrix(model, name, m, &one, &out[e], err));
    }
    return ZOO_OK;
}

/* Name of expert e: the "%u" of the row's name replaced. */
static void expert_name(const char *name, uint64_t e, char *out)
{
    const char *mark = strstr(name, "%u");
    (void)snprintf(out, ZOO_NAME_MAX, "%.*s%llu%s", (int)(mark - name), name, (unsigned long long)e,
                   mark + 2);
}

static zoo_status bind_each_expert(zoo_model *model, const char *name, const dims *d,
                                   zoo_weight *out, bool *found, zoo_error *err)
{
    for (uint64_t e = 0; e < d->experts; e++) {
        char one[ZOO_NAME_MAX];
        zoo_matrix m;
        expert_name(name, e, one);
        ZOO_TRY(find_stored(model, one, &m, found, err));
        if (!*found) {
            return e == 0 ? ZOO_OK : missing(model, one, d, err);
        }
        ZOO_TRY(bind_matrix(model, one, &m, d, &out[e], err));
        mark_used(model, &m);
    }
    return ZOO_OK;
}

static zoo_status bind_experts(zoo_model *model, const char *name, const dims *d,
                               const zoo_weight **out, bool *found, zoo_error *err)
{
    if (d->experts == 0 || d->experts > 65536) {
        return zoo_fail(err, ZOO_E_WEIGHT, "%s: %s: %llu experts", model->folder, name,
                        (unsigned long long)d->experts);
    }
    zoo_weight *list = zoo_model_take(model, (size_t)d->experts * sizeof(zoo_weight));
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    *out = list;
    dims of_list = *d;
    of_list.family = list;
    if (strstr(name, "%u")) {
        return bind_each_expert(model, name, &of_list, list, found, err);
    }
    zoo_matrix m;
    ZOO_TRY(find_stored(model, name, &m, found, err));
    if (!*found) {
        return ZOO_OK;
    }
    ZOO_TRY(bind_stack(model, name, &m, &of_list, list, err));
    mark_used(model, &m);
    return ZOO_OK;
}

/* Widens d->experts times d->rows * d->cols values to out, the rows of each chosen by the map. */
static zoo_status widen_vector(zoo_model *model, const char *name, const zoo_matrix *m,
                               const dims *d, float *out, zoo_error *err)
{
    uint64_t total = d->map ? d->map->total : d->rows;
    uint64_t n = total * d->cols * d->experts;
    if (all_rows(m) * m->cols != n) {
        return wrong_shape(model, name, total * d->experts, d->cols, m, err);
    }
    if (!d->map) {
        return zoo_matrix_read_rows(m, 0, all_rows(m), out);
    }
    float *all = zoo_mem_array((size_t)n, sizeof(float));
    if (!all) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for %s", model->folder, name);
    }
    zoo_status status = zoo_matrix_read_rows(m, 0, all_rows(m), all);
    for (uint64_t r = 0; status == ZOO_OK && r < d->rows * d->experts; r++) {
        uint64_t e = r / d->rows, i = r % d->rows;
        uint64_t from =
            e * total + d->map->offset + i / d->map->group * d->map->stride + i % d->map->group;
        memcpy(out + r * d->cols, all + from * d->cols, (size_t)d->cols * sizeof(float));
    }
    zoo_mem_free(all);
    return status;
}

static zoo_status bind_vector(zoo_model *model, const char *name, const dims *d, const float **out,
                              bool *found, zoo_error *err)
{
    zoo_matrix m;
    ZOO_TRY(find_stored(model, name, &m, found, err));
    if (!*found) {
        return ZOO_OK;
    }
    float *values = zoo_model_take(model, (size_t)(d->experts * d->rows * d->cols) * sizeof(float));
    if (!values) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for %s", model->folder, name);
    }
    ZOO_TRY(widen_vector(model, name, &m, d, values, err));
    for (uint32_t i = 0; zoo_matrix_part_at(&m, i); i++) {
        zoo_tensor_forget(zoo_matrix_part_at(&m, i));
    }
    *out = values;
    mark_used(model, &m);
    return ZOO_OK;
}

static zoo_status bind_expert_vectors(zoo_model *model, const char *name, const dims *d,
                                      const float **out, bool *found, zoo_error *err)
{
    if (!strstr(name, "%u")) {
        return bind_vector(model, name, d, out, found, err);
    }
    dims one = *d;
    one.experts = 1;
    float *values = zoo_model_take(model, (size_t)(d->experts * d->rows) * sizeof(float));
    if (!values) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory for %s", model->folder, name);
    }
    for (uint64_t e = 0; e < d->experts; e++) {
        char full[ZOO_NAME_MAX];
        const float *part = NULL;
        expert_name(name, e, full);
        ZOO_TRY(bind_vector(model, full, &one, &part, found, err));
        if (!*found) {
            return e == 0 ? ZOO_OK : missing(model, full, d, err);
        }
        memcpy(values + e * d->rows, part, (size_t)d->rows * sizeof(float));
    }
    *out = values;
    return ZOO_OK;
}

static zoo_status bind_table(zoo_model *model, const char *name, const dims *d, zoo_table *out,
                             bool *found, zoo_error *err)
{
    zoo_table_source *source = zoo_model_take(model, sizeof *source);
    if (!source) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
    }
    zoo_matrix *m = &source->matrix;
    ZOO_TRY(find_stored(model, name, m, found, err));
    if (!*found) {
        return ZOO_OK;
    }
    if (all_rows(m) != d->rows || m->cols != d->cols) {
        return wrong_shape(model, name, d->rows, d->cols, m, err);
    }
    zoo_table_hold(source, zoo_model_take(model, zoo_table_held_bytes(source)));
    *out = zoo_table_make(source);
    source->next = model->tables;
    model->tables = source;
    mark_used(model, m);
    return ZOO_OK;
}

static zoo_status bind_one(zoo_model *model, const zoo_bound *bound, const zoo_bind *bind,
                           const char *name, const dims *d, bool *found, zoo_error *err)
{
    void *field = (char *)bound->weights + bind->field;
    zoo_matrix m;
    switch (bind->kind) {
    case ZOO_BIND_MATRIX:
        ZOO_TRY(find_stored(model, name, &m, found, err));
        if (*found) {
            ZOO_TRY(bind_matrix(model, name, &m, d, field, err));
            mark_used(model, &m);
        }
        return ZOO_OK;
    case ZOO_BIND_VECTOR:
        return bind_vector(model, name, d, field, found, err);
    case ZOO_BIND_EXPERTS:
        return bind_experts(model, name, d, field, found, err);
    case ZOO_BIND_EXPERT_VECTORS:
        return bind_expert_vectors(model, name, d, field, found, err);
    case ZOO_BIND_INTEGERS:
        return zoo_model_bind_integers(model, name, d->rows * d->cols, field, found, err);
    default:
        return bind_table(model, name, d, field, found, err);
    }
}

zoo_status zoo_model_bind_rows(zoo_model *model, zoo_bind_mode mode, zoo_bound *bound,
                               zoo_error *err)
{
    bool filled = false; /* an earlier row of the same field was found */
    for (const zoo_bind *bind = bound->ops->binds; bind && bind->name; bind++) {
        bool more =
            bind[1].name && bind[1].field == bind->field && (bind->flags & ZOO_BIND_OR_NEXT);
        if (filled || param(bound->params, bind->when, 1) == 0) {
            filled = filled && more;
            continue;
        }
        char name[ZOO_NAME_MAX];
        bool absolute = bind->flags & ZOO_BIND_ABSOLUTE;
        const char *path = absolute ? "" : bound->path;
        (void)snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", bind->name);
        dims d = row_dims(mode, bind, bound->params);
        d.block = bound;
        bool found = false;
        zoo_status status = bind_one(model, bound, bind, name, &d, &found, err);
        bool needed = !more && !(bind->flags & ZOO_BIND_OPTIONAL);
        status = status == ZOO_OK && !found && needed ? missing(model, name, &d, err) : status;
        ZOO_TRY(zoo_problems_take(model->problems, status, err));
        filled = found && more;
    }
    return ZOO_OK;
}

zoo_status zoo_model_bind_vector(zoo_model *model, const char *name, uint64_t n, bool needed,
                                 const float **out, zoo_error *err)
{
    dims d = {.rows = n, .cols = 1, .experts = 1};
    bool found = false;
    ZOO_TRY(bind_vector(model, name, &d, out, &found, err));
    return found || !needed ? ZOO_OK : missing(model, name, &d, err);
}

zoo_status zoo_model_bind_table(zoo_model *model, const char *name, uint32_t rows, uint32_t cols,
                                zoo_table *out, zoo_error *err)
{
    dims d = {.rows = rows, .cols = cols, .experts = 1};
    bool found = false;
    ZOO_TRY(bind_table(model, name, &d, out, &found, err));
    return found ? ZOO_OK : missing(model, name, &d, err);
}

void zoo_model_pass_by(zoo_model *model, const char *name)
{
    zoo_matrix m;
    bool found = false;
    if (find_stored(model, name, &m, &found, NULL) == ZOO_OK && found) {
        mark_used(model, &m);
    }
}

zoo_status zoo_model_bind_head(zoo_model *model, zoo_bind_mode mode, const char *name,
                               uint32_t rows, uint32_t cols, zoo_weight *out, zoo_error *err)
{
    dims d = {.rows = rows, .cols = cols, .experts = 1, .flags = ZOO_BIND_HEAD, .mode = mode};
    zoo_matrix m;
    bool found = false;
    ZOO_TRY(find_stored(model, name, &m, &found, err));
    if (!found) {
        return missing(model, name, &d, err);
    }
    bool padded = rows < model->plan.embed_rows && all_rows(&m) == model->plan.embed_rows;
    if ((all_rows(&m) != rows && !padded) || m.cols != cols) {
        return wrong_shape(model, name, rows, cols, &m, err);
    }
    mark_used(model, &m);
    return pack_matrix(model, name, &m, &d, out, err);
}
