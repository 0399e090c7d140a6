/*
 * kind_check.c: the requirements one by one (kind_check.h).
 *
 * Two pages between canaries are filled with the same rows in different order, with different
 * neighbours and old contents, and compared. Memory: three pages and some rows, from zoo_mem.
 */
#include "cache/kind_check.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { CANARY = 64, WIDTH_MOST = 576, BYTES_MOST = 64 };
enum { ZEROS = 5, LARGE = 9 }; /* a row of zeros, one with one large value */

static zoo_status broken(const zoo_cache_ops *kind, uint32_t width, const char *what,
                         zoo_error *err)
{
    return zoo_fail(err, ZOO_E_PLUGIN, "cache kind %s, rows of %u values: %s", kind->name, width,
                    what);
}

static zoo_status check_vector(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                               const zoo_cache_vector *v, unsigned char *page, float *y,
                               zoo_error *err)
{
    kind->store(kernels, v->width, page, 0, v->x);
    kind->read(kernels, v->width, page, 0, 1, y, v->width);
    for (uint32_t i = 0; i < v->width; i++) {
        if (y[i] != v->y[i]) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "cache kind %s: test vector of %u values: value %u reads %.9g, not "
                            "%.9g",
                            kind->name, v->width, i, (double)y[i], (double)v->y[i]);
        }
    }
    for (uint32_t i = 0; i < v->n_bytes; i++) {
        if (page[i] != v->bytes[i]) {
            return zoo_fail(err, ZOO_E_PLUGIN,
                            "cache kind %s: test vector of %u values: byte %u is 0x%02x, not "
                            "0x%02x",
                            kind->name, v->width, i, page[i], v->bytes[i]);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_cache_kind_vectors(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                  zoo_error *err)
{
    for (const zoo_cache_vector *v = kind->vectors; v->width; v++) {
        size_t bytes = v->width <= ZOO_HADAMARD_WIDTH_MAX ? kind->bytes(v->width, ZOO_PAGE) : 0;
        if (bytes == 0 || bytes > (size_t)BYTES_MOST * v->width * ZOO_PAGE || v->n_bytes > bytes) {
            return broken(kind, v->width, "a test vector needs no bytes, or too many", err);
        }
        unsigned char *page = zoo_mem_array(bytes + CANARY, 1);
        float *y = zoo_mem_array(v->width, sizeof *y);
        zoo_status status = page && y
                                ? check_vector(kind, kernels, v, page, y, err)
                                : zoo_fail(err, ZOO_E_MEMORY, "no memory for a page of the cache");
        zoo_mem_free(y);
        zoo_mem_free(page);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

typedef struct check {
    const zoo_cache_ops *kind;
    const zoo_kernels *kernels;
    uint32_t width;
    size_t bytes;                      /* of a page */
    float *x;                          /* [ZOO_PAGE, width] */
    float *y, *z;                      /* [ZOO_PAGE, width] rows read from pages */
    unsigned char *one, *other, *copy; /* pages with a canary before and after */
} check;

static float draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

/* Roughly normally distributed values, scaled differently from row to row. */
static void fill_rows(check *t)
{
    uint32_t seed = t->width;
    for (uint32_t row = 0; row < ZOO_PAGE; row++) {
        float size = ldexpf(1.0f, (int)(row % 9) - 4);
        for (uint32_t i = 0; i < t->width; i++) {
            float sum = 0;
            for (int k = 0; k < 6; k++) {
                sum += draw(&seed);
            }
            t->x[(size_t)row * t->width + i] = row == ZEROS ? 0 : size * sum;
        }
    }
    t->x[(size_t)LARGE * t->width] = 1000;
}

static void store(const check *t, unsigned char *page, uint32_t row)
{
    t->kind->store(t->kernels, t->width, page + CANARY, row, t->x + (size_t)row * t->width);
}

static bool canaries_intact(const check *t, const unsigned char *page, unsigned char mark)
{
    for (uint32_t i = 0; i < CANARY; i++) {
        if (page[i] != mark || page[CANARY + t->bytes + i] != mark) {
            return false;
        }
    }
    return true;
}

static zoo_status check_stores(const check *t, zoo_error *err)
{
    memset(t->one, 0xa5, t->bytes + 2 * CANARY);
    memset(t->other, 0x3c, t->bytes + 2 * CANARY);
    for (uint32_t row = 0; row < ZOO_PAGE; row++) {
        store(t, t->one, row);
    }
    for (uint32_t i = ZOO_PAGE; i-- > 0;) {
        uint32_t row = i * 29 % ZOO_PAGE; /* a permutation, since 29 is odd */
        t->kind->store(t->kernels, t->width, t->other + CANARY, row,
                       t->x + (size_t)LARGE * t->width);
        store(t, t->other, row);
    }
    if (!canaries_intact(t, t->one, 0xa5) || !canaries_intact(t, t->other, 0x3c)) {
        return broken(t->kind, t->width, "store writes outside the page's bytes", err);
    }
    return ZOO_OK;
}

static bool same(const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static zoo_status check_reads(const check *t, zoo_error *err)
{
    const zoo_cache_ops *k = t->kind;
    size_t w = t->width;
    k->read(t->kernels, t->width, t->one + CANARY, 0, ZOO_PAGE, t->y, w);
    k->read(t->kernels, t->width, t->other + CANARY, 0, ZOO_PAGE, t->z, w);
    if (!same(t->y, t->z, ZOO_PAGE * w)) {
        return broken(k, t->width,
                      "a row depends on the order of stores or on old contents of the page", err);
    }
    for (uint32_t row = 0; row < ZOO_PAGE; row++) {
        k->read(t->kernels, t->width, t->one + CANARY, row, 1, t->z, w);
        if (!same(t->y + row * w, t->z, w)) {
            return broken(k, t->width, "a row read alone differs from one read with others", err);
        }
    }
    k->read(t->kernels, t->width, t->one + CANARY, 3, 7, t->z, w + 5);
    for (uint32_t row = 0; row < 7; row++) {
        if (!same(t->y + (row + 3) * w, t->z + row * (w + 5), w)) {
            return broken(k, t->width, "rows read with another y_stride differ", err);
        }
    }
    memcpy(t->copy, t->one, t->bytes + 2 * CANARY);
    memset(t->one, 0, t->bytes + 2 * CANARY);
    k->read(t->kernels, t->width, t->copy + CANARY, 0, ZOO_PAGE, t->z, w);
    if (!same(t->y, t->z, ZOO_PAGE * w)) {
        return broken(k, t->width, "rows of a copied page differ", err);
    }
    return ZOO_OK;
}

/* Overwriting one row leaves all others unchanged. */
static zoo_status check_neighbours(const check *t, zoo_error *err)
{
    size_t w = t->width;
    for (uint32_t row = 0; row < ZOO_PAGE; row++) {
        t->kind->store(t->kernels, t->width, t->copy + CANARY, row, t->x + LARGE * w);
        t->kind->read(t->kernels, t->width, t->copy + CANARY, 0, ZOO_PAGE, t->z, w);
        memcpy(t->z + row * w, t->y + row * w, w * sizeof *t->z);
        if (!same(t->y, t->z, ZOO_PAGE * w)) {
            return broken(t->kind, t->width, "storing a row changes another one", err);
        }
        store(t, t->copy, row);
    }
    return ZOO_OK;
}

/* Normalised squared error of a row. */
static double row_error(const check *t, uint32_t row)
{
    const float *x = t->x + (size_t)row * t->width, *y = t->y + (size_t)row * t->width;
    double error = 0, size = 0;
    for (uint32_t i = 0; i < t->width; i++) {
        error += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
        size += (double)x[i] * (double)x[i];
    }
    return error / size;
}

static zoo_status check_values(const check *t, zoo_error *err)
{
    /* The error of short rows varies more. */
    double error = 0, allowed = (double)t->kind->error_max * (t->width < 64 ? 2 : 1);
    for (uint32_t i = 0; i < t->width; i++) {
        if (t->y[(size_t)ZEROS * t->width + i] != 0) {
            return broken(t->kind, t->width, "a row of zeros does not read as zeros", err);
        }
    }
    for (uint32_t row = 0; row < ZOO_PAGE; row++) {
        error += row == ZEROS || row == LARGE ? 0 : row_error(t, row) / (ZOO_PAGE - 2);
    }
    if (!(error <= allowed)) {
        return zoo_fail(err, ZOO_E_PLUGIN,
                        "cache kind %s, rows of %u values: the normalised mean squared error is "
                        "%.3g, above its error_max %.3g",
                        t->kind->name, t->width, error, (double)t->kind->error_max);
    }
    return ZOO_OK;
}

/* A page of a kind with a form must read the same through the kernels' decode. */
static zoo_status check_form(const check *t, zoo_error *err)
{
    if (t->kind->form == ZOO_FORM_OWN) {
        return ZOO_OK;
    }
    t->kernels->decode((zoo_row_form)t->kind->form, t->other + CANARY, 0, ZOO_PAGE, t->width, t->z,
                       t->width);
    return same(t->y, t->z, (size_t)ZOO_PAGE * t->width)
               ? ZOO_OK
               : broken(t->kind, t->width, "the page does not have the form that the kind names",
                        err);
}

static zoo_status check_width(check *t, zoo_error *err)
{
    fill_rows(t);
    ZOO_TRY(check_stores(t, err));
    ZOO_TRY(check_reads(t, err));
    ZOO_TRY(check_neighbours(t, err));
    ZOO_TRY(check_values(t, err));
    return check_form(t, err);
}

static void free_check(check *t)
{
    zoo_mem_free(t->x);
    zoo_mem_free(t->y);
    zoo_mem_free(t->z);
    zoo_mem_free(t->one);
    zoo_mem_free(t->other);
    zoo_mem_free(t->copy);
}

static zoo_status run_width(const zoo_cache_ops *kind, const zoo_kernels *kernels, uint32_t width,
                            zoo_error *err)
{
    check t = {.kind = kind, .kernels = kernels, .width = width};
    t.bytes = kind->bytes(width, ZOO_PAGE);
    if (t.bytes == 0 || t.bytes > (size_t)BYTES_MOST * width * ZOO_PAGE ||
        kind->bytes(width, 1) > t.bytes) {
        return broken(kind, width, "it needs no bytes, or far too many", err);
    }
    size_t values = (size_t)ZOO_PAGE * (width + 5);
    t.x = zoo_mem_array(values, sizeof *t.x);
    t.y = zoo_mem_array(values, sizeof *t.y);
    t.z = zoo_mem_array(values, sizeof *t.z);
    t.one = zoo_mem_array(t.bytes + 2 * CANARY, 1);
    t.other = zoo_mem_array(t.bytes + 2 * CANARY, 1);
    t.copy = zoo_mem_array(t.bytes + 2 * CANARY, 1);
    bool have = t.x && t.y && t.z && t.one && t.other && t.copy;
    zoo_status status = have ? check_width(&t, err)
                             : zoo_fail(err, ZOO_E_MEMORY, "no memory for pages of the cache");
    free_check(&t);
    return status;
}

zoo_status zoo_cache_kind_check(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                zoo_error *err)
{
    static const uint32_t widths[] = {1, 2, 15, 16, 17, 33, 64, 80, 128, 256, WIDTH_MOST};
    ZOO_TRY(zoo_cache_kind_vectors(kind, kernels, err));
    for (size_t i = 0; i < ZOO_COUNT(widths); i++) {
        ZOO_TRY(run_width(kind, kernels, widths[i], err));
    }
    return ZOO_OK;
}
