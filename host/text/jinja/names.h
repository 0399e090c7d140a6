/*
 * names.h: the names of one frame of a template (symbols.c), for those who bind them
 * (names.c).
 */
#ifndef ZOO_TEXT_JINJA_NAMES_H
#define ZOO_TEXT_JINJA_NAMES_H

#include "text/jinja/jinja_private.h"

/* The variables of a function. */
typedef struct zoo_jnames {
    struct zoo_jnames *parent;
    zoo_jdict slots;  /* of (depth, name) */
    zoo_jlist *names; /* of the slots */
} zoo_jnames;

typedef struct zoo_jsymbols {
    struct zoo_jsymbols *parent;
    struct zoo_jsymbols *base; /* of a branch of an `if`: what it is a branch of */
    zoo_jnames *fn;
    int64_t depth;
    bool in_loop;
    zoo_jdict refs;   /* name: slot */
    zoo_jdict loads;  /* slot: load as one integer: kind, hops << 8, slot << 24 */
    zoo_jdict stores; /* names */
} zoo_jsymbols;

zoo_jnames *zoo_jsymbols_function(zoo_jinja *x, zoo_jnames *parent);
zoo_jsymbols *zoo_jsymbols_new(zoo_jinja *x, zoo_jsymbols *parent, zoo_jnames *fn);
/* The frame that has the name, from s outwards, and its slot there; null when none has it. */
const zoo_jsymbols *zoo_jsymbols_find(zoo_jinja *x, const zoo_jsymbols *s, zoo_jv name,
                                      uint32_t *slot);
uint16_t zoo_jsymbols_hops(const zoo_jnames *from, const zoo_jnames *to);
/* Makes name a variable that whoever enters the frame sets; its slot. */
uint32_t zoo_jsymbols_declare(zoo_jinja *x, zoo_jsymbols *s, zoo_jv name);
/* The names that an expression reads. */
void zoo_jsymbols_read(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *node);
/* The names that a target stores; is_param: whoever enters the frame does. */
void zoo_jsymbols_store(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *target, bool is_param);
/* What statements read and store in the frame they stand in; not what their own frames do. */
void zoo_jsymbols_note(zoo_jinja *x, zoo_jsymbols *s, const zoo_jnode *list);

#endif
