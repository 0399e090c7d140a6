/*
 * format_nvfp4.c: four-bit floats in groups of 16 whose scales are 8-bit floats with a scale of
 * their own.
 *
 *   W[r, c] = e2m1[code] * (scale[r, c / 16] * global)    modelopt: weight, weight_scale,
 *                                                         weight_scale_2
 *   W[r, c] = e2m1[code] * (scale[r, c / 16] / global)    compressed-tensors: weight_packed,
 *                                                         weight_scale, weight_global_scale
 *
 * Bytes of two codes, the even column in the low nibble; scales e4m3; global is one float32, or one
 * for each matrix of a stack. Source: the files of both quantisers.
 */
#include "checkpoint/matrix_private.h"

enum { GROUP = 16 };

static void nvfp4_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    const unsigned char *p = (const unsigned char *)m->codes->data + row * (m->cols / 2);
    for (uint64_t i = 0; i < n_rows; i++) {
        uint64_t stack = m->nested_scale->n_items > 1 ? (row + i) / m->rows : 0;
        float global = zoo_tensor_item(m->nested_scale, stack);
        for (uint64_t g = 0; g < m->grid_cols; g++) {
            float scale = zoo_tensor_item(m->scale, (row + i) * m->grid_cols + g);
            scale = m->variant ? scale / global : scale * global;
            for (uint32_t k = 0; k < GROUP / 2; k++, p++, out += 2) {
                out[0] = zoo_fp4_values[*p & 15] * scale;
                out[1] = zoo_fp4_values[*p >> 4] * scale;
            }
        }
    }
}

static double global_at(const zoo_matrix *m, uint64_t stack)
{
    return zoo_tensor_item(m->nested_scale, m->nested_scale->n_items > 1 ? stack : 0);
}

/* Whether a scale times its global one is far from the ends of float32. */
static bool globals_usual(const zoo_matrix *m)
{
    bool usual = true;
    for (uint64_t i = 0; i < m->nested_scale->n_items; i++) {
        usual = usual && global_at(m, i) > 0x1p-90 && global_at(m, i) < 0x1p90;
    }
    return usual;
}

/* s / global is a number of 4 bits by one of 24, too far from the middle between two float32 for
 * the rounding of 1 / global to double to matter. */
double zoo_matrix_global_scale(const zoo_matrix *m, uint64_t row)
{
    if (m->read != nvfp4_read) {
        return 1;
    }
    double global = global_at(m, row / m->rows);
    return m->variant ? 1 / global : global;
}

static bool scales_fit(const zoo_matrix *m, const zoo_tensor *scale)
{
    bool fits = scale->n_dims == m->n_dims && m->grid_cols * GROUP == m->cols;
    for (uint32_t i = 0; fits && i + 1 < m->n_dims; i++) {
        fits = scale->dims[i] == m->dims[i];
    }
    return fits;
}

zoo_status zoo_format_nvfp4(const zoo_search *s, const zoo_tensor *codes, const zoo_tensor *global,
                            bool divides, zoo_matrix *m)
{
    const zoo_tensor *scale = zoo_search_name(s, "_scale");
    uint64_t dims[ZOO_TENSOR_DIMS_MAX];
    if (codes->dtype != ZOO_U8 || codes->n_dims < 2 || !scale || scale->dtype != ZOO_F8_E4M3 ||
        global->dtype != ZOO_F32) {
        return zoo_search_fail(s, codes, "nvfp4 wants packed bytes, e4m3 scales, a float32 scale");
    }
    memcpy(dims, codes->dims, sizeof dims);
    dims[codes->n_dims - 1] *= 2;
    zoo_matrix_shape(m, dims, codes->n_dims);
    m->codes = codes;
    m->scale = scale;
    m->nested_scale = global;
    m->variant = divides;
    m->block_cols = GROUP;
    m->grid_cols = scale->n_dims ? scale->dims[scale->n_dims - 1] : 0;
    if (!scales_fit(m, scale) || (global->n_items != 1 && global->n_items != m->n_stack)) {
        return zoo_search_fail(s, scale, "its scales are not one per 16 columns");
    }
    m->is_e2m1 = globals_usual(m);
    m->read = nvfp4_read;
    zoo_matrix_part(m, codes);
    zoo_matrix_part(m, scale);
    zoo_matrix_part(m, global);
    zoo_matrix_part(m, zoo_search_module(s, ".input_global_scale"));
    (void)snprintf(m->format, sizeof m->format, "nvfp4");
    return ZOO_OK;
}
