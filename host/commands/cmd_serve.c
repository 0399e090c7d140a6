/* cmd_serve.c: the command `serve`: a model behind HTTP (serve/server.h). */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_hash.h"
#include "commands/commands.h"
#include "commands/session.h"
#include "serve/server.h"

/* A request's preparation may take as much, however little memory there is. */
#define ROW_LEAST ((size_t)8 << 20)

typedef struct serve_args {
    zoo_common common;
    zoo_server_options server;
    uint32_t reuse; /* percent */
    const char *cache_dir;
    size_t store_max; /* bytes */
} serve_args;

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static const char *address;
static zoo_kept_file store;

static void tell_store(void)
{
    if (store.note[0]) {
        (void)fprintf(stderr, "lmzoo serve: %s\n", store.note);
        store.note[0] = 0;
    }
}

static void listening(uint32_t port)
{
    bool is_v6 = strchr(address, ':') != NULL;
    tell_store();
    (void)fprintf(stderr, "lmzoo serve: listening on http://%s%s%s:%u\n", is_v6 ? "[" : "", address,
                  is_v6 ? "]" : "", port);
}

/* What batches are resumed by and a file of kept prefixes is known by; nothing without either. */
static zoo_status make_key(const serve_args *a, const zoo_chat_model *loaded, const char *now,
                           zoo_journal_key *key, zoo_error *err)
{
    if (!a->server.files && !a->cache_dir) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_journal_hash_model(loaded->folder, key->model, err));
    zoo_session_options(&a->common, 0, key->options);
    (void)zoo_file_hash("/proc/self/exe", key->build, sizeof key->build);
    zoo_session_engine(loaded->engine, key);
    (void)snprintf(key->now, sizeof key->now, "%s", now);
    return ZOO_OK;
}

/* The file of kept prefixes, in a folder that is made where it is missing. */
static zoo_status name_store(serve_args *a, const zoo_chat_model *loaded,
                             const zoo_journal_key *key, zoo_error *err)
{
    char whole[PATH_MAX], text[1024];
    struct stat info;
    if (!a->cache_dir) {
        return ZOO_OK;
    }
    (void)mkdir(a->cache_dir, 0700);
    if (stat(a->cache_dir, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return zoo_fail(err, ZOO_E_USAGE, "--cache-dir %.400s is no folder and cannot be made one",
                        a->cache_dir);
    }
    const char *path = realpath(loaded->folder, whole) ? whole : loaded->folder;
    zoo_id id = zoo_id_of(path, strlen(path), 0);
    (void)snprintf(store.path, sizeof store.path, "%.4000s/%.100s-%016llx.kept", a->cache_dir,
                   loaded->name, (unsigned long long)id.part[0]);
    int n = snprintf(text, sizeof text, "%s %s %s %s %s %s", key->model, key->options, key->build,
                     key->isa, key->plugin, key->card);
    id = zoo_id_of(text, (size_t)n, 0);
    store.key[0] = id.part[0];
    store.key[1] = id.part[1];
    store.bytes_max = a->store_max;
    a->server.store = &store;
    return ZOO_OK;
}

static int run(void *args)
{
    serve_args *a = args;
    zoo_chat_model loaded;
    zoo_clock now = {0};
    zoo_error err = {0};
    zoo_status status;
    char text[24];
    zoo_journal_key key = {.model = ""};
    size_t share = zoo_session_share(&a->common.engine);
    if (a->reuse > 100) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--reuse is a part of the cache in percent, 0 to 100");
        return zoo_command_failed("serve", &err, 2);
    }
    if (a->cache_dir && a->reuse == 0) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--cache-dir has nothing to save with --reuse 0");
        return zoo_command_failed("serve", &err, 2);
    }
    if (!a->server.api_key) {
        a->server.api_key = getenv("LMZOO_API_KEY");
    }
    a->server.kept_share = (double)a->reuse / 100.0;
    a->server.request_bytes_max = share > ROW_LEAST ? share : ROW_LEAST;
    a->server.held_bytes_max = 2 * a->server.request_bytes_max;
    a->common.engine.reserve = 3 * share + zoo_session_drafts(&a->common);
    status = zoo_chat_model_open_with(a->common.positional[0], a->common.draft,
                                      a->common.draft_weights, &a->common.engine, &loaded, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("serve", &err, zoo_exit_code_model(status));
    }
    if (loaded.note[0]) {
        (void)fprintf(stderr, "lmzoo serve: %s\n", loaded.note);
    }
    zoo_chat_model_limit(&loaded, share);
    zoo_session_time(text);
    (void)zoo_clock_parse(text, &now);
    loaded.context.now = &now;
    loaded.context.usual_max = 16;
    loaded.context.marks_turns = a->reuse > 0 && zoo_engine_prefix_grain(loaded.engine) == 0;
    status = make_key(a, &loaded, text, &key, &err);
    if (status == ZOO_OK) {
        status = name_store(a, &loaded, &key, &err);
    }
    if (status != ZOO_OK) {
        zoo_chat_model_close(&loaded);
        return zoo_command_failed("serve", &err, zoo_exit_code(status));
    }
    a->server.key = &key;
    zoo_session_signals(on_signal);
    address = a->server.host;
    status = zoo_chat_model_speculate(&loaded, a->common.speculate, a->common.n_drafts,
                                      zoo_session_drafts(&a->common), &err);
    if (status == ZOO_OK) {
        status = zoo_server_run(&loaded, &a->server, &caught, listening, &err);
    }
    tell_store();
    zoo_chat_model_close(&loaded);
    return status == ZOO_OK ? 0 : zoo_command_failed("serve", &err, zoo_exit_code(status));
}

#define AT(field) offsetof(serve_args, server.field)
static const zoo_option options[] = {
    {"--host", 0, ZOO_OPTION_TEXT, AT(host), "ADDRESS", "where to listen (127.0.0.1)"},
    {"--port", 0, ZOO_OPTION_COUNT, AT(port), "PORT", "0: any free one (8080)"},
    {"--api-key", 0, ZOO_OPTION_TEXT, AT(api_key), "KEY",
     "key that clients must send (the variable LMZOO_API_KEY, else none)"},
    {"--model-name", 0, ZOO_OPTION_TEXT, AT(name), "NAME",
     "name of the model in answers (the folder's name)"},
    {"--cors", 0, ZOO_OPTION_TEXT, AT(cors), "ORIGIN", "web origin that may send requests (none)"},
    {"--body", 0, ZOO_OPTION_SIZE, AT(body_max), "BYTES", "size limit of a request (32M)"},
    {"--files", 0, ZOO_OPTION_TEXT, AT(files), "DIR",
     "folder for clients' files and batches (these are off)"},
    {"--upload", 0, ZOO_OPTION_SIZE, AT(upload_max), "BYTES",
     "size limit of an uploaded file (512M)"},
    {"--connections", 0, ZOO_OPTION_COUNT, AT(connections_max), "N",
     "open connections, at most (1024)"},
    {"--queue", 0, ZOO_OPTION_COUNT, AT(requests_max), "N",
     "requests being served at once; others get 429 (512)"},
    {"--idle", 0, ZOO_OPTION_COUNT, AT(idle_seconds), "SECONDS",
     "close a connection that is silent for so long (60)"},
    {"--request-timeout", 0, ZOO_OPTION_NUMBER, AT(request_seconds), "SECONDS",
     "limit for preparing a request, and for running it; then it is refused (0: none)"},
    {"--reuse", 0, ZOO_OPTION_COUNT, offsetof(serve_args, reuse), "PERCENT",
     "of the cache that ended requests may keep for those that begin alike (50)"},
    {"--cache-dir", 0, ZOO_OPTION_TEXT, offsetof(serve_args, cache_dir), "DIR",
     "where that is saved at the end and found by the next start (nowhere)"},
    {"--cache-dir-max", 0, ZOO_OPTION_SIZE, offsetof(serve_args, store_max), "BYTES",
     "of its file at most; what was unused longest is left out (1G)"},
    {"--drain", 0, ZOO_OPTION_COUNT, AT(drain_seconds), "SECONDS",
     "time for running requests to end after SIGTERM (20)"},
    ZOO_OPTIONS_SPECULATE("text"),
    ZOO_OPTIONS_DRAFT,
    ZOO_OPTIONS_END};

static const serve_args defaults = {.common = {.speculate = "text"},
                                    .reuse = 50,
                                    .store_max = (size_t)1 << 30,
                                    .server = {.host = "127.0.0.1",
                                               .port = 8080,
                                               .body_max = (size_t)32 << 20,
                                               .upload_max = (size_t)512 << 20,
                                               .connections_max = 1024,
                                               .requests_max = 512,
                                               .idle_seconds = 60,
                                               .drain_seconds = 20}};

const zoo_command zoo_command_serve = {
    .name = "serve",
    .arguments = "MODEL [--host ADDRESS] [--port PORT] [options]",
    .summary = "the model behind HTTP, for programs that speak OpenAI's or Anthropic's interface",
    .text = "Answers /v1/completions, /v1/chat/completions, /v1/responses, /v1/messages (streams "
            "included), /v1/messages/count_tokens, /v1/files, /v1/batches, /v1/models, /tokenize, "
            "/detokenize, "
            "/tokenizer_info, /health and /metrics. All clients share one "
            "continuous batch; a request gives the same tokens whatever runs beside it.\n\n"
            "After SIGTERM it accepts nothing more and lets running requests end.",
    .example = "lmzoo serve ./model --port 8080",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(serve_args),
    .defaults = &defaults,
    .run = run};
