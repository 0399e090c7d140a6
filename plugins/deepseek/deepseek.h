/*
 * deepseek.h: what the files of the plugin share: plugin.c (descriptor), attention.c (params of
 * latent attention), layers.c (plan of plain layers).
 */
#ifndef DEEPSEEK_H
#define DEEPSEEK_H

#include "blocks/decoder.h"
#include "blocks/mla.h"

/* A model being read. Everything lives in the model arena. */
typedef struct ds_model {
    zoo_decoder b;
    const zoo_rope *rope;
    const uint32_t *choice; /* address that names the memo of chosen rows */
} ds_model;

/* The latent attention of layer `layer`, as part `name` below the layer. attention.c */
zoo_status ds_attention(ds_model *m, uint32_t layer, const char *name, zoo_part *out);
/* Rotary table of the model, read once. attention.c */
zoo_status ds_read_rope(ds_model *m);
/* All layers into the plan. layers.c */
zoo_status ds_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan, zoo_error *err);

#endif
