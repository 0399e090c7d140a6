/*
 * rows.h: short rows for bind tables. The file that includes it defines ZOO_ROW_WEIGHTS and
 * ZOO_ROW_PARAMS, the types of its weights and params. All names begin with ZOO_ROW_.
 */
#ifndef ZOO_BLOCKS_ROWS_H
#define ZOO_BLOCKS_ROWS_H

#include "zoo.h"

#define ZOO_ROW_AT(f) ZOO_AT(ZOO_ROW_PARAMS, f)
/* field, name, flags, rows, cols, map, when */
#define ZOO_ROW_MATRIX(f, name_, flags_, rows_, cols_, map_, when_)                                \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_MATRIX, .flags = flags_,                                   \
        .field = ZOO_AT(ZOO_ROW_WEIGHTS, f), .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(cols_), \
        .experts = ZOO_NONE, .map = map_, .when = when_                                            \
    }
/* field, name, rows, map, when */
#define ZOO_ROW_VECTOR(f, name_, rows_, map_, when_)                                               \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(rows_), .cols = ZOO_NONE, .experts = ZOO_NONE, .map = map_,             \
        .when = when_                                                                              \
    }
/* field, name, flags, rows, cols, experts, map, when */
#define ZOO_ROW_EXPERTS(f, name_, flags_, rows_, cols_, experts_, map_, when_)                     \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_EXPERTS, .flags = flags_,                                  \
        .field = ZOO_AT(ZOO_ROW_WEIGHTS, f), .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(cols_), \
        .experts = ZOO_ROW_AT(experts_), .map = map_, .when = when_                                \
    }
/* field, name, flags, rows, experts, map, when */
#define ZOO_ROW_EXPERT_VECTORS(f, name_, flags_, rows_, experts_, map_, when_)                     \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_EXPERT_VECTORS, .flags = flags_,                           \
        .field = ZOO_AT(ZOO_ROW_WEIGHTS, f), .rows = ZOO_ROW_AT(rows_), .cols = ZOO_NONE,          \
        .experts = ZOO_ROW_AT(experts_), .map = map_, .when = when_                                \
    }

/* Rows of attention (sdk/blocks/gqa/binds.inc): field, name, heads, when. */
#define ZOO_ROW_QKV      "qkv_proj.weight"
#define ZOO_ROW_QKV_BIAS "qkv_proj.bias"
#define ZOO_ROW_OWN(f, name_, heads_, when_)                                                       \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .flags = ZOO_BIND_OR_NEXT,                         \
        .field = ZOO_AT(ZOO_ROW_WEIGHTS, f), .rows = ZOO_ROW_AT(heads_),                           \
        .cols = ZOO_ROW_AT(shape.head_dim), .experts = ZOO_NONE, .map = ZOO_NONE, .when = when_    \
    }

#endif
