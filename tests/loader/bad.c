/* bad.c: a plugin that is correct except for the one mistake that its build defines.
 * Its callbacks must never run. */
#include "zoo.h"

typedef struct weights {
    zoo_weight w;
} weights;

typedef struct params {
    uint32_t rows, cols;
} params;

static const zoo_bind binds[] = {
    {.name = "w.weight",
#ifdef BAD_BIND_KIND
     .kind = 99,
#endif
#ifdef BAD_BIND_OUTSIDE
     .field = 4096,
#endif
     .rows = ZOO_AT(params, rows),
     .cols = ZOO_AT(params, cols),
     .experts = ZOO_NONE,
     .map = ZOO_NONE,
     .when = ZOO_NONE},
    {.name = NULL},
};

__attribute__((unused)) static void forward(zoo_ctx *ctx, const void *p, const void *w,
                                            zoo_cache *cache, const float *x, float *y,
                                            const zoo_span *span)
{
    (void)ctx, (void)p, (void)w, (void)cache, (void)x, (void)span;
    *y = 0;
}

static const zoo_block_ops block = {
#ifdef BAD_SHORT_OPS
    .size = 16,
#else
    .size = sizeof(zoo_block_ops),
#endif
    .weights_size = sizeof(weights),
#ifndef BAD_NO_BLOCK_NAME
    .name = "block",
#endif
    .binds = binds,
#ifndef BAD_NO_FORWARD
    .forward = forward,
#endif
};

#ifdef BAD_ENDLESS_LIST
#define EIGHT &block, &block, &block, &block, &block, &block, &block, &block
static const zoo_block_ops *const mixers[] = {EIGHT, EIGHT, EIGHT, EIGHT, EIGHT,
                                              EIGHT, EIGHT, EIGHT, EIGHT, NULL};
#else
static const zoo_block_ops *const mixers[] = {&block, NULL};
#endif

__attribute__((unused)) static size_t cache_bytes(uint32_t width, uint32_t n_rows)
{
    return (size_t)width * n_rows;
}

__attribute__((unused)) static void cache_store(const zoo_kernels *k, uint32_t width, void *page,
                                                uint32_t row, const float *x)
{
    (void)k, (void)width, (void)page, (void)row, (void)x;
}

__attribute__((unused)) static void cache_read(const zoo_kernels *k, uint32_t width,
                                               const void *page, uint32_t row, uint32_t n, float *y,
                                               size_t y_stride)
{
    (void)k, (void)width, (void)page, (void)row, (void)n, (void)y, (void)y_stride;
}

#ifndef BAD_CACHE_NO_VECTORS
static const float vector_x[1] = {0};
static const zoo_cache_vector vectors[] = {{1, 0, vector_x, vector_x, NULL}, {.width = 0}};
#endif

static const zoo_cache_ops kind = {
    .size = sizeof(zoo_cache_ops),
#if defined(BAD_CACHE_NAME)
    .name = "Two Words",
#elif defined(BAD_CACHE_OF_HOST)
    .name = "int8",
#else
    .name = "bad-rows",
#endif
    .summary = "for the loader's test",
#ifdef BAD_CACHE_FORM
    .form = 77,
#endif
    .bytes = cache_bytes,
    .store = cache_store,
#ifndef BAD_CACHE_NO_READ
    .read = cache_read,
#endif
#ifndef BAD_CACHE_NO_VECTORS
    .vectors = vectors,
#endif
};
static const zoo_cache_ops *const caches[] = {&kind, NULL};

#ifdef BAD_NEEDS
static const char *const needs[] = {"zoo.kernels/1", "zoo.telepathy/1", NULL};
#else
static const char *const needs[] = {"zoo.kernels/1", NULL};
#endif

static const zoo_key keys[] = {
#ifdef BAD_KEY_RULE
    {"odd", 77, NULL},
#endif
    {NULL, 0, NULL}};

static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    (void)config;
    (void)snprintf(why, n, "a test plugin");
    return 0;
}

__attribute__((unused)) static zoo_status configure(const zoo_config *config, zoo_setup *setup,
                                                    zoo_plan *plan, zoo_error *err)
{
    (void)config, (void)setup, (void)plan;
    return zoo_fail(err, ZOO_E_CONFIG, "a test plugin");
}

#ifdef BAD_NO_SYMBOL
#define zoo_plugin_entry some_other_name
#endif

#if defined(BAD_MAGIC)
#define MAGIC                                                                                      \
    {                                                                                              \
        'n', 'o', 'p', 'e', '\0', '\0', '\1', '\n'                                                 \
    }
#else
#define MAGIC                                                                                      \
    {                                                                                              \
        'l', 'm', 'z', 'o', 'o', '\0', '\1', '\n'                                                  \
    }
#endif

#ifdef BAD_ABI_MAJOR
#define MAJOR 41
#else
#define MAJOR ZOO_ABI_MAJOR
#endif

#ifdef BAD_ABI_MINOR
#define MINOR (ZOO_ABI_MINOR + 1)
#else
#define MINOR ZOO_ABI_MINOR
#endif

#ifdef BAD_SIZE_BIND
#define SIZE_BIND (sizeof(zoo_bind) + 8)
#else
#define SIZE_BIND sizeof(zoo_bind)
#endif

#ifdef BAD_SIZE_ATTEND_ARGS
#define SIZE_ATTEND_ARGS (sizeof(zoo_attend_args) - 8)
#else
#define SIZE_ATTEND_ARGS sizeof(zoo_attend_args)
#endif

#ifdef BAD_PANEL
#define PANEL 8
#else
#define PANEL ZOO_PANEL
#endif

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = {.magic = MAGIC,
              .abi_major = MAJOR,
              .abi_minor = MINOR,
              .size_stamp = sizeof(zoo_stamp),
              .size_bind = SIZE_BIND,
              .size_stream = sizeof(zoo_stream),
              .size_part = sizeof(zoo_part),
              .size_branch = sizeof(zoo_branch),
              .size_layer = sizeof(zoo_layer),
              .size_seq = sizeof(zoo_seq),
              .size_weight = sizeof(zoo_weight),
              .size_norm = sizeof(zoo_norm),
              .size_key = sizeof(zoo_key),
              .size_rowmap = sizeof(zoo_rowmap),
              .size_table = sizeof(zoo_table),
              .size_error = sizeof(zoo_error),
              .size_segment = sizeof(zoo_segment),
              .size_gemm = sizeof(zoo_gemm),
              .size_gemm_slots = sizeof(zoo_gemm_slots),
              .size_norm_args = sizeof(zoo_norm_args),
              .size_rope_args = sizeof(zoo_rope_args),
              .size_attend_args = SIZE_ATTEND_ARGS,
              .size_conv_args = sizeof(zoo_conv_args),
              .size_ssm_args = sizeof(zoo_ssm_args),
              .size_scan_args = sizeof(zoo_scan_args),
              .size_delta_args = sizeof(zoo_delta_args),
              .size_index_args = sizeof(zoo_index_args),
              .size_cache_vector = sizeof(zoo_cache_vector),
              .panel = PANEL,
              .page = ZOO_PAGE},
#ifdef BAD_SHORT_DESCRIPTOR
    .size = 100,
#else
    .size = sizeof(zoo_plugin),
#endif
#ifndef BAD_NO_NAME
    .name = "bad",
#endif
    .version = "1",
    .licence = "Apache-2.0",
    .summary = "for the loader's test",
    .needs = needs,
    .mixers = mixers,
    .caches = caches,
    .keys = keys,
    .probe = probe,
#ifndef BAD_NO_CONFIGURE
    .configure = configure,
#endif
};
