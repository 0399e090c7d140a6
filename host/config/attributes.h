/*
 * attributes.h: a config as the reference's configuration class holds it: its attributes after the
 * class has read the file, each with where it comes from.
 *
 * Order, as in the class: its fields (file, else default), the derivations of the class file, among
 * them the place ("rope") where rotary parameters are brought into one form and the file's keys
 * that are no fields become attributes. What neither the class nor the model's code reads is not
 * kept. A class file is models.d/classes/<model_type>.json, made by tools/reference/classes.py,
 * whose comment says what its members mean. Memory: cJSON trees that live as long as the config.
 */
#ifndef ZOO_CONFIG_ATTRIBUTES_H
#define ZOO_CONFIG_ATTRIBUTES_H

#include <cjson/cJSON.h>

#include "base.h"
#include "config/problems.h"

enum { ZOO_CLASS_LAYERS_MAX = 4096, ZOO_CLASS_KEY_MAX = 256 };

typedef struct zoo_attributes {
    const cJSON *class_json; /* the class file */
    const cJSON *common;     /* <folder>/classes/_common.json: what is the same for all classes */
    const char *path;        /* of config.json, for errors */
    zoo_problems *problems;  /* null: the first wrong type ends it */
    cJSON *set;              /* object: attributes by the class's own names */
    cJSON *extras;           /* object: keys of the file that are no fields, until `converted` */
    cJSON *origins;          /* object: key of set -> "file: KEY", "class", "derived: NAME" */
    bool converted;          /* the base class has run: extras are attributes */
} zoo_attributes;

/* Reads the class file of a type from <folder>/classes; *out is null where there is none. [load] */
zoo_status zoo_class_read(const char *folder, const char *type, cJSON **out, zoo_error *err);
/* Reads <folder>/classes/_common.json. [load] */
zoo_status zoo_class_common(const char *folder, cJSON **out, zoo_error *err);

/* Computes the attributes of `text`, the file's part for this class; class_json, common and path
 * are set before and stay the caller's. [load] */
zoo_status zoo_attributes_make(zoo_attributes *a, const cJSON *text, zoo_error *err);
/* Its first half: fields, defaults, spellings and types, before anything is derived. [load] */
zoo_status zoo_attributes_read(zoo_attributes *a, const cJSON *text, zoo_error *err);
/* Lists with one value a layer have as many as there are layers, once all is derived. [load] */
zoo_status zoo_attributes_check_lists(const zoo_attributes *a, zoo_error *err);
void zoo_attributes_free(zoo_attributes *a);

/* The class's name for a key (attribute_map), or the key itself. */
const char *zoo_attributes_name(const zoo_attributes *a, const char *key);
/* The value at a path of members, whatever the spelling of the first; null: absent. */
cJSON *zoo_attributes_get(const zoo_attributes *a, const char *key);
/* Sets an attribute, by any of its names; takes value, also when it fails. */
zoo_status zoo_attributes_set(zoo_attributes *a, const char *key, cJSON *value, const char *origin,
                              zoo_error *err);
/* The same for a key of the file that is no field: an attribute once the base class has run. */
zoo_status zoo_attributes_set_extra(zoo_attributes *a, const char *key, cJSON *value,
                                    const char *origin, zoo_error *err);
/* Whether the class or the model's code reads a key of the file, under any spelling. */
bool zoo_attributes_reads(const zoo_attributes *a, const char *key);
/* Whether the model's code, not the class alone, reads it. */
bool zoo_attributes_model_reads(const zoo_attributes *a, const char *key);

/* A number as Python has it, true and false being 1 and 0; false: the item is none. */
bool zoo_json_number(const cJSON *item, double *out);
/* A whole number at key, from 0 to max; refused otherwise in the name of the derivation. [load] */
zoo_status zoo_attributes_whole(const zoo_attributes *a, const char *key, const char *derivation,
                                uint32_t max, uint32_t *out, zoo_error *err);
/* Python's idea of true: not null, false, 0, "", [] or {}. */
bool zoo_json_truthy(const cJSON *item);

/* One derivation of the class file. derive*.c */
typedef zoo_status zoo_derivation(zoo_attributes *a, const cJSON *step, zoo_error *err);
zoo_derivation zoo_derive_first, zoo_derive_periodic, zoo_derive_repeat, zoo_derive_where,
    zoo_derive_cycle, zoo_derive_numbered, zoo_derive_prefix_pattern, zoo_derive_every_nth,
    zoo_derive_letters, zoo_derive_last, zoo_derive_indices, zoo_derive_expand,
    zoo_derive_indexer_pattern, zoo_derive_compressed_layers;
zoo_derivation zoo_derive_cut_layers, zoo_derive_enumerated, zoo_derive_layer_heads,
    zoo_derive_typed_rope;
zoo_derivation zoo_derive_rope, zoo_derive_rotated_share, zoo_derive_compressed_rope;

/* The last step: rotary parameters keep what their kind and the model's code read. derive_rope.c */
zoo_status zoo_attributes_finish_rope(zoo_attributes *a, zoo_error *err);

#endif
