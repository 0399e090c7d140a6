/*
 * cmd_inspect.c: lmzoo inspect, plan, plugins, cards: what is there, without loading weights.
 */
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/kind_check.h"
#include "checkpoint/hub.h"
#include "commands/commands.h"
#include "config/card.h"
#include "engine/engine_private.h"
#include "engine/inspect.h"
#include "explain/arch.h"
#include "kernels/select.h"
#include "quantise/folder.h"

static zoo_status open_plan(const char *name, zoo_engine_options *options, zoo_engine **engine,
                            zoo_error *err)
{
    char folder[PATH_MAX];
    ZOO_TRY(zoo_model_folder(name, folder, sizeof folder, err));
    options->plan_only = true;
    options->quiet = true;
    return zoo_engine_open(folder, options, engine, err);
}

typedef struct inspect_args {
    zoo_common common;
    bool json;
} inspect_args;

static const zoo_option inspect_options[] = {
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(inspect_args, json), NULL, "one JSON object"},
    ZOO_OPTIONS_END};

enum { PROBLEMS_MAX = 200, PROBLEM_TEXT = sizeof(((zoo_error *)0)->text) };

/* One line for all problems that differ in numbers of layers and experts alone. */
typedef struct problem_list {
    struct {
        char text[PROBLEM_TEXT], alike[PROBLEM_TEXT];
        uint32_t n;
    } lines[PROBLEMS_MAX];
    uint32_t n_lines, n_more;
} problem_list;

static void add_problem(void *arg, const char *text)
{
    problem_list *list = arg;
    char alike[PROBLEM_TEXT];
    zoo_name_skeleton(text, alike, sizeof alike);
    for (uint32_t i = 0; i < list->n_lines; i++) {
        if (strcmp(list->lines[i].alike, alike) == 0) {
            list->lines[i].n++;
            return;
        }
    }
    if (list->n_lines == PROBLEMS_MAX) {
        list->n_more++;
        return;
    }
    (void)snprintf(list->lines[list->n_lines].text, PROBLEM_TEXT, "%s", text);
    (void)snprintf(list->lines[list->n_lines].alike, PROBLEM_TEXT, "%s", alike);
    list->lines[list->n_lines++].n = 1;
}

static void print_problems(const problem_list *list)
{
    for (uint32_t i = 0; i < list->n_lines; i++) {
        (void)fprintf(stderr, "lmzoo inspect: %s", list->lines[i].text);
        if (list->lines[i].n > 1) {
            (void)fprintf(stderr, " (and %u more of this kind)", list->lines[i].n - 1);
        }
        (void)fputc('\n', stderr);
    }
    if (list->n_more) {
        (void)fprintf(stderr, "lmzoo inspect: and %u other problems\n", list->n_more);
    }
}

/* Whether there is a config.json without weights, so that only the plan can be shown. */
static bool is_bare_config(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return false;
    }
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    bool weights = false;
    for (const struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
        weights = weights || strstr(e->d_name, ".safetensors") || strstr(e->d_name, ".bin") ||
                  strstr(e->d_name, ".gguf") || strstr(e->d_name, ".pth");
    }
    if (folder) {
        (void)closedir(folder);
    }
    return !weights;
}

/* Every key of the config is judged too: a folder with weights is judged when it is opened. */
static zoo_status inspect_config(const inspect_args *a, const char *path, zoo_error *err)
{
    const zoo_engine_options *o = &a->common.engine;
    zoo_arch *arch = NULL;
    zoo_status status = zoo_arch_open_text(path, NULL, o, &arch, err);
    if (status == ZOO_OK) {
        status = zoo_model_config_check(arch->model.config, arch->model.plugin, o->allow_unknown,
                                        NULL, NULL, err);
    }
    if (status == ZOO_OK && o->problems->n == 0) {
        status = zoo_model_inspect(&arch->model, arch->params.total, stdout, a->json, err);
    }
    zoo_arch_close(arch);
    return status;
}

static zoo_status inspect_folder(inspect_args *a, const char *name, zoo_error *err)
{
    zoo_engine *engine = NULL;
    ZOO_TRY(open_plan(name, &a->common.engine, &engine, err));
    zoo_status status =
        a->common.engine.problems->n ? ZOO_OK : zoo_engine_inspect(engine, stdout, a->json);
    zoo_engine_close(engine);
    char folder[4096];
    if (status == ZOO_OK && !a->json &&
        zoo_model_folder(name, folder, sizeof folder, NULL) == ZOO_OK) {
        zoo_folder_describe(folder, stdout);
    }
    return status;
}

static int run_inspect(void *args)
{
    static problem_list list;
    inspect_args *a = args;
    zoo_error error;
    zoo_problems problems = {.tell = add_problem, .arg = &list};
    const char *name = a->common.positional[0];
    a->common.engine.problems = &problems;
    zoo_status status =
        is_bare_config(name) ? inspect_config(a, name, &error) : inspect_folder(a, name, &error);
    print_problems(&list);
    if (status == ZOO_OK && problems.n == 0) {
        return 0;
    }
    return status == ZOO_OK ? zoo_exit_code_model(problems.status)
                            : zoo_command_failed("inspect", &error, zoo_exit_code_model(status));
}

const zoo_command zoo_command_inspect = {
    .name = "inspect",
    .arguments = "MODEL [options]",
    .summary = "what a model folder is: plugin, plan, streams, bytes",
    .text = "Shows the plugin and the card that a folder gets, the plan of its layers, what its "
            "caches hold, its tensors, and every config key with its value. No weights are read. "
            "A folder with config.json alone, or that file, gives the plan and the tensors that it "
            "would want. What is wrong with a folder is said all at once.",
    .example = "lmzoo inspect ./model",
    .options = inspect_options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(inspect_args),
    .run = run_inspect};

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
    (void)printf("\n%-36s", "  rows that grow with it, e.g. keys");
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
    (void)printf("\nrows are kept so:\n");
    zoo_model_print_kinds(m, stdout);
    (void)printf("\n%-4u such sequences of %-16u %16zu\n", batch, context, cost.bytes_at * batch);
    (void)printf("%-36s %16zu\n", "buffers of a step, scratch", step);
    (void)printf("%-36s %16zu\n", "logits", logits);
    (void)printf("%-36s %16zu (%.2f GiB)\n", "in all", all, (double)all / (1 << 30));
}

typedef struct plan_args {
    zoo_common common;
    uint32_t batch;
    bool json;
} plan_args;

static const zoo_option plan_options[] = {
    {"--batch", 'b', ZOO_OPTION_COUNT, offsetof(plan_args, batch), "N",
     "sequences that run together (32)"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(plan_args, json), NULL, "one JSON object"},
    ZOO_OPTIONS_END};

static int run_plan(void *args)
{
    plan_args *a = args;
    zoo_error error;
    zoo_engine *engine = NULL;
    zoo_status status = open_plan(a->common.positional[0], &a->common.engine, &engine, &error);
    if (status == ZOO_OK) {
        print_plan(engine, a->batch, engine->model.limits.context_max, a->json);
    }
    zoo_engine_close(engine);
    return status == ZOO_OK ? 0 : zoo_command_failed("plan", &error, zoo_exit_code_model(status));
}

static const plan_args plan_defaults = {.batch = 32};

const zoo_command zoo_command_plan = {
    .name = "plan",
    .arguments = "MODEL [--batch N] [--context N] [options]",
    .summary = "memory for a batch and a context, before loading",
    .text =
        "Prints the bytes of packed weights, of a sequence's keys, values and states at several "
        "lengths, and of the buffers of a step. No weights are read.",
    .example = "lmzoo plan ./model --batch 64 --context 4096 --weights int8",
    .options = plan_options,
    .opens_model = true,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(plan_args),
    .defaults = &plan_defaults,
    .run = run_plan};

typedef struct plugin_list {
    const char *folder;
    const zoo_kernels *kernels; /* null: cache kinds are not tried */
    bool refused;
} plugin_list;

/* The kinds of one plugin, or of the host; tried where that is asked for. */
static void print_kinds(plugin_list *list, const zoo_cache_ops *const *kinds)
{
    for (; kinds && *kinds; kinds++) {
        const zoo_cache_ops *k = *kinds;
        zoo_error error;
        bool tried = list->kernels != NULL, right = true;
        if (tried && zoo_cache_kind_check(k, list->kernels, &error) != ZOO_OK) {
            (void)fprintf(stderr, "lmzoo plugins: %s\n", error.text);
            list->refused = true;
            right = false;
        }
        (void)printf("  cache %-12s %5.3g bits a value of 128  %s%s\n", k->name,
                     zoo_cache_kind_bits(k, 128), k->summary,
                     !tried  ? ""
                     : right ? "; keeps its promises"
                             : "; BROKEN");
    }
}

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
    print_kinds(list, plugin->caches);
}

typedef struct plugins_args {
    zoo_common common;
    bool check;
} plugins_args;

static const zoo_option plugins_options[] = {
    {"--plugin-dir", 0, ZOO_OPTION_TEXT, offsetof(plugins_args, common.engine.plugin_dir), "DIR",
     "folder of plugins"},
    {"--check", 0, ZOO_OPTION_FLAG, offsetof(plugins_args, check), NULL,
     "test every cache kind: test vectors, error, independence of rows"},
    {"--isa", 0, ZOO_OPTION_TEXT, offsetof(plugins_args, common.engine.isa), "NAME",
     "instruction set of --check, not above this one"},
    ZOO_OPTIONS_END};

static int run_plugins(void *args)
{
    const plugins_args *a = args;
    char folder[PATH_MAX];
    zoo_error error;
    plugin_list list = {.folder = folder};
    list.kernels = a->check ? zoo_kernels_select(a->common.engine.isa, &error) : NULL;
    if (a->check && !list.kernels) {
        return zoo_command_failed("plugins", &error, 2);
    }
    zoo_status status =
        zoo_install_folder(a->common.engine.plugin_dir, "plugins", folder, sizeof folder, &error);
    if (status == ZOO_OK) {
        (void)printf("the host\n");
        print_kinds(&list, zoo_cache_kinds);
        status = zoo_plugins_list(folder, print_plugin, &list, &error);
    }
    if (status != ZOO_OK) {
        return zoo_command_failed("plugins", &error, zoo_exit_code(status));
    }
    return list.refused ? 3 : 0;
}

const zoo_command zoo_command_plugins = {
    .name = "plugins",
    .arguments = "[options]",
    .summary = "the installed plugins",
    .text = "Loads each plugin of the folder and prints its name, version, ABI, licence, hash and "
            "what it covers, with the cache kinds of each. Exit code 3: one of them cannot be "
            "used, or a "
            "kind breaks a promise; the reason is on stderr.",
    .options = plugins_options,
    .args_size = sizeof(plugins_args),
    .run = run_plugins};

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

static const zoo_option cards_options[] = {{"--card-dir", 0, ZOO_OPTION_TEXT,
                                            offsetof(zoo_common, engine.card_dir), "DIR",
                                            "where cards lie"},
                                           ZOO_OPTIONS_END};

static int run_cards(void *args)
{
    const zoo_common *common = args;
    char folder[PATH_MAX];
    zoo_error error;
    zoo_cards cards = {0};
    zoo_status status =
        zoo_install_folder(common->engine.card_dir, "models.d", folder, sizeof folder, &error);
    if (status == ZOO_OK) {
        status = zoo_cards_read(folder, &cards, &error);
    }
    for (uint32_t i = 0; i < cards.n_cards; i++) {
        if (cards.cards[i].fault.code == ZOO_OK) {
            print_card(&cards.cards[i]);
        }
    }
    status = status == ZOO_OK ? zoo_cards_check(&cards, &error) : status;
    zoo_cards_free(&cards);
    return status == ZOO_OK ? 0 : zoo_command_failed("cards", &error, zoo_exit_code(status));
}

const zoo_command zoo_command_cards = {
    .name = "cards",
    .arguments = "[options]",
    .summary = "the model types that are covered",
    .text = "Prints each model_type that has a card, its plugin or why it is refused, and what is "
            "particular about it.",
    .options = cards_options,
    .args_size = sizeof(zoo_common),
    .run = run_cards};
