/*
 * added.c: added tokens found in text, leftmost and longest.
 *
 * Two finders: contents that are searched in the raw text, and normalised contents that are
 * searched in normalised gaps. A search costs the text's length times the longest content at worst.
 */
#include "text/tokenizer/tokenizer_private.h"

#define EDGE(node, byte) (1ull << 63 | (uint64_t)(node) << 8 | (uint8_t)(byte))

static uint32_t longest_at(const tok_finder *finder, const char *p, size_t n, size_t *length)
{
    uint32_t node = finder->first[(uint8_t)p[0]], token = 0;
    for (size_t i = 1; node; i++) {
        if (finder->node_token[node]) {
            token = finder->node_token[node];
            *length = i;
        }
        if (i == n) {
            break;
        }
        const uint64_t *next = tok_map_find(&finder->trie, EDGE(node, p[i]));
        node = next ? (uint32_t)*next : 0;
    }
    return token;
}

/* A word character as the reference's regex crate means it. */
static bool is_word(const zoo_tokenizer *t, uint32_t cp)
{
    return (tok_mask(&t->chars, cp) &
            (TOK_LETTER | TOK_MARK | TOK_BIT(TOK_ND) | TOK_BIT(TOK_NL) | TOK_BIT(TOK_PC))) ||
           cp == 0x200c || cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) ||
           (cp >= 0x1f130 && cp <= 0x1f149) || (cp >= 0x1f150 && cp <= 0x1f169) ||
           (cp >= 0x1f170 && cp <= 0x1f189);
}

static bool word_around(const zoo_tokenizer *t, const char *p, size_t n, size_t begin, size_t end)
{
    uint32_t cp;
    if (begin > 0) {
        (void)tok_utf8((const uint8_t *)p + tok_utf8_back(p, begin), &cp);
        if (is_word(t, cp)) {
            return true;
        }
    }
    if (end < n) {
        (void)tok_utf8((const uint8_t *)p + end, &cp);
        return is_word(t, cp);
    }
    return false;
}

uint32_t tok_added_find(const zoo_tokenizer *t, const tok_finder *finder, const char *p, size_t n,
                        size_t from, size_t range[2])
{
    if (!finder->n) {
        return 0;
    }
    while (from < n) {
        size_t length = 0;
        uint32_t token = 0;
        while (from < n && !finder->first[(uint8_t)p[from]]) {
            from++;
        }
        if (from < n) {
            token = longest_at(finder, p + from, n - from, &length);
        }
        if (token) {
            range[0] = from;
            range[1] = from + length;
            if (!t->added.tokens[token - 1].single_word ||
                !word_around(t, p, n, from, from + length)) {
                return token;
            }
        }
        from += length ? length : 1;
    }
    return 0;
}

static zoo_status put_content(zoo_tokenizer *t, tok_finder *finder, tok_str content, uint32_t token,
                              zoo_error *err)
{
    uint32_t node = 0;
    for (size_t i = 0; i < content.n; i++) {
        const uint64_t *next =
            node || i ? tok_map_find(&finder->trie, EDGE(node, content.p[i])) : NULL;
        uint32_t found = i == 0 ? finder->first[(uint8_t)content.p[0]] : next ? (uint32_t)*next : 0;
        if (!found) {
            found = finder->n++;
            if (i == 0) {
                finder->first[(uint8_t)content.p[0]] = found;
            } else {
                tok_map_put(&finder->trie, EDGE(node, content.p[i]), found);
            }
        }
        node = found;
    }
    if (content.n && finder->node_token[node] &&
        t->added.tokens[finder->node_token[node] - 1].id != t->added.tokens[token].id) {
        return ZOO_OK; /* two contents with one normal form: the first one stays */
    }
    finder->node_token[node] = content.n ? token + 1 : 0;
    (void)err;
    return ZOO_OK;
}

/* The content as the finder searches it: normalised for the second finder. */
static zoo_status content_of(zoo_tokenizer *t, tok_run *run, const tok_added_token *token,
                             tok_str *out)
{
    size_t zero = 0;
    *out = token->content;
    if (!token->normalized || !t->n_norms) {
        return ZOO_OK;
    }
    ZOO_TRY(tok_norms_run(run, token->content.p, token->content.n, out, &zero));
    if (!out->n) { /* the reference finds it between all characters */
        return zoo_fail(run->err, ZOO_E_UNSUPPORTED,
                        "the added token \"%.100s\" is empty once normalised", token->content.p);
    }
    *out = tok_pool_copy(&t->pool, out->p, out->n);
    return out->p ? ZOO_OK : tok_no_memory(run->err);
}

static zoo_status fill_finder(zoo_tokenizer *t, tok_run *run, bool normalized, tok_finder *finder)
{
    size_t n_nodes = 1;
    for (uint32_t i = 0; i < t->added.n; i++) {
        if (t->added.tokens[i].normalized == normalized) {
            ZOO_TRY(content_of(t, run, &t->added.tokens[i], &t->added.tokens[i].searched));
            n_nodes += t->added.tokens[i].searched.n;
        }
    }
    if (n_nodes > 1u << 28) {
        return zoo_fail(run->err, ZOO_E_LIMIT, "the added tokens have more than 2^28 bytes");
    }
    if (n_nodes == 1) {
        return ZOO_OK;
    }
    finder->node_token = tok_pool_take(&t->pool, n_nodes * sizeof *finder->node_token);
    if (!finder->node_token || !tok_map_init(&finder->trie, &t->pool, (uint32_t)n_nodes)) {
        return tok_no_memory(run->err);
    }
    finder->n = 1;
    for (uint32_t i = 0; i < t->added.n; i++) {
        if (t->added.tokens[i].normalized == normalized) {
            ZOO_TRY(put_content(t, finder, t->added.tokens[i].searched, i, run->err));
        }
    }
    return ZOO_OK;
}

zoo_status tok_added_finish(zoo_tokenizer *t, zoo_error *err)
{
    uint32_t n_ids = 0;
    tok_run run = {.t = t, .s = tok_scratch_take(t, true), .err = err};
    if (!run.s) {
        return tok_no_memory(err);
    }
    for (uint32_t i = 0; i < t->added.n; i++) {
        n_ids = t->added.tokens[i].id >= n_ids ? t->added.tokens[i].id + 1 : n_ids;
    }
    t->added.by_id = tok_pool_take(&t->pool, (n_ids + 1) * sizeof *t->added.by_id);
    t->added.n_by_id = n_ids;
    zoo_status status = t->added.by_id ? ZOO_OK : tok_no_memory(err);
    for (uint32_t i = 0; status == ZOO_OK && i < t->added.n; i++) {
        t->added.by_id[t->added.tokens[i].id] = i + 1;
    }
    status = status == ZOO_OK ? fill_finder(t, &run, false, &t->added.raw) : status;
    status = status == ZOO_OK ? fill_finder(t, &run, true, &t->added.normalized) : status;
    tok_scratch_give(t, run.s);
    return status;
}
