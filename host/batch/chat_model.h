/*
 * chat_model.h: a model opened with everything that generation needs: engine, tokenizer, template,
 * output format, sampling defaults. Shared by the commands run, batch, serve and chat.
 *
 * A folder without a tokenizer or a template opens too; requests that need one are refused then. A
 * tokenizer that is there and cannot be read is an error.
 */
#ifndef ZOO_BATCH_CHAT_MODEL_H
#define ZOO_BATCH_CHAT_MODEL_H

#include "batch/request.h"
#include "checkpoint/generation.h"
#include "engine/engine.h"
#include "generate/schedule.h"
#include "text/output/output.h"

typedef struct zoo_chat_model {
    char folder[4096];
    char name[256]; /* last part of the folder's path, or what the user wrote */
    zoo_engine *engine;
    zoo_tokenizer *tokenizer; /* null: none in the folder */
    zoo_template *chat;       /* null: none in the folder */
    zoo_vocab *vocab;         /* of the tokenizer, for constrained output */
    zoo_grammars *grammars;   /* of vocab */
    char note[1024];          /* what the user should know, a line without its end; or "" */
    char **marks;             /* special tokens that are marks of format, null-ended; null: none */
    uint32_t *hidden; /* bits of special tokens that are no marks of format; null without one */
    zoo_output_format *format; /* how its chats mark reasoning and calls; null: not at all */
    zoo_generation generation;
    zoo_request_context context;
    zoo_speculation speculation; /* off until zoo_chat_model_speculate; its draft is this one's */
} zoo_chat_model;

/* model: folder or name in the Hub's cache. On error nothing is left open. [load] */
zoo_status zoo_chat_model_open(const char *model, const zoo_engine_options *options,
                               zoo_chat_model *out, zoo_error *err);
/* For a model whose prediction layer drafts (options->predicts): opens that layer, gives of_main,
 * the options to open the model itself with, and joins the two. ZOO_E_USAGE: it has none, or none
 * that can draft. [load] */
zoo_status zoo_chat_model_open_layers(const char *folder, const zoo_engine_options *options,
                                      zoo_engine_options *of_main, zoo_engine **out,
                                      zoo_error *err);
zoo_status zoo_chat_model_join_layers(const zoo_engine *engine, zoo_engine *layers,
                                      const char *folder, zoo_error *err);
/* The same beside a draft model, or with options->predicts the prediction layer, which is opened
 * first and may hold a quarter of the memory, or half where it must. draft: folder or name, null:
 * none; draft_weights: how its weights are packed, null: as the model's. It must have the same
 * tokens. [load] */
zoo_status zoo_chat_model_open_with(const char *model, const char *draft, const char *draft_weights,
                                    const zoo_engine_options *options, zoo_chat_model *out,
                                    zoo_error *err);
/* What grammars may take of memory, all together. */
void zoo_chat_model_limit(zoo_chat_model *loaded, size_t grammar_bytes_max);
/* Turns drafts on for rows that run with it: word of zoo_speculate_read, n_always and pool_bytes of
 * zoo_speculation. Costs of steps are measured where they are needed. [load] */
zoo_status zoo_chat_model_speculate(zoo_chat_model *loaded, const char *word, uint32_t n_always,
                                    size_t pool_bytes, zoo_error *err);
void zoo_chat_model_close(zoo_chat_model *loaded);

#endif
