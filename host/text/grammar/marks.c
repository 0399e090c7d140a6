/*
 * marks.c: the marks that a model writes around reasoning and calls, as nodes.
 *
 * A mark is the special tokens that its text holds (leftmost, longest) and plain text between them.
 * Text up to a mark is any UTF-8 in which it does not stand: the automaton of Knuth, Morris and
 * Pratt over the mark's bytes, left by its last byte or by the special token that spells it whole.
 */
#include <string.h>

#include "text/grammar/grammar_private.h"

#define MARK_MAX 120

/* The special token that p begins with, the longest; ZOO_ID_NONE: none. */
static uint32_t special_at(const zoo_gbuild *b, zoo_piece p, size_t *n)
{
    for (size_t length = b->tokenizer ? p.n : 0; length > 0; length--) {
        uint32_t id = zoo_tokenizer_id(b->tokenizer, p.s, length);
        if (id != ZOO_ID_NONE && zoo_tokenizer_is_special(b->tokenizer, id)) {
            *n = length;
            return id;
        }
    }
    return ZOO_ID_NONE;
}

static bool fits(zoo_gbuild *b, zoo_piece mark)
{
    if (mark.n > MARK_MAX) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "a mark of the output format is longer than %d bytes",
                        MARK_MAX);
    }
    return mark.n <= MARK_MAX && b->status == ZOO_OK;
}

zoo_gnode zoo_g_mark(zoo_gbuild *b, zoo_piece mark, zoo_gnode next)
{
    struct {
        uint32_t id; /* or ZOO_ID_NONE: the byte at `at` */
        size_t at;
    } parts[MARK_MAX];
    size_t n_parts = 0, n = 0;
    if (!fits(b, mark)) {
        return next;
    }
    for (size_t at = 0; at < mark.n; at += n) {
        n = 1;
        parts[n_parts].id = special_at(b, (zoo_piece){mark.s + at, mark.n - at}, &n);
        parts[n_parts++].at = at;
    }
    while (n_parts > 0) {
        n_parts--;
        next = parts[n_parts].id == ZOO_ID_NONE ? zoo_g_text(b, mark.s + parts[n_parts].at, 1, next)
                                                : zoo_g_token(b, parts[n_parts].id, next);
    }
    return next;
}

/* What may come next in UTF-8: a character, or so many more bytes of one. */
enum { AT_CHARACTER, LAST, TWO, THREE, TWO_E0, TWO_ED, THREE_F0, THREE_F4, N_UTF8 };

/* The place after a byte; N_UTF8: it cannot stand here. */
static int utf8_behind(int at, int byte)
{
    static const struct {
        uint8_t at, low, high, behind;
    } ways[] = {{AT_CHARACTER, 0x01, 0x7F, AT_CHARACTER},
                {AT_CHARACTER, 0xC2, 0xDF, LAST},
                {AT_CHARACTER, 0xE0, 0xE0, TWO_E0},
                {AT_CHARACTER, 0xE1, 0xEC, TWO},
                {AT_CHARACTER, 0xED, 0xED, TWO_ED},
                {AT_CHARACTER, 0xEE, 0xEF, TWO},
                {AT_CHARACTER, 0xF0, 0xF0, THREE_F0},
                {AT_CHARACTER, 0xF1, 0xF3, THREE},
                {AT_CHARACTER, 0xF4, 0xF4, THREE_F4},
                {LAST, 0x80, 0xBF, AT_CHARACTER},
                {TWO, 0x80, 0xBF, LAST},
                {THREE, 0x80, 0xBF, TWO},
                {TWO_E0, 0xA0, 0xBF, LAST},
                {TWO_ED, 0x80, 0x9F, LAST},
                {THREE_F0, 0x90, 0xBF, TWO},
                {THREE_F4, 0x80, 0x8F, TWO}};
    for (size_t i = 0; i < ZOO_COUNT(ways); i++) {
        if (ways[i].at == at && byte >= ways[i].low && byte <= ways[i].high) {
            return ways[i].behind;
        }
    }
    return N_UTF8;
}

/*
 * The automaton of a mark. State u < N_UTF8: nothing of the mark stands at the end of the text, u
 * says where in a character it is; state N_UTF8 - 1 + k: the first k > 0 bytes of the mark do.
 */
typedef struct automaton {
    zoo_piece mark;
    int place[MARK_MAX];          /* in a character after k bytes of the mark */
    uint8_t after[MARK_MAX][256]; /* how much of the mark there is when a byte follows k of it */
    zoo_gnode at[N_UTF8 + MARK_MAX];
} automaton;

static bool prepare(automaton *a)
{
    size_t back = 0;
    zoo_piece mark = a->mark;
    memset(a->after[0], 0, 256);
    a->after[0][(unsigned char)mark.s[0]] = 1;
    a->place[0] = AT_CHARACTER;
    for (size_t k = 1; k <= mark.n; k++) {
        int place = utf8_behind(a->place[k - 1], (unsigned char)mark.s[k - 1]);
        if (place == N_UTF8 || k == mark.n) {
            return place == AT_CHARACTER;
        }
        a->place[k] = place;
        memcpy(a->after[k], a->after[back], 256);
        a->after[k][(unsigned char)mark.s[k]] = (uint8_t)(k + 1);
        back = a->after[back][(unsigned char)mark.s[k]];
    }
    return false;
}

/* The state after a byte, -1 when it cannot follow, -2 when it is the mark's last. */
static int state_behind(const automaton *a, size_t state, int byte)
{
    size_t k = state < N_UTF8 ? 0 : state - N_UTF8 + 1;
    int place = utf8_behind(k ? a->place[k] : (int)state, byte);
    size_t matched = k || state == AT_CHARACTER ? a->after[k][byte] : 0;
    if (place == N_UTF8) {
        return -1;
    }
    return matched == a->mark.n ? -2 : matched ? (int)(N_UTF8 - 1 + matched) : place;
}

/* The ways out of a state. */
static zoo_gnode ways_out(zoo_gbuild *b, const automaton *a, size_t state, zoo_gnode next)
{
    bool done[256] = {false}, any = false;
    zoo_gnode out = ZOO_GNODE_RETURN;
    for (int byte = 1; byte < 256; byte++) {
        int to = state_behind(a, state, byte);
        zoo_gclass c = {{0}};
        if (done[byte] || to == -1) {
            continue;
        }
        for (int other = byte; other < 256; other++) {
            if (state_behind(a, state, other) == to) {
                zoo_gclass_add(&c, other, other);
                done[other] = true;
            }
        }
        zoo_gnode one = zoo_g_class(b, &c, to == -2 ? next : a->at[to]);
        out = any ? zoo_g_either(b, out, one) : one;
        any = true;
    }
    return out;
}

zoo_gnode zoo_g_until(zoo_gbuild *b, zoo_piece mark, zoo_gnode next)
{
    static _Thread_local automaton a;
    size_t n = 0, n_states = N_UTF8 + mark.n - 1;
    if (!fits(b, mark) || !mark.n) {
        return next;
    }
    uint32_t id = special_at(b, mark, &n);
    id = n == mark.n ? id : ZOO_ID_NONE;
    a.mark = mark;
    if (!prepare(&a)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "a mark of the output format is no UTF-8");
        return next;
    }
    for (size_t i = 0; i < n_states; i++) {
        a.at[i] = zoo_g_loop(b);
    }
    for (size_t i = 0; i < n_states && b->status == ZOO_OK; i++) {
        bool may_end = id != ZOO_ID_NONE && (i == AT_CHARACTER || i >= N_UTF8);
        zoo_gnode out = ways_out(b, &a, i, next);
        zoo_g_loop_set(b, a.at[i], out, may_end ? zoo_g_token(b, id, next) : out);
    }
    return a.at[AT_CHARACTER];
}
