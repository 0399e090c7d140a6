/*
 * derive_typed.c: derivations of classes whose older files have lists over the layers where newer
 * ones have values by layer type.
 *
 *   cut_layers   truncates lists of num_hidden_layers + `n` values to num_hidden_layers
 *   enumerated   of[0] for the layers in `list`, a list or a text of numbers; without a list of[0]
 *                from layer n on; else of[1]
 *   layer_heads  query heads of each layer: from per_layer_config if the file has it, else `of` for
 *                windowed layers
 *   typed_rope   rope_parameters by layer type from rope_theta and partial_rotary_factors, each a
 *                value or a list over the layers, and rope_scaling for full_attention; ignored if
 *                the file has rope_parameters by type
 *   rotated_share  the blocks' partial_rotary_factor from two sizes
 */
#include <stdlib.h>
#include <string.h>

#include "config/attributes.h"

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *step, const char *name)
{
    return cJSON_GetStringValue(member(step, name));
}

static zoo_status count_layers(const zoo_attributes *a, const cJSON *step, uint32_t *n,
                               zoo_error *err)
{
    return zoo_attributes_whole(a, "num_hidden_layers", text_of(step, "by"), ZOO_CLASS_LAYERS_MAX,
                                n, err);
}

zoo_status zoo_derive_cut_layers(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *key = NULL;
    uint32_t n_layers = 0, n_more = 0;
    const char *more = text_of(step, "n");
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    if (!zoo_attributes_get(a, more)) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_attributes_whole(a, more, "cut_layers", ZOO_CLASS_LAYERS_MAX, &n_more, err));
    cJSON_ArrayForEach(key, member(step, "reads"))
    {
        cJSON *list = zoo_attributes_get(a, key->valuestring);
        if (cJSON_IsArray(list) && cJSON_GetArraySize(list) == (int)(n_layers + n_more)) {
            for (uint32_t i = 0; i < n_more; i++) {
                cJSON_DeleteItemFromArray(list, cJSON_GetArraySize(list) - 1);
            }
        }
    }
    return ZOO_OK;
}

/* Marks the layers of a list of numbers or a comma-separated text; false: not such a list. */
static bool mark_layers(const cJSON *numbers, bool *marked, uint32_t n_layers)
{
    const cJSON *item = NULL;
    if (cJSON_IsArray(numbers)) {
        cJSON_ArrayForEach(item, numbers)
        {
            double layer = 0;
            if (!zoo_json_number(item, &layer)) {
                return false;
            }
            if (layer >= 0 && layer < n_layers) {
                marked[(uint32_t)layer] = true;
            }
        }
        return true;
    }
    const char *at = cJSON_GetStringValue(numbers);
    while (at && *at) {
        char *end = NULL;
        at += strspn(at, ", \t\n");
        long layer = strtol(at, &end, 10);
        if (end == at) {
            return *at == '\0';
        }
        if (layer >= 0 && layer < (long)n_layers) {
            marked[layer] = true;
        }
        at = end;
    }
    return at != NULL;
}

zoo_status zoo_derive_enumerated(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *numbers = zoo_attributes_get(a, text_of(step, "list"));
    const cJSON *of = member(step, "of"), *from = member(step, "n");
    bool marked[ZOO_CLASS_LAYERS_MAX] = {false};
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    bool given = numbers && !cJSON_IsNull(numbers);
    if (given && !mark_layers(numbers, marked, n_layers)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" should be a list of layer numbers", a->path,
                        text_of(step, "list"));
    }
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        bool first = given ? marked[i] : i >= from->valuedouble;
        (void)cJSON_AddItemToArray(list, cJSON_Duplicate(cJSON_GetArrayItem(of, !first), true));
    }
    return zoo_attributes_set(a, text_of(step, "key"), list, "derived: enumerated", err);
}

zoo_status zoo_derive_layer_heads(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const char *all = "num_attention_heads";
    const cJSON *own = zoo_attributes_get(a, "per_layer_config");
    const cJSON *types = zoo_attributes_get(a, "layer_types");
    bool given = own && !cJSON_IsNull(own);
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        const cJSON *heads = member(member(own, number), all);
        const char *type = cJSON_GetStringValue(cJSON_GetArrayItem(types, (int)i));
        bool sliding = !given && type && strcmp(type, "sliding_attention") == 0;
        heads = heads ? heads : zoo_attributes_get(a, sliding ? text_of(step, "of") : all);
        (void)cJSON_AddItemToArray(list, heads ? cJSON_Duplicate(heads, true) : cJSON_CreateNull());
    }
    return zoo_attributes_set(a, text_of(step, "key"), list, "derived: layer_heads", err);
}

/* Whether every layer type has an object of its own. */
static bool is_typed(const cJSON *params, const cJSON *types)
{
    const cJSON *type = NULL;
    bool all = types && types->child;
    cJSON_ArrayForEach(type, types)
    {
        all = all && cJSON_IsString(type) && cJSON_IsObject(member(params, type->valuestring));
    }
    return all;
}

/* The value for a layer: its element if the value is a list over the layers. */
static cJSON *at_layer(const cJSON *value, int layer)
{
    const cJSON *item = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, layer) : value;
    return item ? cJSON_Duplicate(item, true) : cJSON_CreateNull();
}

static cJSON *make_typed(const zoo_attributes *a, const cJSON *step, const cJSON *types)
{
    const cJSON *theta = member(a->extras, "rope_theta"), *type = NULL, *scaling = NULL;
    const cJSON *partial = member(a->extras, "partial_rotary_factors");
    cJSON *params = cJSON_CreateObject();
    int layer = 0;
    cJSON_ArrayForEach(type, types)
    {
        if (cJSON_IsString(type) && !member(params, type->valuestring)) {
            cJSON *own = cJSON_AddObjectToObject(params, type->valuestring);
            (void)cJSON_AddStringToObject(own, "rope_type", "default");
            (void)cJSON_AddItemToObject(own, "rope_theta",
                                        at_layer(theta ? theta : member(step, "value"), layer));
            if (zoo_json_truthy(partial)) {
                (void)cJSON_AddItemToObject(own, "partial_rotary_factor", at_layer(partial, layer));
            }
        }
        layer++;
    }
    cJSON *full = cJSON_GetObjectItemCaseSensitive(params, "full_attention");
    const cJSON *given = full ? member(a->extras, "rope_scaling") : NULL;
    cJSON_ArrayForEach(scaling, given)
    {
        const bool old = strcmp(scaling->string, "type") == 0;
        cJSON_DeleteItemFromObjectCaseSensitive(full, scaling->string);
        if (!old) {
            (void)cJSON_AddItemToObject(full, scaling->string, cJSON_Duplicate(scaling, true));
        }
    }
    return params;
}

zoo_status zoo_derive_typed_rope(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    static const char *const taken[] = {"rope_theta", "partial_rotary_factors", "rope_scaling"};
    const cJSON *types = zoo_attributes_get(a, "layer_types");
    if (!is_typed(zoo_attributes_get(a, "rope_parameters"), types)) {
        ZOO_TRY(zoo_attributes_set(a, "rope_parameters", make_typed(a, step, types),
                                   "derived: typed_rope", err));
        cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "partial_rotary_factor");
    }
    for (size_t i = 0; i < ZOO_COUNT(taken); i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(a->extras, taken[i]);
    }
    return ZOO_OK;
}

/* rope_parameters.partial_rotary_factor = of[0] / of[1], unless it is there. */
zoo_status zoo_derive_rotated_share(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(step, "of");
    const cJSON *part = zoo_attributes_get(a, cJSON_GetArrayItem(of, 0)->valuestring);
    const cJSON *whole = zoo_attributes_get(a, cJSON_GetArrayItem(of, 1)->valuestring);
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    if (!cJSON_IsNumber(part) || !cJSON_IsNumber(whole) || !(whole->valuedouble > 0)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" and \"%s\" should be numbers from 1 on",
                        a->path, cJSON_GetArrayItem(of, 0)->valuestring,
                        cJSON_GetArrayItem(of, 1)->valuestring);
    }
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(params, "partial_rotary_factor");
    if (cJSON_IsObject(params) && !given) {
        (void)cJSON_AddNumberToObject(params, "partial_rotary_factor",
                                      part->valuedouble / whole->valuedouble);
    }
    return ZOO_OK;
}
