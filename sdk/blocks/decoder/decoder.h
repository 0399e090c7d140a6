/*
 * decoder.h: a config and a card become the plan of a decoder: embedding, layers, last norm, head.
 *
 * What varies between releases comes as config keys or as options of the card ("@..."); the files
 * beside this one say which, each for its part. An option that is a string where true or false is
 * meant names the config key that decides. Plugins call zoo_decoder_configure, or its steps where
 * their layers differ: zoo_decoder_begin, then layers of their own from zoo_decoder_attention,
 * zoo_decoder_ffn and zoo_decoder_frame.
 */
#ifndef ZOO_BLOCKS_DECODER_H
#define ZOO_BLOCKS_DECODER_H

#include "blocks/gqa/gqa.h"
#include "blocks/mlp/mlp.h"
#include "blocks/moe/moe.h"
#include "blocks/rope/rope.h"
#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZOO_REACHES = 3 };

/* How far a layer looks back. */
typedef enum zoo_reach {
    ZOO_REACH_FULL = 0,
    ZOO_REACH_SLIDING = 1,
    ZOO_REACH_CHUNKED = 2
} zoo_reach;

typedef struct zoo_decoder {
    const zoo_config *config;
    zoo_setup *setup;
    zoo_plan *plan;
    zoo_error *err;
    const char *prefix; /* "model" */
    uint32_t n_layers, hidden;
    uint32_t n_heads, n_kv_heads, head_dim, v_dim;
    uint32_t window, chunk; /* of the layer that is made; 0: none */
    uint32_t layer;         /* whose dense part is made */
    zoo_reach reach;
    float eps;
    uint32_t norm_kind; /* zoo_norm_kind */
    uint32_t norm_weight, norm_bias;
    const zoo_rope *ropes[ZOO_REACHES]; /* by zoo_reach; shared by their layers */
    const zoo_rope *unscaled;           /* of layers outside the list of option scaled_layers */
    float residual;
    uint32_t k_is_v,
        shares;         /* of the attention that is made: values are keys, reads other streams */
    uint32_t own_frame; /* the layer is one of those that attention_placement is for */
} zoo_decoder;

/* True or false: the option itself, or the config key that it names, or the fallback. */
bool zoo_decoder_flag(const zoo_decoder *b, const char *option, bool fallback);
/* "model" + "." + name, in the model arena; null when memory is out. */
const char *zoo_decoder_path(zoo_decoder *b, const char *name);
/* The norm of the model with this module name. */
zoo_norm zoo_decoder_norm(const zoo_decoder *b, const char *name);

/* A number of one layer: key[layer] where the key holds a list, else the value itself. */
double zoo_decoder_number(const zoo_decoder *b, const char *key, uint32_t layer, double fallback);

/* layer_types.c */
zoo_reach zoo_decoder_layer_reach(const zoo_decoder *b, uint32_t layer);
bool zoo_decoder_layer_rotates(const zoo_decoder *b, uint32_t layer);
/* Whether the list of layers at the key that the option names holds this one; lists.c */
bool zoo_decoder_layer_listed(const zoo_decoder *b, const char *option, uint32_t layer);
bool zoo_decoder_layer_skipped(const zoo_decoder *b, uint32_t layer);
/* sparse.c */
bool zoo_decoder_layer_sparse(const zoo_decoder *b, uint32_t layer);

/* The attention part of a layer; params in the model arena. attention.c */
zoo_status zoo_decoder_attention(zoo_decoder *b, uint32_t layer, zoo_part *out);
/* The rotary table of the layer being made (b->reach, b->head_dim). rope.c */
zoo_status zoo_decoder_rope(zoo_decoder *b, uint32_t layer, const zoo_rope **out);
/* The feed-forward part of a layer, dense or with experts. ffn.c, experts.c */
zoo_status zoo_decoder_ffn(zoo_decoder *b, uint32_t layer, zoo_part *out);
zoo_status zoo_decoder_dense(zoo_decoder *b, uint32_t width, const char *name, zoo_part *out);
zoo_status zoo_decoder_experts(zoo_decoder *b, uint32_t layer, zoo_part *out);
/* How experts are chosen in a layer. router.c */
void zoo_decoder_router(const zoo_decoder *b, uint32_t layer, zoo_router *r);
/* Reads the keys of experts, for layers that have none. experts.c */
void zoo_decoder_experts_keys(const zoo_decoder *b, uint32_t layer);
/* The activation, of dense parts and of experts. ffn.c */
zoo_glu zoo_decoder_glu(const zoo_decoder *b, const char *act);
/* The clamp that a list over the layers, named by the option, gives. ffn.c */
void zoo_decoder_limit(const zoo_decoder *b, const char *option, uint32_t layer, zoo_glu *glu);
/* Whether rows are rounded to 8 bits before matrices. ffn.c */
bool zoo_decoder_rounds(const zoo_decoder *b);
/* Branches around parts[0] (mixer) and parts[1 .. n_parts - 1] (feed-forward,
 * in one branch). layers.c */
zoo_status zoo_decoder_frame(zoo_decoder *b, uint32_t layer, zoo_part *parts, uint32_t n_parts,
                             zoo_layer *out);
/* A whole layer. layers.c */
zoo_status zoo_decoder_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);

/* Whether the plan of a prediction layer is asked for and the checkpoint has one. predict.c */
bool zoo_decoder_predicts(zoo_decoder *b);
/* Makes b->plan->prediction around this layer, whose path is set; b->plan must be complete.
 * predict.c */
zoo_status zoo_decoder_predict(zoo_decoder *b, zoo_layer *layer);
/* The same around a layer like the last one, where zoo_decoder_predicts says so. predict.c */
zoo_status zoo_decoder_predict_like_last(zoo_decoder *b);
/* Reads sizes, norms, embedding and head into b and the plan; call it before any layer is made.
 * model.c */
zoo_status zoo_decoder_begin(zoo_decoder *b, const zoo_config *config, zoo_setup *setup,
                             zoo_plan *plan, zoo_error *err);
/* Everything, layers included. */
zoo_status zoo_decoder_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                                 zoo_error *err);

#ifdef __cplusplus
}
#endif

#endif
