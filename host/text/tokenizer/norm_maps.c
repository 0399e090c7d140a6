/*
 * norm_maps.c: the normalizers that carry maps or rules of their own.
 *
 * A precompiled map of characters is a double-array trie over UTF-8 and a block of 0-ended strings.
 * SentencePiece replaces the longest key at each place; tokenizer.json replaces a grapheme cluster
 * shorter than six bytes when it has a key that is a prefix of it, else each of its characters.
 * Unit layout of the trie: Darts-clone (has_leaf bit 8, label bits 0-7 and 31, offset from bit 10).
 */
#include "text/tokenizer/norm.h"

#include <stdlib.h>
#include <utf8proc.h>

static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The value of the longest (or first) key that begins p[n]; *length of it, 0: none. */
static uint32_t lookup(const tok_norm *norm, const char *p, size_t n, bool longest, size_t *length)
{
    uint32_t value = 0;
    uint64_t node = 0;
    *length = 0;
    if (norm->n_trie == 0) {
        return 0;
    }
    node ^= unit_offset(norm->trie[0]);
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)p[i];
        node ^= byte;
        if (byte == 0 || node >= norm->n_trie) {
            break;
        }
        uint32_t unit = norm->trie[node];
        if ((unit & ((1u << 31) | 0xff)) != byte) {
            break;
        }
        node ^= unit_offset(unit);
        if (unit >> 8 & 1) {
            if (node >= norm->n_trie) {
                break;
            }
            value = norm->trie[node] & 0x7fffffffu;
            *length = i + 1;
            if (!longest) {
                break;
            }
        }
    }
    return value;
}

/* The replacement of a value: a string inside the block, checked to end there. */
static tok_str replacement(const tok_norm *norm, uint32_t value)
{
    if (value >= norm->text.n) {
        return (tok_str){"", 0};
    }
    const char *p = norm->text.p + value;
    const char *end = memchr(p, 0, norm->text.n - value);
    return (tok_str){p, end ? (size_t)(end - p) : norm->text.n - value};
}

static bool push_part(const tok_norm *norm, const char *p, size_t n, bool *changed, zoo_text *out)
{
    size_t length;
    uint32_t value = lookup(norm, p, n, false, &length);
    *changed = length > 0;
    if (!length) {
        return true;
    }
    tok_str text = replacement(norm, value);
    return tok_text_push(out, text.p, text.n);
}

static bool push_grapheme(const tok_norm *norm, const char *p, size_t n, zoo_text *out)
{
    bool changed = false;
    if (n < 6 && !push_part(norm, p, n, &changed, out)) {
        return false;
    }
    for (size_t i = 0; !changed && i < n;) {
        size_t length = tok_utf8_length((uint8_t)p[i]);
        bool mapped;
        if (!push_part(norm, p + i, length, &mapped, out) ||
            (!mapped && !tok_text_push(out, p + i, length))) {
            return false;
        }
        i += length;
    }
    return true;
}

static bool charsmap_by_grapheme(const tok_norm *norm, tok_str in, zoo_text *out)
{
    size_t begin = 0, i = 0;
    utf8proc_int32_t last = 0, state = 0;
    while (i < in.n) {
        uint32_t cp;
        size_t length = tok_utf8((const uint8_t *)in.p + i, &cp);
        utf8proc_int32_t like = (utf8proc_int32_t)tok_norm_grapheme_like(cp);
        bool cut = i > 0 && utf8proc_grapheme_break_stateful(last, like, &state);
        if (cut) {
            if (!push_grapheme(norm, in.p + begin, i - begin, out)) {
                return false;
            }
            begin = i;
        }
        last = like;
        i += length;
    }
    return begin == in.n || push_grapheme(norm, in.p + begin, in.n - begin, out);
}

static bool charsmap_longest(const tok_norm *norm, tok_str in, zoo_text *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < in.n;) {
        size_t length = tok_trie_longest(norm->keep, in.p + i, in.n - i, NULL);
        if (length) { /* user-defined pieces are not normalised */
            ok = tok_text_push(out, in.p + i, length);
            i += length;
            continue;
        }
        uint32_t value = lookup(norm, in.p + i, in.n - i, true, &length);
        if (length) {
            tok_str text = replacement(norm, value);
            ok = tok_text_push(out, text.p, text.n);
        } else {
            length = tok_utf8_length((uint8_t)in.p[i]);
            ok = tok_text_push(out, in.p + i, length);
        }
        i += length;
    }
    return ok;
}

zoo_status tok_charsmap_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out)
{
    bool ok =
        norm->by_grapheme ? charsmap_by_grapheme(norm, in, out) : charsmap_longest(norm, in, out);
    return ok ? ZOO_OK : tok_no_memory(run->err);
}

zoo_status tok_charsmap_open(zoo_tokenizer *t, tok_norm *norm, const char *data, size_t n,
                             zoo_error *err)
{
    uint32_t size;
    norm->kind = TOK_NORM_CHARSMAP;
    if (n == 0) {
        return ZOO_OK;
    }
    if (n < 4) {
        return zoo_fail(err, ZOO_E_FORMAT, "the map of characters has %zu bytes, fewer than 4", n);
    }
    memcpy(&size, data, 4);
    if (size % 4 != 0 || size > n - 4) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "the map of characters says its trie has %u bytes but %zu follow", size,
                        n - 4);
    }
    uint32_t *trie = tok_pool_take(&t->pool, size);
    norm->text = tok_pool_copy(&t->pool, data + 4 + size, n - 4 - size);
    if (!trie || !norm->text.p) {
        return tok_no_memory(err);
    }
    memcpy(trie, data + 4, size);
    norm->trie = trie;
    norm->n_trie = size / 4;
    bool partial;
    size_t bad;
    (void)tok_utf8_valid(norm->text.p, norm->text.n, &bad, &partial);
    if (bad) {
        return zoo_fail(err, ZOO_E_FORMAT, "the map of characters holds text that is not UTF-8");
    }
    return ZOO_OK;
}

/* As the reference lists them, without 2B820..2B91F. */
static bool is_cjk(uint32_t cp)
{
    return (cp >= 0x4e00 && cp <= 0x9fff) || (cp >= 0x3400 && cp <= 0x4dbf) ||
           (cp >= 0x20000 && cp <= 0x2a6df) || (cp >= 0x2a700 && cp <= 0x2b73f) ||
           (cp >= 0x2b740 && cp <= 0x2b81f) || (cp >= 0x2b920 && cp <= 0x2ceaf) ||
           (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x2f800 && cp <= 0x2fa1f);
}

/* Cleaning and spaces around ideographs; without them the character itself. */
static bool push_bert(const zoo_tokenizer *t, unsigned flags, uint32_t cp, zoo_text *out)
{
    if (flags & TOK_BERT_CLEAN) {
        bool blank = cp == '\t' || cp == '\n' || cp == '\r';
        if (cp == 0 || cp == 0xfffd || (!blank && tok_norm_is_control(&t->chars, cp))) {
            return true;
        }
        cp = tok_mask(&t->chars, cp) & TOK_SPACE ? ' ' : cp;
    }
    if ((flags & TOK_BERT_CJK) && is_cjk(cp)) {
        return tok_text_push(out, " ", 1) && tok_text_push_cp(out, cp) &&
               tok_text_push(out, " ", 1);
    }
    return tok_text_push_cp(out, cp);
}

zoo_status tok_bert_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out)
{
    zoo_text clean = {0}, apart = {0};
    bool accents = norm->flags & TOK_BERT_ACCENTS, lower = norm->flags & TOK_BERT_LOWER;
    bool ok = tok_text_push(&clean, "", 0) && tok_text_push(&apart, "", 0);
    zoo_status status = ZOO_OK;
    uint32_t cp;
    for (size_t i = 0; ok && i < in.n;) {
        i += tok_utf8((const uint8_t *)in.p + i, &cp);
        ok = push_bert(run->t, norm->flags, cp, &clean);
    }
    if (ok && accents) {
        status = tok_form_run(run, norm, (tok_str){clean.data, clean.n}, &apart);
    }
    const zoo_text *from = accents ? &apart : &clean;
    for (size_t i = 0; ok && status == ZOO_OK && i < from->n;) {
        i += tok_utf8((const uint8_t *)from->data + i, &cp);
        ok = (accents && tok_norm_is_nonspacing(&run->t->chars, cp)) ||
             (lower ? tok_norm_push_lower(out, cp) : tok_text_push_cp(out, cp));
    }
    zoo_text_free(&clean);
    zoo_text_free(&apart);
    return ok ? status : tok_no_memory(run->err);
}

/* One space of the text, as the mark U+2581. */
static bool push_mark(zoo_text *out)
{
    return tok_text_push(out, "\xe2\x96\x81", 3);
}

zoo_status tok_spm_spaces_run(tok_run *run, const tok_norm *norm, tok_str in, zoo_text *out,
                              bool at_zero)
{
    bool squeeze = norm->flags & TOK_SPM_SQUEEZE, suffix = norm->flags & TOK_SPM_SUFFIX;
    bool prefix = (norm->flags & TOK_SPM_PREFIX) && (at_zero || !(norm->flags & TOK_SPM_FIRST));
    size_t i = 0;
    while (squeeze && i < in.n && in.p[i] == ' ') {
        i++;
    }
    while (squeeze && in.n > i && in.p[in.n - 1] == ' ') {
        in.n--;
    }
    bool ok = i == in.n || suffix || !prefix || push_mark(out);
    bool any = i < in.n;
    for (bool was = false; ok && i < in.n; i++) {
        bool is = in.p[i] == ' ';
        ok = !is ? tok_text_push(out, in.p + i, 1) : (was && squeeze) || push_mark(out);
        was = is;
    }
    while (ok && squeeze && out->n >= 3 && memcmp(out->data + out->n - 3, "\xe2\x96\x81", 3) == 0) {
        out->n -= 3; /* marks that the text itself ends with go like spaces */
    }
    ok = ok && (!any || !suffix || !prefix || push_mark(out));
    return ok ? ZOO_OK : tok_no_memory(run->err);
}
