#ifndef K_H
#define K_H
#include "zoo.h"
uint32_t zoo_pack_group(zoo_dtype kind);
size_t zoo_pack_size(zoo_dtype kind, uint32_t rows, uint32_t cols, uint32_t group,
                     size_t *scales_bytes);
void zoo_pack_panel(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n);
void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out);
#endif
