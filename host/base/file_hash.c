/* file_hash.c: XXH3 of a whole file, read in pieces. */
#include "base/file_hash.h"

#include <xxhash.h>

#include "base/file.h"

enum { PIECE = 1 << 16 };

zoo_status zoo_file_hash(const char *path, char *hex, size_t n)
{
    FILE *file = NULL;
    (void)zoo_file_stream(path, &file, NULL);
    XXH3_state_t *state = XXH3_createState();
    unsigned char piece[PIECE];
    size_t count = 0;
    if (!file || !state || n < 33) {
        (void)XXH3_freeState(state);
        if (file) {
            (void)fclose(file);
        }
        return ZOO_E_IO;
    }
    (void)XXH3_128bits_reset(state);
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) {
        (void)XXH3_128bits_update(state, piece, count);
    }
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    (void)snprintf(hex, n, "%016llx%016llx", (unsigned long long)hash.high64,
                   (unsigned long long)hash.low64);
    return failed ? ZOO_E_IO : ZOO_OK;
}
