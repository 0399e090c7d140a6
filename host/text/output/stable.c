/*
 * stable.c: how much of a text that is still being generated has the same meaning whatever follows.
 *
 * Without a format all of it does. With one, from the end of the text: a proper beginning of any
 * mark is held back; where the request has tools, so is what stands after the first mark of an
 * unfinished call; with channels, a head that has no message yet.
 *
 * Reasoning that only its end tells of (`implicit`, and the prompt does not leave it open) is shown
 * as content until then, since nothing distinguishes it before.
 */
#include <string.h>

#include "text/output/output_private.h"

/* Bytes at the end of the text that are a proper beginning of the mark. */
static size_t begun(zoo_piece text, zoo_piece mark)
{
    size_t n = mark.n > 0 ? mark.n - 1 : 0;
    for (n = n < text.n ? n : text.n; n > 0; n--) {
        if (memcmp(text.s + text.n - n, mark.s, n) == 0) {
            return n;
        }
    }
    return 0;
}

typedef struct walk {
    zoo_piece text;
    size_t held; /* bytes at the end */
} walk;

static void hold(walk *w, zoo_piece mark)
{
    size_t n = begun(w->text, mark);
    w->held = n > w->held ? n : w->held;
}

static void hold_all(walk *w, const zoo_marks *marks)
{
    for (size_t i = 0; i < marks->n; i++) {
        hold(w, marks->at[i]);
    }
}

/* Where the last whole mark begins; SIZE_MAX: nowhere. */
static size_t find_last(zoo_piece text, zoo_piece mark)
{
    size_t last = SIZE_MAX;
    for (size_t at = zoo_piece_find(text, mark, 0); at != SIZE_MAX;
         at = zoo_piece_find(text, mark, at + 1)) {
        last = at;
    }
    return last;
}

/* What a call begins with; empty: nothing tells it from other JSON. */
static zoo_piece first_mark(const zoo_call_marks *m)
{
    return m->begin.n > 0 ? m->begin : m->shape == ZOO_CALL_LOOSE ? m->prefix : m->function_begin;
}

/* Where a call begins that has no end yet; SIZE_MAX: all have. */
static size_t open_call(zoo_piece text, const zoo_call_marks *m)
{
    zoo_piece first = first_mark(m), end = m->begin.n > 0 ? m->end : m->function_end;
    size_t at = find_last(text, first);
    if (at == SIZE_MAX || end.n == 0) {
        return zoo_piece_find(text, first, 0);
    }
    return zoo_piece_find(text, end, at + first.n) == SIZE_MAX ? at : SIZE_MAX;
}

/* An answer that is JSON so far, where calls may be bare. */
static bool may_be_bare(const zoo_output_format *f, const zoo_output *o, zoo_piece text)
{
    size_t at = 0;
    bool has_bare = o->is_call || !f;
    for (size_t i = 0; f && i < f->n_tools; i++) {
        has_bare |= first_mark(&f->tools[i]).n == 0;
    }
    for (size_t i = 0; f && i < f->n_reasoning; i++) {
        size_t close = find_last(text, f->reasoning[i].close);
        if (close != SIZE_MAX && close + f->reasoning[i].close.n > at) {
            at = close + f->reasoning[i].close.n;
        }
    }
    while (at < text.n && strchr(" \t\r\n", text.s[at])) {
        at++;
    }
    return has_bare && at < text.n && strchr("{[", text.s[at]) != NULL;
}

/* Whether one of the marks stands at or after `from`. */
static bool has_any(zoo_piece text, const zoo_marks *marks, size_t from)
{
    bool found = false;
    for (size_t i = 0; i < marks->n; i++) {
        found |= zoo_piece_find(text, marks->at[i], from) != SIZE_MAX;
    }
    return found;
}

/* The message at the end: its head is held back until its text begins, a message to a recipient,
 * which is a call, until it has ended. */
static size_t stable_channels(const zoo_channel_marks *c, walk *w)
{
    const zoo_piece text = w->text, marks[] = {c->start, c->channel, c->message, c->recipient};
    size_t start = find_last(text, c->start), from = start == SIZE_MAX ? 0 : start;
    size_t message = zoo_piece_find(text, c->message, from);
    size_t to = zoo_piece_find(text, c->recipient, from);
    for (size_t i = 0; i < ZOO_COUNT(marks); i++) {
        hold(w, marks[i]);
    }
    hold_all(w, &c->ends);
    if (message != SIZE_MAX) {
        bool is_open_call = to < message && !has_any(text, &c->ends, message);
        return is_open_call ? from : text.n;
    }
    bool is_head = start != SIZE_MAX || zoo_piece_find(text, c->channel, from) != SIZE_MAX ||
                   zoo_piece_starts(text, c->recipient) || begun(text, c->recipient) == text.n;
    return is_head ? from : text.n;
}

size_t zoo_output_stable(const zoo_output_format *f, const zoo_output *o)
{
    walk w = {.text = {o->text, o->text_n}};
    size_t n = o->text_n;
    bool has_calls = cJSON_GetArraySize(o->tools) > 0;
    if (has_calls && may_be_bare(f, o, w.text)) {
        return 0;
    }
    if (!f) {
        return n;
    }
    for (size_t i = 0; i < f->n_reasoning; i++) {
        hold(&w, f->reasoning[i].open);
        hold(&w, f->reasoning[i].close);
    }
    hold_all(&w, &f->drop);
    hold_all(&w, &f->section);
    for (size_t i = 0; has_calls && i < f->n_tools; i++) {
        size_t at = open_call(w.text, &f->tools[i]);
        n = at < n ? at : n;
        hold(&w, first_mark(&f->tools[i]));
    }
    for (size_t i = 0; has_calls && i < f->section.n; i++) {
        size_t at = zoo_piece_find(w.text, f->section.at[i], 0);
        n = at < n ? at : n;
    }
    if (f->channels.given) {
        size_t at = stable_channels(&f->channels, &w);
        n = at < n ? at : n;
    }
    return n < o->text_n - w.held ? n : o->text_n - w.held;
}
