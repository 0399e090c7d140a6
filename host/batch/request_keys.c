/*
 * request_keys.c: the keys of a request body as one table: name, endpoint, kind, field, range.
 *
 * What a key needs beyond a type and a range is a reader function of its row. Prompts and messages
 * are only claimed here; request.c and request_chat.c read them.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "batch/request.h"

typedef enum zoo_rule_kind {
    RULE_REAL,     /* float field, lo .. hi */
    RULE_ABOVE,    /* float field, above lo, up to hi */
    RULE_WHOLE,    /* uint32_t field, lo .. hi */
    RULE_FLAG,     /* bool field */
    RULE_READ,     /* the row's reader */
    RULE_TEXT,     /* any string; ignored */
    RULE_ANY_FLAG, /* any boolean; ignored */
    RULE_OBJECT,   /* any object; ignored or read later */
    RULE_OFF,      /* only false, "" or an empty value */
    RULE_CLAIMED   /* read elsewhere */
} zoo_rule_kind;

typedef struct zoo_parse {
    const zoo_request_context *context;
    zoo_request *out;
    zoo_error *err;
    const char *key;
} zoo_parse;

typedef zoo_status zoo_rule_read(zoo_parse *p, const cJSON *value);

typedef struct zoo_rule {
    const char *key;
    unsigned where; /* zoo_endpoint bits */
    zoo_rule_kind kind;
    size_t field;
    double lo, hi;
    zoo_rule_read *read;
} zoo_rule;

/* A refusal about the key at hand: "temperature must be ..., not ...". */
static zoo_status wrong(zoo_parse *p, const cJSON *value, const char *wanted)
{
    bool is_huge = cJSON_IsNumber(value) && !isfinite(value->valuedouble);
    char *text = is_huge ? NULL : cJSON_PrintUnformatted(value);
    zoo_status status = zoo_request_refuse(
        p->out, p->key, ZOO_E_USAGE, p->err, "%s must be %s, not %.60s%s", p->key, wanted,
        text ? text : "a number beyond those of 64 bits", text && strlen(text) > 60 ? "..." : "");
    cJSON_free(text);
    return status;
}

static bool whole_in(const cJSON *value, double lo, double hi)
{
    return cJSON_IsNumber(value) && value->valuedouble >= lo && value->valuedouble <= hi &&
           value->valuedouble == floor(value->valuedouble);
}

static zoo_status need_array(zoo_parse *p, const cJSON *value, uint32_t *n)
{
    int count = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : 0;
    if (count < 1) {
        return wrong(p, value, "a non-empty list");
    }
    *n = (uint32_t)count;
    return ZOO_OK;
}

static zoo_status no_memory(zoo_parse *p)
{
    return zoo_fail(p->err, ZOO_E_MEMORY, "no memory for %s", p->key);
}

static zoo_status read_seed(zoo_parse *p, const cJSON *value)
{
    /* Beyond 2^53 the number that was read need not be the one that was written. */
    if (!whole_in(value, -0x1p53, 0x1p53)) {
        return wrong(p, value, "a whole number from -2^53 to 2^53");
    }
    p->out->has_seed = true;
    p->out->sampling.seed = value->valuedouble < 0.0 ? (uint64_t)(int64_t)value->valuedouble
                                                     : (uint64_t)value->valuedouble;
    return ZOO_OK;
}

static zoo_status read_top_k(zoo_parse *p, const cJSON *value)
{
    if (!whole_in(value, -1.0, 4294967295.0)) {
        return wrong(p, value, "-1, 0 (both: all tokens) or a positive whole number");
    }
    p->out->sampling.top_k = value->valuedouble < 1.0 ? 0 : (uint32_t)value->valuedouble;
    return ZOO_OK;
}

static zoo_status read_stop(zoo_parse *p, const cJSON *value)
{
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    for (; item; item = cJSON_IsArray(value) ? item->next : NULL) {
        if (!cJSON_IsString(item) || !item->valuestring[0]) {
            return wrong(p, value, "a string or a list of strings, none of them empty");
        }
        if (p->out->n_stops == ZOO_STOPS_MAX) {
            return wrong(p, value, "a list of at most 64 strings");
        }
        p->out->stops[p->out->n_stops++] = item->valuestring;
    }
    return ZOO_OK;
}

static zoo_status read_stop_ids(zoo_parse *p, const cJSON *value)
{
    const cJSON *item;
    uint32_t n = 0;
    if (cJSON_IsArray(value) && !value->child) {
        return ZOO_OK;
    }
    ZOO_TRY(need_array(p, value, &n));
    p->out->stop_ids = zoo_mem_array(n, sizeof *p->out->stop_ids);
    if (!p->out->stop_ids) {
        return no_memory(p);
    }
    p->out->sampling.stop_ids = p->out->stop_ids;
    cJSON_ArrayForEach(item, value)
    {
        if (!whole_in(item, 0.0, (double)p->context->n_vocab - 1.0)) {
            return wrong(p, item, "a list of token ids of this model");
        }
        p->out->stop_ids[p->out->sampling.n_stop_ids++] = (uint32_t)item->valuedouble;
    }
    return ZOO_OK;
}

static zoo_status read_allowed(zoo_parse *p, const cJSON *value)
{
    const cJSON *item;
    uint32_t n = 0;
    ZOO_TRY(need_array(p, value, &n));
    p->out->allowed = zoo_mem_array((size_t)p->context->n_vocab / 32 + 1, sizeof(uint32_t));
    if (!p->out->allowed) {
        return no_memory(p);
    }
    p->out->sampling.allowed = p->out->allowed;
    cJSON_ArrayForEach(item, value)
    {
        if (!whole_in(item, 0.0, (double)p->context->n_vocab - 1.0)) {
            return wrong(p, item, "a list of token ids of this model");
        }
        p->out->allowed[(uint32_t)item->valuedouble / 32] |= 1u
                                                             << ((uint32_t)item->valuedouble % 32);
    }
    return ZOO_OK;
}

/* A token id spelled as a key: digits only, below n_vocab. */
static bool id_of(const char *text, uint32_t n_vocab, uint32_t *id)
{
    uint64_t value = 0;
    size_t n = strlen(text);
    if (n < 1 || n > 10 || strspn(text, "0123456789") != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *id = (uint32_t)value;
    return value < n_vocab;
}

static zoo_status read_bias(zoo_parse *p, const cJSON *value)
{
    const cJSON *item;
    if (!cJSON_IsObject(value)) {
        return wrong(p, value, "an object of token ids and numbers");
    }
    p->out->biases = zoo_mem_array((size_t)cJSON_GetArraySize(value), sizeof *p->out->biases);
    if (!p->out->biases) {
        return no_memory(p);
    }
    p->out->sampling.biases = p->out->biases;
    cJSON_ArrayForEach(item, value)
    {
        zoo_bias *bias = &p->out->biases[p->out->sampling.n_biases];
        if (!id_of(item->string, p->context->n_vocab, &bias->id)) {
            return zoo_request_refuse(p->out, p->key, ZOO_E_USAGE, p->err,
                                      "logit_bias: \"%.20s\" is not a token id of this model",
                                      item->string);
        }
        if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= 100.0)) {
            return wrong(p, item, "an object of numbers from -100 to 100");
        }
        bias->add = (float)item->valuedouble;
        p->out->sampling.n_biases++;
    }
    return ZOO_OK;
}

/* Completions take a count, chat takes a switch (and top_logprobs beside it). */
static zoo_status read_logprobs(zoo_parse *p, const cJSON *value)
{
    if (p->out->endpoint == ZOO_CHAT) {
        if (!cJSON_IsBool(value)) {
            return wrong(p, value, "true or false");
        }
        p->out->wants_logprobs = cJSON_IsTrue(value);
        return ZOO_OK;
    }
    if (!whole_in(value, 0.0, ZOO_LOGPROBS_MAX)) {
        return wrong(p, value, "a whole number from 0 to 20");
    }
    p->out->wants_logprobs = true;
    p->out->n_top = (uint32_t)value->valuedouble;
    return ZOO_OK;
}

static zoo_status read_shape(zoo_parse *p, const cJSON *value)
{
    return zoo_request_shape(p->key, value, p->out, p->err);
}

static zoo_status read_bad_words(zoo_parse *p, const cJSON *value)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsString(item) || !item->valuestring[0]) {
            return wrong(p, value, "a list of strings, none of them empty");
        }
    }
    p->out->bad_texts = value;
    return cJSON_IsArray(value) ? ZOO_OK : wrong(p, value, "a list of strings");
}

static zoo_status read_truncate(zoo_parse *p, const cJSON *value)
{
    if (!whole_in(value, -1.0, 2147483647.0) || value->valuedouble == 0.0) {
        return wrong(p, value, "-1 (what fits) or a whole number of at least 1");
    }
    p->out->truncate = (int64_t)value->valuedouble;
    return ZOO_OK;
}

/* A template may read it; otherwise only the value that changes nothing is accepted. */
static zoo_status read_verbosity(zoo_parse *p, const cJSON *value)
{
    const char *word = cJSON_GetStringValue(value);
    bool is_read = p->context->chat && zoo_template_mentions(p->context->chat, p->key);
    if (!word) {
        return wrong(p, value, "a string");
    }
    return is_read || strcmp(word, "medium") == 0
               ? ZOO_OK
               : zoo_request_refuse(p->out, p->key, ZOO_E_UNSUPPORTED, p->err,
                                    "verbosity is not read by the chat template, so only "
                                    "\"medium\" can be had");
}

static zoo_status read_old_tools(zoo_parse *p, const cJSON *value)
{
    (void)value;
    return zoo_request_refuse(p->out, p->key, ZOO_E_UNSUPPORTED, p->err, "%s is not read; %s is",
                              p->key, strcmp(p->key, "functions") == 0 ? "tools" : "tool_choice");
}

static zoo_status read_parallel(zoo_parse *p, const cJSON *value)
{
    p->out->one_call = cJSON_IsFalse(value);
    return cJSON_IsBool(value) ? ZOO_OK : wrong(p, value, "true or false");
}

static zoo_status read_tool_choice(zoo_parse *p, const cJSON *value)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(value, "function");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(function, "name");
    const char *word = cJSON_GetStringValue(value);
    if (word && (strcmp(word, "auto") == 0 || strcmp(word, "none") == 0)) {
        return ZOO_OK;
    }
    p->out->must_call = true;
    p->out->choice = cJSON_GetStringValue(name);
    return (word && strcmp(word, "required") == 0) || p->out->choice
               ? ZOO_OK
               : wrong(p, value, "\"auto\", \"none\", \"required\" or a function's name");
}

static zoo_status read_best_of(zoo_parse *p, const cJSON *value)
{
    /* Judged against n when all keys are read. */
    return whole_in(value, 1.0, ZOO_CHOICES_MAX) ? ZOO_OK
                                                 : wrong(p, value, "a whole number from 1 to 128");
}

static zoo_status read_special(zoo_parse *p, const cJSON *value)
{
    if (!cJSON_IsBool(value)) {
        return wrong(p, value, "true or false");
    }
    if (strcmp(p->key, "skip_special_tokens") == 0) {
        p->out->keep_special = cJSON_IsFalse(value);
    } else {
        p->out->add_special = cJSON_IsTrue(value);
        p->out->add_special_said = true;
    }
    return ZOO_OK;
}

#define FIELD(name)    offsetof(zoo_request, name)
#define SAMPLING(name) offsetof(zoo_request, sampling.name)
#define BOTH           (ZOO_COMPLETIONS | ZOO_CHAT)
#define TOKENS_MAX     2147483647.0

static const zoo_rule rules[] = {
    {"prompt", ZOO_COMPLETIONS, RULE_CLAIMED, 0, 0, 0, NULL},
    {"messages", ZOO_CHAT, RULE_CLAIMED, 0, 0, 0, NULL},
    {"model", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"max_tokens", ZOO_COMPLETIONS, RULE_WHOLE, FIELD(n_new_max), 0, TOKENS_MAX, NULL},
    {"max_tokens", ZOO_CHAT, RULE_WHOLE, FIELD(n_new_max), 1, TOKENS_MAX, NULL},
    {"max_completion_tokens", ZOO_CHAT, RULE_WHOLE, FIELD(n_new_max), 1, TOKENS_MAX, NULL},
    {"min_tokens", BOTH, RULE_WHOLE, SAMPLING(min_tokens), 0, TOKENS_MAX, NULL},
    {"temperature", BOTH, RULE_REAL, SAMPLING(temperature), 0, 2, NULL},
    {"top_p", BOTH, RULE_ABOVE, SAMPLING(top_p), 0, 1, NULL},
    {"min_p", BOTH, RULE_REAL, SAMPLING(min_p), 0, 1, NULL},
    {"top_k", BOTH, RULE_READ, 0, 0, 0, read_top_k},
    {"repetition_penalty", BOTH, RULE_ABOVE, SAMPLING(repetition), 0, 100, NULL},
    {"presence_penalty", BOTH, RULE_REAL, SAMPLING(presence), -2, 2, NULL},
    {"frequency_penalty", BOTH, RULE_REAL, SAMPLING(frequency), -2, 2, NULL},
    {"ignore_eos", BOTH, RULE_FLAG, SAMPLING(ignore_eos), 0, 0, NULL},
    {"include_stop_str_in_output", BOTH, RULE_FLAG, FIELD(keep_stop), 0, 0, NULL},
    {"return_token_ids", BOTH, RULE_FLAG, FIELD(wants_ids), 0, 0, NULL},
    {"echo", ZOO_COMPLETIONS, RULE_FLAG, FIELD(echo), 0, 0, NULL},
    {"n", BOTH, RULE_WHOLE, FIELD(n_choices), 1, ZOO_CHOICES_MAX, NULL},
    {"best_of", ZOO_COMPLETIONS, RULE_READ, 0, 0, 0, read_best_of},
    {"seed", BOTH, RULE_READ, 0, 0, 0, read_seed},
    {"stop", BOTH, RULE_READ, 0, 0, 0, read_stop},
    {"stop_token_ids", BOTH, RULE_READ, 0, 0, 0, read_stop_ids},
    {"allowed_token_ids", BOTH, RULE_READ, 0, 0, 0, read_allowed},
    {"logit_bias", BOTH, RULE_READ, 0, 0, 0, read_bias},
    {"logprobs", BOTH, RULE_READ, 0, 0, 0, read_logprobs},
    {"top_logprobs", ZOO_CHAT, RULE_WHOLE, FIELD(n_top), 0, ZOO_LOGPROBS_MAX, NULL},
    {"prompt_logprobs", BOTH, RULE_WHOLE, FIELD(n_prompt_top), 0, ZOO_LOGPROBS_MAX, NULL},
    {"skip_special_tokens", BOTH, RULE_READ, 0, 0, 0, read_special},
    {"add_special_tokens", BOTH, RULE_READ, 0, 0, 0, read_special},
    {"response_format", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"structured_outputs", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"guided_json", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"guided_regex", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"guided_choice", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"guided_grammar", BOTH, RULE_READ, 0, 0, 0, read_shape},
    {"bad_words", BOTH, RULE_READ, 0, 0, 0, read_bad_words},
    {"truncate_prompt_tokens", BOTH, RULE_READ, 0, 0, 0, read_truncate},
    {"max_thinking_tokens", ZOO_CHAT, RULE_WHOLE, FIELD(think_max), 0, TOKENS_MAX, NULL},
    {"verbosity", ZOO_CHAT, RULE_READ, 0, 0, 0, read_verbosity},
    {"functions", ZOO_CHAT, RULE_READ, 0, 0, 0, read_old_tools},
    {"function_call", ZOO_CHAT, RULE_READ, 0, 0, 0, read_old_tools},
    {"prediction", ZOO_CHAT, RULE_OBJECT, 0, 0, 0, NULL},
    {"tools", ZOO_CHAT, RULE_CLAIMED, 0, 0, 0, NULL},
    {"tool_choice", ZOO_CHAT, RULE_READ, 0, 0, 0, read_tool_choice},
    {"parallel_tool_calls", ZOO_CHAT, RULE_READ, 0, 0, 0, read_parallel},
    {"documents", ZOO_CHAT, RULE_CLAIMED, 0, 0, 0, NULL},
    {"add_generation_prompt", ZOO_CHAT, RULE_ANY_FLAG, 0, 0, 0, NULL},
    {"continue_final_message", ZOO_CHAT, RULE_ANY_FLAG, 0, 0, 0, NULL},
    {"chat_template_kwargs", ZOO_CHAT, RULE_OBJECT, 0, 0, 0, NULL},
    {"reasoning_effort", ZOO_CHAT, RULE_TEXT, 0, 0, 0, NULL},
    {"stream", BOTH, RULE_OFF, 0, 0, 0, NULL},
    {"stream_options", BOTH, RULE_OFF, 0, 0, 0, NULL},
    {"suffix", ZOO_COMPLETIONS, RULE_OFF, 0, 0, 0, NULL},
    {"modalities", ZOO_CHAT, RULE_CLAIMED, 0, 0, 0, NULL},
    {"user", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"safety_identifier", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"prompt_cache_key", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"prompt_cache_retention", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"service_tier", BOTH, RULE_TEXT, 0, 0, 0, NULL},
    {"store", BOTH, RULE_ANY_FLAG, 0, 0, 0, NULL},
    {"metadata", BOTH, RULE_OBJECT, 0, 0, 0, NULL},
};

static zoo_status read_number(zoo_parse *p, const zoo_rule *rule, const cJSON *value)
{
    bool is_whole = rule->kind == RULE_WHOLE;
    double x = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    char wanted[96];
    if (x >= rule->lo && x <= rule->hi && (rule->kind != RULE_ABOVE || x > rule->lo) &&
        (!is_whole || x == floor(x))) {
        uint32_t whole = is_whole ? (uint32_t)x : 0;
        float real = (float)x;
        memcpy((char *)p->out + rule->field, is_whole ? (void *)&whole : (void *)&real, 4);
        return ZOO_OK;
    }
    if (is_whole && rule->hi == TOKENS_MAX) {
        (void)snprintf(wanted, sizeof wanted, "a whole number of at least %g", rule->lo);
    } else {
        (void)snprintf(wanted, sizeof wanted, "a %snumber %s %g %s %g", is_whole ? "whole " : "",
                       rule->kind == RULE_ABOVE ? "above" : "from", rule->lo,
                       rule->kind == RULE_ABOVE ? "and up to" : "to", rule->hi);
    }
    return wrong(p, value, wanted);
}

static zoo_status read_value(zoo_parse *p, const zoo_rule *rule, const cJSON *value)
{
    bool on;
    switch (rule->kind) {
    case RULE_REAL:
    case RULE_ABOVE:
    case RULE_WHOLE:
        return read_number(p, rule, value);
    case RULE_FLAG:
        on = cJSON_IsTrue(value);
        memcpy((char *)p->out + rule->field, &on, sizeof on);
        return cJSON_IsBool(value) ? ZOO_OK : wrong(p, value, "true or false");
    case RULE_READ:
        return rule->read(p, value);
    case RULE_TEXT:
        return cJSON_IsString(value) ? ZOO_OK : wrong(p, value, "a string");
    case RULE_ANY_FLAG:
        return cJSON_IsBool(value) ? ZOO_OK : wrong(p, value, "true or false");
    case RULE_OBJECT:
        return cJSON_IsObject(value) ? ZOO_OK : wrong(p, value, "an object");
    case RULE_OFF:
        if (cJSON_IsFalse(value) || (cJSON_IsString(value) && !value->valuestring[0])) {
            return ZOO_OK;
        }
        return zoo_request_refuse(p->out, p->key, ZOO_E_UNSUPPORTED, p->err, "%s is not supported",
                                  p->key);
    case RULE_CLAIMED:
        break;
    }
    return ZOO_OK;
}

static const zoo_rule *find_rule(const char *key, zoo_endpoint endpoint, bool *elsewhere)
{
    *elsewhere = false;
    for (size_t i = 0; i < ZOO_COUNT(rules); i++) {
        if (strcmp(rules[i].key, key) == 0) {
            if (rules[i].where & (unsigned)endpoint) {
                return &rules[i];
            }
            *elsewhere = true;
        }
    }
    return NULL;
}

/* Checks that need all keys. */
static zoo_status judge_together(const cJSON *body, zoo_request *out, zoo_error *err)
{
    const cJSON *best_of = cJSON_GetObjectItemCaseSensitive(body, "best_of");
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(body, "max_completion_tokens");
    if (cJSON_IsNumber(best_of) && best_of->valuedouble != (double)out->n_choices) {
        return zoo_request_refuse(out, "best_of", ZOO_E_UNSUPPORTED, err,
                                  "best_of is supported only where it equals n");
    }
    if (cJSON_IsNumber(limit)) {
        out->n_new_max = (uint32_t)limit->valuedouble;
    }
    if (out->endpoint == ZOO_CHAT && out->n_top != ZOO_UNSAID && !out->wants_logprobs) {
        return zoo_request_refuse(out, "top_logprobs", ZOO_E_USAGE, err,
                                  "top_logprobs needs logprobs to be true");
    }
    if (out->must_call && out->wants_json) {
        return zoo_request_refuse(out, "tool_choice", ZOO_E_USAGE, err,
                                  "tool_choice forces a call, so response_format has no answer to "
                                  "shape");
    }
    if (out->must_call && !cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(body, "tools"))) {
        return zoo_request_refuse(out, "tool_choice", ZOO_E_USAGE, err,
                                  "tool_choice forces a call, but there are no tools");
    }
    if (out->n_top == ZOO_UNSAID && out->wants_logprobs) {
        out->n_top = 0;
    }
    if (out->n_new_max != ZOO_UNSAID && out->sampling.min_tokens > out->n_new_max) {
        return zoo_request_refuse(out, "min_tokens", ZOO_E_USAGE, err,
                                  "min_tokens (%u) is more than max_tokens (%u)",
                                  out->sampling.min_tokens, out->n_new_max);
    }
    return ZOO_OK;
}

zoo_status zoo_request_keys(const zoo_request_context *context, cJSON *body, zoo_request *out,
                            zoo_error *err)
{
    bool seen[ZOO_COUNT(rules)] = {false};
    const cJSON *value;
    cJSON_ArrayForEach(value, body)
    {
        zoo_parse p = {context, out, err, value->string};
        bool elsewhere;
        const zoo_rule *rule = find_rule(value->string, out->endpoint, &elsewhere);
        if (!rule && cJSON_IsNull(value)) {
            continue;
        }
        if (!rule) {
            return zoo_request_refuse(out, value->string, ZOO_E_UNSUPPORTED, err, "%s \"%.60s\"%s",
                                      elsewhere ? "this url has no key" : "unknown key",
                                      value->string,
                                      elsewhere ? ", the other one has" : " in the body");
        }
        if (seen[rule - rules]) {
            return zoo_request_refuse(out, value->string, ZOO_E_USAGE, err,
                                      "the key %s occurs twice in the body", value->string);
        }
        seen[rule - rules] = true;
        if (!cJSON_IsNull(value)) {
            ZOO_TRY(read_value(&p, rule, value));
        }
    }
    return judge_together(body, out, err);
}
