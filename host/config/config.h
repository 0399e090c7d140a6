/*
 * config.h: a checkpoint's config.json as the plugin sees it, and who claimed which key.
 *
 * Lookup of a key: the card's fixed value, then what the reference's class holds (attributes.h),
 * by the class's names and the card's aliases, then the card's defaults. A key of the file that the
 * class does not read is seen by no plugin: it is told, and refused where the user asks for that or
 * the file names code of its own (auto_map). A key that the reference reads and the plugin does not
 * is refused unless it holds the class's default. A type without a class file is read from the file
 * itself: the card's defaults count, and every leaf must be claimed.
 */
#ifndef ZOO_CONFIG_CONFIG_H
#define ZOO_CONFIG_CONFIG_H

#include "config/card.h"
#include "config/problems.h"
#include "zoo.h"

typedef struct zoo_model_config zoo_model_config;
typedef bool zoo_has_tensor_fn(void *arg, const char *name);

/* Reads <folder>/config.json, or the file itself where folder names one. [load] */
zoo_status zoo_model_config_open(const char *folder, zoo_model_config **out, zoo_error *err);
/* The same from a text; name stands for its file in errors. [load] */
zoo_status zoo_model_config_open_text(const char *name, const char *text, zoo_model_config **out,
                                      zoo_error *err);
void zoo_model_config_close(zoo_model_config *config);

/* model_type of the whole file and of its text part (the same where nothing is
 * nested). Never null. */
const char *zoo_model_config_type(const zoo_model_config *config);
const char *zoo_model_config_text_type(const zoo_model_config *config);
bool zoo_model_config_nested(const zoo_model_config *config);
/* Path of the file, for messages; the whole tree, its text part; quantization_config or null. */
const char *zoo_model_config_path(const zoo_model_config *config);
const cJSON *zoo_model_config_text(const zoo_model_config *config);
const cJSON *zoo_model_config_json(const zoo_model_config *config);
const cJSON *zoo_model_config_quantization(const zoo_model_config *config);

/* Whether a key names files, tokens, training, caching or output, never a term of the maths. */
bool zoo_model_config_is_harmless(const char *key);
/* Chooses the card (may be null) and how has_tensor is answered. */
void zoo_model_config_use(zoo_model_config *config, const zoo_card *card, zoo_has_tensor_fn *has,
                          void *arg);
/*
 * Finds the text part of a wrapper, and the type it is read as, by the wrapper's class file in
 * <folder>/classes. Before a card is chosen. [load]
 */
zoo_status zoo_model_config_unwrap(zoo_model_config *config, const char *folder, zoo_error *err);
/*
 * Reads the class file of the text part from <folder>/classes and computes the attributes;
 * without a class file nothing changes. After use, before any plugin. ZOO_E_CONFIG: the reference
 * refuses the file's values. [load]
 */
zoo_status zoo_model_config_read_class(zoo_model_config *config, const char *folder,
                                       zoo_error *err);
/* Hand refusals to problems (may be null), while it lives. */
void zoo_model_config_problems(zoo_model_config *config, zoo_problems *problems);
/* Refuse keys that the reference does not read, in judge. */
void zoo_model_config_strict(zoo_model_config *config, bool strict);
/* Name of the reference's class, or null. */
const char *zoo_model_config_class(const zoo_model_config *config);
/* What plugins get. */
const zoo_config *zoo_model_config_view(const zoo_model_config *config);
/* The first misuse that a getter or refuse() remembered. */
zoo_status zoo_model_config_misuse(const zoo_model_config *config, zoo_error *err);

/* A key with its value as JSON text and a remark (may be null). */
typedef void zoo_key_fn(void *arg, const char *key, const char *value, const char *note);

/*
 * Every value that the reference's class holds, in its order, with where it comes from as note:
 * "file: KEY", "class" (its default), "derived: HOW". Without a class file: the file's members.
 */
void zoo_model_config_each(const zoo_model_config *config, zoo_key_fn *fn, void *arg);
/* Every key of the file that the reference does not read, harmless ones and nulls left out; note:
 * the card's remark or null. Nothing without a class file. */
void zoo_model_config_unread(const zoo_model_config *config, zoo_key_fn *fn, void *arg);

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
