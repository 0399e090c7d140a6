/*
 * store.h: files of clients in one folder, for batches (batches.h).
 *
 *   ID       the bytes            file-..., as the client sent them or a batch wrote them
 *   ID.json  the object that the API answers with
 *
 * An object is written whole to another name and renamed, so a crash leaves the old one or the new.
 * Ids are letters, digits, - and _, so that none leads out of the folder. Thread-safe.
 */
#ifndef ZOO_SERVE_STORE_H
#define ZOO_SERVE_STORE_H

#include <cjson/cJSON.h>

#include "base.h"

typedef struct zoo_store zoo_store;

enum { ZOO_STORE_ID = 64 }; /* bytes of an id with its end */

/* The folder is made where it is not there. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_store_open(const char *folder, zoo_store **out, zoo_error *err);
void zoo_store_close(zoo_store *store);

/* A new id: prefix, then 24 hex digits. */
void zoo_store_id(zoo_store *store, const char *prefix, char id[ZOO_STORE_ID]);
/* Whether it can be one. */
bool zoo_store_is_id(const char *id);
/* folder/ID and ending; false: too long. */
bool zoo_store_path(const zoo_store *store, const char *id, const char *ending, char path[4096]);

/* Writes ID.json. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_store_put(zoo_store *store, const char *id, const cJSON *object, zoo_error *err);
/* Reads it; the caller frees; null: there is none. */
cJSON *zoo_store_get(const zoo_store *store, const char *id);
/* All objects whose ids begin so, newest first, as a list that the caller frees; null: no
 * memory. */
cJSON *zoo_store_list(const zoo_store *store, const char *prefix);
/* Removes bytes and object; false: there was no object. */
bool zoo_store_remove(zoo_store *store, const char *id);

/* The object of a file, whose bytes are there. Null: no memory, or they are not. */
cJSON *zoo_store_file(const zoo_store *store, const char *id, const char *filename,
                      const char *purpose);

#endif
