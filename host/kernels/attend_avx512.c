/* attend_avx512.c: attention and index scores; see attend.inc, index.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/tile.h"
#include "kernels/vmath.h"

#include <math.h>

enum { TOKEN_ROWS = 0 }; /* attend_token.inc */
#include "kernels/attend.inc"
#include "kernels/index.inc"
