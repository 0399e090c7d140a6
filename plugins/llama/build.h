/*
 * build.h: how this plugin turns a config into a plan, one small file for each part of a layer.
 *
 * What varies between releases comes as config keys or as options of the card ("@..."); the files
 * say which. An option that is a string where true or false is meant names the config key that
 * decides.
 */
#ifndef LLAMA_BUILD_H
#define LLAMA_BUILD_H

#include "blocks/gqa.h"
#include "blocks/mlp.h"
#include "blocks/moe.h"
#include "blocks/rope.h"
#include "zoo.h"

enum { LLAMA_KINDS_MAX = 3 };

/* How far a layer looks back. */
typedef enum llama_reach { LLAMA_FULL = 0, LLAMA_SLIDING = 1, LLAMA_CHUNKED = 2 } llama_reach;

typedef struct llama_build {
    const zoo_config *config;
    zoo_setup *setup;
    zoo_plan *plan;
    zoo_error *err;
    const char *prefix; /* "model" */
    uint32_t n_layers, hidden;
    uint32_t n_heads, n_kv_heads, head_dim, v_dim;
    uint32_t window, chunk;
    float eps;
    uint32_t norm_kind; /* zoo_norm_kind */
    uint32_t norm_weight, norm_bias;
    const zoo_rope *ropes[LLAMA_KINDS_MAX]; /* by llama_reach; shared by their layers */
    float residual;
} llama_build;

/* True or false: the option itself, or the config key that it names, or the fallback. */
bool llama_flag(const llama_build *b, const char *option, bool fallback);
/* "model" + "." + name, in the model arena; null when memory is out. */
const char *llama_path(llama_build *b, const char *name);
/* The norm of the model with this module name. */
zoo_norm llama_norm(const llama_build *b, const char *name);

/* layer_types.c */
llama_reach llama_layer_reach(const llama_build *b, uint32_t layer);
bool llama_layer_rotates(const llama_build *b, uint32_t layer);
bool llama_layer_sparse(const llama_build *b, uint32_t layer);

/* attention.c: the attention part of a layer; params in the model arena. */
zoo_status llama_attention(llama_build *b, uint32_t layer, zoo_part *out);
/* ffn.c: the feed-forward part of a layer, dense or with experts. */
zoo_status llama_ffn(llama_build *b, uint32_t layer, zoo_part *out);
/* experts.c */
zoo_status llama_experts(llama_build *b, uint32_t layer, zoo_part *out);
/* layers.c: branches of a layer around its two parts. */
zoo_status llama_layer(llama_build *b, uint32_t layer, zoo_layer *out);
/* model.c: everything. */
zoo_status llama_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err);

#endif
