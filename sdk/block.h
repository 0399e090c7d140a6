/*
 * block.h: a block, which is a token mixer, a feed-forward part or a whole layer, as one const ops
 * table.
 *
 * A block lists its weights as bind rows (zoo_bind) and what it caches for a sequence as streams
 * (zoo_stream), and computes in forward, over a ragged batch of rows from many sequences. It keeps
 * no state of its own: configure makes the params, the host fills the weights from the bind rows,
 * and what a sequence keeps between steps is in the cache.
 */
#ifndef ZOO_BLOCK_H
#define ZOO_BLOCK_H

#include "cache.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZOO_STREAMS_MAX = 8 };

/*
 * One sequence's part of a step: rows row .. row + n - 1 of every activation, at positions
 * pos .. pos + n - 1.
 *
 * n_prompt: length of the prompt; rows at positions below it are prompt tokens, not generated ones.
 * n_total: length the reference would see in one forward call, however the rows are cut into steps:
 * the length of the prompt while that is read, position + 1 afterwards. Only for what depends on
 * the current length in the reference (dynamic and long rotary tables).
 */
typedef struct zoo_seq {
    uint32_t row, n;
    uint32_t pos;
    uint32_t n_prompt;
    uint32_t n_total;
    uint32_t slot; /* index of the sequence in the cache, below limits.seqs_max */
} zoo_seq;

/* The ragged span of a step: prefill and decode mixed, rows of its sequences in order, no gaps. */
typedef struct zoo_span {
    uint32_t size;
    uint32_t n_rows;
    uint32_t n_seqs;
    uint32_t reserved;
    const zoo_seq *seqs;    /* [n_seqs] */
    const int32_t *tokens;  /* [n_rows] */
    const uint32_t *pos;    /* [n_rows] position of each row */
    const uint32_t *seq_of; /* [n_rows] index into seqs */
} zoo_span;

typedef struct zoo_limits {
    uint32_t size;
    uint32_t rows_max;    /* rows of one step */
    uint32_t seqs_max;    /* open sequences */
    uint32_t context_max; /* positions of one sequence */
    uint32_t n_threads;
} zoo_limits;

/* How much of a sequence a stream keeps. */
typedef enum zoo_stream_kind {
    ZOO_ROWS = 0, /* one row every `stride` positions, all of them kept */
    ZOO_RING = 1, /* the same, only the last `window` rows are kept */
    ZOO_STATE = 2 /* one block of `width` floats a sequence, zero at its start; always float32 */
} zoo_stream_kind;

typedef struct zoo_stream {
    const char *name; /* "k", "v", "latent", "conv" */
    uint32_t kind;    /* zoo_stream_kind */
    uint32_t width;   /* floats of a row, or of the state */
    uint32_t heads;   /* at least 1: a row is this many equal parts, each in pages of its own */
    uint32_t window;  /* RING: rows that a query may attend to, its own included */
    uint32_t stride;  /* positions per row; 0 and 1: one */
    uint32_t
        dtype_min; /* narrowest zoo_dtype it tolerates: ZOO_F32, ZOO_BF16, ZOO_INT8 or ZOO_INT4 */
} zoo_stream;

/*
 * The cache of one block, streams numbered as it declared them. Rows of one sequence are written
 * once, in order, before they are read in the same step. Calls for different sequences or heads may
 * run concurrently.
 */
typedef struct zoo_cache zoo_cache;
struct zoo_cache {
    uint32_t size;
    uint32_t n_streams;
    const zoo_cache_ops *const *kinds; /* [n_streams]; null for a state */
    void *host;
    /* Stores rows row .. row + n - 1 of the stream from x [n, width],
     * x_stride floats apart. [step] */
    void (*put)(zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t row, uint32_t n,
                const float *x, size_t x_stride);
    /* The segment that holds `row` of one head, from that row to the end of its page, in the layout
     * of its kind, for zoo_kernels.attend. [step] */
    zoo_segment (*get)(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                       uint32_t row);
    /* The sequence's state, `width` floats, in place. [step] */
    float *(*state)(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq);
    /* Reads rows row .. row + n - 1 of one head to y [n, width / heads] as float32. [step] */
    void (*read)(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                 uint32_t row, uint32_t n, float *y);
};

typedef struct zoo_ctx zoo_ctx;
/* One item of a parallel loop, run on thread worker < limits.n_threads (index per-thread scratch by
 * it). */
typedef void zoo_task(void *arg, uint32_t item, uint32_t worker);

/* What the host offers a block while a step runs. */
struct zoo_ctx {
    uint32_t size;
    uint32_t n_threads;
    const zoo_kernels *kernels;
    void *host;
    /* n bytes of scratch, 64-byte aligned, not cleared, freed when the block returns.
     * Never null. [step] */
    void *(*take)(zoo_ctx *ctx, size_t n);
    /* Runs fn for items 0 .. n_items - 1 on all threads; returns when all are done.
     * Not nested. [step] */
    void (*parallel)(zoo_ctx *ctx, uint32_t n_items, zoo_task *fn, void *arg);
    /*
     * n bytes that live until the step ends, shared by all calls with the same key (any address
     * that the caller owns), in whatever layer. *fresh: this call allocated them, not cleared.
     * Never null. [step]
     */
    void *(*memo)(zoo_ctx *ctx, const void *key, size_t n, bool *fresh);
    /* For layers with ops: runs part `index` of the current layer with its norm and scales; x, y
     * [n_rows, width]. [step] */
    void (*part)(zoo_ctx *ctx, uint32_t index, const float *x, float *y, const zoo_span *span);
    /* Offers an activation [n_rows, width] to the trace as `<layer path>.<name>`; null when
     * tracing is off. [step] */
    void (*trace)(zoo_ctx *ctx, const char *name, const float *x, uint32_t n_rows, uint32_t width);
};

/* Where the rows of a matrix lie in a fused tensor: row r is row
 * offset + r / group * stride + r % group of the tensor. */
typedef struct zoo_rowmap {
    uint32_t total; /* rows of the tensor; 0: it holds just this matrix, and the map is not used */
    uint32_t offset;
    uint32_t group;
    uint32_t stride;
} zoo_rowmap;

typedef enum zoo_bind_kind {
    /* The field is a zoo_weight [rows, cols], packed. */
    ZOO_BIND_MATRIX = 0,
    /* The field is a const float * [rows * cols], widened to float32. */
    ZOO_BIND_VECTOR = 1,
    /* The field is a const zoo_weight * [experts], each [rows, cols]. "%u" in the name is the
     * expert; a name without it is one stacked tensor [experts, rows, cols]. */
    ZOO_BIND_EXPERTS = 2,
    /* The field is a zoo_table: rows are read one by one as they are needed, never packed. */
    ZOO_BIND_TABLE = 3,
    /* The field is a const float * [experts, rows], from one tensor or from one each. */
    ZOO_BIND_EXPERT_VECTORS = 4,
    /* The field is a const int64_t * [rows * cols], from a tensor of whole numbers. */
    ZOO_BIND_INTEGERS = 5
} zoo_bind_kind;

enum {
    ZOO_BIND_OPTIONAL = 1,    /* absent: the field stays zero */
    ZOO_BIND_TRANSPOSED = 2,  /* stored as [cols, rows] */
    ZOO_BIND_OR_NEXT = 4,     /* absent: the next row fills the same field */
    ZOO_BIND_EXACT = 8,       /* never narrower than float32: routers, small gates */
    ZOO_BIND_ABSOLUTE = 16,   /* the name is whole, not below the block's module */
    ZOO_BIND_MAP_STORED = 32, /* TRANSPOSED stacks: the map gives the stored rows, from offset on,
                                 that are the columns of each matrix */
    ZOO_BIND_WIDE = 64        /* narrow kinds use more bits if it has few outputs: no later matrix
                                 averages its errors (values of attention) */
};

/* A large table (an embedding) of which single rows are read. */
typedef struct zoo_table {
    const void *host;
    uint32_t rows, cols;
    /* Widens row `row` < rows to out [cols]. [step] */
    void (*read)(const struct zoo_table *table, uint32_t row, float *out);
} zoo_table;

#define ZOO_NONE UINT32_MAX

/*
 * One weight: field, name, shape. Dims are offsets of uint32_t fields in the params struct, so the
 * table is documentation, loader and validator at once. `when` is the offset of a uint32_t that is
 * 0 where these params have no such tensor. A table ends with a null name.
 */
typedef struct zoo_bind {
    const char *name; /* below the module path: "q_proj.weight" */
    uint32_t kind;    /* zoo_bind_kind */
    uint32_t flags;
    uint32_t field;      /* offset in the weights struct */
    uint32_t rows, cols; /* offsets in the params struct; cols ZOO_NONE: 1 */
    uint32_t experts;    /* offset; ZOO_NONE: no experts */
    uint32_t map;        /* offset of a zoo_rowmap; ZOO_NONE: none */
    uint32_t when;       /* offset; ZOO_NONE: always */
} zoo_bind;

/* Rows of a bind table. W and P are the weights and params structs. */
#define ZOO_BIND(W, f, kind_, flags_, name_, P, rows_, cols_, when_)                               \
    {                                                                                              \
        .name = name_, .kind = kind_, .flags = flags_, .field = (uint32_t)offsetof(W, f),          \
        .rows = (uint32_t)offsetof(P, rows_), .cols = cols_, .experts = ZOO_NONE, .map = ZOO_NONE, \
        .when = when_                                                                              \
    }
#define ZOO_AT(P, f) ((uint32_t)offsetof(P, f))

/* What the host offers a block while weights are bound. */
typedef struct zoo_setup zoo_setup;
struct zoo_setup {
    uint32_t size;
    uint32_t weight_kind; /* zoo_dtype that matrices are packed to */
    void *host;
    /* n zeroed bytes of the model arena, 64-byte aligned; null when memory is out. [load] */
    void *(*take)(zoo_setup *setup, size_t n);
    /* Packs a [rows, cols] float32 matrix in the same way as matrices from files. [load] */
    zoo_status (*pack)(zoo_setup *setup, const float *x, uint32_t rows, uint32_t cols,
                       zoo_weight *out, zoo_error *err);
    /* Unpacks the whole matrix to float32 [rows, cols]; exactly the stored values if the kind is
     * f32. [load] */
    void (*unpack)(zoo_setup *setup, const zoo_weight *weight, float *out);
    const zoo_limits *limits;
    /* Whether configure should also make the plan of the prediction layers
     * (zoo_plan.prediction). */
    uint32_t predicts;
};

/*
 * Receives what a block reports about its params, as data; each call is one fact. Names that
 * several blocks use and that the host computes with (any other name is only shown):
 *
 *   kind (text)      "attention", "latent attention", "experts", ...: what the block is
 *   heads, kv_heads, head_dim, value_dim, window, chunk, q_rank, kv_rank
 *   rotation (text), rotary_dims, theta
 *   inner, activation (text), gated
 *   experts, experts_per_token   of the weights of all experts a token reads those of so many
 *   flops.STREAM     operations per row of the stream that a token reads; of a state: per token
 *   read.STREAM      rows of the stream that a token reads at most; without it all that are kept
 *
 * A flag is reported as 1 if set, else not at all. name and text are copied during the call.
 */
typedef struct zoo_facts zoo_facts;
struct zoo_facts {
    uint32_t size;
    uint32_t reserved;
    void *host;
    void (*number)(const zoo_facts *to, const char *name, double value);
    void (*text)(const zoo_facts *to, const char *name, const char *value);
};

/*
 * The ops table of a block. Slots may be appended; a slot beyond `size` reads as null. A null slot
 * means that there is nothing to bind, cache, check or prepare. forward is required.
 */
typedef struct zoo_block_ops {
    uint32_t size;
    uint32_t weights_size; /* bytes of the weights struct; the host allocates it zeroed */
    const char *name;      /* "gqa", "mlp" */
    const zoo_bind *binds; /* null-ended */
    /* Declares the streams for these params; returns how many, at most ZOO_STREAMS_MAX. [load] */
    uint32_t (*streams)(const void *params, zoo_stream *out);
    /* Upper bound of the scratch bytes that one forward takes. [load] */
    size_t (*scratch)(const void *params, const zoo_limits *limits);
    /* Refuses params that this block cannot compute, with a sentence. [load] */
    zoo_status (*check)(const void *params, zoo_error *err);
    /* After binding: derived weights, such as folded projections. [load] */
    zoo_status (*prepare)(const void *params, void *weights, zoo_setup *setup, zoo_error *err);
    /*
     * Mixer or ffn: y = f(x) over all rows of the span; x, y [n_rows, width]. x is the normalised
     * input, y the block's output before the residual addition. Layer: x is the residual stream
     * before it and y after it; they may be the same memory. [step]
     */
    void (*forward)(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span);
    /*
     * For people: what these params mean, what is cached, what is read per token; one line or a
     * few, separated by '\n', which the caller wraps. [load]
     */
    void (*explain)(const void *params, char *text, size_t n);
    /* The same as data. [load] */
    void (*facts)(const void *params, const zoo_facts *to);
} zoo_block_ops;

#ifdef __cplusplus
}
#endif

#endif
