/* flags.c: the flags of small commands on top of options.h. Values stay where argv holds them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "commands/commands.h"
#include "commands/options.h"

enum { FLAGS_MAX = 16 };

/* Holds the lists that options point into; a program runs one command. */
static zoo_common common;

static zoo_option_kind kind_of(zoo_flag_kind kind)
{
    static const zoo_option_kind kinds[] = {ZOO_OPTION_TEXT, ZOO_OPTION_COUNT, ZOO_OPTION_SIZE,
                                            ZOO_OPTION_NUMBER, ZOO_OPTION_FLAG};
    return kinds[kind];
}

zoo_status zoo_flags_read(int argc, char **argv, const zoo_flag *flags, zoo_engine_options *options,
                          const char **places, uint32_t n_places, zoo_error *err)
{
    zoo_option own[FLAGS_MAX + 1] = {{NULL, 0, ZOO_OPTION_FLAG, NULL, NULL, NULL}};
    for (size_t i = 0; flags && flags[i].name && i < FLAGS_MAX; i++) {
        own[i] =
            (zoo_option){flags[i].name, 0, kind_of(flags[i].kind), flags[i].value, "VALUE", ""};
    }
    memset(&common, 0, sizeof common);
    if (options) {
        common.engine = *options;
        ZOO_TRY(zoo_options_read(argc, argv, own, &common, err));
        *options = common.engine;
    } else {
        ZOO_TRY(zoo_options_read_own(argc, argv, own, &common, err));
    }
    if (common.help) {
        return zoo_fail(err, ZOO_E_USAGE, "lmzoo help lists the commands");
    }
    if (common.n_positional > n_places) {
        return zoo_fail(err, ZOO_E_USAGE, "unexpected argument %.60s", common.positional[n_places]);
    }
    for (uint32_t i = 0; i < common.n_positional; i++) {
        places[i] = common.positional[i];
    }
    return ZOO_OK;
}

zoo_status zoo_tokens_read(const char *list, int32_t **tokens, uint32_t *n, zoo_error *err)
{
    size_t room = strlen(list) / 2 + 2;
    int32_t *ids = zoo_mem_array(room, sizeof *ids);
    *tokens = ids;
    *n = 0;
    if (!ids) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the tokens");
    }
    for (const char *p = list; *p;) {
        char *end = NULL;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (errno || end == p || id < 0 || id > INT32_MAX || (*end && *end != ',')) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "token ids are whole numbers with commas between, not \"%.40s\"", p);
        }
        ids[(*n)++] = (int32_t)id;
        p = *end ? end + 1 : end;
    }
    return *n ? ZOO_OK : zoo_fail(err, ZOO_E_USAGE, "the list of token ids is empty");
}

int zoo_command_failed(const char *command, const zoo_error *error)
{
    (void)fprintf(stderr, "lmzoo %s: %s\n", command, error->text);
    switch (error->code) {
    case ZOO_E_USAGE:
        return 2;
    case ZOO_E_IO:
    case ZOO_E_MEMORY:
    case ZOO_E_LIMIT:
    case ZOO_E_INTERNAL:
        return 4;
    default:
        return 3;
    }
}
