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

typedef struct entry {
    const char *name; /* without prefix */
    const zoo_tensor *a, *b;
    long layer; /* -1: before the layers; LONG_MAX-like: after */
    int rank;   /* inside a layer: children first, the layer last */
    size_t order;
    double nmse, largest;
    bool same_shape;
} entry;

enum { AFTER = 1 << 24 };

static long layer_of(const char *name)
{
    for (const char *p = name; *p; p++) {
        if (isdigit((unsigned char)*p) && (p == name || p[-1] == '.')) {
            return strtol(p, NULL, 10);
        }
    }
    return strcmp(name, "norm") == 0 ? AFTER : strcmp(name, "logits") == 0 ? AFTER + 1 : -1;
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
    for (size_t i = 0; i < zoo_tensors_count(b); i++) {
        const zoo_tensor *t = zoo_tensors_at(b, i);
        const char *name = without(t->name, o->prefix_b);
        result->n_only_b +=
            name && !other_prefix(t->name, o->prefix_b) && !find_with(a, o->prefix_a, name);
    }
    qsort(entries, n, sizeof *entries, in_order);
    return n;
}

static void measure(entry *e, const float *x, const float *y)
{
    double error = 0, power = 0, largest = 0;
    for (uint64_t i = 0; i < e->b->n_items; i++) {
        double d = (double)x[i] - (double)y[i];
        error += d * d;
        power += (double)y[i] * (double)y[i];
        largest = fabs(d) > largest || isnan(d) ? fabs(d) : largest;
    }
    e->nmse = power > 0 ? error / power : error;
    e->largest = largest;
}

static zoo_status compare_one(entry *e, const zoo_compare_options *o, zoo_compare_result *result,
                              zoo_error *err)
{
    size_t n = (size_t)e->b->n_items;
    e->same_shape = e->a->n_items == e->b->n_items;
    e->nmse = (double)INFINITY;
    float *x = e->same_shape ? zoo_mem_array(2 * n + 1, sizeof(float)) : NULL;
    if (e->same_shape && !x) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to compare %s", e->name);
    }
    if (x) {
        ZOO_TRY(zoo_tensor_widen(e->a, 0, n, x, err));
        ZOO_TRY(zoo_tensor_widen(e->b, 0, n, x + n, err));
        measure(e, x, x + n);
    }
    bool out = !(e->nmse <= o->limit);
    if (out && result->n_out++ == 0) {
        uint64_t width = e->b->n_dims ? e->b->dims[e->b->n_dims - 1] : 1;
        (void)snprintf(result->first, sizeof result->first, "%s", e->name);
        if (x && width) {
            const zoo_compare_pair pair = {e->name, x, x + n, n / width, width, o->limit};
            zoo_compare_guess(&pair, result->guess, sizeof result->guess);
        } else {
            (void)snprintf(result->guess, sizeof result->guess, "the shapes differ");
        }
    }
    result->worst = e->nmse > result->worst || isnan(e->nmse) ? e->nmse : result->worst;
    result->n_compared++;
    zoo_mem_free(x);
    return ZOO_OK;
}

static void print_row(FILE *out, const entry *e, const zoo_compare_options *o)
{
    bool bad = !(e->nmse <= o->limit);
    if (o->json) {
        (void)fprintf(out, "{\"tensor\": \"%s\", \"nmse\": %.6g, \"largest\": %.6g, \"ok\": %s}\n",
                      e->name, isfinite(e->nmse) ? e->nmse : 1e300,
                      isfinite(e->largest) ? e->largest : 1e300, bad ? "false" : "true");
        return;
    }
    (void)fprintf(out, "%-56s %12.3g %12.3g %s\n", e->name, e->nmse, e->largest, bad ? "OUT" : "");
}

zoo_status zoo_compare(const zoo_tensors *a, const zoo_tensors *b,
                       const zoo_compare_options *options, FILE *out, zoo_compare_result *result,
                       zoo_error *err)
{
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
        status = compare_one(&entries[i], options, result, err);
        if (status == ZOO_OK) {
            print_row(out, &entries[i], options);
        }
    }
    zoo_mem_free(entries);
    return status;
}
