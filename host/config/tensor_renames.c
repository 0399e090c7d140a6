/*
 * tensor_renames.c: applies the renames of a model type to every stored name.
 *
 * Memory: the compiled patterns during the call; the aliases belong to the tensors. Patterns are
 * PCRE2 with a match limit, so that no name can cause long backtracking.
 */
#include "config/tensor_renames.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/tensor_names.h"

enum { FILE_BYTES_MAX = 1 << 20, RENAMES_MAX = 4096, MATCH_LIMIT = 100000, OFFSET_MAX = 1 << 16 };

typedef struct rename_pair {
    pcre2_code *code;
    const char *to;
    const cJSON *prefixes; /* or null */
    uint32_t offset;
} rename_pair;

typedef struct renames {
    const char *path;
    cJSON *json;
    rename_pair *pairs;
    uint32_t n_pairs;
    pcre2_match_context *context;
} renames;

static zoo_status malformed(const renames *r, const char *what, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_FORMAT, "%s: %s", r->path, what);
}

static zoo_status read_pair(renames *r, const cJSON *item, zoo_error *err)
{
    const cJSON *from = item->child, *to = from ? from->next : NULL;
    const cJSON *prefixes = to ? to->next : NULL, *offset = prefixes ? prefixes->next : NULL;
    bool counts = !offset || (cJSON_IsNumber(offset) && offset->valuedouble >= 0 &&
                              offset->valuedouble <= OFFSET_MAX);
    if (!cJSON_IsArray(item) || !cJSON_IsString(from) || !cJSON_IsString(to) ||
        (prefixes && !cJSON_IsArray(prefixes)) || !counts || r->n_pairs == RENAMES_MAX) {
        return malformed(r,
                         "a rename should be [pattern, replacement], with a list of prefixes "
                         "or also an offset",
                         err);
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    rename_pair *pair = &r->pairs[r->n_pairs];
    pair->code = pcre2_compile((PCRE2_SPTR)from->valuestring, PCRE2_ZERO_TERMINATED, PCRE2_UTF,
                               &code, &at, NULL);
    if (!pair->code) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the pattern %.200s is wrong at byte %zu", r->path,
                        from->valuestring, (size_t)at);
    }
    pair->to = to->valuestring;
    pair->prefixes = prefixes && prefixes->child ? prefixes : NULL;
    pair->offset = offset ? (uint32_t)offset->valuedouble : 0;
    r->n_pairs++;
    return ZOO_OK;
}

static zoo_status read_pairs(renames *r, zoo_error *err)
{
    ZOO_TRY(zoo_json_read_python(r->path, FILE_BYTES_MAX, &r->json, err));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(r->json, "renames"), *item = NULL;
    if (!cJSON_IsArray(list)) {
        return malformed(r, "there is no list \"renames\"", err);
    }
    r->pairs = zoo_mem_array((size_t)cJSON_GetArraySize(list) + 1, sizeof *r->pairs);
    r->context = pcre2_match_context_create(NULL);
    if (!r->pairs || !r->context) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", r->path);
    }
    (void)pcre2_set_match_limit(r->context, MATCH_LIMIT);
    cJSON_ArrayForEach(item, list)
    {
        ZOO_TRY(read_pair(r, item, err));
    }
    return ZOO_OK;
}

/* *n: length of the prefix after which the pair applies; false: the name has none of them. */
static bool find_prefix(const rename_pair *pair, const char *name, size_t *n)
{
    const cJSON *prefix = NULL;
    *n = 0;
    cJSON_ArrayForEach(prefix, pair->prefixes)
    {
        *n = cJSON_IsString(prefix) ? strlen(prefix->valuestring) : 0;
        if (strncmp(name, prefix->valuestring, *n) == 0) {
            return true;
        }
    }
    return pair->prefixes == NULL;
}

/* The part with the pair's offset added to the number that its first group finds, in out; the part
 * itself where it finds none. */
static const char *shift(const renames *r, const rename_pair *pair, const char *part,
                         char out[ZOO_NAME_MAX])
{
    pcre2_match_data *found =
        pair->offset ? pcre2_match_data_create_from_pattern(pair->code, NULL) : NULL;
    if (!found || pcre2_match(pair->code, (PCRE2_SPTR)part, PCRE2_ZERO_TERMINATED, 0, 0, found,
                              r->context) < 2) {
        pcre2_match_data_free(found);
        return part;
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(found);
    unsigned long number = strtoul(part + at[2], NULL, 10);
    int n = snprintf(out, ZOO_NAME_MAX, "%.*s%lu%s", (int)at[2], part, number + pair->offset,
                     part + at[3]);
    pcre2_match_data_free(found);
    return n < ZOO_NAME_MAX ? out : part;
}

/* Applies the pairs to name in place; a replacement that would be too long is skipped. */
static void rename_one(const renames *r, char name[ZOO_NAME_MAX])
{
    char out[ZOO_NAME_MAX], shifted[ZOO_NAME_MAX];
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        const rename_pair *pair = &r->pairs[i];
        PCRE2_SIZE n = sizeof out;
        size_t skip;
        if (find_prefix(pair, name, &skip) &&
            pcre2_substitute(pair->code, (PCRE2_SPTR)shift(r, pair, name + skip, shifted),
                             PCRE2_ZERO_TERMINATED, 0, 0, NULL, r->context, (PCRE2_SPTR)pair->to,
                             PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out, &n) > 0 &&
            skip + n < ZOO_NAME_MAX) {
            memcpy(name + skip, out, n + 1);
        }
    }
}

/* A stack of packed codes is renamed by the name that it would have unpacked, which its parts carry
 * in front of these words. */
static zoo_status rename_part(const renames *r, zoo_tensors *tensors, size_t i, zoo_error *err)
{
    static const char *const parts[] = {"_packed", "_scale", "_shape"};
    const char *stored = zoo_tensors_at(tensors, i)->name;
    for (size_t k = 0; k < ZOO_COUNT(parts); k++) {
        char stem[ZOO_NAME_MAX], packed[ZOO_NAME_MAX], name[ZOO_NAME_MAX];
        size_t n = strlen(stored), end = strlen(parts[k]);
        if (n <= end || n >= ZOO_NAME_MAX - 8 || strcmp(stored + n - end, parts[k]) != 0) {
            continue;
        }
        (void)snprintf(stem, sizeof stem, "%.*s", (int)(n - end), stored);
        (void)snprintf(packed, sizeof packed, "%.*s_packed", (int)(n - end), stored);
        memcpy(name, stem, n - end + 1);
        rename_one(r, name);
        size_t made = strlen(name);
        if (zoo_tensors_find(tensors, packed) && strcmp(name, stem) != 0 &&
            made + end < sizeof name) {
            memcpy(name + made, parts[k], end + 1);
            return zoo_tensors_alias(tensors, i, name, err);
        }
    }
    return ZOO_OK;
}

static zoo_status rename_all(const renames *r, zoo_tensors *tensors, zoo_error *err)
{
    for (size_t i = 0; i < zoo_tensors_count(tensors); i++) {
        const char *stored = zoo_tensors_at(tensors, i)->name;
        char name[ZOO_NAME_MAX];
        if (snprintf(name, sizeof name, "%s", stored) >= (int)sizeof name) {
            continue;
        }
        rename_one(r, name);
        if (strcmp(name, stored) != 0) {
            ZOO_TRY(zoo_tensors_alias(tensors, i, name, err));
        }
        ZOO_TRY(rename_part(r, tensors, i, err));
    }
    return ZOO_OK;
}

static void close_renames(renames *r)
{
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        pcre2_code_free(r->pairs[i].code);
    }
    pcre2_match_context_free(r->context);
    zoo_mem_free(r->pairs);
    cJSON_Delete(r->json);
}

/* Finds the names file of a type; a type that contains '/' or begins with '.' has none. */
static bool find_file(const char *const *card_dirs, const char *type, char *path, size_t n)
{
    for (; *type && *type != '.' && !strchr(type, '/') && *card_dirs; card_dirs++) {
        if (snprintf(path, n, "%s/names/%s.json", *card_dirs, type) < (int)n &&
            access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

zoo_status zoo_tensor_renames_apply(const char *const *card_dirs, const char *const *types,
                                    uint32_t n_types, zoo_tensors *tensors, zoo_error *err)
{
    char path[PATH_MAX];
    uint32_t i = 0;
    while (i < n_types && !find_file(card_dirs, types[i], path, sizeof path)) {
        i++;
    }
    if (i == n_types) {
        return ZOO_OK;
    }
    renames r = {.path = path};
    zoo_status status = read_pairs(&r, err);
    status = status == ZOO_OK ? rename_all(&r, tensors, err) : status;
    close_renames(&r);
    return status;
}
