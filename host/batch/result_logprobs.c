/* result_logprobs.c: the three shapes of log-probabilities. */
#include <string.h>

#include "base/mem.h"
#include "batch/result_private.h"

void zoo_result_add_text(zoo_text *text, const char *bytes, size_t n, zoo_out *out)
{
    char *data = zoo_mem_realloc(text->data, text->n + n + 1);
    if (!data) {
        out->failed = true;
        return;
    }
    text->data = data;
    text->capacity = text->n + n + 1;
    if (n > 0) {
        memcpy(data + text->n, bytes, n);
    }
    text->n += n;
    data[text->n] = 0;
}

void zoo_result_prompt_text(const zoo_answer *a, const zoo_prompt *prompt, zoo_text *text,
                            zoo_out *out)
{
    if (prompt->text) {
        zoo_result_add_text(text, prompt->text, strlen(prompt->text), out);
    } else if (a->tokenizer &&
               zoo_tokenizer_decode(
                   a->tokenizer, (const uint32_t *)prompt->tokens, prompt->n_tokens,
                   a->request->keep_special ? 0u : ZOO_DECODE_SKIP_SPECIAL, text, NULL) != ZOO_OK) {
        out->failed = true;
    }
}

/* The token's own text: the bytes it adds, or a special token's spelling. */
static const char *token_text(const zoo_answer *a, uint32_t id, size_t *n)
{
    const char *text = NULL;
    *n = 0;
    if (a->tokenizer) {
        text = zoo_tokenizer_is_special(a->tokenizer, id)
                   ? zoo_tokenizer_token(a->tokenizer, id, n)
                   : zoo_tokenizer_bytes(a->tokenizer, id, n);
    }
    if (!text) {
        *n = 0;
    }
    return text ? text : "";
}

static void put_token(zoo_out *out, const zoo_answer *a, uint32_t id)
{
    size_t n;
    const char *text = token_text(a, id, &n);
    zoo_out_string(out, text, n);
}

static bool is_utf8(const char *text, size_t n)
{
    size_t length = 1;
    for (size_t i = 0; i < n && length > 0; i += length) {
        length = zoo_utf8_length(text + i, n - i);
    }
    return length > 0;
}

/* Whether two tokens are the same JSON string; parts of characters all look alike there. */
static bool looks_like(const zoo_answer *a, uint32_t id, uint32_t other)
{
    size_t n, m;
    const char *x = token_text(a, id, &n);
    const char *y = token_text(a, other, &m);
    zoo_out here = {0}, there = {0};
    bool same = id == other || (n == m && memcmp(x, y, n) == 0);
    if (!same && !is_utf8(x, n) && !is_utf8(y, m)) {
        zoo_out_string(&here, x, n);
        zoo_out_string(&there, y, m);
        same = here.failed || there.failed ||
               (here.n == there.n && memcmp(here.data, there.data, here.n) == 0);
        zoo_out_free(&here);
        zoo_out_free(&there);
    }
    return same;
}

/* An object has each key once: the first of tokens that look alike stays. */
static bool repeats(const zoo_answer *a, const zoo_logprob *entries, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (looks_like(a, entries[at].id, entries[i].id)) {
            return true;
        }
    }
    return false;
}

/* ---- completions ---- */

/* One token with its entries: its own, then n_top. entries null: the first token of a prompt. */
typedef struct zoo_noted {
    uint32_t id;
    const zoo_logprob *entries;
    uint32_t n_top;
} zoo_noted;

static uint32_t n_noted(const zoo_answer *a, const zoo_row *row)
{
    return (a->request->echo ? row->n_prompt : 0) + row->n_out;
}

static zoo_noted noted(const zoo_answer *a, const zoo_row *row, uint32_t at)
{
    uint32_t skip = a->request->echo ? 0 : row->n_prompt;
    uint32_t place = at + skip;
    zoo_noted t = {(uint32_t)row->tokens[place], NULL, a->request->n_top};
    if (place >= row->n_prompt) {
        t.entries = row->logprobs + (size_t)(place - row->n_prompt) * (row->n_top + 1u);
    } else if (place > 0) {
        t.entries = row->prompt_logprobs + (size_t)(place - 1) * (row->n_prompt_top + 1u);
    }
    return t;
}

static void put_top(zoo_out *out, const zoo_answer *a, const zoo_noted *t)
{
    bool first = true;
    if (!t->entries) {
        zoo_out_text(out, "{}");
        return;
    }
    zoo_out_text(out, "{");
    for (uint32_t i = 0; i <= t->n_top; i++) {
        if (!repeats(a, t->entries, i)) {
            zoo_out_text(out, first ? "" : ",");
            put_token(out, a, t->entries[i].id);
            zoo_out_text(out, ":");
            zoo_out_float(out, t->entries[i].logprob);
            first = false;
        }
    }
    zoo_out_text(out, "}");
}

/* Where in the text of the answer each token begins: characters before it. A token that is not
 * shown has no width, nor has a part of a character but the last. */
typedef struct zoo_offsets {
    zoo_decoder *decoder;
    zoo_text text; /* of one token */
    size_t at, max;
    const zoo_text *spelled; /* the prompt as it was sent; or null */
    size_t n_bytes;          /* of it, behind the tokens so far */
} zoo_offsets;

/* Of special tokens a prompt that was sent as text shows those that stand in it. */
static bool is_shown(const zoo_offsets *o, const zoo_answer *a, uint32_t id)
{
    size_t n;
    if (!a->tokenizer || !zoo_tokenizer_is_special(a->tokenizer, id)) {
        return true;
    }
    if (!o->spelled) {
        return a->request->keep_special;
    }
    const char *text = token_text(a, id, &n);
    return n <= o->spelled->n && o->n_bytes <= o->spelled->n - n &&
           memcmp(o->spelled->data + o->n_bytes, text, n) == 0;
}

static size_t next_offset(zoo_offsets *o, const zoo_answer *a, uint32_t id, zoo_out *out)
{
    size_t at = o->at < o->max ? o->at : o->max;
    if (!is_shown(o, a, id)) {
        return at;
    }
    o->text.n = 0;
    if (o->decoder && zoo_decoder_feed(o->decoder, id, &o->text, NULL) != ZOO_OK) {
        out->failed = true;
    }
    o->n_bytes += o->text.n;
    o->at += zoo_utf8_characters(o->text.data ? o->text.data : "", o->text.n);
    return at;
}

/* Of the noted tokens from .. to - 1; those before are read for their width. */
static void put_offsets(zoo_out *out, const zoo_answer *a, const zoo_row *row, uint32_t from,
                        uint32_t to)
{
    uint32_t n_prompt = a->request->echo ? row->n_prompt : 0;
    size_t n_shown = zoo_utf8_characters(row->text.data ? row->text.data : "", row->text.n);
    zoo_text shown = {0};
    zoo_offsets o = {0};
    if (a->tokenizer && zoo_decoder_open(a->tokenizer, 0u, &o.decoder, NULL) != ZOO_OK) {
        out->failed = true;
    }
    if (n_prompt > 0) {
        const zoo_prompt *p = &a->request->prompts[(row - a->rows) / a->request->n_choices];
        zoo_result_prompt_text(a, p, &shown, out);
        o.spelled = p->text && shown.data ? &shown : NULL;
        o.max = zoo_utf8_characters(shown.data ? shown.data : "", shown.n);
    }
    zoo_out_text(out, "],\"text_offset\":[");
    for (uint32_t i = 0; i < to; i++) {
        if (i == n_prompt) {
            o.text.n = 0;
            o.spelled = NULL;
            out->failed |= o.decoder && zoo_decoder_flush(o.decoder, &o.text, NULL) != ZOO_OK;
            o.at = o.max;
            o.max += n_shown;
        }
        size_t at = next_offset(&o, a, noted(a, row, i).id, out);
        if (i >= from) {
            zoo_out_format(out, i > from ? ",%zu" : "%zu", at);
        }
    }
    zoo_decoder_close(o.decoder);
    zoo_text_free(&o.text);
    zoo_text_free(&shown);
}

/* The first token of a prompt has no probability: 0 and an empty object, where strict readers want
 * a number and an object. */
static void put_completion(zoo_out *out, const zoo_answer *a, const zoo_row *row, uint32_t from,
                           uint32_t to)
{
    zoo_out_text(out, "{\"tokens\":[");
    for (uint32_t i = from; i < to; i++) {
        zoo_out_text(out, i > from ? "," : "");
        put_token(out, a, noted(a, row, i).id);
    }
    zoo_out_text(out, "],\"token_logprobs\":[");
    for (uint32_t i = from; i < to; i++) {
        zoo_noted t = noted(a, row, i);
        zoo_out_text(out, i > from ? "," : "");
        zoo_out_float(out, t.entries ? t.entries[0].logprob : 0.0f);
    }
    zoo_out_text(out, "],\"top_logprobs\":[");
    for (uint32_t i = from; i < to; i++) {
        zoo_noted t = noted(a, row, i);
        zoo_out_text(out, i > from ? "," : "");
        put_top(out, a, &t);
    }
    put_offsets(out, a, row, from, to);
    zoo_out_text(out, "]}");
}

/* ---- chat ---- */

static void put_entry(zoo_out *out, const zoo_answer *a, const zoo_logprob *entry)
{
    size_t n;
    const char *text = token_text(a, entry->id, &n);
    zoo_out_text(out, "{\"token\":");
    zoo_out_string(out, text, n);
    zoo_out_text(out, ",\"logprob\":");
    zoo_out_float(out, entry->logprob);
    zoo_out_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < n; i++) {
        zoo_out_format(out, i > 0 ? ",%u" : "%u", (unsigned)(unsigned char)text[i]);
    }
    zoo_out_text(out, "]");
}

static void put_chat(zoo_out *out, const zoo_answer *a, const zoo_row *row, uint32_t from,
                     uint32_t to)
{
    zoo_out_text(out, "{\"content\":[");
    for (uint32_t i = from; i < to; i++) {
        const zoo_logprob *entries = row->logprobs + (size_t)i * (row->n_top + 1u);
        zoo_out_text(out, i > from ? "," : "");
        put_entry(out, a, &entries[0]);
        zoo_out_text(out, ",\"top_logprobs\":[");
        for (uint32_t k = 1; k <= row->n_top; k++) {
            zoo_out_text(out, k > 1 ? "," : "");
            put_entry(out, a, &entries[k]);
            zoo_out_text(out, "}");
        }
        zoo_out_text(out, "]}");
    }
    zoo_out_text(out, "]}");
}

void zoo_result_logprobs(zoo_out *out, const zoo_answer *a, const zoo_row *row, uint32_t from,
                         uint32_t to)
{
    if (a->request->endpoint == ZOO_CHAT) {
        put_chat(out, a, row, from, to);
    } else {
        put_completion(out, a, row, from, to == row->n_out ? n_noted(a, row) : to);
    }
}

/* ---- prompts ---- */

void zoo_result_prompt_logprobs(zoo_out *out, const zoo_answer *a, const zoo_row *row)
{
    zoo_out_text(out, "[null");
    for (uint32_t i = 0; i + 1 < row->n_prompt; i++) {
        const zoo_logprob *entries = row->prompt_logprobs + (size_t)i * (row->n_prompt_top + 1u);
        zoo_out_text(out, ",{");
        for (uint32_t k = 0; k <= a->request->n_prompt_top; k++) {
            if (k > 0 && entries[k].id == entries[0].id) {
                continue;
            }
            zoo_out_format(out,
                           k > 0 ? ",\"%u\":{\"logprob\":" : "\"%u\":{\"logprob\":", entries[k].id);
            zoo_out_float(out, entries[k].logprob);
            zoo_out_format(out, ",\"rank\":%u,\"decoded_token\":", entries[k].rank);
            put_token(out, a, entries[k].id);
            zoo_out_text(out, "}");
        }
        zoo_out_text(out, "}");
    }
    zoo_out_text(out, "]");
}
