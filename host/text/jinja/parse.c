/*
 * parse.c: the statement grammar: tokens to a list of statements.
 *
 * Known: if/elif/else, for (with if, else, recursive), set (names, tuples, namespace attributes,
 * blocks with filters), macro, call, filter, with, print, generation, break, continue. Every other
 * tag, those of template inheritance and inclusion among them, is refused by name.
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

static zoo_jnode *parse_until(zoo_jparser *p, const char *const *ends);

zoo_jnode *zoo_jnode_new(zoo_jparser *p, zoo_jnode_kind kind, int line)
{
    zoo_jnode *node = zoo_jinja_array(p->x, 1, sizeof *node);
    node->kind = (uint8_t)kind;
    node->line = line;
    return node;
}

zoo_jv zoo_jparser_intern(zoo_jparser *p, const char *s, size_t n)
{
    zoo_jv name = zoo_jv_view(p->x, s, n);
    const zoo_jv *found = zoo_jdict_get(p->x, p->names, name);
    if (found) {
        return *found;
    }
    zoo_jdict_set(p->x, p->names, name, name);
    return name;
}

bool zoo_jtoken_is(const zoo_jtoken *t, zoo_jtoken_kind kind, const char *text)
{
    return t->kind == kind && t->n == strlen(text) && memcmp(t->s, text, t->n) == 0;
}

bool zoo_jparser_skip(zoo_jparser *p, zoo_jtoken_kind kind, const char *text)
{
    bool found = zoo_jtoken_is(p->at, kind, text);
    p->at += found;
    return found;
}

void zoo_jparser_fail(zoo_jparser *p, const char *wanted)
{
    const zoo_jtoken *t = p->at;
    p->x->line = t->line;
    if (t->kind == JT_END) {
        zoo_jinja_raise(p->x, ZOO_E_FORMAT, "the template ends where %s is expected", wanted);
    }
    zoo_jinja_raise(p->x, ZOO_E_FORMAT, "'%.*s' where %s is expected", t->n > 60 ? 60 : (int)t->n,
                    t->s, wanted);
}

void zoo_jparser_expect(zoo_jparser *p, zoo_jtoken_kind kind, const char *text)
{
    char wanted[40];
    if (!zoo_jparser_skip(p, kind, text)) {
        (void)snprintf(wanted, sizeof wanted, "'%s'", text);
        zoo_jparser_fail(p, wanted);
    }
}

static void end_block(zoo_jparser *p)
{
    if (p->at->kind != JT_BLOCK_END) {
        zoo_jparser_fail(p, "the end of the tag");
    }
    p->at++;
}

/* The statements up to a tag that ends them; the parser stands after that tag's name. */
static zoo_jnode *parse_body(zoo_jparser *p, const char *const *ends)
{
    (void)zoo_jparser_skip(p, JT_OP, ":");
    end_block(p);
    zoo_jinja_enter(p->x);
    zoo_jnode *list = parse_until(p, ends);
    zoo_jinja_leave(p->x);
    return list;
}

static zoo_jnode *parse_body_to(zoo_jparser *p, const char *end)
{
    const char *const ends[] = {end, NULL};
    zoo_jnode *list = parse_body(p, ends);
    p->at++;
    return list;
}

bool zoo_jnode_is_elif(const zoo_jnode *other)
{
    return other && other->kind == JN_IF && other->flag;
}

static zoo_jnode *parse_if(zoo_jparser *p, int line)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    zoo_jnode *first = zoo_jnode_new(p, JN_IF, line), *node = first;
    for (;;) {
        node->a = zoo_jparser_tuple(p, false);
        node->list = parse_body(p, ends);
        if (zoo_jparser_skip(p, JT_NAME, "elif")) {
            node->other = zoo_jnode_new(p, JN_IF, p->at->line);
            node = node->other;
            node->flag = true;
        } else if (zoo_jparser_skip(p, JT_NAME, "else")) {
            node->other = parse_body_to(p, "endif");
            break;
        } else {
            p->at++;
            break;
        }
    }
    return first;
}

static zoo_jnode *parse_for(zoo_jparser *p, int line)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    zoo_jnode *node = zoo_jnode_new(p, JN_FOR, line);
    node->a = zoo_jparser_target(p, false);
    zoo_jparser_expect(p, JT_NAME, "in");
    node->b = zoo_jparser_tuple(p, false);
    if (zoo_jparser_skip(p, JT_NAME, "if")) {
        node->c = zoo_jparser_expr(p, true);
    }
    node->flag = zoo_jparser_skip(p, JT_NAME, "recursive");
    node->value = zoo_jparser_intern(p, "loop", 4);
    uint32_t n_loops = p->n_loops;
    p->n_loops = (node->flag ? 0 : n_loops) + 1;
    node->list = parse_body(p, ends);
    p->n_loops--;
    if (zoo_jparser_skip(p, JT_NAME, "else")) {
        node->other = parse_body_to(p, "endfor");
    } else {
        p->at++;
    }
    p->n_loops = n_loops;
    return node;
}

static zoo_jnode *parse_set(zoo_jparser *p, int line)
{
    zoo_jnode *target = zoo_jparser_target(p, true);
    if (zoo_jparser_skip(p, JT_OP, "=")) {
        zoo_jnode *node = zoo_jnode_new(p, JN_SET, line);
        node->a = target;
        node->b = zoo_jparser_tuple(p, true);
        return node;
    }
    zoo_jnode *node = zoo_jnode_new(p, JN_SETBLOCK, line);
    node->a = target;
    if (zoo_jparser_skip(p, JT_OP, "|")) {
        node->b = zoo_jparser_filters(p, NULL, true);
    }
    node->list = parse_body_to(p, "endset");
    return node;
}

static void check_keyword(zoo_jparser *p, const zoo_jnode *list, const zoo_jnode *keyword)
{
    for (; list; list = list->next) {
        zoo_jinja_step(p->x, 1);
        if (list->kind == JN_KEYWORD && list->value.as.str == keyword->value.as.str) {
            p->x->line = keyword->line;
            zoo_jinja_raise(p->x, ZOO_E_FORMAT, "a call names an argument twice");
        }
    }
}

zoo_jnode *zoo_jparser_args(zoo_jparser *p)
{
    zoo_jnode *first = NULL, *last = NULL;
    bool has_star = false, has_twice = false, has_named = false;
    zoo_jparser_expect(p, JT_OP, "(");
    while (!zoo_jparser_skip(p, JT_OP, ")")) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
            if (zoo_jparser_skip(p, JT_OP, ")")) {
                break;
            }
        }
        const zoo_jtoken *t = p->at;
        bool is_star = zoo_jtoken_is(t, JT_OP, "*") || zoo_jtoken_is(t, JT_OP, "**");
        bool is_named = t->kind == JT_NAME && zoo_jtoken_is(t + 1, JT_OP, "=");
        /* One *a, one **b, which is the last; no positional one after another kind. */
        bool is_twice = is_star && t->n == 2, is_late = !is_star && !is_named;
        if (has_twice || (is_star && !is_twice && has_star) || (is_late && has_named)) {
            zoo_jparser_fail(p, "no further argument of this kind");
        }
        has_twice |= is_twice;
        has_star |= is_star;
        has_named |= is_star || is_named;
        if (is_star) {
            zoo_jnode *node = zoo_jnode_new(p, JN_STAR, t->line);
            p->at++;
            node->flag = t->n == 2;
            node->a = zoo_jparser_expr(p, true);
            *(last ? &last->next : &first) = node;
            last = node;
        } else if (is_named) {
            zoo_jnode *node = zoo_jnode_new(p, JN_KEYWORD, t->line);
            node->value = zoo_jparser_intern(p, t->s, t->n);
            check_keyword(p, first, node);
            p->at += 2;
            node->a = zoo_jparser_expr(p, true);
            *(last ? &last->next : &first) = node;
            last = node;
        } else {
            zoo_jnode *node = zoo_jparser_expr(p, true);
            *(last ? &last->next : &first) = node;
            last = node;
        }
    }
    return first;
}

static zoo_jnode *parse_params(zoo_jparser *p)
{
    zoo_jnode *first = NULL, *last = NULL;
    zoo_jparser_expect(p, JT_OP, "(");
    while (!zoo_jparser_skip(p, JT_OP, ")")) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
        }
        const zoo_jtoken *t = p->at;
        if (t->kind != JT_NAME) {
            zoo_jparser_fail(p, "the name of a parameter");
        }
        zoo_jnode *param = zoo_jnode_new(p, JN_PARAM, t->line);
        param->value = zoo_jparser_intern(p, t->s, t->n);
        p->at++;
        if (zoo_jparser_skip(p, JT_OP, "=")) {
            param->a = zoo_jparser_expr(p, true);
        } else if (last && last->a) {
            zoo_jparser_fail(p, "a default (a parameter before has one)");
        }
        *(last ? &last->next : &first) = param;
        last = param;
    }
    return first;
}

/* The body of a function: break does not leave it. */
static void parse_macro_body(zoo_jparser *p, zoo_jnode *node, const char *end)
{
    uint32_t n_loops = p->n_loops;
    p->n_loops = 0;
    node->list = parse_body_to(p, end);
    p->n_loops = n_loops;
}

static zoo_jnode *parse_macro(zoo_jparser *p, int line)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_MACRO, line);
    if (p->at->kind != JT_NAME) {
        zoo_jparser_fail(p, "the name of a macro");
    }
    node->value = zoo_jparser_intern(p, p->at->s, p->at->n);
    p->at++;
    node->params = parse_params(p);
    parse_macro_body(p, node, "endmacro");
    return node;
}

static zoo_jnode *parse_call_block(zoo_jparser *p, int line)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_CALLBLOCK, line);
    node->value = zoo_jparser_intern(p, "caller", 6);
    if (zoo_jtoken_is(p->at, JT_OP, "(")) {
        node->params = parse_params(p);
    }
    node->a = zoo_jparser_expr(p, true);
    if (node->a->kind != JN_CALL) {
        zoo_jparser_fail(p, "a call before the end of the call tag");
    }
    parse_macro_body(p, node, "endcall");
    return node;
}

static zoo_jnode *parse_filter_block(zoo_jparser *p, int line)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_FILTERBLOCK, line);
    node->b = zoo_jparser_filters(p, NULL, true);
    node->list = parse_body_to(p, "endfilter");
    return node;
}

static zoo_jnode *parse_with(zoo_jparser *p, int line)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_WITH, line), *last = NULL;
    while (p->at->kind != JT_BLOCK_END) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
        }
        zoo_jnode *pair = zoo_jnode_new(p, JN_SET, p->at->line);
        pair->a = zoo_jparser_target(p, false);
        zoo_jparser_expect(p, JT_OP, "=");
        pair->b = zoo_jparser_expr(p, true);
        *(last ? &last->next : &node->params) = pair;
        last = pair;
    }
    node->list = parse_body_to(p, "endwith");
    return node;
}

static zoo_jnode *parse_generation(zoo_jparser *p, int line)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_CALLBLOCK, line);
    node->value = zoo_jparser_intern(p, "caller", 6);
    parse_macro_body(p, node, "endgeneration");
    return node;
}

/* print a, b: outputs one after the other; null for none. */
static zoo_jnode *parse_print(zoo_jparser *p, int line)
{
    zoo_jnode *first = NULL, *last = NULL;
    while (p->at->kind != JT_BLOCK_END) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
        }
        zoo_jnode *node = zoo_jnode_new(p, JN_OUTPUT, line);
        node->a = zoo_jparser_expr(p, true);
        *(last ? &last->next : &first) = node;
        last = node;
    }
    return first;
}

static zoo_jnode *parse_leave(zoo_jparser *p, zoo_jnode_kind kind, int line)
{
    if (!p->n_loops) {
        zoo_jinja_raise(p->x, ZOO_E_FORMAT, "'%s' outside of a loop",
                        kind == JN_BREAK ? "break" : "continue");
    }
    return zoo_jnode_new(p, kind, line);
}

static zoo_jnode *parse_statement(zoo_jparser *p)
{
    typedef zoo_jnode *(*parse_fn)(zoo_jparser *, int);
    static const struct {
        const char *name;
        parse_fn parse;
    } tags[] = {
        {"if", parse_if},       {"for", parse_for},         {"set", parse_set},
        {"macro", parse_macro}, {"call", parse_call_block}, {"filter", parse_filter_block},
        {"with", parse_with},   {"print", parse_print},     {"generation", parse_generation}};
    const zoo_jtoken *t = p->at;
    p->x->line = t->line;
    if (t->kind != JT_NAME) {
        zoo_jparser_fail(p, "the name of a tag");
    }
    for (size_t i = 0; i < ZOO_COUNT(tags); i++) {
        if (zoo_jparser_skip(p, JT_NAME, tags[i].name)) {
            return tags[i].parse(p, t->line);
        }
    }
    if (zoo_jparser_skip(p, JT_NAME, "break")) {
        return parse_leave(p, JN_BREAK, t->line);
    }
    if (zoo_jparser_skip(p, JT_NAME, "continue")) {
        return parse_leave(p, JN_CONTINUE, t->line);
    }
    zoo_jinja_raise(p->x, ZOO_E_UNSUPPORTED, "the tag '%.*s' is not supported here",
                    t->n > 60 ? 60 : (int)t->n, t->s);
}

static zoo_jnode *parse_output(zoo_jparser *p)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_OUTPUT, p->at->line);
    p->at++;
    node->a = zoo_jparser_tuple(p, true);
    if (p->at->kind != JT_VAR_END) {
        zoo_jparser_fail(p, "'}}'");
    }
    p->at++;
    return node;
}

static zoo_jnode *parse_text(zoo_jparser *p)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_TEXT, p->at->line);
    node->value = p->at->value;
    p->at++;
    return node;
}

/* ends null: up to the end of the template. */
static zoo_jnode *parse_until(zoo_jparser *p, const char *const *ends)
{
    zoo_jnode *first = NULL, *last = NULL;
    while (p->at->kind != JT_END) {
        zoo_jnode *node = NULL;
        if (p->at->kind == JT_TEXT) {
            node = parse_text(p);
        } else if (p->at->kind == JT_VAR_BEGIN) {
            node = parse_output(p);
        } else {
            p->at++;
            for (size_t i = 0; ends && ends[i]; i++) {
                if (zoo_jtoken_is(p->at, JT_NAME, ends[i])) {
                    return first;
                }
            }
            node = parse_statement(p);
            end_block(p);
        }
        *(last ? &last->next : &first) = node;
        for (; node; node = node->next) {
            last = node;
        }
    }
    if (ends) {
        char wanted[60] = "";
        (void)snprintf(wanted, sizeof wanted, "the tag '%s'",
                       ends[ends[1] ? (ends[2] ? 2 : 1) : 0]);
        zoo_jparser_fail(p, wanted);
    }
    return first;
}

zoo_jnode *zoo_jinja_parse(zoo_jinja *x, const char *source, size_t n)
{
    zoo_jv names = zoo_jv_dict(x);
    zoo_jparser p = {.x = x, .at = zoo_jinja_lex(x, source, n), .names = names.as.dict};
    return parse_until(&p, NULL);
}
