/* numbers.c: likelihoods, logits and activations of an open model (lmzoo.h). */
#include <stdlib.h>
#include <string.h>

#include "api/api_private.h"
#include "base/mem.h"
#include "evaluate/score.h"

static int check_tokens(const lmzoo_model *m, const int32_t *tokens, size_t n, lmzoo_error *error)
{
    uint32_t n_vocab = zoo_engine_plan(m->loaded.engine)->vocab_size;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= n_vocab) {
            return lmzoo_fail(error, LMZOO_E_USAGE, "token %zu is %d; the model has %u tokens", i,
                              tokens[i], n_vocab);
        }
    }
    return LMZOO_OK;
}

/* ---- likelihoods ---- */

/* Lists the texts; their tokens stay the caller's. */
static int list_texts(const lmzoo_model *m, const int32_t *tokens, const uint32_t *lengths,
                      uint32_t n_texts, zoo_score_texts *texts, lmzoo_error *error)
{
    size_t begin = 0;
    texts->list = zoo_mem_array(n_texts, sizeof *texts->list);
    if (!texts->list) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for %u texts", n_texts);
    }
    texts->begin = m->loaded.tokenizer && zoo_tokenizer_special(m->loaded.tokenizer,
                                                                ZOO_SPECIAL_BOS) != ZOO_ID_NONE
                       ? (int32_t)zoo_tokenizer_special(m->loaded.tokenizer, ZOO_SPECIAL_BOS)
                       : -1;
    for (uint32_t i = 0; i < n_texts; i++) {
        if (lengths[i] == 0) {
            return lmzoo_fail(error, LMZOO_E_USAGE, "text %u has no tokens", i);
        }
        /* zoo_score_run only reads the tokens. */
        texts->list[i] = (zoo_score_text){.tokens = (int32_t *)(uintptr_t)(tokens + begin),
                                          .n = lengths[i],
                                          .line = (uint64_t)i + 1,
                                          .first = texts->n_scored};
        texts->n_scored += lengths[i] - 1;
        begin += lengths[i];
    }
    texts->n = n_texts;
    return check_tokens(m, tokens, begin, error);
}

static int score_texts(lmzoo_model *m, const zoo_score_texts *texts, double *nll,
                       uint8_t *is_greedy, lmzoo_error *error)
{
    zoo_score_job job = {
        .engine = m->loaded.engine, .texts = texts, .generation = &m->loaded.generation};
    zoo_score_token *out = zoo_mem_array(texts->n_scored, sizeof *out);
    zoo_error why = {0};
    zoo_status status;
    if (!out) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for %zu scores", texts->n_scored);
    }
    zoo_live_pause(m->live);
    status = zoo_score_run(&job, out, &why);
    zoo_live_resume(m->live);
    for (size_t i = 0; status == ZOO_OK && i < texts->n_scored; i++) {
        nll[i] = out[i].nll;
        if (is_greedy) {
            is_greedy[i] = out[i].is_first;
        }
    }
    zoo_mem_free(out);
    return lmzoo_report(status, &why, error);
}

int lmzoo_score(lmzoo_model *m, const int32_t *tokens, const uint32_t *lengths, uint32_t n_texts,
                double *nll, uint8_t *is_greedy, lmzoo_error *error)
{
    zoo_score_texts texts = {0};
    int code = list_texts(m, tokens, lengths, n_texts, &texts, error);
    if (code == LMZOO_OK && texts.n_scored > 0) {
        code = score_texts(m, &texts, nll, is_greedy, error);
    }
    zoo_mem_free(texts.list);
    return code;
}

/* ---- one pass ---- */

/* Reads tokens in steps of n_step rows; logits [n, vocab_size] or null. The engine is ours. */
static zoo_status pass(lmzoo_model *m, const int32_t *tokens, uint32_t n, float *logits,
                       zoo_error *why)
{
    zoo_engine *engine = m->loaded.engine;
    size_t n_vocab = zoo_engine_plan(engine)->vocab_size;
    uint32_t rows = zoo_engine_limits(engine)->rows_max, most = zoo_engine_logits_max(engine);
    uint32_t n_step = rows < most ? rows : most, seq;
    zoo_status status = zoo_engine_seq_open(engine, n, n, &seq, why);
    if (status != ZOO_OK) {
        return status;
    }
    for (uint32_t done = 0; status == ZOO_OK && done < n;) {
        uint32_t count = n - done < n_step ? n - done : n_step;
        zoo_item item = {.seq = seq, .n = count, .tokens = tokens + done, .want = ZOO_WANT_ALL};
        status = zoo_engine_step(engine, &item, 1, why);
        if (status == ZOO_OK && logits) {
            memcpy(logits + done * n_vocab, item.logits, count * n_vocab * sizeof *logits);
        }
        done += count;
    }
    zoo_engine_seq_close(engine, seq);
    return status;
}

static int check_pass(const lmzoo_model *m, const int32_t *tokens, uint32_t n, lmzoo_error *error)
{
    uint32_t most = zoo_engine_limits(m->loaded.engine)->context_max;
    if (n == 0 || n > most) {
        return lmzoo_fail(error, LMZOO_E_USAGE, "%u tokens; from 1 to %u can be read", n, most);
    }
    return check_tokens(m, tokens, n, error);
}

int lmzoo_logits(lmzoo_model *m, const int32_t *tokens, uint32_t n, float *logits,
                 lmzoo_error *error)
{
    zoo_error why = {0};
    zoo_status status;
    int code = check_pass(m, tokens, n, error);
    if (code != LMZOO_OK) {
        return code;
    }
    zoo_live_pause(m->live);
    status = pass(m, tokens, n, logits, &why);
    zoo_live_resume(m->live);
    return lmzoo_report(status, &why, error);
}

int lmzoo_trace(lmzoo_model *m, const int32_t *tokens, uint32_t n, lmzoo_trace_fn *fn, void *arg,
                lmzoo_error *error)
{
    zoo_error why = {0};
    zoo_status status;
    int code = check_pass(m, tokens, n, error);
    if (code != LMZOO_OK) {
        return code;
    }
    zoo_live_pause(m->live);
    zoo_engine_trace(m->loaded.engine, fn, arg);
    status = pass(m, tokens, n, NULL, &why);
    zoo_engine_trace(m->loaded.engine, NULL, NULL);
    zoo_live_resume(m->live);
    return lmzoo_report(status, &why, error);
}
