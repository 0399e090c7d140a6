/*
 * fuzz_json.c: any bytes through the JSON reader.
 *
 * The last byte's low bit chooses whether Python's numbers are accepted. Accepted text is printed
 * and must be accepted again: the validator accepts nothing that cJSON reads differently.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    cJSON *tree, *again;
    bool python = n > 0 && data[n - 1] & 1;
    zoo_status status = python ? zoo_json_parse_python((const char *)data, n, "in", &tree, NULL)
                               : zoo_json_parse((const char *)data, n, "in", &tree, NULL);
    if (status != ZOO_OK) {
        return 0;
    }
    char *text = cJSON_PrintUnformatted(tree);
    if (!text || zoo_json_parse(text, strlen(text), "print", &again, NULL) != ZOO_OK) {
        abort();
    }
    cJSON_Delete(again);
    cJSON_free(text);
    cJSON_Delete(tree);
    return 0;
}
