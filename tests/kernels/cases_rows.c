/* cases_rows.c: norms, elementwise maps, dot, softmax, rotation, cache rows, top-k and index. */
#include "kt.h"

#include "cache/kinds.h"

#include <math.h>
#include <string.h>

enum { SIZES = 90 };

static size_t size_at(uint32_t i)
{
    return i < 67 ? i + 1 : 68 + kt_below(1200);
}

typedef struct tally {
    const kt_pair *k;
    const char *slot;
    bool equal;
    double worst;
} tally;

static tally begin(const kt_pair *k, const char *slot)
{
    return (tally){k, slot, true, 0};
}

static void add(tally *t, const float *best, const float *scalar, const double *want, size_t n)
{
    double e = want ? kt_worst(best, want, n, 1e-3) : 0;
    t->equal &= kt_same(best, scalar, n);
    t->worst = e > t->worst ? e : t->worst;
}

static void end(const tally *t, double limit)
{
    kt_check(t->worst <= limit, "%s %s: relative error %.1e", t->slot, t->k->isa, t->worst);
    kt_check(t->equal, "%s %s: the bits of scalar", t->slot, t->k->isa);
    kt_clear();
}

static void wanted_norm(const zoo_norm_args *a, bool layer, double *want)
{
    for (uint32_t r = 0; r < a->n_rows; r++) {
        const float *x = a->x + r * a->x_stride;
        double mean = 0, sum = 0;
        for (uint32_t i = 0; i < a->width && layer; i++) {
            mean += (double)x[i] / a->width;
        }
        for (uint32_t i = 0; i < a->width; i++) {
            sum += ((double)x[i] - mean) * ((double)x[i] - mean) / a->width;
        }
        for (uint32_t i = 0; i < a->width; i++) {
            double y = ((double)x[i] - mean) / sqrt(sum + (double)a->eps);
            y *= a->weight ? (double)a->weight[i] + (double)a->offset : 1;
            y += layer && a->bias ? (double)a->bias[i] : 0;
            want[r * a->width + i] = y;
        }
    }
}

static void norms(const kt_pair *k, bool layer)
{
    tally t = begin(k, layer ? "layer_norm" : "rms_norm");
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t n = (uint32_t)size_at(i), rows = 1 + i % 3;
        zoo_norm_args a = {.n_rows = rows, .width = n, .eps = 1e-5f, .offset = (float)(i % 2)};
        a.x_stride = n + i % 4;
        a.y_stride = n;
        a.x = kt_values((rows - 1) * a.x_stride + n, 3);
        a.weight = i % 3 ? kt_values(n, 2) : NULL;
        a.bias = layer && i % 2 ? kt_values(n, 2) : NULL;
        float *y = kt_floats(rows * (size_t)n), *z = kt_floats(rows * (size_t)n);
        double *want = kt_take(rows * n * sizeof *want);
        wanted_norm(&a, layer, want);
        a.y = y;
        (layer ? k->best->layer_norm : k->best->rms_norm)(&a);
        a.y = z;
        (layer ? k->scalar->layer_norm : k->scalar->rms_norm)(&a);
        add(&t, y, z, want, rows * (size_t)n);
    }
    end(&t, layer ? 2e-4 : 1e-6);
}

/* Number of the elementwise slot. */
enum { AXPY, ADD, MUL, SCALE, CLAMP, SOFTCAP, SOFTMAX, N_MAPS };
static const char *const map_names[] = {"axpy",  "add",     "mul",    "scale",
                                        "clamp", "softcap", "softmax"};

static void run_map(const zoo_kernels *k, int map, const float *a, float *y, size_t n)
{
    switch (map) {
    case AXPY:
        k->axpy(0.7f, a, y, n);
        break;
    case ADD:
        k->add(a, y, y, n);
        break;
    case MUL:
        k->mul(y, a, y, n);
        break;
    case SCALE:
        k->scale(0.3f, a, y, n);
        break;
    case CLAMP:
        k->clamp(-0.5f, 1.25f, a, y, n);
        break;
    case SOFTCAP:
        k->softcap(2.5f, a, y, n);
        break;
    default:
        k->softmax(a, y, n);
        break;
    }
}

static double wanted_map(int map, double a, double y, double total)
{
    switch (map) {
    case AXPY:
        return a * (double)0.7f + y;
    case ADD:
        return a + y;
    case MUL:
        return a * y;
    case SCALE:
        return a * (double)0.3f;
    case CLAMP:
        return a < -0.5 ? -0.5 : a > 1.25 ? 1.25 : a;
    case SOFTCAP:
        return 2.5 * tanh(a / 2.5);
    default:
        return exp(a) / total;
    }
}

static void maps(const kt_pair *k, int map)
{
    tally t = begin(k, map_names[map]);
    for (uint32_t i = 0; i < SIZES; i++) {
        size_t n = size_at(i);
        float *a = kt_values(n, 4), *y = kt_values(n, 4), *z = kt_copy(y, n);
        double *want = kt_take(n * sizeof *want), total = 0;
        for (size_t j = 0; j < n; j++) {
            total += exp((double)a[j]);
        }
        for (size_t j = 0; j < n; j++) {
            want[j] = wanted_map(map, (double)a[j], (double)y[j], total);
        }
        run_map(k->best, map, a, y, n);
        run_map(k->scalar, map, a, z, n);
        add(&t, y, z, want, n);
    }
    end(&t, map == ADD || map == AXPY ? 5e-4 : 1e-6);
}

static void dots(const kt_pair *k)
{
    tally t = begin(k, "dot");
    for (uint32_t i = 0; i < SIZES; i++) {
        size_t n = size_at(i);
        float *a = kt_values(n, 1), *b = kt_values(n, 1);
        double want = 0;
        for (size_t j = 0; j < n; j++) {
            want += (double)a[j] * (double)b[j];
        }
        float y = k->best->dot(a, b, n), z = k->scalar->dot(a, b, n);
        want += 100;
        y += 100;
        z += 100;
        add(&t, &y, &z, &want, 1);
    }
    end(&t, 1e-6);
}

static void ropes(const kt_pair *k)
{
    tally t = begin(k, "rope");
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t pairs = 1 + i, heads = 1 + i % 3, stride = 2 * pairs + i % 5 + 3;
        size_t n = (size_t)heads * stride;
        zoo_rope_args r = {.n_heads = heads, .head_stride = stride, .n_pairs = pairs};
        r.interleaved = i % 2;
        r.pair_offset = i % 3 == 0 && !r.interleaved ? pairs + 2 : 0;
        uint32_t off = r.pair_offset ? r.pair_offset : pairs;
        size_t used = n - stride + (r.interleaved ? 2 * pairs : off + pairs);
        float *y = kt_values(used, 1), *z = kt_copy(y, used);
        double *want = kt_take(used * sizeof *want);
        r.cos = kt_values(pairs, 1);
        r.sin = kt_values(pairs, 1);
        for (size_t j = 0; j < used; j++) {
            want[j] = (double)y[j];
        }
        for (uint32_t h = 0; h < heads; h++) {
            for (uint32_t p = 0; p < pairs; p++) {
                size_t at = (size_t)h * stride + (r.interleaved ? 2 * p : p);
                size_t to = r.interleaved ? at + 1 : at + off;
                double a = (double)y[at], b = (double)y[to];
                want[at] = a * (double)r.cos[p] - b * (double)r.sin[p];
                want[to] = b * (double)r.cos[p] + a * (double)r.sin[p];
            }
        }
        r.x = y;
        k->best->rope(&r);
        r.x = z;
        k->scalar->rope(&r);
        add(&t, y, z, want, used);
    }
    end(&t, 3e-4);
}

/* Value i of row `row` of a page, by the layout of kernels.h. */
static double stored_value(uint32_t kind, const unsigned char *page, uint32_t width, uint32_t row,
                           uint32_t i)
{
    const unsigned char *scales =
        page + (size_t)ZOO_PAGE * (kind == ZOO_INT8 ? width : (width + 1) / 2);
    size_t at = (size_t)row * width + i;
    float x;
    if (kind == ZOO_F32) {
        memcpy(&x, page + 4 * at, sizeof x);
        return (double)x;
    }
    if (kind == ZOO_BF16) {
        uint32_t bits = (uint32_t)page[2 * at] << 16 | (uint32_t)page[2 * at + 1] << 24;
        memcpy(&x, &bits, sizeof x);
        return (double)x;
    }
    if (kind == ZOO_INT8) {
        scales += 2 * ((size_t)row * ((width + 31) / 32) + i / 32);
        uint32_t bits = (uint32_t)scales[0] << 16 | (uint32_t)scales[1] << 24;
        memcpy(&x, &bits, sizeof x);
        return (double)(int8_t)page[at] * (double)x;
    }
    scales += 2 * ((size_t)row * ((width + 15) / 16) + i / 16);
    int code = page[(size_t)row * ((width + 1) / 2) + i / 2] >> (i % 2 * 4) & 15;
    int bits = scales[0] | scales[1] << 8, s = bits >> 7, z = bits & 127;
    return (code - 7.5 - (z - 64) / 8.0) * (s ? ldexp(1 + s % 16 / 16.0, s / 16 - 18) : 0);
}

/* Rows stored among others and read again: error of at most a part of the largest value, the
 * layout of kernels.h, and the same bytes everywhere. */
static void stored(const kt_pair *k, uint32_t kind)
{
    static const char *const names[] = {"rows f32", "rows bf16", "rows int8", "rows int4"};
    static const uint32_t rows[] = {0, 1, 17, 63};
    static const double limits[] = {0, 0.00391, 0.00397, 0.17};
    tally t = begin(k, names[kind]);
    const zoo_row_form form = (zoo_row_form)zoo_cache_kinds[kind]->form;
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t n = (uint32_t)size_at(i);
        size_t bytes = zoo_cache_kinds[kind]->bytes(n, ZOO_PAGE);
        unsigned char *a = kt_take(bytes), *b = kt_take(bytes);
        float *y = kt_floats(2 * n), *z = kt_floats(2 * n), *x[ZOO_COUNT(rows)];
        double *want = kt_take(2 * n * sizeof *want), top = 0;
        for (uint32_t r = 0; r < ZOO_COUNT(rows); r++) {
            x[r] = kt_values(n, i % 7 == 3 ? 0 : 1);
            k->best->encode(form, x[r], n, a, rows[r]);
            k->scalar->encode(form, x[r], n, b, rows[r]);
        }
        t.equal &= memcmp(a, b, bytes) == 0;
        k->best->decode(form, a, 0, 2, n, y, n);
        k->scalar->decode(form, a, 0, 2, n, z, n);
        for (uint32_t j = 0; j < 2 * n; j++) {
            want[j] = stored_value(kind, a, n, j / n, j % n);
            top = fmax(top, fabs((double)x[j / n][j % n]));
        }
        t.equal &= kt_same(y, z, 2 * n) && kt_worst(y, want, 2 * n, 1e-30) < 1e-6;
        for (uint32_t j = 0; j < 2 * n && top > 0; j++) {
            double e = fabs((double)y[j] - (double)x[j / n][j % n]) / top;
            t.worst = e > t.worst ? e : t.worst;
        }
    }
    end(&t, limits[kind]);
}

/* y = H x by its definition: H[i][j] = (-1)^(bits that i and j share). */
static void wanted_hadamard(const float *x, uint32_t width, double *want)
{
    for (uint32_t at = 0, n; at < width; at += n) {
        for (n = ZOO_HADAMARD_MAX; n > width - at; n /= 2) {
        }
        for (uint32_t i = 0; i < n; i++) {
            want[at + i] = 0;
            for (uint32_t j = 0; j < n; j++) {
                bool odd = __builtin_popcount(i & j) % 2;
                want[at + i] += odd ? -(double)x[at + j] : (double)x[at + j];
            }
        }
    }
}

static void hadamard_slot(const kt_pair *k)
{
    tally t = begin(k, "hadamard");
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t n = (uint32_t)size_at(i);
        const float *x = kt_values(n, 1);
        float *y = kt_floats(n), *z = kt_floats(n), *back = kt_floats(n);
        double *want = kt_take(n * sizeof *want), *same = kt_take(n * sizeof *same);
        k->best->hadamard(x, y, n, false);
        k->scalar->hadamard(x, z, n, false);
        wanted_hadamard(x, n, want);
        t.equal &= kt_same(y, z, n) && kt_worst(y, want, n, 10) < 1e-6;
        memcpy(back, y, n * sizeof *back);
        k->best->hadamard(back, back, n, true);
        for (uint32_t j = 0; j < n; j++) {
            same[j] = (double)x[j];
        }
        double e = kt_worst(back, same, n, 1);
        t.worst = e > t.worst ? e : t.worst;
    }
    end(&t, 1e-6);
}

static void rounds(const kt_pair *k)
{
    tally t = begin(k, "round8");
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t n = (uint32_t)size_at(i);
        const float *x = kt_values(n, 1);
        float *y = kt_floats(n), *z = kt_floats(n), top = 0;
        k->best->round8(x, y, n);
        k->scalar->round8(x, z, n);
        add(&t, y, z, NULL, n);
        for (uint32_t j = 0; j < n; j++) {
            top = fabsf(x[j]) > top ? fabsf(x[j]) : top;
        }
        for (uint32_t j = 0; j < n; j++) {
            double steps = (double)y[j] * 127 / (double)top;
            double e = fmax(fabs((double)y[j] - (double)x[j]) / (double)top,
                            fabs(steps - rint(steps)) / 100);
            t.worst = e > t.worst ? e : t.worst;
        }
    }
    end(&t, 0.00395);
}

static void topks(const kt_pair *k)
{
    bool right = true;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t n = 1 + kt_below(i < 100 ? 70 : 2000), count = kt_below(n < 60 ? n + 1 : 60);
        float *x = kt_values(n, 1);
        uint32_t *idx = kt_take(count * sizeof *idx);
        for (uint32_t j = 0; j < n && i % 2; j++) {
            x[j] = rintf(x[j] * 4); /* many equal values */
        }
        k->best->topk(x, n, count, idx);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t before = 0; /* values that come before place j's */
            for (uint32_t l = 0; l < n; l++) {
                before += x[l] > x[idx[j]] || (x[l] == x[idx[j]] && l < idx[j]);
            }
            right &= before == j;
        }
        kt_clear();
    }
    kt_check(right, "topk %s: order of values, lower index first", k->isa);
}

static void indexes(const kt_pair *k)
{
    tally t = begin(k, "index");
    for (uint32_t i = 0; i < SIZES; i++) {
        zoo_index_args a = {.n_heads = 1 + i % 5, .dim = 1 + i, .n_keys = 1 + i % 9, .scale = 0.2f};
        a.q = kt_values((size_t)a.n_heads * a.dim, 1);
        a.keys = kt_values((size_t)a.n_keys * a.dim, 1);
        a.weight = kt_values(a.n_heads, 1);
        float *y = kt_floats(a.n_keys), *z = kt_floats(a.n_keys);
        double *want = kt_take(a.n_keys * sizeof *want);
        for (uint32_t j = 0; j < a.n_keys; j++) {
            want[j] = 0;
            for (uint32_t h = 0; h < a.n_heads; h++) {
                double dot = 0;
                for (uint32_t d = 0; d < a.dim; d++) {
                    dot += (double)a.q[h * a.dim + d] * (double)a.keys[j * a.dim + d];
                }
                want[j] += (double)a.weight[h] * (dot > 0 ? dot : 0) * (double)a.scale;
            }
        }
        a.score = y;
        k->best->index(&a);
        a.score = z;
        k->scalar->index(&a);
        add(&t, y, z, want, a.n_keys);
    }
    end(&t, 5e-4);
}

void kt_rows(const kt_pair *k)
{
    norms(k, false);
    norms(k, true);
    for (int map = 0; map < N_MAPS; map++) {
        maps(k, map);
    }
    dots(k);
    ropes(k);
    for (uint32_t kind = ZOO_F32; kind <= ZOO_INT4; kind++) {
        stored(k, kind);
    }
    hadamard_slot(k);
    rounds(k);
    topks(k);
    indexes(k);
}
