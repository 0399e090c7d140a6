/*
 * cmd_render.c: lmzoo render MODEL|TEMPLATE --jsonl [--now 2026-01-02T03:04:05]
 *
 *   stdin, an object of template variables a line -> stdout, {"text": ...} or {"error": ...} a line
 *
 * MODEL is a folder, whose special tokens are variables, too; TEMPLATE a file. Exit code 1 when a
 * line failed. Memory grows with the longest line and text.
 */
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "text/jinja/template.h"

typedef struct command {
    const char *path;
    bool jsonl, has_clock;
    zoo_clock now;
} command;

static int usage(const char *why)
{
    (void)fprintf(stderr,
                  "lmzoo render: %s\n"
                  "usage: lmzoo render MODEL|TEMPLATE --jsonl [--now 2026-01-02T03:04:05]\n",
                  why);
    return 2;
}

static int parse_args(command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--jsonl") == 0) {
            c->jsonl = true;
        } else if (strcmp(argv[i], "--now") == 0 && i + 1 < argc) {
            if (!zoo_clock_parse(argv[++i], &c->now)) {
                return usage("--now wants a date such as 2026-01-02T03:04:05");
            }
            c->has_clock = true;
        } else if (argv[i][0] == '-' || c->path) {
            return usage("one model or template and known options are expected");
        } else {
            c->path = argv[i];
        }
    }
    if (!c->path || !c->jsonl) {
        return usage(c->path ? "only --jsonl input is known" : "no model or template is named");
    }
    return 0;
}

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

static int render_line(const zoo_template *t, const command *c, const char *line, size_t n)
{
    char *text = NULL;
    size_t text_n = 0;
    zoo_error err;
    const zoo_clock *now = c->has_clock ? &c->now : NULL;
    if (zoo_template_render_json(t, line, n, now, &text, &text_n, &err) != ZOO_OK) {
        put_line("error", err.text, strlen(err.text));
        return 1;
    }
    put_line("text", text, text_n);
    free(text);
    return 0;
}

int zoo_cmd_render(int argc, char **argv)
{
    command c = {0};
    zoo_template *t = NULL;
    zoo_error err;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = 0;
    int code = parse_args(&c, argc, argv);
    if (code) {
        return code;
    }
    zoo_status status = zoo_template_open(c.path, &t, &err);
    if (status != ZOO_OK) {
        (void)fprintf(stderr, "lmzoo render: %s\n", err.text);
        return status == ZOO_E_IO ? 4 : 3;
    }
    while ((n = getline(&line, &capacity, stdin)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
            n--;
        }
        if (n > 0) {
            code |= render_line(t, &c, line, (size_t)n);
        }
    }
    free(line);
    zoo_template_close(t);
    return fflush(stdout) == 0 ? code : 4;
}
