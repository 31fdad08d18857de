/* The files of a database that runs are no backup of it: they are refused. */
#include "tree_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- what uses the directory ----------------------------------------------------------------- */

static bool overlap(const char *a, const char *b)
{
    return a && b && *a && *b && (bkc_path_within(a, b) || bkc_path_within(b, a));
}

static bool mounts_it(const json_t *container, const char *name, const char *source)
{
    json_t *mount;
    size_t i;
    json_array_foreach(json_object_get(container, "Mounts"), i, mount)
    {
        const char *n = json_string_value(json_object_get(mount, "Name"));
        if (name && n && *n && strcmp(n, name) == 0)
            return true;
        if (overlap(json_string_value(json_object_get(mount, "Source")), source))
            return true;
    }
    return false;
}

/* The running container that uses the directory `below` the tree's root; *ret_name is the caller's,
 * NULL: none. The list is asked for, as a container that is being read answers nothing itself. */
static int find_user(struct dk_tree *t, const char *below, char **ret_name)
{
    const struct dk_container *c = t->item->container;
    const char *id = NULL, *name = t->item->volume, *source = NULL, *rest;
    json_t *list = NULL, *container;
    size_t i;
    *ret_name = NULL;
    if (t->item->kind == DK_PATH) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", strcmp(t->root, "/") == 0 ? "" : t->root, below) < 0)
            return dk_nomem(t->ctx);
        const struct dk_mount *m = dk_mount_of(c, path, &rest);
        free(path);
        name = m ? m->name : NULL;
        source = m ? m->source : NULL;
        id = m ? NULL : c->id;
    }
    int rc = dk_get(t->s->api, t->ctx, "/containers/json", &list);
    json_array_foreach(list, i, container)
    {
        const char *its_id = json_string_value(json_object_get(container, "Id"));
        const char *state = json_string_value(json_object_get(container, "State"));
        const char *own = t->s->where.container;
        if (!its_id || !state || strcmp(state, "paused") == 0 || (own && strcmp(own, its_id) == 0))
            continue;
        if (id ? strcmp(id, its_id) != 0 : !mounts_it(container, name, source))
            continue;
        const char *called =
            json_string_value(json_array_get(json_object_get(container, "Names"), 0));
        *ret_name = strdup(called ? called + (*called == '/') : its_id);
        if (!*ret_name)
            rc = dk_nomem(t->ctx);
        break;
    }
    json_decref(list);
    return rc;
}

static int refuse_if_used(struct dk_tree *t, const char *dir)
{
    char *user = NULL;
    int rc = find_user(t, dir, &user);
    if (rc == BAKE_OK && user)
        rc = bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                       "'%s%s%s' holds the data of a database while container '%s' runs: a copy "
                       "of them could not be used\n"
                       "HINT: let it be dumped (backup.database.pg_dumpall, "
                       "backup.database.mariadb-dump), or stopped (consistency: stop)",
                       t->shown, *dir ? "/" : "", dir, user);
    free(user);
    return rc;
}

/* ---- what gives it away ---------------------------------------------------------------------- */

int dk_live_look(struct dk_tree *t, const struct bake_entry *e)
{
    const char *slash = strrchr(e->path, '/'), *name = slash ? slash + 1 : e->path;
    size_t n = slash ? (size_t)(slash - e->path) : 0;
    if (e->type != BAKE_FILE || t->item->kind == DK_CONFIG)
        return BAKE_OK;
    bool version = strcmp(name, "PG_VERSION") == 0;
    bool maria = strcmp(name, "ibdata1") == 0 || strcmp(name, "aria_log_control") == 0;
    bool pid = strcmp(name, "postmaster.pid") == 0 && t->seen_cluster && t->cluster.n == n &&
               memcmp(t->cluster.data, e->path, n) == 0;
    if (!version && !maria && !pid)
        return BAKE_OK;
    if (version) { /* each database within the cluster has one too */
        bool inner = t->seen_cluster &&
                     (t->cluster.n == 0 ||
                      (t->cluster.n <= n && memcmp(t->cluster.data, e->path, t->cluster.n) == 0 &&
                       e->path[t->cluster.n] == '/'));
        t->seen_cluster = true;
        if (!inner && tar_text_set(&t->cluster, e->path, n) != BAKE_OK)
            return dk_nomem(t->ctx);
        return BAKE_OK;
    }
    char *dir = strndup(e->path, n);
    int rc = dir ? refuse_if_used(t, dir) : dk_nomem(t->ctx);
    free(dir);
    return rc;
}
