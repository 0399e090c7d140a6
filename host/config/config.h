/*
 * config.h: a checkpoint's config.json as plugins see it, with a record of the keys that are read
 * (claimed).
 *
 * Lookup of a key: the card's fixed value, then the attribute of the reference's class
 * (attributes.h), by the class's names and the card's aliases, then the card's default. Plugins do
 * not see keys of the file that the class does not read; these are reported, and refused if the
 * user wants it or the file brings code of its own (auto_map). A key that the reference reads and
 * the plugin does not is refused unless it has the class's default. Types without a class file are
 * read from the file itself and the card's defaults, and every leaf must be claimed.
 */
#ifndef ZOO_CONFIG_CONFIG_H
#define ZOO_CONFIG_CONFIG_H

#include "config/card.h"
#include "config/problems.h"
#include "zoo.h"

typedef struct zoo_model_config zoo_model_config;
/* Dims of the checkpoint's tensor of this name to dims [n]; returns how many, 0: there is none. */
typedef uint32_t zoo_shape_fn(void *arg, const char *name, uint64_t *dims, uint32_t n);

/* Reads <folder>/config.json, or `folder` itself if it is a file. ZOO_E_IO, ZOO_E_FORMAT,
 * ZOO_E_CONFIG: no model_type, ZOO_E_MEMORY. [load] */
zoo_status zoo_model_config_open(const char *folder, zoo_model_config **out, zoo_error *err);
/* The same from a text; name is used as its path in errors. [load] */
zoo_status zoo_model_config_open_text(const char *name, const char *text, zoo_model_config **out,
                                      zoo_error *err);
void zoo_model_config_close(zoo_model_config *config);

/* model_type of the file and of its text part (the same if nothing is nested). Never null. */
const char *zoo_model_config_type(const zoo_model_config *config);
const char *zoo_model_config_text_type(const zoo_model_config *config);
bool zoo_model_config_nested(const zoo_model_config *config);
/* Path of the file, for messages; the text part; the whole tree; quantization_config or null. */
const char *zoo_model_config_path(const zoo_model_config *config);
const cJSON *zoo_model_config_text(const zoo_model_config *config);
const cJSON *zoo_model_config_json(const zoo_model_config *config);
const cJSON *zoo_model_config_quantization(const zoo_model_config *config);

/* Whether a key concerns files, tokens, training, caching or output, never the forward pass. */
bool zoo_model_config_is_harmless(const char *key);
/* Sets the card (may be null) and the function behind zoo_config.has_tensor and .shape (may be
 * null). */
void zoo_model_config_use(zoo_model_config *config, const zoo_card *card, zoo_shape_fn *shape,
                          void *arg);
/*
 * Finds the text part of a multimodal wrapper and its type, by the wrapper's class file in
 * <folder>/classes. Before a card is chosen. [load]
 */
zoo_status zoo_model_config_unwrap(zoo_model_config *config, const char *folder, zoo_error *err);
/*
 * Reads the class file of the text part from <folder>/classes and computes the attributes; no
 * effect without a class file. After zoo_model_config_use, before any plugin. ZOO_E_CONFIG: the
 * reference refuses the file's values. [load]
 */
zoo_status zoo_model_config_read_class(zoo_model_config *config, const char *folder,
                                       zoo_error *err);
/* Collects refusals in problems (may be null; referenced) instead of ending at the first one. */
void zoo_model_config_problems(zoo_model_config *config, zoo_problems *problems);
/* Whether zoo_model_config_check refuses keys that the reference does not read. */
void zoo_model_config_strict(zoo_model_config *config, bool strict);
/* Name of the reference's class, or null. */
const char *zoo_model_config_class(const zoo_model_config *config);
/* The interface for plugins. */
const zoo_config *zoo_model_config_view(const zoo_model_config *config);
/* The first error of a getter (a wrong type) or of refuse(). ZOO_E_CONFIG. */
zoo_status zoo_model_config_misuse(const zoo_model_config *config, zoo_error *err);

/* A key with its value as JSON text and a remark (may be null). */
typedef void zoo_key_fn(void *arg, const char *key, const char *value, const char *note);

/*
 * Calls fn for every attribute of the reference's class, in its order, with its origin as note:
 * "file: KEY", "class" (its default), "derived: HOW". Without a class file: for the file's members.
 */
void zoo_model_config_each(const zoo_model_config *config, zoo_key_fn *fn, void *arg);
/* Calls fn for every key of the file that the reference does not read, except harmless ones and
 * nulls; note: the card's reason or null. Nothing without a class file. */
void zoo_model_config_unread(const zoo_model_config *config, zoo_key_fn *fn, void *arg);

/*
 * Checks every leaf of the file after configure: applies the rules of plugin->keys, and refuses
 * unclaimed keys that are not in `allowed` (null-terminated, or null) with an error that names key,
 * value and plugin. With report, unclaimed and ignored keys are reported instead (note null:
 * unclaimed). ZOO_E_CONFIG.
 */
zoo_status zoo_model_config_check(zoo_model_config *config, const zoo_plugin *plugin,
                                  const char *const *allowed, zoo_key_fn *report, void *arg,
                                  zoo_error *err);

#endif
