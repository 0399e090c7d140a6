/* request.c: the frame of a batch line, prompts, and tokenizing (request.h). */
#include "batch/request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

void zoo_request_free(zoo_request *r)
{
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        zoo_mem_free(r->prompts[i].tokens);
    }
    zoo_mem_free(r->prompts);
    zoo_mem_free(r->biases);
    zoo_mem_free(r->stop_ids);
    zoo_mem_free(r->allowed);
    zoo_mem_free(r->bad_words);
    zoo_mem_free(r->bad_ids);
    zoo_mem_free(r->think_close);
    for (uint32_t i = 0; i < r->n_call_texts; i++) {
        cJSON_Delete(r->call_texts[i].text);
    }
    zoo_mem_free(r->call_texts);
    free(r->rendered);
    zoo_grammar_free(r->grammar);
    cJSON_Delete(r->owned);
    cJSON_Delete(r->variables);
    cJSON_Delete(r->tree);
    memset(r, 0, sizeof *r);
}

/* ---- prompts of completions ---- */

static zoo_status read_ids(const zoo_request_context *context, const cJSON *list, zoo_prompt *out,
                           zoo_request *r, zoo_error *err)
{
    const cJSON *item;
    int n = cJSON_GetArraySize(list);
    out->tokens = zoo_mem_array((size_t)n, sizeof *out->tokens);
    if (!out->tokens) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a prompt of %d tokens", n);
    }
    cJSON_ArrayForEach(item, list)
    {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
        if (!(id >= 0.0 && id < (double)context->n_vocab) || id != floor(id)) {
            return zoo_request_refuse(r, "prompt", ZOO_E_USAGE, err,
                                      "prompt: a list of token ids holds something that is not a "
                                      "token id below %u",
                                      context->n_vocab);
        }
        out->tokens[out->n_tokens++] = (int32_t)id;
    }
    return ZOO_OK;
}

static zoo_status read_prompt(const zoo_request_context *context, const cJSON *value,
                              zoo_request *r, zoo_error *err)
{
    zoo_prompt *out = &r->prompts[r->n_prompts++];
    if (cJSON_IsString(value)) {
        out->text = value->valuestring;
        return ZOO_OK;
    }
    if (cJSON_IsArray(value) && value->child) {
        return read_ids(context, value, out, r, err);
    }
    return zoo_request_refuse(r, "prompt", ZOO_E_USAGE, err,
                              "prompt must be a string, a list of strings, a list of token ids or "
                              "a list of such lists");
}

/* Text, [text...], [id...] or [[id...]...]. */
static zoo_status read_prompts(const zoo_request_context *context, const cJSON *value,
                               zoo_request *r, zoo_error *err)
{
    const cJSON *item;
    bool is_many = cJSON_IsArray(value) && value->child && !cJSON_IsNumber(value->child);
    size_t n = is_many ? (size_t)cJSON_GetArraySize(value) : 1;
    r->prompts = zoo_mem_array(n, sizeof *r->prompts);
    if (!r->prompts) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %zu prompts", n);
    }
    if (!is_many) {
        return read_prompt(context, value, r, err);
    }
    cJSON_ArrayForEach(item, value)
    {
        ZOO_TRY(read_prompt(context, item, r, err));
    }
    return ZOO_OK;
}

/* ---- body and line ---- */

static void set_defaults(const zoo_request_context *context, zoo_request *r)
{
    const zoo_generation *g = context->generation;
    r->sampling.temperature = g->temperature;
    r->sampling.top_p = g->top_p;
    r->sampling.top_k = g->top_k;
    r->sampling.min_p = g->min_p;
    r->sampling.repetition = g->repetition;
    r->n_choices = 1;
    r->n_new_max = ZOO_UNSAID;
    r->n_top = ZOO_UNSAID;
    r->n_prompt_top = ZOO_UNSAID;
    r->think_max = ZOO_UNSAID;
    r->truncate = INT64_MAX;
}

static uint32_t clamp_top(uint32_t n, uint32_t n_vocab)
{
    return n != ZOO_UNSAID && n > n_vocab ? n_vocab : n;
}

static zoo_status read_body(const zoo_request_context *context, cJSON *body, zoo_request *r,
                            zoo_error *err)
{
    const cJSON *model;
    if (!cJSON_IsObject(body)) {
        return zoo_request_refuse(r, "body", ZOO_E_FORMAT, err, "body must be an object");
    }
    set_defaults(context, r);
    ZOO_TRY(zoo_request_keys(context, body, r, err));
    r->n_top = clamp_top(r->n_top, context->n_vocab);
    r->n_prompt_top = clamp_top(r->n_prompt_top, context->n_vocab);
    model = cJSON_GetObjectItemCaseSensitive(body, "model");
    r->model = cJSON_IsString(model) ? model->valuestring : NULL;
    if (!r->has_seed) {
        const char *id = r->custom_id ? r->custom_id : "";
        r->sampling.seed = XXH3_64bits_withSeed(id, strlen(id), context->seed);
    }
    if (r->endpoint == ZOO_COMPLETIONS) {
        return read_prompts(context, cJSON_GetObjectItemCaseSensitive(body, "prompt"), r, err);
    }
    r->prompts = zoo_mem_array(1, sizeof *r->prompts);
    if (!r->prompts) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a prompt");
    }
    r->n_prompts = 1;
    return zoo_request_chat(context, body, r, err);
}

zoo_status zoo_request_body(const zoo_request_context *context, zoo_endpoint endpoint, cJSON *body,
                            zoo_request *out, zoo_error *err)
{
    out->tree = body;
    out->endpoint = endpoint;
    return read_body(context, body, out, err);
}

static zoo_status judge_frame_keys(const cJSON *tree, zoo_request *out, zoo_error *err)
{
    static const char *const known[] = {"custom_id", "method", "url", "body"};
    bool seen[ZOO_COUNT(known)] = {false};
    const cJSON *value;
    cJSON_ArrayForEach(value, tree)
    {
        size_t i = 0;
        while (i < ZOO_COUNT(known) && strcmp(known[i], value->string) != 0) {
            i++;
        }
        if (i == ZOO_COUNT(known)) {
            return zoo_request_refuse(out, value->string, ZOO_E_FORMAT, err,
                                      "unknown key \"%.60s\" beside the body", value->string);
        }
        if (seen[i]) {
            return zoo_request_refuse(out, known[i], ZOO_E_FORMAT, err,
                                      "the key %s occurs twice in the line", known[i]);
        }
        seen[i] = true;
    }
    return ZOO_OK;
}

/* Method and url; the endpoint is set. */
static zoo_status read_target(const cJSON *tree, zoo_request *out, zoo_error *err)
{
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(tree, "method");
    const cJSON *url = cJSON_GetObjectItemCaseSensitive(tree, "url");
    if (!cJSON_IsString(method) || strcmp(method->valuestring, "POST") != 0) {
        return zoo_request_refuse(out, "method", ZOO_E_FORMAT, err, "method must be \"POST\"");
    }
    if (!cJSON_IsString(url)) {
        return zoo_request_refuse(out, "url", ZOO_E_FORMAT, err, "url must be a string");
    }
    if (strcmp(url->valuestring, "/v1/completions") == 0) {
        out->endpoint = ZOO_COMPLETIONS;
    } else if (strcmp(url->valuestring, "/v1/chat/completions") == 0) {
        out->endpoint = ZOO_CHAT;
    } else {
        return zoo_request_refuse(out, "url", ZOO_E_UNSUPPORTED, err,
                                  "the url \"%.60s\" is not answered here; /v1/completions and "
                                  "/v1/chat/completions are",
                                  url->valuestring);
    }
    return ZOO_OK;
}

zoo_status zoo_request_parse(const zoo_request_context *context, const char *line, size_t n,
                             const char *name, zoo_request *out, zoo_error *err)
{
    const cJSON *id;
    ZOO_TRY(zoo_json_parse(line, n, name, &out->tree, err));
    if (!cJSON_IsObject(out->tree)) {
        return zoo_request_refuse(out, "", ZOO_E_FORMAT, err, "the line is not an object");
    }
    id = cJSON_GetObjectItemCaseSensitive(out->tree, "custom_id");
    if (!cJSON_IsString(id) || !id->valuestring[0]) {
        return zoo_request_refuse(out, "custom_id", ZOO_E_FORMAT, err,
                                  "custom_id must be a non-empty string");
    }
    out->custom_id = id->valuestring;
    ZOO_TRY(judge_frame_keys(out->tree, out, err));
    ZOO_TRY(read_target(out->tree, out, err));
    return read_body(context, cJSON_GetObjectItemCaseSensitive(out->tree, "body"), out, err);
}

/* ---- tokenizing ---- */

static zoo_status encode_text(const zoo_request_context *context, const char *text, size_t n,
                              bool add_special, zoo_prompt *out, zoo_error *err)
{
    zoo_ids ids = {0};
    zoo_status status = zoo_tokenizer_encode(context->tokenizer, text, n,
                                             add_special ? ZOO_ENCODE_ADD_SPECIAL : 0u, &ids, err);
    if (status == ZOO_OK && ids.n > UINT32_MAX / 2) {
        status = zoo_fail(err, ZOO_E_LIMIT, "the prompt has %zu tokens", ids.n);
    }
    if (status == ZOO_OK) {
        out->tokens = zoo_mem_array(ids.n, sizeof *out->tokens);
        status = out->tokens ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for a prompt");
    }
    for (size_t i = 0; status == ZOO_OK && i < ids.n; i++) {
        if (ids.data[i] >= context->n_vocab) {
            status =
                zoo_fail(err, ZOO_E_CONFIG, "the tokenizer gives id %u, the model has %u tokens",
                         ids.data[i], context->n_vocab);
        }
        out->tokens[i] = (int32_t)ids.data[i];
    }
    out->n_tokens = (uint32_t)ids.n;
    zoo_ids_free(&ids);
    return status;
}

/* A template that fails on arguments as objects may want their text. */
static zoo_status render(const zoo_request_context *context, zoo_request *r, size_t *n,
                         zoo_error *err)
{
    zoo_error first = {0};
    zoo_status status =
        zoo_template_render(context->chat, r->variables, context->now, &r->rendered, n, &first);
    if (status == ZOO_E_CONFIG && zoo_request_arguments_as_text(r) &&
        zoo_template_render(context->chat, r->variables, context->now, &r->rendered, n, NULL) ==
            ZOO_OK) {
        return ZOO_OK;
    }
    if (status != ZOO_OK && err) {
        *err = first;
    }
    return status;
}

static zoo_status encode_chat(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    size_t n = 0;
    if (!context->chat || !context->tokenizer) {
        return zoo_request_refuse(r, "messages", ZOO_E_UNSUPPORTED, err,
                                  "the model folder has no chat template");
    }
    ZOO_TRY(render(context, r, &n, err));
    r->prompts[0].text = r->rendered;
    ZOO_TRY(encode_text(context, r->rendered, n, r->add_special_said && r->add_special,
                        &r->prompts[0], err));
    if (context->marks_turns) {
        zoo_request_mark(context, r);
    }
    return ZOO_OK;
}

static zoo_status encode_prompts(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        zoo_prompt *prompt = &r->prompts[i];
        if (!prompt->text) {
            continue;
        }
        if (!context->tokenizer) {
            return zoo_request_refuse(r, "prompt", ZOO_E_UNSUPPORTED, err,
                                      "the model folder has no tokenizer, only prompts of token "
                                      "ids can run");
        }
        ZOO_TRY(encode_text(context, prompt->text, strlen(prompt->text),
                            !r->add_special_said || r->add_special, prompt, err));
    }
    return ZOO_OK;
}

/* Tokens to generate where the request does not say: what is usual at the url, or what fits. */
static uint32_t default_length(const zoo_request_context *context, const zoo_request *r,
                               uint32_t room)
{
    uint32_t usual = r->endpoint == ZOO_COMPLETIONS && context->usual_max > 0
                         ? context->usual_max
                         : context->generation->max_new_tokens;
    return usual > 0 && usual < room ? usual : room;
}

/* truncate_prompt_tokens: the last ones stay. */
static void truncate_prompts(const zoo_request_context *context, zoo_request *r)
{
    uint32_t new_max = r->n_new_max == ZOO_UNSAID ? 1 : r->n_new_max;
    int64_t fits = context->context_max > new_max ? context->context_max - new_max : 1;
    int64_t keep = r->truncate < 0 ? fits : r->truncate;
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        zoo_prompt *p = &r->prompts[i];
        if ((int64_t)p->n_tokens > keep) {
            size_t n_cut = p->n_tokens - (size_t)keep;
            memmove(p->tokens, p->tokens + n_cut, (size_t)keep * sizeof *p->tokens);
            p->n_tokens = (uint32_t)keep;
            p->text = NULL; /* echo: what the kept tokens say */
            r->n_marks = 0;
        }
    }
}

static zoo_status settle_lengths(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    const char *key = r->endpoint == ZOO_CHAT ? "messages" : "prompt";
    uint32_t longest = 0;
    truncate_prompts(context, r);
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        if (r->prompts[i].n_tokens == 0) {
            return zoo_request_refuse(r, key, ZOO_E_USAGE, err, "the prompt has no tokens");
        }
        longest = r->prompts[i].n_tokens > longest ? r->prompts[i].n_tokens : longest;
    }
    if (longest > context->context_max ||
        (longest == context->context_max && r->n_new_max == ZOO_UNSAID)) {
        return zoo_request_refuse(
            r, key, ZOO_E_LIMIT, err,
            "the prompt has %u tokens, the context has room for %u; --context "
            "sets it, as far as the model has positions",
            longest, context->context_max);
    }
    if (r->n_new_max == ZOO_UNSAID) {
        r->n_new_max = default_length(context, r, context->context_max - longest);
        if (r->sampling.min_tokens > r->n_new_max) {
            r->n_new_max = r->sampling.min_tokens;
        }
    }
    if (r->n_new_max > context->context_max - longest) {
        return zoo_request_refuse(r, "max_tokens", ZOO_E_LIMIT, err,
                                  "%u prompt tokens and %u new ones are more than the context of "
                                  "%u; --context sets it, as far as the model has positions",
                                  longest, r->n_new_max, context->context_max);
    }
    return ZOO_OK;
}

/* What a row may write: response_format, or the call that tool_choice forces. */
static zoo_status compile_grammar(const zoo_request_context *context, zoo_request *r,
                                  zoo_error *err)
{
    const char *key = r->must_call ? "tool_choice" : r->shape_key;
    zoo_grammar_want want = {.schema = r->schema,
                             .choice = r->choice,
                             .many = !r->choice && !r->one_call,
                             .pattern = r->pattern,
                             .ebnf = r->ebnf,
                             .options = r->options};
    zoo_error why = {0};
    zoo_status status;
    if (!context->vocab) {
        return zoo_request_refuse(r, key, ZOO_E_UNSUPPORTED, err,
                                  "%s needs a tokenizer in the model folder", key);
    }
    if (r->endpoint == ZOO_CHAT) {
        want.format = context->format;
        r->reasoning = zoo_output_reasoning_open(want.format, r->rendered, strlen(r->rendered));
        want.reasoning = r->reasoning;
    }
    want.tools = r->must_call ? cJSON_GetObjectItemCaseSensitive(r->variables, "tools") : NULL;
    status = context->grammars ? zoo_grammars_get(context->grammars, &want, &r->grammar, &why)
                               : zoo_grammar_compile(&want, context->vocab, &r->grammar, &why);
    return status == ZOO_OK ? ZOO_OK
                            : zoo_request_refuse(r, key, status, err, "%s: %s", key, why.text);
}

zoo_status zoo_request_encode(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    if (r->endpoint == ZOO_CHAT) {
        ZOO_TRY(encode_chat(context, r, err));
    } else {
        ZOO_TRY(encode_prompts(context, r, err));
    }
    ZOO_TRY(zoo_request_bad_words(context, r, err));
    ZOO_TRY(zoo_request_thinking(context, r, err));
    if (r->wants_json || r->must_call) {
        ZOO_TRY(compile_grammar(context, r, err));
    }
    return settle_lengths(context, r, err);
}
