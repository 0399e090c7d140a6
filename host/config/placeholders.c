/*
 * placeholders.c: tokens of images, videos and sound, and the rows that they have in a text.
 *
 * The wrapper's class file has them as
 *   "placeholders": {"tokens": {key of the wrapper: its default}, "row": a number, or
 *                    {"key": key of the text part, "default": its default}}
 * A token that is null stands for nothing.
 */
#include "config/placeholders.h"

#include <math.h>

#include "config/config_private.h"

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_token(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < ZOO_ROW_NONE &&
           floor(item->valuedouble) == item->valuedouble;
}

/* The row that replaces those of the placeholders; ZOO_ROW_NONE where there is none such. */
static uint32_t replacement(const zoo_model_config *c, const cJSON *row)
{
    if (cJSON_IsObject(row)) {
        const cJSON *given = member(c->text, cJSON_GetStringValue(member(row, "key")));
        row = given ? given : member(row, "default");
    }
    return is_token(row) ? (uint32_t)row->valuedouble : ZOO_ROW_NONE;
}

zoo_status zoo_placeholders_read(const zoo_model_config *config, zoo_placeholders *out,
                                 zoo_error *err)
{
    const cJSON *all = member(config->wrapper_json, "placeholders"), *token = NULL;
    uint32_t row = replacement(config, member(all, "row"));
    *out = (zoo_placeholders){.n = 0};
    cJSON_ArrayForEach(token, member(all, "tokens"))
    {
        const cJSON *given = member(config->json, token->string);
        const cJSON *value = given ? given : token;
        if (cJSON_IsNull(value)) {
            continue;
        }
        if (!is_token(value) || out->n == ZOO_PLACEHOLDERS_MAX) {
            return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" should be the number of a token",
                            config->path, token->string);
        }
        out->of[out->n++] = (zoo_placeholder){(uint32_t)value->valuedouble, row};
    }
    return ZOO_OK;
}
