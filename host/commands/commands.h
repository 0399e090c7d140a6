/*
 * commands.h: the program's commands and how they read their arguments.
 *
 * A command returns its exit code: 0 all done, 1 some rows failed, 2 usage, 3 model refused,
 * 4 environment. Data goes to stdout or to the named file, words to stderr.
 */
#ifndef ZOO_COMMANDS_COMMANDS_H
#define ZOO_COMMANDS_COMMANDS_H

#include "engine/engine.h"

typedef enum zoo_flag_kind {
    ZOO_FLAG_TEXT = 0,   /* const char * */
    ZOO_FLAG_COUNT = 1,  /* uint32_t */
    ZOO_FLAG_SIZE = 2,   /* size_t, "4G", "512M", "64K" or bytes */
    ZOO_FLAG_NUMBER = 3, /* double */
    ZOO_FLAG_SET = 4     /* bool, no value follows */
} zoo_flag_kind;

typedef struct zoo_flag {
    const char *name; /* "--tokens"; null ends the list */
    zoo_flag_kind kind;
    void *value; /* where it goes */
} zoo_flag;

/*
 * Reads argv[1 ..]: the command's own flags, and, where options is not null, those common to all
 * commands: --weights, --cache, --threads, --isa, --memory, --plugin-dir, --card-dir,
 * --allow-unknown, --context, --max-rows, --max-seqs. What is no flag goes to
 * places[0 .. n_places - 1]. ZOO_E_USAGE names the argument.
 */
zoo_status zoo_flags_read(int argc, char **argv, const zoo_flag *flags, zoo_engine_options *options,
                          const char **places, uint32_t n_places, zoo_error *err);

/* "1,2,3" as ids; *tokens for zoo_mem_free. */
zoo_status zoo_tokens_read(const char *list, int32_t **tokens, uint32_t *n, zoo_error *err);

/* Prints the sentence and returns the exit code of its status. */
int zoo_command_failed(const char *command, const zoo_error *error);

/* The commands; argv[0] is the command's name. batch and run also return 128 + a signal. */
int zoo_cmd_run(int argc, char **argv);
int zoo_cmd_batch(int argc, char **argv);
int zoo_cmd_score(int argc, char **argv);
int zoo_cmd_bench(int argc, char **argv);
int zoo_cmd_trace(int argc, char **argv);
int zoo_cmd_compare(int argc, char **argv);
int zoo_cmd_inspect(int argc, char **argv);
int zoo_cmd_plan(int argc, char **argv);
int zoo_cmd_plugins(int argc, char **argv);
int zoo_cmd_cards(int argc, char **argv);
int zoo_cmd_tokenize(int argc, char **argv);
int zoo_cmd_render(int argc, char **argv);

#endif
