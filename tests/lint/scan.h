/*
 * scan.h: the little of C that the lint must understand: what is code and what is comment or
 * string, where a function begins and ends, what a file includes.
 *
 * All of it works on null-terminated text in memory and keeps line numbers. It does not expand
 * macros: a function made by a macro is not seen.
 */
#ifndef LINT_SCAN_H
#define LINT_SCAN_H

enum { SCAN_NAME_MAX = 128, SCAN_INCLUDE_MAX = 256 };

typedef struct scan_function {
    char name[SCAN_NAME_MAX];
    int line;     /* of its name, from 1 */
    int n_lines;  /* from its opening to its closing brace */
    int n_params; /* commas of its parameter list, plus 1; (void) and () are 0 */
} scan_function;

typedef struct scan_include {
    char path[SCAN_INCLUDE_MAX];
    int line;
    int angled; /* <path>, not "path" */
} scan_include;

/* A copy of text in which comments, strings and character constants are blanks; the caller frees
 * it. Null: out of memory. */
char *scan_strip(const char *text);

/* Calls visit for every function definition of stripped text. */
void scan_functions(const char *code, void (*visit)(void *user, const scan_function *f),
                    void *user);

/* Calls visit for every include of text; code is the same text, stripped. */
void scan_includes(const char *text, const char *code,
                   void (*visit)(void *user, const scan_include *i), void *user);

/* Lines of text up to offset n. */
int scan_lines(const char *text, long n);

#endif
