/*
 * parity.c: every reference checkpoint whose model_type is covered, against the reference's
 * numbers.
 *
 *   parity [-k WORD] [--part I/N] [--markdown] [--folder FOLDER]
 *
 * Each case runs in a process of its own, so that a crash is one failed case. A model_type without
 * a card is skipped by name. Folders: the reference data's parity folder where it exists, then
 * what tests/parity/cases of the tree has besides.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../part.h"
#include "case.h"
#include "config/card.h"
#include "config/config.h"

typedef struct options {
    const char *word; /* in the case's name */
    test_part part;
    bool markdown;
    uint32_t n_done, n_failed, n_skipped;
    zoo_cards cards;
} options;

/* Model types kept aside for trying the documentation: adding them is the exercise. */
static const char *const kept_aside[] = {"exaone", "sarvam_mla", "sarvam_moe",   "lara_mini",
                                         "dory",   "apertus1p5", "inkling2_loop"};

/* A line "case number" of tensors.tsv: how many tensors its reference has; 0: no such line. */
static uint32_t tensors_of(const char *name)
{
    FILE *file = fopen(LMZOO_SOURCE_DIR "/tests/parity/tensors.tsv", "r");
    char line[256];
    size_t n = strlen(name);
    uint32_t found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, n) == 0 && line[n] == '\t') {
            found = (uint32_t)strtoul(line + n + 1, NULL, 10);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return found;
}

/* Every tensor of the reference counts, and it has those that it should have. */
static bool judge_tensors(const parity_case *c, const case_result *r, char *why, size_t n)
{
    uint32_t wanted = tensors_of(c->name);
    if (r->n_absent || r->n_missing || r->n_resized) {
        (void)snprintf(why, n, "%u tensors absent, %u not recorded, %u of another size; first: %s",
                       r->n_absent, r->n_missing, r->n_resized, r->first);
    } else if (r->n_compared + r->n_inside != r->n_tensors) {
        (void)snprintf(why, n, "%u of the reference's %u tensors were compared", r->n_compared,
                       r->n_tensors);
    } else if (wanted && r->n_tensors != wanted) {
        (void)snprintf(why, n, "the reference has %u tensors, tensors.tsv says %u", r->n_tensors,
                       wanted);
    } else {
        return true;
    }
    return false;
}

static bool judge(const parity_case *c, const case_result *r, char *why, size_t n)
{
    if (r->status != ZOO_OK) {
        (void)snprintf(why, n, "%s", r->why);
    } else if (!judge_tensors(c, r, why, n)) {
        return false;
    } else if (!(r->logits <= c->limit) || !(r->layers <= c->limit)) {
        (void)snprintf(why, n, "nmse logits %.3g, layers %.3g, limit %.3g; first %s", r->logits,
                       r->layers, c->limit, r->first);
    } else if (r->chunks_differ || r->batch_differs || r->kept_differs || r->taken_back_differ) {
        (void)snprintf(why, n,
                       "other bits: rows in chunks %u, in the batch %u, after a kept prefix %u, "
                       "around rows taken back %u",
                       r->chunks_differ, r->batch_differs, r->kept_differs, r->taken_back_differ);
    } else if (r->n_wrong_tokens || !(r->decode <= c->limit)) {
        (void)snprintf(why, n, "%u wrong tokens, nmse of decode %.3g", r->n_wrong_tokens,
                       r->decode);
    } else if (r->cached != 0) {
        (void)snprintf(why, n, "cached steps differ from the whole pass: nmse %.3g", r->cached);
    } else {
        return true;
    }
    return false;
}

static int run_one(const char *folder, const char *name)
{
    parity_case c;
    case_result r;
    zoo_error error;
    char why[800] = "";
    if (case_open(folder, name, &c, &error) != ZOO_OK) {
        (void)printf("not ok - %s: %s\n", name, error.text);
        return 1;
    }
    case_run(&c, "f32", 2, &r);
    bool ok = judge(&c, &r, why, sizeof why);
    if (ok) {
        (void)printf("ok - %s (%s): %u tensors; logits %.2g, layers %.2g, decode %.2g\n", name,
                     c.model_type, r.n_compared, r.logits, r.layers, r.decode);
    } else {
        (void)printf("not ok - %s (%s): %s\n", name, c.model_type, why);
    }
    case_close(&c);
    return ok ? 0 : 1;
}

static void cell(const case_result *r, double value)
{
    if (r->status != ZOO_OK) {
        (void)printf(" - |");
    } else {
        (void)printf(" %.1e |", value);
    }
}

static int run_row(const char *folder, const char *name)
{
    parity_case c;
    case_result f32, bf16, int8, int4;
    zoo_error error;
    char why[800] = "";
    if (case_open(folder, name, &c, &error) != ZOO_OK) {
        return 1;
    }
    case_run(&c, "f32", 2, &f32);
    case_run(&c, "bf16", 2, &bf16);
    case_run(&c, "int8", 2, &int8);
    case_run(&c, "int4", 2, &int4);
    bool ok = judge(&c, &f32, why, sizeof why);
    (void)printf("| %s | %s | %s |", c.model_type, name, f32.plugin);
    cell(&f32, f32.logits > f32.layers ? f32.logits : f32.layers);
    (void)printf(" %s |", f32.chunks_differ ? "differ" : "same bits");
    cell(&f32, f32.decode);
    (void)printf(" %s |", f32.batch_differs ? "differ" : "same bits");
    cell(&bf16, bf16.decode);
    cell(&int8, int8.decode);
    cell(&int4, int4.decode);
    (void)printf(" %s |\n", ok ? "" : why);
    case_close(&c);
    return ok ? 0 : 1;
}

static bool is_covered(const options *o, const char *folder, const char *name, char *type, size_t n)
{
    zoo_error error;
    parity_case c;
    type[0] = '\0';
    if (case_open(folder, name, &c, &error) != ZOO_OK) {
        return true; /* let the run say what is wrong */
    }
    (void)snprintf(type, n, "%s", c.model_type);
    case_close(&c);
    for (size_t i = 0; i < ZOO_COUNT(kept_aside); i++) {
        if (strcmp(type, kept_aside[i]) == 0) {
            return false;
        }
    }
    const zoo_card *card = zoo_cards_find(&o->cards, type);
    if (card) {
        return zoo_card_text(card, "plugin") != NULL;
    }
    zoo_model_config *config = NULL;
    char path[1600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    bool covered = false;
    if (zoo_model_config_open(path, &config, &error) == ZOO_OK) {
        covered = zoo_cards_find(&o->cards, zoo_model_config_text_type(config)) != NULL;
    }
    zoo_model_config_close(config);
    return covered;
}

static void run_case(options *o, const char *folder, const char *name)
{
    char type[64];
    if (!is_covered(o, folder, name, type, sizeof type)) {
        if (!o->markdown) {
            (void)printf("ok - parity %s # SKIP model_type %s is not covered\n", name, type);
        }
        o->n_skipped++;
        return;
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int code = o->markdown ? run_row(folder, name) : run_one(folder, name);
        (void)fflush(stdout);
        _exit(code);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status)) {
        (void)printf("not ok - %s: stopped by signal %d\n", name, WTERMSIG(status));
    }
    o->n_failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    o->n_done++;
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* All cases of the folder but those that `done` has too. */
static void run_folder(options *o, const char *folder, const char *done)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, no_dots, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1600];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s/%s/reference.json", folder, entries[i]->d_name);
        bool wanted = !o->word || strstr(entries[i]->d_name, o->word);
        char other[1600] = "";
        if (done) {
            (void)snprintf(other, sizeof other, "%s/%s", done, entries[i]->d_name);
        }
        wanted = wanted && (!done || stat(other, &info) != 0);
        if (wanted && stat(path, &info) == 0 && test_part_takes(&o->part)) {
            run_case(o, folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    options o = {0};
    const char *folder = NULL;
    zoo_error error;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--markdown") == 0) {
            o.markdown = true;
        } else if (strcmp(argv[i], "-k") == 0 && i + 1 < argc) {
            o.word = argv[++i];
        } else if (test_part_read(&o.part, argc, argv, i)) {
            i++;
        } else if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc) {
            folder = argv[++i];
        } else {
            (void)printf("Bail out! what is '%s'?\n", argv[i]);
            return 2;
        }
    }
    if (zoo_cards_read(LMZOO_SOURCE_DIR "/models.d", &o.cards, &error) != ZOO_OK ||
        zoo_cards_check(&o.cards, &error) != ZOO_OK) {
        (void)printf("not ok - cards: %s\n", error.text);
        return 1;
    }
    char path[1024];
    const char *reference = getenv("LMZOO_REFERENCE");
    (void)snprintf(path, sizeof path, "%s/parity",
                   reference ? reference : LMZOO_SOURCE_DIR "/../shared/reference");
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (o.markdown) {
        (void)printf("| model_type | case | plugin | whole | chunks | decode | batch | bf16 cache "
                     "| int8 cache | int4 cache | note "
                     "|\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    }
    if (folder || there) {
        run_folder(&o, folder ? folder : path, NULL);
    }
    if (!folder) {
        run_folder(&o, LMZOO_SOURCE_DIR "/tests/parity/cases", there ? path : NULL);
    }
    bool without = !there && !folder && o.part.number == 0;
    if (without && !o.markdown) {
        (void)printf("ok - parity cases of the reference data # SKIP the folder is absent\n");
    }
    zoo_cards_free(&o.cards);
    if (!o.markdown) {
        (void)printf("1..%u\n", o.n_done + o.n_skipped + without);
    }
    return o.n_failed ? 1 : 0;
}
