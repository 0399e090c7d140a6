/*
 * load_ends.c: post-processors and decoders of tokenizer.json.
 *
 * A post-processor is kept as the list of ids around the text; pairs of texts are not encoded here,
 * so only the form for one text is read. Its shape tells its kind where its type does not.
 */
#include "text/tokenizer/json_fields.h"

#define DEPTH_MAX 16

static zoo_status push_post(tok_json *j, uint32_t id)
{
    zoo_tokenizer *t = j->t;
    if (!t->post) {
        t->post = tok_pool_take(&t->pool, TOK_STEPS_MAX * sizeof *t->post);
    }
    if (!t->post) {
        return tok_no_memory(j->err);
    }
    if (t->n_post == TOK_STEPS_MAX) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "%.180s: the post-processor adds more than %d tokens",
                        j->name, TOK_STEPS_MAX);
    }
    t->post[t->n_post++] = id;
    return ZOO_OK;
}

static zoo_status check_id(tok_json *j, const cJSON *item, uint32_t *id)
{
    return tok_json_number(j, item, "an id of the post-processor", TOK_ID_MAX - 1, id);
}

/* All ids that special_tokens lists under a name. */
static zoo_status push_named(tok_json *j, const cJSON *processor, const char *name)
{
    const cJSON *entry = tok_json_get(tok_json_get(processor, "special_tokens"), name);
    const cJSON *ids = tok_json_get(entry, "ids");
    uint32_t id;
    if (!cJSON_IsArray(ids)) {
        return tok_json_fail(j, "the template names the token \"%.80s\", which it does not list",
                             name);
    }
    for (const cJSON *item = ids->child; item; item = item->next) {
        ZOO_TRY(check_id(j, item, &id));
        ZOO_TRY(push_post(j, id));
    }
    return ZOO_OK;
}

/* {"SpecialToken": {"id": name}} or {"Sequence": {"id": "A"}};
 * old files: a string "$A" or a name. */
static zoo_status push_piece(tok_json *j, const cJSON *processor, const cJSON *piece, uint32_t *n_a)
{
    const cJSON *special = tok_json_get(tok_json_get(piece, "SpecialToken"), "id");
    const cJSON *sequence = tok_json_get(tok_json_get(piece, "Sequence"), "id");
    if (cJSON_IsString(special)) {
        return push_named(j, processor, special->valuestring);
    }
    if (!cJSON_IsString(sequence) || strcmp(sequence->valuestring, "A") != 0) {
        return tok_json_fail(j, "a piece of the template for one text is neither a token nor A");
    }
    ++*n_a;
    return push_post(j, ZOO_ID_NONE);
}

static zoo_status load_template(tok_json *j, const cJSON *item)
{
    const cJSON *single = tok_json_get(item, "single");
    uint32_t n_a = 0;
    if (!cJSON_IsArray(single)) {
        return tok_json_fail(j, "the template for one text is not an array");
    }
    for (const cJSON *piece = single->child; piece; piece = piece->next) {
        ZOO_TRY(push_piece(j, item, piece, &n_a));
    }
    return n_a == 1 ? ZOO_OK : tok_json_fail(j, "the template holds the text %u times", n_a);
}

/* ["text", id] as cls and sep. */
static zoo_status pair_id(tok_json *j, const cJSON *pair, uint32_t *id)
{
    if (!cJSON_IsArray(pair) || !pair->child || !pair->child->next) {
        return tok_json_fail(j, "cls or sep of the post-processor is not a pair of text and id");
    }
    return check_id(j, pair->child->next, id);
}

static zoo_status load_around(tok_json *j, const cJSON *item)
{
    uint32_t cls, sep;
    ZOO_TRY(pair_id(j, tok_json_get(item, "cls"), &cls));
    ZOO_TRY(pair_id(j, tok_json_get(item, "sep"), &sep));
    ZOO_TRY(push_post(j, cls));
    ZOO_TRY(push_post(j, ZOO_ID_NONE));
    return push_post(j, sep);
}

/* Two processors that both add tokens would interleave them; no release does that. */
static zoo_status load_one(tok_json *j, const cJSON *item,
                           zoo_status load(tok_json *, const cJSON *))
{
    if (j->t->n_post) {
        return zoo_fail(j->err, ZOO_E_UNSUPPORTED,
                        "%.180s has two post-processors that both add tokens", j->name);
    }
    return load(j, item);
}

static zoo_status load_post(tok_json *j, const cJSON *item, uint32_t depth)
{
    const char *type = tok_json_type(item);
    const cJSON *list = tok_json_get(item, "processors");
    if (!cJSON_IsObject(item) || depth > DEPTH_MAX) {
        return tok_json_fail(j, "a post-processor is not an object or nests too deep");
    }
    if (cJSON_IsArray(list)) {
        for (const cJSON *one = list->child; one; one = one->next) {
            ZOO_TRY(load_post(j, one, depth + 1));
        }
        return ZOO_OK;
    }
    if (tok_json_get(item, "cls") && tok_json_get(item, "sep")) {
        return load_one(j, item, load_around);
    }
    if (tok_json_get(item, "single")) {
        return load_one(j, item, load_template);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        return ZOO_OK;
    }
    return zoo_fail(j->err, ZOO_E_UNSUPPORTED,
                    "%.180s has a post-processor of unknown type \"%.60s\"", j->name, type);
}

zoo_status tok_load_post(tok_json *j, const cJSON *item)
{
    return item ? load_post(j, item, 0) : ZOO_OK;
}

static zoo_status new_dec(tok_json *j, tok_dec_kind kind, tok_dec **out)
{
    zoo_tokenizer *t = j->t;
    if (!t->decs) {
        t->decs = tok_pool_take(&t->pool, TOK_STEPS_MAX * sizeof *t->decs);
    }
    if (!t->decs) {
        return tok_no_memory(j->err);
    }
    if (t->n_decs == TOK_STEPS_MAX) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "%.180s has more than %d decoders", j->name,
                        TOK_STEPS_MAX);
    }
    *out = &t->decs[t->n_decs++];
    (*out)->kind = kind;
    return ZOO_OK;
}

/* A member that must be a text, with a default. */
static zoo_status text_or(tok_json *j, const cJSON *item, const char *key, const char *missing,
                          tok_str *out)
{
    ZOO_TRY(tok_json_text_at(j, item, key, out));
    if (!out->p) {
        *out = (tok_str){missing, strlen(missing)};
    }
    return ZOO_OK;
}

static zoo_status load_strip(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    ZOO_TRY(new_dec(j, TOK_DEC_STRIP, &dec));
    ZOO_TRY(text_or(j, item, "content", " ", &dec->text));
    ZOO_TRY(tok_json_number_at(j, item, "start", 0, &dec->start));
    ZOO_TRY(tok_json_number_at(j, item, "stop", 0, &dec->stop));
    return dec->text.n ? ZOO_OK : tok_json_fail(j, "the content of Strip is empty");
}

static zoo_status load_dec_metaspace(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    tok_str scheme;
    bool prefix;
    ZOO_TRY(new_dec(j, TOK_DEC_METASPACE, &dec));
    ZOO_TRY(text_or(j, item, "replacement", "\xe2\x96\x81", &dec->text));
    ZOO_TRY(text_or(j, item, "prepend_scheme", "", &scheme));
    ZOO_TRY(tok_json_flag_at(j, item, "add_prefix_space", true, &prefix));
    dec->prepend = prefix && strcmp(scheme.p, "never") != 0;
    return ZOO_OK;
}

static zoo_status load_dec_wordpiece(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    ZOO_TRY(new_dec(j, TOK_DEC_WORDPIECE, &dec));
    ZOO_TRY(text_or(j, item, "prefix", "##", &dec->text));
    return tok_json_flag_at(j, item, "cleanup", true, &dec->cleanup);
}

static zoo_status load_ctc(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    ZOO_TRY(new_dec(j, TOK_DEC_CTC, &dec));
    ZOO_TRY(text_or(j, item, "pad_token", "<pad>", &dec->text));
    ZOO_TRY(text_or(j, item, "word_delimiter_token", "|", &dec->delimiter));
    return tok_json_flag_at(j, item, "cleanup", true, &dec->cleanup);
}

static zoo_status load_dec_replace(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    ZOO_TRY(new_dec(j, TOK_DEC_REPLACE, &dec));
    ZOO_TRY(tok_load_pattern(j, tok_json_get(item, "pattern"), &dec->regex));
    return tok_json_text(j, tok_json_get(item, "content"), "the content of Replace", &dec->text);
}

static zoo_status load_suffix(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    ZOO_TRY(new_dec(j, TOK_DEC_SUFFIX, &dec));
    return text_or(j, item, "suffix", "</w>", &dec->text);
}

static zoo_status load_dec_simple(tok_json *j, const char *type)
{
    static const struct {
        const char *type;
        tok_dec_kind kind;
    } simple[] = {{"ByteLevel", TOK_DEC_BYTES},
                  {"ByteFallback", TOK_DEC_BYTE_FALLBACK},
                  {"Fuse", TOK_DEC_FUSE}};
    tok_dec *dec = NULL;
    for (size_t i = 0; i < ZOO_COUNT(simple); i++) {
        if (strcmp(type, simple[i].type) == 0) {
            return new_dec(j, simple[i].kind, &dec);
        }
    }
    return zoo_fail(j->err, ZOO_E_UNSUPPORTED, "%.180s has a decoder of unknown type \"%.60s\"",
                    j->name, type);
}

static zoo_status load_dec(tok_json *j, const cJSON *item, uint32_t depth)
{
    static const struct {
        const char *type;
        zoo_status (*load)(tok_json *j, const cJSON *item);
    } loads[] = {
        {"Strip", load_strip}, {"Metaspace", load_dec_metaspace}, {"WordPiece", load_dec_wordpiece},
        {"CTC", load_ctc},     {"Replace", load_dec_replace},     {"BPEDecoder", load_suffix}};
    const char *type = tok_json_type(item);
    if (!cJSON_IsObject(item) || depth > DEPTH_MAX) {
        return tok_json_fail(j, "a decoder is not an object or nests too deep");
    }
    if (strcmp(type, "Sequence") == 0) {
        const cJSON *list = tok_json_get(item, "decoders");
        if (!cJSON_IsArray(list)) {
            return tok_json_fail(j, "a sequence of decoders has no array");
        }
        for (const cJSON *one = list->child; one; one = one->next) {
            ZOO_TRY(load_dec(j, one, depth + 1));
        }
        return ZOO_OK;
    }
    for (size_t i = 0; i < ZOO_COUNT(loads); i++) {
        if (strcmp(type, loads[i].type) == 0) {
            return loads[i].load(j, item);
        }
    }
    return load_dec_simple(j, type);
}

zoo_status tok_load_decs(tok_json *j, const cJSON *item)
{
    tok_dec *dec = NULL;
    return item ? load_dec(j, item, 0) : new_dec(j, TOK_DEC_JOIN, &dec);
}
