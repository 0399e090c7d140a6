/*
 * bench_index.c: how often an indexer chooses other keys when its keys are stored narrower.
 *
 *   bench_index MODEL [LENGTH]        default: 256 positions
 *
 * Prompts of MODEL/reference.json are continued greedily up to LENGTH positions with float32
 * caches. At every query that chooses, each index key is also rounded to bf16, int8 and int4 as the
 * cache would store it, scored and chosen from again; the rest of the model keeps its float32
 * numbers, so differences do not add up. Markdown. MODEL: a folder whose layers have indexers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "blocks/choose.h"
#include "engine/engine_private.h"

enum { LENGTH_MAX = 4096, PROMPT_MAX = 512, N_KINDS = 3 };

static const zoo_dtype kinds[N_KINDS] = {ZOO_BF16, ZOO_INT8, ZOO_INT4};
static const char *const kind_names[N_KINDS] = {"bf16", "int8", "int4"};

typedef struct counts {
    uint64_t rows, other_rows[N_KINDS]; /* queries; those with another choice */
    uint64_t keys, other_keys[N_KINDS]; /* chosen keys; those that the other choice lacks */
} counts;

/* The current query, whose pages arrive one after the other. */
typedef struct query {
    const float *next; /* where its next score goes */
    uint32_t n;
    float exact[LENGTH_MAX], narrow[N_KINDS][LENGTH_MAX];
} query;

static const zoo_kernels *plain;
static uint32_t top_k;
static query now;
static counts total;

static bool has(const uint32_t *places, uint32_t n, uint32_t place)
{
    for (uint32_t i = 0; i < n; i++) {
        if (places[i] == place) {
            return true;
        }
    }
    return false;
}

/* Compares the choices of the current query and resets it. */
static void finish_query(void)
{
    static uint32_t exact[LENGTH_MAX], other[LENGTH_MAX];
    if (now.n > top_k) {
        zoo_choose(now.exact, now.n, top_k, exact);
        total.rows++;
        total.keys += top_k;
    }
    for (int k = 0; k < N_KINDS && now.n > top_k; k++) {
        uint32_t lacking = 0;
        zoo_choose(now.narrow[k], now.n, top_k, other);
        for (uint32_t i = 0; i < top_k; i++) {
            lacking += !has(other, top_k, exact[i]);
        }
        total.other_keys[k] += lacking;
        total.other_rows[k] += lacking != 0;
    }
    now.n = 0;
    now.next = NULL;
}

static void score_rounded(const zoo_index_args *args, zoo_dtype kind, float *score)
{
    static float keys[ZOO_PAGE * 1024];
    static unsigned char page[ZOO_PAGE * 4 * 1024];
    static float rotated[1024];
    const zoo_cache_ops *ops = zoo_cache_kinds[kind];
    zoo_index_args rounded = *args;
    for (uint32_t i = 0; i < args->n_keys; i++) {
        const float *x = args->keys + (size_t)i * args->dim;
        float *y = keys + (size_t)i * args->dim;
        bool rotates = ops->flags & ZOO_CACHE_HADAMARD;
        plain->hadamard(x, rotated, args->dim, false);
        ops->store(plain, args->dim, page, 0, rotates ? rotated : x);
        ops->read(plain, args->dim, page, 0, 1, y, args->dim);
        if (rotates) {
            plain->hadamard(y, y, args->dim, true);
        }
    }
    rounded.keys = keys;
    rounded.score = score;
    plain->index(&rounded);
}

static void watch_index(const zoo_index_args *args)
{
    plain->index(args);
    if (now.next != args->score) {
        finish_query();
    }
    if (now.n + args->n_keys > LENGTH_MAX || args->n_keys > ZOO_PAGE || args->dim > 1024) {
        return;
    }
    memcpy(now.exact + now.n, args->score, args->n_keys * sizeof(float));
    for (int k = 0; k < N_KINDS; k++) {
        score_rounded(args, kinds[k], now.narrow[k] + now.n);
    }
    now.n += args->n_keys;
    now.next = args->score + args->n_keys;
}

static int32_t best(const float *logits, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++) {
        at = logits[i] > logits[at] ? i : at;
    }
    return (int32_t)at;
}

/* Reads a prompt and continues it up to `length` positions. */
static zoo_status continue_prompt(zoo_engine *e, const int32_t *prompt, uint32_t n, uint32_t length)
{
    uint32_t seq;
    int32_t token;
    zoo_error err = {0};
    zoo_status status = zoo_engine_seq_open(e, n, length + 1, &seq, &err);
    zoo_item item = {.seq = seq, .n = n, .tokens = prompt, .want = ZOO_WANT_LAST};
    for (uint32_t at = n; status == ZOO_OK && at < length; at++) {
        status = zoo_engine_step(e, &item, 1, &err);
        if (status == ZOO_OK) {
            token = best(item.logits, zoo_engine_plan(e)->vocab_size);
            item = (zoo_item){.seq = seq, .n = 1, .tokens = &token, .want = ZOO_WANT_LAST};
        }
    }
    if (status != ZOO_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return status;
    }
    finish_query();
    zoo_engine_seq_close(e, seq);
    return ZOO_OK;
}

static zoo_status continue_list(zoo_engine *e, const cJSON *list, uint32_t length)
{
    const cJSON *entry = NULL, *id = NULL;
    cJSON_ArrayForEach(entry, list)
    {
        int32_t prompt[PROMPT_MAX];
        uint32_t n = 0;
        cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(entry, "input_ids"))
        {
            if (n < PROMPT_MAX) {
                prompt[n++] = (int32_t)id->valuedouble;
            }
        }
        if (n) {
            ZOO_TRY(continue_prompt(e, prompt, n, length));
        }
    }
    return ZOO_OK;
}

/* The choice of the first layer that has an indexer, from the model's config. */
static uint32_t read_top_k(const char *folder, zoo_error *err)
{
    char path[1200];
    cJSON *config = NULL;
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    if (zoo_json_read(path, 1 << 22, &config, err) != ZOO_OK) {
        return 0;
    }
    const cJSON *k = cJSON_GetObjectItemCaseSensitive(config, "index_topk");
    uint32_t value = cJSON_IsNumber(k) && k->valuedouble > 0 && k->valuedouble < LENGTH_MAX
                         ? (uint32_t)k->valuedouble
                         : 0;
    cJSON_Delete(config);
    return value;
}

static zoo_status run(const char *program, const char *folder, uint32_t length, zoo_error *err)
{
    char path[1200], plugins[1200], cards[1200];
    const char *slash = strrchr(program, '/');
    int n = slash ? (int)(slash - program) : 1;
    cJSON *reference = NULL;
    zoo_engine *e = NULL;
    (void)snprintf(plugins, sizeof plugins, "%.*s/../plugins", n, slash ? program : ".");
    (void)snprintf(cards, sizeof cards, "%.*s/../models.d", n, slash ? program : ".");
    (void)snprintf(path, sizeof path, "%s/reference.json", folder);
    const zoo_engine_options options = {.weights = "f32",
                                        .cache = "f32",
                                        .n_threads = 1,
                                        .seqs_max = 1,
                                        .context_max = length + 1,
                                        .plugin_dir = plugins,
                                        .card_dir = cards,
                                        .quiet = true};
    ZOO_TRY(zoo_json_read(path, 1 << 24, &reference, err));
    zoo_status status = zoo_engine_open(folder, &options, &e, err);
    if (status == ZOO_OK) {
        plain = e->step.ctx.kernels;
        zoo_kernels watched = *plain;
        watched.index = watch_index;
        e->step.ctx.kernels = &watched;
        status = continue_list(e, cJSON_GetObjectItemCaseSensitive(reference, "plain"), length);
        if (status == ZOO_OK) {
            status = continue_list(e, cJSON_GetObjectItemCaseSensitive(reference, "chat"), length);
        }
        e->step.ctx.kernels = plain;
        zoo_engine_close(e);
    }
    cJSON_Delete(reference);
    return status;
}

int main(int argc, char **argv)
{
    zoo_error err = {0};
    int length = argc > 2 ? atoi(argv[2]) : 256;
    top_k = argc > 1 && length > 1 && length <= LENGTH_MAX ? read_top_k(argv[1], &err) : 0;
    if (!top_k || run(argv[0], argv[1], (uint32_t)length, &err) != ZOO_OK || !total.rows) {
        (void)fprintf(stderr, "bench_index MODEL [LENGTH]: %s\n",
                      *err.text ? err.text : "no query chooses among its keys");
        return 1;
    }
    (void)printf("| index keys | queries that choose otherwise | chosen keys that differ |\n"
                 "|---|---|---|\n");
    for (int k = 0; k < N_KINDS; k++) {
        (void)printf("| %s | %.2f %% of %llu | %.3f %% of %llu |\n", kind_names[k],
                     100.0 * (double)total.other_rows[k] / (double)total.rows,
                     (unsigned long long)total.rows,
                     100.0 * (double)total.other_keys[k] / (double)total.keys,
                     (unsigned long long)total.keys);
    }
    return 0;
}
