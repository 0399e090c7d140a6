/*
 * format_gptq_awq.c: integers packed so that outputs lie side by side: GPTQ and AWQ.
 *
 *   W[out, in] = (code - zero) * scale
 *
 *   gptq  qweight [in * bits / 32, out], a column of words for each output, little end first along
 *         in, 3 bits dense; qzeros [groups, out * bits / 32] of zero - 1 ("gptq") or zero
 *         ("gptq_v2"); scales [groups, out]; g_idx [in], the group of each input, in any order
 *         (act-order)
 *   awq   qweight [in, out / 8], nibble k of a word is output (0, 2, 4, 6, 1, 3, 5, 7)[k]; qzeros
 *         the same; scales as above
 *
 * Reading goes through tiles of 16 outputs, a cache line of qweight. Source: the files of AutoGPTQ,
 * GPTQModel and AutoAWQ.
 */
#include "checkpoint/matrix_private.h"

#define TILE 16

enum { COLUMNS_GPTQ_V2 = 0, COLUMNS_GPTQ = 1, COLUMNS_AWQ = 2 };

static uint32_t awq_shift(uint64_t out)
{
    return (uint32_t)(out % 2 * 4 + out % 8 / 2) * 4;
}

/* Codes of input k for n outputs from row on. */
static void codes_read(const zoo_matrix *m, uint64_t k, uint64_t row, uint64_t n, uint32_t *codes)
{
    uint64_t bit = k * m->bits, first = bit / 32 * m->rows + row;
    uint32_t shift = (uint32_t)(bit % 32), mask = (1u << m->bits) - 1;
    for (uint64_t i = 0; i < n; i++) {
        codes[i] = zoo_word(m->codes->data, first + i) >> shift & mask;
    }
    for (uint64_t i = 0; i < n && shift + m->bits > 32; i++) {
        codes[i] |= zoo_word(m->codes->data, first + m->rows + i) << (32 - shift) & mask;
    }
}

static void awq_codes_read(const zoo_matrix *m, uint64_t k, uint64_t row, uint64_t n,
                           uint32_t *codes)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t word = zoo_word(m->codes->data, (k * m->rows + row + i) / 8);
        codes[i] = word >> awq_shift(row + i) & 15;
    }
}

static uint32_t zero_at(const zoo_matrix *m, uint64_t group, uint64_t row)
{
    const void *words = m->zero->data;
    if (m->variant == COLUMNS_AWQ) {
        return zoo_word(words, (group * m->rows + row) / 8) >> awq_shift(row) & 15;
    }
    uint64_t bit = row * m->bits, first = group * m->zero->dims[1] + bit / 32;
    uint32_t shift = (uint32_t)(bit % 32), mask = (1u << m->bits) - 1;
    uint32_t code = zoo_word(words, first) >> shift;
    if (shift + m->bits > 32) {
        code |= zoo_word(words, first + 1) << (32 - shift);
    }
    return (code & mask) + (m->variant == COLUMNS_GPTQ);
}

/* Scales and zero points of n outputs from row on, all of one group. */
static void group_read(const zoo_matrix *m, uint64_t group, uint64_t row, uint64_t n, float *scale,
                       float *zero)
{
    (void)zoo_tensor_widen(m->scale, group * m->rows + row, (size_t)n, scale, NULL);
    for (uint64_t i = 0; i < n; i++) {
        zero[i] = (float)zero_at(m, group, row + i);
    }
}

/* Input by input, in any order of groups. */
static void tile_read(const zoo_matrix *m, uint64_t row, uint64_t n, float *out)
{
    uint64_t group = UINT64_MAX;
    uint32_t codes[TILE];
    float scale[TILE], zero[TILE];
    for (uint64_t k = 0; k < m->cols; k++) {
        uint64_t g = m->groups ? zoo_word(m->groups->data, k) : k / m->block_cols;
        if (g != group) {
            group = g;
            group_read(m, group, row, n, scale, zero);
        }
        if (m->variant == COLUMNS_AWQ) {
            awq_codes_read(m, k, row, n, codes);
        } else {
            codes_read(m, k, row, n, codes);
        }
        for (uint64_t i = 0; i < n; i++) {
            out[i * m->cols + k] = ((float)codes[i] - zero[i]) * scale[i];
        }
    }
}

/* All codes of a word, which are inputs of one output and one group. */
static inline void word_read(uint32_t word, uint32_t bits, float zero, float scale, float *out)
{
    for (uint32_t k = 0; k < 32 / bits; k++) {
        out[k] = ((float)(word >> (k * bits) & ((1u << bits) - 1)) - zero) * scale;
    }
}

/* Word by word, where a word has one group. */
static void tile_read_words(const zoo_matrix *m, uint64_t row, uint64_t n, float *out)
{
    uint64_t per_word = 32 / m->bits, group = UINT64_MAX;
    float scale[TILE], zero[TILE];
    for (uint64_t k = 0; k < m->cols; k += per_word, out += per_word) {
        uint64_t first = k / per_word * m->rows + row;
        if (k / m->block_cols != group) {
            group = k / m->block_cols;
            group_read(m, group, row, n, scale, zero);
        }
        for (uint64_t i = 0; i < n; i++) {
            uint32_t word = zoo_word(m->codes->data, first + i);
            if (m->bits == 4) {
                word_read(word, 4, zero[i], scale[i], out + i * m->cols);
            } else {
                word_read(word, m->bits, zero[i], scale[i], out + i * m->cols);
            }
        }
    }
}

static void columns_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    bool by_words = m->variant != COLUMNS_AWQ && !m->groups && 32 % m->bits == 0 &&
                    m->block_cols % (32 / m->bits) == 0;
    for (uint64_t i = 0; i < n_rows; i += TILE) {
        uint64_t n = n_rows - i > TILE ? TILE : n_rows - i;
        if (by_words) {
            tile_read_words(m, row + i, n, out + i * m->cols);
        } else {
            tile_read(m, row + i, n, out + i * m->cols);
        }
    }
}

/* qzeros and scales beside qweight, and what their shapes have in common. */
static zoo_status parts_find(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m)
{
    m->codes = qweight;
    m->zero = zoo_search_module(s, ".qzeros");
    m->scale = zoo_search_module(s, ".scales");
    if (!m->zero || !m->scale) {
        return zoo_search_fail(s, qweight, "its qweight has no qzeros or no scales beside it");
    }
    const zoo_dtype scale_dtype = m->scale->dtype;
    if (qweight->dtype != ZOO_I32 || qweight->n_dims != 2 || m->zero->dtype != ZOO_I32 ||
        m->zero->n_dims != 2 || m->scale->n_dims != 2 || m->zero->dims[0] != m->scale->dims[0] ||
        (scale_dtype != ZOO_F16 && scale_dtype != ZOO_BF16 && scale_dtype != ZOO_F32)) {
        return zoo_search_fail(s, qweight, "qweight, qzeros and scales do not fit together");
    }
    m->grid_cols = m->scale->dims[0];
    zoo_matrix_part(m, qweight);
    zoo_matrix_part(m, m->zero);
    zoo_matrix_part(m, m->scale);
    return ZOO_OK;
}

/* The order of the inputs, or null when it is the plain one and need not be looked up. */
static const zoo_tensor *order_needed(const zoo_matrix *m)
{
    for (uint64_t k = 0; m->groups && k < m->cols; k++) {
        if (zoo_word(m->groups->data, k) != k / m->block_cols) {
            return m->groups;
        }
    }
    return NULL;
}

/* Inputs of a group when they are in order. */
static zoo_status groups_find(const zoo_search *s, zoo_matrix *m)
{
    uint64_t size = zoo_config_count(s->config, "group_size");
    bool stated = size && (m->cols + size - 1) / size == m->grid_cols;
    if (m->grid_cols == 0 || m->cols == 0) {
        return zoo_search_fail(s, m->codes, "is empty");
    }
    m->block_cols = stated ? size : m->cols / m->grid_cols;
    bool even = m->block_cols && m->block_cols * m->grid_cols == m->cols;
    if (!stated && !even && !m->groups) {
        return zoo_search_fail(s, m->scale, "its groups are not even");
    }
    m->groups = stated || even ? order_needed(m) : m->groups;
    return ZOO_OK;
}

static zoo_status order_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *t = zoo_search_module(s, ".g_idx");
    zoo_matrix_part(m, t);
    if (!t || t->n_items == 0) {
        return ZOO_OK;
    }
    if (t->dtype != ZOO_I32 || t->n_items != m->cols) {
        return zoo_search_fail(s, t, "its g_idx is not one int32 per input");
    }
    m->groups = t;
    for (uint64_t k = 0; k < m->cols; k++) {
        if (zoo_word(t->data, k) >= m->grid_cols) {
            return zoo_search_fail(s, t, "its g_idx names a group that does not exist");
        }
    }
    return ZOO_OK;
}

/* The width follows from the shapes; a config that states another one is refused. */
static zoo_status gptq_bits(const zoo_search *s, zoo_matrix *m)
{
    uint64_t out = m->codes->dims[1], words = m->zero->dims[1], stated;
    uint64_t bits = out && words <= out ? words * 32 / out : 0;
    if (m->scale->dims[1] != out || bits * out != words * 32 ||
        (bits != 2 && bits != 3 && bits != 4 && bits != 8) || m->codes->dims[0] * 32 % bits) {
        return zoo_search_fail(s, m->codes,
                               "qweight and qzeros agree on no width of 2, 3, 4 or 8 bits");
    }
    stated = zoo_config_count(s->config, "bits");
    if (stated != bits && stated && !cJSON_GetObjectItemCaseSensitive(s->config, "dynamic")) {
        return zoo_search_fail(s, m->codes, "has another width than quantization_config states");
    }
    m->bits = (uint32_t)bits;
    uint64_t dims[2] = {out, m->codes->dims[0] * 32 / bits};
    zoo_matrix_shape(m, dims, 2);
    return ZOO_OK;
}

zoo_status zoo_format_gptq(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m)
{
    bool is_v2 = zoo_quantization_v2(s->config);
    ZOO_TRY(parts_find(s, qweight, m));
    ZOO_TRY(gptq_bits(s, m));
    ZOO_TRY(order_find(s, m));
    ZOO_TRY(groups_find(s, m));
    m->variant = is_v2 ? COLUMNS_GPTQ_V2 : COLUMNS_GPTQ;
    m->read = columns_read;
    (void)snprintf(m->format, sizeof m->format, "gptq int%u group %llu", m->bits,
                   (unsigned long long)m->block_cols);
    return ZOO_OK;
}

zoo_status zoo_format_awq(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m)
{
    uint64_t bits = zoo_config_count(s->config, "bits");
    ZOO_TRY(parts_find(s, qweight, m));
    uint64_t out = m->scale->dims[1];
    if (bits != 4) {
        return zoo_fail(s->err, ZOO_E_UNSUPPORTED, "%s: weight %s: awq of %llu bits is not read",
                        qweight->file, s->name, (unsigned long long)bits);
    }
    if (out % 8 || qweight->dims[1] != out / 8 || m->zero->dims[1] != out / 8) {
        return zoo_search_fail(s, qweight, "qweight, qzeros and scales do not fit together");
    }
    uint64_t dims[2] = {out, qweight->dims[0]};
    zoo_matrix_shape(m, dims, 2);
    ZOO_TRY(groups_find(s, m));
    m->bits = 4;
    m->variant = COLUMNS_AWQ;
    m->read = columns_read;
    (void)snprintf(m->format, sizeof m->format, "awq int4 group %llu",
                   (unsigned long long)m->block_cols);
    return ZOO_OK;
}
