/*
 * plugin_loader.h: finds, checks and loads plugin files.
 *
 * Order: the file is opened (RTLD_NOW | RTLD_LOCAL), the one exported constant is looked up, its
 * stamp is compared field by field, then needs and every ops table are checked; only then may a
 * callback run. Files are loaded from the given folder only and never unloaded.
 */
#ifndef ZOO_CONFIG_PLUGIN_LOADER_H
#define ZOO_CONFIG_PLUGIN_LOADER_H

#include "zoo.h"

/* Loads and checks one file. ZOO_E_PLUGIN names the file, the field and both values. [load] */
zoo_status zoo_plugin_load(const char *path, const zoo_plugin **out, zoo_error *err);

/* Loads `<folder>/<name>.so`. [load] */
zoo_status zoo_plugin_load_named(const char *folder, const char *name, const zoo_plugin **out,
                                 zoo_error *err);

/* Checks a descriptor in memory; path: for errors. ZOO_E_PLUGIN. [any] */
zoo_status zoo_plugin_check(const char *path, const zoo_plugin *plugin, zoo_error *err);

/* Calls fn with the name of each plugin file of a folder, sorted, without folder and suffix.
 * ZOO_E_IO. [load] */
zoo_status zoo_plugins_list(const char *folder, void (*fn)(void *arg, const char *name), void *arg,
                            zoo_error *err);

/* Path of the file that contains this code: the program, or liblmzoo.so. False: unknown (no /proc).
 * [load] */
bool zoo_own_file(char *path, size_t n);

/*
 * Finds the folder of plugins, cards, links (cluster/link.h) or other data: `given` if not null,
 * else `<kind>` beside the program, else the installed location. kind: "plugins", "models.d",
 * "links", "template", "reference". ZOO_E_IO. [load]
 */
zoo_status zoo_install_folder(const char *given, const char *kind, char *path, size_t n,
                              zoo_error *err);

#endif
