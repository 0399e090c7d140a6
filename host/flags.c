/* flags.c: argument reading for all commands. Values stay where argv holds them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "mem.h"

enum { ALLOWED_MAX = 32 };

/* Keys of --allow-unknown; the flag may come several times. */
static const char *allowed[ALLOWED_MAX + 1];
static uint32_t n_allowed;

static zoo_status read_count(const char *name, const char *text, uint32_t *out, zoo_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value >= UINT32_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: \"%.60s\" is no count", name, text);
    }
    *out = (uint32_t)value;
    return ZOO_OK;
}

static zoo_status read_size(const char *name, const char *text, size_t *out, zoo_error *err)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
    double scale = unit ? pow(1024.0, (double)(unit - units + 1)) : 1.0;
    const char *rest = unit ? end + 1 : end;
    if (end == text || (*rest && strcmp(rest, "iB") != 0 && strcmp(rest, "B") != 0) ||
        !(value >= 0) || value * scale > 9e18) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: \"%.60s\" is no size such as 4G or 512M", name,
                        text);
    }
    *out = (size_t)(value * scale);
    return ZOO_OK;
}

static zoo_status read_value(const zoo_flag *flag, const char *text, zoo_error *err)
{
    char *end = NULL;
    double number;
    switch (flag->kind) {
    case ZOO_FLAG_TEXT:
        *(const char **)flag->value = text;
        return ZOO_OK;
    case ZOO_FLAG_COUNT:
        return read_count(flag->name, text, flag->value, err);
    case ZOO_FLAG_SIZE:
        return read_size(flag->name, text, flag->value, err);
    case ZOO_FLAG_NUMBER:
        number = strtod(text, &end);
        if (end == text || *end || !isfinite(number)) {
            return zoo_fail(err, ZOO_E_USAGE, "%s: \"%.60s\" is no number", flag->name, text);
        }
        *(double *)flag->value = number;
        return ZOO_OK;
    case ZOO_FLAG_SET:
        break;
    }
    return ZOO_OK;
}

static const zoo_flag *find_flag(const zoo_flag *flags, const char *name, size_t n)
{
    for (; flags && flags->name; flags++) {
        if (strlen(flags->name) == n && strncmp(flags->name, name, n) == 0) {
            return flags;
        }
    }
    return NULL;
}

typedef struct reader {
    int argc, next;
    char **argv;
    const zoo_flag *own, *common;
    const char *unknown_key; /* of the last --allow-unknown */
} reader;

/* Reads the flag at r->next, "--name value" or "--name=value". */
static zoo_status read_flag(reader *r, zoo_error *err)
{
    const char *name = r->argv[r->next++];
    const char *equal = strncmp(name, "--", 2) == 0 ? strchr(name, '=') : NULL;
    size_t n = equal ? (size_t)(equal - name) : strlen(name);
    const zoo_flag *flag = find_flag(r->own, name, n);
    flag = flag ? flag : find_flag(r->common, name, n);
    if (!flag) {
        return zoo_fail(err, ZOO_E_USAGE, "unknown option %.60s", name);
    }
    if (flag->kind == ZOO_FLAG_SET) {
        *(bool *)flag->value = true;
        return equal ? zoo_fail(err, ZOO_E_USAGE, "%s takes no value", flag->name) : ZOO_OK;
    }
    if (!equal && r->next == r->argc) {
        return zoo_fail(err, ZOO_E_USAGE, "%s needs a value", flag->name);
    }
    ZOO_TRY(read_value(flag, equal ? equal + 1 : r->argv[r->next++], err));
    if (r->unknown_key) {
        if (n_allowed == ALLOWED_MAX) {
            return zoo_fail(err, ZOO_E_USAGE, "--allow-unknown may come %d times", ALLOWED_MAX);
        }
        allowed[n_allowed++] = r->unknown_key;
        r->unknown_key = NULL;
    }
    return ZOO_OK;
}

zoo_status zoo_flags_read(int argc, char **argv, const zoo_flag *flags, zoo_engine_options *options,
                          const char **places, uint32_t n_places, zoo_error *err)
{
    zoo_engine_options none = {0};
    zoo_engine_options *o = options ? options : &none;
    reader r = {argc, 1, argv, flags, NULL, NULL};
    const zoo_flag common[] = {{"--weights", ZOO_FLAG_TEXT, &o->weights},
                               {"--cache", ZOO_FLAG_TEXT, &o->cache},
                               {"--threads", ZOO_FLAG_COUNT, &o->n_threads},
                               {"--isa", ZOO_FLAG_TEXT, &o->isa},
                               {"--memory", ZOO_FLAG_SIZE, &o->memory},
                               {"--plugin-dir", ZOO_FLAG_TEXT, &o->plugin_dir},
                               {"--card-dir", ZOO_FLAG_TEXT, &o->card_dir},
                               {"--allow-unknown", ZOO_FLAG_TEXT, &r.unknown_key},
                               {"--context", ZOO_FLAG_COUNT, &o->context_max},
                               {"--max-rows", ZOO_FLAG_COUNT, &o->rows_max},
                               {"--max-seqs", ZOO_FLAG_COUNT, &o->seqs_max},
                               {NULL, ZOO_FLAG_TEXT, NULL}};
    r.common = options ? common : NULL;
    uint32_t n = 0;
    while (r.next < argc) {
        const char *word = argv[r.next];
        if (word[0] == '-' && word[1] != '\0') {
            ZOO_TRY(read_flag(&r, err));
        } else if (n == n_places) {
            return zoo_fail(err, ZOO_E_USAGE, "unexpected argument %.60s", word);
        } else {
            places[n++] = word;
            r.next++;
        }
    }
    o->allow_unknown = allowed;
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
