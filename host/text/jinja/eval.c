/*
 * eval.c: expressions of the tree to values; names, calls and arguments.
 *
 * The variable of a name was found in names.c; what no template sets comes from the caller's
 * variables, then from the global functions.
 */
#include <math.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

zoo_jscope *zoo_jscope_new(zoo_jinja *x, zoo_jscope *parent, uint32_t n_slots)
{
    zoo_jscope *scope = zoo_jinja_take(x, sizeof *scope);
    *scope = (zoo_jscope){.parent = parent,
                          .slots = zoo_jinja_array(x, (size_t)n_slots + 1, sizeof(zoo_jv))};
    return scope;
}

zoo_jv zoo_jscope_resolve(zoo_jinja *x, zoo_jv name)
{
    const zoo_jv *found = zoo_jdict_get(x, x->globals, name);
    if (found) {
        return *found;
    }
    const zoo_jfunction *f = zoo_jglobal_find(name.as.str->s, name.as.str->n);
    return f ? zoo_jv_function(f) : (zoo_jv){0};
}

static zoo_jscope *scope_out(zoo_jscope *scope, uint16_t hops)
{
    for (; hops; hops--) {
        scope = scope->parent;
    }
    return scope;
}

void zoo_jscope_enter(zoo_jinja *x, zoo_jscope *scope, const zoo_jframe *frame)
{
    zoo_jinja_step(x, frame->n_loads);
    for (size_t i = 0; i < frame->n_loads; i++) {
        const zoo_jload *load = &frame->loads[i];
        if (load->kind == JL_RESOLVE) {
            scope->slots[load->slot] = zoo_jscope_resolve(x, load->name);
        } else if (load->kind == JL_ALIAS) {
            scope->slots[load->slot] = scope_out(scope, load->from_hops)->slots[load->from_slot];
        } else if (load->kind == JL_UNDEFINED) {
            scope->slots[load->slot] = (zoo_jv){0};
        }
    }
}

void zoo_jscope_leave(zoo_jscope *scope, const zoo_jframe *frame)
{
    for (size_t i = 0; i < frame->n_loads; i++) {
        scope->slots[frame->loads[i].slot] = (zoo_jv){0};
    }
}

static zoo_jv eval_name(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv v = scope_out(scope, node->hops)->slots[node->slot];
    return zoo_jv_absent(v) ? zoo_jv_undefined_name(x, node->value) : v;
}

static void assign_attr(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *target, zoo_jv value)
{
    zoo_jv ns = eval_name(x, scope, target->a);
    if (ns.kind != JV_NAMESPACE) {
        zoo_jinja_raise(x, ns.kind == JV_DICT ? ZOO_E_UNSUPPORTED : ZOO_E_CONFIG,
                        "cannot assign attribute on non-namespace object");
    }
    if (target->value.as.str->s[0] == '_') {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "a namespace keeps no attribute '%.*s'",
                        (int)target->value.as.str->n, target->value.as.str->s);
    }
    zoo_jdict_set(x, ns.as.dict, target->value, value);
}

void zoo_jscope_assign(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *target, zoo_jv value)
{
    if (target->kind == JN_NAME) {
        scope->slots[target->slot] = value;
        return;
    }
    if (target->kind == JN_NSREF) {
        assign_attr(x, scope, target, value);
        return;
    }
    zoo_jiter it = zoo_jiter_begin(x, value);
    zoo_jv item;
    for (const zoo_jnode *part = target->list; part; part = part->next) {
        if (!zoo_jiter_next(x, &it, &item)) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "not enough values to unpack");
        }
        zoo_jscope_assign(x, scope, part, item);
    }
    if (zoo_jiter_next(x, &it, &item)) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "too many values to unpack");
    }
}

/* How many slots a list of arguments takes, *a and **a counted as what they hold. */
static size_t count_args(zoo_jinja *x, const zoo_jnode *list, const zoo_jv *stars)
{
    size_t n = 0, star = 0, more = 0;
    for (const zoo_jnode *node = list; node; node = node->next) {
        more = 1;
        if (node->kind == JN_STAR && !zoo_jv_length(stars[star++], &more)) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "an argument after * must be a list");
        }
        n += more;
    }
    return n;
}

static void check_name(zoo_jinja *x, const zoo_jargs *args, const zoo_jstr *name)
{
    zoo_jinja_step(x, args->n_named);
    for (size_t i = 0; i < args->n_named; i++) {
        if (args->names[i]->n == name->n && memcmp(args->names[i]->s, name->s, name->n) == 0) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "a call has two values for the argument '%.*s'",
                            (int)name->n, name->s);
        }
    }
}

static void spread_star(zoo_jinja *x, zoo_jargs *args, zoo_jv star, bool is_named)
{
    zoo_jiter it = zoo_jiter_begin(x, star);
    zoo_jv item;
    while (zoo_jiter_next(x, &it, &item)) {
        if (is_named) {
            const zoo_jstr *name = zoo_jarg_str(x, item, "the name of an argument");
            check_name(x, args, name);
            args->names[args->n_named] = name;
            args->named[args->n_named++] = *zoo_jdict_get(x, star.as.dict, item);
        } else {
            args->args[args->n_args++] = item;
        }
    }
}

static zoo_jv eval_star(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv v = zoo_jinja_eval(x, scope, node->a);
    if (node->flag && v.kind != JV_DICT) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "argument after ** must be a mapping, not %s",
                        zoo_jv_type(v));
    }
    return node->flag ? v : zoo_jv_to_list(x, v);
}

zoo_jargs zoo_jinja_args(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list)
{
    zoo_jargs args = {0};
    size_t n_stars = 0;
    zoo_jv stars[4];
    for (const zoo_jnode *node = list; node; node = node->next) {
        if (node->kind == JN_STAR && n_stars == ZOO_COUNT(stars)) {
            zoo_jinja_raise(x, ZOO_E_LIMIT, "a call has more than four * arguments");
        }
        if (node->kind == JN_STAR) {
            stars[n_stars++] = eval_star(x, scope, node);
        }
    }
    size_t n = count_args(x, list, stars);
    if (!n) {
        return args;
    }
    args.args = zoo_jinja_array(x, n, sizeof *args.args);
    args.named = zoo_jinja_array(x, n, sizeof *args.named);
    args.names = zoo_jinja_array(x, n, sizeof *args.names);
    n_stars = 0;
    for (const zoo_jnode *node = list; node; node = node->next) {
        if (node->kind == JN_STAR) {
            spread_star(x, &args, stars[n_stars++], node->flag);
        } else if (node->kind == JN_KEYWORD) {
            check_name(x, &args, node->value.as.str);
            args.names[args.n_named] = node->value.as.str;
            args.named[args.n_named++] = zoo_jinja_eval(x, scope, node->a);
        } else {
            args.args[args.n_args++] = zoo_jinja_eval(x, scope, node);
        }
    }
    return args;
}

#define PARAMS_MAX 6

/* Puts each argument into the slot of its parameter. */
static void match_params(zoo_jinja *x, const zoo_jfunction *f, const zoo_jargs *args,
                         zoo_jv slots[PARAMS_MAX])
{
    size_t n = 0;
    bool used[PARAMS_MAX] = {false};
    bool by_place = f->params && f->params[0] == '/';
    for (const char *at = f->params + (by_place ? 2 : 0); *at; n++) {
        size_t len = strcspn(at, " ");
        if (n < args->n_args) {
            slots[n] = args->args[n];
        }
        for (size_t i = 0; i < args->n_named && i < PARAMS_MAX && !by_place; i++) {
            if (args->names[i]->n == len && memcmp(args->names[i]->s, at, len) == 0) {
                used[i] = n >= args->n_args;
                slots[n] = args->named[i];
            }
        }
        at += len + (at[len] == ' ');
    }
    if (args->n_args > n) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "%s() takes at most %zu arguments", f->name, n);
    }
    for (size_t i = 0; i < args->n_named; i++) {
        if (i >= PARAMS_MAX || !used[i]) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "%s() has no argument '%.*s' left", f->name,
                            (int)args->names[i]->n, args->names[i]->s);
        }
    }
    for (size_t i = 0; i < f->n_required; i++) {
        if (zoo_jv_absent(slots[i])) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "%s() is missing an argument", f->name);
        }
    }
}

zoo_jv zoo_jfunction_call(zoo_jinja *x, const zoo_jfunction *f, zoo_jv self, const zoo_jargs *args)
{
    zoo_jinja_step(x, 1);
    if (f->params && f->params[0] == '*') {
        return f->call(x, self, args);
    }
    zoo_jv slots[PARAMS_MAX] = {{0}};
    match_params(x, f, args, slots);
    zoo_jargs matched = {.args = slots, .n_args = PARAMS_MAX};
    return f->call(x, self, &matched);
}

/* What the methods of an escaped text give is escaped, too. */
static zoo_jv call_method(zoo_jinja *x, const zoo_jbound *method, const zoo_jargs *args)
{
    zoo_jv out = zoo_jfunction_call(x, method->function, method->self, args);
    bool safe = method->self.kind == JV_STR && method->self.safe;
    if (safe && out.kind == JV_STR) {
        out.safe = 1;
    }
    for (size_t i = 0; safe && (out.kind == JV_TUPLE || out.kind == JV_LIST) && i < out.as.list->n;
         i++) {
        out.as.list->items[i].safe = out.as.list->items[i].kind == JV_STR;
    }
    return out;
}

zoo_jv zoo_jinja_call(zoo_jinja *x, zoo_jv callee, const zoo_jargs *args)
{
    switch (callee.kind) {
    case JV_FUNCTION:
        return zoo_jfunction_call(x, callee.as.function, ZOO_JV_NONE, args);
    case JV_METHOD:
        return call_method(x, callee.as.method, args);
    case JV_MACRO:
        return zoo_jmacro_call(x, callee.as.macro, args);
    case JV_LOOP:
        if (args->n_args != 1) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "loop() takes one argument");
        }
        return zoo_jinja_recurse(x, callee.as.loop, args->args[0]);
    default:
        zoo_jv_need(x, callee);
        zoo_jinja_raise(x, ZOO_E_CONFIG, "'%s' object is not callable", zoo_jv_type(callee));
    }
}

static zoo_jv eval_list(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv out = zoo_jv_list(x, node->kind == JN_LIST ? JV_LIST : JV_TUPLE, 0);
    for (const zoo_jnode *item = node->list; item; item = item->next) {
        zoo_jlist_add(x, out.as.list, zoo_jinja_eval(x, scope, item));
    }
    return out;
}

static zoo_jv eval_dict(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv out = zoo_jv_dict(x);
    for (const zoo_jnode *key = node->list; key; key = key->next->next) {
        zoo_jv k = zoo_jinja_eval(x, scope, key);
        zoo_jdict_set(x, out.as.dict, k, zoo_jinja_eval(x, scope, key->next));
    }
    return out;
}

static zoo_jv eval_part(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    return node ? zoo_jinja_eval(x, scope, node) : ZOO_JV_NONE;
}

static zoo_jv eval_slice(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv obj = zoo_jinja_eval(x, scope, node->a);
    zoo_jv start = eval_part(x, scope, node->b);
    zoo_jv stop = eval_part(x, scope, node->c);
    zoo_jv step = eval_part(x, scope, node->d);
    return zoo_jv_slice(x, obj, start, stop, step);
}

static zoo_jv eval_call(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv callee = zoo_jinja_eval(x, scope, node->a);
    zoo_jargs args = zoo_jinja_args(x, scope, node->list);
    x->line = node->line;
    return zoo_jinja_call(x, callee, &args);
}

static zoo_jv eval_function(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    if (!node->function) {
        x->line = node->line;
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the %s '%.*s' is not supported",
                        node->kind == JN_TEST ? "test" : "filter", (int)node->value.as.str->n,
                        node->value.as.str->s);
    }
    zoo_jv self = zoo_jinja_eval(x, scope, node->a);
    zoo_jargs args = zoo_jinja_args(x, scope, node->list);
    x->line = node->line;
    return zoo_jfunction_call(x, node->function, self, &args);
}

static zoo_jv eval_concat(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jbuf buf = {0};
    for (const zoo_jnode *part = node->list; part; part = part->next) {
        zoo_jbuf_str(x, &buf, zoo_jinja_eval(x, scope, part));
    }
    return zoo_jv_buf(x, &buf);
}

static zoo_jv eval_compare(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv left = zoo_jinja_eval(x, scope, node->a);
    for (const zoo_jnode *operand = node->list; operand; operand = operand->next) {
        zoo_jv right = zoo_jinja_eval(x, scope, operand->a);
        x->line = node->line;
        if (!zoo_jv_relation(x, (zoo_jop)operand->op, left, right)) {
            return ZOO_JV_BOOL(false);
        }
        left = right;
    }
    return ZOO_JV_BOOL(true);
}

static zoo_jv eval_cond(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    if (zoo_jv_truth(zoo_jinja_eval(x, scope, node->a))) {
        return zoo_jinja_eval(x, scope, node->b);
    }
    if (node->c) {
        return zoo_jinja_eval(x, scope, node->c);
    }
    return zoo_jv_undefined_hint(x, "the inline if-expression evaluated to false and no else "
                                    "section was defined.");
}

static zoo_jv eval_unary(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv a = zoo_jinja_eval(x, scope, node->a);
    if (node->kind == JN_NOT) {
        return ZOO_JV_BOOL(!zoo_jv_truth(a));
    }
    if (node->kind == JN_POS && zoo_jv_is_number(a)) {
        return a.kind == JV_BOOL ? ZOO_JV_INT(a.as.b) : a;
    }
    return zoo_jv_negate(x, a);
}

static zoo_jv eval_logic(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv a = zoo_jinja_eval(x, scope, node->a);
    bool decided = zoo_jv_truth(a) == (node->kind == JN_OR);
    return decided ? a : zoo_jinja_eval(x, scope, node->b);
}

/* The reference writes a constant base without parentheses into the code it compiles, where **
 * binds tighter than its minus: -2 ** n is -(2 ** n) unless n is a constant, too. */
static bool is_minus_constant(const zoo_jnode *node, zoo_jv a)
{
    if ((node->asks & ZOO_JA_CONST) || !(node->a->asks & ZOO_JA_CONST)) {
        return false;
    }
    return a.kind == JV_INT     ? a.as.i < 0
           : a.kind == JV_FLOAT ? signbit(a.as.f) && !isnan(a.as.f)
                                : a.kind == JV_BIG && a.as.str->s[0] == '-';
}

static zoo_jv eval_binary(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv a = zoo_jinja_eval(x, scope, node->a);
    zoo_jv b = zoo_jinja_eval(x, scope, node->b);
    x->line = node->line;
    if (node->op == JO_POW && is_minus_constant(node, a)) {
        return zoo_jv_negate(x, zoo_jv_binary(x, JO_POW, zoo_jv_negate(x, a), b));
    }
    return zoo_jv_binary(x, (zoo_jop)node->op, a, b);
}

static zoo_jv eval_access(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv obj = zoo_jinja_eval(x, scope, node->a);
    if (node->kind == JN_GETATTR) {
        x->line = node->line;
        return zoo_jv_getattr(x, obj, node->value);
    }
    zoo_jv key = zoo_jinja_eval(x, scope, node->b);
    x->line = node->line;
    return zoo_jv_getitem(x, obj, key);
}

static zoo_jv eval_node(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    switch (node->kind) {
    case JN_LIST:
    case JN_TUPLE:
        return eval_list(x, scope, node);
    case JN_DICT:
        return eval_dict(x, scope, node);
    case JN_GETATTR:
    case JN_GETITEM:
        return eval_access(x, scope, node);
    case JN_SLICE:
        return eval_slice(x, scope, node);
    case JN_CALL:
        return eval_call(x, scope, node);
    case JN_FILTER:
    case JN_TEST:
        return eval_function(x, scope, node);
    case JN_NOT:
    case JN_NEG:
    case JN_POS:
        return eval_unary(x, scope, node);
    case JN_BINARY:
        return eval_binary(x, scope, node);
    case JN_AND:
    case JN_OR:
        return eval_logic(x, scope, node);
    case JN_CONCAT:
        return eval_concat(x, scope, node);
    case JN_COMPARE:
        return eval_compare(x, scope, node);
    case JN_COND:
        return eval_cond(x, scope, node);
    default:
        zoo_jinja_raise(x, ZOO_E_INTERNAL, "a node of kind %d is no expression", node->kind);
    }
}

/* What the reference can write into its compiled template as a constant. */
static bool is_plain(zoo_jinja *x, zoo_jv v)
{
    zoo_jinja_step(x, 1);
    if (v.kind == JV_LIST || (v.kind == JV_TUPLE && !v.as.list->tag)) {
        for (size_t i = 0; i < v.as.list->n; i++) {
            if (!is_plain(x, v.as.list->items[i])) {
                return false;
            }
        }
        return true;
    }
    if (v.kind == JV_DICT) {
        for (size_t i = 0; i < v.as.dict->n; i++) {
            if (!is_plain(x, v.as.dict->entries[i].key) ||
                !is_plain(x, v.as.dict->entries[i].value)) {
                return false;
            }
        }
        return true;
    }
    return v.kind == JV_NONE || v.kind == JV_STR || v.kind == JV_RANGE || zoo_jv_is_number(v);
}

static zoo_jv eval_folded(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, bool is_output)
{
    x->folds = true;
    zoo_jv out = eval_node(x, scope, node);
    x->folds = false;
    return is_output || is_plain(x, out) ? out : eval_node(x, scope, node);
}

static zoo_jv eval_deep(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, bool is_output)
{
    bool folds = (node->asks & ZOO_JA_FOLDS) == ZOO_JA_FOLDS && !x->folds;
    zoo_jinja_enter(x);
    zoo_jv out = folds ? eval_folded(x, scope, node, is_output) : eval_node(x, scope, node);
    zoo_jinja_leave(x);
    return out;
}

zoo_jv zoo_jinja_eval(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jinja_step(x, 1);
    if (node->kind == JN_CONST) {
        return node->value;
    }
    if (node->kind == JN_NAME) {
        return eval_name(x, scope, node);
    }
    return eval_deep(x, scope, node, false);
}

zoo_jv zoo_jinja_eval_output(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    bool is_leaf = node->kind == JN_CONST || node->kind == JN_NAME;
    zoo_jinja_step(x, 1);
    return is_leaf ? zoo_jinja_eval(x, scope, node) : eval_deep(x, scope, node, true);
}
