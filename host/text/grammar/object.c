/*
 * object.c: objects of a schema.
 *
 * Object: the named properties in the schema's order, optional ones left out at will, then others
 * when additionalProperties asks for them, or minProperties needs them; the key of such a one is
 * ASCII, without escapes, and none of the names.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

typedef struct property {
    const char *name;
    const cJSON *schema; /* null: any value */
    bool required;
} property;

typedef struct object {
    property *list;
    uint32_t n;
    const cJSON *others;  /* additionalProperties: null absent */
    const cJSON *pattern; /* of patternProperties, which then is all that is written; or null */
    uint32_t min, max;    /* properties; UINT32_MAX: no bound */
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

/* A member that additionalProperties or patternProperties allows. */
static zoo_gnode other_member(zoo_gbuild *b, const object *o, zoo_gnode next)
{
    if (o->pattern) {
        zoo_gnode free_value = zoo_g_space(b, zoo_g_schema(b, o->pattern, next));
        return zoo_g_pattern(b, o->pattern->string, 0, UINT32_MAX,
                             zoo_g_text(b, ":", 1, free_value));
    }
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

static bool has_others(const object *o)
{
    return o->pattern || cJSON_IsTrue(o->others) || cJSON_IsObject(o->others);
}

#define COUNTED_MAX 200u

/* A node for each number of members before it; dead[c]: from there no text ends. */
typedef struct counted {
    zoo_gnode at[COUNTED_MAX + 2];
    bool dead[COUNTED_MAX + 2];
} counted;

/* What follows a member that makes them c + 1; beyond a bound that only counts up, c stays. */
static uint32_t one_more(const object *o, uint32_t c)
{
    return o->max == UINT32_MAX && c >= o->min ? c : c + 1;
}

static zoo_gnode behind_members(zoo_gbuild *b, uint32_t c, zoo_gnode member)
{
    return c > 0 ? zoo_g_text(b, ",", 1, zoo_g_space(b, member)) : member;
}

/* Closing, or more of the members that no property names, by the number of members before. */
static void count_others(zoo_gbuild *b, const object *o, uint32_t cap, zoo_gnode next, counted *out)
{
    zoo_gnode end = zoo_g_text(b, "}", 1, next), later = zoo_g_space(b, end);
    out->dead[cap + 1] = true;
    for (uint32_t c = cap + 1; c-- > 0 && b->status == ZOO_OK;) {
        zoo_gnode close = c > 0 ? later : end;
        uint32_t to = one_more(o, c);
        bool more = has_others(o) && c < o->max && (to == c || !out->dead[to]);
        out->dead[c] = c < o->min && !more;
        out->at[c] = close;
        if (more && to == c) {
            zoo_gnode loop = zoo_g_loop(b);
            zoo_gnode member = behind_members(b, 1, other_member(b, o, loop));
            zoo_g_loop_set(b, loop, member, later);
            out->at[c] = c > 0 ? loop : zoo_g_either(b, end, other_member(b, o, loop));
        } else if (more) {
            zoo_gnode member = behind_members(b, c, other_member(b, o, out->at[to]));
            out->at[c] = c >= o->min ? zoo_g_either(b, close, member) : member;
        }
    }
}

static zoo_gnode named_member(zoo_gbuild *b, const property *p, zoo_gnode next);

/* members() where minProperties or maxProperties is said. */
static zoo_gnode counted_members(zoo_gbuild *b, const object *o, zoo_gnode next)
{
    uint32_t cap = o->max == UINT32_MAX ? o->min : o->max;
    counted *rows = cap <= COUNTED_MAX ? zoo_mem_array(2, sizeof *rows) : NULL;
    if (!rows) {
        zoo_gbuild_fail(b, cap <= COUNTED_MAX ? ZOO_E_MEMORY : ZOO_E_LIMIT,
                        "minProperties or maxProperties over %u", COUNTED_MAX);
        return ZOO_GNODE_RETURN;
    }
    counted *behind = &rows[0], *here = &rows[1];
    count_others(b, o, cap, next, behind);
    for (uint32_t i = o->n; i > 0 && b->status == ZOO_OK; i--) {
        const property *p = &o->list[i - 1];
        here->dead[cap + 1] = true;
        for (uint32_t c = 0; c <= cap; c++) {
            uint32_t to = one_more(o, c);
            bool with = c < o->max && !behind->dead[to], without = !p->required && !behind->dead[c];
            here->dead[c] = !with && !without;
            here->at[c] = behind->at[c];
            if (with) {
                zoo_gnode member = behind_members(b, c, named_member(b, p, behind->at[to]));
                here->at[c] = without ? zoo_g_either(b, member, behind->at[c]) : member;
            }
        }
        counted *swap = here;
        here = behind;
        behind = swap;
    }
    zoo_gnode out = zoo_g_text(b, "{", 1, zoo_g_space(b, behind->at[0]));
    if (behind->dead[0]) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT,
                        "minProperties and maxProperties leave no number of properties");
    }
    zoo_mem_free(rows);
    return out;
}

/* first: where the object stands after "{", later: after a member. */
static zoo_gnode members(zoo_gbuild *b, const object *o, zoo_gnode next)
{
    zoo_gnode end = zoo_g_text(b, "}", 1, next);
    zoo_gnode first = end, later = zoo_g_space(b, end);
    if (has_others(o)) {
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
    o.min = zoo_gschema_count(b, schema, "minProperties", 0);
    o.max = zoo_gschema_count(b, schema, "maxProperties", UINT32_MAX);
    bool is_counted = o.min > 0 || o.max != UINT32_MAX;
    const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(schema, "patternProperties");
    if (patterns && (!cJSON_IsObject(patterns) || !patterns->child || patterns->child->next || n ||
                     b->quote.n)) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                        "patternProperties is supported with one pattern and without properties "
                        "and required");
        return ZOO_GNODE_RETURN;
    }
    o.pattern = patterns ? patterns->child : NULL;
    if (is_counted && !n && !o.others && !o.pattern) {
        static const cJSON any = {.type = cJSON_True};
        o.others = &any;
    }
    bool is_free = !is_counted && !o.pattern && (!o.others || cJSON_IsTrue(o.others)) && !n;
    if (is_free) {
        return zoo_g_object(b, next);
    }
    o.list = zoo_mem_array((size_t)n + 1, sizeof *o.list);
    if (!o.list) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return ZOO_GNODE_RETURN;
    }
    read_properties(b, properties, required, &o);
    zoo_gnode out = ZOO_GNODE_RETURN;
    if (b->status == ZOO_OK) {
        out = is_counted ? counted_members(b, &o, next) : members(b, &o, next);
    }
    zoo_mem_free(o.list);
    return out;
}
