/*
 * cmd_explain.c: lmzoo explain MODEL|config.json|TYPE [--json|--markdown]
 *
 * An architecture in words and figures, from its config alone.
 */
#include <stddef.h>

#include "commands/commands.h"
#include "commands/reading.h"
#include "explain/explain.h"

typedef struct explain_args {
    reading_args reading;
    bool json, markdown;
} explain_args;

static const zoo_option options[] = {
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(explain_args, json), NULL, "one JSON object"},
    {"--markdown", 0, ZOO_OPTION_FLAG, offsetof(explain_args, markdown), NULL, "as Markdown"},
    READING_OPTIONS(explain_args),
    ZOO_OPTIONS_END};

static int run(void *args)
{
    const explain_args *a = args;
    zoo_arch *arch = NULL;
    zoo_error err;
    zoo_status status = reading_open(&a->reading, 0, &arch, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("explain", &err, reading_exit_code(status));
    }
    zoo_doc doc = {.form = a->markdown ? ZOO_DOC_MARKDOWN : ZOO_DOC_TEXT};
    if (a->json) {
        doc.out.failed = !zoo_explain_json(&doc.out, arch);
    } else {
        zoo_explain_write(&doc, arch);
    }
    int code = reading_print("explain", &doc.out);
    zoo_doc_free(&doc);
    zoo_arch_close(arch);
    return code;
}

const zoo_command zoo_command_explain = {
    .name = "explain",
    .arguments = "MODEL|config.json|TYPE [--json|--markdown]",
    .summary = "an architecture in words and figures, from its config alone",
    .text =
        "Says what kind of decoder a config describes: its layers by kind, mixers, rotation, "
        "windows, norms, experts, parameters in all and for one token, what a sequence keeps at "
        "several lengths and what a token costs, with the arithmetic, and where each value "
        "comes from. No weights are needed: MODEL is a folder or a name in the Hub's cache, "
        "config.json a file, TYPE a model_type that a card names (its class's defaults).",
    .example = "lmzoo explain ./model\n"
               "lmzoo explain config.json --json",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(explain_args),
    .run = run};
