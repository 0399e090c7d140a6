/* card_options.h: the options of cards, and the judgement of a card's options by that table. */
#ifndef ZOO_CONFIG_CARD_OPTIONS_H
#define ZOO_CONFIG_CARD_OPTIONS_H

#include <cjson/cJSON.h>

#include "base.h"

typedef struct zoo_card_option {
    const char *name;   /* null ends the table */
    const char *values; /* the words that a text may be, separated by '|'; null: any */
} zoo_card_option;

extern const zoo_card_option zoo_card_options[];

/* The option whose name takes the fewest edits from `name`. [any] */
const char *zoo_card_option_nearest(const char *name);

/* Refuses an unknown option, or a text outside its list, naming the nearest right one. path: the
 * card's. ZOO_E_FORMAT. [load] */
zoo_status zoo_card_option_check(const char *path, const cJSON *option, zoo_error *err);

#endif
