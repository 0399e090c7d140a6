/*
 * sunk.h: experts whose shared ones take part in the choice's weights.
 *
 *   s = sigmoid(Wr x), of the routed experts and of the shared ones;  C = the top k routed by
 *   s + correction;   w_e = scale s_e / sum of s over C and the shared ones
 *   y = sum over C and the shared ones, of w_e expert_e(x)
 *
 * scale is a number of the config times a stored one. Shared experts stand behind the routed ones
 * in all arrays here, and are always chosen.
 */
#ifndef HYBRID_SUNK_H
#define HYBRID_SUNK_H

#include "blocks/ops.h"
#include "hybrid.h"

typedef struct sunk_params {
    uint32_t width_in, n_routed, n_shared, one;
    zoo_router router;   /* of all experts; top_k counts the shared ones */
    zoo_experts experts; /* all */
    zoo_rowmap gate_map, up_map;
    uint32_t split, fused; /* how gates and ups of the shared experts are stored */
} sunk_params;

typedef struct sunk_weights {
    zoo_weight router;
    const float *correction;   /* [n_routed]; after loading [n_routed + n_shared] */
    const float *global;       /* [1] */
    const float *factor;       /* [n_routed + n_shared], all of them global */
    zoo_expert_weights routed; /* as they are stored */
    zoo_expert_weights shared;
    zoo_expert_weights experts; /* both */
} sunk_weights;

extern const zoo_bind hybrid_sunk_binds[];
hybrid_facts_fn hybrid_sunk_facts;
void hybrid_sunk_explain(const void *params, char *text, size_t n);

#endif
