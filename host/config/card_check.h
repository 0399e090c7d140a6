/* card_check.h: checks that every key that a card names is read. */
#ifndef ZOO_CONFIG_CARD_CHECK_H
#define ZOO_CONFIG_CARD_CHECK_H

#include "config/config.h"

/*
 * To be called after configure. Refuses a default, fixed value or alias whose key neither the
 * plugin nor the reference's class reads, an ignored key that is a misspelling of a key of the
 * file, and a value that "must" does not allow, suggesting the nearest name. ZOO_E_FORMAT,
 * ZOO_E_CONFIG. [load]
 */
zoo_status zoo_card_check(const zoo_model_config *config, const zoo_plugin *plugin,
                          zoo_problems *problems, zoo_error *err);

#endif
