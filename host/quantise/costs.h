/*
 * costs.h: what it costs a model that a tensor has four bits: the KL divergence of its predictions
 * from those of the model as it is, with the codes of that tensor alone in place of its weights.
 *
 *   probe = a few windows of the texts;  logits of the model -> p
 *   by the kernels `fast`: logits -> q;  base = mean sum p (log p - log q)
 *   for each tensor: its matrices packed anew from the codes of its part; logits -> q;
 *                    cost = mean sum p (log p - log q) - base;  its matrices as before
 *
 * Fast kernels may round rows to bf16. What that costs by itself is independent of a tensor's
 * error, so it adds the same to all, and is taken off.
 * For small errors the divergences of several tensors add, and each grows with the square of its
 * error, so that one measurement serves all widths. Experts of a block are measured together and
 * share the cost by their errors and rows. Costs are files beside the parts, with
 * which a stopped run goes on.
 *
 * A matrix of which the model keeps another form (turned heads of latents) is left as it is.
 * Memory: float logits of the probe, LOGITS_BYTES at most, one row of them a thread, and one tensor
 * packed a second time.
 */
#ifndef ZOO_QUANTISE_COSTS_H
#define ZOO_QUANTISE_COSTS_H

#include "engine/engine.h"
#include "evaluate/score.h"
#include "quantise/job.h"

/* Called before each measurement. */
typedef void zoo_costs_progress(void *arg, uint32_t done, uint32_t of);

/* Sets the cost of every job, each of which has its part of four bits. fast: kernels of this
 * CPU. ZOO_E_MEMORY, ZOO_E_IO, errors of the engine; weights and kernels are as before
 * after errors too. */
zoo_status zoo_costs_measure(zoo_engine *engine, const zoo_kernels *fast, zoo_jobs *jobs,
                             const zoo_score_texts *texts, zoo_costs_progress *progress, void *arg,
                             zoo_error *err);

#endif
