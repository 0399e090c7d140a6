/*
 * files.c: answers of /v1/files and /v1/batches.
 *
 * An upload is a form (multipart/form-data) with purpose and file; it is written to disk as it
 * arrives.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "serve/server_private.h"

struct zoo_upload {
    struct MHD_PostProcessor *form;
    char id[ZOO_STORE_ID], filename[256], purpose[64];
    int fd;
    uint64_t n, n_max;
    int error; /* errno of writing, or 0 */
    bool has_file;
};

static bool refuse(zoo_exchange *e, uint32_t status, const char *param, const char *why)
{
    zoo_answer_error(e, status, "invalid_request_error", status == 404 ? "not_found" : NULL, param,
                     why);
    return false;
}

static void put_object(zoo_exchange *e, cJSON *object)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    if (text) {
        e->status = MHD_HTTP_OK;
        zoo_out_text(&e->answer, text);
    } else {
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, NULL,
                         "no memory for the answer");
    }
    cJSON_free(text);
    cJSON_Delete(object);
}

/* {"object": "list", "data": ...} */
static void put_list(zoo_exchange *e, cJSON *data)
{
    cJSON *list = cJSON_CreateObject();
    const cJSON *last;
    int n = cJSON_GetArraySize(data);
    bool ok = list && data && cJSON_AddStringToObject(list, "object", "list") &&
              cJSON_AddFalseToObject(list, "has_more");
    for (int i = 0; i < 2 && ok && n > 0; i++) {
        last = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(data, i ? n - 1 : 0), "id");
        ok = cJSON_AddItemToObject(list, i ? "last_id" : "first_id", cJSON_Duplicate(last, true));
    }
    if (!ok || !cJSON_AddItemToObject(list, "data", data)) {
        cJSON_Delete(data);
        cJSON_Delete(list);
        list = NULL;
    }
    put_object(e, list);
}

/* Whether the path holds an id and the server has a file store; false: refused. */
static bool check_id(zoo_exchange *e)
{
    return (e->server->store && zoo_store_is_id(e->id)) ||
           refuse(e, MHD_HTTP_NOT_FOUND, NULL,
                  e->server->store ? "no object has that id"
                                   : "files and batches need a folder: lmzoo serve --files DIR");
}

/* ---- uploads ---- */

static enum MHD_Result on_form(void *closure, enum MHD_ValueKind kind, const char *key,
                               const char *filename, const char *type, const char *encoding,
                               const char *data, uint64_t offset, size_t n)
{
    zoo_upload *u = closure;
    (void)kind;
    (void)type;
    (void)encoding;
    if (strcmp(key, "purpose") == 0 && offset + n < sizeof u->purpose) {
        memcpy(u->purpose + offset, data, n);
        return MHD_YES;
    }
    if (strcmp(key, "file") != 0) {
        return MHD_YES; /* expires_after and other fields have no effect */
    }
    u->has_file = true;
    if (filename && !u->filename[0]) {
        (void)snprintf(u->filename, sizeof u->filename, "%s", filename);
    }
    u->n += n;
    if (u->n > u->n_max || (n > 0 && !zoo_file_write(u->fd, data, n))) {
        u->error = u->n > u->n_max ? EFBIG : errno;
        return MHD_NO;
    }
    return MHD_YES;
}

bool zoo_upload_begin(zoo_exchange *e)
{
    char path[4096];
    zoo_upload *u;
    if (!e->server->store) {
        return refuse(e, MHD_HTTP_NOT_FOUND, NULL,
                      "files and batches need a folder: lmzoo serve --files DIR");
    }
    e->upload = u = zoo_mem_array(1, sizeof *u);
    if (!u) {
        return refuse(e, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "no memory for the upload");
    }
    u->n_max = e->server->options->upload_max;
    zoo_store_id(e->server->store, "file-", u->id);
    u->fd = zoo_store_path(e->server->store, u->id, ".part", path)
                ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                : -1;
    u->form = MHD_create_post_processor(e->connection, 1 << 14, on_form, u);
    if (u->fd < 0 || !u->form) {
        return refuse(e, u->fd < 0 ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_BAD_REQUEST, NULL,
                      u->fd < 0 ? "the folder of files cannot be written"
                                : "an upload is a form: multipart/form-data");
    }
    return true;
}

bool zoo_upload_take(zoo_exchange *e, const char *data, size_t n)
{
    zoo_upload *u = e->upload;
    if (MHD_post_process(u->form, data, n) == MHD_YES) {
        return true;
    }
    if (u->error == EFBIG) {
        return refuse(e, MHD_HTTP_CONTENT_TOO_LARGE, "file", "the file is larger than --upload");
    }
    return refuse(e, u->error ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_BAD_REQUEST, NULL,
                  u->error ? strerror(u->error) : "the form cannot be read");
}

void zoo_upload_free(zoo_exchange *e)
{
    char path[4096];
    zoo_upload *u = e->upload;
    if (!u) {
        return;
    }
    if (u->form) {
        (void)MHD_destroy_post_processor(u->form);
    }
    if (u->fd >= 0) {
        (void)close(u->fd);
    }
    if (zoo_store_path(e->server->store, u->id, ".part", path)) {
        (void)unlink(path);
    }
    zoo_mem_free(u);
    e->upload = NULL;
}

void zoo_files_create(zoo_exchange *e)
{
    char from[4096], to[4096];
    zoo_upload *u = e->upload;
    zoo_store *store = e->server->store;
    zoo_error err = {0};
    cJSON *file;
    (void)MHD_destroy_post_processor(u->form);
    u->form = NULL;
    if (!u->has_file) {
        (void)refuse(e, MHD_HTTP_BAD_REQUEST, "file", "the form has no file");
        return;
    }
    if (strcmp(u->purpose, "batch") != 0) {
        (void)refuse(e, MHD_HTTP_BAD_REQUEST, "purpose", "purpose must be batch");
        return;
    }
    bool ok = fsync(u->fd) == 0 && zoo_store_path(store, u->id, ".part", from) &&
              zoo_store_path(store, u->id, "", to) && rename(from, to) == 0;
    file = ok ? zoo_store_file(store, u->id, u->filename, u->purpose) : NULL;
    if (!file || zoo_store_put(store, u->id, file, &err) != ZOO_OK) {
        cJSON_Delete(file);
        (void)refuse(e, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, "the file cannot be stored");
        return;
    }
    put_object(e, file);
}

/* ---- files ---- */

void zoo_files_list(zoo_exchange *e)
{
    if (e->server->store) {
        put_list(e, zoo_store_list(e->server->store, "file-"));
    } else {
        (void)check_id(e);
    }
}

void zoo_files_get(zoo_exchange *e)
{
    cJSON *file = check_id(e) ? zoo_store_get(e->server->store, e->id) : NULL;
    if (file) {
        put_object(e, file);
    } else if (e->status == 0) {
        (void)refuse(e, MHD_HTTP_NOT_FOUND, NULL, "no file has that id");
    }
}

void zoo_files_content(zoo_exchange *e)
{
    char path[4096];
    struct stat info;
    cJSON *file = check_id(e) ? zoo_store_get(e->server->store, e->id) : NULL;
    int fd = file && zoo_store_path(e->server->store, e->id, "", path)
                 ? open(path, O_RDONLY | O_CLOEXEC)
                 : -1;
    cJSON_Delete(file);
    if (fd >= 0 && fstat(fd, &info) == 0) {
        e->status = MHD_HTTP_OK;
        e->file = MHD_create_response_from_fd64((uint64_t)info.st_size, fd);
    }
    if (!e->file && fd >= 0) {
        (void)close(fd);
    }
    if (!e->file && (e->status == 0 || e->status == MHD_HTTP_OK)) {
        (void)refuse(e, MHD_HTTP_NOT_FOUND, NULL, "no file has that id");
    }
}

void zoo_files_delete(zoo_exchange *e)
{
    if (!check_id(e)) {
        return;
    }
    if (strncmp(e->id, "file-", 5) != 0 || !zoo_store_remove(e->server->store, e->id)) {
        (void)refuse(e, MHD_HTTP_NOT_FOUND, NULL, "no file has that id");
        return;
    }
    e->status = MHD_HTTP_OK;
    zoo_out_format(&e->answer, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}", e->id);
}

/* ---- batches ---- */

void zoo_batch_create(zoo_exchange *e)
{
    cJSON *body = NULL, *object = NULL;
    char param[64] = "";
    zoo_error err = {0};
    if (!e->server->store) {
        (void)check_id(e);
        return;
    }
    zoo_status status =
        zoo_json_parse(e->body.data ? e->body.data : "", e->body.n, "the body", &body, &err);
    if (status == ZOO_OK) {
        status = zoo_batches_create(e->server->batches, body, &object, param, &err);
    }
    cJSON_Delete(body);
    if (status == ZOO_OK) {
        put_object(e, object);
    } else {
        zoo_answer_status(e, status, param[0] ? param : NULL, err.text);
    }
}

void zoo_batch_list(zoo_exchange *e)
{
    if (e->server->store) {
        put_list(e, zoo_batches_list(e->server->batches));
    } else {
        (void)check_id(e);
    }
}

static void answer_batch(zoo_exchange *e, cJSON *(*get)(zoo_batches *batches, const char *id))
{
    cJSON *object = check_id(e) ? get(e->server->batches, e->id) : NULL;
    if (object) {
        put_object(e, object);
    } else if (e->status == 0) {
        (void)refuse(e, MHD_HTTP_NOT_FOUND, NULL, "no batch has that id");
    }
}

void zoo_batch_get(zoo_exchange *e)
{
    answer_batch(e, zoo_batches_get);
}

void zoo_batch_cancel(zoo_exchange *e)
{
    answer_batch(e, zoo_batches_cancel);
}
