/*
 * cmd_new_card.c: lmzoo new-card CONFIG|FOLDER [-o FILE]
 *
 * A card for a release that has none, and what files cannot tell about it.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "adding/new_card.h"
#include "commands/commands.h"
#include "commands/reading.h"
#include "config/plugin_loader.h"

typedef struct new_card_args {
    zoo_common common;
    const char *output, *type, *plugin_dir, *card_dir;
} new_card_args;

static const zoo_option options[] = {
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(new_card_args, output), "FILE",
     "the card [TYPE.json in the folder of cards]"},
    {"--type", 0, ZOO_OPTION_TEXT, offsetof(new_card_args, type), "TYPE",
     "model_type that the card names [the config's]"},
    {"--plugin-dir", 0, ZOO_OPTION_TEXT, offsetof(new_card_args, plugin_dir), "DIR",
     "where plugins are [beside the program]"},
    {"--card-dir", 0, ZOO_OPTION_TEXT, offsetof(new_card_args, card_dir), "DIR",
     "where cards are [beside the program]"},
    ZOO_OPTIONS_END};

/* Where the card goes; refuses to write over a file. */
static zoo_status place(const new_card_args *a, const char *type, char *path, size_t n,
                        zoo_error *err)
{
    char folder[4096];
    if (a->output) {
        (void)snprintf(path, n, "%s", a->output);
    } else {
        ZOO_TRY(zoo_install_folder(a->card_dir, "models.d", folder, sizeof folder, err));
        (void)snprintf(path, n, "%s/%s.json", folder, type);
    }
    return access(path, F_OK) != 0
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_USAGE, "%s is there already; -o names another file", path);
}

static int finish(const new_card_args *a, const char *type, zoo_doc *doc, const zoo_out *card)
{
    char path[4400];
    zoo_error err;
    zoo_status status = place(a, type, path, sizeof path, &err);
    if (status != ZOO_OK) {
        return zoo_command_failed("new-card", &err, zoo_exit_code(status));
    }
    int code = reading_save("new-card", path, card);
    if (code == 0) {
        zoo_doc_para(doc, "Written: %s", path);
        zoo_out_bytes(&doc->out, card->data, card->n);
        code = reading_print("new-card", &doc->out);
    }
    return code;
}

static int run(void *args)
{
    const new_card_args *a = args;
    char type[256];
    zoo_error err;
    zoo_out card = {0};
    zoo_doc doc = {.form = ZOO_DOC_TEXT};
    zoo_trial_subject subject = {.plugin_dir = a->plugin_dir, .card_dir = a->card_dir};
    zoo_status status = zoo_trial_subject_open(a->common.positional[0], &subject, &err);
    if (status == ZOO_OK) {
        status = zoo_new_card(&subject, a->type, &doc, &card, type, sizeof type, &err);
    }
    zoo_doc_end(&doc);
    int code = status == ZOO_OK ? finish(a, type, &doc, &card)
                                : zoo_command_failed("new-card", &err, reading_exit_code(status));
    zoo_out_free(&card);
    zoo_doc_free(&doc);
    return code;
}

const zoo_command zoo_command_new_card = {
    .name = "new-card",
    .arguments = "CONFIG|FOLDER [-o FILE] [options]",
    .summary = "a card for a release that has none, from its nearest relative",
    .text =
        "Tries every card on the config, and on the tensors where a folder has some; takes the "
        "one that fits best, changes it until nothing fits better, and removes what "
        "changes nothing. The card is written to the card folder, so that no rebuild "
        "is needed. What keys and tensors cannot show, such as where norms are, which "
        "layers rotate, an activation or eps, is listed as questions with how to settle "
        "each. A key that is not read by any option goes into the card as unsettled, which `lmzoo "
        "validate` refuses.",
    .example = "lmzoo new-card ./new-release\n"
               "lmzoo new-card config.json -o card.json",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(new_card_args),
    .run = run};
