/*
 * norm_form.c: the Unicode forms NFC, NFD, NFKC and NFKD.
 *
 * Decomposition and composition by utf8proc, but only around characters that can change (`unsafe`,
 * one bit each), which late ones (norm_late.c) are not; marks are put in canonical order by a
 * stable sort here, since a run of marks may be as long as the text. Linear, the sort n log n.
 */
#include "base/mem.h"
#include "text/tokenizer/norm.h"

#include <stdlib.h>
#include <utf8proc.h>

bool tok_norm_is_form(tok_norm_kind kind)
{
    return kind <= TOK_NORM_NFKD;
}

static utf8proc_option_t form_options(tok_norm_kind kind)
{
    int options = UTF8PROC_STABLE;
    options |=
        kind == TOK_NORM_NFC || kind == TOK_NORM_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    options |= kind == TOK_NORM_NFKC || kind == TOK_NORM_NFKD ? UTF8PROC_COMPAT : 0;
    return (utf8proc_option_t)options;
}

/* Whether the form changes the character when it stands alone. */
static bool changes(uint32_t cp, utf8proc_option_t options)
{
    utf8proc_int32_t out[32];
    bool hangul = cp >= 0xac00 && cp < 0xd7a4;
    if (!hangul && utf8proc_get_property((utf8proc_int32_t)cp)->decomp_seqindex == UINT16_MAX) {
        return false;
    }
    int last = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)cp, out, (utf8proc_ssize_t)ZOO_COUNT(out),
                                (utf8proc_option_t)(options | UTF8PROC_DECOMPOSE), &last);
    n = n > 0 && n <= (utf8proc_ssize_t)ZOO_COUNT(out) ? utf8proc_normalize_utf32(out, n, options)
                                                       : n;
    return n != 1 || out[0] != (utf8proc_int32_t)cp;
}

zoo_status tok_norm_finish(zoo_tokenizer *t, tok_norm *norm, zoo_error *err)
{
    if (!tok_norm_is_form(norm->kind) && norm->kind != TOK_NORM_BERT) {
        return ZOO_OK;
    }
    norm->unsafe = tok_pool_take(&t->pool, 0x110000 / 8);
    if (!norm->unsafe) {
        return tok_no_memory(err);
    }
    utf8proc_option_t options = form_options(norm->kind);
    for (uint32_t cp = 0x80; cp < 0x110000; cp++) {
        bool jamo = cp >= 0x1160 && cp < 0x1200;
        bool mark = tok_mask(&t->chars, cp) & TOK_MARK;
        if (jamo || ((mark || changes(cp, options)) && !tok_norm_is_late(cp))) {
            norm->unsafe[cp >> 3] |= (uint8_t)(1u << (cp & 7));
        }
    }
    return ZOO_OK;
}

static bool is_unsafe(const tok_norm *norm, uint32_t cp)
{
    return norm->unsafe[cp >> 3] >> (cp & 7) & 1;
}

typedef struct mark {
    uint64_t key; /* combining class, then place */
    utf8proc_int32_t cp;
} mark;

static int by_key(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static bool sort_marks(utf8proc_int32_t *cps, size_t n)
{
    mark *marks = zoo_mem_alloc(n * sizeof *marks);
    if (!marks) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t class = (uint64_t)utf8proc_get_property(cps[i])->combining_class;
        marks[i] = (mark){class << 32 | i, cps[i]};
    }
    qsort(marks, n, sizeof *marks, by_key);
    for (size_t i = 0; i < n; i++) {
        cps[i] = marks[i].cp;
    }
    zoo_mem_free(marks);
    return true;
}

/* Canonical order of cps[n]: each run of non-starters stably by combining class. */
static bool put_in_order(utf8proc_int32_t *cps, size_t n)
{
    bool ok = true;
    for (size_t begin = 0, end; ok && begin < n; begin = end + 1) {
        int last = 0;
        bool sorted = true;
        for (end = begin; end < n; end++) {
            int class = utf8proc_get_property(cps[end])->combining_class;
            if (!class) {
                break;
            }
            sorted = sorted && class >= last;
            last = class;
        }
        ok = sorted || sort_marks(cps + begin, end - begin);
    }
    return ok;
}

/* Appends the form of p[n], which begins at a starter or at the text's beginning. */
static bool push_form(const char *p, size_t n, utf8proc_option_t options, zoo_text *out)
{
    utf8proc_int32_t few[256], *cps = few;
    size_t capacity = n * 18 + 1, k = 0, i = 0; /* no character has a longer decomposition */
    if (capacity > ZOO_COUNT(few) && !(cps = zoo_mem_alloc(capacity * sizeof *cps))) {
        return false;
    }
    int last = 0;
    while (i < n) {
        uint32_t cp;
        i += tok_utf8((const uint8_t *)p + i, &cp);
        utf8proc_ssize_t got =
            utf8proc_decompose_char((utf8proc_int32_t)cp, cps + k, (utf8proc_ssize_t)(capacity - k),
                                    (utf8proc_option_t)(options | UTF8PROC_DECOMPOSE), &last);
        k += got > 0 ? (size_t)got : 0;
    }
    bool ok = put_in_order(cps, k);
    utf8proc_ssize_t left = ok ? utf8proc_normalize_utf32(cps, (utf8proc_ssize_t)k, options) : 0;
    for (utf8proc_ssize_t j = 0; ok && j < left; j++) {
        ok = tok_text_push_cp(out, (uint32_t)cps[j]);
    }
    if (cps != few) {
        zoo_mem_free(cps);
    }
    return ok;
}

/* The first unsafe character at or after i, or n. */
size_t tok_norm_find_unsafe(const tok_norm *norm, const char *p, size_t n, size_t i)
{
    uint32_t cp;
    while (i < n) {
        size_t length = tok_utf8((const uint8_t *)p + i, &cp);
        if (cp >= 0x80 && is_unsafe(norm, cp)) {
            return i;
        }
        i += length;
    }
    return n;
}

/* The first safe character at or after i, or n. */
static size_t find_safe(const tok_norm *norm, const char *p, size_t n, size_t i)
{
    uint32_t cp;
    while (i < n) {
        size_t length = tok_utf8((const uint8_t *)p + i, &cp);
        if (!is_unsafe(norm, cp)) {
            break;
        }
        i += length;
    }
    return i;
}

/* Where the character begins that the mark at i > 0 may belong to, or i. */
static size_t base_of(const char *p, size_t i)
{
    uint32_t cp;
    size_t back = tok_utf8_back(p, i);
    (void)tok_utf8((const uint8_t *)p + back, &cp);
    return tok_norm_is_late(cp) ? i : back;
}

zoo_status tok_form_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out)
{
    utf8proc_option_t options = form_options(norm->kind);
    size_t done = 0;
    while (done < in.n) {
        size_t bad = tok_norm_find_unsafe(norm, in.p, in.n, done);
        size_t begin = bad < in.n && bad > done ? base_of(in.p, bad) : bad;
        size_t end = find_safe(norm, in.p, in.n, bad);
        if (!tok_text_push(out, in.p + done, begin - done) ||
            (end > begin && !push_form(in.p + begin, end - begin, options, out))) {
            return tok_no_memory(run->err);
        }
        done = end;
    }
    return ZOO_OK;
}
