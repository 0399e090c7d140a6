/* messages.h: Anthropic's Messages API: bodies read (messages_read.c), answers written
 * (messages.c). */
#ifndef ZOO_SERVE_MESSAGES_H
#define ZOO_SERVE_MESSAGES_H

#include "serve/dialect.h"

/* zoo_dialect.read for bodies of /v1/messages and of /v1/messages/count_tokens, which have no
 * max_tokens. ZOO_E_USAGE, ZOO_E_UNSUPPORTED, ZOO_E_MEMORY. */
zoo_status zoo_messages_read(zoo_translation *t, zoo_error *err);
zoo_status zoo_messages_read_count(zoo_translation *t, zoo_error *err);

#endif
