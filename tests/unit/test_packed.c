/*
 * test_packed.c: packed weights from a file have the bits of freshly packed ones, whatever happens
 * to the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "engine/engine_private.h"
#include "model/packed_cache.h"
#include "model/packed_cache_private.h"

#define DEMO(name) LMZOO_SOURCE_DIR "/demo/models/demo-" name

enum { TOKENS = 40 };

/* Where a test works; made anew by each. */
static char work[512], model[600], cache[600];

static void command(const char *fmt, ...)
{
    char line[2000];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (system(line) != 0) {
        fail_msg("%s", line);
    }
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(work, sizeof work, "%s/packed.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(work)) {
        return -1;
    }
    (void)snprintf(model, sizeof model, "%s/model", work);
    (void)snprintf(cache, sizeof cache, "%s/a/cache", work);
    command("cp -r '%s' '%s'", DEMO("llama"), model);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command("chmod -R u+w '%s' && rm -rf '%s'", work, work);
    return 0;
}

/* What a start gave: logits, whether matrices came from the file, the note, the file's path. */
typedef struct start {
    float *logits;
    uint32_t n_logits;
    bool from_file;
    char note[1200], path[4400];
} start;

static zoo_engine *open_engine(const char *folder, const char *kind, const char *packed)
{
    zoo_engine_options options = {.weights = kind,
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .packed_cache = packed,
                                  .rows_max = TOKENS,
                                  .seqs_max = 1,
                                  .context_max = 64,
                                  .n_threads = 2,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    if (zoo_engine_open(folder, &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    return engine;
}

static start start_of(const char *folder, const char *kind, const char *packed)
{
    zoo_engine *engine = open_engine(folder, kind, packed);
    zoo_error error = {0};
    int32_t tokens[TOKENS];
    uint32_t seq;
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = i * 7 % 512 + 4;
    }
    assert_int_equal(zoo_engine_seq_open(engine, TOKENS, TOKENS, &seq, &error), ZOO_OK);
    zoo_item item = {.seq = seq, .n = TOKENS, .tokens = tokens, .want = ZOO_WANT_ALL};
    assert_int_equal(zoo_engine_step(engine, &item, 1, &error), ZOO_OK);
    start s = {.n_logits = TOKENS * zoo_engine_plan(engine)->vocab_size};
    s.logits = malloc(s.n_logits * sizeof *s.logits);
    assert_non_null(s.logits);
    memcpy(s.logits, item.logits, s.n_logits * sizeof *s.logits);
    if (packed) {
        s.from_file = zoo_packed_holds(engine->model.packed, engine->model.head.data);
        (void)snprintf(s.note, sizeof s.note, "%s", zoo_packed_note(engine->model.packed));
        (void)snprintf(s.path, sizeof s.path, "%s", zoo_packed_path(engine->model.packed));
    }
    zoo_engine_close(engine);
    return s;
}

static void assert_same(const start *a, const start *b)
{
    assert_int_equal(a->n_logits, b->n_logits);
    assert_memory_equal(a->logits, b->logits, a->n_logits * sizeof *a->logits);
}

/* A start of the copied model in int8 that must give these logits, from the file or not, and a
 * note that says why (null: none). */
static void expect(const start *right, bool from_file, const char *why)
{
    start s = start_of(model, "int8", cache);
    assert_same(right, &s);
    if (why ? !strstr(s.note, why) : s.note[0] != '\0') {
        fail_msg("note \"%s\", wanted \"%s\"", s.note, why ? why : "");
    }
    assert_int_equal(s.from_file, from_file);
    free(s.logits);
}

static start fill_cache(void)
{
    start s = start_of(model, "int8", cache);
    assert_string_equal(s.note, "");
    assert_false(s.from_file);
    return s;
}

static void same_bits(void **state)
{
    static const char *const kinds[] = {"auto", "f32", "bf16", "int8", "int6", "int4"};
    static const char *const demos[] = {DEMO("llama"), DEMO("gemma"), DEMO("deepseek"),
                                        DEMO("hybrid")};
    (void)state;
    for (size_t d = 0; d < ZOO_COUNT(demos); d++) {
        for (size_t k = 0; k < ZOO_COUNT(kinds); k++) {
            start without = start_of(demos[d], kinds[k], NULL);
            start first = start_of(demos[d], kinds[k], cache);
            start second = start_of(demos[d], kinds[k], cache);
            assert_same(&without, &first);
            assert_same(&without, &second);
            assert_false(first.from_file);
            assert_true(second.from_file);
            assert_string_equal(second.note, "");
            free(without.logits);
            free(first.logits);
            free(second.logits);
        }
    }
}

/* One byte of the file changed at a time: reported with a sentence, rebuilt, good again. */
static void damage_is_found(void **state)
{
    (void)state;
    start right = fill_cache();
    struct stat st;
    assert_int_equal(stat(right.path, &st), 0);
    int64_t size = st.st_size;
    zoo_packed_header h;
    const int64_t places[] = {0,
                              8,
                              12,
                              16,
                              32,
                              40,
                              48,
                              56,
                              64,
                              72,
                              80,
                              96,
                              110,
                              -1,
                              size / 2,
                              size / 3,
                              size - 1,
                              size - 70,
                              (int64_t)sizeof h + 4000};
    for (size_t i = 0; i < ZOO_COUNT(places); i++) {
        int fd = open(right.path, O_RDWR);
        unsigned char byte;
        assert_int_equal(pread(fd, &h, sizeof h, 0), sizeof h);
        int64_t at = places[i] < 0 ? (int64_t)h.begin : places[i];
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x5a;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        (void)close(fd);
        bool padding = at >= (int64_t)(sizeof h + h.n_matrices * sizeof(zoo_packed_entry)) &&
                       at < (int64_t)h.begin;
        expect(&right, padding, padding ? NULL : "is not used and will be rebuilt");
        expect(&right, true, NULL);
    }
    free(right.logits);
}

static void cut_files_are_found(void **state)
{
    (void)state;
    start right = fill_cache();
    struct stat st;
    assert_int_equal(stat(right.path, &st), 0);
    const int64_t sizes[] = {
        0, 1, 63, 64, 100, 4096, st.st_size / 2, st.st_size - 1, st.st_size + 1};
    for (size_t i = 0; i < ZOO_COUNT(sizes); i++) {
        assert_int_equal(truncate(right.path, sizes[i]), 0);
        expect(&right, false, "is not used and will be rebuilt");
        expect(&right, true, NULL);
    }
    free(right.logits);
}

/* A header whose checksum is right and whose numbers are not. */
static void hostile_headers(void **state)
{
    (void)state;
    start right = fill_cache();
    for (int i = 0; i < 5; i++) {
        int fd = open(right.path, O_RDWR);
        unsigned char bytes[65536];
        zoo_packed_header *h = (void *)bytes;
        zoo_packed_entry *table = (void *)(bytes + sizeof *h);
        assert_true(pread(fd, bytes, sizeof bytes, 0) > 0);
        uint64_t n = h->n_matrices;
        if (i == 0) {
            h->n_matrices = UINT64_MAX / 40;
        } else if (i == 1) {
            h->n_matrices = n - 1;
        } else if (i == 2) {
            table[0].rows = UINT32_MAX;
        } else if (i == 3) {
            table[1].n_bytes = UINT64_MAX - 4096;
        } else {
            table[n - 1].kind = 77;
        }
        size_t used = sizeof *h + (i ? h->n_matrices : n) * sizeof *table;
        h->check = 0;
        h->check = XXH3_64bits(bytes, used);
        assert_int_equal(pwrite(fd, bytes, used, 0), used);
        (void)close(fd);
        expect(&right, false, "is not used and will be rebuilt");
        expect(&right, true, NULL);
    }
    free(right.logits);
}

static void foreign_files_are_refused(void **state)
{
    (void)state;
    start right = fill_cache();
    command("cp '%s/model.safetensors' '%s'", model, right.path);
    expect(&right, false, "it is not a file of packed weights");
    expect(&right, true, NULL);
    start other = start_of(model, "int4", cache);
    assert_string_not_equal(other.path, right.path);
    command("cp '%s' '%s'", other.path, right.path);
    expect(&right, false, "another state of the model");
    command("rm '%s' && mkdir '%s'", right.path, right.path);
    expect(&right, false, "not a regular file");
    free(other.logits);
    free(right.logits);
}

static void stale_files_are_refused(void **state)
{
    (void)state;
    start right = fill_cache();
    char path[700];
    (void)snprintf(path, sizeof path, "%s/model.safetensors", model);
    command("touch '%s'", path);
    expect(&right, false, "another state of the model");
    /* One byte of the weights in place, the old modification time set back. */
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    int fd = open(path, O_RDWR);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, st.st_size / 2 | 1), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2 | 1), 1);
    assert_int_equal(futimens(fd, times), 0);
    (void)close(fd);
    start changed = start_of(model, "int8", NULL);
    assert_memory_not_equal(changed.logits, right.logits, right.n_logits * sizeof *right.logits);
    expect(&changed, false, "another state of the model");
    expect(&changed, true, NULL);
    command("printf ' ' >>'%s/config.json'", model);
    expect(&changed, false, "another state of the model");
    free(changed.logits);
    free(right.logits);
}

/* A full disk as a limit on the size of files: the run goes on, no file is left. */
static void full_disk(void **state)
{
    (void)state;
    struct rlimit old, low;
    start right = start_of(model, "int8", NULL);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 100000;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    start s = start_of(model, "int8", cache);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_same(&right, &s);
    assert_non_null(strstr(s.note, "cannot be written"));
    assert_non_null(strstr(s.note, "the run goes on without it"));
    DIR *dir = opendir(cache);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        assert_int_equal(entry->d_name[0], '.');
    }
    (void)closedir(dir);
    free(s.logits);
    free(right.logits);
}

static void unwritable_folder(void **state)
{
    (void)state;
    char path[700];
    start right = start_of(model, "int8", NULL);
    (void)snprintf(path, sizeof path, "%s/config.json/below", model);
    start s = start_of(model, "int8", path);
    assert_same(&right, &s);
    assert_non_null(strstr(s.note, "cannot be written"));
    free(s.logits);
    free(right.logits);
}

/* Another process holds the lock of the part file: this one leaves it alone. */
static void writers_keep_apart(void **state)
{
    (void)state;
    start right = fill_cache();
    char part[4500];
    (void)snprintf(part, sizeof part, "%s.part", right.path);
    assert_int_equal(unlink(right.path), 0);
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            bool same = true;
            for (int k = 0; k < 4 && same; k++) {
                start s = start_of(model, "int8", cache);
                same = s.note[0] == '\0' &&
                       memcmp(s.logits, right.logits, s.n_logits * sizeof *s.logits) == 0;
                if (i == 0) {
                    (void)unlink(right.path);
                }
                free(s.logits);
            }
            _exit(same ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status = 1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    int fd = open(part, O_RDWR | O_CREAT, 0600); /* as a killed writer leaves it */
    assert_int_equal(write(fd, "rest", 4), 4);
    (void)close(fd);
    (void)unlink(right.path);
    expect(&right, false, NULL);
    expect(&right, true, NULL);
    assert_int_not_equal(access(part, F_OK), 0);
    free(right.logits);
}

static void auto_folder(void **state)
{
    (void)state;
    char path[700];
    assert_int_equal(setenv("XDG_CACHE_HOME", work, 1), 0);
    start s = start_of(model, "int8", "auto");
    (void)snprintf(path, sizeof path, "%s/lmzoo/model-", work);
    assert_int_equal(strncmp(s.path, path, strlen(path)), 0);
    assert_int_equal(access(s.path, R_OK), 0);
    free(s.logits);
    assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
    assert_int_equal(setenv("HOME", "", 1), 0);
    zoo_engine_options options = {.plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .packed_cache = "auto"};
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    assert_int_equal(zoo_engine_open(model, &options, &engine, &error), ZOO_E_USAGE);
    assert_non_null(strstr(error.text, "XDG_CACHE_HOME"));
}

/* Every allocation fails in turn while a file is written, and while one is read. */
static void failing_memory(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        zoo_engine_options options = {.weights = "int8",
                                      .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                      .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                      .packed_cache = cache,
                                      .rows_max = 8,
                                      .seqs_max = 1,
                                      .context_max = 64,
                                      .n_threads = 1,
                                      .quiet = true};
        zoo_engine *engine = NULL;
        zoo_error error = {0};
        zoo_mem_fail_at(0);
        assert_int_equal(zoo_engine_open(model, &options, &engine, &error), ZOO_OK);
        int64_t n_calls = zoo_mem_calls();
        zoo_engine_close(engine);
        for (int64_t n = n_calls; n > 1 && n > n_calls - 120; n--) {
            if (round == 0) {
                command("rm -f '%s'/*", cache);
            }
            zoo_mem_fail_at(n);
            zoo_status status = zoo_engine_open(model, &options, &engine, &error);
            zoo_mem_fail_at(0);
            if (status == ZOO_OK) {
                zoo_engine_close(engine);
            }
        }
    }
    start right = start_of(model, "int8", NULL);
    start s = start_of(model, "int8", cache);
    assert_same(&right, &s);
    free(s.logits);
    free(right.logits);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(same_bits),
        TEST(damage_is_found),
        TEST(cut_files_are_found),
        TEST(hostile_headers),
        TEST(foreign_files_are_refused),
        TEST(stale_files_are_refused),
        TEST(full_disk),
        TEST(unwritable_folder),
        TEST(writers_keep_apart),
        TEST(failing_memory),
        TEST(auto_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
