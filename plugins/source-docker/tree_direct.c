/* Reading straight from the host's file system. */
#include "tree_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* entry: "" for a directory's content, or a file's name. */
static int walk(struct dk_tree *t, int at, const char *path, const char *entry)
{
    char *dup_path = strdup(path), *dup_entry = strdup(entry);
    const struct bkc_walk_root root = {.path = dup_path, .entry = dup_entry};
    const struct bkc_walk_opts opts = {
        .at = at,
        .roots = &root,
        .n_roots = 1,
        .ignore = t->s->ignore,
        .numeric = true, /* the container's users are not those of this machine */
        .shown = t->shown,
    };
    int rc = dup_path && dup_entry ? bkc_walk_open(t->ctx, &opts, &t->walk) : dk_nomem(t->ctx);
    free(dup_path);
    free(dup_entry);
    return rc;
}

int dk_direct_path(struct dk_tree *t, bool is_dir, const char **ret_why)
{
    const struct dk_container *c = t->item->container;
    const char *slash = strrchr(t->root, '/'), *rest = NULL;
    int fd = -1;
    if (is_dir) {
        int rc = dk_prove_directory(t->s, t->ctx, c, t->root, &fd, ret_why);
        if (rc == BAKE_OK)
            rc = walk(t, fd, ".", "");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    const struct dk_mount *m = dk_mount_of(c, t->root, &rest);
    if (m && !*rest) {
        *ret_why = "a single file is mounted there";
        return BAKE_END;
    }
    char *dir = slash == t->root ? strdup("/") : strndup(t->root, (size_t)(slash - t->root));
    if (!dir)
        return dk_nomem(t->ctx);
    int rc = dk_prove_directory(t->s, t->ctx, c, dir, &fd, ret_why);
    free(dir);
    if (rc == BAKE_OK)
        rc = walk(t, fd, slash + 1, slash + 1);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

int dk_direct_volume(struct dk_tree *t, const char **ret_why)
{
    int fd = -1;
    int rc = dk_prove_volume(t->s, t->ctx, t->item->volume, &fd, ret_why);
    if (rc == BAKE_OK)
        rc = walk(t, fd, ".", "");
    if (fd >= 0)
        (void)close(fd);
    return rc;
}
