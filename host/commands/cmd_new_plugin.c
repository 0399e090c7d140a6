/*
 * cmd_new_plugin.c: lmzoo new-plugin NAME [-o FOLDER] and lmzoo new-block PLUGIN NAME [--kind KIND]
 *
 * Sources to begin with, from the template that is installed with the program.
 */
#include <stddef.h>

#include "adding/scaffold.h"
#include "commands/commands.h"
#include "commands/reading.h"

typedef struct plugin_args {
    zoo_common common;
    const char *output;
} plugin_args;

static const zoo_option plugin_options[] = {
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(plugin_args, output), "FOLDER",
     "a new folder [plugins/NAME in lmzoo's source tree, else ./NAME]"},
    ZOO_OPTIONS_END};

/* What was done is reported even if the rest failed. */
static int finish(const char *command, zoo_status status, const zoo_error *err, zoo_out *told)
{
    int code = reading_print(command, told);
    zoo_out_free(told);
    return status == ZOO_OK ? code : zoo_command_failed(command, err, zoo_exit_code(status));
}

static int run_plugin(void *args)
{
    const plugin_args *a = args;
    zoo_out told = {0};
    zoo_error err;
    zoo_status status = zoo_scaffold_plugin(a->common.positional[0], a->output, &told, &err);
    return finish("new-plugin", status, &err, &told);
}

const zoo_command zoo_command_new_plugin = {
    .name = "new-plugin",
    .arguments = "NAME [-o FOLDER]",
    .summary = "a new plugin that builds and runs",
    .text = "Copies the template under another name: a decoder with the shared attention or a "
            "mixer with a state, and a feed-forward block, each a file of its own, and a card. In "
            "lmzoo's source tree the build finds the folder by itself; elsewhere a CMakeLists.txt "
            "builds it against the installed SDK.",
    .example = "lmzoo new-plugin mine\n"
               "cmake -S mine -B mine/build && cmake --build mine/build",
    .options = plugin_options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(plugin_args),
    .run = run_plugin};

typedef struct block_args {
    zoo_common common;
    const char *kind;
} block_args;

static const zoo_option block_options[] = {{"--kind", 0, ZOO_OPTION_TEXT,
                                            offsetof(block_args, kind), "KIND",
                                            "ffn or mixer, which has a state [ffn]"},
                                           ZOO_OPTIONS_END};

static int run_block(void *args)
{
    const block_args *a = args;
    zoo_out told = {0};
    zoo_error err;
    zoo_status status =
        zoo_scaffold_block(a->common.positional[0], a->common.positional[1], a->kind, &told, &err);
    return finish("new-block", status, &err, &told);
}

static const block_args block_defaults = {.kind = "ffn"};

const zoo_command zoo_command_new_block = {
    .name = "new-block",
    .arguments = "PLUGIN NAME [--kind ffn|mixer]",
    .summary = "a new block in a plugin, registered",
    .text = "Copies a block of the template into a plugin (a folder, or its name below plugins/) "
            "and registers it: header, list of blocks, table of parts that a card may choose, and "
            "in lmzoo's source tree the words of that option. It builds at once; what it computes "
            "is then yours to change. docs/adding-a-block.md walks through one.",
    .example = "lmzoo new-block ./mine cubed\n"
               "lmzoo new-block ./mine memory --kind mixer",
    .options = block_options,
    .n_min = 2,
    .n_max = 2,
    .args_size = sizeof(block_args),
    .defaults = &block_defaults,
    .run = run_block};
