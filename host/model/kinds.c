/*
 * kinds.c: to which kind a matrix is packed, and from which stored tensor it came.
 *
 * Where int4 is asked for, a matrix that is stored as codes of at most five bits, in groups that
 * the kernels have, keeps its own width and groups: packing then finds scale, steps and codes again
 * (pack.h) and rounds nothing. Of the others the output matrix is int5, since no layer behind it
 * dampens its errors. Matrices that make few outputs of the residual stream (keys and values that
 * several heads share) are few weights, each of whose errors reaches many: int5, and those that
 * their block wants wide int8.
 */
#include "base/mem.h"
#include "model/bound_model.h"
#include "model/pack.h"

static bool is_bf16(const zoo_matrix *m)
{
    return m->n_parts == 1 && m->parts[0]->dtype == ZOO_BF16;
}

/* Whether eight bits a code are int4's whole numbers, as `quantise` writes them: by one row. */
static bool holds_steps(const zoo_matrix *m)
{
    float *row = zoo_mem_array((size_t)m->cols, sizeof *row);
    bool holds = row && zoo_matrix_read_rows(m, 0, 1, row) == ZOO_OK &&
                 zoo_pack_is_exact(ZOO_INT4, 64, row, (uint32_t)m->cols);
    zoo_mem_free(row);
    return holds;
}

/* Groups of the matrix as it is stored that can be kept; 0: none. */
static uint32_t stored_group(const zoo_matrix *m)
{
    bool eight = m->codes && m->codes != m->plain && m->bits == 8 && !m->groups &&
                 m->block_rows <= 1 && (m->block_cols == 64 || m->block_cols == 32) &&
                 m->cols <= UINT32_MAX;
    if (eight && holds_steps(m)) {
        return 64;
    }
    bool codes = m->codes && m->codes != m->plain && m->bits >= 2 && m->bits <= 5 && !m->groups &&
                 m->block_rows <= 1;
    uint64_t block = m->block_cols;
    return !codes || block % 32 ? 0 : block % 64 ? 32 : 64;
}

static bool has_few(const zoo_model *model, const zoo_weight *w)
{
    return w->cols == model->plan.hidden_size && w->rows <= w->cols / 2;
}

static zoo_dtype int4_kind(const zoo_model *model, uint32_t flags, const zoo_weight *w)
{
    bool few = has_few(model, w);
    if (few && flags & ZOO_BIND_WIDE) {
        return ZOO_INT8;
    }
    return flags & ZOO_BIND_HEAD || few ? ZOO_INT5 : ZOO_INT4;
}

void zoo_model_choose_kind(const zoo_model *model, const zoo_matrix *m, uint32_t flags,
                           zoo_weight *w)
{
    uint32_t group = model->weight_kind == ZOO_INT4 ? stored_group(m) : 0;
    w->group = 0;
    if (flags & ZOO_BIND_EXACT) {
        w->kind = ZOO_F32;
    } else if (group) {
        w->kind = m->bits == 5 ? ZOO_INT5 : ZOO_INT4;
        w->group = group;
    } else if (model->weight_kind == ZOO_INT4) {
        w->kind = int4_kind(model, flags, w);
    } else if (model->weight_kind != ZOO_DTYPE_MAX) {
        w->kind = model->weight_kind;
    } else {
        w->kind = is_bf16(m) ? ZOO_BF16 : ZOO_F32;
    }
}

zoo_status zoo_model_note_source(zoo_model *model, const zoo_matrix *m, uint32_t flags,
                                 const zoo_weight *w, zoo_error *err)
{
    bool rounds = !(flags & (ZOO_BIND_EXACT | ZOO_BIND_TRANSPOSED));
    if (!rounds || !m->plain || m->n_parts != 1 || m->plain->n_dims != 2) {
        return ZOO_OK;
    }
    if (model->n_sources == model->sources_max) {
        uint32_t max = model->sources_max ? 2 * model->sources_max : 64;
        zoo_source *list = zoo_mem_realloc(model->sources, max * sizeof *list);
        if (!list) {
            return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", model->folder);
        }
        model->sources = list;
        model->sources_max = max;
    }
    model->sources[model->n_sources++] = (zoo_source){m->plain, w, flags & ZOO_BIND_HEAD,
                                                      flags & ZOO_BIND_WIDE && has_few(model, w)};
    return ZOO_OK;
}
