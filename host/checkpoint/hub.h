/*
 * hub.h: resolves a model's name or path to its folder. Reads the environment; opens no connection.
 */
#ifndef ZOO_CHECKPOINT_HUB_H
#define ZOO_CHECKPOINT_HUB_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes into path[n] the folder of a model: `model` itself when it is a folder with config.json,
 * else the snapshot of the repository `name`, `org/name` or either with `@revision` (a branch, a
 * tag or a commit; main by default) in the Hub's local cache: HF_HUB_CACHE, else HF_HOME/hub, else
 * XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. A folder wins over a repository of
 * the same name. ZOO_E_IO: neither is there, or there is no config.json in it; ZOO_E_FORMAT: a
 * reference of the cache is no commit; ZOO_E_LIMIT: path is too short. [load]
 */
zoo_status zoo_model_folder(const char *model, char *path, size_t n, zoo_error *err);

#ifdef __cplusplus
}
#endif

#endif
