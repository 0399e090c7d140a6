/*
 * cmd_quantise.c: the command `quantise` (quantise/quantise.h).
 *
 * The last eighth of the calibration text, at most HELD tokens, is held out of the statistics: the
 * result is scored on it against the original model.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "batch/chat_model.h"
#include "commands/commands.h"
#include "quantise/own_text.h"
#include "quantise/quantise.h"

enum { HELD = 2048, CONTEXT = 512, OWN_TOKENS = 32768, OWN_ROWS = 64, OWN_UNSET = INT32_MAX };

typedef struct quantise_args {
    zoo_common common;
    const char *output, *text;
    double bits;
    uint32_t own_tokens;
    bool by_lines;
} quantise_args;

typedef struct quantising {
    const quantise_args *args;
    zoo_chat_model loaded;
    zoo_score_texts texts, held;
    uint64_t text_hash, n_own;
    char text_name[256];
} quantising;

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("quantise", err, code);
}

/* Moves the last tokens of the last texts to `held`, whole texts or the end of one, behind the
 * begin token if the text has it. */
static zoo_status hold(quantising *q, zoo_error *err)
{
    zoo_score_texts *t = &q->texts, *held = &q->held;
    size_t all = t->n_scored + t->n, want = all / 8 < HELD ? all / 8 : HELD, got = 0;
    held->begin = t->begin;
    held->list = zoo_mem_array(t->n, sizeof *held->list);
    if (!held->list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %u texts", t->n);
    }
    while (got + 2 < want && t->n) {
        zoo_score_text *last = &t->list[t->n - 1], cut = {.line = last->line, .first = got};
        size_t need = want - got;
        cut.n = last->n <= need && t->n > 1 ? last->n
                : last->n <= need           ? last->n / 2
                                            : (uint32_t)need;
        cut.tokens = zoo_mem_alloc(((size_t)cut.n + 1) * sizeof *cut.tokens);
        if (!cut.tokens || cut.n < 2) {
            zoo_mem_free(cut.tokens);
            break;
        }
        bool begins = held->begin >= 0 && cut.n < last->n && last->tokens[0] == held->begin;
        cut.tokens[0] = held->begin;
        memcpy(cut.tokens + begins, last->tokens + (last->n - cut.n), cut.n * sizeof *cut.tokens);
        t->n_scored -= cut.n - (cut.n == last->n);
        last->n -= cut.n;
        cut.n += begins;
        if (last->n == 0) {
            zoo_mem_free(last->tokens);
            t->n--;
        }
        held->list[held->n++] = cut;
        held->n_scored += cut.n - 1;
        got += cut.n - 1;
        if (t->n == 1 && cut.n - begins == need) {
            break;
        }
    }
    return ZOO_OK;
}

static zoo_status read_text(quantising *q, zoo_error *err)
{
    const quantise_args *a = q->args;
    zoo_score_source source = {.path = a->text,
                               .tokenizer = q->loaded.tokenizer,
                               .chat = q->loaded.chat,
                               .n_vocab = zoo_engine_plan(q->loaded.engine)->vocab_size,
                               .by_lines = a->by_lines,
                               .end = ZOO_ID_NONE};
    const char *slash = strrchr(a->text, '/');
    (void)snprintf(q->text_name, sizeof q->text_name, "%.255s", slash ? slash + 1 : a->text);
    ZOO_TRY(zoo_score_texts_read(&source, &q->texts, err));
    for (uint32_t i = 0; i < q->texts.n; i++) {
        const zoo_score_text *t = &q->texts.list[i];
        q->text_hash = XXH3_64bits_withSeed(t->tokens, t->n * sizeof *t->tokens, q->text_hash);
    }
    return hold(q, err);
}

static zoo_status write_own(quantising *q, zoo_error *err)
{
    uint64_t before = q->texts.n_scored + q->texts.n;
    if (!q->args->text) {
        uint32_t begin = q->loaded.tokenizer
                             ? zoo_tokenizer_special(q->loaded.tokenizer, ZOO_SPECIAL_BOS)
                             : ZOO_ID_NONE;
        q->texts.begin = begin == ZOO_ID_NONE ? -1 : (int32_t)begin;
    }
    ZOO_TRY(zoo_own_text_add(q->loaded.engine, &q->loaded.generation, q->args->own_tokens,
                             &q->texts, err));
    if (!q->args->text) {
        ZOO_TRY(hold(q, err));
    }
    q->n_own = q->texts.n_scored + q->texts.n - before;
    return ZOO_OK;
}

/* Of the file, and of the model's own. */
static zoo_status collect_texts(quantising *q, zoo_error *err)
{
    if (q->args->text) {
        ZOO_TRY(read_text(q, err));
    }
    return q->args->own_tokens ? write_own(q, err) : ZOO_OK;
}

static void report_words(const quantising *q, const zoo_quantise_report *r)
{
    (void)printf("%s: %u matrices, of them %u with 4 bits, %u with 5, %u with 6 and %u with 8: "
                 "%.4g bits a weight\n",
                 q->args->output, r->n_matrices, r->n_kinds[0], r->n_kinds[1], r->n_kinds[2],
                 r->n_kinds[3], r->bits);
    uint64_t n_all = q->texts.n_scored + q->texts.n;
    if (q->args->text) {
        (void)printf("  statistics of %llu tokens of %s\n", (unsigned long long)(n_all - q->n_own),
                     q->text_name);
    }
    if (q->n_own) {
        (void)printf("  statistics of %llu tokens that the model wrote itself\n",
                     (unsigned long long)q->n_own);
    }
    if (r->kl > 0) {
        (void)printf("  KL divergence expected of them %.3g a token: the sum of what each costs\n",
                     r->kl);
    }
    if (r->n_stacked) {
        (void)printf("  %u are stacks or were stored as [inputs, outputs]: transformers and vLLM "
                     "do not read their codes\n",
                     r->n_stacked);
    }
    if (r->n_experts) {
        (void)printf("  %u are experts stored one by one: transformers 5 joins these and does not "
                     "read their codes\n",
                     r->n_experts);
    }
    if (r->n_resumed) {
        (void)printf("  %u matrices were done by an earlier run\n", r->n_resumed);
    }
    if (r->n_unseen) {
        (void)printf("  %u matrices that no token of the text reached were only rounded\n",
                     r->n_unseen);
    }
    if (r->n_damped) {
        (void)printf("  %u matrices needed more damping: their inputs hardly vary in some "
                     "directions\n",
                     r->n_damped);
    }
}

static zoo_status score_pair(quantising *q, zoo_engine *narrow, zoo_engine *wide, zoo_error *err)
{
    zoo_score_token *tokens = zoo_mem_array(q->held.n_scored, sizeof *tokens);
    zoo_score_job job = {.engine = narrow,
                         .reference = wide,
                         .texts = &q->held,
                         .generation = &q->loaded.generation,
                         .shows_progress = isatty(STDERR_FILENO)};
    if (!tokens) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the scores");
    }
    zoo_status status = zoo_score_run(&job, tokens, err);
    double kl = 0, nll = 0, reference = 0, n = (double)q->held.n_scored;
    for (size_t i = 0; i < q->held.n_scored; i++) {
        kl += tokens[i].kl / n;
        nll += tokens[i].nll / n;
        reference += tokens[i].reference_nll / n;
    }
    zoo_mem_free(tokens);
    if (status == ZOO_OK) {
        (void)printf("  on %zu tokens that were held back: KL divergence %.4g a token, perplexity "
                     "%.5g to %.5g\n",
                     q->held.n_scored, kl, exp(reference), exp(nll));
    }
    return status;
}

/* The result, packed as int4, against the model as it was. */
static zoo_status score_result(quantising *q, zoo_error *err)
{
    zoo_engine_options o = q->args->common.engine;
    zoo_engine *narrow = NULL, *wide = NULL;
    o.context_max = CONTEXT;
    o.seqs_max = 4;
    o.cache = "f32";
    o.weights = "int4";
    zoo_status status = zoo_engine_open(q->args->output, &o, &narrow, err);
    if (status == ZOO_OK) {
        size_t held = zoo_engine_memory(narrow), allowed = zoo_engine_memory_limit(&o);
        o.memory = allowed > held ? allowed - held : 1;
        o.weights = "f32";
        status = zoo_engine_open(q->loaded.folder, &o, &wide, err);
    }
    status = status == ZOO_OK ? score_pair(q, narrow, wide, err) : status;
    zoo_engine_close(narrow);
    zoo_engine_close(wide);
    return status;
}

static int run_loaded(quantising *q)
{
    const quantise_args *a = q->args;
    zoo_error err = {0};
    zoo_quantise_report report;
    zoo_status status = collect_texts(q, &err);
    zoo_quantise_options o = {.folder = a->output,
                              .bits = a->bits,
                              .texts = q->texts.n ? &q->texts : NULL,
                              .text_name = a->text ? q->text_name : NULL,
                              .text_hash = q->text_hash,
                              .n_own = q->n_own,
                              .any_isa = !a->common.engine.isa,
                              .shows_progress = isatty(STDERR_FILENO) && !a->common.engine.quiet};
    status = status == ZOO_OK ? zoo_quantise_run(q->loaded.engine, &o, &report, &err) : status;
    if (status != ZOO_OK) {
        return fail(&err, status == ZOO_E_UNSUPPORTED ? 3 : zoo_exit_code(status));
    }
    report_words(q, &report);
    zoo_engine_close(q->loaded.engine);
    q->loaded.engine = NULL;
    status = q->held.n_scored ? score_result(q, &err) : ZOO_OK;
    return status == ZOO_OK ? 0 : fail(&err, zoo_exit_code(status));
}

static int run(void *args)
{
    quantise_args *a = args;
    quantising q = {.args = a};
    zoo_error err = {0};
    zoo_engine_options o = a->common.engine;
    if (!a->output || (strcmp(o.weights, "int4") != 0 && strcmp(o.weights, "auto") != 0)) {
        (void)zoo_fail(&err, ZOO_E_USAGE,
                       a->output ? "--weights must be int4: nothing else is "
                                   "written"
                                 : "usage: lmzoo quantise MODEL -o FOLDER --weights int4 "
                                   "[--calibrate FILE]");
        return fail(&err, 2);
    }
    if (a->own_tokens == OWN_UNSET) {
        a->own_tokens = a->text ? 0 : OWN_TOKENS;
    }
    o.weights = "auto";
    o.cache = "f32";
    o.isa = o.isa ? o.isa : zoo_quantise_isa();
    o.context_max = o.context_max ? o.context_max : CONTEXT;
    o.seqs_max = o.seqs_max ? o.seqs_max : a->own_tokens ? OWN_ROWS : 1;
    zoo_status status = zoo_chat_model_open(a->common.positional[0], &o, &q.loaded, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    int code = run_loaded(&q);
    zoo_score_texts_free(&q.texts);
    zoo_score_texts_free(&q.held);
    zoo_chat_model_close(&q.loaded);
    return code;
}

static const zoo_option options[] = {
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(quantise_args, output), "DIR",
     "folder of the result"},
    {"--calibrate", 0, ZOO_OPTION_TEXT, offsetof(quantise_args, text), "FILE",
     "text of the kind that the model will see, whose activations weight the errors; x.jsonl: "
     "{\"text\": ...}, {\"tokens\": [...]} or {\"messages\": [...]} a line"},
    {"--lines", 0, ZOO_OPTION_FLAG, offsetof(quantise_args, by_lines), NULL,
     "each line of a text file is a text"},
    {"--own-text", 0, ZOO_OPTION_COUNT, offsetof(quantise_args, own_tokens), "N",
     "tokens that the model writes itself, whose activations count too (32768 without --calibrate, "
     "else none)"},
    {"--bits", 0, ZOO_OPTION_NUMBER, offsetof(quantise_args, bits), "N",
     "bits a weight at most, scales and zeros counted (4.8)"},
    ZOO_OPTIONS_END};

static const quantise_args defaults = {.bits = 4.8, .own_tokens = OWN_UNSET};

const zoo_command zoo_command_quantise = {
    .name = "quantise",
    .arguments = "MODEL -o FOLDER --weights int4 [--calibrate FILE] [options]",
    .summary = "a checkpoint of 4 to 8 bits a weight",
    .text =
        "Writes a Hugging Face folder to be run with --weights int4, whose matrices have 4, 5, "
        "6 or 8 bits a weight: codes of 4 and 5 bits in the layout pack-quantized of "
        "compressed-tensors, and float32 numbers that stand for 6 and 8 bits in rotated groups, "
        "which no such layout has (four bytes each on disk, six and eight bits in memory). The "
        "error of each column is fed back into the columns after it, weighted by the "
        "activations of text: that of --calibrate, of which a few thousand tokens suffice, of "
        "the kind that the model is meant for; or what the model writes itself. --own-text with "
        "--calibrate takes both, for a text that may be of another kind. What four bits in each "
        "matrix cost is measured as KL divergence on some of the text; those that cost most for "
        "their size get 5, 6 or 8 bits, up to --bits. That is measured with the best "
        "instruction set of the CPU, so that another CPU may choose otherwise; --isa avx2 "
        "chooses the same wherever it exists.\n\n"
        "A run that was stopped resumes when it is started again. Of stacked experts, and of "
        "matrices stored as [inputs, outputs], the codes are stored as [.., outputs, inputs], "
        "which transformers and vLLM do not read. Matrices whose inputs are no multiple of 16 "
        "stay as they are.\n\n"
        "Exit codes: 0 all done, 2 usage, 3 model refused, 4 environment.",
    .example = "lmzoo quantise ./model -o ./model-int4 --weights int4 --calibrate stories.txt",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(quantise_args),
    .defaults = &defaults,
    .run = run};
