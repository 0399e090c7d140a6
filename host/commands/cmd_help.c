/*
 * cmd_help.c: the command `help`: help, man pages and completions from the table of commands
 * (pages.h).
 */
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/pages.h"

typedef struct help_args {
    zoo_common common;
    const char *completion, *pages;
    bool man;
} help_args;

static const zoo_option options[] = {
    {"--man", 0, ZOO_OPTION_FLAG, offsetof(help_args, man), NULL, "as a man page, in roff"},
    {"--completion", 0, ZOO_OPTION_TEXT, offsetof(help_args, completion), "bash|zsh",
     "completions for this shell"},
    {"--pages", 0, ZOO_OPTION_TEXT, offsetof(help_args, pages), "DIR",
     "all man pages and completions into this folder, as an installation has them under share"},
    ZOO_OPTIONS_END};

/* Opens folder/part, making the folders on the way to it. */
static FILE *open_page(const char *folder, const char *part, zoo_error *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, part);
    if (n < 0 || n >= (int)sizeof path) {
        (void)zoo_fail(err, ZOO_E_USAGE, "--pages: the name %.60s... is too long", folder);
        return NULL;
    }
    for (char *slash = strchr(path + strlen(folder), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    if (!file) {
        (void)zoo_fail(err, ZOO_E_IO, "%s cannot be written", path);
    }
    return file;
}

/* command null: of the program. */
static zoo_status write_page(const char *folder, const char *part,
                             void (*write)(FILE *out, const zoo_command *command),
                             const zoo_command *command, zoo_error *err)
{
    FILE *file = open_page(folder, part, err);
    if (!file) {
        return (zoo_status)err->code;
    }
    write(file, command);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        return zoo_fail(err, ZOO_E_IO, "%s/%s cannot be written", folder, part);
    }
    return ZOO_OK;
}

static void man(FILE *out, const zoo_command *command)
{
    if (command) {
        zoo_page_man(out, command);
    } else {
        zoo_page_man_list(out);
    }
}

static void bash(FILE *out, const zoo_command *command)
{
    (void)command;
    zoo_page_bash(out);
}

static void zsh(FILE *out, const zoo_command *command)
{
    (void)command;
    zoo_page_zsh(out);
}

static zoo_status write_pages(const char *folder, zoo_error *err)
{
    char part[128];
    ZOO_TRY(write_page(folder, "man/man1/lmzoo.1", man, NULL, err));
    ZOO_TRY(write_page(folder, "bash-completion/completions/lmzoo", bash, NULL, err));
    ZOO_TRY(write_page(folder, "zsh/site-functions/_lmzoo", zsh, NULL, err));
    for (size_t i = 0; zoo_commands[i]; i++) {
        (void)snprintf(part, sizeof part, "man/man1/lmzoo-%s.1", zoo_commands[i]->name);
        ZOO_TRY(write_page(folder, part, man, zoo_commands[i], err));
    }
    return ZOO_OK;
}

static int show(const help_args *a, const zoo_command *command)
{
    if (a->man) {
        man(stdout, command);
    } else if (command) {
        zoo_page_help(stdout, command);
    } else {
        zoo_page_list(stdout);
    }
    return 0;
}

static int show_completion(const char *shell)
{
    zoo_error err;
    if (strcmp(shell, "bash") == 0) {
        zoo_page_bash(stdout);
    } else if (strcmp(shell, "zsh") == 0) {
        zoo_page_zsh(stdout);
    } else {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--completion must be bash or zsh, not \"%.40s\"", shell);
        return zoo_command_failed("help", &err, 2);
    }
    return 0;
}

static int run(void *args)
{
    const help_args *a = args;
    zoo_error err = {0};
    const char *name = a->common.positional[0];
    const zoo_command *command = name ? zoo_command_find(name) : NULL;
    if (name && !command) {
        return zoo_command_unknown(name);
    }
    if ((a->man != 0) + (a->completion != NULL) + (a->pages != NULL) > 1) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "give one of --man, --completion and --pages");
        return zoo_command_failed("help", &err, 2);
    }
    if (a->pages) {
        zoo_status status = write_pages(a->pages, &err);
        return status == ZOO_OK ? 0 : zoo_command_failed("help", &err, zoo_exit_code(status));
    }
    int code = a->completion ? show_completion(a->completion) : show(a, command);
    return fflush(stdout) == 0 ? code : 4;
}

const zoo_command zoo_command_help = {
    .name = "help",
    .arguments = "[COMMAND] [options]",
    .summary = "the commands, or the options of one",
    .text = "Lists the commands, or shows what COMMAND does and its options, as COMMAND --help "
            "does. The same table of options gives the man pages and the completions of an "
            "installation.",
    .example = "lmzoo help batch\nsource <(lmzoo help --completion bash)",
    .options = options,
    .n_max = 1,
    .args_size = sizeof(help_args),
    .run = run};
