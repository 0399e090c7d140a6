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
    char *path; /* of its file */
    cJSON *json;
} zoo_card;

typedef struct zoo_cards {
    zoo_card *cards; /* sorted by path */
    uint32_t n_cards;
    cJSON *options; /* card_options.h */
} zoo_cards;

/* Reads and checks every card of the folder. ZOO_E_FORMAT: an unknown member or option, a wrong
 * type, or two cards for one model_type; ZOO_E_IO, ZOO_E_MEMORY. [load] */
zoo_status zoo_cards_read(const char *folder, zoo_cards *out, zoo_error *err);
void zoo_cards_free(zoo_cards *cards);
/* Reads and checks one card; options null: its options are not checked. The caller frees path with
 * zoo_mem_free and json with cJSON_Delete, after an error too. [load] */
zoo_status zoo_card_read(const cJSON *options, const char *path, zoo_card *out, zoo_error *err);

/* The card for this model_type, or null. */
const zoo_card *zoo_cards_find(const zoo_cards *cards, const char *model_type);

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
