/* model.c: opening, closing and describing models (lmzoo.h). */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api_private.h"
#include "base/mem.h"
#include "checkpoint/hub.h"

uint32_t lmzoo_api_version(void)
{
    return LMZOO_API_VERSION;
}

const char *lmzoo_version(void)
{
    return LMZOO_VERSION;
}

void lmzoo_free(void *memory)
{
    zoo_mem_free(memory);
}

int lmzoo_fail(lmzoo_error *error, int status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        error->status = status;
        (void)vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
    }
    return status;
}

int lmzoo_report(zoo_status status, const zoo_error *why, lmzoo_error *error)
{
    return status == ZOO_OK ? LMZOO_OK : lmzoo_fail(error, (int)status, "%s", why->text);
}

/* The caller's options, with zeros for fields that its older header lacks. */
static int read_options(const lmzoo_options *given, zoo_engine_options *out, lmzoo_error *error)
{
    lmzoo_options o;
    memset(&o, 0, sizeof o);
    if (given) {
        if (given->size < offsetof(lmzoo_options, weights) || given->size > 4096) {
            return lmzoo_fail(error, LMZOO_E_USAGE,
                              "options.size is %u; set it to sizeof(lmzoo_options)", given->size);
        }
        memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    }
    *out = (zoo_engine_options){.weights = o.weights ? o.weights : "auto",
                                .cache = o.cache ? o.cache : "auto",
                                .isa = o.isa,
                                .plugin_dir = o.plugin_dir,
                                .card_dir = o.card_dir,
                                .allow_unknown = o.allow_unknown,
                                .packed_cache = o.packed_cache,
                                .memory = (size_t)o.memory,
                                .n_threads = o.threads,
                                .rows_max = o.rows,
                                .seqs_max = o.sequences,
                                .context_max = o.context,
                                .quiet = true};
    return LMZOO_OK;
}

static void read_clock(zoo_clock *out)
{
    time_t now = time(NULL);
    struct tm t;
    memset(out, 0, sizeof *out);
    if (localtime_r(&now, &t)) {
        *out = (zoo_clock){t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                           t.tm_min,         t.tm_sec,     0};
    }
}

int lmzoo_open(const char *model, const lmzoo_options *options, lmzoo_model **out,
               lmzoo_error *error)
{
    zoo_engine_options o;
    zoo_error why = {0};
    zoo_status status;
    lmzoo_model *m;
    int code = read_options(options, &o, error);
    *out = NULL;
    if (code != LMZOO_OK) {
        return code;
    }
    m = zoo_mem_array(1, sizeof *m);
    if (!m) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for a model");
    }
    o.n_marks = ZOO_SPECULATE_MARKS;
    status = zoo_chat_model_open(model, &o, &m->loaded, &why);
    if (status == ZOO_OK) {
        status = zoo_chat_model_speculate(&m->loaded, "text", 0, 0, &why);
    }
    if (status == ZOO_OK) {
        read_clock(&m->now);
        m->loaded.context.now = &m->now;
        m->loaded.context.usual_max = 16;
        status = zoo_live_new(&m->loaded, &m->live, &why);
    }
    if (status != ZOO_OK) {
        zoo_chat_model_close(&m->loaded);
        zoo_mem_free(m);
        return lmzoo_report(status, &why, error);
    }
    *out = m;
    return LMZOO_OK;
}

void lmzoo_close(lmzoo_model *m)
{
    if (m) {
        zoo_live_free(m->live);
        zoo_chat_model_close(&m->loaded);
        zoo_mem_free(m);
    }
}

static int describe(const zoo_engine *engine, char **json, lmzoo_error *error)
{
    zoo_error why = {0};
    zoo_status status;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    *json = NULL;
    if (!out) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for the description");
    }
    status = zoo_engine_inspect(engine, out, true);
    if (fclose(out) != 0 || status != ZOO_OK) {
        free(text);
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for the description");
    }
    *json = zoo_mem_text(text, n);
    free(text);
    status = *json ? ZOO_OK : zoo_fail(&why, ZOO_E_MEMORY, "no memory for the description");
    return lmzoo_report(status, &why, error);
}

int lmzoo_plan(const char *model, const lmzoo_options *options, char **json, lmzoo_error *error)
{
    char folder[4096];
    zoo_engine_options o;
    zoo_engine *engine = NULL;
    zoo_error why = {0};
    zoo_status status;
    int code = read_options(options, &o, error);
    *json = NULL;
    if (code != LMZOO_OK) {
        return code;
    }
    o.plan_only = true;
    status = zoo_model_folder(model, folder, sizeof folder, &why);
    if (status == ZOO_OK) {
        status = zoo_engine_open(folder, &o, &engine, &why);
    }
    code = status == ZOO_OK ? describe(engine, json, error) : lmzoo_report(status, &why, error);
    zoo_engine_close(engine);
    return code;
}

int lmzoo_inspect(lmzoo_model *m, char **json, lmzoo_error *error)
{
    int code;
    zoo_live_pause(m->live);
    code = describe(m->loaded.engine, json, error);
    zoo_live_resume(m->live);
    return code;
}

static int32_t special(const zoo_tokenizer *tokenizer, zoo_special role)
{
    uint32_t id = tokenizer ? zoo_tokenizer_special(tokenizer, role) : ZOO_ID_NONE;
    return id == ZOO_ID_NONE ? -1 : (int32_t)id;
}

void lmzoo_model_info(const lmzoo_model *m, lmzoo_info *info)
{
    const zoo_plan *plan = zoo_engine_plan(m->loaded.engine);
    const zoo_limits *limits = zoo_engine_limits(m->loaded.engine);
    const zoo_generation *g = &m->loaded.generation;
    lmzoo_info own = {.size = info->size,
                      .vocab_size = plan->vocab_size,
                      .hidden_size = plan->hidden_size,
                      .layers = plan->n_layers,
                      .context = limits->context_max,
                      .sequences = limits->seqs_max,
                      .has_tokenizer = m->loaded.tokenizer != NULL,
                      .has_template = m->loaded.chat != NULL,
                      .bos_token = special(m->loaded.tokenizer, ZOO_SPECIAL_BOS),
                      .eos_token = special(m->loaded.tokenizer, ZOO_SPECIAL_EOS),
                      .pad_token = special(m->loaded.tokenizer, ZOO_SPECIAL_PAD),
                      .threads = limits->n_threads};
    if (own.eos_token < 0 && g->n_eos > 0) {
        own.eos_token = (int32_t)g->eos[0];
    }
    memcpy(info, &own, info->size < sizeof own ? info->size : sizeof own);
}

void lmzoo_model_stats(lmzoo_model *m, lmzoo_stats *stats)
{
    zoo_schedule_stats s = zoo_live_stats(m->live);
    lmzoo_stats own = {.size = stats->size,
                       .running = s.n_running,
                       .waiting = s.n_waiting,
                       .steps = s.n_steps,
                       .prompt_tokens_read = s.n_read,
                       .prompt_tokens_shared = s.n_shared,
                       .tokens_written = s.n_written};
    memcpy(stats, &own, stats->size < sizeof own ? stats->size : sizeof own);
}
