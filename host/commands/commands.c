/* commands.c: the table of commands, and how one is found, read and started (commands.h). */
#include "commands/commands.h"

#include <string.h>

#include "base/mapped.h"
#include "base/mem.h"
#include "commands/pages.h"
#include "commands/pipeline.h"

#define ZOO_COMMAND_ROW(name) &zoo_command_##name,
const zoo_command *const zoo_commands[] = {ZOO_COMMANDS(ZOO_COMMAND_ROW) NULL};

const zoo_command *zoo_command_find(const char *name)
{
    for (size_t i = 0; zoo_commands[i]; i++) {
        if (strcmp(zoo_commands[i]->name, name) == 0) {
            return zoo_commands[i];
        }
    }
    return NULL;
}

int zoo_command_unknown(const char *name)
{
    const zoo_command *best = zoo_commands[0];
    for (size_t i = 1; zoo_commands[i]; i++) {
        if (zoo_word_distance(name, zoo_commands[i]->name) < zoo_word_distance(name, best->name)) {
            best = zoo_commands[i];
        }
    }
    (void)fprintf(stderr, "lmzoo: unknown command %.40s", name);
    if (zoo_word_distance(name, best->name) <= 3) {
        (void)fprintf(stderr, "; did you mean %s?", best->name);
    }
    (void)fputs("\n", stderr);
    return 2;
}

zoo_option_tables zoo_command_tables(const zoo_command *command)
{
    return (zoo_option_tables){
        {command->options, command->opens_model ? zoo_options_model : NULL, zoo_options_help}};
}

static zoo_status read_args(const zoo_command *command, int argc, char **argv, void *args,
                            zoo_error *err)
{
    zoo_common *common = args;
    zoo_option_tables tables = zoo_command_tables(command);
    ZOO_TRY(zoo_options_read(argc, argv, &tables, args, err));
    if (common->help) {
        return ZOO_OK;
    }
    if (common->n_positional < command->n_min) {
        return zoo_fail(err, ZOO_E_USAGE, "usage: lmzoo %s %s", command->name, command->arguments);
    }
    if (common->n_positional > command->n_max) {
        return zoo_fail(err, ZOO_E_USAGE, "unexpected argument \"%.60s\"; usage: lmzoo %s %s",
                        common->positional[command->n_max], command->name, command->arguments);
    }
    return command->opens_model ? zoo_options_judge_model(common, err) : ZOO_OK;
}

int zoo_command_main(const zoo_command *command, int argc, char **argv)
{
    zoo_error err = {0};
    void *args = zoo_mem_array(1, command->args_size);
    if (!args) {
        (void)zoo_fail(&err, ZOO_E_MEMORY, "no memory for the arguments");
        return zoo_command_failed(command->name, &err, 4);
    }
    if (command->defaults) {
        memcpy(args, command->defaults, command->args_size);
    }
    int code = 0;
    if (read_args(command, argc, argv, args, &err) != ZOO_OK) {
        code = zoo_command_failed(command->name, &err, 2);
    } else if (((zoo_common *)args)->help) {
        zoo_page_help(stdout, command);
    } else if (((zoo_common *)args)->pipeline) {
        code = zoo_pipeline_run(command, args);
    } else {
        code = command->run(args);
    }
    zoo_mem_free(args);
    return code;
}

int zoo_commands_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    zoo_mapped_guard();
    zoo_mem_json();
    if (strcmp(name, "--version") == 0) {
        (void)printf("lmzoo " LMZOO_VERSION "\n");
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        zoo_page_list(stdout);
        return 0;
    }
    const zoo_command *command = zoo_command_find(name);
    if (command) {
        return zoo_command_main(command, argc - 1, argv + 1);
    }
    if (*name) {
        (void)zoo_command_unknown(name);
    }
    zoo_page_list(stderr);
    return 2;
}

int zoo_command_failed(const char *command, const zoo_error *error, int code)
{
    (void)fprintf(stderr, "lmzoo %s: %s\n", command, error->text);
    return code;
}

int zoo_exit_code(zoo_status status)
{
    switch (status) {
    case ZOO_OK:
        return 0;
    case ZOO_E_USAGE:
        return 2;
    case ZOO_E_FORMAT:
    case ZOO_E_CONFIG:
    case ZOO_E_WEIGHT:
    case ZOO_E_PLUGIN:
    case ZOO_E_UNSUPPORTED:
        return 3;
    default:
        return 4;
    }
}

int zoo_exit_code_model(zoo_status status)
{
    return status == ZOO_E_IO || status == ZOO_E_LIMIT ? 3 : zoo_exit_code(status);
}
