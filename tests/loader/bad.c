/* bad.c: a plugin that is right but for the one mistake its build names.
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

#ifdef BAD_PANEL
#define PANEL 8
#else
#define PANEL ZOO_PANEL
#endif

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = {MAGIC, MAJOR, MINOR, sizeof(zoo_stamp), SIZE_BIND, sizeof(zoo_stream),
              sizeof(zoo_part), sizeof(zoo_branch), sizeof(zoo_layer), sizeof(zoo_seq),
              sizeof(zoo_weight), PANEL, ZOO_PAGE},
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
    .keys = keys,
    .probe = probe,
#ifndef BAD_NO_CONFIGURE
    .configure = configure,
#endif
};
