/*
 * symbols.c: what the names of one frame are, by the rules that names.c tells.
 */
#include <string.h>

#include "text/jinja/names.h"

zoo_jnames *zoo_jsymbols_function(zoo_jinja *x, zoo_jnames *parent)
{
    zoo_jnames *fn = zoo_jinja_array(x, 1, sizeof *fn);
    fn->parent = parent;
    fn->names = zoo_jv_list(x, JV_LIST, 0).as.list;
    return fn;
}

zoo_jsymbols *zoo_jsymbols_new(zoo_jinja *x, zoo_jsymbols *parent, zoo_jnames *fn)
{
    zoo_jsymbols *s = zoo_jinja_array(x, 1, sizeof *s);
    s->parent = parent;
    s->fn = fn;
    s->depth = parent ? parent->depth + 1 : 0;
    s->in_loop = parent && parent->in_loop;
    return s;
}

static int64_t slot_of(zoo_jinja *x, zoo_jnames *fn, int64_t depth, zoo_jv name)
{
    zoo_jv key = zoo_jv_list(x, JV_TUPLE, 2);
    zoo_jlist_add(x, key.as.list, ZOO_JV_INT(depth));
    zoo_jlist_add(x, key.as.list, name);
    const zoo_jv *found = zoo_jdict_get(x, &fn->slots, key);
    if (found) {
        return found->as.i;
    }
    zoo_jv slot = ZOO_JV_INT((int64_t)fn->names->n);
    zoo_jdict_set(x, &fn->slots, key, slot);
    zoo_jlist_add(x, fn->names, name);
    return slot.as.i;
}

/* The slot of the name in the frame itself, be it known before the branch at hand or in it. */
static const zoo_jv *own_ref(zoo_jinja *x, const zoo_jsymbols *s, zoo_jv name)
{
    const zoo_jv *found = NULL;
    for (; s && !found; s = s->base) {
        zoo_jinja_step(x, 1);
        found = zoo_jdict_get(x, &s->refs, name);
    }
    return found;
}

static bool stores(zoo_jinja *x, const zoo_jsymbols *s, zoo_jv name)
{
    for (; s; s = s->base) {
        zoo_jinja_step(x, 1);
        if (zoo_jdict_get(x, &s->stores, name)) {
            return true;
        }
    }
    return false;
}

const zoo_jsymbols *zoo_jsymbols_find(zoo_jinja *x, const zoo_jsymbols *s, zoo_jv name,
                                      uint32_t *slot)
{
    for (; s; s = s->parent) {
        const zoo_jv *found = own_ref(x, s, name);
        if (found) {
            *slot = (uint32_t)found->as.i;
            return s;
        }
    }
    return NULL;
}

uint16_t zoo_jsymbols_hops(const zoo_jnames *from, const zoo_jnames *to)
{
    uint16_t n = 0;
    for (; from && from != to; from = from->parent) {
        n++;
    }
    return n;
}

/* A load as one integer: kind, hops, slot. */
static zoo_jv pack_load(zoo_jload_kind kind, uint16_t hops, uint32_t slot)
{
    return ZOO_JV_INT((int64_t)kind | (int64_t)hops << 8 | (int64_t)slot << 24);
}

static int64_t define(zoo_jinja *x, zoo_jsymbols *s, zoo_jv name, zoo_jv load)
{
    int64_t slot = slot_of(x, s->fn, s->depth, name);
    zoo_jdict_set(x, &s->refs, name, ZOO_JV_INT(slot));
    zoo_jdict_set(x, &s->loads, ZOO_JV_INT(slot), load);
    return slot;
}

/* How a frame gets a name that the frames outside may have. */
static zoo_jv outer_load(zoo_jinja *x, const zoo_jsymbols *s, zoo_jv name, zoo_jload_kind otherwise)
{
    uint32_t slot = 0;
    const zoo_jsymbols *outer = zoo_jsymbols_find(x, s->parent, name, &slot);
    return outer ? pack_load(JL_ALIAS, zoo_jsymbols_hops(s->fn, outer->fn), slot)
                 : pack_load(otherwise, 0, 0);
}

static void store(zoo_jinja *x, zoo_jsymbols *s, zoo_jv name)
{
    zoo_jdict_set(x, &s->stores, name, ZOO_JV_NONE);
    if (!own_ref(x, s, name)) {
        (void)define(x, s, name, outer_load(x, s, name, JL_UNDEFINED));
    }
}

uint32_t zoo_jsymbols_declare(zoo_jinja *x, zoo_jsymbols *s, zoo_jv name)
{
    zoo_jdict_set(x, &s->stores, name, ZOO_JV_NONE);
    return (uint32_t)define(x, s, name, pack_load(JL_PARAM, 0, 0));
}

static void load(zoo_jinja *x, zoo_jsymbols *s, zoo_jv name)
{
    uint32_t slot = 0;
    if (!zoo_jsymbols_find(x, s, name, &slot)) {
        (void)define(x, s, name, pack_load(JL_RESOLVE, 0, 0));
    }
}

static void add_all(zoo_jinja *x, zoo_jdict *to, const zoo_jdict *from)
{
    zoo_jinja_step(x, from->n);
    for (size_t i = 0; i < from->n; i++) {
        zoo_jdict_set(x, to, from->entries[i].key, from->entries[i].value);
    }
}

/* A branch of an `if` in s: it knows what s knows, and keeps to itself what it adds. */
static zoo_jsymbols *branch_of(zoo_jinja *x, zoo_jsymbols *s)
{
    zoo_jsymbols *branch = zoo_jsymbols_new(x, s->parent, s->fn);
    branch->depth = s->depth;
    branch->base = s;
    return branch;
}

/* After an `if`: what only its branches store must be there for whoever reads it after. */
static void merge_branches(zoo_jinja *x, zoo_jsymbols *s, zoo_jsymbols *const branches[3])
{
    zoo_jdict stored = {0};
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < branches[i]->stores.n; k++) {
            zoo_jv name = branches[i]->stores.entries[k].key;
            if (!stores(x, s, name)) {
                zoo_jdict_set(x, &stored, name, ZOO_JV_NONE);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        add_all(x, &s->refs, &branches[i]->refs);
        add_all(x, &s->loads, &branches[i]->loads);
        add_all(x, &s->stores, &branches[i]->stores);
    }
    for (size_t i = 0; i < stored.n; i++) {
        zoo_jv name = stored.entries[i].key;
        zoo_jdict_set(x, &s->loads, *own_ref(x, s, name), outer_load(x, s, name, JL_RESOLVE));
    }
}

/* ---- the names of one frame ---- */

static void read_list(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *list)
{
    for (; list; list = list->next) {
        zoo_jsymbols_read(x, s, list);
    }
}

/* The names that an expression reads. */
void zoo_jsymbols_read(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *node)
{
    if (!node) {
        return;
    }
    zoo_jinja_step(x, 1);
    zoo_jinja_enter(x);
    if (node->kind == JN_NAME) {
        load(x, s, node->value);
    } else {
        zoo_jsymbols_read(x, s, node->a);
        zoo_jsymbols_read(x, s, node->b);
        zoo_jsymbols_read(x, s, node->c);
        zoo_jsymbols_read(x, s, node->d);
        read_list(x, s, node->list);
    }
    zoo_jinja_leave(x);
}

void zoo_jsymbols_store(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *target, bool is_param)
{
    if (target->kind == JN_NSREF) {
        load(x, s, target->a->value);
    } else if (target->kind == JN_TUPLE) {
        for (const zoo_jnode *part = target->list; part; part = part->next) {
            zoo_jsymbols_store(x, s, part, is_param);
        }
    } else if (is_param) {
        (void)zoo_jsymbols_declare(x, s, target->value);
    } else {
        store(x, s, target->value);
    }
}

static void note_if(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *node)
{
    zoo_jsymbols *branches[3] = {NULL};
    zoo_jsymbols_read(x, s, node->a);
    branches[0] = branch_of(x, s);
    zoo_jsymbols_note(x, branches[0], node->list);
    branches[1] = branch_of(x, s);
    const zoo_jnode *other = node->other;
    for (; zoo_jnode_is_elif(other); other = other->other) {
        zoo_jsymbols_read(x, branches[1], other->a);
        zoo_jsymbols *none = branch_of(x, branches[1]);
        zoo_jsymbols *inner[3] = {branch_of(x, branches[1]), none, none};
        zoo_jsymbols_note(x, inner[0], other->list);
        merge_branches(x, branches[1], inner);
    }
    branches[2] = branch_of(x, s);
    zoo_jsymbols_note(x, branches[2], other);
    merge_branches(x, s, branches);
}

/* What a statement reads and stores in the frame it stands in; not what its own frames do. */
static void note(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *node)
{
    zoo_jinja_step(x, 1);
    switch (node->kind) {
    case JN_IF:
        note_if(x, s, node);
        break;
    case JN_OUTPUT:
    case JN_CALLBLOCK:
        zoo_jsymbols_read(x, s, node->a);
        break;
    case JN_FILTERBLOCK:
    case JN_FOR:
        zoo_jsymbols_read(x, s, node->b);
        break;
    case JN_SET:
        zoo_jsymbols_read(x, s, node->b);
        zoo_jsymbols_store(x, s, node->a, false);
        break;
    case JN_SETBLOCK:
        zoo_jsymbols_store(x, s, node->a, false);
        break;
    case JN_MACRO:
        store(x, s, node->value);
        break;
    case JN_WITH:
        for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
            zoo_jsymbols_read(x, s, pair->b);
        }
        break;
    default:
        break;
    }
}

void zoo_jsymbols_note(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *list)
{
    zoo_jinja_enter(x);
    for (; list; list = list->next) {
        note(x, s, list);
    }
    zoo_jinja_leave(x);
}
