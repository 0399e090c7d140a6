/* gemma.h: what the files of this plugin share. */
#ifndef GEMMA_H
#define GEMMA_H

#include "blocks/decoder.h"

/* Plans of the models whose layers are plain branches. */
zoo_status gemma_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err);

#endif
