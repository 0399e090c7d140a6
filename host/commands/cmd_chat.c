/*
 * cmd_chat.c: the command `chat`: a conversation at the terminal, or through a pipe.
 *
 * A line is what the user says, or a command that begins with a slash. Answers are streamed, with
 * reasoning dimmed; SIGINT ends the answer at hand. The conversation goes through the live queue,
 * which keeps what it has read, so that a turn reads only what is new. Lines are edited by libedit
 * where there is a terminal.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef ZOO_HAS_LIBEDIT
#include <editline/readline.h>
#endif

#include "base/file.h"
#include "base/mem.h"
#include "batch/live.h"
#include "commands/commands.h"
#include "commands/session.h"
#include "serve/stream.h"

typedef struct chat_args {
    zoo_common common;
    const char *system;
    double temperature, top_p;
    uint32_t n_new_max;
    uint64_t seed;
} chat_args;

static const zoo_option options[] = {
    {"--system", 0, ZOO_OPTION_TEXT, offsetof(chat_args, system), "TEXT", "the system message"},
    {"--max-tokens", 'n', ZOO_OPTION_COUNT, offsetof(chat_args, n_new_max), "N",
     "tokens of an answer, at most (what fits)"},
    {"--temperature", 0, ZOO_OPTION_NUMBER, offsetof(chat_args, temperature), "T",
     "0: greedy (the model's own)"},
    {"--top-p", 0, ZOO_OPTION_NUMBER, offsetof(chat_args, top_p), "P", "(the model's own)"},
    {"--seed", 0, ZOO_OPTION_SEED, offsetof(chat_args, seed), "S", "same seed, same answers (0)"},
    ZOO_OPTIONS_END};

typedef struct chat {
    const chat_args *args;
    zoo_chat_model *loaded;
    zoo_live *live;
    cJSON *messages;
    bool edits, dims; /* stdin and stdout are terminals */
    bool thinks_said, thinks;
    bool any_failed;
    /* The answer at hand. */
    zoo_live_request *request;
    zoo_event_stream stream;
    pthread_mutex_t lock; /* of the stream and what follows */
    pthread_cond_t ended;
    bool is_done, is_dim;
} chat;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void catch_interrupt(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGINT, &action, NULL);
}

/* ---- what is shown; the lock is held ---- */

static void set_dim(chat *c, bool dim)
{
    if (c->dims && c->is_dim != dim) {
        (void)fputs(dim ? "\033[2m" : "\033[22m\n\n", stdout);
    } else if (c->is_dim != dim && !dim) {
        (void)fputs("\n\n", stdout);
    }
    c->is_dim = dim;
}

static chat *chat_of(zoo_event_stream *s)
{
    return (chat *)((char *)s - offsetof(chat, stream));
}

static void show_reasoning(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    set_dim(chat_of(s), true);
    (void)fwrite(text, 1, n, stdout);
    (void)fflush(stdout);
}

static void show_content(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    set_dim(chat_of(s), false);
    (void)fwrite(text, 1, n, stdout);
    (void)fflush(stdout);
}

static void show_call(zoo_event_stream *s, uint32_t row, const cJSON *call)
{
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(call, "function"));
    (void)row;
    set_dim(chat_of(s), false);
    (void)fprintf(stdout, "%s\n", text ? text : "");
    cJSON_free(text);
}

static void show_finish(zoo_event_stream *s, const zoo_answer *answer, uint32_t row)
{
    set_dim(chat_of(s), false);
    (void)fputs(answer->rows[row].finish == ZOO_FINISH_LENGTH ? " [...]\n" : "\n", stdout);
}

static void show_end(zoo_event_stream *s, const zoo_answer *answer, const char *why)
{
    set_dim(chat_of(s), false);
    (void)fflush(stdout);
    if (!answer) {
        (void)fprintf(stderr, "lmzoo chat: %s\n", why);
    }
}

static const zoo_event_writer writer = {NULL,      show_reasoning, show_content,
                                        show_call, show_finish,    show_end};

/* ---- an answer ---- */

static void on_text(void *arg, uint32_t row, const char *text, size_t n)
{
    chat *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    zoo_stream_text(&c->stream, row, text, n, NULL);
    (void)pthread_mutex_unlock(&c->lock);
}

static void on_done(void *arg)
{
    chat *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    c->is_done = true;
    (void)pthread_cond_signal(&c->ended);
    (void)pthread_mutex_unlock(&c->lock);
}

static cJSON *make_body(const chat *c)
{
    const chat_args *a = c->args;
    cJSON *body = cJSON_CreateObject(), *kwargs;
    cJSON *messages = body ? cJSON_Duplicate(c->messages, true) : NULL;
    bool ok = messages && cJSON_AddItemToObject(body, "messages", messages);
    ok = ok && (a->n_new_max == ZOO_UNSAID ||
                cJSON_AddNumberToObject(body, "max_tokens", (double)a->n_new_max));
    ok = ok && (a->temperature < 0 || cJSON_AddNumberToObject(body, "temperature", a->temperature));
    ok = ok && (a->top_p < 0 || cJSON_AddNumberToObject(body, "top_p", a->top_p));
    if (ok && c->thinks_said) {
        kwargs = cJSON_AddObjectToObject(body, "chat_template_kwargs");
        ok = kwargs && cJSON_AddBoolToObject(kwargs, "enable_thinking", c->thinks);
    }
    if (!ok) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

static zoo_status submit(chat *c, zoo_error *err)
{
    const zoo_request_context *context = &c->loaded->context;
    zoo_request request = {0};
    zoo_live_events events = {c, on_text, on_done};
    zoo_answer head;
    cJSON *body = make_body(c);
    zoo_status status = body ? zoo_request_body(context, ZOO_CHAT, body, &request, err)
                             : zoo_fail(err, ZOO_E_MEMORY, "no memory for the request");
    if (status == ZOO_OK) {
        request.sampling.seed = c->args->seed;
        status = zoo_request_encode(context, &request, err);
    }
    if (status == ZOO_OK) {
        (void)pthread_mutex_lock(&c->lock);
        c->is_done = false;
        status = zoo_live_submit(c->live, &request, (zoo_id){{0, 0}}, &events, &c->request, err);
        if (status == ZOO_OK) {
            zoo_live_head(c->live, c->request, &head);
            c->stream = (zoo_event_stream){.writer = &writer};
            c->stream.failed |= !zoo_stream_open(&c->stream, &head, 1);
        }
        (void)pthread_mutex_unlock(&c->lock);
    }
    zoo_request_free(&request);
    return status;
}

/* Waits for the end; SIGINT cancels the answer. */
static void await(chat *c)
{
    bool asked = false;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->is_done) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000L; /* short answers take little more than this */
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&c->ended, &c->lock, &until);
        if (interrupted && !asked) {
            asked = true;
            (void)pthread_mutex_unlock(&c->lock);
            zoo_live_cancel(c->live, c->request);
            (void)pthread_mutex_lock(&c->lock);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* The answer, shown to its end, becomes a message of the conversation. */
static zoo_status take_answer(chat *c, zoo_error *err)
{
    zoo_answer answer;
    zoo_status status = zoo_live_answer(c->request, &answer, err);
    zoo_stream_end(&c->stream, status == ZOO_OK ? &answer : NULL, err);
    if (status == ZOO_OK) {
        cJSON *message = zoo_result_message(&answer, &answer.rows[0]);
        if (!message || !cJSON_AddItemToArray(c->messages, message)) {
            cJSON_Delete(message);
            status = zoo_fail(err, ZOO_E_MEMORY, "no memory for the answer");
        }
    }
    zoo_stream_close(&c->stream);
    zoo_live_release(c->live, c->request);
    return status;
}

static bool add_message(chat *c, const char *role, const char *text)
{
    cJSON *message = cJSON_CreateObject();
    if (!message || !cJSON_AddStringToObject(message, "role", role) ||
        !cJSON_AddStringToObject(message, "content", text) ||
        !cJSON_AddItemToArray(c->messages, message)) {
        cJSON_Delete(message);
        (void)fprintf(stderr, "lmzoo chat: no memory for the message\n");
        return false;
    }
    return true;
}

/* A message that fails is removed from the conversation. */
static void say(chat *c, const char *text)
{
    int before = cJSON_GetArraySize(c->messages);
    zoo_error err = {0};
    zoo_status status;
    if (!add_message(c, "user", text)) {
        return;
    }
    interrupted = 0;
    catch_interrupt();
    status = submit(c, &err);
    if (status != ZOO_OK) {
        (void)fprintf(stderr, "lmzoo chat: %s\n", err.text);
    } else {
        await(c);
        status = take_answer(c, &err);
    }
    (void)signal(SIGINT, SIG_DFL);
    if (status != ZOO_OK) {
        cJSON_DeleteItemFromArray(c->messages, before);
        c->any_failed |= status != ZOO_E_CANCELLED;
    }
}

/* ---- commands ---- */

/* Sets the first message; an empty text removes it. */
static void set_system(chat *c, const char *text)
{
    const cJSON *first = cJSON_GetArrayItem(c->messages, 0);
    const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "role"));
    if (role && strcmp(role, "system") == 0) {
        cJSON_DeleteItemFromArray(c->messages, 0);
    }
    if (text[0]) {
        cJSON *message;
        if (add_message(c, "system", text)) {
            message = cJSON_DetachItemFromArray(c->messages, cJSON_GetArraySize(c->messages) - 1);
            (void)cJSON_InsertItemInArray(c->messages, 0, message);
        }
    }
}

/* As `lmzoo run --chat` reads it. */
static void save(chat *c, const char *path)
{
    char *text = cJSON_Print(c->messages);
    FILE *file = text && path[0] ? fopen(path, "we") : NULL;
    bool ok = file && fputs("{\"messages\": ", file) >= 0 && fputs(text, file) >= 0 &&
              fputs("}\n", file) >= 0;
    int why = errno;
    ok = file && fclose(file) == 0 && ok;
    if (!path[0]) {
        (void)fprintf(stderr, "lmzoo chat: /save FILE\n");
    } else if (!ok) {
        (void)fprintf(stderr, "lmzoo chat: %s: %s\n", path, strerror(why));
        c->any_failed = true;
    } else {
        (void)fprintf(stderr, "saved to %s\n", path);
    }
    cJSON_free(text);
}

static void clear(chat *c)
{
    while (cJSON_GetArraySize(c->messages) > (c->args->system ? 1 : 0)) {
        cJSON_DeleteItemFromArray(c->messages, cJSON_GetArraySize(c->messages) - 1);
    }
}

/* False: /exit. */
static bool obey(chat *c, const char *line)
{
    size_t n = strcspn(line, " \t");
    const char *rest = line + n + strspn(line + n, " \t");
    if (strncmp(line, "/exit", n) == 0 || strncmp(line, "/quit", n) == 0) {
        return false;
    }
    if (n == 7 && strncmp(line, "/system", n) == 0) {
        set_system(c, rest);
    } else if (n == 5 && strncmp(line, "/save", n) == 0) {
        save(c, rest);
    } else if (n == 6 && strncmp(line, "/clear", n) == 0) {
        clear(c);
    } else if (n == 6 && strncmp(line, "/think", n) == 0) {
        c->thinks_said = true;
        c->thinks = strcmp(rest, "off") != 0;
    } else {
        (void)fprintf(stderr,
                      "/system TEXT   sets the system message; without TEXT there is none\n"
                      "/save FILE     writes the conversation, as `lmzoo run --chat` reads it\n"
                      "/think on|off  asks the chat template for reasoning, or for none\n"
                      "/clear         starts a new conversation\n"
                      "/exit          ends, as the end of the input does\n"
                      "a line that ends with \\ continues on the next\n");
        c->any_failed |= strncmp(line, "/help", n) != 0;
    }
    return true;
}

/* ---- lines ---- */

/* One line without its end, for free(); null: the end of the input. */
static char *read_line(const chat *c, const char *prompt)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
#ifdef ZOO_HAS_LIBEDIT
    if (c->edits) {
        line = readline(prompt);
        if (line && line[0]) {
            (void)add_history(line);
        }
        return line;
    }
#endif
    if (c->edits) {
        (void)fputs(prompt, stdout);
        (void)fflush(stdout);
    }
    n = getline(&line, &capacity, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    line[n > 0 && line[n - 1] == '\n' ? n - 1 : n] = '\0';
    return line;
}

/* Lines that end with a backslash are one with the next. */
static char *read_words(const chat *c)
{
    char *words = read_line(c, "> "), *more, *joined;
    size_t n = words ? strlen(words) : 0, m;
    while (words && n > 0 && words[n - 1] == '\\') {
        words[n - 1] = '\n';
        more = read_line(c, ". ");
        m = more ? strlen(more) : 0;
        joined = realloc(words, n + m + 1);
        if (!joined) {
            free(more);
            break;
        }
        words = joined;
        memcpy(words + n, more ? more : "", m + 1);
        n += m;
        free(more);
    }
    return words;
}

static void converse(chat *c)
{
    bool goes_on = true;
    while (goes_on) {
        char *words = read_words(c);
        if (!words) {
            break;
        }
        if (words[0] == '/') {
            goes_on = obey(c, words);
        } else if (words[strspn(words, " \t\n")]) {
            say(c, words);
        }
        free(words);
    }
    if (c->edits) {
        (void)fputs("\n", stdout);
    }
}

/* ---- the command ---- */

static zoo_status open_chat(chat *c, zoo_error *err)
{
    if (!c->loaded->chat || !c->loaded->tokenizer) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "%s has no chat template; `lmzoo run -p` goes on "
                        "from a text",
                        c->loaded->name);
    }
    c->messages = cJSON_CreateArray();
    if (!c->messages) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the conversation");
    }
    if (c->args->system) {
        set_system(c, c->args->system);
    }
    ZOO_TRY(zoo_live_new(c->loaded, &c->live, err));
    zoo_live_keep(c->live, 1.0);
    return ZOO_OK;
}

static int run(void *args)
{
    chat_args *a = args;
    zoo_chat_model loaded;
    zoo_clock now = {0};
    zoo_error err = {0};
    char text[24];
    if (a->common.engine.seqs_max == 0) {
        a->common.engine.seqs_max = 1;
    }
    zoo_status status =
        zoo_chat_model_open(a->common.positional[0], &a->common.engine, &loaded, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("chat", &err, zoo_exit_code_model(status));
    }
    zoo_session_time(text);
    (void)zoo_clock_parse(text, &now);
    loaded.context.now = &now;
    loaded.context.marks_turns = zoo_engine_prefix_grain(loaded.engine) == 0;
    chat c = {.args = a,
              .loaded = &loaded,
              .edits = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
              .dims = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .ended = PTHREAD_COND_INITIALIZER};
    (void)signal(SIGPIPE, SIG_IGN);
    status = open_chat(&c, &err);
    if (status == ZOO_OK) {
        converse(&c);
    }
    zoo_live_free(c.live);
    cJSON_Delete(c.messages);
    zoo_chat_model_close(&loaded);
    return status != ZOO_OK ? zoo_command_failed("chat", &err, zoo_exit_code_model(status))
           : c.any_failed   ? 1
                            : 0;
}

static const chat_args defaults = {.temperature = -1, .top_p = -1, .n_new_max = ZOO_UNSAID};

const zoo_command zoo_command_chat = {
    .name = "chat",
    .arguments = "MODEL [--system TEXT] [options]",
    .summary = "a conversation at the terminal",
    .text = "Answers line by line, as it is written, with reasoning dimmed; ctrl-C ends an answer. "
            "/help lists what else a line can ask for. Lines may come through a pipe.\n\n"
            "Exit codes: 0 all answered, 1 some line could not be, 2 usage, 3 model refused, "
            "4 environment.",
    .example = "lmzoo chat ./model",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(chat_args),
    .defaults = &defaults,
    .run = run};
