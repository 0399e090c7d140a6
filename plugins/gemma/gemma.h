/* gemma.h: what the files of this plugin share. */
#ifndef GEMMA_H
#define GEMMA_H

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

/* Inputs per layer: rows of a second embedding table, made once a step (per_layer.c). */
typedef struct gemma_per_layer {
    uint32_t hidden, n_layers, width; /* width: of one layer's input */
    uint32_t total;                   /* n_layers * width */
    uint32_t vocab;                   /* rows of the table; other ids read row 0 */
    float eps;
} gemma_per_layer;

/* Prologue part: y = x; the inputs [n_rows, total] stay in the memo keyed by its params. */
extern const zoo_block_ops gemma_per_layer_ops;
/* The inputs of the step's rows, [n_rows, total]. [step] */
const float *gemma_per_layer_inputs(zoo_ctx *ctx, const gemma_per_layer *params, uint32_t n_rows);

/* Tokens from begin on, below end, whose rows a tower makes (soft_tokens.c). */
typedef struct gemma_soft_tokens {
    uint32_t hidden, begin, end;
    uint32_t rows, width; /* of the tower's table */
    float eps;
} gemma_soft_tokens;
extern const zoo_block_ops gemma_soft_tokens_ops;
enum { GEMMA_TOWERS_MAX = 2 };
/* Writes the prologue parts of such tokens to parts [GEMMA_TOWERS_MAX] and adds their number to
 * *n_parts. Where the checkpoint lacks a table, the plan refuses its tokens. [load] */
zoo_status gemma_add_soft_tokens(zoo_decoder *b, zoo_part *parts, uint32_t *n_parts);

/* A layer with four norms, optional experts and per-layer input, a scalar (layer4.c). */
typedef struct gemma_layer4 {
    uint32_t hidden, one, width; /* width: of the per-layer input; 0: none */
    uint32_t has_experts, has_inputs, index, act;
    float eps;
    const gemma_per_layer *inputs;
} gemma_layer4;
extern const zoo_block_ops gemma_layer4_ops;

/* Experts whose router and input read the residual stream itself (experts4.c). */
typedef struct gemma_experts4 {
    uint32_t hidden, n_experts, width, one;
    zoo_router router;
    zoo_experts experts;
    zoo_rowmap gate_map, up_map;
    float eps;
} gemma_experts4;
extern const zoo_block_ops gemma_experts4_ops;

/* Several residual streams side by side in a row (streams.c). */
typedef struct gemma_streams {
    uint32_t hidden, n_streams, n_others; /* n_others = n_streams - 1 */
} gemma_streams;
extern const zoo_block_ops gemma_streams_begin_ops; /* [H] -> [n_streams H] */
extern const zoo_block_ops gemma_streams_end_ops;   /* [n_streams H] -> [H] */

/* A layer over several streams with a low-rank path beside attention (layer3n.c). */
typedef struct gemma_layer3n {
    uint32_t hidden, n_streams, n_coefs, active, rank, width, index, act,
        scaled; /* n_coefs = n_streams^2 */
    float eps;
    const gemma_per_layer *inputs;
} gemma_layer3n;
extern const zoo_block_ops gemma_layer3n_ops;

/* A layer whose residual and branches have learned weights (gated_residual.c). */
typedef struct gemma_gated {
    uint32_t hidden;
    float temperature, eps; /* eps of the norms after the branches */
} gemma_gated;
extern const zoo_block_ops gemma_gated_ops;

/* facts.c [load] */
typedef void gemma_facts_fn(const void *params, const zoo_facts *to);
gemma_facts_fn gemma_layer4_facts, gemma_layer3n_facts, gemma_experts4_facts,
    gemma_sparse_mlp_facts, gemma_per_layer_facts, gemma_gated_facts, gemma_soft_tokens_facts;

/* A gated mlp that keeps only gates above mean + cut * deviation (sparse_mlp.c). */
typedef struct gemma_sparse_mlp {
    uint32_t hidden, width, act;
    float cut; /* quantile of the normal distribution */
} gemma_sparse_mlp;
extern const zoo_block_ops gemma_sparse_mlp_ops;
zoo_status gemma_configure3n(zoo_decoder *b);

/* Plans: plain branches (model.c); layers with per-layer inputs and shared keys (model4.c). */
zoo_status gemma_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err);
zoo_status gemma_configure4(zoo_decoder *b);
/* The prologue that makes per-layer inputs, if the config has them; else *out is null. */
zoo_status gemma_add_inputs(zoo_decoder *b, const gemma_per_layer **out);
/* First layer that reads another layer's keys and values, and which one layer `layer` reads. */
uint32_t gemma_first_shared(const zoo_decoder *b);

#endif
