/*
 * store.h: uploaded files and the files of batches, in one folder.
 *
 *   ID       the bytes of file-..., as the client sent them or a batch wrote them
 *   ID.json  the object that the API returns
 *
 * An object is written to a temporary name and renamed, so a crash leaves the old one or the new.
 * Ids consist of letters, digits, - and _, so that none leads out of the folder. Thread-safe.
 */
#ifndef ZOO_SERVE_STORE_H
#define ZOO_SERVE_STORE_H

#include <cjson/cJSON.h>

#include "base.h"

typedef struct zoo_store zoo_store;

enum { ZOO_STORE_ID = 64 }; /* bytes of an id, its 0 included */

/* Creates the folder if it is missing. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_store_open(const char *folder, zoo_store **out, zoo_error *err);
void zoo_store_close(zoo_store *store);

/* A new id: prefix, then 24 hex digits. */
void zoo_store_id(zoo_store *store, const char *prefix, char id[ZOO_STORE_ID]);
/* Whether the text has the form of an id. */
bool zoo_store_is_id(const char *id);
/* path = folder/ID + ending; false: longer than path. */
bool zoo_store_path(const zoo_store *store, const char *id, const char *ending, char path[4096]);

/* Writes ID.json. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_store_put(zoo_store *store, const char *id, const cJSON *object, zoo_error *err);
/* Reads ID.json, the caller's; null: there is none. */
cJSON *zoo_store_get(const zoo_store *store, const char *id);
/* All objects whose ids have the prefix, newest first, as an array, the caller's; null: no memory.
 */
cJSON *zoo_store_list(const zoo_store *store, const char *prefix);
/* Removes bytes and object; false: there was no object. */
bool zoo_store_remove(zoo_store *store, const char *id);

/* A new file object for the bytes of ID, the caller's. Null: no such bytes, or no memory. */
cJSON *zoo_store_file(const zoo_store *store, const char *id, const char *filename,
                      const char *purpose);

#endif
