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
#include <math.h>
#include <string.h>

#include "config/attributes.h"

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

/* Takes value. */
static void set_default(cJSON *object, const char *key, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) ||
        !cJSON_AddItemToObject(object, key, value)) {
        cJSON_Delete(value);
    }
}

static void replace(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (!cJSON_AddItemToObject(object, key, value)) {
        cJSON_Delete(value);
    }
}

static cJSON *copy_or_null(const cJSON *item)
{
    return item ? cJSON_Duplicate(item, true) : cJSON_CreateNull();
}

static const char *text_in(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
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
    set_default(params, "rope_type",
                old ? cJSON_Duplicate(old, true) : cJSON_CreateString("default"));
    set_default(params, "rope_theta", copy_or_null(zoo_attributes_get(a, "rope_theta")));
    if (partial && !cJSON_IsNull(partial)) {
        set_default(params, "partial_rotary_factor", cJSON_Duplicate(partial, true));
    }
    const char *type = text_in(params, "rope_type");
    if (!type || !kind_reads(a, type, original)) {
        return;
    }
    const cJSON *top = cJSON_GetObjectItemCaseSensitive(a->set, original);
    if (flat && top && !rope_of(a, "original")) {
        replace(params, original, cJSON_Duplicate(top, true));
    } else {
        set_default(params, original,
                    copy_or_null(zoo_attributes_get(a, "max_position_embeddings")));
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
    return own ? cJSON_Duplicate(own, true) : copy_or_null(fallback);
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
            set_default(member, "rope_theta", theta_of(a, "rope_theta", ""));
            if (use) {
                set_default(member, "partial_rotary_factor", cJSON_Duplicate(partial, true));
            }
        }
    }
    if (!nested) {
        set_default(params, "rope_theta", theta_of(a, "rope_theta", ""));
        if (use) {
            set_default(params, "partial_rotary_factor", cJSON_Duplicate(partial, true));
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
        replace(params, name, level);
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
        replace(full, member->string, cJSON_Duplicate(member, true));
        if (bases->both) {
            replace(sliding, member->string, cJSON_Duplicate(member, true));
        }
    }
    set_default(full, "rope_theta", theta_of(a, bases->full, "global"));
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, bases->full);
    set_default(sliding, "rope_theta", theta_of(a, bases->sliding, "local"));
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
    set_default(params, "rope_theta", theta_of(a, "rotary_emb_base", ""));
    set_default(params, "partial_rotary_factor",
                share ? cJSON_Duplicate(share, true) : cJSON_CreateNumber(0.25));
    return standardize(a, err);
}

static zoo_status convert_renamed(zoo_attributes *a, bool longrope, zoo_error *err)
{
    ZOO_TRY(choose_block(a, err));
    cJSON *params = zoo_attributes_get(a, "rope_parameters");
    set_default(params, "rope_theta", theta_of(a, "rope_theta", ""));
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, "rope_theta");
    const char *type = text_in(params, "rope_type");
    type = type ? type : text_in(params, "type");
    if (longrope) {
        const cJSON *partial = zoo_attributes_get(a, "partial_rotary_factor");
        set_default(params, "partial_rotary_factor",
                    partial ? cJSON_Duplicate(partial, true) : cJSON_CreateNumber(1.0));
    } else if (type && strcmp(type, "mrope") == 0) {
        replace(params, "rope_type", cJSON_CreateString("default"));
    } else if (type && strcmp(type, "xdrope") == 0) {
        replace(params, "rope_type", cJSON_CreateString("dynamic"));
    }
    ZOO_TRY(standardize(a, err));
    type = text_in(params, "rope_type");
    if (longrope && type && (strcmp(type, "su") == 0 || strcmp(type, "yarn") == 0)) {
        replace(params, "rope_type", cJSON_CreateString("longrope"));
    }
    return ZOO_OK;
}

static zoo_status convert_rotary_dim(zoo_attributes *a, zoo_error *err)
{
    const cJSON *dim = zoo_attributes_get(a, "rotary_dim");
    const cJSON *head = zoo_attributes_get(a, "head_dim");
    if (cJSON_IsNumber(dim) && cJSON_IsNumber(head) && head->valuedouble > 0) {
        set_default(a->extras, "partial_rotary_factor",
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
        replace(params, "rope_theta", copy_or_null(zoo_attributes_get(a, "rope_theta")));
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
        const char *name = cJSON_IsString(item) ? text_in(names, item->valuestring) : NULL;
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

/* The rotated share of a head: partial_rotary_factor, else qk_rope_head_dim / head_dim, else
 * 64 / 512. */
static zoo_status compressed_share(zoo_attributes *a, double *share, zoo_error *err)
{
    const cJSON *partial = zoo_attributes_get(a, "partial_rotary_factor");
    const cJSON *rotated = zoo_attributes_get(a, "qk_rope_head_dim");
    const cJSON *head = zoo_attributes_get(a, "head_dim");
    if (!cJSON_IsNumber(head) || !(head->valuedouble > 0)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"head_dim\" should be a number from 1 on",
                        a->path);
    }
    *share = cJSON_IsNumber(partial)   ? partial->valuedouble
             : cJSON_IsNumber(rotated) ? rotated->valuedouble / head->valuedouble
                                       : 64.0 / 512.0;
    ZOO_TRY(zoo_attributes_set(a, "partial_rotary_factor", cJSON_CreateNumber(*share),
                               "derived: compressed_rope", err));
    return zoo_attributes_set(a, "qk_rope_head_dim",
                              cJSON_CreateNumber((double)(int64_t)(head->valuedouble * *share)),
                              "derived: compressed_rope", err);
}

/* If the file has both objects, their shares are used; they must rotate the same number of
 * elements. */
static zoo_status block_share(zoo_attributes *a, zoo_error *err)
{
    const cJSON *head = zoo_attributes_get(a, "head_dim");
    const char *const paths[] = {"rope_parameters.main.partial_rotary_factor",
                                 "rope_parameters.compress.partial_rotary_factor"};
    double dims[2];
    for (size_t i = 0; i < ZOO_COUNT(paths); i++) {
        const cJSON *share = zoo_attributes_get(a, paths[i]);
        dims[i] = trunc(head->valuedouble * (cJSON_IsNumber(share) ? share->valuedouble : 1.0));
    }
    if (dims[0] != dims[1]) {
        return zoo_fail(
            err, ZOO_E_CONFIG,
            "%s: \"%s\" rotates %.0f elements of a head, \"%s\" %.0f; different numbers are not "
            "supported",
            a->path, paths[0], dims[0], paths[1], dims[1]);
    }
    return zoo_attributes_set(a, "qk_rope_head_dim", cJSON_CreateNumber(dims[0]),
                              "derived: compressed_rope", err);
}

/* Layers with a compressor have their own base and scaling, the others the default kind. */
zoo_status zoo_derive_compressed_rope(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    double share = 0;
    (void)step;
    ZOO_TRY(compressed_share(a, &share, err));
    const cJSON *given = zoo_attributes_get(a, "rope_parameters"), *member = NULL;
    const cJSON *main = cJSON_GetObjectItemCaseSensitive(given, "main");
    const cJSON *compress = cJSON_GetObjectItemCaseSensitive(given, "compress");
    cJSON *both = cJSON_CreateObject(), *one = cJSON_CreateObject(), *two = cJSON_CreateObject();
    if (!both || !one || !two || !cJSON_AddItemToObject(both, "main", one) ||
        !cJSON_AddItemToObject(both, "compress", two)) {
        return out_of_memory(a, err);
    }
    if (cJSON_IsObject(main) && cJSON_IsObject(compress)) {
        replace(both, "main", cJSON_Duplicate(main, true));
        replace(both, "compress", cJSON_Duplicate(compress, true));
        ZOO_TRY(zoo_attributes_set(a, "rope_parameters", both, "file: rope_parameters", err));
        return block_share(a, err);
    }
    (void)cJSON_AddStringToObject(one, "rope_type", "default");
    replace(one, "rope_theta", copy_or_null(zoo_attributes_get(a, "rope_theta")));
    (void)cJSON_AddNumberToObject(one, "partial_rotary_factor", share);
    cJSON_ArrayForEach(member, given)
    {
        if (strcmp(member->string, "main") != 0 && strcmp(member->string, "compress") != 0) {
            replace(two, member->string, cJSON_Duplicate(member, true));
        }
    }
    replace(two, "rope_theta", copy_or_null(zoo_attributes_get(a, "compress_rope_theta")));
    replace(two, "partial_rotary_factor", cJSON_CreateNumber(share));
    set_default(two, "rope_type", cJSON_CreateString("default"));
    const char *type = text_in(two, "rope_type");
    if (type && strcmp(type, "yarn") == 0) {
        set_default(two, "attention_factor", cJSON_CreateNumber(1.0));
    }
    return zoo_attributes_set(a, "rope_parameters", both, "derived: compressed_rope", err);
}

/* What the model's own table of frequencies takes where a member is absent. */
static void fill_absent(const zoo_attributes *a, cJSON *params)
{
    const char *type = text_in(params, "rope_type");
    const cJSON *item = NULL, *usual = rope_of(a, "absent");
    if (type && strcmp(type, "default") == 0) {
        cJSON_ArrayForEach(item, usual)
        {
            set_default(params, item->string, cJSON_Duplicate(item, true));
        }
    }
}

static void drop_unread(const zoo_attributes *a, cJSON *params, const cJSON *outer)
{
    if (rope_of(a, "kinds")) {
        replace(params, "rope_type", cJSON_CreateString("default"));
    }
    const char *type = text_in(params, "rope_type");
    const cJSON *truncate = cJSON_GetObjectItemCaseSensitive(outer, "truncate");
    if (outer) { /* the reference reads it from rope_parameters itself, not from a layer type's */
        cJSON_DeleteItemFromObjectCaseSensitive(params, "truncate");
        if (truncate) {
            replace(params, "truncate", cJSON_Duplicate(truncate, true));
        }
    }
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(params, "truncate"))) {
        replace(params, "truncate", cJSON_CreateFalse()); /* its code takes null for false */
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
