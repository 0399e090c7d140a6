/*
 * derive_rope.c: normalises rotary parameters of every spelling to the form of the reference's base
 * class, and turns the file's other keys into attributes.
 *
 * The form: `rope_parameters`, flat or with one object for each layer type (or label), each with
 * rope_type, rope_theta and the members that its kind reads; others are dropped. The conversion is
 * given by the class file's member "rope":
 *   standard       rope_scaling, if true, replaces rope_parameters; a top-level rope_theta and
 *                  partial_rotary_factor are the defaults, in each nested object
 *   by_layer       objects full_attention and sliding_attention: rope_scaling applies to the first,
 *                  rope_theta and rope_local_base_freq are their bases
 *   by_layer_same  the same with one default base; only the first reads rope_theta
 *   by_layer_named the same with bases global_rope_theta and local_rope_theta; rope_scaling applies
 *                  to both objects
 *   rotary_pct     rotary_emb_base and rotary_pct for rope_theta and partial_rotary_factor, which
 *                  is member "share" or 0.25 where neither is there
 *   longrope       "su" and "yarn" are longrope
 *   mrope          "mrope" is default
 *   rotary_dim     partial_rotary_factor is rotary_dim / head_dim
 *   late           the kind default with the base rope_theta; a rope_parameters of the file, which
 *                  is not a field, replaces it
 *   xdrope         "xdrope" is dynamic
 *   typed          members beside the objects of layer types are dropped; rope_scaling replaces all
 *   none           rope_parameters is unchanged; rope_scaling replaces it; keys beside it count
 *                  only where a kind other than default makes a table
 * Source: RotaryEmbeddingConfigMixin of the reference and the classes that override it.
 */
#include <string.h>

#include "config/attributes.h"
#include "config/rope_json.h"

static const char *const original = "original_max_position_embeddings";

static const cJSON *rope_of(const zoo_attributes *a, const char *name)
{
    const cJSON *rope = cJSON_GetObjectItemCaseSensitive(a->class_json, "rope");
    return cJSON_GetObjectItemCaseSensitive(rope, name);
}

static zoo_status out_of_memory(const zoo_attributes *a, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", a->path);
}

static bool in_list(const cJSON *list, const char *word)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, word) == 0) {
            return true;
        }
    }
    return false;
}

static bool kind_reads(const zoo_attributes *a, const char *type, const char *key)
{
    const cJSON *kinds = cJSON_GetObjectItemCaseSensitive(a->common, "rope_kinds");
    return in_list(cJSON_GetObjectItemCaseSensitive(kinds, type), key);
}

/* Whether a member of rope_parameters is the object of a layer type. */
static bool is_nested(const zoo_attributes *a, const cJSON *member)
{
    const cJSON *labels = rope_of(a, "labels");
    labels = labels ? labels : zoo_attributes_get(a, "layer_types");
    return member->string && in_list(labels, member->string);
}

static bool any_nested(const zoo_attributes *a, const cJSON *params)
{
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, params)
    {
        if (is_nested(a, member)) {
            return true;
        }
    }
    return false;
}

static void standardize_one(const zoo_attributes *a, cJSON *params, bool flat)
{
    const cJSON *partial = zoo_attributes_get(a, "partial_rotary_factor");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(params, "type");
    rope_json_default(params, "rope_type",
                      old ? cJSON_Duplicate(old, true) : cJSON_CreateString("default"));
    rope_json_default(params, "rope_theta", rope_json_copy(zoo_attributes_get(a, "rope_theta")));
    if (partial && !cJSON_IsNull(partial)) {
        rope_json_default(params, "partial_rotary_factor", cJSON_Duplicate(partial, true));
    }
    const char *type = rope_json_text(params, "rope_type");
    if (!type || !kind_reads(a, type, original)) {
        return;
    }
    const cJSON *top = cJSON_GetObjectItemCaseSensitive(a->set, original);
    if (flat && top && !rope_of(a, "original")) {
        rope_json_replace(params, original, cJSON_Duplicate(top, true));
    } else {
        rope_json_default(params, original,
                          rope_json_copy(zoo_attributes_get(a, "max_position_embeddings")));
    }
}

static zoo_status standardize(zoo_attributes *a, zoo_error *err)
{
    cJSON *params = zoo_attributes_get(a, "rope_parameters"), *member = NULL;
    if (!cJSON_IsObject(params)) {
        return ZOO_OK;
    }
    if (!any_nested(a, params)) {
        if (params->child || zoo_json_truthy(zoo_attributes_get(a, "rope_theta"))) {
            standardize_one(a, params, true);
        }
        return ZOO_OK;
    }
    cJSON_ArrayForEach(member, params)
    {
        if (!is_nested(a, member) || cJSON_IsNull(member)) {
            continue;
        }
        if (!cJSON_IsObject(member)) {
            return zoo_fail(err, ZOO_E_CONFIG, "%s: \"rope_parameters.%s\" should be an object",
                            a->path, member->string);
        }
        standardize_one(a, member, false);
    }
    return ZOO_OK;
}

/* Sets rope_parameters to rope_scaling if that is true; if neither is there, to an empty object. */
static zoo_status choose_block(zoo_attributes *a, zoo_error *err)
{
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(a->extras, "rope_scaling");
    const cJSON *params = zoo_attributes_get(a, "rope_parameters");
    if (zoo_json_truthy(scaling)) {
        if (!cJSON_IsObject(scaling)) {
            return zoo_fail(err, ZOO_E_CONFIG, "%s: \"rope_scaling\" should be an object or null",
                            a->path);
        }
        return zoo_attributes_set(a, "rope_parameters", cJSON_Duplicate(scaling, true),
                                  "file: rope_scaling", err);
    }
    return cJSON_IsObject(params)
               ? ZOO_OK
               : zoo_attributes_set(a, "rope_parameters", cJSON_CreateObject(), "class", err);
}

/* The base: the file's key, else the attribute, else the class's default. */
static cJSON *theta_of(const zoo_attributes *a, const char *key, const char *level)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(a->extras, key);
    const cJSON *own = given ? given : zoo_attributes_get(a, key);
    const cJSON *fallback = rope_of(a, "theta");
    fallback =
        cJSON_IsObject(fallback) ? cJSON_GetObjectItemCaseSensitive(fallback, level) : fallback;
    return own ? cJSON_Duplicate(own, true) : rope_json_copy(fallback);
}

static zoo_status convert_standard(zoo_attributes *a, zoo_error *err)
{
    ZOO_TRY(choose_block(a, err));
    cJSON *params = zoo_attributes_get(a, "rope_parameters"), *member = NULL;
    const cJSON *partial = zoo_attributes_get(a, "partial_rotary_factor");
    bool nested = any_nested(a, params), use = partial && !cJSON_IsNull(partial);
    cJSON_ArrayForEach(member, params)
    {
        if (nested && is_nested(a, member) && cJSON_IsObject(member)) {
            rope_json_default(member, "rope_theta", theta_of(a, "rope_theta", ""));
            if (use) {
                rope_json_default(member, "partial_rotary_factor", cJSON_Duplicate(partial, true));
            }
        }
    }
    if (!nested) {
        rope_json_default(params, "rope_theta", theta_of(a, "rope_theta", ""));
        if (use) {
            rope_json_default(params, "partial_rotary_factor", cJSON_Duplicate(partial, true));
        }
    }
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "rope_theta");
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "partial_rotary_factor");
    return standardize(a, err);
}

static cJSON *level_of(cJSON *params, const char *name)
{
    cJSON *level = cJSON_GetObjectItemCaseSensitive(params, name);
    if (!level || cJSON_IsNull(level)) {
        level = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(level, "rope_type", "default");
        rope_json_replace(params, name, level);
    }
    return level;
}

/* How objects for full and windowed layers are filled: the keys of their bases, and whether
 * rope_scaling applies to windowed layers too. */
typedef struct layer_bases {
    const char *how, *full, *sliding;
    bool both;
} layer_bases;

static const layer_bases all_bases[] = {
    {"by_layer", "rope_theta", "rope_local_base_freq", false},
    {"by_layer_same", "rope_theta", "rope_theta", false},
    {"by_layer_named", "global_rope_theta", "local_rope_theta", true},
};

static const layer_bases *find_bases(const char *how)
{
    for (size_t i = 0; i < ZOO_COUNT(all_bases); i++) {
        if (strcmp(all_bases[i].how, how) == 0) {
            return &all_bases[i];
        }
    }
    return NULL;
}

static zoo_status convert_by_layer(zoo_attributes *a, const layer_bases *bases, zoo_error *err)
{
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(a->extras, "rope_scaling");
    const cJSON *given = zoo_attributes_get(a, "rope_parameters"), *member = NULL;
    bool own = cJSON_IsObject(given);
    if (!own) {
        ZOO_TRY(zoo_attributes_set(a, "rope_parameters", cJSON_CreateObject(), "class", err));
    }
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    bool has_full = !own || cJSON_GetObjectItemCaseSensitive(params, "full_attention");
    bool has_all = has_full && (!own || !bases->both ||
                                cJSON_GetObjectItemCaseSensitive(params, "sliding_attention"));
    cJSON *full = level_of(params, "full_attention"),
          *sliding = level_of(params, "sliding_attention");
    if (!cJSON_IsObject(full) || !cJSON_IsObject(sliding) ||
        (scaling && !cJSON_IsNull(scaling) && (!cJSON_IsObject(scaling) || !has_all))) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%s: \"rope_parameters\" and \"rope_scaling\" should be objects, and the "
                        "second needs a full_attention in the first%s",
                        a->path, bases->both ? ", and a sliding_attention" : "");
    }
    cJSON_ArrayForEach(member, scaling)
    {
        rope_json_replace(full, member->string, cJSON_Duplicate(member, true));
        if (bases->both) {
            rope_json_replace(sliding, member->string, cJSON_Duplicate(member, true));
        }
    }
    rope_json_default(full, "rope_theta", theta_of(a, bases->full, "global"));
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, bases->full);
    rope_json_default(sliding, "rope_theta", theta_of(a, bases->sliding, "local"));
    if (bases->both) {
        cJSON_DeleteItemFromObjectCaseSensitive(a->extras, bases->sliding);
    }
    return standardize(a, err);
}

static zoo_status convert_rotary_pct(zoo_attributes *a, zoo_error *err)
{
    ZOO_TRY(choose_block(a, err));
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(a->extras, "rotary_pct");
    share = share ? share : rope_of(a, "share");
    rope_json_default(params, "rope_theta", theta_of(a, "rotary_emb_base", ""));
    rope_json_default(params, "partial_rotary_factor",
                      share ? cJSON_Duplicate(share, true) : cJSON_CreateNumber(0.25));
    return standardize(a, err);
}

static zoo_status convert_renamed(zoo_attributes *a, bool longrope, zoo_error *err)
{
    ZOO_TRY(choose_block(a, err));
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    rope_json_default(params, "rope_theta", theta_of(a, "rope_theta", ""));
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "rope_theta");
    const char *type = rope_json_text(params, "rope_type");
    type = type ? type : rope_json_text(params, "type");
    if (longrope) {
        const cJSON *partial = zoo_attributes_get(a, "partial_rotary_factor");
        rope_json_default(params, "partial_rotary_factor",
                          partial ? cJSON_Duplicate(partial, true) : cJSON_CreateNumber(1.0));
    } else if (type && strcmp(type, "mrope") == 0) {
        rope_json_replace(params, "rope_type", cJSON_CreateString("default"));
    } else if (type && strcmp(type, "xdrope") == 0) {
        rope_json_replace(params, "rope_type", cJSON_CreateString("dynamic"));
    }
    ZOO_TRY(standardize(a, err));
    type = rope_json_text(params, "rope_type");
    if (longrope && type && (strcmp(type, "su") == 0 || strcmp(type, "yarn") == 0)) {
        rope_json_replace(params, "rope_type", cJSON_CreateString("longrope"));
    }
    return ZOO_OK;
}

static zoo_status convert_rotary_dim(zoo_attributes *a, zoo_error *err)
{
    const cJSON *dim = zoo_attributes_get(a, "rotary_dim");
    const cJSON *head = zoo_attributes_get(a, "head_dim");
    if (cJSON_IsNumber(dim) && cJSON_IsNumber(head) && head->valuedouble > 0) {
        rope_json_default(a->extras, "partial_rotary_factor",
                          cJSON_CreateNumber(dim->valuedouble / head->valuedouble));
    }
    return convert_standard(a, err);
}

static zoo_status replace_by_scaling(zoo_attributes *a, zoo_error *err)
{
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(a->extras, "rope_scaling");
    return !scaling ? ZOO_OK
                    : zoo_attributes_set(a, "rope_parameters", cJSON_Duplicate(scaling, true),
                                         "file: rope_scaling", err);
}

static zoo_status convert_typed(zoo_attributes *a, zoo_error *err)
{
    if (!cJSON_IsObject(zoo_attributes_get(a, "rope_parameters"))) {
        ZOO_TRY(zoo_attributes_set(a, "rope_parameters", cJSON_CreateObject(), "class", err));
    }
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    if (any_nested(a, params)) {
        cJSON_DeleteItemFromObjectCaseSensitive(params, "rope_theta");
        cJSON_DeleteItemFromObjectCaseSensitive(params, "rope_type");
    }
    ZOO_TRY(standardize(a, err));
    return replace_by_scaling(a, err);
}

static zoo_status convert(zoo_attributes *a, zoo_error *err)
{
    const char *how = cJSON_GetStringValue(rope_of(a, "how"));
    if (!how) {
        return ZOO_OK;
    }
    if (strcmp(how, "none") == 0) {
        return replace_by_scaling(a, err);
    }
    if (strcmp(how, "typed") == 0) {
        return convert_typed(a, err);
    }
    if (strcmp(how, "late") == 0) {
        cJSON *params = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(params, "rope_type", "default");
        rope_json_replace(params, "rope_theta",
                          rope_json_copy(zoo_attributes_get(a, "rope_theta")));
        if (!params || !cJSON_AddItemToObject(a->set, "rope_parameters", params)) {
            return out_of_memory(a, err);
        }
        return ZOO_OK;
    }
    const layer_bases *bases = find_bases(how);
    if (bases) {
        return convert_by_layer(a, bases, err);
    }
    if (strcmp(how, "rotary_pct") == 0) {
        return convert_rotary_pct(a, err);
    }
    if (strcmp(how, "longrope") == 0 || strcmp(how, "mrope") == 0 || strcmp(how, "xdrope") == 0) {
        return convert_renamed(a, strcmp(how, "longrope") == 0, err);
    }
    return strcmp(how, "rotary_dim") == 0 ? convert_rotary_dim(a, err) : convert_standard(a, err);
}

/* Replaces layer types of older files by their present names. */
static void rename_layers(zoo_attributes *a)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(a->common, "renamed_layers");
    cJSON *item = NULL;
    cJSON_ArrayForEach(item, zoo_attributes_get(a, "layer_types"))
    {
        const char *name = cJSON_IsString(item) ? rope_json_text(names, item->valuestring) : NULL;
        if (name) {
            (void)cJSON_SetValuestring(item, name);
        }
    }
}

zoo_status zoo_derive_rope(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    (void)step;
    ZOO_TRY(convert(a, err));
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "rope_scaling");
    a->converted = true;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, a->extras)
    {
        char origin[ZOO_CLASS_KEY_MAX];
        (void)snprintf(origin, sizeof origin, "file: %.200s", item->string);
        ZOO_TRY(zoo_attributes_set(a, item->string, cJSON_Duplicate(item, true), origin, err));
    }
    rename_layers(a);
    return ZOO_OK;
}

/* What the model's own table of frequencies takes where a member is absent. */
static void fill_absent(const zoo_attributes *a, cJSON *params)
{
    const char *type = rope_json_text(params, "rope_type");
    const cJSON *item = NULL, *usual = rope_of(a, "absent");
    if (type && strcmp(type, "default") == 0) {
        cJSON_ArrayForEach(item, usual)
        {
            rope_json_default(params, item->string, cJSON_Duplicate(item, true));
        }
    }
}

static void drop_unread(const zoo_attributes *a, cJSON *params, const cJSON *outer)
{
    if (rope_of(a, "kinds")) {
        rope_json_replace(params, "rope_type", cJSON_CreateString("default"));
    }
    const char *type = rope_json_text(params, "rope_type");
    const cJSON *truncate = cJSON_GetObjectItemCaseSensitive(outer, "truncate");
    if (outer) { /* the reference reads it from rope_parameters itself, not from a layer type's */
        cJSON_DeleteItemFromObjectCaseSensitive(params, "truncate");
        if (truncate) {
            rope_json_replace(params, "truncate", cJSON_Duplicate(truncate, true));
        }
    }
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(params, "truncate"))) {
        rope_json_replace(params, "truncate",
                          cJSON_CreateFalse()); /* its code takes null for false */
    }
    cJSON *next = NULL;
    for (cJSON *item = params->child; item; item = next) {
        next = item->next;
        const char *key = item->string;
        bool kept = strcmp(key, "rope_type") == 0 || strcmp(key, "rope_theta") == 0 ||
                    in_list(rope_of(a, "reads"), key) || (type && kind_reads(a, type, key));
        if (!kept) {
            cJSON_Delete(cJSON_DetachItemViaPointer(params, item));
        }
    }
}

/* Whether the model reads blocks by layer type; others read the members beside them. */
static bool reads_by_type(const zoo_attributes *a)
{
    static const char *const flat[] = {"standard", "rotary_pct", "longrope", "xdrope",
                                       "mrope",    "rotary_dim", "late"};
    const char *how = cJSON_GetStringValue(rope_of(a, "how"));
    for (size_t i = 0; i < ZOO_COUNT(flat); i++) {
        if (strcmp(how, flat[i]) == 0) {
            return rope_of(a, "labels") || rope_of(a, "by_type");
        }
    }
    return true;
}

/* Drops blocks that a model without layer types does not read: members beside them are its own. */
static zoo_status drop_blocks(const zoo_attributes *a, cJSON *params, zoo_error *err)
{
    const char *type = rope_json_text(params, "rope_type");
    const cJSON *theta = cJSON_GetObjectItemCaseSensitive(params, "rope_theta");
    cJSON *next = NULL;
    if (reads_by_type(a) || (!type && !theta)) {
        return ZOO_OK;
    }
    if (!type || !theta) {
        return zoo_fail(
            err, ZOO_E_CONFIG,
            "%s: \"rope_parameters\" has blocks by layer type, which the class does not read, "
            "and \"%s\" is not beside them",
            a->path, type ? "rope_theta" : "rope_type");
    }
    for (cJSON *item = params->child; item; item = next) {
        next = item->next;
        if (is_nested(a, item)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(params, item));
        }
    }
    return ZOO_OK;
}

/* Whether keys beside the blocks count: a class that converts has taken them over, and so does the
 * code that makes the table of any kind but the default one. */
static bool takes_over(const zoo_attributes *a)
{
    const cJSON *params = zoo_attributes_get(a, "rope_parameters"), *block = params;
    bool takes = strcmp(cJSON_GetStringValue(rope_of(a, "how")), "none") != 0;
    for (; block && !takes; block = block == params ? params->child : block->next) {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(block, "rope_type");
        takes = cJSON_IsString(type) && strcmp(type->valuestring, "default") != 0;
    }
    return takes;
}

zoo_status zoo_attributes_finish_rope(zoo_attributes *a, zoo_error *err)
{
    if (!cJSON_IsString(rope_of(a, "how"))) {
        return ZOO_OK;
    }
    ZOO_TRY(takes_over(a) ? standardize(a, err) : ZOO_OK); /* now that all keys are attributes */
    cJSON_DeleteItemFromObjectCaseSensitive(a->set, original); /* that in rope_parameters is used */
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    if (!cJSON_IsObject(params)) {
        return ZOO_OK;
    }
    ZOO_TRY(any_nested(a, params) ? drop_blocks(a, params, err) : ZOO_OK);
    bool nested = any_nested(a, params);
    cJSON_DeleteItemFromObjectCaseSensitive(a->set, "partial_rotary_factor"); /* as above */
    if (!nested) {
        drop_unread(a, params, NULL);
        fill_absent(a, params);
    }
    cJSON *next = NULL;
    for (cJSON *item = nested ? params->child : NULL; item; item = next) {
        next = item->next;
        if (cJSON_IsObject(item) && is_nested(a, item)) {
            drop_unread(a, item, params);
            fill_absent(a, item);
        }
    }
    for (cJSON *item = nested ? params->child : NULL; item; item = next) {
        next = item->next;
        if (!is_nested(a, item)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(params, item));
        }
    }
    return ZOO_OK;
}
