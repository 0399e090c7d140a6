/*
 * read.c: finds rotary parameters in a config, in all spellings that transformers has used.
 *
 * Old files have `rope_scaling` {type, factor, ...} beside `rope_theta`; newer ones one
 * `rope_parameters`, or one for each layer type below it. All keys known to belong to rotary
 * parameters are claimed whether or not the kind at hand reads them, as the reference does.
 */
#include "blocks/rope/impl.h"

#include <math.h>
#include <string.h>

enum { HEAD_MAX = 1 << 20 };

static bool is_dict(const zoo_config *config, const char *path)
{
    return config->type(config, path) == ZOO_OBJECT;
}

static void find_dict(rope_params *p, const zoo_rope_want *want)
{
    static const char *const outers[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; want->layer_type && i < ZOO_COUNT(outers); i++) {
        (void)snprintf(p->dict, sizeof p->dict, "%s.%s", outers[i], want->layer_type);
        if (is_dict(p->config, p->dict)) {
            (void)snprintf(p->outer, sizeof p->outer, "%s", outers[i]);
            return;
        }
    }
    for (size_t i = 0; i < ZOO_COUNT(outers); i++) {
        if (is_dict(p->config, outers[i])) {
            (void)snprintf(p->dict, sizeof p->dict, "%s", want->unscaled ? "" : outers[i]);
            (void)snprintf(p->outer, sizeof p->outer, "%s", outers[i]);
            return;
        }
    }
    p->dict[0] = '\0';
}

static const char *dict_key(const rope_params *p, const char *key, char *path, size_t n)
{
    (void)snprintf(path, n, "%s.%s", p->dict, key);
    return path;
}

double zoo_rope_number(const rope_params *p, const char *key, double fallback)
{
    char path[160];
    if (!p->dict[0]) {
        return fallback;
    }
    return p->config->number(p->config, dict_key(p, key, path, sizeof path), fallback);
}

/* Keys that only some kinds read but that files have with other kinds too. */
static void claim_keys(const rope_params *p)
{
    static const char *const numbers[] = {"factor",
                                          "beta_fast",
                                          "beta_slow",
                                          "mscale",
                                          "mscale_all_dim",
                                          "attention_factor",
                                          "low_freq_factor",
                                          "high_freq_factor",
                                          "original_max_position_embeddings",
                                          "short_mscale",
                                          "long_mscale",
                                          "alpha",
                                          "partial_rotary_factor",
                                          "rope_theta"};
    static const char *const others[] = {"mrope_section", "mrope_interleaved", "short_factor",
                                         "long_factor", "truncate"};
    char path[160];
    for (size_t i = 0; p->dict[0] && i < ZOO_COUNT(numbers); i++) {
        (void)zoo_rope_number(p, numbers[i], 0.0);
    }
    for (size_t i = 0; p->dict[0] && i < ZOO_COUNT(others); i++) {
        (void)p->config->type(p->config, dict_key(p, others[i], path, sizeof path));
    }
}

static const char *read_type(const rope_params *p)
{
    char path[160];
    if (!p->dict[0]) {
        return "default";
    }
    const char *old = p->config->text(p->config, dict_key(p, "type", path, sizeof path), "default");
    const char *type = p->config->text(p->config, dict_key(p, "rope_type", path, sizeof path), old);
    if (strcmp(type, "su") == 0) {
        return "longrope";
    }
    return strcmp(type, "mrope") == 0 ? "default" : type;
}

/* The dict's value > the top-level key > the default. Reads both, which claims both. */
static double two_places(const rope_params *p, const char *key, const char *top, double fallback)
{
    const char *name = top ? top : key;
    double value = fallback;
    if (name[0]) {
        value = p->config->number(p->config, name, fallback);
    }
    return zoo_rope_number(p, key, value);
}

static void read_params(rope_params *p, const zoo_rope_want *want)
{
    static const char *const original = "original_max_position_embeddings";
    p->theta = two_places(p, "rope_theta", want->theta_key, want->theta > 0 ? want->theta : 10000);
    if (want->theta_fixed > 0) {
        p->theta = want->theta_fixed;
    }
    p->partial = two_places(p, "partial_rotary_factor", want->partial_key,
                            want->partial > 0 ? want->partial : 1);
    p->rotary_dim = want->rotary_dim;
    if (!p->rotary_dim && p->partial > 0 && p->partial <= 1) {
        p->rotary_dim = (uint32_t)(want->head_dim * p->partial);
    }
    p->max_positions = want->max_positions;
    if (!want->max_positions) {
        p->max_positions = p->config->number(p->config, "max_position_embeddings", 2048);
    }
    double top = p->config->number(p->config, original, 0);
    p->original = zoo_rope_number(p, original, p->max_positions);
    if (top > 0 && !want->original_in_dict) {
        p->original = top;
    }
}

zoo_status zoo_rope_read(const zoo_config *config, zoo_setup *setup, const zoo_rope_want *want,
                         zoo_rope *out, zoo_error *err)
{
    rope_params p = {.config = config, .setup = setup, .head_dim = want->head_dim};
    memset(out, 0, sizeof *out);
    find_dict(&p, want);
    claim_keys(&p);
    p.type = read_type(&p);
    read_params(&p, want);
    const char *name = p.dict[0] ? p.dict : "rope";
    if (!(p.theta > 0) || !(p.original >= 1) || !(p.max_positions >= 1) ||
        p.max_positions > UINT32_MAX || p.original > UINT32_MAX) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: theta and position counts must be positive", name);
    }
    bool odd = p.rotary_dim % 2 != 0 && strcmp(p.type, "proportional") != 0;
    if (p.rotary_dim > p.head_dim || odd || p.rotary_dim == 0) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%s: %u rotated dims of a head of %u (an even number up to it is needed)",
                        name, p.rotary_dim, p.head_dim);
    }
    if (p.rotary_dim > HEAD_MAX) { /* before a table of that size is allocated */
        return zoo_fail(err, ZOO_E_CONFIG, "%s: %u rotated dims of a head; up to %d are computed",
                        name, p.rotary_dim, HEAD_MAX);
    }
    out->name = p.type;
    out->interleaved = want->interleaved;
    out->sign = want->negated ? -1.0f : 1.0f;
    out->factor = 1.0f;
    out->factor_long = 1.0f;
    out->theta = p.theta;
    out->rotary_dim = p.rotary_dim;
    out->original_max = (uint32_t)p.original;
    bool scaled = strcmp(p.type, "default") != 0;
    out->scaling = scaled ? zoo_rope_number(&p, "factor", 1.0) : 1.0;
    out->mscale = scaled ? zoo_rope_number(&p, "mscale", 0.0) : 0.0;
    out->mscale_all_dim = scaled ? zoo_rope_number(&p, "mscale_all_dim", 0.0) : 0.0;
    if (!zoo_rope_fill(&p, out)) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%s: rope type \"%s\" with these parameters is not computed", name, p.type);
    }
    return ZOO_OK;
}

double zoo_rope_score_scale(const zoo_rope *rope)
{
    if (rope->mscale_all_dim == 0 || !(rope->scaling > 1)) {
        return 1.0;
    }
    double mscale = 0.1 * rope->mscale_all_dim * log(rope->scaling) + 1.0;
    return mscale * mscale;
}
