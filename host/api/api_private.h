/* api_private.h: what the files of the C interface share. */
#ifndef ZOO_API_API_PRIVATE_H
#define ZOO_API_API_PRIVATE_H

#include "batch/live.h"
#include "lmzoo.h"

struct lmzoo_model {
    zoo_chat_model loaded;
    zoo_live *live;
    zoo_clock now;        /* what templates see: when the model was opened */
    uint64_t n_submitted; /* atomic; names answers */
};

/* Copies the sentence; returns the status. */
int lmzoo_report(zoo_status status, const zoo_error *why, lmzoo_error *error);
int lmzoo_fail(lmzoo_error *error, int status, const char *format, ...) ZOO_PRINTF(3, 4);

#endif
