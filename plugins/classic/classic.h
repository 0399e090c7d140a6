/*
 * classic.h: what the files of this plugin share: the parts that decoders of 2019 to 2023 have and
 * later ones dropped: positions added to the embedding, linear position biases, norms in other
 * places, projections around a narrower embedding.
 */
#ifndef CLASSIC_H
#define CLASSIC_H

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

/* Vectors added to the embedded rows, by position: row `position + offset` of a table. */
typedef struct classic_positions {
    uint32_t rows, width; /* of the table; rows: positions that exist, offset included */
    uint32_t offset;
    uint32_t learned;     /* the table is stored; else sin and cos of (position + offset) * freq */
    uint32_t n_freq;      /* width / 2 */
    uint32_t padding_row; /* a row of zeros in a computed table; UINT32_MAX: none */
    const float *freq;    /* [n_freq] */
} classic_positions;

/* y = W x. */
typedef struct classic_project {
    uint32_t rows, cols;
} classic_project;

/* facts.c [load] */
void classic_positions_facts(const void *params, const zoo_facts *to);
void classic_project_facts(const void *params, const zoo_facts *to);

extern const zoo_block_ops classic_positions_ops; /* "positions" */
extern const zoo_block_ops classic_project_ops;   /* "project" */

/* The plan of a model of this plugin. model.c [load] */
zoo_status classic_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                             zoo_error *err);
/* The attention part of a layer; params in the model arena. attention.c [load] */
zoo_status classic_attention(zoo_decoder *b, uint32_t layer, zoo_part *out);
/* A whole layer. layers.c [load] */
zoo_status classic_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
/* Parts between embedding and layers, and between layers and head. ends.c [load] */
zoo_status classic_ends(zoo_decoder *b);

#endif
