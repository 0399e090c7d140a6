/*
 * typed.c: latent attention whose layers differ by layer_types (option latent_types).
 *
 *   indexed_attention   an indexer, all keys
 *   full_attention      all keys; an indexer too, unless use_dsa says no or per_layer_config is
 *                       there without use_dsa
 *   sliding_attention   the last sliding_window keys
 *
 * Sizes of a layer: per_layer_config.<layer>.<key>; without per_layer_config the keys swa_<key>
 * count in sliding layers. Bases of the rotation: rope_parameters by type; without them
 * swa_rope_theta in sliding layers.
 */
#include <string.h>

#include "deepseek.h"

static const char *type_of(const ds_model *m, uint32_t layer)
{
    const zoo_config *c = m->b.config;
    char key[64];
    if (!zoo_decoder_flag(&m->b, "@latent_types", false)) {
        return "";
    }
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    return c->text(c, key, "");
}

bool ds_layer_slides(const ds_model *m, uint32_t layer)
{
    return strcmp(type_of(m, layer), "sliding_attention") == 0;
}

bool ds_layer_indexes(const ds_model *m, uint32_t layer)
{
    const zoo_config *c = m->b.config;
    const char *type = type_of(m, layer);
    if (!*type || strcmp(type, "sliding_attention") == 0) {
        return !*type && zoo_decoder_flag(&m->b, "@index", false);
    }
    bool indexed = strcmp(type, "indexed_attention") == 0;
    if (!indexed && strcmp(type, "full_attention") != 0) {
        c->refuse(c, "layer_types names \"%.60s\", which is no kind of layer here", type);
    }
    zoo_value use = c->type(c, "use_dsa");
    if (use == ZOO_ABSENT) {
        return indexed || c->type(c, "per_layer_config") != ZOO_OBJECT;
    }
    return use == ZOO_NULL ? indexed : c->flag(c, "use_dsa", true);
}

uint32_t ds_layer_size(const ds_model *m, uint32_t layer, const char *key, uint32_t fallback)
{
    const zoo_config *c = m->b.config;
    bool given = c->type(c, "per_layer_config") == ZOO_OBJECT;
    char own[96];
    if (!*type_of(m, layer)) {
        return c->whole(c, key, fallback);
    }
    (void)snprintf(own, sizeof own, "per_layer_config.%u.%s", layer, key);
    if (given && c->type(c, own) != ZOO_ABSENT) {
        return c->whole(c, own, 0);
    }
    if (given || !ds_layer_slides(m, layer)) {
        return c->whole(c, key, fallback);
    }
    (void)snprintf(own, sizeof own, "swa_%s", key);
    if (strcmp(key, "qk_rope_head_dim") == 0 && c->type(c, own) == ZOO_ABSENT) {
        return c->whole(c, "swa_head_dim", 0) - c->whole(c, "swa_qk_nope_head_dim", 0);
    }
    return c->whole(c, own, fallback);
}

static zoo_status read_rope(ds_model *m, uint32_t layer, const zoo_rope **out)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
    if (!rope) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
    }
    uint32_t dim = ds_layer_size(m, layer, "qk_rope_head_dim", 64);
    bool slides = ds_layer_slides(m, layer);
    zoo_rope_want want = {.head_dim = dim,
                          .rotary_dim = dim,
                          .partial_key = "",
                          .layer_type = slides                       ? "sliding_attention"
                                        : ds_layer_indexes(m, layer) ? "indexed_attention"
                                                                     : "full_attention",
                          .theta_fixed = slides ? c->number(c, "swa_rope_theta", 0) : 0,
                          .interleaved = true};
    ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
    zoo_rope_reread(rope, b->plan);
    *out = rope;
    return ZOO_OK;
}

/* Members of per_layer_config that follow from others. */
static void claim_derived(const ds_model *m, uint32_t layer)
{
    static const char *const derived[] = {"head_dim", "num_key_value_heads"};
    const zoo_config *c = m->b.config;
    char key[96];
    for (size_t i = 0; i < ZOO_COUNT(derived); i++) {
        (void)snprintf(key, sizeof key, "per_layer_config.%u.%s", layer, derived[i]);
        (void)c->type(c, key);
    }
}

/* Keys of an indexer, where no layer may have one. */
static void claim_index(const zoo_config *c)
{
    (void)c->type(c, "index_n_heads");
    (void)c->type(c, "index_head_dim");
    (void)c->type(c, "index_topk");
}

zoo_status ds_read_typed_ropes(ds_model *m)
{
    claim_index(m->b.config);
    for (uint32_t i = 0; i < m->b.n_layers; i++) {
        claim_derived(m, i);
        const zoo_rope **to = ds_layer_slides(m, i) ? &m->sliding_rope : &m->rope;
        if (!*to) {
            ZOO_TRY(read_rope(m, i, to));
        }
    }
    return ZOO_OK;
}
