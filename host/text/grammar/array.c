/*
 * array.c: arrays of a schema: a node for each place up to minItems, maxItems and prefixItems, then
 * a loop; uniqueItems where the items are an enum of few values.
 */
#include "text/grammar/grammar_private.h"

#define ITEMS_MAX  20000u
#define UNIQUE_MAX 8

typedef struct array {
    const cJSON *prefix, *items; /* items null: any value */
    uint32_t n_prefix, min, max;
} array;

static zoo_gnode item(zoo_gbuild *b, const array *a, uint32_t i, zoo_gnode next)
{
    const cJSON *schema = a->items;
    if (i < a->n_prefix) {
        schema = cJSON_GetArrayItem(a->prefix, (int)i);
    }
    return schema ? zoo_g_schema(b, schema, next) : zoo_g_value(b, next);
}

static zoo_gnode behind_comma(zoo_gbuild *b, const array *a, uint32_t i, zoo_gnode next)
{
    return zoo_g_text(b, ",", 1, zoo_g_space(b, item(b, a, i, next)));
}

static zoo_gnode places(zoo_gbuild *b, const array *a, zoo_gnode next)
{
    zoo_gnode end = zoo_g_text(b, "]", 1, next), close = zoo_g_space(b, end), at = close;
    uint32_t n = a->max;
    if (n == UINT32_MAX) {
        n = a->min > a->n_prefix ? a->min : a->n_prefix;
        n = n ? n : 1;
        at = zoo_g_loop(b);
        zoo_g_loop_set(b, at, behind_comma(b, a, UINT32_MAX, at), close);
    }
    if (n > ITEMS_MAX) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "minItems or maxItems over %u", ITEMS_MAX);
        return ZOO_GNODE_RETURN;
    }
    for (uint32_t i = n; i > 1 && b->status == ZOO_OK; i--) {
        at = behind_comma(b, a, i - 1, at);
        at = i - 1 >= a->min ? zoo_g_either(b, at, close) : at;
    }
    zoo_gnode first = n ? item(b, a, 0, at) : end;
    first = n && a->min == 0 ? zoo_g_either(b, first, end) : first;
    return zoo_g_text(b, "[", 1, zoo_g_space(b, first));
}

/* Items of an enum, each at most once: a node for each set of those that stand before. */
static zoo_gnode unique(zoo_gbuild *b, const array *a, zoo_gnode next)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(a->items, "enum");
    uint32_t n = (uint32_t)cJSON_GetArraySize(values);
    zoo_gnode at[1u << UNIQUE_MAX] = {0};
    if (n == 0 || n > UNIQUE_MAX || a->prefix || a->min > n) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                        "uniqueItems is supported where items is an enum of at most %d values",
                        UNIQUE_MAX);
        return next;
    }
    zoo_gnode end = zoo_g_text(b, "]", 1, next), close = zoo_g_space(b, end);
    for (uint32_t set = (1u << n); set-- > 0 && b->status == ZOO_OK;) {
        uint32_t n_set = (uint32_t)__builtin_popcount(set);
        bool any = n_set >= a->min;
        zoo_gnode out = set ? close : end;
        for (uint32_t i = 0; i < n && n_set < a->max; i++) {
            if (set >> i & 1u) {
                continue;
            }
            cJSON one = {.type = cJSON_Object};
            cJSON value = *cJSON_GetArrayItem(values, (int)i);
            char key[] = "const";
            value.string = key;
            value.next = NULL;
            one.child = &value;
            zoo_gnode item = zoo_g_schema_listed(b, &one, at[set | 1u << i]);
            item = set ? zoo_g_text(b, ",", 1, zoo_g_space(b, item)) : item;
            out = any ? zoo_g_either(b, out, item) : item;
            any = true;
        }
        at[set] = out;
    }
    return zoo_g_text(b, "[", 1, zoo_g_space(b, at[0]));
}

zoo_gnode zoo_g_schema_array(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(schema, "items");
    array a = {.prefix = cJSON_GetObjectItemCaseSensitive(schema, "prefixItems"),
               .min = zoo_gschema_count(b, schema, "minItems", 0),
               .max = zoo_gschema_count(b, schema, "maxItems", UINT32_MAX)};
    if ((items && !cJSON_IsObject(items) && !cJSON_IsBool(items)) ||
        (a.prefix && !cJSON_IsArray(a.prefix))) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "items or prefixItems is of a wrong type");
        return ZOO_GNODE_RETURN;
    }
    a.items = cJSON_IsObject(items) ? items : NULL;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(schema, "uniqueItems")) && a.max > 1) {
        return unique(b, &a, next);
    }
    a.n_prefix = a.prefix ? (uint32_t)cJSON_GetArraySize(a.prefix) : 0;
    uint32_t last = a.max;
    if (cJSON_IsFalse(items)) {
        last = a.n_prefix;
    } else if (!items && a.prefix && a.max == UINT32_MAX) {
        last = a.min > a.n_prefix ? a.min : a.n_prefix;
    }
    a.max = last < a.max ? last : a.max;
    if (a.min > a.max) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "minItems is greater than the items allowed");
        return ZOO_GNODE_RETURN;
    }
    return places(b, &a, next);
}
