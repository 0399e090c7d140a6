/*
 * journal_keep.c: lines into the files, and the thread that keeps them (journal.h).
 *
 * The keeper looks five times a second. It syncs outside the lock, so that no line waits for the
 * disk.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/system.h"
#include "base/thread.h"
#include "batch/journal_private.h"

/* Sooner than the five seconds that are promised: a sync takes its time. */
#define SYNC_SECONDS  3.0
#define LOOK_SECONDS  0.2
#define LEAVE_SECONDS 1.5
#define THERE_SECONDS 1.0

/* ---- writing ---- */

static zoo_status append(zoo_journal *j, zoo_log *log, const char *line, size_t n, zoo_error *err)
{
    for (size_t at = 0; at < n;) {
        ssize_t written = write(log->fd, line + at, n - at);
        if (written < 0 && errno != EINTR) {
            return zoo_fail(err, ZOO_E_IO, "%s: %s", log->path, strerror(errno));
        }
        at += written > 0 ? (size_t)written : 0;
    }
    if (j->keeps) {
        (void)pthread_mutex_lock(&j->mutex);
        log->dirty_since = log->dirty_since > 0.0 ? log->dirty_since : zoo_clock_seconds();
        (void)pthread_mutex_unlock(&j->mutex);
    }
    return ZOO_OK;
}

zoo_status zoo_journal_result(zoo_journal *j, const char *line, size_t n, zoo_error *err)
{
    return append(j, &j->results, line, n, err);
}

zoo_status zoo_journal_error(zoo_journal *j, const char *line, size_t n, zoo_error *err)
{
    j->n_errors++;
    return append(j, j->errors.fd >= 0 ? &j->errors : &j->results, line, n, err);
}

/* ---- the keeper ---- */

static void note(zoo_journal *j, const char *path, const char *what)
{
    (void)pthread_mutex_lock(&j->mutex);
    if (j->status == ZOO_OK) {
        j->status = zoo_fail(&j->error, ZOO_E_IO, "%s: %s", path, what);
    }
    (void)pthread_mutex_unlock(&j->mutex);
}

static void sync_log(zoo_journal *j, zoo_log *log, double after)
{
    (void)pthread_mutex_lock(&j->mutex);
    bool due = log->dirty_since > 0.0 && zoo_clock_seconds() - log->dirty_since >= after;
    log->dirty_since = due ? 0.0 : log->dirty_since;
    (void)pthread_mutex_unlock(&j->mutex);
    if (due && zoo_system_sync(log->fd) != 0 && errno != EINVAL && errno != EROFS) {
        note(j, log->path, strerror(errno));
    }
}

static void look_after(zoo_journal *j, const zoo_log *log)
{
    struct stat info;
    if (log->fd < 0 || j->is_stream) {
        return;
    }
    if (stat(log->path, &info) != 0 || info.st_ino != log->inode || info.st_dev != log->device) {
        note(j, log->path, "the file vanished or was replaced while it was written");
    }
}

/* The line after the key, filled with blanks so that a later one covers it. */
static void put_progress(zoo_journal *j)
{
    char line[ZOO_PROGRESS_BYTES];
    (void)pthread_mutex_lock(&j->mutex);
    bool fresh = j->has_progress;
    size_t n = strlen(j->progress);
    memset(line, ' ', sizeof line);
    memcpy(line, j->progress, n < sizeof line ? n : sizeof line - 1);
    line[sizeof line - 1] = '\n';
    j->has_progress = false;
    (void)pthread_mutex_unlock(&j->mutex);
    if (fresh && j->lock >= 0 &&
        pwrite(j->lock, line, sizeof line, j->key_bytes) != (ssize_t)sizeof line) {
        note(j, j->path, strerror(errno));
    }
}

/* The run has been asked to end and has not: what is written is whole lines, or a torn one that the
 * next run cuts off. */
static void leave(zoo_journal *j, int number)
{
    put_progress(j);
    (void)zoo_system_sync(j->results.fd);
    if (j->errors.fd >= 0) {
        (void)zoo_system_sync(j->errors.fd);
    }
    _exit(128 + number);
}

static void *keep(void *arg)
{
    zoo_journal *j = arg;
    double stopped = 0.0, looked = zoo_clock_seconds();
    bool ends = false;
    while (!ends) {
        struct timespec until = zoo_cond_deadline((int32_t)(LOOK_SECONDS * 1000));
        (void)pthread_mutex_lock(&j->mutex);
        if (!j->ends) {
            (void)pthread_cond_timedwait(&j->wake, &j->mutex, &until);
        }
        ends = j->ends;
        (void)pthread_mutex_unlock(&j->mutex);
        double now = zoo_clock_seconds();
        sync_log(j, &j->results, SYNC_SECONDS);
        sync_log(j, &j->errors, SYNC_SECONDS);
        if (now - looked >= THERE_SECONDS) {
            looked = now;
            look_after(j, &j->results);
            look_after(j, &j->errors);
            put_progress(j);
        }
        if (j->stop && *j->stop) {
            stopped = stopped > 0.0 ? stopped : now;
            if (!ends && now - stopped >= LEAVE_SECONDS) {
                leave(j, (int)*j->stop);
            }
        }
    }
    return NULL;
}

zoo_status zoo_journal_keep(zoo_journal *j, const volatile sig_atomic_t *stop, zoo_error *err)
{
    (void)pthread_mutex_init(&j->mutex, NULL);
    zoo_cond_start(&j->wake);
    j->stop = stop;
    j->keeps = true;
    if (!zoo_thread_start(&j->keeper, keep, j)) {
        j->keeps = false;
        (void)pthread_cond_destroy(&j->wake);
        (void)pthread_mutex_destroy(&j->mutex);
        return zoo_fail(err, ZOO_E_MEMORY, "no thread to keep the results");
    }
    return ZOO_OK;
}

zoo_status zoo_journal_check(zoo_journal *j, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    if (j && j->keeps) {
        (void)pthread_mutex_lock(&j->mutex);
        status = j->status;
        if (status != ZOO_OK && err) {
            *err = j->error;
        }
        (void)pthread_mutex_unlock(&j->mutex);
    }
    return status;
}

void zoo_journal_progress(zoo_journal *j, const char *json)
{
    if (j && j->keeps) {
        (void)pthread_mutex_lock(&j->mutex);
        (void)snprintf(j->progress, sizeof j->progress, "%s", json);
        j->has_progress = true;
        (void)pthread_mutex_unlock(&j->mutex);
    }
}

static void end_keeper(zoo_journal *j)
{
    (void)pthread_mutex_lock(&j->mutex);
    j->ends = true;
    (void)pthread_cond_signal(&j->wake);
    (void)pthread_mutex_unlock(&j->mutex);
    (void)pthread_join(j->keeper, NULL);
    put_progress(j);
    look_after(j, &j->results);
    look_after(j, &j->errors);
}

zoo_status zoo_journal_close(zoo_journal *j, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    zoo_log *logs[2];
    if (!j) {
        return ZOO_OK;
    }
    if (j->keeps) {
        end_keeper(j);
        status = zoo_journal_check(j, err);
        (void)pthread_cond_destroy(&j->wake);
        (void)pthread_mutex_destroy(&j->mutex);
    }
    logs[0] = &j->results;
    logs[1] = &j->errors;
    for (int i = 0; i < 2; i++) {
        if (logs[i]->fd >= 0) {
            if (zoo_system_sync(logs[i]->fd) != 0 && errno != EINVAL && errno != EROFS &&
                status == ZOO_OK) {
                status = zoo_fail(err, ZOO_E_IO, "%s: %s", logs[i]->path, strerror(errno));
            }
            (void)close(logs[i]->fd);
        }
    }
    if (j->errors.fd >= 0 && j->n_errors == 0) {
        (void)unlink(j->errors.path);
    }
    if (j->lock >= 0) {
        (void)close(j->lock);
    }
    zoo_idmap_free(&j->done);
    zoo_mem_free(j);
    return status;
}
