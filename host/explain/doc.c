/* doc.c: headings, paragraphs, items and tables in three forms. */
#include "explain/doc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LONG = 4096 };

void zoo_out_escaped(zoo_out *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            zoo_out_text(out, "&amp;");
            break;
        case '<':
            zoo_out_text(out, "&lt;");
            break;
        case '>':
            zoo_out_text(out, "&gt;");
            break;
        case '"':
            zoo_out_text(out, "&quot;");
            break;
        default:
            zoo_out_bytes(out, text, 1);
        }
    }
}

static void free_cells(zoo_doc *doc)
{
    for (uint32_t i = 0; i < doc->n_cells; i++) {
        zoo_mem_free(doc->cells[i]);
    }
    doc->n_cells = 0;
}

void zoo_doc_free(zoo_doc *doc)
{
    free_cells(doc);
    zoo_mem_free(doc->cells);
    doc->cells = NULL;
    zoo_out_free(&doc->out);
}

static void close_list(zoo_doc *doc)
{
    if (doc->in_list) {
        zoo_out_text(&doc->out, "</ul>\n");
        doc->in_list = false;
    }
}

void zoo_doc_end(zoo_doc *doc)
{
    close_list(doc);
}

/* Words from column `begin` on, next lines indented by it. */
static void fill(zoo_out *out, const char *text, size_t begin)
{
    size_t column = begin;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " "), shown = zoo_utf8_characters(p, n);
        if (column > begin && column + 1 + shown > ZOO_DOC_COLUMNS) {
            zoo_out_format(out, "\n%*s", (int)begin, "");
            column = begin;
        } else if (column > begin) {
            zoo_out_text(out, " ");
            column++;
        }
        zoo_out_bytes(out, p, n);
        column += shown;
        p += n + (p[n] == ' ');
    }
    zoo_out_text(out, "\n");
}

void zoo_doc_heading(zoo_doc *doc, int level, const char *format, ...)
{
    char text[LONG];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    close_list(doc);
    if (doc->form == ZOO_DOC_HTML) {
        zoo_out_format(&doc->out, "<h%d>", level);
        zoo_out_escaped(&doc->out, text);
        zoo_out_format(&doc->out, "</h%d>\n", level);
    } else if (doc->form == ZOO_DOC_MARKDOWN) {
        zoo_out_format(&doc->out, "%s%.*s %s\n\n", doc->out.n ? "\n" : "", level, "####", text);
    } else {
        zoo_out_format(&doc->out, "%s%s\n", doc->out.n ? "\n" : "", text);
    }
}

void zoo_doc_para(zoo_doc *doc, const char *format, ...)
{
    char text[LONG];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    close_list(doc);
    if (doc->form == ZOO_DOC_HTML) {
        zoo_out_text(&doc->out, "<p>");
        zoo_out_escaped(&doc->out, text);
        zoo_out_text(&doc->out, "</p>\n");
    } else if (doc->form == ZOO_DOC_MARKDOWN) {
        zoo_out_format(&doc->out, "%s\n\n", text);
    } else {
        fill(&doc->out, text, 0);
    }
}

void zoo_doc_item(zoo_doc *doc, const char *format, ...)
{
    char text[LONG];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (doc->form == ZOO_DOC_HTML) {
        zoo_out_text(&doc->out, doc->in_list ? "<li>" : "<ul>\n<li>");
        doc->in_list = true;
        zoo_out_escaped(&doc->out, text);
        zoo_out_text(&doc->out, "</li>\n");
    } else if (doc->form == ZOO_DOC_MARKDOWN) {
        zoo_out_format(&doc->out, "- %s\n", text);
    } else {
        zoo_out_text(&doc->out, "  - ");
        fill(&doc->out, text, 4);
    }
}

void zoo_doc_table(zoo_doc *doc, uint32_t n_columns)
{
    close_list(doc);
    free_cells(doc);
    doc->n_columns = n_columns < ZOO_DOC_COLS_MAX ? n_columns : ZOO_DOC_COLS_MAX;
    if (!doc->cells) {
        doc->cells = zoo_mem_array((size_t)ZOO_DOC_COLS_MAX * ZOO_DOC_ROWS_MAX, sizeof *doc->cells);
        doc->out.failed = doc->out.failed || !doc->cells;
    }
}

void zoo_doc_cell(zoo_doc *doc, const char *format, ...)
{
    char text[ZOO_DOC_CELL];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!doc->cells || doc->n_cells == ZOO_DOC_COLS_MAX * ZOO_DOC_ROWS_MAX) {
        return;
    }
    char *copy = zoo_mem_text(text, strlen(text));
    doc->out.failed = doc->out.failed || !copy;
    if (copy) {
        doc->cells[doc->n_cells++] = copy;
    }
}

/* Cells that begin with a number are right-aligned, and so is their heading. */
static bool is_number(const char *text)
{
    return strchr("0123456789-+", text[0]) && text[0];
}

static bool column_is_numbers(const zoo_doc *doc, uint32_t column)
{
    bool any = false;
    for (uint32_t i = doc->n_columns + column; i < doc->n_cells; i += doc->n_columns) {
        if (doc->cells[i][0] && !is_number(doc->cells[i])) {
            return false;
        }
        any = any || doc->cells[i][0];
    }
    return any;
}

static void text_table(zoo_doc *doc)
{
    size_t widths[ZOO_DOC_COLS_MAX] = {0};
    for (uint32_t i = 0; i < doc->n_cells; i++) {
        size_t n = zoo_utf8_characters(doc->cells[i], strlen(doc->cells[i]));
        size_t *width = &widths[i % doc->n_columns];
        *width = n > *width ? n : *width;
    }
    for (uint32_t i = 0; i < doc->n_cells; i++) {
        uint32_t column = i % doc->n_columns;
        const char *cell = doc->cells[i];
        int gap = (int)(widths[column] - zoo_utf8_characters(cell, strlen(cell)));
        bool right = column_is_numbers(doc, column), last = column + 1 == doc->n_columns;
        zoo_out_format(&doc->out, "  %*s%s%*s%s", right ? gap : 0, "", cell,
                       right || last ? 0 : gap, "", last ? "\n" : "");
    }
}

static void markdown_table(zoo_doc *doc)
{
    for (uint32_t i = 0; i < doc->n_cells; i++) {
        bool last = (i + 1) % doc->n_columns == 0;
        zoo_out_format(&doc->out, "| %s %s", doc->cells[i], last ? "|\n" : "");
        for (uint32_t k = 0; i + 1 == doc->n_columns && k < doc->n_columns; k++) {
            zoo_out_format(&doc->out, "|%s%s", column_is_numbers(doc, k) ? "---:" : "---",
                           k + 1 == doc->n_columns ? "|\n" : "");
        }
    }
    zoo_out_text(&doc->out, "\n");
}

static void html_table(zoo_doc *doc)
{
    zoo_out_text(&doc->out, "<div class=\"scroll\"><table>\n");
    for (uint32_t i = 0; i < doc->n_cells; i++) {
        uint32_t column = i % doc->n_columns;
        const char *tag = i < doc->n_columns ? "th" : "td";
        zoo_out_format(&doc->out, "%s<%s%s>", column == 0 ? "<tr>" : "", tag,
                       column_is_numbers(doc, column) ? " class=\"n\"" : "");
        zoo_out_escaped(&doc->out, doc->cells[i]);
        zoo_out_format(&doc->out, "</%s>%s", tag, column + 1 == doc->n_columns ? "</tr>\n" : "");
    }
    zoo_out_text(&doc->out, "</table></div>\n");
}

void zoo_doc_table_end(zoo_doc *doc)
{
    if (doc->form == ZOO_DOC_HTML) {
        html_table(doc);
    } else if (doc->form == ZOO_DOC_MARKDOWN) {
        markdown_table(doc);
    } else {
        text_table(doc);
    }
    free_cells(doc);
}
