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
    bool tests_content;     /* whether a message has none, by itself */
};

/* Whether a template's source asks if a content is none. */
bool zoo_template_tests_content(const char *source, size_t n);
/* Gives every message without content the empty string; only_look: nothing is changed. Whether
 * there was such a message. */
bool zoo_jinja_fill_contents(zoo_jinja *x, bool only_look);

#endif
