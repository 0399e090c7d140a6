/*
 * tokenizer.c: opening, encoding and the lookups.
 *
 *   raw text -> gaps between added tokens -> normalised -> gaps between normalised added tokens
 *            -> steps and model (steps.c) ; then the post-processor's ids around the result
 */
#include "text/tokenizer/tokenizer.h"
#include "base/mem.h"
#include "text/tokenizer/tokenizer_private.h"

#include <stdlib.h>
#include <sys/stat.h>

void zoo_tokenizer_close(zoo_tokenizer *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->n_regexes; i++) {
        tok_regex_close(t->regexes[i]);
    }
    zoo_mem_free(t->regexes);
    tok_scratch_pool_close(t->scratch);
    tok_pool_free(&t->pool);
    zoo_mem_free(t);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* Loads by what the file is: JSON with a model, JSON of ranks, lines of ranks, or protobuf. */
static zoo_status load_data(zoo_tokenizer *t, const char *path, char *data, size_t n,
                            zoo_error *err)
{
    if (n && data[0] != '{' && ends_with(path, "tokenizer.model")) {
        return (uint8_t)data[0] == 0x0a ? tok_load_spm(t, path, data, n, err)
                                        : tok_load_tiktoken(t, path, data, n, err);
    }
    if (ends_with(path, ".tiktoken") || ends_with(path, "tiktoken.model")) {
        return tok_load_tiktoken(t, path, data, n, err);
    }
    if (ends_with(path, "tekken.json")) {
        return tok_load_tekken(t, path, data, n, err);
    }
    if (ends_with(path, ".model") || (n && (uint8_t)data[0] == 0x0a && !ends_with(path, ".json"))) {
        return tok_load_spm(t, path, data, n, err);
    }
    return tok_load_json(t, path, data, n, err);
}

static zoo_status load_file(zoo_tokenizer *t, const char *path, zoo_error *err)
{
    char *data;
    size_t n;
    ZOO_TRY(tok_read_file(path, &data, &n, err));
    zoo_status status = load_data(t, path, data, n, err);
    zoo_mem_free(data);
    return status;
}

/* The first tokenizer file that the folder has. */
static zoo_status find_file(const char *folder, char *path, size_t n, zoo_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tekken.json",  "tokenizer.model",
                                        "tiktoken.model", "spiece.model", "sentencepiece.bpe.model",
                                        "spm.model"};
    struct stat info;
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        int length = snprintf(path, n, "%s/%s", folder, names[i]);
        if (length < 0 || (size_t)length >= n) {
            return zoo_fail(err, ZOO_E_USAGE, "the path %.200s... is too long", folder);
        }
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
            return ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_IO,
                    "%.300s has no tokenizer.json, tekken.json, tokenizer.model or tiktoken.model",
                    folder);
}

static zoo_status load_folder(zoo_tokenizer *t, const char *path, zoo_error *err)
{
    char file[4096];
    ZOO_TRY(find_file(path, file, sizeof file, err));
    ZOO_TRY(tok_config_open(t, path, err));
    ZOO_TRY(load_file(t, file, err));
    return tok_config_apply(t, err);
}

static zoo_status tokenizer_new(zoo_tokenizer **out, zoo_error *err)
{
    zoo_tokenizer *t = zoo_mem_array(1, sizeof *t);
    *out = NULL;
    if (!t) {
        return tok_no_memory(err);
    }
    t->scratch = tok_scratch_pool_open();
    if (!t->scratch || !tok_chars_init(&t->chars, &t->pool)) {
        zoo_tokenizer_close(t);
        return tok_no_memory(err);
    }
    *out = t;
    return ZOO_OK;
}

/* Keeps the tokenizer or, after an error, gives everything back. */
static zoo_status tokenizer_done(zoo_tokenizer *t, zoo_tokenizer **out, zoo_status status)
{
    tok_config_close(t);
    *out = t;
    if (status != ZOO_OK) {
        zoo_tokenizer_close(t);
        *out = NULL;
    }
    return status;
}

zoo_status zoo_tokenizer_open_data(const char *name, const char *data, size_t n,
                                   zoo_tokenizer **out, zoo_error *err)
{
    zoo_tokenizer *t;
    *out = NULL;
    char *copy = n < TOK_FILE_MAX ? zoo_mem_alloc(n + 1) : NULL;
    if (!copy) {
        return tok_no_memory(err);
    }
    memcpy(copy, data, n);
    copy[n] = 0;
    zoo_status status = tokenizer_new(&t, err);
    if (status == ZOO_OK) {
        status = tokenizer_done(t, out, load_data(t, name, copy, n, err));
    }
    zoo_mem_free(copy);
    return status;
}

static zoo_status open_folder(const char *path, zoo_tokenizer **out, zoo_error *err)
{
    zoo_tokenizer *t;
    ZOO_TRY(tokenizer_new(&t, err));
    return tokenizer_done(t, out, load_folder(t, path, err));
}

static zoo_status open_file(const char *path, zoo_tokenizer **out, zoo_error *err)
{
    char *data;
    size_t n;
    ZOO_TRY(tok_read_file(path, &data, &n, err));
    zoo_status status = zoo_tokenizer_open_data(path, data, n, out, err);
    zoo_mem_free(data);
    return status;
}

zoo_status zoo_tokenizer_open(const char *path, zoo_tokenizer **out, zoo_error *err)
{
    struct stat info;
    *out = NULL;
    if (stat(path, &info) != 0) {
        return zoo_fail(err, ZOO_E_IO, "%.400s does not exist", path);
    }
    return S_ISDIR(info.st_mode) ? open_folder(path, out, err) : open_file(path, out, err);
}

static bool is_space(const zoo_tokenizer *t, const char *p)
{
    uint32_t cp;
    (void)tok_utf8((const uint8_t *)p, &cp);
    return tok_mask(&t->chars, cp) & TOK_SPACE;
}

/* Widens the match over whitespace as its flags say, to the left not into what is done. */
static void widen(const zoo_tokenizer *t, const tok_added_token *token, tok_str text, size_t done,
                  size_t range[2])
{
    while (token->lstrip && range[0] > done) {
        size_t back = tok_utf8_back(text.p, range[0]);
        if (back < done || !is_space(t, text.p + back)) {
            break;
        }
        range[0] = back;
    }
    range[0] = token->lstrip && range[0] < done ? done : range[0];
    while (token->rstrip && range[1] < text.n && is_space(t, text.p + range[1])) {
        range[1] += tok_utf8_length((uint8_t)text.p[range[1]]);
    }
}

typedef zoo_status on_gap(tok_run *run, const char *p, size_t n, size_t zero);

/* Pushes the ids of the added tokens in p[n] and hands each gap on. */
static zoo_status between(tok_run *run, const tok_finder *finder, tok_str text, size_t zero,
                          on_gap *gap)
{
    const zoo_tokenizer *t = run->t;
    size_t done = 0, from = 0, range[2];
    uint32_t found;
    while ((found = tok_added_find(t, finder, text.p, text.n, from, range)) != 0) {
        const tok_added_token *token = &t->added.tokens[found - 1];
        from = range[1];
        if (token->special && (run->flags & ZOO_ENCODE_PLAIN_SPECIAL)) {
            continue;
        }
        widen(t, token, text, done, range);
        if (range[0] >= range[1]) {
            continue; /* the token before took all of it */
        }
        if (done < range[0]) {
            ZOO_TRY(gap(run, text.p + done, range[0] - done, tok_zero_from(zero, done)));
        }
        if (!tok_ids_push(run->out, token->id)) {
            return tok_no_memory(run->err);
        }
        done = range[1];
    }
    return done < text.n ? gap(run, text.p + done, text.n - done, tok_zero_from(zero, done))
                         : ZOO_OK;
}

static zoo_status plain_gap(tok_run *run, const char *p, size_t n, size_t zero)
{
    return tok_steps_run(run, 0, p, n, zero);
}

static zoo_status raw_gap(tok_run *run, const char *p, size_t n, size_t zero)
{
    tok_str text;
    ZOO_TRY(tok_norms_run(run, p, n, &text, &zero));
    return between(run, &run->t->added.normalized, text, zero, plain_gap);
}

static zoo_status encode_text(tok_run *run, const char *text, size_t n)
{
    size_t bad;
    bool partial;
    tok_str whole = {text, n};
    (void)tok_utf8_valid(text, n, &bad, &partial);
    if (bad) {
        run->s->lossy.n = 0;
        if (!tok_utf8_lossy(&run->s->lossy, text, n)) {
            return tok_no_memory(run->err);
        }
        whole = (tok_str){run->s->lossy.data, run->s->lossy.n};
    }
    size_t first = whole.n ? tok_utf8_length((uint8_t)whole.p[0]) : 0;
    return between(run, &run->t->added.raw, whole, first, raw_gap);
}

static zoo_status encode_posted(tok_run *run, const char *text, size_t n)
{
    const zoo_tokenizer *t = run->t;
    if (!(run->flags & ZOO_ENCODE_ADD_SPECIAL) || !t->n_post) {
        return encode_text(run, text, n);
    }
    for (uint32_t i = 0; i < t->n_post; i++) {
        if (t->post[i] == ZOO_ID_NONE) {
            ZOO_TRY(encode_text(run, text, n));
        } else if (!tok_ids_push(run->out, t->post[i])) {
            return tok_no_memory(run->err);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_tokenizer_encode(const zoo_tokenizer *t, const char *text, size_t n, unsigned flags,
                                zoo_ids *out, zoo_error *err)
{
    tok_run run = {.t = t, .s = tok_scratch_take(t, true), .out = out, .err = err, .flags = flags};
    size_t before = out->n;
    if (!run.s || !tok_grow(&out->data, &out->capacity, 1, sizeof *out->data)) {
        tok_scratch_give(t, run.s);
        return tok_no_memory(err);
    }
    tok_matcher_start(run.s->matcher, n);
    zoo_status status = encode_posted(&run, text, n);
    tok_scratch_give(t, run.s);
    out->n = status == ZOO_OK ? out->n : before;
    return status;
}
