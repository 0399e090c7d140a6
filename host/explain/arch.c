/*
 * arch.c: from a plan to an architecture: blocks with their facts and streams, layers of one kind,
 * and the pattern in which kinds repeat.
 */
#include "explain/arch.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

enum { FACTS_MAX = 64 };

typedef struct collector {
    zoo_fact facts[FACTS_MAX];
    uint32_t n;
} collector;

/* A fact reported again replaces the earlier one. */
static zoo_fact *slot(collector *c, const char *name)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (strcmp(c->facts[i].name, name) == 0) {
            return &c->facts[i];
        }
    }
    zoo_fact *fact = &c->facts[c->n < FACTS_MAX ? c->n++ : FACTS_MAX - 1];
    memset(fact, 0, sizeof *fact);
    (void)snprintf(fact->name, sizeof fact->name, "%s", name);
    return fact;
}

static void take_number(const zoo_facts *to, const char *name, double value)
{
    zoo_fact *fact = slot(to->host, name);
    fact->number = value;
    fact->text[0] = '\0';
}

static void take_text(const zoo_facts *to, const char *name, const char *value)
{
    zoo_fact *fact = slot(to->host, name);
    (void)snprintf(fact->text, sizeof fact->text, "%s", value);
}

static void (*facts_of(const zoo_block_ops *ops))(const void *, const zoo_facts *)
{
    return ops->size >= offsetof(zoo_block_ops, facts) + sizeof ops->facts ? ops->facts : NULL;
}

const zoo_fact *zoo_arch_fact(const zoo_arch_block *block, const char *name)
{
    for (uint32_t i = 0; block && i < block->n_facts; i++) {
        if (strcmp(block->facts[i].name, name) == 0) {
            return &block->facts[i];
        }
    }
    return NULL;
}

double zoo_arch_number(const zoo_arch_block *block, const char *name, double fallback)
{
    const zoo_fact *fact = zoo_arch_fact(block, name);
    return fact && !fact->text[0] ? fact->number : fallback;
}

const char *zoo_arch_text(const zoo_arch_block *block, const char *name)
{
    const zoo_fact *fact = zoo_arch_fact(block, name);
    return fact && fact->text[0] ? fact->text : NULL;
}

const zoo_arch_block *zoo_arch_find(const zoo_arch_layer *layer, zoo_role role)
{
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        if (layer->blocks[i].role == role) {
            return &layer->blocks[i];
        }
    }
    return NULL;
}

static bool lists(const zoo_block_ops *const *list, const zoo_block_ops *ops)
{
    for (; list && *list; list++) {
        if (*list == ops) {
            return true;
        }
    }
    return false;
}

static zoo_role role_of(const zoo_plugin *plugin, const zoo_block_ops *ops)
{
    return lists(plugin->mixers, ops) ? ZOO_ROLE_MIXER
           : lists(plugin->ffns, ops) ? ZOO_ROLE_FFN
                                      : ZOO_ROLE_OTHER;
}

/* Streams are the block's own, or those of the part whose cache it reads. */
static void take_streams(zoo_arch_block *block, const zoo_bound *bound)
{
    const zoo_part *source = bound->part ? bound->part->cache_of : NULL;
    const void *params = source ? source->params : bound->params;
    zoo_stream streams[ZOO_STREAMS_MAX];
    memset(streams, 0, sizeof streams);
    block->borrows = source != NULL;
    block->n_streams = bound->ops->streams ? bound->ops->streams(params, streams) : 0;
    for (uint32_t i = 0; i < block->n_streams; i++) {
        char name[ZOO_FACT_NAME];
        block->streams[i].decl = streams[i];
        (void)snprintf(name, sizeof name, "read.%s", streams[i].name);
        block->streams[i].rows_read = zoo_arch_number(block, name, 0);
        (void)snprintf(name, sizeof name, "flops.%s", streams[i].name);
        block->streams[i].flops = zoo_arch_number(block, name, 0);
    }
}

static zoo_status take_block(const zoo_arch *arch, const zoo_bound *bound, zoo_arch_block *out,
                             zoo_error *err)
{
    collector c = {.n = 0};
    const zoo_facts to = {.size = sizeof to, .host = &c, .number = take_number, .text = take_text};
    const zoo_block_ops *ops = bound->ops;
    *out = (zoo_arch_block){.name = bound->part ? bound->part->name : "",
                            .ops = ops ? ops->name : "norm",
                            .kind = ops ? ops->name : "norm",
                            .role = ops ? role_of(arch->model.plugin, ops) : ZOO_ROLE_OTHER,
                            .norm = bound->norm.norm};
    if (!ops || !facts_of(ops)) {
        return ZOO_OK;
    }
    facts_of(ops)(bound->params, &to);
    out->facts = zoo_mem_array(c.n + 1, sizeof *out->facts);
    if (!out->facts) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    memcpy(out->facts, c.facts, c.n * sizeof *out->facts);
    out->n_facts = c.n;
    const char *kind = zoo_arch_text(out, "kind");
    out->kind = kind ? kind : ops->name;
    take_streams(out, bound);
    return ZOO_OK;
}

/* Streams are counted for blocks without facts too. */
static zoo_status take_any(const zoo_arch *arch, const zoo_bound *bound, zoo_arch_block *out,
                           zoo_error *err)
{
    ZOO_TRY(take_block(arch, bound, out, err));
    if (bound->ops && out->n_streams == 0) {
        take_streams(out, bound);
    }
    return ZOO_OK;
}

static zoo_status take_parts(const zoo_arch *arch, const zoo_bound *parts, uint32_t n,
                             zoo_arch_block **out, uint32_t *n_out, zoo_error *err)
{
    *out = zoo_mem_array((size_t)n + 1, sizeof **out);
    if (!*out) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < n; i++) {
        ZOO_TRY(take_any(arch, &parts[i], &(*out)[i], err));
        *n_out = i + 1;
    }
    return ZOO_OK;
}

static zoo_status take_layer(const zoo_arch *arch, const zoo_bound_layer *bound,
                             zoo_arch_layer *out, zoo_error *err)
{
    const zoo_layer *layer = bound->layer;
    out->layer = layer;
    if (layer->ops) {
        ZOO_TRY(take_parts(arch, bound->parts, layer->n_parts, &out->blocks, &out->n_blocks, err));
        out->n_blocks++;
        return take_any(arch, &bound->own, &out->blocks[layer->n_parts], err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < layer->n_branches; i++) {
        n += layer->branches[i].n_parts;
    }
    out->blocks = zoo_mem_array((size_t)n + 1, sizeof *out->blocks);
    if (!out->blocks) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < layer->n_branches; i++) {
        for (uint32_t k = 0; k < layer->branches[i].n_parts; k++) {
            ZOO_TRY(take_any(arch, &bound->branches[i].parts[k], &out->blocks[out->n_blocks], err));
            out->n_blocks++;
        }
    }
    return ZOO_OK;
}

static uint64_t hash_more(uint64_t hash, const void *data, size_t n)
{
    return XXH3_64bits_withSeed(data, n, hash);
}

static uint64_t hash_norm(uint64_t hash, const zoo_norm *norm)
{
    const uint32_t words[] = {norm ? norm->kind : 0, norm ? norm->has_weight : 0};
    return hash_more(hash, words, sizeof words);
}

/* Hash of what a layer computes, without its position and its lookup tables. */
static uint64_t hash_layer(const zoo_arch_layer *layer)
{
    const zoo_layer *l = layer->layer;
    uint64_t hash = hash_more(0, &l->n_branches, sizeof l->n_branches);
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        const zoo_arch_block *b = &layer->blocks[i];
        hash = hash_more(hash, b->ops, strlen(b->ops));
        hash = hash_more(hash, b->name, strlen(b->name));
        hash = hash_norm(hash, b->norm);
        for (uint32_t k = 0; k < b->n_facts; k++) {
            hash = hash_more(hash, b->facts[k].name, strlen(b->facts[k].name));
            hash = hash_more(hash, b->facts[k].text, strlen(b->facts[k].text));
            hash = hash_more(hash, &b->facts[k].number, sizeof b->facts[k].number);
        }
        for (uint32_t k = 0; k < b->n_streams; k++) {
            const zoo_stream *s = &b->streams[k].decl;
            const uint32_t words[] = {s->kind, s->width, s->window, s->stride, b->borrows};
            hash = hash_more(hash, words, sizeof words);
        }
    }
    for (uint32_t i = 0; i < l->n_branches && !l->ops; i++) {
        hash = hash_norm(hash_norm(hash, &l->branches[i].post), &l->branches[i].after);
    }
    return hash;
}

/* More kinds than there is room for fall into the last one, which is then no single kind. */
static uint32_t find_kind(zoo_arch *arch, uint64_t hash, uint32_t layer)
{
    for (uint32_t i = 0; i < arch->n_kinds; i++) {
        if (arch->kinds[i].hash == hash) {
            arch->kinds[i].n++;
            return i;
        }
    }
    if (arch->n_kinds == ZOO_KINDS_MAX) {
        arch->kinds[ZOO_KINDS_MAX - 1].n++;
        return ZOO_KINDS_MAX - 1;
    }
    arch->kinds[arch->n_kinds] = (zoo_arch_kind){hash, layer, 1};
    return arch->n_kinds++;
}

enum { PERIOD_MAX = 16 };

/* How many times in a row the `period` layers from `first` on occur. */
static uint32_t turns(const zoo_arch *arch, uint32_t first, uint32_t period)
{
    uint32_t n = 1;
    for (uint32_t i = first + period; i + period <= arch->n_layers; i += period, n++) {
        for (uint32_t k = 0; k < period; k++) {
            if (arch->layers[i + k].kind != arch->layers[first + k].kind) {
                return n;
            }
        }
    }
    return n;
}

/* At each layer the repetition that covers most; of those the one with the shortest period. */
static zoo_status find_segments(zoo_arch *arch, zoo_error *err)
{
    arch->segments = zoo_mem_array((size_t)arch->n_layers + 1, sizeof *arch->segments);
    if (!arch->segments) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < arch->n_layers;) {
        zoo_arch_segment best = {i, 1, turns(arch, i, 1)};
        for (uint32_t p = 2; p <= PERIOD_MAX && i + 2 * p <= arch->n_layers; p++) {
            uint32_t n = turns(arch, i, p);
            best = n > 1 && n * p > best.period * best.n_times ? (zoo_arch_segment){i, p, n} : best;
        }
        arch->segments[arch->n_segments++] = best;
        i += best.period * best.n_times;
    }
    return ZOO_OK;
}

static zoo_status take_model(zoo_arch *arch, zoo_error *err)
{
    const zoo_model *m = &arch->model;
    ZOO_TRY(
        take_parts(arch, m->prologue, m->plan.n_prologue, &arch->prologue, &arch->n_prologue, err));
    ZOO_TRY(
        take_parts(arch, m->epilogue, m->plan.n_epilogue, &arch->epilogue, &arch->n_epilogue, err));
    arch->layers = zoo_mem_array((size_t)m->plan.n_layers + 1, sizeof *arch->layers);
    if (!arch->layers) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < m->plan.n_layers; i++) {
        arch->n_layers = i + 1;
        ZOO_TRY(take_layer(arch, &m->layers[i], &arch->layers[i], err));
        arch->layers[i].kind = find_kind(arch, hash_layer(&arch->layers[i]), i);
    }
    ZOO_TRY(find_segments(arch, err));
    return zoo_arch_count(arch, err);
}

/* The last component without ".json"; a file called config.json is named by its folder. */
static void take_name(zoo_arch *arch, const char *path)
{
    size_t n = strlen(path);
    static const char tail[] = "/config.json";
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    if (n > sizeof tail - 1 && strncmp(path + n - (sizeof tail - 1), tail, sizeof tail - 1) == 0) {
        n -= sizeof tail - 1;
    } else if (n > 5 && strncmp(path + n - 5, ".json", 5) == 0) {
        n -= 5;
    }
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    (void)snprintf(arch->name, sizeof arch->name, "%.*s", (int)(n - begin), path + begin);
}

zoo_status zoo_arch_open_text(const char *name, const char *config,
                              const zoo_model_options *options, zoo_arch **out, zoo_error *err)
{
    zoo_model_options o = *options;
    zoo_arch *arch = zoo_mem_array(1, sizeof *arch);
    *out = NULL;
    if (!arch) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    o.config_only = !o.plan_only;
    o.config_text = config;
    o.quiet = true;
    take_name(arch, name);
    zoo_status status = zoo_model_open(&arch->model, name, &o, err);
    status = status == ZOO_OK ? take_model(arch, err) : status;
    if (status != ZOO_OK) {
        zoo_arch_close(arch);
        return status;
    }
    *out = arch;
    return ZOO_OK;
}

static void free_blocks(zoo_arch_block *blocks, uint32_t n)
{
    for (uint32_t i = 0; blocks && i < n; i++) {
        zoo_mem_free(blocks[i].facts);
    }
    zoo_mem_free(blocks);
}

void zoo_arch_close(zoo_arch *arch)
{
    if (!arch) {
        return;
    }
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        free_blocks(arch->layers[i].blocks, arch->layers[i].n_blocks);
    }
    zoo_mem_free(arch->layers);
    zoo_mem_free(arch->segments);
    free_blocks(arch->prologue, arch->n_prologue);
    free_blocks(arch->epilogue, arch->n_epilogue);
    zoo_model_release(&arch->model);
    zoo_mem_free(arch);
}
