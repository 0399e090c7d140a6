/* explain.h: one architecture as a document or as JSON. */
#ifndef ZOO_EXPLAIN_EXPLAIN_H
#define ZOO_EXPLAIN_EXPLAIN_H

#include "explain/arch.h"
#include "explain/doc.h"

/* Appends the whole page. */
void zoo_explain_write(zoo_doc *doc, const zoo_arch *arch);
/* Its parts, for pages that have a frame of their own: layers, parameters, memory, origins. */
void zoo_explain_layers(zoo_doc *doc, const zoo_arch *arch);
void zoo_explain_params(zoo_doc *doc, const zoo_arch *arch);
void zoo_explain_memory(zoo_doc *doc, const zoo_arch *arch);
void zoo_explain_values(zoo_doc *doc, const zoo_arch *arch);
/* One object; false: out of memory. */
bool zoo_explain_json(zoo_out *out, const zoo_arch *arch);

/* The lengths that all pages show, and how many. */
enum { ZOO_LENGTHS = 5 };
extern const double zoo_lengths[ZOO_LENGTHS]; /* 1k, 8k, 32k, 128k, 1M */

#endif
