/*
 * request_words.c: bad_words and the mark that ends reasoning, as tokens.
 *
 * A word is what the tokenizer makes of it at the start of a text and, where that differs, after a
 * blank. After vLLM, SamplingParams, which takes the second only when it has as many tokens.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "batch/request.h"
#include "text/output/output.h"

static zoo_status encode(const zoo_request_context *context, const char *text, zoo_ids *ids,
                         zoo_error *err)
{
    ids->n = 0;
    return zoo_tokenizer_encode(context->tokenizer, text, strlen(text), 0, ids, err);
}

/* Appends the ids to all and notes their number as a word. */
static bool add(zoo_request *r, zoo_ids *all, const zoo_ids *ids)
{
    size_t n = all->n + ids->n;
    uint32_t *grown = zoo_mem_realloc(all->data, n * sizeof *grown);
    if (!grown) {
        return false;
    }
    memcpy(grown + all->n, ids->data, ids->n * sizeof *grown);
    all->data = grown;
    all->n = n;
    r->bad_words[r->sampling.n_bad++].n = (uint32_t)ids->n;
    return true;
}

static zoo_status add_word(const zoo_request_context *context, zoo_request *r, const char *text,
                           zoo_ids *all, zoo_error *err)
{
    zoo_ids bare = {0}, behind = {0};
    const char *word = text + strspn(text, " ");
    size_t n = strlen(word) + 2;
    char *spaced = zoo_mem_alloc(n);
    zoo_status status = spaced ? encode(context, word, &bare, err)
                               : zoo_fail(err, ZOO_E_MEMORY, "no memory for bad_words");
    if (status == ZOO_OK) {
        (void)snprintf(spaced, n, " %s", word);
        status = encode(context, spaced, &behind, err);
    }
    bool other =
        status == ZOO_OK && behind.n > 0 && (behind.n != bare.n || behind.data[0] != bare.data[0]);
    if (status == ZOO_OK && bare.n > 0 &&
        (!add(r, all, &bare) || (other && !add(r, all, &behind)))) {
        status = zoo_fail(err, ZOO_E_MEMORY, "no memory for bad_words");
    }
    zoo_mem_free(spaced);
    zoo_ids_free(&bare);
    zoo_ids_free(&behind);
    return status;
}

zoo_status zoo_request_bad_words(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    int n_texts = cJSON_GetArraySize(r->bad_texts);
    zoo_ids all = {0};
    const cJSON *item;
    zoo_status status = ZOO_OK;
    size_t at = 0;
    if (n_texts == 0) {
        return ZOO_OK;
    }
    if (!context->tokenizer) {
        return zoo_request_refuse(r, "bad_words", ZOO_E_UNSUPPORTED, err,
                                  "bad_words needs a tokenizer in the model folder");
    }
    r->bad_words = zoo_mem_array(2 * (size_t)n_texts, sizeof *r->bad_words);
    if (!r->bad_words) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for bad_words");
    }
    cJSON_ArrayForEach(item, r->bad_texts)
    {
        status = status == ZOO_OK ? add_word(context, r, item->valuestring, &all, err) : status;
    }
    for (uint32_t i = 0; i < r->sampling.n_bad; i++) {
        r->bad_words[i].ids = all.data + at;
        at += r->bad_words[i].n;
    }
    r->sampling.bad = r->bad_words;
    r->bad_ids = all.data;
    return status;
}

/* What the template writes between reasoning and answer; null: without the mark. For free(). */
static char *between(const zoo_request_context *context, const char *mark)
{
    static const char variables[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"reasoning_content\":\"qzbefore\",\"content\":\"qzbehind\"}]}";
    static const char before[] = "qzbefore", behind[] = "qzbehind";
    char *text = NULL, *found = NULL;
    size_t n;
    if (zoo_template_render_json(context->chat, variables, sizeof variables - 1, context->now,
                                 &text, &n, NULL) != ZOO_OK) {
        return NULL;
    }
    char *from = strstr(text, before), *to = from ? strstr(from, behind) : NULL;
    if (to) {
        *to = 0;
        from += sizeof before - 1;
        found = strstr(from, mark) ? strdup(from) : NULL;
    }
    free(text);
    return found;
}

zoo_status zoo_request_thinking(const zoo_request_context *context, zoo_request *r, zoo_error *err)
{
    zoo_ids ids = {0};
    if (r->think_max == ZOO_UNSAID) {
        return ZOO_OK;
    }
    uint32_t open = zoo_output_reasoning_open(context->format, r->rendered, strlen(r->rendered));
    r->think_open = open > 0;
    char *begin = r->think_marks[0], *end = r->think_marks[1];
    if (!zoo_output_reasoning_close(context->format, open, end, sizeof r->think_marks[1]) ||
        !zoo_output_reasoning_begin(context->format, open, begin, sizeof r->think_marks[0])) {
        return zoo_request_refuse(r, "max_thinking_tokens", ZOO_E_UNSUPPORTED, err,
                                  "max_thinking_tokens: the chat template has no mark of reasoning "
                                  "that is known here");
    }
    char *whole = between(context, end);
    zoo_status status = encode(context, whole ? whole : end, &ids, err);
    free(whole);
    ZOO_TRY(status);
    r->think_close = (int32_t *)ids.data;
    r->n_think_close = (uint32_t)ids.n;
    return ZOO_OK;
}
