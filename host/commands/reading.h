/* reading.h: what the commands that read architectures share: opening one or several, printing. */
#ifndef ZOO_COMMANDS_READING_H
#define ZOO_COMMANDS_READING_H

#include "base/json_writer.h"
#include "commands/options.h"
#include "explain/arch.h"

/* The first member of such a command's arguments. */
typedef struct reading_args {
    zoo_common common;
    const char *plugin_dir, *card_dir;
    const char *type; /* for a config.json without model_type */
} reading_args;

/* Rows of options; T is the struct of arguments, whose member `reading` is a reading_args. */
#define READING_OPTIONS(T)                                                                         \
    {"--type",        0,                                                                           \
     ZOO_OPTION_TEXT, offsetof(T, reading.type),                                                   \
     "TYPE",          "model_type of config.json files that have none"},                           \
        {"--plugin-dir",  0,                                                                       \
         ZOO_OPTION_TEXT, offsetof(T, reading.plugin_dir),                                         \
         "DIR",           "where plugins are [beside the program]"},                               \
    {                                                                                              \
        "--card-dir", 0, ZOO_OPTION_TEXT, offsetof(T, reading.card_dir), "DIR",                    \
            "where cards are [beside the program]"                                                 \
    }

/* Opens positional argument `index`. */
zoo_status reading_open(const reading_args *args, uint32_t index, zoo_arch **out, zoo_error *err);
/* 3 where the config was refused, 2 where there is no such thing, 4 for the machine. */
int reading_exit_code(zoo_status status);
/* Text to stdout; the exit code. */
int reading_print(const char *command, const zoo_out *out);
/* Text to a file; the exit code. */
int reading_save(const char *command, const char *path, const zoo_out *out);

#endif
