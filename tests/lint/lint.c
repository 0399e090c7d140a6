/*
 * lint.c: applies the house rules (rules.h) to every C file of the tree and prints TAP, one result
 * per rule.
 *
 *   test_lint [ROOT]            ROOT: this tree unless given
 *   test_lint --cases FOLDER    tests the lint itself: each file says what must be found in it
 *   test_lint --circles         circles between object files whose symbols (nm -A --format=posix)
 *                               stand on stdin, one a line
 *
 * tools/lint/exemptions.txt excuses findings, one a line: `path:name reason`. A line without a
 * reason or one that excuses nothing is a finding too.
 *
 * A case file: a line `path: sdk/x.h`, any number of lines `expect: rule: name`, a line `---`, then
 * the source as if it stood at that path.
 */
#include "circles.h"
#include "rooms.h"
#include "rules.h"
#include "scan.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 1024, FILE_BYTES_MAX = 64 << 20, EXEMPT_MAX = 256, DEPTH_MAX = 24 };

typedef struct exemption {
    char key[PATH_BYTES_MAX];
    int has_reason;
    int used;
} exemption;

typedef struct lint {
    const char *root;
    const char *path; /* of the file at hand */
    lint_rooms *rooms;
    char *findings; /* lines for the TAP diagnostics */
    size_t n_findings_bytes;
    int n_found[RULE_MAX];
    int n_measured[RULE_MAX];
    int largest[RULE_MAX];
    int lengths[128]; /* functions by their number of lines, tests apart */
    int n_files;
    int n_exempt;
    exemption exempt[EXEMPT_MAX];
} lint;

static void die(const char *what, const char *path)
{
    printf("Bail out! %s: %s\n", what, path);
    exit(1);
}

/* folder/name, or name alone where the folder is empty. */
static void join(char *out, size_t n, const char *folder, const char *name)
{
    if ((size_t)snprintf(out, n, "%s%s%s", folder, *folder ? "/" : "", name) >= n) {
        die("path too long", name);
    }
}

static char *read_text(const char *path)
{
    FILE *in = fopen(path, "rb");
    char *text = NULL;
    long n;
    if (in && fseek(in, 0, SEEK_END) == 0 && (n = ftell(in)) >= 0 && n < FILE_BYTES_MAX) {
        rewind(in);
        text = calloc((size_t)n + 1, 1);
        if (text && fread(text, 1, (size_t)n, in) != (size_t)n) {
            free(text);
            text = NULL;
        }
    }
    if (in) {
        (void)fclose(in);
    }
    return text;
}

static void note(lint *l, const char *fmt, ...)
{
    char line[2 * PATH_BYTES_MAX];
    va_list args;
    size_t n;
    char *grown;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    n = strlen(line);
    grown = realloc(l->findings, l->n_findings_bytes + n + 1);
    if (!grown) {
        die("no memory", line);
    }
    l->findings = grown;
    memcpy(grown + l->n_findings_bytes, line, n + 1);
    l->n_findings_bytes += n;
}

static void found(void *user, lint_rule rule, const char *name, const char *what)
{
    lint *l = user;
    char key[PATH_BYTES_MAX];
    (void)snprintf(key, sizeof key, "%s:%s", l->path, name);
    for (int i = 0; i < l->n_exempt; i++) {
        if (strcmp(l->exempt[i].key, key) == 0) {
            l->exempt[i].used = 1;
            return;
        }
    }
    l->n_found[rule]++;
    note(l, "# %s: %s: %s\n", lint_rule_name(rule), key, what);
}

static void measured(void *user, lint_rule rule, int value)
{
    lint *l = user;
    l->n_measured[rule]++;
    if (value > l->largest[rule]) {
        l->largest[rule] = value;
    }
    if (rule == RULE_FUNCTION_LENGTH && strncmp(l->path, "tests/", 6) != 0) {
        l->lengths[value < 127 ? value : 127]++;
    }
}

static void included(void *user, const char *target)
{
    lint *l = user;
    rooms_add_include(l->rooms, l->path, target);
}

static void check_text(lint *l, const char *path, const char *text)
{
    lint_sink sink = {l, found, measured, included};
    lint_source source = {l->root, path, text, NULL};
    char *code = scan_strip(text);
    if (!code) {
        die("no memory", path);
    }
    source.code = code;
    l->path = path;
    l->n_files++;
    rooms_add_file(l->rooms, path);
    lint_check(&source, &sink);
    free(code);
}

static int is_source(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".h") == 0 || strcmp(dot, ".inc") == 0);
}

static int is_walked(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_name[0] != '_' &&
           strncmp(entry->d_name, "build", 5) != 0 && strcmp(entry->d_name, "venv") != 0;
}

/* Files below root/folder, in the order of their names. */
static void walk(lint *l, const char *folder, int depth)
{
    char full[2 * PATH_BYTES_MAX];
    struct dirent **entries;
    int n;
    join(full, sizeof full, l->root, folder);
    n = scandir(full, &entries, is_walked, alphasort);
    if (n < 0 || depth > DEPTH_MAX) {
        die("cannot read the folder", full);
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES_MAX];
        struct stat info;
        join(path, sizeof path, folder, entries[i]->d_name);
        join(full, sizeof full, l->root, path);
        if (lstat(full, &info) == 0 && S_ISDIR(info.st_mode)) {
            walk(l, path, depth + 1);
        } else if (is_source(path) && S_ISREG(info.st_mode)) {
            char *text = read_text(full);
            if (!text) {
                die("cannot read", full);
            }
            check_text(l, path, text);
            free(text);
        }
        free(entries[i]);
    }
    free(entries);
}

static void read_exemptions(lint *l)
{
    char path[PATH_BYTES_MAX];
    char *text, *line, *rest;
    join(path, sizeof path, l->root, "tools/lint/exemptions.txt");
    text = read_text(path);
    for (line = text ? strtok_r(text, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest)) {
        exemption *e = &l->exempt[l->n_exempt];
        size_t n = strcspn(line, " \t");
        if (*line == '#' || n == 0 || n >= sizeof e->key) {
            continue;
        }
        if (++l->n_exempt == EXEMPT_MAX) {
            die("too many exemptions", path);
        }
        memcpy(e->key, line, n);
        e->has_reason = line[n + strspn(line + n, " \t")] != '\0';
    }
    free(text);
}

/* Prints a result and its number. */
static int tap(int ok, const char *fmt, ...)
{
    static int n;
    va_list args;
    printf("%sok %d - ", ok ? "" : "not ", ++n);
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)putchar('\n');
    return !ok;
}

/* How many lines the function has that is longer than the given part of all. */
static int quantile(const lint *l, double part)
{
    int all = 0, seen = 0, lines = 0;
    for (int i = 0; i < 128; i++) {
        all += l->lengths[i];
    }
    while (lines < 127 && seen + l->lengths[lines] <= part * all) {
        seen += l->lengths[lines++];
    }
    return lines;
}

static lint_rooms *new_rooms(void)
{
    lint_rooms *rooms = rooms_new();
    if (!rooms) {
        die("no memory", "rooms");
    }
    return rooms;
}

static int check_tree(const char *root)
{
    static lint l;
    int failed = 0, bad_exemptions = 0;
    l.root = root;
    l.rooms = new_rooms();
    read_exemptions(&l);
    walk(&l, "", 0);
    l.path = "host";
    rooms_check(l.rooms, root, &(lint_sink){&l, found, measured, included});
    printf("1..%d\n", RULE_MAX + 2);
    failed |= tap(l.n_files > 0, "%d files read", l.n_files);
    for (int i = 0; i < RULE_MAX; i++) {
        failed |= tap(l.n_found[i] == 0, "%s: %d findings in %d measured, largest %d",
                      lint_rule_name((lint_rule)i), l.n_found[i], l.n_measured[i], l.largest[i]);
    }
    for (int i = 0; i < l.n_exempt; i++) {
        if (!l.exempt[i].used || !l.exempt[i].has_reason) {
            bad_exemptions++;
            note(&l, "# exemption %s: %s\n", l.exempt[i].key,
                 l.exempt[i].used ? "gives no reason" : "excuses nothing");
        }
    }
    failed |= tap(bad_exemptions == 0, "%d exemptions, each used and with a reason", l.n_exempt);
    printf("# function lines (tests apart): median %d, p90 %d, p99 %d\n", quantile(&l, 0.5),
           quantile(&l, 0.9), quantile(&l, 0.99));
    rooms_print(l.rooms);
    rooms_free(l.rooms);
    fputs(l.findings ? l.findings : "", stdout);
    return failed;
}

/* Moves on one line; returns the line, cut at its end. */
static char *next_line(char **text)
{
    char *line = *text;
    size_t n = strcspn(line, "\n");
    *text = line + n + (line[n] != '\0');
    line[n] = '\0';
    return line;
}

/* One case: what is found must be what the file's head expects, line for line. */
static int check_case(const char *root, const char *name, char *text)
{
    static lint l;
    char path[PATH_BYTES_MAX] = "", wanted[8 * PATH_BYTES_MAX] = "", *line;
    int failed, n_wanted = 0, n_found = 0, missing = 0;
    memset(&l, 0, sizeof l);
    l.root = root;
    l.rooms = new_rooms();
    while (*text && strcmp(line = next_line(&text), "---") != 0) {
        if (strncmp(line, "path: ", 6) == 0) {
            (void)snprintf(path, sizeof path, "%s", line + 6);
        } else if (strncmp(line, "expect: ", 8) == 0) {
            size_t n = strlen(wanted);
            (void)snprintf(wanted + n, sizeof wanted - n, "%s\n", line + 8);
        }
    }
    check_text(&l, path, text);
    for (char *w = wanted; *w;) {
        char key[2 * PATH_BYTES_MAX], *expect = next_line(&w), *colon = strstr(expect, ": ");
        (void)snprintf(key, sizeof key, "# %.*s: %s:%s:", colon ? (int)(colon - expect) : 0, expect,
                       path, colon ? colon + 2 : expect);
        missing += !l.findings || !strstr(l.findings, key);
        n_wanted++;
    }
    for (int i = 0; i < RULE_MAX; i++) {
        n_found += l.n_found[i];
    }
    failed = tap(*path && missing == 0 && n_found == n_wanted, "%s", name);
    if (failed) {
        printf("# wanted %d, %d of them missing; found %d:\n%s", n_wanted, missing, n_found,
               l.findings ? l.findings : "");
    }
    free(l.findings);
    rooms_free(l.rooms);
    return failed;
}

static int check_cases(const char *root, const char *folder)
{
    struct dirent **entries;
    int failed = 0, n = scandir(folder, &entries, is_walked, alphasort);
    if (n <= 0) {
        die("no cases", folder);
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES_MAX], *text;
        join(path, sizeof path, folder, entries[i]->d_name);
        text = read_text(path);
        if (!text) {
            die("cannot read", path);
        }
        failed |= check_case(root, entries[i]->d_name, text);
        free(text);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

static void print_circle(void *user, const char *members)
{
    (void)user;
    puts(members);
}

static int print_circles(void)
{
    circles *graph = circles_new();
    if (!graph) {
        die("no memory", "circles");
    }
    circles_read_symbols(graph, stdin);
    (void)circles_find(graph, print_circle, NULL);
    circles_free(graph);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--circles") == 0) {
        return print_circles();
    }
    if (argc == 3 && strcmp(argv[1], "--cases") == 0) {
        return check_cases(LMZOO_SOURCE_DIR, argv[2]);
    }
    return check_tree(argc > 1 ? argv[1] : LMZOO_SOURCE_DIR);
}
