/*
 * decode.c: ids back to text, as a chain of stages that each take tokens and give tokens.
 *
 * Decoding a whole list and decoding one id at a time are the same code: a stage keeps what it
 * cannot tell yet (bytes of an unfinished character, a run of byte tokens, a last token) and gives
 * it at flush at the latest. After Fuse or the byte alphabet everything is one long token that
 * arrives in fragments; a stage that needs it whole keeps it until flush.
 *
 * Source: huggingface/tokenizers decoders/ (behaviour).
 */
#include "base/mem.h"
#include "text/tokenizer/tokenizer_private.h"

#include <stdlib.h>

typedef struct stage {
    zoo_text hold;
    zoo_text work;
    uint64_t n_seen; /* tokens, or characters stripped from the front */
    bool fused;      /* input is fragments of one token */
    bool whole;      /* keeps that token until flush */
    bool any;
} stage;

struct zoo_decoder {
    const zoo_tokenizer *t;
    unsigned flags;
    tok_scratch *s;
    zoo_text *out;
    zoo_error *err;
    stage *stages; /* [t->n_decs] */
    bool direct;   /* the byte alphabet alone: tokens are known as bytes already */
};

static zoo_status give(zoo_decoder *d, uint32_t i, const char *p, size_t n);

zoo_status tok_dec_replace(const tok_regex *regex, tok_matcher *m, tok_str text, const char *p,
                           size_t n, zoo_text *out, zoo_error *err)
{
    size_t done = 0, from = 0, range[2];
    bool any = false;
    int found;
    while (n && from <= n && /* nothing is found in an empty text */
           (found = tok_regex_find(regex, m, (const uint8_t *)p, n, from, range, err)) != 0) {
        if (found < 0) {
            return (zoo_status)found;
        }
        bool empty = range[1] == range[0];
        from = range[1];
        if (empty) { /* look on after the next character */
            from += from < n ? tok_utf8_length((uint8_t)p[from]) : 1;
        }
        if (empty && any && range[0] == done) {
            continue; /* nothing directly after a match is no match */
        }
        if (!tok_text_push(out, p + done, range[0] - done) || !tok_text_push(out, text.p, text.n)) {
            return tok_no_memory(err);
        }
        done = range[1];
        any = true;
    }
    return tok_text_push(out, p + done, n - done) ? ZOO_OK : tok_no_memory(err);
}

/* `to` before every character and at the end. */
static bool push_between(zoo_text *out, const char *p, size_t n, const char *to)
{
    bool ok = tok_text_push(out, to, strlen(to));
    for (size_t i = 0, length; ok && i < n; i += length) {
        length = tok_utf8_length((uint8_t)p[i]);
        ok = tok_text_push(out, p + i, length) && tok_text_push(out, to, strlen(to));
    }
    return ok;
}

/* p[n] with each `from` as `to`; an empty `from` stands between all characters. */
static bool push_replaced(zoo_text *out, const char *p, size_t n, const char *from, const char *to)
{
    size_t k = strlen(from), done = 0;
    if (!k) {
        return push_between(out, p, n, to);
    }
    for (size_t i = 0; i + k <= n;) {
        if (memcmp(p + i, from, k) == 0) {
            if (!tok_text_push(out, p + done, i - done) || !tok_text_push(out, to, strlen(to))) {
                return false;
            }
            i += k;
            done = i;
        } else {
            i++;
        }
    }
    return tok_text_push(out, p + done, n - done);
}

/* The clean-up of spaces before punctuation and contractions, in place of `text`. */
static bool clean_up(zoo_text *text)
{
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},           {" !", "!"},
                                           {" ,", ","},     {" ' ", "'"},          {" n't", "n't"},
                                           {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < ZOO_COUNT(pairs); i++) {
        zoo_text next = {0};
        if (!push_replaced(&next, text->data, text->n, pairs[i][0], pairs[i][1])) {
            zoo_text_free(&next);
            return false;
        }
        zoo_text_free(text);
        *text = next;
    }
    return true;
}

/* Gives the valid part of the hold on; what can still be completed stays unless `last`. */
static zoo_status give_bytes(zoo_decoder *d, uint32_t i, bool last)
{
    stage *s = &d->stages[i];
    size_t done = 0;
    zoo_status status = ZOO_OK;
    if (!s->hold.n) {
        return ZOO_OK;
    }
    while (status == ZOO_OK && done < s->hold.n) {
        size_t bad;
        bool partial;
        size_t good = tok_utf8_valid(s->hold.data + done, s->hold.n - done, &bad, &partial);
        if (good) {
            status = give(d, i + 1, s->hold.data + done, good);
        }
        done += good;
        if (status != ZOO_OK || !bad || (partial && !last)) {
            break;
        }
        status = give(d, i + 1, "\xef\xbf\xbd", 3);
        done += bad;
    }
    if (s->hold.n > 0) {
        memmove(s->hold.data, s->hold.data + done, s->hold.n - done);
        s->hold.n -= done;
    }
    return status;
}

static zoo_status take_bytes(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    stage *s = &d->stages[i];
    size_t n_bytes = 0;
    if (!tok_grow(&s->hold.data, &s->hold.capacity, s->hold.n + n + 1, 1)) {
        return tok_no_memory(d->err);
    }
    if (!d->direct && tok_alphabet_bytes(p, n, s->hold.data + s->hold.n, &n_bytes)) {
        s->hold.n += n_bytes;
    } else if (!tok_text_push(&s->hold, p, n)) {
        return tok_no_memory(d->err);
    }
    return give_bytes(d, i, false);
}

static int hex_byte(const char *p, size_t n)
{
    char text[6];
    if (n != 6) {
        return -1;
    }
    memcpy(text, p, 6);
    for (size_t i = 3; i < 5; i++) {
        text[i] = (char)(text[i] >= 'a' && text[i] <= 'f' ? text[i] - 32 : text[i]);
    }
    return tok_byte_token(text, 6);
}

/* A finished run of byte tokens: text, or one U+FFFD for each byte. */
static zoo_status give_run(zoo_decoder *d, uint32_t i)
{
    stage *s = &d->stages[i];
    size_t bad, n = s->hold.n;
    bool partial;
    s->hold.n = 0;
    if (!n) {
        return ZOO_OK;
    }
    (void)tok_utf8_valid(s->hold.data, n, &bad, &partial);
    if (!bad) {
        return give(d, i + 1, s->hold.data, n);
    }
    for (size_t k = 0; k < n; k++) {
        ZOO_TRY(give(d, i + 1, "\xef\xbf\xbd", 3));
    }
    return ZOO_OK;
}

static zoo_status take_fallback(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    int byte = hex_byte(p, n);
    if (byte < 0) {
        ZOO_TRY(give_run(d, i));
        return give(d, i + 1, p, n);
    }
    char c = (char)byte;
    return tok_text_push(&d->stages[i].hold, &c, 1) ? ZOO_OK : tok_no_memory(d->err);
}

static bool begins(const char *p, size_t n, tok_str with)
{
    return n >= with.n && memcmp(p, with.p, with.n) == 0;
}

/* Up to `start` characters off the front of the token or, fused, of the whole text. */
static zoo_status take_strip(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    const tok_dec *dec = &d->t->decs[i];
    stage *s = &d->stages[i];
    uint64_t n_cut = s->fused && !s->whole ? s->n_seen : 0;
    while (n_cut < dec->start && n && begins(p, n, dec->text)) {
        p += dec->text.n;
        n -= dec->text.n;
        n_cut++;
    }
    if (s->fused) {
        s->n_seen = n ? UINT64_MAX : n_cut;
    }
    for (uint32_t k = 0;
         k < dec->stop && n >= dec->text.n && begins(p + n - dec->text.n, dec->text.n, dec->text);
         k++) {
        n -= dec->text.n;
    }
    return give(d, i + 1, p, n);
}

static zoo_status give_work(zoo_decoder *d, uint32_t i, bool ok)
{
    return ok ? give(d, i + 1, d->stages[i].work.data, d->stages[i].work.n) : tok_no_memory(d->err);
}

static zoo_status take_metaspace(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    const tok_dec *dec = &d->t->decs[i];
    stage *s = &d->stages[i];
    bool first = s->n_seen++ == 0;
    s->work.n = 0;
    bool ok = tok_text_push(&s->work, "", 0) &&
              push_replaced(&s->work, p, n, dec->text.p, first && dec->prepend ? "" : " ");
    return give_work(d, i, ok);
}

static zoo_status take_wordpiece(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    const tok_dec *dec = &d->t->decs[i];
    stage *s = &d->stages[i];
    bool first = s->n_seen++ == 0, ok = true;
    s->work.n = 0;
    if (!first && begins(p, n, dec->text)) {
        p += dec->text.n;
        n -= dec->text.n;
    } else if (!first) {
        ok = tok_text_push(&s->work, " ", 1);
    }
    ok = ok && tok_text_push(&s->work, p, n) && (!dec->cleanup || clean_up(&s->work));
    return give_work(d, i, ok);
}

/* The token held back, with its suffix as a space or, being the last, as nothing. */
static zoo_status give_suffixed(zoo_decoder *d, uint32_t i, bool last)
{
    stage *s = &d->stages[i];
    if (!s->any) {
        return ZOO_OK;
    }
    s->work.n = 0;
    return give_work(
        d, i,
        push_replaced(&s->work, s->hold.data, s->hold.n, d->t->decs[i].text.p, last ? "" : " "));
}

static zoo_status take_suffix(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    stage *s = &d->stages[i];
    ZOO_TRY(give_suffixed(d, i, false));
    s->any = true;
    s->hold.n = 0;
    return tok_text_push(&s->hold, p, n) ? ZOO_OK : tok_no_memory(d->err);
}

static zoo_status take_ctc(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    const tok_dec *dec = &d->t->decs[i];
    stage *s = &d->stages[i];
    if (s->any && s->hold.n == n && memcmp(s->hold.data, p, n) == 0) {
        return ZOO_OK;
    }
    s->any = true;
    s->hold.n = s->work.n = 0;
    zoo_text spaced = {0};
    bool ok = tok_text_push(&s->hold, p, n) && push_replaced(&s->work, p, n, dec->text.p, "");
    if (ok && dec->cleanup) {
        ok = clean_up(&s->work) &&
             push_replaced(&spaced, s->work.data, s->work.n, dec->delimiter.p, " ");
        s->work.n = 0;
        ok = ok && tok_text_push(&s->work, spaced.data, spaced.n);
    }
    zoo_text_free(&spaced);
    return ok && !s->work.n ? ZOO_OK : give_work(d, i, ok);
}

static zoo_status take_join(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    if (d->stages[i].n_seen++ > 0) {
        ZOO_TRY(give(d, i + 1, " ", 1));
    }
    return give(d, i + 1, p, n);
}

static zoo_status take_replace(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    const tok_dec *dec = &d->t->decs[i];
    zoo_text *work = &d->stages[i].work;
    work->n = 0;
    ZOO_TRY(tok_dec_replace(dec->regex, d->s->matcher, dec->text, p, n, work, d->err));
    return give(d, i + 1, work->data, work->n);
}

static zoo_status take(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    switch (d->t->decs[i].kind) {
    case TOK_DEC_BYTES:
        return take_bytes(d, i, p, n);
    case TOK_DEC_REPLACE:
        return take_replace(d, i, p, n);
    case TOK_DEC_BYTE_FALLBACK:
        return take_fallback(d, i, p, n);
    case TOK_DEC_STRIP:
        return take_strip(d, i, p, n);
    case TOK_DEC_METASPACE:
        return take_metaspace(d, i, p, n);
    case TOK_DEC_WORDPIECE:
        return take_wordpiece(d, i, p, n);
    case TOK_DEC_SUFFIX:
        return take_suffix(d, i, p, n);
    case TOK_DEC_CTC:
        return take_ctc(d, i, p, n);
    case TOK_DEC_JOIN:
        return take_join(d, i, p, n);
    default:
        return give(d, i + 1, p, n);
    }
}

/* Hands a token (or fragment) to stage i; after the last stage it is text. */
static zoo_status give(zoo_decoder *d, uint32_t i, const char *p, size_t n)
{
    if (i == d->t->n_decs) {
        return tok_text_push(d->out, p, n) ? ZOO_OK : tok_no_memory(d->err);
    }
    stage *s = &d->stages[i];
    if (s->whole) {
        s->any = true;
        return tok_text_push(&s->hold, p, n) ? ZOO_OK : tok_no_memory(d->err);
    }
    return take(d, i, p, n);
}

static zoo_status end_stage(zoo_decoder *d, uint32_t i)
{
    stage *s = &d->stages[i];
    if (s->whole && s->any) {
        zoo_text text = s->hold;
        s->hold = (zoo_text){0};
        s->any = false;
        zoo_status status = take(d, i, text.data, text.n);
        zoo_text_free(&text);
        ZOO_TRY(status);
    }
    switch (d->t->decs[i].kind) {
    case TOK_DEC_BYTES:
        return give_bytes(d, i, true);
    case TOK_DEC_BYTE_FALLBACK:
        return give_run(d, i);
    case TOK_DEC_SUFFIX:
        return give_suffixed(d, i, true);
    default:
        return ZOO_OK;
    }
}

/* A stage works on fragments when it can; else it waits for the whole. */
static void plan_stages(zoo_decoder *d)
{
    bool fused = false;
    for (uint32_t i = 0; i < d->t->n_decs; i++) {
        const tok_dec *dec = &d->t->decs[i];
        d->stages[i].fused = fused;
        d->stages[i].whole =
            fused && dec->kind != TOK_DEC_FUSE && !(dec->kind == TOK_DEC_STRIP && dec->stop == 0);
        fused = fused || dec->kind == TOK_DEC_FUSE || dec->kind == TOK_DEC_BYTES;
    }
    d->direct = d->t->n_decs == 1 && d->t->decs[0].kind == TOK_DEC_BYTES;
}

zoo_status zoo_decoder_open(const zoo_tokenizer *t, unsigned flags, zoo_decoder **out,
                            zoo_error *err)
{
    zoo_decoder *d = zoo_mem_array(1, sizeof *d);
    *out = NULL;
    if (d) {
        d->t = t;
        d->flags = flags;
        d->s = tok_scratch_take(t, false);
        d->stages = zoo_mem_array(t->n_decs + 1, sizeof *d->stages);
    }
    if (!d || !d->s || !d->stages) {
        zoo_decoder_close(d);
        return tok_no_memory(err);
    }
    plan_stages(d);
    *out = d;
    return ZOO_OK;
}

void zoo_decoder_close(zoo_decoder *d)
{
    if (!d) {
        return;
    }
    for (uint32_t i = 0; d->stages && i < d->t->n_decs; i++) {
        zoo_text_free(&d->stages[i].hold);
        zoo_text_free(&d->stages[i].work);
    }
    zoo_mem_free(d->stages);
    tok_scratch_give(d->t, d->s);
    zoo_mem_free(d);
}

/* What the decoders are given for an id: an added token that was searched in normalised text comes
 * back in that form. */
static const char *decoded(const zoo_tokenizer *t, uint32_t id, size_t *n)
{
    const tok_added *added = &t->added;
    if (id < added->n_by_id && added->by_id[id]) {
        const tok_added_token *token = &added->tokens[added->by_id[id] - 1];
        *n = token->searched.n;
        return token->searched.p;
    }
    return zoo_tokenizer_token(t, id, n);
}

zoo_status zoo_decoder_feed(zoo_decoder *d, uint32_t id, zoo_text *out, zoo_error *err)
{
    size_t n;
    const char *p = d->direct ? zoo_tokenizer_bytes(d->t, id, &n) : decoded(d->t, id, &n);
    d->out = out;
    d->err = err;
    tok_matcher_start(d->s->matcher, n);
    if (!tok_text_push(out, "", 0)) {
        return tok_no_memory(err);
    }
    if (!p || ((d->flags & ZOO_DECODE_SKIP_SPECIAL) && zoo_tokenizer_is_special(d->t, id))) {
        return ZOO_OK;
    }
    return give(d, 0, p, n);
}

zoo_status zoo_decoder_flush(zoo_decoder *d, zoo_text *out, zoo_error *err)
{
    zoo_status status = tok_text_push(out, "", 0) ? ZOO_OK : tok_no_memory(err);
    d->out = out;
    d->err = err;
    for (uint32_t i = 0; status == ZOO_OK && i < d->t->n_decs; i++) {
        status = end_stage(d, i);
    }
    for (uint32_t i = 0; i < d->t->n_decs; i++) {
        d->stages[i].hold.n = 0;
        d->stages[i].n_seen = 0;
        d->stages[i].any = false;
    }
    return status;
}

zoo_status zoo_tokenizer_decode(const zoo_tokenizer *t, const uint32_t *ids, size_t n,
                                unsigned flags, zoo_text *out, zoo_error *err)
{
    zoo_decoder *d;
    size_t before = out->n;
    ZOO_TRY(zoo_decoder_open(t, flags, &d, err));
    zoo_status status = ZOO_OK;
    for (size_t i = 0; status == ZOO_OK && i < n; i++) {
        status = zoo_decoder_feed(d, ids[i], out, err);
    }
    status = status == ZOO_OK ? zoo_decoder_flush(d, out, err) : status;
    zoo_decoder_close(d);
    out->n = status == ZOO_OK ? out->n : before;
    return status;
}

/* One token in the middle of a text, through one stage. */
static zoo_status middle(zoo_tokenizer *t, const tok_dec *dec, tok_matcher *m, zoo_text *text,
                         zoo_error *err)
{
    zoo_text next = {0};
    zoo_status status = ZOO_OK;
    bool ok = true;
    int byte;
    switch (dec->kind) {
    case TOK_DEC_REPLACE:
        status = tok_dec_replace(dec->regex, m, dec->text, text->data, text->n, &next, err);
        break;
    case TOK_DEC_BYTES:
        ok = tok_text_push(&next, text->data, text->n);
        if (ok && !tok_alphabet_bytes(text->data, text->n, next.data, &next.n)) {
            next.n = text->n;
            memcpy(next.data, text->data, text->n);
        }
        break;
    case TOK_DEC_BYTE_FALLBACK:
        byte = hex_byte(text->data, text->n);
        ok = byte < 0 ? tok_text_push(&next, text->data, text->n)
                      : tok_text_push(&next, &(char){(char)byte}, 1);
        break;
    case TOK_DEC_METASPACE:
    case TOK_DEC_SUFFIX:
        ok = push_replaced(&next, text->data, text->n, dec->text.p, " ");
        break;
    case TOK_DEC_WORDPIECE:
    case TOK_DEC_JOIN:
        if (dec->kind == TOK_DEC_WORDPIECE && begins(text->data, text->n, dec->text)) {
            ok = tok_text_push(&next, text->data + dec->text.n, text->n - dec->text.n);
        } else {
            ok = tok_text_push(&next, " ", 1) && tok_text_push(&next, text->data, text->n);
        }
        break;
    default:
        return ZOO_OK;
    }
    (void)t;
    text->n = 0;
    ok = ok && status == ZOO_OK && tok_text_push(text, next.data, next.n);
    zoo_text_free(&next);
    return status != ZOO_OK ? status : ok ? ZOO_OK : tok_no_memory(err);
}

/* Tokens leave the chain where they become a byte or a part of a character: what follows is meant
 * for text. */
static zoo_status middle_of(zoo_tokenizer *t, tok_matcher *m, zoo_text *text, zoo_error *err)
{
    for (uint32_t i = 0; i < t->n_decs; i++) {
        bool byte = t->decs[i].kind == TOK_DEC_BYTE_FALLBACK && hex_byte(text->data, text->n) >= 0;
        ZOO_TRY(middle(t, &t->decs[i], m, text, err));
        size_t bad;
        bool partial;
        (void)tok_utf8_valid(text->data, text->n, &bad, &partial);
        if (byte || bad) {
            break;
        }
    }
    return ZOO_OK;
}

zoo_status tok_bytes_finish(zoo_tokenizer *t, zoo_error *err)
{
    zoo_text text = {0};
    tok_matcher *m = tok_matcher_open();
    t->bytes = tok_pool_take(&t->pool, ((size_t)t->n_ids + 1) * sizeof *t->bytes);
    zoo_status status = m && t->bytes ? ZOO_OK : tok_no_memory(err);
    for (uint32_t id = 0; status == ZOO_OK && id < t->n_ids; id++) {
        size_t n;
        const char *p = decoded(t, id, &n);
        if (!p) {
            continue;
        }
        text.n = 0;
        status = tok_text_push(&text, p, n) ? middle_of(t, m, &text, err) : tok_no_memory(err);
        if (status == ZOO_OK) {
            t->bytes[id] = tok_pool_copy(&t->pool, text.data, text.n);
            status = t->bytes[id].p ? ZOO_OK : tok_no_memory(err);
        }
    }
    zoo_text_free(&text);
    tok_matcher_close(m);
    return status;
}
