/*
 * port.h: between the run of a rank (batch.h) and the thread that has the link: rows that were
 * dealt go in, finished lines come out.
 *
 *   link thread: zoo_port_give -> [rows] -> source -> reader of the run
 *                zoo_port_take <- [lines] <- sink  <- run
 *
 * Memory: what lies in it; the dealer gives a rank no more than it runs and prepares.
 */
#ifndef ZOO_CLUSTER_PORT_H
#define ZOO_CLUSTER_PORT_H

#include "cluster/message.h"

typedef struct zoo_port zoo_port;

/* ZOO_E_MEMORY. */
zoo_status zoo_port_new(zoo_port **out, zoo_error *err);
void zoo_port_free(zoo_port *port);

/* Rows of a ROWS message, which the port owns from here on. */
void zoo_port_give(zoo_port *port, zoo_message *rows);
/* No more rows will come. */
void zoo_port_end(zoo_port *port);
/* The next LINE or other message, or null; waits up to `seconds` for one. */
zoo_message *zoo_port_take(zoo_port *port, double seconds);
/* From the run's side: a message of its own. Null: no memory, and the run must end. */
zoo_status zoo_port_say(zoo_port *port, zoo_message *message, zoo_error *err);

zoo_line_source zoo_port_source(zoo_port *port);
zoo_batch_sink zoo_port_sink(zoo_port *port);

#endif
