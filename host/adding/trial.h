/*
 * trial.h: a card that is tried on a config or a folder, and how much of it does not fit.
 *
 * What does not fit: tensors that are missing, have another shape or are left over (of a folder),
 * and keys that neither the plugin nor the reference's class reads. Layers alike count once.
 * Memory: one open architecture and at most ZOO_MISFITS sentences for each trial.
 */
#ifndef ZOO_ADDING_TRIAL_H
#define ZOO_ADDING_TRIAL_H

#include "config/card.h"
#include "explain/arch.h"

enum { ZOO_MISFITS = 64, ZOO_MISFIT_BYTES = 400 };

/* What cards are tried on. */
typedef struct zoo_trial_subject {
    const char *path; /* a folder, or a config.json alone */
    bool has_tensors;
    const char *plugin_dir, *card_dir;
    const cJSON *options; /* of cards (config/card_options.h); null: any */
} zoo_trial_subject;

typedef struct zoo_trial {
    zoo_card card;                     /* a copy; arch points to it, so a trial is not moved */
    zoo_arch *arch;                    /* null: the config was refused */
    char why[ZOO_MISFIT_BYTES];        /* arch null: the sentence */
    uint32_t n_useless;                /* members of the card that nobody reads */
    uint32_t n_misfits;                /* of tensors */
    char (*misfits)[ZOO_MISFIT_BYTES]; /* [n_misfits, at most ZOO_MISFITS] */
    uint32_t n_unused;                 /* tensors outside the layers that nobody reads */
    char (*unused)[ZOO_MISFIT_BYTES];  /* [n_unused, at most ZOO_MISFITS] */
    uint32_t n_keys;                   /* nobody reads them */
    char (*keys)[ZOO_MISFIT_BYTES];    /* [n_keys, at most ZOO_MISFITS] "key value" */
} zoo_trial;

/* Fills subject from a path. ZOO_E_USAGE: there is nothing of that name. [load] */
zoo_status zoo_trial_subject_open(const char *path, zoo_trial_subject *subject, zoo_error *err);
/* Tries the card. A card that does not fit is a result, not an error; ZOO_E_MEMORY. [load] */
zoo_status zoo_trial_run(const zoo_trial_subject *subject, const cJSON *card, zoo_trial *out,
                         zoo_error *err);
void zoo_trial_free(zoo_trial *trial);
/* The misfit to minimise; 0: it fits completely. */
double zoo_trial_cost(const zoo_trial *trial);

#endif
