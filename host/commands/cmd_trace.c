/*
 * cmd_trace.c: lmzoo trace and lmzoo compare.
 *
 *   trace MODEL --tokens 1,2,3 -o trace.safetensors [--chunk N] [--predict]
 *       every named activation of one pass; with --chunk the prompt is read N tokens at a time,
 *       which must give the same bits; with --predict the pass is that of the prediction layer
 *   compare A B [--prefix-a P] [--prefix-b P] [--limit X] [--json]
 *       exit code 0 if all tensors agree, 1 if not
 *
 * Memory: all activations of the pass are held until the file is written.
 */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "batch/chat_model.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "engine/recorder.h"
#include "evaluate/compare.h"
#include "generate/draft_model.h"

typedef struct trace_args {
    zoo_common common;
    const char *tokens, *output;
    uint32_t chunk;
    bool predicts;
} trace_args;

static const zoo_option trace_options[] = {
    {"--tokens", 0, ZOO_OPTION_TEXT, offsetof(trace_args, tokens), "1,2,3", "ids of the pass"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(trace_args, output), "FILE",
     "the trace, a safetensors file"},
    {"--chunk", 0, ZOO_OPTION_COUNT, offsetof(trace_args, chunk), "N",
     "read the tokens N at a time (all in one step)"},
    {"--predict", 0, ZOO_OPTION_FLAG, offsetof(trace_args, predicts), NULL,
     "trace the prediction layer, over all tokens but the first"},
    ZOO_OPTIONS_PIPELINE,
    ZOO_OPTIONS_END};

static zoo_status write_trace(zoo_engine *engine, const zoo_recorder_pass *pass, const char *path,
                              zoo_error *err)
{
    zoo_recorder *recorder = NULL;
    zoo_status status = zoo_recorder_run(engine, pass, &recorder, err);
    if (status == ZOO_OK) {
        status = zoo_recorder_write(recorder, path, err);
    }
    zoo_recorder_free(recorder);
    return status;
}

/* Traces the prediction layer: it reads the model's rows, each with the token that follows. */
static zoo_status write_prediction(zoo_engine *engine, zoo_engine *layers,
                                   const zoo_recorder_pass *pass, const char *path, zoo_error *err)
{
    const zoo_plan *plan = zoo_engine_plan(layers);
    float *rows = zoo_mem_array(pass->n, plan->given_width * sizeof *rows);
    if (!rows || pass->n < 2) {
        zoo_mem_free(rows);
        return zoo_fail(err, rows ? ZOO_E_USAGE : ZOO_E_MEMORY,
                        rows ? "the prediction layer needs at least two tokens" : "out of memory");
    }
    zoo_status status = zoo_recorder_rows(engine, pass, !plan->given_raw, rows, err);
    if (status == ZOO_OK) {
        const zoo_recorder_pass next = {
            .tokens = pass->tokens + 1, .n = pass->n - 1, .chunk = pass->chunk, .given = rows};
        status = write_trace(layers, &next, path, err);
    }
    zoo_mem_free(rows);
    return status;
}

static int trace_tokens(trace_args *a, const int32_t *tokens, uint32_t n)
{
    char folder[4096];
    zoo_error error;
    zoo_engine *engine = NULL, *layers = NULL;
    zoo_engine_options *options = &a->common.engine;
    uint32_t rows = a->chunk && a->chunk < n ? a->chunk : n;
    const zoo_recorder_pass pass = {.tokens = tokens, .n = n, .chunk = a->chunk};
    options->rows_max = rows > ZOO_DRAFTS_MAX ? rows : ZOO_DRAFTS_MAX + 1;
    options->seqs_max = 2;
    options->context_max = n;
    zoo_status status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &error);
    if (status == ZOO_OK && a->predicts) {
        status = zoo_draft_layers_open(folder, options, &layers, &error);
    }
    if (status == ZOO_OK) {
        status = zoo_engine_open(folder, options, &engine, &error);
    }
    if (status == ZOO_OK && layers) {
        status = zoo_chat_model_join_layers(engine, layers, folder, &error);
    }
    int code = status == ZOO_OK ? 0 : zoo_exit_code_model(status);
    if (status == ZOO_OK) {
        status = layers ? write_prediction(engine, layers, &pass, a->output, &error)
                        : write_trace(engine, &pass, a->output, &error);
        code = status == ZOO_OK ? 0 : zoo_exit_code(status);
    }
    zoo_engine_close(engine);
    zoo_engine_close(layers);
    return code ? zoo_command_failed("trace", &error, code) : 0;
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
        "--weights or --cache say otherwise. With --predict the pass is that of the prediction "
        "layer (multi-token prediction) over the model's rows. All activations are held in memory "
        "until the "
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
