/*
 * plugin_loader.h: finds, judges and keeps plugin files.
 *
 * Order: the file is opened (RTLD_NOW | RTLD_LOCAL), the one exported constant is looked up, its
 * stamp is compared field by field, then needs and every ops table are checked; only then may a
 * callback run. Files are loaded from the given folder only and stay loaded until the process ends.
 */
#ifndef ZOO_CONFIG_PLUGIN_LOADER_H
#define ZOO_CONFIG_PLUGIN_LOADER_H

#include "zoo.h"

/* Loads and judges one file. ZOO_E_PLUGIN names the file, the field and both values. [load] */
zoo_status zoo_plugin_load(const char *path, const zoo_plugin **out, zoo_error *err);

/* Loads `<folder>/<name>.so`. [load] */
zoo_status zoo_plugin_load_named(const char *folder, const char *name, const zoo_plugin **out,
                                 zoo_error *err);

/* Judges an entry that lies in memory; path stands in errors. [any] */
zoo_status zoo_plugin_judge(const char *path, const zoo_plugin *plugin, zoo_error *err);

/* Names of the plugin files of a folder, sorted; each is given to fn without folder
 * and suffix. [load] */
zoo_status zoo_plugins_list(const char *folder, void (*fn)(void *arg, const char *name), void *arg,
                            zoo_error *err);

/* Path of the file that this code was loaded from: the program, or liblmzoo.so. False where the
 * system does not tell (no /proc). [load] */
bool zoo_own_file(char *path, size_t n);

/*
 * Folder of plugins, cards or links (cluster/link.h): the given one, else `<kind>` beside the
 * program, else the installed place. kind: "plugins", "models.d", "links", or other data of the
 * program: "template", "reference". [load]
 */
zoo_status zoo_install_folder(const char *given, const char *kind, char *path, size_t n,
                              zoo_error *err);

#endif
