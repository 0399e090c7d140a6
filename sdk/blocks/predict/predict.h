/*
 * predict.h: the input of a prediction layer (multi-token prediction), as a part of a prologue.
 *
 *   y = W [norm(e) ; norm(h)]   or, with hidden_first, W [norm(h) ; norm(e)]
 *
 * A row of x is the embedding e of the next token, then the given row h of the model. Tensors at
 * the block's path, in the spellings of the releases: enorm, pre_fc_norm_embedding or
 * token_layernorm; hnorm, pre_fc_norm_hidden or hidden_layernorm; eh_proj, fc or input_proj.
 *
 * Source: DeepSeek-V3, arXiv 2412.19437, section 2.2.
 */
#ifndef ZOO_BLOCKS_PREDICT_H
#define ZOO_BLOCKS_PREDICT_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zoo_predict {
    uint32_t width;    /* of e and of h */
    uint32_t width_in; /* of both */
    uint32_t hidden_first;
    uint32_t norm_kind; /* zoo_norm_kind, without bias */
    float eps;
} zoo_predict;

extern const zoo_block_ops zoo_predict_ops; /* "predict" */

#ifdef __cplusplus
}
#endif

#endif
