/* caches.h: the cache kinds of this plugin. */
#ifndef CACHES_H
#define CACHES_H

#include "zoo.h"

extern const zoo_cache_ops caches_uneven4; /* uneven4.c */

#endif
