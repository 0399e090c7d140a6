/*
 * cmd_diff.c: lmzoo diff A B [--markdown]
 *
 * What the second of two architectures does differently, in words, then sizes, memory and keys.
 */
#include <stddef.h>

#include "commands/commands.h"
#include "commands/reading.h"
#include "explain/diff.h"

typedef struct diff_args {
    reading_args reading;
    bool markdown;
} diff_args;

static const zoo_option options[] = {
    {"--markdown", 0, ZOO_OPTION_FLAG, offsetof(diff_args, markdown), NULL, "as Markdown"},
    READING_OPTIONS(diff_args),
    ZOO_OPTIONS_END};

static int run(void *args)
{
    const diff_args *a = args;
    zoo_arch *both[2] = {NULL, NULL};
    zoo_error err;
    zoo_status status = reading_open(&a->reading, 0, &both[0], &err);
    if (status == ZOO_OK) {
        status = reading_open(&a->reading, 1, &both[1], &err);
    }
    int code = status == ZOO_OK ? 0 : zoo_command_failed("diff", &err, reading_exit_code(status));
    if (status == ZOO_OK) {
        zoo_doc doc = {.form = a->markdown ? ZOO_DOC_MARKDOWN : ZOO_DOC_TEXT};
        zoo_diff_write(&doc, both[0], both[1]);
        code = reading_print("diff", &doc.out);
        zoo_doc_free(&doc);
    }
    zoo_arch_close(both[0]);
    zoo_arch_close(both[1]);
    return code;
}

const zoo_command zoo_command_diff = {
    .name = "diff",
    .arguments = "A B [--markdown]",
    .summary = "what one architecture does differently from another",
    .text = "Describes what the block of B does differently from that of A: the stack, norms, "
            "mixers, rotation, windows, experts, the residual. Then sizes and memory side by side, "
            "and the keys of the files that differ and change nothing. A and B are folders, "
            "config.json files, names in the Hub's cache or model types of cards.",
    .example = "lmzoo diff ./old/config.json ./new/config.json",
    .options = options,
    .n_min = 2,
    .n_max = 2,
    .args_size = sizeof(diff_args),
    .run = run};
