/* trace.h: the callback that receives the activations of a step. */
#ifndef ZOO_MODEL_TRACE_H
#define ZOO_MODEL_TRACE_H

#include <stdint.h>

/* Called for every named activation of a step, x [n_rows, width], valid during the call. */
typedef void zoo_trace_fn(void *arg, const char *name, const float *x, uint32_t n_rows,
                          uint32_t width);

#endif
