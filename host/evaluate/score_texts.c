/*
 * score_texts.c: the texts of `score` (score.h): a whole file, its lines, or JSON lines.
 *
 * The file is held in memory while it is read. Members of a JSON line beside text and tokens are
 * passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "evaluate/score.h"

static const size_t file_max = (size_t)1 << 30;

typedef struct reading {
    const zoo_score_source *source;
    zoo_score_texts *out;
    zoo_ids ids; /* of the text at hand */
    uint64_t line;
} reading;

void zoo_score_texts_free(zoo_score_texts *texts)
{
    for (uint32_t i = 0; i < texts->n; i++) {
        zoo_mem_free(texts->list[i].tokens);
    }
    zoo_mem_free(texts->list);
    memset(texts, 0, sizeof *texts);
}

static zoo_status no_memory(const reading *r, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the texts", r->source->path);
}

zoo_status zoo_score_texts_add(zoo_score_texts *texts, zoo_score_text text, const char *source,
                               zoo_error *err)
{
    if (text.n > UINT32_MAX / 2 || texts->n == UINT32_MAX / 2) {
        zoo_mem_free(text.tokens);
        return zoo_fail(err, ZOO_E_LIMIT, "%s: more tokens than are counted", source);
    }
    if (texts->n == texts->capacity) {
        uint32_t capacity = texts->capacity ? texts->capacity * 2 : 64;
        zoo_score_text *list = zoo_mem_realloc(texts->list, capacity * sizeof *list);
        if (!list) {
            zoo_mem_free(text.tokens);
            return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the texts", source);
        }
        texts->list = list;
        texts->capacity = capacity;
    }
    text.first = texts->n_scored;
    texts->list[texts->n++] = text;
    texts->n_scored += text.n - 1;
    return ZOO_OK;
}

/* Adds a text of n ids, whose array it takes. */
static zoo_status add(reading *r, int32_t *tokens, size_t n, size_t n_bytes, zoo_error *err)
{
    uint32_t n_tokens = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    return zoo_score_texts_add(
        r->out,
        (zoo_score_text){.tokens = tokens, .n = n_tokens, .line = r->line, .n_bytes = n_bytes},
        r->source->path, err);
}

static zoo_status check_id(const reading *r, double id, zoo_error *err)
{
    if (id >= 0 && id < r->source->n_vocab && id == (double)(int32_t)id) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_USAGE, "%s, line %llu: token %.17g is no id of the vocabulary of %u",
                    r->source->path, (unsigned long long)r->line, id, r->source->n_vocab);
}

/* The ids of a text as an array with room for a begin and an end token. */
static zoo_status frame(reading *r, size_t n_bytes, zoo_error *err)
{
    const zoo_score_source *s = r->source;
    uint32_t begin = zoo_tokenizer_special(s->tokenizer, ZOO_SPECIAL_BOS);
    uint32_t end =
        s->end != ZOO_ID_NONE ? s->end : zoo_tokenizer_special(s->tokenizer, ZOO_SPECIAL_EOS);
    const uint32_t *ids = r->ids.data;
    size_t n = r->ids.n;
    bool opens = s->documents && begin != ZOO_ID_NONE && !(n && ids[0] == begin);
    bool closes = s->documents && end != ZOO_ID_NONE;
    if (n + opens + closes == 0) {
        return ZOO_OK;
    }
    int32_t *tokens = zoo_mem_array(n + 2, sizeof *tokens);
    if (!tokens) {
        return no_memory(r, err);
    }
    size_t at = 0;
    tokens[at] = (int32_t)begin;
    at += opens;
    for (size_t i = 0; i < n; i++) {
        tokens[at++] = (int32_t)ids[i];
    }
    tokens[at] = (int32_t)end;
    at += closes;
    for (size_t i = 0; i < at; i++) {
        zoo_status status = check_id(r, (double)(uint32_t)tokens[i], err);
        if (status != ZOO_OK) {
            zoo_mem_free(tokens);
            return status;
        }
    }
    return add(r, tokens, at, n_bytes, err);
}

static zoo_status add_text(reading *r, const char *text, size_t n, zoo_error *err)
{
    const zoo_score_source *s = r->source;
    if (!s->tokenizer) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s: the model folder has no tokenizer; give JSON lines with tokens",
                        s->path);
    }
    r->ids.n = 0;
    ZOO_TRY(zoo_tokenizer_encode(s->tokenizer, text, n, ZOO_ENCODE_ADD_SPECIAL, &r->ids, err));
    return frame(r, n, err);
}

static zoo_status add_ids(reading *r, const cJSON *list, zoo_error *err)
{
    size_t n = 0;
    const cJSON *item;
    int32_t *tokens = zoo_mem_array((size_t)cJSON_GetArraySize(list) + 1, sizeof *tokens);
    if (!tokens) {
        return no_memory(r, err);
    }
    cJSON_ArrayForEach(item, list)
    {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        zoo_status status = check_id(r, id, err);
        if (status != ZOO_OK) {
            zoo_mem_free(tokens);
            return status;
        }
        tokens[n++] = (int32_t)id;
    }
    if (n == 0) {
        zoo_mem_free(tokens);
        return ZOO_OK;
    }
    return add(r, tokens, n, 0, err);
}

/* A chat as the model's template writes it, which says itself how it begins and ends. */
static zoo_status add_chat(reading *r, const cJSON *line, const char *name, zoo_error *err)
{
    const zoo_score_source *s = r->source;
    char *text = NULL;
    size_t n = 0;
    zoo_error why;
    if (!s->chat || !s->tokenizer) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s: has messages, but the model folder has no %s; give \"text\" or "
                        "\"tokens\"",
                        name, s->tokenizer ? "chat template" : "tokenizer");
    }
    if (zoo_template_render(s->chat, line, NULL, &text, &n, &why) != ZOO_OK) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: the chat template refuses it: %s", name, why.text);
    }
    r->ids.n = 0;
    zoo_status status = zoo_tokenizer_encode(s->tokenizer, text, n, 0, &r->ids, err);
    free(text);
    return status == ZOO_OK ? frame(r, n, err) : status;
}

static zoo_status no_member(const char *name, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_USAGE,
                    "%s: wanted an object with \"text\" (a string), \"tokens\" (ids) or "
                    "\"messages\" (a chat)",
                    name);
}

static zoo_status add_json(reading *r, const char *line, size_t n, zoo_error *err)
{
    const zoo_score_source *s = r->source;
    char name[300];
    cJSON *tree = NULL;
    (void)snprintf(name, sizeof name, "%.200s, line %llu", s->path, (unsigned long long)r->line);
    zoo_status status = zoo_json_parse(line, n, name, &tree, err);
    if (status != ZOO_OK) {
        return status == ZOO_E_FORMAT ? zoo_fail(err, ZOO_E_USAGE, "%s: is not JSON", name)
                                      : status;
    }
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(tree, "text");
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(tree, "tokens");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(tree, "messages");
    if ((text != NULL) + (tokens != NULL) + (messages != NULL) != 1) {
        status = no_member(name, err);
    } else if (cJSON_IsString(text)) {
        status = add_text(r, text->valuestring, strlen(text->valuestring), err);
    } else if (cJSON_IsArray(tokens)) {
        status = add_ids(r, tokens, err);
    } else if (cJSON_IsArray(messages)) {
        status = add_chat(r, tree, name, err);
    } else {
        status = no_member(name, err);
    }
    cJSON_Delete(tree);
    return status;
}

static zoo_status add_lines(reading *r, const char *data, size_t n, bool json, zoo_error *err)
{
    for (size_t at = 0; at < n;) {
        const char *line = data + at, *end = memchr(line, '\n', n - at);
        size_t length = end ? (size_t)(end - line) : n - at;
        at += length + 1;
        r->line++;
        length -= length && line[length - 1] == '\r';
        if (length && json) {
            ZOO_TRY(add_json(r, line, length, err));
        } else if (length) {
            ZOO_TRY(add_text(r, line, length, err));
        }
    }
    return ZOO_OK;
}

static zoo_status read_data(reading *r, const char *data, size_t n, zoo_error *err)
{
    const char *dot = strrchr(r->source->path, '.');
    bool json = dot && strcmp(dot, ".jsonl") == 0;
    if (json || r->source->by_lines) {
        return add_lines(r, data, n, json, err);
    }
    r->line = 1;
    return n ? add_text(r, data, n, err) : ZOO_OK;
}

/* Bits a byte mean something where all of the bytes are scored. */
static void count_bytes(zoo_score_texts *out)
{
    for (uint32_t i = 0; i < out->n; i++) {
        const zoo_score_text *t = &out->list[i];
        if (t->n_bytes == 0 || t->tokens[0] != out->begin) {
            out->n_bytes = 0;
            return;
        }
        out->n_bytes += t->n_bytes;
    }
}

zoo_status zoo_score_texts_read(const zoo_score_source *source, zoo_score_texts *out,
                                zoo_error *err)
{
    reading r = {.source = source, .out = out};
    char *data;
    size_t n;
    uint32_t begin = ZOO_ID_NONE;
    if (source->tokenizer) {
        begin = zoo_tokenizer_special(source->tokenizer, ZOO_SPECIAL_BOS);
    }
    out->begin = begin == ZOO_ID_NONE ? -1 : (int32_t)begin;
    ZOO_TRY(zoo_file_read(source->path, file_max, &data, &n, err));
    zoo_status status = read_data(&r, data, n, err);
    zoo_mem_free(data);
    zoo_ids_free(&r.ids);
    if (status == ZOO_OK && out->n_scored == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: no text of two tokens or more", source->path);
    }
    count_bytes(out);
    return status;
}
