/*
 * regex.c: finds matches of a pattern, in the cheapest way that gives exactly its matches.
 *
 *   scanner   a pattern put together from known alternatives (known.c)
 *   class     X?[class]+ or [class]{1,n}: one table, made by asking PCRE2 about every character
 *   literal   a plain string
 *   pcre      everything else: PCRE2 with JIT
 *
 * The first three are linear. PCRE2 backtracks: each call has a match limit and a depth limit, and
 * reaching one is an error that says so, never a wrong split. A search that fails at every place
 * can be quadratic without one long match, so it is made in windows of start places that shrink
 * when they are slow, and a text has a budget of processor time that grows with its length.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/mem.h"
#include "text/tokenizer/dialect.h"
#include "text/tokenizer/scan.h"

#include <pcre2.h>
#include <stdlib.h>
#include <time.h>

#define MATCH_LIMIT 20000000u
#define DEPTH_LIMIT 200000u
#define HEAP_LIMIT  (256u * 1024u) /* KiB */
#define WINDOW_MIN  16u
#define WINDOW_MAX  65536u /* bytes in which one search may begin */
#define CALLS       64u    /* searches between two looks at the clock */

typedef enum regex_kind { KIND_TILES, KIND_SEEK, KIND_CLASS, KIND_LITERAL, KIND_PCRE } regex_kind;

typedef bool seek(const tok_chars *chars, const uint8_t *p, size_t n, size_t from, size_t range[2]);

struct tok_regex {
    regex_kind kind;
    const tok_chars *chars;
    tok_scan_rule rule;
    seek *seek;
    tok_str literal;
    uint8_t *members; /* KIND_CLASS: bit 0 of [cp] */
    char optional;    /* KIND_CLASS: 's' a whitespace character, ' ' a space, 0 nothing before */
    uint32_t run_max; /* KIND_CLASS: longest run */
    pcre2_code *code;
};

struct tok_matcher {
    double end;          /* processor time of the thread at which patience ends; 0: not set */
    double budget, last; /* seconds; when the clock was read */
    uint32_t n_calls;
    size_t window;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

tok_matcher *tok_matcher_open(void)
{
    tok_matcher *m = zoo_mem_array(1, sizeof *m);
    if (!m) {
        return NULL;
    }
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->data || !m->context) {
        tok_matcher_close(m);
        return NULL;
    }
    tok_matcher_start(m, 0);
    (void)pcre2_set_match_limit(m->context, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(m->context, HEAP_LIMIT);
    return m;
}

static double thread_seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tok_matcher_start(tok_matcher *m, size_t n)
{
    m->end = 0;
    m->budget = 2.0 + 2e-6 * (double)n;
    m->n_calls = 0;
    m->window = WINDOW_MIN;
}

void tok_matcher_close(tok_matcher *m)
{
    if (m) {
        pcre2_match_data_free(m->data);
        pcre2_match_context_free(m->context);
        pcre2_jit_stack_free(m->stack);
        zoo_mem_free(m);
    }
}

static zoo_status compile(tok_str pattern, pcre2_code **out, zoo_error *err)
{
    zoo_text text = {0};
    int number = 0;
    PCRE2_SIZE offset = 0;
    zoo_status status = tok_text_push(&text, "", 0) ? ZOO_OK : tok_no_memory(err);
    status = status == ZOO_OK ? tok_dialect(pattern, &text, err) : status;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    *out = NULL;
    if (status == ZOO_OK && context) {
        (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        (void)pcre2_set_parens_nest_limit(context, 100);
        *out = pcre2_compile((PCRE2_SPTR)text.data, text.n,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT |
                                 PCRE2_NEVER_BACKSLASH_C,
                             &number, &offset, context);
    }
    pcre2_compile_context_free(context);
    zoo_text_free(&text);
    if (status == ZOO_OK && !*out) {
        char why[120];
        (void)pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "the pattern \"%.*s\" is refused: %s",
                        (int)(pattern.n < 200 ? pattern.n : 200), pattern.p, why);
    }
    return status;
}

zoo_status tok_regex_members(tok_str one, uint8_t *members, uint8_t value, zoo_error *err)
{
    pcre2_code *code;
    zoo_status status = compile(one, &code, err);
    tok_matcher *m = status == ZOO_OK ? tok_matcher_open() : NULL;
    char *every = m ? zoo_mem_alloc(0x110000 * 4) : NULL;
    if (status == ZOO_OK && !every) {
        status = tok_no_memory(err);
    }
    size_t n = 0, from = 0;
    for (uint32_t cp = 0; status == ZOO_OK && cp < 0x110000; cp++) {
        n += cp >= 0xd800 && cp < 0xe000 ? 0 : tok_utf8_put(every + n, cp);
    }
    (void)(code && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE));
    while (status == ZOO_OK && from < n &&
           pcre2_match(code, (PCRE2_SPTR)every, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context) >=
               0) {
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(m->data);
        uint32_t cp;
        (void)tok_utf8((const uint8_t *)every + range[0], &cp);
        members[cp] = value;
        from =
            range[1] > range[0] ? range[1] : range[0] + tok_utf8_length((uint8_t)every[range[0]]);
    }
    zoo_mem_free(every);
    tok_matcher_close(m);
    pcre2_code_free(code);
    return status;
}

/* Whether the pattern is X?[class]+ or [class]{1,n}; fills rule and *one with the class. */
static bool class_shape(tok_regex *r, tok_str pattern, tok_str *one)
{
    size_t i = 0;
    if (pattern.n > 3 && memcmp(pattern.p, "\\s?", 3) == 0) {
        r->optional = 's';
        i = 3;
    } else if (pattern.n > 2 && memcmp(pattern.p, " ?", 2) == 0) {
        r->optional = ' ';
        i = 2;
    }
    size_t end = tok_dialect_class_end(pattern, i);
    if (!end) {
        return false;
    }
    *one = (tok_str){pattern.p + i, end - i};
    tok_str rest = {pattern.p + end, pattern.n - end};
    r->run_max = UINT32_MAX;
    if (rest.n == 0) {
        r->run_max = 1;
        return true;
    }
    if (rest.n == 5 && memcmp(rest.p, "{1,", 3) == 0 && rest.p[3] > '0' && rest.p[3] <= '9' &&
        rest.p[4] == '}') {
        r->run_max = (uint32_t)(rest.p[3] - '0');
        return true;
    }
    return rest.n == 1 && rest.p[0] == '+';
}

static zoo_status open_pattern(tok_regex *r, tok_pool *pool, tok_str pattern, zoo_error *err)
{
    tok_str one;
    r->rule = tok_known_tiling(pattern);
    r->kind = r->rule.shape ? KIND_TILES : KIND_SEEK;
    r->seek = tok_known_gappy(pattern)         ? tok_scan_gappy
              : tok_known_line_spaces(pattern) ? tok_scan_line_spaces
                                               : NULL;
    if (r->rule.shape || r->seek) {
        return ZOO_OK;
    }
    if (class_shape(r, pattern, &one)) {
        r->kind = KIND_CLASS;
        r->members = tok_pool_take(pool, 0x110000);
        return r->members ? tok_regex_members(one, r->members, 1, err) : tok_no_memory(err);
    }
    r->kind = KIND_PCRE;
    ZOO_TRY(compile(pattern, &r->code, err));
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
    return ZOO_OK;
}

zoo_status tok_regex_open(tok_pool *pool, const tok_chars *chars, tok_str pattern, bool literal,
                          tok_regex **out, zoo_error *err)
{
    tok_regex *r = tok_pool_take(pool, sizeof *r);
    if (!r) {
        return tok_no_memory(err);
    }
    r->chars = chars;
    *out = r;
    if (literal) {
        r->kind = KIND_LITERAL;
        r->literal = tok_pool_copy(pool, pattern.p, pattern.n);
        return r->literal.p ? ZOO_OK : tok_no_memory(err);
    }
    return open_pattern(r, pool, pattern, err);
}

void tok_regex_close(tok_regex *regex)
{
    if (regex && regex->code) {
        pcre2_code_free(regex->code);
        regex->code = NULL;
    }
}

bool tok_regex_tiles(const tok_regex *regex)
{
    return regex->kind == KIND_TILES;
}

bool tok_regex_takes_runs(const tok_regex *regex)
{
    return regex->rule.shape == TOK_SHAPE_RUNS;
}

size_t tok_regex_tile(const tok_regex *regex, const uint8_t *p, size_t n, size_t i)
{
    return tok_scan_piece(&regex->rule, regex->chars, p, n, i);
}

static size_t class_run(const tok_regex *r, const uint8_t *p, size_t n, size_t i)
{
    uint32_t cp;
    for (uint32_t k = 0; k < r->run_max && i < n; k++) {
        size_t length = tok_utf8(p + i, &cp);
        if (!r->members[cp]) {
            break;
        }
        i += length;
    }
    return i;
}

static bool find_class(const tok_regex *r, const uint8_t *p, size_t n, size_t from, size_t range[2])
{
    while (from < n) {
        uint32_t cp;
        size_t length = tok_utf8(p + from, &cp), end = from;
        if (r->optional == ' ' ? cp == ' ' : r->optional && (tok_mask(r->chars, cp) & TOK_SPACE)) {
            end = class_run(r, p, n, from + length);
            end = end > from + length ? end : from;
        }
        if (end == from) {
            end = class_run(r, p, n, from);
        }
        if (end > from) {
            range[0] = from;
            range[1] = end;
            return true;
        }
        from += length;
    }
    return false;
}

static bool find_literal(const tok_str text, const uint8_t *p, size_t n, size_t from,
                         size_t range[2])
{
    if (!text.n) { /* found everywhere */
        range[0] = range[1] = from;
        return true;
    }
    while (n - from >= text.n) {
        const uint8_t *hit = memchr(p + from, text.p[0], n - from - text.n + 1);
        if (!hit) {
            return false;
        }
        from = (size_t)(hit - p);
        if (memcmp(hit, text.p, text.n) == 0) {
            range[0] = from;
            range[1] = from + text.n;
            return true;
        }
        from++;
    }
    return false;
}

/* JIT first; its stack overflowing is answered by the interpreter, which keeps its
 * frames on the heap. */
static int match_once(const tok_regex *r, tok_matcher *m, const uint8_t *p, size_t n, size_t from)
{
    int rc = pcre2_match(r->code, p, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !m->stack) {
        m->stack = pcre2_jit_stack_create(65536, 16u << 20, NULL);
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
        rc = pcre2_match(r->code, p, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context);
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(r->code, p, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data,
                         m->context);
    }
    return rc;
}

static int too_long(zoo_error *err, size_t from)
{
    return zoo_fail(err, ZOO_E_LIMIT,
                    "a pattern of the tokenizer needs too many steps on this text (byte %zu)",
                    from);
}

/* Checks the clock now and then; false when the budget is spent. Slow windows become smaller. */
static bool patient(tok_matcher *m, bool failed)
{
    if (!failed && ++m->n_calls % CALLS != 0 && m->end > 0) {
        return true;
    }
    double now = thread_seconds();
    if (m->end <= 0) {
        m->end = now + m->budget;
    } else if (failed) {
        bool slow = now - m->last > 0.002;
        m->window = slow ? m->window / 4 : m->window * 2;
        m->window = m->window < WINDOW_MIN ? WINDOW_MIN : m->window;
        m->window = m->window > WINDOW_MAX ? WINDOW_MAX : m->window;
    }
    m->last = now;
    return now < m->end;
}

static int find_pcre(const tok_regex *r, tok_matcher *m, const uint8_t *p, size_t n, size_t from,
                     size_t range[2], zoo_error *err)
{
    while (from <= n) {
        if (!patient(m, false)) {
            return too_long(err, from);
        }
        size_t last = n - from > m->window ? from + m->window : n;
        while (last < n && (p[last] & 0xc0) == 0x80) {
            last++;
        }
        (void)pcre2_set_offset_limit(m->context, last);
        int rc = match_once(r, m, p, n, from);
        if (rc >= 0) {
            const PCRE2_SIZE *found = pcre2_get_ovector_pointer(m->data);
            range[0] = found[0];
            range[1] = found[1] < found[0] ? found[0] : found[1];
            return 1;
        }
        if (rc != PCRE2_ERROR_NOMATCH || !patient(m, true)) {
            return too_long(err, from);
        }
        from = last < n ? last : n + 1;
    }
    return 0;
}

int tok_regex_find(const tok_regex *regex, tok_matcher *m, const uint8_t *p, size_t n, size_t from,
                   size_t range[2], zoo_error *err)
{
    switch (regex->kind) {
    case KIND_TILES:
        if (from >= n) {
            return 0;
        }
        range[0] = from;
        range[1] = tok_scan_piece(&regex->rule, regex->chars, p, n, from);
        return 1;
    case KIND_SEEK:
        return regex->seek(regex->chars, p, n, from, range);
    case KIND_CLASS:
        return find_class(regex, p, n, from, range);
    case KIND_LITERAL:
        return find_literal(regex->literal, p, n, from, range);
    default:
        return find_pcre(regex, m, p, n, from, range, err);
    }
}
