/*
 * conformance.c: what any plugin must keep, tried on model folders: the same bits however a
 * sequence is run.
 *
 *   test_conformance [PLUGIN-DIR CARD-DIR MODEL...]
 *
 * Without arguments: the demo models whose plugins are built. For each model and each pair of
 * weight and cache dtypes the whole prompt at once is the measure; then steps of one, chunks of
 * seven, a batch of ragged neighbours, restart and replay, save and load in the middle, steps whose
 * last tokens are wrong and taken back, two threads. Each model runs in a process of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine_private.h"

enum { N = 150, MIDDLE = 70, NEIGHBOURS = 6, ROWS = 256 };

static const char *plugin_dir = LMZOO_BUILD_DIR "/plugins",
                  *card_dir = LMZOO_SOURCE_DIR "/models.d";
static uint32_t n_results, n_failed;

static void result(bool ok, const char *model, const char *what, const char *dtypes)
{
    const char *name = strrchr(model, '/');
    (void)printf("%sok - %s %s: %s\n", ok ? "" : "not ", name ? name + 1 : model, dtypes, what);
    n_results++;
    n_failed += !ok;
}

typedef struct trial {
    const char *model, *weights, *cache;
    char dtypes[64];
    zoo_engine *engine;
    uint32_t vocab;
    int32_t tokens[N];
    float *measure; /* [N, vocab] of the whole prompt */
    float *logits;
} trial;

static zoo_engine *open_engine(const trial *t, uint32_t n_threads)
{
    zoo_engine_options options = {.weights = t->weights,
                                  .cache = t->cache,
                                  .plugin_dir = plugin_dir,
                                  .card_dir = card_dir,
                                  .isa = getenv("LMZOO_ISA"),
                                  .rows_max = ROWS,
                                  .seqs_max = NEIGHBOURS + 2,
                                  .context_max = N + 8,
                                  .n_threads = n_threads,
                                  .n_marks = 1,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    zoo_error error;
    if (zoo_engine_open(t->model, &options, &engine, &error) != ZOO_OK) {
        (void)printf("# %s\n", error.text);
    }
    return engine;
}

/* Reads tokens [from, to) in chunks; logits of each row go to their place. */
static bool feed(trial *t, zoo_engine *engine, uint32_t seq, uint32_t from, uint32_t to,
                 uint32_t chunk)
{
    zoo_error error;
    for (uint32_t done = from; done < to; done += chunk) {
        uint32_t n = to - done < chunk ? to - done : chunk;
        zoo_item item = {.seq = seq, .n = n, .tokens = t->tokens + done, .want = ZOO_WANT_ALL};
        if (zoo_engine_step(engine, &item, 1, &error) != ZOO_OK) {
            (void)printf("# %s\n", error.text);
            return false;
        }
        memcpy(t->logits + (size_t)done * t->vocab, item.logits,
               (size_t)n * t->vocab * sizeof(float));
    }
    return true;
}

static bool same(const trial *t)
{
    return memcmp(t->logits, t->measure, (size_t)N * t->vocab * sizeof(float)) == 0;
}

static bool run_chunks(trial *t, zoo_engine *engine, uint32_t chunk)
{
    uint32_t seq;
    zoo_error error;
    memset(t->logits, 0, (size_t)N * t->vocab * sizeof(float));
    if (zoo_engine_seq_open(engine, N, N, &seq, &error) != ZOO_OK) {
        return false;
    }
    bool ok = feed(t, engine, seq, 0, N, chunk);
    zoo_engine_seq_close(engine, seq);
    return ok;
}

/* The sequence in pieces among neighbours of other positions, which change at each step. */
static bool run_batch(trial *t)
{
    zoo_item items[NEIGHBOURS + 1];
    uint32_t seqs[NEIGHBOURS + 1], at[NEIGHBOURS + 1] = {0};
    zoo_error error;
    bool ok = true;
    memset(t->logits, 0, (size_t)N * t->vocab * sizeof(float));
    for (uint32_t i = 0; i <= NEIGHBOURS; i++) {
        ok = ok && zoo_engine_seq_open(t->engine, N, N, &seqs[i], &error) == ZOO_OK;
    }
    while (ok && at[0] < N) {
        uint32_t n_items = 0;
        for (uint32_t i = 0; i <= NEIGHBOURS; i++) {
            uint32_t n = i == 0 ? 1 + at[0] % 11 : 1 + (at[i] + 5 * i) % 13;
            n = n > N - at[i] ? N - at[i] : n;
            if (n) {
                items[n_items++] = (zoo_item){
                    .seq = seqs[i], .n = n, .tokens = t->tokens + at[i], .want = ZOO_WANT_ALL};
            }
        }
        uint32_t began = at[0];
        ok = zoo_engine_step(t->engine, items, n_items, &error) == ZOO_OK;
        for (uint32_t k = 0, i = 0; ok && i <= NEIGHBOURS; i++) {
            if (k < n_items && items[k].seq == seqs[i]) {
                at[i] += items[k++].n;
            }
        }
        if (ok) {
            memcpy(t->logits + (size_t)began * t->vocab, items[0].logits,
                   (size_t)items[0].n * t->vocab * sizeof(float));
        }
    }
    for (uint32_t i = 0; i <= NEIGHBOURS; i++) {
        zoo_engine_seq_close(t->engine, seqs[i]);
    }
    return ok;
}

static bool run_replay(trial *t)
{
    uint32_t seq;
    zoo_error error;
    bool ok = zoo_engine_seq_open(t->engine, N, N, &seq, &error) == ZOO_OK &&
              feed(t, t->engine, seq, 0, MIDDLE, 9);
    if (ok) {
        zoo_engine_seq_restart(t->engine, seq, N);
        memset(t->logits, 0, (size_t)N * t->vocab * sizeof(float));
        ok = feed(t, t->engine, seq, 0, N, 31);
    }
    zoo_engine_seq_close(t->engine, seq);
    return ok;
}

/* Half of the sequence, kept as a prefix; another sequence goes on from it. */
static bool run_kept(trial *t)
{
    uint32_t first, second, prefix;
    zoo_error error;
    bool ok = zoo_engine_seq_open(t->engine, N, N, &first, &error) == ZOO_OK;
    ok = ok && feed(t, t->engine, first, 0, MIDDLE, MIDDLE);
    ok = ok && zoo_engine_prefix_keep(t->engine, first, MIDDLE, &prefix, &error) == ZOO_OK;
    zoo_engine_seq_close(t->engine, first);
    if (!ok ||
        zoo_engine_seq_open_shared(t->engine, prefix, MIDDLE, N, N, &second, &error) != ZOO_OK) {
        return false;
    }
    ok = feed(t, t->engine, second, MIDDLE, N, 5);
    zoo_engine_seq_close(t->engine, second);
    zoo_engine_prefix_drop(t->engine, prefix);
    return ok;
}

/* Steps of some tokens and some wrong ones behind them, which are taken back. */
static bool run_taken_back(trial *t)
{
    uint32_t seq, pos = 0, done = 0;
    zoo_error error;
    bool ok = zoo_engine_seq_open(t->engine, N, N, &seq, &error) == ZOO_OK;
    memset(t->logits, 0, (size_t)N * t->vocab * sizeof(float));
    while (ok && done < N) {
        int32_t tokens[N];
        uint32_t right = done - pos + 1 + done % 4;
        right = right < N - pos ? right : N - pos;
        uint32_t wrong = done % 3 ? 1 + done % 5 : 0;
        wrong = wrong < N - pos - right ? wrong : N - pos - right;
        memcpy(tokens, t->tokens + pos, (right + wrong) * sizeof *tokens);
        for (uint32_t i = right; i < right + wrong; i++) {
            tokens[i] = (int32_t)(((uint32_t)tokens[i] + i) % t->vocab);
        }
        zoo_item item = {.seq = seq, .n = right + wrong, .tokens = tokens, .want = ZOO_WANT_ALL};
        ok = zoo_engine_seq_mark(t->engine, seq) &&
             zoo_engine_step(t->engine, &item, 1, &error) == ZOO_OK;
        if (ok) {
            memcpy(t->logits + (size_t)pos * t->vocab, item.logits,
                   (size_t)right * t->vocab * sizeof(float));
            done = pos + right;
            pos = zoo_engine_seq_rewind(t->engine, seq, done);
        }
    }
    zoo_engine_seq_close(t->engine, seq);
    return ok;
}

static void run_all(trial *t)
{
    result(run_chunks(t, t->engine, 1) && same(t), t->model, "steps of one are the whole prompt",
           t->dtypes);
    result(run_chunks(t, t->engine, 7) && same(t), t->model, "chunks of seven are the whole prompt",
           t->dtypes);
    result(run_batch(t) && same(t), t->model, "a batch is its sequences alone", t->dtypes);
    result(run_replay(t) && same(t), t->model, "restart and replay", t->dtypes);
    result(run_kept(t) && same(t), t->model, "a kept prefix goes on", t->dtypes);
    result(run_taken_back(t) && same(t), t->model, "wrong tokens are taken back", t->dtypes);
    zoo_engine *two = open_engine(t, 2);
    result(two && run_chunks(t, two, 64) && same(t), t->model, "two threads are one", t->dtypes);
    zoo_engine_close(two);
}

static bool run_pair(const char *model, const char *weights, const char *cache)
{
    trial t = {.model = model, .weights = weights, .cache = cache};
    (void)snprintf(t.dtypes, sizeof t.dtypes, "%s weights, %s cache", weights, cache);
    t.engine = open_engine(&t, 1);
    if (!t.engine) {
        result(false, model, "the folder is loaded", t.dtypes);
        return false;
    }
    const zoo_plan *plan = zoo_engine_plan(t.engine);
    t.vocab = plan->vocab_size;
    t.measure = malloc((size_t)N * t.vocab * sizeof(float));
    t.logits = malloc((size_t)N * t.vocab * sizeof(float));
    uint32_t seed = 12345;
    for (uint32_t i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        t.tokens[i] = (int32_t)((seed >> 8) % plan->vocab_size);
    }
    bool ok = t.measure && t.logits && run_chunks(&t, t.engine, N);
    if (ok) {
        memcpy(t.measure, t.logits, (size_t)N * t.vocab * sizeof(float));
        run_all(&t);
    } else {
        result(false, model, "the whole prompt runs", t.dtypes);
    }
    free(t.measure);
    free(t.logits);
    zoo_engine_close(t.engine);
    return ok;
}

static int run_model(const char *model)
{
    static const char *const kinds[] = {"f32", "bf16", "int8", "int4"};
    for (size_t w = 0; w < ZOO_COUNT(kinds); w++) {
        for (size_t c = 0; c < ZOO_COUNT(kinds); c++) {
            (void)run_pair(model, kinds[w], kinds[c]);
        }
    }
    (void)printf("# %u results\n", n_results);
    return n_failed ? 1 : 0;
}

/* Results come through a pipe, so that the parent can number the plan after a crash as well. */
static uint32_t in_child(const char *model, bool *failed)
{
    int ends[2];
    uint32_t n = 0;
    if (pipe(ends) != 0) {
        return 0;
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        int code = run_model(model);
        (void)fflush(stdout);
        _exit(code);
    }
    (void)close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    char line[512];
    while (lines && fgets(line, sizeof line, lines)) {
        n += strncmp(line, "ok", 2) == 0 || strncmp(line, "not ok", 6) == 0;
        (void)fputs(line, stdout);
    }
    if (lines) {
        (void)fclose(lines);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status)) {
        (void)printf("not ok - %s: stopped by signal %d\n", model, WTERMSIG(status));
        n++;
    }
    *failed = *failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return n;
}

int main(int argc, char **argv)
{
    static const char *const demos[] = {"llama", "gemma", "hybrid", "deepseek"};
    uint32_t n = 0;
    bool failed = false;
    if (argc > 3) {
        plugin_dir = argv[1];
        card_dir = argv[2];
        for (int i = 3; i < argc; i++) {
            n += in_child(argv[i], &failed);
        }
    }
    for (size_t i = 0; argc <= 3 && i < ZOO_COUNT(demos); i++) {
        char plugin[1024], model[1024];
        (void)snprintf(plugin, sizeof plugin, "%s/%s.so", plugin_dir, demos[i]);
        (void)snprintf(model, sizeof model, "%s/demo/models/demo-%s", LMZOO_SOURCE_DIR, demos[i]);
        if (access(plugin, R_OK) == 0) {
            n += in_child(model, &failed);
        } else {
            (void)printf("ok - demo-%s # SKIP its plugin is not built\n", demos[i]);
            n++;
        }
    }
    (void)printf("1..%u\n", n);
    return failed ? 1 : 0;
}
