/*
 * commands.h: the commands of the program, one table.
 *
 * To add a command `name`:
 *
 *   1. host/commands/cmd_name.c: a struct of arguments that begins with a zoo_common, rows of
 *      options, `static int run(void *args)`, and `const zoo_command zoo_command_name = {...}`;
 *   2. a row X(name) in ZOO_COMMANDS below, at its place in `lmzoo help`.
 *
 * Reading the command line, --help, `lmzoo help name`, the man page and the completions of bash
 * and zsh follow from that; tests/scripts/commands.sh compares them with the reader and wants a
 * script that starts the command.
 *
 * A command returns its exit code: 0 all done, 1 some rows failed, 2 usage, 3 model refused,
 * 4 environment. Data goes to stdout or to the named file, messages to stderr.
 */
#ifndef ZOO_COMMANDS_COMMANDS_H
#define ZOO_COMMANDS_COMMANDS_H

#include "commands/options.h"

typedef struct zoo_command {
    const char *name;
    const char *arguments; /* "MODEL -i FILE -o FILE [options]" */
    const char *summary;   /* a phrase, for the list of commands */
    const char *text;      /* what it does: paragraphs, an empty line between; lines are filled */
    const char *example;   /* a command line or several, one a line; or null */
    const zoo_option *options; /* its own; or null */
    bool opens_model;          /* takes zoo_options_model too */
    uint32_t n_min, n_max;     /* positional arguments */
    size_t args_size;          /* of its struct of arguments, at least a zoo_common */
    const void *defaults;      /* what it holds before reading; null: zeros */
    int (*run)(void *args);    /* everything is read, --help is dealt with */
} zoo_command;

/* clang-format off */
#define ZOO_COMMANDS(X) \
    X(run)              \
    X(batch)            \
    X(status)           \
    X(merge)            \
    X(serve)            \
    X(chat)             \
    X(score)            \
    X(bench)            \
    X(quantise)         \
    X(trace)            \
    X(compare)          \
    X(inspect)          \
    X(plan)             \
    X(plugins)          \
    X(cards)            \
    X(explain)          \
    X(diff)             \
    X(draw)             \
    X(cache)            \
    X(gallery)          \
    X(new_card)         \
    X(new_plugin)       \
    X(new_block)        \
    X(validate)         \
    X(tokenize)         \
    X(render)           \
    X(help)
/* clang-format on */

#define ZOO_COMMAND_DECLARE(name) extern const zoo_command zoo_command_##name;
ZOO_COMMANDS(ZOO_COMMAND_DECLARE)
#undef ZOO_COMMAND_DECLARE

extern const zoo_command *const zoo_commands[]; /* null-ended */

/* Null: there is none of that name. */
const zoo_command *zoo_command_find(const char *name);
/* Prints that there is no such command, and which is nearest; returns 2. */
int zoo_command_unknown(const char *name);

/* Reads argv[1 ..] and runs the command, or shows its help. argv[0] is not looked at. */
int zoo_command_main(const zoo_command *command, int argc, char **argv);
/* The program: argv[1] names the command. */
int zoo_commands_main(int argc, char **argv);

/* The tables of a command, in the order of the help: its own, those of a model, --help. */
zoo_option_tables zoo_command_tables(const zoo_command *command);

/* Prints the sentence on stderr and returns code. */
int zoo_command_failed(const char *command, const zoo_error *error, int code);
/* Exit code of a status: 2 usage, 3 the model was refused, 4 the environment. */
int zoo_exit_code(zoo_status status);
/* The same for a failure to open a model: what is wrong with the folder's files is 3. */
int zoo_exit_code_model(zoo_status status);

#endif
