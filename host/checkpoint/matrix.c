/*
 * matrix.c: which tensors of a file make up a weight.
 *
 *   name -> the tensors that are there (itself, its scales, its packed forms)
 *        -> the layout that they fit -> matrix
 *
 * What is present decides; the config only gives what cannot be seen from shapes (block sizes, the
 * zero point form of GPTQ) and is judged in quantization.c. Sources:
 * compressed-tensors, AutoGPTQ, AutoAWQ, bitsandbytes and transformers as users meet them in files.
 */
#include "checkpoint/matrix.h"

#include "checkpoint/matrix_private.h"

static void plain_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    (void)zoo_tensor_widen(m->codes, row * m->cols, (size_t)(n_rows * m->cols), out, NULL);
}

static bool is_wide(zoo_dtype dtype)
{
    return dtype == ZOO_F32 || dtype == ZOO_BF16 || dtype == ZOO_F16 || dtype == ZOO_F64;
}

/* A tensor as stored. 8-bit codes without a scale are refused; wider integers are tables. */
static zoo_status plain_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *t = s->weight;
    if (t->dtype == ZOO_DTYPE_MAX) {
        return zoo_fail(s->err, ZOO_E_UNSUPPORTED, "%s: tensor %s has dtype %s, which is not read",
                        t->file, t->name, t->dtype_name);
    }
    bool is_f8 = t->dtype == ZOO_F8_E4M3 || t->dtype == ZOO_F8_E5M2 || t->dtype == ZOO_F8_E8M0;
    if (s->is_weight && !is_wide(t->dtype) && (!is_f8 || s->config)) {
        return zoo_fail(s->err, ZOO_E_UNSUPPORTED,
                        "%s: weight %s holds codes of dtype %s and has no scale of a known name",
                        t->file, s->name, t->dtype_name);
    }
    if (s->is_weight && is_wide(t->dtype) && zoo_search_name(s, "_scale")) {
        return zoo_search_fail(s, t, "is not quantised, but there is a weight_scale for it");
    }
    m->codes = t;
    m->plain = t;
    m->read = plain_read;
    zoo_matrix_part(m, t);
    zoo_matrix_shape(m, t->dims, t->n_dims);
    (void)snprintf(m->format, sizeof m->format, "%s", t->dtype_name);
    return ZOO_OK;
}

/* The scale of a weight of codes, in the spellings there are. */
static const zoo_tensor *scale_of(const zoo_search *s)
{
    const zoo_tensor *scale = zoo_search_name(s, "_scale_inv");
    scale = scale ? scale : zoo_search_name(s, "_scale");
    return scale || !s->is_weight ? scale : zoo_search_module(s, ".scale");
}

/* Eight bits a code, or two codes of four bits, and a scale. */
static zoo_status codes_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *t = s->weight, *scale = scale_of(s);
    bool is_byte = t->dtype == ZOO_I8 || t->dtype == ZOO_U8;
    if (!scale) {
        return plain_find(s, m);
    }
    const zoo_tensor *global = zoo_search_name(s, "_scale_2");
    if (global && t->dtype == ZOO_U8) {
        return zoo_format_nvfp4(s, t, global, false, m);
    }
    if (t->dtype == ZOO_U8 && strcmp(zoo_quantization_layout(s->config), "bitnet") == 0) {
        return zoo_format_ternary(s, scale, m);
    }
    if (is_byte && scale->dtype == ZOO_F8_E8M0) {
        return zoo_format_fp4(s, t, scale, m);
    }
    return t->dtype == ZOO_U8 ? plain_find(s, m) : zoo_format_scaled(s, scale, m);
}

/* The tensor of the very name is there. */
static zoo_status present_find(const zoo_search *s, zoo_matrix *m)
{
    static const char *const states[] = {".quant_state.bitsandbytes__nf4",
                                         ".quant_state.bitsandbytes__fp4"};
    zoo_dtype dtype = s->weight->dtype;
    for (size_t i = 0; i < ZOO_COUNT(states); i++) {
        const zoo_tensor *state = zoo_search_name(s, states[i]);
        if (state) {
            return zoo_format_bnb4(s, state, m);
        }
    }
    const zoo_tensor *scb = s->is_weight ? zoo_search_module(s, ".SCB") : NULL;
    if (scb) {
        return zoo_format_bnb8(s, scb, m);
    }
    bool is_code =
        dtype == ZOO_I8 || dtype == ZOO_U8 || dtype == ZOO_F8_E4M3 || dtype == ZOO_F8_E5M2;
    return is_code ? codes_find(s, m) : plain_find(s, m);
}

/* qweight is the spelling of two methods that only the config tells apart for sure. */
static zoo_status qweight_find(const zoo_search *s, const zoo_tensor *qweight, zoo_matrix *m)
{
    const char *layout = zoo_quantization_layout(s->config);
    if (strcmp(layout, "gptq") == 0) {
        return zoo_format_gptq(s, qweight, m);
    }
    if (strcmp(layout, "awq") == 0) {
        return zoo_format_awq(s, qweight, m);
    }
    return zoo_fail(s->err, ZOO_E_UNSUPPORTED,
                    "%s: %s is there, but quant_method is \"%.64s\" and not gptq or awq",
                    qweight->file, qweight->name, layout);
}

/* No tensor of that very name: look for the packed forms. */
static zoo_status absent_find(const zoo_search *s, zoo_matrix *m)
{
    const zoo_tensor *packed = zoo_search_name(s, "_packed");
    const zoo_tensor *qweight = s->is_weight ? zoo_search_module(s, ".qweight") : NULL;
    const zoo_tensor *blocks = zoo_search_name(s, "_blocks");
    const zoo_tensor *first = zoo_search_name(s, "@0");
    const zoo_tensor *global = packed ? zoo_search_name(s, "_global_scale") : NULL;
    if (first) {
        return zoo_format_joined(s, first, m);
    }
    if (global) {
        return zoo_format_nvfp4(s, packed, global, true, m);
    }
    if (packed && packed->dtype == ZOO_U8) {
        return zoo_format_fp4(s, packed, zoo_search_name(s, "_scale"), m);
    }
    if (packed) {
        return zoo_format_packed(s, packed, m);
    }
    if (qweight) {
        return qweight_find(s, qweight, m);
    }
    return blocks ? zoo_format_fp4(s, blocks, zoo_search_name(s, "_scales"), m) : ZOO_OK;
}

/* Scales and zero points of activations: known, and not used where activations stay float. */
static void activation_parts(const zoo_search *s, zoo_matrix *m)
{
    if (s->is_weight && m->scale) {
        zoo_matrix_part(m, zoo_search_module(s, ".input_scale"));
        zoo_matrix_part(m, zoo_search_module(s, ".activation_scale"));
        zoo_matrix_part(m, zoo_search_module(s, ".input_zero_point"));
    }
}

zoo_status zoo_matrix_find(const zoo_tensors *set, const cJSON *config, const char *name,
                           zoo_matrix *out, zoo_error *err)
{
    size_t n = strlen(name), n_suffix = strlen(".weight");
    bool is_weight = n > n_suffix && strcmp(name + n - n_suffix, ".weight") == 0;
    config = config && !cJSON_IsNull(config) ? config : NULL;
    zoo_search s = {.set = set,
                    .config = config,
                    .name = name,
                    .n_stem = is_weight ? n - n_suffix : n,
                    .is_weight = is_weight,
                    .weight = zoo_tensors_find(set, name),
                    .err = err};
    memset(out, 0, sizeof *out);
    if (n > ZOO_TENSOR_NAME_MAX) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_formats_check(config, err));
    ZOO_TRY(s.weight ? present_find(&s, out) : absent_find(&s, out));
    activation_parts(&s, out);
    out->found = out->read != NULL;
    return ZOO_OK;
}

zoo_status zoo_matrix_read_rows(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    uint64_t rows = m->n_stack * m->rows;
    if (!m->read || row > rows || n_rows > rows - row) {
        return ZOO_E_USAGE;
    }
    if (n_rows && m->cols) {
        m->read(m, row, n_rows, out);
    }
    return ZOO_OK;
}
