/*
 * config.h: a checkpoint's config.json as the plugin sees it, and who claimed which key.
 *
 * Lookup of a key: the card's fixed value, then the file (its text_config where there is one), then
 * the card's aliases in the file, then the card's defaults (by key, then by alias; none for a part
 * of an object or list that the file gives). Every leaf of the file must be claimed: read by
 * configure, named by the plugin's keys or the card's `ignored`, or harmless to the maths. What is
 * left is refused.
 */
#ifndef ZOO_CONFIG_CONFIG_H
#define ZOO_CONFIG_CONFIG_H

#include "config/card.h"
#include "zoo.h"

typedef struct zoo_model_config zoo_model_config;
typedef bool zoo_has_tensor_fn(void *arg, const char *name);

/* Reads <folder>/config.json. [load] */
zoo_status zoo_model_config_open(const char *folder, zoo_model_config **out, zoo_error *err);
void zoo_model_config_close(zoo_model_config *config);

/* model_type of the whole file and of its text part (the same where nothing is
 * nested). Never null. */
const char *zoo_model_config_type(const zoo_model_config *config);
const char *zoo_model_config_text_type(const zoo_model_config *config);
bool zoo_model_config_nested(const zoo_model_config *config);
/* Path of the file, for messages; the whole tree; quantization_config or null. */
const char *zoo_model_config_path(const zoo_model_config *config);
const cJSON *zoo_model_config_json(const zoo_model_config *config);
const cJSON *zoo_model_config_quantization(const zoo_model_config *config);

/* Whether a key names files, tokens, training, caching or output, never a term of the maths. */
bool zoo_model_config_is_harmless(const char *key);
/* Chooses the card (may be null) and how has_tensor is answered. */
void zoo_model_config_use(zoo_model_config *config, const zoo_card *card, zoo_has_tensor_fn *has,
                          void *arg);
/* What plugins get. */
const zoo_config *zoo_model_config_view(const zoo_model_config *config);
/* The first misuse that a getter or refuse() remembered. */
zoo_status zoo_model_config_misuse(const zoo_model_config *config, zoo_error *err);

/* One key of the file that nobody claimed, or that was claimed with a remark. */
typedef void zoo_key_fn(void *arg, const char *key, const char *value, const char *note);

/*
 * Judges every leaf of the file after configure ran: the rules of `keys` are applied, and unclaimed
 * keys that are not in `allowed` (null-ended or null) are refused in one sentence that names key,
 * value and plugin. With report, each unclaimed or ignored key is told instead of refused (note
 * null: unclaimed).
 */
zoo_status zoo_model_config_judge(zoo_model_config *config, const zoo_plugin *plugin,
                                  const char *const *allowed, zoo_key_fn *report, void *arg,
                                  zoo_error *err);

#endif
