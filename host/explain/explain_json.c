/* explain_json.c: an architecture as one JSON object. */
#include <cjson/cJSON.h>
#include <string.h>

#include "explain/explain.h"
#include "explain/memory.h"
#include "explain/words.h"

static const char *const dtype_names[] = {"f32", "bf16", "int8", "int4"};

static cJSON *facts_json(const zoo_arch_block *b)
{
    cJSON *facts = cJSON_CreateObject();
    for (uint32_t i = 0; i < b->n_facts; i++) {
        const zoo_fact *fact = &b->facts[i];
        if (fact->text[0]) {
            cJSON_AddStringToObject(facts, fact->name, fact->text);
        } else {
            cJSON_AddNumberToObject(facts, fact->name, fact->number);
        }
    }
    return facts;
}

static cJSON *streams_json(const zoo_arch_block *b)
{
    static const char *const kinds[] = {"rows", "ring", "state"};
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < b->n_streams; i++) {
        const zoo_arch_stream *s = &b->streams[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", s->decl.name);
        cJSON_AddStringToObject(item, "kind", kinds[s->decl.kind <= ZOO_STATE ? s->decl.kind : 0]);
        cJSON_AddNumberToObject(item, "width", s->decl.width);
        if (s->decl.kind == ZOO_RING) {
            cJSON_AddNumberToObject(item, "window", s->decl.window);
        }
        if (s->decl.stride > 1) {
            cJSON_AddNumberToObject(item, "stride", s->decl.stride);
        }
        if (s->rows_read > 0) {
            cJSON_AddNumberToObject(item, "rows_read", s->rows_read);
        }
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static cJSON *block_json(const zoo_arch_block *b)
{
    static const char *const roles[] = {"mixer", "feed-forward", "other"};
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "module", b->name);
    cJSON_AddStringToObject(item, "block", b->ops);
    cJSON_AddStringToObject(item, "role", roles[b->role]);
    cJSON_AddNumberToObject(item, "parameters", (double)b->n_params);
    cJSON_AddNumberToObject(item, "active", (double)b->n_active);
    cJSON_AddItemToObject(item, "facts", facts_json(b));
    cJSON_AddItemToObject(item, "streams", streams_json(b));
    cJSON_AddBoolToObject(item, "borrows_cache", b->borrows);
    return item;
}

static cJSON *kind_json(const zoo_arch *arch, uint32_t kind)
{
    const zoo_arch_layer *layer = &arch->layers[arch->kinds[kind].first];
    cJSON *item = cJSON_CreateObject(), *which = cJSON_AddArrayToObject(item, "layers");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        if (arch->layers[i].kind == kind) {
            cJSON_AddItemToArray(which, cJSON_CreateNumber(i));
        }
    }
    cJSON_AddStringToObject(item, "name", zoo_say_layer(arch, layer).text);
    cJSON_AddStringToObject(item, "norm_place", zoo_arch_norm_place(layer));
    const zoo_norm *norm = zoo_arch_first_norm(layer);
    cJSON_AddStringToObject(item, "norm", zoo_norm_name(norm ? norm->kind : 0));
    cJSON_AddNumberToObject(item, "eps", norm ? (double)norm->eps : 0);
    cJSON_AddNumberToObject(item, "parameters", (double)layer->n_params);
    cJSON_AddNumberToObject(item, "active", (double)layer->n_active);
    cJSON *blocks = cJSON_AddArrayToObject(item, "blocks");
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        cJSON_AddItemToArray(blocks, block_json(&layer->blocks[i]));
    }
    return item;
}

static cJSON *memory_json(const zoo_arch *arch)
{
    cJSON *all = cJSON_CreateObject();
    for (uint32_t d = 0; d <= ZOO_INT4; d++) {
        cJSON *one = cJSON_AddObjectToObject(all, dtype_names[d]);
        zoo_arch_cost first = zoo_arch_cost_at(arch, (zoo_dtype)d, 1);
        cJSON_AddNumberToObject(one, "bytes_per_token", first.growing);
        cJSON_AddNumberToObject(one, "bytes_per_token_windows_full", first.growing_later);
        cJSON_AddNumberToObject(one, "windows", first.windows);
        cJSON_AddNumberToObject(one, "states", first.states);
        cJSON *at = cJSON_AddArrayToObject(one, "at");
        for (uint32_t i = 0; i < ZOO_LENGTHS; i++) {
            zoo_arch_cost cost = zoo_arch_cost_at(arch, (zoo_dtype)d, zoo_lengths[i]);
            cJSON *row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "positions", zoo_lengths[i]);
            cJSON_AddNumberToObject(row, "kept", cost.kept);
            cJSON_AddNumberToObject(row, "read", cost.read);
            cJSON_AddNumberToObject(row, "flops", cost.flops);
            cJSON_AddItemToArray(at, row);
        }
    }
    return all;
}

static void add_params(cJSON *root, const zoo_arch_params *p)
{
    cJSON *item = cJSON_AddObjectToObject(root, "parameters");
    cJSON_AddNumberToObject(item, "total", (double)p->total);
    cJSON_AddNumberToObject(item, "active", (double)p->active);
    cJSON_AddNumberToObject(item, "embedding", (double)p->embedding);
    cJSON_AddNumberToObject(item, "head", (double)p->head);
    cJSON_AddNumberToObject(item, "mixers", (double)p->mixers);
    cJSON_AddNumberToObject(item, "feed_forward", (double)p->ffns);
    cJSON_AddNumberToObject(item, "norms", (double)p->norms);
    cJSON_AddNumberToObject(item, "others", (double)p->others);
}

static void add_origin(void *arg, const char *key, const char *value, const char *origin)
{
    cJSON *item = cJSON_AddObjectToObject(arg, key);
    cJSON_AddStringToObject(item, "value", value);
    cJSON_AddStringToObject(item, "from", origin ? origin : "");
}

bool zoo_explain_json(zoo_out *out, const zoo_arch *arch)
{
    const zoo_plan *p = &arch->model.plan;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", arch->name);
    cJSON_AddStringToObject(root, "model_type", zoo_model_config_type(arch->model.config));
    cJSON_AddStringToObject(root, "plugin", arch->model.plugin->name);
    cJSON_AddNumberToObject(root, "layers", arch->n_layers);
    cJSON_AddNumberToObject(root, "hidden_size", p->hidden_size);
    cJSON_AddNumberToObject(root, "vocab_size", p->vocab_size);
    cJSON_AddNumberToObject(root, "positions", p->context_max);
    cJSON_AddBoolToObject(root, "tied", p->tied != 0);
    cJSON_AddStringToObject(root, "pattern", zoo_say_pattern(arch).text);
    add_params(root, &arch->params);
    cJSON *kinds = cJSON_AddArrayToObject(root, "kinds");
    for (uint32_t i = 0; i < arch->n_kinds; i++) {
        cJSON_AddItemToArray(kinds, kind_json(arch, i));
    }
    cJSON_AddItemToObject(root, "memory", memory_json(arch));
    zoo_model_config_each(arch->model.config, add_origin, cJSON_AddObjectToObject(root, "values"));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text) {
        zoo_out_text(out, text);
        zoo_out_text(out, "\n");
    }
    cJSON_free(text);
    return text != NULL && !out->failed;
}
