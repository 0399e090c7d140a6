/*
 * loop.c: the items of a loop, and what `loop` tells of it.
 *
 * Items are drawn one by one, as the reference does: a condition is asked for an item after the
 * turn of the one before, unless the template has asked for what comes next (last, nextitem) or how
 * many there are (length, revindex).
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

/* What the condition hands on is made of the loop's own names. */
static zoo_jv target_value(zoo_jinja *x, const zoo_jscope *scope, const zoo_jnode *target)
{
    if (target->kind != JN_TUPLE) {
        return scope->slots[target->slot];
    }
    zoo_jv out = zoo_jv_list(x, JV_TUPLE, 0);
    for (const zoo_jnode *part = target->list; part; part = part->next) {
        zoo_jlist_add(x, out.as.list, target_value(x, scope, part));
    }
    return out;
}

/* The next item that passes the condition. */
static bool pass(zoo_jinja *x, zoo_jloop *loop, zoo_jv *item)
{
    const zoo_jnode *node = loop->node;
    if (!node->c) {
        return zoo_jiter_next(x, &loop->it, item);
    }
    if (!loop->test) {
        loop->test = zoo_jscope_new(x, loop->outer, node->test_frame->n_slots);
        zoo_jscope_enter(x, loop->test, node->test_frame);
    }
    while (zoo_jiter_next(x, &loop->it, item)) {
        zoo_jscope_assign(x, loop->test, node->d, *item);
        if (zoo_jv_truth(zoo_jinja_eval(x, loop->test, node->c))) {
            *item = target_value(x, loop->test, node->d);
            return true;
        }
    }
    return false;
}

static bool draw(zoo_jinja *x, zoo_jloop *loop, zoo_jv *item)
{
    if (!loop->drawn) {
        return pass(x, loop, item);
    }
    if (loop->drawn_at >= loop->drawn->n) {
        return false;
    }
    *item = loop->drawn->items[loop->drawn_at++];
    return true;
}

static bool peek(zoo_jinja *x, zoo_jloop *loop)
{
    if (!loop->has_after) {
        loop->has_after = draw(x, loop, &loop->after);
    }
    return loop->has_after;
}

bool zoo_jloop_next(zoo_jinja *x, zoo_jloop *loop, zoo_jv *item)
{
    if (loop->has_after) {
        *item = loop->after;
        loop->has_after = false;
    } else if (!draw(x, loop, item)) {
        return false;
    }
    loop->index0++;
    loop->before = loop->now;
    loop->now = *item;
    return true;
}

int64_t zoo_jloop_length(zoo_jinja *x, zoo_jloop *loop)
{
    size_t n = 0;
    if (loop->length >= 0) {
        return loop->length;
    }
    if (loop->over.kind == JV_LOOP) {
        loop->length = zoo_jloop_length(x, loop->over.as.loop);
    } else if (!loop->node->c && zoo_jv_length(loop->over, &n)) {
        loop->length = (int64_t)n;
    } else {
        zoo_jv rest = zoo_jv_list(x, JV_LIST, 0), item;
        while (draw(x, loop, &item)) {
            zoo_jlist_add(x, rest.as.list, item);
        }
        loop->drawn = rest.as.list;
        loop->drawn_at = 0;
        loop->length = (int64_t)rest.as.list->n + loop->index0 + 1 + loop->has_after;
    }
    return loop->length;
}

static zoo_jv loop_cycle(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    if (!args->n_args) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "no items for cycling given");
    }
    return args->args[(size_t)self.as.loop->index0 % args->n_args];
}

static zoo_jv loop_changed(zoo_jinja *x, zoo_jv self, const zoo_jargs *args)
{
    zoo_jloop *loop = self.as.loop;
    zoo_jv now = zoo_jv_list(x, JV_TUPLE, 0);
    for (size_t i = 0; i < args->n_args; i++) {
        zoo_jlist_add(x, now.as.list, args->args[i]);
    }
    bool same = loop->has_changed && zoo_jv_equal(x, loop->last_changed, now);
    loop->has_changed = true;
    loop->last_changed = now;
    return ZOO_JV_BOOL(!same);
}

zoo_jv zoo_jloop_attr(zoo_jinja *x, zoo_jv value, zoo_jv name)
{
    static const zoo_jfunction cycle = {"cycle", loop_cycle, "*", 0};
    static const zoo_jfunction changed = {"changed", loop_changed, "*", 0};
    zoo_jloop *loop = value.as.loop;
    int64_t at = loop->index0;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"index", at + 1},
                   {"index0", at},
                   {"depth", (int64_t)loop->depth0 + 1},
                   {"depth0", loop->depth0}};
    for (size_t i = 0; i < ZOO_COUNT(numbers); i++) {
        if (zoo_jv_is(name, numbers[i].name)) {
            return ZOO_JV_INT(numbers[i].value);
        }
    }
    if (zoo_jv_is(name, "length")) {
        return ZOO_JV_INT(zoo_jloop_length(x, loop));
    }
    if (zoo_jv_is(name, "revindex") || zoo_jv_is(name, "revindex0")) {
        return ZOO_JV_INT(zoo_jloop_length(x, loop) - at - (name.as.str->n == 9));
    }
    if (zoo_jv_is(name, "first") || zoo_jv_is(name, "last")) {
        return ZOO_JV_BOOL(name.as.str->s[0] == 'f' ? at == 0 : !peek(x, loop));
    }
    if (zoo_jv_is(name, "previtem")) {
        return at > 0 ? loop->before : zoo_jv_undefined_hint(x, "there is no previous item");
    }
    if (zoo_jv_is(name, "nextitem")) {
        return peek(x, loop) ? loop->after : zoo_jv_undefined_hint(x, "there is no next item");
    }
    if (zoo_jv_is(name, "cycle") || zoo_jv_is(name, "changed")) {
        zoo_jbound *bound = zoo_jinja_take(x, sizeof *bound);
        *bound =
            (zoo_jbound){.function = name.as.str->s[1] == 'y' ? &cycle : &changed, .self = value};
        return (zoo_jv){.kind = JV_METHOD, .as.method = bound};
    }
    return zoo_jv_undefined_of(x, value, name);
}
