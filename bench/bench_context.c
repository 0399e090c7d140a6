/*
 * bench_context.c: memory and time per position: state-space layers against attention.
 *
 *   bench_context [THREADS [CACHE [WEIGHTS]]]   (1 bf16 bf16)
 *
 * Makes two models of random weights: ten of the forty layers of granite-4-h-1b (hidden 1536, 12
 * heads over 4 of 128, 48 state-space heads of 64 x 128, feed-forward 4096), attention in one, as
 * in the release; and ten layers of the same attention, their feed-forward part wider so that there
 * are as many weights. All layers of a kind cost the same: forty take four times the memory of ten,
 * and four times the time but for the head. For each length the cache is filled with random rows,
 * without reading a prompt, and one sequence decodes. Prints, as Markdown, bytes that one sequence
 * remembers and milliseconds of CPU time per decoded token over the threads (the least of several
 * steps). Memory: 6 GiB.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_set.h"
#include "engine/engine_private.h"

enum {
    HIDDEN = 1536,
    LAYERS = 10,
    ATTENDS_AT = 5,
    HEADS = 12,
    KV_HEADS = 4,
    HEAD_DIM = 128,
    SSM_HEADS = 48,
    SSM_DIM = 64,
    STATES = 128,
    WIDTH = 4096,
    WIDTH_ATTENTION = 5728,
    VOCAB = 4096,
    INNER = SSM_HEADS * SSM_DIM,
    CHANNELS = INNER + 2 * STATES,
    ROWS = 512,
    STEPS = 8,
    LENGTH_MAX = 131072,
    TENSORS_MAX = 256
};

static const uint32_t lengths[] = {1024, 16384, LENGTH_MAX};

/* CPU time of the process: other programs disturb it less than wall time. */
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

/* kind 'm': a matrix, scaled by its width; '1': ones; 'a': logarithms of decays. */
static void add(checkpoint *c, uint32_t layer, const char *name, uint64_t rows, uint64_t cols,
                char kind)
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
    if (layer == ZOO_NONE) {
        (void)snprintf(full, 128, "model.%s", name);
    } else {
        (void)snprintf(full, 128, "model.layers.%u.%s", layer, name);
    }
    fill(x, n, kind == 'm' ? 0.03f : 0.5f);
    for (uint64_t i = 0; i < n && kind == '1'; i++) {
        x[i] = 1.0f;
    }
    zoo_tensor *t = &c->tensors[c->n++];
    *t = (zoo_tensor){.name = full,
                      .dtype_name = "F32",
                      .data = x,
                      .n_bytes = n * sizeof *x,
                      .n_items = n,
                      .dims = {rows, cols},
                      .n_dims = cols ? 2 : 1,
                      .dtype = ZOO_F32};
    if (strstr(name, "conv1d.weight")) {
        t->dims[1] = 1;
        t->dims[2] = cols;
        t->n_dims = 3;
    }
}

static void add_layer(checkpoint *c, uint32_t layer, bool attends, uint32_t width)
{
    add(c, layer, "input_layernorm.weight", HIDDEN, 0, '1');
    add(c, layer, "post_attention_layernorm.weight", HIDDEN, 0, '1');
    add(c, layer, "shared_mlp.input_linear.weight", 2 * width, HIDDEN, 'm');
    add(c, layer, "shared_mlp.output_linear.weight", HIDDEN, width, 'm');
    if (attends) {
        add(c, layer, "self_attn.q_proj.weight", HEADS * HEAD_DIM, HIDDEN, 'm');
        add(c, layer, "self_attn.k_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN, 'm');
        add(c, layer, "self_attn.v_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN, 'm');
        add(c, layer, "self_attn.o_proj.weight", HIDDEN, HEADS * HEAD_DIM, 'm');
        return;
    }
    add(c, layer, "mamba.in_proj.weight", INNER + CHANNELS + SSM_HEADS, HIDDEN, 'm');
    add(c, layer, "mamba.out_proj.weight", HIDDEN, INNER, 'm');
    add(c, layer, "mamba.conv1d.weight", CHANNELS, 4, 'a');
    add(c, layer, "mamba.conv1d.bias", CHANNELS, 0, 'm');
    add(c, layer, "mamba.norm.weight", INNER, 0, '1');
    add(c, layer, "mamba.A_log", SSM_HEADS, 0, 'a');
    add(c, layer, "mamba.D", SSM_HEADS, 0, '1');
    add(c, layer, "mamba.dt_bias", SSM_HEADS, 0, 'a');
}

static bool attends(uint32_t layer, uint32_t period)
{
    return layer % period == ATTENDS_AT % period;
}

static void write_config(FILE *f, uint32_t period, uint32_t width)
{
    (void)fprintf(f,
                  "{\"model_type\": \"granitemoehybrid\", \"hidden_size\": %d, "
                  "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
                  "\"num_key_value_heads\": %d, \"shared_intermediate_size\": %u, "
                  "\"vocab_size\": %d, \"mamba_n_heads\": %d, \"mamba_d_head\": %d, "
                  "\"mamba_d_state\": %d, \"mamba_d_conv\": 4, \"mamba_n_groups\": 1, "
                  "\"num_local_experts\": 0, \"tie_word_embeddings\": true, "
                  "\"rms_norm_eps\": 1e-5, \"max_position_embeddings\": %d, \"layer_types\": [",
                  HIDDEN, LAYERS, HEADS, KV_HEADS, width, VOCAB, SSM_HEADS, SSM_DIM, STATES,
                  LENGTH_MAX + ROWS);
    for (uint32_t i = 0; i < LAYERS; i++) {
        (void)fprintf(f, "%s\"%s\"", i ? ", " : "", attends(i, period) ? "attention" : "mamba");
    }
    (void)fputs("]}\n", f);
}

/* Makes the model in a folder; attention in every period-th layer. */
static bool make_model(const char *folder, uint32_t period, uint32_t width)
{
    checkpoint c = {.n = 0};
    char path[600];
    zoo_error err = {0};
    add(&c, ZOO_NONE, "embed_tokens.weight", VOCAB, HIDDEN, 'm');
    add(&c, ZOO_NONE, "norm.weight", HIDDEN, 0, '1');
    for (uint32_t i = 0; i < LAYERS; i++) {
        add_layer(&c, i, attends(i, period), width);
    }
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    bool done = f && !c.failed;
    if (f) {
        write_config(f, period, width);
        done = fclose(f) == 0 && done;
    }
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    done = done && zoo_tensors_write(path, c.tensors, c.n, &err) == ZOO_OK;
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

/* The least seconds of a decoded token after `length` positions; negative: failed. */
static double decode_at(zoo_engine *e, uint32_t length)
{
    static const int32_t tokens[16];
    uint32_t seq;
    double least = 1e9;
    float *x = malloc((size_t)ROWS * KV_HEADS * HEAD_DIM * sizeof *x);
    if (!x || zoo_engine_seq_open(e, length, length + STEPS, &seq, NULL) != ZOO_OK) {
        free(x);
        return -1;
    }
    fill(x, (size_t)ROWS * KV_HEADS * HEAD_DIM, 1.0f);
    zoo_status status = step(e, seq, tokens, 16);
    for (uint32_t from = 16; from < length && status == ZOO_OK; from += ROWS) {
        status = fill_rows(e, seq, from, from + ROWS < length ? from + ROWS : length, x);
    }
    for (uint32_t i = 0; i < STEPS && status == ZOO_OK; i++) {
        double begin = now();
        status = step(e, seq, tokens, 1);
        double seconds = now() - begin;
        least = seconds < least ? seconds : least;
    }
    zoo_engine_seq_close(e, seq);
    free(x);
    return status == ZOO_OK ? least : -1;
}

/* "<folder of the program>/../<name>" */
static const char *beside(const char *program, const char *name, char *path, size_t n)
{
    const char *slash = strrchr(program, '/');
    (void)snprintf(path, n, "%.*s/../%s", slash ? (int)(slash - program) : 1, slash ? program : ".",
                   name);
    return path;
}

static bool run(const char *folder, const char *name, char **argv, int argc)
{
    char plugins[600], cards[600];
    zoo_error err = {0};
    zoo_engine *e = NULL;
    const zoo_engine_options options = {
        .n_threads = argc > 1 ? (uint32_t)atoi(argv[1]) : 1,
        .cache = argc > 2 ? argv[2] : "bf16",
        .weights = argc > 3 ? argv[3] : "bf16",
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
    (void)printf("| %s | %.1f |", name, (double)e->model.stats.n_parameters / 1e6);
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        (void)printf(" %.2f |",
                     (double)zoo_cache_pool_cost(e->model.cache, lengths[i]).bytes_at / 1048576.0);
    }
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        (void)printf(" %.2f |", 1e3 * decode_at(e, lengths[i]) / options.n_threads);
        (void)fflush(stdout);
    }
    (void)printf("\n");
    zoo_engine_close(e);
    return true;
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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint32_t period, width;
    } models[] = {{"attention in every layer", 1, WIDTH_ATTENTION},
                  {"attention in every tenth", LAYERS, WIDTH}};
    const char *base = getenv("TMPDIR");
    bool done = true;
    (void)printf("| model | million weights | MiB at 1k | at 16k | at 128k | ms a token at 1k | at "
                 "16k | at 128k |\n"
                 "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ZOO_COUNT(models) && done; i++) {
        char folder[500];
        (void)snprintf(folder, sizeof folder, "%s/lmzoo-context-XXXXXX", base ? base : "/tmp");
        done = mkdtemp(folder) != NULL && make_model(folder, models[i].period, models[i].width) &&
               run(folder, models[i].name, argv, argc);
        remove_model(folder);
    }
    return done ? 0 : 1;
}
