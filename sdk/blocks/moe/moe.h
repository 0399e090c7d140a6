/*
 * moe.h: routed experts: a router chooses top_k of n_experts for each row, the chosen run grouped.
 *
 *   routes = route(Wr x)
 *   y = scale * sum over chosen e, ascending, of w_e * expert_e(x) + shared(x)
 *
 * Rows of a step that chose the same expert are multiplied by its matrices together; a step reads
 * only chosen experts. A row adds its experts in ascending order of their index, so its bits do not
 * depend on the batch. Ties go to the lower index.
 *
 * Two pieces serve other blocks as they are: zoo_moe_route (routing rule on router logits) and
 * zoo_moe_apply (grouped experts for given routes).
 *
 * Tensors below the block's module (cards rename files to these):
 *   gate.weight [n_experts, in], gate.bias, gate.e_score_correction_bias [n_experts]
 *   per expert: experts.<e>.{gate,up}_proj.weight [F, in], experts.<e>.down_proj.weight [out, F],
 *               .bias of each
 *   stacked:    experts.gate_up_proj [E, 2F, in] or experts.{gate,up}_proj [E, F, in],
 *               experts.down_proj [E, out, F]; experts.gate_up_proj_bias [E, 2F],
 *               experts.down_proj_bias [E, out]
 *   shared_experts.{gate,up,down}_proj.weight or shared_experts.gate_up_proj.weight (mlp.h)
 *   shared_expert_gate.weight [1, in]   per_expert_scale [n_experts]
 *   latent_down.weight [latent, in], latent_up.weight [out, latent], .bias
 *   latent_norm.weight [latent]   experts.out_norm.weight [out, or latent]
 */
#ifndef ZOO_BLOCKS_MOE_H
#define ZOO_BLOCKS_MOE_H

#include "blocks/mlp/mlp.h"
#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a logit becomes before the choice. */
typedef enum zoo_score {
    ZOO_SCORE_LOGIT = 0,         /* itself */
    ZOO_SCORE_SOFTMAX = 1,       /* softmax over all experts */
    ZOO_SCORE_SIGMOID = 2,       /* sigmoid */
    ZOO_SCORE_SQRT_SOFTPLUS = 3, /* sqrt(softplus(logit)) */
    ZOO_SCORE_SPARSEMIXER = 4    /* two rounds of thresholded softmax; top_k is 2 */
} zoo_score;

/* What a chosen score becomes before it is renormalised. */
typedef enum zoo_chosen {
    ZOO_CHOSEN_SCORE = 0,   /* itself */
    ZOO_CHOSEN_SOFTMAX = 1, /* softmax over the chosen */
    ZOO_CHOSEN_SIGMOID = 2  /* sigmoid */
} zoo_chosen;

typedef enum zoo_renorm {
    ZOO_RENORM_NONE = 0,
    ZOO_RENORM_SUM = 1,   /* w / (sum + renorm_eps) */
    ZOO_RENORM_FLOOR = 2, /* w / max(sum, renorm_eps) */
    ZOO_RENORM_P = 3      /* w / (sum w^p)^(1/p), p = renorm_eps */
} zoo_renorm;

/* The rule: logit_scale -> softcap -> score -> (+ bias, for the choice only) -> groups -> top k
 *           -> chosen -> renorm -> scale -> per_expert_scale. */
typedef struct zoo_router {
    uint32_t n_experts; /* rows of the router, zero experts included */
    uint32_t top_k;
    uint32_t score;    /* zoo_score */
    uint32_t chosen;   /* zoo_chosen */
    uint32_t renorm;   /* zoo_renorm */
    float renorm_eps;  /* 1e-20 and the like */
    float scale;       /* 0: 1 */
    float logit_scale; /* of logits, before everything else; 0: 1 */
    float softcap;     /* of logits; 0: none */
    float jitter;      /* SPARSEMIXER: router_jitter_noise */
    uint32_t n_groups; /* 0 and 1: no groups; divides n_experts */
    uint32_t groups_kept;
    uint32_t group_sum2; /* a group's score is the sum of its two largest; else its largest */
    uint32_t group_zero; /* experts of rejected groups score 0; else -inf */
} zoo_router;

/* Routes of a step: expert numbers of a row ascending, with their weights. */
typedef struct zoo_routes {
    uint32_t *idx; /* [n_rows, top_k] */
    float *weight; /* [n_rows, top_k] */
    uint32_t top_k;
    uint32_t n_rows;
} zoo_routes;

/*
 * logits [n_rows, n_experts] (overwritten) -> routes, whose arrays the caller gives. bias:
 * [n_experts] or null; expert_scale: [n_experts] or null. fixed: null, or [n_rows, top_k] experts
 * that are chosen whatever their scores (hash routing). Takes zoo_moe_route_scratch bytes. [step]
 */
typedef struct zoo_route_args {
    const zoo_router *router;
    float *logits;
    const float *bias;
    const float *expert_scale;
    const uint32_t *fixed;
} zoo_route_args;
void zoo_moe_route(zoo_ctx *ctx, const zoo_route_args *args, zoo_routes *routes);
size_t zoo_moe_route_scratch(const zoo_router *router, uint32_t n_threads);

/* The experts themselves. */
typedef struct zoo_experts {
    uint32_t n;         /* experts that have matrices; routes at or above n return x itself */
    uint32_t width_in;  /* of x */
    uint32_t width;     /* F */
    uint32_t width_out; /* 0: width_in */
    uint32_t gated;
    zoo_glu glu;          /* plain: only its act */
    uint32_t weigh_input; /* x is multiplied by the weight, the output is not */
    /* Each expert's output d is norm(out_norm * d) before it is weighed: an RMS norm with this eps.
     * 0: no norm. */
    float out_eps;
    uint32_t out_norm; /* derived: whether there is one */
} zoo_experts;

typedef struct zoo_expert_weights {
    const zoo_weight *gate, *up, *down; /* [n]; gate only if gated */
    const float *gate_bias, *up_bias;   /* [n, width] or null */
    const float *down_bias;             /* [n, width_out] or null */
    const float *out_norm;              /* [width_out] or null; stored as the distance to 1 */
} zoo_expert_weights;

/* y [n_rows, width_out] = sum of the routed experts of x [n_rows, width_in]; takes
 * zoo_moe_apply_scratch bytes. [step] */
void zoo_moe_apply(zoo_ctx *ctx, const zoo_experts *experts, const zoo_expert_weights *weights,
                   const zoo_routes *routes, const float *x, float *y);
size_t zoo_moe_apply_scratch(const zoo_experts *experts, uint32_t top_k, uint32_t n_rows,
                             uint32_t n_threads);

/* Refuses experts that are not all packed to the same kind and group. For a block's prepare.
 * [load] */
zoo_status zoo_experts_check(const zoo_experts *experts, const zoo_expert_weights *weights,
                             zoo_error *err);

typedef enum zoo_expert_storage {
    ZOO_EXPERTS_EACH = 0,   /* tensors per expert */
    ZOO_EXPERTS_STACKED = 1 /* 3-D tensors */
} zoo_expert_storage;

/* The whole block. Fill, leave the rest zero, call zoo_moe_finish. [load] */
typedef struct zoo_moe {
    zoo_router router;
    zoo_experts experts;
    uint32_t router_bias;     /* gate.bias: on the logits */
    uint32_t correction_bias; /* gate.e_score_correction_bias: for the choice only */
    uint32_t bias_rows;       /* it is stored [bias_rows, n_experts], its first row counts; 0: 1 */
    uint32_t router_turned;   /* gate.weight is stored [in, n_experts] */
    /* gate.tid2eid [hash_rows, top_k]: the experts of each token id, whatever their scores.
     * 0: no such table. */
    uint32_t hash_rows;
    uint32_t per_expert_scale;
    uint32_t storage;       /* zoo_expert_storage */
    uint32_t fused;         /* zoo_fused of gate and up; EACH: gate_up_proj.weight of each expert */
    uint32_t in_transposed; /* STACKED: gate, up stored [E, in, F] ([E, in, 2F] fused) */
    uint32_t down_transposed; /* STACKED: down stored [E, F, out] */
    uint32_t expert_bias;     /* biases of the experts */

    uint32_t latent; /* width of latent_down x, the experts' input; 0: they read x itself */
    uint32_t latent_bias;
    uint32_t latent_norm; /* zoo_norm_kind of a norm behind latent_down; 0: none */
    float latent_eps;

    zoo_mlp shared;       /* shared.width 0: none; width_in and width_out are set by finish */
    uint32_t shared_gate; /* shared output times sigmoid(shared_expert_gate x) */
    float shared_scale;   /* 0: 1 */
    float routed_scale;   /* on the routed sum; 0: 1. Both 0.5: the average of the two */

    /* Derived by zoo_moe_finish. */
    uint32_t width_in, width_out; /* of the block */
    uint32_t one, shared_out_bias;
    zoo_rowmap gate_map, up_map, bias_map;
    struct {
        uint32_t router;
        uint32_t gate, up, down, fused;                             /* each */
        uint32_t s_gate, s_up, s_fused, s_down;                     /* stacked */
        uint32_t t_gate, t_up, t_fused, t_down;                     /* stacked, transposed */
        uint32_t gate_bias, up_bias, down_bias, fused_bias;         /* each */
        uint32_t s_gate_bias, s_up_bias, s_fused_bias, s_down_bias; /* stacked */
    } when;
} zoo_moe;

typedef struct zoo_moe_weights {
    zoo_weight router;
    zoo_table hash;
    const float *router_bias, *correction_bias, *expert_scale;
    zoo_expert_weights experts;
    zoo_mlp_weights shared;
    zoo_weight shared_gate, latent_down, latent_up;
    const float *latent_down_bias, *latent_up_bias, *latent_norm;
} zoo_moe_weights;

/* Sets defaults and derived fields; refuses what the block cannot compute. experts.width_in is the
 * latent width where there is one, else the block's. [load] */
zoo_status zoo_moe_finish(zoo_moe *params, uint32_t width_in, zoo_error *err);

extern const zoo_block_ops zoo_moe_ops; /* "moe" */

/* For a reader. facts.c [load] */
void zoo_moe_facts(const void *params, const zoo_facts *to);
void zoo_router_facts(const zoo_router *router, const zoo_facts *to);

#ifdef __cplusplus
}
#endif

#endif
