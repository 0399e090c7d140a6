/*
 * arch.h: the architecture of a config as data: what explain, diff, draw and the gallery show.
 *
 * All figures come from the plan: parameters from the bind tables of its blocks and from its norms,
 * memory from their streams, operations from the facts that blocks tell. Nothing here knows a
 * family. Memory: one zoo_arch and its lists, freed together; text of facts is copied.
 */
#ifndef ZOO_EXPLAIN_ARCH_H
#define ZOO_EXPLAIN_ARCH_H

#include "model/open.h"
#include "model/options.h"

enum { ZOO_FACT_NAME = 40, ZOO_FACT_TEXT = 96, ZOO_KINDS_MAX = 256 };

typedef struct zoo_fact {
    char name[ZOO_FACT_NAME];
    char text[ZOO_FACT_TEXT]; /* empty: a number */
    double number;
} zoo_fact;

typedef enum zoo_role {
    ZOO_ROLE_MIXER = 0, /* mixes tokens: attention, state space, convolution */
    ZOO_ROLE_FFN = 1,
    ZOO_ROLE_OTHER = 2 /* around the layers, or a layer's own block */
} zoo_role;

typedef struct zoo_arch_stream {
    zoo_stream decl;
    double rows_read; /* cached rows that a token reads at most; 0: all */
    double flops;     /* for each row that is read; of a state: for a token */
} zoo_arch_stream;

typedef struct zoo_arch_block {
    const char *name; /* module: "self_attn" */
    const char *ops;  /* "gqa" */
    const char *kind; /* "attention"; the name of the ops if the block has no facts */
    zoo_role role;
    const zoo_norm *norm; /* before it; kind NONE: none */
    zoo_fact *facts;      /* [n_facts] */
    uint32_t n_facts;
    uint32_t n_streams;
    zoo_arch_stream streams[ZOO_STREAMS_MAX];
    bool borrows;      /* the streams are another block's: read, not kept */
    bool shared;       /* the weights are an earlier block's, counted there */
    uint64_t n_params; /* of its tensors, norms apart */
    uint64_t n_active; /* of them, those that one token is multiplied with */
} zoo_arch_block;

typedef struct zoo_arch_layer {
    const zoo_layer *layer;
    zoo_arch_block *blocks; /* [n_blocks] in order; a layer's own block is the last */
    uint32_t n_blocks;
    uint32_t kind;     /* index into kinds: layers of one kind compute the same */
    uint64_t n_params; /* norms included */
    uint64_t n_active;
} zoo_arch_layer;

typedef struct zoo_arch_kind {
    uint64_t hash;
    uint32_t first, n; /* first layer, number of layers */
} zoo_arch_kind;

/* `period` layers from `first` on, n_times one after the other. */
typedef struct zoo_arch_segment {
    uint32_t first, period, n_times;
} zoo_arch_segment;

/* Parameters by part; their sum is the whole. */
typedef struct zoo_arch_params {
    uint64_t embedding, head, mixers, ffns, others, norms;
    uint64_t total, active;
    uint64_t products; /* multiplications of a token with matrices, as often as they are used */
} zoo_arch_params;

typedef struct zoo_arch {
    char name[256]; /* as the caller gave it, without folders and ".json" */
    zoo_model model;
    zoo_arch_layer *layers; /* [n_layers] */
    uint32_t n_layers;
    zoo_arch_block *prologue, *epilogue;
    uint32_t n_prologue, n_epilogue;
    zoo_arch_kind kinds[ZOO_KINDS_MAX];
    uint32_t n_kinds;
    zoo_arch_segment *segments; /* [n_segments] the stack, first layers first */
    uint32_t n_segments;
    zoo_arch_params params;
    struct zoo_names *names; /* tensors counted so far */
} zoo_arch;

/*
 * Opens a model folder, a config.json, or the model type of a card (its class's defaults). Weights
 * are not looked at. ZOO_E_USAGE: there is nothing of that name. [load]
 */
zoo_status zoo_arch_open(const char *name, const zoo_model_options *options, zoo_arch **out,
                         zoo_error *err);
/* The same from the text of a config; null: name is a folder, whose tensors are judged where
 * options ask for plan_only. [load] */
zoo_status zoo_arch_open_text(const char *name, const char *config,
                              const zoo_model_options *options, zoo_arch **out, zoo_error *err);
void zoo_arch_close(zoo_arch *arch);

/* A fact by name; null: the block does not have it. */
const zoo_fact *zoo_arch_fact(const zoo_arch_block *block, const char *name);
/* Its number, or the fallback; its text, or null. */
double zoo_arch_number(const zoo_arch_block *block, const char *name, double fallback);
const char *zoo_arch_text(const zoo_arch_block *block, const char *name);

/* The first block of a role; null: the layer has none. */
const zoo_arch_block *zoo_arch_find(const zoo_arch_layer *layer, zoo_role role);

/* Where norms stand: "before each branch", "after each branch", ... Never null. */
const char *zoo_arch_norm_place(const zoo_arch_layer *layer);
/* "rms", "rms (1 + w)", "layer", "none". */
const char *zoo_norm_name(uint32_t kind);
/* The norm that stands first in a layer, wherever; null: none. */
const zoo_norm *zoo_arch_first_norm(const zoo_arch_layer *layer);
/* Whether mixer and feed-forward read the same input and are added together. */
bool zoo_arch_is_parallel(const zoo_arch_layer *layer);

/* count.c: fills params of arch and of its layers and blocks. */
zoo_status zoo_arch_count(zoo_arch *arch, zoo_error *err);

/* A tensor that the plan binds: `stack` matrices [rows, cols], stored transposed or not; "%u" in
 * the name is the index in the stack. Where a block accepts several names, the first. */
typedef struct zoo_arch_tensor {
    const char *name;
    uint64_t stack, rows, cols;
    bool turned, is_norm;
} zoo_arch_tensor;
typedef void zoo_arch_tensor_fn(void *arg, const zoo_arch_tensor *tensor);

/* count.c: calls fn for each tensor in the order of the plan; more than once for a tensor from
 * which several fields are cut. [load] */
zoo_status zoo_arch_tensors(zoo_arch *arch, zoo_arch_tensor_fn *fn, void *arg, zoo_error *err);

#endif
