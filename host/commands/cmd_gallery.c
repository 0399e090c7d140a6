/*
 * cmd_gallery.c: lmzoo gallery -o DIR
 *
 * Static pages of every card and of the known releases.
 */
#include <stddef.h>

#include "commands/commands.h"
#include "commands/reading.h"
#include "gallery/gallery.h"

typedef struct gallery_args {
    reading_args reading;
    const char *output;
} gallery_args;

static const zoo_option options[] = {{"--output", 'o', ZOO_OPTION_TEXT,
                                      offsetof(gallery_args, output), "DIR",
                                      "folder of the site; created if missing"},
                                     READING_OPTIONS(gallery_args),
                                     ZOO_OPTIONS_END};

static int run(void *args)
{
    const gallery_args *a = args;
    const zoo_model_options where = {.plugin_dir = a->reading.plugin_dir,
                                     .card_dir = a->reading.card_dir};
    zoo_gallery gallery = {.n_entries = 0};
    zoo_error err;
    if (!a->output) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "-o DIR is needed: where the pages go");
        return zoo_command_failed("gallery", &err, 2);
    }
    zoo_status status = zoo_gallery_write(&gallery, &where, a->output, &err);
    int code = status == ZOO_OK ? 0 : zoo_command_failed("gallery", &err, zoo_exit_code(status));
    if (status == ZOO_OK) {
        (void)fprintf(stderr, "lmzoo: %u files, %.1f MiB; begin with %s/index.html\n",
                      gallery.n_pages, (double)gallery.n_bytes / 1048576, a->output);
    }
    zoo_gallery_free(&gallery);
    return code;
}

const zoo_command zoo_command_gallery = {
    .name = "gallery",
    .arguments = "-o DIR",
    .summary = "static pages of every card and of known releases",
    .text =
        "Writes a folder of pages that need no server: a table of releases and model types with "
        "sizes and caches, a page for each with its picture, facts, memory and what it does "
        "differently from its nearest relative, a family tree, and a page for each idea with "
        "its formula and what it saves. Facts of releases stand in models.d/releases.json with "
        "their sources.",
    .example = "lmzoo gallery -o site",
    .options = options,
    .args_size = sizeof(gallery_args),
    .run = run};
