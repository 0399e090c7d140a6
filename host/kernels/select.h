#include "zoo.h"
const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err);
