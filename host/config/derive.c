/*
 * derive.c: runs the derivations of a class file, and implements those of single values.
 *
 * Derivations (others are in derive_layers.c, derive_typed.c and derive_rope.c):
 *   same        the value of `of`
 *   value       `value`; {"key": K} inside is replaced by the value of K
 *   sum         of[0] + of[1]
 *   product     of[0] * of[1], truncated to an integer
 *   quotient    of[0] / of[1], rounded down, or up with `up`; a list means its product
 *   root        sqrt(of); inverse_root: 1 / sqrt(of); inverse: 1 / of
 *   spelled     the value of the file's key `of`, if it is there and not null (with `null`, null
 *               too); `plus` is added
 *   both_ways   window / 2 + 1, for a window that extends to both sides
 *   last_layer  num_hidden_layers - 1
 * Conditions: `when`, the state of the key itself: null, falsy, absent, auto, number, minus_one;
 * `is`: the key, or that of `if`, holds this text; `if`, `unless`: a key is true, or is not;
 * `without`: a key is null or absent. Source: the configuration classes of the reference.
 */
#include <math.h>
#include <string.h>

#include "config/attributes.h"

static const char *text_of(const cJSON *step, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, name));
}

static zoo_status set(zoo_attributes *a, const cJSON *step, cJSON *value, zoo_error *err)
{
    char origin[128];
    const char *of = text_of(step, "of");
    (void)snprintf(origin, sizeof origin, "derived: %.40s%s%.60s", text_of(step, "by"),
                   of ? " of " : "", of ? of : "");
    return zoo_attributes_set(a, text_of(step, "key"), value, origin, err);
}

static zoo_status not_numbers(const zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_CONFIG,
                    "%s: \"%s\" cannot be derived (\"%s\"): an operand is not a number, or is 0",
                    a->path, text_of(step, "key"), text_of(step, "by"));
}

/* A number, the number at a key, or the product of a list of these; NaN if any is not a number. */
static double operand(const zoo_attributes *a, const cJSON *item)
{
    if (cJSON_IsNumber(item)) {
        return item->valuedouble;
    }
    if (cJSON_IsString(item)) {
        const cJSON *value = zoo_attributes_get(a, item->valuestring);
        return cJSON_IsNumber(value) ? value->valuedouble : (double)NAN;
    }
    double product = cJSON_IsArray(item) ? 1.0 : (double)NAN;
    const cJSON *factor = NULL;
    cJSON_ArrayForEach(factor, item)
    {
        product *= operand(a, factor);
    }
    return product;
}

static zoo_status derive_same(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *value = zoo_attributes_get(a, text_of(step, "of"));
    return set(a, step, value ? cJSON_Duplicate(value, true) : cJSON_CreateNull(), err);
}

/* A copy of value in which {"key": K} is the value of K. */
static cJSON *fill_in(const zoo_attributes *a, const cJSON *value)
{
    const char *key = cJSON_GetArraySize(value) == 1 ? text_of(value, "key") : NULL;
    const cJSON *found = key ? zoo_attributes_get(a, key) : NULL;
    cJSON *copy = cJSON_Duplicate(found ? found : value, true);
    cJSON *child = copy && !found ? copy->child : NULL;
    for (; child; child = child->next) {
        const char *inner = cJSON_IsObject(child) ? text_of(child, "key") : NULL;
        const cJSON *other = inner ? zoo_attributes_get(a, inner) : NULL;
        cJSON *put = other ? cJSON_Duplicate(other, true) : NULL;
        if (put && child->string) {
            const char *name = child->string;
            child = copy->child; /* the replaced item has been freed: continue after the new one */
            (void)cJSON_ReplaceItemInObjectCaseSensitive(copy, name, put);
            child = put;
        }
    }
    return copy;
}

/* The default of a key that is not a field (`kwargs`, or "when": "absent") is added to extras. */
static zoo_status derive_value(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const char *when = text_of(step, "when");
    if ((when && strcmp(when, "absent") == 0) ||
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(step, "kwargs"))) {
        return zoo_attributes_set_extra(a, text_of(step, "key"),
                                        fill_in(a, cJSON_GetObjectItemCaseSensitive(step, "value")),
                                        "class", err);
    }
    return set(a, step, fill_in(a, cJSON_GetObjectItemCaseSensitive(step, "value")), err);
}

static zoo_status derive_sum(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(step, "of");
    double sum = operand(a, cJSON_GetArrayItem(of, 0)) + operand(a, cJSON_GetArrayItem(of, 1));
    return isfinite(sum) ? set(a, step, cJSON_CreateNumber(sum), err) : not_numbers(a, step, err);
}

static zoo_status derive_product(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    double product = operand(a, cJSON_GetObjectItemCaseSensitive(step, "of"));
    return isfinite(product) ? set(a, step, cJSON_CreateNumber(trunc(product)), err)
                             : not_numbers(a, step, err);
}

static zoo_status derive_quotient(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(step, "of");
    double above = operand(a, cJSON_GetArrayItem(of, 0)),
           below = operand(a, cJSON_GetArrayItem(of, 1));
    double ratio = above / below;
    bool up = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(step, "up"));
    return isfinite(ratio) ? set(a, step, cJSON_CreateNumber(up ? ceil(ratio) : floor(ratio)), err)
                           : not_numbers(a, step, err);
}

static zoo_status derive_root(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    double of = operand(a, cJSON_GetObjectItemCaseSensitive(step, "of"));
    const char *by = text_of(step, "by");
    double value = strcmp(by, "root") == 0           ? sqrt(of)
                   : strcmp(by, "inverse_root") == 0 ? 1.0 / sqrt(of)
                                                     : 1.0 / of;
    return isfinite(value) ? set(a, step, cJSON_CreateNumber(value), err)
                           : not_numbers(a, step, err);
}

static zoo_status derive_spelled(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *value = zoo_attributes_get(a, text_of(step, "of"));
    bool null_too = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(step, "null"));
    const cJSON *plus = cJSON_GetObjectItemCaseSensitive(step, "plus");
    if (!value || (cJSON_IsNull(value) && !null_too)) {
        return ZOO_OK;
    }
    char origin[ZOO_CLASS_KEY_MAX];
    (void)snprintf(origin, sizeof origin, "file: %s", text_of(step, "of"));
    bool add = plus && cJSON_IsNumber(value);
    cJSON *copy = add ? cJSON_CreateNumber(value->valuedouble + plus->valuedouble)
                      : cJSON_Duplicate(value, true);
    cJSON_DeleteItemFromObjectCaseSensitive(a->extras, text_of(step, "of"));
    return zoo_attributes_set(a, text_of(step, "key"), copy, origin, err);
}

static zoo_status derive_both_ways(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *window = zoo_attributes_get(a, text_of(step, "key"));
    return cJSON_IsNumber(window)
               ? set(a, step, cJSON_CreateNumber(floor(window->valuedouble / 2) + 1), err)
               : not_numbers(a, step, err);
}

static zoo_status derive_last_layer(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *n = zoo_attributes_get(a, "num_hidden_layers");
    return cJSON_IsNumber(n) ? set(a, step, cJSON_CreateNumber(n->valuedouble - 1), err)
                             : not_numbers(a, step, err);
}

static const struct {
    const char *name;
    zoo_derivation *run;
} derivations[] = {
    {"same", derive_same},
    {"value", derive_value},
    {"sum", derive_sum},
    {"product", derive_product},
    {"quotient", derive_quotient},
    {"root", derive_root},
    {"inverse_root", derive_root},
    {"inverse", derive_root},
    {"spelled", derive_spelled},
    {"both_ways", derive_both_ways},
    {"last_layer", derive_last_layer},
    {"first", zoo_derive_first},
    {"periodic", zoo_derive_periodic},
    {"repeat", zoo_derive_repeat},
    {"where", zoo_derive_where},
    {"cycle", zoo_derive_cycle},
    {"numbered", zoo_derive_numbered},
    {"prefix_pattern", zoo_derive_prefix_pattern},
    {"every_nth", zoo_derive_every_nth},
    {"letters", zoo_derive_letters},
    {"last", zoo_derive_last},
    {"indices", zoo_derive_indices},
    {"expand", zoo_derive_expand},
    {"indexer_pattern", zoo_derive_indexer_pattern},
    {"compressed_layers", zoo_derive_compressed_layers},
    {"cut_layers", zoo_derive_cut_layers},
    {"enumerated", zoo_derive_enumerated},
    {"layer_heads", zoo_derive_layer_heads},
    {"typed_rope", zoo_derive_typed_rope},
    {"rope", zoo_derive_rope},
    {"rotated_share", zoo_derive_rotated_share},
    {"compressed_rope", zoo_derive_compressed_rope},
};

static bool is_null(const cJSON *item)
{
    return !item || cJSON_IsNull(item);
}

static bool when_holds(const cJSON *own, const char *when)
{
    if (strcmp(when, "null") == 0) {
        return is_null(own);
    }
    if (strcmp(when, "falsy") == 0) {
        return !zoo_json_truthy(own);
    }
    if (strcmp(when, "absent") == 0) {
        return !own;
    }
    if (strcmp(when, "auto") == 0) {
        return cJSON_IsString(own) && strcmp(own->valuestring, "auto") == 0;
    }
    if (strcmp(when, "minus_one") == 0) {
        return cJSON_IsNumber(own) && own->valuedouble == -1;
    }
    return cJSON_IsNumber(own);
}

static bool applies(const zoo_attributes *a, const cJSON *step)
{
    const char *key = text_of(step, "key"), *when = text_of(step, "when");
    const char *on = text_of(step, "if"), *off = text_of(step, "unless");
    const char *without = text_of(step, "without"), *is = text_of(step, "is");
    const cJSON *own = key ? zoo_attributes_get(a, key) : NULL;
    const cJSON *word = on ? zoo_attributes_get(a, on) : own;
    return (!when || when_holds(own, when)) && (!on || zoo_json_truthy(word)) &&
           (!off || !zoo_json_truthy(zoo_attributes_get(a, off))) &&
           (!without || is_null(zoo_attributes_get(a, without))) &&
           (!is || (cJSON_IsString(word) && strcmp(word->valuestring, is) == 0));
}

static zoo_status derive(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const char *by = text_of(step, "by");
    for (size_t i = 0; by && i < ZOO_COUNT(derivations); i++) {
        if (strcmp(derivations[i].name, by) == 0) {
            return applies(a, step) ? derivations[i].run(a, step, err) : ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_FORMAT,
                    "%s: its class file names the derivation \"%s\", which this program lacks",
                    a->path, by ? by : "");
}

zoo_status zoo_attributes_make(zoo_attributes *a, const cJSON *text, zoo_error *err)
{
    const cJSON *step = NULL;
    ZOO_TRY(zoo_attributes_read(a, text, err));
    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(a->class_json, "derived"))
    {
        ZOO_TRY(derive(a, step, err));
    }
    ZOO_TRY(zoo_attributes_check_lists(a, err));
    return zoo_attributes_finish_rope(a, err);
}
