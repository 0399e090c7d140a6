/*
 * live.h: requests that come and go while a model runs: the batch's scheduler behind a queue.
 *
 *   any thread: zoo_request (parsed, encoded) -> submit -> queue
 *   own thread: queue -> scheduler -> steps -> text, done
 *
 * One thread of its own runs the steps as long as there is work and sleeps otherwise. What a
 * request gets is what it gets in a batch: the same rows, the same bits, whatever runs beside it.
 *
 * Memory: what the scheduler takes, and each request until it is released. Not done here: parsing
 * (request.h), answers as text (result.h), limits on how many may wait.
 */
#ifndef ZOO_BATCH_LIVE_H
#define ZOO_BATCH_LIVE_H

#include "batch/chat_model.h"
#include "batch/result.h"
#include "generate/schedule.h"

typedef struct zoo_live zoo_live;
typedef struct zoo_live_request zoo_live_request;

/* Calls out of the live thread and, for text, the engine's. They must be short and must not call
 * this header. Either may be null. */
typedef struct zoo_live_events {
    void *arg;
    /* Settled text of row `row`, in order for each row; rows may come at once. */
    void (*text)(void *arg, uint32_t row, const char *text, size_t n);
    /* All rows are finished, failed or cancelled; the last call of a request. */
    void (*done)(void *arg);
} zoo_live_events;

/* loaded is kept by reference and must not be stepped by others but under zoo_live_pause.
 * ZOO_E_MEMORY, ZOO_E_IO: no thread. [load] */
zoo_status zoo_live_new(const zoo_chat_model *loaded, zoo_live **out, zoo_error *err);
/* Before the first request: what requests have read is kept after their end (schedule.h). */
void zoo_live_keep(zoo_live *live, double share);
/* Behind it: what is kept is loaded from the file, and saved there when the queue ends. The file is
 * kept by reference, and its note told. */
void zoo_live_store(zoo_live *live, zoo_kept_file *file);
/* Ends after the step at hand. What is unfinished ends as cancelled; requests must be released
 * before. Null is fine. */
void zoo_live_free(zoo_live *live);

/*
 * Makes and queues an encoded request, whose content moves into *out on success; it runs until done
 * is called. id names its answer. The caller releases *out. ZOO_E_MEMORY.
 */
zoo_status zoo_live_submit(zoo_live *live, zoo_request *request, zoo_id id,
                           const zoo_live_events *events, zoo_live_request **out, zoo_error *err);

/* The two halves of it: events come once it is started, which must not happen under a lock that
 * they take. */
zoo_status zoo_live_make(zoo_live *live, zoo_request *request, zoo_id id,
                         const zoo_live_events *events, zoo_live_request **out, zoo_error *err);
void zoo_live_start(zoo_live *live, zoo_live_request *request);

/* Ends the request at the next step; done is still called. A finished one stays as it is. */
void zoo_live_cancel(zoo_live *live, zoo_live_request *request);

/* Cancels the request if it still runs, waits for its end and frees it. Not from an event. */
void zoo_live_release(zoo_live *live, zoo_live_request *request);

/* A row, from inside its own text event: what it holds so far. */
const zoo_row *zoo_live_row(const zoo_live_request *request, uint32_t row);

/* The answer without its rows, for what is sent while it is written. Pointers live until
 * release. */
void zoo_live_head(const zoo_live *live, const zoo_live_request *request, zoo_answer *answer);

/* After done: the answer, for zoo_result_body; pointers live until release. ZOO_OK or why a row
 * failed; ZOO_E_CANCELLED. */
zoo_status zoo_live_answer(const zoo_live_request *request, zoo_answer *answer, zoo_error *err);

/* Holds the live thread between two steps, so that the caller may use the engine; blocks until it
 * is held. Kept prefixes give their pages back. Calls are paired and not nested. */
void zoo_live_pause(zoo_live *live);
void zoo_live_resume(zoo_live *live);

/* Counters of the scheduler, with what waits in the queue among n_waiting. */
zoo_schedule_stats zoo_live_stats(zoo_live *live);

#endif
