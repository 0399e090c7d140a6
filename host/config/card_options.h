/*
 * card_options.h: the table of options that cards may set, and checking a card against it.
 *
 * <card folder>/options.json lists the options that the shared blocks and the plugins of the tree
 * read as "@name": {"name", "readers": ["shared"] for all plugins of the tree, else plugin names,
 * "kinds": allowed types: flag, number, list, text, key (the name of a config key), "words":
 * allowed texts that are not keys, "what": a description}. Tests compare it with the sources.
 */
#ifndef ZOO_CONFIG_CARD_OPTIONS_H
#define ZOO_CONFIG_CARD_OPTIONS_H

#include <cjson/cJSON.h>

#include "base.h"

/* Reads options.json of the folder, else that of the program; *out is null if neither exists. The
 * caller frees it with cJSON_Delete. ZOO_E_FORMAT. [load] */
zoo_status zoo_card_options_read(const char *folder, cJSON **out, zoo_error *err);

/* Refuses an option that the plugin (null: any) does not read, or a value that is not allowed, and
 * suggests the nearest one. options null: no check. path: of the card, for errors. ZOO_E_FORMAT.
 * [load] */
zoo_status zoo_card_option_check(const cJSON *options, const char *path, const char *plugin,
                                 const cJSON *option, zoo_error *err);

#endif
