/*
 * cmd_run.c: the command `run`: one prompt, its text streamed to stdout.
 *
 * The options become the body of a request, so `run` refuses what a batch refuses. Without
 * --temperature it is greedy. Text goes to stdout as it is generated, messages to stderr; --json
 * prints one object at the end instead.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "batch/batch.h"
#include "batch/constraint.h"
#include "batch/request_rows.h"
#include "batch/result.h"
#include "commands/commands.h"
#include "commands/session.h"

typedef struct zoo_run_args {
    zoo_common common;
    const char *prompt, *chat, *tokens;
    const char *stop;
    double temperature, top_p, min_p;
    uint32_t n_new_max, top_k;
    uint64_t seed;
    bool ignore_eos, json;
} zoo_run_args;

static const zoo_option options[] = {
    {"--prompt", 'p', ZOO_OPTION_TEXT, offsetof(zoo_run_args, prompt), "TEXT",
     "a text to continue"},
    {"--chat", 0, ZOO_OPTION_TEXT, offsetof(zoo_run_args, chat), "FILE",
     "messages to answer: a JSON list, or an object with messages, tools, ..."},
    {"--tokens", 0, ZOO_OPTION_TEXT, offsetof(zoo_run_args, tokens), "1,2,3",
     "token ids to continue"},
    {"--max-tokens", 'n', ZOO_OPTION_COUNT, offsetof(zoo_run_args, n_new_max), "N",
     "new tokens at most"},
    {"--temperature", 0, ZOO_OPTION_NUMBER, offsetof(zoo_run_args, temperature), "T",
     "0: greedy (0)"},
    {"--top-p", 0, ZOO_OPTION_NUMBER, offsetof(zoo_run_args, top_p), "P", "with a temperature"},
    {"--top-k", 0, ZOO_OPTION_COUNT, offsetof(zoo_run_args, top_k), "K", "with a temperature"},
    {"--min-p", 0, ZOO_OPTION_NUMBER, offsetof(zoo_run_args, min_p), "P", "with a temperature"},
    {"--seed", 0, ZOO_OPTION_SEED, offsetof(zoo_run_args, seed), "S", "same seed, same tokens (0)"},
    {"--stop", 0, ZOO_OPTION_TEXT, offsetof(zoo_run_args, stop), "TEXT", "stop before this text"},
    {"--ignore-eos", 0, ZOO_OPTION_FLAG, offsetof(zoo_run_args, ignore_eos), NULL,
     "do not stop at end tokens"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(zoo_run_args, json), NULL, "one JSON object on stdout"},
    ZOO_OPTIONS_SPECULATE("text"),
    ZOO_OPTIONS_DRAFT,
    ZOO_OPTIONS_END};

/* ---- options as a request ---- */

static zoo_status add_tokens(cJSON *body, const char *text, zoo_error *err)
{
    cJSON *list = cJSON_AddArrayToObject(body, "prompt");
    int32_t *ids = NULL;
    uint32_t n;
    zoo_status status = zoo_tokens_read(text, &ids, &n, err);
    for (uint32_t i = 0; i < n && status == ZOO_OK; i++) {
        if (!cJSON_AddItemToArray(list, cJSON_CreateNumber((double)ids[i]))) {
            status = zoo_fail(err, ZOO_E_MEMORY, "no memory for the tokens");
        }
    }
    zoo_mem_free(ids);
    return status;
}

static zoo_status read_chat(const char *path, cJSON **body, zoo_error *err)
{
    cJSON *tree;
    ZOO_TRY(zoo_json_read(path, (size_t)1 << 28, &tree, err));
    if (cJSON_IsObject(tree)) {
        *body = tree;
        return ZOO_OK;
    }
    *body = cJSON_CreateObject();
    if (!*body || !cJSON_AddItemToObject(*body, "messages", tree)) {
        cJSON_Delete(tree);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", path);
    }
    return ZOO_OK;
}

/* Sets a key that an option gave; what a chat file says is replaced. */
static bool set(cJSON *body, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(body, key);
    if (!cJSON_AddItemToObject(body, key, value)) {
        cJSON_Delete(value);
        return false;
    }
    return true;
}

static bool has(const cJSON *body, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(body, key) != NULL;
}

static zoo_status add_options(const zoo_run_args *a, cJSON *body, zoo_error *err)
{
    bool ok = true;
    if (a->n_new_max != ZOO_UNSAID) {
        cJSON_DeleteItemFromObjectCaseSensitive(body, "max_completion_tokens");
        ok = set(body, "max_tokens", cJSON_CreateNumber((double)a->n_new_max));
    }
    if (a->temperature >= 0.0 || !has(body, "temperature")) {
        double t = a->temperature >= 0.0 ? a->temperature : 0.0;
        ok = ok && set(body, "temperature", cJSON_CreateNumber(t));
    }
    ok = ok && (a->top_p < 0.0 || set(body, "top_p", cJSON_CreateNumber(a->top_p)));
    ok = ok && (a->min_p < 0.0 || set(body, "min_p", cJSON_CreateNumber(a->min_p)));
    ok = ok && (a->top_k == ZOO_UNSAID || set(body, "top_k", cJSON_CreateNumber((double)a->top_k)));
    ok = ok && (!a->stop || set(body, "stop", cJSON_CreateString(a->stop)));
    ok = ok && (!a->ignore_eos || set(body, "ignore_eos", cJSON_CreateTrue()));
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for the request");
}

static zoo_status make_body(const zoo_run_args *a, cJSON **body, zoo_error *err)
{
    if (a->chat) {
        ZOO_TRY(read_chat(a->chat, body, err));
    } else {
        *body = cJSON_CreateObject();
        if (!*body) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for the request");
        }
        if (a->tokens) {
            ZOO_TRY(add_tokens(*body, a->tokens, err));
        } else if (!cJSON_AddStringToObject(*body, "prompt", a->prompt)) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for the request");
        }
    }
    return add_options(a, *body, err);
}

static zoo_status make_request(const zoo_run_args *a, const zoo_chat_model *loaded,
                               zoo_request *request, zoo_error *err)
{
    cJSON *body = NULL;
    zoo_status status = make_body(a, &body, err);
    if (status != ZOO_OK) {
        cJSON_Delete(body);
        return status;
    }
    ZOO_TRY(zoo_request_body(&loaded->context, a->chat ? ZOO_CHAT : ZOO_COMPLETIONS, body, request,
                             err));
    if (!request->has_seed) {
        request->sampling.seed = a->seed;
    }
    if (request->n_choices * request->n_prompts != 1) {
        return zoo_fail(err, ZOO_E_USAGE, "run takes one prompt and gives one answer");
    }
    return zoo_request_encode(&loaded->context, request, err);
}

/* ---- generating ---- */

static void print_text(void *arg, const char *text, size_t n)
{
    (void)arg;
    (void)fwrite(text, 1, n, stdout);
    (void)fflush(stdout);
}

static zoo_status generate(const zoo_chat_model *loaded, zoo_row *row, zoo_error *err)
{
    zoo_schedule *schedule;
    zoo_status status =
        zoo_schedule_new(loaded->engine, loaded->tokenizer, &loaded->generation, &schedule, err);
    if (status == ZOO_OK) {
        status = zoo_schedule_speculate(schedule, &loaded->speculation, err);
    }
    if (status == ZOO_OK) {
        status = zoo_schedule_add(schedule, row, err);
    }
    while (status == ZOO_OK && !zoo_schedule_is_idle(schedule)) {
        status = zoo_schedule_step(schedule, err);
    }
    zoo_schedule_free(schedule);
    if (status == ZOO_OK && row->finish == ZOO_FINISH_FAILED) {
        *err = row->error;
        status = (zoo_status)err->code;
    }
    return status;
}

static zoo_status print_json(const zoo_row *row, zoo_error *err)
{
    zoo_out out = {0};
    bool ok;
    zoo_out_text(&out, "{\"tokens\":[");
    for (uint32_t i = 0; i < row->n_out; i++) {
        zoo_out_format(&out, i > 0 ? ",%d" : "%d", row->tokens[row->n_prompt + i]);
    }
    zoo_out_text(&out, "],\"text\":");
    zoo_out_string(&out, row->text.data ? row->text.data : "", row->text.n);
    zoo_out_format(&out, ",\"finish_reason\":\"%s\",\"prompt_tokens\":[",
                   zoo_finish_name(row->finish));
    for (uint32_t i = 0; i < row->n_prompt; i++) {
        zoo_out_format(&out, i > 0 ? ",%d" : "%d", row->tokens[i]);
    }
    zoo_out_format(&out,
                   "],\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,"
                   "\"total_tokens\":%u,\"completion_tokens_details\":{"
                   "\"accepted_prediction_tokens\":%u,\"rejected_prediction_tokens\":%u}}}\n",
                   row->n_prompt, row->n_out, row->n_prompt + row->n_out, row->n_accepted,
                   row->n_drafted - row->n_accepted);
    ok = !out.failed && fwrite(out.data, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    zoo_out_free(&out);
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "the answer cannot be written");
}

static int fail(const zoo_error *err, int code)
{
    return zoo_command_failed("run", err, code);
}

static int run_loaded(const zoo_run_args *a, const zoo_chat_model *loaded)
{
    zoo_request request = {0};
    zoo_row row = {0};
    zoo_error err = {0};
    zoo_status status = make_request(a, loaded, &request, &err);
    int code = status == ZOO_OK ? 0 : status == ZOO_E_MEMORY ? 4 : 2;
    if (status == ZOO_OK) {
        zoo_request_rows(&request, NULL, &row, NULL);
        row.on_text = a->json ? NULL : print_text;
        status = zoo_constraint_begin(request.grammar, &row, &err);
        status = status == ZOO_OK ? generate(loaded, &row, &err) : status;
        if (status == ZOO_OK && a->json) {
            status = print_json(&row, &err);
        } else if (status == ZOO_OK) {
            (void)fputs("\n", stdout);
        }
        code = status == ZOO_OK ? 0 : 4;
    }
    zoo_row_free(&row);
    zoo_request_free(&request);
    return code ? fail(&err, code) : 0;
}

static int run(void *args)
{
    zoo_run_args *a = args;
    zoo_chat_model loaded;
    zoo_error err = {0};
    if ((a->prompt != NULL) + (a->chat != NULL) + (a->tokens != NULL) != 1) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "give one of -p, --chat and --tokens");
        return fail(&err, 2);
    }
    if (a->common.engine.seqs_max == 0) {
        a->common.engine.seqs_max = 1;
    }
    a->common.engine.reserve = zoo_session_drafts(&a->common);
    zoo_status status =
        zoo_chat_model_open_with(a->common.positional[0], a->common.draft, a->common.draft_weights,
                                 &a->common.engine, &loaded, &err);
    if (status != ZOO_OK) {
        return fail(&err, zoo_exit_code_model(status));
    }
    if (loaded.note[0] && !a->common.engine.quiet) {
        (void)fprintf(stderr, "lmzoo run: %s\n", loaded.note);
    }
    status = zoo_chat_model_speculate(&loaded, a->common.speculate, a->common.n_drafts,
                                      zoo_session_drafts(&a->common), &err);
    int code = status == ZOO_OK ? run_loaded(a, &loaded) : fail(&err, 4);
    zoo_chat_model_close(&loaded);
    return code;
}

static const zoo_run_args defaults = {.common = {.speculate = "text"},
                                      .temperature = -1.0,
                                      .top_p = -1.0,
                                      .min_p = -1.0,
                                      .n_new_max = ZOO_UNSAID,
                                      .top_k = ZOO_UNSAID};

const zoo_command zoo_command_run = {
    .name = "run",
    .arguments = "MODEL (-p TEXT | --chat FILE.json | --tokens 1,2,3) [options]",
    .summary = "one prompt or chat, its text streamed",
    .text = "Continues a text, answers a chat or continues token ids. The text goes to "
            "stdout as it comes.",
    .example = "lmzoo run ./model -p 'Once upon a time'",
    .options = options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(zoo_run_args),
    .defaults = &defaults,
    .run = run};
