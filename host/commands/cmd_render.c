/*
 * cmd_render.c: lmzoo render MODEL|TEMPLATE --jsonl [--now 2026-01-02T03:04:05]
 *
 *   stdin, an object of template variables a line -> stdout, {"text": ...} or {"error": ...} a line
 *
 * MODEL is a folder, whose special tokens are variables, too; TEMPLATE a file. Exit code 1 when a
 * line failed. Memory grows with the longest line and text.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "text/jinja/template.h"

typedef struct render_args {
    zoo_common common;
    const char *when;
    bool jsonl;
} render_args;

static const zoo_option options[] = {{"--jsonl", 0, ZOO_OPTION_FLAG, offsetof(render_args, jsonl),
                                      NULL, "input and output are JSON lines; the only kind"},
                                     {"--now", 0, ZOO_OPTION_TEXT, offsetof(render_args, when),
                                      "TIME",
                                      "what templates see as the time, as 2026-01-02T03:04:05"},
                                     ZOO_OPTIONS_END};

/* {"key": "text"}; U+0000 and the like survive, which a C string would not carry. */
static void put_line(const char *key, const char *s, size_t n)
{
    static const char escapes[] = "\b\t\n\v\f\r";
    (void)printf("{\"%s\": \"", key);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        const char *found = c ? strchr(escapes, c) : NULL;
        if (c == '"' || c == '\\') {
            (void)putchar('\\');
            (void)putchar(c);
        } else if (found && c != '\v') {
            (void)printf("\\%c", "btnvfr"[found - escapes]);
        } else if (c < 0x20) {
            (void)printf("\\u%04x", c);
        } else {
            (void)putchar(c);
        }
    }
    (void)fputs("\"}\n", stdout);
}

static int render_line(const zoo_template *t, const zoo_clock *now, const char *line, size_t n)
{
    char *text = NULL;
    size_t text_n = 0;
    zoo_error err;
    if (zoo_template_render_json(t, line, n, now, &text, &text_n, &err) != ZOO_OK) {
        put_line("error", err.text, strlen(err.text));
        return 1;
    }
    put_line("text", text, text_n);
    free(text);
    return 0;
}

static int render_lines(const zoo_template *t, const zoo_clock *now)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = 0;
    int code = 0;
    while ((n = getline(&line, &capacity, stdin)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
            n--;
        }
        if (n > 0) {
            code |= render_line(t, now, line, (size_t)n);
        }
    }
    free(line);
    return fflush(stdout) == 0 ? code : 4;
}

static int run(void *args)
{
    const render_args *a = args;
    zoo_template *t = NULL;
    zoo_clock now;
    zoo_error err;
    if (!a->jsonl) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "only --jsonl input is known; usage: lmzoo render %s",
                       zoo_command_render.arguments);
        return zoo_command_failed("render", &err, 2);
    }
    if (a->when && !zoo_clock_parse(a->when, &now)) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--now needs a time as 2026-01-02T03:04:05");
        return zoo_command_failed("render", &err, 2);
    }
    zoo_status status = zoo_template_open(a->common.positional[0], &t, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("render", &err, zoo_exit_code(status));
    }
    int code = render_lines(t, a->when ? &now : NULL);
    zoo_template_close(t);
    return code;
}

const zoo_command zoo_command_render = {
    .name = "render",
    .arguments = "MODEL|TEMPLATE --jsonl [--now TIME]",
    .summary = "messages through a model's chat template, line by line",
    .text = "Reads an object of template variables a line and prints {\"text\": ...} or "
            "{\"error\": ...} a line. MODEL is a folder, whose special tokens are variables, too; "
            "TEMPLATE is a file. Exit code 1: a line failed.",
    .example = "echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}' |\n"
               "    lmzoo render ./model --jsonl",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(render_args),
    .run = run};
