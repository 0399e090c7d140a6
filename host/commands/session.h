/* session.h: what the commands share that keep a model open for requests (batch, chat, serve). */
#ifndef ZOO_COMMANDS_SESSION_H
#define ZOO_COMMANDS_SESSION_H

#include "batch/journal.h"
#include "commands/options.h"

/* handler gets the first SIGINT and SIGTERM; a second one ends the program at once. A reader that
 * goes away is an error of writing, not a signal. */
void zoo_session_signals(void (*handler)(int number));
/* The local time as 2026-01-02T03:04:05. */
void zoo_session_time(char text[24]);
/* The memory limit of a request, of all waiting and running requests, and of grammars, each: an
 * eighth of what the options allow, 1 to 256 MiB. */
size_t zoo_session_share(const zoo_engine_options *options);
/* Bytes of them that rows take which read ahead by what others said (--speculate file); else 0. */
size_t zoo_session_drafts(const zoo_common *common);
/* What can change a result, as text; threads and sizes of steps cannot. The instruction set stands
 * in the key by the name of what computes. */
void zoo_session_options(const zoo_common *common, uint64_t seed, char text[400]);
/* Instruction set, plugin and card of the key. */
void zoo_session_engine(const zoo_engine *engine, zoo_journal_key *key);

#endif
