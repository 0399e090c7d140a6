/*
 * compile.c: the whole grammar of what is wanted, then the checks over all of its nodes: shortest
 * ways to the end, and no rule that comes back to itself before a byte.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

static uint32_t add(uint32_t a, uint32_t c)
{
    return a > UINT32_MAX / 2 || c > UINT32_MAX / 2 ? UINT32_MAX : a + c;
}

static uint32_t distance_of(const zoo_gcode *c, const zoo_gentry *e)
{
    uint32_t next = c->nodes[e->next].distance, other;
    switch (e->kind) {
    case ZOO_G_RETURN:
        return 0;
    case ZOO_G_BYTE:
    case ZOO_G_TOKEN:
        return add(1, next);
    case ZOO_G_SPLIT:
        other = c->nodes[e->a].distance;
        return next < other ? next : other;
    default:
        return add(c->nodes[c->rules[e->a].start].distance, next);
    }
}

/* Shortest ways out, by relaxation until nothing changes; nodes point mostly to older ones. */
static void set_distances(zoo_gbuild *b)
{
    zoo_gcode *c = b->code;
    bool changed = true;
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        c->nodes[i].distance = UINT32_MAX;
    }
    for (uint32_t round = 0; changed && round < 2000 && b->status == ZOO_OK; round++) {
        changed = false;
        zoo_gbuild_step(b, c->n_nodes);
        for (uint32_t i = 0; i < c->n_nodes; i++) {
            uint32_t d = distance_of(c, &c->nodes[i]);
            changed = changed || d != c->nodes[i].distance;
            c->nodes[i].distance = d;
        }
    }
    if (c->nodes[c->rules[c->start].start].distance >= UINT32_MAX / 2) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "no finite text can satisfy it");
    }
}

/* A walk over what can be reached without a byte. */
typedef struct walk {
    const zoo_gcode *code;
    uint8_t *rules;   /* 1: on the way, 2: done */
    uint8_t *seen;    /* nodes; each belongs to one rule, but node 0, which leads nowhere */
    zoo_gnode *stack; /* shared by the rules on the way, each node pushed twice at most */
} walk;

/* Whether a rule can come back to itself before any byte. */
static bool recurses_at_once(walk *w, uint32_t rule, uint32_t base, uint32_t depth)
{
    const zoo_gcode *c = w->code;
    uint32_t n = base;
    if (w->rules[rule] || depth > 2000) {
        return w->rules[rule] != 2;
    }
    w->rules[rule] = 1;
    w->stack[n++] = c->rules[rule].start;
    while (n > base) {
        zoo_gnode at = w->stack[--n];
        const zoo_gentry *e = &c->nodes[at];
        if (w->seen[at]) {
            continue;
        }
        w->seen[at] = 1;
        if (e->kind == ZOO_G_SPLIT) {
            w->stack[n++] = e->next;
            w->stack[n++] = e->a;
        } else if (e->kind == ZOO_G_CALL) {
            if (recurses_at_once(w, e->a, n, depth + 1)) {
                return true;
            }
            if (c->nodes[c->rules[e->a].start].distance == 0) {
                w->stack[n++] = e->next;
            }
        }
    }
    w->rules[rule] = 2;
    return false;
}

static void check_recursion(zoo_gbuild *b)
{
    zoo_gcode *c = b->code;
    walk w = {.code = c};
    w.rules = zoo_mem_array(c->n_rules, 1);
    w.seen = zoo_mem_array(c->n_nodes, 1);
    w.stack = zoo_mem_array(2 * (size_t)c->n_nodes + c->n_rules + 2, sizeof *w.stack);
    if (!w.rules || !w.seen || !w.stack) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
    }
    for (uint32_t i = 0; b->status == ZOO_OK && i < c->n_rules; i++) {
        if (recurses_at_once(&w, i, 0, 0)) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "a %s leads back to itself without a %s between",
                            b->root ? "$ref" : "rule", b->root ? "value" : "character");
        }
    }
    zoo_mem_free(w.rules);
    zoo_mem_free(w.seen);
    zoo_mem_free(w.stack);
}

zoo_status zoo_gcode_build(const zoo_grammar_want *want, const zoo_tokenizer *tokenizer,
                           zoo_gcode *code, zoo_error *err)
{
    zoo_gbuild b = {.code = code,
                    .root = want->schema,
                    .subject = want->ebnf ? "grammar" : "JSON schema",
                    .tokenizer = tokenizer,
                    .err = err};
    b.space = b.character = b.value = b.object = b.array = b.string = b.number = ZOO_GRULE_NONE;
    *code = (zoo_gcode){0};
    b.made = cJSON_CreateArray();
    if (!b.made) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory", b.subject);
    }
    zoo_g_return(&b);
    uint32_t start = zoo_g_rule(&b, NULL);
    zoo_g_rule_set(&b, start, zoo_g_want(&b, want));
    code->start = start;
    if (b.status == ZOO_OK) {
        set_distances(&b);
    }
    if (b.status == ZOO_OK) {
        check_recursion(&b);
    }
    cJSON_Delete(b.made);
    if (b.status != ZOO_OK) {
        zoo_gcode_free(code);
    }
    return b.status;
}
