/*
 * inspect.c: what a folder is, in words: plugin, plan, streams, bytes, keys and tensors left aside.
 * Works on an engine that was opened with plan_only: nothing large is read.
 */
#include <string.h>

#include "engine_private.h"
#include "names.h"

typedef struct printer {
    FILE *out;
    const zoo_engine *engine;
    uint32_t n_lines;
    char last[ZOO_NAME_MAX];
    uint32_t n_same;
    uint32_t n_shown;
} printer;

static void print_key(void *arg, const char *key, const char *value, const char *note)
{
    printer *p = arg;
    if (p->n_lines++ == 0) {
        (void)fprintf(p->out, "config keys that change nothing here:\n");
    }
    (void)fprintf(p->out, "  %-32s %-16s %s\n", key, value,
                  note ? note : "UNCLAIMED (allowed by --allow-unknown)");
}

/* Name with each run of digits as '#', so that one line stands for all layers. */
static void skeleton(const char *name, char *out, size_t n)
{
    size_t k = 0;
    for (const char *c = name; *c && k + 1 < n; c++) {
        bool digit = *c >= '0' && *c <= '9';
        if (digit && k && out[k - 1] == '#') {
            continue;
        }
        out[k++] = digit ? '#' : *c;
    }
    out[k] = '\0';
}

static void flush_name(printer *p)
{
    if (p->n_same && p->n_shown++ < 40) {
        (void)fprintf(p->out, "  %-64s x %u\n", p->last, p->n_same);
    }
    p->n_same = 0;
}

static void print_tensor(void *arg, const char *name, bool matters)
{
    printer *p = arg;
    char line[ZOO_NAME_MAX];
    (void)matters;
    skeleton(name, line, sizeof line);
    if (p->n_lines++ == 0) {
        (void)fprintf(p->out, "tensors left aside:\n");
    }
    if (strcmp(line, p->last) != 0) {
        flush_name(p);
        (void)snprintf(p->last, sizeof p->last, "%s", line);
    }
    p->n_same++;
}

static void print_block(FILE *out, const zoo_bound *bound, const char *indent)
{
    char words[600] = "";
    if (bound->ops && bound->ops->explain) {
        bound->ops->explain(bound->params, words, sizeof words);
    }
    (void)fprintf(out, "%s%-20s %-10s %s\n", indent, bound->part ? bound->part->name : "(layer)",
                  bound->ops->name, words);
}

static void print_layer(FILE *out, const zoo_bound_layer *bound)
{
    const zoo_layer *layer = bound->layer;
    if (layer->ops) {
        print_block(out, &bound->own, "    ");
        for (uint32_t i = 0; i < layer->n_parts; i++) {
            print_block(out, &bound->parts[i], "      ");
        }
    }
    for (uint32_t b = 0; b < layer->n_branches && !layer->ops; b++) {
        for (uint32_t i = 0; i < layer->branches[b].n_parts; i++) {
            print_block(out, &bound->branches[b].parts[i], "    ");
        }
    }
}

/* Two layers look alike if their kinds and blocks are; then one line stands for both. */
static bool alike(const zoo_layer *a, const zoo_layer *b)
{
    if (strcmp(a->kind ? a->kind : "", b->kind ? b->kind : "") != 0 || a->ops != b->ops ||
        a->n_branches != b->n_branches) {
        return false;
    }
    for (uint32_t i = 0; i < a->n_branches && !a->ops; i++) {
        if (a->branches[i].n_parts != b->branches[i].n_parts ||
            a->branches[i].parts[0].ops != b->branches[i].parts[0].ops) {
            return false;
        }
    }
    return true;
}

static void print_layers(FILE *out, const zoo_model *model)
{
    const zoo_plan *plan = &model->plan;
    (void)fprintf(out, "layers:\n");
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        uint32_t last = i;
        while (last + 1 < plan->n_layers && alike(&plan->layers[i], &plan->layers[last + 1])) {
            last++;
        }
        (void)fprintf(out, "  %u", i);
        if (last > i) {
            (void)fprintf(out, "-%u", last);
        }
        (void)fprintf(out, "  %s\n", plan->layers[i].kind ? plan->layers[i].kind : "");
        print_layer(out, &model->layers[i]);
        i = last;
    }
}

static void print_cache(FILE *out, const zoo_model *model)
{
    static const uint32_t lengths[] = {64, 1024, 16384, 131072};
    (void)fprintf(out, "bytes that one sequence remembers:\n ");
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        zoo_cache_cost cost = zoo_cache_pool_cost(model->cache, lengths[i]);
        (void)fprintf(out, " %u: %zu;", lengths[i], cost.bytes_at);
    }
    zoo_cache_cost cost = zoo_cache_pool_cost(model->cache, 1);
    (void)fprintf(out, " of it rings %zu, states %zu, flat in the context\n", cost.ring_bytes,
                  cost.state_bytes);
}

static void print_json(FILE *out, const zoo_model *model)
{
    zoo_cache_cost short_cost = zoo_cache_pool_cost(model->cache, 1024);
    zoo_cache_cost long_cost = zoo_cache_pool_cost(model->cache, 2048);
    (void)fprintf(out,
                  "{\"model_type\": \"%s\", \"plugin\": \"%s\", \"layers\": %u, \"hidden_size\": "
                  "%u, \"vocab_size\": %u, "
                  "\"parameters\": %llu, \"stored\": \"%s\", \"cache_bytes_at_1024\": %zu, "
                  "\"cache_bytes_at_2048\": "
                  "%zu, \"ring_bytes\": %zu, \"state_bytes\": %zu}\n",
                  zoo_model_config_type(model->config), model->plugin->name, model->plan.n_layers,
                  model->plan.hidden_size, model->plan.vocab_size,
                  (unsigned long long)model->stats.n_parameters, model->stats.stored,
                  short_cost.bytes_at, long_cost.bytes_at, short_cost.ring_bytes,
                  short_cost.state_bytes);
}

zoo_status zoo_engine_inspect(const zoo_engine *engine, FILE *out, bool json)
{
    const zoo_model *model = &engine->model;
    const zoo_plan *plan = &model->plan;
    if (json) {
        print_json(out, model);
        return ZOO_OK;
    }
    (void)fprintf(out, "%s\n  model_type %s%s%s, plugin %s %s (%s)\n", model->folder,
                  zoo_model_config_type(model->config),
                  zoo_model_config_nested(model->config) ? ", its text part is " : "",
                  zoo_model_config_nested(model->config) ? zoo_model_config_text_type(model->config)
                                                         : "",
                  model->plugin->name, model->plugin->version, model->plugin_path);
    (void)fprintf(out, "  card: %s\n", model->card ? model->card->path : "none, chosen by probe");
    (void)fprintf(
        out, "  %u layers, hidden_size %u, vocabulary %u%s, %llu parameters read, stored as %s\n",
        plan->n_layers, plan->hidden_size, plan->vocab_size, plan->tied ? ", tied" : "",
        (unsigned long long)model->stats.n_parameters, model->stats.stored);
    print_layers(out, model);
    print_cache(out, model);
    printer p = {.out = out, .engine = engine};
    zoo_model_config *config = model->config;
    static const char *const all[] = {NULL};
    (void)zoo_model_config_judge(config, model->plugin, all, print_key, &p, NULL);
    p.n_lines = 0;
    zoo_model_leftovers(model, print_tensor, &p);
    flush_name(&p);
    for (size_t i = 0; i < zoo_tensors_n_notes(model->tensors); i++) {
        (void)fprintf(out, "note: %s\n", zoo_tensors_note(model->tensors, i));
    }
    return ZOO_OK;
}
