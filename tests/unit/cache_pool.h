/*
 * cache_pool.h: what both tests of the caches need: a narrow that follows the formulas of
 * zoo_kernels.narrow in the plainest way, and a pool over it.
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

static inline uint16_t narrow_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void plain_narrow(zoo_dtype dtype, const float *x, void *y, float *scale, uint32_t width)
{
    uint8_t *out = y;
    float amax = 0;
    for (uint32_t i = 0; i < width; i++) {
        amax = fmaxf(amax, fabsf(x[i]));
    }
    float top = dtype == ZOO_INT8 ? 127.0F : 7.0F;
    if (dtype == ZOO_BF16) {
        for (uint32_t i = 0; i < width; i++) {
            uint16_t half = narrow_bf16(x[i]);
            memcpy(out + 2 * i, &half, sizeof half);
        }
        return;
    }
    *scale = amax / top;
    memset(out, 0, dtype == ZOO_INT8 ? width : (width + 1) / 2);
    for (uint32_t i = 0; i < width; i++) {
        int q = amax > 0 ? (int)lrintf(x[i] * top / amax) : 0;
        if (dtype == ZOO_INT8) {
            out[i] = (uint8_t)q;
        } else {
            out[i / 2] = (uint8_t)(out[i / 2] | (unsigned)(q + 8) << (i % 2 * 4));
        }
    }
}

static inline size_t plain_row_bytes(zoo_dtype dtype, uint32_t width)
{
    return dtype == ZOO_F32    ? 4 * (size_t)width
           : dtype == ZOO_BF16 ? 2 * (size_t)width
           : dtype == ZOO_INT8 ? width
                               : (width + 1) / 2;
}

static const zoo_kernels plain_kernels = {.size = sizeof plain_kernels, .narrow = plain_narrow};

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

static inline zoo_cache_pool *new_pool(zoo_dtype dtype, size_t bytes_max, uint32_t rows_max,
                                       uint32_t seqs_max, uint32_t context_max)
{
    zoo_cache_options options = {
        .dtype = dtype,
        .bytes_max = bytes_max,
        .limits = {.rows_max = rows_max, .seqs_max = seqs_max, .context_max = context_max}};
    zoo_cache_pool *pool;
    zoo_error err;
    assert_int_equal(zoo_cache_pool_new(&options, &pool, &err), ZOO_OK);
    zoo_cache_pool_kernels(pool, &plain_kernels);
    return pool;
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
