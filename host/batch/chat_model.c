/* chat_model.c: opening what a generation needs (chat_model.h). */
#include "batch/chat_model.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "checkpoint/hub.h"
#include "config/plugin_loader.h"
#include "generate/draft_model.h"

static bool has_any(const char *folder, const char *const *names)
{
    char path[4352];
    struct stat info;
    for (; *names; names++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, *names);
        if (stat(path, &info) == 0) {
            return true;
        }
    }
    return false;
}

static zoo_status open_text(zoo_chat_model *s, zoo_error *err)
{
    static const char *const tokenizers[] = {"tokenizer.json", "tokenizer.model", "tekken.json",
                                             "tiktoken.model", NULL};
    zoo_status status;
    if (!has_any(s->folder, tokenizers)) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_tokenizer_open(s->folder, &s->tokenizer, err));
    status = zoo_template_open(s->folder, &s->chat, err);
    return status == ZOO_E_IO ? ZOO_OK : status;
}

/* The format that fits the chat template, of those beside the cards. */
static zoo_status open_format(zoo_chat_model *s, const char *card_dir, zoo_error *err)
{
    char cards[4096], formats[4352];
    struct stat info;
    const char *source;
    size_t n;
    if (!s->chat) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_install_folder(card_dir, "models.d", cards, sizeof cards, err));
    (void)snprintf(formats, sizeof formats, "%s/formats", cards);
    if (stat(formats, &info) != 0) {
        return ZOO_OK;
    }
    source = zoo_template_source(s->chat, &n);
    return zoo_output_format_find(formats, source, n, &s->format, err);
}

enum { MARKS_MAX = 256 };

/* Special tokens that a format does not read are hidden; the others are noted as marks. */
static zoo_status sort_special(zoo_chat_model *s, zoo_error *err)
{
    uint32_t n = s->tokenizer ? zoo_tokenizer_size(s->tokenizer) : 0, n_marks = 0;
    bool ok = true;
    if (!s->format) {
        return ZOO_OK;
    }
    n = n > s->context.n_vocab ? n : s->context.n_vocab;
    s->hidden = zoo_mem_array((size_t)n / 32 + 1, sizeof *s->hidden);
    s->marks = zoo_mem_array(MARKS_MAX + 1, sizeof *s->marks);
    ok = s->hidden && s->marks;
    for (uint32_t id = 0; ok && id < n; id++) {
        size_t length;
        const char *text = zoo_tokenizer_is_special(s->tokenizer, id)
                               ? zoo_tokenizer_token(s->tokenizer, id, &length)
                               : NULL;
        if (text && zoo_output_format_marks(s->format, text) && n_marks < MARKS_MAX) {
            s->marks[n_marks] = zoo_mem_text(text, length);
            ok = s->marks[n_marks++] != NULL;
        } else if (text) {
            s->hidden[id / 32] |= 1u << (id % 32);
        }
    }
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for the special tokens");
}

static void add_note(zoo_chat_model *s, const char *text)
{
    size_t n = strlen(s->note);
    (void)snprintf(s->note + n, sizeof s->note - n, "%s%s%s", n > 0 ? "" : s->name,
                   n > 0 ? "; " : ": ", text);
}

static void add_warnings(zoo_chat_model *s)
{
    const char *note;
    for (size_t i = 0; s->tokenizer && (note = zoo_tokenizer_note(s->tokenizer, i)); i++) {
        if (zoo_tokenizer_warns(s->tokenizer, i)) {
            add_note(s, note);
        }
    }
}

/* The tokenizer's own end token ends rows too: a fine-tune may keep the generation_config.json of
 * its base. */
static void add_end(zoo_chat_model *s)
{
    zoo_generation *g = &s->generation;
    uint32_t id = s->tokenizer ? zoo_tokenizer_special(s->tokenizer, ZOO_SPECIAL_EOS) : ZOO_ID_NONE;
    size_t n = 0;
    for (uint32_t i = 0; i < g->n_eos; i++) {
        id = g->eos[i] == id ? ZOO_ID_NONE : id;
    }
    if (id >= zoo_engine_plan(s->engine)->vocab_size || g->n_eos == ZOO_EOS_MAX) {
        return;
    }
    if (g->n_eos > 0) {
        char note[256];
        const char *text = zoo_tokenizer_token(s->tokenizer, id, &n);
        (void)snprintf(note, sizeof note,
                       "the tokenizer's end token %.*s (%u) is not among those of "
                       "generation_config.json; it ends rows too",
                       n < 64 ? (int)n : 64, text ? text : "", id);
        add_note(s, note);
    }
    g->eos[g->n_eos++] = id;
}

static void note_unapplied(zoo_chat_model *s)
{
    char note[320];
    if (s->generation.unapplied[0]) {
        (void)snprintf(note, sizeof note, "generation_config.json sets %s, which is not applied",
                       s->generation.unapplied);
        add_note(s, note);
    }
}

static void set_name(zoo_chat_model *s, const char *model)
{
    size_t n = strlen(model);
    const char *begin;
    while (n > 1 && model[n - 1] == '/') {
        n--;
    }
    begin = model + n;
    while (begin > model && begin[-1] != '/') {
        begin--;
    }
    (void)snprintf(s->name, sizeof s->name, "%.*s", (int)(model + n - begin), begin);
}

static zoo_status open_all(zoo_chat_model *s, const char *model, const zoo_engine_options *options,
                           zoo_error *err)
{
    const zoo_plan *plan;
    ZOO_TRY(zoo_model_folder(model, s->folder, sizeof s->folder, err));
    set_name(s, model);
    ZOO_TRY(open_text(s, err));
    ZOO_TRY(open_format(s, options->card_dir, err));
    ZOO_TRY(zoo_engine_open(s->folder, options, &s->engine, err));
    plan = zoo_engine_plan(s->engine);
    ZOO_TRY(zoo_generation_read(s->folder, plan->vocab_size, &s->generation, err));
    add_end(s);
    note_unapplied(s);
    add_warnings(s);
    if (s->tokenizer) {
        ZOO_TRY(
            zoo_vocab_new(s->tokenizer, s->generation.eos, s->generation.n_eos, &s->vocab, err));
        ZOO_TRY(zoo_grammars_new(s->vocab, &s->grammars, err));
    }
    s->context.vocab = s->vocab;
    s->context.grammars = s->grammars;
    s->context.format = s->format;
    s->context.generation = &s->generation;
    s->context.tokenizer = s->tokenizer;
    s->context.chat = s->chat;
    s->context.n_vocab = plan->vocab_size;
    s->context.context_max = zoo_engine_limits(s->engine)->context_max;
    return sort_special(s, err);
}

zoo_status zoo_chat_model_open(const char *model, const zoo_engine_options *options,
                               zoo_chat_model *out, zoo_error *err)
{
    zoo_status status;
    memset(out, 0, sizeof *out);
    status = open_all(out, model, options, err);
    if (status != ZOO_OK) {
        zoo_chat_model_close(out);
    }
    return status;
}

/* The first token that differs is named. */
static zoo_status compare_tokens(const zoo_tokenizer *a, const char *a_name, const zoo_tokenizer *b,
                                 const char *b_name, zoo_error *err)
{
    uint32_t n = zoo_tokenizer_size(a), n_b = zoo_tokenizer_size(b);
    if (n != n_b) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s cannot draft for %s: it has %u tokens, not %u; a draft model needs the "
                        "same tokenizer",
                        b_name, a_name, n_b, n);
    }
    for (uint32_t id = 0; id < n; id++) {
        size_t n_text = 0, n_text_b = 0;
        const char *text = zoo_tokenizer_token(a, id, &n_text);
        const char *text_b = zoo_tokenizer_token(b, id, &n_text_b);
        if ((text == NULL) != (text_b == NULL) || n_text != n_text_b ||
            (text && memcmp(text, text_b, n_text) != 0)) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "%s cannot draft for %s: token %u is \"%.*s\" there and \"%.*s\" here; "
                            "a draft model needs the same tokenizer",
                            b_name, a_name, id, n_text_b < 40 ? (int)n_text_b : 40,
                            text_b ? text_b : "", n_text < 40 ? (int)n_text : 40, text ? text : "");
        }
    }
    return ZOO_OK;
}

static zoo_status judge_draft(const zoo_chat_model *s, const zoo_engine *draft, const char *folder,
                              zoo_error *err)
{
    zoo_tokenizer *tokens = NULL;
    ZOO_TRY(zoo_draft_model_check(draft, folder, err));
    if (!s->tokenizer) {
        uint32_t n = zoo_engine_plan(s->engine)->vocab_size;
        uint32_t n_draft = zoo_engine_plan(draft)->vocab_size;
        return n == n_draft ? ZOO_OK
                            : zoo_fail(err, ZOO_E_USAGE,
                                       "%s cannot draft for %s: its vocabulary has %u tokens, not "
                                       "%u",
                                       folder, s->folder, n_draft, n);
    }
    ZOO_TRY(zoo_tokenizer_open(folder, &tokens, err));
    zoo_status status = compare_tokens(s->tokenizer, s->folder, tokens, folder, err);
    zoo_tokenizer_close(tokens);
    return status;
}

/* A model that is large for its part of the memory is tried with more. */
static zoo_status open_draft(const char *folder, const char *weights,
                             const zoo_engine_options *options, zoo_engine **out, zoo_error *err)
{
    size_t allowed = zoo_engine_memory_limit(options);
    zoo_engine_options o = *options;
    o.weights = weights ? weights : o.weights;
    o.cache = "auto";
    o.reserve = 0;
    o.n_marks = 0;
    o.memory = allowed / 4;
    zoo_status (*open)(const char *, const zoo_engine_options *, zoo_engine **, zoo_error *) =
        options->predicts ? zoo_draft_layers_open : zoo_engine_open;
    zoo_status status = open(folder, &o, out, err);
    if (status == ZOO_E_MEMORY) {
        o.memory = allowed / 2;
        zoo_error inner = {0};
        status = open(folder, &o, out, &inner);
        *err = inner;
        if (status == ZOO_E_MEMORY) {
            return zoo_fail(err, status, "a draft model may hold half of %zu MiB: %s",
                            allowed >> 20, inner.text);
        }
    }
    return status;
}

zoo_status zoo_chat_model_open_layers(const char *folder, const zoo_engine_options *options,
                                      zoo_engine_options *of_main, zoo_engine **out, zoo_error *err)
{
    const uint32_t most = ZOO_COST_ROWS_MAX; /* more rows than these have no drafts */
    ZOO_TRY(open_draft(folder, NULL, options, out, err));
    uint32_t n = zoo_engine_limits(*out)->seqs_max;
    size_t allowed = zoo_engine_memory_limit(options);
    size_t held = zoo_engine_memory(*out) + zoo_draft_layers_bytes(*out, n < most ? n : most);
    *of_main = *options;
    of_main->predicts = false;
    of_main->memory = allowed > held ? allowed - held : 1;
    return ZOO_OK;
}

/* The prediction layer needs the main model's rows as they are behind its layers, once each. */
zoo_status zoo_chat_model_join_layers(const zoo_engine *engine, zoo_engine *layers,
                                      const char *folder, zoo_error *err)
{
    const zoo_plan *plan = zoo_engine_plan(engine);
    if (!zoo_engine_has_rows(engine) || plan->reread_after || plan->reread_always) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: its prediction layer cannot draft, since %s", folder,
                        zoo_engine_has_rows(engine)
                            ? "long sequences are read again from their start"
                            : "the rows behind its layers are not all here");
    }
    zoo_engine_lend_head(engine, layers);
    return ZOO_OK;
}

zoo_status zoo_chat_model_open_with(const char *model, const char *draft, const char *draft_weights,
                                    const zoo_engine_options *options, zoo_chat_model *out,
                                    zoo_error *err)
{
    zoo_engine_options o = *options;
    char folder[4096];
    zoo_engine *engine = NULL;
    if (!draft && !options->predicts) {
        return zoo_chat_model_open(model, options, out, err);
    }
    memset(out, 0, sizeof *out);
    ZOO_TRY(zoo_model_folder(draft ? draft : model, folder, sizeof folder, err));
    if (draft) {
        ZOO_TRY(open_draft(folder, draft_weights, options, &engine, err));
        size_t allowed = zoo_engine_memory_limit(options), held = zoo_engine_memory(engine);
        o.memory = allowed > held ? allowed - held : 1;
    } else {
        ZOO_TRY(zoo_chat_model_open_layers(folder, options, &o, &engine, err));
    }
    zoo_status status = zoo_chat_model_open(model, &o, out, err);
    if (status == ZOO_OK) {
        status = draft ? judge_draft(out, engine, folder, err)
                       : zoo_chat_model_join_layers(out->engine, engine, folder, err);
        out->speculation.draft = engine;
        if (status != ZOO_OK) {
            zoo_chat_model_close(out);
        }
        return status;
    }
    zoo_engine_close(engine);
    if (status == ZOO_E_MEMORY) {
        size_t allowed = zoo_engine_memory_limit(options);
        zoo_error inner = *err;
        return zoo_fail(err, status, "beside the draft model, which holds %zu of %zu MiB: %s",
                        (allowed - o.memory) >> 20, allowed >> 20, inner.text);
    }
    return status;
}

void zoo_chat_model_limit(zoo_chat_model *s, size_t grammar_bytes_max)
{
    if (s->vocab) {
        zoo_vocab_limit(s->vocab, grammar_bytes_max);
    }
}

zoo_status zoo_chat_model_speculate(zoo_chat_model *s, const char *word, uint32_t n_always,
                                    size_t pool_bytes, zoo_error *err)
{
    zoo_speculation *speculation = &s->speculation;
    if (!zoo_speculate_read(word, &speculation->kind)) {
        return zoo_fail(err, ZOO_E_USAGE, "there is no speculation named \"%.40s\"", word);
    }
    speculation->n_always = n_always;
    speculation->pool_bytes = pool_bytes;
    if (zoo_engine_n_micro_batches(s->engine) > 1) {
        speculation->kind = ZOO_SPECULATE_OFF; /* steps under way together leave no time to save */
    }
    if (speculation->kind == ZOO_SPECULATE_OFF || n_always > 0) {
        return ZOO_OK;
    }
    if (speculation->draft) {
        ZOO_TRY(zoo_step_costs_measure(speculation->draft, &speculation->draft_costs, err));
    }
    return zoo_step_costs_measure(s->engine, &speculation->costs, err);
}

void zoo_chat_model_close(zoo_chat_model *s)
{
    zoo_engine_close(s->engine);
    zoo_engine_close(s->speculation.draft);
    zoo_output_format_free(s->format);
    zoo_mem_free(s->hidden);
    for (uint32_t i = 0; s->marks && s->marks[i]; i++) {
        zoo_mem_free(s->marks[i]);
    }
    zoo_mem_free(s->marks);
    zoo_template_close(s->chat);
    zoo_grammars_free(s->grammars);
    zoo_vocab_free(s->vocab);
    zoo_tokenizer_close(s->tokenizer);
    memset(s, 0, sizeof *s);
}
