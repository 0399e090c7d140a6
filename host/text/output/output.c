/*
 * output.c: parses an output: channels or reasoning first, then calls; the rest is the answer.
 *
 * Reasoning is open from the start when the prompt ends with its open mark. White space around
 * reasoning, and around an answer from which something was taken, belongs to the marks; an answer
 * from which nothing was taken is given back byte for byte.
 */
#include "text/output/output.h"

#include <stdlib.h>
#include <string.h>

#include "text/output/output_private.h"

typedef struct parts {
    const zoo_output_format *f;
    const zoo_output *output;
    zoo_bytes reasoning, content;
    bool has_reasoning, was_cut_apart;
    zoo_calls calls;
} parts;

static zoo_piece trim_end(zoo_piece p)
{
    zoo_piece trimmed = zoo_piece_trim(p);
    return trimmed.n ? zoo_piece_sub(p, 0, (size_t)(trimmed.s - p.s) + trimmed.n)
                     : (zoo_piece){p.s, 0};
}

static bool ends_with(zoo_piece p, zoo_piece mark)
{
    return p.n >= mark.n && memcmp(p.s + p.n - mark.n, mark.s, mark.n) == 0;
}

static void add_reasoning(parts *p, zoo_piece text)
{
    text = zoo_piece_trim(text);
    p->has_reasoning = p->has_reasoning || text.n;
    if (text.n && p->reasoning.n) {
        zoo_bytes_add(&p->reasoning, "\n", 1);
    }
    zoo_bytes_piece(&p->reasoning, text);
}

/* Where a call may begin, when calls are looked for; after it, marks belong to its arguments. */
static size_t first_call(const parts *p, zoo_piece text)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; p->output->tools && i < p->f->n_tools; i++) {
        zoo_piece begin = p->f->tools[i].begin;
        bool bare = !begin.n && p->f->tools[i].shape == ZOO_CALL_JSON;
        begin = begin.n ? begin : p->f->tools[i].function_begin;
        zoo_piece trimmed = zoo_piece_trim(text);
        size_t none = bare && trimmed.n && trimmed.s[0] == '{' ? 0 : SIZE_MAX;
        size_t at = bare ? none : zoo_piece_find(text, begin, 0);
        first = at < first ? at : first;
    }
    return first;
}

/* Where the reasoning of these marks begins in text; SIZE_MAX: nowhere. */
static size_t reasoning_begin(const parts *p, const zoo_reasoning_marks *m, zoo_piece prompt,
                              zoo_piece text)
{
    zoo_piece trimmed = zoo_piece_trim(text);
    if (trimmed.n && zoo_piece_starts(trimmed, zoo_piece_trim(m->open))) {
        return (size_t)(trimmed.s - text.s) + zoo_piece_trim(m->open).n;
    }
    if (ends_with(trim_end(prompt), zoo_piece_trim(m->open))) {
        return 0;
    }
    size_t close = zoo_piece_find(text, m->close, 0), open = zoo_piece_find(text, m->open, 0);
    bool implied = m->implicit && close != SIZE_MAX && close < open;
    return implied && close < first_call(p, text) ? 0 : SIZE_MAX;
}

uint32_t zoo_output_reasoning_open(const zoo_output_format *f, const char *prompt, size_t n)
{
    zoo_piece end = trim_end((zoo_piece){prompt, n});
    for (size_t i = 0; f && !f->channels.given && i < f->n_reasoning; i++) {
        if (ends_with(end, zoo_piece_trim(f->reasoning[i].open))) {
            return (uint32_t)i + 1;
        }
    }
    return 0;
}

static bool copy_mark(zoo_piece mark, char *out, size_t size)
{
    if (!mark.n || mark.n >= size) {
        return false;
    }
    memcpy(out, mark.s, mark.n);
    out[mark.n] = 0;
    return true;
}

bool zoo_output_reasoning_close(const zoo_output_format *f, uint32_t entry, char *mark, size_t size)
{
    size_t i = entry > 0 ? entry - 1 : 0;
    return f && !f->channels.given && i < f->n_reasoning &&
           copy_mark(zoo_piece_trim(f->reasoning[i].close), mark, size);
}

bool zoo_output_reasoning_begin(const zoo_output_format *f, uint32_t entry, char *mark, size_t size)
{
    size_t i = entry > 0 ? entry - 1 : 0;
    return f && !f->channels.given && i < f->n_reasoning &&
           copy_mark(zoo_piece_trim(f->reasoning[i].open), mark, size);
}

/* Takes the reasoning off; gives what follows it. */
static zoo_piece split_reasoning(parts *p, zoo_piece text)
{
    zoo_piece prompt = {p->output->prompt ? p->output->prompt : "",
                        p->output->prompt ? p->output->prompt_n : 0};
    for (size_t i = 0; i < p->f->n_reasoning; i++) {
        const zoo_reasoning_marks *m = &p->f->reasoning[i];
        size_t begin = reasoning_begin(p, m, prompt, text);
        if (begin == SIZE_MAX) {
            continue;
        }
        size_t close = zoo_piece_find(text, m->close, begin);
        size_t end = close == SIZE_MAX ? text.n : close;
        p->was_cut_apart = true;
        add_reasoning(p, zoo_piece_sub(text, begin, end));
        return zoo_piece_sub(text, close == SIZE_MAX ? text.n : close + m->close.n, text.n);
    }
    return text;
}

static void add_content(parts *p, zoo_piece text)
{
    const zoo_output_format *f = p->f;
    for (size_t at = 0; at < text.n;) {
        size_t dropped = 0;
        for (size_t i = 0; i < f->drop.n && !dropped; i++) {
            zoo_piece rest = zoo_piece_sub(text, at, text.n);
            dropped = zoo_piece_starts(rest, f->drop.at[i]) ? f->drop.at[i].n : 0;
        }
        if (!dropped) {
            zoo_bytes_add(&p->content, text.s + at, 1);
        }
        at += dropped ? dropped : 1;
    }
}

/* Without the marks that are no text at its end, so that a call may be the last thing. */
static zoo_piece without_end_marks(const zoo_output_format *f, zoo_piece text)
{
    for (size_t i = 0; i < f->drop.n; i++) {
        if (ends_with(trim_end(text), f->drop.at[i])) {
            text = zoo_piece_sub(text, 0, trim_end(text).n - f->drop.at[i].n);
            i = SIZE_MAX;
        }
    }
    return text;
}

/* JSON, or a call in bare JSON, after the reasoning that the prompt left open; marks inside
 * strings are text. */
static void add_json(parts *p, zoo_piece text)
{
    uint32_t open = zoo_output_reasoning_open(p->f, p->output->prompt ? p->output->prompt : "",
                                              p->output->prompt ? p->output->prompt_n : 0);
    if (open) {
        zoo_piece mark = p->f->reasoning[open - 1].close;
        size_t close = zoo_piece_find(text, mark, 0);
        p->was_cut_apart = true;
        add_reasoning(p, zoo_piece_sub(text, 0, close == SIZE_MAX ? text.n : close));
        text = zoo_piece_sub(text, close == SIZE_MAX ? text.n : close + mark.n, text.n);
    }
    bool is_call =
        p->output->is_call && zoo_calls_take_bare(&zoo_calls_bare, zoo_piece_trim(text), &p->calls);
    if (!is_call) {
        zoo_bytes_piece(&p->content, text);
    }
}

static void add_answer(parts *p, zoo_piece text)
{
    text = without_end_marks(p->f, text);
    if (!p->output->tools || !p->f->n_tools) {
        add_content(p, text);
        return;
    }
    zoo_bytes rest = {0};
    zoo_calls_parse(p->f, text, &p->calls, &rest);
    p->was_cut_apart = p->was_cut_apart || p->calls.list;
    p->calls.failed = p->calls.failed || rest.failed;
    add_content(p, (zoo_piece){rest.s, rest.n});
    zoo_bytes_free(&rest);
}

static bool in_marks(const zoo_marks *marks, zoo_piece p)
{
    for (size_t i = 0; i < marks->n; i++) {
        if (marks->at[i].n == p.n && memcmp(marks->at[i].s, p.s, p.n) == 0) {
            return true;
        }
    }
    return false;
}

/* The word after mark in a header, up to white space or the next special mark; n 0: none. */
static zoo_piece word_after(zoo_piece header, zoo_piece mark)
{
    size_t at = zoo_piece_find(header, mark, 0);
    if (at == SIZE_MAX) {
        return (zoo_piece){0};
    }
    size_t begin = at + mark.n, end = begin;
    while (end < header.n && !strchr(" \n\t\r<", header.s[end])) {
        end++;
    }
    return zoo_piece_sub(header, begin, end);
}

static void add_message(parts *p, zoo_piece header, zoo_piece body)
{
    static const zoo_piece no_id = {0};
    const zoo_channel_marks *m = &p->f->channels;
    zoo_piece channel = word_after(header, m->channel), to = word_after(header, m->recipient);
    if (to.n && p->output->tools) {
        if (m->recipient_prefix.n && zoo_piece_starts(to, m->recipient_prefix)) {
            to = zoo_piece_sub(to, m->recipient_prefix.n, to.n);
        }
        size_t whole = zoo_json_extent(zoo_piece_trim(body));
        if (whole == zoo_piece_trim(body).n && zoo_calls_add(&p->calls, to, body, no_id)) {
            return;
        }
    }
    if (in_marks(&m->reasoning, channel)) {
        add_reasoning(p, body);
        return;
    }
    if (p->content.n) {
        zoo_bytes_add(&p->content, "\n", 1);
    }
    add_content(p, body);
}

/* Where the message that begins at `at` ends; *next is after its end mark. */
static size_t message_end(const zoo_channel_marks *m, zoo_piece text, size_t at, size_t *next)
{
    size_t end = zoo_piece_find(text, m->start, at);
    end = end == SIZE_MAX ? text.n : end;
    *next = end;
    for (size_t i = 0; i < m->ends.n; i++) {
        size_t found = zoo_piece_find(text, m->ends.at[i], at);
        if (found < end) {
            end = found;
            *next = found + m->ends.at[i].n;
        }
    }
    return end;
}

static void split_channels(parts *p, zoo_piece text)
{
    const zoo_channel_marks *m = &p->f->channels;
    size_t at = 0, next = 0;
    p->was_cut_apart = true;
    while (at < text.n) {
        size_t message = zoo_piece_find(text, m->message, at);
        size_t end = message_end(m, text, at, &next);
        bool starts = zoo_piece_starts(zoo_piece_sub(text, at, text.n), m->start);
        if (starts && end == at) {
            end = message_end(m, text, at + m->start.n, &next);
        }
        if (message < end) {
            zoo_piece header = zoo_piece_sub(text, at, message);
            add_message(p, header, zoo_piece_sub(text, message + m->message.n, end));
        } else if (!starts && zoo_piece_find(text, m->channel, at) != at) {
            add_content(p, zoo_piece_sub(text, at, end));
        }
        at = next > at ? next : text.n;
    }
}

static bool put(cJSON *message, const char *key, cJSON *item)
{
    if (!item || !cJSON_AddItemToObject(message, key, item)) {
        cJSON_Delete(item);
        return false;
    }
    return true;
}

static cJSON *string_item(zoo_bytes *b)
{
    zoo_bytes_add(b, "", 1);
    return b->failed ? NULL : cJSON_CreateString(b->s);
}

static bool build(parts *p, cJSON *message)
{
    zoo_piece text = {p->content.s, p->content.n};
    text = p->was_cut_apart ? zoo_piece_trim(text) : text;
    zoo_bytes content = {0};
    zoo_bytes_piece(&content, text);
    bool is_null = !text.n && p->calls.list;
    bool ok = put(message, "role", cJSON_CreateString("assistant")) &&
              put(message, "content", is_null ? cJSON_CreateNull() : string_item(&content));
    zoo_bytes_free(&content);
    if (ok && p->has_reasoning) {
        ok = put(message, "reasoning_content", string_item(&p->reasoning));
    }
    if (ok && p->calls.list) {
        cJSON *list = p->calls.list;
        p->calls.list = NULL;
        ok = put(message, "tool_calls", list);
    }
    return ok && !p->calls.failed && !p->content.failed && !p->reasoning.failed;
}

zoo_status zoo_output_parse(const zoo_output_format *format, const zoo_output *output,
                            cJSON **message, zoo_error *err)
{
    static const zoo_output_format none = {0};
    zoo_piece text = {output->text, output->text_n};
    parts p = {.f = format ? format : &none, .output = output};
    p.calls = (zoo_calls){.tools = output->tools, .text = text};
    if (p.f->channels.given) {
        split_channels(&p, text);
    } else if (output->is_json || (output->is_call && zoo_calls_are_bare(format))) {
        add_json(&p, text);
    } else {
        add_answer(&p, split_reasoning(&p, text));
    }
    while (output->one_call && cJSON_GetArraySize(p.calls.list) > 1) {
        cJSON_DeleteItemFromArray(p.calls.list, 1);
    }
    *message = cJSON_CreateObject();
    bool ok = *message && build(&p, *message);
    zoo_bytes_free(&p.content);
    zoo_bytes_free(&p.reasoning);
    cJSON_Delete(p.calls.list);
    if (!ok) {
        cJSON_Delete(*message);
        *message = NULL;
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to parse an output");
    }
    return ZOO_OK;
}
