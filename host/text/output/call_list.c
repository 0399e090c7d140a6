/*
 * call_list.c: one call more in the list of an answer's tool calls: its name, its arguments as JSON
 * text, and an id. Where the model gave none it is made from a hash of the output and the place of
 * the call, so that equal outputs give equal ids.
 */
#include <string.h>
#include <xxhash.h>

#include "text/output/output_private.h"

static cJSON *text_item(zoo_piece p)
{
    zoo_bytes b = {0};
    zoo_bytes_piece(&b, p);
    zoo_bytes_add(&b, "", 1);
    cJSON *item = b.failed ? NULL : cJSON_CreateString(b.s);
    zoo_bytes_free(&b);
    return item;
}

static cJSON *id_item(const zoo_calls *calls, zoo_piece id)
{
    char text[32];
    if (id.n) {
        return text_item(id);
    }
    uint64_t seed = (uint64_t)cJSON_GetArraySize(calls->list);
    uint64_t hash = XXH3_64bits_withSeed(calls->text.s, calls->text.n, seed);
    (void)snprintf(text, sizeof text, "call_%016llx", (unsigned long long)hash);
    return cJSON_CreateString(text);
}

/* Adds item to object under key; a null item or no memory fails. */
static bool put(cJSON *object, const char *key, cJSON *item)
{
    if (!item || !object || !cJSON_AddItemToObject(object, key, item)) {
        cJSON_Delete(item);
        return false;
    }
    return true;
}

/* The text of a JSON string whose value is a JSON object, or null. */
static cJSON *unwrapped(zoo_piece arguments)
{
    cJSON *string = cJSON_ParseWithLength(arguments.s, arguments.n);
    zoo_piece inner = {0};
    if (cJSON_IsString(string)) {
        inner = zoo_piece_trim((zoo_piece){string->valuestring, strlen(string->valuestring)});
    }
    if (!inner.n || inner.s[0] != '{' || zoo_json_extent(inner) != inner.n) {
        cJSON_Delete(string);
        return NULL;
    }
    return string;
}

bool zoo_calls_add(zoo_calls *calls, zoo_piece name, zoo_piece arguments, zoo_piece id)
{
    arguments = zoo_piece_trim(arguments);
    name = zoo_piece_trim(name);
    cJSON *text = NULL;
    if (!name.n || !arguments.n) {
        return false;
    }
    if (arguments.s[0] == '"') {
        text = unwrapped(arguments);
    } else if (arguments.s[0] == '{') {
        text = text_item(arguments);
    }
    if (!text) {
        return false;
    }
    calls->list = calls->list ? calls->list : cJSON_CreateArray();
    cJSON *call = cJSON_CreateObject(), *function = cJSON_CreateObject();
    bool ok = calls->list && put(call, "id", id_item(calls, zoo_piece_trim(id))) &&
              put(call, "type", cJSON_CreateString("function")) &&
              put(function, "name", text_item(name));
    if (!put(function, "arguments", text)) {
        ok = false;
    }
    ok = put(call, "function", function) && ok && cJSON_AddItemToArray(calls->list, call);
    if (!ok) {
        cJSON_Delete(call);
        calls->failed = true;
    }
    return ok;
}
