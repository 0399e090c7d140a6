/*
 * pages.c: help on the terminal and man pages (pages.h), both from the rows of commands.h.
 *
 * Help goes to 80 columns; man pages are roff with the macros of man(7), without a date, so that
 * the same table gives the same bytes.
 */
#include "commands/pages.h"

#include <string.h>

enum { COLUMNS = 80, OPTION_INDENT = 40 };

static const struct {
    const char *code, *text;
} exit_codes[] = {
    {"0", "all is done"},
    {"1", "some rows failed, or what was compared differs"},
    {"2", "the command line is wrong"},
    {"3", "the model was refused"},
    {"4", "the environment: files, memory, space"},
};

void zoo_page_option(const zoo_option *row, char *text, size_t n)
{
    char letter[8] = "";
    if (row->letter) {
        (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    (void)snprintf(text, n, "%s%s%s%s", letter, row->name, row->argument ? " " : "",
                   row->argument ? row->argument : "");
}

/* ---- on the terminal ---- */

/* One paragraph, filled: lines after the first are indented; column: where the first goes on. */
static void fill(FILE *out, const char *text, size_t n, int column, int indent)
{
    for (size_t i = 0; i < n;) {
        size_t word = 0;
        while (i + word < n && text[i + word] != ' ' && text[i + word] != '\n') {
            word++;
        }
        if (column > indent && column + 1 + (int)word > COLUMNS) {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fwrite(text + i, 1, word, out);
        column += (int)word;
        i += word;
        while (i < n && (text[i] == ' ' || text[i] == '\n')) {
            i++;
        }
    }
    (void)fputc('\n', out);
}

/* The next paragraph of *text, which moves after it; its bytes. */
static size_t next_paragraph(const char **text, const char **begin)
{
    const char *end = strstr(*text, "\n\n");
    size_t n = end ? (size_t)(end - *text) : strlen(*text);
    *begin = *text;
    *text += n;
    while (**text == '\n') {
        (*text)++;
    }
    return n;
}

static void help_rows(FILE *out, const zoo_option *rows)
{
    for (; rows && rows->name; rows++) {
        char left[96];
        zoo_page_option(rows, left, sizeof left);
        (void)fprintf(out, "  %-*s", OPTION_INDENT - 2, left);
        if (strlen(left) > OPTION_INDENT - 3) {
            (void)fprintf(out, "\n%*s", OPTION_INDENT, "");
        }
        fill(out, rows->help, strlen(rows->help), OPTION_INDENT, OPTION_INDENT);
    }
}

void zoo_page_help(FILE *out, const zoo_command *c)
{
    const char *text = c->text, *begin;
    (void)fprintf(out, "usage: lmzoo %s %s\n", c->name, c->arguments);
    while (*text) {
        (void)fputc('\n', out);
        size_t n = next_paragraph(&text, &begin);
        fill(out, begin, n, 0, 0);
    }
    (void)fputs("\nOptions:\n", out);
    help_rows(out, c->options);
    help_rows(out, zoo_options_help);
    if (c->opens_model) {
        (void)fputs("\nOptions of every command that opens a model:\n", out);
        help_rows(out, zoo_options_model);
    }
    for (const char *line = c->example; line && *line; line += strcspn(line, "\n")) {
        line += *line == '\n';
        (void)fprintf(out, "%s    %.*s\n", line == c->example ? "\nExample:\n" : "",
                      (int)strcspn(line, "\n"), line);
    }
}

void zoo_page_list(FILE *out)
{
    (void)fputs("usage: lmzoo COMMAND ...\n\n", out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        (void)fprintf(out, "  %-12s %s\n", zoo_commands[i]->name, zoo_commands[i]->summary);
    }
    (void)fputs("\n`lmzoo help COMMAND` has the options of a command. MODEL is a folder with a "
                "config.json,\nor the name of a model in the Hugging Face cache.\n",
                out);
}

/* ---- roff ---- */

/* Text of a line: no character of it is a command of roff. */
static void roff(FILE *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || text[i - 1] == '\n';
        if (begins && (text[i] == '.' || text[i] == '\'')) {
            (void)fputs("\\&", out);
        }
        if (text[i] == '\\') {
            (void)fputs("\\e", out);
        } else if (text[i] == '-') {
            (void)fputs("\\-", out);
        } else {
            (void)fputc(text[i], out);
        }
    }
}

static void roff_line(FILE *out, const char *before, const char *text, const char *after)
{
    (void)fputs(before, out);
    roff(out, text, strlen(text));
    (void)fputs(after, out);
}

static void man_rows(FILE *out, const zoo_option *rows)
{
    for (; rows && rows->name; rows++) {
        (void)fputs(".TP\n", out);
        if (rows->letter) {
            (void)fprintf(out, "\\fB\\-%c\\fR, ", rows->letter);
        }
        roff_line(out, "\\fB", rows->name, "\\fR");
        if (rows->argument) {
            roff_line(out, " \\fI", rows->argument, "\\fR");
        }
        roff_line(out, "\n", rows->help, "\n");
    }
}

static void man_begin(FILE *out, const char *name, const char *summary)
{
    (void)fprintf(out, ".TH LMZOO%s", *name ? "\\-" : "");
    for (const char *p = name; *p; p++) {
        (void)fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
    }
    (void)fprintf(out, " 1 \"\" \"lmzoo %s\" \"User Commands\"\n.SH NAME\nlmzoo", LMZOO_VERSION);
    roff_line(out, *name ? "\\-" : "", name, " \\- ");
    roff_line(out, "", summary, "\n.SH SYNOPSIS\n");
}

static void man_exit_codes(FILE *out)
{
    (void)fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < ZOO_COUNT(exit_codes); i++) {
        (void)fprintf(out, ".TP\n.B %s\n%s\n", exit_codes[i].code, exit_codes[i].text);
    }
}

void zoo_page_man(FILE *out, const zoo_command *c)
{
    const char *text = c->text, *begin;
    man_begin(out, c->name, c->summary);
    roff_line(out, ".B lmzoo ", c->name, "\n");
    roff_line(out, "", c->arguments, "\n.SH DESCRIPTION\n");
    while (*text) {
        size_t n = next_paragraph(&text, &begin);
        (void)fputs(".PP\n", out);
        roff(out, begin, n);
        (void)fputs("\n", out);
    }
    (void)fputs(".SH OPTIONS\n", out);
    man_rows(out, c->options);
    man_rows(out, zoo_options_help);
    if (c->opens_model) {
        (void)fputs(".SS Of every command that opens a model\n", out);
        man_rows(out, zoo_options_model);
    }
    man_exit_codes(out);
    if (c->example) {
        roff_line(out, ".SH EXAMPLES\n.nf\n", c->example, "\n.fi\n");
    }
    (void)fputs(".SH SEE ALSO\n.BR lmzoo (1)\n", out);
}

void zoo_page_man_list(FILE *out)
{
    man_begin(out, "", "batch generation with language models on CPUs");
    (void)fputs(
        ".B lmzoo\n\\fICOMMAND\\fR ...\n.SH DESCRIPTION\nRuns models of Hugging Face folders "
        "on CPUs.\n\\fIMODEL\\fR is a folder with a config.json, or the name of a model "
        "in the Hugging Face cache.\n.SH COMMANDS\n",
        out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        roff_line(out, ".TP\n.BR lmzoo\\-", zoo_commands[i]->name, " (1)\n");
        roff_line(out, "", zoo_commands[i]->summary, "\n");
    }
    man_exit_codes(out);
}
