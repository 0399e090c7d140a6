/*
 * norm.c: the normalizers of tokenizer.json, applied in order to one gap between added tokens.
 *
 * The Unicode forms are in norm_form.c, maps of characters in norm_maps.c. Every normalizer is
 * linear but for the sort of marks in the forms.
 */
#include "text/tokenizer/norm.h"

#include <utf8proc.h>

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
        if (range[1] > *zero) { /* the end of it lies after */
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
        if (tok_norm_is_form(norm->kind) &&
            (is_ascii(*out) || tok_norm_find_unsafe(norm, out->p, out->n, 0) == out->n)) {
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
