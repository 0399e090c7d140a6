/*
 * steps.c: the pre-tokenizers, depth first: each piece goes through the remaining steps and the
 * model before the next piece is looked for, so nothing but the current piece is ever held.
 *
 * A lookahead therefore ends where the piece ends, as it must. Steps that rewrite a piece write it
 * to the scratch text of their own number. Depth is the number of steps, at most TOK_STEPS_MAX.
 */
#include "text/tokenizer/steps.h"

/* Collects matches and gaps in order and hands on the pieces that a behaviour makes of them. */
typedef struct cutter {
    tok_run *run;
    uint32_t next;
    const char *p;
    size_t zero;
    tok_behaviour behaviour;
    bool invert;
    bool held, held_match, was_match; /* a piece [begin, end) waits for its neighbour */
    size_t begin, end;
} cutter;

static zoo_status emit(cutter *c, size_t begin, size_t end)
{
    if (begin == end) {
        return ZOO_OK;
    }
    return tok_steps_run(c->run, c->next, c->p + begin, end - begin, tok_zero_from(c->zero, begin));
}

static zoo_status release(cutter *c)
{
    bool held = c->held;
    c->held = false;
    return held ? emit(c, c->begin, c->end) : ZOO_OK;
}

static void hold(cutter *c, size_t begin, size_t end, bool match)
{
    c->held = true;
    c->held_match = match;
    c->begin = begin;
    c->end = end;
}

/* The piece held so far and a new part of the text: joined or not. */
static zoo_status part(cutter *c, size_t begin, size_t end, bool match)
{
    bool join = false;
    match = match != c->invert;
    switch (c->behaviour) {
    case TOK_REMOVED:
        return match ? ZOO_OK : emit(c, begin, end);
    case TOK_ISOLATED:
        return emit(c, begin, end);
    case TOK_MERGED_WITH_PREVIOUS:
        join = c->held && match && !c->was_match;
        break;
    case TOK_MERGED_WITH_NEXT:
        join = c->held && c->held_match && !match;
        break;
    case TOK_CONTIGUOUS:
        join = c->held && match == c->was_match;
        break;
    }
    c->was_match = match;
    if (join) {
        c->end = end;
        c->held_match = false;
        return ZOO_OK;
    }
    ZOO_TRY(release(c));
    hold(c, begin, end, match);
    return ZOO_OK;
}

/* The next match by a class of characters at or after `from`. */
static bool next_char(const zoo_tokenizer *t, const tok_step *step, const char *p, size_t n,
                      size_t from, size_t range[2])
{
    while (from < n) {
        uint32_t cp;
        size_t length = tok_utf8((const uint8_t *)p + from, &cp);
        if (tok_class_has(t, step->of, step->number, cp)) {
            range[0] = from;
            range[1] = from + length;
            return true;
        }
        from += length;
    }
    return false;
}

static int next_match(cutter *c, const tok_step *step, size_t n, size_t from, size_t range[2])
{
    if (step->kind == TOK_STEP_CLASS) {
        return next_char(c->run->t, step, c->p, n, from, range);
    }
    return tok_regex_find(step->regex, c->run->s->matcher, (const uint8_t *)c->p, n, from, range,
                          c->run->err);
}

static zoo_status run_split(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    const tok_step *step = &run->t->steps[i];
    cutter c = {.run = run,
                .next = i + 1,
                .p = p,
                .zero = zero,
                .behaviour = step->behaviour,
                .invert = step->invert};
    size_t done = 0, from = 0, range[2];
    bool any = false;
    int found;
    while (from <= n && (found = next_match(&c, step, n, from, range)) != 0) {
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
        if (done < range[0]) {
            ZOO_TRY(part(&c, done, range[0], false));
        }
        ZOO_TRY(part(&c, range[0], range[1], true));
        done = range[1];
        any = true;
    }
    if (done < n) {
        ZOO_TRY(part(&c, done, n, false));
    }
    return release(&c);
}

/* Pieces of a pattern that tiles the text, each kept. */
static zoo_status run_tiles(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    const tok_regex *regex = run->t->steps[i].regex;
    bool last = i + 1 == run->t->n_steps;
    for (size_t begin = 0; begin < n;) {
        size_t end = tok_regex_tile(regex, (const uint8_t *)p, n, begin);
        ZOO_TRY(
            last ? tok_model_run(run, p + begin, end - begin)
                 : tok_steps_run(run, i + 1, p + begin, end - begin, tok_zero_from(zero, begin)));
        begin = end;
    }
    return ZOO_OK;
}

static bool keeps_tiles(const tok_step *step)
{
    return tok_regex_tiles(step->regex) &&
           (step->behaviour == TOK_ISOLATED || (step->behaviour == TOK_REMOVED && step->invert));
}

static zoo_status run_prefix(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    zoo_text *text = &run->s->step[i];
    if (n == 0 || p[0] == ' ') {
        return tok_steps_run(run, i + 1, p, n, zero);
    }
    text->n = 0;
    if (!tok_text_push(text, " ", 1) || !tok_text_push(text, p, n)) {
        return tok_no_memory(run->err);
    }
    return tok_steps_run(run, i + 1, text->data, text->n, zero + (zero > 0));
}

static zoo_status run_map(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    zoo_text *text = &run->s->step[i];
    size_t left = 0;
    text->n = 0;
    for (size_t k = 0; k < n; k++) {
        if (!tok_text_push_cp(text, tok_byte_char((uint8_t)p[k]))) {
            return tok_no_memory(run->err);
        }
        left = k < zero ? text->n : left;
    }
    return tok_steps_run(run, i + 1, text->data, text->n, left);
}

/* Cuts before each mark. */
static zoo_status run_marks(tok_run *run, uint32_t i, tok_str text, size_t zero)
{
    tok_str mark = run->t->steps[i].mark;
    size_t begin = 0;
    for (size_t k = tok_utf8_length((uint8_t)text.p[0]); k < text.n;
         k += tok_utf8_length((uint8_t)text.p[k])) {
        if (text.n - k >= mark.n && memcmp(text.p + k, mark.p, mark.n) == 0) {
            ZOO_TRY(
                tok_steps_run(run, i + 1, text.p + begin, k - begin, tok_zero_from(zero, begin)));
            begin = k;
        }
    }
    return tok_steps_run(run, i + 1, text.p + begin, text.n - begin, tok_zero_from(zero, begin));
}

static zoo_status run_metaspace(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    const tok_step *step = &run->t->steps[i];
    zoo_text *text = &run->s->step[i];
    bool marked = n >= step->mark.n && memcmp(p, step->mark.p, step->mark.n) == 0;
    bool prepend =
        step->scheme == TOK_PREPEND_ALWAYS || (step->scheme == TOK_PREPEND_FIRST && zero);
    text->n = 0;
    bool ok = tok_text_push(text, "", 0);
    if (ok && prepend && !marked && p[0] != ' ') {
        ok = tok_text_push(text, step->mark.p, step->mark.n);
    }
    size_t left = zero ? zero + text->n : 0;
    for (size_t k = 0; k < zero; k++) {
        left += p[k] == ' ' ? step->mark.n - 1 : 0;
    }
    for (size_t k = 0; ok && k < n;) {
        const char *space = memchr(p + k, ' ', n - k);
        size_t end = space ? (size_t)(space - p) : n;
        ok = tok_text_push(text, p + k, end - k) &&
             (!space || tok_text_push(text, step->mark.p, step->mark.n));
        k = end + 1;
    }
    if (!ok) {
        return tok_no_memory(run->err);
    }
    const tok_str whole = {text->data, text->n};
    return step->split ? run_marks(run, i, whole, left)
                       : tok_steps_run(run, i + 1, whole.p, whole.n, left);
}

static zoo_status run_length(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    uint32_t want = run->t->steps[i].number;
    for (size_t begin = 0, end = 0; begin < n; begin = end) {
        for (uint32_t k = 0; k < want && end < n; k++) {
            end += tok_utf8_length((uint8_t)p[end]);
        }
        ZOO_TRY(tok_steps_run(run, i + 1, p + begin, end - begin, tok_zero_from(zero, begin)));
    }
    return ZOO_OK;
}

/* Pieces of one script each, spaces going with the piece before and leading ones with none. */
static zoo_status run_scripts(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    const uint8_t *scripts = run->t->scripts;
    uint8_t last = 0;
    size_t begin = n;
    for (size_t k = 0; k < n;) {
        uint32_t cp;
        size_t length = tok_utf8((const uint8_t *)p + k, &cp);
        if (cp != ' ' && scripts[cp] != TOK_SCRIPT_ANY && (begin == n || scripts[cp] != last)) {
            if (begin < k) {
                ZOO_TRY(
                    tok_steps_run(run, i + 1, p + begin, k - begin, tok_zero_from(zero, begin)));
            }
            begin = k;
            last = scripts[cp];
        }
        k += length;
    }
    return tok_steps_run(run, i + 1, p + begin, n - begin, tok_zero_from(zero, begin));
}

zoo_status tok_steps_run(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero)
{
    if (n == 0) {
        return ZOO_OK;
    }
    if (i == run->t->n_steps) {
        return tok_model_run(run, p, n);
    }
    switch (run->t->steps[i].kind) {
    case TOK_STEP_SPLIT:
        return keeps_tiles(&run->t->steps[i]) ? run_tiles(run, i, p, n, zero)
                                              : run_split(run, i, p, n, zero);
    case TOK_STEP_CLASS:
        return run_split(run, i, p, n, zero);
    case TOK_STEP_PREFIX:
        return run_prefix(run, i, p, n, zero);
    case TOK_STEP_MAP:
        return run_map(run, i, p, n, zero);
    case TOK_STEP_METASPACE:
        return run_metaspace(run, i, p, n, zero);
    case TOK_STEP_LENGTH:
        return run_length(run, i, p, n, zero);
    default:
        return run_scripts(run, i, p, n, zero);
    }
}
