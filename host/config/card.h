/*
 * card.h: model cards: one JSON file per release or group of releases, in the card folders.
 *
 * A card says which plugin computes a model_type and how its release differs from the plugin's own
 * spelling. It holds names and values, never expressions:
 *
 *   model_type        string or list: which configs it is for
 *   plugin            name of the plugin file
 *   about             {released, link, new}: for a reader
 *   aliases           {key of the plugin: key of the file, or a list of them}
 *   defaults          {key: value where the file has none}
 *   fixed             {key: value whatever the file says}
 *   options           {name: value}: what the plugin reads as "@name"
 *   ignored           {key: why}: keys of the file that the reference does not read either;
 *                     {key: {is: value, why: ...}}: where it has this value, or one of a list
 *   tensors           [[canonical, stored], ...]: parts of tensor names, tried in order
 *   ignored_tensors   list of patterns with '*': stored tensors that are not weights of the model
 *   output            how reasoning and tool calls stand in the text (host/text/output/output.h)
 *   class             the type whose class file counts, where it is not model_type's own
 *   prediction_layers true: files hold layers behind the last one, which predict further tokens and
 *                     are left aside; without it such layers are refused
 *   refused           a sentence: why this model_type is not computed
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

/* Reads every *.json of the folder and checks each card's shape.
 * An unknown key is refused. [load] */
zoo_status zoo_cards_read(const char *folder, zoo_cards *out, zoo_error *err);
void zoo_cards_free(zoo_cards *cards);
/* One card, checked against the table of options (null: they are not); its path is for
 * zoo_mem_free, its json for cJSON_Delete, after an error too. [load] */
zoo_status zoo_card_read(const cJSON *options, const char *path, zoo_card *out, zoo_error *err);

/* The card that names this model_type, or null.
 * Two cards for one type are refused by zoo_cards_read. */
const zoo_card *zoo_cards_find(const zoo_cards *cards, const char *model_type);

/* Members, null where the card has none. */
const char *zoo_card_text(const zoo_card *card, const char *key);
const cJSON *zoo_card_part(const zoo_card *card, const char *key);
/* Whether a value is the one that `is` of a remark names, or one of its list. */
bool zoo_card_is(const cJSON *is, const cJSON *value);
/* Why a key of the file with this value is ignored; null: the card does not say so. */
const char *zoo_card_remark(const zoo_card *card, const char *key, const cJSON *value);
/* Name of the card: its file's name without folder and suffix; copied to name. */
void zoo_card_name(const zoo_card *card, char *name, size_t n);

#endif
