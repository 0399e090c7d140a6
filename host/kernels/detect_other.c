/* detect_other.c: an architecture without kernels of its own. */
#include "kernels/detect.h"

void zoo_kernels_detect(bool *present)
{
    (void)present;
}
