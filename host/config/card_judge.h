/* card_judge.h: is every member of a card, and every name in it, of use to somebody? */
#ifndef ZOO_CONFIG_CARD_JUDGE_H
#define ZOO_CONFIG_CARD_JUDGE_H

#include "config/config.h"

/*
 * After configure: refuses a default, fixed value or alias whose key neither the plugin nor the
 * reference's class reads, and an ignored key that is a misspelling of one that is there, with the
 * nearest right name. ZOO_E_FORMAT. [load]
 */
zoo_status zoo_card_judge(const zoo_model_config *config, const zoo_plugin *plugin,
                          zoo_problems *problems, zoo_error *err);

#endif
