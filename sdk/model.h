/*
 * model.h: reading a config and writing the plan: what configure sees and what it returns.
 *
 * The plan is data: a list of layers, each a list of branches that add to the residual stream, each
 * branch a few parts (norm, block, scales). The host executes it and decides nothing itself. All
 * memory of a plan comes from zoo_setup.take and lives as long as the model.
 */
#ifndef ZOO_MODEL_H
#define ZOO_MODEL_H

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZOO_PARTS_MAX = 16, ZOO_BRANCHES_MAX = 4 };

typedef enum zoo_value {
    ZOO_ABSENT = 0,
    ZOO_NULL = 1,
    ZOO_BOOLEAN = 2,
    ZOO_NUMBER = 3,
    ZOO_STRING = 4,
    ZOO_ARRAY = 5,
    ZOO_OBJECT = 6
} zoo_value;

/*
 * The checkpoint's config as the plugin sees it: config.json (its text_config where there is one),
 * with the card's aliases, defaults and fixed values applied. A key is a path:
 * "rope_parameters.rope_theta", "layer_types[3]". A key that begins with '@' is an option of the
 * card ("@norm"), never of the file. Reading a key claims it; the host refuses unclaimed keys. The
 * first value of a wrong type (a string for a number, a fraction for a count) is recorded and fails
 * the load after configure returns, so callers need not check each value.
 */
typedef struct zoo_config zoo_config;
struct zoo_config {
    uint32_t size;
    uint32_t reserved;
    void *host;
    zoo_value (*type)(const zoo_config *config, const char *key);
    /* Elements of an array, members of an object, else 0. */
    uint32_t (*count)(const zoo_config *config, const char *key);
    /* The value, or the fallback where it is absent or null.
     * Strings live as long as the model. [load] */
    double (*number)(const zoo_config *config, const char *key, double fallback);
    uint32_t (*whole)(const zoo_config *config, const char *key, uint32_t fallback);
    bool (*flag)(const zoo_config *config, const char *key, bool fallback);
    const char *(*text)(const zoo_config *config, const char *key, const char *fallback);
    /* Whether the checkpoint holds a tensor of this canonical name (renames applied). [load] */
    bool (*has_tensor)(const zoo_config *config, const char *name);
    /* Refuses the config with one sentence (printf); the first refusal is reported after configure
     * returns. */
    void (*refuse)(const zoo_config *config, const char *format, ...);
    /* Dims of the tensor that the checkpoint holds under this canonical name, to dims [n]; returns
     * how many there are, 0 where there is none or no weights are at hand. Dims beyond n are left
     * out. A quantised matrix has the dims of its values, a scalar has one of 1. [load] */
    uint32_t (*shape)(const zoo_config *config, const char *name, uint64_t *dims, uint32_t n);
};

typedef enum zoo_norm_kind {
    ZOO_NORM_NONE = 0,
    ZOO_NORM_RMS = 1,           /* x / rms(x) * w */
    ZOO_NORM_RMS_PLUS_ONE = 2,  /* x / rms(x) * (1 + w) */
    ZOO_NORM_LAYER = 3,         /* (x - mean) / std * w + b */
    ZOO_NORM_LAYER_PLUS_ONE = 4 /* (x - mean) / std * (1 + w) + b */
} zoo_norm_kind;

/* A norm over the width of its input. name is the module below the layer's path,
 * such as "input_layernorm". */
typedef struct zoo_norm {
    uint32_t kind; /* zoo_norm_kind */
    float eps;
    const char *name;
    uint32_t has_weight;
    uint32_t has_bias;
    uint32_t width; /* 0: the width of its input */
    uint32_t reserved;
} zoo_norm;

/*
 * A part: y = out_scale * block(in_scale * norm(x)); without ops y is the scaled norm itself. Parts
 * of one branch that name the same norm share its result. path: the module path of the block's
 * tensors where it is not `<layer path>.<name>`; a block that several layers share has one path and
 * is bound once.
 */
typedef struct zoo_part {
    const zoo_block_ops *ops;
    const void *params;
    const char *name; /* module name below the layer: "self_attn" */
    const char *path; /* null: `<layer path>.<name>` */
    zoo_norm norm;
    float in_scale;               /* 1: none */
    float out_scale;              /* 1: none */
    uint32_t width_in, width_out; /* 0: hidden_size */
    /* Reads the streams of this earlier part (same ops) and owns none itself; null: its own. */
    const struct zoo_part *cache_of;
} zoo_part;

/*
 * A branch: u = sum of its parts' outputs; u = post(u); h = h_scale * h + scale * u; h = after(h).
 * residual_from_norm: h on the right side is the first part's normed input in place of the stream
 * itself.
 */
typedef struct zoo_branch {
    const zoo_part *parts;
    uint32_t n_parts;
    uint32_t residual_from_norm;
    zoo_norm post;  /* on the sum, before the addition */
    zoo_norm after; /* on the stream, after the addition */
    float scale;    /* 1: none */
    float h_scale;  /* 1: none */
} zoo_branch;

/*
 * A layer. Either `branches` (the host owns the skeleton) or `ops`: a block over the whole residual
 * stream that runs its `parts` through zoo_ctx.part. Parts of a layer with ops carry their own
 * norms and scales.
 */
typedef struct zoo_layer {
    const char *path; /* module path, also its name in a trace: "model.layers.3" */
    const char *kind; /* for a reader: "full_attention", "mamba" */
    const zoo_branch *branches;
    const zoo_block_ops *ops; /* null: branches */
    const void *params;
    const zoo_part *parts; /* layers with ops */
    uint32_t n_branches;
    uint32_t n_parts;
} zoo_layer;

/*
 * The whole model. Tokens are looked up in `embed`, scaled, passed through `prologue` (each part
 * maps the row of width_in to width_out; widths must chain), then the layers, then `epilogue`, then
 * `norm`, then the head: logits = softcap(head_scale * (W h + b)).
 */
typedef struct zoo_plan {
    uint32_t size;
    uint32_t vocab_size; /* rows of the head that count, and tokens */
    uint32_t hidden_size;
    uint32_t stream_width; /* floats of a row of the residual: hidden_size times its streams */
    uint32_t embed_width;  /* floats of a row of the embedding table; 0: hidden_size */
    uint32_t context_max;  /* positions that the model was made for (max_position_embeddings) */
    const zoo_layer *layers;
    uint32_t n_layers;
    uint32_t n_prologue, n_epilogue;
    uint32_t tied; /* the head is the embedding table */
    const zoo_part *prologue;
    const zoo_part *epilogue;
    const char *embed_path; /* "model.embed_tokens" */
    const char *norm_path;  /* "model.norm": name of the last norm in files and traces */
    const char *head_path;  /* "lm_head" */
    zoo_norm norm;          /* its name is norm_path */
    float embed_scale;      /* on the embedding row */
    /* Which value the trace names `embed`: 0 before the scale, 1 after it, 2 after the prologue. */
    uint32_t embed_scale_inside;
    float head_scale;
    float softcap; /* 0: none */
    uint32_t head_bias;
    /*
     * A sequence that grows past one of these lengths is computed again from its first row, as one
     * forward call of the new length (rotary tables that depend on the length): once past
     * `reread_after`, at every step past `reread_always`. 0: never.
     */
    uint32_t reread_after;
    uint32_t reread_always;
    /* Hard limit of the context (rows of a stored table of positions). 0: none. */
    uint32_t positions_max;
    /* Rows of the embedding table; 0: vocab_size. A head may be stored with as many: its first
     * vocab_size rows count. */
    uint32_t embed_rows;
    /*
     * Generated tokens from this number on are not computed as tokens of a prompt are (a window
     * over generated tokens alone), so their rows don't serve a later prompt. 0: all are.
     */
    uint32_t reuse_generated_max;
    /*
     * The prediction layer (multi-token prediction) as a model of its own with the same embedding
     * and head, made where zoo_setup.predicts asks for it; null: none. At position i it reads the
     * embedding of token i + 1 and this model's row at i, and predicts token i + 2.
     */
    const struct zoo_plan *prediction;
    /* In such a plan: floats of the given row, which follows the embedding in each row that the
     * prologue reads; 0: no row is given. */
    uint32_t given_width;
    /* Whether the given row is taken before the last norm of the model that computed it. */
    uint32_t given_raw;
    /* Floats of a row of the residual, from the first on, that are its present value and that a
     * trace shows; what lies behind them is kept from earlier layers. 0: all of stream_width. */
    uint32_t stream_shown;
    /* Tokens from this one on have no embedding in this checkpoint and are refused. 0: all have. */
    uint32_t tokens_max;
} zoo_plan;

#ifdef __cplusplus
}
#endif

#endif
