/*
 * nodes.c: the growing automaton: nodes, byte classes, rules, and distances to the end.
 */
#include <stdlib.h>
#include <string.h>

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
    b->status = zoo_fail(b->err, status, "JSON schema: %s", text);
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
    if (!grow(b, (void **)&c->nodes, c->n_nodes, &c->node_capacity, sizeof *c->nodes)) {
        return ZOO_GNODE_RETURN;
    }
    c->nodes[c->n_nodes] = (zoo_gentry){.kind = (uint8_t)kind, .a = a, .next = next};
    return c->n_nodes++;
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
    for (uint32_t round = 0; changed && round < 2000; round++) {
        changed = false;
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
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "a $ref leads back to itself without a value between");
        }
    }
    zoo_mem_free(w.rules);
    zoo_mem_free(w.seen);
    zoo_mem_free(w.stack);
}

void zoo_gcode_free(zoo_gcode *code)
{
    zoo_mem_free(code->nodes);
    zoo_mem_free(code->classes);
    zoo_mem_free(code->rules);
    *code = (zoo_gcode){0};
}

zoo_status zoo_gcode_build(const zoo_grammar_want *want, const zoo_tokenizer *tokenizer,
                           zoo_gcode *code, zoo_error *err)
{
    zoo_gbuild b = {.code = code, .root = want->schema, .tokenizer = tokenizer, .err = err};
    b.space = b.character = b.value = b.object = b.array = b.string = b.number = ZOO_GRULE_NONE;
    *code = (zoo_gcode){0};
    b.made = cJSON_CreateArray();
    if (!b.made) {
        return zoo_fail(err, ZOO_E_MEMORY, "JSON schema: no memory");
    }
    (void)node(&b, ZOO_G_RETURN, 0, ZOO_GNODE_RETURN);
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
