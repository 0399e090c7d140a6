/*
 * replay.c: runs a fuzz target over saved inputs, where libFuzzer is not at hand.
 *
 * Every regular file of the corpus folder (REPLAY_CORPUS, or the files and folders named as
 * arguments) is given to LLVMFuzzerTestOneInput once, in a buffer of its exact size so that a
 * sanitizer sees each byte read beyond it. Prints TAP: a plan, then one line per file before and
 * after which nothing is buffered, so that the last line names the file that crashed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FILES_MAX = 65536 };

static char *files[FILES_MAX];
static size_t n_files;

static void add_file(const char *folder, const char *name)
{
    struct stat info;
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path || n_files == FILES_MAX) {
        printf("Bail out! more than %d files\n", FILES_MAX);
        exit(1);
    }
    (void)snprintf(path, n, "%s/%s", folder, name);
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        files[n_files++] = path;
    } else {
        free(path);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_folder(const char *folder)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir) {
        printf("Bail out! %s: %s\n", folder, strerror(errno));
        exit(1);
    }
    while ((entry = readdir(dir)) != NULL) {
        add_file(folder, entry->d_name);
    }
    (void)closedir(dir);
}

/* The whole file in a buffer of exactly its size (1 byte for an empty one); null: unreadable. */
static uint8_t *read_all(const char *path, size_t *n)
{
    struct stat info;
    uint8_t *data = NULL;
    FILE *in = fopen(path, "rb");
    if (!in) {
        return NULL;
    }
    if (fstat(fileno(in), &info) == 0) {
        *n = (size_t)info.st_size;
        data = malloc(*n ? *n : 1);
        if (data && fread(data, 1, *n, in) != *n) {
            free(data);
            data = NULL;
        }
    }
    (void)fclose(in);
    return data;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
    int failed = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            add_folder(argv[i]);
        } else {
            add_file(".", argv[i]);
        }
    }
    if (argc < 2) {
        add_folder(REPLAY_CORPUS);
    }
    qsort(files, n_files, sizeof files[0], by_name);
    printf("1..%zu\n", n_files);
    for (size_t i = 0; i < n_files; i++) {
        size_t n = 0;
        uint8_t *data = read_all(files[i], &n);
        printf("# %s\n", base_name(files[i]));
        if (data) {
            (void)LLVMFuzzerTestOneInput(data, n);
        }
        failed += !data;
        printf("%sok %zu - %s\n", data ? "" : "not ", i + 1, base_name(files[i]));
        free(data);
        free(files[i]);
    }
    if (n_files == 0) {
        printf("not ok 1 - the corpus has no file\n");
        failed = 1;
    }
    return failed != 0;
}
