/*
 * load_parts.c: normalizers and pre-tokenizers of tokenizer.json, flattened into two lists.
 */
#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/norm.h"
#include "text/tokenizer/steps.h"

#define DEPTH_MAX 16

zoo_status tok_load_pattern(tok_json *j, const cJSON *item, tok_regex **out)
{
    const cJSON *text = tok_json_get(item, "String"), *regex = tok_json_get(item, "Regex");
    tok_str pattern;
    if (cJSON_IsString(item)) {
        text = item;
    }
    if (!text && !regex) {
        return tok_json_fail(j, "a pattern is neither String nor Regex");
    }
    ZOO_TRY(tok_json_text(j, text ? text : regex, "a pattern", &pattern));
    return tok_add_regex(j->t, pattern, text != NULL, out, j->err);
}

static zoo_status unknown(tok_json *j, const char *what, const char *type)
{
    return zoo_fail(j->err, ZOO_E_UNSUPPORTED, "%.180s has a %s of unknown type \"%.60s\"", j->name,
                    what, type);
}

static zoo_status new_norm(tok_json *j, tok_norm_kind kind, tok_norm **out)
{
    zoo_tokenizer *t = j->t;
    if (!t->norms) {
        t->norms = tok_pool_take(&t->pool, TOK_STEPS_MAX * sizeof *t->norms);
    }
    if (!t->norms) {
        return tok_no_memory(j->err);
    }
    if (t->n_norms == TOK_STEPS_MAX) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "%.180s has more than %d normalizers", j->name,
                        TOK_STEPS_MAX);
    }
    *out = &t->norms[t->n_norms++];
    (*out)->kind = kind;
    return tok_norm_finish(t, *out, j->err);
}

static zoo_status load_charsmap(tok_json *j, const cJSON *item)
{
    tok_norm *norm = NULL;
    tok_str text;
    ZOO_TRY(new_norm(j, TOK_NORM_CHARSMAP, &norm));
    ZOO_TRY(tok_json_text_at(j, item, "precompiled_charsmap", &text));
    norm->by_grapheme = true;
    if (!text.p) {
        return ZOO_OK;
    }
    tok_str copy = tok_pool_copy(&j->t->pool, text.p, text.n);
    if (!copy.p) {
        return tok_no_memory(j->err);
    }
    char *bytes = (char *)(uintptr_t)copy.p;
    size_t n = tok_base64(bytes, copy.n);
    return n == SIZE_MAX ? tok_json_fail(j, "its precompiled_charsmap is not base64")
                         : tok_charsmap_open(j->t, norm, bytes, n, j->err);
}

static zoo_status load_bert_norm(tok_json *j, const cJSON *item)
{
    tok_norm *norm = NULL;
    bool clean, cjk, lower, accents;
    ZOO_TRY(new_norm(j, TOK_NORM_BERT, &norm));
    ZOO_TRY(tok_json_flag_at(j, item, "clean_text", true, &clean));
    ZOO_TRY(tok_json_flag_at(j, item, "handle_chinese_chars", true, &cjk));
    ZOO_TRY(tok_json_flag_at(j, item, "lowercase", true, &lower));
    ZOO_TRY(tok_json_flag_at(j, item, "strip_accents", lower, &accents));
    norm->flags = (clean ? TOK_BERT_CLEAN : 0u) | (cjk ? TOK_BERT_CJK : 0u) |
                  (lower ? TOK_BERT_LOWER : 0u) | (accents ? TOK_BERT_ACCENTS : 0u);
    return ZOO_OK;
}

static zoo_status load_strip_norm(tok_json *j, const cJSON *item)
{
    tok_norm *norm = NULL;
    bool left, right;
    ZOO_TRY(new_norm(j, TOK_NORM_STRIP, &norm));
    ZOO_TRY(tok_json_flag_at(j, item, "strip_left", true, &left));
    ZOO_TRY(tok_json_flag_at(j, item, "strip_right", true, &right));
    norm->flags = (left ? TOK_STRIP_LEFT : 0u) | (right ? TOK_STRIP_RIGHT : 0u);
    return ZOO_OK;
}

static zoo_status load_replace_norm(tok_json *j, const cJSON *item)
{
    tok_norm *norm = NULL;
    ZOO_TRY(new_norm(j, TOK_NORM_REPLACE, &norm));
    ZOO_TRY(tok_load_pattern(j, tok_json_get(item, "pattern"), &norm->regex));
    return tok_json_text(j, tok_json_get(item, "content"), "the content of Replace", &norm->text);
}

static zoo_status load_plain_norm(tok_json *j, const char *type)
{
    static const struct {
        const char *type;
        tok_norm_kind kind;
    } plain[] = {{"NFC", TOK_NORM_NFC},
                 {"NFD", TOK_NORM_NFD},
                 {"NFKC", TOK_NORM_NFKC},
                 {"NFKD", TOK_NORM_NFKD},
                 {"Lowercase", TOK_NORM_LOWERCASE},
                 {"StripAccents", TOK_NORM_STRIP_ACCENTS},
                 {"Nmt", TOK_NORM_NMT},
                 {"ByteLevel", TOK_NORM_BYTES}};
    tok_norm *norm = NULL;
    for (size_t i = 0; i < ZOO_COUNT(plain); i++) {
        if (strcmp(type, plain[i].type) == 0) {
            return new_norm(j, plain[i].kind, &norm);
        }
    }
    return unknown(j, "normalizer", type);
}

static zoo_status load_norm(tok_json *j, const cJSON *item, uint32_t depth)
{
    const char *type = tok_json_type(item);
    tok_norm *norm = NULL;
    if (!cJSON_IsObject(item) || depth > DEPTH_MAX) {
        return tok_json_fail(j, "a normalizer is not an object or nests too deep");
    }
    if (strcmp(type, "Sequence") == 0) {
        const cJSON *list = tok_json_get(item, "normalizers");
        if (!cJSON_IsArray(list)) {
            return tok_json_fail(j, "a sequence of normalizers has no array");
        }
        for (const cJSON *one = list->child; one; one = one->next) {
            ZOO_TRY(load_norm(j, one, depth + 1));
        }
        return ZOO_OK;
    }
    if (strcmp(type, "Replace") == 0) {
        return load_replace_norm(j, item);
    }
    if (strcmp(type, "Prepend") == 0) {
        ZOO_TRY(new_norm(j, TOK_NORM_PREPEND, &norm));
        return tok_json_text(j, tok_json_get(item, "prepend"), "the text of Prepend", &norm->text);
    }
    if (strcmp(type, "Precompiled") == 0) {
        return load_charsmap(j, item);
    }
    if (strcmp(type, "BertNormalizer") == 0) {
        return load_bert_norm(j, item);
    }
    return strcmp(type, "Strip") == 0 ? load_strip_norm(j, item) : load_plain_norm(j, type);
}

zoo_status tok_load_norms(tok_json *j, const cJSON *item)
{
    return item ? load_norm(j, item, 0) : ZOO_OK;
}

static zoo_status new_step(tok_json *j, tok_step_kind kind, tok_step **out)
{
    zoo_tokenizer *t = j->t;
    if (!t->steps) {
        t->steps = tok_pool_take(&t->pool, TOK_STEPS_MAX * sizeof *t->steps);
    }
    if (!t->steps) {
        return tok_no_memory(j->err);
    }
    if (t->n_steps == TOK_STEPS_MAX) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "%.180s has more than %d pre-tokenizers", j->name,
                        TOK_STEPS_MAX);
    }
    *out = &t->steps[t->n_steps++];
    (*out)->kind = kind;
    return ZOO_OK;
}

static zoo_status load_behaviour(tok_json *j, const cJSON *item, tok_behaviour missing,
                                 tok_behaviour *out)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    tok_str name;
    *out = missing;
    ZOO_TRY(tok_json_text_at(j, item, "behavior", &name));
    for (size_t i = 0; name.p && i < ZOO_COUNT(names); i++) {
        if (strcmp(name.p, names[i]) == 0) {
            *out = (tok_behaviour)i;
            return ZOO_OK;
        }
    }
    return name.p ? tok_json_fail(j, "the behavior \"%.60s\" is unknown", name.p) : ZOO_OK;
}

static zoo_status load_split(tok_json *j, const cJSON *item)
{
    tok_step *step = NULL;
    ZOO_TRY(new_step(j, TOK_STEP_SPLIT, &step));
    ZOO_TRY(load_behaviour(j, item, TOK_ISOLATED, &step->behaviour));
    ZOO_TRY(tok_json_flag_at(j, item, "invert", false, &step->invert));
    return tok_load_pattern(j, tok_json_get(item, "pattern"), &step->regex);
}

static zoo_status regex_step(tok_json *j, const char *pattern, tok_behaviour behaviour, bool invert)
{
    tok_step *step = NULL;
    ZOO_TRY(new_step(j, TOK_STEP_SPLIT, &step));
    step->behaviour = behaviour;
    step->invert = invert;
    return tok_add_regex(j->t, (tok_str){pattern, strlen(pattern)}, false, &step->regex, j->err);
}

static zoo_status class_step(tok_json *j, tok_class of, tok_behaviour behaviour)
{
    tok_step *step = NULL;
    ZOO_TRY(new_step(j, TOK_STEP_CLASS, &step));
    step->of = of;
    step->behaviour = behaviour;
    return ZOO_OK;
}

static zoo_status load_byte_level(tok_json *j, const cJSON *item)
{
    bool prefix, regex;
    tok_step *step = NULL;
    ZOO_TRY(tok_json_flag_at(j, item, "add_prefix_space", true, &prefix));
    ZOO_TRY(tok_json_flag_at(j, item, "use_regex", true, &regex));
    if (prefix) {
        ZOO_TRY(new_step(j, TOK_STEP_PREFIX, &step));
    }
    if (regex) {
        ZOO_TRY(regex_step(j, tok_pattern_words, TOK_ISOLATED, false));
    }
    return new_step(j, TOK_STEP_MAP, &step);
}

/* The mark and scheme of Metaspace, in the new spelling or the old. */
static zoo_status load_mark(tok_json *j, const cJSON *item, tok_str *mark, tok_scheme *scheme)
{
    tok_str name;
    bool prefix;
    ZOO_TRY(tok_json_text_at(j, item, "replacement", mark));
    ZOO_TRY(tok_json_text_at(j, item, "prepend_scheme", &name));
    ZOO_TRY(tok_json_flag_at(j, item, "add_prefix_space", true, &prefix));
    if (!mark->p) {
        *mark = (tok_str){"\xe2\x96\x81", 3};
    }
    if (!mark->n || tok_utf8_length((uint8_t)mark->p[0]) != mark->n) {
        return tok_json_fail(j, "the replacement of Metaspace is not one character");
    }
    *scheme = !name.p                         ? prefix ? TOK_PREPEND_ALWAYS : TOK_PREPEND_NEVER
              : strcmp(name.p, "always") == 0 ? TOK_PREPEND_ALWAYS
              : strcmp(name.p, "first") == 0  ? TOK_PREPEND_FIRST
                                              : TOK_PREPEND_NEVER;
    if (name.p && *scheme == TOK_PREPEND_NEVER && strcmp(name.p, "never") != 0) {
        return tok_json_fail(j, "the prepend_scheme \"%.60s\" is unknown", name.p);
    }
    if (name.p && !prefix && *scheme != TOK_PREPEND_NEVER) {
        return tok_json_fail(j, "add_prefix_space is false but prepend_scheme is not \"never\"");
    }
    return ZOO_OK;
}

static zoo_status load_metaspace(tok_json *j, const cJSON *item)
{
    tok_step *step = NULL;
    ZOO_TRY(new_step(j, TOK_STEP_METASPACE, &step));
    ZOO_TRY(tok_json_flag_at(j, item, "split", true, &step->split));
    return load_mark(j, item, &step->mark, &step->scheme);
}

static zoo_status load_delimiter(tok_json *j, const cJSON *item)
{
    tok_str text;
    ZOO_TRY(tok_json_text(j, tok_json_get(item, "delimiter"), "the delimiter", &text));
    if (!text.n || tok_utf8_length((uint8_t)text.p[0]) != text.n) {
        return tok_json_fail(j, "the delimiter is not one character");
    }
    ZOO_TRY(class_step(j, TOK_CLASS_CHAR, TOK_REMOVED));
    (void)tok_utf8((const uint8_t *)text.p, &j->t->steps[j->t->n_steps - 1].number);
    return ZOO_OK;
}

static zoo_status load_length(tok_json *j, const cJSON *item)
{
    tok_step *step = NULL;
    ZOO_TRY(new_step(j, TOK_STEP_LENGTH, &step));
    ZOO_TRY(tok_json_number_at(j, item, "length", 5, &step->number));
    return step->number ? ZOO_OK : tok_json_fail(j, "a fixed length of 0 makes no pieces");
}

/* Word characters as the reference's other engine means them, or what is neither they nor space. */
#define WORD "\\p{Alpha}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
static const char words_or_not[] = "[" WORD "]+|[^" WORD "\\s]+";

static zoo_status load_class_step(tok_json *j, const cJSON *item, const char *type)
{
    tok_behaviour behaviour;
    bool individual;
    tok_step *step = NULL;
    if (strcmp(type, "Digits") == 0) {
        ZOO_TRY(tok_json_flag_at(j, item, "individual_digits", false, &individual));
        return class_step(j, TOK_CLASS_DIGIT, individual ? TOK_ISOLATED : TOK_CONTIGUOUS);
    }
    if (strcmp(type, "Punctuation") == 0) {
        ZOO_TRY(load_behaviour(j, item, TOK_ISOLATED, &behaviour));
        return class_step(j, TOK_CLASS_PUNCT, behaviour);
    }
    if (strcmp(type, "WhitespaceSplit") == 0) {
        return class_step(j, TOK_CLASS_SPACE, TOK_REMOVED);
    }
    if (strcmp(type, "Whitespace") == 0) {
        return regex_step(j, words_or_not, TOK_REMOVED, true);
    }
    if (strcmp(type, "BertPreTokenizer") == 0) {
        ZOO_TRY(class_step(j, TOK_CLASS_SPACE, TOK_REMOVED));
        return class_step(j, TOK_CLASS_PUNCT, TOK_ISOLATED);
    }
    if (strcmp(type, "UnicodeScripts") == 0) {
        ZOO_TRY(new_step(j, TOK_STEP_SCRIPTS, &step));
        return tok_scripts_open(j->t, j->err);
    }
    return unknown(j, "pre-tokenizer", type);
}

static zoo_status load_step(tok_json *j, const cJSON *item, uint32_t depth)
{
    const char *type = tok_json_type(item);
    if (!cJSON_IsObject(item) || depth > DEPTH_MAX) {
        return tok_json_fail(j, "a pre-tokenizer is not an object or nests too deep");
    }
    if (strcmp(type, "Sequence") == 0) {
        const cJSON *list = tok_json_get(item, "pretokenizers");
        if (!cJSON_IsArray(list)) {
            return tok_json_fail(j, "a sequence of pre-tokenizers has no array");
        }
        for (const cJSON *one = list->child; one; one = one->next) {
            ZOO_TRY(load_step(j, one, depth + 1));
        }
        return ZOO_OK;
    }
    if (strcmp(type, "Split") == 0) {
        return load_split(j, item);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        return load_byte_level(j, item);
    }
    if (strcmp(type, "Metaspace") == 0) {
        return load_metaspace(j, item);
    }
    if (strcmp(type, "CharDelimiterSplit") == 0) {
        return load_delimiter(j, item);
    }
    return strcmp(type, "FixedLength") == 0 ? load_length(j, item) : load_class_step(j, item, type);
}

zoo_status tok_load_steps(tok_json *j, const cJSON *item)
{
    return item ? load_step(j, item, 0) : ZOO_OK;
}
