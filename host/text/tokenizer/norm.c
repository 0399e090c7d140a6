/*
 * norm.c: the normalizers of tokenizer.json, applied in order to one gap between added tokens.
 *
 * Unicode forms: decomposition and composition by utf8proc, but only around characters that can
 * change (`unsafe`, one bit each), which late ones (norm_late.c) are not; marks are put in
 * canonical order by a stable sort here, since a run of marks may be as long as the text. Every
 * normalizer is linear, the sort n log n.
 */
#include "text/tokenizer/norm.h"
#include "base/mem.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_form(tok_norm_kind kind)
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
    if (!is_form(norm->kind) && norm->kind != TOK_NORM_BERT) {
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
static size_t find_unsafe(const tok_norm *norm, const char *p, size_t n, size_t i)
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
        size_t bad = find_unsafe(norm, in.p, in.n, done);
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

static bool is_space(const zoo_tokenizer *t, uint32_t cp)
{
    return tok_mask(&t->chars, cp) & TOK_SPACE;
}

static zoo_status run_strip(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                            size_t *zero)
{
    size_t begin = 0, end = in.n;
    uint32_t cp;
    while ((norm->flags & TOK_STRIP_LEFT) && begin < in.n) {
        size_t length = tok_utf8((const uint8_t *)in.p + begin, &cp);
        if (!is_space(run->t, cp)) {
            break;
        }
        begin += length;
    }
    *zero = begin < *zero ? *zero - begin : 0;
    while ((norm->flags & TOK_STRIP_RIGHT) && end > begin) {
        size_t back = tok_utf8_back(in.p, end);
        (void)tok_utf8((const uint8_t *)in.p + back, &cp);
        if (!is_space(run->t, cp)) {
            break;
        }
        end = back;
    }
    return tok_text_push(out, in.p + begin, end - begin) ? ZOO_OK : tok_no_memory(run->err);
}

static zoo_status run_bytes(tok_run *run, tok_str in, zoo_text *out)
{
    for (size_t i = 0; i < in.n; i++) {
        if (!tok_text_push_cp(out, tok_byte_char((uint8_t)in.p[i]))) {
            return tok_no_memory(run->err);
        }
    }
    return ZOO_OK;
}

static bool dropped_by_nmt(uint32_t cp)
{
    return (cp >= 1 && cp <= 8) || cp == 0x0b || (cp >= 0x0e && cp <= 0x1f) || cp == 0x7f ||
           cp == 0x8f || cp == 0x9f;
}

static bool space_for_nmt(uint32_t cp)
{
    return cp == 9 || cp == 10 || cp == 12 || cp == 13 || cp == 0x1680 ||
           (cp >= 0x200b && cp <= 0x200f) || cp == 0x2028 || cp == 0x2029 || cp == 0x2581 ||
           cp == 0xfeff || cp == 0xfffd;
}

/* The normalizers that look at one character at a time. */
static zoo_status run_each(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                           size_t *zero)
{
    size_t i = 0, left = 0;
    bool ok = true;
    while (ok && i < in.n) {
        uint32_t cp;
        i += tok_utf8((const uint8_t *)in.p + i, &cp);
        switch (norm->kind) {
        case TOK_NORM_LOWERCASE:
            ok = tok_norm_push_lower(out, cp);
            break;
        case TOK_NORM_STRIP_ACCENTS:
            ok = tok_norm_is_accent(&run->t->chars, cp) || tok_text_push_cp(out, cp);
            break;
        default:
            ok = dropped_by_nmt(cp) || tok_text_push_cp(out, space_for_nmt(cp) ? ' ' : cp);
            break;
        }
        left = i <= *zero ? out->n : left;
    }
    *zero = left;
    return ok ? ZOO_OK : tok_no_memory(run->err);
}

/* The zero of what Replace makes: a new text belongs to the last character that it replaces. */
static zoo_status replaced_zero(tok_run *run, const tok_norm *norm, tok_str in, size_t *zero)
{
    size_t done = 0, from = 0, left = 0, range[2];
    int found;
    while (*zero && from <= in.n) {
        found = tok_regex_find(norm->regex, run->s->matcher, (const uint8_t *)in.p, in.n, from,
                               range, run->err);
        if (found < 0) {
            return (zoo_status)found;
        }
        if (!found || range[0] > *zero) {
            break;
        }
        left += range[0] - done;
        done = range[1];
        if (range[1] > *zero) { /* the end of it lies behind */
            break;
        }
        left += norm->text.n;
        from = range[1] > range[0] ? range[1]
               : range[1] < in.n   ? range[1] + tok_utf8_length((uint8_t)in.p[range[1]])
                                   : in.n + 1;
    }
    *zero = left + (*zero > done ? *zero - done : 0);
    return ZOO_OK;
}

static zoo_status run_replace(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                              size_t *zero)
{
    ZOO_TRY(replaced_zero(run, norm, in, zero));
    return tok_dec_replace(norm->regex, run->s->matcher, norm->text, in.p, in.n, out, run->err);
}

static zoo_status run_prepend(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                              size_t *zero)
{
    bool ok = !in.n || tok_text_push(out, norm->text.p, norm->text.n);
    *zero += *zero ? norm->text.n : 0;
    return ok && tok_text_push(out, in.p, in.n) ? ZOO_OK : tok_no_memory(run->err);
}

static zoo_status run_whole(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                            bool at_zero)
{
    switch (norm->kind) {
    case TOK_NORM_CHARSMAP:
        return tok_charsmap_run(run, norm, in, out);
    case TOK_NORM_BERT:
        return tok_bert_run(run, norm, in, out);
    case TOK_NORM_BYTES:
        return run_bytes(run, in, out);
    case TOK_NORM_SPM_SPACES:
        return tok_spm_spaces_run(run, norm, in, out, at_zero);
    default:
        return tok_form_run(run, norm, in, out);
    }
}

/* The same with the zero of what it makes: what it makes of that part alone, or one character. */
static zoo_status run_other(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                            size_t *zero)
{
    zoo_text alone = {0};
    ZOO_TRY(run_whole(run, norm, in, out, *zero > 0));
    if (*zero == 0 || out->n == 0) {
        *zero = 0;
        return ZOO_OK;
    }
    zoo_status status = tok_text_push(&alone, "", 0) ? ZOO_OK : tok_no_memory(run->err);
    if (status == ZOO_OK && run->t->n_steps) { /* only steps ask how much it is */
        status = run_whole(run, norm, (tok_str){in.p, *zero}, &alone, true);
    }
    bool begins = status == ZOO_OK && run->t->n_steps && alone.n <= out->n &&
                  memcmp(alone.data, out->data, alone.n) == 0;
    *zero = begins ? alone.n : tok_utf8_length((uint8_t)out->data[0]);
    zoo_text_free(&alone);
    return status;
}

/* *zero: bytes at the front that are of the first character of the original text. */
static zoo_status run_one(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                          size_t *zero)
{
    switch (norm->kind) {
    case TOK_NORM_STRIP:
        return run_strip(run, norm, in, out, zero);
    case TOK_NORM_REPLACE:
        return run_replace(run, norm, in, out, zero);
    case TOK_NORM_PREPEND:
        return run_prepend(run, norm, in, out, zero);
    case TOK_NORM_LOWERCASE:
    case TOK_NORM_STRIP_ACCENTS:
    case TOK_NORM_NMT:
        return run_each(run, norm, in, out, zero);
    default:
        return run_other(run, norm, in, out, zero);
    }
}

static bool is_ascii(tok_str text)
{
    size_t i = 0;
    uint64_t eight;
    for (; i + 8 <= text.n; i += 8) {
        memcpy(&eight, text.p + i, 8);
        if (eight & 0x8080808080808080u) {
            return false;
        }
    }
    while (i < text.n && !(text.p[i] & 0x80)) {
        i++;
    }
    return i == text.n;
}

zoo_status tok_norms_run(tok_run *run, const char *p, size_t n, tok_str *out, size_t *zero)
{
    *out = (tok_str){p, n};
    for (uint32_t i = 0; i < run->t->n_norms; i++) {
        const tok_norm *norm = &run->t->norms[i];
        if (is_form(norm->kind) &&
            (is_ascii(*out) || find_unsafe(norm, out->p, out->n, 0) == out->n)) {
            continue;
        }
        zoo_text *buffer = &run->s->norm[out->p == run->s->norm[0].data];
        buffer->n = 0;
        if (!tok_text_push(buffer, "", 0)) {
            return tok_no_memory(run->err);
        }
        ZOO_TRY(run_one(run, norm, *out, buffer, zero));
        *out = (tok_str){buffer->data, buffer->n};
    }
    return ZOO_OK;
}
