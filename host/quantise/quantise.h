/*
 * quantise.h: quantises a checkpoint to 4 to 8 bits a weight, with or without a calibration text.
 *
 *   for each round of as many tensors as there is memory for their moments:
 *     run the text through the model -> moments (moments.h) -> factors (factor.h)
 *     -> codes of 4, 5, 6 and 8 bits, with their errors (feedback.h) -> parts on disk (job.h)
 *   then, where the budget leaves a choice, what each tensor's error costs the model (costs.h);
 *   spend the bits (bits.h); write the folder (folder.h)
 *
 * Activations are those of the unquantised model, so a matrix's codes do not depend on other
 * matrices, and an interrupted run resumes with its parts to the same bytes. The error of a matrix
 * is the squared error of its outputs over their squares.
 *
 * Memory: the model, moments up to the model's size but at least one H, and one matrix's codes.
 */
#ifndef ZOO_QUANTISE_QUANTISE_H
#define ZOO_QUANTISE_QUANTISE_H

#include "engine/engine.h"
#include "evaluate/score.h"

typedef struct zoo_quantise_options {
    const char *folder;           /* output; created if missing */
    double bits;                  /* budget per weight, over all quantised matrices */
    const zoo_score_texts *texts; /* calibration texts; null: plain rounding */
    const char *text_name;        /* file, for lmzoo_quantise.json; null: none */
    uint64_t text_hash;
    uint64_t n_own; /* tokens of the texts that the model wrote (own_text.h) */
    bool shows_progress;
    bool any_isa; /* costs are measured by the CPU's best instruction set, not by the engine's */
} zoo_quantise_options;

typedef struct zoo_quantise_report {
    uint32_t n_matrices;
    uint32_t n_kinds[4]; /* of them with 4, 5, 6 and 8 bits */
    uint32_t n_resumed;  /* matrices whose parts existed */
    uint32_t n_unseen;   /* matrices without activations in the text */
    uint32_t n_damped;   /* matrices whose factor needed more damping */
    uint32_t n_stacked;  /* stacks, and those stored as [inputs, outputs]: no modules of others */
    uint32_t n_experts;  /* others of which one bind row takes several: experts stored one by one */
    uint64_t n_tokens;   /* of text run */
    double bits;         /* per weight */
    double kl;           /* expected on the texts, from single measurements; 0: not measured */
} zoo_quantise_report;

/* The instruction set with which the engine must be opened: the best whose products take float32
 * rows. */
const char *zoo_quantise_isa(void);

/* ZOO_E_USAGE: the budget is below int4's bits, or the folder holds a checkpoint;
 * ZOO_E_UNSUPPORTED: no OpenBLAS, or a quantised model; ZOO_E_MEMORY, ZOO_E_IO. After an error the
 * finished parts remain. */
zoo_status zoo_quantise_run(zoo_engine *engine, const zoo_quantise_options *options,
                            zoo_quantise_report *report, zoo_error *err);

#endif
