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
    /* Padding tokens take row offset - 1 and are not counted by the others. */
    uint32_t skips_padding;
    uint32_t padding_token;
    const float *freq; /* [n_freq] */
} classic_positions;

/* The first row of a table, added to every row. */
typedef struct classic_first_row {
    uint32_t rows, width; /* of the table */
} classic_first_row;

/* y = act(W x + b). */
typedef struct classic_project {
    uint32_t rows, cols;
    uint32_t bias;
    uint32_t activated;
    uint32_t act; /* zoo_act */
} classic_project;

/* Attention whose rotation is a stored table. */
typedef struct classic_rotated {
    zoo_gqa gqa;     /* first: the block builds on attention */
    uint32_t rows;   /* of the table: positions */
    uint32_t values; /* values turn too */
} classic_rotated;

/* An embedded row joined with the first rows of two tables, mapped to its width. */
typedef struct classic_joined {
    uint32_t width, width_in;
    uint32_t shape_rows, shape_cols, sound_rows, sound_cols; /* cols 0: no such table */
} classic_joined;

enum { CLASSIC_PROLOGUE_MAX = 8 };

/* facts.c [load] */
void classic_positions_facts(const void *params, const zoo_facts *to);
void classic_first_row_facts(const void *params, const zoo_facts *to);
void classic_project_facts(const void *params, const zoo_facts *to);

extern const zoo_block_ops classic_positions_ops; /* "positions" */
extern const zoo_block_ops classic_first_row_ops; /* "first_row" */
extern const zoo_block_ops classic_project_ops;   /* "project" */

/* The plan of a model of this plugin. model.c [load] */
zoo_status classic_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                             zoo_error *err);
/* The attention part of a layer; params in the model arena. attention.c [load] */
zoo_status classic_attention(zoo_decoder *b, uint32_t layer, zoo_part *out);
/* Makes the part one with a stored rotation; attention: its params. rotated.c [load] */
zoo_status classic_rotate(zoo_decoder *b, const zoo_gqa *attention, zoo_part *out);
extern const zoo_block_ops classic_rotated_ops; /* "rotated" */
/* A whole layer. layers.c [load] */
zoo_status classic_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
/* Parts between embedding and layers, and between layers and head. ends.c [load] */
zoo_status classic_ends(zoo_decoder *b);
/* Those in front of the layers; width: of the embedding. begin.c [load] */
zoo_status classic_begin(zoo_decoder *b, uint32_t width, zoo_part *parts, uint32_t *n_parts);
/* The part of joined.c, its tensors below the module. [load] */
zoo_status classic_add_joined(zoo_decoder *b, const char *module, zoo_part *out);
extern const zoo_block_ops classic_joined_ops; /* "joined" */
/* A part that is a matrix [rows, cols]. ends.c [load] */
zoo_status classic_add_project(zoo_decoder *b, const char *module, uint32_t cols, uint32_t rows,
                               zoo_part *out);

#endif
