/* main.c: the program lmzoo: a table of commands. */
#include <stdio.h>
#include <string.h>

#include "commands/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", zoo_cmd_run, "one prompt or chat, its text streamed"},
    {"batch", zoo_cmd_batch, "a file of requests; resumes where it was interrupted"},
    {"score", zoo_cmd_score, "perplexity of texts, and how far from a reference"},
    {"bench", zoo_cmd_bench, "tokens a second: one prompt, one sequence, a batch"},
    {"trace", zoo_cmd_trace, "every named activation of one pass, to a file"},
    {"compare", zoo_cmd_compare, "two traces, tensor by tensor; names the first that differs"},
    {"inspect", zoo_cmd_inspect, "what a model folder is: plugin, plan, streams, bytes"},
    {"plan", zoo_cmd_plan, "memory for a batch and a context, before loading"},
    {"plugins", zoo_cmd_plugins, "the installed plugins"},
    {"cards", zoo_cmd_cards, "the model types that are covered"},
    {"tokenize", zoo_cmd_tokenize, "texts to ids and back, line by line"},
    {"render", zoo_cmd_render, "messages through a model's chat template, line by line"},
};

/* Edits from one word to another: insertions, deletions, replacements. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n + 1 > ZOO_COUNT(row)) {
        return SIZE_MAX;
    }
    for (size_t k = 0; k <= n; k++) {
        row[k] = k;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < n; k++) {
            size_t best = corner + (a[i] != b[k]);
            best = row[k] + 1 < best ? row[k] + 1 : best;
            best = row[k + 1] + 1 < best ? row[k + 1] + 1 : best;
            corner = row[k + 1];
            row[k + 1] = best;
        }
    }
    return row[n];
}

static void suggest(const char *name)
{
    size_t best = 0;
    for (size_t i = 1; i < ZOO_COUNT(commands); i++) {
        if (distance(name, commands[i].name) < distance(name, commands[best].name)) {
            best = i;
        }
    }
    (void)fprintf(stderr, "lmzoo: unknown command %.40s", name);
    if (distance(name, commands[best].name) <= 3) {
        (void)fprintf(stderr, "; did you mean %s?", commands[best].name);
    }
    (void)fputs("\n", stderr);
}

static void help(FILE *out)
{
    (void)fprintf(out, "usage: lmzoo COMMAND ...\n");
    for (size_t i = 0; i < ZOO_COUNT(commands); i++) {
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < ZOO_COUNT(commands); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        (void)printf("lmzoo " LMZOO_VERSION "\n");
        return 0;
    }
    if (*name) {
        suggest(name);
    }
    help(stderr);
    return 2;
}
