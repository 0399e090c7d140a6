/*
 * cluster.h: one batch over several ranks: rank 0 reads the requests, deals rows and keeps the
 * journal; every rank, rank 0 too, runs rows as a batch of its own.
 *
 *   rank 0: input -> window -> rows to ranks ... finished lines -> order -> journal
 *   rank k: rows -> reader -> scheduler -> steps -> lines
 *
 * A rank gets rows as it finishes others, measured by what it did in the last seconds, and near the
 * end only what it can finish with the rest: a machine four times slower gets a quarter of the rows
 * and ends with the others. Lines are those of one machine, since no row's bits depend on where or
 * with which others it runs. A rank that fails has its rows dealt again; one that is killed ends
 * the run with it (Open MPI 4), and the journal lets the next start do what is left.
 *
 * Every rank must have the same program, model folder, plugin, card and instruction set; rank 0
 * compares their hashes with its own and refuses by name.
 *
 * Threads: the run has the caller's; one more has the link. Memory: window.h, and what was dealt
 * until it is finished.
 */
#ifndef ZOO_CLUSTER_CLUSTER_H
#define ZOO_CLUSTER_CLUSTER_H

#include "batch/batch.h"
#include "cluster/link.h"

typedef struct zoo_cluster {
    const zoo_link_ops *link;
    uint32_t rank, n_ranks;
    char files[40]; /* hash of the names of requests and results, "" where nobody set it */
    bool has_dealt; /* rank 0: the others know that it is over */
} zoo_cluster;

/* Whether a launcher's environment says that this is one of several ranks (mpirun of Open MPI). */
bool zoo_cluster_is_launched(void);

/* Loads `lmzoo-<name>.so` and joins. ZOO_E_PLUGIN: not there, or none of ours; ZOO_E_IO: the other
 * ranks cannot be reached. */
zoo_status zoo_cluster_join(const char *name, zoo_cluster *out, zoo_error *err);
/* All ranks leave together, in order; rank 0 first tells those that never got to a run. */
void zoo_cluster_leave(zoo_cluster *cluster);
/* Ends all ranks at once with this exit code. */
void zoo_cluster_abort(const zoo_cluster *cluster, int code);

/* Rank 0: the job over all ranks. key: what the other ranks must agree in. As zoo_batch_run. */
zoo_status zoo_cluster_deal(zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_batch_totals *totals, zoo_error *err);

/* Other ranks: the model is open. key: of this rank. now: where the time is put that templates
 * see. job has neither input nor journal. ZOO_E_CANCELLED: rank 0 has nothing to do. A run that
 * fails is told to rank 0, which deals its rows again, and is ZOO_OK here. */
zoo_status zoo_cluster_work(const zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_clock *now, zoo_error *err);

#endif
