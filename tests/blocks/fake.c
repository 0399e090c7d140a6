/* fake.c: see fake.h. Slow and plain on purpose. */
#include "fake.h"

#include "cache/kinds.h"
#include "kernels/select.h"
#include "model/pack.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char fake_refusal[256];

const zoo_kernels *test_kernels(void)
{
    zoo_error err = {0};
    const zoo_kernels *kernels = zoo_kernels_select("scalar", &err);
    assert_non_null(kernels);
    return kernels;
}

float fake_random(fake *f)
{
    f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(f->seed >> 40) / 8388608.0 - 1.0);
}

void *fake_keep(fake *f, size_t n)
{
    void *p = calloc(1, n + 64);
    assert_non_null(p);
    assert_true(f->n_kept < 8192);
    f->kept[f->n_kept++] = p;
    return p;
}

static void *take(zoo_ctx *ctx, size_t n)
{
    fake *f = ctx->host;
    size_t size = (n + 63u) & ~(size_t)63u;
    void *p = aligned_alloc(64, size + 64);
    assert_non_null(p);
    memset(p, 0x7f, size);
    f->taken += size;
    assert_true(f->n_pieces < 4096);
    f->pieces[f->n_pieces++] = p;
    return p;
}

/* Odd items backwards, then even ones: an order that no block may depend on. */
static void parallel(zoo_ctx *ctx, uint32_t n_items, zoo_task *fn, void *arg)
{
    for (uint32_t i = n_items; ctx->n_threads > 1 && i-- > 0;) {
        if (i % 2) {
            fn(arg, i, i % ctx->n_threads);
        }
    }
    for (uint32_t i = 0; i < n_items; i++) {
        if (ctx->n_threads == 1 || i % 2 == 0) {
            fn(arg, i, i % ctx->n_threads);
        }
    }
}

static void *memo(zoo_ctx *ctx, const void *key, size_t n, bool *fresh)
{
    fake *f = ctx->host;
    uint32_t i = 0;
    while (f->memos[i].key && f->memos[i].key != key) {
        i++;
    }
    assert_true(i < FAKE_MEMOS);
    *fresh = !f->memos[i].key;
    if (*fresh) {
        f->memos[i].key = key;
        f->memos[i].memory = malloc(n);
    }
    return f->memos[i].memory;
}

static float *row_at(const fake *f, uint32_t stream, const zoo_seq *seq, uint32_t head,
                     uint32_t row)
{
    uint32_t width = f->streams[stream].width / f->streams[stream].heads;
    return f->rows[stream][seq->slot] + ((size_t)head * FAKE_LENGTH + row) * width;
}

static void put(zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t row, uint32_t n,
                const float *x, size_t x_stride)
{
    fake *f = cache->host;
    uint32_t heads = f->streams[stream].heads, width = f->streams[stream].width / heads;
    assert_true(row + n <= FAKE_LENGTH);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t h = 0; h < heads; h++) {
            memcpy(row_at(f, stream, seq, h, row + i), x + i * x_stride + (size_t)h * width,
                   width * sizeof(float));
        }
    }
}

static zoo_segment get(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                       uint32_t row)
{
    const fake *f = cache->host;
    zoo_segment s = {
        .page = row_at(f, stream, seq, head, row), .n_rows = ZOO_PAGE - row % ZOO_PAGE, .row = row};
    uint32_t window = f->streams[stream].window;
    assert_true(row < seq->pos + seq->n);
    assert_true(f->streams[stream].kind != ZOO_RING || row + window > seq->pos);
    return s;
}

static void read_rows(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                      uint32_t row, uint32_t n, float *y)
{
    const fake *f = cache->host;
    size_t width = f->streams[stream].width / f->streams[stream].heads;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(y + i * width, get(cache, stream, seq, head, row + i).page, width * sizeof *y);
    }
}

static float *state(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq)
{
    const fake *f = cache->host;
    assert_int_equal(f->streams[stream].kind, ZOO_STATE);
    return f->rows[stream][seq->slot];
}

static void *setup_take(zoo_setup *setup, size_t n)
{
    return fake_keep(setup->host, n);
}

void fake_open(fake *f, const zoo_kernels *kernels, uint32_t n_threads)
{
    memset(f, 0, sizeof *f);
    f->seed = 12345;
    f->limits = (zoo_limits){sizeof(zoo_limits), FAKE_LENGTH, FAKE_SEQS, FAKE_LENGTH, n_threads};
    f->ctx = (zoo_ctx){.size = sizeof(zoo_ctx),
                       .n_threads = n_threads,
                       .kernels = kernels,
                       .host = f,
                       .take = take,
                       .parallel = parallel,
                       .memo = memo};
    f->cache = (zoo_cache){.size = sizeof(zoo_cache),
                           .kinds = f->kinds,
                           .host = f,
                           .put = put,
                           .get = get,
                           .state = state,
                           .read = read_rows};
    for (uint32_t s = 0; s < ZOO_STREAMS_MAX; s++) {
        f->kinds[s] = zoo_cache_kinds[ZOO_F32];
    }
    f->setup =
        (zoo_setup){.size = sizeof(zoo_setup), .host = f, .take = setup_take, .limits = &f->limits};
}

void fake_begin(fake *f)
{
    for (uint32_t i = 0; i < f->n_pieces; i++) {
        free(f->pieces[i]);
    }
    for (uint32_t i = 0; i < FAKE_MEMOS; i++) {
        free(f->memos[i].memory);
        f->memos[i].memory = NULL;
        f->memos[i].key = NULL;
    }
    f->n_pieces = 0;
    f->taken = 0;
}

void fake_close(fake *f)
{
    fake_begin(f);
    for (uint32_t i = 0; i < f->n_kept; i++) {
        free(f->kept[i]);
    }
}

void fake_streams(fake *f, const zoo_block_ops *ops, const void *params)
{
    f->cache.n_streams = ops->streams ? ops->streams(params, f->streams) : 0;
    for (uint32_t s = 0; s < f->cache.n_streams; s++) {
        for (uint32_t q = 0; q < FAKE_SEQS; q++) {
            size_t n = (size_t)FAKE_LENGTH * f->streams[s].width;
            f->rows[s][q] = fake_keep(f, n * sizeof(float));
            memset(f->rows[s][q], f->streams[s].kind == ZOO_STATE ? 0 : 0x7f, n * sizeof(float));
        }
    }
}

zoo_weight fake_pack(fake *f, const float *x, uint32_t rows, uint32_t cols)
{
    zoo_weight w = {f->weight_kind, rows, cols, zoo_pack_group(f->weight_kind), NULL, NULL, NULL};
    size_t scales = 0, size = zoo_pack_size(f->weight_kind, rows, cols, w.group, &scales);
    w.data = fake_keep(f, size);
    w.scales = scales ? fake_keep(f, scales) : NULL;
    for (uint32_t r = 0; r < rows; r += ZOO_PANEL) {
        uint32_t n = rows - r < ZOO_PANEL ? rows - r : ZOO_PANEL;
        zoo_pack_panel(&w, r / ZOO_PANEL, x + (size_t)r * cols, n);
    }
    return w;
}

static uint32_t param(const void *params, uint32_t offset, uint32_t fallback)
{
    uint32_t value = fallback;
    if (offset != ZOO_NONE) {
        memcpy(&value, (const char *)params + offset, sizeof value);
    }
    return value;
}

static const fake_tensor *make_tensor(fake *f, const zoo_bind *bind, const void *params)
{
    fake_tensor t = {bind->field, param(params, bind->rows, 1), param(params, bind->cols, 1),
                     param(params, bind->experts, 1), NULL};
    assert_null(fake_tensor_at(f, bind->field));
    assert_true(t.rows && t.cols && t.experts);
    size_t n = (size_t)t.rows * t.cols * t.experts;
    t.x = fake_keep(f, n * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        t.x[i] = fake_random(f) * (bind->kind == ZOO_BIND_VECTOR ? 1.0f : 0.4f);
    }
    assert_true(f->n_tensors < FAKE_MATRICES);
    f->tensors[f->n_tensors] = t;
    return &f->tensors[f->n_tensors++];
}

void *fake_bind(fake *f, const zoo_block_ops *ops, const void *params)
{
    char *weights = fake_keep(f, ops->weights_size);
    bool filled = false;
    f->n_tensors = 0;
    for (const zoo_bind *b = ops->binds; b->name; b++) {
        bool skip = filled;
        filled = false;
        if (skip || !param(params, b->when, 1)) {
            continue;
        }
        const fake_tensor *t = make_tensor(f, b, params);
        filled = (b->flags & ZOO_BIND_OR_NEXT) != 0;
        if (b->kind == ZOO_BIND_MATRIX) {
            zoo_dtype kind = f->weight_kind;
            f->weight_kind = b->flags & ZOO_BIND_EXACT ? ZOO_F32 : kind;
            *(zoo_weight *)(void *)(weights + b->field) = fake_pack(f, t->x, t->rows, t->cols);
            f->weight_kind = kind;
        } else if (b->kind == ZOO_BIND_EXPERTS) {
            zoo_weight *w = fake_keep(f, t->experts * sizeof *w);
            for (uint32_t e = 0; e < t->experts; e++) {
                w[e] = fake_pack(f, t->x + (size_t)e * t->rows * t->cols, t->rows, t->cols);
            }
            *(const zoo_weight **)(void *)(weights + b->field) = w;
        } else {
            *(const float **)(void *)(weights + b->field) = t->x;
        }
    }
    return weights;
}

const fake_tensor *fake_tensor_at(const fake *f, size_t field)
{
    for (uint32_t i = 0; i < f->n_tensors; i++) {
        if (f->tensors[i].field == field) {
            return &f->tensors[i];
        }
    }
    return NULL;
}

static void run_span(fake *f, const fake_run *run, const zoo_seq *seqs, uint32_t n_seqs,
                     const float *x, float *y)
{
    static uint32_t pos[FAKE_LENGTH * FAKE_SEQS], seq_of[FAKE_LENGTH * FAKE_SEQS];
    static int32_t tokens[FAKE_LENGTH * FAKE_SEQS];
    uint32_t n = 0;
    for (uint32_t s = 0; s < n_seqs; s++) {
        for (uint32_t i = 0; i < seqs[s].n; i++, n++) {
            pos[n] = seqs[s].pos + i;
            seq_of[n] = s;
        }
    }
    zoo_span span = {sizeof(zoo_span), n, n_seqs, 0, seqs, tokens, pos, seq_of};
    zoo_limits limits = f->limits;
    limits.rows_max = n;
    fake_begin(f);
    run->ops->forward(&f->ctx, run->params, run->weights, &f->cache, x, y, &span);
    if (run->ops->scratch) {
        assert_true(f->taken <= run->ops->scratch(run->params, &limits));
    }
}

void fake_forward(fake *f, const fake_run *run, const float *x, float *y)
{
    for (uint32_t done = 0; done < run->n; done += run->chunk) {
        uint32_t left = run->n - done;
        zoo_seq seq = {0,
                       left < run->chunk ? left : run->chunk,
                       run->pos + done,
                       run->pos + run->n,
                       run->pos + run->n,
                       run->slot};
        run_span(f, run, &seq, 1, x + (size_t)done * run->width_in,
                 y + (size_t)done * run->width_out);
    }
}

void fake_forward_batch(fake *f, const fake_run *run, const uint32_t *n, uint32_t n_seqs,
                        const float *x, float *y)
{
    zoo_seq seqs[FAKE_SEQS];
    uint32_t row = 0;
    for (uint32_t s = 0; s < n_seqs; s++) {
        seqs[s] = (zoo_seq){row, n[s], 0, n[s], n[s], s};
        row += n[s];
    }
    run_span(f, run, seqs, n_seqs, x, y);
}

double fake_nmse(const float *a, const double *b, size_t n)
{
    double num = 0, den = 0;
    for (size_t i = 0; i < n; i++) {
        num += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        den += b[i] * b[i];
    }
    return den > 0 ? num / den : num;
}

static const char *find(const zoo_config *config, const char *key)
{
    const fake_key *k = config->host;
    for (; k->key; k++) {
        if (strcmp(k->key, key) == 0) {
            return k->value;
        }
    }
    return NULL;
}

static zoo_value type_of(const zoo_config *config, const char *key)
{
    const char *v = find(config, key);
    if (!v) {
        return ZOO_ABSENT;
    }
    switch (v[0]) {
    case 'n':
        return ZOO_NULL;
    case 't':
    case 'f':
        return ZOO_BOOLEAN;
    case '"':
        return ZOO_STRING;
    case '[':
        return ZOO_ARRAY;
    case '{':
        return ZOO_OBJECT;
    default:
        return ZOO_NUMBER;
    }
}

static double number(const zoo_config *config, const char *key, double fallback)
{
    return type_of(config, key) == ZOO_NUMBER ? atof(find(config, key)) : fallback;
}

static uint32_t count(const zoo_config *config, const char *key)
{
    return type_of(config, key) == ZOO_ARRAY ? (uint32_t)atoi(find(config, key) + 1) : 0;
}

static bool flag(const zoo_config *config, const char *key, bool fallback)
{
    return type_of(config, key) == ZOO_BOOLEAN ? find(config, key)[0] == 't' : fallback;
}

static const char *text(const zoo_config *config, const char *key, const char *fallback)
{
    static char words[8][64];
    static uint32_t next;
    if (type_of(config, key) != ZOO_STRING) {
        return fallback;
    }
    char *word = words[next++ % 8];
    (void)snprintf(word, 64, "%s", find(config, key) + 1);
    return word;
}

ZOO_PRINTF(2, 3) static void refuse(const zoo_config *config, const char *format, ...)
{
    va_list args;
    (void)config;
    va_start(args, format);
    (void)vsnprintf(fake_refusal, sizeof fake_refusal, format, args);
    va_end(args);
}

zoo_config fake_config(const fake_key *keys)
{
    fake_refusal[0] = '\0';
    union {
        const fake_key *in;
        void *out;
    } host = {keys};
    return (zoo_config){.size = sizeof(zoo_config),
                        .host = host.out,
                        .type = type_of,
                        .count = count,
                        .number = number,
                        .flag = flag,
                        .text = text,
                        .refuse = refuse};
}
