/*
 * kinds.c: to which kind a matrix is packed, room for it, and from which stored tensor it came.
 *
 * Where int4 is asked for, a matrix that is stored as codes of at most five bits, in groups that
 * the kernels have, keeps its own width and groups: packing then finds scale, steps and codes again
 * (pack.h) and rounds nothing. Four-bit floats in groups of 32 or 16 are so kept in int5, which
 * holds twice their values. Codes of eight bits in groups of 32 stay int8, and so does a stored
 * grid that lies across the groups of the matrix. Plain float32 numbers that are whole multiples of
 * a unit in rotated groups, as `quantise` stores them, are int6 or int8. Of the others the output
 * matrix is int5, since no layer behind it dampens its errors. Matrices that make few outputs of
 * the residual stream (keys and values that several heads share) are few weights, each of whose
 * errors reaches many: int5, and those that their block wants wide int8. What a quantised
 * checkpoint holds in plain numbers, its quantiser kept wide on purpose: it stays so, bf16 where 16
 * bits are stored and else float32, unless "int4-all" is asked for.
 */
#include "base/mem.h"
#include "kernels/select.h"
#include "model/bound_model.h"
#include "model/column_order.h"
#include "model/pack.h"
#include "model/packed_cache.h"

static bool is_bf16(const zoo_matrix *m)
{
    return m->n_parts == 1 && m->parts[0]->dtype == ZOO_BF16;
}

/* Whether the values of the first row lie on the grids of a kind. */
static bool holds_row(const zoo_matrix *m, zoo_dtype kind, uint32_t group)
{
    float *row = zoo_mem_array((size_t)m->cols, sizeof *row);
    bool holds = row && zoo_matrix_read_rows(m, 0, 1, row) == ZOO_OK &&
                 zoo_pack_is_exact(kind, group, row, (uint32_t)m->cols);
    zoo_mem_free(row);
    return holds;
}

/* The same for int6 and int8 of one row of plain numbers: ZOO_F32 if it is on no such grid,
 * ZOO_DTYPE_MAX if it is zero throughout. */
static zoo_dtype row_grid(const zoo_matrix *m, uint64_t at)
{
    uint32_t cols = (uint32_t)m->cols, k = 0;
    float *row = zoo_mem_array(cols, sizeof *row);
    zoo_dtype kind = ZOO_F32;
    if (row && zoo_matrix_read_rows(m, at, 1, row) == ZOO_OK) {
        while (k < cols && row[k] == 0) {
            k++;
        }
        kind = k == cols                                    ? ZOO_DTYPE_MAX
               : zoo_pack_is_exact(ZOO_INT6, 64, row, cols) ? ZOO_INT6
               : zoo_pack_is_exact(ZOO_INT8, 64, row, cols) ? ZOO_INT8
                                                            : ZOO_F32;
    }
    zoo_mem_free(row);
    return kind;
}

/* int6 or int8 for plain float32 numbers on grids of rotated groups, judged by three rows; else
 * ZOO_F32. */
static zoo_dtype rotated_kind(const zoo_matrix *m)
{
    uint64_t last = m->n_stack * m->rows - 1, rows[] = {0, last / 2, last};
    bool plain = m->plain && m->n_parts == 1 && m->plain->dtype == ZOO_F32;
    zoo_dtype kind = ZOO_F32;
    if (!plain || m->cols % 64 || m->cols > UINT32_MAX || last == UINT64_MAX) {
        return ZOO_F32;
    }
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_dtype one = row_grid(m, rows[i]);
        if (one == ZOO_F32) {
            return ZOO_F32;
        }
        kind = one == ZOO_DTYPE_MAX || kind == ZOO_INT8 ? kind : one;
    }
    return kind;
}

/* Whether a matrix is stored as codes of low to high bits with scales along its rows. */
static bool has_codes(const zoo_matrix *m, uint32_t low, uint32_t high)
{
    return m->codes && m->codes != m->plain && m->bits >= low && m->bits <= high &&
           m->block_rows <= 1 && m->cols <= UINT32_MAX;
}

/* Groups shorter than those of the kernels, as `quantise` stores longer ones where these divide no
 * row, and whole numbers of int4 as codes of eight bits: known by one row. 0: neither. */
static uint32_t split_group(const zoo_matrix *m)
{
    uint64_t block = m->block_cols;
    if (has_codes(m, 8, 8) && (block == 64 || block == 32 || block == 16)) {
        return holds_row(m, ZOO_INT4, 64) ? 64 : 0;
    }
    return has_codes(m, 5, 5) && block == 16 && holds_row(m, ZOO_INT5, 32) ? 32 : 0;
}

/* Groups of the matrix as it is stored that can be kept; 0: none. Rows that are prepared once for a
 * stack have one order of columns. */
static uint32_t stored_group(const zoo_matrix *m, uint32_t flags)
{
    uint64_t block = m->block_cols;
    uint32_t split = m->groups ? 0 : split_group(m);
    if (m->groups && (flags & ZOO_BIND_STACK || !zoo_column_order_fits(m))) {
        return 0;
    }
    if (split) {
        return split;
    }
    if (m->is_e2m1 && block == 16) {
        return m->cols % 32 ? 0 : 16;
    }
    return !(has_codes(m, 2, 5) || m->is_e2m1) || block % 32 ? 0 : block % 64 ? 32 : 64;
}

/* Whether rounding to int4 would be a second one, coarser than what is stored. */
static bool stays_eight(const zoo_matrix *m, uint32_t flags)
{
    bool short_groups = m->bits == 8 && (m->block_cols == 32 || m->block_cols == 16);
    return has_codes(m, 2, 8) && !m->groups && ((flags & ZOO_BIND_MAP_STORED) || short_groups);
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

bool zoo_model_keeps_wide(const zoo_model *model, const zoo_matrix *m)
{
    bool plain = m->plain || m->joined;
    return model->weight_kind == ZOO_INT4 && !model->packs_all && plain &&
           zoo_model_config_quantization(model->config) && rotated_kind(m) == ZOO_F32;
}

void zoo_model_choose_kind(const zoo_model *model, const zoo_matrix *m, uint32_t flags,
                           zoo_weight *w)
{
    bool across = flags & ZOO_BIND_MAP_STORED;
    bool keeps = model->weight_kind == ZOO_INT4 && !across && !(flags & ZOO_BIND_EXACT);
    uint32_t group = keeps ? stored_group(m, flags) : 0;
    zoo_dtype rotated = keeps ? rotated_kind(m) : ZOO_F32;
    w->group = 0;
    if (flags & ZOO_BIND_EXACT) {
        w->kind = ZOO_F32;
    } else if (rotated != ZOO_F32) {
        w->kind = rotated;
        w->group = zoo_pack_group(rotated);
    } else if (zoo_model_keeps_wide(model, m)) {
        w->kind = m->parts[0]->dtype == ZOO_F32 ? ZOO_F32 : ZOO_BF16;
    } else if (group) {
        w->kind = m->bits == 5 || m->is_e2m1 ? ZOO_INT5 : ZOO_INT4;
        w->group = group;
    } else if (model->weight_kind == ZOO_INT4) {
        w->kind = stays_eight(m, flags) ? ZOO_INT8 : int4_kind(model, flags, w);
    } else if (model->weight_kind != ZOO_DTYPE_MAX) {
        w->kind = model->weight_kind;
    } else {
        w->kind = is_bf16(m) ? ZOO_BF16 : ZOO_F32;
    }
}

zoo_status zoo_model_note_source(zoo_model *model, const zoo_matrix *m, uint32_t flags,
                                 zoo_source source, zoo_error *err)
{
    bool rounds = !(flags & (ZOO_BIND_EXACT | ZOO_BIND_MAP_STORED));
    if (!rounds || !m->plain || m->n_parts != 1 || m->plain->n_dims < 2) {
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
    source.tensor = m->plain;
    source.is_transposed = flags & ZOO_BIND_TRANSPOSED;
    source.is_head = flags & ZOO_BIND_HEAD;
    source.is_wide = flags & ZOO_BIND_WIDE && has_few(model, source.weight);
    model->sources[model->n_sources++] = source;
    return ZOO_OK;
}

zoo_status zoo_model_take_packed(zoo_model *model, zoo_bind_mode mode, const char *name,
                                 zoo_weight *out, zoo_error *err)
{
    zoo_dtype kind = (zoo_dtype)out->kind;
    bool packs = mode == ZOO_BIND_PACK;
    size_t scales = 0;
    ZOO_TRY(zoo_kernels_check(model->kernels, out->kind, out->cols, err));
    out->group = out->group ? out->group : zoo_pack_group(kind);
    size_t bytes = zoo_pack_size(kind, out->rows, out->cols, out->group, &scales);
    bool ready = bytes && packs && zoo_packed_take(model->packed, name, out, model->pool);
    if (bytes && packs && !ready) {
        out->data = zoo_model_take(model, bytes + scales + 128);
        out->scales = out->data ? zoo_pack_scales(out, out->data) : NULL;
    }
    if (!out->data && (bytes == 0 || packs)) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for tensor %s [%u, %u]", model->folder,
                        name, out->rows, out->cols);
    }
    model->stats.bytes_packed += bytes + scales;
    model->stats.n_matrices++;
    return packs ? zoo_packed_add(model->packed, name, out, err) : ZOO_OK;
}

bool zoo_model_is_packed(const zoo_model *model, const zoo_weight *weight)
{
    return zoo_packed_holds(model->packed, weight->data);
}
