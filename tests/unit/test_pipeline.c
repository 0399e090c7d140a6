/*
 * test_pipeline.c: a model over ranks that are threads of this process (engine/pipeline.h): how
 * layers are divided, and the bits of one process through every operation on sequences; a rank that
 * fails.
 *
 * test_pipeline FOLDER...: the same for other checkpoints, over 2 and 3 ranks if there are enough
 * layers; folders that do not open in one process are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "adding/random_weights.h"
#include "engine/engine.h"
#include "model/ring.h"
#include "model/stage.h"

#define DEMO(name) LMZOO_SOURCE_DIR "/demo/models/demo-" name

enum { RANKS_MAX = 3, VOCAB_MAX = 4096, STEPS = 24 };

/* ---- ranks ---- */

typedef struct letter {
    struct letter *next;
    zoo_ring_message message;
} letter;

typedef struct rank {
    zoo_ring ring; /* first */
    letter *first, *last;
    pthread_t thread;
    zoo_engine *engine;
    const char *folder;
    zoo_status status; /* of its serving */
    zoo_error error;
} rank;

static rank ranks[RANKS_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static zoo_status send_to(zoo_ring *ring, uint32_t to, uint32_t kind, const void *data, size_t n,
                          zoo_error *err)
{
    letter *l = calloc(1, sizeof *l);
    unsigned char *bytes = malloc(n + 8);
    (void)err;
    if (!l || !bytes) {
        abort();
    }
    if (n > 0) {
        memcpy(bytes, data, n);
    }
    l->message =
        (zoo_ring_message){.kind = kind, .from = ring->rank, .n = n, .data = bytes, .base = bytes};
    (void)pthread_mutex_lock(&mutex);
    rank *r = &ranks[to];
    *(r->last ? &r->last->next : &r->first) = l;
    r->last = l;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    return ZOO_OK;
}

static void release(zoo_ring *ring, zoo_ring_message *m)
{
    (void)ring;
    free(m->base);
}

static zoo_status receive(zoo_ring *ring, zoo_ring_message *out, zoo_error *err)
{
    rank *r = (rank *)ring;
    (void)pthread_mutex_lock(&mutex);
    while (!r->first) {
        (void)pthread_cond_wait(&changed, &mutex);
    }
    letter *l = r->first;
    r->first = l->next;
    r->last = r->first ? r->last : NULL;
    (void)pthread_mutex_unlock(&mutex);
    *out = l->message;
    free(l);
    if (out->kind == ZOO_RING_FAILED) {
        memcpy(err, out->data, sizeof *err);
        release(ring, out);
        return (zoo_status)err->code;
    }
    return ZOO_OK;
}

static void progress(zoo_ring *ring)
{
    (void)ring;
}

static zoo_status meet(zoo_ring *ring, const zoo_engine *engine, zoo_error *err)
{
    (void)ring;
    (void)engine;
    (void)err;
    return ZOO_OK;
}

static zoo_engine_options options_of(zoo_ring *ring)
{
    return (zoo_engine_options){.weights = "f32",
                                .cache = "f32",
                                .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                .rows_max = 32,
                                .seqs_max = 6,
                                .context_max = 128,
                                .n_threads = 1,
                                .n_marks = 2,
                                .memory = (size_t)64 << 20,
                                .ring = ring,
                                .quiet = true};
}

static void *run_rank(void *arg)
{
    rank *r = arg;
    zoo_engine_options o = options_of(&r->ring);
    zoo_ring_message m;
    r->status = receive(&r->ring, &m, &r->error); /* ZOO_RING_OPEN */
    release(&r->ring, &m);
    if (r->status == ZOO_OK) {
        r->status = zoo_engine_open(r->folder, &o, &r->engine, &r->error);
    }
    if (r->status == ZOO_OK) {
        r->status = zoo_engine_serve(r->engine, &r->error);
    }
    if (r->status != ZOO_OK) {
        r->error.code = r->status;
        (void)send_to(&r->ring, 0, ZOO_RING_FAILED, &r->error, sizeof r->error, NULL);
    }
    zoo_engine_close(r->engine);
    return NULL;
}

static zoo_status open_ranks(const char *folder, uint32_t n, zoo_engine **out, zoo_error *err)
{
    memset(ranks, 0, sizeof ranks);
    for (uint32_t i = 0; i < n; i++) {
        ranks[i].folder = folder;
        ranks[i].ring = (zoo_ring){.rank = i,
                                   .n_ranks = n,
                                   .n_micro_batches = 2,
                                   .send = send_to,
                                   .receive = receive,
                                   .release = release,
                                   .progress = progress,
                                   .meet = meet};
    }
    for (uint32_t i = 1; i < n; i++) {
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i]), 0);
    }
    zoo_engine_options o = options_of(&ranks[0].ring);
    return zoo_engine_open(folder, &o, out, err);
}

static void close_ranks(zoo_engine *engine, uint32_t n)
{
    zoo_engine_close(engine);
    for (uint32_t i = 1; i < n; i++) {
        assert_int_equal(pthread_join(ranks[i].thread, NULL), 0);
    }
}

/* ---- one life of sequences ---- */

typedef struct life {
    zoo_engine *engine;
    float *logits; /* [n, vocab] of every row that was asked for */
    uint32_t n;
} life;

static const int32_t tokens[] = {3,  5,  7,  9, 11, 13, 15, 17, 19, 21, 23, 25,
                                 27, 29, 31, 4, 6,  8,  10, 12, 14, 16, 18, 20};

static void keep_logits(life *l, const zoo_item *item)
{
    size_t vocab = zoo_engine_plan(l->engine)->vocab_size;
    uint32_t n = zoo_item_n_wanted(item);
    assert_true(l->n + n <= STEPS && vocab <= VOCAB_MAX);
    memcpy(l->logits + l->n * vocab, item->logits, n * vocab * sizeof(float));
    l->n += n;
}

static zoo_item item_of(uint32_t seq, uint32_t from, uint32_t n, zoo_want want)
{
    return (zoo_item){.seq = seq, .n = n, .tokens = tokens + from, .want = want, .n_tail = 2};
}

static void step(life *l, zoo_item *items, uint32_t n)
{
    zoo_error err;
    if (zoo_engine_step(l->engine, items, n, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    for (uint32_t i = 0; i < n; i++) {
        keep_logits(l, &items[i]);
    }
}

/* Two steps under way at once where the engine has two micro-batches. */
static void step_both(life *l, zoo_item *a, zoo_item *b)
{
    zoo_error err;
    if (zoo_engine_n_micro_batches(l->engine) == 1) {
        step(l, a, 1);
        step(l, b, 1);
        return;
    }
    assert_int_equal(zoo_engine_step_begin(l->engine, 0, a, 1, &err), ZOO_OK);
    assert_int_equal(zoo_engine_step_begin(l->engine, 1, b, 1, &err), ZOO_OK);
    assert_int_equal(zoo_engine_step_end(l->engine, 0, a, 1, &err), ZOO_OK);
    keep_logits(l, a);
    assert_int_equal(zoo_engine_step_end(l->engine, 1, b, 1, &err), ZOO_OK);
    keep_logits(l, b);
}

static void live(life *l)
{
    zoo_error err;
    uint32_t a, b, c, kept;
    assert_int_equal(zoo_engine_seq_open(l->engine, 8, 40, &a, &err), ZOO_OK);
    assert_int_equal(zoo_engine_seq_open(l->engine, 5, 40, &b, &err), ZOO_OK);
    zoo_item both[] = {item_of(a, 0, 8, ZOO_WANT_TAIL), item_of(b, 3, 5, ZOO_WANT_LAST)};
    step(l, both, 2);
    assert_int_equal(zoo_engine_prefix_keep(l->engine, a, 8, &kept, &err), ZOO_OK);
    assert_int_equal(zoo_engine_seq_open_shared(l->engine, kept, 8, 12, 40, &c, &err), ZOO_OK);
    zoo_item one = item_of(a, 8, 1, ZOO_WANT_LAST), other = item_of(c, 9, 4, ZOO_WANT_ALL);
    step_both(l, &one, &other);
    zoo_engine_prefix_drop(l->engine, kept);
    assert_true(zoo_engine_seq_mark(l->engine, b));
    zoo_item drafts = item_of(b, 8, 3, ZOO_WANT_ALL);
    step(l, &drafts, 1);
    uint32_t at = zoo_engine_seq_rewind(l->engine, b, 6);
    zoo_item again = item_of(b, 3 + at, 8 - at, ZOO_WANT_LAST),
             late = item_of(a, 9, 2, ZOO_WANT_NONE);
    step_both(l, &again, &late);
    zoo_engine_seq_restart(l->engine, c, 6);
    zoo_engine_seq_close(l->engine, a);
    zoo_item anew = item_of(c, 1, 6, ZOO_WANT_LAST);
    step(l, &anew, 1);
    zoo_engine_seq_close(l->engine, b);
    zoo_engine_seq_close(l->engine, c);
}

static void assert_same_life(const char *folder, uint32_t n)
{
    zoo_error err;
    life one = {.logits = calloc((size_t)STEPS * VOCAB_MAX, sizeof(float))};
    life many = {.logits = calloc((size_t)STEPS * VOCAB_MAX, sizeof(float))};
    zoo_engine_options o = options_of(NULL);
    assert_int_equal(zoo_engine_open(folder, &o, &one.engine, &err), ZOO_OK);
    live(&one);
    if (open_ranks(folder, n, &many.engine, &err) != ZOO_OK) {
        fail_msg("%s over %u ranks: %s", folder, n, err.text);
    }
    live(&many);
    close_ranks(many.engine, n);
    size_t vocab = zoo_engine_plan(one.engine)->vocab_size;
    assert_int_equal(one.n, many.n);
    if (memcmp(one.logits, many.logits, one.n * vocab * sizeof(float)) != 0) {
        fail_msg("%s over %u ranks: other bits", folder, n);
    }
    for (uint32_t i = 1; i < n; i++) {
        assert_int_equal(ranks[i].status, ZOO_OK);
    }
    zoo_engine_close(one.engine);
    free(one.logits);
    free(many.logits);
}

static void test_the_bits_of_one_process(void **unused)
{
    static const char *const folders[] = {DEMO("llama"), DEMO("gemma"), DEMO("deepseek"),
                                          DEMO("hybrid")};
    (void)unused;
    for (size_t i = 0; i < ZOO_COUNT(folders); i++) {
        assert_same_life(folders[i], 2);
        assert_same_life(folders[i], 3);
    }
}

/* Models whose layers share something within a step: the embedding of a shared block; inputs of
 * their own for layers, and keys of other layers; choices of keys. */
static const char *const sharing[] = {
    "{\"model_type\": \"zamba2\", \"architectures\": [\"Zamba2ForCausalLM\"], \"adapter_rank\": 6, "
    "\"attention_head_dim\": 24, \"attention_hidden_size\": 96, \"hidden_size\": 48, "
    "\"hybrid_layer_ids\": [1, 3, 4], \"intermediate_size\": 64, \"layers_block_type\": "
    "[\"linear_attention\", \"hybrid\", \"linear_attention\", \"hybrid\", \"hybrid\", "
    "\"linear_attention\"], \"mamba_d_state\": 12, \"mamba_headdim\": 16, \"mamba_ngroups\": 2, "
    "\"n_mamba_heads\": 6, \"num_attention_heads\": 4, \"num_hidden_layers\": 6, "
    "\"num_key_value_heads\": 4, \"num_mem_blocks\": 2, \"chunk_size\": 16, "
    "\"use_mem_rope\": true, \"use_shared_attention_adapter\": true, \"vocab_size\": 184, "
    "\"max_position_embeddings\": 256, \"bos_token_id\": 0, \"eos_token_id\": 1}",
    "{\"model_type\": \"gemma4_text\", \"architectures\": [\"Gemma4ForCausalLM\"], "
    "\"head_dim\": 16, \"global_head_dim\": 24, \"hidden_size\": 36, "
    "\"hidden_size_per_layer_input\": 9, \"intermediate_size\": 44, \"layer_types\": "
    "[\"sliding_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\", "
    "\"sliding_attention\", \"full_attention\"], \"num_attention_heads\": 4, "
    "\"num_hidden_layers\": 6, \"num_key_value_heads\": 1, \"num_kv_shared_layers\": 2, "
    "\"sliding_window\": 8, \"vocab_size\": 200, \"vocab_size_per_layer_input\": 200, "
    "\"enable_moe_block\": false, \"max_position_embeddings\": 128}",
    "{\"model_type\": \"glm_moe_dsa\", \"architectures\": [\"GlmMoeDsaForCausalLM\"], "
    "\"first_k_dense_replace\": 1, \"hidden_size\": 48, \"index_head_dim\": 24, "
    "\"index_n_heads\": 16, \"index_topk\": 3, \"indexer_types\": [\"full\", \"full\", "
    "\"full\", \"shared\", \"shared\", \"shared\"], \"intermediate_size\": 72, "
    "\"kv_lora_rank\": 32, \"mlp_layer_types\": [\"dense\", \"dense\", \"sparse\", "
    "\"dense\", \"sparse\", \"sparse\"], \"moe_intermediate_size\": 12, \"n_group\": 1, "
    "\"n_routed_experts\": 6, \"n_shared_experts\": 1, \"num_attention_heads\": 4, "
    "\"num_experts_per_tok\": 2, \"num_hidden_layers\": 6, \"num_key_value_heads\": 4, "
    "\"q_lora_rank\": 40, \"qk_nope_head_dim\": 24, \"qk_rope_head_dim\": 16, "
    "\"topk_group\": 1, \"v_head_dim\": 20, \"vocab_size\": 160, "
    "\"rope_parameters\": {\"rope_theta\": 8000.0, \"rope_type\": \"default\"}, "
    "\"tie_word_embeddings\": false, \"max_position_embeddings\": 256}"};

/* A checkpoint of random numbers of this config, in the folder. */
static void make_model(const char *config, const char *folder)
{
    char path[300];
    zoo_arch *arch = NULL;
    zoo_error err;
    const zoo_model_options o = {.plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                 .card_dir = LMZOO_SOURCE_DIR "/models.d"};
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(config, file) >= 0);
    assert_int_equal(fclose(file), 0);
    if (zoo_arch_open_text(path, config, &o, &arch, &err) != ZOO_OK ||
        zoo_random_weights(arch, folder, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    zoo_arch_close(arch);
}

static void test_what_layers_share(void **unused)
{
    char folder[256], path[300];
    const char *base = getenv("TMPDIR");
    (void)unused;
    (void)snprintf(folder, sizeof folder, "%s/test_pipeline.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < ZOO_COUNT(sharing); i++) {
        make_model(sharing[i], folder);
        assert_same_life(folder, 2);
        assert_same_life(folder, 3);
    }
    static const char *const files[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < ZOO_COUNT(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* ---- cuts ---- */

static void assert_cuts(const double *costs, const uint32_t *source, uint32_t n, double ends,
                        uint32_t n_ranks, const uint32_t *wanted)
{
    uint32_t cuts[8] = {0};
    assert_true(zoo_stage_cut(costs, source, n, ends, n_ranks, cuts));
    for (uint32_t i = 0; i + 1 < n_ranks; i++) {
        assert_int_equal(cuts[i], wanted[i]);
    }
}

static void test_cuts(void **unused)
{
    static const double even[] = {1, 1, 1, 1, 1, 1}, heavy[] = {9, 1, 1, 1, 1, 1};
    static const uint32_t own[] = {0, 1, 2, 3, 4, 5}, shared[] = {0, 1, 2, 3, 2, 2};
    uint32_t cuts[8];
    (void)unused;
    assert_cuts(even, own, 6, 0, 2, (const uint32_t[]){3});
    assert_cuts(even, own, 6, 2, 2, (const uint32_t[]){2});
    assert_cuts(even, own, 6, 0, 3, (const uint32_t[]){2, 4});
    assert_cuts(heavy, own, 6, 0, 2, (const uint32_t[]){1});
    assert_cuts(even, own, 6, 50, 2, (const uint32_t[]){0}); /* the head is more than all layers */
    assert_cuts(even, shared, 6, 0, 2, (const uint32_t[]){2}); /* 4 and 5 read what 2 keeps */
    assert_true(zoo_stage_cut(even, shared, 6, 0, 4, cuts));
    assert_false(zoo_stage_cut(even, shared, 6, 0, 5, cuts));
    assert_false(zoo_stage_cut(even, own, 6, 0, 8, cuts));
}

/* ---- faults ---- */

static void test_too_many_ranks(void **unused)
{
    zoo_engine *engine = NULL;
    zoo_error err = {0};
    zoo_engine_options o = options_of(&ranks[0].ring);
    (void)unused;
    memset(ranks, 0, sizeof ranks);
    ranks[0].ring = (zoo_ring){.n_ranks = 9, .n_micro_batches = 1, .send = send_to, .meet = meet};
    ranks[0].ring.rank = 8; /* so that it ends no other rank */
    assert_int_equal(zoo_engine_open(DEMO("llama"), &o, &engine, &err), ZOO_E_USAGE);
    assert_non_null(strstr(err.text, "--pipeline deals its 5 layers to 6 ranks at most"));
    assert_null(engine);
}

/* A message that is cut ends the rank with a sentence, which rank 0 gets. */
static void test_a_rank_that_fails(void **unused)
{
    zoo_engine *engine = NULL;
    zoo_error err = {0};
    uint32_t seq;
    (void)unused;
    assert_int_equal(open_ranks(DEMO("llama"), 2, &engine, &err), ZOO_OK);
    assert_int_equal(zoo_engine_seq_open(engine, 4, 8, &seq, &err), ZOO_OK);
    assert_int_equal(send_to(&ranks[0].ring, 1, ZOO_RING_STEP, "abc", 3, &err), ZOO_OK);
    zoo_item item = item_of(seq, 0, 4, ZOO_WANT_LAST);
    assert_int_equal(zoo_engine_step(engine, &item, 1, &err), ZOO_E_INTERNAL);
    assert_string_equal(err.text, "a message of a step is cut");
    close_ranks(engine, 2);
    assert_int_equal(ranks[1].status, ZOO_E_INTERNAL);
}

/* Whether the folder's layers can be dealt to so many ranks; other refusals are faults. */
static bool is_dealt(const char *folder, uint32_t n)
{
    zoo_engine *engine = NULL;
    zoo_error err = {0};
    zoo_engine_options o = options_of(NULL);
    if (zoo_engine_open(folder, &o, &engine, &err) != ZOO_OK) {
        (void)printf("# %s: %s\n", folder, err.text);
        return false;
    }
    zoo_engine_close(engine);
    memset(ranks, 0, sizeof ranks);
    ranks[0].ring = (zoo_ring){.rank = n - 1, .n_ranks = n, .n_micro_batches = 1, .meet = meet};
    o = options_of(&ranks[0].ring);
    o.plan_only = true;
    zoo_status status = zoo_engine_open(folder, &o, &engine, &err);
    if (status != ZOO_OK) {
        (void)printf("# %s\n", err.text);
    } else {
        zoo_engine_close(engine);
    }
    return status == ZOO_OK;
}

static int run_folders(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (uint32_t n = 2; n <= RANKS_MAX; n++) {
            if (is_dealt(argv[i], n)) {
                assert_same_life(argv[i], n);
                (void)printf("# %s over %u ranks: the same\n", argv[i], n);
            }
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return run_folders(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_the_bits_of_one_process),
        cmocka_unit_test(test_what_layers_share),
        cmocka_unit_test(test_too_many_ranks),
        cmocka_unit_test(test_a_rank_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
