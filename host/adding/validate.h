/*
 * validate.h: checks a card, a plugin file, a folder or a config.
 *
 *   card     its shape and rules, each type's plan from its class's defaults, what is unsettled
 *   plugin   the file's ABI and tables, then the folder or config that is given with it
 *   folder   conformance on its weights
 *   config   conformance on random weights of its plan
 *
 * Each check is reported as it ends. Memory: one model at a time; random weights of at most
 * ZOO_RANDOM_PARAMS_MAX parameters in a temporary folder.
 */
#ifndef ZOO_ADDING_VALIDATE_H
#define ZOO_ADDING_VALIDATE_H

#include "base.h"

typedef enum zoo_subject_kind {
    ZOO_SUBJECT_CARD = 0,
    ZOO_SUBJECT_PLUGIN = 1,
    ZOO_SUBJECT_FOLDER = 2,
    ZOO_SUBJECT_CONFIG = 3
} zoo_subject_kind;

typedef struct zoo_validation {
    const char *path;
    const char *config; /* for a plugin: a config or folder to run it on; null: none */
    const char *plugin_dir, *card_dir;
    const char *weights, *cache; /* null: f32, bf16, int8 and int4 in turn */
    /* ok < 0: a remark. why may be "". */
    void (*told)(void *arg, int ok, const char *what, const char *why);
    void *arg;
} zoo_validation;

/* What a path is. ZOO_E_USAGE: nothing that can be validated. [load] */
zoo_status zoo_validate_kind(const char *path, zoo_subject_kind *out, zoo_error *err);

/* ZOO_OK whatever the checks say; an error stops before they do. [load] */
zoo_status zoo_validate_card(const zoo_validation *v, zoo_error *err);
zoo_status zoo_validate_plugin(const zoo_validation *v, zoo_error *err);
zoo_status zoo_validate_folder(const zoo_validation *v, const char *folder, zoo_error *err);
zoo_status zoo_validate_config(const zoo_validation *v, const char *config, zoo_error *err);

#endif
