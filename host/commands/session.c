/* session.c: see session.h. */
#include "commands/session.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file_hash.h"
#include "generate/schedule.h"

void zoo_session_signals(void (*handler)(int number))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

void zoo_session_time(char text[24])
{
    time_t now = time(NULL);
    struct tm parts;
    if (!localtime_r(&now, &parts) || strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        (void)snprintf(text, 24, "1970-01-01T00:00:00");
    }
}

size_t zoo_session_share(const zoo_engine_options *options)
{
    const size_t least = (size_t)1 << 20, most = (size_t)256 << 20;
    size_t share = zoo_engine_memory_limit(options) / 8;
    return share < least ? least : share > most ? most : share;
}

size_t zoo_session_drafts(const zoo_common *common)
{
    zoo_speculate kind = ZOO_SPECULATE_OFF;
    bool pools = common->speculate && zoo_speculate_read(common->speculate, &kind) &&
                 kind == ZOO_SPECULATE_FILE;
    return pools ? zoo_session_share(&common->engine) / 4 : 0;
}

void zoo_session_options(const zoo_common *common, uint64_t seed, char text[400])
{
    const zoo_engine_options *e = &common->engine;
    size_t n = (size_t)snprintf(text, 400, "lmzoo %s weights=%s cache=%s context=%u seed=%llu",
                                LMZOO_VERSION, e->weights, e->cache, e->context_max,
                                (unsigned long long)seed);
    for (uint32_t i = 0; i < common->allow_unknown.n && n < 400; i++) {
        n += (size_t)snprintf(text + n, 400 - n, " allow=%s", common->allow_unknown.items[i]);
    }
}

void zoo_session_engine(const zoo_engine *engine, zoo_journal_key *key)
{
    const char *card = zoo_engine_card_path(engine);
    (void)snprintf(key->isa, sizeof key->isa, "%s", zoo_engine_kernels(engine)->isa);
    (void)snprintf(key->card, sizeof key->card, "none");
    (void)zoo_file_hash(zoo_engine_plugin_path(engine), key->plugin, sizeof key->plugin);
    if (card) {
        (void)zoo_file_hash(card, key->card, sizeof key->card);
    }
}
