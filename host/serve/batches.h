/*
 * batches.h: OpenAI's Batch API: files of requests that run beside the requests of clients, through
 * the same live queue.
 *
 *   file -> reader (batch/reader.h) -> live queue -> journal (batch/journal.h) -> output, errors
 *
 * A thread of its own runs one batch after the other, the oldest first, with up to 32 of its
 * requests in the queue at once. Output lines equal those of `lmzoo batch` byte for byte, in the
 * order in which they finish. After a crash or a stop, a server with the same model and options
 * resumes the batch from its journal; every row then has exactly one line.
 *
 * Thread-safe. Memory: that of the reader, of the requests in the queue, and the objects of all
 * batches.
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
    zoo_journal_key key;   /* without `requests`, which differs for each batch */
    size_t line_bytes_max; /* as zoo_reader_options */
    size_t bytes_max;
    double seconds_max;
} zoo_batches_options;

/* Starts the thread, which first resumes unfinished batches. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_batches_open(const zoo_batches_options *options, zoo_batches **out, zoo_error *err);
/* Cancels the running batch, which the next server resumes, and joins the thread. Null: no-op. */
void zoo_batches_close(zoo_batches *batches);

/* Creates a batch from the body of POST /v1/batches; *object is a copy of its object, the caller's.
 * ZOO_E_USAGE: the body is wrong, param names the key; ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_batches_create(zoo_batches *batches, const cJSON *body, cJSON **object,
                              char param[64], zoo_error *err);
/* Each returns a copy, the caller's. Null: no such batch, or no memory. */
cJSON *zoo_batches_get(zoo_batches *batches, const char *id);
/* All objects, newest first; null: no memory. */
cJSON *zoo_batches_list(zoo_batches *batches);
/* Begins to cancel the batch. Its object, "cancelling" until its requests in the queue have ended.
 */
cJSON *zoo_batches_cancel(zoo_batches *batches, const char *id);

#endif
