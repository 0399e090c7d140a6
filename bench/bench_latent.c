/*
 * bench_latent.c: cache size of latent attention, and the time that choosing keys saves.
 *
 *   bench_latent [CACHE [WEIGHTS]]        defaults: bf16 bf16
 *
 * First table: bytes that one token and layer take in the cache, as a latent and as keys and values
 * of every head, for the shapes of releases. Second table: a model of random weights (4 layers, 32
 * heads of 128 + 64 over a latent of 512, an indexer of 16 heads of 128 that chooses 2048 keys; the
 * proportions of the release with 128 and 64 heads) decodes one token after caches of random rows.
 * The same weights run twice: index_topk 2048, and past every context. Processor milliseconds of
 * all layers on one thread, each the least of several steps, so that a busy machine does not matter
 * much. Times are taken around the parallel loops of the block; which part of attention a loop is
 * follows from the kernels it calls. Markdown.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_set.h"
#include "engine/engine_private.h"

enum {
    HIDDEN = 1024,
    LAYERS = 4,
    HEADS = 32,
    Q_LORA = 512,
    KV_LORA = 512,
    NOPE = 128,
    ROPE = 64,
    VALUE = 128,
    INDEX_HEADS = 16,
    INDEX_DIM = 128,
    TOP_K = 2048,
    WIDTH = 1024,
    VOCAB = 512,
    ROWS = 512,
    STEPS = 6,
    LENGTH_MAX = 65536,
    TENSORS_MAX = 128
};

static const uint32_t lengths[] = {1024, 2048, 4096, 8192, 16384, 32768, LENGTH_MAX};
enum { N_LENGTHS = 7 };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Uniform in -scale .. scale. */
static void fill(float *x, size_t n, float scale)
{
    static uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        x[i] = scale * ((float)(seed >> 40) / 8388608.0f - 1.0f);
    }
}

/* A checkpoint with random weights, while it is written. */
typedef struct checkpoint {
    zoo_tensor tensors[TENSORS_MAX];
    uint32_t n;
    bool failed;
} checkpoint;

/* A matrix, scaled by its width; cols 0: a vector of ones. */
static void add(checkpoint *c, const char *path, const char *name, uint64_t rows, uint64_t cols)
{
    char *full = malloc(128);
    uint64_t n = rows * (cols ? cols : 1);
    float *x = malloc(n * sizeof *x);
    if (!full || !x || c->n == TENSORS_MAX) {
        c->failed = true;
        free(full);
        free(x);
        return;
    }
    (void)snprintf(full, 128, "%s%s.weight", path, name);
    fill(x, n, 0.05f);
    for (uint64_t i = 0; i < n && !cols; i++) {
        x[i] = 1.0f;
    }
    c->tensors[c->n++] = (zoo_tensor){.name = full,
                                      .dtype_name = "F32",
                                      .data = x,
                                      .n_bytes = n * sizeof *x,
                                      .n_items = n,
                                      .dims = {rows, cols},
                                      .n_dims = cols ? 2 : 1,
                                      .dtype = ZOO_F32};
}

static void add_layer(checkpoint *c, uint32_t layer)
{
    char path[64], attn[80], index[96];
    (void)snprintf(path, sizeof path, "model.layers.%u.", layer);
    (void)snprintf(attn, sizeof attn, "%sself_attn.", path);
    (void)snprintf(index, sizeof index, "%sindexer.", attn);
    add(c, path, "input_layernorm", HIDDEN, 0);
    add(c, path, "post_attention_layernorm", HIDDEN, 0);
    add(c, path, "mlp.gate_proj", WIDTH, HIDDEN);
    add(c, path, "mlp.up_proj", WIDTH, HIDDEN);
    add(c, path, "mlp.down_proj", HIDDEN, WIDTH);
    add(c, attn, "q_a_proj", Q_LORA, HIDDEN);
    add(c, attn, "q_a_layernorm", Q_LORA, 0);
    add(c, attn, "q_b_proj", HEADS * (NOPE + ROPE), Q_LORA);
    add(c, attn, "kv_a_proj_with_mqa", KV_LORA + ROPE, HIDDEN);
    add(c, attn, "kv_a_layernorm", KV_LORA, 0);
    add(c, attn, "kv_b_proj", HEADS * (NOPE + VALUE), KV_LORA);
    add(c, attn, "o_proj", HIDDEN, HEADS * VALUE);
    add(c, index, "wq_b", INDEX_HEADS * INDEX_DIM, Q_LORA);
    add(c, index, "wk", INDEX_DIM, HIDDEN);
    add(c, index, "weights_proj", INDEX_HEADS, HIDDEN);
    add(c, index, "k_norm", INDEX_DIM, 0);
    add(c, index, "k_norm", INDEX_DIM, 0);
    if (!c->failed) { /* the bias of the same norm */
        zoo_tensor *t = &c->tensors[c->n - 1];
        char *name = (char *)(uintptr_t)t->name;
        (void)snprintf(name, 128, "%sk_norm.bias", index);
    }
}

static bool write_config(const char *folder, uint32_t top_k)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    if (!f) {
        return false;
    }
    (void)fprintf(f,
                  "{\"model_type\": \"deepseek_v32\", \"hidden_size\": %d, "
                  "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
                  "\"intermediate_size\": %d, \"q_lora_rank\": %d, \"kv_lora_rank\": %d, "
                  "\"qk_nope_head_dim\": %d, \"qk_rope_head_dim\": %d, \"v_head_dim\": %d, "
                  "\"index_n_heads\": %d, \"index_head_dim\": %d, \"index_topk\": %u, "
                  "\"first_k_dense_replace\": %d, \"vocab_size\": %d, \"rms_norm_eps\": 1e-6, "
                  "\"rope_theta\": 10000.0, \"tie_word_embeddings\": true, "
                  "\"max_position_embeddings\": %d}\n",
                  HIDDEN, LAYERS, HEADS, WIDTH, Q_LORA, KV_LORA, NOPE, ROPE, VALUE, INDEX_HEADS,
                  INDEX_DIM, top_k, LAYERS, VOCAB, LENGTH_MAX + ROWS);
    return fclose(f) == 0;
}

static bool write_weights(const char *folder)
{
    checkpoint c = {.n = 0};
    char path[600];
    zoo_error err = {0};
    add(&c, "model.", "embed_tokens", VOCAB, HIDDEN);
    add(&c, "model.", "norm", HIDDEN, 0);
    for (uint32_t i = 0; i < LAYERS; i++) {
        add_layer(&c, i);
    }
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    bool done = !c.failed && zoo_tensors_write(path, c.tensors, c.n, &err) == ZOO_OK;
    for (uint32_t i = 0; i < c.n; i++) {
        free((void *)(uintptr_t)c.tensors[i].name);
        free((void *)(uintptr_t)c.tensors[i].data);
    }
    if (!done) {
        (void)fprintf(stderr, "%s cannot be made: %s\n", folder, err.text);
    }
    return done;
}

/* Random rows from .. to - 1 in every stream that grows. */
static zoo_status fill_rows(zoo_engine *e, uint32_t seq, uint32_t from, uint32_t to, float *x)
{
    zoo_seq at = {.n = to - from, .pos = from, .n_prompt = to, .n_total = to, .slot = seq};
    ZOO_TRY(zoo_cache_seq_extend(e->model.cache, seq, from, to - from, NULL));
    for (uint32_t i = 0; i < e->model.n_bounds; i++) {
        const zoo_bound *b = e->model.bounds[i];
        zoo_stream streams[ZOO_STREAMS_MAX] = {{0}};
        uint32_t n = b->ops->streams ? b->ops->streams(b->params, streams) : 0;
        for (uint32_t s = 0; s < n; s++) {
            if (streams[s].kind == ZOO_ROWS) {
                b->cache->put(b->cache, s, &at, from, at.n, x, streams[s].width);
            }
        }
    }
    e->states[seq].length = to;
    return ZOO_OK;
}

static zoo_status step(zoo_engine *e, uint32_t seq, const int32_t *tokens, uint32_t n)
{
    zoo_error err = {0};
    zoo_item item = {.seq = seq, .n = n, .tokens = tokens, .want = ZOO_WANT_LAST};
    zoo_status status = zoo_engine_step(e, &item, 1, &err);
    if (status != ZOO_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    return status;
}

/* Parts of a step, in milliseconds. A loop is identified by the kernels that it calls; choosing
 * calls none and follows scoring. */
enum { PART_OTHER, PART_CHOOSE, PART_ATTEND, PART_SCORE, N_PARTS };

typedef struct parts {
    double ms[N_PARTS], all; /* all: the attention blocks, projections too */
} parts;

static parts spent;
static int loop_part;
static zoo_ctx plain_ctx;
static const zoo_kernels *plain;
static const zoo_block_ops *latent;

static void timed_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                          const float *x, float *y, const zoo_span *span)
{
    double begin = now();
    latent->forward(ctx, params, weights, cache, x, y, span);
    spent.all += 1e3 * (now() - begin);
}

static void timed_parallel(zoo_ctx *ctx, uint32_t n, zoo_task *fn, void *arg)
{
    double begin = now();
    loop_part = loop_part == PART_SCORE ? PART_CHOOSE : PART_OTHER;
    plain_ctx.parallel(ctx, n, fn, arg);
    spent.ms[loop_part] += 1e3 * (now() - begin);
}

static void see(int part)
{
    loop_part = part > loop_part ? part : loop_part;
}

static void seen_attend(const zoo_attend_args *args)
{
    see(PART_ATTEND);
    plain->attend(args);
}

static void seen_part(const zoo_attend_args *args, float *sums)
{
    see(PART_ATTEND);
    plain->attend_part(args, sums);
}

static void seen_join(const zoo_attend_args *args, const float *const *sums, uint32_t n_sums)
{
    see(PART_ATTEND);
    plain->attend_join(args, sums, n_sums);
}

static void seen_index(const zoo_index_args *args)
{
    see(PART_SCORE);
    plain->index(args);
}

/* Puts clocks around the attention blocks and their loops. */
static void time_blocks(zoo_engine *e)
{
    static zoo_block_ops timed;
    static zoo_kernels watched;
    for (uint32_t i = 0; i < e->model.n_bounds; i++) {
        zoo_bound *b = e->model.bounds[i];
        if (b->ops && strcmp(b->ops->name, "mla") == 0) {
            latent = b->ops;
            timed = *b->ops;
            timed.forward = timed_forward;
        }
    }
    for (uint32_t i = 0; i < e->model.n_bounds; i++) {
        e->model.bounds[i]->ops =
            e->model.bounds[i]->ops == latent ? &timed : e->model.bounds[i]->ops;
    }
    plain_ctx = e->step.ctx;
    plain = plain_ctx.kernels;
    watched = *plain;
    watched.attend = seen_attend;
    watched.attend_part = seen_part;
    watched.attend_join = seen_join;
    watched.index = seen_index;
    e->step.ctx.kernels = &watched;
    e->step.ctx.parallel = timed_parallel;
}

static void keep_least(parts *to)
{
    for (int i = 0; i < N_PARTS; i++) {
        to->ms[i] = spent.ms[i] < to->ms[i] ? spent.ms[i] : to->ms[i];
    }
    to->all = spent.all < to->all ? spent.all : to->all;
}

/* The least times of attention for a token after `length` positions. */
static bool decode_at(zoo_engine *e, uint32_t length, parts *out)
{
    static const int32_t tokens[16];
    static float x[ROWS * KV_LORA];
    uint32_t seq;
    *out = (parts){.ms = {1e9, 1e9, 1e9, 1e9}, .all = 1e9};
    if (zoo_engine_seq_open(e, length, length + STEPS, &seq, NULL) != ZOO_OK) {
        return false;
    }
    fill(x, ZOO_COUNT(x), 1.0f);
    zoo_status status = step(e, seq, tokens, 16);
    for (uint32_t from = 16; from < length && status == ZOO_OK; from += ROWS) {
        status = fill_rows(e, seq, from, from + ROWS < length ? from + ROWS : length, x);
    }
    for (uint32_t i = 0; i < STEPS && status == ZOO_OK; i++) {
        spent = (parts){.all = 0};
        status = step(e, seq, tokens, 1);
        keep_least(out);
    }
    zoo_engine_seq_close(e, seq);
    return status == ZOO_OK;
}

/* "<folder of the program>/../<name>" */
static const char *beside(const char *program, const char *name, char *path, size_t n)
{
    const char *slash = strrchr(program, '/');
    (void)snprintf(path, n, "%.*s/../%s", slash ? (int)(slash - program) : 1, slash ? program : ".",
                   name);
    return path;
}

static bool measure(const char *folder, char **argv, int argc, parts *out)
{
    char plugins[600], cards[600];
    zoo_error err = {0};
    zoo_engine *e = NULL;
    const zoo_engine_options options = {
        .n_threads = 1,
        .cache = argc > 1 ? argv[1] : "bf16",
        .weights = argc > 2 ? argv[2] : "bf16",
        .plugin_dir = beside(argv[0], "plugins", plugins, sizeof plugins),
        .card_dir = beside(argv[0], "models.d", cards, sizeof cards),
        .rows_max = ROWS,
        .seqs_max = 1,
        .context_max = LENGTH_MAX + STEPS,
        .quiet = true};
    if (zoo_engine_open(folder, &options, &e, &err) != ZOO_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return false;
    }
    time_blocks(e);
    bool done = true;
    for (uint32_t i = 0; i < N_LENGTHS && done; i++) {
        done = decode_at(e, lengths[i], &out[i]);
    }
    zoo_engine_close(e);
    return done;
}

static void remove_model(const char *folder)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void print_bytes(void)
{
    static const struct {
        const char *name;
        uint32_t heads, nope, rope, v, latent, index;
    } shapes[] = {{"16 heads (V2-Lite)", 16, 128, 64, 128, 512, 0},
                  {"128 heads (V3)", 128, 128, 64, 128, 512, 0},
                  {"128 heads, indexer (V3.2)", 128, 128, 64, 128, 512, 128},
                  {"64 heads (Kimi-K2)", 64, 128, 64, 128, 512, 0},
                  {"64 heads, indexer (GLM-5)", 64, 192, 64, 256, 512, 128},
                  {"40 heads (MiniCPM3)", 40, 64, 32, 64, 256, 0}};
    (void)printf("| shape | latent and rope key, bf16 | latent in int8 | every head | 8 key-value "
                 "heads | every head / latent |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ZOO_COUNT(shapes); i++) {
        uint32_t head = shapes[i].nope + shapes[i].rope + shapes[i].v;
        uint32_t row = 2 * (shapes[i].latent + shapes[i].rope + shapes[i].index);
        uint32_t narrow = row - shapes[i].latent + 4, all = 2 * shapes[i].heads * head;
        (void)printf("| %s | %u | %u | %u | %u | %.1f |\n", shapes[i].name, row, narrow, all,
                     2 * 8 * head, (double)all / row);
    }
    (void)printf("\n");
}

/* Attention without projections. */
static double attention(const parts *p)
{
    return p->ms[PART_ATTEND] + p->ms[PART_SCORE] + p->ms[PART_CHOOSE];
}

static void print_times(const parts *chosen, const parts *dense)
{
    (void)printf(
        "| context | all keys | score | choose | gather, attend | %d chosen | times less | "
        "with projections: all keys | chosen | times less |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n",
        TOP_K);
    for (uint32_t i = 0; i < N_LENGTHS; i++) {
        const parts *c = &chosen[i], *d = &dense[i];
        (void)printf("| %u | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n",
                     lengths[i], attention(d), c->ms[PART_SCORE], c->ms[PART_CHOOSE],
                     c->ms[PART_ATTEND], attention(c), attention(d) / attention(c), d->all, c->all,
                     d->all / c->all);
    }
    for (uint32_t i = 1; i < N_LENGTHS; i++) {
        double before = attention(&dense[i - 1]) - attention(&chosen[i - 1]);
        double after = attention(&dense[i]) - attention(&chosen[i]);
        if (before <= 0 && after > 0) {
            (void)printf("\nChoosing pays from about %.0f tokens on.\n",
                         lengths[i - 1] +
                             (lengths[i] - lengths[i - 1]) * -before / (after - before));
        }
    }
}

int main(int argc, char **argv)
{
    static const uint32_t top_k[] = {TOP_K, 2 * LENGTH_MAX};
    static parts times[2][N_LENGTHS];
    const char *base = getenv("TMPDIR");
    char folder[500];
    print_bytes();
    (void)snprintf(folder, sizeof folder, "%s/lmzoo-latent-XXXXXX", base ? base : "/tmp");
    bool done = mkdtemp(folder) != NULL && write_weights(folder);
    for (size_t i = 0; i < 2 && done; i++) {
        done = write_config(folder, top_k[i]) && measure(folder, argv, argc, times[i]);
    }
    remove_model(folder);
    if (done) {
        print_times(times[0], times[1]);
    }
    return done ? 0 : 1;
}
