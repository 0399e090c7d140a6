/*
 * port.h: two queues between the batch of a rank (batch.h) and the thread that owns the link: dealt
 * rows go in, finished lines come out.
 *
 *   link thread: zoo_port_give -> [rows] -> source -> reader of the run
 *                zoo_port_take <- [lines] <- sink  <- run
 *
 * Thread-safe. Memory: the queued messages; the dealer gives a rank no more rows than it runs and
 * prepares.
 */
#ifndef ZOO_CLUSTER_PORT_H
#define ZOO_CLUSTER_PORT_H

#include "cluster/message.h"

typedef struct zoo_port zoo_port;

/* ZOO_E_MEMORY. */
zoo_status zoo_port_new(zoo_port **out, zoo_error *err);
void zoo_port_free(zoo_port *port);

/* Queues a ROWS message, which the port owns from then on. */
void zoo_port_give(zoo_port *port, zoo_message *rows);
/* No more rows will come. */
void zoo_port_end(zoo_port *port);
/* The next message of the batch, for zoo_mem_free, or null; waits up to `seconds` for one. */
zoo_message *zoo_port_take(zoo_port *port, double seconds);
/* From the batch: queues a message, which the port owns from then on. message null: ZOO_E_MEMORY,
 * after which the batch must end. */
zoo_status zoo_port_post(zoo_port *port, zoo_message *message, zoo_error *err);

/* The port as source of rows and sink of lines of a batch. */
zoo_line_source zoo_port_source(zoo_port *port);
zoo_batch_sink zoo_port_sink(zoo_port *port);

#endif
