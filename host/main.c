/* main.c: the program lmzoo: a table of commands. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "text/template.h"
#include "text/tokenizer.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"trace", zoo_cmd_trace, "every named activation of one pass, to a file"},
    {"compare", zoo_cmd_compare, "two traces, tensor by tensor; names the first that differs"},
    {"inspect", zoo_cmd_inspect, "what a model folder is: plugin, plan, streams, bytes"},
    {"plan", zoo_cmd_plan, "memory for a batch and a context, before loading"},
    {"plugins", zoo_cmd_plugins, "the installed plugins"},
    {"cards", zoo_cmd_cards, "the model types that are covered"},
    {"tokenize", zoo_cmd_tokenize, "texts to ids and back, line by line"},
    {"render", zoo_cmd_render, "messages through a model's chat template, line by line"},
};

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
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        (void)printf("lmzoo " LMZOO_VERSION "\n");
        return 0;
    }
    if (*name) {
        (void)fprintf(stderr, "lmzoo: unknown command %.40s\n", name);
    }
    help(stderr);
    return 2;
}
