/*
 * plugin.h: the one exported name of a plugin and how it is checked.
 *
 * A plugin exports one constant, `zoo_plugin_entry`: data, not code. Before any code of the plugin
 * runs, the host compares the stamp field by field with its own and refuses a difference, naming
 * file, field and both values. There is no init and no deinit: a plugin holds no state.
 *
 * Versions: major changes when an existing field changes, minor when something is appended. Tables
 * start with their size; a reader treats what lies beyond it as null.
 */
#ifndef ZOO_PLUGIN_H
#define ZOO_PLUGIN_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZOO_ABI_MAJOR = 5, ZOO_ABI_MINOR = 0 };

/* No padding. It holds the size of every shared struct that does not begin with a size field. */
typedef struct zoo_stamp {
    char magic[8]; /* "lmzoo\0\1\n" */
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t size_stamp;
    uint32_t size_bind;
    uint32_t size_stream;
    uint32_t size_part;
    uint32_t size_branch;
    uint32_t size_layer;
    uint32_t size_seq;
    uint32_t size_weight;
    uint32_t size_norm;
    uint32_t size_key;
    uint32_t size_rowmap;
    uint32_t size_table;
    uint32_t size_error;
    uint32_t size_segment;
    uint32_t size_gemm;
    uint32_t size_gemm_slots;
    uint32_t size_norm_args;
    uint32_t size_rope_args;
    uint32_t size_attend_args;
    uint32_t size_conv_args;
    uint32_t size_ssm_args;
    uint32_t size_scan_args;
    uint32_t size_delta_args;
    uint32_t size_index_args;
    uint32_t size_cache_vector;
    uint32_t panel; /* ZOO_PANEL */
    uint32_t page;  /* ZOO_PAGE */
} zoo_stamp;

/* clang-format off */
#define ZOO_STAMP                                                                                  \
    {                                                                                              \
        {'l', 'm', 'z', 'o', 'o', '\0', '\1', '\n'}, ZOO_ABI_MAJOR, ZOO_ABI_MINOR,                 \
            sizeof(zoo_stamp), sizeof(zoo_bind), sizeof(zoo_stream), sizeof(zoo_part),             \
            sizeof(zoo_branch), sizeof(zoo_layer), sizeof(zoo_seq), sizeof(zoo_weight),            \
            sizeof(zoo_norm), sizeof(zoo_key), sizeof(zoo_rowmap), sizeof(zoo_table),              \
            sizeof(zoo_error), sizeof(zoo_segment), sizeof(zoo_gemm),                              \
            sizeof(zoo_gemm_slots), sizeof(zoo_norm_args), sizeof(zoo_rope_args),                  \
            sizeof(zoo_attend_args), sizeof(zoo_conv_args), sizeof(zoo_ssm_args),                  \
            sizeof(zoo_scan_args), sizeof(zoo_delta_args), sizeof(zoo_index_args),                 \
            sizeof(zoo_cache_vector), ZOO_PANEL, ZOO_PAGE                                          \
    }
/* clang-format on */

/* What to do with a config key. */
typedef enum zoo_key_rule {
    ZOO_KEY_READ = 0,    /* any value is computed; configure reads it */
    ZOO_KEY_IGNORED = 1, /* the reference does not read it either; `note` says so in inspect */
    ZOO_KEY_IS = 2       /* only values in `note` (JSON text, several by '|'); others are refused */
} zoo_key_rule;

typedef struct zoo_key {
    const char *key; /* null ends the list */
    uint32_t rule;   /* zoo_key_rule */
    const char *note;
} zoo_key;

typedef struct zoo_plugin {
    zoo_stamp stamp;
    uint32_t size;
    uint32_t reserved;
    const char *name; /* the file's name without its suffix */
    const char *version;
    const char *licence;
    const char *summary;
    const char *const *needs;           /* ids that the host must offer, null-ended, or null */
    const zoo_block_ops *const *mixers; /* null-ended, or null */
    const zoo_block_ops *const *ffns;   /* null-ended, or null */
    const zoo_block_ops *const *layers; /* null-ended, or null */
    const zoo_cache_ops *const *caches; /* null-ended, or null; for any model, not only its own */
    const zoo_key *keys;                /* config keys that it reads */
    /* How well it fits this config; 0: not at all. Writes the reason, a phrase, to why [n].
     * [load] */
    uint32_t (*probe)(const zoo_config *config, char *why, size_t n);
    /* Fills the plan; no files, no arithmetic on weights. [load] */
    zoo_status (*configure)(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                            zoo_error *err);
} zoo_plugin;

#define ZOO_PLUGIN_SYMBOL "zoo_plugin_entry"

#ifdef __cplusplus
}
#endif

#endif
