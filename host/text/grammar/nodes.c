/*
 * nodes.c: the growing automaton: nodes, byte classes and rules.
 */
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "text/grammar/grammar_private.h"

#define NODES_MAX   400000u
#define CLASSES_MAX 4096u

void zoo_gbuild_fail(zoo_gbuild *b, zoo_status status, const char *fmt, ...)
{
    char text[400];
    va_list args;
    if (b->status != ZOO_OK) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    b->status = zoo_fail(b->err, status, "%s: %s", b->subject, text);
}

void zoo_gbuild_step(zoo_gbuild *b, uint64_t n)
{
    if (!zoo_budget_step(n)) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "it takes too many steps");
    }
}

/* Room for one more item in a growing array; false after an error. */
static bool grow(zoo_gbuild *b, void **items, uint32_t n, uint32_t *capacity, size_t item_size)
{
    if (b->status != ZOO_OK) {
        return false;
    }
    if (n < *capacity) {
        return true;
    }
    uint32_t more = *capacity ? *capacity * 2 : 64;
    void *grown = n < NODES_MAX ? zoo_mem_realloc(*items, more * item_size) : NULL;
    if (!grown) {
        zoo_gbuild_fail(b, n < NODES_MAX ? ZOO_E_MEMORY : ZOO_E_LIMIT,
                        "it is too large: %u nodes, the limit is %u", n, NODES_MAX);
        return false;
    }
    *items = grown;
    *capacity = more;
    return true;
}

static zoo_gnode node(zoo_gbuild *b, zoo_gkind kind, uint32_t a, zoo_gnode next)
{
    zoo_gcode *c = b->code;
    zoo_gbuild_step(b, 1);
    if (!grow(b, (void **)&c->nodes, c->n_nodes, &c->node_capacity, sizeof *c->nodes)) {
        return ZOO_GNODE_RETURN;
    }
    c->nodes[c->n_nodes] = (zoo_gentry){.kind = (uint8_t)kind, .a = a, .next = next};
    return c->n_nodes++;
}

void zoo_g_return(zoo_gbuild *b)
{
    (void)node(b, ZOO_G_RETURN, 0, ZOO_GNODE_RETURN);
}

void zoo_gclass_add(zoo_gclass *c, int low, int high)
{
    for (int i = low; i <= high; i++) {
        c->bits[i / 32] |= 1u << (i % 32);
    }
}

bool zoo_gclass_has(const zoo_gclass *c, uint8_t byte)
{
    return c->bits[byte / 32] >> (byte % 32) & 1u;
}

static uint32_t class_of(zoo_gbuild *b, const zoo_gclass *wanted)
{
    zoo_gcode *c = b->code;
    for (uint32_t i = 0; i < c->n_classes; i++) {
        if (memcmp(&c->classes[i], wanted, sizeof *wanted) == 0) {
            return i;
        }
    }
    if (c->n_classes == CLASSES_MAX) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "its patterns have more than %u classes", CLASSES_MAX);
        return 0;
    }
    if (!grow(b, (void **)&c->classes, c->n_classes, &c->class_capacity, sizeof *c->classes)) {
        return 0;
    }
    c->classes[c->n_classes] = *wanted;
    return c->n_classes++;
}

zoo_gnode zoo_g_class(zoo_gbuild *b, const zoo_gclass *c, zoo_gnode next)
{
    return node(b, ZOO_G_BYTE, class_of(b, c), next);
}

zoo_gnode zoo_g_range(zoo_gbuild *b, int low, int high, zoo_gnode next)
{
    zoo_gclass c = {{0}};
    zoo_gclass_add(&c, low, high);
    return zoo_g_class(b, &c, next);
}

zoo_gnode zoo_g_token(zoo_gbuild *b, uint32_t token, zoo_gnode next)
{
    return node(b, ZOO_G_TOKEN, token, next);
}

zoo_gnode zoo_g_text(zoo_gbuild *b, const char *s, size_t n, zoo_gnode next)
{
    for (size_t i = n; i > 0; i--) {
        int byte = (unsigned char)s[i - 1];
        next = zoo_g_range(b, byte, byte, next);
    }
    return next;
}

zoo_gnode zoo_g_either(zoo_gbuild *b, zoo_gnode x, zoo_gnode y)
{
    return node(b, ZOO_G_SPLIT, y, x);
}

zoo_gnode zoo_g_loop(zoo_gbuild *b)
{
    return node(b, ZOO_G_SPLIT, ZOO_GNODE_RETURN, ZOO_GNODE_RETURN);
}

void zoo_g_loop_set(zoo_gbuild *b, zoo_gnode loop, zoo_gnode body, zoo_gnode after)
{
    if (b->status == ZOO_OK) {
        b->code->nodes[loop].next = body;
        b->code->nodes[loop].a = after;
    }
}

zoo_gnode zoo_g_call(zoo_gbuild *b, uint32_t rule, zoo_gnode next)
{
    return node(b, ZOO_G_CALL, rule, next);
}

uint32_t zoo_g_rule(zoo_gbuild *b, const cJSON *schema)
{
    zoo_gcode *c = b->code;
    if (!grow(b, (void **)&c->rules, c->n_rules, &c->rule_capacity, sizeof *c->rules)) {
        return 0;
    }
    c->rules[c->n_rules] = (zoo_grule){.start = ZOO_GNODE_RETURN, .schema = schema};
    return c->n_rules++;
}

void zoo_g_rule_set(zoo_gbuild *b, uint32_t rule, zoo_gnode start)
{
    if (b->status == ZOO_OK) {
        b->code->rules[rule].start = start;
    }
}

void zoo_gcode_free(zoo_gcode *code)
{
    zoo_mem_free(code->nodes);
    zoo_mem_free(code->classes);
    zoo_mem_free(code->rules);
    *code = (zoo_gcode){0};
}
