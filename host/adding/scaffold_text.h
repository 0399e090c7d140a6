/* scaffold_text.h: files as texts: reading, replacing words, inserting, writing what is new. */
#ifndef ZOO_ADDING_SCAFFOLD_TEXT_H
#define ZOO_ADDING_SCAFFOLD_TEXT_H

#include "base/json_writer.h"

enum { ZOO_SCAFFOLD_PATH = 4096 };

/* A whole file with a null after it, for zoo_mem_free. ZOO_E_IO. [load] */
zoo_status zoo_scaffold_read(const char *path, char **text, zoo_error *err);
/* Writes a file that must not be there yet (fresh) or replaces one. ZOO_E_IO, ZOO_E_USAGE.
 * [load] */
zoo_status zoo_scaffold_write(const char *path, const char *text, bool fresh, zoo_error *err);
/* *text with every `from` replaced; null: out of memory. The old text is freed. */
char *zoo_scaffold_replace(char *text, const char *from, const char *to);
/* *text with `what` put before the first `before` that follows the first `after`; the old text is
 * freed. ZOO_E_FORMAT: they are not there. */
zoo_status zoo_scaffold_insert(char **text, const char *after, const char *before, const char *what,
                               zoo_error *err);

#endif
