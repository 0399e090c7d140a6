/*
 * card_options.h: the options of cards, and the judgement of a card's options by them.
 *
 * <card folder>/options.json lists what the shared blocks and the plugins of the tree read as
 * "@name": {"name", "readers": ["shared"] for every plugin of the tree, else plugins, "kinds": what
 * a value may be: flag, number, list, text, key (the name of a config key), "words": what a text
 * may be where it is no key, "what"}. Tests compare it with the sources.
 */
#ifndef ZOO_CONFIG_CARD_OPTIONS_H
#define ZOO_CONFIG_CARD_OPTIONS_H

#include <cjson/cJSON.h>

#include "base.h"

/* Reads options.json of the folder, else that of the program; *out is null where neither has one.
 * The caller gives it to cJSON_Delete. ZOO_E_FORMAT. [load] */
zoo_status zoo_card_options_read(const char *folder, cJSON **out, zoo_error *err);

/* Refuses an option that the plugin (null: any) does not read, or a value that it may not have,
 * naming the nearest right one; nothing where options is null. path: the card's. ZOO_E_FORMAT.
 * [load] */
zoo_status zoo_card_option_check(const cJSON *options, const char *path, const char *plugin,
                                 const cJSON *option, zoo_error *err);

#endif
