/*
 * deepseek.h: what the files of the plugin share: plugin.c (descriptor), attention.c (params of
 * latent attention), layers.c (plan), longcat.c and framed.c (layers of their own).
 */
#ifndef DEEPSEEK_H
#define DEEPSEEK_H

#include "blocks/decoder/decoder.h"
#include "blocks/hyper/hyper.h"
#include "blocks/mla/mla.h"

/* A model being read. Everything lives in the model arena. */
typedef struct ds_model {
    zoo_decoder b;
    const zoo_rope *rope, *sliding_rope; /* sliding_rope: of layers with a window, by type */
    const zoo_hyper *hyper;              /* null: one residual stream */
    const zoo_rope *csa_ropes[4];        /* main, main back, compressed, compressed back */
    const uint32_t *choice;              /* address that names the memo of chosen rows */
    const zoo_part **latents;            /* [n_layers] attention of each layer made so far */
    bool predicting;                     /* the layer that is made predicts further tokens */
} ds_model;

/* The latent attention of layer `layer`, as part `name` below the layer. attention.c */
zoo_status ds_attention(ds_model *m, uint32_t layer, const char *name, zoo_part *out);
/* Rotary tables of the model, read once. attention.c */
zoo_status ds_read_rope(ds_model *m);
/* With option latent_types: what layer_types says of a layer, and sizes that layers have of their
 * own. typed.c */
bool ds_layer_slides(const ds_model *m, uint32_t layer);
bool ds_layer_indexes(const ds_model *m, uint32_t layer);
uint32_t ds_layer_size(const ds_model *m, uint32_t layer, const char *key, uint32_t fallback);
zoo_status ds_read_typed_ropes(ds_model *m);
/* Whether a layer's latent attention is rotated; the earlier layer whose latents it reads, itself
 * where it has its own. shared.c */
bool ds_layer_rotates(const ds_model *m, uint32_t layer);
uint32_t ds_latent_source(const ds_model *m, uint32_t layer);
/* Whether the card says so. layers.c */
bool ds_is_compressed(const zoo_config *c);
const char *ds_attention_kind(const zoo_part *part);
/* Two attentions, two feed-forwards, experts beside them. longcat.c */
zoo_status ds_longcat_layer(ds_model *m, uint32_t layer, zoo_layer *out);
/* Gated norms, or a norm on the experts. framed.c */
zoo_status ds_framed_layer(ds_model *m, uint32_t layer, zoo_layer *out);
/* Attention over compressed entries; experts by token id. csa_layer.c */
zoo_status ds_csa_attention(ds_model *m, uint32_t layer, zoo_part *out, const char **kind);
zoo_status ds_hash_experts(ds_model *m, uint32_t layer, zoo_part *out);
/* A layer over several residual streams. hyper_layer.c */
zoo_status ds_hyper_layer(ds_model *m, uint32_t layer, zoo_layer *out);
extern const zoo_block_ops ds_longcat_ops; /* "shortcut" */
extern const zoo_block_ops ds_framed_ops;  /* "framed" */
extern const zoo_cache_ops ds_fp8_rows;    /* "fp8_ds_mla" */
/* All layers into the plan. layers.c */
zoo_status ds_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan, zoo_error *err);

void ds_longcat_facts(const void *params, const zoo_facts *to); /* facts.c [load] */

#endif
