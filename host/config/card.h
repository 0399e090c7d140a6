/*
 * card.h: model cards: one JSON file per release or group of releases, in the card folders.
 *
 * A card names the plugin that computes a model_type, and describes how the release differs from
 * the plugin's own keys and tensor names. It holds names and values, never expressions:
 *
 *   model_type        string or list: the configs to which it applies
 *   plugin            name of the plugin file
 *   about             {released, link, new}: information for readers
 *   aliases           {key of the plugin: key of the file, or a list of them}
 *   defaults          {key: value}: used if the file does not have the key
 *   fixed             {key: value}: overrides the file
 *   options           {name: value}: read by the plugin as "@name"
 *   ignored           {key: why}: keys of the file that the reference does not read either;
 *                     {key: {is: value, why: ...}}: only with this value, or one of a list
 *   must              {key: {is: value, why: ...}}: other values are refused
 *   tensors           [[canonical, stored], ...]: parts of tensor names, tried in order
 *   ignored_tensors   list of patterns with '*': stored tensors that are not weights of the model
 *   trace             {module of the reference: trace point with the same output}
 *   cache             default of --cache, not used with float32 weights
 *   output            syntax of reasoning and tool calls (host/text/output/output.h)
 *   class             the type whose class file is used instead of model_type's own
 *   prediction_layers true: layers after the last one predict further tokens (MTP) and are not
 *                     loaded; without it such layers are refused
 *   refused           a sentence: why this model_type is not supported
 */
#ifndef ZOO_CONFIG_CARD_H
#define ZOO_CONFIG_CARD_H

#include <cjson/cJSON.h>

#include "base.h"

typedef struct zoo_card {
    char *path;      /* of its file */
    cJSON *json;     /* null: the file is no JSON */
    zoo_error fault; /* why it cannot be used; code ZOO_OK: it can */
} zoo_card;

typedef struct zoo_cards {
    zoo_card *cards; /* sorted by path */
    uint32_t n_cards;
    cJSON *options; /* card_options.h */
} zoo_cards;

/* Reads and checks every card of the folder. A card with an unknown member or option, or of a wrong
 * type, is kept with its fault, so that it stops only its own types. ZOO_E_FORMAT: the list of
 * options; ZOO_E_IO, ZOO_E_MEMORY. [load] */
zoo_status zoo_cards_read(const char *folder, zoo_cards *out, zoo_error *err);
/* ZOO_E_FORMAT: the first card with a fault, or two cards for one model_type. */
zoo_status zoo_cards_check(const zoo_cards *cards, zoo_error *err);
void zoo_cards_drop_faulty(zoo_cards *cards);
void zoo_cards_free(zoo_cards *cards);
/* Reads and checks one card; options null: its options are not checked. The caller frees path with
 * zoo_mem_free and json with cJSON_Delete, after an error too. [load] */
zoo_status zoo_card_read(const cJSON *options, const char *path, zoo_card *out, zoo_error *err);

/* The card for this model_type, or null; it may have a fault. */
const zoo_card *zoo_cards_find(const zoo_cards *cards, const char *model_type);
/* The card for the first of these model types that has one; *out is null where none has.
 * ZOO_E_FORMAT: it has a fault, there are two for the type, or there is none and a file that is no
 * JSON may be it. */
zoo_status zoo_cards_choose(const zoo_cards *cards, const char *const *model_types, size_t n,
                            const zoo_card **out, zoo_error *err);

/* A member of the card; null if absent, or if card is null. */
const char *zoo_card_text(const zoo_card *card, const char *key);
const cJSON *zoo_card_part(const zoo_card *card, const char *key);
/* Whether value equals `is`, or one of its elements if it is a list. */
bool zoo_card_is(const cJSON *is, const cJSON *value);
/* The card's reason to ignore a key with this value; null: it is not ignored. */
const char *zoo_card_remark(const zoo_card *card, const char *key, const cJSON *value);
/* Copies the card's name, its file name without folder and suffix, to name [n]. */
void zoo_card_name(const zoo_card *card, char *name, size_t n);

#endif
