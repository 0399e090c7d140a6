/*
 * cluster.h: one batch over several ranks: rank 0 reads the requests, deals rows and keeps the
 * journal; every rank, rank 0 too, runs rows as a batch of its own.
 *
 *   rank 0: input -> window -> rows to ranks ... finished lines -> order -> journal
 *   rank k: rows -> reader -> scheduler -> steps -> lines
 *
 * Rows are dealt in proportion to each rank's throughput over the last seconds, and near the end
 * only as many as a rank can finish by the time the others do: a machine four times slower gets a
 * quarter of the rows. The lines equal those of a run on one machine, since no row's bits depend on
 * where it runs or in which batch. Rows of a rank that reports a failure are dealt again. A rank
 * that is killed ends the whole run (Open MPI 4); the journal lets the next start do what is left.
 *
 * Every rank must have the same program, model folder, plugin, card and instruction set; rank 0
 * compares their hashes with its own and refuses a rank in a sentence that names the difference.
 *
 * Threads: the batch runs on the caller's; a second thread owns the link. Memory: the window
 * (window.h) and the rows that are dealt and not finished.
 */
#ifndef ZOO_CLUSTER_CLUSTER_H
#define ZOO_CLUSTER_CLUSTER_H

#include "batch/batch.h"
#include "cluster/link.h"

typedef struct zoo_cluster {
    const zoo_link_ops *link;
    uint32_t rank, n_ranks;
    char files[40]; /* hash of the paths of requests and results, or "" when not compared */
    bool has_dealt; /* rank 0: the other ranks have been told that the run is over */
} zoo_cluster;

/* Whether a launcher's environment says that this is one of several ranks (mpirun of Open MPI). */
bool zoo_cluster_is_launched(void);

/* Loads `lmzoo-<name>.so` and joins the other ranks. ZOO_E_PLUGIN: the library is missing or of
 * another version; ZOO_E_IO: the other ranks cannot be reached. */
zoo_status zoo_cluster_join(const char *name, zoo_cluster *out, zoo_error *err);
/* All ranks leave together. Rank 0 first sends QUIT to the others unless its run has ended them. */
void zoo_cluster_leave(zoo_cluster *cluster);
/* Ends all ranks at once with this exit code. */
void zoo_cluster_abort(const zoo_cluster *cluster, int code);

/* Rank 0: runs the job over all ranks. key: hashes that every rank must match. Errors: as
 * zoo_batch_run; ZOO_E_USAGE: a rank differs and is refused. */
zoo_status zoo_cluster_deal(zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_batch_totals *totals, zoo_error *err);

/* Other ranks: runs the rows that rank 0 deals, with the model of job, which has neither input nor
 * journal. key: this rank's. *now gets rank 0's time for templates. ZOO_E_CANCELLED: rank 0 has
 * nothing to do. A failed run is reported to rank 0, which deals its rows again; that is ZOO_OK. */
zoo_status zoo_cluster_work(const zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_clock *now, zoo_error *err);

#endif
