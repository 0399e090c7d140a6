/*
 * exec.c: statements: what they write, what they bind, how loops and macros run.
 *
 * Which variable a name is was found in names.c: a run of a function has all its variables in
 * one array, and a frame within it sets its own at its begin and end. A macro sees the variables of
 * the run in which it was defined, as they are when it is called.
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

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
    zoo_jv v = zoo_jv_to_str(x, zoo_jinja_eval_output(x, scope, node->a));
    x->line = node->line;
    zoo_jinja_emit(x, v.as.str->s, v.as.str->n);
}

/* The text that a list of statements writes. */
static zoo_jflow capture(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list, zoo_jv *text)
{
    zoo_jbuf buf = {0};
    zoo_jbuf *outer = x->out;
    x->out = &buf;
    zoo_jinja_enter(x);
    zoo_jflow flow = zoo_jinja_exec(x, scope, list);
    zoo_jinja_leave(x);
    x->out = outer;
    *text = zoo_jv_buf(x, &buf);
    return flow;
}

/* What a block hands over to the text around it must be a string already. */
static void emit_block(zoo_jinja *x, zoo_jv v)
{
    if (v.kind != JV_STR) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "sequence item 0: expected str instance, %s found",
                        zoo_jv_type(v));
    }
    zoo_jinja_emit(x, v.as.str->s, v.as.str->n);
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

/* A filter or set block; a break or continue in it throws its text away. */
static zoo_jflow exec_block(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv text;
    zoo_jscope_enter(x, scope, node->frame);
    zoo_jflow flow = capture(x, scope, node->list, &text);
    if (flow == JF_NEXT) {
        text = apply_filters(x, scope, node->b, text);
        if (node->kind == JN_SETBLOCK) {
            zoo_jscope_assign(x, scope, node->a, text);
        } else {
            emit_block(x, text);
        }
    }
    zoo_jscope_leave(scope, node->frame);
    return flow;
}

/* The turns of a loop; *ran: one of them came to its end. */
static zoo_jflow exec_turns(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jloop *loop,
                            bool *ran)
{
    zoo_jv item;
    while (zoo_jloop_next(x, loop, &item)) {
        zoo_jinja_step(x, 1);
        zoo_jscope_assign(x, scope, node->a, item);
        if (node->asks) {
            scope->slots[node->loop_slot] = (zoo_jv){.kind = JV_LOOP, .as.loop = loop};
        }
        zoo_jscope_enter(x, scope, node->frame);
        zoo_jflow flow = zoo_jinja_exec(x, scope, node->list);
        if (flow == JF_BREAK) {
            return flow;
        }
        *ran |= flow == JF_NEXT;
    }
    return JF_NEXT;
}

/* else: when no turn came to its end, be it for a break or continue in all of them. */
static zoo_jflow exec_loop(zoo_jinja *x, zoo_jscope *scope, zoo_jscope *outer,
                           const zoo_jnode *node, zoo_jv over, uint32_t depth0)
{
    bool ran = false;
    zoo_jflow flow = JF_NEXT;
    zoo_jloop *loop = zoo_jinja_array(x, 1, sizeof *loop);
    *loop = (zoo_jloop){.node = node, .outer = outer, .over = over, .depth0 = depth0};
    loop->index0 = loop->length = -1;
    loop->it = zoo_jiter_begin(x, over);
    zoo_jinja_enter(x);
    (void)exec_turns(x, scope, node, loop, &ran);
    zoo_jscope_leave(scope, node->frame);
    if (node->other && !ran) {
        zoo_jscope_enter(x, scope, node->else_frame);
        flow = zoo_jinja_exec(x, scope, node->other);
        zoo_jscope_leave(scope, node->else_frame);
    }
    zoo_jinja_leave(x);
    return flow;
}

static zoo_jv recursive_loop(zoo_jinja *x, zoo_jscope *outer, const zoo_jnode *node, zoo_jv over,
                             uint32_t depth0)
{
    zoo_jscope *scope = zoo_jscope_new(x, outer, node->frame->n_slots);
    zoo_jbuf buf = {0};
    zoo_jbuf *out = x->out;
    x->out = &buf;
    (void)exec_loop(x, scope, outer, node, over, depth0);
    x->out = out;
    return zoo_jv_buf(x, &buf);
}

zoo_jv zoo_jinja_recurse(zoo_jinja *x, const zoo_jloop *loop, zoo_jv items)
{
    if (!loop->node->flag) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "the loop is not marked as recursive");
    }
    return recursive_loop(x, loop->outer, loop->node, items, loop->depth0 + 1);
}

static zoo_jflow exec_for(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jv over = zoo_jinja_eval(x, scope, node->b);
    if (!node->flag) {
        return exec_loop(x, scope, scope, node, over, 0);
    }
    emit_block(x, recursive_loop(x, scope, node, over, 0));
    return JF_NEXT;
}

static zoo_jv macro_value(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jmacro *macro = zoo_jinja_take(x, sizeof *macro);
    *macro = (zoo_jmacro){.node = node, .scope = scope};
    return (zoo_jv){.kind = JV_MACRO, .as.macro = macro};
}

static bool same_name(const zoo_jstr *a, const zoo_jstr *b)
{
    return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

/* Takes the named argument out of args; absent when there is none. */
static zoo_jv take_named(zoo_jargs *args, const zoo_jstr *name)
{
    zoo_jv value = {0};
    for (size_t i = 0; i < args->n_named; i++) {
        if (args->names[i] && same_name(args->names[i], name)) {
            value = args->named[i];
            args->names[i] = NULL;
        }
    }
    return value;
}

static void bind_caller(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jargs *args)
{
    static const zoo_jstr name = {.n = 6, .n_chars = 6, .s = "caller"};
    if (!(node->asks & ZOO_JA_CALLER) || node->flag) {
        return;
    }
    zoo_jv caller = take_named(args, &name);
    bool none = zoo_jv_absent(caller) || caller.kind == JV_NONE;
    scope->slots[node->caller_slot] = none ? zoo_jv_undefined_hint(x, "No caller defined") : caller;
}

/* What named arguments are left goes to kwargs when the body asks for it. */
static void bind_kwargs(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node, zoo_jargs *args)
{
    bool keeps = node->asks & ZOO_JA_KWARGS;
    zoo_jv rest = keeps ? zoo_jv_dict(x) : ZOO_JV_NONE;
    for (size_t i = 0; i < args->n_named; i++) {
        const zoo_jstr *name = args->names[i];
        if (name && !keeps) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "macro '%.*s' takes no keyword argument '%.*s'",
                            (int)node->value.as.str->n, node->value.as.str->s, (int)name->n,
                            name->s);
        }
        if (name) {
            zoo_jv key = {.kind = JV_STR, .as.str = name};
            zoo_jdict_set(x, rest.as.dict, key, args->named[i]);
        }
    }
    if (keeps) {
        scope->slots[node->kwargs_slot] = rest;
    }
}

/* What positional arguments are left goes to varargs when the body asks for it. */
static void bind_varargs(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node,
                         const zoo_jargs *args, size_t n_params)
{
    bool keeps = node->asks & ZOO_JA_VARARGS;
    if (args->n_args > n_params && !keeps) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "macro '%.*s' takes not more than %zu argument(s)",
                        (int)node->value.as.str->n, node->value.as.str->s, n_params);
    }
    if (keeps) {
        zoo_jv rest = zoo_jv_list(x, JV_TUPLE, 0);
        for (size_t i = n_params; i < args->n_args; i++) {
            zoo_jlist_add(x, rest.as.list, args->args[i]);
        }
        scope->slots[node->slot] = rest;
    }
}

static void bind_defaults(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    for (const zoo_jnode *param = node->params; param; param = param->next) {
        if (!zoo_jv_absent(scope->slots[param->slot])) {
            continue;
        }
        scope->slots[param->slot] = param->a
                                        ? zoo_jinja_eval(x, scope, param->a)
                                        : zoo_jv_undefined_hint(x, "a parameter was not provided");
    }
}

zoo_jv zoo_jmacro_call(zoo_jinja *x, const zoo_jmacro *macro, const zoo_jargs *given)
{
    const zoo_jnode *node = macro->node;
    zoo_jscope *scope = zoo_jscope_new(x, macro->scope, node->frame->n_slots);
    zoo_jargs args = *given;
    zoo_jv text;
    size_t i = 0;
    args.names = zoo_jinja_array(x, args.n_named + 1, sizeof *args.names);
    for (size_t k = 0; k < args.n_named; k++) {
        args.names[k] = given->names[k];
    }
    for (const zoo_jnode *param = node->params; param; param = param->next, i++) {
        scope->slots[param->slot] =
            i < args.n_args ? args.args[i] : take_named(&args, param->value.as.str);
    }
    bind_caller(x, scope, node, &args);
    bind_kwargs(x, scope, node, &args);
    bind_varargs(x, scope, node, &args, i);
    zoo_jscope_enter(x, scope, node->frame);
    bind_defaults(x, scope, node);
    (void)capture(x, scope, node->list, &text);
    return text;
}

static void exec_call_block(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    const zoo_jnode *call = node->a;
    zoo_jv caller = macro_value(x, scope, node);
    if (!call) {
        zoo_jargs none = {0};
        emit_block(x, zoo_jmacro_call(x, caller.as.macro, &none));
        return;
    }
    zoo_jv callee = zoo_jinja_eval(x, scope, call->a);
    zoo_jargs args = zoo_jinja_args(x, scope, call->list), more = args;
    more.named = zoo_jinja_array(x, args.n_named + 1, sizeof *args.named);
    more.names = zoo_jinja_array(x, args.n_named + 1, sizeof *args.names);
    for (size_t i = 0; i < args.n_named; i++) {
        more.named[i] = args.named[i];
        more.names[i] = args.names[i];
    }
    more.named[args.n_named] = caller;
    more.names[args.n_named] = node->value.as.str;
    more.n_named++;
    x->line = node->line;
    emit_block(x, zoo_jinja_call(x, callee, &more));
}

static zoo_jflow exec_with(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    zoo_jscope_enter(x, scope, node->frame);
    for (const zoo_jnode *pair = node->params; pair; pair = pair->next) {
        zoo_jscope_assign(x, scope, pair->a, zoo_jinja_eval(x, scope, pair->b));
    }
    zoo_jflow flow = zoo_jinja_exec(x, scope, node->list);
    zoo_jscope_leave(scope, node->frame);
    return flow;
}

/* Attributes are set of namespaces only; that is asked before the value is computed. */
static void check_namespaces(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *target)
{
    if (target->kind == JN_NSREF && zoo_jinja_eval(x, scope, target->a).kind != JV_NAMESPACE) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "cannot assign attribute on non-namespace object");
    }
    if (target->kind == JN_TUPLE) {
        for (const zoo_jnode *part = target->list; part; part = part->next) {
            check_namespaces(x, scope, part);
        }
    }
}

static zoo_jflow exec_if(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node)
{
    while (!zoo_jv_truth(zoo_jinja_eval(x, scope, node->a))) {
        const zoo_jnode *other = node->other;
        if (!zoo_jnode_is_elif(other)) {
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
        return exec_for(x, scope, node);
    case JN_SET:
        check_namespaces(x, scope, node->a);
        zoo_jscope_assign(x, scope, node->a, zoo_jinja_eval(x, scope, node->b));
        break;
    case JN_SETBLOCK:
    case JN_FILTERBLOCK:
        return exec_block(x, scope, node);
    case JN_MACRO:
        scope->slots[node->loop_slot] = macro_value(x, scope, node);
        break;
    case JN_CALLBLOCK:
        exec_call_block(x, scope, node);
        break;
    case JN_WITH:
        return exec_with(x, scope, node);
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
