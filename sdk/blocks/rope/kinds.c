/*
 * kinds.c: inverse frequencies of every rotary kind, in float32 step by step as the reference.
 *
 *   default      theta^(-2i/R)                     linear  the same / factor
 *   llama3       kept below a wavelength, divided by factor above another, blended between
 *   yarn         blend of theta^(-2i/R) and the same / factor over a band of dims
 *   longrope     1 / (list[i] theta^(2i/R)), a short and a long list
 *   dynamic      theta grows with the pass; with alpha: theta * alpha^(D/(D-2)), fixed
 *   proportional theta^(-2i/D) for the first int(p D / 2) pairs, halves D/2 apart, / factor
 *
 * Sources: Su et al. 2021 (rotary), Peng et al. 2023 (yarn), Ding et al. 2024 (longrope).
 */
#include "blocks/rope/impl.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* theta^(2i/dim) */
static float freq_power(double theta, uint32_t i, uint32_t dim)
{
    return powf((float)theta, (float)(2 * i) / (float)dim);
}

static float *take_table(const rope_params *p, uint32_t n)
{
    return p->setup->take(p->setup, ((size_t)n + 1) * sizeof(float));
}

static bool fill_default(const rope_params *p, zoo_rope *out, float divisor)
{
    uint32_t n = p->rotary_dim / 2;
    float *inv = take_table(p, n);
    if (!inv || !(divisor > 0)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        inv[i] = 1.0f / freq_power(out->theta, i, p->rotary_dim) / divisor;
    }
    out->inv_freq = inv;
    out->n_pairs = n;
    return true;
}

static bool fill_linear(const rope_params *p, zoo_rope *out)
{
    return fill_default(p, out, (float)zoo_rope_number(p, "factor", 1.0));
}

static bool fill_dynamic(const rope_params *p, zoo_rope *out)
{
    double alpha = zoo_rope_number(p, "alpha", 0.0), d = p->head_dim;
    rope_params whole = *p;
    if (alpha > 0) { /* whatever partial_rotary_factor says, as in the reference */
        out->theta = p->theta * pow(alpha, d / (d - 2));
        whole.rotary_dim = p->head_dim;
    } else {
        out->kind = ZOO_ROPE_DYNAMIC;
        out->growth = zoo_rope_number(p, "factor", 1.0);
        out->limit = (uint32_t)p->max_positions;
    }
    return p->head_dim > 2 && whole.rotary_dim > 2 && out->growth >= 0 &&
           fill_default(&whole, out, 1.0f);
}

static bool fill_llama3(const rope_params *p, zoo_rope *out)
{
    float factor = (float)zoo_rope_number(p, "factor", 1.0);
    double low = zoo_rope_number(p, "low_freq_factor", 1.0);
    double high = zoo_rope_number(p, "high_freq_factor", 4.0);
    if (!(low > 0) || !(high >= low) || !fill_default(p, out, 1.0f)) {
        return false;
    }
    float *inv = take_table(p, out->n_pairs);
    for (uint32_t i = 0; inv && i < out->n_pairs; i++) {
        float f = out->inv_freq[i];
        float wave = (float)(2 * pi) / f;
        inv[i] = wave > (float)(p->original / low) ? f / factor : f;
        /* With low == high the middle band is empty. */
        if (high > low && wave >= (float)(p->original / high) &&
            wave <= (float)(p->original / low)) {
            float smooth = ((float)p->original / wave - (float)low) / (float)(high - low);
            inv[i] = (1.0f - smooth) * f / factor + smooth * f;
        }
    }
    out->inv_freq = inv;
    return inv != NULL && factor > 0;
}

/* The dim whose wavelength fits `rotations` times into the original context. */
static double yarn_dim(const rope_params *p, double rotations)
{
    return p->rotary_dim * log(p->original / (rotations * 2 * pi)) / (2 * log(p->theta));
}

static double yarn_scale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_factor(const rope_params *p, const zoo_rope *out, double factor)
{
    double given = zoo_rope_number(p, "attention_factor", 0.0);
    if (given != 0) {
        return given;
    }
    if (out->mscale != 0 && out->mscale_all_dim != 0) {
        return yarn_scale(factor, out->mscale) / yarn_scale(factor, out->mscale_all_dim);
    }
    return yarn_scale(factor, 1);
}

static bool fill_yarn(const rope_params *p, zoo_rope *out)
{
    char path[64];
    double factor = zoo_rope_number(p, "factor", p->max_positions / p->original);
    double low = yarn_dim(p, zoo_rope_number(p, "beta_fast", 32.0));
    double high = yarn_dim(p, zoo_rope_number(p, "beta_slow", 1.0));
    (void)snprintf(path, sizeof path, "%s.truncate", p->outer);
    if (p->config->flag(p->config, path, true)) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)p->rotary_dim - 1);
    high += low == high ? 0.001 : 0;
    uint32_t n = p->rotary_dim / 2;
    float *inv = take_table(p, n);
    for (uint32_t i = 0; inv && i < n; i++) {
        float power = freq_power(p->theta, i, p->rotary_dim);
        float ramp = ((float)i - (float)low) / (float)(high - low);
        float keep = 1.0f - fminf(fmaxf(ramp, 0.0f), 1.0f);
        inv[i] = 1.0f / ((float)factor * power) * (1.0f - keep) + 1.0f / power * keep;
    }
    out->inv_freq = inv;
    out->n_pairs = n;
    out->scaling = factor;
    out->factor = (float)yarn_factor(p, out, factor);
    return inv != NULL && factor > 0 && p->theta > 1 && isfinite(low) && isfinite(high);
}

static const float *long_table(const rope_params *p, const char *name)
{
    char path[160];
    uint32_t n = p->rotary_dim / 2;
    (void)snprintf(path, sizeof path, "%s.%s", p->dict, name);
    float *inv = p->config->count(p->config, path) == n ? take_table(p, n) : NULL;
    for (uint32_t i = 0; inv && i < n; i++) {
        (void)snprintf(path, sizeof path, "%s.%s[%u]", p->dict, name, i);
        float ext = (float)p->config->number(p->config, path, 1.0);
        inv[i] = 1.0f / (ext * freq_power(p->theta, i, p->rotary_dim));
    }
    return inv;
}

static bool fill_longrope(const rope_params *p, zoo_rope *out)
{
    double factor = zoo_rope_number(p, "factor", p->max_positions / p->original);
    double attention = factor <= 1 ? 1 : sqrt(1 + log(factor) / log(p->original));
    attention = zoo_rope_number(p, "attention_factor", attention);
    out->kind = ZOO_ROPE_LONG;
    out->limit = (uint32_t)p->original;
    out->n_pairs = p->rotary_dim / 2;
    out->inv_freq = long_table(p, "short_factor");
    out->inv_freq_long = long_table(p, "long_factor");
    out->factor = (float)zoo_rope_number(p, "short_mscale", attention);
    out->factor_long = (float)zoo_rope_number(p, "long_mscale", attention);
    return out->inv_freq && out->inv_freq_long && isfinite(attention);
}

static bool fill_proportional(const rope_params *p, zoo_rope *out)
{
    float factor = (float)zoo_rope_number(p, "factor", 1.0);
    uint32_t n = (uint32_t)floor(p->partial * p->head_dim / 2), half = p->head_dim / 2;
    float *inv = take_table(p, half > n ? half : n);
    for (uint32_t i = 0; inv && i < n; i++) {
        inv[i] = 1.0f / freq_power(p->theta, i, p->head_dim) / factor;
    }
    out->inv_freq = inv;
    out->n_pairs = out->interleaved ? half : n; /* the rest turn by an angle of 0 */
    out->pair_offset = out->interleaved ? 0 : half;
    return inv != NULL && factor > 0 && n <= half;
}

bool zoo_rope_fill(const rope_params *p, zoo_rope *out)
{
    static const struct {
        const char *type;
        bool (*fill)(const rope_params *, zoo_rope *);
    } kinds[] = {{"linear", fill_linear},     {"dynamic", fill_dynamic},
                 {"llama3", fill_llama3},     {"yarn", fill_yarn},
                 {"longrope", fill_longrope}, {"proportional", fill_proportional}};
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strcmp(p->type, kinds[i].type) == 0) {
            return kinds[i].fill(p, out);
        }
    }
    return strcmp(p->type, "default") == 0 && fill_default(p, out, 1.0f);
}
