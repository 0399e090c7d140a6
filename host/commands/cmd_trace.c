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
#include "evaluate/compare.h"

typedef struct kept {
    char name[512];
    float *values;
    uint32_t n_rows, width;
} kept;

typedef struct recorder {
    kept *list;
    uint32_t n, room;
    uint32_t n_total; /* rows of the whole pass */
    uint32_t done;    /* rows before this step */
    zoo_status status;
} recorder;

static kept *slot_for(recorder *r, const char *name, uint32_t width)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->list[i].name, name) == 0) {
            return r->list[i].width == width ? &r->list[i] : NULL;
        }
    }
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : 256;
        kept *list = zoo_mem_realloc(r->list, room * sizeof *list);
        if (!list) {
            return NULL;
        }
        r->list = list;
        r->room = room;
    }
    kept *k = &r->list[r->n];
    (void)snprintf(k->name, sizeof k->name, "%s", name);
    k->width = width;
    k->n_rows = 0;
    k->values = zoo_mem_array((size_t)r->n_total * width + 1, sizeof(float));
    r->n += k->values != NULL;
    return k->values ? k : NULL;
}

/* A name that comes twice in one step is a module that ran again: "#2". */
static void record(void *arg, const char *name, const float *x, uint32_t n_rows, uint32_t width)
{
    recorder *r = arg;
    char full[512];
    (void)snprintf(full, sizeof full, "%s", name);
    for (int again = 2; again < 64; again++) {
        kept *k = slot_for(r, full, width);
        if (!k || r->done + n_rows > r->n_total) {
            r->status = ZOO_E_MEMORY;
            return;
        }
        if (k->n_rows == r->done) {
            memcpy(k->values + (size_t)r->done * width, x, (size_t)n_rows * width * sizeof(float));
            k->n_rows += n_rows;
            return;
        }
        (void)snprintf(full, sizeof full, "%.480s#%d", name, again);
    }
}

static zoo_status run_pass(zoo_engine *engine, const int32_t *tokens, uint32_t n, uint32_t chunk,
                           recorder *r, zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(zoo_engine_seq_open(engine, n, n, &seq, err));
    zoo_engine_trace(engine, record, r);
    zoo_status status = ZOO_OK;
    for (uint32_t done = 0; done < n && status == ZOO_OK; done += chunk) {
        uint32_t count = n - done < chunk ? n - done : chunk;
        zoo_item item = {.seq = seq, .n = count, .tokens = tokens + done, .want = ZOO_WANT_ALL};
        r->done = done;
        status = zoo_engine_step(engine, &item, 1, err);
    }
    zoo_engine_trace(engine, NULL, NULL);
    zoo_engine_seq_close(engine, seq);
    if (status == ZOO_OK && r->status != ZOO_OK) {
        return zoo_fail(err, r->status, "no memory for the trace");
    }
    return status;
}

static zoo_status write_trace(const recorder *r, const char *path, zoo_error *err)
{
    zoo_tensor *list = zoo_mem_array((size_t)r->n + 1, sizeof *list);
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the trace");
    }
    for (uint32_t i = 0; i < r->n; i++) {
        const kept *k = &r->list[i];
        list[i] = (zoo_tensor){.name = k->name,
                               .data = k->values,
                               .n_items = (uint64_t)k->n_rows * k->width,
                               .n_bytes = (uint64_t)k->n_rows * k->width * sizeof(float),
                               .dims = {k->n_rows, k->width},
                               .n_dims = 2,
                               .dtype = ZOO_F32};
    }
    zoo_status status = zoo_tensors_write(path, list, r->n, err);
    zoo_mem_free(list);
    return status;
}

static zoo_status trace_tokens(const char *model, zoo_engine_options *options,
                               const int32_t *tokens, uint32_t n, uint32_t chunk, const char *path,
                               zoo_error *err)
{
    zoo_engine *engine = NULL;
    recorder r = {.n_total = n};
    options->rows_max = chunk > 16 ? chunk : 16;
    options->seqs_max = 2;
    options->context_max = n;
    zoo_status status = zoo_engine_open(model, options, &engine, err);
    if (status == ZOO_OK) {
        status = run_pass(engine, tokens, n, chunk, &r, err);
    }
    if (status == ZOO_OK) {
        status = write_trace(&r, path, err);
    }
    for (uint32_t i = 0; i < r.n; i++) {
        zoo_mem_free(r.list[i].values);
    }
    zoo_mem_free(r.list);
    zoo_engine_close(engine);
    return status;
}

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
    ZOO_OPTIONS_END};

static int run_trace(void *args)
{
    trace_args *a = args;
    char folder[4096];
    int32_t *tokens = NULL;
    uint32_t n = 0;
    zoo_error error;
    if (!a->output || !a->tokens) {
        (void)zoo_fail(&error, ZOO_E_USAGE, "usage: lmzoo trace %s", zoo_command_trace.arguments);
        return zoo_command_failed("trace", &error, 2);
    }
    zoo_status status = zoo_tokens_read(a->tokens, &tokens, &n, &error);
    if (status == ZOO_OK) {
        status = zoo_model_folder(a->common.positional[0], folder, sizeof folder, &error);
    }
    if (status == ZOO_OK) {
        uint32_t chunk = a->chunk && a->chunk < n ? a->chunk : n;
        status = trace_tokens(folder, &a->common.engine, tokens, n, chunk, a->output, &error);
    }
    zoo_mem_free(tokens);
    return status == ZOO_OK ? 0 : zoo_command_failed("trace", &error, zoo_exit_code(status));
}

static const trace_args trace_defaults = {.common.engine = {.weights = "f32", .cache = "f32"}};

const zoo_command zoo_command_trace = {
    .name = "trace",
    .arguments = "MODEL --tokens 1,2,3 -o FILE [options]",
    .summary = "every named activation of one pass, to a file",
    .text = "Reads the tokens in one pass and writes what each module gave, under the names that "
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
     "only tensors of A whose names begin so; it is taken off"},
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
        (void)zoo_fail(&error, ZOO_E_USAGE, "--limit is 0 at least");
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
            "the shape of the first difference what it comes from.\n\n"
            "Exit codes: 0 all agree, 1 not all, 2 usage, 3 or 4 a file that cannot be read.",
    .example = "lmzoo compare trace.safetensors reference.safetensors --prefix-b 0/",
    .options = compare_options,
    .n_min = 2,
    .n_max = 2,
    .args_size = sizeof(compare_args),
    .defaults = &compare_defaults,
    .run = run_compare};
