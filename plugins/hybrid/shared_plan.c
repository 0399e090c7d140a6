/*
 * shared_plan.c: the parts of a layer after a shared transformer block.
 *
 * Keys: num_mem_blocks, adapter_rank, use_shared_attention_adapter, attention_head_dim,
 * attention_hidden_size. Options: shared_block (its module name), shared_rope (a key), adapters.
 * Hybrid layer j (counted among hybrid layers) uses block j % num_mem_blocks, whose tensors stand
 * in the block's first layer, or in every one where tie_word_embeddings is false, which in the
 * reference unties blocks as well; its adapters have the index j.
 */
#include <math.h>

#include "shared.h"

typedef struct shared_site {
    zoo_decoder *b;
    zoo_part *parts;
    shared_params *p;
    uint32_t layer, ordinal;
    const char *home; /* module path of the shared block's tensors */
    const char *name; /* its module name in this layer */
    uint32_t rank;
} shared_site;

/* "<home><below>", or "<home><below>.<ordinal>" with numbered. */
static const char *below(const shared_site *s, const char *name, bool numbered)
{
    char *path = s->b->setup->take(s->b->setup, 300);
    char number[16] = "";
    if (numbered) {
        (void)snprintf(number, sizeof number, ".%u", s->ordinal);
    }
    if (path) {
        (void)snprintf(path, 300, "%s.%s%s", s->home, name, number);
    }
    return path;
}

static zoo_status find_home(shared_site *s)
{
    const zoo_decoder *b = s->b;
    const zoo_config *c = b->config;
    uint32_t n_blocks = c->whole(c, "num_mem_blocks", 1), found = 0, home = s->layer;
    char path[128];
    for (uint32_t i = 0; i < s->layer; i++) {
        s->ordinal += hybrid_layer_kind(b, i) == HYBRID_SHARED;
    }
    uint32_t block = n_blocks ? s->ordinal % n_blocks : 0;
    for (uint32_t i = 0; i <= s->layer; i++) {
        home = hybrid_layer_kind(b, i) == HYBRID_SHARED && found++ == block ? i : home;
    }
    s->name = c->text(c, "@shared_block", "shared_transformer");
    (void)snprintf(path, sizeof path, "layers.%u.%s", b->plan->tied ? home : s->layer, s->name);
    s->home = zoo_decoder_path(s->b, path);
    s->rank = zoo_decoder_flag(b, "@adapters", false) ? c->whole(c, "adapter_rank", 128) : 0;
    return s->home ? ZOO_OK : zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status read_rope(zoo_decoder *b, const zoo_rope **out)
{
    const zoo_config *c = b->config;
    if (!zoo_decoder_flag(b, "@shared_rope", false)) {
        return ZOO_OK;
    }
    if (!b->ropes[ZOO_REACH_FULL]) {
        const zoo_rope_want want = {.head_dim = c->whole(c, "attention_head_dim", 0),
                                    .theta = 10000.0};
        zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
        if (!rope) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
        }
        ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
        b->ropes[ZOO_REACH_FULL] = rope;
    }
    *out = b->ropes[ZOO_REACH_FULL];
    return ZOO_OK;
}

static zoo_status add_adapters(shared_site *s, const zoo_gqa *a)
{
    static const char *const names[] = {"self_attn.linear_q_adapter_list",
                                        "self_attn.linear_k_adapter_list",
                                        "self_attn.linear_v_adapter_list"};
    const uint32_t rows[] = {a->derived.q_rows, a->derived.k_rows, a->derived.v_rows};
    for (uint32_t i = 0; i < 3; i++) {
        const char *path = below(s, names[i], true);
        const hybrid_map map = {path, names[i], a->shape.width_in, rows[i], s->rank};
        s->p->qkv_rows[i] = rows[i];
        s->p->adapters[i] = s->p->n_parts;
        ZOO_TRY(hybrid_map_part(s->b, &map, &s->parts[s->p->n_parts++]));
    }
    return ZOO_OK;
}

static zoo_status add_attention(shared_site *s)
{
    zoo_decoder *b = s->b;
    const zoo_config *c = b->config;
    zoo_gqa *a = b->setup->take(b->setup, sizeof *a);
    if (!a) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    a->shape.width_in = c->whole(c, "attention_hidden_size", 2 * b->hidden);
    a->shape.width_out = b->hidden;
    a->shape.n_heads = b->n_heads;
    a->shape.n_kv_heads = b->n_kv_heads;
    a->shape.head_dim = c->whole(c, "attention_head_dim", a->shape.width_in / b->n_heads);
    a->options.scale = (float)pow(a->shape.head_dim / 2.0, -0.5);
    a->options.added = s->rank && c->flag(c, "use_shared_attention_adapter", false);
    ZOO_TRY(read_rope(b, &a->options.rope));
    ZOO_TRY(zoo_gqa_finish(a, b->err));
    if (a->shape.width_in != 2 * b->hidden) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "attention_hidden_size is %u, not twice %u",
                        a->shape.width_in, b->hidden);
    }
    if (a->options.added) {
        ZOO_TRY(add_adapters(s, a));
    }
    uint32_t n_added = s->p->qkv_rows[0] + s->p->qkv_rows[1] + s->p->qkv_rows[2];
    s->p->attention = s->p->n_parts++;
    s->parts[s->p->attention] = (zoo_part){.ops = &zoo_gqa_ops,
                                           .params = a,
                                           .name = "self_attn",
                                           .path = below(s, "self_attn", false),
                                           .in_scale = 1.0f,
                                           .out_scale = 1.0f,
                                           .width_in = a->shape.width_in + n_added};
    return ZOO_OK;
}

static zoo_status add_mlp(shared_site *s)
{
    zoo_decoder *b = s->b;
    zoo_part part;
    ZOO_TRY(
        zoo_decoder_dense(b, b->config->whole(b->config, "intermediate_size", 0), s->name, &part));
    zoo_mlp *m = b->setup->take(b->setup, sizeof *m);
    if (!m) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *m = *(const zoo_mlp *)part.params;
    m->added = s->rank != 0;
    part.params = m;
    part.path = below(s, "feed_forward", false);
    if (s->rank) {
        static const char name[] = "feed_forward.gate_up_proj_adapter_list";
        const hybrid_map map = {below(s, name, true), name, b->hidden, 2 * m->width, s->rank};
        s->p->mlp_rows = 2 * m->width;
        s->p->mlp_adapter = s->p->n_parts;
        part.width_in = b->hidden + s->p->mlp_rows;
        ZOO_TRY(hybrid_map_part(b, &map, &s->parts[s->p->n_parts++]));
    }
    s->parts[s->p->mlp = s->p->n_parts++] = part;
    return ZOO_OK;
}

/* The shared block and the map after it. */
static zoo_status add_block(shared_site *s)
{
    zoo_decoder *b = s->b;
    char name[64];
    ZOO_TRY(find_home(s));
    s->p->in_norm = s->p->n_parts++;
    const char *path = below(s, "input_layernorm", false);
    ZOO_TRY(hybrid_norm_part(b, path, "shared_norm", 2 * b->hidden, &s->parts[s->p->in_norm]));
    ZOO_TRY(add_attention(s));
    s->p->mid_norm = s->p->n_parts++;
    path = below(s, "pre_ff_layernorm", false);
    ZOO_TRY(hybrid_norm_part(b, path, "mid_norm", b->hidden, &s->parts[s->p->mid_norm]));
    ZOO_TRY(add_mlp(s));
    (void)snprintf(name, sizeof name, "layers.%u.linear", s->layer);
    const hybrid_map map = {zoo_decoder_path(b, name), "linear", b->hidden, b->hidden, 0};
    return hybrid_map_part(b, &map, &s->parts[s->p->linear = s->p->n_parts++]);
}

zoo_status hybrid_shared_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out)
{
    shared_params *p = b->setup->take(b->setup, sizeof *p);
    zoo_part *parts = b->setup->take(b->setup, SHARED_PARTS * sizeof *parts);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    *out = (zoo_layer){
        .path = zoo_decoder_path(b, name), .ops = &hybrid_shared_ops, .params = p, .parts = parts};
    if (!p || !parts || !out->path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p =
        (shared_params){.key = b->plan, .parts = parts, .hidden = b->hidden, .attention = ZOO_NONE};
    bool shared = kind == HYBRID_SHARED;
    if (shared) {
        shared_site site = {.b = b, .parts = parts, .p = p, .layer = layer};
        ZOO_TRY(add_block(&site));
    }
    p->mixer = p->n_parts++;
    ZOO_TRY(hybrid_mixer(b, layer, &parts[p->mixer]));
    parts[p->mixer].norm =
        zoo_decoder_norm(b, shared ? "mamba_decoder.input_layernorm" : "input_layernorm");
    parts[p->mixer].name = shared ? "mamba_decoder.mamba" : "mamba";
    out->n_parts = p->n_parts;
    return ZOO_OK;
}
