/* template.h: what the files of this plugin share. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "blocks/ops.h"
#include "zoo.h"

/* block.c */
extern const zoo_block_ops template_square_ops;
zoo_part_maker template_square_part;

/* mixer.c */
extern const zoo_block_ops template_average_ops;
zoo_part_maker template_average_part;

#endif
