/*
 * lightning_slopes.c: whether the decays that a file holds are those that head and layer give.
 *
 *   |stored - want| <= want / 128, a rounding to bfloat16
 *
 * The reference reads them from the file; here the formula counts (lightning.c).
 */
#include <math.h>

#include "hybrid.h"

zoo_status hybrid_check_slopes(const float *stored, const float *decays, uint32_t n_heads,
                               zoo_error *err)
{
    for (uint32_t h = 0; stored && h < n_heads; h++) {
        float want = -decays[h];
        if (!(fabsf(stored[h] - want) <= want / 128)) {
            return zoo_fail(err, ZOO_E_WEIGHT,
                            "slope_rate of head %u is %g; only %g, which follows from head and "
                            "layer, is computed",
                            h, (double)stored[h], (double)want);
        }
    }
    return ZOO_OK;
}
