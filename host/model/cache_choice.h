/*
 * cache_choice.h: which cache kind keeps which streams, from --cache or the card.
 *
 *   SPEC := ENTRY {"," ENTRY}     ENTRY := KIND | STREAM "=" KIND     "int8"  "k=int8,v=int4"
 *
 * KIND is looked up among the host's kinds, those of the model's own plugin, then those of the
 * folder's other plugins. Streams that no entry covers are kept as with `auto`.
 */
#ifndef ZOO_MODEL_CACHE_CHOICE_H
#define ZOO_MODEL_CACHE_CHOICE_H

#include "model/bound_model.h"

/*
 * Fills model->cache_kinds. spec null or "auto": what the card says, unless float32 weights are
 * asked for; else f32, or bf16 with narrow weights. ZOO_E_USAGE: a malformed spec or an unknown
 * kind. [load]
 */
zoo_status zoo_model_choose_caches(zoo_model *model, const char *spec, const char *plugin_dir,
                                   zoo_error *err);

/* Refuses a stream name that the model lacks, and a kind that suits none of its streams. Call it
 * after the streams are laid out. [load] */
zoo_status zoo_model_judge_caches(const zoo_model *model, zoo_error *err);

/* Calls fn for each stream of a layer's blocks that keeps rows, in order. [load] */
void zoo_model_streams(const zoo_model *model, void (*fn)(void *arg, const zoo_stream *stream),
                       void *arg);

#endif
