/* zoo.h: the whole SDK. */
#ifndef ZOO_H
#define ZOO_H

#include "base.h"
#include "block.h"
#include "cache.h"
#include "kernels.h"
#include "model.h"
#include "plugin.h"

#endif
