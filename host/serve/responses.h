/* responses.h: OpenAI's Responses API: bodies read (responses_read.c), answers written
 * (responses.c). */
#ifndef ZOO_SERVE_RESPONSES_H
#define ZOO_SERVE_RESPONSES_H

#include "serve/dialect.h"

/* zoo_dialect.read for bodies of /v1/responses. ZOO_E_USAGE, ZOO_E_UNSUPPORTED, ZOO_E_MEMORY. */
zoo_status zoo_responses_read(zoo_translation *t, zoo_error *err);

#endif
