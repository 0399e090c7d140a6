/*
 * format_packed.c: integers of 2 to 8 bits packed along a row into 32-bit words: compressed-tensors
 * pack-quantized.
 *
 *   W[r, c] = (code[r, c] - zero[r, group(c)]) * scale[r, group(c)]
 *
 *   weight_packed      [rows, words], little end first along the columns; a stack of matrices
 *                      [.., rows, words], its other parts with the same first dimensions
 *   weight_scale       [rows, groups], [rows, 1] or [1]
 *   weight_zero_point  [words, groups], packed the same way but along the rows; 2^(bits - 1) where
 *                      none is stored
 *   weight_shape       [.., rows, cols]
 *
 * Widths that do not divide 32 come in two forms: dense (a code may straddle two words) and, from
 * older writers, with 32 / bits whole codes a word; the number of words tells them apart. Source:
 * the compressed-tensors library's files.
 */
#include "checkpoint/matrix_private.h"

#define CHUNK 256 /* codes unpacked at once; whole words of every width that divides 32 */

enum { PACKED_DENSE = 0, PACKED_WHOLE = 1 };

static uint64_t words_of(uint64_t n, uint32_t bits, uint32_t variant)
{
    uint64_t per_word = 32 / bits;
    return variant == PACKED_DENSE ? (n * bits + 31) / 32 : (n + per_word - 1) / per_word;
}

/* Code i of a run of words that lie stride apart. */
static uint32_t code_at(const zoo_matrix *m, const zoo_tensor *t, uint64_t first, uint64_t stride,
                        uint64_t i)
{
    uint32_t per_word = 32 / m->bits, mask = (1u << m->bits) - 1;
    uint64_t bit = i * m->bits;
    uint64_t word = m->variant == PACKED_DENSE ? bit / 32 : i / per_word;
    uint32_t shift = (uint32_t)(m->variant == PACKED_DENSE ? bit % 32 : i % per_word * m->bits);
    uint32_t code = zoo_word(t->data, first + word * stride) >> shift;
    if (shift + m->bits > 32) {
        code |= zoo_word(t->data, first + (word + 1) * stride) << (32 - shift);
    }
    return code & mask;
}

static float zero_at(const zoo_matrix *m, uint64_t row, uint64_t group)
{
    float half = (float)(1u << (m->bits - 1));
    if (!m->zero) {
        return half;
    }
    if (m->zero->dtype != ZOO_I32) {
        return half + zoo_tensor_item(m->zero, row * m->grid_cols + group);
    }
    return (float)code_at(m, m->zero, group, m->grid_cols, row);
}

/* Codes of whole words; inlined with a constant width, so that it unrolls. */
static inline void words_unpack(const zoo_tensor *t, uint64_t first, uint64_t n, uint32_t bits,
                                uint8_t *codes)
{
    uint32_t per_word = 32 / bits, mask = (1u << bits) - 1;
    for (uint64_t w = 0; w < n; w++) {
        uint32_t word = zoo_word(t->data, first + w);
        for (uint32_t k = 0; k < per_word; k++, word >>= bits) {
            *codes++ = (uint8_t)(word & mask);
        }
    }
}

/* Codes of one row from column begin, a multiple of CHUNK. Words may be read past end,
 * never past the row. */
static void chunk_unpack(const zoo_matrix *m, uint64_t row, uint64_t begin, uint64_t end,
                         uint8_t *codes)
{
    uint64_t first = row * words_of(m->cols, m->bits, m->variant);
    uint64_t n_words = ((end - begin) * m->bits + 31) / 32;
    switch (m->bits) {
    case 2:
        words_unpack(m->codes, first + begin / 16, n_words, 2, codes);
        return;
    case 4:
        words_unpack(m->codes, first + begin / 8, n_words, 4, codes);
        return;
    case 8:
        words_unpack(m->codes, first + begin / 4, n_words, 8, codes);
        return;
    default:
        for (uint64_t c = begin; c < end; c++) {
            *codes++ = (uint8_t)code_at(m, m->codes, first, 1, c);
        }
    }
}

/* One run of columns of the same group. */
static void run_scale(const zoo_matrix *m, uint64_t row, uint64_t group, uint64_t n,
                      const uint8_t *codes, float *out)
{
    float scale = zoo_tensor_item(m->scale, row * m->grid_cols + group);
    float zero = zero_at(m, row, group);
    for (uint64_t i = 0; i < n; i++) {
        out[i] = ((float)codes[i] - zero) * scale;
    }
}

static void chunk_read(const zoo_matrix *m, uint64_t row, uint64_t begin, uint64_t end, float *out)
{
    uint64_t grid_row = m->grid_rows > 1 ? row : 0;
    uint8_t codes[CHUNK];
    chunk_unpack(m, row, begin, end, codes);
    for (uint64_t c = begin; c < end;) {
        uint64_t group = m->groups ? zoo_word(m->groups->data, c) : c / m->block_cols;
        uint64_t stop = m->groups ? c + 1 : (group + 1) * m->block_cols;
        while (m->groups && stop < end && zoo_word(m->groups->data, stop) == group) {
            stop++;
        }
        stop = stop < end ? stop : end;
        run_scale(m, grid_row, group, stop - c, codes + (c - begin), out + c);
        c = stop;
    }
}

static void packed_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    for (uint64_t i = 0; i < n_rows; i++, out += m->cols) {
        for (uint64_t c = 0; c < m->cols; c += CHUNK) {
            chunk_read(m, row + i, c, m->cols - c > CHUNK ? c + CHUNK : m->cols, out);
        }
    }
}

static bool bits_fit(zoo_matrix *m, uint64_t bits, uint32_t variant)
{
    if (bits < 2 || bits > 8 ||
        words_of(m->cols, (uint32_t)bits, variant) != m->codes->dims[m->n_dims - 1]) {
        return false;
    }
    m->bits = (uint32_t)bits;
    m->variant = variant;
    return true;
}

/* A width that the config states for some group of modules and that fits the words in this form. */
static bool bits_stated(const cJSON *config, zoo_matrix *m, uint32_t variant, bool *stated)
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(config, "config_groups");
    for (const cJSON *group = groups ? groups->child : NULL; group; group = group->next) {
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(group, "weights");
        uint64_t bits = zoo_config_count(weights, "num_bits");
        *stated = *stated || bits;
        if (bits_fit(m, bits, variant)) {
            return true;
        }
    }
    return false;
}

/* The stated width, dense before whole; where none is stated, the one that fits densely. */
static zoo_status bits_find(const zoo_search *s, zoo_matrix *m)
{
    bool stated = false;
    if (bits_stated(s->config, m, PACKED_DENSE, &stated) ||
        bits_stated(s->config, m, PACKED_WHOLE, &stated)) {
        return ZOO_OK;
    }
    for (uint32_t bits = 2; !stated && bits <= 8; bits++) {
        if (bits_fit(m, bits, PACKED_DENSE)) {
            return ZOO_OK;
        }
    }
    return zoo_search_fail(s, m->codes, "its words do not hold as many codes as its shape says");
}

/* Rows and columns, of a stack its matrices too: stated by weight_shape. */
static zoo_status shape_find(const zoo_search *s, const zoo_tensor *packed, zoo_matrix *m)
{
    const zoo_tensor *shape = zoo_search_name(s, "_shape");
    uint64_t dims[ZOO_TENSOR_DIMS_MAX];
    uint32_t n = packed->n_dims;
    if (packed->dtype != ZOO_I32 || n < 2 || n > 3) {
        return zoo_search_fail(s, packed, "its packed codes are not an int32 matrix");
    }
    if (!shape || shape->n_items != n || (shape->dtype != ZOO_I64 && shape->dtype != ZOO_I32)) {
        return zoo_search_fail(s, packed,
                               n == 2 ? "it has no weight_shape of two integers"
                                      : "it has no weight_shape of three integers");
    }
    for (uint32_t i = 0; i < n; i++) {
        float size = zoo_tensor_item(shape, i);
        if (!(size >= 0 && size <= 16777216.0f)) {
            return zoo_search_fail(s, shape, "its weight_shape is not a valid size");
        }
        dims[i] = (uint64_t)size;
        if (i + 1 < n && dims[i] != packed->dims[i]) {
            return zoo_search_fail(s, shape,
                                   "its weight_shape and its packed codes differ in rows");
        }
    }
    zoo_matrix_shape(m, dims, n);
    m->flipped = true;
    zoo_matrix_part(m, packed);
    zoo_matrix_part(m, shape);
    return ZOO_OK;
}

/* weight_g_idx: the group of each column; -1 anywhere means that columns are in order. */
static zoo_status order_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *t = zoo_search_name(s, "_g_idx");
    zoo_matrix_part(m, t);
    if (!t || t->n_items == 0) {
        return ZOO_OK;
    }
    if (t->dtype != ZOO_I32 || t->n_items != m->cols) {
        return zoo_search_fail(s, t, "its g_idx is not one int32 per column");
    }
    bool good = true;
    for (uint64_t c = 0; c < m->cols; c++) {
        uint32_t group = zoo_word(t->data, c);
        if (group == UINT32_MAX) {
            return ZOO_OK;
        }
        good = good && group < m->grid_cols;
    }
    m->groups = t;
    return good ? ZOO_OK : zoo_search_fail(s, t, "its g_idx names a group that does not exist");
}

/* Columns of a group: a size that the config states and that gives this number of groups,
 * else an even share. */
static zoo_status groups_find(const zoo_search *s, zoo_matrix *m)
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(s->config, "config_groups");
    ZOO_TRY(order_find(s, m));
    m->block_cols = 0;
    for (const cJSON *group = groups ? groups->child : NULL; group; group = group->next) {
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(group, "weights");
        uint64_t size = zoo_config_count(weights, "group_size");
        if (size && (m->cols + size - 1) / size == m->grid_cols) {
            m->block_cols = size;
            return ZOO_OK;
        }
    }
    m->block_cols = m->cols / m->grid_cols;
    bool even = m->block_cols * m->grid_cols == m->cols && m->block_cols;
    return even || m->groups ? ZOO_OK : zoo_search_fail(s, m->scale, "its groups are not even");
}

static zoo_status scales_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *scale = zoo_search_name(s, "_scale");
    if (!scale ||
        (scale->dtype != ZOO_F32 && scale->dtype != ZOO_BF16 && scale->dtype != ZOO_F16)) {
        return zoo_search_fail(s, m->codes, "it has no float weight_scale");
    }
    uint32_t last = scale->n_dims > 1 ? scale->n_dims - 1 : 1;
    uint64_t rows = m->n_stack * m->rows;
    m->scale = scale;
    m->grid_cols = scale->n_dims > 1 ? scale->dims[last] : 1;
    m->grid_rows = m->grid_cols ? scale->n_items / m->grid_cols : 0;
    zoo_matrix_part(m, scale);
    if ((scale->n_dims > 2 && scale->n_dims != m->n_dims) ||
        (m->grid_rows != 1 && m->grid_rows != rows) || m->grid_cols < 1 || m->grid_cols > m->cols ||
        m->grid_rows < 1) {
        return zoo_search_fail(s, scale, "the shape of its scales does not fit it");
    }
    return ZOO_OK;
}

/* Whether the config states weights, and each of them asymmetric. */
static bool all_asymmetric(const cJSON *config)
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(config, "config_groups");
    const cJSON *group = groups ? groups->child : NULL;
    bool all = group != NULL;
    for (; group; group = group->next) {
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(group, "weights");
        all = all && cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(weights, "symmetric"));
    }
    return all;
}

static zoo_status zeros_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *zero = zoo_search_name(s, "_zero_point");
    m->zero = zero;
    zoo_matrix_part(m, zero);
    if (zero && m->n_dims > 2) {
        return zoo_search_fail(s, zero, "zero points of a stack are not read");
    }
    if (!zero) {
        return all_asymmetric(s->config)
                   ? zoo_search_fail(s, m->codes, "is asymmetric, and has no zero points")
                   : ZOO_OK;
    }
    uint64_t rows =
        zero->dtype == ZOO_I32 ? words_of(m->grid_rows, m->bits, m->variant) : m->grid_rows;
    bool fits = zero->n_items == rows * m->grid_cols &&
                (zero->dtype == ZOO_I32 || zero->dtype == ZOO_I8 || zero->dtype == ZOO_U8);
    return fits ? ZOO_OK : zoo_search_fail(s, zero, "its zero points do not fit its scales");
}

zoo_status zoo_format_packed(const zoo_search *s, const zoo_tensor *packed, zoo_matrix *m)
{
    ZOO_TRY(shape_find(s, packed, m));
    m->codes = packed;
    ZOO_TRY(bits_find(s, m));
    ZOO_TRY(scales_find(s, m));
    ZOO_TRY(groups_find(s, m));
    ZOO_TRY(zeros_find(s, m));
    m->read = packed_read;
    (void)snprintf(m->format, sizeof m->format, "packed int%u group %llu%s", m->bits,
                   (unsigned long long)m->block_cols, m->zero ? " asymmetric" : "");
    return ZOO_OK;
}
