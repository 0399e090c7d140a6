/*
 * names.c: which variable each name of a template means, found before anything is rendered.
 *
 * Names are bound as Jinja's compiler binds them. A template is a tree of frames: the template
 * itself, the body, condition and else branch of each loop, the body of each macro, call, filter,
 * with, set and generation block. `if` opens none. A name that is stored somewhere in a frame is a
 * variable of that frame, from its begin on: it starts as what the frame outside has under that
 * name or, where that has none, as what the caller passed when it is read before it is stored, and
 * else as undefined. A name that is only read belongs to the nearest frame outside that has it.
 *
 * Frames of equal depth in one function share their variables, as they do in the reference: a
 * variable is a name at a depth. Functions are the template, macros, call and generation blocks,
 * recursive loops and conditions of loops; they reach variables of the functions around them.
 *
 * Memory: in the pool of the compile. Work is counted in steps.
 */
#include <string.h>

#include "text/jinja/names.h"

/* ---- which of loop, caller, kwargs, varargs, self a body asks for ---- */

typedef struct asked {
    uint8_t found, open; /* ZOO_JA_; a name is closed once it is stored */
} asked;

static void ask_list(zoo_jinja *x, asked *a, const zoo_jnode *list);

static uint8_t asks_of(zoo_jv name)
{
    return zoo_jv_is(name, "loop")      ? ZOO_JA_LOOP
           : zoo_jv_is(name, "caller")  ? ZOO_JA_CALLER
           : zoo_jv_is(name, "kwargs")  ? ZOO_JA_KWARGS
           : zoo_jv_is(name, "varargs") ? ZOO_JA_VARARGS
           : zoo_jv_is(name, "self")    ? ZOO_JA_SELF
                                        : 0;
}

static void ask_target(asked *a, const zoo_jnode *target)
{
    if (target->kind == JN_TUPLE) {
        for (const zoo_jnode *part = target->list; part; part = part->next) {
            ask_target(a, part);
        }
    } else if (target->kind == JN_NAME || target->kind == JN_PARAM) {
        a->open &= (uint8_t)~asks_of(target->value);
    }
}

static void ask_params(zoo_jinja *x, asked *a, const zoo_jnode *params)
{
    for (const zoo_jnode *param = params; param; param = param->next) {
        ask_target(a, param);
    }
    for (const zoo_jnode *param = params; param; param = param->next) {
        ask_list(x, a, param->a);
    }
}

/* In the order in which the reference walks a tree. */
static void ask(zoo_jinja *x, asked *a, const zoo_jnode *node)
{
    switch (node->kind) {
    case JN_NAME:
        a->found |= asks_of(node->value) & a->open;
        return;
    case JN_SET:
    case JN_FOR:
    case JN_SETBLOCK:
        ask_target(a, node->a);
        ask_list(x, a, node->b);
        ask_list(x, a, node->list);
        ask_list(x, a, node->other);
        ask_list(x, a, node->c);
        return;
    case JN_MACRO:
    case JN_CALLBLOCK:
        ask_list(x, a, node->a);
        ask_params(x, a, node->params);
        ask_list(x, a, node->list);
        return;
    case JN_FILTERBLOCK:
        ask_list(x, a, node->list);
        ask_list(x, a, node->b);
        return;
    case JN_WITH:
        for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
            ask_target(a, pair->a);
        }
        for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
            ask_list(x, a, pair->b);
        }
        ask_list(x, a, node->list);
        return;
    default:
        ask_list(x, a, node->a);
        ask_list(x, a, node->b);
        ask_list(x, a, node->c);
        ask_list(x, a, node->d);
        ask_list(x, a, node->list);
        ask_list(x, a, node->other);
    }
}

static void ask_list(zoo_jinja *x, asked *a, const zoo_jnode *list)
{
    zoo_jinja_enter(x);
    for (; list; list = list->next) {
        zoo_jinja_step(x, 1);
        ask(x, a, list);
    }
    zoo_jinja_leave(x);
}

static uint8_t asked_by(zoo_jinja *x, const zoo_jnode *body, uint8_t names)
{
    asked a = {.open = names};
    ask_list(x, &a, body);
    return a.found;
}

/* ---- binding ---- */

static void bind_list(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *list, bool soft);

static zoo_jframe *frame_of(zoo_jinja *x, const zoo_jsymbols *s)
{
    zoo_jframe *frame = zoo_jinja_array(x, 1, sizeof *frame);
    frame->loads = zoo_jinja_array(x, s->loads.n + 1, sizeof *frame->loads);
    for (size_t i = 0; i < s->loads.n; i++) {
        int64_t slot = s->loads.entries[i].key.as.i, packed = s->loads.entries[i].value.as.i;
        frame->loads[frame->n_loads++] = (zoo_jload){.kind = (uint8_t)(packed & 0xFF),
                                                     .from_hops = (uint16_t)(packed >> 8 & 0xFFFF),
                                                     .from_slot = (uint32_t)(packed >> 24),
                                                     .slot = (uint32_t)slot,
                                                     .name = s->fn->names->items[slot]};
    }
    return frame;
}

static void bind_name(zoo_jinja *x, const zoo_jsymbols *s, zoo_jnode *node)
{
    const zoo_jsymbols *found = zoo_jsymbols_find(x, s, node->value, &node->slot);
    if (!found) {
        x->line = node->line;
        zoo_jinja_raise(x, ZOO_E_FORMAT,
                        "the name '%.*s' is used only by the filter of a set block",
                        (int)node->value.as.str->n, node->value.as.str->s);
    }
    node->hops = zoo_jsymbols_hops(s->fn, found->fn);
}

/* is_param: `with` may bind what a loop body may not store. */
static void bind_target(zoo_jinja *x, const zoo_jsymbols *s, zoo_jnode *target, bool is_param)
{
    if (target->kind == JN_NSREF) {
        bind_name(x, s, target->a);
    } else if (target->kind == JN_TUPLE) {
        for (zoo_jnode *part = target->list; part; part = part->next) {
            bind_target(x, s, part, is_param);
        }
    } else {
        if (!is_param && s->in_loop && zoo_jv_is(target->value, "loop")) {
            x->line = target->line;
            zoo_jinja_raise(x, ZOO_E_FORMAT, "within a loop nothing can be assigned to 'loop'");
        }
        bind_name(x, s, target);
    }
}

enum { SOFT = 1, FOLDED = 2 };

static void bind_exprs(zoo_jinja *x, const zoo_jsymbols *s, zoo_jnode *list, int how);

/* Filters that ask for the state of the render. */
static bool asks_context(zoo_jv name)
{
    return zoo_jv_is(name, "map") || zoo_jv_is(name, "select") || zoo_jv_is(name, "reject") ||
           zoo_jv_is(name, "selectattr") || zoo_jv_is(name, "rejectattr");
}

static uint8_t folding(const zoo_jnode *node)
{
    bool constant = node->kind != JN_NAME && node->kind != JN_CALL;
    bool is_call = node->kind == JN_FILTER || node->kind == JN_TEST;
    if (is_call) {
        constant = node->a && node->function && !asks_context(node->value);
    }
    uint8_t has_slice = node->kind == JN_SLICE ? ZOO_JA_SLICE : 0;
    const zoo_jnode *parts[] = {node->a, node->b, node->c, node->d};
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        constant = constant && (!parts[i] || (parts[i]->asks & ZOO_JA_CONST));
        has_slice |= parts[i] ? parts[i]->asks & ZOO_JA_SLICE : 0;
    }
    for (const zoo_jnode *part = node->list; part; part = part->next) {
        constant = constant && (part->asks & ZOO_JA_CONST);
        has_slice |= part->asks & ZOO_JA_SLICE;
    }
    return (uint8_t)((constant ? ZOO_JA_CONST : 0) | has_slice);
}

static bool is_unhashable(const zoo_jnode *node)
{
    if (node->kind == JN_TUPLE) {
        for (const zoo_jnode *part = node->list; part; part = part->next) {
            if (is_unhashable(part)) {
                return true;
            }
        }
    }
    return node->kind == JN_LIST || node->kind == JN_DICT;
}

/* The reference computes constants within an expression when it compiles; a dict that cannot be is
 * an error then, even where nothing asks for it. */
static void check_dict(zoo_jinja *x, const zoo_jnode *node)
{
    for (const zoo_jnode *key = node->list; key; key = key->next->next) {
        if (!(key->asks & ZOO_JA_CONST) || !(key->next->asks & ZOO_JA_CONST)) {
            return;
        }
        if (is_unhashable(key)) {
            x->line = key->line;
            zoo_jinja_raise(x, ZOO_E_CONFIG, "unhashable type: '%s'",
                            key->kind == JN_LIST   ? "list"
                            : key->kind == JN_DICT ? "dict"
                                                   : "tuple");
        }
    }
}

static bool is_folded(const zoo_jnode *node)
{
    return node->kind != JN_LIST && node->kind != JN_TUPLE && node->kind != JN_DICT;
}

/* SOFT: within an `if`, where an unknown filter or test fails only when it is called. FOLDED: part
 * of a larger expression. */
static void bind_expr(zoo_jinja *x, const zoo_jsymbols *s, zoo_jnode *node, int how)
{
    if (!node) {
        return;
    }
    zoo_jinja_step(x, 1);
    zoo_jinja_enter(x);
    how |= node->kind == JN_COND ? SOFT : 0;
    if ((node->kind == JN_FILTER || node->kind == JN_TEST) && !node->function && !(how & SOFT)) {
        x->line = node->line;
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the %s '%.*s' is not supported",
                        node->kind == JN_TEST ? "test" : "filter", (int)node->value.as.str->n,
                        node->value.as.str->s);
    }
    if (node->kind == JN_NAME) {
        bind_name(x, s, node);
    }
    bool checks = node->kind == JN_DICT && (how & FOLDED);
    how |= is_folded(node) ? FOLDED : 0;
    bind_expr(x, s, node->a, how);
    bind_expr(x, s, node->b, how);
    bind_expr(x, s, node->c, how);
    bind_expr(x, s, node->d, how);
    bind_exprs(x, s, node->list, how);
    node->asks = folding(node);
    if (checks) {
        check_dict(x, node);
    }
    zoo_jinja_leave(x);
}

static void bind_exprs(zoo_jinja *x, const zoo_jsymbols *s, zoo_jnode *list, int how)
{
    for (; list; list = list->next) {
        bind_expr(x, s, list, how);
    }
}

static zoo_jnode *clone_target(zoo_jinja *x, const zoo_jnode *target)
{
    zoo_jnode *copy = zoo_jinja_take(x, sizeof *copy), **link = &copy->list;
    *copy = *target;
    if (target->kind == JN_TUPLE) {
        for (const zoo_jnode *part = target->list; part; part = part->next) {
            *link = clone_target(x, part);
            link = &(*link)->next;
        }
        *link = NULL;
    }
    return copy;
}

/* node->d becomes the target as the condition, a function of its own, sees it. */
static void bind_condition(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node)
{
    zoo_jsymbols *test = zoo_jsymbols_new(x, s, zoo_jsymbols_function(x, s->fn));
    node->d = clone_target(x, node->a);
    zoo_jsymbols_store(x, test, node->d, true);
    zoo_jsymbols_read(x, test, node->c);
    bind_target(x, test, node->d, false);
    bind_expr(x, test, node->c, false);
    node->test_frame = frame_of(x, test);
    node->test_frame->n_slots = (uint32_t)test->fn->names->n;
}

static void bind_loop(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node)
{
    zoo_jnames *fn = node->flag ? zoo_jsymbols_function(x, s->fn) : s->fn;
    zoo_jsymbols *body = zoo_jsymbols_new(x, s, fn), *other = zoo_jsymbols_new(x, s, fn);
    body->in_loop = other->in_loop = true;
    node->asks = node->flag ? ZOO_JA_LOOP : asked_by(x, node->list, ZOO_JA_LOOP);
    if (node->asks) {
        node->loop_slot = zoo_jsymbols_declare(x, body, node->value);
    }
    zoo_jsymbols_store(x, body, node->a, true);
    zoo_jsymbols_note(x, body, node->list);
    zoo_jsymbols_note(x, other, node->other);
    if (node->c) {
        bind_condition(x, s, node);
    }
    bind_target(x, body, node->a, false);
    bind_expr(x, s, node->b, false);
    bind_list(x, body, node->list, false);
    bind_list(x, other, node->other, false);
    node->frame = frame_of(x, body);
    node->else_frame = frame_of(x, other);
    node->frame->n_slots = node->flag ? (uint32_t)fn->names->n : 0;
}

static void check_params(zoo_jinja *x, const zoo_jnode *node, bool *has_kwargs, bool *has_varargs)
{
    zoo_jdict seen = {0};
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        x->line = param->line;
        if (zoo_jdict_get(x, &seen, param->value)) {
            zoo_jinja_raise(x, ZOO_E_FORMAT, "two parameters have one name");
        }
        zoo_jdict_set(x, &seen, param->value, ZOO_JV_NONE);
        if (zoo_jv_is(param->value, "caller") && !param->a &&
            (asked_by(x, node->list, ZOO_JA_CALLER) & ZOO_JA_CALLER)) {
            zoo_jinja_raise(x, ZOO_E_FORMAT, "the parameter 'caller' needs a default");
        }
    }
    *has_kwargs = zoo_jdict_text(x, &seen, "kwargs") != NULL;
    *has_varargs = zoo_jdict_text(x, &seen, "varargs") != NULL;
}

/* A macro, call or generation block: a function whose parameters and special names come first. */
static void bind_macro(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node)
{
    zoo_jsymbols *body = zoo_jsymbols_new(x, s, zoo_jsymbols_function(x, s->fn));
    bool has_kwargs = false, has_varargs = false;
    check_params(x, node, &has_kwargs, &has_varargs);
    for (zoo_jnode *param = node->params; param; param = param->next) {
        param->slot = zoo_jsymbols_declare(x, body, param->value);
    }
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        zoo_jsymbols_read(x, body, param->a);
    }
    zoo_jsymbols_note(x, body, node->list);
    node->asks = asked_by(x, node->list, ZOO_JA_CALLER | ZOO_JA_KWARGS | ZOO_JA_VARARGS);
    node->asks &=
        (uint8_t) ~((has_kwargs ? ZOO_JA_KWARGS : 0) | (has_varargs ? ZOO_JA_VARARGS : 0));
    bool has_caller = false;
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        has_caller |= zoo_jv_is(param->value, "caller");
    }
    if ((node->asks & ZOO_JA_CALLER) && !has_caller) {
        node->caller_slot = zoo_jsymbols_declare(x, body, zoo_jv_text(x, "caller"));
    }
    if (node->asks & ZOO_JA_KWARGS) {
        node->kwargs_slot = zoo_jsymbols_declare(x, body, zoo_jv_text(x, "kwargs"));
    }
    if (node->asks & ZOO_JA_VARARGS) {
        node->slot = zoo_jsymbols_declare(x, body, zoo_jv_text(x, "varargs"));
    }
    for (zoo_jnode *param = node->params; param; param = param->next) {
        bind_expr(x, body, param->a, 0);
    }
    bind_list(x, body, node->list, false);
    node->flag = has_caller;
    node->frame = frame_of(x, body);
    node->frame->n_slots = (uint32_t)body->fn->names->n;
}

static void bind_with(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node)
{
    zoo_jsymbols *body = zoo_jsymbols_new(x, s, s->fn);
    for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
        zoo_jsymbols_store(x, body, pair->a, true);
    }
    zoo_jsymbols_note(x, body, node->list);
    for (zoo_jnode *pair = node->params; pair; pair = pair->next) {
        bind_target(x, body, pair->a, true);
        bind_expr(x, s, pair->b, false);
    }
    bind_list(x, body, node->list, false);
    node->frame = frame_of(x, body);
}

/* A filter or set block: the filter is asked in the frame of the body, but only that of a filter
 * block counts among the names of it. */
static void bind_block(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node, bool filter_counts)
{
    zoo_jsymbols *body = zoo_jsymbols_new(x, s, s->fn);
    zoo_jsymbols_note(x, body, node->list);
    if (filter_counts) {
        zoo_jsymbols_read(x, body, node->b);
    }
    bind_list(x, body, node->list, false);
    bind_expr(x, body, node->b, false);
    node->frame = frame_of(x, body);
}

static void bind(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *node, bool soft)
{
    switch (node->kind) {
    case JN_OUTPUT:
        bind_expr(x, s, node->a, soft);
        break;
    case JN_IF:
        for (; node; node = zoo_jnode_is_elif(node->other) ? node->other : NULL) {
            bind_expr(x, s, node->a, true);
            bind_list(x, s, node->list, true);
            if (!zoo_jnode_is_elif(node->other)) {
                bind_list(x, s, node->other, true);
            }
        }
        break;
    case JN_FOR:
        bind_loop(x, s, node);
        break;
    case JN_SET:
        bind_target(x, s, node->a, false);
        bind_expr(x, s, node->b, soft);
        break;
    case JN_SETBLOCK:
        bind_target(x, s, node->a, false);
        bind_block(x, s, node, false);
        break;
    case JN_FILTERBLOCK:
        bind_block(x, s, node, true);
        break;
    case JN_MACRO: {
        uint32_t slot = 0;
        (void)zoo_jsymbols_find(x, s, node->value, &slot);
        node->loop_slot = slot;
        bind_macro(x, s, node);
        break;
    }
    case JN_CALLBLOCK:
        bind_macro(x, s, node);
        bind_expr(x, s, node->a, soft);
        break;
    case JN_WITH:
        bind_with(x, s, node);
        break;
    default:
        break;
    }
}

static void bind_list(zoo_jinja *x, zoo_jsymbols *s, zoo_jnode *list, bool soft)
{
    zoo_jinja_enter(x);
    for (; list; list = list->next) {
        zoo_jinja_step(x, 1);
        bind(x, s, list, soft);
    }
    zoo_jinja_leave(x);
}

zoo_jframe *zoo_jinja_resolve(zoo_jinja *x, zoo_jnode *root)
{
    zoo_jsymbols *s = zoo_jsymbols_new(x, NULL, zoo_jsymbols_function(x, NULL));
    if (asked_by(x, root, ZOO_JA_SELF)) {
        x->line = 1;
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the name 'self' is not supported");
    }
    zoo_jsymbols_note(x, s, root);
    bind_list(x, s, root, false);
    zoo_jframe *frame = frame_of(x, s);
    frame->n_slots = (uint32_t)s->fn->names->n;
    return frame;
}
