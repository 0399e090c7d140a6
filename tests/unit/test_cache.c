/*
 * test_cache.c: the paged caches, property by property: rings at every alignment, refusals,
 * prefixes, cost, hostile declarations, failing memory, threads.
 */
#include <pthread.h>
#include <unistd.h>

#include "cache_pool.h"

static const zoo_stream plain = {.name = "k", .kind = ZOO_ROWS, .width = 8, .heads = 2};
static const zoo_stream held = {.name = "s", .kind = ZOO_STATE, .width = 6};

static zoo_cache *fixed_pool(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n)
{
    zoo_error err;
    zoo_cache *cache = add_streams(pool, streams, n);
    assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_OK);
    return cache;
}

/* Stores n rows of width 8 whose first values are their numbers times `mark`. */
static void write_rows(zoo_cache_pool *pool, zoo_cache *cache, uint32_t slot, uint32_t pos,
                       uint32_t n, float mark)
{
    float x[130][8];
    zoo_error err;
    const zoo_seq seq = {.slot = slot};
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < 8; j++) {
            x[i][j] = (float)(pos + i) * mark + (float)j;
        }
    }
    assert_int_equal(zoo_cache_seq_extend(pool, slot, pos, n, &err), ZOO_OK);
    cache->put(cache, 0, &seq, pos, n, x[0], 8);
}

static float read_row(zoo_cache *cache, uint32_t slot, uint32_t row)
{
    const zoo_seq seq = {.slot = slot};
    zoo_segment part = cache->get(cache, 0, &seq, 1, row);
    return ((const float *)part.page)[(size_t)part.at * 4] - 4;
}

/* Reads to `end` in steps of `n` from a first step of `offset` and looks back on every window. */
static void turn_ring(uint32_t window, uint32_t n, uint32_t offset, uint32_t end)
{
    const zoo_stream ring = {.kind = ZOO_RING, .width = 8, .heads = 2, .window = window};
    zoo_cache_pool *pool = new_pool(ZOO_F32, 0, n, 2, end);
    zoo_cache *cache = fixed_pool(pool, &ring, 1);
    uint32_t slot, pos = 0;
    zoo_error err;
    assert_int_equal(zoo_cache_seq_open(pool, end, &slot, &err), ZOO_OK);
    while (pos < end) {
        uint32_t count = pos == 0 && offset ? offset : n;
        count = count < end - pos ? count : end - pos;
        write_rows(pool, cache, slot, pos, count, 1);
        for (uint32_t row = pos + 1 > window ? pos + 1 - window : 0; row < pos + count; row++) {
            assert_true(read_row(cache, slot, row) == (float)row);
        }
        pos += count;
    }
    uint32_t most = (window - 1 + n + ZOO_PAGE - 1) / ZOO_PAGE + 1;
    assert_true(zoo_cache_pool_use(pool).n_held <= most);
    zoo_cache_seq_close(pool, slot);
    assert_nothing_held(pool);
    zoo_cache_pool_free(pool);
}

static void rings_turn(void **state)
{
    static const uint32_t windows[] = {1, 2, 63, 64, 65, 100, 128, 129};
    static const uint32_t counts[] = {1, 7, 63, 64, 65, 130};
    (void)state;
    for (size_t w = 0; w < ZOO_COUNT(windows); w++) {
        for (size_t c = 0; c < ZOO_COUNT(counts); c++) {
            for (uint32_t offset = 0; offset < 64 && offset <= counts[c]; offset++) {
                turn_ring(windows[w], counts[c], offset, 700);
            }
        }
    }
}

static void refusals(void **state)
{
    (void)state;
    /* Ten pages of [64][8] floats. */
    zoo_cache_pool *pool = new_pool(ZOO_F32, (size_t)10 * 64 * 8 * 4, 64, 4, 1000);
    zoo_cache *cache = fixed_pool(pool, &plain, 1);
    uint32_t a, b, c, d, e;
    zoo_error err;
    assert_in_range(zoo_cache_pool_use(pool).n_pages, 9, 10);
    assert_int_equal(zoo_cache_seq_open(pool, 1001, &a, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_cache_seq_open(pool, 641, &a, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_cache_seq_open(pool, 400, &a, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 400, &b, &err), ZOO_E_MEMORY);
    assert_int_equal(zoo_cache_seq_open(pool, 128, &b, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 0, &c, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 0, &d, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 0, &e, &err), ZOO_E_MEMORY);
    zoo_cache_seq_close(pool, d);
    zoo_cache_seq_close(pool, d);
    zoo_cache_seq_close(pool, 99);
    assert_int_equal(zoo_cache_seq_extend(pool, d, 0, 1, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_extend(pool, 99, 0, 1, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_restart(pool, 99, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_extend(pool, c, 0, 1, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 1, 1, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 0, 0, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 0, 65, &err), ZOO_E_LIMIT);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 0, UINT32_MAX, &err), ZOO_E_LIMIT);
    write_rows(pool, cache, b, 0, 64, 1);
    write_rows(pool, cache, b, 64, 64, 1);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 128, 1, &err), ZOO_E_LIMIT);
    for (uint32_t pos = 0; pos < 384; pos += 64) {
        write_rows(pool, cache, a, pos, 64, 2);
    }
    zoo_cache_seq_close(pool, a);
    assert_true(read_row(cache, b, 127) == 127);
    assert_int_equal(zoo_cache_seq_open(pool, 400, &a, &err), ZOO_OK);
    zoo_cache_seq_close(pool, a);
    zoo_cache_seq_close(pool, b);
    zoo_cache_seq_close(pool, c);
    assert_nothing_held(pool);
    zoo_cache_pool_free(pool);
}

static void rings_need_room(void **state)
{
    const zoo_stream both[] = {{.kind = ZOO_RING, .width = 8, .heads = 1, .window = 65}, held};
    zoo_error err;
    zoo_cache *cache;
    (void)state;
    /* One sequence: a ring of ceil((64 + 64) / 64) + 1 = 3 pages of 2048 bytes, a state of 64. */
    zoo_cache_pool *pool = new_pool(ZOO_F32, 2 * (3 * 2048 + 64) - 1, 64, 2, 1000);
    cache = add_streams(pool, both, 2);
    assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_E_MEMORY);
    zoo_cache_pool_free(pool);
    pool = new_pool(ZOO_F32, 2 * (3 * 2048 + 64), 64, 2, 1000);
    cache = fixed_pool(pool, both, 2);
    assert_int_equal(zoo_cache_pool_use(pool).n_prefixes_max, 0);
    uint32_t a, b, p;
    assert_int_equal(zoo_cache_seq_open(pool, 1000, &a, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 1000, &b, &err), ZOO_OK);
    write_rows(pool, cache, a, 0, 64, 1);
    assert_int_equal(zoo_cache_prefix_keep(pool, a, 64, &p, &err), ZOO_E_MEMORY);
    zoo_cache_pool_free(pool);
}

static void states_begin_at_zero(void **state)
{
    const zoo_stream both[] = {plain, held};
    zoo_cache_pool *pool = new_pool(ZOO_INT8, 0, 64, 2, 100);
    zoo_cache *cache = fixed_pool(pool, both, 2);
    static const float zero[6];
    uint32_t slot;
    zoo_error err;
    (void)state;
    assert_ptr_equal(cache->kinds[0], zoo_cache_kinds[ZOO_F32]);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(zoo_cache_seq_open(pool, 100, &slot, &err), ZOO_OK);
        const zoo_seq seq = {.slot = slot};
        float *x = cache->state(cache, 1, &seq);
        assert_memory_equal(x, zero, sizeof zero);
        memset(x, 0x55, sizeof zero);
        assert_int_equal(zoo_cache_seq_restart(pool, slot, &err), ZOO_OK);
        assert_memory_equal(x, zero, sizeof zero);
        memset(x, 0x55, sizeof zero);
        zoo_cache_seq_close(pool, slot);
    }
    zoo_cache_pool_free(pool);
}

/* Many sequences hold one prefix's pages once, and go on when it is dropped. */
static void prefix_is_shared(void **state)
{
    zoo_cache_pool *pool = new_pool(ZOO_F32, (size_t)12 * 64 * 8 * 4, 64, 8, 1000);
    zoo_cache *cache = fixed_pool(pool, &plain, 1);
    uint32_t first, prefix, slots[4];
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_cache_seq_open(pool, 256, &first, &err), ZOO_OK);
    for (uint32_t pos = 0; pos < 256; pos += 64) {
        write_rows(pool, cache, first, pos, 64, 1);
    }
    assert_int_equal(zoo_cache_prefix_keep(pool, first, 192, &prefix, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_prefix_keep(pool, first, 256, &prefix, &err), ZOO_OK);
    assert_int_equal(zoo_cache_prefix_length(pool, prefix), 256);
    zoo_cache_seq_close(pool, first);
    assert_int_equal(zoo_cache_pool_use(pool).n_held, 4);
    assert_int_equal(zoo_cache_seq_open_at(pool, 255, prefix, 256, &first, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_open_at(pool, 300, prefix + 1, 256, &first, &err), ZOO_E_USAGE);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(zoo_cache_seq_open_at(pool, 320, prefix, 256, &slots[i], &err), ZOO_OK);
        write_rows(pool, cache, slots[i], 256, 64, (float)(i + 2));
    }
    zoo_cache_prefix_drop(pool, prefix);
    zoo_cache_prefix_drop(pool, prefix);
    assert_int_equal(zoo_cache_prefix_length(pool, prefix), 0);
    assert_int_equal(zoo_cache_pool_use(pool).n_held, 8);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(read_row(cache, slots[i], 255) == 255);
        assert_true(read_row(cache, slots[i], 300) == (float)(300 * (i + 2)));
    }
    /* Eight held, none promised, at least three free: four pages to replace shared ones are not
     * there until another sequence ends. */
    assert_int_equal(zoo_cache_seq_restart(pool, slots[0], &err), ZOO_E_MEMORY);
    assert_true(read_row(cache, slots[0], 255) == 255);
    zoo_cache_seq_close(pool, slots[1]);
    zoo_cache_seq_close(pool, slots[2]);
    assert_int_equal(zoo_cache_seq_restart(pool, slots[0], &err), ZOO_OK);
    write_rows(pool, cache, slots[0], 0, 64, 9);
    assert_true(read_row(cache, slots[3], 63) == 63);
    zoo_cache_seq_close(pool, slots[0]);
    zoo_cache_seq_close(pool, slots[3]);
    assert_nothing_held(pool);
    zoo_cache_pool_free(pool);
}

/* A prefix of rows alone may be left early: whole pages are shared, the rest is copied. */
static void prefix_is_cut(void **state)
{
    zoo_cache_pool *pool = new_pool(ZOO_F32, (size_t)12 * 64 * 8 * 4, 64, 8, 1000);
    zoo_cache *cache = fixed_pool(pool, &plain, 1);
    uint32_t first, prefix, cut;
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_cache_pool_grain(pool), 1);
    assert_true(zoo_cache_pool_fill(pool) == 0);
    assert_int_equal(zoo_cache_seq_open(pool, 200, &first, &err), ZOO_OK);
    for (uint32_t pos = 0; pos < 192; pos += 64) {
        write_rows(pool, cache, first, pos, 64, 1);
    }
    assert_int_equal(zoo_cache_prefix_keep(pool, first, 192, &prefix, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open_at(pool, 200, prefix, 193, &cut, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_open_at(pool, 200, prefix, 0, &cut, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_open_at(pool, 200, prefix, 100, &cut, &err), ZOO_OK);
    write_rows(pool, cache, cut, 100, 60, 7);
    assert_true(read_row(cache, cut, 99) == 99 && read_row(cache, cut, 100) == 700);
    assert_true(read_row(cache, first, 100) == 100 && read_row(cache, first, 191) == 191);
    assert_int_equal(zoo_cache_pool_use(pool).n_held, 3 + 2);
    zoo_cache_seq_close(pool, cut);
    zoo_cache_seq_close(pool, first);
    zoo_cache_prefix_drop(pool, prefix);
    assert_nothing_held(pool);
    zoo_cache_pool_free(pool);
}

/* Neither rings nor states can be cut. */
static void some_prefixes_are_whole(void **state)
{
    const zoo_stream both[] = {{.kind = ZOO_RING, .width = 8, .heads = 2, .window = 65}, held};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        zoo_cache_pool *pool = new_pool(ZOO_F32, 0, 64, 2, 640);
        zoo_cache *cache = fixed_pool(pool, &both[i], 1);
        uint32_t first, prefix, cut;
        zoo_error err;
        assert_int_equal(zoo_cache_pool_grain(pool), 0);
        assert_int_equal(zoo_cache_seq_open(pool, 640, &first, &err), ZOO_OK);
        if (i == 0) {
            write_rows(pool, cache, first, 0, 64, 1);
        } else {
            assert_int_equal(zoo_cache_seq_extend(pool, first, 0, 64, &err), ZOO_OK);
        }
        assert_int_equal(zoo_cache_prefix_keep(pool, first, 64, &prefix, &err), ZOO_OK);
        assert_int_equal(zoo_cache_seq_open_at(pool, 640, prefix, 32, &cut, &err), ZOO_E_USAGE);
        assert_int_equal(zoo_cache_seq_open_at(pool, 640, prefix, 64, &cut, &err), ZOO_OK);
        zoo_cache_pool_free(pool);
    }
}

/* The owner of kept pages may neither repeat a step over them nor restart without pages instead. */
static void owner_leaves_kept_pages(void **state)
{
    zoo_cache_pool *pool = new_pool(ZOO_F32, (size_t)4 * 64 * 8 * 4 + 8, 64, 2, 256);
    zoo_cache *cache = fixed_pool(pool, &plain, 1);
    uint32_t a, b, prefix;
    zoo_error err;
    (void)state;
    assert_in_range(zoo_cache_pool_use(pool).n_pages, 3, 4);
    assert_int_equal(zoo_cache_seq_open(pool, 192, &a, &err), ZOO_OK);
    write_rows(pool, cache, a, 0, 64, 1);
    write_rows(pool, cache, a, 64, 64, 1);
    assert_int_equal(zoo_cache_prefix_keep(pool, a, 128, &prefix, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_extend(pool, a, 64, 64, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_extend(pool, a, 127, 1, &err), ZOO_E_USAGE);
    assert_int_equal(zoo_cache_seq_restart(pool, a, &err), ZOO_E_MEMORY);
    write_rows(pool, cache, a, 128, 64, 1);
    zoo_cache_seq_close(pool, a);
    assert_int_equal(zoo_cache_seq_open_at(pool, 192, prefix, 128, &b, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_extend(pool, b, 127, 1, &err), ZOO_E_USAGE);
    zoo_cache_prefix_drop(pool, prefix);
    assert_int_equal(zoo_cache_seq_restart(pool, b, &err), ZOO_OK);
    write_rows(pool, cache, b, 0, 64, 3);
    zoo_cache_seq_close(pool, b);
    assert_nothing_held(pool);
    zoo_cache_pool_free(pool);
}

/* Kept rings and states have memory of their own: every sequence runs to its end beside them. */
static void prefixes_take_no_ring(void **state)
{
    const zoo_stream both[] = {{.kind = ZOO_RING, .width = 8, .heads = 2, .window = 65}, held};
    zoo_cache_pool *pool = new_pool(ZOO_F32, 2 * (3 * 2048 + 64) + 5 * (2 * 2048 + 64), 64, 2, 640);
    zoo_cache *cache = fixed_pool(pool, both, 2);
    uint32_t slots[2], prefix, last = 0;
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_cache_pool_use(pool).n_prefixes_max, 5);
    assert_int_equal(zoo_cache_seq_open(pool, 640, &slots[0], &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, 640, &slots[1], &err), ZOO_OK);
    for (uint32_t pos = 0; pos < 640; pos += 64) {
        write_rows(pool, cache, slots[0], pos, 64, 1);
        zoo_status status = zoo_cache_prefix_keep(pool, slots[0], pos + 64, &prefix, &err);
        assert_int_equal(status, pos < 320 ? ZOO_OK : ZOO_E_MEMORY);
        last = status == ZOO_OK ? prefix : last;
    }
    for (uint32_t pos = 0; pos < 640; pos += 64) {
        write_rows(pool, cache, slots[1], pos, 64, 2);
    }
    zoo_cache_seq_close(pool, slots[0]);
    assert_int_equal(zoo_cache_seq_open_at(pool, 640, last, 320, &slots[0], &err), ZOO_OK);
    for (uint32_t row = 320 - 64; row < 320; row++) {
        assert_true(read_row(cache, slots[0], row) == (float)row);
    }
    for (uint32_t pos = 320; pos < 640; pos += 64) {
        write_rows(pool, cache, slots[0], pos, 64, 1);
    }
    zoo_cache_pool_free(pool);
}

static void cost(void **state)
{
    const zoo_stream streams[] = {
        {.kind = ZOO_ROWS, .width = 32, .heads = 4, .dtype_min = ZOO_INT4},
        {.kind = ZOO_ROWS, .width = 32, .heads = 4, .stride = 4, .dtype_min = ZOO_INT4},
        {.kind = ZOO_RING, .width = 32, .heads = 4, .window = 128, .dtype_min = ZOO_BF16},
        {.kind = ZOO_STATE, .width = 100}};
    zoo_cache_pool *pool = new_pool(ZOO_INT8, 0, 65, 1, 100);
    zoo_error err;
    (void)state;
    (void)add_streams(pool, streams, 4);
    for (int fixed = 0; fixed < 2; fixed++) {
        zoo_cache_cost c = zoo_cache_pool_cost(pool, 0);
        const size_t page = 64 * 32 + 64 * 4 * 2, ring = (size_t)64 * 32 * 2, n_ring = 4;
        assert_int_equal(c.bytes_per_page_set, 2 * page);
        assert_int_equal(c.ring_bytes, n_ring * ring);
        assert_int_equal(c.state_bytes, 448);
        assert_int_equal(c.bytes_at, 448);
        assert_int_equal(zoo_cache_pool_cost(pool, 1).bytes_at, 448 + 2 * page + ring);
        assert_int_equal(zoo_cache_pool_cost(pool, 257).bytes_at, 448 + 7 * page + 4 * ring);
        assert_int_equal(zoo_cache_pool_cost(pool, 1 << 20).bytes_at,
                         448 + (16384 + 4096) * page + 4 * ring);
        if (!fixed) {
            assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_OK);
            assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_E_INTERNAL);
        }
    }
    zoo_cache *cache;
    assert_int_equal(zoo_cache_pool_add(pool, streams, 1, &cache, &err), ZOO_E_INTERNAL);
    zoo_cache_pool_free(pool);
}

static void hostile_streams(void **state)
{
    static const zoo_stream bad[] = {
        {.name = "kind", .kind = 3, .width = 8},
        {.name = "width", .width = 0},
        {.name = "wide", .width = UINT32_MAX},
        {.name = "heads", .width = 8, .heads = 3},
        {.name = "heads", .width = 8, .heads = UINT32_MAX},
        {.name = "window", .kind = ZOO_RING, .width = 8},
        {.name = "window", .kind = ZOO_RING, .width = 8, .window = UINT32_MAX},
        {.name = "stride", .width = 8, .stride = UINT32_MAX},
        {.name = "dtype", .width = 8, .dtype_min = ZOO_F16},
        {.width = 0}};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(bad); i++) {
        zoo_cache_pool *pool = new_pool(ZOO_F32, 0, 64, 2, 100);
        zoo_cache *cache;
        zoo_error err;
        assert_int_equal(zoo_cache_pool_add(pool, &bad[i], 1, &cache, &err), ZOO_E_PLUGIN);
        assert_null(cache);
        assert_non_null(strstr(err.text, bad[i].name ? bad[i].name : "?"));
        zoo_cache_pool_free(pool);
    }
}

static void hostile_sizes(void **state)
{
    static const zoo_limits bad[] = {{.rows_max = 0, .seqs_max = 1, .context_max = 1},
                                     {.rows_max = 1, .seqs_max = 0, .context_max = 1},
                                     {.rows_max = 1, .seqs_max = 1, .context_max = 0},
                                     {.rows_max = UINT32_MAX, .seqs_max = 1, .context_max = 1},
                                     {.rows_max = 1, .seqs_max = UINT32_MAX, .context_max = 1},
                                     {.rows_max = 1, .seqs_max = 1, .context_max = UINT32_MAX}};
    const zoo_stream wide = {.kind = ZOO_ROWS, .width = 1 << 26, .heads = 1 << 26};
    const zoo_stream big = {.kind = ZOO_STATE, .width = 1 << 26};
    const zoo_stream ring = {.kind = ZOO_RING, .width = 4096, .window = 1 << 30};
    const zoo_stream *const streams[] = {&wide, &big, &ring};
    zoo_cache_pool *pool;
    zoo_error err;
    (void)state;
    for (size_t i = 0; i <= ZOO_COUNT(bad); i++) {
        zoo_cache_options o = {.limits = {.rows_max = 1, .seqs_max = 1, .context_max = 1}};
        if (i < ZOO_COUNT(bad)) {
            o.limits = bad[i];
            o.kinds.kind = zoo_cache_kinds[ZOO_F32];
        }
        assert_int_equal(zoo_cache_pool_new(&o, &pool, &err), ZOO_E_USAGE);
        assert_null(pool);
    }
    for (size_t i = 0; i < ZOO_COUNT(streams); i++) {
        zoo_cache *cache;
        zoo_status status = ZOO_OK;
        pool = new_pool(ZOO_F32, 0, 1 << 24, 1 << 20, 1 << 30);
        for (uint32_t n = 0; n < 2000 && status == ZOO_OK; n++) {
            status = zoo_cache_pool_add(pool, streams[i], 1, &cache, &err);
        }
        assert_true(status == ZOO_OK || status == ZOO_E_LIMIT);
        assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_E_MEMORY);
        uint32_t slot;
        assert_int_equal(zoo_cache_seq_open(pool, 1, &slot, &err), ZOO_E_INTERNAL);
        zoo_cache_pool_free(pool);
    }
}

static void too_many_groups(void **state)
{
    zoo_cache_pool *pool = new_pool(ZOO_F32, 0, 64, 2, 100);
    zoo_status status = ZOO_OK;
    zoo_cache *cache;
    zoo_error err;
    uint32_t n = 0;
    (void)state;
    while (n < 100 && status == ZOO_OK) {
        const zoo_stream ring = {.kind = ZOO_RING, .width = 8, .window = ++n};
        status = zoo_cache_pool_add(pool, &ring, 1, &cache, &err);
    }
    assert_int_equal(status, ZOO_E_PLUGIN);
    assert_true(n > 8);
    zoo_cache_pool_free(pool);
    zoo_cache_pool_free(NULL);
}

/* Every call for memory of building a pool fails once: a status, and nothing is left behind. */
static void memory_fails(void **state)
{
    zoo_cache_options options = {.kinds.kind = zoo_cache_kinds[ZOO_F32],
                                 .limits = {.rows_max = 64, .seqs_max = 3, .context_max = 300}};
    int64_t n = 0;
    zoo_status status = ZOO_E_MEMORY;
    (void)state;
    while (status != ZOO_OK) {
        zoo_cache_pool *pool = NULL;
        zoo_cache *cache;
        zoo_error err;
        zoo_mem_fail_at(++n);
        status = zoo_cache_pool_new(&options, &pool, &err);
        for (int i = 0; i < 3 && status == ZOO_OK; i++) {
            status = zoo_cache_pool_add(pool, i == 1 ? &held : &plain, 1, &cache, &err);
        }
        if (status == ZOO_OK) {
            status = zoo_cache_pool_fix(pool, &err);
        }
        assert_true(status == ZOO_OK || status == ZOO_E_MEMORY);
        zoo_cache_pool_free(pool);
    }
    zoo_mem_fail_at(0);
    assert_int_equal(n, 5);
}

static size_t resident_bytes(void)
{
    size_t size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%zu %zu", &size, &resident) != 2) {
        resident = 0;
    }
    if (file) {
        (void)fclose(file);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* No call after fix allocates, and unused pages have no memory after them. */
static void memory_is_lazy(void **state)
{
    const zoo_stream streams[] = {plain,
                                  {.kind = ZOO_ROWS, .width = 4096, .heads = 8},
                                  {.kind = ZOO_RING, .width = 4096, .heads = 8, .window = 4096},
                                  held};
    size_t before = resident_bytes();
    zoo_cache_pool *pool = new_pool(ZOO_F32, (size_t)40 << 30, 512, 64, 1 << 20);
    zoo_cache *cache = fixed_pool(pool, streams, 4);
    uint32_t slots[64], prefix;
    zoo_error err;
    (void)state;
    zoo_mem_fail_at(0);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(zoo_cache_seq_open(pool, 10000, &slots[i], &err), ZOO_OK);
        write_rows(pool, cache, slots[i], 0, 64, 1);
    }
    assert_int_equal(zoo_cache_prefix_keep(pool, slots[0], 64, &prefix, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open_at(pool, 10000, prefix, 64, &slots[8], &err), ZOO_OK);
    zoo_cache_prefix_drop(pool, prefix);
    assert_int_equal(zoo_mem_calls(), 0);
    assert_true(zoo_cache_pool_use(pool).mapped > (size_t)30 << 30);
    assert_true(zoo_cache_pool_use(pool).mapped < (size_t)41 << 30);
    assert_true(resident_bytes() < before + ((size_t)64 << 20));
    zoo_cache_pool_free(pool);
}

typedef struct worker {
    zoo_cache_pool *pool;
    zoo_cache *cache;
    uint32_t slot, turn;
    uint32_t n_wrong;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    const zoo_seq seq = {.slot = w->slot};
    float mark = (float)(w->slot + 1), x[100][8];
    for (uint32_t i = 0; i < 100; i++) {
        for (uint32_t j = 0; j < 8; j++) {
            x[i][j] = (float)(w->turn * 100 + i) * mark + (float)j;
        }
    }
    w->cache->put(w->cache, 0, &seq, w->turn * 100, 100, x[0], 8);
    w->cache->state(w->cache, 1, &seq)[5] += mark;
    for (uint32_t row = 0; row < (w->turn + 1) * 100; row++) {
        w->n_wrong += read_row(w->cache, w->slot, row) != (float)row * mark;
    }
    return NULL;
}

static void threads(void **state)
{
    const zoo_stream streams[] = {plain, held};
    zoo_cache_pool *pool = new_pool(ZOO_F32, 0, 100, 4, 2000);
    zoo_cache *cache = fixed_pool(pool, streams, 2);
    pthread_t ids[4];
    worker workers[4];
    zoo_error err;
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        workers[i] = (worker){pool, cache, 0, 0, 0};
        assert_int_equal(zoo_cache_seq_open(pool, 2000, &workers[i].slot, &err), ZOO_OK);
    }
    for (uint32_t turn = 0; turn < 20; turn++) {
        for (uint32_t i = 0; i < 4; i++) {
            workers[i].turn = turn;
            assert_int_equal(zoo_cache_seq_extend(pool, workers[i].slot, turn * 100, 100, &err),
                             ZOO_OK);
        }
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
        }
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(ids[i], NULL), 0);
            assert_int_equal(workers[i].n_wrong, 0);
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        const zoo_seq seq = {.slot = workers[i].slot};
        assert_true(cache->state(cache, 1, &seq)[5] == 20.0F * (float)(workers[i].slot + 1));
    }
    zoo_cache_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rings_turn),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(rings_need_room),
                                       cmocka_unit_test(states_begin_at_zero),
                                       cmocka_unit_test(prefix_is_shared),
                                       cmocka_unit_test(prefix_is_cut),
                                       cmocka_unit_test(some_prefixes_are_whole),
                                       cmocka_unit_test(owner_leaves_kept_pages),
                                       cmocka_unit_test(prefixes_take_no_ring),
                                       cmocka_unit_test(cost),
                                       cmocka_unit_test(hostile_streams),
                                       cmocka_unit_test(hostile_sizes),
                                       cmocka_unit_test(too_many_groups),
                                       cmocka_unit_test(memory_fails),
                                       cmocka_unit_test(memory_is_lazy),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
