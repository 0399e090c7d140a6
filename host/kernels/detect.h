/*
 * detect.h: the levels of kernels.inc, ascending, and the question which of them a CPU has. One
 * file per architecture answers it: detect_<architecture>.c.
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

/* Sets present[level] of the architecture's own levels that this CPU and its system have, and takes
 * openblas away where its code may not run. [load] */
void zoo_kernels_detect(bool *present);

#endif
