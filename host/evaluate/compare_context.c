/*
 * compare_context.c: explains a wrong norm by finding its input.
 *
 *   rms    y[r,c] = w[c] x[r,c] / rms(x[r])
 *   layer  y[r,c] = w[c] (x[r,c] - mean(x[r])) / std(x[r]) + b[c]
 *
 * A tensor whose name is a norm's is fitted, in both files, from the tensors that may be its input
 * (the stream, the stream with the mixer's output, the outputs of the branches), with w and b free.
 * The best fit gives kind, input and weights; where these differ between the files is the mistake.
 * Memory: a few tensors of the trace at a time.
 */
#include "evaluate/compare_context.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SOURCES = 4, NAME = 300, ROWS_MIN = 6, LAYERS_MAX = 256, TURNS = 3 };

typedef enum kind { RMS = 0, LAYER = 1, KINDS = 2 } kind;

typedef struct table {
    float *x; /* [n_rows, width] for zoo_mem_free; null: not in the file */
    uint64_t n_rows, width;
} table;

/* A norm in one file: its input, kind and weight. */
typedef struct fit {
    double left; /* nmse */
    int source;  /* -1: nothing fits */
    kind kind;
    float *weight; /* [width] */
} fit;

static const char *const places[SOURCES] = {"the layer's input", "the stream with attention added",
                                            "the output of attention",
                                            "the output of the feed-forward part"};

static const char layers_mixed[] = "layers in the wrong order";

static table load(const zoo_tensors *set, const char *prefix, const char *name)
{
    char full[2 * NAME];
    table t = {.x = NULL};
    zoo_error err;
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    const zoo_tensor *tensor = zoo_tensors_find(set, full);
    if (!tensor || tensor->n_dims < 2 || tensor->n_items == 0) {
        return t;
    }
    t.width = tensor->dims[tensor->n_dims - 1];
    t.n_rows = tensor->n_items / t.width;
    t.x = zoo_mem_array((size_t)tensor->n_items, sizeof *t.x);
    if (t.x && zoo_tensor_widen(tensor, 0, (size_t)tensor->n_items, t.x, &err) != ZOO_OK) {
        zoo_mem_free(t.x);
        t.x = NULL;
    }
    return t;
}

/* Length of "model.layers.12" in a name, and the number; 0: no layer. */
static size_t layer_of(const char *name, long *layer)
{
    for (const char *p = name; *p; p++) {
        if (isdigit((unsigned char)*p) && p > name && p[-1] == '.') {
            char *end = NULL;
            *layer = strtol(p, &end, 10);
            return (size_t)(end - name);
        }
    }
    return 0;
}

static bool has_any(const char *part, const char *const *words)
{
    for (; *words; words++) {
        if (strstr(part, *words)) {
            return true;
        }
    }
    return false;
}

/* The first part of the layer in the order of the file that is no norm and no sum: the one that
 * mixes tokens, or the feed-forward part. */
static table find_part(const zoo_tensors *set, const char *prefix, const char *layer, bool is_ffn)
{
    static const char *const ffns[] = {"mlp", "feed_forward", "moe", "ffn", NULL};
    static const char *const others[] = {"norm", "ln_", "+", "dropout", NULL};
    size_t head = strlen(prefix), n_layer = strlen(layer);
    for (size_t k = 0; k < zoo_tensors_count(set); k++) {
        const char *full = zoo_tensors_at(set, k)->name;
        const char *name = strncmp(full, prefix, head) == 0 ? full + head : "";
        if (strncmp(name, layer, n_layer) != 0 || name[n_layer] != '.') {
            continue;
        }
        const char *part = name + n_layer + 1;
        if (!has_any(part, others) && has_any(part, ffns) == is_ffn) {
            return load(set, prefix, name);
        }
    }
    return (table){.x = NULL};
}

static table stream_before(const zoo_tensors *set, const char *prefix, const char *layer, long i)
{
    char name[NAME + 64];
    size_t head = strlen(layer);
    while (head && isdigit((unsigned char)layer[head - 1])) {
        head--;
    }
    (void)snprintf(name, sizeof name, "%.*s%ld", (int)head, layer, i - 1);
    return load(set, prefix, i > 0 ? name : "embed");
}

static void load_sources(const zoo_tensors *set, const char *prefix, const char *layer, long i,
                         table *out)
{
    out[0] = *layer ? stream_before(set, prefix, layer, i) : load(set, prefix, "embed");
    out[2] = find_part(set, prefix, layer, false);
    out[3] = find_part(set, prefix, layer, true);
    out[1] = (table){.n_rows = out[0].n_rows, .width = out[0].width};
    uint64_t n = out[0].n_rows * out[0].width;
    if (out[0].x && out[2].x && out[2].n_rows * out[2].width == n) {
        out[1].x = zoo_mem_array((size_t)n, sizeof(float));
        for (uint64_t k = 0; out[1].x && k < n; k++) {
            out[1].x[k] = out[0].x[k] + out[2].x[k];
        }
    }
}

/* x normed without weights, in place. */
static void norm_rows(float *x, uint64_t n_rows, uint64_t width, kind k)
{
    for (uint64_t r = 0; r < n_rows; r++) {
        float *row = x + r * width;
        double mean = 0, power = 0;
        for (uint64_t c = 0; c < width && k == LAYER; c++) {
            mean += (double)row[c] / (double)width;
        }
        for (uint64_t c = 0; c < width; c++) {
            power += ((double)row[c] - mean) * ((double)row[c] - mean) / (double)width;
        }
        double scale = power > 0 ? 1 / sqrt(power) : 0;
        for (uint64_t c = 0; c < width; c++) {
            row[c] = (float)(((double)row[c] - mean) * scale);
        }
    }
}

/* Best w (and b, else 0) of y ~ w z + b in each column; the nmse that is left. */
static double fit_columns(const float *z, const table *y, bool has_bias, float *weight, float *bias)
{
    double left = 0, power = 0, n = (double)y->n_rows;
    for (uint64_t c = 0; c < y->width; c++) {
        double sz = 0, sy = 0, szz = 0, szy = 0, syy = 0;
        for (uint64_t r = 0; r < y->n_rows; r++) {
            double u = (double)z[r * y->width + c], v = (double)y->x[r * y->width + c];
            sz += u;
            sy += v;
            szz += u * u;
            szy += u * v;
            syy += v * v;
        }
        double det = has_bias ? szz - sz * sz / n : szz;
        double cov = has_bias ? szy - sz * sy / n : szy;
        double w = det > 0 ? cov / det : 0, own = (has_bias ? syy - sy * sy / n : syy) - w * cov;
        weight[c] = (float)w;
        bias[c] = has_bias ? (float)((sy - w * sz) / n) : 0;
        left += own > 0 ? own : 0;
        power += syy;
    }
    return power > 0 ? left / power : 1;
}

/* Each row of z by the factor that brings it nearest to y: eps, and what a norm before did. */
static void fit_rows(float *z, const table *y, const float *weight, const float *bias)
{
    for (uint64_t r = 0; r < y->n_rows; r++) {
        double zy = 0, zz = 0;
        for (uint64_t c = 0; c < y->width; c++) {
            double u = (double)weight[c] * (double)z[r * y->width + c];
            zy += u * ((double)y->x[r * y->width + c] - (double)bias[c]);
            zz += u * u;
        }
        for (uint64_t c = 0; c < y->width && zz > 0; c++) {
            z[r * y->width + c] *= (float)(zy / zz);
        }
    }
}

static fit fit_norm(const table *sources, const table *y)
{
    fit best = {.left = 1e-5, .source = -1};
    uint64_t n = y->n_rows * y->width;
    float *z = zoo_mem_array((size_t)n, sizeof *z),
          *w = zoo_mem_array(2 * (size_t)y->width, sizeof *w);
    best.weight = zoo_mem_array((size_t)y->width, sizeof *w);
    for (int s = 0; s < SOURCES && z && w && best.weight; s++) {
        if (!sources[s].x || sources[s].n_rows * sources[s].width != n) {
            continue;
        }
        for (kind k = RMS; k < KINDS; k++) {
            memcpy(z, sources[s].x, (size_t)n * sizeof *z);
            norm_rows(z, y->n_rows, y->width, k);
            double left = fit_columns(z, y, k == LAYER, w, w + y->width);
            for (int turn = 0; turn < TURNS; turn++) {
                fit_rows(z, y, w, w + y->width);
                left = fit_columns(z, y, k == LAYER, w, w + y->width);
            }
            if (left < best.left * (k == LAYER && best.source == s ? 0.1 : 1)) {
                best.left = left;
                best.source = s;
                best.kind = k;
                memcpy(best.weight, w, (size_t)y->width * sizeof *w);
            }
        }
    }
    zoo_mem_free(z);
    zoo_mem_free(w);
    return best;
}

/* nmse of x times the best factor against y. */
static double apart_scaled(const float *x, const float *y, uint64_t n)
{
    double xx = 0, xy = 0, yy = 0;
    for (uint64_t i = 0; i < n; i++) {
        xx += (double)x[i] * (double)x[i];
        xy += (double)x[i] * (double)y[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xx > 0 && yy > 0 ? fmax(1 - xy * xy / (xx * yy), 0) : 1;
}

/* nmse of x + add against y. */
static double apart(const float *x, double add, const float *y, uint64_t n)
{
    double error = 0, power = 0;
    for (uint64_t i = 0; i < n; i++) {
        double d = (double)x[i] + add - (double)y[i];
        error += d * d;
        power += (double)y[i] * (double)y[i];
    }
    return power > 0 ? error / power : error;
}

/* The layer whose weight of this norm in the reference is ours; -1: none. */
static long whose_weight(const zoo_compare_place *p, const char *layer, long own, const char *part,
                         const fit *ours)
{
    size_t head = strlen(layer);
    while (head && isdigit((unsigned char)layer[head - 1])) {
        head--;
    }
    for (long i = 0, n_absent = 0; i < LAYERS_MAX && n_absent < 2; i++) {
        char other[NAME], name[NAME + 80];
        table sources[SOURCES];
        (void)snprintf(other, sizeof other, "%.*s%ld", (int)head, layer, i);
        (void)snprintf(name, sizeof name, "%s.%s", other, part);
        table y = load(p->b, p->prefix_b, name);
        n_absent += !y.x;
        if (!y.x || i == own) {
            zoo_mem_free(y.x);
            continue;
        }
        load_sources(p->b, p->prefix_b, other, i, sources);
        fit theirs = fit_norm(sources, &y);
        bool same = theirs.source >= 0 && apart_scaled(ours->weight, theirs.weight, y.width) < 1e-4;
        zoo_mem_free(theirs.weight);
        zoo_mem_free(y.x);
        for (int s = 0; s < SOURCES; s++) {
            zoo_mem_free(sources[s].x);
        }
        if (same) {
            return i;
        }
    }
    return -1;
}

typedef struct absentees {
    uint32_t n;
    char first[NAME];
} absentees;

/* Norms of one file in this layer, or before the layers, that the other file lacks. */
static absentees only_in(const zoo_tensors *set, const char *prefix, const zoo_tensors *other,
                         const char *other_prefix, const char *layer, long i)
{
    absentees found = {.n = 0};
    size_t head = strlen(prefix), n_layer = strlen(layer);
    for (size_t k = 0; k < zoo_tensors_count(set); k++) {
        const char *full = zoo_tensors_at(set, k)->name;
        long none;
        if (strncmp(full, prefix, head) != 0 || !strstr(full, "norm") || strchr(full, '+')) {
            continue;
        }
        const char *name = full + head;
        bool inside = n_layer && strncmp(name, layer, n_layer) == 0 && name[n_layer] == '.';
        bool before = i == 0 && layer_of(name, &none) == 0 && strcmp(name, "norm") != 0;
        if (!inside && !before) {
            continue;
        }
        table there = load(other, other_prefix, name);
        if (!there.x && found.n++ == 0) {
            (void)snprintf(found.first, sizeof found.first, "%s", name);
        }
        zoo_mem_free(there.x);
    }
    return found;
}

/* The reference has more norms here: one is missing, not merely named differently. */
static bool guess_missing(const zoo_compare_place *p, const char *layer, long i, char *text,
                          size_t n)
{
    absentees there = only_in(p->b, p->prefix_b, p->a, p->prefix_a, layer, i);
    absentees here = only_in(p->a, p->prefix_a, p->b, p->prefix_b, layer, i);
    if (there.n <= here.n) {
        return false;
    }
    (void)snprintf(text, n, "the reference has %s, and nothing here gives it: a norm is missing",
                   there.first);
    return true;
}

/* A tensor of a layer. */
typedef struct spot {
    const zoo_compare_place *p;
    const char *layer, *part;
    long i;
    uint64_t width;
} spot;

static bool tell_fits(const spot *at, const fit *x, const fit *y, char *text, size_t n)
{
    const uint64_t width = at->width;
    static const char *const kinds[KINDS] = {"an rms norm", "a layer norm"};
    if (x->source < 0 || y->source < 0) {
        return false;
    }
    if (x->source != y->source) {
        (void)snprintf(text, n,
                       "this norm's input is %s, in the reference %s: norms before or after the "
                       "branches (option placement)",
                       places[x->source], places[y->source]);
        return true;
    }
    if (x->kind != y->kind) {
        (void)snprintf(text, n, "%s here, %s in the reference (option norm)", kinds[x->kind],
                       kinds[y->kind]);
        return true;
    }
    if (apart(x->weight, 1, y->weight, width) < 1e-4 ||
        apart(x->weight, -1, y->weight, width) < 1e-4) {
        bool more = apart(x->weight, 1, y->weight, width) < 1e-4;
        (void)snprintf(text, n,
                       "the norm's weight is %s here and %s in the reference (option norm)",
                       more ? "w" : "1 + w", more ? "1 + w" : "w");
        return true;
    }
    bool own = apart_scaled(x->weight, y->weight, width) < 1e-4;
    if (own && !guess_missing(at->p, at->layer, at->i, text, n)) {
        (void)snprintf(
            text, n,
            "the norm has the right place, kind and weight, but rows of another size: eps "
            "of a norm");
    }
    long whose = own ? -1 : whose_weight(at->p, at->layer, at->i, at->part, x);
    if (whose >= 0) {
        (void)snprintf(
            text, n,
            "the norm's weight is that of layer %ld: layers in the wrong order, or a name "
            "with the wrong number",
            whose);
    }
    return own || whose >= 0;
}

static bool guess_norm(const zoo_compare_place *p, const char *layer, long i, const char *part,
                       char *text, size_t n)
{
    table sources_a[SOURCES], sources_b[SOURCES];
    table x = load(p->a, p->prefix_a, p->name), y = load(p->b, p->prefix_b, p->name);
    bool found = false;
    load_sources(p->a, p->prefix_a, layer, i, sources_a);
    load_sources(p->b, p->prefix_b, layer, i, sources_b);
    if (x.x && y.x && x.n_rows >= ROWS_MIN && x.n_rows == y.n_rows && x.width == y.width) {
        fit fx = fit_norm(sources_a, &x), fy = fit_norm(sources_b, &y);
        const spot at = {p, layer, part, i, x.width};
        found = tell_fits(&at, &fx, &fy, text, n);
        zoo_mem_free(fx.weight);
        zoo_mem_free(fy.weight);
    }
    for (int s = 0; s < SOURCES; s++) {
        zoo_mem_free(sources_a[s].x);
        zoo_mem_free(sources_b[s].x);
    }
    zoo_mem_free(x.x);
    zoo_mem_free(y.x);
    return found;
}

/* A norm later in the layer, with the weights of another layer: all of the layer is another. */
static bool guess_order(const zoo_compare_place *p, const char *layer, long i, char *text, size_t n)
{
    size_t head = strlen(p->prefix_a), n_layer = strlen(layer);
    for (size_t k = 0; k < zoo_tensors_count(p->a); k++) {
        const char *full = zoo_tensors_at(p->a, k)->name;
        const char *name = strncmp(full, p->prefix_a, head) == 0 ? full + head : "";
        if (strncmp(name, layer, n_layer) != 0 || name[n_layer] != '.' || !strstr(name, "norm")) {
            continue;
        }
        zoo_compare_place there = *p;
        char found[256] = "";
        there.name = name;
        if (guess_norm(&there, layer, i, name + n_layer + 1, found, sizeof found) &&
            strstr(found, layers_mixed)) {
            (void)snprintf(text, n, "%s", found);
            return true;
        }
    }
    return false;
}

/* Whether one embedding is the other normed. */
static bool guess_embedding(const zoo_compare_place *p, char *text, size_t n)
{
    table x = load(p->a, p->prefix_a, p->name), y = load(p->b, p->prefix_b, p->name);
    bool found = false;
    if (x.x && y.x && x.n_rows >= ROWS_MIN && x.n_rows == y.n_rows && x.width == y.width) {
        table of_x[SOURCES] = {x}, of_y[SOURCES] = {y};
        fit there = fit_norm(of_x, &y), here = fit_norm(of_y, &x);
        found = there.source >= 0 || here.source >= 0;
        if (found) {
            (void)snprintf(text, n, "a norm after the embedding %s",
                           there.source >= 0 ? "is missing here"
                                             : "that the reference does not have");
        }
        zoo_mem_free(there.weight);
        zoo_mem_free(here.weight);
    }
    zoo_mem_free(x.x);
    zoo_mem_free(y.x);
    return found;
}

bool zoo_compare_context(const zoo_compare_place *p, char *text, size_t n)
{
    char layer[NAME] = "";
    long i = -1;
    size_t length = layer_of(p->name, &i);
    (void)snprintf(layer, sizeof layer, "%.*s", length < NAME ? (int)length : 0, p->name);
    if (strcmp(p->name, "embed") == 0) {
        return guess_embedding(p, text, n);
    }
    const char *part = !length ? p->name : p->name[length] == '.' ? p->name + length + 1 : "";
    if (strstr(part, "norm") && guess_norm(p, layer, i, part, text, n)) {
        return true;
    }
    return length && (guess_missing(p, layer, i, text, n) || guess_order(p, layer, i, text, n));
}
