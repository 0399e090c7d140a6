/*
 * own_text.h: text that a model writes itself, at temperature 1, to calibrate with: it covers what
 * the model knows, where a text of one kind covers that kind. Rows go on from the begin token,
 * every other one from that and a token of the whole vocabulary, as LLM-QAT (Liu et al. 2023)
 * begins: a released model was calibrated better so for text of another kind (docs/decisions.md).
 *
 * Rows go on behind end tokens, as documents follow each other in training. The draws are hashes of
 * row and position, so the text depends on the model alone.
 */
#ifndef ZOO_QUANTISE_OWN_TEXT_H
#define ZOO_QUANTISE_OWN_TEXT_H

#include "engine/engine.h"
#include "evaluate/score.h"

/*
 * Adds texts of limits.context_max tokens to `texts`, as many as make n_tokens at least.
 * generation: the model's end tokens; a model without a begin token (texts->begin -1) starts from
 * the first of them, or from token 0. ZOO_E_MEMORY; errors of the engine.
 */
zoo_status zoo_own_text_add(zoo_engine *engine, const zoo_generation *generation, uint32_t n_tokens,
                            zoo_score_texts *texts, zoo_error *err);

#endif
