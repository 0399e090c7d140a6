/*
 * options.h: command lines: common options of every command that loads a model, and a small reader
 * for a command's own.
 *
 * A command lists its options as rows; the common ones are understood besides. `--name value` and
 * `--name=value` are the same; `--` ends the options. What is wrong is one sentence.
 */
#ifndef ZOO_COMMANDS_OPTIONS_H
#define ZOO_COMMANDS_OPTIONS_H

#include "engine/engine.h"

enum { ZOO_POSITIONAL_MAX = 8, ZOO_ALLOW_MAX = 64 };

typedef enum zoo_option_kind {
    ZOO_OPTION_FLAG,   /* bool */
    ZOO_OPTION_TEXT,   /* const char * */
    ZOO_OPTION_COUNT,  /* uint32_t */
    ZOO_OPTION_SIZE,   /* size_t, with K, M, G, T or none: powers of 1024 */
    ZOO_OPTION_NUMBER, /* double */
    ZOO_OPTION_SEED,   /* uint64_t */
    ZOO_OPTION_LIST    /* zoo_option_list: may be given several times, or with commas */
} zoo_option_kind;

typedef struct zoo_option_list {
    const char *items[ZOO_ALLOW_MAX + 1]; /* null-ended */
    uint32_t n;
} zoo_option_list;

typedef struct zoo_option {
    const char *name; /* "--max-tokens"; null ends a table */
    char letter;      /* 'p' for -p, or 0 */
    zoo_option_kind kind;
    void *value;
    const char *argument; /* name of the value in the help */
    const char *help;
} zoo_option;

/* The common options, zero where nothing was said. */
typedef struct zoo_common {
    zoo_engine_options engine;
    zoo_option_list allow_unknown;
    const char *positional[ZOO_POSITIONAL_MAX];
    uint32_t n_positional;
    bool help;
} zoo_common;

/* Reads argv[1 ..]; own: the command's table, or null. What out holds before are the defaults, zero
 * or the command's. ZOO_E_USAGE names the argument. */
zoo_status zoo_options_read(int argc, char **argv, const zoo_option *own, zoo_common *out,
                            zoo_error *err);
/* The same for a command that loads no model: of the common options only --help. */
zoo_status zoo_options_read_own(int argc, char **argv, const zoo_option *own, zoo_common *out,
                                zoo_error *err);

/* The help of a command: usage line, what it does, its own and the common options. */
void zoo_options_help(FILE *out, const char *usage, const char *summary, const zoo_option *own);

/* Whether kind[n] is auto, f32, bf16, int8 or int4. */
bool zoo_options_kind_known(const char *kind, size_t n);

/* Exit code of a status: 2 usage, 3 the model was refused, 4 the environment. */
int zoo_exit_code(zoo_status status);
/* The same for a failure to open a model: what is wrong with the folder's files is 3. */
int zoo_exit_code_model(zoo_status status);

#endif
