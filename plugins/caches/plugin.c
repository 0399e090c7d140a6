/*
 * plugin.c: a plugin that computes no model: it only keeps the caches of others. Each kind is one
 * file; `--cache NAME` finds it for any model.
 */
#include "caches.h"

static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    (void)config;
    (void)snprintf(why, n, "it keeps caches and computes no model");
    return 0;
}

static zoo_status configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                            zoo_error *err)
{
    (void)config, (void)setup, (void)plan;
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "plugin caches computes no model");
}

static const zoo_cache_ops *const kinds[] = {&caches_uneven4, NULL};

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "caches",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "cache kinds for any model",
    .caches = kinds,
    .probe = probe,
    .configure = configure,
};
