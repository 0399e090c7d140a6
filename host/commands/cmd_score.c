/*
 * cmd_score.c: the command `score` (score.h): its command line, its figures and how they are shown.
 *
 * Sums over tokens go in the order of the file. Figures that JSON cannot hold are null.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "base/mem.h"
#include "batch/chat_model.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "evaluate/score.h"

typedef struct score_args {
    zoo_common common;
    const char *input, *output, *against, *against_model;
    uint32_t n_new, n_prompt, n_prompts, end;
    bool by_lines, documents, json;
    char weights[8], cache[128]; /* of the reference */
} score_args;

/* Figures of all texts, or of one. */
typedef struct figures {
    size_t n_tokens, n_agree;
    double nll, reference_nll; /* means a token */
    double kl, kl_error;       /* mean and its standard error, tokens taken as independent */
    double kl_99, kl_most;
} figures;

typedef struct greedy_figures {
    uint32_t n, n_same;
    double mean_same, mean_length; /* tokens before the first difference; of the reference */
    double median;                 /* of those that differ */
} greedy_figures;

typedef struct score {
    const score_args *args;
    zoo_chat_model loaded;
    zoo_engine *reference;
    zoo_score_texts texts;
    zoo_score_token *tokens;
    zoo_score_pair *pairs;
    double *sorted;
    uint32_t n_pairs;
} score;

/* ---- figures ---- */

static figures sum_up(const zoo_score_token *tokens, size_t n)
{
    figures f = {.n_tokens = n};
    double squares = 0, count = (double)n;
    for (size_t i = 0; i < n; i++) {
        f.nll += tokens[i].nll;
        f.reference_nll += tokens[i].reference_nll;
        f.kl += tokens[i].kl;
        f.n_agree += tokens[i].agrees;
        f.kl_most = tokens[i].kl > f.kl_most ? tokens[i].kl : f.kl_most;
    }
    f.nll /= count;
    f.reference_nll /= count;
    f.kl /= count;
    for (size_t i = 0; i < n; i++) {
        squares += (tokens[i].kl - f.kl) * (tokens[i].kl - f.kl);
    }
    f.kl_error = n > 1 ? sqrt(squares / (count - 1) / count) : 0;
    return f;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The least value that 99 of 100 do not pass. */
static double percentile_99(score *s)
{
    size_t n = s->texts.n_scored;
    for (size_t i = 0; i < n; i++) {
        s->sorted[i] = s->tokens[i].kl;
    }
    qsort(s->sorted, n, sizeof *s->sorted, by_size);
    return s->sorted[(n * 99 + 99) / 100 - 1];
}

static greedy_figures sum_up_pairs(score *s)
{
    greedy_figures g = {.n = s->n_pairs};
    uint32_t n_parted = 0;
    if (g.n == 0) {
        return g;
    }
    for (uint32_t i = 0; i < s->n_pairs; i++) {
        const zoo_score_pair *p = &s->pairs[i];
        bool same = p->n_same == p->n && p->n == p->n_reference;
        g.n_same += same;
        g.mean_same += p->n_same;
        g.mean_length += p->n_reference;
        if (!same) {
            s->sorted[n_parted++] = p->n_same;
        }
    }
    g.mean_same /= s->n_pairs;
    g.mean_length /= s->n_pairs;
    qsort(s->sorted, n_parted, sizeof *s->sorted, by_size);
    if (n_parted) {
        g.median = (s->sorted[(n_parted - 1) / 2] + s->sorted[n_parted / 2]) / 2;
    }
    return g;
}

/* ---- output ---- */

static void out_number(zoo_out *out, const char *name, double x)
{
    if (isfinite(x)) {
        zoo_out_format(out, ",\"%s\":%.17g", name, x);
    } else {
        zoo_out_format(out, ",\"%s\":null", name);
    }
}

static double bits_a_byte(const score *s, double nll)
{
    return nll * (double)s->texts.n_scored / log(2) / (double)s->texts.n_bytes;
}

static void json_reference(const score *s, const figures *f, zoo_out *out)
{
    const score_args *a = s->args;
    zoo_out_text(out, ",\"reference\":{\"model\":");
    const char *model = a->against_model ? a->against_model : s->loaded.name;
    zoo_out_string(out, model, strlen(model));
    zoo_out_format(out, ",\"weights\":\"%s\",\"cache\":\"%s\"", a->weights, a->cache);
    out_number(out, "mean_nll", f->reference_nll);
    out_number(out, "perplexity", exp(f->reference_nll));
    zoo_out_text(out, "}");
    out_number(out, "kl_mean", f->kl);
    out_number(out, "kl_error", f->kl_error);
    out_number(out, "kl_p99", f->kl_99);
    out_number(out, "kl_max", f->kl_most);
    out_number(out, "top1_agreement", (double)f->n_agree / (double)f->n_tokens);
}

static void json_greedy(const score *s, const greedy_figures *g, zoo_out *out)
{
    zoo_out_format(out, ",\"greedy\":{\"continuations\":%u,\"max_tokens\":%u,\"same\":%u", g->n,
                   s->args->n_new, g->n_same);
    out_number(out, "mean_until_difference", g->mean_same);
    out_number(out, "mean_length", g->mean_length);
    out_number(out, "median_of_different", g->n_same < g->n ? g->median : NAN);
    zoo_out_text(out, "}");
}

static void write_json(const score *s, const figures *f, const greedy_figures *g, zoo_out *out)
{
    const zoo_engine_options *o = &s->args->common.engine;
    zoo_out_text(out, "{\"model\":");
    zoo_out_string(out, s->loaded.name, strlen(s->loaded.name));
    zoo_out_format(out, ",\"weights\":\"%s\",\"cache\":\"%s\",\"isa\":\"%s\"", o->weights, o->cache,
                   zoo_engine_kernels(s->loaded.engine)->isa);
    zoo_out_format(out, ",\"context\":%u,\"n_texts\":%u,\"n_tokens\":%zu",
                   zoo_engine_limits(s->loaded.engine)->context_max, s->texts.n, f->n_tokens);
    out_number(out, "mean_nll", f->nll);
    out_number(out, "perplexity", exp(f->nll));
    if (s->texts.n_bytes) {
        out_number(out, "bits_per_byte", bits_a_byte(s, f->nll));
    }
    if (s->reference) {
        json_reference(s, f, out);
    }
    if (s->n_pairs) {
        json_greedy(s, g, out);
    }
    zoo_out_text(out, "}\n");
}

static void words_of_reference(const score *s, const figures *f, zoo_out *out)
{
    const score_args *a = s->args;
    zoo_out_format(out, "against %s, weights %s, cache %s: perplexity %.5g\n",
                   a->against_model ? a->against_model : s->loaded.name, a->weights, a->cache,
                   exp(f->reference_nll));
    zoo_out_format(out, "  KL divergence    %.4g +- %.2g a token; 99 %% up to %.4g, largest %.4g\n",
                   f->kl, f->kl_error, f->kl_99, f->kl_most);
    zoo_out_format(out, "  top-1 agreement  %.3f %%\n",
                   100 * (double)f->n_agree / (double)f->n_tokens);
}

static void words_of_greedy(const score *s, const greedy_figures *g, zoo_out *out)
{
    zoo_out_format(out, "  greedy           %u of %u continuations of up to %u tokens are the same",
                   g->n_same, g->n, s->args->n_new);
    zoo_out_format(out, "; %.1f of %.1f tokens before the first difference (mean)", g->mean_same,
                   g->mean_length);
    if (g->n_same < g->n) {
        zoo_out_format(out, ", %.1f where there is one (median)", g->median);
    }
    zoo_out_text(out, "\n");
}

static void write_words(const score *s, const figures *f, const greedy_figures *g, zoo_out *out)
{
    const zoo_engine_options *o = &s->args->common.engine;
    zoo_out_format(out, "%s, weights %s, cache %s: %u texts, %zu tokens scored\n", s->loaded.name,
                   o->weights, o->cache, s->texts.n, f->n_tokens);
    zoo_out_format(out, "  perplexity       %.5g (mean negative log-likelihood %.5g", exp(f->nll),
                   f->nll);
    if (s->texts.n_bytes) {
        zoo_out_format(out, ", %.4g bits a byte", bits_a_byte(s, f->nll));
    }
    zoo_out_text(out, ")\n");
    if (s->reference) {
        words_of_reference(s, f, out);
    }
    if (s->n_pairs) {
        words_of_greedy(s, g, out);
    }
}

static zoo_status print_figures(score *s, zoo_error *err)
{
    zoo_out out = {0};
    figures f = sum_up(s->tokens, s->texts.n_scored);
    f.kl_99 = percentile_99(s);
    greedy_figures g = sum_up_pairs(s);
    (s->args->json ? write_json : write_words)(s, &f, &g, &out);
    bool ok = !out.failed && fwrite(out.data, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    zoo_out_free(&out);
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "the figures cannot be written");
}

/* One line a text. */
static zoo_status write_texts(const score *s, zoo_error *err)
{
    const char *path = s->args->output;
    zoo_out out = {0};
    FILE *file = fopen(path, "w");
    if (!file) {
        return zoo_fail(err, ZOO_E_IO, "%s: cannot be written", path);
    }
    for (uint32_t i = 0; i < s->texts.n; i++) {
        const zoo_score_text *t = &s->texts.list[i];
        figures f = sum_up(s->tokens + t->first, t->n - 1);
        zoo_out_format(&out, "{\"line\":%llu,\"n_tokens\":%u", (unsigned long long)t->line,
                       t->n - 1);
        out_number(&out, "mean_nll", f.nll);
        out_number(&out, "perplexity", exp(f.nll));
        if (s->reference) {
            out_number(&out, "kl_mean", f.kl);
            out_number(&out, "kl_max", f.kl_most);
            out_number(&out, "top1_agreement", (double)f.n_agree / (t->n - 1));
        }
        zoo_out_text(&out, "}\n");
    }
    bool ok = !out.failed && fwrite(out.data, 1, out.n, file) == out.n;
    ok = fclose(file) == 0 && ok;
    zoo_out_free(&out);
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: cannot be written", path);
}

/* ---- the run ---- */

static bool compares(const score_args *a)
{
    return a->against || a->against_model;
}

static zoo_status judge_reference(const score *s, zoo_error *err)
{
    uint32_t n = zoo_engine_plan(s->loaded.engine)->vocab_size;
    uint32_t other = zoo_engine_plan(s->reference)->vocab_size;
    uint32_t context = zoo_engine_limits(s->loaded.engine)->context_max;
    uint32_t other_context = zoo_engine_limits(s->reference)->context_max;
    if (n == other && context == other_context) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_CONFIG,
                    "the reference has a vocabulary of %u against %u and a context of %u against "
                    "%u",
                    other, n, other_context, context);
}

/* Model and reference share what --memory allows. */
static zoo_status open_reference(score *s, zoo_error *err)
{
    const score_args *a = s->args;
    zoo_engine_options o = a->common.engine;
    char folder[4096];
    zoo_error inner = {0};
    size_t allowed = zoo_engine_memory_limit(&o), held = zoo_engine_memory(s->loaded.engine);
    o.memory = allowed > held ? allowed - held : 1;
    o.weights = a->weights;
    o.cache = a->cache;
    o.context_max = zoo_engine_limits(s->loaded.engine)->context_max;
    ZOO_TRY(zoo_model_folder(a->against_model ? a->against_model : a->common.positional[0], folder,
                             sizeof folder, err));
    zoo_status status = zoo_engine_open(folder, &o, &s->reference, &inner);
    if (status == ZOO_E_MEMORY) {
        return zoo_fail(err, status, "beside the model, which holds %zu of %zu MiB: %s", held >> 20,
                        allowed >> 20, inner.text);
    }
    *err = inner;
    return status == ZOO_OK ? judge_reference(s, err) : status;
}

static zoo_status take_results(score *s, zoo_error *err)
{
    const score_args *a = s->args;
    uint32_t n = a->n_prompts < s->texts.n ? a->n_prompts : s->texts.n;
    size_t n_sorted = s->texts.n_scored > n ? s->texts.n_scored : n;
    s->n_pairs = a->n_new ? n : 0;
    s->tokens = zoo_mem_array(s->texts.n_scored, sizeof *s->tokens);
    s->pairs = zoo_mem_array((size_t)s->n_pairs + 1, sizeof *s->pairs);
    s->sorted = zoo_mem_array(n_sorted, sizeof *s->sorted);
    return s->tokens && s->pairs && s->sorted
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_MEMORY, "no memory for the scores of %zu tokens",
                          s->texts.n_scored);
}

static zoo_status score_texts(score *s, zoo_error *err)
{
    const score_args *a = s->args;
    zoo_score_job job = {.engine = s->loaded.engine,
                         .reference = s->reference,
                         .texts = &s->texts,
                         .generation = &s->loaded.generation,
                         .shows_progress = isatty(STDERR_FILENO) && !a->common.engine.quiet};
    zoo_score_greedy greedy = {s->n_pairs, a->n_prompt, a->n_new};
    ZOO_TRY(take_results(s, err));
    greedy.n_texts = s->n_pairs;
    ZOO_TRY(zoo_score_run(&job, s->tokens, err));
    if (s->n_pairs) {
        ZOO_TRY(zoo_score_continue(&job, &greedy, s->pairs, err));
    }
    if (a->output) {
        ZOO_TRY(write_texts(s, err));
    }
    return print_figures(s, err);
}

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("score", err, code);
}

static int run_loaded(score *s)
{
    const score_args *a = s->args;
    zoo_error err = {0};
    zoo_score_source source = {.path = a->input,
                               .tokenizer = s->loaded.tokenizer,
                               .chat = s->loaded.chat,
                               .n_vocab = zoo_engine_plan(s->loaded.engine)->vocab_size,
                               .by_lines = a->by_lines,
                               .documents = a->documents,
                               .end = a->end};
    zoo_status status = zoo_score_texts_read(&source, &s->texts, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code(status));
    }
    if (compares(a)) {
        status = open_reference(s, &err);
        if (status != ZOO_OK) {
            return fail(&err, zoo_exit_code_model(status));
        }
    }
    status = score_texts(s, &err);
    return status == ZOO_OK ? 0 : fail(&err, zoo_exit_code(status));
}

static int run_model(const score_args *a)
{
    score s = {.args = a};
    zoo_error err = {0};
    zoo_status status =
        zoo_chat_model_open(a->common.positional[0], &a->common.engine, &s.loaded, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    int code = run_loaded(&s);
    zoo_score_texts_free(&s.texts);
    zoo_mem_free(s.tokens);
    zoo_mem_free(s.pairs);
    zoo_mem_free(s.sorted);
    zoo_engine_close(s.reference);
    zoo_chat_model_close(&s.loaded);
    return code;
}

/* ---- the command line ---- */

static const zoo_option options[] = {
    {"--input", 'i', ZOO_OPTION_TEXT, offsetof(score_args, input), "FILE",
     "x.jsonl: {\"text\": ...}, {\"tokens\": [...]} or {\"messages\": [...]} a line; else one "
     "text"},
    {"--lines", 0, ZOO_OPTION_FLAG, offsetof(score_args, by_lines), NULL,
     "each line of a text file is a text"},
    {"--documents", 0, ZOO_OPTION_FLAG, offsetof(score_args, documents), NULL,
     "put texts between the tokenizer's begin and end token"},
    {"--end-token", 0, ZOO_OPTION_COUNT, offsetof(score_args, end), "ID",
     "the end token of --documents"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(score_args, output), "FILE",
     "figures of each text, JSON lines"},
    {"--against", 0, ZOO_OPTION_TEXT, offsetof(score_args, against), "weights=K,cache=K",
     "the reference (f32 for both by default)"},
    {"--against-model", 0, ZOO_OPTION_TEXT, offsetof(score_args, against_model), "MODEL",
     "another model of the same vocabulary as the reference"},
    {"--greedy", 0, ZOO_OPTION_COUNT, offsetof(score_args, n_new), "N",
     "continue texts by N tokens, compare with the reference (0)"},
    {"--prompt", 0, ZOO_OPTION_COUNT, offsetof(score_args, n_prompt), "N",
     "tokens of a text to continue (16)"},
    {"--prompts", 0, ZOO_OPTION_COUNT, offsetof(score_args, n_prompts), "N",
     "texts to continue (200)"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(score_args, json), NULL, "one JSON object on stdout"},
    ZOO_OPTIONS_END};

/* "weights=f32,cache=int8", either or both; after cache= also single streams, as
 * "cache=k=int8,v=int4". */
static zoo_status read_against(score_args *a, zoo_error *err)
{
    const char *at = a->against;
    bool in_cache = false;
    (void)snprintf(a->weights, sizeof a->weights, "f32");
    (void)snprintf(a->cache, sizeof a->cache, "f32");
    while (at && *at) {
        size_t n = strcspn(at, ",");
        bool weights = strncmp(at, "weights=", 8) == 0, cache = strncmp(at, "cache=", 6) == 0;
        bool more = !weights && !cache && in_cache; /* a further stream of the cache */
        size_t skip = weights ? 8 : cache ? 6 : 0, used = more ? strlen(a->cache) : 0;
        if ((!weights && !cache && !more) || used + n + 2 > sizeof a->cache ||
            (weights && !zoo_options_weights_known(at + skip, n - skip))) {
            return zoo_fail(
                err, ZOO_E_USAGE,
                "--against needs weights=KIND,cache=KIND, weights being auto, f32, bf16, "
                "int8 or int4, not \"%.60s\"",
                a->against);
        }
        in_cache = !weights;
        if (weights) {
            (void)snprintf(a->weights, sizeof a->weights, "%.*s", (int)(n - skip), at + skip);
        } else {
            (void)snprintf(a->cache + used, sizeof a->cache - used, "%s%.*s", more ? "," : "",
                           (int)(n - skip), at + skip);
        }
        at += n + (at[n] == ',');
    }
    return ZOO_OK;
}

static zoo_status judge_args(score_args *a, zoo_error *err)
{
    if (!a->input) {
        return zoo_fail(err, ZOO_E_USAGE, "usage: lmzoo score %s", zoo_command_score.arguments);
    }
    if (a->end != ZOO_ID_NONE && !a->documents) {
        return zoo_fail(err, ZOO_E_USAGE, "--end-token needs --documents");
    }
    if (a->n_new && !compares(a)) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "--greedy compares with a reference; give --against or --against-model too");
    }
    if (a->n_prompt == 0 || a->n_prompts == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "--prompt and --prompts must be at least 1");
    }
    return read_against(a, err);
}

static int run(void *args)
{
    score_args *a = args;
    zoo_error err = {0};
    if (judge_args(a, &err) != ZOO_OK) {
        return fail(&err, 2);
    }
    if (a->common.engine.seqs_max == 0) {
        a->common.engine.seqs_max = 8;
    }
    return run_model(a);
}

static const score_args defaults = {.n_prompt = 16, .n_prompts = 200, .end = ZOO_ID_NONE};

const zoo_command zoo_command_score = {
    .name = "score",
    .arguments =
        "MODEL -i FILE [--against weights=f32,cache=f32] [--against-model MODEL] [options]",
    .summary = "perplexity of texts, and how far from a reference",
    .text = "Perplexity of texts; against a reference also KL(reference || model), agreement of "
            "the likeliest token, and tokens until greedy continuations part. Texts longer than "
            "--context are read in windows that overlap by one token.\n\n"
            "Exit codes: 0 all done, 2 usage or a bad line, 3 model refused, 4 environment.",
    .example = "lmzoo score ./model -i stories.txt --lines",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(score_args),
    .defaults = &defaults,
    .run = run};
