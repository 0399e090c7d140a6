/*
 * open.c: from a folder to a bound model: glue between config, card, plugin, tensors and caches.
 *
 * Order: config, card or probe, plugin, tensors, configure, keys judged, parts laid out, names and
 * shapes checked, caches, weights. Nothing large is read before everything small was checked.
 */
#include "model/open.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/machine_limits.h"
#include "base/mem.h"
#include "config/card_check.h"
#include "config/nearest.h"
#include "config/plugin_loader.h"
#include "config/tensor_renames.h"
#include "kernels/select.h"
#include "model/cache_choice.h"
#include "model/kinds_told.h"
#include "model/packed_cache.h"
#include "model/stage.h"

enum {
    ROWS_DEFAULT = 512,
    SEQS_DEFAULT = 64,
    CONTEXT_DEFAULT = 8192,
    ROWS_LIMIT = 65536,
    SEQS_LIMIT = 4096
};

static const struct {
    const char *name;
    zoo_dtype kind;
} kinds[] = {{"f32", ZOO_F32},   {"bf16", ZOO_BF16}, {"int8", ZOO_INT8},
             {"int6", ZOO_INT6}, {"int4", ZOO_INT4}, {"int4-all", ZOO_INT4}};

static zoo_status read_weights(const char *name, zoo_dtype *out, zoo_error *err)
{
    *out = ZOO_DTYPE_MAX;
    if (!name || strcmp(name, "auto") == 0) {
        return ZOO_OK;
    }
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *out = kinds[i].kind;
            return ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_USAGE,
                    "--weights: \"%.40s\" is none of auto, f32, bf16, int8, int6, int4, "
                    "int4-all",
                    name);
}

static zoo_status read_limits(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    zoo_limits *l = &model->limits;
    *l = (zoo_limits){.size = sizeof *l,
                      .rows_max = o->rows_max ? o->rows_max : ROWS_DEFAULT,
                      .seqs_max = o->seqs_max ? o->seqs_max : SEQS_DEFAULT,
                      .context_max = o->context_max,
                      .n_threads = o->n_threads ? o->n_threads : zoo_machine_threads()};
    if (l->rows_max > ROWS_LIMIT || l->seqs_max > SEQS_LIMIT || l->n_threads > 1024) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "rows of a step go up to %d, sequences to %d, threads to 1024", ROWS_LIMIT,
                        SEQS_LIMIT);
    }
    model->packs_all = o->weights && strcmp(o->weights, "int4-all") == 0;
    ZOO_TRY(read_weights(o->weights, &model->weight_kind, err));
    return ZOO_OK;
}

typedef struct probe {
    zoo_model *model;
    const char *folder;
    const zoo_plugin *best;
    uint32_t score;
    char path[PATH_MAX];
    char reasons[300];
    zoo_status status;
    zoo_error error;
} probe;

static void probe_one(void *arg, const char *name)
{
    probe *p = arg;
    const zoo_plugin *plugin = NULL;
    char why[120] = "";
    if (zoo_plugin_load_named(p->folder, name, &plugin, &p->error) != ZOO_OK) {
        p->status = ZOO_E_PLUGIN;
        return;
    }
    uint32_t score = plugin->probe(zoo_model_config_view(p->model->config), why, sizeof why);
    if (score > p->score) {
        p->score = score;
        p->best = plugin;
    }
    size_t n = strlen(p->reasons);
    (void)snprintf(p->reasons + n, sizeof p->reasons - n, "%s%s: %s", n ? "; " : "", name, why);
}

static zoo_status choose_by_probe(zoo_model *model, const char *plugin_dir, zoo_error *err)
{
    probe p = {.model = model, .folder = plugin_dir};
    ZOO_TRY(zoo_plugins_list(plugin_dir, probe_one, &p, err));
    if (!p.best) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "%s: no card names model_type \"%s\" and no plugin takes it (%s)",
                        zoo_model_config_path(model->config), zoo_model_config_type(model->config),
                        p.status ? p.error.text : p.reasons);
    }
    model->plugin = p.best;
    (void)snprintf(model->plugin_path, sizeof model->plugin_path, "%s/%s.so", plugin_dir,
                   p.best->name);
    return ZOO_OK;
}

static void try_plugin(void *arg, const char *name)
{
    zoo_nearest_try(arg, name);
}

static zoo_status no_such_plugin(const zoo_model *model, const char *plugin_dir, const char *name,
                                 zoo_error *err)
{
    zoo_nearest near = {.word = name};
    (void)zoo_plugins_list(plugin_dir, try_plugin, &near, NULL);
    return zoo_fail(err, ZOO_E_PLUGIN,
                    "%s: the card names plugin \"%s\", but there is no %s; did you mean \"%s\"?",
                    model->card->path, name, model->plugin_path, near.text);
}

static zoo_status choose_by_card(zoo_model *model, const char *plugin_dir, zoo_error *err)
{
    const char *refused = zoo_card_text(model->card, "refused");
    if (refused) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: model_type \"%s\" is not computed: %s",
                        zoo_model_config_path(model->config), zoo_model_config_type(model->config),
                        refused);
    }
    const char *name = zoo_card_text(model->card, "plugin");
    (void)snprintf(model->plugin_path, sizeof model->plugin_path, "%s/%s.so", plugin_dir, name);
    zoo_status status = zoo_plugin_load_named(plugin_dir, name, &model->plugin, err);
    if (status != ZOO_OK && err && access(model->plugin_path, R_OK) != 0) {
        return no_such_plugin(model, plugin_dir, name, err);
    }
    return status;
}

static uint32_t shape(void *arg, const char *name, uint64_t *dims, uint32_t n)
{
    return zoo_model_shape(arg, name, dims, n);
}

static zoo_status choose_plugin(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    char plugin_dir[PATH_MAX], card_dir[PATH_MAX];
    ZOO_TRY(zoo_install_folder(o->plugin_dir, "plugins", plugin_dir, sizeof plugin_dir, err));
    ZOO_TRY(zoo_install_folder(o->card_dir, "models.d", card_dir, sizeof card_dir, err));
    if (!o->card) {
        ZOO_TRY(zoo_cards_read(card_dir, &model->cards, err));
    }
    ZOO_TRY(zoo_model_config_unwrap(model->config, card_dir, err));
    const char *const types[] = {zoo_model_config_type(model->config),
                                 zoo_model_config_text_type(model->config)};
    model->card = o->card;
    if (!o->card) {
        ZOO_TRY(zoo_cards_choose(&model->cards, types, ZOO_COUNT(types), &model->card, err));
    }
    zoo_model_config_use(model->config, model->card, shape, model);
    zoo_model_config_strict(model->config, o->strict);
    zoo_model_config_problems(model->config, model->card ? o->problems : NULL);
    if (!zoo_card_text(model->card, "refused")) {
        ZOO_TRY(zoo_model_config_read_class(model->config, card_dir, err));
    }
    return model->card ? choose_by_card(model, plugin_dir, err)
                       : choose_by_probe(model, plugin_dir, err);
}

/* The tensors, with the names that the reference's class has for them. */
static zoo_status open_tensors(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    char card_dir[PATH_MAX], own_dir[PATH_MAX];
    const char *const types[] = {zoo_model_config_type(model->config),
                                 zoo_model_config_text_type(model->config)};
    ZOO_TRY(zoo_install_folder(o->card_dir, "models.d", card_dir, sizeof card_dir, err));
    ZOO_TRY(zoo_tensors_open(model->folder, &model->tensors, err));
    model->used = zoo_mem_array(zoo_tensors_count(model->tensors) + 1, 1);
    if (!model->used) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    bool has_own = zoo_install_folder(NULL, "models.d", own_dir, sizeof own_dir, NULL) == ZOO_OK;
    const char *const dirs[] = {card_dir, has_own ? own_dir : NULL, NULL};
    return zoo_tensor_renames_apply(dirs, types, ZOO_COUNT(types), model->tensors, err);
}

/* The plan of the prediction layer in place of the model's. */
static zoo_status take_prediction(zoo_model *model, zoo_error *err)
{
    const zoo_plan *prediction = model->plan.prediction;
    if (!prediction) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "%s has no prediction layer for model_type \"%s\"; --speculate text or file "
            "draft without one",
            model->folder, zoo_model_config_type(model->config));
    }
    model->plan = *prediction;
    model->predicts = true;
    return ZOO_OK;
}

static zoo_status read_plan(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    char why[200] = "";
    const zoo_config *view = zoo_model_config_view(model->config);
    if (model->plugin->probe(view, why, sizeof why) == 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: plugin %s refuses it: %s",
                        zoo_model_config_path(model->config), model->plugin->name, why);
    }
    model->setup = (zoo_setup){
        .size = sizeof model->setup,
        .weight_kind = model->weight_kind == ZOO_DTYPE_MAX ? ZOO_F32 : model->weight_kind,
        .host = model,
        .limits = &model->limits,
        .predicts = o->predicts};
    zoo_model_setup_packing(model);
    model->plan.size = sizeof model->plan;
    zoo_status status = model->plugin->configure(view, &model->setup, &model->plan, err);
    ZOO_TRY(zoo_model_config_misuse(model->config, err));
    if (status != ZOO_OK) {
        return status;
    }
    ZOO_TRY(zoo_placeholders_read(model->config, &model->placeholders, err));
    ZOO_TRY(zoo_card_check(model->config, model->plugin, o->problems, err));
    ZOO_TRY(o->predicts ? take_prediction(model, err) : ZOO_OK);
    if (model->limits.context_max == 0) {
        /* Tables that grow with the length promise more than the config's number of positions. */
        bool grows = model->plan.reread_after || model->plan.reread_always;
        uint32_t promised = grows ? 0 : model->plan.context_max;
        model->limits.context_max =
            promised && promised < CONTEXT_DEFAULT ? promised : CONTEXT_DEFAULT;
    }
    if (model->plan.positions_max && model->limits.context_max > model->plan.positions_max) {
        model->limits.context_max = model->plan.positions_max;
    }
    return ZOO_OK;
}

/* What no card names fits as a whole or not at all: one sentence says so. */
static zoo_status refuse_unnamed(const zoo_model *model, zoo_status status, zoo_error *err)
{
    if (status != ZOO_E_CONFIG || model->card || !err) {
        return status;
    }
    const zoo_error found = *err;
    return zoo_fail(err, status,
                    "%s; no card names model_type \"%s\", and plugin %s, which took it by its "
                    "keys, computes plain decoders alone",
                    found.text, zoo_model_config_type(model->config), model->plugin->name);
}

static zoo_status configure(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    ZOO_TRY(refuse_unnamed(model, read_plan(model, o, err), err));
    return o->config_only ? ZOO_OK
                          : zoo_model_config_check(model->config, model->plugin, o->allow_unknown,
                                                   NULL, NULL, err);
}

typedef struct unread_line {
    char text[400];
    uint32_t n;
} unread_line;

static void add_unread(void *arg, const char *key, const char *value, const char *note)
{
    unread_line *line = arg;
    size_t n = strlen(line->text);
    if (!note) {
        (void)snprintf(line->text + n, sizeof line->text - n, "%s%.60s %.40s",
                       line->n++ ? ", " : "", key, value);
    }
}

/* Reports keys that change nothing although a user may expect them to. */
static void tell_unread(const zoo_model *model)
{
    unread_line line = {.n = 0};
    zoo_model_config_unread(model->config, add_unread, &line);
    if (line.n) {
        (void)fprintf(stderr, "lmzoo: %s: the %s reference does not read %s\n", line.text,
                      zoo_model_config_text_type(model->config), line.n > 1 ? "them" : "it");
    }
}

size_t zoo_model_memory_limit(const zoo_model_options *o)
{
    /* The program itself needs some memory too. */
    const size_t own = (size_t)32 << 20, least = (size_t)8 << 20;
    size_t whole = zoo_machine_memory(), part = whole / 4 * 3;
    size_t rest = whole > own + least ? whole - own : least;
    return o->memory ? o->memory : part < rest ? part : rest;
}

/* Parts, streams, names and shapes; what the weights will take is known then. */
static zoo_status lay_out(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    char plugin_dir[PATH_MAX];
    ZOO_TRY(zoo_install_folder(o->plugin_dir, "plugins", plugin_dir, sizeof plugin_dir, err));
    ZOO_TRY(zoo_model_choose_caches(model, o->cache, plugin_dir, err));
    zoo_cache_options options = {
        .kinds = model->cache_kinds, .limits = model->limits, .n_marks = o->n_marks};
    ZOO_TRY(zoo_cache_pool_new(&options, &model->cache, err));
    zoo_cache_pool_kernels(model->cache, model->kernels);
    ZOO_TRY(zoo_model_lay_out(model, err));
    ZOO_TRY(zoo_model_judge_caches(model, err));
    if (o->config_only) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_model_bind(model, ZOO_BIND_CHECK, o->allow_unknown, err));
    if (!model->ring) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_stage_choose(model, err));
    return zoo_model_bind(model, ZOO_BIND_CHECK, o->allow_unknown, err);
}

static zoo_status open_caches(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    size_t memory = zoo_model_memory_limit(o), packed = (size_t)model->stats.bytes_packed;
    if (packed >= memory) {
        return zoo_fail(err, ZOO_E_MEMORY,
                        "%s: the packed weights need %zu MiB, --memory allows %zu MiB",
                        model->folder, packed >> 20, memory >> 20);
    }
    size_t left = memory - packed, kept = o->reserve < left / 2 ? o->reserve : left / 2;
    size_t room = left - kept;
    if (model->ring) {
        ZOO_TRY(zoo_stage_room(model, left - kept, &room, err));
    }
    zoo_cache_pool_limit(model->cache, room);
    return zoo_cache_pool_fix(model->cache, err);
}

/* A bad packed-weights file is reported on stderr; loading continues without it. */
static zoo_status bind_weights(zoo_model *model, const zoo_model_options *o, zoo_error *err)
{
    if (!o->packed_cache) {
        return zoo_model_bind(model, ZOO_BIND_PACK, o->allow_unknown, err);
    }
    char kind[64];
    const char *weights = o->weights ? o->weights : "auto";
    (void)snprintf(kind, sizeof kind, "%s", weights);
    if (model->predicts) {
        (void)snprintf(kind, sizeof kind, "%.20s-predict", weights);
    }
    if (model->ring) { /* a file for each rank */
        (void)snprintf(kind, sizeof kind, "%.20s-%u-%u", weights, model->layer_begin,
                       model->layer_end);
    }
    ZOO_TRY(zoo_packed_open(model, o->packed_cache, kind, &model->packed, err));
    ZOO_TRY(zoo_model_bind(model, ZOO_BIND_PACK, o->allow_unknown, err));
    zoo_packed_finish(model->packed, model);
    if (zoo_packed_note(model->packed)[0]) {
        (void)fprintf(stderr, "lmzoo: %s\n", zoo_packed_note(model->packed));
    }
    return ZOO_OK;
}

static void begin_kernels(void *arg, uint32_t item, uint32_t worker)
{
    const zoo_model *model = arg;
    (void)item;
    (void)worker;
    zoo_kernels_begin(model->kernels);
}

zoo_status zoo_model_open(zoo_model *model, const char *folder, const zoo_model_options *o,
                          zoo_error *err)
{
    model->quiet = o->quiet;
    model->ring = o->ring;
    model->problems = o->problems;
    model->folder = zoo_mem_text(folder, strlen(folder));
    if (!model->folder) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    ZOO_TRY(read_limits(model, o, err));
    model->kernels = zoo_kernels_select(o->isa, err);
    if (!model->kernels) {
        return ZOO_E_USAGE;
    }
    ZOO_TRY(o->config_only && o->config_text
                ? zoo_model_config_open_text(folder, o->config_text, &model->config, err)
                : zoo_model_config_open(folder, &model->config, err));
    ZOO_TRY(choose_plugin(model, o, err));
    if (!o->config_only) {
        ZOO_TRY(open_tensors(model, o, err));
    }
    ZOO_TRY(configure(model, o, err));
    if (!o->quiet && !o->plan_only) {
        tell_unread(model);
    }
    ZOO_TRY(lay_out(model, o, err));
    if (o->plan_only || o->config_only) {
        return ZOO_OK;
    }
    ZOO_TRY(open_caches(model, o, err));
    ZOO_TRY(zoo_pool_new(model->limits.n_threads, o->pin, &model->pool, err));
    zoo_pool_each(model->pool, begin_kernels, model);
    ZOO_TRY(bind_weights(model, o, err));
    if ((o->tells_kinds || model->stats.n_rounded) && !o->quiet) {
        (void)fputs("lmzoo: weights ", stderr);
        zoo_model_tell_kinds(model, stderr);
        (void)fputc('\n', stderr);
    }
    return ZOO_OK;
}
