/*
 * options.h: rows of options and the one reader of command lines.
 *
 * A row says where its value goes as an offset into the command's arguments, a struct that begins
 * with a zoo_common. So rows are constants, and help, man pages and completions (pages.h) are
 * written from what the reader itself goes by.
 *
 * `--name value` and `--name=value` are the same; `--` ends the options. What is wrong is one
 * sentence, and an unknown option names the nearest known one.
 */
#ifndef ZOO_COMMANDS_OPTIONS_H
#define ZOO_COMMANDS_OPTIONS_H

#include "engine/engine.h"

enum { ZOO_POSITIONAL_MAX = 4096, ZOO_ALLOW_MAX = 64 };

typedef enum zoo_option_kind {
    ZOO_OPTION_FLAG,   /* bool */
    ZOO_OPTION_TEXT,   /* const char *, into argv */
    ZOO_OPTION_COUNT,  /* uint32_t */
    ZOO_OPTION_SIZE,   /* size_t, with K, M, G, T or none: powers of 1024 */
    ZOO_OPTION_NUMBER, /* double */
    ZOO_OPTION_SEED,   /* uint64_t */
    ZOO_OPTION_LIST    /* zoo_option_list: may be given several times */
} zoo_option_kind;

typedef struct zoo_option_list {
    const char *items[ZOO_ALLOW_MAX + 1]; /* null-ended */
    uint32_t n;
} zoo_option_list;

typedef struct zoo_option {
    const char *name; /* "--max-tokens"; null ends a table */
    char letter;      /* 'p' for -p, or 0 */
    zoo_option_kind kind;
    size_t offset; /* of the value in the command's arguments */
    /* The value in the help, or null for a flag. FILE, DIR and MODEL are completed as paths,
     * a|b|c as these words. */
    const char *argument;
    const char *help; /* a phrase; the default in brackets at its end */
} zoo_option;

/* Ends a table of options. */
#define ZOO_OPTIONS_END                                                                            \
    {                                                                                              \
        NULL, 0, ZOO_OPTION_FLAG, 0, NULL, NULL                                                    \
    }

/* What every command reads besides its own; zero where nothing was said. */
typedef struct zoo_common {
    zoo_engine_options engine; /* where the command takes them: zoo_options_model */
    zoo_option_list allow_unknown;
    const char *positional[ZOO_POSITIONAL_MAX]; /* arguments that are no options, in order */
    uint32_t n_positional;
    const char *speculate;     /* null: the command does not speculate */
    uint32_t n_drafts;         /* with it; 0: as many as pay */
    bool pipeline;             /* the ranks of the run have the layers */
    uint32_t n_micro_batches;  /* with it: micro-batches under way; 0: what is usual */
    const char *draft;         /* a model that drafts; null: none */
    const char *draft_weights; /* as engine.weights, of that one; null: the same */
    bool help;
} zoo_common;

/* --help alone; and the options of every command that opens a model, which begin with --weights. */
extern const zoo_option zoo_options_help[];
extern const zoo_option zoo_options_model[];

/* Rows for commands that generate; their defaults say what --speculate is otherwise. */
#define ZOO_OPTIONS_SPECULATE(otherwise)                                                           \
    {"--speculate",                                                                                \
     0,                                                                                            \
     ZOO_OPTION_TEXT,                                                                              \
     offsetof(zoo_common, speculate),                                                              \
     "off|text|file|mtp",                                                                          \
     "draft tokens from the row's own text, also from what other rows said (file) or from the "    \
     "model's own prediction layer (mtp), and verify them in one step, where that saves time; "    \
     "the tokens stay the same (" otherwise ")"},                                                  \
    {                                                                                              \
        "--draft-tokens", 0, ZOO_OPTION_COUNT, offsetof(zoo_common, n_drafts), "N",                \
            "draft this many in every step, whether it saves time or not (0: as many as pay)"      \
    }

/* Rows for commands whose model may lie on several ranks (pipeline.h). */
#define ZOO_OPTIONS_PIPELINE                                                                       \
    {"--pipeline",                                                                                 \
     0,                                                                                            \
     ZOO_OPTION_FLAG,                                                                              \
     offsetof(zoo_common, pipeline),                                                               \
     NULL,                                                                                         \
     "each rank that mpirun or srun started has a part of the layers alone, for models that do "   \
     "not "                                                                                        \
     "fit one machine; the bytes stay the same"},                                                  \
    {                                                                                              \
        "--micro-batches", 0, ZOO_OPTION_COUNT, offsetof(zoo_common, n_micro_batches), "N",        \
            "with --pipeline: steps under way at once, each with its part of the rows (as many "   \
            "as there are ranks)"                                                                  \
    }

/* Rows for commands that open a draft model beside theirs. */
#define ZOO_OPTIONS_DRAFT                                                                          \
    {"--draft",                                                                                    \
     0,                                                                                            \
     ZOO_OPTION_TEXT,                                                                              \
     offsetof(zoo_common, draft),                                                                  \
     "MODEL",                                                                                      \
     "a smaller model of the same tokenizer, whose drafts are verified where that saves time "     \
     "(none)"},                                                                                    \
    {                                                                                              \
        "--draft-weights", 0, ZOO_OPTION_TEXT, offsetof(zoo_common, draft_weights),                \
            "auto|f32|bf16|int8|int6|int4|int4-all",                                               \
            "how the draft model's weights are packed (as --weights)"                              \
    }

/*
 * Reads argv[1 ..] into args, which begins with a zoo_common and holds the defaults. tables: up to
 * four, null where there are fewer. ZOO_E_USAGE names the argument.
 */
typedef struct zoo_option_tables {
    const zoo_option *tables[4];
} zoo_option_tables;
zoo_status zoo_options_read(int argc, char **argv, const zoo_option_tables *tables, void *args,
                            zoo_error *err);
/* After the options of a model: the kind of weights is judged, what was not said is "auto". Kinds
 * of caches are judged when the model and its plugins are known. */
zoo_status zoo_options_judge_model(zoo_common *common, zoo_error *err);

/* Whether kind[n] is auto, f32, bf16, int8 or int4. */
bool zoo_options_weights_known(const char *kind, size_t n);

/* "1,2,3" as ids; *tokens [*n] for zoo_mem_free. */
zoo_status zoo_tokens_read(const char *list, int32_t **tokens, uint32_t *n, zoo_error *err);

/* Edits from one word to another (insertions, deletions, replacements); SIZE_MAX: b is too long. */
size_t zoo_word_distance(const char *a, const char *b);

#endif
