/*
 * detect.h: the levels of kernels.inc, ascending, and the detection of those that this CPU
 * supports; one file per architecture, detect_<architecture>.c.
 */
#ifndef ZOO_HOST_DETECT_H
#define ZOO_HOST_DETECT_H

#include "kernels/kernels.inc"

typedef enum zoo_level {
#define LEVEL_ENUM(name, list) LEVEL_##name,
    ZOO_KERNEL_LEVELS(LEVEL_ENUM)
#undef LEVEL_ENUM
        N_LEVELS
} zoo_level;

/* Sets present[level] for the architecture's levels that CPU and operating system support; clears
 * it for openblas on CPUs on which its code may crash. [load] */
void zoo_kernels_detect(bool *present);

#endif
