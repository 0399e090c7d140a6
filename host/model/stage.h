/*
 * stage.h: which layers of a model this rank has.
 *
 * Layers are dealt so that the slowest rank has as little to do as possible, estimated from packed
 * bytes; rank 0 also has what stands before and behind the layers, and may have no layer. Layers
 * that read the cache of an earlier one stay on its rank. What blocks share over layers within a
 * step (zoo_ctx.memo) travels with the rows.
 */
#ifndef ZOO_MODEL_STAGE_H
#define ZOO_MODEL_STAGE_H

#include "model/bound_model.h"

/* Chooses this rank's layers after ZOO_BIND_CHECK, and leaves the streams of the others to other
 * ranks. ZOO_E_USAGE: more ranks than the layers can be dealt to. [load] */
zoo_status zoo_stage_choose(zoo_model *model, zoo_error *err);
/* Agrees with the other ranks in bytes of caches, where this rank has room for `mine`; all streams
 * of all ranks count in *out. [load] */
zoo_status zoo_stage_room(zoo_model *model, size_t mine, size_t *out, zoo_error *err);

/*
 * Where cuts[k] is the first layer of rank k + 1, k < n_ranks - 1: costs [n_layers]; ends: of rank
 * 0 besides; source [n_layers]: the first layer whose cache it reads, or itself. False: there are
 * not so many places to cut.
 */
bool zoo_stage_cut(const double *costs, const uint32_t *source, uint32_t n_layers, double ends,
                   uint32_t n_ranks, uint32_t *cuts);

#endif
