/* chat_model.c: opening what a generation needs (chat_model.h). */
#include "batch/chat_model.h"

#include <string.h>
#include <sys/stat.h>

#include "checkpoint/hub.h"
#include "config/plugin_loader.h"

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

static zoo_status open_text(zoo_loaded *s, zoo_error *err)
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
static zoo_status open_format(zoo_loaded *s, const char *card_dir, zoo_error *err)
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

static void set_name(zoo_loaded *s, const char *model)
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

static zoo_status open_all(zoo_loaded *s, const char *model, const zoo_engine_options *options,
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
    return ZOO_OK;
}

zoo_status zoo_loaded_open(const char *model, const zoo_engine_options *options, zoo_loaded *out,
                           zoo_error *err)
{
    zoo_status status;
    memset(out, 0, sizeof *out);
    status = open_all(out, model, options, err);
    if (status != ZOO_OK) {
        zoo_loaded_close(out);
    }
    return status;
}

void zoo_loaded_close(zoo_loaded *s)
{
    zoo_engine_close(s->engine);
    zoo_output_format_free(s->format);
    zoo_template_close(s->chat);
    zoo_grammars_free(s->grammars);
    zoo_vocab_free(s->vocab);
    zoo_tokenizer_close(s->tokenizer);
    memset(s, 0, sizeof *s);
}
