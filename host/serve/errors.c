/* errors.c: error answers in the dialect of the route, and the limit on the bytes that all
 * exchanges hold together. */
#include <string.h>

#include "serve/server_private.h"

void zoo_answer_error(zoo_exchange *e, uint32_t status, const char *type, const char *code,
                      const char *param, const char *message)
{
    const zoo_dialect *dialect = e->route ? e->route->dialect : &zoo_dialect_chat;
    e->answer.n = 0;
    e->status = status;
    dialect->error(&e->answer, type, code, param, message);
}

void zoo_answer_status(zoo_exchange *e, zoo_status status, const char *param, const char *message)
{
    bool is_prompt =
        param && (strcmp(param, "messages") == 0 || strcmp(param, "prompt") == 0 ||
                  strcmp(param, "max_tokens") == 0 || strcmp(param, "max_completion_tokens") == 0);
    switch (status) {
    case ZOO_E_LIMIT:
        zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error",
                         is_prompt ? "context_length_exceeded" : "limit_exceeded", param, message);
        break;
    case ZOO_E_FORMAT:
    case ZOO_E_USAGE:
    case ZOO_E_UNSUPPORTED:
    case ZOO_E_CONFIG:
        zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error",
                         status == ZOO_E_UNSUPPORTED ? "unsupported" : "invalid_value", param,
                         message);
        break;
    case ZOO_E_MEMORY:
    case ZOO_E_CANCELLED:
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, param, message);
        break;
    default:
        zoo_answer_error(e, MHD_HTTP_INTERNAL_SERVER_ERROR, "server_error", NULL, param, message);
    }
}

/* ---- what exchanges hold ---- */

bool zoo_exchange_hold(zoo_exchange *e, size_t n)
{
    zoo_server *s = e->server;
    size_t all = atomic_fetch_add(&s->n_held, n) + n;
    e->n_held += n;
    if (all > s->options->held_bytes_max) {
        zoo_exchange_release(e);
        zoo_answer_error(e, MHD_HTTP_TOO_MANY_REQUESTS, "rate_limit_error", "memory_full", NULL,
                         "requests hold all the memory that --memory leaves them; try again later");
        return false;
    }
    return true;
}

void zoo_exchange_release(zoo_exchange *e)
{
    atomic_fetch_sub(&e->server->n_held, e->n_held);
    e->n_held = 0;
}
