/*
 * inspect.c: describes a folder: plugin, plan, streams, bytes, and unused keys and tensors.
 * Works on an engine that was opened with plan_only: nothing large is read.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "config/tensor_names.h"
#include "engine/engine_private.h"
#include "engine/inspect.h"
#include "model/cache_choice.h"
#include "model/kinds_told.h"

enum { WORDS_MAX = 1024, TEXT_COLUMNS = 100, SAID_MAX = 16, NAMES_MAX = 40, KINDS_MAX = 32 };

/* A block's description that was printed, and where. */
typedef struct said {
    uint64_t hash;
    char where[64];
} said;

typedef struct layer_printer {
    FILE *out;
    uint32_t layer, n_said;
    said said[SAID_MAX];
} layer_printer;

typedef struct printer {
    FILE *out;
    const zoo_plan *plan;
    uint32_t n_lines, n_more, n_behind;
    struct {
        char text[ZOO_NAME_MAX];
        uint32_t n;
    } names[NAMES_MAX];
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

/* Whether a tensor belongs to a layer after the last one of the plan. */
static bool is_behind(const zoo_plan *plan, const char *name)
{
    const char *path = plan->n_layers ? plan->layers[0].path : "";
    size_t n = strlen(path);
    if (n == 0 || path[n - 1] != '0' || strncmp(name, path, n - 1) != 0) {
        return false;
    }
    return strtoul(name + n - 1, NULL, 10) >= plan->n_layers;
}

static void print_tensor(void *arg, const char *name, bool matters)
{
    printer *p = arg;
    char line[ZOO_NAME_MAX];
    (void)matters;
    if (is_behind(p->plan, name)) {
        p->n_behind++;
        return;
    }
    zoo_name_skeleton(name, line, sizeof line);
    for (uint32_t i = 0; i < p->n_lines; i++) {
        if (strcmp(p->names[i].text, line) == 0) {
            p->names[i].n++;
            return;
        }
    }
    if (p->n_lines < NAMES_MAX) {
        (void)snprintf(p->names[p->n_lines].text, ZOO_NAME_MAX, "%s", line);
        p->names[p->n_lines++].n = 1;
    } else {
        p->n_more++;
    }
}

static void print_leftovers(FILE *out, const zoo_model *model)
{
    printer p = {.out = out, .plan = &model->plan};
    zoo_model_leftovers(model, print_tensor, &p);
    if (p.n_lines || p.n_behind) {
        (void)fprintf(out, "tensors left aside:\n");
    }
    if (p.n_behind) {
        (void)fprintf(out, "  layers from %u on, which predict further tokens: %u tensors\n",
                      model->plan.n_layers, p.n_behind);
    }
    for (uint32_t i = 0; i < p.n_lines; i++) {
        (void)fprintf(out, "  %-64s x %u\n", p.names[i].text, p.names[i].n);
    }
    if (p.n_more) {
        (void)fprintf(out, "  and %u others\n", p.n_more);
    }
}

/* Appends "name value" to the words; what does not fit is cut. */
static void add_fact(char *words, const char *name, const char *value)
{
    size_t n = strlen(words);
    bool costs = strncmp(name, "flops.", 6) == 0 || strncmp(name, "read.", 5) == 0;
    if (costs) {
        return;
    }
    bool kind = strcmp(name, "kind") == 0;
    (void)snprintf(words + n, WORDS_MAX - n, "%s%s%s%s", n ? ", " : "", kind ? "" : name,
                   kind || !*value ? "" : " ", value);
}

static void take_number(const zoo_facts *to, const char *name, double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.10g", value);
    add_fact(to->host, name, text);
}

static void take_text(const zoo_facts *to, const char *name, const char *value)
{
    add_fact(to->host, name, value);
}

/* What a block says about itself: in its own words, else its facts. */
static void explain(const zoo_bound *bound, char words[WORDS_MAX])
{
    const zoo_facts to = {
        .size = sizeof to, .host = words, .number = take_number, .text = take_text};
    const zoo_block_ops *ops = bound->ops;
    words[0] = '\0';
    if (ops && ops->explain) {
        ops->explain(bound->params, words, WORDS_MAX);
    } else if (ops && ops->size >= offsetof(zoo_block_ops, facts) + sizeof ops->facts &&
               ops->facts) {
        ops->facts(bound->params, &to);
    }
}

/* Words in lines of at most TEXT_COLUMNS; `column` is where they begin, in later lines too. */
static void print_words(FILE *out, const char *words, int column)
{
    int at = column;
    while (*words) {
        int n = (int)strcspn(words, " \n");
        if (at > column && at + 1 + n > TEXT_COLUMNS) {
            (void)fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", n, words);
        words += n;
        if (*words == '\n') {
            (void)fprintf(out, "\n%*s", column, "");
            at = column;
        }
        words += *words != '\0';
    }
    (void)fputc('\n', out);
}

/* A long description is printed once; later blocks refer to the first. */
static const char *said_before(layer_printer *p, const zoo_bound *bound, const char *words)
{
    const char *name = bound->part ? bound->part->name : "(layer)";
    uint64_t hash = XXH3_64bits(words, strlen(words));
    if (strlen(words) <= TEXT_COLUMNS) {
        return NULL;
    }
    for (uint32_t i = 0; i < p->n_said; i++) {
        if (p->said[i].hash == hash) {
            return p->said[i].where;
        }
    }
    if (p->n_said < SAID_MAX) {
        said *s = &p->said[p->n_said++];
        s->hash = hash;
        (void)snprintf(s->where, sizeof s->where, "as layer %u, %s", p->layer, name);
    }
    return NULL;
}

static void print_block(layer_printer *p, const zoo_bound *bound, const char *indent)
{
    char words[WORDS_MAX];
    explain(bound, words);
    const char *before = said_before(p, bound, words);
    int column =
        fprintf(p->out, "%s%-20s %-10s ", indent, bound->part ? bound->part->name : "(layer)",
                bound->ops ? bound->ops->name : "norm");
    print_words(p->out, before ? before : words, column);
}

static void print_layer(layer_printer *p, const zoo_bound_layer *bound)
{
    const zoo_layer *layer = bound->layer;
    if (layer->ops) {
        print_block(p, &bound->own, "    ");
        for (uint32_t i = 0; i < layer->n_parts; i++) {
            print_block(p, &bound->parts[i], "      ");
        }
    }
    for (uint32_t b = 0; b < layer->n_branches && !layer->ops; b++) {
        for (uint32_t i = 0; i < layer->branches[b].n_parts; i++) {
            print_block(p, &bound->branches[b].parts[i], "    ");
        }
    }
}

static bool same_words(const zoo_bound *a, const zoo_bound *b)
{
    char words_a[WORDS_MAX], words_b[WORDS_MAX];
    explain(a, words_a);
    explain(b, words_b);
    return a->ops == b->ops && strcmp(words_a, words_b) == 0;
}

/* Whether two layers print the same, so that they share a line. */
static bool alike(const zoo_bound_layer *x, const zoo_bound_layer *y)
{
    const zoo_layer *a = x->layer, *b = y->layer;
    if (strcmp(a->kind ? a->kind : "", b->kind ? b->kind : "") != 0 || a->ops != b->ops ||
        a->n_branches != b->n_branches) {
        return false;
    }
    if (a->ops) {
        bool same = a->n_parts == b->n_parts && same_words(&x->own, &y->own);
        for (uint32_t i = 0; i < a->n_parts && same; i++) {
            same = same_words(&x->parts[i], &y->parts[i]);
        }
        return same;
    }
    for (uint32_t i = 0; i < a->n_branches; i++) {
        if (a->branches[i].n_parts != b->branches[i].n_parts) {
            return false;
        }
        for (uint32_t k = 0; k < a->branches[i].n_parts; k++) {
            if (!same_words(&x->branches[i].parts[k], &y->branches[i].parts[k])) {
                return false;
            }
        }
    }
    return true;
}

static void print_layers(FILE *out, const zoo_model *model)
{
    const zoo_plan *plan = &model->plan;
    layer_printer to = {.out = out};
    (void)fprintf(out, "layers:\n");
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        uint32_t last = i;
        while (last + 1 < plan->n_layers && alike(&model->layers[i], &model->layers[last + 1])) {
            last++;
        }
        (void)fprintf(out, "  %u", i);
        if (last > i) {
            (void)fprintf(out, "-%u", last);
        }
        (void)fprintf(out, "  %s\n", plan->layers[i].kind ? plan->layers[i].kind : "");
        to.layer = i;
        print_layer(&to, &model->layers[i]);
        i = last;
    }
}

typedef struct kind_lines {
    FILE *out;
    const zoo_model *model;
    struct {
        const char *stream;
        uint32_t part;
        const zoo_cache_ops *kind;
    } told[KINDS_MAX];
    uint32_t n;
} kind_lines;

static void print_kind(void *arg, const zoo_stream *stream)
{
    kind_lines *l = arg;
    const zoo_cache_ops *kind = zoo_cache_choice(&l->model->cache_kinds, stream);
    uint32_t part = stream->width / (stream->heads ? stream->heads : 1);
    for (uint32_t i = 0; i < l->n; i++) {
        if (strcmp(l->told[i].stream, stream->name) == 0 && l->told[i].part == part &&
            l->told[i].kind == kind) {
            return;
        }
    }
    if (part && stream->name && l->n < KINDS_MAX) {
        l->told[l->n].stream = stream->name;
        l->told[l->n].part = part;
        l->told[l->n++].kind = kind;
        (void)fprintf(l->out, "  %s in %s: %s; %.3g bits a value of %u\n", stream->name, kind->name,
                      kind->summary, zoo_cache_kind_bits(kind, part), part);
    }
}

void zoo_model_print_kinds(const zoo_model *model, FILE *out)
{
    kind_lines lines = {.out = out, .model = model};
    zoo_model_streams(model, print_kind, &lines);
}

static void print_cache(FILE *out, const zoo_model *model)
{
    static const uint32_t lengths[] = {64, 1024, 16384, 131072};
    zoo_cache_cost cost = zoo_cache_pool_cost(model->cache, lengths[3]);
    zoo_cache_cost half = zoo_cache_pool_cost(model->cache, lengths[3] / 2);
    (void)fprintf(
        out,
        "one sequence remembers, all layers together, with --cache %s where a stream "
        "tolerates it:\n  %.0f bytes for each further token; %zu bytes in windows and %zu "
        "in states, however long it is\n",
        model->cache_kinds.kind->name, (double)(cost.bytes_at - half.bytes_at) / (lengths[3] / 2),
        cost.ring_bytes, cost.state_bytes);
    zoo_model_print_kinds(model, out);
    for (size_t i = 0; i < ZOO_COUNT(lengths); i++) {
        cost = zoo_cache_pool_cost(model->cache, lengths[i]);
        (void)fprintf(out, "  %6u tokens: %.1f MiB\n", lengths[i],
                      (double)cost.bytes_at / (1024.0 * 1024.0));
    }
}

static void print_json(FILE *out, const zoo_model *model, uint64_t n_wanted)
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
                  (unsigned long long)(model->tensors ? model->stats.n_parameters : n_wanted),
                  model->stats.stored, short_cost.bytes_at, long_cost.bytes_at,
                  short_cost.ring_bytes, short_cost.state_bytes);
}

/* The sizes, from the tensors, or from the plan where there are none. */
static void print_sizes(FILE *out, const zoo_model *model, uint64_t n_wanted)
{
    const zoo_plan *plan = &model->plan;
    (void)fprintf(out, "  %u layers, hidden_size %u, vocabulary %u%s, ", plan->n_layers,
                  plan->hidden_size, plan->vocab_size, plan->tied ? ", tied" : "");
    if (model->tensors) {
        (void)fprintf(out, "%llu parameters read, stored as %s\n",
                      (unsigned long long)model->stats.n_parameters, model->stats.stored);
        (void)fputs("  packed with --weights ", out);
        zoo_model_tell_kinds(model, out);
        (void)fputc('\n', out);
        return;
    }
    const double gib = 1024.0 * 1024.0 * 1024.0;
    (void)fprintf(out, "%llu parameters wanted, %.2f GiB as bf16; there are no weights\n",
                  (unsigned long long)n_wanted, (double)n_wanted * 2 / gib);
}

static void print_placeholders(FILE *out, const zoo_placeholders *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->of[i].row != ZOO_ROW_NONE && p->of[i].row != p->of[i].token) {
            (void)fprintf(out,
                          "  token %u stands for media; in a text it is embedded as token %u\n",
                          p->of[i].token, p->of[i].row);
        }
    }
}

zoo_status zoo_model_inspect(const zoo_model *model, uint64_t n_wanted, FILE *out, bool json,
                             zoo_error *err)
{
    if (json) {
        print_json(out, model, n_wanted);
        return ZOO_OK;
    }
    (void)fprintf(out, "%s\n  model_type %s%s%s, plugin %s %s (%s)\n", model->folder,
                  zoo_model_config_type(model->config),
                  zoo_model_config_nested(model->config) ? ", its text part is " : "",
                  zoo_model_config_nested(model->config) ? zoo_model_config_text_type(model->config)
                                                         : "",
                  model->plugin->name, model->plugin->version, model->plugin_path);
    (void)fprintf(out, "  card: %s\n", model->card ? model->card->path : "none, chosen by probe");
    print_sizes(out, model, n_wanted);
    print_placeholders(out, &model->placeholders);
    print_layers(out, model);
    print_cache(out, model);
    printer p = {.out = out};
    zoo_model_config *config = model->config;
    static const char *const all[] = {NULL};
    (void)zoo_model_config_check(config, model->plugin, all, print_key, &p, NULL);
    if (!model->tensors) {
        return zoo_inspect_wanted(model, out, err);
    }
    print_leftovers(out, model);
    for (size_t i = 0; i < zoo_tensors_n_notes(model->tensors); i++) {
        (void)fprintf(out, "note: %s\n", zoo_tensors_note(model->tensors, i));
    }
    return ZOO_OK;
}

zoo_status zoo_engine_inspect(const zoo_engine *engine, FILE *out, bool json)
{
    return zoo_model_inspect(&engine->model, 0, out, json, NULL);
}
