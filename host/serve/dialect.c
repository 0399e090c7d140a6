/* dialect.c: what the dialects share, and OpenAI's two older endpoints, whose bodies need no
 * translation. */
#include "serve/dialect.h"

#include <stdarg.h>
#include <string.h>

zoo_status zoo_translation_refuse(zoo_translation *t, const char *key, zoo_status code,
                                  zoo_error *err, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(t->param, sizeof t->param, "%s", key);
    return zoo_fail(err, code, "%s", text);
}

cJSON *zoo_translation_take(zoo_translation *t, const char *key)
{
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(t->body, key);
    if (cJSON_IsNull(item)) {
        cJSON_Delete(item);
        item = NULL;
    }
    return item;
}

zoo_status zoo_translation_move(zoo_translation *t, const char *from, const char *to,
                                zoo_error *err)
{
    cJSON *item = zoo_translation_take(t, from);
    if (item && !zoo_put(t->chat, to, item)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for %s", from);
    }
    return ZOO_OK;
}

const char *zoo_text_at(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

bool zoo_text_is(const cJSON *object, const char *key, const char *text)
{
    const char *there = zoo_text_at(object, key);
    return there && strcmp(there, text) == 0;
}

bool zoo_put(cJSON *object, const char *key, cJSON *item)
{
    bool ok = object && item &&
              (key ? cJSON_AddItemToObject(object, key, item) : cJSON_AddItemToArray(object, item));
    if (!ok) {
        cJSON_Delete(item);
    }
    return ok;
}

zoo_status zoo_translation_end(zoo_translation *t, zoo_error *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, t->body)
    {
        if (!cJSON_IsNull(item)) {
            return zoo_translation_refuse(t, item->string, ZOO_E_UNSUPPORTED, err,
                                          "unknown key \"%.60s\" in the body", item->string);
        }
    }
    return ZOO_OK;
}

zoo_usage zoo_usage_of(const zoo_answer *a)
{
    zoo_usage u = {0, 0, 0};
    for (uint32_t i = 0; i < a->request->n_prompts; i++) {
        u.n_prompt += a->request->prompts[i].n_tokens;
    }
    for (uint32_t i = 0; i < a->n_rows && a->rows; i++) {
        u.n_out += a->rows[i].n_out;
        u.n_cached += a->rows[i].n_cached;
    }
    u.n_cached = u.n_cached < u.n_prompt ? u.n_cached : u.n_prompt;
    return u;
}

void zoo_put_text(zoo_out *out, const char *key, const char *text)
{
    zoo_out_format(out, "\"%s\":", key);
    zoo_out_string(out, text, text ? strlen(text) : 0);
}

/* ---- OpenAI's completions and chats ---- */

static void openai_answer(zoo_out *out, const zoo_answer *answer, const cJSON *echoed)
{
    (void)echoed;
    zoo_result_body(out, answer);
}

static void openai_error(zoo_out *out, const char *type, const char *code, const char *param,
                         const char *message)
{
    zoo_out_text(out, "{\"error\":{");
    zoo_put_text(out, "message", message);
    zoo_out_text(out, ",");
    zoo_put_text(out, "type", type);
    zoo_out_text(out, ",");
    zoo_put_text(out, "param", param);
    zoo_out_text(out, ",");
    zoo_put_text(out, "code", code);
    zoo_out_text(out, "}}");
}

const zoo_dialect zoo_dialect_completions = {NULL, openai_answer, openai_error,
                                             &zoo_event_writer_completions};
const zoo_dialect zoo_dialect_chat = {NULL, openai_answer, openai_error, &zoo_event_writer_chat};
