/* options.h: how a model is opened: number formats, limits, where plugins and cards are. */
#ifndef ZOO_MODEL_OPTIONS_H
#define ZOO_MODEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zoo_ring;

typedef struct zoo_model_options {
    const char *weights;    /* "auto", "f32", "bf16", "int8", "int6", "int4", "int4-all" */
    const char *cache;      /* "auto", a kind, or kinds of single streams (model/cache_choice.h) */
    const char *isa;        /* null: the best */
    const char *plugin_dir; /* null: beside the program, then the installed place */
    const char *card_dir;
    const char *const *allow_unknown; /* config keys, null-ended, or null */
    const char *packed_cache;         /* folder where packed weights are kept, "auto", or null */
    size_t reserve;        /* of memory that caches leave to others, up to half of what they have */
    size_t memory;         /* bytes for weights and caches; 0: three quarters of the machine's */
    uint32_t n_threads;    /* 0: one per core */
    uint32_t rows_max;     /* rows of a step; 0: 512 */
    uint32_t seqs_max;     /* sequences alive; 0: 64 */
    uint32_t context_max;  /* positions of a sequence; 0: the model's, at most 8192 */
    uint32_t n_marks;      /* sequences with states whose last step can be taken back at once */
    bool predicts;         /* the prediction layer alone, whose head zoo_engine_lend_head gives */
    bool plan_only;        /* stop after the plan: no weights are read (inspect, plan) */
    bool strict;           /* a config key that the reference does not read is refused */
    bool quiet;            /* no progress line */
    bool tells_kinds;      /* a line on stderr: how matrices are packed, and why; without it only
                              where stored codes are rounded a second time */
    bool pin;              /* each thread stays on a core of its own */
    struct zoo_ring *ring; /* ranks that have the layers (model/ring.h), or null: all are here */
    /* plan_only from config.json alone: no tensors are looked at, and keys that nobody computes are
     * left to zoo_model_config_check. */
    bool config_only;
    struct zoo_problems *problems; /* collects all refusals; null: the first one ends the opening */
    const char *config_text; /* with config_only: the config itself; the folder only names it */
    /* The card to use, whatever types it names, instead of those of card_dir; or null. */
    const struct zoo_card *card;
} zoo_model_options;

#endif
