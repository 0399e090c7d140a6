/* detect_other.c: for architectures without kernels of their own. */
#include "kernels/detect.h"

void zoo_kernels_detect(bool *present)
{
    (void)present;
}
