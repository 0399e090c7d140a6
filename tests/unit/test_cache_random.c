/*
 * test_cache_random.c: the paged caches against plain arrays, through long random histories of
 * opening, reading, repeating, restarting, sharing, saving and closing, for every kind of the host
 * and one of the test.
 */
#include "cache_pool.h"

enum { SEQS = 6, CONTEXT = 700, ROWS = 90, WIDTH_MAX = 24, STREAMS = 8, PREFIXES = 4 };

static const zoo_stream block_a[] = {
    {.name = "k", .kind = ZOO_ROWS, .width = 24, .heads = 3, .dtype_min = ZOO_INT4},
    {.name = "v", .kind = ZOO_ROWS, .width = 10, .heads = 2, .dtype_min = ZOO_INT8},
    {.name = "conv", .kind = ZOO_STATE, .width = 5, .heads = 1, .dtype_min = ZOO_INT4},
    {.name = "few", .kind = ZOO_ROWS, .width = 7, .heads = 1, .stride = 5, .dtype_min = ZOO_INT4}};
static const zoo_stream block_b[] = {
    {.name = "k", .kind = ZOO_RING, .width = 12, .heads = 4, .window = 100, .dtype_min = ZOO_INT4},
    {.name = "s", .kind = ZOO_STATE, .width = 33, .heads = 0},
    {.name = "r",
     .kind = ZOO_RING,
     .width = 9,
     .heads = 1,
     .window = 37,
     .stride = 3,
     .dtype_min = ZOO_BF16},
    {.name = "x", .kind = ZOO_ROWS, .width = 3, .heads = 0, .dtype_min = ZOO_F32}};

typedef struct memory {
    bool open;
    uint32_t length, length_max, begin;
    float rows[STREAMS][CONTEXT][WIDTH_MAX];
    float states[STREAMS][64];
} memory;

typedef struct world {
    uint64_t seed;
    const zoo_kernels *kernels;
    zoo_cache_pool *pool;
    zoo_cache *caches[2];
    memory seqs[SEQS];
    memory prefixes[PREFIXES];
    uint32_t prefix_of[PREFIXES];
    uint64_t n_steps, n_shared, n_refused, n_repeats;
} world;

static const zoo_stream *stream_of(uint32_t s)
{
    return s < 4 ? &block_a[s] : &block_b[s - 4];
}

static uint32_t stride_of(uint32_t s)
{
    return stream_of(s)->stride ? stream_of(s)->stride : 1;
}

static zoo_cache *cache_of(const world *w, uint32_t s)
{
    return w->caches[s / 4];
}

static void check_row(const world *w, uint32_t slot, uint32_t s, uint32_t row)
{
    const zoo_stream *stream = stream_of(s);
    const zoo_seq seq = {.slot = slot};
    const zoo_cache_ops *kind = cache_of(w, s)->kinds[s % 4];
    const zoo_kernels *k = w->kernels;
    uint32_t heads = stream->heads ? stream->heads : 1, part = stream->width / heads;
    for (uint32_t head = 0; head < heads; head++) {
        /* What the kind alone makes of the row, at its place in a page of any bytes. */
        static _Alignas(64) unsigned char page[ZOO_PAGE * (4 * WIDTH_MAX + 16)];
        float rotated[WIDTH_MAX], want[WIDTH_MAX], got[WIDTH_MAX];
        bool rotates = kind->flags & ZOO_CACHE_HADAMARD;
        const float *x = w->seqs[slot].rows[s][row] + head * part;
        zoo_segment at = cache_of(w, s)->get(cache_of(w, s), s % 4, &seq, head, row);
        assert_int_equal(at.row, row);
        assert_int_equal(at.at, row % ZOO_PAGE);
        assert_int_equal(at.n_rows, ZOO_PAGE - row % ZOO_PAGE);
        if (rotates) {
            k->hadamard(x, rotated, part, false);
        }
        kind->store(k, part, page, at.at, rotates ? rotated : x);
        kind->read(k, part, page, at.at, 1, want, part);
        kind->read(k, part, at.page, at.at, 1, got, part);
        assert_memory_equal(got, want, part * sizeof *got);
        if (rotates) {
            k->hadamard(want, want, part, true);
        }
        cache_of(w, s)->read(cache_of(w, s), s % 4, &seq, head, row, 1, got);
        assert_memory_equal(got, want, part * sizeof *got);
    }
}

/* All that a query at position `from` and later ones of the step may see. */
static void check_seq(const world *w, uint32_t slot, uint32_t from)
{
    const memory *m = &w->seqs[slot];
    const zoo_seq seq = {.slot = slot};
    for (uint32_t s = 0; s < STREAMS; s++) {
        const zoo_stream *stream = stream_of(s);
        if (stream->kind == ZOO_STATE) {
            assert_memory_equal(cache_of(w, s)->state(cache_of(w, s), s % 4, &seq), m->states[s],
                                stream->width * sizeof(float));
            continue;
        }
        uint32_t n = (m->length + stride_of(s) - 1) / stride_of(s), at = from / stride_of(s);
        uint32_t first =
            stream->kind == ZOO_RING && at + 1 > stream->window ? at + 1 - stream->window : 0;
        for (uint32_t row = first; row < n; row++) {
            check_row(w, slot, s, row);
        }
    }
}

static uint32_t find_open(world *w)
{
    uint32_t slot = draw_below(&w->seed, SEQS);
    return w->seqs[slot].open ? slot : SEQS;
}

/* One stream of one step, in up to three puts, out of rows that lie apart. */
static void put_stream(world *w, uint32_t slot, uint32_t s, uint32_t first, uint32_t last)
{
    memory *m = &w->seqs[slot];
    const zoo_seq seq = {.slot = slot};
    for (uint32_t row = first; row <= last; row++) {
        for (uint32_t i = 0; i < stream_of(s)->width; i++) {
            m->rows[s][row][i] = draw_float(&w->seed);
        }
    }
    for (uint32_t row = first; row <= last;) {
        uint32_t n = 1 + draw_below(&w->seed, last - row + 1);
        cache_of(w, s)->put(cache_of(w, s), s % 4, &seq, row, n, m->rows[s][row], WIDTH_MAX);
        row += n;
    }
}

static void step(world *w, uint32_t slot, uint32_t pos, uint32_t n)
{
    memory *m = &w->seqs[slot];
    zoo_error err;
    const zoo_seq seq = {.slot = slot};
    assert_int_equal(zoo_cache_seq_extend(w->pool, slot, pos, n, &err), ZOO_OK);
    m->begin = pos;
    m->length = pos + n;
    for (uint32_t s = 0; s < STREAMS; s++) {
        if (stream_of(s)->kind != ZOO_STATE) {
            put_stream(w, slot, s, pos / stride_of(s), (pos + n - 1) / stride_of(s));
            continue;
        }
        float *state = cache_of(w, s)->state(cache_of(w, s), s % 4, &seq);
        for (uint32_t i = 0; i < stream_of(s)->width; i++) {
            state[i] = m->states[s][i] = draw_float(&w->seed);
        }
    }
    check_seq(w, slot, pos);
    w->n_steps++;
}

static void do_step(world *w)
{
    uint32_t slot = find_open(w);
    if (slot == SEQS) {
        return;
    }
    memory *m = &w->seqs[slot];
    bool again = draw_below(&w->seed, 8) == 0;
    uint32_t pos = again ? m->begin + draw_below(&w->seed, m->length - m->begin + 1) : m->length;
    uint32_t room = m->length_max - pos, most = room < ROWS ? room : ROWS, n = 0;
    uint32_t to_page = ZOO_PAGE - pos % ZOO_PAGE;
    if (most == 0) {
        zoo_error err;
        assert_int_equal(zoo_cache_seq_extend(w->pool, slot, pos, 1, &err), ZOO_E_LIMIT);
        return;
    }
    switch (draw_below(&w->seed, 3)) {
    case 0:
        n = 1;
        break;
    case 1:
        n = to_page < most ? to_page : most;
        break;
    default:
        n = 1 + draw_below(&w->seed, most);
    }
    w->n_repeats += again && pos < m->length;
    step(w, slot, pos, n);
}

static void do_open(world *w)
{
    uint32_t slot, length_max = 1 + draw_below(&w->seed, CONTEXT);
    zoo_error err;
    zoo_status status = zoo_cache_seq_open(w->pool, length_max, &slot, &err);
    if (status != ZOO_OK) {
        assert_int_equal(status, ZOO_E_MEMORY);
        w->n_refused++;
        return;
    }
    assert_true(slot < SEQS && !w->seqs[slot].open);
    memset(&w->seqs[slot], 0, sizeof w->seqs[slot]);
    w->seqs[slot].open = true;
    w->seqs[slot].length_max = length_max;
    check_seq(w, slot, 0);
}

static void do_open_at(world *w)
{
    uint32_t slot, p = draw_below(&w->seed, PREFIXES);
    const memory *kept = &w->prefixes[p];
    zoo_error err;
    if (!kept->open) {
        return;
    }
    uint32_t length_max = kept->length + draw_below(&w->seed, CONTEXT - kept->length + 1);
    assert_int_equal(zoo_cache_prefix_length(w->pool, w->prefix_of[p]), kept->length);
    zoo_status status =
        zoo_cache_seq_open_at(w->pool, length_max, w->prefix_of[p], kept->length, &slot, &err);
    if (status != ZOO_OK) {
        assert_int_equal(status, ZOO_E_MEMORY);
        w->n_refused++;
        return;
    }
    assert_true(!w->seqs[slot].open);
    w->seqs[slot] = *kept;
    w->seqs[slot].length_max = length_max;
    check_seq(w, slot, kept->length);
    w->n_shared++;
}

static void do_keep(world *w)
{
    uint32_t slot = find_open(w), p = draw_below(&w->seed, PREFIXES);
    zoo_error err;
    if (slot == SEQS || w->prefixes[p].open) {
        return;
    }
    memory *m = &w->seqs[slot];
    bool some = m->length > 0;
    zoo_status status = zoo_cache_prefix_keep(w->pool, slot, m->length, &w->prefix_of[p], &err);
    if (status == ZOO_OK) {
        assert_true(some);
        m->begin = m->length;
        w->prefixes[p] = *m;
    } else {
        assert_int_equal(status, some ? ZOO_E_MEMORY : ZOO_E_USAGE);
        w->n_refused += some;
    }
}

static void do_drop(world *w)
{
    uint32_t p = draw_below(&w->seed, PREFIXES);
    if (w->prefixes[p].open) {
        zoo_cache_prefix_drop(w->pool, w->prefix_of[p]);
        w->prefixes[p].open = false;
    }
}

static void do_close(world *w)
{
    uint32_t slot = find_open(w);
    if (slot < SEQS) {
        zoo_cache_seq_close(w->pool, slot);
        w->seqs[slot].open = false;
    }
}

static void do_restart(world *w)
{
    uint32_t slot = find_open(w);
    zoo_error err;
    if (slot == SEQS) {
        return;
    }
    memory *m = &w->seqs[slot];
    zoo_status status = zoo_cache_seq_restart(w->pool, slot, &err);
    if (status == ZOO_OK) {
        uint32_t length_max = m->length_max;
        memset(m, 0, sizeof *m);
        m->open = true;
        m->length_max = length_max;
    } else {
        assert_int_equal(status, ZOO_E_MEMORY);
        w->n_refused++;
    }
    check_seq(w, slot, m->length);
}

static void act(world *w)
{
    static void (*const acts[])(world *) = {
        do_step, do_step,    do_step,    do_step,  do_step,  do_step, do_step, do_step,
        do_open, do_open_at, do_open_at, do_close, do_close, do_keep, do_keep, do_drop};
    if (draw_below(&w->seed, 60) == 0) {
        do_restart(w);
    } else {
        acts[draw_below(&w->seed, ZOO_COUNT(acts))](w);
    }
    uint32_t slot = find_open(w);
    if (slot < SEQS) {
        check_seq(w, slot, w->seqs[slot].length);
    }
}

static void open_world(world *w, const zoo_cache_ops *kind, size_t bytes_max)
{
    w->kernels = zoo_kernels_select("scalar", NULL);
    w->pool = new_pool_of(kind, bytes_max, ROWS, SEQS, CONTEXT);
    w->caches[0] = add_streams(w->pool, block_a, 4);
    w->caches[1] = add_streams(w->pool, block_b, 4);
}

static void live(const zoo_cache_ops *kind, bool tight)
{
    world *w = calloc(1, sizeof *w);
    zoo_error err;
    w->seed = 77 + kind->narrowness + tight * 10U;
    open_world(w, kind, 0);
    if (tight) {
        size_t bytes = zoo_cache_pool_cost(w->pool, CONTEXT).bytes_at * 5;
        zoo_cache_pool_free(w->pool);
        open_world(w, kind, bytes);
    }
    assert_int_equal(zoo_cache_pool_fix(w->pool, &err), ZOO_OK);
    for (uint32_t i = 0; i < 8000; i++) {
        act(w);
    }
    print_message("# %s: %llu steps, %llu repeated, %llu shared, %llu refused\n", kind->name,
                  (unsigned long long)w->n_steps, (unsigned long long)w->n_repeats,
                  (unsigned long long)w->n_shared, (unsigned long long)w->n_refused);
    assert_true(w->n_steps > 1000 && w->n_shared > 20 && w->n_repeats > 20);
    assert_true(w->n_refused > 20);
    for (uint32_t i = 0; i < SEQS; i++) {
        zoo_cache_seq_close(w->pool, i);
    }
    for (uint32_t i = 0; i < PREFIXES; i++) {
        if (w->prefixes[i].open) {
            zoo_cache_prefix_drop(w->pool, w->prefix_of[i]);
        }
    }
    assert_nothing_held(w->pool);
    zoo_cache_pool_free(w->pool);
    free(w);
}

static void lives_f32(void **state)
{
    (void)state;
    live(zoo_cache_kinds[ZOO_F32], false);
    live(zoo_cache_kinds[ZOO_F32], true);
}

static void lives_bf16(void **state)
{
    (void)state;
    live(zoo_cache_kinds[ZOO_BF16], false);
}

static void lives_int8(void **state)
{
    (void)state;
    live(zoo_cache_kinds[ZOO_INT8], false);
    live(zoo_cache_kinds[ZOO_INT8], true);
}

static void lives_int4(void **state)
{
    (void)state;
    live(zoo_cache_kinds[ZOO_INT4], true);
}

static void lives_of_a_plugin(void **state)
{
    (void)state;
    live(&marked_kind, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives_f32), cmocka_unit_test(lives_bf16),
                                       cmocka_unit_test(lives_int8), cmocka_unit_test(lives_int4),
                                       cmocka_unit_test(lives_of_a_plugin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
