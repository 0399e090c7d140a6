/* template.h: what the files of this plugin share. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "zoo.h"

typedef struct square_params {
    uint32_t hidden; /* floats of x and y */
    uint32_t width;  /* floats inside */
    uint32_t act;    /* zoo_act */
} square_params;

extern const zoo_block_ops template_square_ops;

#endif
