/* config_private.h: the fields of zoo_model_config, for config*.c and card_check.c. */
#ifndef ZOO_CONFIG_CONFIG_PRIVATE_H
#define ZOO_CONFIG_CONFIG_PRIVATE_H

#include "config/attributes.h"
#include "config/config.h"

struct zoo_model_config {
    zoo_config view;
    char *path;
    cJSON *json;
    const cJSON *text;    /* json, or its text part */
    const char *text_key; /* the member that holds the text part */
    bool older_text;      /* the text part stands, if at all, where older files have it */
    const char *model_type, *text_type;
    const zoo_card *card;
    zoo_shape_fn *shape;
    void *shape_arg;
    cJSON *class_json;         /* the class file of the text part, or null */
    cJSON *wrapper_json;       /* the class file of the whole file if it is a wrapper, or null */
    cJSON *common_json;        /* classes/_common.json, with class_json */
    cJSON *nothing;            /* an empty object: the text part of a wrapper without one */
    zoo_attributes attributes; /* with class_json: the attributes of the reference's class */
    zoo_error misuse;
    zoo_problems *problems;
    bool strict;   /* refuse keys that the reference does not read */
    char **claims; /* [n_claims] paths without indices */
    uint32_t n_claims, claims_max;
};

void zoo_config_claim(const zoo_model_config *config, const char *key);
bool zoo_config_is_claimed(const zoo_model_config *config, const char *key);

/* Whether one name, without the path before it, is harmless (config_harmless.c). [any] */
bool zoo_config_name_is_harmless(const char *name);
/* Why a key that no class of the type reads changes nothing with this value, or null. [any] */
const char *zoo_config_unread_remark(const char *key, const cJSON *value);

#endif
