/* shard.c: see shard.h. */
#include "base/shard.h"

#include <string.h>

/* Digits alone, and no more than 18 of them. */
static bool read_number(const char **text, uint64_t *out)
{
    const char *begin = *text;
    *out = 0;
    while (**text >= '0' && **text <= '9' && *text - begin < 19) {
        *out = *out * 10 + (uint64_t)(*(*text)++ - '0');
    }
    return *text > begin && *text - begin < 19;
}

zoo_status zoo_shard_read(const char *text, uint64_t *i, uint64_t *n, zoo_error *err)
{
    const char *at = text;
    if (!read_number(&at, i) || *at++ != '/' || !read_number(&at, n) || *at) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--shard needs I/N, two whole numbers as 0/16, not \"%.40s\"%s", text,
                        text[0] == '/' || !text[0] ? "; is the variable before the / unset?" : "");
    }
    if (*n == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "--shard %.40s: there must be one shard at least", text);
    }
    if (*i >= *n) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--shard %.40s: of %llu shards the first is 0/%llu, the last %llu/%llu",
                        text, (unsigned long long)*n, (unsigned long long)*n,
                        (unsigned long long)(*n - 1), (unsigned long long)*n);
    }
    return ZOO_OK;
}

zoo_status zoo_shard_init(zoo_shard *s, zoo_error *err)
{
    zoo_input_stamp stamp;
    ZOO_TRY(zoo_input_stamp_get(s->input, &stamp, err));
    s->is_plain = stamp.is_plain;
    s->at = 0;
    return ZOO_OK;
}

/* The next line of the shard that is a row; *more false: none. */
static zoo_status find(zoo_shard *s, zoo_line_entry *entry, bool *more, zoo_error *err)
{
    uint64_t first = s->i ? s->i : s->n; /* the lowest number >= 1 that is i modulo n */
    do {
        s->at = s->at ? s->at + s->n : first;
        *more = s->at <= zoo_line_index_n_lines(s->index);
        if (*more) {
            ZOO_TRY(zoo_line_index_get(s->index, s->at, entry, err));
        }
    } while (*more && entry->n == 0);
    return ZOO_OK;
}

zoo_status zoo_shard_count(zoo_shard *s, uint64_t *n_rows, zoo_error *err)
{
    zoo_line_entry entry;
    bool more;
    *n_rows = 0;
    s->at = 0;
    ZOO_TRY(find(s, &entry, &more, err));
    while (more) {
        ++*n_rows;
        ZOO_TRY(find(s, &entry, &more, err));
    }
    s->at = 0;
    return ZOO_OK;
}

static zoo_status begin(void *arg, size_t line_max, zoo_error *err)
{
    zoo_shard *s = arg;
    s->at = 0;
    return zoo_input_rewind(s->input, line_max, err);
}

static zoo_status changed(const zoo_shard *s, uint64_t number, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_IO, "%s changed: line %llu is not the line that was indexed",
                    s->name, (unsigned long long)number);
}

static zoo_status next(void *arg, zoo_input_line *line, bool *more, zoo_error *err)
{
    zoo_shard *s = arg;
    zoo_line_entry entry;
    ZOO_TRY(find(s, &entry, more, err));
    if (!*more) {
        return ZOO_OK;
    }
    if (s->is_plain) {
        ZOO_TRY(zoo_input_at(s->input, entry.offset, entry.n, entry.number, line, err));
    } else {
        do {
            ZOO_TRY(zoo_input_next(s->input, line, more, err));
        } while (*more && line->number < entry.number);
        if (!*more) {
            return changed(s, entry.number, err);
        }
    }
    line->is_duplicate = entry.is_duplicate;
    return line->number == entry.number && line->id.part[0] == entry.id
               ? ZOO_OK
               : changed(s, entry.number, err);
}

zoo_line_source zoo_shard_source(zoo_shard *s)
{
    return (zoo_line_source){.arg = s, .knows_duplicates = true, .begin = begin, .next = next};
}
