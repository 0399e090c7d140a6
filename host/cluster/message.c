/* message.c: see message.h. */
#include "cluster/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *zoo_key_differs(const zoo_journal_key *a, const zoo_journal_key *b)
{
    const struct {
        const char *mine, *its, *what;
    } rows[] = {{a->build, b->build, "its program differs from that of rank 0"},
                {a->options, b->options, "its options differ from those of rank 0"},
                {a->shard, b->shard, "its --shard differs from that of rank 0"},
                {a->model, b->model, "its model folder differs from that of rank 0"},
                {a->plugin, b->plugin, "its plugin differs from that of rank 0"},
                {a->card, b->card, "its card differs from that of rank 0"},
                {a->isa, b->isa,
                 "its instruction set differs from that of rank 0; give all ranks the same --isa"}};
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        if (strcmp(rows[i].mine, rows[i].its) != 0) {
            return rows[i].what;
        }
    }
    return NULL;
}

zoo_message *zoo_message_new(zoo_message_kind kind, size_t n)
{
    zoo_message *m = zoo_mem_array(1, sizeof *m + n);
    if (m) {
        m->kind = kind;
        m->n = n;
    }
    return m;
}

zoo_message *zoo_message_read(const void *bytes, size_t n)
{
    uint32_t kind = 0;
    if (n < sizeof kind) {
        return NULL;
    }
    memcpy(&kind, bytes, sizeof kind);
    zoo_message *m = zoo_message_new((zoo_message_kind)kind, n - sizeof kind);
    if (m && m->n > 0) {
        memcpy(m->data, (const char *)bytes + sizeof kind, m->n);
    }
    return m;
}

zoo_status zoo_message_send(const zoo_link_ops *link, uint32_t to, const zoo_message *message,
                            zoo_error *err)
{
    uint32_t kind = (uint32_t)message->kind;
    char *bytes = zoo_mem_alloc(sizeof kind + message->n);
    if (!bytes) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a message to rank %u", to);
    }
    memcpy(bytes, &kind, sizeof kind);
    memcpy(bytes + sizeof kind, message->data, message->n);
    int code = link->send(to, bytes, sizeof kind + message->n);
    zoo_mem_free(bytes);
    return code == 0 ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "a message to rank %u cannot be sent", to);
}

zoo_status zoo_message_post(const zoo_link_ops *link, uint32_t to, zoo_message_kind kind,
                            const void *data, size_t n, zoo_error *err)
{
    zoo_message *m = zoo_message_new(kind, n);
    if (!m) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a message to rank %u", to);
    }
    if (n > 0) {
        memcpy(m->data, data, n);
    }
    zoo_status status = zoo_message_send(link, to, m, err);
    zoo_mem_free(m);
    return status;
}

zoo_status zoo_message_receive(const zoo_link_ops *link, uint32_t *from, zoo_message **out,
                               zoo_error *err)
{
    void *data = NULL;
    size_t n = 0;
    int code = link->receive(from, &data, &n);
    *out = NULL;
    if (code < 0) {
        return zoo_fail(err, ZOO_E_IO, "the other ranks cannot be reached any more");
    }
    if (code == 0) {
        return ZOO_OK;
    }
    *out = zoo_message_read(data, n);
    free(data); /* allocated with malloc by the link, not with zoo_mem */
    return *out ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for a message of %zu bytes", n);
}
