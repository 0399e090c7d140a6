/*
 * cache_pool.h: a cache kind and pools for the tests of the caches.
 */
#ifndef TEST_CACHE_POOL_H
#define TEST_CACHE_POOL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cache/cache.h"
#include "kernels/select.h"

/*
 * A kind of the tests: a row as whole numbers of its width's own step, and a byte that says which
 * row of the page it is, so that a row which moved is seen.
 */
static size_t marked_bytes(uint32_t width, uint32_t n_rows)
{
    return (size_t)n_rows * (width * sizeof(int16_t) + 1);
}

static void marked_store(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                         const float *x)
{
    unsigned char *to = (unsigned char *)page + row * marked_bytes(width, 1);
    (void)kernels;
    to[width * sizeof(int16_t)] = (unsigned char)row;
    for (uint32_t i = 0; i < width; i++) {
        int16_t q = (int16_t)lrintf(x[i] * 64);
        memcpy(to + i * sizeof q, &q, sizeof q);
    }
}

static void marked_read(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                        uint32_t n, float *y, size_t y_stride)
{
    (void)kernels;
    for (uint32_t r = 0; r < n; r++) {
        const unsigned char *at = (const unsigned char *)page + (row + r) * marked_bytes(width, 1);
        assert_int_equal(at[width * sizeof(int16_t)], row + r);
        for (uint32_t i = 0; i < width; i++) {
            int16_t q;
            memcpy(&q, at + i * sizeof q, sizeof q);
            y[r * y_stride + i] = (float)q / 64;
        }
    }
}

static bool marked_suits(const zoo_stream *stream)
{
    return stream->kind != ZOO_STATE;
}

static const zoo_cache_ops marked_kind = {.size = sizeof(zoo_cache_ops),
                                          .name = "marked",
                                          .summary = "of the tests",
                                          .narrowness = ZOO_INT8,
                                          .suits = marked_suits,
                                          .bytes = marked_bytes,
                                          .store = marked_store,
                                          .read = marked_read};

/* xorshift64*, so that every run of a test is the same run. */
static inline uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

/* 0 .. n - 1 */
static inline uint32_t draw_below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)((draw(seed) >> 33) % n);
}

static inline float draw_float(uint64_t *seed)
{
    return (float)(int64_t)(draw(seed) >> 40) / 65536.0F - 128.0F;
}

static inline zoo_cache_pool *new_pool_of(const zoo_cache_ops *kind, size_t bytes_max,
                                          uint32_t rows_max, uint32_t seqs_max,
                                          uint32_t context_max)
{
    zoo_cache_options options = {
        .kinds.kind = kind,
        .bytes_max = bytes_max,
        .limits = {.rows_max = rows_max, .seqs_max = seqs_max, .context_max = context_max}};
    zoo_cache_pool *pool;
    zoo_error err;
    assert_int_equal(zoo_cache_pool_new(&options, &pool, &err), ZOO_OK);
    zoo_cache_pool_kernels(pool, zoo_kernels_select("scalar", &err));
    return pool;
}

static inline zoo_cache_pool *new_pool(zoo_dtype dtype, size_t bytes_max, uint32_t rows_max,
                                       uint32_t seqs_max, uint32_t context_max)
{
    return new_pool_of(zoo_cache_kinds[dtype], bytes_max, rows_max, seqs_max, context_max);
}

static inline zoo_cache *add_streams(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n)
{
    zoo_cache *cache;
    zoo_error err;
    assert_int_equal(zoo_cache_pool_add(pool, streams, n, &cache, &err), ZOO_OK);
    assert_non_null(cache);
    assert_int_equal(cache->n_streams, n);
    return cache;
}

/* Everything was given back. */
static inline void assert_nothing_held(const zoo_cache_pool *pool)
{
    zoo_cache_use use = zoo_cache_pool_use(pool);
    assert_int_equal(use.n_held, 0);
    assert_int_equal(use.n_reserved, 0);
}

#endif
