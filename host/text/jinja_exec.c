/*
 * jinja_exec.c: statements: what they write, what they bind, how loops and macros run.
 *
 * Scopes as Jinja has them: `if` opens none; each turn of a loop, a macro call, a call, filter,
 * with, set or generation block opens one, and what is set inside does not leave it. A macro sees
 * the scope in which it was defined, not that of its caller.
 */
#include <string.h>

#include "text/jinja.h"

void zoo_jinja_emit(zoo_jinja *x, const char *s, size_t n)
{
    if (n > x->limits.output_bytes_max - x->out_bytes) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template writes more than %zu bytes",
                        x->limits.output_bytes_max);
    }
    x->out_bytes += n;
    zoo_jinja_step(x, n / 64);
    zoo_jbuf_add(x, x->out, s, n);
}

static void exec_output(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv v = zoo_jv_to_str(x, zoo_jinja_eval(x, scope, node->a));
    x->line = node->line;
    zoo_jinja_emit(x, v.as.str->s, v.as.str->n);
}

zoo_jv zoo_jinja_capture(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list)
{
    zoo_jbuf buf = {0};
    zoo_jbuf *outer = x->out;
    x->out = &buf;
    zoo_jinja_enter(x);
    (void)zoo_jinja_exec(x, scope, list);
    zoo_jinja_leave(x);
    x->out = outer;
    return zoo_jv_buf(x, &buf);
}

/* A filter chain of a filter or set block, whose innermost input is the block's text. */
static zoo_jv apply_filters(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jv text)
{
    if (!node) {
        return text;
    }
    zoo_jinja_enter(x);
    zoo_jv input = apply_filters(x, scope, node->a, text);
    zoo_jinja_leave(x);
    zoo_jargs args = zoo_jinja_args(x, scope, node->list);
    if (!node->function) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "the filter '%.*s' is not supported",
                        (int)node->value.as.str->n, node->value.as.str->s);
    }
    return zoo_jfunction_call(x, node->function, input, &args);
}

static zoo_jv block_text(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv text = zoo_jinja_capture(x, zoo_jscope_new(x, scope), node->list);
    return apply_filters(x, scope, node->b, text);
}

static bool loop_keeps(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jv item)
{
    if (!node->c) {
        return true;
    }
    scope->n = 0;
    zoo_jscope_assign(x, scope, node->a, item);
    return zoo_jv_truth(zoo_jinja_eval(x, scope, node->c));
}

/* The items that pass the loop's own condition. */
static zoo_jlist *loop_items(zoo_jinja *x, zoo_jscope *outer, const zoo_jnode *node, zoo_jv over)
{
    zoo_jscope *scope = zoo_jscope_new(x, outer);
    zoo_jiter it = zoo_jiter_begin(x, over);
    zoo_jv kept = zoo_jv_list(x, JV_LIST, 0), item;
    while (zoo_jiter_next(x, &it, &item)) {
        if (loop_keeps(x, scope, node, item)) {
            zoo_jlist_add(x, kept.as.list, item);
        }
    }
    return kept.as.list;
}

static zoo_jflow loop_turn(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jv item)
{
    zoo_jscope_assign(x, scope, node->a, item);
    zoo_jflow flow = zoo_jinja_exec(x, scope, node->list);
    scope->n = 0;
    return flow;
}

/* Without `loop` the condition of the next item is asked after the turn of this one. */
static size_t exec_plain_loop(zoo_jinja *x, zoo_jscope *outer, const zoo_jnode *node, zoo_jv over)
{
    zoo_jscope *scope = zoo_jscope_new(x, outer), *test = zoo_jscope_new(x, outer);
    zoo_jiter it = zoo_jiter_begin(x, over);
    size_t n = 0;
    zoo_jv item;
    while (zoo_jiter_next(x, &it, &item)) {
        if (!loop_keeps(x, test, node, item)) {
            continue;
        }
        n++;
        if (loop_turn(x, scope, node, item) == JF_BREAK) {
            break;
        }
    }
    return n;
}

static size_t exec_counted_loop(zoo_jinja *x, zoo_jscope *outer, const zoo_jnode *node, zoo_jv over,
                                uint32_t depth0)
{
    zoo_jloop loop = {.items = loop_items(x, outer, node, over),
                      .depth0 = depth0,
                      .node = node->flag ? node : NULL,
                      .scope = outer};
    zoo_jloop *kept = zoo_jinja_take(x, sizeof *kept);
    *kept = loop;
    zoo_jscope *scope = zoo_jscope_new(x, outer);
    zoo_jv value = {.kind = JV_LOOP, .as.loop = kept};
    size_t n = 0;
    for (; n < kept->items->n; n++) {
        zoo_jinja_step(x, 1);
        kept->at = n;
        zoo_jscope_set(x, scope, node->value.as.str, value);
        if (loop_turn(x, scope, node, kept->items->items[n]) == JF_BREAK) {
            return n + 1;
        }
    }
    return n;
}

static zoo_jflow exec_loop(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jv over,
                           uint32_t depth0)
{
    bool counted = node->uses_loop || node->flag;
    zoo_jinja_enter(x);
    size_t n = counted ? exec_counted_loop(x, scope, node, over, depth0)
                       : exec_plain_loop(x, scope, node, over);
    zoo_jflow flow = JF_NEXT;
    if (n == 0) {
        flow = zoo_jinja_exec(x, zoo_jscope_new(x, scope), node->other);
    }
    zoo_jinja_leave(x);
    return flow;
}

zoo_jv zoo_jinja_recurse(zoo_jinja *x, zoo_jloop *loop, zoo_jv items)
{
    if (!loop->node) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "the loop is not marked as recursive");
    }
    zoo_jbuf buf = {0};
    zoo_jbuf *outer = x->out;
    x->out = &buf;
    (void)exec_loop(x, loop->scope, loop->node, items, loop->depth0 + 1);
    x->out = outer;
    return zoo_jv_buf(x, &buf);
}

static zoo_jv macro_value(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jmacro *macro = zoo_jinja_take(x, sizeof *macro);
    *macro = (zoo_jmacro){.node = node, .scope = scope};
    return (zoo_jv){.kind = JV_MACRO, .as.macro = macro};
}

/* What positional arguments are left goes to varargs when the body asks for it. */
static void bind_varargs(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node,
                         const zoo_jargs *args, size_t n_params)
{
    if (args->n_args > n_params && !node->b) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "macro '%.*s' takes not more than %zu argument(s)",
                        (int)node->value.as.str->n, node->value.as.str->s, n_params);
    }
    if (node->b) {
        zoo_jv rest = zoo_jv_list(x, JV_TUPLE, 0);
        for (size_t i = n_params; i < args->n_args; i++) {
            zoo_jlist_add(x, rest.as.list, args->args[i]);
        }
        zoo_jscope_set(x, scope, node->b->value.as.str, rest);
    }
}

static bool same_name(const zoo_jstr *a, const zoo_jstr *b)
{
    return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static bool is_param(const zoo_jnode *node, const zoo_jstr *name)
{
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        if (same_name(param->value.as.str, name)) {
            return true;
        }
    }
    return false;
}

/* Named arguments that are no parameters: caller, or kwargs when the body asks for it. */
static void bind_kwargs(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node,
                        const zoo_jargs *args)
{
    zoo_jv rest = node->c ? zoo_jv_dict(x) : ZOO_JV_NONE;
    for (size_t i = 0; i < args->n_named; i++) {
        const zoo_jstr *name = args->names[i];
        if (is_param(node, name)) {
            continue;
        }
        if (same_name(name, node->d->value.as.str)) {
            zoo_jscope_set(x, scope, node->d->value.as.str, args->named[i]);
        } else if (node->c) {
            zoo_jv key = {.kind = JV_STR, .as.str = name};
            zoo_jdict_set(x, rest.as.dict, key, args->named[i]);
        } else {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "macro '%.*s' takes no keyword argument '%.*s'",
                            (int)node->value.as.str->n, node->value.as.str->s, (int)name->n,
                            name->s);
        }
    }
    if (node->c) {
        zoo_jscope_set(x, scope, node->c->value.as.str, rest);
    }
}

static const zoo_jv *named_arg(const zoo_jargs *args, const zoo_jstr *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (same_name(args->names[i], name)) {
            return &args->named[i];
        }
    }
    return NULL;
}

zoo_jv zoo_jmacro_call(zoo_jinja *x, const zoo_jmacro *macro, const zoo_jargs *args)
{
    const zoo_jnode *node = macro->node;
    zoo_jscope *scope = zoo_jscope_new(x, macro->scope);
    size_t i = 0;
    for (const zoo_jnode *param = node->params; param; param = param->next, i++) {
        const zoo_jstr *name = param->value.as.str;
        const zoo_jv *given = i < args->n_args ? &args->args[i] : named_arg(args, name);
        zoo_jv value = given ? *given : zoo_jv_undefined_hint(x, "a parameter was not provided");
        if (i < args->n_args && named_arg(args, name)) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "a macro got two values for argument '%.*s'",
                            (int)name->n, name->s);
        }
        if (!given && param->a) {
            value = zoo_jinja_eval(x, scope, param->a);
        }
        zoo_jscope_set(x, scope, name, value);
    }
    bind_varargs(x, scope, node, args, i);
    bind_kwargs(x, scope, node, args);
    return zoo_jinja_capture(x, scope, node->list);
}

static void exec_call_block(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    const zoo_jnode *call = node->a;
    zoo_jv callee = zoo_jinja_eval(x, scope, call->a);
    zoo_jargs args = zoo_jinja_args(x, scope, call->list);
    zoo_jargs with_caller = args;
    with_caller.named = zoo_jinja_array(x, args.n_named + 1, sizeof *args.named);
    with_caller.names = zoo_jinja_array(x, args.n_named + 1, sizeof *args.names);
    for (size_t i = 0; i < args.n_named; i++) {
        with_caller.named[i] = args.named[i];
        with_caller.names[i] = args.names[i];
    }
    with_caller.named[args.n_named] = macro_value(x, scope, node);
    with_caller.names[args.n_named] = node->value.as.str;
    with_caller.n_named++;
    zoo_jv text = zoo_jv_to_str(x, zoo_jinja_call(x, callee, &with_caller));
    zoo_jinja_emit(x, text.as.str->s, text.as.str->n);
}

static zoo_jflow exec_with(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jscope *inner = zoo_jscope_new(x, scope);
    for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
        zoo_jscope_assign(x, inner, pair->a, zoo_jinja_eval(x, scope, pair->b));
    }
    return zoo_jinja_exec(x, inner, node->list);
}

static zoo_jflow exec_if(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    while (!zoo_jv_truth(zoo_jinja_eval(x, scope, node->a))) {
        const zoo_jnode *other = node->other;
        if (!other || other->kind != JN_IF || other->next) {
            return zoo_jinja_exec(x, scope, other);
        }
        node = other;
    }
    return zoo_jinja_exec(x, scope, node->list);
}

static zoo_jflow exec_one(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    switch (node->kind) {
    case JN_TEXT:
        zoo_jinja_emit(x, node->value.as.str->s, node->value.as.str->n);
        break;
    case JN_OUTPUT:
        exec_output(x, scope, node);
        break;
    case JN_IF:
        return exec_if(x, scope, node);
    case JN_FOR:
        return exec_loop(x, scope, node, zoo_jinja_eval(x, scope, node->b), 0);
    case JN_SET:
        zoo_jscope_assign(x, scope, node->a, zoo_jinja_eval(x, scope, node->b));
        break;
    case JN_SETBLOCK:
        zoo_jscope_assign(x, scope, node->a, block_text(x, scope, node));
        break;
    case JN_MACRO:
        zoo_jscope_set(x, scope, node->value.as.str, macro_value(x, scope, node));
        break;
    case JN_CALLBLOCK:
        exec_call_block(x, scope, node);
        break;
    case JN_FILTERBLOCK: {
        zoo_jv text = zoo_jv_to_str(x, block_text(x, scope, node));
        zoo_jinja_emit(x, text.as.str->s, text.as.str->n);
        break;
    }
    case JN_WITH:
        return exec_with(x, scope, node);
    case JN_SCOPE:
        return zoo_jinja_exec(x, zoo_jscope_new(x, scope), node->list);
    case JN_BREAK:
        return JF_BREAK;
    case JN_CONTINUE:
        return JF_CONTINUE;
    default:
        zoo_jinja_raise(x, ZOO_E_INTERNAL, "a node of kind %d is no statement", node->kind);
    }
    return JF_NEXT;
}

zoo_jflow zoo_jinja_exec(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list)
{
    zoo_jflow flow = JF_NEXT;
    zoo_jinja_enter(x);
    for (const zoo_jnode *node = list; node && flow == JF_NEXT; node = node->next) {
        zoo_jinja_step(x, 1);
        x->line = node->line;
        flow = exec_one(x, scope, node);
    }
    zoo_jinja_leave(x);
    return flow;
}
