/*
 * counted.c: a piece of the automaton with its characters counted: `pattern` beside minLength and
 * maxLength.
 *
 * Nodes of the piece are copied once for each count that can be reached: (node, characters before
 * it), counts from min on being one where there is no maxLength. A character is what begins with a
 * byte that no other byte of it can be (0x80 to 0xBF go on); an escape begins with its backslash.
 * What is after a backslash belongs to it: nodes that follow one are not counted.
 *
 * Copies from which no end of the piece can be reached take nothing: a mask lets through what goes
 * on, whether or not it ever ends.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

#define COPIES_MAX 60000u

typedef struct copy {
    zoo_gnode from; /* the node that is copied */
    uint32_t count; /* characters before it */
    bool escaped;   /* a backslash stands before it */
    zoo_gnode made;
} copy;

typedef struct counting {
    zoo_gbuild *b;
    const zoo_gspan *span;
    uint32_t min, max;
    copy *copies;
    uint32_t n, capacity;
    uint32_t *heads, *next; /* chains of copies by the node: index + 1 */
    zoo_gnode dead;
} counting;

static zoo_gnode no_way(counting *c)
{
    zoo_gclass none = {{0}};
    if (!c->dead) {
        c->dead = zoo_g_class(c->b, &none, ZOO_GNODE_RETURN);
    }
    return c->dead;
}

static bool has_room(counting *c)
{
    uint32_t more = c->capacity ? c->capacity * 2 : 256;
    if (c->n < c->capacity) {
        return true;
    }
    if (c->n >= COPIES_MAX) {
        zoo_gbuild_fail(c->b, ZOO_E_LIMIT,
                        "pattern beside minLength or maxLength: more than %u nodes", COPIES_MAX);
        return false;
    }
    copy *copies = zoo_mem_realloc(c->copies, more * sizeof *copies);
    c->copies = copies ? copies : c->copies;
    uint32_t *next = copies ? zoo_mem_realloc(c->next, more * sizeof *next) : NULL;
    c->next = next ? next : c->next;
    if (!copies || !next) {
        zoo_gbuild_fail(c->b, ZOO_E_MEMORY, "no memory");
        return false;
    }
    c->capacity = more;
    return true;
}

/* The copy of a node for a count, made now when it is new. */
static zoo_gnode copy_of(counting *c, zoo_gnode from, uint32_t count, bool escaped)
{
    uint32_t at = from - c->span->first;
    if (from == c->span->end) {
        return count >= c->min ? from : no_way(c);
    }
    for (uint32_t i = c->heads[at]; i; i = c->next[i - 1]) {
        if (c->copies[i - 1].count == count && c->copies[i - 1].escaped == escaped) {
            return c->copies[i - 1].made;
        }
    }
    zoo_gnode made = zoo_g_loop(c->b);
    if (c->b->status != ZOO_OK || !has_room(c)) {
        return ZOO_GNODE_RETURN;
    }
    c->copies[c->n] = (copy){from, count, escaped, made};
    c->next[c->n] = c->heads[at];
    c->heads[at] = ++c->n;
    return made;
}

static bool begins_character(const zoo_gclass *class)
{
    bool goes_on = class->bits[4] || class->bits[5];
    bool begins = class->bits[0] || class->bits[1] || class->bits[2] || class->bits[3] ||
                  class->bits[6] || class->bits[7];
    return begins && !goes_on;
}

static void fill(counting *c, const copy *at)
{
    zoo_gcode *code = c->b->code;
    zoo_gentry e = code->nodes[at->from];
    if (e.kind == ZOO_G_SPLIT) {
        zoo_gnode one = copy_of(c, e.next, at->count, at->escaped);
        zoo_gnode other = copy_of(c, e.a, at->count, at->escaped);
        zoo_g_loop_set(c->b, at->made, one, other);
        return;
    }
    const zoo_gclass *class = &code->classes[e.a];
    uint32_t count = at->count + (!at->escaped && begins_character(class));
    bool escapes = !at->escaped && zoo_gclass_has(class, '\\');
    bool fits = c->max == UINT32_MAX || count <= c->max;
    count = c->max == UINT32_MAX && count > c->min ? c->min : count;
    zoo_gnode next = fits ? copy_of(c, e.next, count, escapes) : no_way(c);
    if (c->b->status == ZOO_OK) {
        code->nodes[at->made] = (zoo_gentry){.kind = e.kind, .a = e.a, .next = next};
        code->nodes[at->made].next = next;
    }
}

/* Whether the end of the piece can be reached from a node, as far as is known. */
static bool leads_out(const counting *c, const bool *lives, zoo_gnode base, zoo_gnode node)
{
    return node == c->span->end || (node >= base && lives[node - base]);
}

/* lives [nodes from base on]: set for the copies from which the end can be reached. */
static void mark_living(const counting *c, bool *lives, zoo_gnode base)
{
    static const zoo_gclass none = {{0}};
    const zoo_gcode *code = c->b->code;
    for (bool grows = true; grows;) {
        grows = false;
        for (uint32_t i = c->n; i-- > 0;) {
            zoo_gnode made = c->copies[i].made;
            zoo_gentry e = code->nodes[made];
            bool leads = leads_out(c, lives, base, e.next);
            if (e.kind == ZOO_G_SPLIT) {
                leads |= leads_out(c, lives, base, e.a);
            } else {
                leads &= memcmp(&code->classes[e.a], &none, sizeof none) != 0;
            }
            grows |= leads && !lives[made - base];
            lives[made - base] |= leads;
        }
    }
}

static void prune(counting *c, zoo_gnode base, zoo_gnode start)
{
    zoo_gbuild *b = c->b;
    zoo_gnode dead = no_way(c);
    bool *lives = b->status == ZOO_OK ? zoo_mem_array(b->code->n_nodes - base + 1, 1) : NULL;
    if (!lives) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return;
    }
    mark_living(c, lives, base);
    for (uint32_t i = 0; i < c->n; i++) {
        zoo_gnode made = c->copies[i].made;
        if (!lives[made - base]) {
            b->code->nodes[made] = b->code->nodes[dead];
        }
    }
    if (!leads_out(c, lives, base, start)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT,
                        "no text of minLength to maxLength characters has the pattern or format");
    }
    zoo_mem_free(lives);
}

zoo_gnode zoo_g_counted(zoo_gbuild *b, const zoo_gspan *span, uint32_t min, uint32_t max)
{
    counting c = {.b = b, .span = span, .min = min, .max = max};
    zoo_gnode base = b->code->n_nodes;
    uint32_t n = base - span->first;
    zoo_gnode out = ZOO_GNODE_RETURN;
    c.heads = b->status == ZOO_OK ? zoo_mem_array((size_t)n + 1, sizeof *c.heads) : NULL;
    if (!c.heads) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return out;
    }
    out = copy_of(&c, span->start, 0, false);
    for (uint32_t i = 0; i < c.n && b->status == ZOO_OK; i++) {
        copy at = c.copies[i];
        fill(&c, &at);
    }
    if (b->status == ZOO_OK) {
        prune(&c, base, out);
    }
    zoo_mem_free(c.heads);
    zoo_mem_free(c.copies);
    zoo_mem_free(c.next);
    return out;
}
