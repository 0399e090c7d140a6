/* cmd_serve.c: the command `serve`: a model behind HTTP (serve/server.h). */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands/commands.h"
#include "serve/server.h"

typedef struct serve_args {
    zoo_common common;
    zoo_server_options server;
} serve_args;

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static const char *address;

static void listening(uint32_t port)
{
    bool is_v6 = strchr(address, ':') != NULL;
    (void)fprintf(stderr, "lmzoo serve: listening on http://%s%s%s:%u\n", is_v6 ? "[" : "", address,
                  is_v6 ? "]" : "", port);
}

static void read_clock(zoo_clock *out)
{
    time_t now = time(NULL);
    struct tm t;
    memset(out, 0, sizeof *out);
    if (localtime_r(&now, &t)) {
        *out = (zoo_clock){t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                           t.tm_min,         t.tm_sec,     0};
    }
}

static int run(void *args)
{
    serve_args *a = args;
    zoo_chat_model loaded;
    zoo_clock now;
    zoo_error err = {0};
    zoo_status status;
    if (!a->server.api_key) {
        a->server.api_key = getenv("LMZOO_API_KEY");
    }
    status = zoo_chat_model_open(a->common.positional[0], &a->common.engine, &loaded, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("serve", &err, zoo_exit_code_model(status));
    }
    if (loaded.note[0]) {
        (void)fprintf(stderr, "lmzoo serve: %s\n", loaded.note);
    }
    read_clock(&now);
    loaded.context.now = &now;
    loaded.context.usual_max = 16;
    catch_signals();
    address = a->server.host;
    status = zoo_server_run(&loaded, &a->server, &caught, listening, &err);
    zoo_chat_model_close(&loaded);
    return status == ZOO_OK ? 0 : zoo_command_failed("serve", &err, zoo_exit_code(status));
}

#define AT(field) offsetof(serve_args, server.field)
static const zoo_option options[] = {
    {"--host", 0, ZOO_OPTION_TEXT, AT(host), "ADDRESS", "where to listen (127.0.0.1)"},
    {"--port", 0, ZOO_OPTION_COUNT, AT(port), "PORT", "0: any free one (8080)"},
    {"--api-key", 0, ZOO_OPTION_TEXT, AT(api_key), "KEY",
     "asked of every client (the variable LMZOO_API_KEY, else none)"},
    {"--model-name", 0, ZOO_OPTION_TEXT, AT(name), "NAME", "in answers (the folder's name)"},
    {"--cors", 0, ZOO_OPTION_TEXT, AT(cors), "ORIGIN", "pages of this origin may ask (none)"},
    {"--body", 0, ZOO_OPTION_SIZE, AT(body_max), "BYTES", "of a request at most (32M)"},
    {"--connections", 0, ZOO_OPTION_COUNT, AT(connections_max), "N", "at most (1024)"},
    {"--queue", 0, ZOO_OPTION_COUNT, AT(requests_max), "N",
     "requests inside at once; others get 429 (512)"},
    {"--idle", 0, ZOO_OPTION_COUNT, AT(idle_seconds), "SECONDS",
     "a connection that sends nothing is closed (60)"},
    {"--drain", 0, ZOO_OPTION_COUNT, AT(drain_seconds), "SECONDS",
     "for what is inside after SIGTERM (20)"},
    ZOO_OPTIONS_END};

static const serve_args defaults = {.server = {.host = "127.0.0.1",
                                               .port = 8080,
                                               .body_max = (size_t)32 << 20,
                                               .connections_max = 1024,
                                               .requests_max = 512,
                                               .idle_seconds = 60,
                                               .drain_seconds = 20}};

const zoo_command zoo_command_serve = {
    .name = "serve",
    .arguments = "MODEL [--host ADDRESS] [--port PORT] [options]",
    .summary = "the model behind HTTP, for programs that speak OpenAI's interface",
    .text = "Answers /v1/completions, /v1/chat/completions (streams included), /v1/models, "
            "/tokenize, /detokenize, /tokenizer_info, /health and /metrics. All clients share one "
            "continuous batch; a request gives the same tokens whatever runs beside it.\n\n"
            "SIGTERM ends it in order: nothing more is taken, and what is inside may end.",
    .example = "lmzoo serve ./model --port 8080",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(serve_args),
    .defaults = &defaults,
    .run = run};
