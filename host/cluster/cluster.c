/* cluster.c: joining the ranks, and leaving them (cluster.h). */
#include "cluster/cluster.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/message.h"
#include "config/plugin_loader.h"

bool zoo_cluster_is_launched(void)
{
    const char *n = getenv("OMPI_COMM_WORLD_SIZE");
    return n && strtoul(n, NULL, 10) > 1;
}

static zoo_status load(const char *name, const zoo_link_ops **out, zoo_error *err)
{
    char folder[4096], path[4200];
    ZOO_TRY(zoo_install_folder(NULL, "links", folder, sizeof folder, err));
    (void)snprintf(path, sizeof path, "%s/lmzoo-%s.so", folder, name);
    if (access(path, R_OK) != 0) {
        return zoo_fail(err, ZOO_E_PLUGIN,
                        "%s is not there: this lmzoo was built without MPI (libopenmpi-dev)", path);
    }
    /* Libraries that MPI loads in turn look for its symbols. */
    void *file = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!file) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s cannot be loaded: %s", path, dlerror());
    }
    const zoo_link_ops *ops = dlsym(file, ZOO_LINK_SYMBOL);
    if (!ops || ops->version != ZOO_LINK_VERSION || ops->size != sizeof *ops) {
        return zoo_fail(err, ZOO_E_PLUGIN, "%s is of another version of lmzoo", path);
    }
    *out = ops;
    return ZOO_OK;
}

zoo_status zoo_cluster_join(const char *name, zoo_cluster *out, zoo_error *err)
{
    char what[200] = "";
    *out = (zoo_cluster){0};
    ZOO_TRY(load(name, &out->link, err));
    if (out->link->join(&out->rank, &out->n_ranks, what, sizeof what) != 0) {
        return zoo_fail(err, ZOO_E_IO, "%s", what);
    }
    return ZOO_OK;
}

void zoo_cluster_leave(zoo_cluster *cluster)
{
    for (uint32_t i = 1; cluster->rank == 0 && !cluster->has_dealt && i < cluster->n_ranks; i++) {
        (void)zoo_message_post(cluster->link, i, ZOO_MESSAGE_QUIT, NULL, 0, NULL);
    }
    cluster->link->leave();
}

void zoo_cluster_abort(const zoo_cluster *cluster, int code)
{
    cluster->link->abort(code);
}
