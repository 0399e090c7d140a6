/* cmd_merge.c: the command line of `merge` (merge.h). */
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "cluster/merge.h"
#include "commands/commands.h"

typedef struct zoo_merge_args {
    zoo_common common;
    const char *output, *errors, *input, *order;
    bool restart;
} zoo_merge_args;

static const zoo_option options[] = {
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(zoo_merge_args, output), "FILE",
     "all results; journal and errors go beside it"},
    {"--errors", 0, ZOO_OPTION_TEXT, offsetof(zoo_merge_args, errors), "FILE",
     "refused lines (beside the results: x.errors.jsonl)"},
    {"--order", 0, ZOO_OPTION_TEXT, offsetof(zoo_merge_args, order), "shard|input",
     "shard after shard, or in the order of the request file (shard)"},
    {"--input", 'i', ZOO_OPTION_TEXT, offsetof(zoo_merge_args, input), "FILE",
     "the request file, if it is no longer where the shards read it"},
    {"--restart", 0, ZOO_OPTION_FLAG, offsetof(zoo_merge_args, restart), NULL,
     "start again, replacing old results"},
    ZOO_OPTIONS_END};

static int run(void *args)
{
    const zoo_merge_args *a = args;
    zoo_error err = {0};
    zoo_merge_totals totals;
    const char *order = a->order ? a->order : "shard";
    if (!a->output) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "usage: lmzoo merge %s", zoo_command_merge.arguments);
        return zoo_command_failed("merge", &err, 2);
    }
    if (strcmp(order, "shard") != 0 && strcmp(order, "input") != 0) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "--order must be shard or input, not \"%.40s\"", order);
        return zoo_command_failed("merge", &err, 2);
    }
    zoo_merge_job job = {.results = a->common.positional,
                         .n = a->common.n_positional,
                         .output = a->output,
                         .errors = a->errors,
                         .input = a->input,
                         .in_order = strcmp(order, "input") == 0,
                         .restart = a->restart};
    (void)signal(SIGPIPE, SIG_IGN);
    zoo_status status = zoo_merge(&job, &totals, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("merge", &err,
                                  status == ZOO_E_USAGE || status == ZOO_E_FORMAT ? 2 : 4);
    }
    (void)fprintf(stderr, "%u shards: %llu results, %llu errors\n", job.n,
                  (unsigned long long)totals.n_results, (unsigned long long)totals.n_errors);
    return totals.n_errors > 0 ? 1 : 0;
}

const zoo_command zoo_command_merge = {
    .name = "merge",
    .arguments = "RESULTS... -o all.jsonl [options]",
    .summary = "the results of all shards of a batch as one",
    .text = "Takes the results of lmzoo batch --shard, whose journals must lie beside them, and "
            "writes results, errors and journal as one run would have left them. A shard that is "
            "missing, of another run, unfinished or given twice is refused by name before anything "
            "is written.\n\n"
            "Exit codes: 0 all rows have results, 1 some rows are in the errors file, 2 usage or "
            "shards that do not belong together, 4 environment.",
    .example = "lmzoo merge shard-*.jsonl -o all.jsonl --order input",
    .options = options,
    .n_min = 1,
    .n_max = ZOO_POSITIONAL_MAX,
    .args_size = sizeof(zoo_merge_args),
    .run = run};
