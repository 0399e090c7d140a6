/*
 * streams.c: what latent attention keeps of a sequence.
 *
 * Streams: latent [kv_lora], rope_key [rope], with an indexer index_key [d]; one row per position,
 * of index_key one per pool, whose tokens wait in the state index_open.
 * The latent tolerates int4, as rounding errors average out over kv_lora values; the rope key is
 * not normalised and carries the position, so it is at least bf16; the index key only ranks and
 * tolerates int8.
 */
#include "blocks/mla/impl.h"

uint32_t zoo_mla_streams(const void *params, zoo_stream *out)
{
    const zoo_mla *p = params;
    out[MLA_LATENT] = (zoo_stream){.name = "latent",
                                   .kind = p->window ? ZOO_RING : ZOO_ROWS,
                                   .window = p->window,
                                   .width = p->kv_lora,
                                   .heads = 1,
                                   .stride = 1,
                                   .dtype_min = p->kv_lora % 2 ? ZOO_INT8 : ZOO_INT4};
    if (p->rope_dim) {
        out[MLA_ROPE] = out[MLA_LATENT];
        out[MLA_ROPE].name = "rope_key";
        out[MLA_ROPE].width = p->rope_dim;
        out[MLA_ROPE].dtype_min = ZOO_BF16;
    }
    if (!p->when.index) {
        return p->index_stream;
    }
    zoo_stream *key = &out[p->index_stream];
    *key = out[MLA_LATENT];
    key->name = "index_key";
    key->width = p->index.dim;
    key->stride = p->index.pool;
    key->dtype_min = ZOO_INT8;
    if (!p->when.pool) {
        return p->index_stream + 1;
    }
    out[p->open_stream] = (zoo_stream){.name = "index_open",
                                       .kind = ZOO_STATE,
                                       .width = 2 * p->index.pool * p->index.dim,
                                       .heads = 1};
    return p->open_stream + 1;
}
