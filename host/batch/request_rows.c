/* request_rows.c: rows out of a request, prompt by prompt, each n_choices times; choice 0 has the
 * seed of the request, the others one that is derived from it. What they may take, and where others
 * may part from them (request_rows.h). */
#include "batch/request_rows.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Log-probabilities that must be computed for prompt tokens. */
static uint32_t prompt_top(const zoo_request *r)
{
    uint32_t echoed = r->echo ? r->n_top : ZOO_UNSAID;
    if (echoed == ZOO_UNSAID || r->n_prompt_top == ZOO_UNSAID) {
        return echoed == ZOO_UNSAID ? r->n_prompt_top : echoed;
    }
    return echoed > r->n_prompt_top ? echoed : r->n_prompt_top;
}

void zoo_request_rows(const zoo_request *r, const uint32_t *hidden, zoo_row *rows, void *owner)
{
    for (uint32_t i = 0; i < r->n_prompts * r->n_choices; i++) {
        const zoo_prompt *prompt = &r->prompts[i / r->n_choices];
        uint32_t choice = i % r->n_choices;
        zoo_row *row = &rows[i];
        row->prompt = prompt->tokens;
        row->n_prompt = prompt->n_tokens;
        row->n_new_max = r->n_new_max;
        row->sampling = r->sampling;
        if (choice > 0) {
            row->sampling.seed = XXH3_64bits_withSeed(&choice, sizeof choice, r->sampling.seed);
        }
        row->n_top = r->n_top;
        row->n_prompt_top = prompt_top(r);
        row->stops = r->stops;
        row->n_stops = r->n_stops;
        row->keep_stop = r->keep_stop;
        row->keep_special = r->keep_special || hidden;
        row->hidden = r->keep_special ? NULL : hidden;
        row->close = r->think_close;
        row->n_close = r->n_think_close;
        row->think_max = r->think_max;
        row->think_begin = r->think_marks[0];
        row->think_end = r->think_marks[1];
        row->is_thinking = r->think_open;
        row->marks = r->marks;
        row->n_marks = r->n_marks;
        row->owner = owner;
    }
}

double zoo_request_bytes(const zoo_request *r)
{
    const double entry = sizeof(zoo_logprob) + 96.0, token = 12.0;
    double bytes = 0.0;
    uint32_t top = r->n_top == ZOO_UNSAID ? 0 : r->n_top + 1;
    uint32_t prompt_top = r->n_prompt_top == ZOO_UNSAID ? 0 : r->n_prompt_top + 1;
    prompt_top = r->echo && top > prompt_top ? top : prompt_top;
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        double n = (double)r->prompts[i].n_tokens, m = (double)r->n_new_max;
        bytes += (n + m) * token + m * top * entry + n * prompt_top * entry;
    }
    return ((double)sizeof(zoo_row) * r->n_prompts + bytes) * r->n_choices;
}

zoo_status zoo_request_judge_size(zoo_request *q, size_t bytes_max, zoo_error *err)
{
    double bytes = zoo_request_bytes(q), rows = (double)q->n_prompts * q->n_choices;
    if (bytes <= (double)bytes_max && rows <= 1e8) {
        return ZOO_OK;
    }
    return zoo_request_refuse(q, q->n_prompts > 1 ? "prompt" : "n", ZOO_E_LIMIT, err,
                              "prompts times choices: %.0f sequences whose answer may need %.0f "
                              "MiB; --memory leaves %zu MiB to one row",
                              rows, bytes / 0x1p20, bytes_max >> 20);
}

zoo_status zoo_request_judge_spent(const zoo_budget *b, const char *option, double seconds_max,
                                   zoo_status status, zoo_error *err)
{
    switch (status == ZOO_OK ? ZOO_SPENT_NOTHING : b->spent) {
    case ZOO_SPENT_BYTES:
        return zoo_fail(err, ZOO_E_LIMIT,
                        "making the row ready needs more than %zu MiB of memory, which is what "
                        "--memory leaves to one row",
                        b->bytes_max >> 20);
    case ZOO_SPENT_STEPS:
        return zoo_fail(err, ZOO_E_LIMIT, "making the row ready takes more than %llu steps",
                        (unsigned long long)b->steps_max);
    case ZOO_SPENT_SECONDS:
        return zoo_fail(err, ZOO_E_LIMIT, "making the row ready takes longer than %s, %g seconds",
                        option, seconds_max);
    default:
        return status;
    }
}

/* ---- marks ---- */

/* Bytes that the prompt has in common with what the variables make; 0 where they make nothing. */
static size_t count_common(const zoo_request_context *context, const zoo_request *r,
                           const cJSON *variables)
{
    char *text = NULL;
    size_t n = 0, i = 0;
    if (!variables ||
        zoo_template_render(context->chat, variables, context->now, &text, &n, NULL) != ZOO_OK) {
        return 0;
    }
    while (i < n && r->rendered[i] == text[i]) {
        i++;
    }
    free(text);
    return i;
}

/* Notes the last token that ends within n bytes of the prompt. */
static void mark(const zoo_request_context *context, zoo_request *r, size_t n)
{
    const zoo_prompt *p = &r->prompts[0];
    size_t at = 0, width = 0;
    uint32_t i = 0;
    for (; i < p->n_tokens; i++) {
        uint32_t id = (uint32_t)p->tokens[i];
        const char *text = zoo_tokenizer_is_special(context->tokenizer, id)
                               ? zoo_tokenizer_token(context->tokenizer, id, &width)
                               : zoo_tokenizer_bytes(context->tokenizer, id, &width);
        at += text ? width : 0;
        if (at > n) {
            break;
        }
    }
    if (i > 0 && i < p->n_tokens && (r->n_marks == 0 || r->marks[r->n_marks - 1] < i)) {
        r->marks[r->n_marks++] = i;
    }
}

/* Adds the leading instructions to the list, and the first words of another, changed. */
static bool add_other_words(const zoo_request *r, cJSON *list)
{
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(r->variables, "messages"), *m;
    cJSON_ArrayForEach(m, messages)
    {
        const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role"));
        const char *words = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "content"));
        if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0) {
            if (!cJSON_AddItemReferenceToArray(list, (cJSON *)(uintptr_t)m)) {
                return false;
            }
            continue;
        }
        cJSON *other = words ? cJSON_CreateObject() : NULL;
        if (!other || !cJSON_AddItemToArray(list, other)) {
            cJSON_Delete(other);
            return false;
        }
        bool is_nought = words[strspn(words, " \t\r\n")] == '0';
        return cJSON_AddStringToObject(other, "role", role) &&
               cJSON_AddStringToObject(other, "content", is_nought ? "1" : "0");
    }
    return false;
}

/* The variables with the first words changed and nothing after them; null: there are none, or no
 * memory. Refers to the request's. */
static cJSON *other_words(const zoo_request *r)
{
    cJSON *out = cJSON_CreateObject(), *item;
    cJSON *list = out ? cJSON_AddArrayToObject(out, "messages") : NULL;
    bool ok = list && add_other_words(r, list);
    cJSON_ArrayForEach(item, r->variables)
    {
        ok = ok && (strcmp(item->string, "messages") == 0 ||
                    cJSON_AddItemReferenceToObject(out, item->string, item));
    }
    if (!ok) {
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}

void zoo_request_mark(const zoo_request_context *context, zoo_request *r)
{
    cJSON *add = cJSON_GetObjectItemCaseSensitive(r->variables, "add_generation_prompt");
    cJSON *others = other_words(r);
    size_t n = count_common(context, r, others);
    cJSON_Delete(others);
    mark(context, r, n);
    if (cJSON_IsTrue(add)) {
        add->type = cJSON_False;
        n = count_common(context, r, r->variables);
        add->type = cJSON_True;
        mark(context, r, n);
    }
}
