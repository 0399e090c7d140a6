/*
 * completions.c: completions of bash and zsh (pages.h), from the rows of commands.h.
 *
 * An option's argument says what its values are: FILE, DIR and MODEL are paths; a|b|c are words,
 * those in capitals are not typed so. Anything else is completed with nothing.
 */
#include <ctype.h>
#include <string.h>

#include "commands/pages.h"

/* The words of "DIR|auto" that are typed as they stand, with blanks between. */
static void put_words(FILE *out, const char *argument)
{
    const char *between = "";
    while (*argument) {
        size_t n = strcspn(argument, "|");
        if (islower((unsigned char)argument[0]) || isdigit((unsigned char)argument[0])) {
            (void)fprintf(out, "%s%.*s", between, (int)n, argument);
            between = " ";
        }
        argument += n;
        argument += *argument == '|';
    }
}

static bool has_words(const char *argument)
{
    return strchr(argument, '|') != NULL;
}

static bool has_paths(const char *argument)
{
    return strstr(argument, "FILE") || strstr(argument, "DIR") || strstr(argument, "MODEL");
}

/* The positional arguments of a command are paths but for those of help. */
static bool takes_names(const zoo_command *c)
{
    return strstr(c->arguments, "COMMAND") != NULL;
}

static void put_names(FILE *out)
{
    for (size_t i = 0; zoo_commands[i]; i++) {
        (void)fprintf(out, "%s%s", i ? " " : "", zoo_commands[i]->name);
    }
}

/* ---- bash ---- */

static void bash_value(FILE *out, const zoo_command *c, const zoo_option *row)
{
    (void)fprintf(out, "    '%s %s'", c->name, row->name);
    if (row->letter) {
        (void)fprintf(out, " | '%s -%c'", c->name, row->letter);
    }
    (void)fputs(") words='", out);
    if (has_words(row->argument)) {
        put_words(out, row->argument);
    }
    (void)fprintf(out, "' paths=%s ;;\n", has_paths(row->argument) ? "yes" : "");
}

static void bash_options(FILE *out, const zoo_command *c)
{
    zoo_option_tables t = zoo_command_tables(c);
    const char *between = "";
    (void)fprintf(out, "    %s) words='", c->name);
    for (size_t i = 0; i < ZOO_COUNT(t.tables); i++) {
        for (const zoo_option *row = t.tables[i]; row && row->name; row++) {
            if (row->letter) {
                (void)fprintf(out, "%s-%c", between, row->letter);
                between = " ";
            }
            (void)fprintf(out, "%s%s", between, row->name);
            between = " ";
        }
    }
    (void)fputs("' ;;\n", out);
}

void zoo_page_bash(FILE *out)
{
    (void)fputs("# bash completion of lmzoo\n"
                "_lmzoo() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    local words='' paths='' command=${COMP_WORDS[1]}\n"
                "    COMPREPLY=()\n"
                "    if [[ $word == = ]]; then\n"
                "        word=''\n"
                "    elif [[ $before == = ]]; then\n"
                "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    fi\n"
                "    if ((COMP_CWORD == 1)); then\n"
                "        COMPREPLY=($(compgen -W '",
                out);
    put_names(out);
    (void)fputs(" --help --version' -- \"$word\"))\n        return\n    fi\n"
                "    case \"$command $before\" in\n",
                out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        zoo_option_tables t = zoo_command_tables(zoo_commands[i]);
        for (size_t k = 0; k < ZOO_COUNT(t.tables); k++) {
            for (const zoo_option *row = t.tables[k]; row && row->name; row++) {
                if (row->argument) {
                    bash_value(out, zoo_commands[i], row);
                }
            }
        }
    }
    (void)fputs("    *)\n    case \"$word\" in\n    -*) case \"$command\" in\n", out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        bash_options(out, zoo_commands[i]);
    }
    (void)fputs("        esac ;;\n    *) case \"$command\" in\n", out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        if (takes_names(zoo_commands[i])) {
            (void)fprintf(out, "    %s) words='", zoo_commands[i]->name);
            put_names(out);
            (void)fputs("' ;;\n", out);
        }
    }
    (void)fputs("    *) paths=yes ;;\n        esac ;;\n    esac ;;\n    esac\n"
                "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "    if [[ $paths ]]; then\n"
                "        compopt -o filenames 2>/dev/null\n"
                "        local IFS=$'\\n'\n"
                "        COMPREPLY+=($(compgen -f -- \"$word\"))\n"
                "    fi\n"
                "}\n"
                "complete -F _lmzoo lmzoo\n",
                out);
}

/* ---- zsh ---- */

/* Inside '...' and inside the brackets or after the colons of a specification. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", out);
        } else {
            if (strchr("[]:\\", *text)) {
                (void)fputc('\\', out);
            }
            (void)fputc(*text, out);
        }
    }
}

static void zsh_value(FILE *out, const zoo_option *row)
{
    if (!row->argument) {
        return;
    }
    (void)fputc(':', out);
    zsh_text(out, row->argument);
    (void)fputc(':', out);
    if (has_words(row->argument) && !has_paths(row->argument)) {
        (void)fputc('(', out);
        put_words(out, row->argument);
        (void)fputc(')', out);
    } else if (has_paths(row->argument)) {
        (void)fputs("_files", out);
    }
}

static void zsh_option(FILE *out, const zoo_option *row)
{
    const char *again = row->kind == ZOO_OPTION_LIST ? "*" : "";
    const char *equals = row->argument ? "=" : "";
    if (row->letter) {
        (void)fprintf(out, " \\\n        '(-%c %s)'{-%c%s,%s%s}'[", row->letter, row->name,
                      row->letter, row->argument ? "+" : "", row->name, equals);
    } else {
        (void)fprintf(out, " \\\n        '%s%s%s[", again, row->name, equals);
    }
    zsh_text(out, row->help);
    (void)fputc(']', out);
    zsh_value(out, row);
    (void)fputc('\'', out);
}

void zoo_page_zsh(FILE *out)
{
    (void)fputs("#compdef lmzoo\n_lmzoo() {\n    local -a names\n    names=(\n", out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        (void)fprintf(out, "        '%s:", zoo_commands[i]->name);
        zsh_text(out, zoo_commands[i]->summary);
        (void)fputs("'\n", out);
    }
    (void)fputs("    )\n    if ((CURRENT == 2)); then\n        _describe command names\n"
                "        return\n    fi\n    local name=$words[2]\n    shift words\n"
                "    ((CURRENT--))\n    case $name in\n",
                out);
    for (size_t i = 0; zoo_commands[i]; i++) {
        zoo_option_tables t = zoo_command_tables(zoo_commands[i]);
        (void)fprintf(out, "    %s) _arguments -S", zoo_commands[i]->name);
        for (size_t k = 0; k < ZOO_COUNT(t.tables); k++) {
            for (const zoo_option *row = t.tables[k]; row && row->name; row++) {
                zsh_option(out, row);
            }
        }
        (void)fputs(" \\\n        '*:argument:", out);
        if (takes_names(zoo_commands[i])) {
            (void)fputc('(', out);
            put_names(out);
            (void)fputs(")' ;;\n", out);
        } else {
            (void)fputs("_files' ;;\n", out);
        }
    }
    (void)fputs("    esac\n}\n_lmzoo \"$@\"\n", out);
}
