/*
 * cmd_inspect.c: lmzoo inspect, plan, plugins, cards: what is there, without loading weights.
 */
#include <limits.h>
#include <string.h>

#include "base/file_hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "config/card.h"
#include "engine/engine_private.h"

static zoo_status open_plan(const char *name, zoo_engine_options *options, zoo_engine **engine,
                            zoo_error *err)
{
    char folder[PATH_MAX];
    ZOO_TRY(zoo_model_folder(name, folder, sizeof folder, err));
    options->plan_only = true;
    options->quiet = true;
    return zoo_engine_open(folder, options, engine, err);
}

int zoo_cmd_inspect(int argc, char **argv)
{
    zoo_engine_options options = {0};
    const char *model = NULL;
    bool json = false;
    zoo_error error;
    zoo_engine *engine = NULL;
    const zoo_flag flags[] = {{"--json", ZOO_FLAG_SET, &json}, {NULL, ZOO_FLAG_TEXT, NULL}};
    zoo_status status = zoo_flags_read(argc, argv, flags, &options, &model, 1, &error);
    if (status == ZOO_OK && !model) {
        status = zoo_fail(&error, ZOO_E_USAGE, "usage: lmzoo inspect MODEL [--json]");
    }
    if (status == ZOO_OK) {
        status = open_plan(model, &options, &engine, &error);
    }
    if (status == ZOO_OK) {
        status = zoo_engine_inspect(engine, stdout, json);
    }
    zoo_engine_close(engine);
    return status == ZOO_OK ? 0 : zoo_command_failed("inspect", &error);
}

/* What a sequence remembers, part by part, at several lengths. */
static void print_sequence(const zoo_cache_pool *pool, uint32_t context)
{
    const uint32_t lengths[] = {context, 1024, 16384, 131072};
    zoo_cache_cost costs[ZOO_COUNT(lengths)];
    (void)printf("%-36s", "one sequence, by its positions");
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        costs[i] = zoo_cache_pool_cost(pool, lengths[i]);
        (void)printf(" %16u", lengths[i]);
    }
    (void)printf("\n%-36s", "  rows of its positions, e.g. keys");
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        (void)printf(" %16zu", costs[i].bytes_at - costs[i].state_bytes);
    }
    (void)printf("\n%-36s", "  states, the same at any length");
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        (void)printf(" %16zu", costs[i].state_bytes);
    }
    (void)printf("\n%-36s", "  together");
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        (void)printf(" %16zu", costs[i].bytes_at);
    }
    (void)printf("\n");
}

static void print_plan(const zoo_engine *engine, uint32_t batch, uint32_t context, bool json)
{
    const zoo_model *m = &engine->model;
    zoo_cache_cost cost = zoo_cache_pool_cost(m->cache, context);
    size_t weights = (size_t)m->stats.bytes_packed;
    size_t step = zoo_step_size(m);
    size_t logits = (size_t)batch * m->plan.vocab_size * sizeof(float);
    size_t all = weights + cost.bytes_at * batch + step + logits;
    if (json) {
        (void)printf(
            "{\"weights\": %zu, \"cache_per_sequence\": %zu, \"states_per_sequence\": %zu, "
            "\"batch\": %u, \"context\": "
            "%u, \"step\": %zu, "
            "\"logits\": %zu, \"total\": %zu}\n",
            weights, cost.bytes_at, cost.state_bytes, batch, context, step, logits, all);
        return;
    }
    (void)printf("In bytes; nothing is loaded yet.\n\n%-36s %16zu\n\n", "weights, packed", weights);
    print_sequence(m->cache, context);
    (void)printf("\n%-4u such sequences of %-16u %16zu\n", batch, context, cost.bytes_at * batch);
    (void)printf("%-36s %16zu\n", "buffers of a step, scratch", step);
    (void)printf("%-36s %16zu\n", "logits", logits);
    (void)printf("%-36s %16zu (%.2f GiB)\n", "in all", all, (double)all / (1 << 30));
}

int zoo_cmd_plan(int argc, char **argv)
{
    zoo_engine_options options = {0};
    const char *model = NULL;
    uint32_t batch = 32;
    bool json = false;
    zoo_error error;
    zoo_engine *engine = NULL;
    const zoo_flag flags[] = {{"--batch", ZOO_FLAG_COUNT, &batch},
                              {"--json", ZOO_FLAG_SET, &json},
                              {NULL, ZOO_FLAG_TEXT, NULL}};
    zoo_status status = zoo_flags_read(argc, argv, flags, &options, &model, 1, &error);
    if (status == ZOO_OK && !model) {
        status = zoo_fail(&error, ZOO_E_USAGE,
                          "usage: lmzoo plan MODEL [--batch N] [--context N] [--json]");
    }
    if (status == ZOO_OK) {
        status = open_plan(model, &options, &engine, &error);
    }
    if (status == ZOO_OK) {
        print_plan(engine, batch, engine->model.limits.context_max, json);
    }
    zoo_engine_close(engine);
    return status == ZOO_OK ? 0 : zoo_command_failed("plan", &error);
}

typedef struct plugin_list {
    const char *folder;
    bool refused;
} plugin_list;

static void print_plugin(void *arg, const char *name)
{
    plugin_list *list = arg;
    const zoo_plugin *plugin = NULL;
    zoo_error error;
    if (zoo_plugin_load_named(list->folder, name, &plugin, &error) != ZOO_OK) {
        (void)fprintf(stderr, "lmzoo plugins: %s\n", error.text);
        list->refused = true;
        return;
    }
    char path[PATH_MAX], hash[40] = "";
    (void)snprintf(path, sizeof path, "%s/%s.so", list->folder, name);
    (void)zoo_file_hash(path, hash, sizeof hash);
    (void)printf("%-12s %-8s ABI %u.%u  %-12s %s  %s\n", plugin->name, plugin->version,
                 plugin->stamp.abi_major, plugin->stamp.abi_minor, plugin->licence, hash,
                 plugin->summary);
}

int zoo_cmd_plugins(int argc, char **argv)
{
    zoo_engine_options options = {0};
    char folder[PATH_MAX];
    zoo_error error;
    zoo_status status = zoo_flags_read(argc, argv, NULL, &options, NULL, 0, &error);
    plugin_list list = {folder, false};
    if (status == ZOO_OK) {
        status = zoo_install_folder(options.plugin_dir, "plugins", folder, sizeof folder, &error);
    }
    if (status == ZOO_OK) {
        status = zoo_plugins_list(folder, print_plugin, &list, &error);
    }
    return status != ZOO_OK ? zoo_command_failed("plugins", &error) : list.refused ? 3 : 0;
}

static void print_card(const zoo_card *card)
{
    const cJSON *types = zoo_card_part(card, "model_type");
    const cJSON *about = zoo_card_part(card, "about");
    const cJSON *what = cJSON_GetObjectItemCaseSensitive(about, "new");
    const char *plugin = zoo_card_text(card, "plugin");
    const char *refused = zoo_card_text(card, "refused");
    const cJSON *type = cJSON_IsString(types) ? types : types->child;
    for (; type; type = cJSON_IsString(types) ? NULL : type->next) {
        (void)printf("%-22s %-10s %s\n", type->valuestring, refused ? "refused" : plugin,
                     refused                ? refused
                     : cJSON_IsString(what) ? what->valuestring
                                            : "");
    }
}

int zoo_cmd_cards(int argc, char **argv)
{
    zoo_engine_options options = {0};
    char folder[PATH_MAX];
    zoo_error error;
    zoo_cards cards = {0};
    zoo_status status = zoo_flags_read(argc, argv, NULL, &options, NULL, 0, &error);
    if (status == ZOO_OK) {
        status = zoo_install_folder(options.card_dir, "models.d", folder, sizeof folder, &error);
    }
    if (status == ZOO_OK) {
        status = zoo_cards_read(folder, &cards, &error);
    }
    for (uint32_t i = 0; i < cards.n_cards; i++) {
        print_card(&cards.cards[i]);
    }
    zoo_cards_free(&cards);
    return status == ZOO_OK ? 0 : zoo_command_failed("cards", &error);
}
