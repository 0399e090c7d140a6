/* cache_choice.c: see cache_choice.h. Memory: none but the choices in the model. */
#include "model/cache_choice.h"

#include <string.h>

#include "cache/kind_check.h"
#include "config/plugin_loader.h"

enum { NAMES_SIZE = 300 };

/* A kind of the plugin by name; null: it has none. */
static const zoo_cache_ops *kind_of_plugin(const zoo_plugin *plugin, const char *name)
{
    for (const zoo_cache_ops *const *k = plugin->caches; k && *k; k++) {
        if (strcmp((*k)->name, name) == 0) {
            return *k;
        }
    }
    return NULL;
}

typedef struct search {
    const char *folder, *name;
    const zoo_cache_ops *found;
    char all[NAMES_SIZE]; /* names of the kinds that there are */
} search;

static void add_name(search *s, const char *name)
{
    size_t n = strlen(s->all);
    (void)snprintf(s->all + n, sizeof s->all - n, "%s%.40s", n ? ", " : "", name);
}

/* A plugin that cannot be loaded has no kinds; the error is reported when a model needs it. */
static void search_plugin(void *arg, const char *file)
{
    search *s = arg;
    const zoo_plugin *plugin = NULL;
    if (zoo_plugin_load_named(s->folder, file, &plugin, NULL) != ZOO_OK) {
        return;
    }
    for (const zoo_cache_ops *const *k = plugin->caches; k && *k; k++) {
        add_name(s, (*k)->name);
    }
    s->found = s->found ? s->found : kind_of_plugin(plugin, s->name);
}

static zoo_status find_kind(const zoo_model *model, const char *name, const char *plugin_dir,
                            const zoo_cache_ops **out, zoo_error *err)
{
    search s = {.folder = plugin_dir, .name = name, .all = "auto"};
    *out = zoo_cache_kind(name);
    if (*out) {
        return ZOO_OK;
    }
    *out = kind_of_plugin(model->plugin, name);
    if (*out) {
        return zoo_cache_kind_vectors(*out, model->kernels, err);
    }
    for (const zoo_cache_ops *const *k = zoo_cache_kinds; *k; k++) {
        add_name(&s, (*k)->name);
    }
    ZOO_TRY(zoo_plugins_list(plugin_dir, search_plugin, &s, err));
    *out = s.found;
    return s.found ? zoo_cache_kind_vectors(s.found, model->kernels, err)
                   : zoo_fail(err, ZOO_E_USAGE,
                              "--cache: no kind \"%.40s\"; there are %s (also for single "
                              "streams, as k=int8,v=int4)",
                              name, s.all);
}

/* One entry, `n` characters of the spec. */
static zoo_status read_entry(zoo_model *model, const char *entry, size_t n, const char *plugin_dir,
                             zoo_error *err)
{
    zoo_cache_choices *c = &model->cache_kinds;
    char kind[ZOO_STREAM_NAME_MAX] = "";
    const char *equals = memchr(entry, '=', n);
    size_t stream = equals ? (size_t)(equals - entry) : 0, begin = equals ? stream + 1 : 0;
    if (n - begin == 0 || n - begin >= sizeof kind || stream >= ZOO_STREAM_NAME_MAX ||
        (equals && stream == 0)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--cache: \"%.*s\" is neither a kind nor STREAM=KIND, as k=int8,v=int4",
                        n < 60 ? (int)n : 60, entry);
    }
    memcpy(kind, entry + begin, n - begin);
    if (!equals) {
        return find_kind(model, kind, plugin_dir, &c->kind, err);
    }
    if (c->n == ZOO_CACHE_CHOICES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "--cache: it names more than %d streams",
                        ZOO_CACHE_CHOICES_MAX);
    }
    memset(c->rows[c->n].stream, 0, sizeof c->rows[c->n].stream);
    memcpy(c->rows[c->n].stream, entry, stream);
    return find_kind(model, kind, plugin_dir, &c->rows[c->n++].kind, err);
}

zoo_status zoo_model_choose_caches(zoo_model *model, const char *spec, const char *plugin_dir,
                                   zoo_error *err)
{
    bool narrow = model->weight_kind != ZOO_DTYPE_MAX && model->weight_kind != ZOO_F32;
    model->cache_kinds = (zoo_cache_choices){.kind = zoo_cache_kinds[narrow ? ZOO_BF16 : ZOO_F32]};
    if (!spec || strcmp(spec, "auto") == 0) {
        const char *card = model->card ? zoo_card_text(model->card, "cache") : NULL;
        spec = card && model->weight_kind != ZOO_F32 ? card : "";
    }
    while (*spec) {
        size_t n = strcspn(spec, ",");
        ZOO_TRY(read_entry(model, spec, n, plugin_dir, err));
        spec += n;
        if (*spec == ',' && spec[1] == '\0') {
            return zoo_fail(err, ZOO_E_USAGE, "--cache: nothing follows the last comma");
        }
        spec += *spec == ',';
    }
    return ZOO_OK;
}

void zoo_model_streams(const zoo_model *model, void (*fn)(void *arg, const zoo_stream *stream),
                       void *arg)
{
    for (uint32_t i = 0; i < model->n_bounds; i++) {
        const zoo_bound *b = model->bounds[i];
        zoo_stream streams[ZOO_STREAMS_MAX];
        bool own = b->ops && b->ops->streams && !(b->part && b->part->cache_of);
        memset(streams, 0, sizeof streams);
        uint32_t n = own ? b->ops->streams(b->params, streams) : 0;
        for (uint32_t s = 0; s < n; s++) {
            if (streams[s].kind != ZOO_STATE) {
                fn(arg, &streams[s]);
            }
        }
    }
}

typedef struct census {
    const char *stream;        /* null: all */
    const zoo_cache_ops *kind; /* null: any */
    uint32_t n_named, n_suited;
    char names[NAMES_SIZE];
} census;

static void count_stream(void *arg, const zoo_stream *stream)
{
    census *c = arg;
    const char *name = stream->name ? stream->name : "?";
    size_t n = strlen(c->names);
    if (!c->stream || strcmp(c->stream, name) == 0) {
        c->n_named++;
        c->n_suited += !c->kind->suits || c->kind->suits(stream);
    }
    if (!strstr(c->names, name)) {
        (void)snprintf(c->names + n, sizeof c->names - n, "%s%.40s", n ? ", " : "", name);
    }
}

static zoo_status judge_choice(const zoo_model *model, const char *stream,
                               const zoo_cache_ops *kind, zoo_error *err)
{
    census c = {.stream = stream, .kind = kind};
    zoo_model_streams(model, count_stream, &c);
    if (stream && c.n_named == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "--cache: %s has no stream \"%.40s\", it keeps %s",
                        model->folder, stream, c.names[0] ? c.names : "no rows");
    }
    if (c.n_named && c.n_suited == 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--cache: kind %s (%s) suits no stream of %s, which keeps %s", kind->name,
                        kind->summary, model->folder, c.names);
    }
    return ZOO_OK;
}

zoo_status zoo_model_judge_caches(const zoo_model *model, zoo_error *err)
{
    const zoo_cache_choices *c = &model->cache_kinds;
    ZOO_TRY(judge_choice(model, NULL, c->kind, err));
    for (uint32_t i = 0; i < c->n; i++) {
        ZOO_TRY(judge_choice(model, c->rows[i].stream, c->rows[i].kind, err));
    }
    return ZOO_OK;
}
