/*
 * mutations.c: does parity notice a wrong reference file?
 *
 * A committed case is copied with one tensor of its reference.safetensors left out, renamed,
 * halved, truncated or set to NaN, and the parity program runs on the copy: it must fail and name
 * the mistake. The unchanged copy passes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "checkpoint/safetensors.h"

#define CASE "gemma3_text"

typedef enum change { KEEP, LEAVE_OUT, RENAME, HALVE, CUT, SPOIL, ADD, EMPTY } change;

static const struct {
    const char *name, *tensor;
    change change;
    const char *says; /* in the parity program's line */
} mutations[] = {
    {"nothing is changed", "", KEEP, "ok - " CASE},
    {"a layer is absent", "1/model.layers.2", LEAVE_OUT,
     "1/model.layers.2 is not in the reference"},
    {"a layer's child is absent", "2/model.layers.2.mlp", LEAVE_OUT, "tensors.tsv says"},
    {"logits are absent", "0/logits", LEAVE_OUT, "0/logits is not in the reference"},
    {"the continuation's logits are absent", "2/continuation.logits", LEAVE_OUT,
     "2/continuation.logits is not in the reference"},
    {"the norm is absent", "1/norm", LEAVE_OUT, "1/norm is not in the reference"},
    {"a layer is renamed", "1/model.layers.2", RENAME, "is not in the"},
    {"a child is renamed", "2/model.layers.2.mlp", RENAME,
     "2/model.layers.2.mlp_ is not in the trace"},
    {"the embedding is renamed", "0/embed", RENAME, "0/embed is not in the reference"},
    {"a layer's values are halved", "1/model.layers.2", HALVE, "1/model.layers.2 (nmse 1)"},
    {"a child's values are halved", "2/model.layers.2.mlp", HALVE, "2/model.layers.2.mlp (nmse 1)"},
    {"the continuation's logits are halved", "1/continuation.logits", HALVE, "nmse of decode 1"},
    {"half of a layer's rows are gone", "1/model.layers.2", CUT,
     "1/model.layers.2 has another size"},
    {"half of a child's rows are gone", "2/model.layers.2.mlp", CUT,
     "2/model.layers.2.mlp has another size"},
    {"half of the continuation's logits are gone", "0/continuation.logits", CUT,
     "0/continuation.logits has another size"},
    {"a value is NaN", "0/norm", SPOIL, "0/norm"},
    {"there is a tensor of a prompt that is not there", "9/embed", ADD, "tensors were compared"},
    {"there is nothing to compare", "", EMPTY, "0/embed is not in the reference"},
};

/* A changed copy of t; its values are the caller's. */
static zoo_tensor changed(const zoo_tensor *t, change how, char name[512])
{
    zoo_tensor copy = *t;
    float *values = malloc(t->n_bytes + 1);
    if (!values) {
        abort();
    }
    memcpy(values, t->data, t->n_bytes);
    copy.data = values;
    (void)snprintf(name, 512, "%s%s", t->name, how == RENAME ? "_" : "");
    copy.name = name;
    for (uint64_t i = 0; how == HALVE && i < t->n_items; i++) {
        values[i] *= 0.5f;
    }
    if (how == SPOIL) {
        values[t->n_items / 2] = NAN;
    }
    if (how == CUT) {
        copy.dims[0] /= 2;
        copy.n_items = copy.dims[0] * t->n_items / t->dims[0];
        copy.n_bytes = copy.n_items * sizeof *values;
    }
    return copy;
}

static bool write_reference(const zoo_tensors *set, size_t m, const char *path)
{
    static char names[1024][512];
    static zoo_tensor list[1024];
    size_t n_all = zoo_tensors_count(set), n = 0;
    bool met = mutations[m].change == KEEP || mutations[m].change == EMPTY;
    zoo_error error;
    for (size_t i = 0; i < n_all && i < 1000 && mutations[m].change != EMPTY; i++) {
        const zoo_tensor *t = zoo_tensors_at(set, i);
        bool is_it = strcmp(t->name, mutations[m].tensor) == 0;
        met = met || is_it;
        if (!is_it || mutations[m].change != LEAVE_OUT) {
            list[n] = changed(t, is_it ? mutations[m].change : KEEP, names[n]);
            n++;
        }
    }
    if (mutations[m].change == ADD) {
        list[n] = changed(zoo_tensors_at(set, 0), KEEP, names[n]);
        (void)snprintf(names[n++], sizeof names[0], "%s", mutations[m].tensor);
        met = true;
    }
    bool ok = met && zoo_tensors_write(path, list, (uint32_t)n, &error) == ZOO_OK;
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)list[i].data);
    }
    return ok;
}

/* Runs parity on the folder; its output goes to text. Returns its exit status. */
static int run_parity(const char *folder, char *text, size_t n)
{
    char command[1200];
    (void)snprintf(command, sizeof command, "'%s/tests/test_parity' --folder '%s' 2>&1",
                   LMZOO_BUILD_DIR, folder);
    FILE *out = popen(command, "r");
    size_t used = out ? fread(text, 1, n - 1, out) : 0;
    text[used] = '\0';
    int status = out ? pclose(out) : -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool run_mutation(const zoo_tensors *set, size_t m, char *text, size_t n)
{
    const char *tmp = getenv("TMPDIR");
    char folder[512], command[4096], path[700];
    (void)snprintf(folder, sizeof folder, "%.400s/mutation%zu", tmp ? tmp : "/tmp", m);
    (void)snprintf(command, sizeof command,
                   "rm -rf '%s'; mkdir -p '%s' && cp -r '%s/tests/parity/cases/" CASE "' '%s/' && "
                   "chmod -R u+w '%s'",
                   folder, folder, LMZOO_SOURCE_DIR, folder, folder);
    (void)snprintf(path, sizeof path, "%s/" CASE "/reference.safetensors", folder);
    text[0] = '\0';
    bool ok = system(command) == 0 && write_reference(set, m, path);
    int status = ok ? run_parity(folder, text, n) : -1;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void)!system(command);
    return status == (mutations[m].change != KEEP) && strstr(text, mutations[m].says);
}

int main(void)
{
    zoo_tensors *set = NULL;
    zoo_error error;
    static char text[1 << 16];
    uint32_t n_failed = 0;
    if (zoo_tensors_open_file(LMZOO_SOURCE_DIR "/tests/parity/cases/" CASE "/reference.safetensors",
                              &set, &error) != ZOO_OK) {
        (void)printf("not ok - %s\n1..1\n", error.text);
        return 1;
    }
    for (size_t m = 0; m < ZOO_COUNT(mutations); m++) {
        bool ok = run_mutation(set, m, text, sizeof text);
        n_failed += !ok;
        (void)printf("%sok - parity, where %s\n", ok ? "" : "not ", mutations[m].name);
        for (char *line = ok ? NULL : strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            (void)printf("# %s\n", line);
        }
    }
    zoo_tensors_close(set);
    (void)printf("1..%zu\n", ZOO_COUNT(mutations));
    return n_failed ? 1 : 0;
}
