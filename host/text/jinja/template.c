/*
 * template.c: compiling and rendering; here the engine's longjmps end.
 *
 * A compiled template keeps the pool of its compile; its tree is never written again. A render has
 * a pool of its own, gone when it returns; only the finished text is copied out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/jinja/jinja_private.h"
#include "text/jinja/template_private.h"

const zoo_jinja_limits zoo_jinja_limits_default = {
    .source_bytes_max = (size_t)4 << 20,
    .memory_bytes_max = (size_t)1 << 30,
    .output_bytes_max = (size_t)256 << 20,
    .steps_max = 50000000,
    .depth_max = 250,
};

/* HF's way to find where the last message ends: this is put after it before the render. */
static const char continue_tag[] = "CONTINUE_FINAL_MESSAGE_TAG ";

typedef struct job {
    const zoo_template *t;
    zoo_template *target; /* of a compile */
    const char *source;
    size_t n;
    const cJSON *variables;
    const char *json;
    size_t json_n;
    zoo_jbuf out;
    bool fills; /* messages without content get the empty string, whatever the template tests */
    bool is_fillable; /* there are such messages, and the template saw them as they are */
} job;

/* Runs work with the engine's errors caught. */
static zoo_status guarded(zoo_jinja *x, void (*work)(zoo_jinja *, job *), job *j)
{
    if (setjmp(x->unwind)) {
        return x->status;
    }
    work(x, j);
    return ZOO_OK;
}

static void compile(zoo_jinja *x, job *j)
{
    j->target->root = zoo_jinja_parse(x, j->source, j->n);
    j->target->frame = zoo_jinja_resolve(x, j->target->root);
}

zoo_status zoo_template_compile(const char *source, size_t n, const char *name,
                                const zoo_jinja_limits *limits, zoo_template **out, zoo_error *err)
{
    *out = NULL;
    zoo_template *t = zoo_mem_array(1, sizeof *t);
    char *copy = zoo_mem_text(name, strlen(name));
    bool fits = n <= (limits ? limits : &zoo_jinja_limits_default)->source_bytes_max;
    char *text = fits ? zoo_mem_text(source, n) : zoo_mem_text("", 0);
    if (!t || !copy || !text) {
        zoo_mem_free(t);
        zoo_mem_free(copy);
        zoo_mem_free(text);
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the template", name);
    }
    t->name = copy;
    t->source = text;
    t->source_n = fits ? n : 0;
    t->tests_content = zoo_template_tests_content(t->source, t->source_n);
    t->limits = limits ? *limits : zoo_jinja_limits_default;
    zoo_jinja x = {.limits = t->limits, .err = err, .name = t->name, .seed = (uintptr_t)t};
    x.pool.bytes_max = t->limits.memory_bytes_max;
    job j = {.target = t, .source = source, .n = n};
    zoo_status status = guarded(&x, compile, &j);
    t->pool = x.pool;
    if (status != ZOO_OK) {
        zoo_template_close(t);
        return status;
    }
    *out = t;
    return ZOO_OK;
}

void zoo_template_close(zoo_template *t)
{
    if (!t) {
        return;
    }
    zoo_jpool_free(&t->pool);
    zoo_template_close(t->tool_use);
    cJSON_Delete(t->defaults);
    zoo_mem_free(t->name);
    zoo_mem_free(t->source);
    zoo_mem_free(t);
}

const char *zoo_template_source(const zoo_template *t, size_t *n)
{
    *n = t->source_n;
    return t->source;
}

static void spread(zoo_jinja *x, zoo_jdict *into, zoo_jv from)
{
    if (from.kind != JV_DICT) {
        zoo_jinja_raise(x, ZOO_E_FORMAT, "the variables are not a JSON object");
    }
    for (size_t i = 0; i < from.as.dict->n; i++) {
        zoo_jdict_set(x, into, from.as.dict->entries[i].key, from.as.dict->entries[i].value);
    }
}

static void set_globals(zoo_jinja *x, const job *j)
{
    zoo_jv globals = zoo_jv_dict(x);
    if (j->t->defaults) {
        spread(x, globals.as.dict, zoo_jv_from_cjson(x, j->t->defaults));
    }
    spread(x, globals.as.dict,
           j->json ? zoo_jv_from_json(x, j->json, j->json_n) : zoo_jv_from_cjson(x, j->variables));
    const zoo_jv *more = zoo_jdict_text(x, globals.as.dict, "chat_template_kwargs");
    if (more && more->kind != JV_NONE) {
        spread(x, globals.as.dict, *more);
    }
    x->globals = globals.as.dict;
}

static bool flag(zoo_jinja *x, const char *name)
{
    const zoo_jv *v = zoo_jdict_text(x, x->globals, name);
    return v && zoo_jv_truth(*v);
}

static zoo_jv with_entry(zoo_jinja *x, zoo_jv dict, const char *key, zoo_jv value)
{
    zoo_jv out = zoo_jv_dict(x);
    spread(x, out.as.dict, dict);
    zoo_jdict_set(x, out.as.dict, zoo_jv_text(x, key), value);
    return out;
}

static zoo_jv tagged(zoo_jinja *x, zoo_jv text)
{
    return zoo_jv_binary(x, JO_ADD, text, zoo_jv_text(x, continue_tag));
}

/* The content with the tag after its text: a string, or the last part that has a text. */
static zoo_jv tagged_content(zoo_jinja *x, zoo_jv content, zoo_jv *text)
{
    if (content.kind == JV_STR) {
        *text = content;
        return tagged(x, content);
    }
    zoo_jv parts =
        content.kind == JV_LIST ? zoo_jv_to_list(x, content) : zoo_jv_list(x, JV_LIST, 0);
    for (size_t i = parts.as.list->n; i > 0; i--) {
        zoo_jv part = parts.as.list->items[i - 1];
        const zoo_jv *found = part.kind == JV_DICT ? zoo_jdict_text(x, part.as.dict, "text") : NULL;
        if (found && found->kind == JV_STR) {
            *text = *found;
            parts.as.list->items[i - 1] = with_entry(x, part, "text", tagged(x, *found));
            return parts;
        }
    }
    zoo_jinja_raise(x, ZOO_E_CONFIG,
                    "continue_final_message is set but the final message has no text");
}

/* Marks the end of the last message in the variables; gives its text. */
static zoo_jv mark_last_message(zoo_jinja *x)
{
    const zoo_jv *messages = zoo_jdict_text(x, x->globals, "messages");
    zoo_jv text = ZOO_JV_NONE;
    if (flag(x, "add_generation_prompt")) {
        zoo_jinja_raise(x, ZOO_E_USAGE,
                        "continue_final_message and add_generation_prompt exclude each other");
    }
    if (!messages || messages->kind != JV_LIST || !messages->as.list->n) {
        zoo_jinja_raise(x, ZOO_E_USAGE, "continue_final_message is set but there is no message");
    }
    zoo_jv list = zoo_jv_to_list(x, *messages);
    zoo_jv *last = &list.as.list->items[list.as.list->n - 1];
    const zoo_jv *content =
        last->kind == JV_DICT ? zoo_jdict_text(x, last->as.dict, "content") : NULL;
    zoo_jv marked = tagged_content(x, content ? *content : ZOO_JV_NONE, &text);
    *last = with_entry(x, *last, "content", marked);
    zoo_jdict_set(x, x->globals, zoo_jv_text(x, "messages"), list);
    return text;
}

/* Cuts the rendered text at the tag; a template that trims the message has trimmed the tag's
 * blank, too, and then blanks before it go as well. */
static void cut_at_mark(zoo_jinja *x, zoo_jbuf *out, zoo_jv text)
{
    zoo_jv rendered = zoo_jv_view(x, out->s, out->n);
    zoo_jv tag = zoo_jv_strip(x, zoo_jv_text(x, continue_tag), ZOO_JV_NONE, 3);
    zoo_jv stripped = zoo_jv_strip(x, text, ZOO_JV_NONE, 3);
    size_t at = zoo_jstr_find(x, rendered.as.str, tag.as.str, 0, true);
    if (at == SIZE_MAX ||
        zoo_jstr_find(x, rendered.as.str, stripped.as.str, 0, false) == SIZE_MAX) {
        zoo_jinja_raise(x, ZOO_E_CONFIG,
                        "continue_final_message is set but the final message does "
                        "not appear in the text");
    }
    size_t end = at + tag.as.str->n;
    bool keeps_blanks = end < out->n && out->s[end] == ' ';
    zoo_jv head = zoo_jv_view(x, out->s, at);
    if (!keeps_blanks) {
        head = zoo_jv_strip(x, head, ZOO_JV_NONE, 2);
    }
    out->n = head.as.str->n;
}

static const zoo_template *pick(zoo_jinja *x, const zoo_template *t)
{
    const zoo_jv *tools = zoo_jdict_text(x, x->globals, "tools");
    return t->tool_use && tools && tools->kind != JV_NONE ? t->tool_use : t;
}

static void render(zoo_jinja *x, job *j)
{
    zoo_jv last_text = ZOO_JV_NONE;
    x->line = 0;
    set_globals(x, j);
    const zoo_template *t = pick(x, j->t);
    j->is_fillable =
        zoo_jinja_fill_contents(x, !j->fills && t->tests_content) && !j->fills && t->tests_content;
    bool continues = flag(x, "continue_final_message");
    if (continues) {
        last_text = mark_last_message(x);
    }
    x->name = t->name;
    x->out = &j->out;
    zoo_jscope *scope = zoo_jscope_new(x, NULL, t->frame->n_slots);
    zoo_jscope_enter(x, scope, t->frame);
    (void)zoo_jinja_exec(x, scope, t->root);
    if (continues) {
        cut_at_mark(x, &j->out, last_text);
    }
}

static zoo_status run_once(job *j, const zoo_clock *now, char **text, size_t *n, zoo_error *err)
{
    zoo_jinja x = {
        .limits = j->t->limits, .err = err, .name = j->t->name, .now = now, .seed = (uintptr_t)j};
    j->out = (zoo_jbuf){0};
    zoo_status status = guarded(&x, render, j);
    if (status == ZOO_OK) {
        *text = malloc(j->out.n + 1);
        if (!*text) {
            status = zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the text", j->t->name);
        } else {
            memcpy(*text, j->out.n ? j->out.s : "", j->out.n);
            (*text)[j->out.n] = 0;
            *n = j->out.n;
        }
    }
    zoo_jpool_free(&x.pool);
    return status;
}

/* A template that tests for none in one place may still fail on it in another. */
static zoo_status run(job *j, const zoo_clock *now, char **text, size_t *n, zoo_error *err)
{
    zoo_error first;
    *text = NULL;
    *n = 0;
    zoo_status status = run_once(j, now, text, n, &first);
    if (status == ZOO_E_CONFIG && j->is_fillable) {
        j->fills = true;
        status = run_once(j, now, text, n, NULL) == ZOO_OK ? ZOO_OK : status;
    }
    if (status != ZOO_OK && err) {
        *err = first;
    }
    return status;
}

zoo_status zoo_template_render(const zoo_template *t, const cJSON *variables, const zoo_clock *now,
                               char **text, size_t *n, zoo_error *err)
{
    job j = {.t = t, .variables = variables};
    return run(&j, now, text, n, err);
}

zoo_status zoo_template_render_json(const zoo_template *t, const char *json, size_t json_n,
                                    const zoo_clock *now, char **text, size_t *n, zoo_error *err)
{
    job j = {.t = t, .json = json, .json_n = json_n};
    return run(&j, now, text, n, err);
}

bool zoo_clock_parse(const char *text, zoo_clock *out)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    zoo_clock c = {0};
    int used = 0;
    int found = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &c.year, &c.month, &c.day, &c.hour,
                       &c.minute, &c.second, &used);
    if (found != 6 || text[used] || c.year < 1 || c.month < 1 || c.month > 12 || c.day < 1 ||
        c.day > days[c.month - 1] || c.hour < 0 || c.hour > 23 || c.minute < 0 || c.minute > 59 ||
        c.second < 0 || c.second > 60) {
        return false;
    }
    *out = c;
    return true;
}
