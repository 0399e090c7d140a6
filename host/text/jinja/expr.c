/*
 * expr.c: the expression grammar, by recursive descent.
 *
 * Loosest first: `a if c else b`, or, and, not, comparisons (chained as in Python) and in, + -, ~,
 * * / // %, **, unary, then postfix (.name .0 [..] (..)), filters | and tests `is`. A unary minus
 * binds tighter than a filter.
 * Nesting is bounded by the depth limit.
 */
#include <string.h>

#include "text/jinja/jinja_private.h"

static zoo_jnode *parse_or(zoo_jparser *p);
static zoo_jnode *parse_unary(zoo_jparser *p, bool with_filters);

static zoo_jnode *binary(zoo_jparser *p, zoo_jnode_kind kind, int line, zoo_jnode *a, zoo_jnode *b)
{
    zoo_jnode *node = zoo_jnode_new(p, kind, line);
    node->a = a;
    node->b = b;
    return node;
}

/* Appends to a sibling list; *last is its end. */
static void append(zoo_jnode **first, zoo_jnode **last, zoo_jnode *node)
{
    if (*last) {
        (*last)->next = node;
    } else {
        *first = node;
    }
    *last = node;
}

static zoo_jnode *parse_sequence(zoo_jparser *p, zoo_jnode_kind kind, const char *close)
{
    zoo_jnode *node = zoo_jnode_new(p, kind, p->at->line), *last = NULL;
    p->at++;
    while (!zoo_jparser_skip(p, JT_OP, close)) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
            if (zoo_jparser_skip(p, JT_OP, close)) {
                break;
            }
        }
        append(&node->list, &last, zoo_jparser_expr(p, true));
        if (kind == JN_DICT) {
            zoo_jparser_expect(p, JT_OP, ":");
            append(&node->list, &last, zoo_jparser_expr(p, true));
        }
    }
    return node;
}

static zoo_jnode *parse_strings(zoo_jparser *p)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_CONST, p->at->line);
    node->value = (p->at++)->value;
    zoo_jbuf buf = {0};
    while (p->at->kind == JT_STRING) {
        if (!buf.n) {
            zoo_jbuf_add(p->x, &buf, node->value.as.str->s, node->value.as.str->n);
        }
        zoo_jbuf_add(p->x, &buf, p->at->value.as.str->s, p->at->value.as.str->n);
        node->value = zoo_jv_str(p->x, buf.s, buf.n);
        p->at++;
    }
    return node;
}

static zoo_jnode *parse_name(zoo_jparser *p)
{
    const zoo_jtoken *t = p->at++;
    zoo_jnode *node = zoo_jnode_new(p, JN_CONST, t->line);
    if (zoo_jtoken_is(t, JT_NAME, "true") || zoo_jtoken_is(t, JT_NAME, "True")) {
        node->value = ZOO_JV_BOOL(true);
    } else if (zoo_jtoken_is(t, JT_NAME, "false") || zoo_jtoken_is(t, JT_NAME, "False")) {
        node->value = ZOO_JV_BOOL(false);
    } else if (zoo_jtoken_is(t, JT_NAME, "none") || zoo_jtoken_is(t, JT_NAME, "None")) {
        node->value = ZOO_JV_NONE;
    } else {
        node->kind = JN_NAME;
        node->value = zoo_jparser_intern(p, t->s, t->n);
    }
    return node;
}

static bool tuple_ends(const zoo_jparser *p)
{
    const zoo_jtoken *t = p->at;
    return t->kind == JT_VAR_END || t->kind == JT_BLOCK_END || zoo_jtoken_is(t, JT_OP, ")");
}

static zoo_jnode *parse_parenthesis(zoo_jparser *p)
{
    int line = (p->at++)->line;
    zoo_jnode *node = NULL;
    if (zoo_jtoken_is(p->at, JT_OP, ")")) {
        node = zoo_jnode_new(p, JN_TUPLE, line);
    } else {
        node = zoo_jparser_tuple(p, true);
    }
    zoo_jparser_expect(p, JT_OP, ")");
    return node;
}

static zoo_jnode *parse_primary(zoo_jparser *p)
{
    const zoo_jtoken *t = p->at;
    if (t->kind == JT_NAME) {
        return parse_name(p);
    }
    if (t->kind == JT_STRING) {
        return parse_strings(p);
    }
    if (t->kind == JT_NUMBER) {
        zoo_jnode *node = zoo_jnode_new(p, JN_CONST, t->line);
        node->value = t->value;
        p->at++;
        return node;
    }
    if (zoo_jtoken_is(t, JT_OP, "(")) {
        return parse_parenthesis(p);
    }
    if (zoo_jtoken_is(t, JT_OP, "[")) {
        return parse_sequence(p, JN_LIST, "]");
    }
    if (zoo_jtoken_is(t, JT_OP, "{")) {
        return parse_sequence(p, JN_DICT, "}");
    }
    zoo_jparser_fail(p, "an expression");
}

static zoo_jnode *parse_call(zoo_jparser *p, zoo_jnode *callee)
{
    zoo_jnode *node = zoo_jnode_new(p, JN_CALL, p->at->line);
    node->a = callee;
    node->list = zoo_jparser_args(p);
    return node;
}

static zoo_jnode *parse_dot(zoo_jparser *p, zoo_jnode *obj)
{
    const zoo_jtoken *t = p->at;
    if (t->kind == JT_NAME) {
        zoo_jnode *node = binary(p, JN_GETATTR, t->line, obj, NULL);
        node->value = zoo_jparser_intern(p, t->s, t->n);
        p->at++;
        return node;
    }
    if (t->kind != JT_NUMBER || t->value.kind != JV_INT) {
        zoo_jparser_fail(p, "a name or number after the dot");
    }
    zoo_jnode *index = zoo_jnode_new(p, JN_CONST, t->line);
    index->value = t->value;
    p->at++;
    return binary(p, JN_GETITEM, t->line, obj, index);
}

static bool subscript_ends(const zoo_jparser *p)
{
    return zoo_jtoken_is(p->at, JT_OP, ":") || zoo_jtoken_is(p->at, JT_OP, "]") ||
           zoo_jtoken_is(p->at, JT_OP, ",");
}

/* One part of a subscript; a slice is a node with the object still missing. */
static zoo_jnode *parse_subscribed(zoo_jparser *p)
{
    int line = p->at->line;
    zoo_jnode *start = zoo_jtoken_is(p->at, JT_OP, ":") ? NULL : zoo_jparser_expr(p, true);
    if (!zoo_jparser_skip(p, JT_OP, ":")) {
        return start;
    }
    zoo_jnode *node = binary(p, JN_SLICE, line, NULL, start);
    node->c = subscript_ends(p) ? NULL : zoo_jparser_expr(p, true);
    if (zoo_jparser_skip(p, JT_OP, ":")) {
        node->d = subscript_ends(p) ? NULL : zoo_jparser_expr(p, true);
    }
    return node;
}

static zoo_jnode *parse_subscript(zoo_jparser *p, zoo_jnode *obj)
{
    int line = p->at->line;
    zoo_jnode *first = NULL, *last = NULL;
    bool has_slice = false;
    while (!zoo_jparser_skip(p, JT_OP, "]")) {
        if (last) {
            zoo_jparser_expect(p, JT_OP, ",");
        }
        zoo_jnode *part = parse_subscribed(p);
        has_slice |= part->kind == JN_SLICE && !part->a;
        append(&first, &last, part);
    }
    if (first && first == last && has_slice) {
        first->a = obj;
        return first;
    }
    if (has_slice) {
        zoo_jinja_raise(p->x, ZOO_E_FORMAT, "a slice among several subscripts");
    }
    if (first && first == last) {
        return binary(p, JN_GETITEM, line, obj, first);
    }
    zoo_jnode *tuple = zoo_jnode_new(p, JN_TUPLE, line);
    tuple->list = first;
    return binary(p, JN_GETITEM, line, obj, tuple);
}

static zoo_jnode *parse_postfix(zoo_jparser *p, zoo_jnode *node)
{
    uint32_t depth = p->x->depth;
    for (;;) {
        p->x->line = p->at->line;
        if (zoo_jparser_skip(p, JT_OP, ".")) {
            node = parse_dot(p, node);
        } else if (zoo_jparser_skip(p, JT_OP, "[")) {
            node = parse_subscript(p, node);
        } else if (zoo_jtoken_is(p->at, JT_OP, "(")) {
            node = parse_call(p, node);
        } else {
            break;
        }
        zoo_jinja_enter(p->x);
    }
    p->x->depth = depth;
    return node;
}

/* The name of a filter or test, which may have parts: a.b */
static zoo_jv parse_dotted(zoo_jparser *p)
{
    zoo_jbuf name = {0};
    zoo_jbuf_add(p->x, &name, p->at->s, p->at->n);
    p->at++;
    while (zoo_jparser_skip(p, JT_OP, ".")) {
        if (p->at->kind != JT_NAME) {
            zoo_jparser_fail(p, "a name after the dot");
        }
        zoo_jbuf_text(p->x, &name, ".");
        zoo_jbuf_add(p->x, &name, p->at->s, p->at->n);
        p->at++;
    }
    return zoo_jparser_intern(p, name.s, name.n);
}

static zoo_jnode *parse_filter(zoo_jparser *p, zoo_jnode *input)
{
    const zoo_jtoken *t = p->at;
    p->x->line = t->line;
    if (t->kind != JT_NAME) {
        zoo_jparser_fail(p, "the name of a filter");
    }
    zoo_jnode *node = binary(p, JN_FILTER, t->line, input, NULL);
    node->value = parse_dotted(p);
    node->function = zoo_jfilter_find(node->value.as.str->s, node->value.as.str->n);
    if (zoo_jtoken_is(p->at, JT_OP, "(")) {
        node->list = zoo_jparser_args(p);
    }
    return node;
}

zoo_jnode *zoo_jparser_filters(zoo_jparser *p, zoo_jnode *input, bool start_inline)
{
    zoo_jnode *node = start_inline ? parse_filter(p, input) : input;
    uint32_t depth = p->x->depth;
    while (zoo_jparser_skip(p, JT_OP, "|")) {
        zoo_jinja_enter(p->x);
        node = parse_filter(p, node);
    }
    p->x->depth = depth;
    return node;
}

static bool starts_test_arg(const zoo_jparser *p)
{
    const zoo_jtoken *t = p->at;
    if (t->kind == JT_NAME) {
        return !zoo_jtoken_is(t, JT_NAME, "else") && !zoo_jtoken_is(t, JT_NAME, "or") &&
               !zoo_jtoken_is(t, JT_NAME, "and") && !zoo_jtoken_is(t, JT_NAME, "is");
    }
    return t->kind == JT_STRING || t->kind == JT_NUMBER || zoo_jtoken_is(t, JT_OP, "[") ||
           zoo_jtoken_is(t, JT_OP, "{");
}

static zoo_jnode *parse_test(zoo_jparser *p, zoo_jnode *input)
{
    bool negated = zoo_jparser_skip(p, JT_NAME, "not");
    const zoo_jtoken *t = p->at;
    p->x->line = t->line;
    if (t->kind != JT_NAME) {
        zoo_jparser_fail(p, "the name of a test");
    }
    zoo_jnode *node = binary(p, JN_TEST, t->line, input, NULL);
    node->value = parse_dotted(p);
    node->function = zoo_jtest_find(node->value.as.str->s, node->value.as.str->n);
    if (zoo_jtoken_is(p->at, JT_OP, "(")) {
        node->list = zoo_jparser_args(p);
    } else if (starts_test_arg(p)) {
        node->list = parse_postfix(p, parse_primary(p));
    } else if (zoo_jtoken_is(p->at, JT_NAME, "is")) {
        zoo_jparser_fail(p, "something else than a second test");
    }
    return negated ? binary(p, JN_NOT, t->line, node, NULL) : node;
}

static zoo_jnode *parse_filters_and_tests(zoo_jparser *p, zoo_jnode *node)
{
    uint32_t depth = p->x->depth;
    for (;;) {
        if (zoo_jparser_skip(p, JT_OP, "|")) {
            node = parse_filter(p, node);
        } else if (zoo_jparser_skip(p, JT_NAME, "is")) {
            node = parse_test(p, node);
        } else if (zoo_jtoken_is(p->at, JT_OP, "(")) {
            node = parse_call(p, node);
        } else {
            break;
        }
        zoo_jinja_enter(p->x);
    }
    p->x->depth = depth;
    return node;
}

static zoo_jnode *parse_unary(zoo_jparser *p, bool with_filters)
{
    int line = p->at->line;
    zoo_jnode *node = NULL;
    zoo_jinja_enter(p->x);
    p->x->line = line;
    if (zoo_jparser_skip(p, JT_OP, "-")) {
        node = binary(p, JN_NEG, line, parse_unary(p, false), NULL);
    } else if (zoo_jparser_skip(p, JT_OP, "+")) {
        node = binary(p, JN_POS, line, parse_unary(p, false), NULL);
    } else {
        node = parse_primary(p);
    }
    node = parse_postfix(p, node);
    node = with_filters ? parse_filters_and_tests(p, node) : node;
    zoo_jinja_leave(p->x);
    return node;
}

typedef struct operator_row {
    const char *text;
    zoo_jop op;
} operator_row;

/* The operators of one level of the grammar; *op is set when the token at hand is one of them. */
static bool skip_operator(zoo_jparser *p, const operator_row *rows, size_t n, zoo_jop *op)
{
    for (size_t i = 0; i < n; i++) {
        if (zoo_jparser_skip(p, JT_OP, rows[i].text)) {
            *op = rows[i].op;
            return true;
        }
    }
    return false;
}

/* Chains are trees that lean left, and evaluation walks down them: their length is nesting. */
static zoo_jnode *chain(zoo_jparser *p, zoo_jnode *left, zoo_jop op, zoo_jnode *right)
{
    zoo_jnode *node = binary(p, JN_BINARY, left->line, left, right);
    node->op = (uint8_t)op;
    zoo_jinja_enter(p->x);
    return node;
}

static zoo_jnode *parse_power(zoo_jparser *p)
{
    static const operator_row rows[] = {{"**", JO_POW}};
    zoo_jop op;
    zoo_jnode *left = parse_unary(p, true);
    uint32_t depth = p->x->depth;
    while (skip_operator(p, rows, ZOO_COUNT(rows), &op)) {
        left = chain(p, left, op, parse_unary(p, true));
    }
    p->x->depth = depth;
    return left;
}

static zoo_jnode *parse_product(zoo_jparser *p)
{
    static const operator_row rows[] = {
        {"*", JO_MUL}, {"/", JO_DIV}, {"//", JO_FLOORDIV}, {"%", JO_MOD}};
    zoo_jop op;
    zoo_jnode *left = parse_power(p);
    uint32_t depth = p->x->depth;
    while (skip_operator(p, rows, ZOO_COUNT(rows), &op)) {
        left = chain(p, left, op, parse_power(p));
    }
    p->x->depth = depth;
    return left;
}

static zoo_jnode *parse_concat(zoo_jparser *p)
{
    zoo_jnode *first = parse_product(p);
    if (!zoo_jtoken_is(p->at, JT_OP, "~")) {
        return first;
    }
    zoo_jnode *node = zoo_jnode_new(p, JN_CONCAT, first->line), *last = NULL;
    append(&node->list, &last, first);
    while (zoo_jparser_skip(p, JT_OP, "~")) {
        append(&node->list, &last, parse_product(p));
    }
    return node;
}

static zoo_jnode *parse_sum(zoo_jparser *p)
{
    static const operator_row rows[] = {{"+", JO_ADD}, {"-", JO_SUB}};
    zoo_jop op;
    zoo_jnode *left = parse_concat(p);
    uint32_t depth = p->x->depth;
    while (skip_operator(p, rows, ZOO_COUNT(rows), &op)) {
        left = chain(p, left, op, parse_concat(p));
    }
    p->x->depth = depth;
    return left;
}

static bool skip_comparison(zoo_jparser *p, zoo_jop *op)
{
    static const operator_row rows[] = {{"==", JO_EQ}, {"!=", JO_NE}, {"<=", JO_LE},
                                        {"<", JO_LT},  {">=", JO_GE}, {">", JO_GT}};
    if (skip_operator(p, rows, ZOO_COUNT(rows), op)) {
        return true;
    }
    if (zoo_jparser_skip(p, JT_NAME, "in")) {
        *op = JO_IN;
        return true;
    }
    if (zoo_jtoken_is(p->at, JT_NAME, "not") && zoo_jtoken_is(p->at + 1, JT_NAME, "in")) {
        p->at += 2;
        *op = JO_NOTIN;
        return true;
    }
    return false;
}

static zoo_jnode *parse_compare(zoo_jparser *p)
{
    zoo_jnode *first = parse_sum(p), *node = NULL, *last = NULL;
    zoo_jop op;
    while (skip_comparison(p, &op)) {
        if (!node) {
            node = binary(p, JN_COMPARE, first->line, first, NULL);
        }
        zoo_jnode *operand = binary(p, JN_OPERAND, p->at->line, parse_sum(p), NULL);
        operand->op = (uint8_t)op;
        append(&node->list, &last, operand);
    }
    return node ? node : first;
}

static zoo_jnode *parse_not(zoo_jparser *p)
{
    int line = p->at->line;
    if (!zoo_jparser_skip(p, JT_NAME, "not")) {
        return parse_compare(p);
    }
    zoo_jinja_enter(p->x);
    zoo_jnode *node = binary(p, JN_NOT, line, parse_not(p), NULL);
    zoo_jinja_leave(p->x);
    return node;
}

static zoo_jnode *parse_and(zoo_jparser *p)
{
    zoo_jnode *left = parse_not(p);
    uint32_t depth = p->x->depth;
    while (zoo_jparser_skip(p, JT_NAME, "and")) {
        zoo_jinja_enter(p->x);
        left = binary(p, JN_AND, left->line, left, parse_not(p));
    }
    p->x->depth = depth;
    return left;
}

static zoo_jnode *parse_or(zoo_jparser *p)
{
    zoo_jnode *left = parse_and(p);
    uint32_t depth = p->x->depth;
    while (zoo_jparser_skip(p, JT_NAME, "or")) {
        zoo_jinja_enter(p->x);
        left = binary(p, JN_OR, left->line, left, parse_and(p));
    }
    p->x->depth = depth;
    return left;
}

zoo_jnode *zoo_jparser_expr(zoo_jparser *p, bool with_cond)
{
    zoo_jinja_enter(p->x);
    uint32_t depth = p->x->depth;
    zoo_jnode *node = parse_or(p);
    while (with_cond && zoo_jparser_skip(p, JT_NAME, "if")) {
        zoo_jinja_enter(p->x);
        zoo_jnode *cond = binary(p, JN_COND, node->line, parse_or(p), node);
        cond->c = zoo_jparser_skip(p, JT_NAME, "else") ? zoo_jparser_expr(p, true) : NULL;
        node = cond;
    }
    p->x->depth = depth;
    zoo_jinja_leave(p->x);
    return node;
}

zoo_jnode *zoo_jparser_tuple(zoo_jparser *p, bool with_cond)
{
    int line = p->at->line;
    zoo_jnode *first = zoo_jparser_expr(p, with_cond);
    if (!zoo_jtoken_is(p->at, JT_OP, ",")) {
        return first;
    }
    zoo_jnode *node = zoo_jnode_new(p, JN_TUPLE, line), *last = NULL;
    append(&node->list, &last, first);
    while (zoo_jparser_skip(p, JT_OP, ",") && !tuple_ends(p)) {
        append(&node->list, &last, zoo_jparser_expr(p, with_cond));
    }
    return node;
}

static zoo_jnode *parse_target_name(zoo_jparser *p, bool with_namespace)
{
    const zoo_jtoken *t = p->at;
    if (zoo_jparser_skip(p, JT_OP, "(")) {
        zoo_jnode *inner = zoo_jparser_target(p, with_namespace);
        zoo_jparser_expect(p, JT_OP, ")");
        return inner;
    }
    zoo_jnode *node = t->kind == JT_NAME ? parse_name(p) : NULL;
    if (!node || node->kind != JN_NAME) {
        zoo_jparser_fail(p, "a name to assign to");
    }
    if (with_namespace && zoo_jparser_skip(p, JT_OP, ".")) {
        const zoo_jtoken *attr = p->at;
        if (attr->kind != JT_NAME) {
            zoo_jparser_fail(p, "a name after the dot");
        }
        zoo_jnode *ref = binary(p, JN_NSREF, t->line, node, NULL);
        ref->value = zoo_jparser_intern(p, attr->s, attr->n);
        p->at++;
        return ref;
    }
    return node;
}

zoo_jnode *zoo_jparser_target(zoo_jparser *p, bool with_namespace)
{
    int line = p->at->line;
    zoo_jinja_enter(p->x);
    zoo_jnode *first = parse_target_name(p, with_namespace);
    if (zoo_jtoken_is(p->at, JT_OP, ",")) {
        zoo_jnode *node = zoo_jnode_new(p, JN_TUPLE, line), *last = NULL;
        append(&node->list, &last, first);
        while (zoo_jparser_skip(p, JT_OP, ",") && !tuple_ends(p) &&
               !zoo_jtoken_is(p->at, JT_NAME, "in") && !zoo_jtoken_is(p->at, JT_OP, "=")) {
            append(&node->list, &last, parse_target_name(p, with_namespace));
        }
        first = node;
    }
    zoo_jinja_leave(p->x);
    return first;
}
