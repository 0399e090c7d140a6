/*
 * cmd_draw.c: lmzoo draw MODEL|config.json|TYPE [-o FILE.svg] [--scale] [--dark]
 *
 * The figure of an architecture as an SVG file.
 */
#include <stddef.h>

#include "commands/commands.h"
#include "commands/reading.h"
#include "gallery/draw.h"

typedef struct draw_args {
    reading_args reading;
    const char *output;
    bool scale, dark;
} draw_args;

static const zoo_option options[] = {
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(draw_args, output), "FILE",
     "where the picture goes [stdout]"},
    {"--scale", 0, ZOO_OPTION_FLAG, offsetof(draw_args, scale), NULL,
     "bars of widths and caches, to scale"},
    {"--dark", 0, ZOO_OPTION_FLAG, offsetof(draw_args, dark), NULL,
     "dark colours; without it a browser follows the reader's choice"},
    READING_OPTIONS(draw_args),
    ZOO_OPTIONS_END};

static int run(void *args)
{
    const draw_args *a = args;
    const zoo_draw_options how = {.dark = a->dark, .scale = a->scale};
    zoo_arch *arch = NULL;
    zoo_out out = {0};
    zoo_error err;
    zoo_status status = reading_open(&a->reading, 0, &arch, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("draw", &err, reading_exit_code(status));
    }
    zoo_draw(arch, &how, &out);
    int code = a->output ? reading_save("draw", a->output, &out) : reading_print("draw", &out);
    zoo_out_free(&out);
    zoo_arch_close(arch);
    return code;
}

const zoo_command zoo_command_draw = {
    .name = "draw",
    .arguments = "MODEL|config.json|TYPE [-o FILE.svg] [--scale] [--dark]",
    .summary = "the figure of an architecture, as SVG",
    .text = "Draws the stack with its repeating groups, one layer opened, mixers and feed-forward "
            "parts with their sizes, and what is kept of a token. No weights are needed. Text in "
            "the picture is text.",
    .example = "lmzoo draw ./model -o model.svg",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(draw_args),
    .run = run};
