/*
 * ranks.c: vocabularies of ranked byte strings: tekken.json, and lines of base64 and rank.
 *
 * A piece that is a token is that token; else pairs join by the rank of what they give. Special
 * tokens come from the file (tekken.json) or from the folder's tokenizer_config.json.
 *
 * A file of lines carries no pattern. tokenizer_config.json may give one as `pat_str`; else the
 * file's name decides, as the releases that ship such files use them: tiktoken.model words cut by
 * case with runs of Han apart, tokenizer.model words and up to three digits, *.tiktoken single
 * digits.
 */
#include "base/mem.h"
#include "text/tokenizer/json_fields.h"

#include <stdlib.h>

#define UPPERS "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]"
#define LOWERS "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]"
#define PREFIX "[^\\r\\n\\p{L}\\p{N}]?"
#define QUOTED "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL   "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"

static const char pattern_cases[] =
    "[\\p{Han}]+|" PREFIX "[" UPPERS "]*[" LOWERS "]+" QUOTED "?|" PREFIX "[" UPPERS "]+[" LOWERS
    "]*" QUOTED "?|\\p{N}{1,3}|" OTHERS TAIL;
static const char pattern_three[] = QUOTED "|" PREFIX "\\p{L}+|\\p{N}{1,3}|" OTHERS TAIL;
static const char pattern_one[] = QUOTED "|" PREFIX "\\p{L}+|\\p{N}|" OTHERS TAIL;

/* The bytes in the byte alphabet, as a vocabulary spells them. */
static zoo_status spell(zoo_tokenizer *t, const char *p, size_t n, tok_str *out, zoo_error *err)
{
    char *text = n < SIZE_MAX / 4 ? tok_pool_take(&t->pool, 2 * n + 1) : NULL;
    size_t k = 0;
    if (!text) {
        return tok_no_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        k += tok_utf8_put(text + k, tok_byte_char((uint8_t)p[i]));
    }
    *out = (tok_str){text, k};
    return ZOO_OK;
}

/* One token of the vocabulary, from base64, decoded in place. */
static zoo_status put_token(zoo_tokenizer *t, const char *name, char *base64, size_t n, uint32_t id,
                            zoo_error *err)
{
    tok_vocab *vocab = &t->model.vocab;
    tok_str text;
    n = tok_base64(base64, n);
    if (n == SIZE_MAX || n == 0) {
        return zoo_fail(err, ZOO_E_FORMAT, "%.300s: the token of id %u is not base64", name, id);
    }
    ZOO_TRY(spell(t, base64, n, &text, err));
    if (vocab->by_id[id].p || tok_vocab_find(vocab, text.p, text.n) != ZOO_ID_NONE) {
        return zoo_fail(err, ZOO_E_FORMAT, "%.300s: the token or rank of id %u comes twice", name,
                        id);
    }
    tok_vocab_put(vocab, text, id);
    return ZOO_OK;
}

/* Split, byte alphabet; rank = id; decoder. */
static zoo_status build(zoo_tokenizer *t, tok_str pattern, zoo_error *err)
{
    tok_bpe *bpe = &t->model.bpe;
    uint32_t *rank = tok_pool_take(&t->pool, ((size_t)t->model.vocab.n_ids + 1) * sizeof *rank);
    t->steps = tok_pool_take(&t->pool, 2 * sizeof *t->steps);
    t->decs = tok_pool_take(&t->pool, sizeof *t->decs);
    if (!rank || !t->steps || !t->decs) {
        return tok_no_memory(err);
    }
    for (uint32_t id = 0; id < t->model.vocab.n_ids; id++) {
        rank[id] = id;
    }
    t->model.kind = TOK_MODEL_BPE;
    bpe->rank = rank;
    bpe->unk = ZOO_ID_NONE;
    bpe->ignore_merges = true;
    t->steps[0] = (tok_step){.kind = TOK_STEP_SPLIT, .behaviour = TOK_ISOLATED};
    t->steps[1].kind = TOK_STEP_MAP;
    t->n_steps = 2;
    t->decs[0].kind = TOK_DEC_BYTES;
    t->n_decs = 1;
    return tok_add_regex(t, pattern, false, &t->steps[0].regex, err);
}

/* Special tokens of older files, which only count them. */
static const char *const old_specials[] = {"<unk>",
                                           "<s>",
                                           "</s>",
                                           "[INST]",
                                           "[/INST]",
                                           "[AVAILABLE_TOOLS]",
                                           "[/AVAILABLE_TOOLS]",
                                           "[TOOL_RESULTS]",
                                           "[/TOOL_RESULTS]",
                                           "[TOOL_CALLS]",
                                           "[IMG]",
                                           "<pad>",
                                           "[IMG_BREAK]",
                                           "[IMG_END]",
                                           "[PREFIX]",
                                           "[MIDDLE]",
                                           "[SUFFIX]",
                                           "[SYSTEM_PROMPT]",
                                           "[/SYSTEM_PROMPT]",
                                           "[TOOL_CONTENT]"};

/* Names of special tokens by rank; p null: not named. */
static zoo_status special_names(tok_json *j, uint32_t n_special, tok_str *names)
{
    const cJSON *list = tok_json_get(j->root, "special_tokens");
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        uint32_t rank;
        ZOO_TRY(tok_json_number(j, tok_json_get(item, "rank"), "the rank of a special token",
                                TOK_ID_MAX - 1, &rank));
        if (rank >= n_special) {
            return tok_json_fail(j, "a special token has rank %u, but there are %u of them", rank,
                                 n_special);
        }
        ZOO_TRY(tok_json_text_at(j, item, "token_str", &names[rank]));
    }
    for (size_t i = 0; !list && i < ZOO_COUNT(old_specials) && i < n_special; i++) {
        names[i] = (tok_str){old_specials[i], strlen(old_specials[i])};
    }
    return ZOO_OK;
}

static zoo_status tekken_specials(tok_json *j, uint32_t n_special)
{
    zoo_tokenizer *t = j->t;
    tok_str *names = tok_pool_take(&t->pool, ((size_t)n_special + 1) * sizeof *names);
    if (!names) {
        return tok_no_memory(j->err);
    }
    ZOO_TRY(special_names(j, n_special, names));
    ZOO_TRY(tok_added_init(t, n_special, j->err));
    for (uint32_t id = 0; id < n_special; id++) {
        char text[32];
        tok_added_token token = {.content = names[id], .special = true};
        if (!token.content.p) {
            int n = snprintf(text, sizeof text, "<SPECIAL_%u>", id);
            token.content = tok_pool_copy(&t->pool, text, (size_t)n);
        }
        if (!token.content.p) {
            return tok_no_memory(j->err);
        }
        if (tok_vocab_find(&t->added.by_text, token.content.p, token.content.n) != ZOO_ID_NONE) {
            return tok_json_fail(j, "the special token \"%.60s\" comes twice", token.content.p);
        }
        ZOO_TRY(tok_add_token_at(t, &token, id, j->name, j->err));
    }
    return ZOO_OK;
}

static zoo_status tekken_vocab(tok_json *j, uint32_t n_special, uint32_t n_ids)
{
    const cJSON *list = tok_json_get(j->root, "vocab");
    if (!cJSON_IsArray(list)) {
        return tok_json_fail(j, "it has no array vocab");
    }
    if (!tok_vocab_init(&j->t->model.vocab, &j->t->pool, n_ids, n_ids)) {
        return tok_no_memory(j->err);
    }
    for (const cJSON *item = list->child; item; item = item->next) {
        const cJSON *bytes = tok_json_get(item, "token_bytes");
        uint32_t rank;
        ZOO_TRY(tok_json_number(j, tok_json_get(item, "rank"), "a rank", TOK_ID_MAX - 1, &rank));
        if (rank >= n_ids - n_special) {
            continue; /* the file holds more than the model uses */
        }
        if (!cJSON_IsString(bytes)) {
            return tok_json_fail(j, "the token of rank %u has no token_bytes", rank);
        }
        ZOO_TRY(put_token(j->t, j->name, bytes->valuestring, strlen(bytes->valuestring),
                          rank + n_special, j->err));
    }
    return ZOO_OK;
}

static zoo_status tekken(tok_json *j)
{
    const cJSON *config = tok_json_get(j->root, "config");
    uint32_t n_ids, n_special;
    tok_str pattern;
    ZOO_TRY(tok_json_text(j, tok_json_get(config, "pattern"), "config.pattern", &pattern));
    ZOO_TRY(tok_json_number(j, tok_json_get(config, "default_vocab_size"),
                            "config.default_vocab_size", TOK_ID_MAX - 1, &n_ids));
    ZOO_TRY(tok_json_number(j, tok_json_get(config, "default_num_special_tokens"),
                            "config.default_num_special_tokens", TOK_ID_MAX - 1, &n_special));
    if (n_special >= n_ids) {
        return tok_json_fail(j, "it has %u special tokens among %u tokens", n_special, n_ids);
    }
    ZOO_TRY(tekken_vocab(j, n_special, n_ids));
    ZOO_TRY(build(j->t, pattern, j->err));
    ZOO_TRY(tekken_specials(j, n_special));
    uint32_t bos = zoo_tokenizer_id(j->t, "<s>", 3);
    uint32_t *post = tok_pool_take(&j->t->pool, 2 * sizeof *post);
    if (!post) {
        return tok_no_memory(j->err);
    }
    post[0] = bos;
    post[1] = ZOO_ID_NONE;
    j->t->post = post;
    j->t->n_post = bos == ZOO_ID_NONE ? 0 : 2;
    return ZOO_OK;
}

zoo_status tok_load_tekken(zoo_tokenizer *t, const char *name, char *data, size_t n, zoo_error *err)
{
    tok_json j = {.t = t, .name = name, .err = err};
    zoo_status status = tok_json_open(&j, data, n);
    status = status == ZOO_OK ? tekken(&j) : status;
    tok_json_close(&j);
    return status == ZOO_OK ? tok_finish(t, err) : status;
}

/* One line `base64 rank` cut into its two parts; false when it is not one. */
static bool cut_line(const char *line, size_t n, size_t *n_base64, uint32_t *rank)
{
    const char *space = memchr(line, ' ', n);
    uint64_t value = 0;
    if (!space || space == line || space + 1 == line + n) {
        return false;
    }
    for (const char *p = space + 1; p < line + n; p++) {
        if (*p < '0' || *p > '9' || value >= TOK_ID_MAX) {
            return false;
        }
        value = value * 10 + (uint64_t)(*p - '0');
    }
    *n_base64 = (size_t)(space - line);
    *rank = (uint32_t)value;
    return value < TOK_ID_MAX;
}

typedef struct rank_file {
    zoo_tokenizer *t;
    const char *name, *data;
    size_t n;
    uint32_t n_ids, n_lines;
    zoo_error *err;
} rank_file;

/* Visits each line: counts ids with copy null, else fills the vocabulary by way of it. */
static zoo_status read_lines(rank_file *f, char *copy)
{
    f->n_ids = f->n_lines = 0;
    for (size_t i = 0, number = 1; i < f->n; number++) {
        const char *line = f->data + i, *end = memchr(line, '\n', f->n - i);
        size_t length = end ? (size_t)(end - line) : f->n - i, n_base64;
        size_t cut = length && line[length - 1] == '\r' ? length - 1 : length;
        uint32_t rank;
        if (cut && !cut_line(line, cut, &n_base64, &rank)) {
            return zoo_fail(f->err, ZOO_E_FORMAT, "%.300s: line %zu is not base64 and a rank",
                            f->name, number);
        }
        if (cut) {
            f->n_lines++;
            f->n_ids = rank >= f->n_ids ? rank + 1 : f->n_ids;
        }
        if (cut && copy) {
            memcpy(copy, line, n_base64);
            ZOO_TRY(put_token(f->t, f->name, copy, n_base64, rank, f->err));
        }
        i += length + 1;
    }
    return ZOO_OK;
}

/* Tokens of the configuration, and reserved names for the rest of the 256 places
 * after the ranks. */
static zoo_status line_specials(zoo_tokenizer *t, const char *name, bool reserve, zoo_error *err)
{
    uint32_t n_named = tok_config_count_added(t), n_base = t->model.vocab.n_ids;
    uint32_t n_reserved = reserve && n_named ? 258 : 0;
    ZOO_TRY(tok_added_init(t, n_named + n_reserved, err));
    ZOO_TRY(tok_config_add_tokens(t, err));
    for (uint32_t id = n_base; id < n_base + n_reserved; id++) {
        char text[40];
        bool taken = false;
        for (uint32_t i = 0; i < n_named && i < t->added.n; i++) {
            taken = taken || t->added.tokens[i].id == id;
        }
        int n = snprintf(text, sizeof text, "<|reserved_token_%u|>", id);
        tok_added_token token = {.content = tok_pool_copy(&t->pool, text, (size_t)n),
                                 .special = true};
        if (!token.content.p) {
            return tok_no_memory(err);
        }
        if (!taken) {
            ZOO_TRY(tok_add_token_at(t, &token, id, name, err));
        }
    }
    if (!n_named) {
        tok_add_note(t, "The tokenizer file names no special tokens, and no configuration does.");
    }
    return ZOO_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static tok_str pattern_of(const zoo_tokenizer *t, const char *name)
{
    const cJSON *given = tok_config_get(t, "pat_str");
    const char *pattern = cJSON_IsString(given)               ? given->valuestring
                          : ends_with(name, "tiktoken.model") ? pattern_cases
                          : ends_with(name, ".tiktoken")      ? pattern_one
                                                              : pattern_three;
    return (tok_str){pattern, strlen(pattern)};
}

zoo_status tok_load_tiktoken(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                             zoo_error *err)
{
    rank_file f = {.t = t, .name = name, .data = data, .n = n, .err = err};
    ZOO_TRY(read_lines(&f, NULL));
    if (!f.n_lines || !tok_vocab_init(&t->model.vocab, &t->pool, f.n_ids, f.n_lines)) {
        return f.n_lines ? tok_no_memory(err)
                         : zoo_fail(err, ZOO_E_FORMAT, "%.300s holds no tokens", name);
    }
    char *copy = zoo_mem_alloc(n + 1);
    if (!copy) {
        return tok_no_memory(err);
    }
    zoo_status status = read_lines(&f, copy);
    zoo_mem_free(copy);
    ZOO_TRY(status);
    ZOO_TRY(build(t, pattern_of(t, name), err));
    ZOO_TRY(line_specials(t, name, ends_with(name, "tiktoken.model"), err));
    return tok_finish(t, err);
}
