/*
 * test_cluster.c: rank 0 of a run over ranks (cluster.h), with a link that simulates rank 1: one
 * that fails after its first rows, one that never appears, others that must be refused, and
 * truncated messages. Whatever it does, the run gives the lines of one process or one sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/cluster.h"
#include "cluster/message.h"
#include "fake_engine.h"

#define MODEL LMZOO_SOURCE_DIR "/demo/models/demo-llama"

static zoo_chat_model loaded;
static char folder[256], input[300], output[300], journal_path[300];

/* ---- rank 1 ---- */

static struct {
    zoo_message *queue[16]; /* to rank 0 */
    size_t n, at;
    uint32_t kinds[16]; /* of the messages sent to it */
    size_t n_kinds, n_rows_bytes;
    bool fails; /* after its first rows */
    size_t cut; /* bytes of its last message that are not sent */
} other;

static void enqueue(zoo_message_kind kind, const void *data, size_t n)
{
    zoo_message *m = zoo_message_new(kind, n);
    assert_non_null(m);
    assert_true(other.n < 16);
    memcpy(m->data, data, n);
    other.queue[other.n++] = m;
}

static int link_send(uint32_t to, const void *data, size_t n)
{
    uint32_t kind;
    assert_int_equal(to, 1);
    assert_true(n >= sizeof kind && other.n_kinds < 16);
    memcpy(&kind, data, sizeof kind);
    other.kinds[other.n_kinds++] = kind;
    if (kind == ZOO_MESSAGE_ROWS && other.fails) {
        zoo_error why;
        (void)zoo_fail(&why, ZOO_E_MEMORY, "no memory here");
        other.n_rows_bytes += n;
        enqueue(ZOO_MESSAGE_FAILED, &why, sizeof why);
        other.fails = false;
    }
    return 0;
}

static int link_receive(uint32_t *from, void **data, size_t *n)
{
    if (other.at == other.n) {
        return 0;
    }
    zoo_message *m = other.queue[other.at++];
    uint32_t kind = (uint32_t)m->kind;
    *from = 1;
    *n = sizeof kind + m->n - (other.at == other.n ? other.cut : 0);
    *data = malloc(sizeof kind + m->n);
    assert_non_null(*data);
    memcpy(*data, &kind, sizeof kind);
    memcpy((char *)*data + sizeof kind, m->data, m->n);
    zoo_mem_free(m);
    return 1;
}

static const zoo_link_ops link_ops = {.version = ZOO_LINK_VERSION,
                                      .size = sizeof link_ops,
                                      .name = "test",
                                      .send = link_send,
                                      .receive = link_receive};

/* ---- the run of rank 0 ---- */

static int set_up(void **unused)
{
    const char *base = getenv("TMPDIR");
    zoo_error err;
    (void)unused;
    (void)snprintf(folder, sizeof folder, "%s/test_cluster.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder) || zoo_tokenizer_open(MODEL, &loaded.tokenizer, &err) != ZOO_OK ||
        zoo_generation_read(MODEL, 1024, &loaded.generation, &err) != ZOO_OK) {
        return -1;
    }
    loaded.generation.n_eos = 1;
    loaded.generation.eos[0] = 3; /* the fake engine's */
    loaded.context = (zoo_request_context){.generation = &loaded.generation,
                                           .tokenizer = loaded.tokenizer,
                                           .n_vocab = 1024,
                                           .context_max = 512,
                                           .usual_max = 16};
    (void)snprintf(input, sizeof input, "%s/in.jsonl", folder);
    (void)snprintf(output, sizeof output, "%s/out.jsonl", folder);
    (void)snprintf(journal_path, sizeof journal_path, "%s/out.journal", folder);
    FILE *file = fopen(input, "wb");
    for (int i = 0; file && i < 60; i++) {
        (void)fprintf(file,
                      "{\"custom_id\":\"row-%d\",\"method\":\"POST\",\"url\":\"/v1/completions\","
                      "\"body\":{\"prompt\":\"Story %d\",\"max_tokens\":%d}}\n",
                      i % 25 == 24 ? 3 : i, i, 1 + i % 9);
    }
    return file ? fclose(file) : -1;
}

static int tear_down(void **unused)
{
    char errors[300];
    (void)unused;
    (void)snprintf(errors, sizeof errors, "%s/out.errors.jsonl", folder);
    (void)unlink(input);
    (void)unlink(output);
    (void)unlink(errors);
    (void)unlink(journal_path);
    (void)rmdir(folder);
    zoo_tokenizer_close(loaded.tokenizer);
    return 0;
}

static zoo_hello hello_of(const zoo_journal_key *key)
{
    zoo_hello hello = {.magic = ZOO_HELLO_MAGIC,
                       .seqs_max = 4,
                       .context_max = 512,
                       .line_bytes_max = 1 << 24,
                       .host = "other",
                       .key = *key};
    return hello;
}

typedef struct outcome {
    zoo_status status;
    zoo_error err;
    zoo_batch_totals totals;
    char *lines; /* of the results */
    bool has_dealt;
} outcome;

/* alone: as one process. hello null: rank 1 never appears. The caller frees lines. */
static outcome run(bool alone, const zoo_hello *hello)
{
    outcome o = {.status = ZOO_OK};
    zoo_journal_key key = {.model = "model", .options = "o", .now = "2026-01-02T03:04:05"};
    zoo_journal_paths paths = {.results = output, .restart = true};
    zoo_batch_job job = {.loaded = &loaded, .input_name = input, .in_order = true};
    zoo_cluster cluster = {.link = &link_ops, .n_ranks = 2};
    size_t n;
    assert_int_equal(zoo_input_open(input, NULL, &job.input, &o.err), ZOO_OK);
    assert_int_equal(zoo_input_scan(job.input, &o.err), ZOO_OK);
    zoo_input_hash(job.input, key.requests);
    job.input_hash = key.requests;
    job.n_lines = zoo_input_n_lines(job.input);
    job.line_bytes_max = job.lines_bytes_max = 1 << 24;
    assert_int_equal(zoo_journal_open(&paths, &key, &job.journal, &o.err), ZOO_OK);
    loaded.engine = fake_engine(1024, 64, 4);
    if (hello) {
        enqueue(ZOO_MESSAGE_HELLO, hello, sizeof *hello);
    }
    o.status = alone ? zoo_batch_run(&job, &o.totals, &o.err)
                     : zoo_cluster_deal(&cluster, &job, &key, &o.totals, &o.err);
    o.has_dealt = cluster.has_dealt;
    zoo_engine_close(loaded.engine);
    assert_int_equal(zoo_journal_close(job.journal, NULL), ZOO_OK);
    zoo_input_close(job.input);
    assert_int_equal(zoo_file_read(output, 1 << 24, &o.lines, &n, NULL), ZOO_OK);
    for (; other.at < other.n; other.at++) {
        zoo_mem_free(other.queue[other.at]);
    }
    return o;
}

static void assert_as_alone(const outcome *o)
{
    memset(&other, 0, sizeof other);
    outcome one = run(true, NULL);
    assert_int_equal(one.status, ZOO_OK);
    assert_int_equal(one.totals.n_errors, 2);
    assert_int_equal(o->totals.n_results, one.totals.n_results);
    assert_int_equal(o->totals.n_errors, one.totals.n_errors);
    assert_memory_equal(o->totals.kinds, one.totals.kinds, sizeof one.totals.kinds);
    assert_string_equal(o->lines, one.lines);
    zoo_mem_free(one.lines);
}

static void test_a_rank_that_fails_has_its_rows_dealt_again(void **unused)
{
    zoo_journal_key key = {.model = "model", .options = "o"};
    zoo_hello hello = hello_of(&key);
    (void)unused;
    memset(&other, 0, sizeof other);
    other.fails = true;
    outcome o = run(false, &hello);
    assert_int_equal(o.status, ZOO_OK);
    assert_true(o.has_dealt);
    assert_true(other.n_rows_bytes > 0);
    assert_int_equal(other.kinds[0], ZOO_MESSAGE_START);
    assert_int_equal(other.kinds[1], ZOO_MESSAGE_ROWS);
    assert_as_alone(&o);
    zoo_mem_free(o.lines);
}

static void test_a_rank_that_never_appears_is_sent_quit(void **unused)
{
    (void)unused;
    memset(&other, 0, sizeof other);
    outcome o = run(false, NULL);
    assert_int_equal(o.status, ZOO_OK);
    assert_int_equal(other.n_kinds, 1);
    assert_int_equal(other.kinds[0], ZOO_MESSAGE_QUIT);
    assert_as_alone(&o);
    zoo_mem_free(o.lines);
}

static void assert_refused(const zoo_hello *hello, zoo_status status, const char *words)
{
    size_t cut = other.cut;
    memset(&other, 0, sizeof other);
    other.cut = cut;
    outcome o = run(false, hello);
    assert_int_equal(o.status, status);
    assert_false(o.has_dealt);
    assert_non_null(strstr(o.err.text, words));
    assert_non_null(strstr(o.err.text, "rank 1"));
    zoo_mem_free(o.lines);
}

static void test_ranks_that_differ_are_refused(void **unused)
{
    zoo_journal_key key = {.model = "model", .options = "o"};
    zoo_hello hello = hello_of(&key);
    (void)unused;
    memset(&other, 0, sizeof other);
    (void)snprintf(hello.key.isa, sizeof hello.key.isa, "avx2");
    assert_refused(&hello, ZOO_E_USAGE, "--isa");
    hello = hello_of(&key);
    (void)snprintf(hello.key.model, sizeof hello.key.model, "others");
    assert_refused(&hello, ZOO_E_USAGE, "model folder");
    hello = hello_of(&key);
    (void)snprintf(hello.key.shard, sizeof hello.key.shard, "1/2");
    assert_refused(&hello, ZOO_E_USAGE, "--shard");
    hello = hello_of(&key);
    (void)snprintf(hello.files, sizeof hello.files, "x");
    assert_refused(&hello, ZOO_E_USAGE, "requests or results");
    hello = hello_of(&key);
    hello.line_bytes_max = 1 << 20;
    assert_refused(&hello, ZOO_E_USAGE, "--memory");
    hello = hello_of(&key);
    hello.magic = __builtin_bswap64(hello.magic);
    assert_refused(&hello, ZOO_E_USAGE, "orders bytes");
    memset(&hello.key, 'x', sizeof hello.key); /* none of its texts is terminated */
    memset(hello.host, 'x', sizeof hello.host);
    hello.magic = ZOO_HELLO_MAGIC;
    assert_refused(&hello, ZOO_E_USAGE, "program");
    hello = hello_of(&key);
    other.cut = 9;
    assert_refused(&hello, ZOO_E_USAGE, "program");
    other.cut = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rank_that_fails_has_its_rows_dealt_again),
        cmocka_unit_test(test_a_rank_that_never_appears_is_sent_quit),
        cmocka_unit_test(test_ranks_that_differ_are_refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
