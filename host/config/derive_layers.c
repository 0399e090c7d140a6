/*
 * derive_layers.c: derivations of lists with one value for each layer. `of` holds the values; n,
 * period, at, below and beyond are numbers or keys. Layers are 0 .. num_hidden_layers - 1.
 *
 *   first            of[0] for layers below n, of[1] from n on; `every`: of[1] only for multiples
 *                    of it; `needs`: all of[0] if that key is null or false; `beyond`: all of[1]
 *                    unless there are more layers than this
 *   periodic         of[0] if layer % period == at (-1: the last of each period), else of[1];
 *                    `head`: values before the first period, not counted; `first`: layer 0 is
 *                    of[0]; `not_first`: layer 0 is of[1]; `back`: counted from the last layer;
 *                    `below`: layers from this one on are of[0]; `last`: the last layer is of[0];
 *                    `some`: the last layer is of[0] if no other is
 *   cycle            of[layer % length]; `first` for layer 0
 *   prefix_pattern   two periodic lists: `prefix` layers with prefix_period, then the rest
 *   where            of[0] where `list` has a true value, else of[1]
 *   numbered         of[0] for the layers that reads[0] lists, of[1] for reads[1], counted from 1
 *   repeat           the value of the key `of` for each layer
 *   every_nth        the indices n - 1, 2n - 1, ...
 *   letters          from a text with one letter for each layer
 *   last             replaces the list's last value by `value`
 *   indices          the indices at which the list `of` has `value`
 *   expand           [[values, times], ...] expanded
 *   indexer_pattern, compressed_layers: of single releases; see the functions
 */
#include <math.h>
#include <string.h>

#include "config/attributes.h"

static const cJSON *member(const cJSON *step, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(step, name);
}

static const char *text_of(const cJSON *step, const char *name)
{
    return cJSON_GetStringValue(member(step, name));
}

static zoo_status set(zoo_attributes *a, const cJSON *step, cJSON *list, zoo_error *err)
{
    char origin[96];
    (void)snprintf(origin, sizeof origin, "derived: %s", text_of(step, "by"));
    return zoo_attributes_set(a, text_of(step, "key"), list, origin, err);
}

/* A number of the step, or the number at the key that it names. */
static zoo_status amount(const zoo_attributes *a, const cJSON *step, const char *name, double *out,
                         zoo_error *err)
{
    const cJSON *item = member(step, name);
    const char *key = cJSON_GetStringValue(item);
    if (!zoo_json_number(key ? zoo_attributes_get(a, key) : item, out) && key) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%s: \"%s\" should be a number, for the derivation \"%s\"", a->path, key,
                        text_of(step, "by"));
    }
    return ZOO_OK;
}

static zoo_status count_layers(const zoo_attributes *a, const cJSON *step, uint32_t *n,
                               zoo_error *err)
{
    return zoo_attributes_whole(a, "num_hidden_layers", text_of(step, "by"), ZOO_CLASS_LAYERS_MAX,
                                n, err);
}

static cJSON *value_of(const zoo_attributes *a, const cJSON *item)
{
    const char *key = cJSON_IsObject(item) ? text_of(item, "key") : NULL;
    const cJSON *found = key ? zoo_attributes_get(a, key) : item;
    return found ? cJSON_Duplicate(found, true) : cJSON_CreateNull();
}

static bool append(cJSON *list, const zoo_attributes *a, const cJSON *of, int which)
{
    return list && cJSON_AddItemToArray(list, value_of(a, cJSON_GetArrayItem(of, which)));
}

zoo_status zoo_derive_first(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of");
    const char *needs = text_of(step, "needs");
    uint32_t n_layers = 0;
    double n = 0, every = 1, beyond = -1;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    const cJSON *need = needs ? zoo_attributes_get(a, needs) : NULL;
    bool all = needs && (!need || cJSON_IsNull(need) || cJSON_IsFalse(need));
    if (all) {
        n = n_layers;
    } else {
        ZOO_TRY(amount(a, step, "n", &n, err));
    }
    if (member(step, "every")) {
        ZOO_TRY(amount(a, step, "every", &every, err));
    }
    if (member(step, "beyond")) {
        ZOO_TRY(amount(a, step, "beyond", &beyond, err));
        n = n_layers > beyond ? n : 0;
    }
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        bool later = i >= n && (every <= 1 || fmod(i, every) == 0);
        (void)append(list, a, of, later);
    }
    return set(a, step, list, err);
}

typedef struct period {
    double length, at, below;
    bool first, not_first, back;
} period;

static bool hits(const period *p, uint32_t layer, uint32_t n_layers)
{
    if (layer == 0 && (p->first || p->not_first)) {
        return p->first;
    }
    uint32_t i = p->back ? n_layers - 1 - layer : layer;
    double at = p->at < 0 ? fmod(i - p->at, p->length) : fmod(i, p->length) - p->at;
    return layer >= p->below || at == 0;
}

static zoo_status read_period(const zoo_attributes *a, const cJSON *step, const char *name,
                              period *p, zoo_error *err)
{
    const char *below = text_of(step, "below"), *needs = text_of(step, "needs");
    *p = (period){.below = INT32_MAX,
                  .first = cJSON_IsTrue(member(step, "first")),
                  .not_first = cJSON_IsTrue(member(step, "not_first")),
                  .back = cJSON_IsTrue(member(step, "back"))};
    ZOO_TRY(amount(a, step, name, &p->length, err));
    ZOO_TRY(amount(a, step, "at", &p->at, err));
    if (below) {
        ZOO_TRY(amount(a, step, "below", &p->below, err));
    }
    if (needs && !zoo_json_truthy(zoo_attributes_get(a, needs))) {
        p->below = 0;
    }
    if (!(p->length > 0)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" must be above 0: it is the period of \"%s\"",
                        a->path, text_of(step, name) ? text_of(step, name) : name,
                        text_of(step, "key"));
    }
    return ZOO_OK;
}

zoo_status zoo_derive_periodic(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of"), *head = member(step, "head"), *item = NULL;
    uint32_t n_layers = 0;
    period p;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    ZOO_TRY(read_period(a, step, "period", &p, err));
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(item, head)
    {
        (void)cJSON_AddItemToArray(list, cJSON_Duplicate(item, true));
    }
    uint32_t n_head = (uint32_t)cJSON_GetArraySize(head);
    n_layers = n_layers > n_head ? n_layers - n_head : 0;
    bool some = !cJSON_IsTrue(member(step, "some"));
    for (uint32_t i = 0; i < n_layers; i++) {
        bool hit = hits(&p, i, n_layers);
        bool last = i + 1 == n_layers && (cJSON_IsTrue(member(step, "last")) || !some);
        some = some || hit;
        (void)append(list, a, of, !hit && !last);
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_prefix_pattern(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of");
    uint32_t n_layers = 0;
    double prefix = 0;
    period p, q;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    ZOO_TRY(amount(a, step, "prefix", &prefix, err));
    ZOO_TRY(read_period(a, step, "prefix_period", &p, err));
    ZOO_TRY(read_period(a, step, "period", &q, err));
    p.at = q.at = -1;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        bool hit = i < prefix ? hits(&p, i, n_layers) : hits(&q, i - (uint32_t)prefix, n_layers);
        (void)append(list, a, of, !hit);
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_cycle(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of"), *first = member(step, "first");
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        if (i == 0 && first) {
            (void)cJSON_AddItemToArray(list, cJSON_Duplicate(first, true));
        } else {
            (void)append(list, a, of, (int)i % cJSON_GetArraySize(of));
        }
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_where(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of"), *item = NULL;
    const cJSON *from = zoo_attributes_get(a, text_of(step, "list"));
    const char *needs = text_of(step, "needs");
    const cJSON *need = needs ? zoo_attributes_get(a, needs) : NULL;
    bool none = needs && (!need || cJSON_IsNull(need));
    const cJSON *other = member(step, "else");
    if (!cJSON_IsArray(from)) {
        return ZOO_OK;
    }
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(item, from)
    {
        if (none && other) {
            (void)cJSON_AddItemToArray(list, cJSON_Duplicate(other, true));
        } else {
            (void)append(list, a, of, none || !zoo_json_truthy(item));
        }
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_numbered(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *of = member(step, "of"), *reads = member(step, "reads");
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    const cJSON *lists[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        lists[k] = zoo_attributes_get(a, cJSON_GetArrayItem(reads, k)->valuestring);
        if (!lists[k]) {
            return ZOO_OK;
        }
    }
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers; i++) {
        int which = -1;
        for (int k = 0; k < 2; k++) {
            const cJSON *item = NULL;
            cJSON_ArrayForEach(item, lists[k])
            {
                which = cJSON_IsNumber(item) && item->valuedouble == i + 1.0 ? k : which;
            }
        }
        if (which < 0) {
            cJSON_Delete(list);
            return zoo_fail(err, ZOO_E_CONFIG, "%s: layer %u is in none of the lists of \"%s\"",
                            a->path, i, text_of(step, "key"));
        }
        (void)append(list, a, of, which);
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_repeat(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *value = zoo_attributes_get(a, text_of(step, "of"));
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < n_layers && value; i++) {
        (void)cJSON_AddItemToArray(list, cJSON_Duplicate(value, true));
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_every_nth(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    uint32_t n_layers = 0, n = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    ZOO_TRY(zoo_attributes_whole(a, text_of(step, "of"), "every_nth", INT32_MAX, &n, err));
    if (n == 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" is 0, but it is the period of \"%s\"",
                        a->path, text_of(step, "of"), text_of(step, "key"));
    }
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = n - 1; i < n_layers; i += n) {
        (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_letters(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *letters = member(step, "letters");
    const cJSON *text = zoo_attributes_get(a, text_of(step, "of"));
    if (!cJSON_IsString(text)) {
        return ZOO_OK;
    }
    cJSON *list = cJSON_CreateArray();
    for (const char *p = text->valuestring; *p; p++) {
        char letter[2] = {*p, '\0'};
        const cJSON *word = member(letters, letter);
        if (!word) {
            cJSON_Delete(list);
            return zoo_fail(err, ZOO_E_CONFIG,
                            "%s: \"%s\" has the letter %s, which is not a kind of layer", a->path,
                            text_of(step, "of"), letter);
        }
        (void)cJSON_AddItemToArray(list, cJSON_Duplicate(word, true));
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_last(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    cJSON *list = zoo_attributes_get(a, text_of(step, "key"));
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n > 0 &&
        !cJSON_ReplaceItemInArray(list, n - 1, cJSON_Duplicate(member(step, "value"), true))) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", a->path);
    }
    return ZOO_OK;
}

zoo_status zoo_derive_indices(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *from = zoo_attributes_get(a, text_of(step, "of")), *item = NULL;
    const char *value = text_of(step, "value");
    cJSON *list = cJSON_CreateArray();
    int i = 0;
    cJSON_ArrayForEach(item, from)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, value) == 0) {
            (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
        }
        i++;
    }
    return set(a, step, list, err);
}

zoo_status zoo_derive_expand(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *from = zoo_attributes_get(a, text_of(step, "of")), *item = NULL;
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(item, from)
    {
        const cJSON *values = cJSON_GetArrayItem(item, 0), *value = NULL;
        const cJSON *times = cJSON_GetArrayItem(item, 1);
        double n = cJSON_IsNumber(times) ? times->valuedouble : 0;
        for (uint32_t i = 0; i < n && i < ZOO_CLASS_LAYERS_MAX; i++) {
            cJSON_ArrayForEach(value, values)
            {
                if (cJSON_GetArraySize(list) < ZOO_CLASS_LAYERS_MAX) {
                    (void)cJSON_AddItemToArray(list, cJSON_Duplicate(value, true));
                }
            }
        }
    }
    return set(a, step, list, err);
}

static double number_or(const zoo_attributes *a, const char *key, double fallback)
{
    double value = 0;
    return zoo_json_number(zoo_attributes_get(a, key), &value) ? value : fallback;
}

/* From index_topk_pattern, a text of F and S or a list; without it every index_topk_freq-th layer
 * is full, from index_skip_topk_offset on. */
zoo_status zoo_derive_indexer_pattern(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    const cJSON *pattern = zoo_attributes_get(a, "index_topk_pattern");
    double every = number_or(a, "index_topk_freq", 1),
           offset = number_or(a, "index_skip_topk_offset", 2);
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    if (cJSON_IsArray(pattern)) {
        return set(a, step, cJSON_Duplicate(pattern, true), err);
    }
    const char *letters = cJSON_GetStringValue(pattern);
    cJSON *list = cJSON_CreateArray();
    every = every < 1 ? 1 : every;
    for (uint32_t i = 0; i < n_layers && (!letters || letters[i]); i++) {
        double behind = i - offset + 1 > 0 ? i - offset + 1 : 0;
        bool full = letters ? letters[i] == 'F' : fmod(behind, every) == 0;
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(full ? "full" : "shared"));
    }
    return set(a, step, list, err);
}

static const char *kind_of_ratio(double ratio)
{
    return ratio == 0     ? "sliding_attention"
           : ratio == 4   ? "compressed_sparse_attention"
           : ratio == 128 ? "heavily_compressed_attention"
                          : NULL;
}

static zoo_status compressed_types(zoo_attributes *a, uint32_t n_layers, cJSON *list,
                                   zoo_error *err)
{
    const cJSON *ratios = zoo_attributes_get(a, "compress_ratios");
    for (uint32_t i = 0; i < n_layers; i++) {
        bool light = i >= 2 && (i - 2) % 2;
        const char *kind = light ? "compressed_sparse_attention" : "heavily_compressed_attention";
        if (cJSON_IsArray(ratios)) {
            const cJSON *ratio = cJSON_GetArrayItem(ratios, (int)i);
            kind = cJSON_IsNumber(ratio) ? kind_of_ratio(ratio->valuedouble) : NULL;
        }
        if (!kind) {
            return zoo_fail(err, ZOO_E_CONFIG, "%s: compress_ratios needs 0, 4 or 128 for layer %u",
                            a->path, i);
        }
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(kind));
    }
    return ZOO_OK;
}

static void cut(cJSON *list, uint32_t n)
{
    while (cJSON_IsArray(list) && cJSON_GetArraySize(list) > (int)n) {
        cJSON_DeleteItemFromArray(list, cJSON_GetArraySize(list) - 1);
    }
}

static zoo_status compressed_rates(zoo_attributes *a, zoo_error *err)
{
    static const struct {
        const char *kind, *legacy;
        double rate;
    } rates[] = {{"compressed_sparse_attention", "compress_rate_csa", 4},
                 {"heavily_compressed_attention", "compress_rate_hca", 128}};
    bool given = cJSON_IsObject(zoo_attributes_get(a, "compress_rates"));
    if (!given) {
        ZOO_TRY(zoo_attributes_set(a, "compress_rates", cJSON_CreateObject(), "class", err));
    }
    cJSON *object = zoo_attributes_get(a, "compress_rates");
    for (size_t i = 0; i < ZOO_COUNT(rates); i++) {
        const cJSON *legacy = zoo_attributes_get(a, rates[i].legacy);
        double rate = rates[i].rate;
        if (legacy && !cJSON_IsNull(legacy) && !zoo_json_number(legacy, &rate)) {
            return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" should be a number", a->path,
                            rates[i].legacy);
        }
        if (given && (!legacy || cJSON_IsNull(legacy))) {
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(object, rates[i].kind);
        (void)cJSON_AddNumberToObject(object, rates[i].kind, rate);
    }
    return ZOO_OK;
}

/* Layer types from compress_ratios (0, 4, 128), or by default two heavily compressed layers and
 * then both kinds alternating; the first num_hash_layers (3) choose experts by hash. */
zoo_status zoo_derive_compressed_layers(zoo_attributes *a, const cJSON *step, zoo_error *err)
{
    uint32_t n_layers = 0;
    ZOO_TRY(count_layers(a, step, &n_layers, err));
    ZOO_TRY(compressed_rates(a, err));
    cJSON *types = zoo_attributes_get(a, "layer_types");
    if (!types || cJSON_IsNull(types)) {
        types = cJSON_CreateArray();
        zoo_status status = compressed_types(a, n_layers, types, err);
        if (status != ZOO_OK) {
            cJSON_Delete(types);
            return status;
        }
        ZOO_TRY(zoo_attributes_set(a, "layer_types", types, "derived: compressed_layers", err));
    }
    cut(types, n_layers);
    cJSON *mlps = zoo_attributes_get(a, "mlp_layer_types");
    if (!mlps || cJSON_IsNull(mlps)) {
        double n_hash = number_or(a, "num_hash_layers", 3);
        mlps = cJSON_CreateArray();
        for (uint32_t i = 0; i < n_layers; i++) {
            (void)cJSON_AddItemToArray(mlps, cJSON_CreateString(i < n_hash ? "hash_moe" : "moe"));
        }
        ZOO_TRY(zoo_attributes_set(a, "mlp_layer_types", mlps, "derived: compressed_layers", err));
    }
    cut(mlps, n_layers);
    return ZOO_OK;
}
