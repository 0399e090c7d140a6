/*
 * config_class.c: finds the class files of a config, and the keys of the file that no class reads.
 *
 * A wrapper's class file names the member that holds the text part, and its type. The rest of a
 * wrapper (towers, tokens) does not affect the text part, except whether its head is tied.
 */
#include <string.h>

#include "base/mem.h"
#include "config/config_private.h"

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static zoo_status out_of_memory(const zoo_model_config *c, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", c->path);
}

/* The text part; where it is absent or null, the member that older files have in its place. */
static const cJSON *find_part(zoo_model_config *c, const cJSON *text, const char **key)
{
    const cJSON *part = *key ? member(c->json, *key) : NULL;
    const char *older = cJSON_GetStringValue(member(text, "or"));
    c->older_text = older && (!part || cJSON_IsNull(part));
    if (!c->older_text || !member(c->json, older)) {
        return part;
    }
    *key = older;
    return member(c->json, older);
}

/* Keys of the text part that older files have outside it. */
static zoo_status apply_outer(zoo_model_config *c, zoo_error *err)
{
    const cJSON *name = NULL;
    cJSON_ArrayForEach(name, member(member(c->wrapper_json, "text"), "outer"))
    {
        const char *key = cJSON_GetStringValue(name);
        const cJSON *value = key && c->older_text ? member(c->json, key) : NULL;
        char where[128];
        (void)snprintf(where, sizeof where, "file: %.100s", key ? key : "");
        if (value) {
            ZOO_TRY(
                zoo_attributes_set(&c->attributes, key, cJSON_Duplicate(value, true), where, err));
        }
    }
    return ZOO_OK;
}

/* Finds the text part as the wrapper's class does, and its type. */
static zoo_status unwrap(zoo_model_config *c, const cJSON *text, const char **type, zoo_error *err)
{
    const char *key = cJSON_GetStringValue(member(text, "key"));
    const cJSON *part = find_part(c, text, &key);
    bool flat = cJSON_IsTrue(member(c->wrapper_json, "flat"));
    *type = cJSON_GetStringValue(member(text, "type"));
    if (!key || !*type) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the class file of \"%s\" names no text part",
                        c->path, c->model_type);
    }
    if (part && !cJSON_IsNull(part) && !cJSON_IsObject(part)) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" should be an object", c->path, key);
    }
    if (cJSON_IsObject(part)) {
        const char *inner = cJSON_GetStringValue(member(part, "model_type"));
        *type = inner && cJSON_IsTrue(member(text, "by_type")) ? inner : *type;
        c->text = part;
    } else if (flat) {
        c->text = c->json;
    } else {
        c->nothing = cJSON_CreateObject();
        if (!c->nothing) {
            return out_of_memory(c, err);
        }
        c->text = c->nothing;
    }
    c->text_key = key;
    return ZOO_OK;
}

/* The wrapper decides whether the head is tied; with "ties" the text part can tie it too. */
static zoo_status apply_tie(zoo_model_config *c, zoo_error *err)
{
    static const char *const key = "tie_word_embeddings";
    const cJSON *outer = member(c->json, key);
    const cJSON *fallback = member(member(member(c->wrapper_json, "keys"), key), "default");
    bool either = member(c->wrapper_json, "ties") != NULL;
    bool tied = outer ? zoo_json_truthy(outer) : zoo_json_truthy(fallback);
    bool inner = zoo_json_truthy(zoo_attributes_get(&c->attributes, key));
    return zoo_attributes_set(&c->attributes, key, cJSON_CreateBool(tied || (either && inner)),
                              outer ? "file: tie_word_embeddings" : "class", err);
}

/* Some wrappers pass is_causal = false on to their text part. */
static zoo_status apply_causal(zoo_model_config *c, zoo_error *err)
{
    static const char *const key = "is_causal";
    const cJSON *outer = member(c->json, key);
    if (!cJSON_IsFalse(outer) || !member(member(c->wrapper_json, "keys"), key)) {
        return ZOO_OK;
    }
    return zoo_attributes_set(&c->attributes, key, cJSON_CreateFalse(), "file: is_causal", err);
}

/* Members of the wrapper that the text part's embedding reads, such as a tower's: the values of the
 * file, else the class's defaults. */
static zoo_status apply_beside(zoo_model_config *c, zoo_error *err)
{
    const cJSON *part = NULL, *key = NULL;
    cJSON_ArrayForEach(part, member(c->wrapper_json, "beside"))
    {
        const cJSON *given = member(c->json, part->string);
        cJSON *object = cJSON_CreateObject();
        cJSON_ArrayForEach(key, part)
        {
            const cJSON *value = member(given, key->string);
            cJSON *copy = cJSON_Duplicate(value ? value : key, true);
            if (!object || !copy || !cJSON_AddItemToObject(object, key->string, copy)) {
                cJSON_Delete(copy);
                cJSON_Delete(object);
                return out_of_memory(c, err);
            }
        }
        ZOO_TRY(zoo_attributes_set(&c->attributes, part->string, object,
                                   given ? "file: the wrapper" : "class: the wrapper", err));
    }
    return ZOO_OK;
}

/* Clears factors and caps on logits that the wrapper's own head does not apply. */
static zoo_status drop_head_factors(zoo_model_config *c, zoo_error *err)
{
    const cJSON *factor = NULL;
    cJSON_ArrayForEach(factor, member(c->wrapper_json, "unscaled"))
    {
        const char *key = cJSON_GetStringValue(factor);
        if (key && zoo_attributes_get(&c->attributes, key)) {
            ZOO_TRY(zoo_attributes_set(&c->attributes, key, cJSON_CreateNull(),
                                       "derived: the wrapper's head", err));
        }
    }
    return ZOO_OK;
}

zoo_status zoo_model_config_unwrap(zoo_model_config *c, const char *folder, zoo_error *err)
{
    const char *type = NULL;
    ZOO_TRY(zoo_class_read(folder, c->model_type, &c->class_json, err));
    const cJSON *text = member(c->class_json, "text");
    if (text) {
        c->wrapper_json = c->class_json;
        c->class_json = NULL;
        ZOO_TRY(unwrap(c, text, &type, err));
        c->text_type = type;
    } else if (c->class_json) {
        c->text = c->json;
        c->text_type = c->model_type;
    }
    return ZOO_OK;
}

zoo_status zoo_model_config_read_class(zoo_model_config *c, const char *folder, zoo_error *err)
{
    const char *named = zoo_card_text(c->card, "class");
    if (!c->class_json) {
        ZOO_TRY(zoo_class_read(folder, named ? named : c->text_type, &c->class_json, err));
    }
    if (!c->class_json) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_class_common(folder, &c->common_json, err));
    c->attributes = (zoo_attributes){.class_json = c->class_json,
                                     .common = c->common_json,
                                     .path = c->path,
                                     .problems = c->problems};
    ZOO_TRY(zoo_attributes_make(&c->attributes, c->text, err));
    ZOO_TRY(drop_head_factors(c, err));
    ZOO_TRY(apply_causal(c, err));
    ZOO_TRY(apply_outer(c, err));
    ZOO_TRY(apply_beside(c, err));
    return c->text == c->json && !c->wrapper_json ? ZOO_OK : apply_tie(c, err);
}

void zoo_model_config_problems(zoo_model_config *c, zoo_problems *problems)
{
    c->problems = problems;
}

void zoo_model_config_strict(zoo_model_config *c, bool strict)
{
    c->strict = strict;
}

const char *zoo_model_config_class(const zoo_model_config *c)
{
    return cJSON_GetStringValue(member(c->class_json, "class"));
}

static void tell(zoo_key_fn *fn, void *arg, const char *key, const cJSON *item, const char *note)
{
    char *value = cJSON_PrintUnformatted(item);
    fn(arg, key, value ? value : "", note);
    cJSON_free(value);
}

/* rope_parameters are put together from several keys of the file: which ones, to text. `block` is
 * the one that was taken whole; what it holds itself no other key fills in. False: none. */
static bool rope_origin(const zoo_model_config *c, const char *block, char *text, size_t n)
{
    static const struct {
        const char *key, *fills;
    } parts[] = {{"rope_theta", "\"rope_theta\""},
                 {"rotary_emb_base", "\"rope_theta\""},
                 {"rope_local_base_freq", "\"rope_theta\""},
                 {"compress_rope_theta", "\"rope_theta\""},
                 {"partial_rotary_factor", "\"partial_rotary_factor\""},
                 {"rotary_pct", "\"partial_rotary_factor\""},
                 {"rotary_dim", "\"partial_rotary_factor\""},
                 {"rope_scaling", "\"factor\""}};
    const cJSON *whole = member(c->text, block);
    char *made = cJSON_PrintUnformatted(member(c->attributes.set, "rope_parameters"));
    int used = cJSON_IsObject(whole) ? snprintf(text, n, "file: %.60s", block) : 0;
    for (size_t i = 0; made && i < ZOO_COUNT(parts); i++) {
        const cJSON *given = member(c->text, parts[i].key);
        if (given && !cJSON_IsNull(given) && given != whole && !member(whole, parts[i].key) &&
            strstr(made, parts[i].fills) && zoo_attributes_reads(&c->attributes, parts[i].key)) {
            used += snprintf(text + used, n - (size_t)used, "%s%s",
                             used ? ", " : "file: ", parts[i].key);
        }
    }
    cJSON_free(made);
    return used > 0;
}

void zoo_model_config_each(const zoo_model_config *c, zoo_key_fn *fn, void *arg)
{
    const cJSON *all = c->class_json ? c->attributes.set : c->text, *item = NULL;
    char rope[512]; /* all parts at once fit */
    cJSON_ArrayForEach(item, all)
    {
        const char *from = cJSON_GetStringValue(member(c->attributes.origins, item->string));
        bool made = c->class_json && strcmp(item->string, "rope_parameters") == 0;
        bool scaled = from && strcmp(from, "file: rope_scaling") == 0;
        if (made && from && strncmp(from, "derived", 7) != 0 &&
            rope_origin(c, scaled ? "rope_scaling" : "rope_parameters", rope, sizeof rope)) {
            from = rope;
        }
        tell(fn, arg, item->string, item, from ? from : c->class_json ? "class" : "file");
    }
}

/* Whether some rotary kind reads a member, though not the kind of this config. */
static bool is_of_another_kind(const zoo_model_config *c, const char *name)
{
    const cJSON *kind = NULL, *item = NULL;
    cJSON_ArrayForEach(kind, member(c->common_json, "rope_kinds"))
    {
        cJSON_ArrayForEach(item, kind)
        {
            if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void unread_rope(const zoo_model_config *c, const cJSON *given, zoo_key_fn *fn, void *arg)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, given)
    {
        char path[ZOO_CLASS_KEY_MAX];
        (void)snprintf(path, sizeof path, "%.60s.%.150s", given->string, item->string);
        const cJSON *kept =
            member(zoo_attributes_get(&c->attributes, "rope_parameters"), item->string);
        bool old_type = strcmp(item->string, "type") == 0;
        if (!kept && !old_type && !cJSON_IsNull(item)) {
            const char *remark = zoo_card_remark(c->card, path, item);
            remark = remark || !is_of_another_kind(c, item->string)
                         ? remark
                         : "a member of another rotary kind";
            tell(fn, arg, path, item, remark);
        }
    }
}

static bool chooses_code(const zoo_model_config *c, const char *key)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(c->common_json, "code_choices"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, key) == 0) {
            return true;
        }
    }
    return false;
}

/* Keys about a window that is switched off or absent, where the class has no window either. */
static const char *window_remark(const zoo_model_config *c, const char *key, const cJSON *value)
{
    bool off = strcmp(key, "use_sliding_window") == 0 && cJSON_IsFalse(value);
    const cJSON *item = NULL;
    if (!off && strcmp(key, "max_window_layers") != 0) {
        return NULL;
    }
    cJSON_ArrayForEach(item, c->attributes.set)
    {
        bool count = strcmp(item->string, "max_window_layers") == 0;
        if (strstr(item->string, "window") && !count && zoo_json_truthy(item)) {
            return NULL;
        }
    }
    return "there is no window";
}

void zoo_model_config_unread(const zoo_model_config *c, zoo_key_fn *fn, void *arg)
{
    const cJSON *item = NULL;
    if (!c->class_json) {
        return;
    }
    cJSON_ArrayForEach(item, c->text)
    {
        const char *key = item->string;
        bool empty = (cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child;
        if (cJSON_IsNull(item) || empty || zoo_model_config_is_harmless(key) ||
            (c->text == c->json && c->wrapper_json)) {
            continue;
        }
        const cJSON *usual = member(member(c->class_json, "unread"), key);
        const char *remark = zoo_card_remark(c->card, key, item);
        remark = cJSON_Compare(item, usual, true) ? "no model of this type reads it" : remark;
        remark = chooses_code(c, key) ? "it chooses code of the reference" : remark;
        remark = remark ? remark : zoo_config_unread_remark(key, item);
        remark = remark ? remark : window_remark(c, key, item);
        if (!zoo_attributes_reads(&c->attributes, key)) {
            tell(fn, arg, key, item, remark);
        } else if (strcmp(key, "rope_parameters") == 0 || strcmp(key, "rope_scaling") == 0) {
            unread_rope(c, item, fn, arg);
        }
    }
}
