/*
 * bound_model.h: a checkpoint bound to a plan: every part with its weights and its cache, ready to
 * run.
 *
 * Opening goes: config, card, plugin, tensors, configure, judge keys, cache streams, bind and pack.
 * The walk over the bound plan is step.c. Memory: the model arena (plan, small vectors) and one
 * block per packed matrix.
 */
#ifndef ZOO_MODEL_BOUND_MODEL_H
#define ZOO_MODEL_BOUND_MODEL_H

#include "base/pool.h"
#include "cache/cache.h"
#include "checkpoint/matrix.h"
#include "config/card.h"
#include "config/config.h"
#include "config/placeholders.h"
#include "model/ring.h"
#include "zoo.h"

/* A norm with its vectors. */
typedef struct zoo_bound_norm {
    const zoo_norm *norm; /* null or kind NONE: nothing is done */
    const float *weight, *bias;
} zoo_bound_norm;

/* A part or a layer's own block. */
typedef struct zoo_bound {
    const zoo_part *part; /* null for a layer's own block */
    const zoo_block_ops *ops;
    const void *params;
    void *weights;
    zoo_cache *cache;
    zoo_bound_norm norm;
    const char *path; /* of its tensors */
    bool is_remote;   /* another rank computes it */
} zoo_bound;

typedef struct zoo_bound_branch {
    const zoo_branch *branch;
    zoo_bound *parts;
    zoo_bound_norm post, after;
} zoo_bound_branch;

typedef struct zoo_bound_layer {
    const zoo_layer *layer;
    zoo_bound_branch *branches; /* [n_branches] */
    zoo_bound own;              /* ops null: branches */
    zoo_bound *parts;           /* [n_parts] of a layer with ops */
} zoo_bound_layer;

typedef struct zoo_chunk zoo_chunk; /* of the model arena */
struct zoo_packed;                  /* packed_cache.h */

/*
 * A stored tensor of plain values and a matrix that was bound from it. The tensor holds n_stack
 * matrices [stored_rows, cols of the tensor], of which this one came from the one at row0; it took
 * all of its inputs. A tensor may stand in several.
 */
typedef struct zoo_source {
    const zoo_tensor *tensor;
    const zoo_weight *weight;
    const void *family;    /* the same for all matrices that one bind row filled */
    const void *stacks;    /* the same for all experts and heads of a block, which packs those that
                              read the same rows alike; null: none of these */
    const zoo_rowmap *map; /* which outputs of the stored matrix it took; null: all */
    uint64_t row0, stored_rows;
    bool is_transposed;    /* stored as [inputs, outputs] */
    bool is_head, is_wide; /* is_wide: narrow kinds keep more bits of it */
} zoo_source;

/* Beside the flags of a bind row: the output matrix. */
#define ZOO_BIND_HEAD (UINT32_C(1) << 31)

/* Beside them, too: a matrix of a stack, whose members read rows that are prepared once. */
#define ZOO_BIND_STACK (UINT32_C(1) << 30)

/* An order of columns that several matrices may have (column_order.h). */
typedef struct zoo_column_order {
    const uint32_t *order; /* [cols], the model's */
    uint32_t cols;
} zoo_column_order;

/* What was bound from where, for inspect and for the left-over report. */
typedef struct zoo_model_stats {
    uint64_t n_parameters; /* values read */
    uint64_t bytes_packed; /* of weights in memory; known after ZOO_BIND_CHECK, too */
    uint64_t n_matrices;
    uint64_t n_kinds[ZOO_WEIGHT_KINDS]; /* matrices by kind, but for n_exact (kinds_told.h) */
    uint64_t n_exact;                   /* float32 whatever is asked for */
    uint64_t n_kept;                    /* whose stored codes are kept */
    uint64_t n_wide;                    /* that a quantised checkpoint keeps wide, and int4 too */
    uint64_t n_rounded;                 /* whose stored codes are rounded a second time */
    char rounded[48];                   /* how the first of them is stored */
    char widened[48];                   /* how the first of those in float32 is stored */
    char stored[64];                    /* stored formats that were read, for display */
} zoo_model_stats;

typedef struct zoo_model {
    char *folder;
    zoo_model_config *config;
    zoo_cards cards;
    const zoo_card *card; /* null: chosen by probe */
    const zoo_plugin *plugin;
    char plugin_path[4400];
    zoo_tensors *tensors;
    uint8_t *used; /* [count of tensors] */
    zoo_setup setup;
    zoo_plan plan;
    zoo_placeholders placeholders; /* tokens embedded as another */
    zoo_limits limits;
    zoo_chunk *chunks;
    char *slab; /* where the next matrix of a few MB goes */
    size_t slab_left;
    zoo_pool *pool;
    const zoo_kernels *kernels;
    struct zoo_packed *packed; /* null: matrices are always packed */
    zoo_cache_pool *cache;
    zoo_dtype weight_kind; /* as asked; ZOO_DTYPE_MAX: by what is stored */
    bool packs_all;        /* int4 also for what a quantised checkpoint keeps wide */
    zoo_cache_choices cache_kinds;
    zoo_bound *prologue, *epilogue;
    zoo_bound_layer *layers;
    zoo_ring *ring;                  /* null: this process has all layers */
    uint32_t layer_begin, layer_end; /* that are computed here */
    bool has_ends;                   /* what stands before and behind the layers, too */
    uint64_t *layer_bytes;           /* [n_layers] packed, after ZOO_BIND_CHECK */
    zoo_bound_norm norm;
    zoo_table embed;
    struct zoo_table_source *tables; /* all of them (checkpoint/embedding_table.h) */
    zoo_weight head;
    const float *head_bias;
    zoo_bound **bounds; /* all of them, for sharing */
    uint32_t n_bounds, bounds_max;
    zoo_model_stats stats;
    zoo_problems *problems;
    uint64_t renames_used;      /* bits: pairs of the card's "tensors" that some name asked for */
    zoo_column_order orders[8]; /* that were made last */
    uint32_t n_orders;
    zoo_source *sources; /* [n_sources], in the order of binding */
    uint32_t n_sources, sources_max;
    bool quiet;
    bool predicts; /* the plan is that of a prediction layer; the head is another model's */
} zoo_model;

/* n zeroed bytes that live as long as the model, 64-byte aligned;
 * null when memory is out. [load] */
void *zoo_model_take(zoo_model *model, size_t n);

/* What a walk over the bind rows does with the weights. */
typedef enum zoo_bind_mode {
    ZOO_BIND_CHECK = 0, /* judges names and shapes and counts bytes; no matrix is read */
    ZOO_BIND_PACK = 1   /* the same, and packs every matrix */
} zoo_bind_mode;

/*
 * Binds all parts of the plan (bind.c) and refuses left-over tensors of its layers. CHECK comes
 * first, so that a broken checkpoint is refused before anything large is read. [load]
 */
zoo_status zoo_model_bind(zoo_model *model, zoo_bind_mode mode, const char *const *allowed,
                          zoo_error *err);
/* Lays out bound parts and adds their streams to the cache; no weights are read (plan.c). [load] */
zoo_status zoo_model_lay_out(zoo_model *model, zoo_error *err);
/* Dims of the stored tensor of a canonical name, as zoo_config.shape. [load] */
uint32_t zoo_model_shape(zoo_model *model, const char *canonical, uint64_t *dims, uint32_t n);

/* Fills one bind table (weights.c): all rows of ops for module `path`. [load] */
zoo_status zoo_model_bind_rows(zoo_model *model, zoo_bind_mode mode, zoo_bound *bound,
                               zoo_error *err);
/* A vector of n values `<path>.<suffix>`; needed: its absence is an error,
 * else *out is null. [load] */
zoo_status zoo_model_bind_vector(zoo_model *model, const char *name, uint64_t n, bool needed,
                                 const float **out, zoo_error *err);
/* Whole numbers, exactly (integers.c); found false: *out is as it was. [load] */
zoo_status zoo_model_bind_integers(zoo_model *model, const char *name, uint64_t n,
                                   const int64_t **out, bool *found, zoo_error *err);
zoo_status zoo_model_bind_table(zoo_model *model, const char *name, uint32_t rows, uint32_t cols,
                                zoo_table *out, zoo_error *err);
/* Whether m stays wide although int4 is asked for, since a quantised checkpoint holds it in plain
 * numbers. [load] */
bool zoo_model_keeps_wide(const zoo_model *model, const zoo_matrix *m);
/* Kind and group of w, whose rows and cols are set, for what is stored as m; flags: of the bind
 * row. Group 0: the kind's own (kinds.c). [load] */
void zoo_model_choose_kind(const zoo_model *model, const zoo_matrix *m, uint32_t flags,
                           zoo_weight *w);
/* Adds a matrix that may be quantised to model->sources; flags: of the bind row; source: its
 * weight, family, map, row0 and stored_rows. ZOO_E_MEMORY. [load] */
zoo_status zoo_model_note_source(zoo_model *model, const zoo_matrix *m, uint32_t flags,
                                 zoo_source source, zoo_error *err);
/* Marks a tensor as used whose values another model has. [load] */
void zoo_model_pass_by(zoo_model *model, const char *name);
/* The output matrix. [load] */
zoo_status zoo_model_bind_head(zoo_model *model, zoo_bind_mode mode, const char *name,
                               uint32_t rows, uint32_t cols, zoo_weight *out, zoo_error *err);
/*
 * Counts a packed matrix of out->kind, group (0: the kind's), rows and cols; in mode PACK also room
 * for it, or the matrix itself out of the file of packed ones (zoo_model_is_packed). name: its key
 * there, and for the error. [load]
 */
zoo_status zoo_model_take_packed(zoo_model *model, zoo_bind_mode mode, const char *name,
                                 zoo_weight *out, zoo_error *err);
/* Whether the matrix came from the file of packed weights, so needs no packing. [load] */
bool zoo_model_is_packed(const zoo_model *model, const zoo_weight *weight);
/* Where an address of the model arena is, the same in every process that opened the model alike;
 * and back. False and null: it is in none. */
bool zoo_model_place_of(const zoo_model *model, const void *at, uint32_t *chunk, uint64_t *offset);
const void *zoo_model_at(const zoo_model *model, uint32_t chunk, uint64_t offset);
/* Frees all of it, caches and pool too. */
void zoo_model_release(zoo_model *model);
/* Installs setup.pack and setup.unpack. */
void zoo_model_setup_packing(zoo_model *model);

/* Tensors of the file that no row named; fn gets each name and whether it matters (lies in a layer
 * of the plan). */
void zoo_model_leftovers(const zoo_model *model,
                         void (*fn)(void *arg, const char *name, bool matters), void *arg);

#endif
