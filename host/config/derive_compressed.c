/*
 * derive_compressed.c: the derivation `compressed_rope`: rotary blocks of layers with and without a
 * compressor, and the share of a head that both rotate.
 */
#include <math.h>
#include <string.h>

#include "config/attributes.h"
#include "config/rope_json.h"

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
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", a->path);
    }
    if (cJSON_IsObject(main) && cJSON_IsObject(compress)) {
        rope_json_replace(both, "main", cJSON_Duplicate(main, true));
        rope_json_replace(both, "compress", cJSON_Duplicate(compress, true));
        ZOO_TRY(zoo_attributes_set(a, "rope_parameters", both, "file: rope_parameters", err));
        return block_share(a, err);
    }
    (void)cJSON_AddStringToObject(one, "rope_type", "default");
    rope_json_replace(one, "rope_theta", rope_json_copy(zoo_attributes_get(a, "rope_theta")));
    (void)cJSON_AddNumberToObject(one, "partial_rotary_factor", share);
    cJSON_ArrayForEach(member, given)
    {
        if (strcmp(member->string, "main") != 0 && strcmp(member->string, "compress") != 0) {
            rope_json_replace(two, member->string, cJSON_Duplicate(member, true));
        }
    }
    rope_json_replace(two, "rope_theta",
                      rope_json_copy(zoo_attributes_get(a, "compress_rope_theta")));
    rope_json_replace(two, "partial_rotary_factor", cJSON_CreateNumber(share));
    rope_json_default(two, "rope_type", cJSON_CreateString("default"));
    const char *type = rope_json_text(two, "rope_type");
    if (type && strcmp(type, "yarn") == 0) {
        rope_json_default(two, "attention_factor", cJSON_CreateNumber(1.0));
    }
    return zoo_attributes_set(a, "rope_parameters", both, "derived: compressed_rope", err);
}
