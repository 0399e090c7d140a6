/*
 * cmd_validate.c: lmzoo validate CARD|PLUGIN|FOLDER|CONFIG [--reference]
 *
 * Checks what was added: by rules, by properties, and against the reference's numbers.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adding/validate.h"
#include "commands/commands.h"
#include "commands/reading.h"
#include "config/plugin_loader.h"

typedef struct validate_args {
    zoo_common common;
    const char *plugin_dir, *card_dir, *config, *weights, *cache, *python, *output;
    bool reference;
} validate_args;

static const zoo_option options[] = {
    {"--config", 0, ZOO_OPTION_TEXT, offsetof(validate_args, config), "CONFIG",
     "config.json or folder that a plugin file is run on"},
    {"--reference", 0, ZOO_OPTION_FLAG, offsetof(validate_args, reference), NULL,
     "compare with transformers: variants of a small checkpoint, traced and compared"},
    {"--python", 0, ZOO_OPTION_TEXT, offsetof(validate_args, python), "FILE",
     "Python that has transformers [python3]"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(validate_args, output), "FILE",
     "with --reference: the report, in Markdown [stdout]"},
    {"--weights", 0, ZOO_OPTION_TEXT, offsetof(validate_args, weights), "KIND",
     "one kind of weights [f32, bf16, int8 and int4 in turn]"},
    {"--cache", 0, ZOO_OPTION_TEXT, offsetof(validate_args, cache), "KIND",
     "one kind of cache [the same as the weights']"},
    {"--plugin-dir", 0, ZOO_OPTION_TEXT, offsetof(validate_args, plugin_dir), "DIR",
     "where plugins are [beside the program]"},
    {"--card-dir", 0, ZOO_OPTION_TEXT, offsetof(validate_args, card_dir), "DIR",
     "where cards are [beside the program]"},
    ZOO_OPTIONS_END};

typedef struct tally {
    uint32_t n_good, n_bad;
} tally;

static void told(void *arg, int ok, const char *what, const char *why)
{
    tally *t = arg;
    t->n_good += ok > 0;
    t->n_bad += ok == 0;
    (void)printf("%-4s %s%s%s\n", ok < 0 ? "note" : ok ? "ok" : "BAD", what, *why ? ": " : "", why);
    (void)fflush(stdout);
}

static zoo_status judge(const zoo_validation *v, zoo_subject_kind kind, zoo_error *err)
{
    switch (kind) {
    case ZOO_SUBJECT_CARD:
        return zoo_validate_card(v, err);
    case ZOO_SUBJECT_PLUGIN:
        return zoo_validate_plugin(v, err);
    case ZOO_SUBJECT_FOLDER:
        return zoo_validate_folder(v, v->path, err);
    case ZOO_SUBJECT_CONFIG:
        break;
    }
    return zoo_validate_config(v, v->path, err);
}

/* Runs the tool and waits: its exit status, or 4. */
static int run_tool(char *const *argv)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)execvp(argv[0], argv);
        (void)fprintf(stderr, "lmzoo validate: %s: %s (--python names one with transformers)\n",
                      argv[0], strerror(errno));
        _exit(4);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}

static int run_reference(const validate_args *a)
{
    char folder[4096], script[4200], own[4096];
    zoo_error err;
    if (zoo_install_folder(NULL, "reference", folder, sizeof folder, &err) != ZOO_OK ||
        !zoo_own_file(own, sizeof own)) {
        return zoo_command_failed("validate", &err, 4);
    }
    (void)snprintf(script, sizeof script, "%s/validate.py", folder);
    const char *const pairs[][2] = {
        {"--output", a->output}, {"--plugin-dir", a->plugin_dir}, {"--card-dir", a->card_dir}};
    const char *argv[16] = {a->python, script, a->common.positional[0], "--lmzoo", own};
    size_t n = 5;
    for (size_t i = 0; i < ZOO_COUNT(pairs); i++) {
        if (pairs[i][1]) {
            argv[n++] = pairs[i][0];
            argv[n++] = pairs[i][1];
        }
    }
    (void)fflush(stdout);
    return run_tool((char *const *)(uintptr_t)argv);
}

static int run(void *args)
{
    const validate_args *a = args;
    tally t = {0};
    zoo_error err;
    zoo_subject_kind kind;
    const zoo_validation v = {.path = a->common.positional[0],
                              .config = a->config,
                              .plugin_dir = a->plugin_dir,
                              .card_dir = a->card_dir,
                              .weights = a->weights,
                              .cache = a->cache,
                              .told = told,
                              .arg = &t};
    zoo_status status = zoo_validate_kind(v.path, &kind, &err);
    if (status == ZOO_OK && a->reference && kind == ZOO_SUBJECT_PLUGIN) {
        status = zoo_fail(&err, ZOO_E_USAGE, "--reference needs a card, a folder or a config");
    }
    bool small = !a->reference || kind == ZOO_SUBJECT_CARD || kind == ZOO_SUBJECT_FOLDER;
    if (status == ZOO_OK && small) {
        status = judge(&v, kind, &err);
    }
    if (status != ZOO_OK) {
        return zoo_command_failed("validate", &err, reading_exit_code(status));
    }
    int code = a->reference ? run_reference(a) : 0;
    (void)printf("%u checks, %u bad%s\n", t.n_good + t.n_bad, t.n_bad,
                 a->reference ? ", besides those of the reference" : "");
    return code ? code : t.n_bad ? 1 : 0;
}

static const validate_args defaults = {.python = "python3"};

const zoo_command zoo_command_validate = {
    .name = "validate",
    .arguments = "CARD|PLUGIN|FOLDER|CONFIG [--reference] [options]",
    .summary = "checks a card, a plugin file or a model folder",
    .text =
        "A card: its members, options and words, what is unsettled in it, and a plan from each "
        "type's class defaults. A plugin file: its ABI and tables; with --config the properties "
        "below. A folder: the whole prompt, steps of one, chunks, a batch of ragged neighbours, "
        "restart, a kept prefix and two threads give the same bits, in each kind of weights and "
        "cache. A config: the same with random weights.\n\n"
        "With --reference (Python with torch and transformers) a small checkpoint of the same kind "
        "is made, then one for each value that another release may hold; class defaults are "
        "dropped "
        "from its config one by one; each is traced by both and compared, and a report of one page "
        "says what was tried. All in one process of Python.\n\n"
        "Exit codes: 0 all passed, 1 something failed, 2 usage, 3 refused, 4 the environment.",
    .example = "lmzoo validate models.d/mine.json --reference\n"
               "lmzoo validate mine/build/mine.so --config mine/config.json\n"
               "lmzoo validate ./model --weights int8",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(validate_args),
    .defaults = &defaults,
    .run = run};
