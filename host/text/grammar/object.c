/*
 * object.c: objects and arrays of a schema.
 *
 * Object: the named properties in the schema's order, optional ones left out at will, then others
 * when additionalProperties asks for them; the key of such a one is ASCII, without escapes, and
 * none of the names. Array: a node for each place up to minItems, maxItems and prefixItems, then a
 * loop.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

#define ITEMS_MAX 20000u

typedef struct property {
    const char *name;
    const cJSON *schema; /* null: any value */
    bool required;
} property;

typedef struct object {
    property *list;
    uint32_t n;
    const cJSON *others; /* additionalProperties: null absent */
} object;

static bool has_name(const cJSON *list, const char *name)
{
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        if (cJSON_IsString(c) && strcmp(c->valuestring, name) == 0) {
            return true;
        }
    }
    return false;
}

static const property *find(const object *o, const char *name)
{
    for (uint32_t i = 0; i < o->n; i++) {
        if (strcmp(o->list[i].name, name) == 0) {
            return &o->list[i];
        }
    }
    return NULL;
}

static void read_properties(zoo_gbuild *b, const cJSON *properties, const cJSON *required,
                            object *o)
{
    for (const cJSON *c = properties ? properties->child : NULL; c; c = c->next) {
        bool needed = has_name(required, c->string);
        if (cJSON_IsFalse(c) && needed) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "the property '%.60s' is required and forbidden",
                            c->string);
        }
        if (!cJSON_IsFalse(c) && !find(o, c->string)) {
            o->list[o->n++] = (property){c->string, c, needed};
        }
    }
    for (const cJSON *c = required ? required->child : NULL; c; c = c->next) {
        if (!cJSON_IsString(c)) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "required holds something else than names");
            return;
        }
        if (find(o, c->valuestring)) {
            continue;
        }
        if (cJSON_IsFalse(o->others)) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "the property '%.60s' is required and forbidden",
                            c->valuestring);
        }
        const cJSON *schema = cJSON_IsObject(o->others) ? o->others : NULL;
        o->list[o->n++] = (property){c->valuestring, schema, true};
    }
}

static bool is_plain(const char *name)
{
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        if (c < 0x20 || c > 0x7E || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

/* Bytes of a key that no schema names. */
static void plain_class(const zoo_gbuild *b, zoo_gclass *c)
{
    if (b->quote.n) {
        zoo_gclass_add(c, '0', '9');
        zoo_gclass_add(c, 'A', 'Z');
        zoo_gclass_add(c, '_', '_');
        zoo_gclass_add(c, 'a', 'z');
        return;
    }
    zoo_gclass_add(c, 0x20, 0x21);
    zoo_gclass_add(c, 0x23, 0x5B);
    zoo_gclass_add(c, 0x5D, 0x7E);
}

typedef struct key_tree {
    const object *o;
    zoo_gnode rest; /* any more characters, then the quote */
    zoo_gnode quote;
} key_tree;

/* Keys that begin as `from` does (n bytes) and are no name. */
static zoo_gnode other_key(zoo_gbuild *b, const key_tree *t, const char *from, size_t n)
{
    zoo_gclass free_bytes = {{0}}, done = {{0}};
    plain_class(b, &free_bytes);
    bool is_name = false;
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    for (uint32_t i = 0; i < t->o->n && b->status == ZOO_OK; i++) {
        const char *name = t->o->list[i].name;
        if (!is_plain(name) || strncmp(name, from, n) != 0) {
            continue;
        }
        unsigned char c = (unsigned char)name[n];
        is_name = is_name || !c;
        if (!c || zoo_gclass_has(&done, c)) {
            continue;
        }
        zoo_gclass_add(&done, c, c);
        free_bytes.bits[c / 32] &= ~(1u << (c % 32));
        zoo_gnode deeper = zoo_g_range(b, c, c, other_key(b, t, name, n + 1));
        out = any ? zoo_g_either(b, out, deeper) : deeper;
        any = true;
    }
    zoo_gnode leaves = zoo_g_class(b, &free_bytes, t->rest);
    out = any ? zoo_g_either(b, out, leaves) : leaves;
    bool is_empty = b->quote.n && !n;
    return is_name || is_empty ? out : zoo_g_either(b, out, t->quote);
}

/* A member that additionalProperties allows. */
static zoo_gnode other_member(zoo_gbuild *b, const object *o, zoo_gnode next)
{
    zoo_gclass plain = {{0}};
    plain_class(b, &plain);
    zoo_gnode value =
        cJSON_IsObject(o->others) ? zoo_g_schema(b, o->others, next) : zoo_g_value(b, next);
    key_tree t = {.o = o};
    t.quote = zoo_g_text(b, ":", 1, zoo_g_space(b, value));
    t.quote = b->quote.n ? t.quote : zoo_g_text(b, "\"", 1, t.quote);
    t.rest = zoo_g_loop(b);
    zoo_g_loop_set(b, t.rest, zoo_g_class(b, &plain, t.rest), t.quote);
    zoo_gnode key = other_key(b, &t, "", 0);
    return b->quote.n ? key : zoo_g_text(b, "\"", 1, key);
}

static bool is_bare(const char *name)
{
    static const char bare[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    return *name && strspn(name, bare) == strlen(name);
}

zoo_gnode zoo_g_key(zoo_gbuild *b, const char *name, zoo_gnode next)
{
    cJSON item = {.type = cJSON_String, .valuestring = (char *)(uintptr_t)name};
    zoo_gnode colon = zoo_g_text(b, ":", 1, next);
    if (b->quote.n) {
        bool bare = is_bare(name);
        zoo_gnode out = bare ? colon : zoo_g_mark(b, b->quote, colon);
        out = zoo_g_text(b, name, strlen(name), out);
        return bare ? out : zoo_g_mark(b, b->quote, out);
    }
    char *text = cJSON_PrintUnformatted(&item);
    if (!text) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return ZOO_GNODE_RETURN;
    }
    zoo_gnode out = zoo_g_text(b, text, strlen(text), colon);
    cJSON_free(text);
    return out;
}

static zoo_gnode named_member(zoo_gbuild *b, const property *p, zoo_gnode next)
{
    zoo_gnode value = p->schema ? zoo_g_schema(b, p->schema, next) : zoo_g_value(b, next);
    return zoo_g_key(b, p->name, zoo_g_space(b, value));
}

/* first: where the object stands behind "{", later: behind a member. */
static zoo_gnode members(zoo_gbuild *b, const object *o, zoo_gnode next)
{
    zoo_gnode end = zoo_g_text(b, "}", 1, next);
    zoo_gnode first = end, later = zoo_g_space(b, end);
    if (cJSON_IsTrue(o->others) || cJSON_IsObject(o->others)) {
        zoo_gnode more = zoo_g_loop(b), member = other_member(b, o, more);
        zoo_g_loop_set(b, more, zoo_g_text(b, ",", 1, zoo_g_space(b, member)), later);
        later = more;
        first = zoo_g_either(b, end, member);
    }
    for (uint32_t i = o->n; i > 0 && b->status == ZOO_OK; i--) {
        const property *p = &o->list[i - 1];
        zoo_gnode member = named_member(b, p, later);
        zoo_gnode behind_comma = zoo_g_text(b, ",", 1, zoo_g_space(b, member));
        first = p->required ? member : zoo_g_either(b, member, first);
        later = p->required ? behind_comma : zoo_g_either(b, behind_comma, later);
    }
    return zoo_g_text(b, "{", 1, zoo_g_space(b, first));
}

zoo_gnode zoo_g_schema_object(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    const cJSON *required = cJSON_GetObjectItemCaseSensitive(schema, "required");
    object o = {.others = cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties")};
    if ((properties && !cJSON_IsObject(properties)) || (required && !cJSON_IsArray(required)) ||
        (o.others && !cJSON_IsBool(o.others) && !cJSON_IsObject(o.others))) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT,
                        "properties, required or additionalProperties is of a wrong type");
        return ZOO_GNODE_RETURN;
    }
    int n = cJSON_GetArraySize(properties) + cJSON_GetArraySize(required);
    bool is_free = (!o.others || cJSON_IsTrue(o.others)) && !n;
    if (is_free) {
        return zoo_g_object(b, next);
    }
    o.list = zoo_mem_array((size_t)n + 1, sizeof *o.list);
    if (!o.list) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return ZOO_GNODE_RETURN;
    }
    read_properties(b, properties, required, &o);
    zoo_gnode out = b->status == ZOO_OK ? members(b, &o, next) : ZOO_GNODE_RETURN;
    zoo_mem_free(o.list);
    return out;
}

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
