/*
 * base.h: used by every other header: status and error, element types, the arena.
 *
 * Errors are values. A function that can fail returns zoo_status and fills a caller-owned zoo_error
 * with one sentence that names the file, layer, tensor or line. Nothing here prints, exits or
 * allocates.
 *
 * Phases, in brackets after every callback of the SDK: [load] may take from the model arena,
 * [session] from the session arena, [step] from scratch only. [any] takes nothing.
 */
#ifndef ZOO_BASE_H
#define ZOO_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lmzoo reads files and packs weights as little-endian machines store them"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Negative values are errors; they never change their number. */
typedef enum zoo_status {
    ZOO_OK = 0,
    ZOO_E_USAGE = -1,       /* the caller passed invalid arguments or options */
    ZOO_E_IO = -2,          /* a file cannot be opened, read or written */
    ZOO_E_FORMAT = -3,      /* a file breaks the rules of its format */
    ZOO_E_CONFIG = -4,      /* config.json has values that this plugin does not support */
    ZOO_E_WEIGHT = -5,      /* a tensor is missing or has the wrong shape or dtype */
    ZOO_E_PLUGIN = -6,      /* a plugin file was refused */
    ZOO_E_MEMORY = -7,      /* an allocation failed or a limit would be exceeded */
    ZOO_E_UNSUPPORTED = -8, /* well-formed input that is named and refused */
    ZOO_E_LIMIT = -9,       /* a bound on depth, steps, length or count was reached */
    ZOO_E_INTERNAL = -10,
    ZOO_E_CANCELLED = -11 /* cancelled by the caller */
} zoo_status;

typedef struct zoo_error {
    int32_t code;   /* zoo_status */
    int32_t layer;  /* -1: no layer */
    char text[504]; /* one sentence, null-terminated, cut if longer */
} zoo_error;

#if defined(__GNUC__)
#define ZOO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ZOO_EXPORT            __attribute__((visibility("default")))
#else
#define ZOO_PRINTF(fmt, args)
#define ZOO_EXPORT
#endif

/* Fills err (may be null) and returns code, so that a check is one line:
 * return zoo_fail(err, ...). [any] */
ZOO_PRINTF(3, 4)
static inline zoo_status zoo_fail(zoo_error *err, zoo_status code, const char *fmt, ...)
{
    if (err) {
        va_list args;
        err->code = code;
        err->layer = -1;
        va_start(args, fmt);
        (void)vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
    }
    return code;
}

/* Returns the status of expr to the caller unless it is ZOO_OK. */
#define ZOO_TRY(expr)                                                                              \
    do {                                                                                           \
        zoo_status zoo_try_ = (expr);                                                              \
        if (zoo_try_ != ZOO_OK) {                                                                  \
            return zoo_try_;                                                                       \
        }                                                                                          \
    } while (0)

#define ZOO_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Element types of stored tensors, of packed weights and of cache rows. Numbers change with the ABI
 * alone. ZOO_INT8, ZOO_INT4, ZOO_INT5 and ZOO_INT6 have scales: packed weights one for each group
 * of columns (caches: zoo_row_form).
 */
typedef enum zoo_dtype {
    ZOO_F32 = 0,
    ZOO_BF16 = 1,
    ZOO_INT8 = 2,
    ZOO_INT4 = 3,
    ZOO_INT5 = 4, /* this and the next: packed weights alone */
    ZOO_INT6 = 5,
    ZOO_F16 = 6,
    ZOO_F64 = 7,
    ZOO_I8 = 8, /* stored integers, as they are */
    ZOO_I16 = 9,
    ZOO_I32 = 10,
    ZOO_I64 = 11,
    ZOO_U8 = 12,
    ZOO_U16 = 13,
    ZOO_U32 = 14,
    ZOO_U64 = 15,
    ZOO_BOOL = 16,
    ZOO_F8_E4M3 = 17,
    ZOO_F8_E5M2 = 18,
    ZOO_F8_E8M0 = 19,
    ZOO_DTYPE_MAX = 20
} zoo_dtype;

/*
 * A bump allocator over one block of memory that somebody else owns. With base null it only
 * measures: the same layout code runs twice, first to learn `used`, then for real. Pieces begin at
 * multiples of 64 bytes.
 */
typedef struct zoo_arena {
    unsigned char *base; /* null: measuring */
    size_t capacity;
    size_t used;
} zoo_arena;

/* n bytes, not cleared here; null while measuring or when full. [any] */
static inline void *zoo_arena_take(zoo_arena *arena, size_t n)
{
    size_t begin = (arena->used + 63u) & ~(size_t)63u;
    if (n > SIZE_MAX - begin) {
        return NULL;
    }
    if (arena->base && begin + n > arena->capacity) {
        return NULL;
    }
    arena->used = begin + n;
    return arena->base ? arena->base + begin : NULL;
}

#ifdef __cplusplus
}
#endif

#endif
