/*
 * compare.c: pairs tensors by name, orders them as a model computes them, prints the table.
 * Memory: one pair of widened tensors at a time.
 */
#include "evaluate/compare.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "evaluate/compare_context.h"

typedef struct entry {
    const char *name; /* without prefix */
    const zoo_tensor *a, *b;
    long layer; /* -1: before the layers; LONG_MAX-like: after */
    int rank;   /* inside a layer: children first, the layer last */
    size_t order;
    zoo_compare_figures figures;
} entry;

enum { AFTER = 1 << 24 };

static long layer_of(const char *name)
{
    for (const char *p = name; *p; p++) {
        if (isdigit((unsigned char)*p) && (p == name || p[-1] == '.')) {
            return strtol(p, NULL, 10);
        }
    }
    bool last = strcmp(name, "norm") == 0 || strncmp(name, "norm#", 5) == 0;
    return last ? AFTER : strcmp(name, "logits") == 0 ? AFTER + 1 : -1;
}

/* A layer's own name ends with its number. */
static bool is_layer(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && isdigit((unsigned char)dot[1]);
}

/* Order inside a layer: as common blocks are computed; names that are not known go between. */
static int rank_of(const char *name)
{
    static const char *const order[] = {"input_layernorm",
                                        "norm",
                                        "self_attn",
                                        "attn",

                                        "mixer",
                                        "post_self_attn_layernorm",
                                        "post_attention_layernorm",
                                        "pre_feedforward_layernorm",
                                        "mlp",
                                        "feed_forward",
                                        "block_sparse_moe",
                                        "shared_mlp",
                                        "post_feedforward_layernorm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < ZOO_COUNT(order); i++) {
        if (strcmp(dot + 1, order[i]) == 0) {
            return (int)i;
        }
    }
    return is_layer(name) ? 1000 : 500;
}

static int in_order(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->layer != y->layer) {
        return x->layer < y->layer ? -1 : 1;
    }
    if (x->rank != y->rank) {
        return x->rank - y->rank;
    }
    return x->order < y->order ? -1 : 1;
}

static const zoo_tensor *find_with(const zoo_tensors *set, const char *prefix, const char *name)
{
    char full[1100];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n < (int)sizeof full ? zoo_tensors_find(set, full) : NULL;
}

static const char *without(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

static bool other_prefix(const char *name, const char *prefix)
{
    return !*prefix && strchr(name, '/');
}

static uint32_t pair_up(const zoo_tensors *a, const zoo_tensors *b, const zoo_compare_options *o,
                        entry *entries, zoo_compare_result *result)
{
    uint32_t n = 0;
    for (size_t i = 0; i < zoo_tensors_count(a); i++) {
        const zoo_tensor *t = zoo_tensors_at(a, i);
        const char *name = without(t->name, o->prefix_a);
        if (!name || other_prefix(t->name, o->prefix_a)) {
            continue;
        }
        const zoo_tensor *other = find_with(b, o->prefix_b, name);
        if (!other) {
            result->n_only_a++;
            continue;
        }
        entries[n] = (entry){.name = name,
                             .a = t,
                             .b = other,
                             .layer = layer_of(name),
                             .rank = rank_of(name),
                             .order = n};
        n++;
    }
    qsort(entries, n, sizeof *entries, in_order);
    return n;
}

static void measure(const float *x, const float *y, size_t n, zoo_compare_figures *out)
{
    double error = 0, power = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        error += d * d;
        power += (double)y[i] * (double)y[i];
        largest = fabs(d) > largest || isnan(d) ? fabs(d) : largest;
    }
    out->nmse = power > 0 ? error / power : error;
    out->largest = largest;
}

/* y [n_streams, n_rows, width] to out [n_rows, n_streams, width]. */
static void streams_to_rows(const float *y, float *out, uint64_t n_streams, uint64_t n_rows,
                            uint64_t width)
{
    for (uint64_t s = 0; s < n_streams; s++) {
        for (uint64_t r = 0; r < n_rows; r++) {
            memcpy(out + (r * n_streams + s) * width, y + (s * n_rows + r) * width,
                   width * sizeof *out);
        }
    }
}

/* Whether b may be [streams, ..., rows, width] where a is [rows, streams, width]. */
static bool streams_first(const zoo_tensor *a, const zoo_tensor *b)
{
    return a->n_dims == 3 && b->n_dims >= 3 && b->n_items == a->n_items &&
           b->dims[0] == a->dims[1] && b->dims[b->n_dims - 2] == a->dims[0] &&
           b->dims[b->n_dims - 1] == a->dims[2];
}

/* Widens both and lays the values of b out as those of a; where both layouts are possible, the
 * nearer one counts. *values: x [n], then y [n], for zoo_mem_free. */
static zoo_status load_pair(const zoo_tensor *a, const zoo_tensor *b, float **values,
                            zoo_compare_figures *out, zoo_error *err)
{
    size_t n = (size_t)b->n_items;
    bool turned = streams_first(a, b);
    float *x = zoo_mem_array((turned ? 3 : 2) * n + 1, sizeof *x);
    *values = x;
    if (!x) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to compare %s", a->name);
    }
    ZOO_TRY(zoo_tensor_widen(a, 0, n, x, err));
    ZOO_TRY(zoo_tensor_widen(b, 0, n, x + n, err));
    measure(x, x + n, n, out);
    if (turned) {
        zoo_compare_figures other = *out;
        streams_to_rows(x + n, x + 2 * n, a->dims[1], a->dims[0], a->dims[2]);
        measure(x, x + 2 * n, n, &other);
        if (!(out->nmse <= other.nmse)) {
            *out = other;
            memcpy(x + n, x + 2 * n, n * sizeof *x);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_compare_tensors(const zoo_tensor *a, const zoo_tensor *b, zoo_compare_figures *out,
                               zoo_error *err)
{
    float *values = NULL;
    *out = (zoo_compare_figures){a->n_items == b->n_items, (double)INFINITY, (double)INFINITY};
    zoo_status status = out->same_size ? load_pair(a, b, &values, out, err) : ZOO_OK;
    zoo_mem_free(values);
    return status;
}

static void note_first(const entry *e, const float *x, const zoo_tensors *const *sets,
                       const zoo_compare_options *o, zoo_compare_result *result)
{
    uint64_t width = e->b->n_dims ? e->b->dims[e->b->n_dims - 1] : 1;
    size_t n = (size_t)e->b->n_items;
    (void)snprintf(result->first, sizeof result->first, "%s", e->name);
    if (x && width) {
        const zoo_compare_pair pair = {e->name, x, x + n, n / width, width, o->limit};
        zoo_compare_guess(&pair, result->guess, sizeof result->guess);
        const zoo_compare_place place = {sets[0],     sets[1], o->prefix_a,
                                         o->prefix_b, e->name, o->limit};
        (void)zoo_compare_context(&place, result->guess, sizeof result->guess);
    } else {
        (void)snprintf(result->guess, sizeof result->guess, "the shapes differ");
    }
}

static zoo_status compare_one(entry *e, const zoo_tensors *const *sets,
                              const zoo_compare_options *o, zoo_compare_result *result,
                              zoo_error *err)
{
    float *x = NULL;
    e->figures =
        (zoo_compare_figures){e->a->n_items == e->b->n_items, (double)INFINITY, (double)INFINITY};
    zoo_status status = e->figures.same_size ? load_pair(e->a, e->b, &x, &e->figures, err) : ZOO_OK;
    if (status == ZOO_OK) {
        double nmse = e->figures.nmse;
        if (!(nmse <= o->limit) && result->n_out++ == 0) {
            note_first(e, x, sets, o, result);
        }
        result->worst = nmse > result->worst || isnan(nmse) ? nmse : result->worst;
        result->n_compared++;
    }
    zoo_mem_free(x);
    return status;
}

static void print_row(FILE *out, const entry *e, const zoo_compare_options *o)
{
    bool bad = !(e->figures.nmse <= o->limit);
    if (o->json) {
        (void)fprintf(out, "{\"tensor\": \"%s\", \"nmse\": %.6g, \"largest\": %.6g, \"ok\": %s}\n",
                      e->name, isfinite(e->figures.nmse) ? e->figures.nmse : 1e300,
                      isfinite(e->figures.largest) ? e->figures.largest : 1e300,
                      bad ? "false" : "true");
        return;
    }
    (void)fprintf(out, "%-56s %12.3g %12.3g %s\n", e->name, e->figures.nmse, e->figures.largest,
                  bad ? "OUT" : "");
}

/* Names the tensors of the reference that the other file lacks. */
static void print_only_b(FILE *out, const zoo_tensors *a, const zoo_tensors *b,
                         const zoo_compare_options *o, zoo_compare_result *result)
{
    for (size_t i = 0; i < zoo_tensors_count(b); i++) {
        const char *full = zoo_tensors_at(b, i)->name, *name = without(full, o->prefix_b);
        if (!name || other_prefix(full, o->prefix_b) || find_with(a, o->prefix_a, name)) {
            continue;
        }
        result->n_only_b++;
        if (o->json) {
            (void)fprintf(out, "{\"tensor\": \"%s\", \"only\": \"b\"}\n", name);
        } else {
            (void)fprintf(out, "%-56s %25s only in B\n", name, "");
        }
    }
}

zoo_status zoo_compare(const zoo_tensors *a, const zoo_tensors *b,
                       const zoo_compare_options *options, FILE *out, zoo_compare_result *result,
                       zoo_error *err)
{
    const zoo_tensors *const sets[] = {a, b};
    memset(result, 0, sizeof *result);
    entry *entries = zoo_mem_array(zoo_tensors_count(a) + 1, sizeof *entries);
    if (!entries) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the list of tensors");
    }
    uint32_t n = pair_up(a, b, options, entries, result);
    zoo_status status = n ? ZOO_OK
                          : zoo_fail(err, ZOO_E_FORMAT, "%s and %s have no tensor name in common",
                                     zoo_tensors_file(a, 0), zoo_tensors_file(b, 0));
    if (n && !options->json) {
        (void)fprintf(out, "%-56s %12s %12s\n", "tensor", "nmse", "largest");
    }
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        status = compare_one(&entries[i], sets, options, result, err);
        if (status == ZOO_OK) {
            print_row(out, &entries[i], options);
        }
    }
    if (status == ZOO_OK) {
        print_only_b(out, a, b, options, result);
    }
    zoo_mem_free(entries);
    return status;
}
