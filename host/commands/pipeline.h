/*
 * pipeline.h: a command whose model lies on several ranks (--pipeline): rank 0 runs the command,
 * the others open the same model and compute their layers until it is closed.
 */
#ifndef ZOO_COMMANDS_PIPELINE_H
#define ZOO_COMMANDS_PIPELINE_H

#include "commands/commands.h"

/* Runs the command with args, which are read; its exit code, or that of this rank. */
int zoo_pipeline_run(const zoo_command *command, void *args);

#endif
