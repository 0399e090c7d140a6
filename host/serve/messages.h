/* messages.h: Anthropic's Messages API: bodies read (messages_read.c), answers written
 * (messages.c). */
#ifndef ZOO_SERVE_MESSAGES_H
#define ZOO_SERVE_MESSAGES_H

#include "serve/dialect.h"

/* A body of /v1/messages, and one of /v1/messages/count_tokens, which has no max_tokens. */
zoo_status zoo_messages_read(zoo_translation *t, zoo_error *err);
zoo_status zoo_messages_read_count(zoo_translation *t, zoo_error *err);

#endif
