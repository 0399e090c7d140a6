/*
 * bench_tokenizer.c: the speed of encoding and decoding on texts of a file.
 *
 *   bench_tokenizer TOKENIZER FILE [ROUNDS [IDS]]
 *
 * FILE holds texts separated by the byte 0x1e. Prints one line a round: CPU seconds and MB/s of
 * encoding all texts with a cold word cache in round 1, ids, a hash of the ids, and the same for
 * decoding. With IDS the ids of the last round are written there as 32-bit integers, and a last
 * line gives the seconds of the fastest encoding and the number of ids.
 */
#include "text/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *read_file(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    size_t capacity = 0, got;
    *n = 0;
    while (file) {
        if (*n + 65536 > capacity) {
            capacity = capacity ? 2 * capacity : 1u << 20;
            char *grown = realloc(data, capacity);
            if (!grown) {
                break;
            }
            data = grown;
        }
        if ((got = fread(data + *n, 1, 65536, file)) == 0) {
            break;
        }
        *n += got;
    }
    if (file) {
        (void)fclose(file);
    }
    return data;
}

static int write_ids(const char *path, const zoo_ids *ids)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(ids->data, sizeof *ids->data, ids->n, file) == ids->n;
    return file && fclose(file) == 0 && ok ? 0 : 4;
}

typedef struct bench {
    const zoo_tokenizer *tokenizer;
    const char *data;
    size_t n;
    const char *ids_path; /* or null */
    double fastest;
    size_t n_ids;
} bench;

static int one_round(bench *b, int round)
{
    const zoo_tokenizer *t = b->tokenizer;
    const char *data = b->data;
    size_t n = b->n;
    zoo_ids ids = {0};
    zoo_text text = {0};
    zoo_error err;
    uint64_t hash = 1469598103934665603u;
    double begin = now();
    for (size_t i = 0; i < n;) {
        const char *end = memchr(data + i, 0x1e, n - i);
        size_t length = end ? (size_t)(end - data) - i : n - i;
        if (zoo_tokenizer_encode(t, data + i, length, 0, &ids, &err) != ZOO_OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        i += length + 1;
    }
    double middle = now();
    for (size_t i = 0; i < ids.n; i++) {
        hash = (hash ^ ids.data[i]) * 1099511628211u;
    }
    double before = now();
    if (zoo_tokenizer_decode(t, ids.data, ids.n, 0, &text, &err) != ZOO_OK) {
        return 1;
    }
    double after = now();
    (void)printf("round %d encode %.3f s %.1f MB/s ids %zu hash %016llx decode %.3f s %.1f MB/s\n",
                 round, middle - begin, 1e-6 * (double)n / (middle - begin), ids.n,
                 (unsigned long long)hash, after - before, 1e-6 * (double)n / (after - before));
    b->fastest = round == 1 || middle - begin < b->fastest ? middle - begin : b->fastest;
    b->n_ids = ids.n;
    int code = b->ids_path ? write_ids(b->ids_path, &ids) : 0;
    zoo_ids_free(&ids);
    zoo_text_free(&text);
    return code;
}

int main(int argc, char **argv)
{
    zoo_tokenizer *t;
    zoo_error err;
    size_t n;
    if (argc < 3) {
        (void)fputs("usage: bench_tokenizer TOKENIZER FILE [ROUNDS [IDS]]\n", stderr);
        return 2;
    }
    double begin = now();
    if (zoo_tokenizer_open(argv[1], &t, &err) != ZOO_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 3;
    }
    (void)printf("open %.3f s\n", now() - begin);
    char *data = read_file(argv[2], &n);
    bench b = {t, data, n, argc > 4 ? argv[4] : NULL, 0.0, 0};
    int code = data ? 0 : 4, n_rounds = argc > 3 ? atoi(argv[3]) : 2;
    for (int round = 1; code == 0 && round <= n_rounds; round++) {
        code = one_round(&b, round);
    }
    if (code == 0 && b.ids_path) {
        (void)printf("%.3f %zu\n", b.fastest, b.n_ids);
    }
    free(data);
    zoo_tokenizer_close(t);
    return code;
}
