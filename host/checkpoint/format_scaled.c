/*
 * format_scaled.c: one byte a code, scales on a grid: fp8 and int8.
 *
 *   W[r, c] = (code[r, c] - zero[i, j]) * (scale[i, j] / divisor),  i = r / block_rows,
 *                                                                   j = c / block_cols
 *
 * scale_inv, in spite of its name, multiplies. One scale per tensor, per row, per group of columns
 * or per block, where the last block of a row or column may be partial; zero points are rare and
 * lie on the same grid. bitsandbytes int8 is the case of one scale per row with divisor 127.
 * Source: the files of the fp8, compressed-tensors and bitsandbytes quantisers of transformers.
 */
#include "checkpoint/matrix_private.h"

static void scaled_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    for (uint64_t i = 0; i < n_rows; i++, out += m->cols) {
        uint64_t stack = (row + i) / m->rows, r = (row + i) % m->rows;
        uint64_t grid = (stack * m->grid_rows + r / m->block_rows) * m->grid_cols;
        (void)zoo_tensor_widen(m->codes, (row + i) * m->cols, (size_t)m->cols, out, NULL);
        for (uint64_t begin = 0; begin < m->cols; begin += m->block_cols, grid++) {
            uint64_t end = m->cols - begin > m->block_cols ? begin + m->block_cols : m->cols;
            float scale = zoo_tensor_item(m->scale, grid);
            float zero = m->zero ? zoo_tensor_item(m->zero, grid) : 0;
            scale = m->divisor > 0 ? scale / m->divisor : scale;
            for (uint64_t c = begin; c < end; c++) {
                out[c] = m->zero ? (out[c] - zero) * scale : out[c] * scale;
            }
        }
    }
}

/* [rows, columns] of a block as a config states them: a list of two, or "128x128". */
static bool block_read(const cJSON *item, uint64_t block[2])
{
    unsigned long long r, c;
    char rest;
    if (cJSON_IsString(item) && sscanf(item->valuestring, "%9llux%9llu%c", &r, &c, &rest) == 2) {
        block[0] = r;
        block[1] = c;
        return r > 0 && c > 0;
    }
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        double size = cJSON_IsNumber(cJSON_GetArrayItem(item, i))
                          ? cJSON_GetArrayItem(item, i)->valuedouble
                          : 0;
        if (!(size >= 1 && size <= 1e9)) {
            return false;
        }
        block[i] = (uint64_t)size;
    }
    return true;
}

static bool block_fits(const zoo_matrix *m, const uint64_t block[2])
{
    return (m->rows + block[0] - 1) / block[0] == m->grid_rows &&
           (m->cols + block[1] - 1) / block[1] == m->grid_cols;
}

/* A block size stated by the config that gives this grid. */
static bool block_stated(const zoo_search *s, const zoo_matrix *m, uint64_t block[2])
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(s->config, "config_groups");
    if (block_read(cJSON_GetObjectItemCaseSensitive(s->config, "weight_block_size"), block)) {
        return block_fits(m, block);
    }
    for (const cJSON *group = groups ? groups->child : NULL; group; group = group->next) {
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(group, "weights");
        if (block_read(cJSON_GetObjectItemCaseSensitive(weights, "block_structure"), block) &&
            block_fits(m, block)) {
            return true;
        }
        block[0] = 1;
        block[1] = zoo_config_count(weights, "group_size");
        if (block[1] && block_fits(m, block)) {
            return true;
        }
    }
    return false;
}

/* Blocks for a grid: all of a side, each of a side, or as the config says. */
static zoo_status block_find(const zoo_search *s, zoo_matrix *m)
{
    uint64_t block[2];
    bool whole_rows = m->grid_rows == 1 || m->grid_rows == m->rows;
    if (!block_stated(s, m, block)) {
        if (!whole_rows || m->grid_cols != 1) {
            return zoo_search_fail(
                s, m->scale, "its scales form blocks that quantization_config does not state");
        }
        block[0] = m->grid_rows == 1 ? m->rows : 1;
        block[1] = m->cols;
    }
    m->block_rows = block[0] ? block[0] : 1;
    m->block_cols = block[1] ? block[1] : 1;
    return ZOO_OK;
}

/* The grid of a scale tensor of the shapes [], [1], [rows], [rows, 1], [r, c],
 * after the dims of a stack. */
static zoo_status grid_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *scale = m->scale;
    const uint64_t *dims = scale->dims;
    uint32_t n_dims = scale->n_dims, n_lead = m->n_dims > 2 ? m->n_dims - 2 : 0;
    if (n_lead) {
        if (n_dims < n_lead || memcmp(dims, m->dims, n_lead * sizeof *dims) != 0) {
            return zoo_search_fail(s, scale, "its scales are not stacked as it is");
        }
        dims += n_lead;
        n_dims -= n_lead;
    }
    if (n_dims > 2) {
        return zoo_search_fail(s, scale, "its scales have too many dimensions");
    }
    m->grid_rows = n_dims > 0 ? dims[0] : 1;
    m->grid_cols = n_dims > 1 ? dims[1] : 1;
    bool fits = m->grid_rows >= 1 && m->grid_rows <= m->rows && m->grid_cols >= 1 &&
                m->grid_cols <= m->cols;
    fits = fits && (n_dims != 1 || m->grid_rows == 1 || m->grid_rows == m->rows);
    return fits ? ZOO_OK : zoo_search_fail(s, scale, "the shape of its scales does not fit it");
}

zoo_status zoo_format_scaled(const zoo_search *s, const zoo_tensor *scale, zoo_matrix *m)
{
    const zoo_tensor *t = s->weight;
    if (scale->dtype != ZOO_F32 && scale->dtype != ZOO_BF16 && scale->dtype != ZOO_F16 &&
        scale->dtype != ZOO_F8_E8M0) {
        return zoo_search_fail(s, scale, "its scales have a dtype that scales cannot have");
    }
    if (t->n_dims < 2) {
        return zoo_search_fail(s, t, "it is quantised but not a matrix");
    }
    zoo_matrix_shape(m, t->dims, t->n_dims);
    m->codes = t;
    m->scale = scale;
    m->zero = zoo_search_name(s, "_zero_point");
    if (m->zero && (m->zero->n_items != scale->n_items || m->zero->dtype != t->dtype)) {
        return zoo_search_fail(s, m->zero, "its zero points do not fit its scales");
    }
    ZOO_TRY(grid_find(s, m));
    ZOO_TRY(block_find(s, m));
    m->read = scaled_read;
    zoo_matrix_part(m, t);
    zoo_matrix_part(m, scale);
    zoo_matrix_part(m, m->zero);
    (void)snprintf(m->format, sizeof m->format, "%s %llux%llu", t->dtype == ZOO_I8 ? "int8" : "fp8",
                   (unsigned long long)m->block_rows, (unsigned long long)m->block_cols);
    return ZOO_OK;
}

zoo_status zoo_format_bnb8(const zoo_search *s, const zoo_tensor *scb, zoo_matrix *m)
{
    const zoo_tensor *t = s->weight, *order = zoo_search_module(s, ".weight_format");
    if (t->dtype != ZOO_I8 || t->n_dims != 2 || scb->dtype != ZOO_F32 ||
        scb->n_items != t->dims[0]) {
        return zoo_search_fail(s, t, "no bitsandbytes int8 weight with one SCB per row");
    }
    if (order &&
        (order->n_items != 1 || order->dtype != ZOO_U8 || zoo_tensor_item(order, 0) != 0)) {
        return zoo_fail(s->err, ZOO_E_UNSUPPORTED,
                        "%s: %s: only weight_format 0 (row-major) is read", order->file,
                        order->name);
    }
    zoo_matrix_shape(m, t->dims, t->n_dims);
    m->codes = t;
    m->scale = scb;
    m->divisor = 127;
    m->grid_rows = m->rows;
    m->grid_cols = 1;
    m->block_rows = 1;
    m->block_cols = m->cols ? m->cols : 1;
    m->read = scaled_read;
    zoo_matrix_part(m, t);
    zoo_matrix_part(m, scb);
    zoo_matrix_part(m, order);
    (void)snprintf(m->format, sizeof m->format, "bitsandbytes int8");
    return ZOO_OK;
}
