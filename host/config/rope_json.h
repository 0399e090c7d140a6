/* rope_json.h: members of rotary blocks, for the derivations that make them. */
#ifndef ZOO_ROPE_JSON_H
#define ZOO_ROPE_JSON_H

#include <cjson/cJSON.h>

/* Sets a key that is absent. Takes value. */
static inline void rope_json_default(cJSON *object, const char *key, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) ||
        !cJSON_AddItemToObject(object, key, value)) {
        cJSON_Delete(value);
    }
}

/* Takes value. */
static inline void rope_json_replace(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (!cJSON_AddItemToObject(object, key, value)) {
        cJSON_Delete(value);
    }
}

/* A copy; null for nothing. */
static inline cJSON *rope_json_copy(const cJSON *item)
{
    return item ? cJSON_Duplicate(item, true) : cJSON_CreateNull();
}

/* The text at key, or null. */
static inline const char *rope_json_text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

#endif
