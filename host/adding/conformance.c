/*
 * conformance.c: one folder, one pair of dtypes, all properties.
 *
 * Token ids come from a fixed generator, so that a failure repeats.
 */
#include "adding/conformance.h"

#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

enum { N_MAX = 150, NEIGHBOURS = 6, ROWS = 256 };

typedef struct trial {
    const zoo_conformance *c;
    zoo_engine *engine;
    uint32_t n, middle; /* tokens: fewer where there are fewer positions */
    uint32_t vocab;
    int32_t tokens[N_MAX];
    float *measure; /* [n, vocab] of the whole prompt */
    float *logits;
    zoo_error error;
} trial;

static zoo_status open_engine(const zoo_conformance *c, uint32_t n_threads, zoo_engine **out,
                              zoo_error *err)
{
    const zoo_engine_options options = {.weights = c->weights,
                                        .cache = c->cache,
                                        .plugin_dir = c->plugin_dir,
                                        .card_dir = c->card_dir,
                                        .isa = c->isa,
                                        .rows_max = ROWS,
                                        .seqs_max = NEIGHBOURS + 2,
                                        .context_max = N_MAX + 8,
                                        .n_threads = n_threads,
                                        .n_marks = 1,
                                        .quiet = true};
    return zoo_engine_open(c->folder, &options, out, err);
}

/* Logits of n tokens from `from` on go to their place. */
static void keep(trial *t, uint32_t from, uint32_t n, const float *logits)
{
    memcpy(t->logits + (size_t)from * t->vocab, logits, (size_t)n * t->vocab * sizeof(float));
}

/* Reads tokens [from, to) in chunks. */
static bool feed(trial *t, zoo_engine *engine, uint32_t seq, uint32_t from, uint32_t to,
                 uint32_t chunk)
{
    for (uint32_t done = from; done < to; done += chunk) {
        uint32_t n = to - done < chunk ? to - done : chunk;
        zoo_item item = {.seq = seq, .n = n, .tokens = t->tokens + done, .want = ZOO_WANT_ALL};
        if (zoo_engine_step(engine, &item, 1, &t->error) != ZOO_OK) {
            return false;
        }
        keep(t, done, n, item.logits);
    }
    return true;
}

static size_t bytes_of(const trial *t)
{
    return (size_t)t->n * t->vocab * sizeof(float);
}

static void forget(trial *t)
{
    memset(t->logits, 0, bytes_of(t));
    t->error.text[0] = '\0';
}

static void tell(trial *t, bool ran, const char *what)
{
    bool same = ran && memcmp(t->logits, t->measure, bytes_of(t)) == 0;
    t->c->result(t->c->arg, same, what, ran ? "" : t->error.text);
}

static bool run_chunks(trial *t, zoo_engine *engine, uint32_t chunk)
{
    uint32_t seq;
    forget(t);
    if (zoo_engine_seq_open(engine, t->n, t->n, &seq, &t->error) != ZOO_OK) {
        return false;
    }
    bool ok = feed(t, engine, seq, 0, t->n, chunk);
    zoo_engine_seq_close(engine, seq);
    return ok;
}

/* The items of the next step: some rows of each sequence, a different number in each step. */
static uint32_t next_items(const trial *t, const uint32_t *seqs, const uint32_t *at,
                           zoo_item *items)
{
    uint32_t n_items = 0;
    for (uint32_t i = 0; i <= NEIGHBOURS; i++) {
        uint32_t n = i == 0 ? 1 + at[0] % 11 : 1 + (at[i] + 5 * i) % 13;
        n = n > t->n - at[i] ? t->n - at[i] : n;
        if (n) {
            items[n_items++] = (zoo_item){
                .seq = seqs[i], .n = n, .tokens = t->tokens + at[i], .want = ZOO_WANT_ALL};
        }
    }
    return n_items;
}

/* The sequence in pieces among neighbours of other positions. */
static bool run_batch(trial *t)
{
    zoo_item items[NEIGHBOURS + 1];
    uint32_t seqs[NEIGHBOURS + 1], at[NEIGHBOURS + 1] = {0}, n_open = 0;
    bool ok = true;
    forget(t);
    for (; ok && n_open <= NEIGHBOURS; n_open += ok) {
        ok = zoo_engine_seq_open(t->engine, t->n, t->n, &seqs[n_open], &t->error) == ZOO_OK;
    }
    while (ok && at[0] < t->n) {
        uint32_t n_items = next_items(t, seqs, at, items), began = at[0];
        ok = zoo_engine_step(t->engine, items, n_items, &t->error) == ZOO_OK;
        for (uint32_t k = 0, i = 0; ok && i <= NEIGHBOURS; i++) {
            if (k < n_items && items[k].seq == seqs[i]) {
                at[i] += items[k++].n;
            }
        }
        if (ok) {
            keep(t, began, items[0].n, items[0].logits);
        }
    }
    for (uint32_t i = 0; i < n_open; i++) {
        zoo_engine_seq_close(t->engine, seqs[i]);
    }
    return ok;
}

static bool run_replay(trial *t)
{
    uint32_t seq;
    forget(t);
    if (zoo_engine_seq_open(t->engine, t->n, t->n, &seq, &t->error) != ZOO_OK) {
        return false;
    }
    bool ok = feed(t, t->engine, seq, 0, t->middle, 9);
    if (ok) {
        zoo_engine_seq_restart(t->engine, seq, t->n);
        forget(t);
        ok = feed(t, t->engine, seq, 0, t->n, 31);
    }
    zoo_engine_seq_close(t->engine, seq);
    return ok;
}

/* Half of the sequence, kept as a prefix; another sequence goes on from it. */
static bool run_kept(trial *t)
{
    uint32_t first, second, prefix;
    forget(t);
    if (zoo_engine_seq_open(t->engine, t->n, t->n, &first, &t->error) != ZOO_OK) {
        return false;
    }
    bool ok = feed(t, t->engine, first, 0, t->middle, t->middle) &&
              zoo_engine_prefix_keep(t->engine, first, t->middle, &prefix, &t->error) == ZOO_OK;
    zoo_engine_seq_close(t->engine, first);
    if (!ok) {
        return false;
    }
    ok = zoo_engine_seq_open_shared(t->engine, prefix, t->middle, t->n, t->n, &second, &t->error) ==
         ZOO_OK;
    if (ok) {
        ok = feed(t, t->engine, second, t->middle, t->n, 5);
        zoo_engine_seq_close(t->engine, second);
    }
    zoo_engine_prefix_drop(t->engine, prefix);
    return ok;
}

/* Steps of some tokens followed by wrong drafts, which are undone. */
static bool run_taken_back(trial *t)
{
    uint32_t seq, pos = 0, done = 0;
    forget(t);
    if (zoo_engine_seq_open(t->engine, t->n, t->n, &seq, &t->error) != ZOO_OK) {
        return false;
    }
    bool ok = true;
    while (ok && done < t->n) {
        int32_t tokens[N_MAX];
        uint32_t right = done - pos + 1 + done % 4;
        right = right < t->n - pos ? right : t->n - pos;
        uint32_t wrong = done % 3 ? 1 + done % 5 : 0;
        wrong = wrong < t->n - pos - right ? wrong : t->n - pos - right;
        memcpy(tokens, t->tokens + pos, (right + wrong) * sizeof *tokens);
        for (uint32_t i = right; i < right + wrong; i++) {
            tokens[i] = (int32_t)(((uint32_t)tokens[i] + i) % t->vocab);
        }
        zoo_item item = {.seq = seq, .n = right + wrong, .tokens = tokens, .want = ZOO_WANT_ALL};
        ok = zoo_engine_seq_mark(t->engine, seq) &&
             zoo_engine_step(t->engine, &item, 1, &t->error) == ZOO_OK;
        if (ok) {
            keep(t, pos, right, item.logits);
            done = pos + right;
            pos = zoo_engine_seq_rewind(t->engine, seq, done);
        }
    }
    zoo_engine_seq_close(t->engine, seq);
    return ok;
}

/* Some tokens, then wrong ones in steps of their own, which are taken back together. */
static bool run_steps_taken_back(trial *t)
{
    uint32_t seq, done = 0;
    forget(t);
    if (zoo_engine_seq_open(t->engine, t->n, t->n, &seq, &t->error) != ZOO_OK) {
        return false;
    }
    bool ok = true;
    while (ok && done < t->n) {
        uint32_t left = t->n - done, right = left < 5 ? left : 1 + done % 5;
        zoo_item item = {.seq = seq, .n = right, .tokens = t->tokens + done, .want = ZOO_WANT_ALL};
        ok = zoo_engine_step(t->engine, &item, 1, &t->error) == ZOO_OK;
        if (ok) {
            keep(t, done, right, item.logits);
            done += right;
        }
        for (uint32_t i = 0; ok && i < done % 7 && done + i < t->n; i++) {
            int32_t wrong = (int32_t)(((uint32_t)t->tokens[done + i] + 1 + i) % t->vocab);
            zoo_item further = {.seq = seq, .n = 1, .tokens = &wrong, .want = ZOO_WANT_NONE};
            ok = zoo_engine_step(t->engine, &further, 1, &t->error) == ZOO_OK;
        }
        if (ok) {
            (void)zoo_engine_seq_rewind(t->engine, seq, done);
        }
    }
    zoo_engine_seq_close(t->engine, seq);
    return ok;
}

static void run_all(trial *t)
{
    tell(t, run_chunks(t, t->engine, 1), "steps of one are the whole prompt");
    tell(t, run_chunks(t, t->engine, 7), "chunks of seven are the whole prompt");
    tell(t, run_batch(t), "a batch is its sequences alone");
    tell(t, run_replay(t), "restart and replay");
    tell(t, run_kept(t), "a kept prefix goes on");
    tell(t, run_taken_back(t), "wrong tokens are taken back");
    if (!zoo_engine_has_states(t->engine)) {
        tell(t, run_steps_taken_back(t), "wrong steps are taken back");
    }
    zoo_engine *two = NULL;
    bool ran = open_engine(t->c, 2, &two, &t->error) == ZOO_OK && run_chunks(t, two, 64);
    tell(t, ran, "two threads are one");
    zoo_engine_close(two);
}

static void choose_tokens(trial *t)
{
    uint32_t seed = 12345;
    for (uint32_t i = 0; i < t->n; i++) {
        seed = seed * 1664525u + 1013904223u;
        t->tokens[i] = (int32_t)((seed >> 8) % t->vocab);
    }
}

zoo_status zoo_conformance_run(const zoo_conformance *c, zoo_error *err)
{
    trial t = {.c = c};
    ZOO_TRY(open_engine(c, 1, &t.engine, err));
    uint32_t room = zoo_engine_limits(t.engine)->context_max;
    t.vocab = zoo_engine_plan(t.engine)->vocab_size;
    t.n = room < N_MAX ? room : N_MAX;
    t.middle = t.n * 7 / 15;
    t.measure = zoo_mem_alloc(bytes_of(&t));
    t.logits = zoo_mem_alloc(bytes_of(&t));
    if (!t.measure || !t.logits) {
        c->result(c->arg, false, "the whole prompt runs", "no memory for its logits");
    } else {
        choose_tokens(&t);
        bool ran = run_chunks(&t, t.engine, t.n);
        c->result(c->arg, ran, "the whole prompt runs", ran ? "" : t.error.text);
        if (ran) {
            memcpy(t.measure, t.logits, bytes_of(&t));
            run_all(&t);
        }
    }
    zoo_mem_free(t.measure);
    zoo_mem_free(t.logits);
    zoo_engine_close(t.engine);
    return ZOO_OK;
}
