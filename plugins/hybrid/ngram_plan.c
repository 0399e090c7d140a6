/*
 * ngram_plan.c: params and tensors of the table of n-grams (formulas: ngram.h).
 *
 * Keys: ngram_size, heads_per_ngram, ple_embed_dim, ple_conv_kernel_size, ngram_vocab_size_base,
 * make_ngram_vocab_size_divisible_by, seed, eos_token_id (the first of a list).
 */
#include "blocks/rows.h"
#include "ngram.h"

#define ZOO_ROW_WEIGHTS hybrid_ngram_weights
#define ZOO_ROW_PARAMS  hybrid_ngram

const zoo_bind hybrid_ngram_binds[] = {
    ZOO_ROW_MATRIX(key, "key_proj.weight", 0, streams.flat, embed, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(value, "value_proj.weight", 0, streams.hidden, embed, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm_key, "norm_key.weight", streams.flat, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm_query, "norm_query.weight", streams.flat, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(norm_conv, "norm_conv.weight", streams.flat, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(hybrid_ngram_weights, conv, ZOO_BIND_VECTOR, 0, "conv1d.weight", hybrid_ngram,
             streams.flat, ZOO_ROW_AT(taps), ZOO_NONE),
    ZOO_BIND(hybrid_ngram_weights, table, ZOO_BIND_TABLE, 0, "ple_embedding.ngram_embedding.weight",
             hybrid_ngram, rows, ZOO_ROW_AT(head_dim), ZOO_NONE),
    ZOO_BIND(hybrid_ngram_weights, multipliers, ZOO_BIND_INTEGERS, ZOO_BIND_OPTIONAL,
             "ple_embedding.layer_multipliers", hybrid_ngram, ngram, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(hybrid_ngram_weights, primes, ZOO_BIND_INTEGERS, ZOO_BIND_OPTIONAL,
             "ple_embedding.ngram_heads_vocab_sizes", hybrid_ngram, n_heads, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(hybrid_ngram_weights, offsets, ZOO_BIND_INTEGERS, ZOO_BIND_OPTIONAL,
             "ple_embedding.ngram_heads_offsets", hybrid_ngram, n_heads, ZOO_NONE, ZOO_NONE),
    {0}};

uint32_t hybrid_ngram_streams(const void *params, zoo_stream *out)
{
    const hybrid_ngram *p = params;
    out[HYBRID_NGRAM_TOKENS] = hybrid_state("tokens", p->ngram - 1);
    out[HYBRID_NGRAM_CONV] = hybrid_state("conv", p->back * p->streams.flat);
    return 2;
}

zoo_status hybrid_ngram_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const hybrid_ngram *p = params;
    hybrid_ngram_weights *w = weights;
    size_t flat = p->streams.flat;
    float *turned = setup->take(setup, p->taps * flat * sizeof *turned);
    hybrid_ngram_hashes *hashes = setup->take(setup, sizeof *hashes);
    if (!turned || !hashes) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the convolution of n-grams");
    }
    for (size_t c = 0; c < flat; c++) {
        for (uint32_t t = 0; t < p->taps; t++) {
            turned[t * flat + c] = w->conv[c * p->taps + t];
        }
    }
    w->turned = turned;
    w->hashes = hashes;
    return hybrid_ngram_stored(p, w, hashes, err);
}

static uint64_t read_seed(const zoo_config *c)
{
    double seed = c->number(c, "seed", 1234);
    if (!(seed > -0x1p53 && seed < 0x1p53)) {
        c->refuse(c, "a seed beyond 2^53 is not read exactly");
        return 0;
    }
    return (uint64_t)(int64_t)seed;
}

static uint32_t read_end_token(const zoo_config *c)
{
    const char *key = c->type(c, "eos_token_id") == ZOO_ARRAY ? "eos_token_id[0]" : "eos_token_id";
    if (c->type(c, key) != ZOO_NUMBER) {
        c->refuse(c, "eos_token_id is not given, and n-grams end at that token");
    }
    return c->whole(c, key, 0);
}

static zoo_status refuse_sizes(const hybrid_ngram *p, uint32_t per, zoo_error *err)
{
    if (p->ngram < 2 || p->ngram > HYBRID_NGRAM_MAX || !per || per > HYBRID_NGRAM_HEADS_MAX ||
        per * (p->ngram - 1) > HYBRID_NGRAM_HEADS_MAX || !p->embed || p->embed > 1u << 20 ||
        p->embed % (per * (p->ngram - 1)) != 0 || p->taps < 2 || p->taps > 64 ||
        (uint64_t)p->taps * p->ngram * p->streams.flat > 1u << 28) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "n-grams of up to %u tokens (at most %d), %u heads each (at most %d of all "
                        "sizes), that share rows of %u, under a convolution of %u taps",
                        p->ngram, HYBRID_NGRAM_MAX, per, HYBRID_NGRAM_HEADS_MAX, p->embed, p->taps);
    }
    return ZOO_OK;
}

zoo_status hybrid_ngram_part(zoo_decoder *b, const hybrid_streams *streams, uint32_t index,
                             zoo_part *out)
{
    const zoo_config *c = b->config;
    hybrid_ngram *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    uint32_t per = c->whole(c, "heads_per_ngram", 8);
    p->streams = *streams;
    p->ngram = c->whole(c, "ngram_size", 3);
    p->embed = c->whole(c, "ple_embed_dim", b->hidden);
    p->taps = c->whole(c, "ple_conv_kernel_size", 4);
    p->end_token = read_end_token(c);
    ZOO_TRY(refuse_sizes(p, per, b->err));
    if (c->whole(c, "vocab_size", 0) >= 1u << 24) {
        c->refuse(c, "n-grams of tokens from a vocabulary of %u", c->whole(c, "vocab_size", 0));
    }
    p->n_heads = per * (p->ngram - 1);
    p->head_dim = p->embed / p->n_heads;
    p->back = (p->taps - 1) * p->ngram;
    ZOO_TRY(hybrid_ngram_hash(p, index, read_seed(c), c->whole(c, "vocab_size", 0),
                              c->whole(c, "ngram_vocab_size_base", 20000000),
                              c->whole(c, "make_ngram_vocab_size_divisible_by", 128), b->err));
    *out = (zoo_part){.ops = &hybrid_ngram_ops,
                      .params = p,
                      .name = "ple",
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = streams->flat,
                      .width_out = streams->flat};
    return ZOO_OK;
}

void hybrid_ngram_facts(const void *params, const zoo_facts *to)
{
    const hybrid_ngram *p = params;
    to->text(to, "kind", "table of hashed n-grams");
    to->number(to, "tokens", p->ngram);
    to->number(to, "heads", p->n_heads);
    to->number(to, "rows", p->rows);
    to->number(to, "row_width", p->head_dim);
    to->number(to, "convolution", p->taps);
    to->number(to, "flops.conv", 2.0 * p->taps * p->streams.flat);
}
