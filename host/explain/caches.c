/*
 * caches.c: compares the caches of several models.
 *
 * The yardstick is what the same layers would keep if every query head had keys and values of its
 * own for every position. A layer whose mixer keeps a state counts as if it had such heads, too.
 */
#include "explain/caches.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "explain/memory.h"
#include "explain/words.h"

static const struct {
    zoo_dtype dtype;
    const char *name;
} dtypes[] = {{ZOO_F32, "f32"}, {ZOO_BF16, "bf16"}, {ZOO_INT8, "int8"}, {ZOO_INT4, "int4"}};

double zoo_caches_every_head(const zoo_arch *arch)
{
    double bytes = 0;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        for (uint32_t k = 0; k < arch->layers[i].n_blocks; k++) {
            const zoo_arch_block *b = &arch->layers[i].blocks[k];
            double dim = zoo_arch_number(b, "head_dim", 0);
            double both = dim + zoo_arch_number(b, "value_dim", dim);
            bytes += b->role == ZOO_ROLE_MIXER ? 2 * zoo_arch_number(b, "heads", 0) * both : 0;
        }
    }
    return bytes;
}

/* Layers with a mixer, and those of them that `is` holds for. */
static uint32_t count(const zoo_arch *arch, bool (*is)(const zoo_arch_block *))
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const zoo_arch_block *b = zoo_arch_find(&arch->layers[i], ZOO_ROLE_MIXER);
        n += b && is(b);
    }
    return n;
}

static bool is_any(const zoo_arch_block *b)
{
    return b != NULL;
}

static bool is_windowed(const zoo_arch_block *b)
{
    return zoo_arch_number(b, "window", 0) > 0 || zoo_arch_number(b, "chunk", 0) > 0;
}

static bool is_state(const zoo_arch_block *b)
{
    bool state = b->n_streams > 0;
    for (uint32_t i = 0; i < b->n_streams; i++) {
        state = state && b->streams[i].decl.kind == ZOO_STATE;
    }
    return state;
}

static bool is_borrowed(const zoo_arch_block *b)
{
    return b->borrows;
}

static bool is_chosen(const zoo_arch_block *b)
{
    for (uint32_t i = 0; i < b->n_streams; i++) {
        if (b->streams[i].rows_read > 0) {
            return true;
        }
    }
    return false;
}

static void add_share(char *text, size_t size, uint32_t n, uint32_t all, const char *what)
{
    size_t used = strlen(text);
    if (n && used < size) {
        if (n == all) {
            zoo_print(text + used, size - used, "; all layers %s", what);
        } else {
            zoo_print(text + used, size - used, "; %u of %u layers %s", n, all, what);
        }
    }
}

static const zoo_arch_block *main_mixer(const zoo_arch *arch)
{
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const zoo_arch_block *b = zoo_arch_find(&arch->layers[i], ZOO_ROLE_MIXER);
        if (b && !is_state(b)) {
            return b;
        }
    }
    return arch->n_layers ? zoo_arch_find(&arch->layers[0], ZOO_ROLE_MIXER) : NULL;
}

void zoo_caches_means(const zoo_arch *arch, char *text, size_t n)
{
    const zoo_arch_block *b = main_mixer(arch);
    uint32_t all = count(arch, is_any);
    double kv = b ? zoo_arch_number(b, "kv_heads", 0) : 0;
    double heads = b ? zoo_arch_number(b, "heads", 0) : 0;
    zoo_print(text, n, "%s", b ? zoo_say_mixer_name(b).text : "none");
    if (kv > 1.5 && kv < heads) {
        size_t used = strlen(text);
        zoo_print(text + used, n - used, " (%s to 1)", zoo_say_number(heads / kv).text);
    }
    add_share(text, n, count(arch, is_windowed), all, "sliding");
    add_share(text, n, count(arch, is_state), all, "with a state");
    add_share(text, n, count(arch, is_borrowed), all, "reading another's");
    add_share(text, n, count(arch, is_chosen), all, "reading chosen rows");
}

static void write_first(zoo_doc *doc, const zoo_caches *c)
{
    static const char *const heads[] = {"model",  "a position, bf16", "windows full",
                                        "states", "of every head's",  "how"};
    zoo_doc_table(doc, (uint32_t)ZOO_COUNT(heads));
    for (size_t i = 0; i < ZOO_COUNT(heads); i++) {
        zoo_doc_cell(doc, "%s", heads[i]);
    }
    for (uint32_t i = 0; i < c->n_archs; i++) {
        const zoo_arch *arch = c->archs[i];
        zoo_arch_cost cost = zoo_arch_cost_at(arch, ZOO_BF16, 1);
        double all = zoo_caches_every_head(arch);
        char how[200];
        zoo_caches_means(arch, how, sizeof how);
        zoo_doc_cell(doc, "%s", arch->name);
        zoo_doc_cell(doc, "%s", zoo_say_bytes(cost.growing).text);
        zoo_doc_cell(doc, "%s", zoo_say_bytes(cost.growing_later).text);
        zoo_doc_cell(doc, "%s", zoo_say_bytes(cost.states).text);
        if (all > 0) {
            zoo_doc_cell(doc, "%.2f %%", 100 * cost.growing / all);
        } else {
            zoo_doc_cell(doc, "%s", "");
        }
        zoo_doc_cell(doc, "%s", how);
    }
    zoo_doc_table_end(doc);
}

static void write_context(zoo_doc *doc, const zoo_caches *c, double positions)
{
    zoo_doc_table(doc, 6);
    zoo_doc_cell(doc, "at %s positions", zoo_say_positions(positions).text);
    for (size_t d = 1; d < ZOO_COUNT(dtypes); d++) {
        zoo_doc_cell(doc, "kept, %s", dtypes[d].name);
    }
    zoo_doc_cell(doc, "read a token, bf16");
    zoo_doc_cell(doc, "read of kept");
    for (uint32_t i = 0; i < c->n_archs; i++) {
        zoo_arch_cost bf16 = zoo_arch_cost_at(c->archs[i], ZOO_BF16, positions);
        zoo_doc_cell(doc, "%s", c->archs[i]->name);
        for (size_t d = 1; d < ZOO_COUNT(dtypes); d++) {
            zoo_arch_cost cost = zoo_arch_cost_at(c->archs[i], dtypes[d].dtype, positions);
            zoo_doc_cell(doc, "%s", zoo_say_bytes(cost.kept).text);
        }
        zoo_doc_cell(doc, "%s", zoo_say_bytes(bf16.read).text);
        zoo_doc_cell(doc, "%.0f %%", bf16.kept > 0 ? 100 * bf16.read / bf16.kept : 0);
    }
    zoo_doc_table_end(doc);
}

void zoo_caches_write(zoo_doc *doc, const zoo_caches *c)
{
    zoo_doc_heading(doc, 1, "What sequences keep");
    write_first(doc, c);
    zoo_doc_para(doc, "Of every head's: the share of what the same layers would keep of a position "
                      "if each query head had keys and values of its own.");
    for (uint32_t i = 0; i < c->n_contexts; i++) {
        write_context(doc, c, c->contexts[i]);
    }
    zoo_doc_para(doc, "Read may be more than kept where layers read the cache of another, and less "
                      "where they choose rows.");
    zoo_doc_end(doc);
}

static cJSON *arch_json(const zoo_caches *c, const zoo_arch *arch)
{
    cJSON *item = cJSON_CreateObject();
    char how[200];
    zoo_caches_means(arch, how, sizeof how);
    cJSON_AddStringToObject(item, "name", arch->name);
    cJSON_AddStringToObject(item, "how", how);
    cJSON_AddNumberToObject(item, "every_head_bytes_per_token", zoo_caches_every_head(arch));
    for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
        cJSON *one = cJSON_AddObjectToObject(item, dtypes[d].name);
        zoo_arch_cost first = zoo_arch_cost_at(arch, dtypes[d].dtype, 1);
        cJSON_AddNumberToObject(one, "bytes_per_token", first.growing);
        cJSON_AddNumberToObject(one, "bytes_per_token_windows_full", first.growing_later);
        cJSON_AddNumberToObject(one, "states", first.states);
        cJSON *at = cJSON_AddArrayToObject(one, "at");
        for (uint32_t i = 0; i < c->n_contexts; i++) {
            zoo_arch_cost cost = zoo_arch_cost_at(arch, dtypes[d].dtype, c->contexts[i]);
            cJSON *row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "positions", c->contexts[i]);
            cJSON_AddNumberToObject(row, "kept", cost.kept);
            cJSON_AddNumberToObject(row, "read", cost.read);
            cJSON_AddItemToArray(at, row);
        }
    }
    return item;
}

bool zoo_caches_json(zoo_out *out, const zoo_caches *c)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < c->n_archs; i++) {
        cJSON_AddItemToArray(list, arch_json(c, c->archs[i]));
    }
    char *text = cJSON_Print(list);
    cJSON_Delete(list);
    if (text) {
        zoo_out_text(out, text);
        zoo_out_text(out, "\n");
    }
    cJSON_free(text);
    return text && !out->failed;
}
