/*
 * plan.c: from a plan to bound parts: checks what configure returned, lays the parts out in the
 * model arena and adds their streams to the cache. No weights are read here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/system.h"
#include "model/packed_cache.h"

enum { WIDTH_MAX = 1 << 24, LAYERS_MAX = 4096, BOUNDS_FIRST = 64 };
enum { LARGE_PAGE = 1 << 21 }; /* bytes */

/* Matrices of experts have a few MB each, which hold no large page or only one: those from SHARED
 * to SLAB / 4 bytes lie in blocks of SLAB. */
enum { SLAB = 1 << 26, SHARED = 1 << 19 };

struct zoo_chunk {
    zoo_chunk *next;
    void *block;     /* from the allocator; null: in the block of another chunk */
    size_t n;        /* bytes asked for */
    uint32_t number; /* of the ones before */
};

static void want_large_pages(void *block, size_t n)
{
    uintptr_t begin = ((uintptr_t)block + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    uintptr_t end = ((uintptr_t)block + n) / LARGE_PAGE * LARGE_PAGE;
    if (begin < end) {
        zoo_system_large_pages((void *)begin, end - begin);
    }
}

static void *bytes_of(const zoo_chunk *chunk)
{
    return (void *)(((uintptr_t)chunk + sizeof *chunk + 63u) & ~(uintptr_t)63u);
}

/* A chunk for n bytes at the rest of the slab, or in a block of its own or of many. */
static zoo_chunk *new_chunk(zoo_model *model, size_t n)
{
    size_t whole = (n + sizeof(zoo_chunk) + 127) / 64 * 64;
    bool shares = n >= SHARED && whole <= SLAB / 4;
    void *block = NULL;
    if (!shares || whole > model->slab_left) {
        size_t size = shares ? SLAB : whole;
        block = zoo_mem_array(1, size);
        if (!block) {
            return NULL;
        }
        want_large_pages(block, size);
        if (!shares) {
            zoo_chunk *alone = block;
            alone->block = block;
            return alone;
        }
        model->slab = block;
        model->slab_left = size;
    }
    zoo_chunk *chunk = (void *)model->slab;
    chunk->block = block;
    model->slab += whole;
    model->slab_left -= whole;
    return chunk;
}

void *zoo_model_take(zoo_model *model, size_t n)
{
    zoo_chunk *chunk = n > SIZE_MAX / 2 ? NULL : new_chunk(model, n);
    if (!chunk) {
        return NULL;
    }
    chunk->next = model->chunks;
    chunk->n = n;
    chunk->number = model->chunks ? model->chunks->number + 1 : 0;
    model->chunks = chunk;
    return bytes_of(chunk);
}

bool zoo_model_place_of(const zoo_model *model, const void *at, uint32_t *chunk, uint64_t *offset)
{
    uintptr_t plan = (uintptr_t)&model->plan; /* a part of the model, and a key of blocks, too */
    if ((uintptr_t)at >= plan && (uintptr_t)at - plan < sizeof model->plan) {
        *chunk = ZOO_NONE;
        *offset = (uintptr_t)at - plan;
        return true;
    }
    for (const zoo_chunk *c = model->chunks; c; c = c->next) {
        uintptr_t begin = (uintptr_t)bytes_of(c);
        if ((uintptr_t)at >= begin && (uintptr_t)at - begin < c->n) {
            *chunk = c->number;
            *offset = (uintptr_t)at - begin;
            return true;
        }
    }
    return false;
}

const void *zoo_model_at(const zoo_model *model, uint32_t chunk, uint64_t offset)
{
    if (chunk == ZOO_NONE) {
        return offset < sizeof model->plan ? (const char *)&model->plan + offset : NULL;
    }
    for (const zoo_chunk *c = model->chunks; c; c = c->next) {
        if (c->number == chunk) {
            return offset < c->n ? (const char *)bytes_of(c) + offset : NULL;
        }
    }
    return NULL;
}

static zoo_status out_of_memory(const zoo_model *model, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory while the plan is laid out",
                    model->folder);
}

static zoo_status bad_plan(const zoo_model *model, const char *path, const char *what,
                           zoo_error *err)
{
    return zoo_fail(err, ZOO_E_PLUGIN, "plugin %s: plan of %s: %s: %s", model->plugin->name,
                    model->folder, path ? path : "model", what);
}

static char *join(zoo_model *model, const char *path, const char *name)
{
    size_t n = strlen(path) + strlen(name) + 2;
    char *text = zoo_model_take(model, n);
    if (text) {
        (void)snprintf(text, n, "%s%s%s", path, *path && *name ? "." : "", name);
    }
    return text;
}

static zoo_status remember(zoo_model *model, zoo_bound *bound, zoo_error *err)
{
    if (model->n_bounds == model->bounds_max) {
        uint32_t grown = model->bounds_max ? model->bounds_max * 2 : BOUNDS_FIRST;
        zoo_bound **bounds = zoo_mem_realloc(model->bounds, grown * sizeof(zoo_bound *));
        if (!bounds) {
            return out_of_memory(model, err);
        }
        model->bounds = bounds;
        model->bounds_max = grown;
    }
    model->bounds[model->n_bounds++] = bound;
    return ZOO_OK;
}

static zoo_bound *find_part(const zoo_model *model, const zoo_part *part)
{
    for (uint32_t i = 0; i < model->n_bounds; i++) {
        if (model->bounds[i]->part == part) {
            return model->bounds[i];
        }
    }
    return NULL;
}

static zoo_status add_streams(zoo_model *model, zoo_bound *bound, zoo_error *err)
{
    if (bound->part && bound->part->cache_of) {
        const zoo_bound *source = find_part(model, bound->part->cache_of);
        if (!source || source->ops != bound->ops) {
            return bad_plan(model, bound->path, "shares the cache of no earlier part of its kind",
                            err);
        }
        bound->cache = source->cache;
        return ZOO_OK;
    }
    if (!bound->ops->streams) {
        return ZOO_OK;
    }
    zoo_stream streams[ZOO_STREAMS_MAX];
    memset(streams, 0, sizeof streams);
    uint32_t n = bound->ops->streams(bound->params, streams);
    if (n > ZOO_STREAMS_MAX) {
        return bad_plan(model, bound->path, "declares too many streams", err);
    }
    return n ? zoo_cache_pool_add(model->cache, streams, n, &bound->cache, err) : ZOO_OK;
}

static bool known_ops(const zoo_plugin *plugin, const zoo_block_ops *ops)
{
    const zoo_block_ops *const *lists[] = {plugin->mixers, plugin->ffns, plugin->layers};
    for (size_t i = 0; i < ZOO_COUNT(lists); i++) {
        for (const zoo_block_ops *const *p = lists[i]; p && *p; p++) {
            if (*p == ops) {
                return true;
            }
        }
    }
    return false;
}

static zoo_status lay_block(zoo_model *model, zoo_bound *bound, const zoo_block_ops *ops,
                            const void *params, zoo_error *err)
{
    if (!ops || !known_ops(model->plugin, ops)) {
        return bad_plan(model, bound->path, "names a block that the plugin does not list", err);
    }
    bound->ops = ops;
    bound->params = params;
    if (ops->check) {
        zoo_status status = ops->check(params, err);
        if (status != ZOO_OK) {
            zoo_error inner = err ? *err : (zoo_error){0};
            return zoo_fail(err, status, "%s: %s (%s): %.300s", model->folder, bound->path,
                            ops->name, inner.text);
        }
    }
    ZOO_TRY(add_streams(model, bound, err));
    return remember(model, bound, err);
}

static zoo_status lay_part(zoo_model *model, const char *layer_path, const zoo_part *part,
                           zoo_bound *bound, zoo_error *err)
{
    if (!part->name || part->width_in > WIDTH_MAX || part->width_out > WIDTH_MAX) {
        return bad_plan(model, layer_path,
                        "a part without a name or with a width that is too large", err);
    }
    bound->part = part;
    bound->norm.norm = &part->norm;
    bound->path = part->path ? part->path : join(model, layer_path, part->name);
    if (!bound->path) {
        return out_of_memory(model, err);
    }
    return part->ops ? lay_block(model, bound, part->ops, part->params, err)
                     : remember(model, bound, err);
}

static zoo_status lay_parts(zoo_model *model, const char *layer_path, const zoo_part *parts,
                            uint32_t n_parts, zoo_bound **out, zoo_error *err)
{
    if (n_parts > ZOO_PARTS_MAX || (n_parts && !parts)) {
        return bad_plan(model, layer_path, "a list of parts is too long or missing", err);
    }
    *out = zoo_model_take(model, (n_parts + 1) * sizeof(zoo_bound));
    if (!*out) {
        return out_of_memory(model, err);
    }
    for (uint32_t i = 0; i < n_parts; i++) {
        ZOO_TRY(lay_part(model, layer_path, &parts[i], &(*out)[i], err));
    }
    return ZOO_OK;
}

static zoo_status lay_branches(zoo_model *model, zoo_bound_layer *bound, zoo_error *err)
{
    const zoo_layer *layer = bound->layer;
    if (!layer->branches || layer->n_branches == 0 || layer->n_branches > ZOO_BRANCHES_MAX) {
        return bad_plan(model, layer->path, "a layer has neither branches nor ops", err);
    }
    bound->branches = zoo_model_take(model, layer->n_branches * sizeof(zoo_bound_branch));
    if (!bound->branches) {
        return out_of_memory(model, err);
    }
    for (uint32_t i = 0; i < layer->n_branches; i++) {
        const zoo_branch *branch = &layer->branches[i];
        bound->branches[i].branch = branch;
        bound->branches[i].post.norm = &branch->post;
        bound->branches[i].after.norm = &branch->after;
        if (branch->n_parts == 0) {
            return bad_plan(model, layer->path, "a branch has no parts", err);
        }
        ZOO_TRY(lay_parts(model, layer->path, branch->parts, branch->n_parts,
                          &bound->branches[i].parts, err));
    }
    return ZOO_OK;
}

static zoo_status lay_layer(zoo_model *model, zoo_bound_layer *bound, zoo_error *err)
{
    const zoo_layer *layer = bound->layer;
    if (!layer->path) {
        return bad_plan(model, NULL, "a layer has no path", err);
    }
    if (!layer->ops) {
        return lay_branches(model, bound, err);
    }
    ZOO_TRY(lay_parts(model, layer->path, layer->parts, layer->n_parts, &bound->parts, err));
    bound->own.path = layer->path;
    return lay_block(model, &bound->own, layer->ops, layer->params, err);
}

static zoo_status check_plan(const zoo_model *model, zoo_error *err)
{
    const zoo_plan *plan = &model->plan;
    const uint32_t widths[] = {plan->vocab_size, plan->hidden_size, plan->stream_width};
    for (size_t i = 0; i < ZOO_COUNT(widths); i++) {
        if (widths[i] == 0 || widths[i] > WIDTH_MAX) {
            return bad_plan(model, NULL,
                            "vocab_size, hidden_size or stream_width is 0 or too large", err);
        }
    }
    if (plan->n_layers == 0 || plan->n_layers > LAYERS_MAX || !plan->layers) {
        return bad_plan(model, NULL, "it has no layers, or too many", err);
    }
    if (!plan->embed_path || !plan->norm_path || !plan->head_path ||
        plan->embed_width > WIDTH_MAX || plan->embed_rows > WIDTH_MAX) {
        return bad_plan(model, NULL, "the embedding, the last norm or the head has no path", err);
    }
    return ZOO_OK;
}

zoo_status zoo_model_lay_out(zoo_model *model, zoo_error *err)
{
    const zoo_plan *plan = &model->plan;
    ZOO_TRY(check_plan(model, err));
    ZOO_TRY(lay_parts(model, "", plan->prologue, plan->n_prologue, &model->prologue, err));
    model->layers = zoo_model_take(model, plan->n_layers * sizeof(zoo_bound_layer));
    model->layer_bytes = zoo_model_take(model, plan->n_layers * sizeof *model->layer_bytes);
    model->layer_end = plan->n_layers;
    model->has_ends = true;
    if (!model->layers || !model->layer_bytes) {
        return out_of_memory(model, err);
    }
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        model->layers[i].layer = &plan->layers[i];
        ZOO_TRY(lay_layer(model, &model->layers[i], err));
    }
    ZOO_TRY(lay_parts(model, "", plan->epilogue, plan->n_epilogue, &model->epilogue, err));
    model->norm.norm = &plan->norm;
    return ZOO_OK;
}

void zoo_model_release(zoo_model *model)
{
    while (model->chunks) { /* newest first: a block goes after the chunks that lie in it */
        zoo_chunk *chunk = model->chunks;
        model->chunks = chunk->next;
        zoo_mem_free(chunk->block);
    }
    zoo_packed_close(model->packed);
    zoo_cache_pool_free(model->cache);
    zoo_pool_free(model->pool);
    zoo_mem_free(model->bounds);
    zoo_mem_free(model->used);
    zoo_mem_free(model->sources);
    zoo_tensors_close(model->tensors);
    zoo_model_config_close(model->config);
    zoo_cards_free(&model->cards);
    zoo_mem_free(model->folder);
}
