/*
 * format_codebook.c: codes that stand for a value of a short table: MXFP4, bitsandbytes nf4 and
 * fp4, ternary.
 *
 *   mxfp4    bytes of two e2m1 codes, the even column in the low nibble; one e8m0 exponent e for
 *            32 columns: W = value[code] * 2^(e - 127). Spelled
 *              _blocks [.., rows, groups, 16] and _scales [.., rows, groups],
 *              weight_packed [.., rows, cols / 2] and weight_scale, or
 *              an int8 weight of that shape and an e8m0 scale
 *   bnb 4    the flat matrix, the EARLIER element in the high nibble, an index into quant_map; one
 *            absmax for each block of the flat matrix, itself stored, when nested, as an index
 *            into nested_quant_map times nested_absmax plus an offset
 *   ternary  four rows of -1, 0, 1 (plus one, two bits each) in a byte: row r in bits
 *            2 * (r / packed) of packed row r % packed; one scale, which multiplies
 *            ("autobitlinear") or divides ("bitlinear")
 *
 * Sources: OCP microscaling formats, the files of bitsandbytes and of the ternary quantiser of
 * transformers.
 */
#include "checkpoint/matrix_private.h"

#include "base/json.h"

const float zoo_fp4_values[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                  -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

static void fp4_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    zoo_tensor scale = *m->scale; /* exponents are often stored as plain bytes */
    scale.dtype = ZOO_F8_E8M0;
    const unsigned char *p = (const unsigned char *)m->codes->data + row * (m->cols / 2);
    uint64_t n_groups = n_rows * m->grid_cols;
    for (uint64_t g = 0; g < n_groups; g++) {
        float factor = zoo_tensor_item(&scale, row * m->grid_cols + g);
        for (uint64_t i = 0; i < m->block_cols / 2; i++, p++, out += 2) {
            out[0] = zoo_fp4_values[*p & 15] * factor;
            out[1] = zoo_fp4_values[*p >> 4] * factor;
        }
    }
}

/* Dims of the logical matrix: the last dim of packed bytes counts double;
 * the two last of blocks are one. */
static zoo_status fp4_shape(const zoo_search *s, const zoo_tensor *codes, bool blocks,
                            zoo_matrix *m)
{
    uint64_t dims[ZOO_TENSOR_DIMS_MAX] = {0};
    uint32_t n_dims = blocks ? codes->n_dims - 1 : codes->n_dims;
    if (codes->n_dims < 2 || (blocks && codes->n_dims < 3)) {
        return zoo_search_fail(s, codes, "its packed codes are not a matrix");
    }
    memcpy(dims, codes->dims, n_dims * sizeof *dims);
    dims[n_dims - 1] *= blocks ? codes->dims[n_dims] * 2 : 2;
    zoo_matrix_shape(m, dims, n_dims);
    return ZOO_OK;
}

zoo_status zoo_format_fp4(const zoo_search *s, const zoo_tensor *codes, const zoo_tensor *scale,
                          zoo_matrix *m)
{
    size_t n = strlen(codes->name), n_suffix = strlen("_blocks");
    bool blocks = n > n_suffix && strcmp(codes->name + n - n_suffix, "_blocks") == 0;
    if (!scale || (scale->dtype != ZOO_U8 && scale->dtype != ZOO_F8_E8M0) ||
        (codes->dtype != ZOO_U8 && codes->dtype != ZOO_I8)) {
        return zoo_search_fail(s, codes, "4-bit floats without scales of 8-bit exponents");
    }
    ZOO_TRY(fp4_shape(s, codes, blocks, m));
    m->codes = codes;
    m->is_e2m1 = true;
    m->scale = scale;
    m->grid_cols = scale->n_dims ? scale->dims[scale->n_dims - 1] : 0;
    bool fits = scale->n_dims == m->n_dims && m->grid_cols * 32 == m->cols;
    for (uint32_t i = 0; fits && i + 1 < m->n_dims; i++) {
        fits = scale->dims[i] == m->dims[i];
    }
    if (!fits) {
        return zoo_search_fail(s, scale, "its exponents are not one per 32 columns");
    }
    m->block_cols = 32;
    m->flipped = blocks;
    m->read = fp4_read;
    zoo_matrix_part(m, codes);
    zoo_matrix_part(m, scale);
    zoo_matrix_part(m, blocks ? NULL : zoo_search_name(s, "_shape"));
    (void)snprintf(m->format, sizeof m->format, "mxfp4");
    return ZOO_OK;
}

/* The scale of a block of the flat matrix. */
static float absmax_at(const zoo_matrix *m, uint64_t block)
{
    if (!m->nested_block) {
        return zoo_tensor_item(m->scale, block);
    }
    uint8_t index = ((const uint8_t *)m->scale->data)[block];
    float top = zoo_tensor_item(m->nested_scale, block / m->nested_block);
    float scale = zoo_tensor_item(m->nested_values, index) * top;
    return scale + m->offset;
}

static void bnb4_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    const unsigned char *codes = m->codes->data;
    uint64_t at = row * m->cols, end = at + n_rows * m->cols;
    while (at < end) {
        uint64_t block = at / m->block_cols, stop = (block + 1) * m->block_cols;
        float scale = absmax_at(m, block);
        for (stop = stop < end ? stop : end; at < stop; at++) {
            uint32_t code = at % 2 ? codes[at / 2] & 15u : codes[at / 2] >> 4;
            *out++ = m->values[code] * scale;
        }
    }
}

/* The shape that the state's JSON gives, and whether the packed bytes are as many. */
static zoo_status bnb4_shape(const zoo_search *s, const cJSON *state, zoo_matrix *m)
{
    uint64_t dims[ZOO_TENSOR_DIMS_MAX], n_items = 1;
    uint32_t n_dims = 0;
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(state, "shape");
    const cJSON *dim = cJSON_IsArray(shape) ? shape->child : NULL;
    for (; dim && n_dims < ZOO_TENSOR_DIMS_MAX; dim = dim->next, n_dims++) {
        bool good = cJSON_IsNumber(dim) && dim->valuedouble >= 1 && dim->valuedouble <= 1e12;
        dims[n_dims] = good ? (uint64_t)dim->valuedouble : 0;
        if (!good || __builtin_mul_overflow(n_items, dims[n_dims], &n_items)) {
            n_items = 0;
        }
    }
    if (dim || n_dims == 0 || n_items == 0 || n_items / 2 + n_items % 2 != s->weight->n_bytes) {
        return zoo_search_fail(s, s->weight,
                               "its bytes are not those of the shape in its quant_state");
    }
    zoo_matrix_shape(m, dims, n_dims);
    return ZOO_OK;
}

static bool is_f32(const zoo_tensor *t, uint64_t n_items)
{
    return t && t->dtype == ZOO_F32 && t->n_items == n_items;
}

/* absmax plain, or nested in one more level. */
static zoo_status bnb4_scales(const zoo_search *s, const cJSON *state, zoo_matrix *m)
{
    uint64_t n_items = m->n_stack * m->rows * m->cols;
    uint64_t n_blocks = (n_items + m->block_cols - 1) / m->block_cols;
    m->scale = zoo_search_name(s, ".absmax");
    zoo_matrix_part(m, m->scale);
    if (is_f32(m->scale, n_blocks)) {
        return ZOO_OK;
    }
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(state, "nested_offset");
    m->nested_block = zoo_config_count(state, "nested_blocksize");
    m->nested_scale = zoo_search_name(s, ".nested_absmax");
    m->nested_values = zoo_search_name(s, ".nested_quant_map");
    zoo_matrix_part(m, m->nested_scale);
    zoo_matrix_part(m, m->nested_values);
    if (!m->scale || m->scale->dtype != ZOO_U8 || m->scale->n_items != n_blocks ||
        !cJSON_IsNumber(offset) || !m->nested_block || !is_f32(m->nested_values, 256) ||
        !is_f32(m->nested_scale, (n_blocks + m->nested_block - 1) / m->nested_block)) {
        return zoo_search_fail(s, s->weight, "its absmax does not fit its quant_state");
    }
    m->offset = (float)offset->valuedouble;
    return ZOO_OK;
}

static zoo_status bnb4_find(const zoo_search *s, const cJSON *state, zoo_matrix *m)
{
    const zoo_tensor *map = zoo_search_name(s, ".quant_map");
    ZOO_TRY(bnb4_shape(s, state, m));
    m->codes = s->weight;
    m->block_cols = zoo_config_count(state, "blocksize");
    if (!m->block_cols || !is_f32(map, 16)) {
        return zoo_search_fail(s, s->weight, "its quant_state has no blocksize, or no 16 values");
    }
    ZOO_TRY(bnb4_scales(s, state, m));
    zoo_matrix_part(m, map);
    (void)zoo_tensor_widen(map, 0, 16, m->values, NULL);
    return ZOO_OK;
}

zoo_status zoo_format_bnb4(const zoo_search *s, const zoo_tensor *state, zoo_matrix *m)
{
    cJSON *json;
    const char *kind = state->name + strlen(state->name) - 3; /* the names end in nf4 or fp4 */
    if (state->dtype != ZOO_U8) {
        return zoo_search_fail(s, state, "its quant_state is no text in bytes");
    }
    zoo_matrix_part(m, s->weight);
    zoo_matrix_part(m, state);
    ZOO_TRY(zoo_json_parse_python(state->data, (size_t)state->n_bytes, state->name, &json, s->err));
    zoo_status status = bnb4_find(s, json, m);
    cJSON_Delete(json);
    ZOO_TRY(status);
    m->read = bnb4_read;
    (void)snprintf(m->format, sizeof m->format, "bitsandbytes %s block %llu%s", kind,
                   (unsigned long long)m->block_cols, m->nested_block ? " nested" : "");
    return ZOO_OK;
}

enum { TERNARY_MULTIPLY = 0, TERNARY_DIVIDE = 1 };

static void ternary_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    const unsigned char *codes = m->codes->data;
    float scale = zoo_tensor_item(m->scale, 0);
    uint64_t n_packed = m->rows / 4;
    for (uint64_t r = row; r < row + n_rows; r++, out += m->cols) {
        const unsigned char *p = codes + r % n_packed * m->cols;
        uint32_t shift = (uint32_t)(r / n_packed) * 2;
        for (uint64_t c = 0; c < m->cols; c++) {
            float value = (float)(p[c] >> shift & 3) - 1;
            out[c] = m->variant == TERNARY_DIVIDE ? value / scale : value * scale;
        }
    }
}

zoo_status zoo_format_ternary(const zoo_search *s, const zoo_tensor *scale, zoo_matrix *m)
{
    const zoo_tensor *t = s->weight;
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(s->config, "linear_class");
    bool multiplies = cJSON_IsString(kind) && strcmp(kind->valuestring, "autobitlinear") == 0;
    if (t->n_dims != 2 || scale->n_items != 1 || zoo_dtype_size(scale->dtype) < 2 ||
        t->dims[0] > UINT64_MAX / 4) {
        return zoo_search_fail(s, t, "it is not a ternary matrix with one scale");
    }
    uint64_t dims[2] = {t->dims[0] * 4, t->dims[1]};
    zoo_matrix_shape(m, dims, 2);
    m->codes = t;
    m->scale = scale;
    m->variant = multiplies ? TERNARY_MULTIPLY : TERNARY_DIVIDE;
    m->read = ternary_read;
    zoo_matrix_part(m, t);
    zoo_matrix_part(m, scale);
    (void)snprintf(m->format, sizeof m->format, "ternary, packed by four rows");
    return ZOO_OK;
}
