/*
 * message.h: messages between the ranks of a run: a kind and its bytes.
 *
 *   worker -> dealer   HELLO, LINE for each finished row, PROGRESS ten times a second, at the end
 *                      DONE or FAILED
 *   dealer -> worker   START, ROWS, at the end END; QUIT: there is nothing to do
 *
 * Integers are in the machine's byte order; a rank of another order is refused by its HELLO.
 */
#ifndef ZOO_CLUSTER_MESSAGE_H
#define ZOO_CLUSTER_MESSAGE_H

#include "batch/batch.h"
#include "cluster/link.h"

#define ZOO_HELLO_MAGIC UINT64_C(0x0102036f6f7a6d6c)

typedef enum zoo_message_kind {
    ZOO_MESSAGE_HELLO = 1, /* zoo_hello */
    ZOO_MESSAGE_START,     /* text: the time that templates see */
    ZOO_MESSAGE_ROWS,      /* zoo_row_head and text, once for each row */
    ZOO_MESSAGE_LINE,      /* zoo_line_head and text */
    ZOO_MESSAGE_PROGRESS,  /* zoo_schedule_stats */
    ZOO_MESSAGE_END,
    ZOO_MESSAGE_QUIT,
    ZOO_MESSAGE_DONE,  /* zoo_schedule_stats */
    ZOO_MESSAGE_FAILED /* zoo_error; those of a pipeline (model/ring.h) begin at 64 */
} zoo_message_kind;

typedef struct zoo_hello {
    uint64_t magic;
    uint32_t seqs_max; /* rows that run at once */
    /* Limits beyond which rows are refused: the same on all ranks. */
    uint32_t context_max;
    uint64_t line_bytes_max;
    char host[64];
    char files[40];      /* zoo_cluster.files */
    zoo_journal_key key; /* hashes of all that can change a result */
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

/* A message in memory; `next` links the queues of a port. */
typedef struct zoo_message zoo_message;
struct zoo_message {
    zoo_message *next;
    zoo_message_kind kind;
    size_t n;
    char data[];
};

/* What the rank `its` differs in from `mine`, as the end of a sentence; null: the two compute the
 * same bytes. */
const char *zoo_key_differs(const zoo_journal_key *mine, const zoo_journal_key *its);

/* A message with room for n bytes, for zoo_mem_free; null: no memory. */
zoo_message *zoo_message_new(zoo_message_kind kind, size_t n);
/* Parses bytes as sent: kind (uint32_t), then data. Null: no kind, or no memory. For zoo_mem_free.
 */
zoo_message *zoo_message_read(const void *bytes, size_t n);

/* Sends a copy of the message, or of kind and data[n]. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_message_send(const zoo_link_ops *link, uint32_t to, const zoo_message *message,
                            zoo_error *err);
zoo_status zoo_message_post(const zoo_link_ops *link, uint32_t to, zoo_message_kind kind,
                            const void *data, size_t n, zoo_error *err);
/* The next message that has arrived, for zoo_mem_free, or *out null. ZOO_E_MEMORY, ZOO_E_IO. */
zoo_status zoo_message_receive(const zoo_link_ops *link, uint32_t *from, zoo_message **out,
                               zoo_error *err);

#endif
