/*
 * rules.h: the house rules that can be read off one file of source.
 *
 * A rule reports a finding as a name within the file (function, line number, "file" or "include")
 * and a sentence; `path:name` is also how tools/lint/exemptions.txt excuses it.
 */
#ifndef LINT_RULES_H
#define LINT_RULES_H

typedef enum lint_rule {
    RULE_FUNCTION_LENGTH,
    RULE_PARAMETERS,
    RULE_FILE_LENGTH,
    RULE_LINE_LENGTH,
    RULE_INCLUDES,
    RULE_FAMILIES,
    RULE_CALLS,
    RULE_LEFTOVERS,
    RULE_ROOMS,
    RULE_MAX
} lint_rule;

typedef struct lint_source {
    const char *root; /* of the tree; includes are looked up there */
    const char *path; /* below root, with `/`: decides which rules hold */
    const char *text;
    const char *code; /* text, stripped */
} lint_source;

/* Takes findings and measures. name and what live only during the call. */
typedef struct lint_sink {
    void *user;
    void (*found)(void *user, lint_rule rule, const char *name, const char *what);
    void (*measured)(void *user, lint_rule rule, int value);
    void (*included)(void *user, const char *target); /* a file of the tree */
} lint_sink;

/* "function length", ... */
const char *lint_rule_name(lint_rule rule);

/* Applies every rule to one file. */
void lint_check(const lint_source *source, const lint_sink *sink);

#endif
