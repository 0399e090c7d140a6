/*
 * cmd_trace.c: lmzoo trace and lmzoo compare.
 *
 *   trace MODEL --tokens 1,2,3 -o trace.safetensors [--chunk N]
 *       every named activation of one pass; with --chunk the prompt is read N tokens at a time,
 *       which must give the same bits
 *   compare A B [--prefix-a P] [--prefix-b P] [--limit X] [--json]
 *       exit code 0 if all tensors agree, 1 if not
 *
 * Memory: all activations of the pass are held until the file is written.
 */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "engine/recorder.h"
#include "evaluate/compare.h"

typedef struct trace_args {
    zoo_common common;
    const char *tokens, *output;
    uint32_t chunk;
} trace_args;

static const zoo_option trace_options[] = {
    {"--tokens", 0, ZOO_OPTION_TEXT, offsetof(trace_args, tokens), "1,2,3", "ids of the pass"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(trace_args, output), "FILE",
     "the trace, a safetensors file"},
    {"--chunk", 0, ZOO_OPTION_COUNT, offsetof(trace_args, chunk), "N",
     "read the tokens N at a time (all in one step)"},
    ZOO_OPTIONS_PIPELINE,
    ZOO_OPTIONS_END};

/* The model is open: its exit code. */
static int write_trace(zoo_engine *engine, const trace_args *a, const int32_t *tokens, uint32_t n)
{
    zoo_recorder *recorder = NULL;
    zoo_error error;
    zoo_status status = zoo_recorder_run(engine, tokens, n, a->chunk, &recorder, &error);
    if (status == ZOO_OK) {
        status = zoo_recorder_write(recorder, a->output, &error);
    }
    zoo_recorder_free(recorder);
    return status == ZOO_OK ? 0 : zoo_command_failed("trace", &error, zoo_exit_code(status));
}

static int trace_tokens(trace_args *a, const int32_t *tokens, uint32_t n)
{
    char folder[4096];
    zoo_error error;
    zoo_engine *engine = NULL;
    zoo_engine_options *options = &a->common.engine;
    uint32_t rows = a->chunk && a->chunk < n ? a->chunk : n;
    options->rows_max = rows > 16 ? rows : 16;
    options->seqs_max = 2;
    options->context_max = n;
    zoo_status status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &error);
    if (status == ZOO_OK) {
        status = zoo_engine_open(folder, options, &engine, &error);
    }
    if (status != ZOO_OK) {
        return zoo_command_failed("trace", &error, zoo_exit_code_model(status));
    }
    int code = write_trace(engine, a, tokens, n);
    zoo_engine_close(engine);
    return code;
}

static int run_trace(void *args)
{
    trace_args *a = args;
    int32_t *tokens = NULL;
    uint32_t n = 0;
    zoo_error error;
    if (!a->output || !a->tokens) {
        (void)zoo_fail(&error, ZOO_E_USAGE, "usage: lmzoo trace %s", zoo_command_trace.arguments);
        return zoo_command_failed("trace", &error, 2);
    }
    zoo_status status = zoo_tokens_read(a->tokens, &tokens, &n, &error);
    int code = status == ZOO_OK ? trace_tokens(a, tokens, n)
                                : zoo_command_failed("trace", &error, zoo_exit_code(status));
    zoo_mem_free(tokens);
    return code;
}

static const trace_args trace_defaults = {.common.engine = {.weights = "f32", .cache = "f32"}};

const zoo_command zoo_command_trace = {
    .name = "trace",
    .arguments = "MODEL --tokens 1,2,3 -o FILE [options]",
    .summary = "every named activation of one pass, to a file",
    .text =
        "Reads the tokens in one pass and writes the output of each module, under the names that "
        "the modules have in Hugging Face transformers. Weights and caches are f32 unless "
        "--weights or --cache say otherwise. All activations are held in memory until the "
        "file is written.",
    .example = "lmzoo trace ./model --tokens 1,2,3 -o trace.safetensors",
    .options = trace_options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(trace_args),
    .defaults = &trace_defaults,
    .run = run_trace};

static int report(const zoo_compare_result *r, const zoo_compare_options *o, const char *path_b)
{
    if (o->json) {
        (void)printf("{\"compared\": %u, \"out\": %u, \"only_a\": %u, \"only_b\": %u, \"first\": "
                     "\"%s\", \"guess\": "
                     "\"%s\"}\n",
                     r->n_compared, r->n_out, r->n_only_a, r->n_only_b, r->first, r->guess);
    } else if (r->n_out) {
        (void)printf(
            "%u of %u tensors are out of tolerance (%g); the first is %s\n  looks like: %s\n",
            r->n_out, r->n_compared, o->limit, r->first, r->guess);
    } else {
        (void)printf("%u tensors agree with %s, worst nmse %.3g (%u only in A, %u only in B)\n",
                     r->n_compared, path_b, r->worst, r->n_only_a, r->n_only_b);
    }
    return r->n_out ? 1 : 0;
}

typedef struct compare_args {
    zoo_common common;
    zoo_compare_options options;
} compare_args;

static const zoo_option compare_options[] = {
    {"--prefix-a", 0, ZOO_OPTION_TEXT, offsetof(compare_args, options.prefix_a), "TEXT",
     "only tensors of A whose names begin with this; it is removed"},
    {"--prefix-b", 0, ZOO_OPTION_TEXT, offsetof(compare_args, options.prefix_b), "TEXT",
     "the same for B"},
    {"--limit", 0, ZOO_OPTION_NUMBER, offsetof(compare_args, options.limit), "X",
     "normalised mean squared error up to which tensors agree (1e-9)"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(compare_args, options.json), NULL,
     "one JSON object a line"},
    ZOO_OPTIONS_END};

static int run_compare(void *args)
{
    const compare_args *c = args;
    const char *const *files = c->common.positional;
    zoo_tensors *a = NULL, *b = NULL;
    zoo_compare_result result;
    zoo_error error;
    if (!(c->options.limit >= 0)) {
        (void)zoo_fail(&error, ZOO_E_USAGE, "--limit must not be below 0");
        return zoo_command_failed("compare", &error, 2);
    }
    zoo_status status = zoo_tensors_open_file(files[0], &a, &error);
    if (status == ZOO_OK) {
        status = zoo_tensors_open_file(files[1], &b, &error);
    }
    if (status == ZOO_OK) {
        status = zoo_compare(a, b, &c->options, stdout, &result, &error);
    }
    int code = status == ZOO_OK ? report(&result, &c->options, files[1])
                                : zoo_command_failed("compare", &error, zoo_exit_code(status));
    zoo_tensors_close(a);
    zoo_tensors_close(b);
    return code;
}

static const compare_args compare_defaults = {
    .options = {.prefix_a = "", .prefix_b = "", .limit = 1e-9}};

const zoo_command zoo_command_compare = {
    .name = "compare",
    .arguments = "A.safetensors B.safetensors [options]",
    .summary = "two traces, tensor by tensor; names the first that differs",
    .text = "Compares the tensors that both files have, in the order of the pass, and guesses from "
            "the shape of the first difference what caused it.\n\n"
            "Exit codes: 0 all agree, 1 not all, 2 usage, 3 or 4 a file that cannot be read.",
    .example = "lmzoo compare trace.safetensors reference.safetensors --prefix-b 0/",
    .options = compare_options,
    .n_min = 2,
    .n_max = 2,
    .args_size = sizeof(compare_args),
    .defaults = &compare_defaults,
    .run = run_compare};
