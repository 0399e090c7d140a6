/*
 * doc.h: a document of headings, paragraphs, items and tables, written as text for a terminal, as
 * Markdown or as HTML.
 *
 * A failed allocation sets out.failed, which the owner checks once, at the end.
 */
#ifndef ZOO_EXPLAIN_DOC_H
#define ZOO_EXPLAIN_DOC_H

#include "base/json_writer.h"

enum { ZOO_DOC_COLUMNS = 100, ZOO_DOC_CELL = 400, ZOO_DOC_COLS_MAX = 12, ZOO_DOC_ROWS_MAX = 200 };

typedef enum zoo_doc_form { ZOO_DOC_TEXT = 0, ZOO_DOC_MARKDOWN = 1, ZOO_DOC_HTML = 2 } zoo_doc_form;

typedef struct zoo_doc {
    zoo_doc_form form;
    zoo_out out;
    uint32_t n_columns, n_cells; /* of the table that is open */
    char **cells;                /* [n_cells] */
    bool in_list;                /* HTML: items are open */
} zoo_doc;

/* The text is out.data [out.n]; frees all. */
void zoo_doc_free(zoo_doc *doc);
/* level 1 to 3 */
void zoo_doc_heading(zoo_doc *doc, int level, const char *format, ...) ZOO_PRINTF(3, 4);
void zoo_doc_para(zoo_doc *doc, const char *format, ...) ZOO_PRINTF(2, 3);
void zoo_doc_item(zoo_doc *doc, const char *format, ...) ZOO_PRINTF(2, 3);
/* Cells follow row by row; the first row is the head. A cell longer than ZOO_DOC_CELL is cut. */
void zoo_doc_table(zoo_doc *doc, uint32_t n_columns);
void zoo_doc_cell(zoo_doc *doc, const char *format, ...) ZOO_PRINTF(2, 3);
void zoo_doc_table_end(zoo_doc *doc);
/* Closes what is open; before the text is used. */
void zoo_doc_end(zoo_doc *doc);

/* Text with & < > " as entities. */
void zoo_out_escaped(zoo_out *out, const char *text);

#endif
