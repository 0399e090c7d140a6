/*
 * template_private.h: what a template is, shared by template.c (work) and template_open.c (files).
 */
#ifndef ZOO_TEXT_JINJA_TEMPLATE_PRIVATE_H
#define ZOO_TEXT_JINJA_TEMPLATE_PRIVATE_H

#include "text/jinja/jinja_private.h"

struct zoo_template {
    char *name; /* file, for errors */
    char *source;
    size_t source_n;
    zoo_jpool pool; /* holds the tree */
    zoo_jnode *root;
    zoo_jframe *frame;
    zoo_jinja_limits limits;
    zoo_template *tool_use; /* taken when there are tools; may be null */
    cJSON *defaults;        /* variables under those of the caller; may be null */
};

#endif
