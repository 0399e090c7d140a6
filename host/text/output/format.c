/*
 * format.c: output formats from JSON: checked once, every key known, and found for a
 * template.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/output/output_private.h"

#define FORMAT_BYTES_MAX ((size_t)1 << 20)

typedef struct loader {
    zoo_output_format *f;
    zoo_error *err;
} loader;

typedef struct piece_key {
    const char *key;
    size_t offset;
    bool required;
} piece_key;

#define PIECE(type, field, required)                                                               \
    {                                                                                              \
#field, offsetof(type, field), required                                                    \
    }

static zoo_status bad(const loader *l, const char *key, const char *what)
{
    return zoo_fail(l->err, ZOO_E_FORMAT, "output format %s: %s %s", l->f->name, key, what);
}

static zoo_status read_pieces(const loader *l, const cJSON *from, const piece_key *keys, size_t n,
                              void *into)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(from, keys[i].key);
        zoo_piece *piece = (zoo_piece *)((char *)into + keys[i].offset);
        if (v && !cJSON_IsString(v)) {
            return bad(l, keys[i].key, "is not a string");
        }
        if (!v && keys[i].required) {
            return bad(l, keys[i].key, "is missing");
        }
        if (v) {
            *piece = (zoo_piece){v->valuestring, strlen(v->valuestring)};
        }
    }
    return ZOO_OK;
}

static zoo_status read_marks(const loader *l, const cJSON *from, const char *key, zoo_marks *into)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(from, key);
    if (list && !cJSON_IsArray(list)) {
        return bad(l, key, "is no list");
    }
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        if (!cJSON_IsString(c) || !c->valuestring[0]) {
            return bad(l, key, "holds something other than a mark");
        }
        if (into->n == ZOO_MARKS_MAX) {
            return bad(l, key, "holds too many marks");
        }
        into->at[into->n++] = (zoo_piece){c->valuestring, strlen(c->valuestring)};
    }
    return ZOO_OK;
}

static zoo_status read_reasoning(loader *l, const cJSON *from)
{
    static const piece_key keys[] = {PIECE(zoo_reasoning_marks, open, true),
                                     PIECE(zoo_reasoning_marks, close, true)};
    if (l->f->n_reasoning == ZOO_MARKS_MAX) {
        return bad(l, "reasoning", "holds too many entries");
    }
    zoo_reasoning_marks *r = &l->f->reasoning[l->f->n_reasoning++];
    ZOO_TRY(read_pieces(l, from, keys, ZOO_COUNT(keys), r));
    if (!r->open.n || !r->close.n) {
        return bad(l, "reasoning", "has an empty mark");
    }
    r->implicit = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(from, "implicit"));
    return ZOO_OK;
}

static zoo_status read_channels(loader *l, const cJSON *from)
{
    static const piece_key keys[] = {PIECE(zoo_channel_marks, start, true),
                                     PIECE(zoo_channel_marks, channel, true),
                                     PIECE(zoo_channel_marks, message, true),
                                     PIECE(zoo_channel_marks, recipient, false),
                                     PIECE(zoo_channel_marks, recipient_prefix, false),
                                     PIECE(zoo_channel_marks, role, false),
                                     PIECE(zoo_channel_marks, constrain, false)};
    zoo_channel_marks *c = &l->f->channels;
    ZOO_TRY(read_pieces(l, from, keys, ZOO_COUNT(keys), c));
    ZOO_TRY(read_marks(l, from, "ends", &c->ends));
    ZOO_TRY(read_marks(l, from, "reasoning", &c->reasoning));
    ZOO_TRY(read_marks(l, from, "content", &c->content));
    if (!c->start.n || !c->channel.n || !c->message.n) {
        return bad(l, "channels", "has an empty mark");
    }
    c->given = true;
    return ZOO_OK;
}

static zoo_status check_tool(const loader *l, const zoo_call_marks *m)
{
    bool named = m->shape == ZOO_CALL_NAMED, tagged = m->shape == ZOO_CALL_TAGGED;
    if (m->shape != ZOO_CALL_JSON && !m->begin.n && !tagged) {
        return bad(l, "tools", "has a shape that needs a begin mark");
    }
    if (named && !m->separator.n) {
        return bad(l, "tools", "has the shape named without a separator");
    }
    bool whole = m->function_begin.n && m->function_name_end.n && m->function_end.n &&
                 m->parameter_begin.n && m->parameter_name_end.n && m->parameter_end.n;
    if (tagged && !whole) {
        return bad(l, "tools", "has the shape tagged without all of its marks");
    }
    if (m->shape == ZOO_CALL_LOOSE && !m->quote.n) {
        return bad(l, "tools", "has the shape loose without a quote");
    }
    if (m->shape == ZOO_CALL_JSON && (!m->name.n || !m->arguments.n)) {
        return bad(l, "tools", "has the shape json without name and arguments");
    }
    return ZOO_OK;
}

static zoo_status read_tool(loader *l, const cJSON *from)
{
    static const char *const shapes[] = {"json", "named", "tagged", "loose"};
    static const piece_key keys[] = {
        PIECE(zoo_call_marks, begin, true),
        PIECE(zoo_call_marks, end, false),
        PIECE(zoo_call_marks, skip, false),
        PIECE(zoo_call_marks, separator, false),
        PIECE(zoo_call_marks, close, false),
        PIECE(zoo_call_marks, id, false),
        PIECE(zoo_call_marks, prefix, false),
        PIECE(zoo_call_marks, quote, false),
        PIECE(zoo_call_marks, string_mark, false),
        PIECE(zoo_call_marks, function_begin, false),
        PIECE(zoo_call_marks, function_name_end, false),
        PIECE(zoo_call_marks, function_open_end, false),
        PIECE(zoo_call_marks, function_end, false),
        PIECE(zoo_call_marks, parameter_begin, false),
        PIECE(zoo_call_marks, parameter_name_end, false),
        PIECE(zoo_call_marks, parameter_open_end, false),
        PIECE(zoo_call_marks, parameter_end, false),
    };
    const char *shape = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(from, "shape"));
    size_t found = 0;
    while (shape && found < ZOO_COUNT(shapes) && strcmp(shape, shapes[found]) != 0) {
        found++;
    }
    if (!shape || found == ZOO_COUNT(shapes)) {
        return bad(l, "tools", "has an entry without a known shape");
    }
    if (l->f->n_tools == ZOO_MARKS_MAX) {
        return bad(l, "tools", "holds too many entries");
    }
    zoo_call_marks *m = &l->f->tools[l->f->n_tools++];
    m->shape = (zoo_call_shape)found;
    ZOO_TRY(read_pieces(l, from, keys, ZOO_COUNT(keys), m));
    ZOO_TRY(read_marks(l, from, "name", &m->name));
    ZOO_TRY(read_marks(l, from, "arguments", &m->arguments));
    return check_tool(l, m);
}

static zoo_status read_list(loader *l, const char *key, zoo_status (*read)(loader *, const cJSON *))
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(l->f->spec, key);
    if (list && !cJSON_IsArray(list)) {
        return bad(l, key, "is no list");
    }
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        if (!cJSON_IsObject(c)) {
            return bad(l, key, "holds something other than an object");
        }
        ZOO_TRY(read(l, c));
    }
    return ZOO_OK;
}

static zoo_status read_format(loader *l)
{
    static const char *const known[] = {"about", "when",    "reasoning", "channels",
                                        "tools", "section", "drop"};
    for (const cJSON *c = l->f->spec->child; c; c = c->next) {
        size_t i = 0;
        while (i < ZOO_COUNT(known) && strcmp(c->string, known[i]) != 0) {
            i++;
        }
        if (i == ZOO_COUNT(known)) {
            return bad(l, c->string, "is not a known key");
        }
    }
    ZOO_TRY(read_marks(l, l->f->spec, "when", &l->f->when));
    ZOO_TRY(read_marks(l, l->f->spec, "drop", &l->f->drop));
    ZOO_TRY(read_marks(l, l->f->spec, "section", &l->f->section));
    ZOO_TRY(read_list(l, "reasoning", read_reasoning));
    ZOO_TRY(read_list(l, "tools", read_tool));
    const cJSON *channels = cJSON_GetObjectItemCaseSensitive(l->f->spec, "channels");
    return channels ? read_channels(l, channels) : ZOO_OK;
}

zoo_status zoo_output_format_new(const cJSON *spec, const char *name, zoo_output_format **out,
                                 zoo_error *err)
{
    *out = NULL;
    if (!cJSON_IsObject(spec)) {
        return zoo_fail(err, ZOO_E_FORMAT, "output format %s: it is not a JSON object", name);
    }
    zoo_output_format *f = zoo_mem_array(1, sizeof *f);
    if (f) {
        f->spec = cJSON_Duplicate(spec, 1);
        f->name = zoo_mem_text(name, strlen(name));
    }
    if (!f || !f->spec || !f->name) {
        zoo_output_format_free(f);
        return zoo_fail(err, ZOO_E_MEMORY, "output format %s: no memory", name);
    }
    loader l = {.f = f, .err = err};
    zoo_status status = read_format(&l);
    if (status != ZOO_OK) {
        zoo_output_format_free(f);
        return status;
    }
    *out = f;
    return ZOO_OK;
}

const char *zoo_output_format_name(const zoo_output_format *format)
{
    return format->name;
}

void zoo_output_format_free(zoo_output_format *format)
{
    if (!format) {
        return;
    }
    cJSON_Delete(format->spec);
    zoo_mem_free(format->name);
    zoo_mem_free(format);
}

/* How many of its `when` marks a format has in the template; 0 unless all. */
static size_t fit(const zoo_output_format *f, zoo_piece source)
{
    for (size_t i = 0; i < f->when.n; i++) {
        if (zoo_piece_find(source, f->when.at[i], 0) == SIZE_MAX) {
            return 0;
        }
    }
    return f->when.n;
}

/* How many marks of an entry are in the template; 0 unless all are. */
static size_t marks_in(const zoo_call_marks *m, zoo_piece source)
{
    const zoo_piece marks[] = {m->begin,          m->end,          m->separator,
                               m->close,          m->prefix,       m->quote,
                               m->function_begin, m->function_end, m->parameter_begin,
                               m->parameter_end};
    size_t n = 0;
    for (size_t i = 0; i < ZOO_COUNT(marks); i++) {
        zoo_piece mark = zoo_piece_trim(marks[i]);
        if (mark.n && zoo_piece_find(source, mark, 0) == SIZE_MAX) {
            return 0;
        }
        n += mark.n > 0;
    }
    return n;
}

static void choose_written(zoo_output_format *f, zoo_piece source)
{
    size_t best = 0;
    for (size_t i = 0; i < f->n_tools; i++) {
        size_t n = marks_in(&f->tools[i], source);
        if (n > best) {
            best = n;
            f->written = i;
        }
    }
}

static zoo_status open_file(const char *folder, const char *file, zoo_output_format **out,
                            zoo_error *err)
{
    char path[4096];
    cJSON *json = NULL;
    int n = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (n < 0 || (size_t)n >= sizeof path) {
        return zoo_fail(err, ZOO_E_USAGE, "%.200s...: the path is too long", folder);
    }
    ZOO_TRY(zoo_json_read(path, FORMAT_BYTES_MAX, &json, err));
    zoo_status status = zoo_output_format_new(json, file, out, err);
    cJSON_Delete(json);
    return status;
}

static bool is_json_name(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".json") == 0;
}

zoo_status zoo_output_format_find(const char *folder, const char *chat_template, size_t n,
                                  zoo_output_format **out, zoo_error *err)
{
    zoo_piece source = {chat_template, n};
    zoo_status status = ZOO_OK;
    size_t best = 0;
    *out = NULL;
    DIR *dir = opendir(folder);
    if (!dir) {
        return zoo_fail(err, zoo_file_status(errno),
                        "%s: cannot be read as a folder of output formats", folder);
    }
    for (const struct dirent *e = readdir(dir); e && status == ZOO_OK; e = readdir(dir)) {
        zoo_output_format *f = NULL;
        if (!is_json_name(e->d_name)) {
            continue;
        }
        status = open_file(folder, e->d_name, &f, err);
        size_t fits = status == ZOO_OK ? fit(f, source) : 0;
        bool better = fits && (fits > best || (fits == best && strcmp(f->name, (*out)->name) < 0));
        if (better) {
            zoo_output_format_free(*out);
            *out = f;
            best = fits;
        } else {
            zoo_output_format_free(f);
        }
    }
    (void)closedir(dir);
    if (status != ZOO_OK) {
        zoo_output_format_free(*out);
        *out = NULL;
    } else if (*out) {
        choose_written(*out, source);
    }
    return status;
}

static bool holds(const cJSON *spec, const char *text)
{
    static const char *const no_marks[] = {"about", "shape", "when", "name", "arguments"};
    for (size_t i = 0; spec->string && i < ZOO_COUNT(no_marks); i++) {
        if (strcmp(spec->string, no_marks[i]) == 0) {
            return false;
        }
    }
    if (cJSON_IsString(spec)) {
        return strstr(spec->valuestring, text) != NULL;
    }
    for (const cJSON *c = spec->child; c; c = c->next) {
        if (holds(c, text)) {
            return true;
        }
    }
    return false;
}

bool zoo_output_format_marks(const zoo_output_format *f, const char *text)
{
    return f && text[0] && holds(f->spec, text);
}
