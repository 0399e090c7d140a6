/* pipeline.c: see pipeline.h. The command's first argument is the model. */
#include "commands/pipeline.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/file_hash.h"
#include "checkpoint/hub.h"
#include "cluster/message.h"
#include "cluster/ring.h"
#include "commands/session.h"

enum { MICRO_BATCHES_MAX = 64 };

/* One run of the program. */
static struct {
    zoo_link_ring link;
    const zoo_common *common;
    char folder[4096];
    char options[sizeof((zoo_journal_key *)0)->options]; /* as given; commands change some */
} run;

typedef struct greeting {
    uint64_t magic;
    char host[64];
    zoo_journal_key key;
} greeting;

static zoo_status make_key(const zoo_engine *engine, zoo_journal_key *key, zoo_error *err)
{
    ZOO_TRY(zoo_journal_hash_model(run.folder, key->model, err));
    memcpy(key->options, run.options, sizeof key->options);
    (void)zoo_file_hash("/proc/self/exe", key->build, sizeof key->build);
    zoo_session_engine(engine, key);
    return ZOO_OK;
}

static zoo_status judge(const greeting *mine, const zoo_ring_message *m, zoo_error *err)
{
    greeting its;
    const char *what = "its program differs from that of rank 0";
    if (m->kind == ZOO_RING_HELLO && m->n == sizeof its) {
        memcpy(&its, m->data, sizeof its);
        what = its.magic == mine->magic ? zoo_key_differs(&mine->key, &its.key) : what;
        its.host[sizeof its.host - 1] = 0;
    } else {
        its.host[0] = 0;
    }
    return what ? zoo_fail(err, ZOO_E_USAGE, "rank %u (%s): %s", m->from, its.host, what) : ZOO_OK;
}

static zoo_status meet(zoo_ring *ring, const zoo_engine *engine, zoo_error *err)
{
    greeting mine = {.magic = ZOO_HELLO_MAGIC};
    (void)gethostname(mine.host, sizeof mine.host - 1);
    ZOO_TRY(make_key(engine, &mine.key, err));
    if (ring->rank > 0) {
        return ring->send(ring, 0, ZOO_RING_HELLO, &mine, sizeof mine, err);
    }
    for (uint32_t i = 1; i < ring->n_ranks; i++) {
        zoo_ring_message m;
        ZOO_TRY(ring->receive(ring, &m, err));
        zoo_status status = judge(&mine, &m, err);
        ring->release(ring, &m);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

/* One model of rank 0's, from its opening to its close. */
static zoo_status serve(const zoo_ring_message *m, zoo_error *err)
{
    zoo_ring_bounds b;
    zoo_engine *engine = NULL;
    zoo_engine_options o = run.common->engine;
    if (m->kind != ZOO_RING_OPEN || m->n != sizeof b) {
        return zoo_fail(err, ZOO_E_INTERNAL, "rank 0 sent an unexpected message");
    }
    memcpy(&b, m->data, sizeof b);
    o.reserve = (size_t)b.reserve;
    o.rows_max = b.rows_max;
    o.seqs_max = b.seqs_max;
    o.context_max = b.context_max;
    o.n_marks = b.n_marks;
    ZOO_TRY(zoo_engine_open(run.folder, &o, &engine, err));
    zoo_status status = zoo_engine_serve(engine, err);
    zoo_engine_close(engine);
    return status;
}

/* Rank 0 ends the run in order when there is a signal; the others wait for its word. */
static zoo_status serve_all(zoo_error *err)
{
    zoo_ring *ring = &run.link.ring;
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    for (;;) {
        zoo_ring_message m;
        ZOO_TRY(ring->receive(ring, &m, err));
        bool ends = m.kind == ZOO_RING_QUIT;
        zoo_status status = ends ? ZOO_OK : serve(&m, err);
        ring->release(ring, &m);
        if (ends || status != ZOO_OK) {
            return status;
        }
    }
}

static int run_other(const zoo_command *command)
{
    zoo_error err = {0};
    zoo_status status = serve_all(&err);
    if (status == ZOO_OK) {
        zoo_link_ring_leave(&run.link);
        return 0;
    }
    err.code = status;
    zoo_link_ring_fail(&run.link, &err);
    return zoo_command_failed(command->name, &err, zoo_exit_code(status));
}

static int run_first(const zoo_command *command, void *args)
{
    int code = command->run(args);
    if (code == 0 || code == 1) {
        zoo_link_ring_leave(&run.link);
    } else {
        zoo_cluster_abort(&run.link.cluster, code);
    }
    return code;
}

static zoo_status judge_args(const zoo_common *c, zoo_error *err)
{
    if (c->n_micro_batches > MICRO_BATCHES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "--micro-batches goes up to %d", MICRO_BATCHES_MAX);
    }
    if (c->n_drafts > 0) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--draft-tokens has no use with --pipeline, which reads nothing ahead");
    }
    return ZOO_OK;
}

static zoo_status join(zoo_error *err)
{
    ZOO_TRY(zoo_model_folder(run.common->positional[0], run.folder, sizeof run.folder, err));
    ZOO_TRY(zoo_link_ring_join("mpi", &run.link, err));
    zoo_ring *ring = &run.link.ring;
    ring->meet = meet;
    ring->n_micro_batches =
        run.common->n_micro_batches ? run.common->n_micro_batches : ring->n_ranks;
    return ZOO_OK;
}

int zoo_pipeline_run(const zoo_command *command, void *args)
{
    zoo_common *common = args;
    zoo_error err = {0};
    run.common = common;
    if (judge_args(common, &err) != ZOO_OK) {
        return zoo_command_failed(command->name, &err, 2);
    }
    zoo_status status = join(&err);
    if (status != ZOO_OK) {
        return zoo_command_failed(command->name, &err,
                                  run.folder[0] ? 4 : zoo_exit_code_model(status));
    }
    common->engine.ring = run.link.ring.n_ranks > 1 ? &run.link.ring : NULL;
    zoo_session_options(common, 0, run.options);
    return run.link.ring.rank == 0 ? run_first(command, args) : run_other(command);
}
