/*
 * test_batch.c: whole batch runs over the fake engine and a real tokenizer: interrupted at every
 * step, torn at every byte, resumed; changed inputs; duplicates; the shapes of answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "batch/result.h"
#include "fake_engine.h"

#define MODEL LMZOO_SOURCE_DIR "/demo/models/demo-llama"

static zoo_chat_model loaded;
static char folder[256], input[300], output[300], errors[300];

static int set_up(void **unused)
{
    const char *base = getenv("TMPDIR");
    zoo_error err;
    (void)unused;
    (void)snprintf(folder, sizeof folder, "%s/test_batch.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder) || zoo_tokenizer_open(MODEL, &loaded.tokenizer, &err) != ZOO_OK ||
        zoo_template_open(MODEL, &loaded.chat, &err) != ZOO_OK ||
        zoo_generation_read(MODEL, 1024, &loaded.generation, &err) != ZOO_OK) {
        return -1;
    }
    loaded.generation.n_eos = 1;
    loaded.generation.eos[0] = 3; /* the fake engine's */
    loaded.context = (zoo_request_context){.generation = &loaded.generation,
                                           .tokenizer = loaded.tokenizer,
                                           .chat = loaded.chat,
                                           .n_vocab = 1024,
                                           .context_max = 512,
                                           .usual_max = 16};
    (void)snprintf(loaded.name, sizeof loaded.name, "fake");
    (void)snprintf(input, sizeof input, "%s/in.jsonl", folder);
    (void)snprintf(output, sizeof output, "%s/out.jsonl", folder);
    (void)snprintf(errors, sizeof errors, "%s/out.errors.jsonl", folder);
    return 0;
}

static void remove_outputs(void)
{
    char journal[300];
    (void)snprintf(journal, sizeof journal, "%s/out.journal", folder);
    (void)unlink(output);
    (void)unlink(errors);
    (void)unlink(journal);
}

static int tear_down(void **unused)
{
    (void)unused;
    remove_outputs();
    (void)unlink(input);
    (void)rmdir(folder);
    zoo_tokenizer_close(loaded.tokenizer);
    zoo_template_close(loaded.chat);
    return 0;
}

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* 20 good rows of several kinds and 6 bad ones. */
static void write_requests(void)
{
    static char text[32768];
    size_t n = 0;
    for (int i = 0; i < 20; i++) {
        const char *rest = i % 4 == 0   ? ",\"logprobs\":2,\"n\":2"
                           : i % 4 == 1 ? ",\"temperature\":0,\"stop\":[\"a\",\"the\"]"
                           : i % 4 == 2 ? ",\"echo\":true,\"logprobs\":1,\"max_tokens\":1"
                                        : ",\"prompt_logprobs\":0";
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "{\"custom_id\":\"row-%d\",\"method\":\"POST\",\"url\":"
                              "\"/v1/completions\",\"body\":{\"prompt\":\"Story %d\"%s}}\n%s",
                              i, i, rest, i % 7 == 3 ? "\n" : "");
        if (i % 3 == 0) {
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  i == 6 ? "{\"custom_id\":\"row-1\",\"method\":\"POST\",\"url\":"
                                           "\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}\n"
                                         : "{\"custom_id\":\"bad-%d\"\n",
                                  i);
        }
    }
    n += (size_t)snprintf(
        text + n, sizeof text - n,
        "{\"custom_id\":\"c\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
        "\"max_tokens\":5,\"logprobs\":true,\"top_logprobs\":2}}");
    write_file(input, text, n);
}

typedef struct outcome {
    zoo_status status;
    zoo_error err;
    zoo_batch_totals totals;
    uint64_t n_steps;
} outcome;

/* Opens and hashes the requests; the job gets their bounds. */
static zoo_input *open_requests(zoo_batch_job *job, zoo_journal_key *key)
{
    zoo_error err;
    assert_int_equal(zoo_input_open(input, NULL, &job->input, &err), ZOO_OK);
    assert_int_equal(zoo_input_scan(job->input, &err), ZOO_OK);
    zoo_input_hash(job->input, key->requests);
    job->n_lines = zoo_input_n_lines(job->input);
    job->input_name = input;
    job->line_bytes_max = job->lines_bytes_max = 1 << 24;
    return job->input;
}

static outcome run_batch(int64_t fail_at, uint32_t rows_max, uint32_t seqs_max, const char *options)
{
    outcome o = {.status = ZOO_OK};
    zoo_journal_key key = {.model = "model", .now = "2026-01-02T03:04:05"};
    zoo_journal_paths paths = {.results = output};
    zoo_batch_job job = {.input = NULL};
    zoo_journal *journal;
    (void)snprintf(key.options, sizeof key.options, "%s", options);
    zoo_input *requests = open_requests(&job, &key);
    o.status = zoo_journal_open(&paths, &key, &journal, &o.err);
    if (o.status != ZOO_OK) {
        zoo_input_close(requests);
        return o;
    }
    loaded.engine = fake_engine(1024, rows_max, seqs_max);
    loaded.engine->fail_at = fail_at;
    job.loaded = &loaded;
    job.journal = journal;
    o.status = zoo_batch_run(&job, &o.totals, &o.err);
    o.n_steps = (uint64_t)loaded.engine->n_steps;
    assert_int_equal(loaded.engine->n_kept_now, 0);
    assert_int_equal(loaded.engine->pages_used, 0);
    zoo_engine_close(loaded.engine);
    assert_int_equal(zoo_journal_close(journal, NULL), ZOO_OK);
    zoo_input_close(requests);
    return o;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a file in sorted order, as one text; "" when there is no file. */
static char *sorted_lines(const char *path)
{
    char *data, *lines[256], *out;
    size_t n, n_lines = 0, at = 0;
    if (zoo_file_read(path, 1 << 24, &data, &n, NULL) != ZOO_OK) {
        return zoo_mem_text("", 0);
    }
    out = zoo_mem_text(data, n);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(n_lines < 256);
        lines[n_lines++] = line;
    }
    qsort(lines, n_lines, sizeof *lines, by_text);
    for (size_t i = 0; i < n_lines; i++) {
        at += (size_t)sprintf(out + at, "%s\n", lines[i]);
    }
    assert_int_equal(at, n);
    zoo_mem_free(data);
    return out;
}

static void assert_lines(const char *path, const char *want)
{
    char *got = sorted_lines(path);
    assert_string_equal(got, want);
    zoo_mem_free(got);
}

static void test_resumes_after_every_step(void **unused)
{
    char *want, *want_errors;
    outcome whole;
    (void)unused;
    write_requests();
    remove_outputs();
    whole = run_batch(-1, 64, 4, "o");
    assert_int_equal(whole.status, ZOO_OK);
    assert_int_equal(whole.totals.n_results, 21);
    assert_int_equal(whole.totals.n_errors, 7);
    want = sorted_lines(output);
    want_errors = sorted_lines(errors);
    for (uint64_t at = 0; at < whole.n_steps; at++) {
        outcome first, second, third;
        remove_outputs();
        first = run_batch((int64_t)at, 64, 4, "o");
        /* How many steps there are depends on when lines are read: a run may end before `at`. */
        assert_int_equal(first.status, first.n_steps <= at ? ZOO_OK : ZOO_E_INTERNAL);
        second = run_batch((int64_t)(at / 2), 100, 2, "o");
        third = run_batch(-1, 33, 7, "o");
        assert_int_equal(third.status, ZOO_OK);
        assert_int_equal(first.totals.n_results + second.totals.n_results + third.totals.n_results,
                         21);
        assert_lines(output, want);
        assert_lines(errors, want_errors);
    }
    zoo_mem_free(want);
    zoo_mem_free(want_errors);
}

static void test_any_torn_end_is_mended(void **unused)
{
    char *want, *data;
    size_t n;
    (void)unused;
    write_requests();
    remove_outputs();
    assert_int_equal(run_batch(-1, 64, 4, "o").status, ZOO_OK);
    want = sorted_lines(output);
    assert_int_equal(zoo_file_read(output, 1 << 24, &data, &n, NULL), ZOO_OK);
    for (size_t keep = 0; keep < n; keep += keep < n - 700 ? 97 : 1) {
        write_file(output, data, keep);
        assert_int_equal(run_batch(-1, 64, 4, "o").status, ZOO_OK);
        assert_lines(output, want);
    }
    zoo_mem_free(data);
    zoo_mem_free(want);
}

static void test_refuses_what_changed(void **unused)
{
    outcome o;
    (void)unused;
    write_requests();
    remove_outputs();
    assert_int_equal(run_batch(5, 64, 4, "o").status, ZOO_E_INTERNAL);
    o = run_batch(-1, 64, 4, "p");
    assert_int_equal(o.status, ZOO_E_USAGE);
    assert_non_null(strstr(o.err.text, "options"));
    write_file(input, "{}\n", 3);
    o = run_batch(-1, 64, 4, "o");
    assert_int_equal(o.status, ZOO_E_USAGE);
    assert_non_null(strstr(o.err.text, "request file"));
    write_requests();
    assert_int_equal(run_batch(-1, 64, 4, "o").status, ZOO_OK);
    remove_outputs();
    write_file(output, "mine\n", 5);
    o = run_batch(-1, 64, 4, "o");
    assert_int_equal(o.status, ZOO_E_USAGE);
    assert_non_null(strstr(o.err.text, "without a journal"));
    remove_outputs();
}

static void test_foreign_lines_are_refused(void **unused)
{
    outcome o;
    FILE *file;
    (void)unused;
    write_requests();
    remove_outputs();
    assert_int_equal(run_batch(9, 64, 4, "o").status, ZOO_E_INTERNAL);
    file = fopen(output, "ab");
    assert_non_null(file);
    assert_true(fputs("{\"id\":\"x\",\"custom_id\":\"row-1\"}\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    o = run_batch(-1, 64, 4, "o");
    assert_int_equal(o.status, ZOO_E_FORMAT);
    remove_outputs();
}

/* Every line of both files is JSON of the promised shape. */
static void test_shapes(void **unused)
{
    char *data;
    size_t n;
    (void)unused;
    write_requests();
    remove_outputs();
    assert_int_equal(run_batch(-1, 64, 4, "o").status, ZOO_OK);
    assert_int_equal(zoo_file_read(output, 1 << 24, &data, &n, NULL), ZOO_OK);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *tree, *body, *choice, *logprobs;
        assert_int_equal(zoo_json_parse(line, strlen(line), "line", &tree, NULL), ZOO_OK);
        body = cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "response"), "body");
        choice = cJSON_GetArrayItem(cJSON_GetObjectItem(body, "choices"), 0);
        logprobs = cJSON_GetObjectItem(choice, "logprobs");
        assert_true(cJSON_IsNull(cJSON_GetObjectItem(tree, "error")));
        assert_non_null(cJSON_GetObjectItem(choice, "finish_reason"));
        if (cJSON_GetObjectItem(logprobs, "tokens")) {
            int n_tokens = cJSON_GetArraySize(cJSON_GetObjectItem(logprobs, "tokens"));
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(logprobs, "token_logprobs")),
                             n_tokens);
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(logprobs, "top_logprobs")),
                             n_tokens);
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(logprobs, "text_offset")),
                             n_tokens);
        }
        cJSON_Delete(tree);
    }
    zoo_mem_free(data);
    assert_int_equal(zoo_file_read(errors, 1 << 24, &data, &n, NULL), ZOO_OK);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *tree, *error;
        assert_int_equal(zoo_json_parse(line, strlen(line), "line", &tree, NULL), ZOO_OK);
        error = cJSON_GetObjectItem(tree, "error");
        assert_true(cJSON_GetObjectItem(error, "line")->valuedouble >= 1.0);
        assert_true(cJSON_IsString(cJSON_GetObjectItem(error, "message")));
        assert_true(cJSON_IsString(cJSON_GetObjectItem(error, "code")));
        cJSON_Delete(tree);
    }
    zoo_mem_free(data);
}

static void test_stop_is_obeyed(void **unused)
{
    static volatile sig_atomic_t stop = 2;
    zoo_journal_key key = {.model = "model", .options = "o"};
    zoo_journal_paths paths = {.results = output};
    zoo_batch_totals totals;
    zoo_batch_job job = {.loaded = &loaded, .stop = &stop};
    zoo_error err;
    (void)unused;
    write_requests();
    remove_outputs();
    zoo_input *requests = open_requests(&job, &key);
    assert_int_equal(zoo_journal_open(&paths, &key, &job.journal, &err), ZOO_OK);
    loaded.engine = fake_engine(1024, 64, 4);
    assert_int_equal(zoo_batch_run(&job, &totals, &err), ZOO_OK);
    assert_true(totals.interrupted);
    zoo_engine_close(loaded.engine);
    assert_int_equal(zoo_journal_close(job.journal, NULL), ZOO_OK);
    zoo_input_close(requests);
}

/* ---- text of one row ---- */

static zoo_row text_row(const char *const *stops, uint32_t n_stops)
{
    static const int32_t prompt[1] = {1017};
    return (zoo_row){.prompt = prompt,
                     .n_prompt = 1,
                     .n_new_max = 200,
                     .sampling = {.temperature = 1.0f, .top_p = 1.0f, .repetition = 1.0f},
                     .n_top = ZOO_NO_LOGPROBS,
                     .n_prompt_top = ZOO_NO_LOGPROBS,
                     .stops = stops,
                     .n_stops = n_stops};
}

static char shown[1024];

static void show(void *arg, const char *text, size_t n)
{
    (void)arg;
    (void)strncat(shown, text, n);
}

/* Feeds the ids of a text; returns how many were taken. */
static uint32_t feed(zoo_row *row, const char *text)
{
    zoo_ids ids = {0};
    zoo_sampler *sampler;
    zoo_error err;
    uint32_t n = 0;
    shown[0] = 0;
    row->on_text = show;
    assert_int_equal(zoo_sampler_new(zoo_kernels_select(NULL, &err), 1024, NULL, 0, &sampler, &err),
                     ZOO_OK);
    assert_int_equal(zoo_tokenizer_encode(loaded.tokenizer, text, strlen(text), 0, &ids, &err),
                     ZOO_OK);
    row->n_new_max = (uint32_t)ids.n;
    assert_int_equal(zoo_row_begin(row, loaded.tokenizer, &err), ZOO_OK);
    while (n < ids.n && row->finish == ZOO_UNFINISHED) {
        assert_int_equal(zoo_row_accept(row, sampler, ids.data[n++], &err), ZOO_OK);
    }
    zoo_ids_free(&ids);
    zoo_sampler_free(sampler);
    return n;
}

/* Every cut of a text is found as a stop string, wherever token borders lie. */
static void test_stop_strings_across_tokens(void **unused)
{
    static const char *text =
        "One day, Tim and Sue went to the park. \xc3\xa9\xe2\x82\xac said Tim!";
    size_t n = strlen(text);
    (void)unused;
    for (size_t begin = 1; begin < n; begin++) {
        for (size_t length = 1; begin + length <= n && length < 12; length++) {
            char stop[16];
            const char *stops[2] = {"never", stop};
            zoo_row row = text_row(stops, 2);
            size_t first;
            memcpy(stop, text + begin, length);
            stop[length] = 0;
            first = (size_t)(strstr(text, stop) - text);
            (void)feed(&row, text);
            assert_int_equal(row.finish, ZOO_FINISH_STOP_TEXT);
            assert_int_equal(row.text.n, first);
            assert_memory_equal(row.text.data, text, first);
            assert_int_equal(strlen(shown), first);
            assert_memory_equal(shown, text, first);
            zoo_row_free(&row);
        }
    }
}

static void test_text_without_stop(void **unused)
{
    static const char *stops[1] = {"park. \xc3\xa9\xe2\x82\xac said Tom"};
    static const char *text = "went to the park. \xc3\xa9\xe2\x82\xac said Tim!";
    zoo_row row = text_row(stops, 1);
    (void)unused;
    (void)feed(&row, text);
    assert_int_equal(row.finish, ZOO_FINISH_LENGTH);
    assert_string_equal(shown, text);
    zoo_row_free(&row);
    row = text_row(stops, 1);
    row.keep_stop = true;
    stops[0] = "park";
    (void)feed(&row, text);
    assert_string_equal(shown, "went to the park");
    zoo_row_free(&row);
    row = text_row(stops, 1);
    row.sampling.min_tokens = 100;
    (void)feed(&row, text);
    assert_int_equal(row.finish, ZOO_FINISH_LENGTH);
    zoo_row_free(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumes_after_every_step),
        cmocka_unit_test(test_any_torn_end_is_mended),
        cmocka_unit_test(test_refuses_what_changed),
        cmocka_unit_test(test_foreign_lines_are_refused),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_stop_is_obeyed),
        cmocka_unit_test(test_stop_strings_across_tokens),
        cmocka_unit_test(test_text_without_stop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
