/* kernels_slots.c: the slots outside the gemm group, each on one thread with data in the cache. */
#include "kernels.h"

#include "cache/kinds.h"

#include <stdlib.h>
#include <string.h>

enum { N = 4096, HEAD = 128, STATE = 128, KEYS = 2048 };

typedef struct job {
    const zoo_kernels *k;
    float *a, *b, *c, *d, *y;
    zoo_act act;
    uint32_t kind; /* of cache rows, by zoo_dtype */
    zoo_attend_args attend;
    zoo_conv_args conv;
    zoo_ssm_args ssm;
    zoo_scan_args scan;
    zoo_delta_args delta;
    volatile float sink;
} job;

static void run_rms_norm(void *arg)
{
    job *j = arg;
    zoo_norm_args n = {.x = j->a, .y = j->y, .weight = j->b, .n_rows = 1, .width = N, .eps = 1e-5f};
    j->k->rms_norm(&n);
}

static void run_layer_norm(void *arg)
{
    job *j = arg;
    zoo_norm_args n = {.x = j->a, .y = j->y, .weight = j->b, .bias = j->c, .eps = 1e-5f};
    n.n_rows = 1;
    n.width = N;
    j->k->layer_norm(&n);
}

static void run_act(void *arg)
{
    job *j = arg;
    j->k->act(j->act, j->a, j->y, N);
}

static void run_act_mul(void *arg)
{
    job *j = arg;
    j->k->act_mul(j->act, j->a, j->b, j->y, N);
}

static void run_axpy(void *arg)
{
    job *j = arg;
    j->k->axpy(1e-3f, j->a, j->y, N);
}

static void run_add(void *arg)
{
    job *j = arg;
    j->k->add(j->a, j->b, j->y, N);
}

static void run_dot(void *arg)
{
    job *j = arg;
    j->sink = j->k->dot(j->a, j->b, N);
}

static void run_softmax(void *arg)
{
    job *j = arg;
    j->k->softmax(j->a, j->y, N);
}

static void run_softcap(void *arg)
{
    job *j = arg;
    j->k->softcap(30.0f, j->a, j->y, N);
}

static void run_rope(void *arg)
{
    job *j = arg;
    zoo_rope_args r = {.x = j->y, .cos = j->b, .sin = j->c, .n_heads = N / HEAD};
    memcpy(j->y, j->a, N * sizeof(float));
    r.head_stride = HEAD;
    r.n_pairs = HEAD / 2;
    r.interleaved = j->kind != 0;
    j->k->rope(&r);
}

static void run_decode(void *arg)
{
    job *j = arg;
    j->k->decode((zoo_row_form)zoo_cache_kinds[j->kind]->form, j->d, 0, N / HEAD, HEAD, j->y, HEAD);
}

static void run_encode(void *arg)
{
    job *j = arg;
    zoo_row_form form = (zoo_row_form)zoo_cache_kinds[j->kind]->form;
    for (uint32_t row = 0; row < N / HEAD; row++) {
        j->k->encode(form, j->a + (size_t)row * HEAD, HEAD, j->d, row);
    }
}

static void run_hadamard(void *arg)
{
    job *j = arg;
    for (uint32_t row = 0; row < N / HEAD; row++) {
        j->k->hadamard(j->a + (size_t)row * HEAD, j->y + (size_t)row * HEAD, HEAD, false);
    }
}

static void run_topk(void *arg)
{
    job *j = arg;
    j->k->topk(j->a, 8 * N, 40, (uint32_t *)(void *)j->d);
}

static void run_attend(void *arg)
{
    job *j = arg;
    j->k->attend(&j->attend);
}

static void run_conv(void *arg)
{
    job *j = arg;
    j->k->conv(&j->conv);
}

static void run_ssm(void *arg)
{
    job *j = arg;
    j->k->ssm(&j->ssm);
}

static void run_scan(void *arg)
{
    job *j = arg;
    j->k->scan(&j->scan);
}

static void run_delta(void *arg)
{
    job *j = arg;
    j->k->delta(&j->delta);
}

static void figure(const bench *b, job *j, const char *slot, const char *shape, void (*fn)(void *),
                   double bytes, double operations)
{
    if (bench_wanted(b, slot)) {
        bench_print(b, slot, shape, bench_time(b, fn, j), bytes, operations, ZOO_F32);
    }
}

static void simple_slots(const bench *b, job *j)
{
    static const char *const acts[] = {"none",  "silu",    "gelu", "gelu_tanh", "relu",
                                       "relu2", "sigmoid", "tanh", "softplus",  "exp"};
    figure(b, j, "rms_norm", "4096", run_rms_norm, 4.0 * N, 4.0 * N);
    figure(b, j, "layer_norm", "4096", run_layer_norm, 4.0 * N, 7.0 * N);
    for (uint32_t a = 1; a < ZOO_ACT_COUNT; a++) {
        j->act = (zoo_act)a;
        figure(b, j, "act", acts[a], run_act, 4.0 * N, 1.0 * N);
    }
    j->act = ZOO_ACT_SILU;
    figure(b, j, "act_mul", "silu", run_act_mul, 8.0 * N, 2.0 * N);
    figure(b, j, "axpy", "4096", run_axpy, 8.0 * N, 2.0 * N);
    figure(b, j, "add", "4096", run_add, 8.0 * N, 1.0 * N);
    figure(b, j, "dot", "4096", run_dot, 8.0 * N, 2.0 * N);
    figure(b, j, "softmax", "4096", run_softmax, 4.0 * N, 2.0 * N);
    figure(b, j, "softcap", "4096", run_softcap, 4.0 * N, 1.0 * N);
    j->kind = ZOO_F32;
    figure(b, j, "rope", "halves", run_rope, 4.0 * N, 3.0 * N);
    j->kind = ZOO_BF16;
    figure(b, j, "rope", "pairs", run_rope, 4.0 * N, 3.0 * N);
    for (uint32_t d = 1; d < 4; d++) {
        j->kind = d;
        figure(b, j, "encode", zoo_cache_kinds[d]->name, run_encode, 4.0 * N, 1.0 * N);
        figure(b, j, "decode", zoo_cache_kinds[d]->name, run_decode, 4.0 * N, 1.0 * N);
    }
    figure(b, j, "hadamard", "32 rows of 128", run_hadamard, 4.0 * N, 7.0 * N);
    figure(b, j, "topk", "40 of 32768", run_topk, 32.0 * N, 8.0 * N);
}

static void attend_slots(const bench *b, job *j, uint32_t kind, uint32_t n_queries,
                         uint32_t n_heads)
{
    const zoo_cache_ops *ops = zoo_cache_kinds[kind];
    zoo_segment k[KEYS / ZOO_PAGE], v[KEYS / ZOO_PAGE];
    uint32_t first[KEYS] = {0};
    char shape[64];
    size_t page = ops->bytes(HEAD, ZOO_PAGE);
    unsigned char *pages = bench_take(2 * (KEYS / ZOO_PAGE) * page);
    for (uint32_t i = 0; i < 2 * KEYS / ZOO_PAGE; i++) {
        for (uint32_t row = 0; row < ZOO_PAGE; row++) {
            ops->store(b->k, HEAD, pages + i * page, row, j->a + (size_t)row * HEAD % N);
        }
        (i % 2 ? v : k)[i / 2] =
            (zoo_segment){.page = pages + i * page, .n_rows = ZOO_PAGE, .row = i / 2 * ZOO_PAGE};
    }
    size_t width = (size_t)n_heads * HEAD;
    float *q = bench_take(n_queries * width * 4), *out = bench_take(n_queries * width * 4);
    float *scratch = bench_take(zoo_attend_scratch(HEAD, HEAD) * 4);
    j->attend = (zoo_attend_args){.q = q,
                                  .out = out,
                                  .q_stride = width,
                                  .out_stride = width,
                                  .k = k,
                                  .v = v,
                                  .first = first,
                                  .n_segments = KEYS / ZOO_PAGE,
                                  .n_queries = n_queries,
                                  .n_heads = n_heads,
                                  .head_dim = HEAD,
                                  .v_dim = HEAD,
                                  .pos = KEYS - n_queries,
                                  .k_kind = ops,
                                  .v_kind = ops,
                                  .kernels = b->k,
                                  .scale = 0.1f,
                                  .scratch = scratch};
    (void)snprintf(shape, sizeof shape, "%s %u queries x %u heads, 2048 keys", ops->name, n_queries,
                   n_heads);
    figure(b, j, "attend", shape, run_attend, 2.0 * KEYS / ZOO_PAGE * (double)page,
           4.0 * KEYS * HEAD * n_queries * n_heads);
    free(pages);
    free(q);
    free(out);
    free(scratch);
}

static void state_slots(const bench *b, job *j)
{
    uint32_t t = 8;
    float *state = bench_take((size_t)STATE * N * 4);
    j->conv = (zoo_conv_args){.x = j->a, .y = j->y, .state = state, .weight = j->b, .bias = j->c};
    j->conv.n_rows = 2;
    j->conv.x_stride = j->conv.y_stride = N;
    j->conv.channels = j->conv.channel_end = N;
    j->conv.taps = 4;
    j->conv.act = ZOO_ACT_SILU;
    figure(b, j, "conv", "2 rows x 4096 x 4 taps", run_conv, 8.0 * N, 16.0 * N);
    j->ssm = (zoo_ssm_args){.x = j->a, .b = j->b, .c = j->c, .dt = j->a, .y = j->y};
    j->ssm.state = state;
    j->ssm.x_stride = j->ssm.b_stride = j->ssm.c_stride = j->ssm.y_stride = STATE;
    j->ssm.n_rows = t;
    j->ssm.head_dim = 64;
    j->ssm.state_size = STATE;
    j->ssm.a = -1;
    figure(b, j, "ssm", "8 rows x 64 x 128", run_ssm, 8.0 * t * 64 * STATE, 5.0 * t * 64 * STATE);
    j->scan = (zoo_scan_args){.x = j->a, .dt = j->a, .b = j->b, .c = j->c, .a = j->d, .d = j->b};
    j->scan.y = j->y;
    j->scan.state = state;
    j->scan.n_rows = 1;
    j->scan.channels = 1024;
    j->scan.state_size = 16;
    figure(b, j, "scan", "1 row x 1024 x 16", run_scan, 8.0 * 1024 * 16, 5.0 * 1024 * 16);
    j->delta = (zoo_delta_args){.q = j->a, .k = j->b, .v = j->c, .g = j->a, .beta = j->b};
    j->delta.o = j->y;
    j->delta.state = state;
    j->delta.n_rows = t;
    j->delta.k_dim = j->delta.v_dim = STATE;
    j->delta.g_dim = 1;
    figure(b, j, "delta", "8 rows x 128 x 128", run_delta, 8.0 * t * STATE * STATE,
           7.0 * t * STATE * STATE);
    free(state);
}

void bench_slots(const bench *b)
{
    job j = {.k = b->k};
    float *all = bench_take((size_t)44 * N * sizeof(float));
    j.a = all;
    j.b = all + 8 * N;
    j.c = all + 16 * N;
    j.d = all + 24 * N;
    j.y = all + 32 * N;
    simple_slots(b, &j);
    for (uint32_t d = 0; d < 4; d++) {
        attend_slots(b, &j, d, 1, 4);
    }
    attend_slots(b, &j, ZOO_F32, 1, 1);
    for (uint32_t d = 1; d < 4; d++) {
        attend_slots(b, &j, d, 64, 4);
    }
    state_slots(b, &j);
    free(all);
}
