/*
 * message.h: what the ranks of a run say to each other: a head and bytes behind it.
 *
 *   worker -> dealer   HELLO, LINE for each finished row, PROGRESS ten times a second, at the end
 *                      DONE or FAILED
 *   dealer -> worker   START, ROWS, at the end END; QUIT: there is nothing to do
 *
 * Numbers have the machine's own order: a rank of another order is refused by its HELLO.
 */
#ifndef ZOO_CLUSTER_MESSAGE_H
#define ZOO_CLUSTER_MESSAGE_H

#include "batch/batch.h"
#include "cluster/link.h"

#define ZOO_HELLO_MAGIC UINT64_C(0x0102036f6f7a6d6c)

typedef enum zoo_message_kind {
    ZOO_MESSAGE_HELLO = 1, /* zoo_hello */
    ZOO_MESSAGE_START,     /* text: the time that templates see */
    ZOO_MESSAGE_ROWS,      /* zoo_row_head and text, again and again */
    ZOO_MESSAGE_LINE,      /* zoo_line_head and text */
    ZOO_MESSAGE_PROGRESS,  /* zoo_schedule_stats */
    ZOO_MESSAGE_END,
    ZOO_MESSAGE_QUIT,
    ZOO_MESSAGE_DONE,  /* zoo_schedule_stats */
    ZOO_MESSAGE_FAILED /* zoo_error; those of a pipeline (model/ring.h) begin at 64 */
} zoo_message_kind;

typedef struct zoo_hello {
    uint64_t magic;
    uint32_t seqs_max;    /* rows that run at once */
    uint32_t context_max; /* these two refuse rows, so they must be the same */
    uint64_t line_bytes_max;
    char host[64];
    char files[40];      /* zoo_cluster.files */
    zoo_journal_key key; /* what must be the same for equal bytes */
} zoo_hello;

/* A request line on its way to a worker. */
typedef struct zoo_row_head {
    uint64_t number;
    zoo_id id;
    uint64_t n; /* bytes of the line */
    bool is_duplicate;
    bool has_text; /* false: longer than a line may be */
} zoo_row_head;

/* A finished line on its way back. */
typedef struct zoo_line_head {
    uint64_t number;
    bool is_error;
    uint32_t kind;
    double cost;
} zoo_line_head;

/* A message that waits: in a port, or on its way into one. */
typedef struct zoo_message zoo_message;
struct zoo_message {
    zoo_message *next;
    zoo_message_kind kind;
    size_t n;
    char data[];
};

/* What the ranks differ in, as a sentence's end, or null: bytes that they compute are the same. */
const char *zoo_key_differs(const zoo_journal_key *mine, const zoo_journal_key *its);

/* With room for n bytes; null: no memory. For zoo_mem_free. */
zoo_message *zoo_message_new(zoo_message_kind kind, size_t n);
/* As sent: kind (uint32_t) and data. */
zoo_message *zoo_message_read(const void *bytes, size_t n);

/* Sends, keeping the message the caller's; the same of kind and bytes. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_message_send(const zoo_link_ops *link, uint32_t to, const zoo_message *message,
                            zoo_error *err);
zoo_status zoo_message_say(const zoo_link_ops *link, uint32_t to, zoo_message_kind kind,
                           const void *data, size_t n, zoo_error *err);
/* A message that has come, the caller's, or *out null. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_message_receive(const zoo_link_ops *link, uint32_t *from, zoo_message **out,
                               zoo_error *err);

#endif
