/*
 * load_model.c: the models of tokenizer.json: BPE, Unigram, WordPiece, WordLevel.
 */
#include "text/tokenizer/json_fields.h"

#include <math.h>
#include <stdlib.h>

/* The vocabulary {"token": id, ...}. */
static zoo_status load_vocab(tok_json *j, const cJSON *object)
{
    uint32_t n = 0, id, n_ids = 0;
    tok_str text;
    if (!cJSON_IsObject(object)) {
        return tok_json_fail(j, "the model has no vocab object");
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        ZOO_TRY(tok_json_number(j, item, item->string, TOK_ID_MAX - 1, &id));
        n_ids = id >= n_ids ? id + 1 : n_ids;
        if (++n >= TOK_ID_MAX) {
            return tok_json_fail(j, "the vocab has more than 2^24 tokens");
        }
    }
    if (!tok_vocab_init(&j->t->model.vocab, &j->t->pool, n_ids, n)) {
        return tok_no_memory(j->err);
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        cJSON key = {.type = cJSON_String, .valuestring = item->string};
        ZOO_TRY(tok_json_text(j, &key, "a token", &text));
        tok_vocab_put(&j->t->model.vocab, text, (uint32_t)item->valuedouble);
    }
    return ZOO_OK;
}

/* The id of unk_token; ID_NONE when the member is absent, ID_LOST when the vocabulary lacks it. */
static zoo_status load_unk(tok_json *j, const cJSON *model, uint32_t *id)
{
    tok_str text;
    ZOO_TRY(tok_json_text_at(j, model, "unk_token", &text));
    *id = text.p ? tok_vocab_find(&j->t->model.vocab, text.p, text.n) : ZOO_ID_NONE;
    *id = text.p && *id == ZOO_ID_NONE ? TOK_ID_LOST : *id;
    return ZOO_OK;
}

/* The same of a model that cannot do without. */
static zoo_status load_word_unk(tok_json *j, const cJSON *model)
{
    uint32_t *id = &j->t->model.wordpiece.unk;
    ZOO_TRY(load_unk(j, model, id));
    return *id == ZOO_ID_NONE ? tok_json_fail(j, "the model has no unk_token") : ZOO_OK;
}

/* The two sides of a merge: "a b" or ["a", "b"]. *skip: a version line. */
static zoo_status sides(tok_json *j, const cJSON *item, uint32_t n, tok_str side[2], bool *skip)
{
    *skip = false;
    if (cJSON_IsString(item)) {
        tok_str text;
        ZOO_TRY(tok_json_text(j, item, "a merge", &text));
        *skip = text.n >= 8 && memcmp(text.p, "#version", 8) == 0;
        const char *space = memchr(text.p, ' ', text.n);
        if (*skip) {
            return ZOO_OK;
        }
        if (!space || memchr(space + 1, ' ', text.n - (size_t)(space + 1 - text.p))) {
            return tok_json_fail(j, "merge %u is not two tokens with one space between", n);
        }
        side[0] = (tok_str){text.p, (size_t)(space - text.p)};
        side[1] = (tok_str){space + 1, text.n - side[0].n - 1};
        return ZOO_OK;
    }
    if (!cJSON_IsArray(item) || !item->child || !item->child->next || item->child->next->next) {
        return tok_json_fail(j, "merge %u is not a pair of tokens", n);
    }
    ZOO_TRY(tok_json_text(j, item->child, "a merge", &side[0]));
    return tok_json_text(j, item->child->next, "a merge", &side[1]);
}

static zoo_status load_merge(tok_json *j, const cJSON *item, uint32_t rank, zoo_text *joined,
                             bool *skip)
{
    tok_bpe *bpe = &j->t->model.bpe;
    const tok_vocab *vocab = &j->t->model.vocab;
    tok_str side[2];
    ZOO_TRY(sides(j, item, rank, side, skip));
    if (*skip) {
        return ZOO_OK;
    }
    uint32_t left = tok_vocab_find(vocab, side[0].p, side[0].n);
    uint32_t right = tok_vocab_find(vocab, side[1].p, side[1].n);
    if (left == ZOO_ID_NONE || right == ZOO_ID_NONE) {
        return tok_json_fail(j, "merge %u joins \"%.60s\", which is not in the vocab", rank,
                             left == ZOO_ID_NONE ? side[0].p : side[1].p);
    }
    size_t cut = bpe->prefix.n < side[1].n ? bpe->prefix.n : side[1].n;
    joined->n = 0;
    if (!tok_text_push(joined, side[0].p, side[0].n) ||
        !tok_text_push(joined, side[1].p + cut, side[1].n - cut)) {
        return tok_no_memory(j->err);
    }
    uint32_t id = tok_vocab_find(vocab, joined->data, joined->n);
    if (id == ZOO_ID_NONE) {
        return tok_json_fail(j, "merge %u gives \"%.60s\", which is not in the vocab", rank,
                             joined->data);
    }
    tok_map_put(&bpe->merges, 1ull << 63 | (uint64_t)left << 32 | right, (uint64_t)rank << 32 | id);
    return ZOO_OK;
}

static zoo_status load_merges(tok_json *j, const cJSON *array)
{
    uint32_t n = 0, rank = 0;
    zoo_text joined = {0};
    zoo_status status = ZOO_OK;
    if (!cJSON_IsArray(array)) {
        return tok_json_fail(j, "the model has no array of merges");
    }
    for (const cJSON *item = array->child; item; item = item->next) {
        if (++n >= TOK_ID_MAX) {
            return tok_json_fail(j, "there are more than 2^24 merges");
        }
    }
    if (!tok_map_init(&j->t->model.bpe.merges, &j->t->pool, n)) {
        return tok_no_memory(j->err);
    }
    for (const cJSON *item = array->child; status == ZOO_OK && item; item = item->next) {
        bool skip = false;
        status = load_merge(j, item, rank, &joined, &skip);
        rank += !skip;
    }
    zoo_text_free(&joined);
    return status;
}

static zoo_status load_bpe(tok_json *j, const cJSON *model)
{
    tok_bpe *bpe = &j->t->model.bpe;
    const cJSON *dropout = tok_json_get(model, "dropout");
    j->t->model.kind = TOK_MODEL_BPE;
    if (dropout && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0)) {
        return zoo_fail(j->err, ZOO_E_UNSUPPORTED,
                        "%.180s asks for dropout, which makes ids depend on chance", j->name);
    }
    ZOO_TRY(tok_json_flag_at(j, model, "fuse_unk", false, &bpe->fuse_unk));
    ZOO_TRY(tok_json_flag_at(j, model, "byte_fallback", false, &bpe->byte_fallback));
    ZOO_TRY(tok_json_flag_at(j, model, "ignore_merges", false, &bpe->ignore_merges));
    ZOO_TRY(tok_json_text_at(j, model, "continuing_subword_prefix", &bpe->prefix));
    ZOO_TRY(tok_json_text_at(j, model, "end_of_word_suffix", &bpe->suffix));
    if (bpe->prefix.n > 100 || bpe->suffix.n > 100) {
        return tok_json_fail(j, "a prefix or suffix of subwords is longer than 100 bytes");
    }
    ZOO_TRY(load_vocab(j, tok_json_get(model, "vocab")));
    ZOO_TRY(load_unk(j, model, &bpe->unk));
    return load_merges(j, tok_json_get(model, "merges"));
}

static zoo_status load_wordpiece(tok_json *j, const cJSON *model)
{
    tok_wordpiece *wp = &j->t->model.wordpiece;
    j->t->model.kind = TOK_MODEL_WORDPIECE;
    ZOO_TRY(load_vocab(j, tok_json_get(model, "vocab")));
    ZOO_TRY(load_word_unk(j, model));
    ZOO_TRY(tok_json_number_at(j, model, "max_input_chars_per_word", 100, &wp->chars_max));
    ZOO_TRY(tok_json_text_at(j, model, "continuing_subword_prefix", &wp->prefix));
    wp->prefix = wp->prefix.p ? wp->prefix : (tok_str){"##", 2};
    return ZOO_OK;
}

static zoo_status load_wordlevel(tok_json *j, const cJSON *model)
{
    j->t->model.kind = TOK_MODEL_WORDLEVEL;
    ZOO_TRY(load_vocab(j, tok_json_get(model, "vocab")));
    return load_word_unk(j, model);
}

/*
 * The number as the reference's JSON reader computes it: digits as an integer times or over a power
 * of ten, which can be the neighbour of the nearest double. Scores of two cuts that use the same
 * tokens in another order differ by such roundings alone, and the larger one wins.
 */
static double as_reference_reads(double value)
{
    char text[40];
    uint64_t digits = 0;
    int precision = 0, exponent = 0;
    if (!(value == value) || value - value != 0 || value == 0) {
        return value;
    }
    do {
        (void)snprintf(text, sizeof text, "%.*e", precision++, value);
    } while (precision < 18 && strtod(text, NULL) != value);
    const char *p = text;
    for (; *p && *p != 'e'; p++) {
        digits = *p >= '0' && *p <= '9' ? digits * 10 + (uint64_t)(*p - '0') : digits;
    }
    exponent = atoi(p + 1) - (precision - 1);
    double scale = pow(10.0, abs(exponent));
    double size = exponent < 0 ? (double)digits / scale : (double)digits * scale;
    return exponent < -300 || exponent > 290 ? value : value < 0 ? -size : size;
}

/* One ["token", score]. A text listed twice is found as its last id; every id still decodes. */
static zoo_status load_scored(tok_json *j, const cJSON *item, uint32_t id, double *score)
{
    const cJSON *number = item->child ? item->child->next : NULL;
    tok_str text;
    if (!cJSON_IsArray(item) || !cJSON_IsNumber(number) || number->next) {
        return tok_json_fail(j, "token %u is not a pair of text and score", id);
    }
    ZOO_TRY(tok_json_text(j, item->child, "a token", &text));
    *score = as_reference_reads(number->valuedouble);
    tok_vocab *vocab = &j->t->model.vocab;
    uint32_t before = tok_vocab_find(vocab, text.p, text.n);
    tok_vocab_put(vocab, text, id);
    if (before != ZOO_ID_NONE) {
        vocab->by_id[before] = text;
        vocab->n_keys++;
    }
    return ZOO_OK;
}

static zoo_status load_unigram(tok_json *j, const cJSON *model)
{
    tok_unigram *u = &j->t->model.unigram;
    const cJSON *array = tok_json_get(model, "vocab");
    uint32_t n = 0;
    j->t->model.kind = TOK_MODEL_UNIGRAM;
    if (!cJSON_IsArray(array)) {
        return tok_json_fail(j, "the model has no array of scored tokens");
    }
    for (const cJSON *item = array->child; item; item = item->next) {
        if (++n >= TOK_ID_MAX) {
            return tok_json_fail(j, "the vocab has more than 2^24 tokens");
        }
    }
    double *scores = tok_pool_take(&j->t->pool, ((size_t)n + 1) * sizeof *scores);
    if (!scores || !tok_vocab_init(&j->t->model.vocab, &j->t->pool, n, n)) {
        return tok_no_memory(j->err);
    }
    u->scores = scores;
    ZOO_TRY(tok_json_flag_at(j, model, "byte_fallback", false, &u->byte_fallback));
    ZOO_TRY(tok_json_number_at(j, model, "unk_id", ZOO_ID_NONE, &u->unk));
    if (u->unk != ZOO_ID_NONE && u->unk >= n) {
        return tok_json_fail(j, "its unk_id %u is not below %u, the number of tokens", u->unk, n);
    }
    n = 0;
    for (const cJSON *item = array->child; item; item = item->next, n++) {
        ZOO_TRY(load_scored(j, item, n, &scores[n]));
    }
    return ZOO_OK;
}

zoo_status tok_load_model(tok_json *j, const cJSON *model)
{
    const char *type = tok_json_type(model);
    if (!cJSON_IsObject(model)) {
        return tok_json_fail(j, "it has no model");
    }
    if (strcmp(type, "BPE") == 0 || (!*type && tok_json_get(model, "merges"))) {
        return load_bpe(j, model);
    }
    if (strcmp(type, "Unigram") == 0 || (!*type && cJSON_IsArray(tok_json_get(model, "vocab")))) {
        return load_unigram(j, model);
    }
    if (strcmp(type, "WordPiece") == 0 ||
        (!*type && tok_json_get(model, "max_input_chars_per_word"))) {
        return load_wordpiece(j, model);
    }
    if (strcmp(type, "WordLevel") == 0 || !*type) {
        return load_wordlevel(j, model);
    }
    return zoo_fail(j->err, ZOO_E_UNSUPPORTED, "%.180s has a model of unknown type \"%.60s\"",
                    j->name, type);
}
