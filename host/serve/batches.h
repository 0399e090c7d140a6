/*
 * batches.h: OpenAI's batches: files of requests that run beside what clients ask, through the same
 * live queue.
 *
 *   file -> reader (batch/reader.h) -> live queue -> journal (batch/journal.h) -> output, errors
 *
 * A thread of its own runs one batch after the other, the oldest first, with some requests of it in
 * the queue at once. Lines of output are those of `lmzoo batch`, byte for byte, in the order in
 * which they are done. After a crash or a stop the journal says what is done: the batch goes on
 * when the server runs again with the same model and options, and every row stands in a file once.
 *
 * Memory: what the reader and the requests in the queue hold, and the objects of all batches.
 */
#ifndef ZOO_SERVE_BATCHES_H
#define ZOO_SERVE_BATCHES_H

#include "batch/journal.h"
#include "batch/live.h"
#include "serve/store.h"

typedef struct zoo_batches zoo_batches;

typedef struct zoo_batches_options {
    const zoo_chat_model *loaded;
    zoo_live *live;
    zoo_store *store;
    zoo_journal_key key;   /* all but requests */
    size_t line_bytes_max; /* as zoo_reader_options */
    size_t bytes_max;
    double seconds_max;
} zoo_batches_options;

/* Begins with what was not ended. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_batches_open(const zoo_batches_options *options, zoo_batches **out, zoo_error *err);
/* What runs is given up, to go on another time. Null is fine. */
void zoo_batches_close(zoo_batches *batches);

/* Takes a body of POST /v1/batches; the batch's object goes to *object, the caller's. ZOO_E_USAGE:
 * the body is wrong, the key at fault in param. */
zoo_status zoo_batches_create(zoo_batches *batches, const cJSON *body, cJSON **object,
                              char param[64], zoo_error *err);
/* A copy of the object; null: there is none. */
cJSON *zoo_batches_get(zoo_batches *batches, const char *id);
/* All, newest first; null: no memory. */
cJSON *zoo_batches_list(zoo_batches *batches);
/* Ends it as soon as what is in the queue is given up; the object as it is then, or null. */
cJSON *zoo_batches_cancel(zoo_batches *batches, const char *id);

#endif
