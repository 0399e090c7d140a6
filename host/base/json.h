/*
 * json.h: a strict JSON parser.
 *
 * cJSON builds the tree, but it accepts much that is not JSON. So a validator of RFC 8259 runs
 * first: a text is either JSON or refused with name, line and column. Beyond the RFC it refuses
 * nesting deeper than ZOO_JSON_DEPTH_MAX, a byte order mark, lone surrogates and the escape \u0000
 * (a C string would end there). Duplicate keys of an object are kept, as in cJSON, except by the
 * functions for Python's files; callers that must refuse them check for themselves.
 */
#ifndef ZOO_BASE_JSON_H
#define ZOO_BASE_JSON_H

#include <cjson/cJSON.h>

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZOO_JSON_DEPTH_MAX 100

/*
 * Parses n bytes (no null needed) into *out, which the caller frees with cJSON_Delete. name is the
 * source in error messages. *out is null on failure. ZOO_E_FORMAT, ZOO_E_MEMORY. [any]
 */
zoo_status zoo_json_parse(const char *text, size_t n, const char *name, cJSON **out,
                          zoo_error *err);

/*
 * The same for what Python's json module writes: bare Infinity, -Infinity and NaN are numbers, and
 * so are the objects {"__float__": "Infinity"} (-Infinity, NaN) of newer config files. Of members
 * with the same key the last one counts, and the others are dropped. For config.json and its kin.
 */
zoo_status zoo_json_parse_python(const char *text, size_t n, const char *name, cJSON **out,
                                 zoo_error *err);

/* Reads and parses a file of at most bytes_max bytes. Also ZOO_E_IO, ZOO_E_LIMIT. [load] */
zoo_status zoo_json_read(const char *path, size_t bytes_max, cJSON **out, zoo_error *err);

/* zoo_json_read with the numbers of zoo_json_parse_python. [load] */
zoo_status zoo_json_read_python(const char *path, size_t bytes_max, cJSON **out, zoo_error *err);

#ifdef __cplusplus
}
#endif

#endif
