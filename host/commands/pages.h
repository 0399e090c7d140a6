/*
 * pages.h: help, man pages and completions, written from the table of commands.
 */
#ifndef ZOO_COMMANDS_PAGES_H
#define ZOO_COMMANDS_PAGES_H

#include <stdio.h>

#include "commands/commands.h"

/* `lmzoo help` and `lmzoo COMMAND --help`. */
void zoo_page_list(FILE *out);
void zoo_page_help(FILE *out, const zoo_command *command);

/* man pages, roff: lmzoo(1), and lmzoo-COMMAND(1). */
void zoo_page_man_list(FILE *out);
void zoo_page_man(FILE *out, const zoo_command *command);

/* Completions, to be read by the shells. */
void zoo_page_bash(FILE *out);
void zoo_page_zsh(FILE *out);

/* "-t, --threads N" */
void zoo_page_option(const zoo_option *row, char *text, size_t n);

#endif
