/*
 * latent_index.c: which keys latent attention reads (blocks/mla/mla.h), where it does not read all.
 *
 * Keys: index_topk, index_n_heads, index_head_dim, indexer_types, index_kpool,
 * index_kpool_always_select_tail. Option: index.
 */
#include <string.h>

#include "blocks/mla/mla.h"
#include "hybrid.h"

/* Whether a layer has an indexer of its own. */
static bool chooses(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    char key[64];
    (void)snprintf(key, sizeof key, "indexer_types[%u]", layer);
    const char *type = c->text(c, key, "");
    if (strcmp(type, "full") != 0 && strcmp(type, "shared") != 0) {
        c->refuse(c, "%s is \"%.60s\", which is neither full nor shared", key, type);
    }
    return strcmp(type, "full") == 0;
}

void hybrid_latent_index(const zoo_decoder *b, uint32_t layer, zoo_mla *p)
{
    static const char choice; /* names the memo of a step */
    const zoo_config *c = b->config;
    if (!zoo_decoder_flag(b, "@index", false)) {
        return;
    }
    uint32_t n_heads = c->whole(c, "index_n_heads", 32), dim = c->whole(c, "index_head_dim", 128);
    bool own = chooses(b, layer);
    if (!own && (layer == 0 || hybrid_layer_kind(b, layer - 1) != HYBRID_ATTENTION ||
                 !chooses(b, layer - 1))) {
        c->refuse(c, "layer %u shares the choice of the layer before it, which chooses no keys",
                  layer);
    }
    p->index = (zoo_mla_index){.n_heads = own ? n_heads : 0,
                               .dim = own ? dim : 0,
                               .top_k = c->whole(c, "index_topk", 2048),
                               .follows = !own,
                               .choice = &choice,
                               .pool = c->whole(c, "index_kpool", 16)};
    bool tail = c->flag(c, "index_kpool_always_select_tail", true);
    if (!tail && p->index.pool > 1) {
        c->refuse(c, "index_kpool_always_select_tail is false, with which the first tokens of a "
                     "text read no key");
    }
}
