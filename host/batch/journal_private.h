/* journal_private.h: what journal.c (opening) and journal_keep.c (writing) share. */
#ifndef ZOO_BATCH_JOURNAL_PRIVATE_H
#define ZOO_BATCH_JOURNAL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "batch/journal.h"

enum { PATH_MAX_BYTES = 4096 };

typedef struct zoo_log {
    char path[PATH_MAX_BYTES];
    int fd;
    dev_t device; /* of the file, to see whether the path still leads to it */
    ino_t inode;
    uint64_t n_old;     /* lines found there */
    double dirty_since; /* 0: everything is on the disk; under the lock of the journal */
} zoo_log;

struct zoo_journal {
    zoo_log results, errors;
    char path[PATH_MAX_BYTES];
    int lock;
    bool is_stream; /* results go into a pipe or device, refused lines too; no journal */
    zoo_idmap done;
    zoo_journal_key key;
    off_t key_bytes; /* of the file, before the progress line */
    char last_progress[ZOO_PROGRESS_BYTES + 1];
    uint64_t n_errors;
    /* The keeper's. */
    pthread_t keeper;
    bool keeps;
    const volatile sig_atomic_t *stop;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;
    bool ends;
    char progress[ZOO_PROGRESS_BYTES + 1];
    bool has_progress;
    zoo_status status;
    zoo_error error;
};

#endif
