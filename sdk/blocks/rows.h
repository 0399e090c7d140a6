/*
 * rows.h: short rows for the bind tables of this folder. The file that includes it defines W and P,
 * the types of its weights and params.
 */
#ifndef ZOO_BLOCKS_ROWS_H
#define ZOO_BLOCKS_ROWS_H

#include "zoo.h"

#define AT(f) ZOO_AT(P, f)
#define NONE  ZOO_NONE
#define T     ZOO_BIND_TRANSPOSED
/* field, name, flags, rows, cols, map, when */
#define MATRIX(f, name_, flags_, rows_, cols_, map_, when_)                                        \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_MATRIX, .flags = flags_, .field = ZOO_AT(W, f),            \
        .rows = AT(rows_), .cols = AT(cols_), .experts = NONE, .map = map_, .when = when_          \
    }
/* field, name, rows, map, when */
#define VECTOR(f, name_, rows_, map_, when_)                                                       \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(W, f), .rows = AT(rows_),          \
        .cols = NONE, .experts = NONE, .map = map_, .when = when_                                  \
    }
/* field, name, flags, rows, cols, experts, map, when */
#define EXPERTS(f, name_, flags_, rows_, cols_, experts_, map_, when_)                             \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_EXPERTS, .flags = flags_, .field = ZOO_AT(W, f),           \
        .rows = AT(rows_), .cols = AT(cols_), .experts = AT(experts_), .map = map_, .when = when_  \
    }
/* field, name, flags, rows, experts, map, when */
#define EXPERT_VECTORS(f, name_, flags_, rows_, experts_, map_, when_)                             \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_EXPERT_VECTORS, .flags = flags_, .field = ZOO_AT(W, f),    \
        .rows = AT(rows_), .cols = NONE, .experts = AT(experts_), .map = map_, .when = when_       \
    }

/* Rows of attention (sdk/blocks/gqa/binds.inc): field, name, heads, when. */
#define QKV      "qkv_proj.weight"
#define QKV_BIAS "qkv_proj.bias"
#define OWN(f, name_, heads_, when_)                                                               \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .flags = ZOO_BIND_OR_NEXT, .field = ZOO_AT(W, f),  \
        .rows = AT(heads_), .cols = AT(head_dim), .experts = NONE, .map = NONE, .when = when_      \
    }

#endif
