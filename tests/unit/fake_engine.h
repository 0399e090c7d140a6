/*
 * fake_engine.h: the functions of engine.h over a model that is a hash, for tests of the code above
 * the engine.
 *
 * The logits after a sequence depend on its tokens alone, so any way to cut and mix rows must give
 * the same results. The engine checks its callers: rows of a step, logits, positions, reservations,
 * shared prefixes, pages; what breaks the contract aborts the test. It can fail at a given step.
 */
#ifndef ZOO_TESTS_FAKE_ENGINE_H
#define ZOO_TESTS_FAKE_ENGINE_H

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "kernels/select.h"

enum { FAKE_SEQS_MAX = 64, FAKE_CONTEXT_MAX = 4096, FAKE_PREFIXES_MAX = 256 };

typedef struct fake_seq {
    bool open;
    uint32_t length, length_max, n_prompt, n_pages;
    uint32_t mark;   /* where it stood when it was marked, plus 1 */
    int32_t *tokens; /* [length_max] */
} fake_seq;

typedef struct fake_prefix {
    bool kept;
    uint32_t length;
    int32_t *tokens;
} fake_prefix;

struct zoo_engine {
    zoo_plan plan;
    zoo_limits limits;
    zoo_kernels kernels;
    uint32_t logits_max;
    uint32_t pages_max, pages_used; /* of ZOO_PAGE positions; 0: no bound */
    int64_t fail_at;                /* step that fails; -1: none */
    int64_t n_steps;
    uint64_t n_rows;     /* computed so far */
    uint32_t most_seqs;  /* open at once */
    uint32_t n_kept_now; /* prefixes */
    uint32_t end_bias;   /* how likely token 3 is */
    uint32_t grain;      /* of cuts in prefixes; 0: none */
    bool has_states;     /* sequences are read again from their mark */
    uint32_t marks_left;
    double seconds; /* that steps took: step_seconds each */
    double step_seconds;
    float habit;                            /* how much the last token alone says about the next */
    float *logits;                          /* [logits_max, vocab] */
    uint32_t n_micro_batches;               /* 0: one */
    uint32_t micro_batches[8], n_under_way; /* in the order in which they began */
    float *micro_batch_logits[8];
    fake_seq seqs[FAKE_SEQS_MAX];
    fake_prefix prefixes[FAKE_PREFIXES_MAX];
};

#define FAKE_CHECK(ok)                                                                             \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            (void)fprintf(stderr, "fake engine, line %d: %s\n", __LINE__, #ok);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline uint64_t fake_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static zoo_engine *fake_engine(uint32_t n_vocab, uint32_t rows_max, uint32_t seqs_max)
{
    zoo_engine *e = calloc(1, sizeof *e);
    FAKE_CHECK(e && seqs_max <= FAKE_SEQS_MAX);
    e->plan.size = sizeof e->plan;
    e->plan.vocab_size = n_vocab;
    e->limits = (zoo_limits){sizeof e->limits, rows_max, seqs_max, FAKE_CONTEXT_MAX, 2};
    e->kernels = *zoo_kernels_select(NULL, NULL);
    e->logits_max = seqs_max;
    e->fail_at = -1;
    e->end_bias = 4;
    e->marks_left = seqs_max;
    e->logits = malloc((size_t)e->logits_max * n_vocab * sizeof(float));
    FAKE_CHECK(e->logits);
    return e;
}

void zoo_engine_close(zoo_engine *e)
{
    if (e) {
        for (int i = 0; i < FAKE_SEQS_MAX; i++) {
            free(e->seqs[i].tokens);
        }
        for (int i = 0; i < FAKE_PREFIXES_MAX; i++) {
            free(e->prefixes[i].tokens);
        }
        free(e->logits);
        for (size_t i = 0; i < sizeof e->micro_batch_logits / sizeof *e->micro_batch_logits; i++) {
            free(e->micro_batch_logits[i]);
        }
        free(e);
    }
}

zoo_status zoo_engine_open(const char *folder, const zoo_engine_options *options, zoo_engine **out,
                           zoo_error *err)
{
    (void)folder;
    *out = fake_engine(options->context_max, options->rows_max, options->seqs_max);
    (void)err;
    return ZOO_OK;
}

int32_t zoo_engine_some_token(const zoo_engine *e, uint32_t n)
{
    return (int32_t)(n % zoo_engine_plan(e)->vocab_size);
}

const zoo_plan *zoo_engine_plan(const zoo_engine *e)
{
    return &e->plan;
}

const zoo_limits *zoo_engine_limits(const zoo_engine *e)
{
    return &e->limits;
}

const zoo_kernels *zoo_engine_kernels(const zoo_engine *e)
{
    return &e->kernels;
}

void zoo_engine_parallel(zoo_engine *e, uint32_t n_items, zoo_task *fn, void *arg)
{
    for (uint32_t i = 0; i < n_items; i++) {
        fn(arg, i, i % e->limits.n_threads);
    }
}

uint32_t zoo_engine_logits_max(const zoo_engine *e)
{
    return e->logits_max;
}

static uint32_t fake_pages(uint32_t length)
{
    return (length + ZOO_PAGE - 1) / ZOO_PAGE;
}

static zoo_status fake_open(zoo_engine *e, const fake_prefix *prefix, uint32_t shared,
                            uint32_t n_prompt, uint32_t length_max, uint32_t *seq, zoo_error *err)
{
    uint32_t at = 0, n_open = 1;
    uint32_t pages = fake_pages(length_max) - shared / ZOO_PAGE;
    FAKE_CHECK(length_max >= n_prompt && n_prompt > shared && length_max <= FAKE_CONTEXT_MAX);
    if (e->pages_max && fake_pages(length_max) > e->pages_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%u positions never fit", length_max);
    }
    while (at < e->limits.seqs_max && e->seqs[at].open) {
        at++;
    }
    if (at == e->limits.seqs_max || (e->pages_max && e->pages_used + pages > e->pages_max)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no room for %u positions now", length_max);
    }
    e->pages_used += pages;
    e->seqs[at] = (fake_seq){true, shared, length_max, n_prompt, pages, 0, NULL};
    e->seqs[at].tokens = malloc(length_max * sizeof(int32_t) + 1);
    FAKE_CHECK(e->seqs[at].tokens);
    if (shared > 0) {
        memcpy(e->seqs[at].tokens, prefix->tokens, shared * sizeof(int32_t));
    }
    for (uint32_t i = 0; i < e->limits.seqs_max; i++) {
        n_open += e->seqs[i].open;
    }
    e->most_seqs = n_open - 1 > e->most_seqs ? n_open - 1 : e->most_seqs;
    *seq = at;
    return ZOO_OK;
}

zoo_status zoo_engine_seq_open(zoo_engine *e, uint32_t n_prompt, uint32_t length_max, uint32_t *seq,
                               zoo_error *err)
{
    return fake_open(e, NULL, 0, n_prompt, length_max, seq, err);
}

zoo_status zoo_engine_seq_open_shared(zoo_engine *e, uint32_t prefix, uint32_t length,
                                      uint32_t n_prompt, uint32_t length_max, uint32_t *seq,
                                      zoo_error *err)
{
    FAKE_CHECK(prefix < FAKE_PREFIXES_MAX && e->prefixes[prefix].kept);
    FAKE_CHECK(length > 0 && length <= e->prefixes[prefix].length);
    FAKE_CHECK(length == e->prefixes[prefix].length || (e->grain && length % e->grain == 0));
    return fake_open(e, &e->prefixes[prefix], length, n_prompt, length_max, seq, err);
}

uint32_t zoo_engine_prefix_grain(const zoo_engine *e)
{
    return e->grain;
}

double zoo_engine_cache_fill(const zoo_engine *e)
{
    return e->pages_max ? (double)e->pages_used / e->pages_max : 0;
}

void zoo_engine_seq_close(zoo_engine *e, uint32_t seq)
{
    FAKE_CHECK(seq < FAKE_SEQS_MAX && e->seqs[seq].open);
    e->pages_used -= e->seqs[seq].n_pages;
    e->marks_left += e->has_states && e->seqs[seq].mark;
    free(e->seqs[seq].tokens);
    memset(&e->seqs[seq], 0, sizeof e->seqs[seq]);
}

/* Pages of a prefix count once more as long as it is kept. */
zoo_status zoo_engine_prefix_keep(zoo_engine *e, uint32_t seq, uint32_t length, uint32_t *prefix,
                                  zoo_error *err)
{
    uint32_t at = 0;
    FAKE_CHECK(e->seqs[seq].open && e->seqs[seq].length == length && length > 0);
    while (at < FAKE_PREFIXES_MAX && e->prefixes[at].kept) {
        at++;
    }
    if (at == FAKE_PREFIXES_MAX ||
        (e->pages_max && e->pages_used + length / ZOO_PAGE > e->pages_max)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no room for a prefix");
    }
    e->pages_used += length / ZOO_PAGE;
    e->prefixes[at] = (fake_prefix){true, length, malloc(length * sizeof(int32_t))};
    FAKE_CHECK(e->prefixes[at].tokens);
    memcpy(e->prefixes[at].tokens, e->seqs[seq].tokens, length * sizeof(int32_t));
    e->n_kept_now++;
    *prefix = at;
    return ZOO_OK;
}

void zoo_engine_prefix_drop(zoo_engine *e, uint32_t prefix)
{
    FAKE_CHECK(prefix < FAKE_PREFIXES_MAX && e->prefixes[prefix].kept);
    e->pages_used -= e->prefixes[prefix].length / ZOO_PAGE;
    free(e->prefixes[prefix].tokens);
    memset(&e->prefixes[prefix], 0, sizeof e->prefixes[prefix]);
    e->n_kept_now--;
}

bool zoo_engine_must_reread(const zoo_engine *e, uint32_t before, uint32_t after)
{
    uint32_t limit = e->plan.reread_after;
    return e->plan.reread_always ? after > limit : limit && before <= limit && after > limit;
}

void zoo_engine_seq_restart(zoo_engine *e, uint32_t seq, uint32_t n_total)
{
    FAKE_CHECK(e->seqs[seq].open && n_total == e->seqs[seq].length + 1);
    e->seqs[seq].length = 0;
}

bool zoo_engine_has_states(const zoo_engine *e)
{
    return e->has_states;
}

bool zoo_engine_seq_mark(zoo_engine *e, uint32_t seq)
{
    FAKE_CHECK(e->seqs[seq].open);
    if (e->has_states && !e->seqs[seq].mark) {
        if (e->marks_left == 0) {
            return false;
        }
        e->marks_left--;
    }
    e->seqs[seq].mark = e->seqs[seq].length + 1;
    return true;
}

uint32_t zoo_engine_seq_rewind(zoo_engine *e, uint32_t seq, uint32_t length)
{
    fake_seq *s = &e->seqs[seq];
    FAKE_CHECK(s->open && length <= s->length && s->length - length < e->limits.rows_max);
    FAKE_CHECK(!e->has_states || (s->mark && length >= s->mark - 1));
    s->length = e->has_states && length < s->length ? s->mark - 1 : length;
    s->mark = 0;
    e->marks_left += e->has_states;
    return s->length;
}

/* Logits after n tokens: a hash of all of them. */
static void fake_logits(const zoo_engine *e, const int32_t *tokens, uint32_t n, float *out)
{
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) {
        h = fake_mix(h + (uint64_t)(uint32_t)tokens[i] * UINT64_C(0x9e3779b97f4a7c15));
    }
    for (uint32_t v = 0; v < e->plan.vocab_size; v++) {
        uint64_t x = fake_mix(h + v * UINT64_C(0xd1342543de82ef95));
        out[v] = (float)(x >> 40) / 16777216.0f * 8.0f - 4.0f;
    }
    if (e->habit > 0.0f) {
        out[fake_mix((uint64_t)tokens[n - 1] + 7) % e->plan.vocab_size] += e->habit;
    }
    if (e->plan.vocab_size > 3 && h % 32 < e->end_bias) {
        out[3] = 9.0f;
    }
}

zoo_status zoo_engine_step(zoo_engine *e, zoo_item *items, uint32_t n_items, zoo_error *err)
{
    uint32_t n_rows = 0, n_logits = 0;
    if (e->n_steps++ == e->fail_at) {
        return zoo_fail(err, ZOO_E_INTERNAL, "the fake engine fails at this step");
    }
    FAKE_CHECK(n_items > 0);
    e->seconds += e->step_seconds;
    for (uint32_t i = 0; i < n_items; i++) {
        zoo_item *item = &items[i];
        fake_seq *s = &e->seqs[item->seq];
        FAKE_CHECK(item->n > 0 && s->open && s->length + item->n <= s->length_max);
        memcpy(s->tokens + s->length, item->tokens, item->n * sizeof(int32_t));
        n_rows += item->n;
        item->logits =
            item->want == ZOO_WANT_NONE ? NULL : e->logits + (size_t)n_logits * e->plan.vocab_size;
        for (uint32_t k = 0; k < item->n; k++) {
            s->length++;
            if (k + zoo_item_n_wanted(item) >= item->n) {
                FAKE_CHECK(n_logits < e->logits_max);
                fake_logits(e, s->tokens, s->length,
                            e->logits + (size_t)n_logits++ * e->plan.vocab_size);
            }
        }
        for (uint32_t k = 0; k < i; k++) {
            FAKE_CHECK(items[k].seq != item->seq);
        }
    }
    FAKE_CHECK(n_rows <= e->limits.rows_max);
    e->n_rows += n_rows;
    return ZOO_OK;
}

uint32_t zoo_engine_n_micro_batches(const zoo_engine *e)
{
    return e->n_micro_batches ? e->n_micro_batches : 1;
}

/* The step is computed at its begin; its logits come at its end. */
zoo_status zoo_engine_step_begin(zoo_engine *e, uint32_t micro_batch, zoo_item *items,
                                 uint32_t n_items, zoo_error *err)
{
    size_t n = (size_t)e->logits_max * e->plan.vocab_size;
    FAKE_CHECK(micro_batch < zoo_engine_n_micro_batches(e) &&
               e->n_under_way < zoo_engine_n_micro_batches(e));
    for (uint32_t i = 0; i < e->n_under_way; i++) {
        FAKE_CHECK(e->micro_batches[i] != micro_batch);
    }
    zoo_status status = zoo_engine_step(e, items, n_items, err);
    if (status != ZOO_OK || zoo_engine_n_micro_batches(e) == 1) {
        return status;
    }
    if (!e->micro_batch_logits[micro_batch]) {
        e->micro_batch_logits[micro_batch] = malloc(n * sizeof(float));
        FAKE_CHECK(e->micro_batch_logits[micro_batch]);
    }
    memcpy(e->micro_batch_logits[micro_batch], e->logits, n * sizeof(float));
    for (uint32_t i = 0; i < n_items; i++) {
        items[i].logits = items[i].logits
                              ? e->micro_batch_logits[micro_batch] + (items[i].logits - e->logits)
                              : NULL;
    }
    e->micro_batches[e->n_under_way++] = micro_batch;
    return ZOO_OK;
}

zoo_status zoo_engine_step_end(zoo_engine *e, uint32_t micro_batch, zoo_item *items,
                               uint32_t n_items, zoo_error *err)
{
    (void)items;
    (void)n_items;
    (void)err;
    if (zoo_engine_n_micro_batches(e) > 1) {
        FAKE_CHECK(e->n_under_way > 0 && e->micro_batches[0] == micro_batch);
        memmove(e->micro_batches, e->micro_batches + 1,
                --e->n_under_way * sizeof *e->micro_batches);
    }
    return ZOO_OK;
}

/* What is kept here goes to no file. */
/* It has no layers whose rows could be read. */
bool zoo_engine_has_rows(const zoo_engine *e)
{
    (void)e;
    return false;
}

void zoo_engine_rows(zoo_engine *e, uint32_t first, uint32_t n, bool normed, float *out)
{
    (void)first;
    (void)n;
    (void)normed;
    (void)out;
    FAKE_CHECK(!e);
}

void zoo_engine_lend_head(const zoo_engine *e, zoo_engine *predictor)
{
    (void)predictor;
    FAKE_CHECK(!e);
}

zoo_status zoo_engine_saver(zoo_engine *e, zoo_cache_saver **out, zoo_error *err)
{
    (void)e;
    *out = NULL;
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "the fake engine saves nothing");
}

uint64_t zoo_engine_cache_shape(const zoo_engine *e)
{
    return e->plan.vocab_size;
}

uint32_t zoo_engine_prefix_length(const zoo_engine *e, uint32_t prefix)
{
    return e->prefixes[prefix].kept ? e->prefixes[prefix].length : 0;
}

#endif
