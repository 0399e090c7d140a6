/*
 * cmd_tokenize.c: lmzoo tokenize MODEL|FILE --jsonl [--decode] [--add-special]
 *
 *   stdin, a JSON string a line      -> stdout, a JSON array of ids a line
 *   --decode: an array of ids a line -> a JSON string a line, special tokens kept
 *
 * A line that cannot be done gives `null`, so that lines keep their places, and one sentence with
 * its number on stderr; the exit code is then 1. Memory grows with the longest line.
 */
#include "commands/commands.h"
#include "text/tokenizer/tokenizer_private.h"

#include <cJSON.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct command {
    bool decode;
    unsigned flags;
    zoo_tokenizer *t;
    size_t line;
    int exit_code;
    zoo_text text; /* the line's string, decoded */
    zoo_ids ids;
    zoo_text out;
} command;

typedef struct tokenize_args {
    zoo_common common;
    bool decode, jsonl, add_special, plain;
} tokenize_args;

static const zoo_option options[] = {
    {"--jsonl", 0, ZOO_OPTION_FLAG, offsetof(tokenize_args, jsonl), NULL,
     "input and output are JSON lines; the only kind"},
    {"--decode", 0, ZOO_OPTION_FLAG, offsetof(tokenize_args, decode), NULL, "ids to texts"},
    {"--add-special", 0, ZOO_OPTION_FLAG, offsetof(tokenize_args, add_special), NULL,
     "add the special tokens that the tokenizer's post-processor adds"},
    {"--plain", 0, ZOO_OPTION_FLAG, offsetof(tokenize_args, plain), NULL,
     "special tokens that are spelled in a text are plain text"},
    ZOO_OPTIONS_END};

static int hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* A \u escape at p (after the u); *used bytes of it. Null or what is wrong. */
static const char *unicode_escape(const char *p, size_t n, uint32_t *cp, size_t *used)
{
    int high = n >= 4 ? hex4(p) : -1, low = -1;
    *used = 4;
    if (high < 0) {
        return "has a \\u escape without four hexadecimal digits";
    }
    *cp = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) {
        return NULL;
    }
    if (high < 0xdc00 && n >= 10 && p[4] == '\\' && p[5] == 'u') {
        low = hex4(p + 6);
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return "has a lone surrogate, which is not text";
    }
    *cp = 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    *used = 10;
    return NULL;
}

/* One escape after the backslash at p[0]. */
static const char *escape(zoo_text *out, const char *p, size_t n, size_t *used)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t cp;
    if (n >= 2 && p[1] == 'u') {
        const char *why = unicode_escape(p + 2, n - 2, &cp, used);
        *used += 2;
        return why ? why : tok_text_push_cp(out, cp) ? NULL : "does not fit into memory";
    }
    const char *hit = n >= 2 && p[1] ? strchr(from, p[1]) : NULL;
    *used = 2;
    if (!hit) {
        return "has an unknown escape";
    }
    return tok_text_push(out, to + (hit - from), 1) ? NULL : "does not fit into memory";
}

/*
 * The string of a line. cJSON cannot tell U+0000 from the end and does not name lone surrogates, so
 * the one JSON value that this command reads is taken apart here. Null or what is wrong with the
 * line.
 */
static const char *read_string(zoo_text *out, const char *p, size_t n)
{
    size_t i = 1, bad, used;
    bool partial;
    (void)tok_utf8_valid(p, n, &bad, &partial);
    if (bad) {
        return "is not UTF-8";
    }
    out->n = 0;
    if (n < 2 || p[0] != '"' || p[n - 1] != '"' || !tok_text_push(out, "", 0)) {
        return "is not a JSON string";
    }
    while (i < n - 1) {
        size_t begin = i;
        while (i < n - 1 && p[i] != '\\' && p[i] != '"' && (uint8_t)p[i] >= 0x20) {
            i++;
        }
        if (!tok_text_push(out, p + begin, i - begin)) {
            return "does not fit into memory";
        }
        if (i == n - 1) {
            break;
        }
        if (p[i] != '\\') {
            return "is not a JSON string";
        }
        const char *why = escape(out, p + i, n - 1 - i, &used);
        if (why) {
            return why;
        }
        i += used;
    }
    return NULL;
}

static int complain(command *c, const char *why)
{
    (void)fprintf(stderr, "lmzoo tokenize: line %zu %s\n", c->line, why);
    (void)fputs("null\n", stdout);
    c->exit_code = 1;
    return 0;
}

static bool put_ids(command *c)
{
    char number[16];
    c->out.n = 0;
    bool ok = tok_text_push(&c->out, "[", 1);
    for (size_t i = 0; ok && i < c->ids.n; i++) {
        int n = snprintf(number, sizeof number, i ? ", %u" : "%u", c->ids.data[i]);
        ok = tok_text_push(&c->out, number, (size_t)n);
    }
    return ok && tok_text_push(&c->out, "]\n", 2) && fwrite(c->out.data, 1, c->out.n, stdout);
}

static int encode_line(command *c, const char *p, size_t n)
{
    zoo_error err;
    const char *why = read_string(&c->text, p, n);
    if (why) {
        return complain(c, why);
    }
    c->ids.n = 0;
    if (zoo_tokenizer_encode(c->t, c->text.data, c->text.n, c->flags, &c->ids, &err) != ZOO_OK) {
        (void)fprintf(stderr, "lmzoo tokenize: %s\n", err.text);
        return complain(c, "was not encoded");
    }
    return put_ids(c) ? 0 : complain(c, "does not fit into memory");
}

/* The ids of a line. Null or what is wrong with it. */
static const char *read_ids(command *c, const char *p, size_t n)
{
    const char *end = NULL, *why = NULL;
    cJSON *array = cJSON_ParseWithLengthOpts(p, n, &end, 0);
    c->ids.n = 0;
    if (!cJSON_IsArray(array) || end != p + n) {
        why = "is not a JSON array of ids";
    }
    for (const cJSON *item = why ? NULL : array->child; item; item = item->next) {
        double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(value >= 0 && value < 4294967295.0) || value != (double)(uint32_t)value) {
            why = "holds something that is not an id";
            break;
        }
        if (!tok_ids_push(&c->ids, (uint32_t)value)) {
            why = "does not fit into memory";
            break;
        }
    }
    cJSON_Delete(array);
    return why;
}

static bool put_string(zoo_text *out, const char *p, size_t n)
{
    char code[8];
    bool ok = tok_text_push(out, "\"", 1);
    for (size_t i = 0; ok && i < n; i++) {
        uint8_t byte = (uint8_t)p[i];
        if (byte == '"' || byte == '\\') {
            ok = tok_text_push(out, "\\", 1) && tok_text_push(out, p + i, 1);
        } else if (byte < 0x20) {
            (void)snprintf(code, sizeof code, "\\u%04x", byte);
            ok = tok_text_push(out, code, 6);
        } else {
            ok = tok_text_push(out, p + i, 1);
        }
    }
    return ok && tok_text_push(out, "\"\n", 2);
}

static int decode_line(command *c, const char *p, size_t n)
{
    zoo_error err;
    const char *why = read_ids(c, p, n);
    if (why) {
        return complain(c, why);
    }
    c->text.n = c->out.n = 0;
    if (zoo_tokenizer_decode(c->t, c->ids.data, c->ids.n, 0, &c->text, &err) != ZOO_OK ||
        !put_string(&c->out, c->text.data, c->text.n)) {
        return complain(c, "was not decoded");
    }
    return fwrite(c->out.data, 1, c->out.n, stdout) == c->out.n ? 0 : 4;
}

/* White space around the value does not belong to it; neither does a byte-order mark of line 1. */
static int one_line(command *c, const char *p, size_t n)
{
    if (c->line == 1 && n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
        n -= 3;
    }
    while (n && strchr(" \t\r\n", p[n - 1]) && p[n - 1]) {
        n--;
    }
    while (n && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    return c->decode ? decode_line(c, p, n) : encode_line(c, p, n);
}

static int all_lines(command *c)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    int code = 0;
    while (code == 0 && (n = getline(&line, &capacity, stdin)) >= 0) {
        c->line++;
        code = one_line(c, line, (size_t)n);
    }
    free(line);
    if (code == 0 && fflush(stdout) != 0) {
        code = 4;
    }
    return code ? code : c->exit_code;
}

static int run(void *args)
{
    const tokenize_args *a = args;
    command c = {.decode = a->decode};
    zoo_error err;
    c.flags =
        (a->add_special ? ZOO_ENCODE_ADD_SPECIAL : 0u) | (a->plain ? ZOO_ENCODE_PLAIN_SPECIAL : 0u);
    if (!a->jsonl) {
        (void)zoo_fail(&err, ZOO_E_USAGE, "only --jsonl input is known; usage: lmzoo tokenize %s",
                       zoo_command_tokenize.arguments);
        return zoo_command_failed("tokenize", &err, 2);
    }
    if (zoo_tokenizer_open(a->common.positional[0], &c.t, &err) != ZOO_OK) {
        return zoo_command_failed("tokenize", &err, zoo_exit_code((zoo_status)err.code));
    }
    const char *note;
    for (size_t i = 0; (note = zoo_tokenizer_note(c.t, i)) != NULL; i++) {
        (void)fprintf(stderr, "lmzoo tokenize: %s\n", note);
    }
    int code = all_lines(&c);
    zoo_tokenizer_close(c.t);
    zoo_text_free(&c.text);
    zoo_text_free(&c.out);
    zoo_ids_free(&c.ids);
    return code;
}

const zoo_command zoo_command_tokenize = {
    .name = "tokenize",
    .arguments = "MODEL|FILE --jsonl [--decode] [--add-special] [--plain]",
    .summary = "texts to ids and back, line by line",
    .text = "Reads a JSON string a line and prints an array of token ids a line; --decode goes the "
            "other way. A line that cannot be done gives null, so that lines keep their places, "
            "and one sentence on stderr; the exit code is then 1.",
    .example = "echo '\"Once upon a time\"' | lmzoo tokenize ./model --jsonl",
    .options = options,
    .n_min = 1,
    .n_max = 1,
    .args_size = sizeof(tokenize_args),
    .run = run};
