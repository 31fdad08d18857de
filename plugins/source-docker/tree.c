/* Reading a directory of a container: where it is, which way it is read, and the reader. */
#include "tree_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS   16 /* of a label's path, one after the other */
#define WAIT_MS 20

/* ---- one at a time --------------------------------------------------------------------------- */

/* While the daemon sends a directory of a container it answers nothing else about it: the next
 * reader waits here, not in a request that would be taken for a dead daemon. */
static int take_turn(struct dk_tree *t, const char *id)
{
    for (;;) {
        (void)pthread_mutex_lock(&t->s->lock);
        const struct dk_tree *other = t->s->reading;
        while (other && strcmp(other->busy, id) != 0)
            other = other->next;
        if (!other) {
            t->busy = id;
            t->next = t->s->reading;
            t->s->reading = t;
        }
        (void)pthread_mutex_unlock(&t->s->lock);
        if (!other)
            return BAKE_OK;
        if (t->ctx->host->sleep_ms(t->ctx, WAIT_MS) != BAKE_OK)
            return bake_fail(t->ctx, BAKE_E_CANCELLED, "cancelled");
    }
}

static void give_turn(struct dk_tree *t)
{
    if (!t->busy)
        return;
    (void)pthread_mutex_lock(&t->s->lock);
    for (struct dk_tree **at = &t->s->reading; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    (void)pthread_mutex_unlock(&t->s->lock);
    t->busy = NULL;
}

/* ---- what the path is ------------------------------------------------------------------------ */

int dk_tree_not_there(struct dk_tree *t, const char *path)
{
    const struct dk_container *c = t->item->container;
    json_t *inspect = NULL;
    int rc = dk_inspect(t->s->api, t->ctx, c->id, &inspect);
    json_decref(inspect);
    if (rc == BAKE_E_NOTFOUND)
        return bake_fail(t->ctx, rc, "container '%s' is not there any more", c->name);
    if (rc != BAKE_OK)
        return rc;
    if (strcmp(path, t->item->path) != 0)
        return bake_fail(t->ctx, BAKE_E_NOTFOUND,
                         "container '%s' has nothing at '%s', which its label's path '%s' leads to",
                         c->name, path, t->item->path);
    return bake_fail(t->ctx, BAKE_E_NOTFOUND,
                     "container '%s' has nothing at '%s', which its label names\n"
                     "HINT: label backup.volume-path.NAME is the path within the container",
                     c->name, path);
}

/* The tmpfs at or above path; NULL: none. */
static const char *tmpfs_of(const struct dk_container *c, const char *path)
{
    const json_t *host = json_object_get(c->inspect, "HostConfig");
    json_t *tmpfs = json_object_get(host, "Tmpfs"), *mount, *options;
    const char *at;
    size_t i;
    json_object_foreach(tmpfs, at, options) if (bkc_path_within(at, path)) return at;
    json_array_foreach(json_object_get(host, "Mounts"), i, mount)
    {
        const char *type = json_string_value(json_object_get(mount, "Type"));
        at = json_string_value(json_object_get(mount, "Target"));
        if (type && at && strcmp(type, "tmpfs") == 0 && bkc_path_within(at, path))
            return at;
    }
    return NULL;
}

static int check_kind(struct dk_tree *t, uint32_t mode)
{
    const struct dk_container *c = t->item->container;
    const char *tmpfs = tmpfs_of(c, t->root);
    if (tmpfs)
        return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                         "'%s' of container '%s' is in the tmpfs '%s': the daemon does not show "
                         "what is in memory\nHINT: give it a volume instead",
                         t->root, c->name, tmpfs);
    if (!S_ISDIR(mode) && !S_ISREG(mode))
        return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                         "'%s' of container '%s' is neither a directory nor a file", t->root,
                         c->name);
    return BAKE_OK;
}

/* A link is no way to what a label may not name. */
static int follow(struct dk_tree *t, const char *to)
{
    char *path = NULL;
    const char *why = dk_path_normal(to, &path);
    if (why)
        return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                         "'%s' of container '%s' is a link to '%s', which %s", t->item->path,
                         t->item->container->name, to, why);
    free(t->root);
    t->root = path;
    return path ? BAKE_OK : dk_nomem(t->ctx);
}

/* Follows links as the container would, and sets t->root. */
static int find_root(struct dk_tree *t, bool *ret_is_dir)
{
    const struct dk_container *c = t->item->container;
    t->root = strdup(t->item->path);
    for (int links = 0; t->root; links++) {
        struct dk_stat st = {0};
        int rc = dk_archive_stat(t->s->api, t->ctx, c->id, t->root, &st);
        if (rc == BAKE_E_NOTFOUND)
            rc = dk_tree_not_there(t, t->root);
        if (rc == BAKE_OK && S_ISLNK(st.mode)) {
            if (links == LINKS || *st.link != '/')
                rc = bake_fail(t->ctx, BAKE_E_NOTFOUND,
                               "'%s' of container '%s' is a link that leads nowhere", t->item->path,
                               c->name);
            if (rc == BAKE_OK)
                rc = follow(t, st.link);
            dk_stat_release(&st);
            if (rc != BAKE_OK)
                return rc;
            continue;
        }
        if (rc == BAKE_OK) {
            *ret_is_dir = S_ISDIR(st.mode);
            rc = check_kind(t, st.mode);
        }
        dk_stat_release(&st);
        return rc;
    }
    return dk_nomem(t->ctx);
}

/* ---- which way ------------------------------------------------------------------------------- */

int dk_tree_not_direct(struct dk_tree *t, const char *why)
{
    if (t->s->cfg->read != DK_READ_DIRECT && why == dk_why_replaced)
        bake_report(t->ctx, BAKE_WARNING, t->shown,
                    "was replaced on the host after container '%s' was started, which goes on with "
                    "the old one: the new one is read",
                    t->item->container->name);
    if (t->s->cfg->read != DK_READ_DIRECT) {
        bake_log(t->ctx, BAKE_LOG_DEBUG, "'%s' is read through the daemon: %s", t->shown, why);
        return BAKE_END;
    }
    return bake_fail(t->ctx, BAKE_E_UNSUPPORTED,
                     "'%s' cannot be read directly: %s\n"
                     "HINT: with 'read: auto' it is read through the daemon",
                     t->shown, why);
}

static int open_path(struct dk_tree *t)
{
    const char *id = t->item->container->id, *why = NULL;
    bool is_dir = false;
    int rc = take_turn(t, id);
    if (rc == BAKE_OK)
        rc = find_root(t, &is_dir);
    if (rc == BAKE_OK && t->s->cfg->read != DK_READ_API) {
        rc = dk_direct_path(t, is_dir, &why);
        if (rc == BAKE_OK)
            give_turn(t);
        if (rc != BAKE_END)
            return rc;
        rc = dk_tree_not_direct(t, why);
        if (rc == BAKE_END)
            rc = BAKE_OK;
    }
    return rc == BAKE_OK ? dk_fetch_open(t, id, t->root, is_dir) : rc;
}

static int open_volume(struct dk_tree *t)
{
    const char *why = NULL;
    char *quoted = dk_quote(t->item->volume), path[600];
    if (!quoted)
        return dk_nomem(t->ctx);
    json_t *volume = NULL;
    (void)snprintf(path, sizeof(path), "/volumes/%s", quoted);
    free(quoted);
    /* a helper container that names a volume which is not there would make one */
    int rc = dk_get(t->s->api, t->ctx, path, &volume);
    json_decref(volume);
    if (rc == BAKE_E_NOTFOUND)
        rc = bake_fail(t->ctx, rc, "volume '%s' is not there any more", t->item->volume);
    if (rc == BAKE_OK && t->s->cfg->read != DK_READ_API) {
        rc = dk_direct_volume(t, &why);
        if (rc != BAKE_END)
            return rc;
        rc = dk_tree_not_direct(t, why);
        if (rc == BAKE_END)
            rc = BAKE_OK;
    }
    if (rc == BAKE_OK)
        rc = dk_helper_make(t->s, t->ctx, t->item->volume, &t->helper);
    return rc == BAKE_OK ? dk_fetch_open(t, t->helper, DK_HELPER_TARGET, true) : rc;
}

/* ---- the reader ------------------------------------------------------------------------------ */

int dk_tree_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                 struct dk_tree **ret)
{
    struct dk_tree *t = calloc(1, sizeof(*t));
    if (!t)
        return dk_nomem(ctx);
    t->s = s;
    t->ctx = ctx;
    t->item = item;
    t->shown = strdup(item->kind == DK_PATH     ? item->path
                      : item->kind == DK_VOLUME ? item->volume
                                                : item->name);
    int rc = t->shown ? BAKE_OK : dk_nomem(ctx);
    if (rc == BAKE_OK && item->kind == DK_PATH)
        rc = open_path(t);
    else if (rc == BAKE_OK && item->kind == DK_VOLUME)
        rc = open_volume(t);
    else if (rc == BAKE_OK && item->kind == DK_CONFIG)
        rc = dk_direct_config(t);
    else if (rc == BAKE_OK)
        rc = bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is no tree", item->name);
    if (rc != BAKE_OK) {
        dk_tree_close(t);
        return rc;
    }
    *ret = t;
    return BAKE_OK;
}

int dk_tree_next(struct dk_tree *t, struct bake_entry *ret)
{
    int rc = t->walk ? bkc_walk_next(t->walk, ret) : dk_fetch_next(t, ret);
    return rc == BAKE_OK ? dk_live_look(t, ret) : rc;
}

int dk_tree_open_entry(struct dk_tree *t, struct bake_entry *entry)
{
    return t->walk ? bkc_walk_open_entry(t->walk, entry) : BAKE_OK; /* next() said all */
}

int dk_tree_read(struct dk_tree *t, struct bake_out *out)
{
    return t->walk ? bkc_walk_read(t->walk, out) : dk_fetch_read(t, out);
}

int dk_tree_finish(struct dk_tree *t, struct bake_result *ret)
{
    json_t *facts = t->item->facts ? json_loads(t->item->facts, 0, NULL) : NULL;
    if (!facts)
        facts = json_object();
    bool ok =
        facts && json_object_set_new(facts, "read", json_string(t->walk ? "direct" : "api")) == 0;
    free(t->facts);
    t->facts = ok ? json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(facts);
    ret->facts = t->facts;
    return t->facts ? BAKE_OK : dk_nomem(t->ctx);
}

void dk_tree_close(struct dk_tree *t)
{
    if (!t)
        return;
    bkc_walk_close(t->walk);
    dk_fetch_close(t->fetch);
    give_turn(t);
    dk_helper_remove(t->s, t->ctx, t->helper);
    free(t->cluster.data);
    free(t->root);
    free(t->shown);
    free(t->facts);
    free(t);
}
