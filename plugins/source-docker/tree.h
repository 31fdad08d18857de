/* Reading a directory of a container: straight from the host's file system where it is proven to be
 * the same, else through the daemon as a tar. The functions are those of struct bake_source_ops. */
#ifndef DOCKER_TREE_H
#define DOCKER_TREE_H

#include "model.h"

struct dk_tree; /* one reader */

/* DK_PATH, DK_VOLUME or DK_CONFIG. */
int dk_tree_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                 struct dk_tree **ret);
int dk_tree_next(struct dk_tree *t, struct bake_entry *ret);
int dk_tree_open_entry(struct dk_tree *t, struct bake_entry *entry);
int dk_tree_read(struct dk_tree *t, struct bake_out *out);
/* facts: the item's, with "read": "direct" or "api". */
int dk_tree_finish(struct dk_tree *t, struct bake_result *ret);
void dk_tree_close(struct dk_tree *t);

/* A directory of the daemon's host that this process can reach as well, proven: the daemon's stat
 * of `path` in the container and ours of the mount's source and the rest agree in more than chance.
 * *ret_fd: a descriptor of it (O_PATH | O_DIRECTORY). BAKE_END: it cannot be proven (another mount
 * namespace, another host, no permission); *ret_why, if not NULL, then says so in words (static).
 */
int dk_prove_directory(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                       const char *path, int *ret_fd, const char **ret_why);
/* The same for a volume's root, without a container. */
int dk_prove_volume(struct dk_source *s, struct bake_ctx *ctx, const char *volume, int *ret_fd,
                    const char **ret_why);
/* Opens rest below the directory fd, as chroot would see it: symlinks stay inside
 * (openat2, RESOLVE_IN_ROOT). flags as of open(2). Negative: -errno. */
int dk_open_inside(int fd, const char *rest, int flags);

/* ---- tar for PUT archive --------------------------------------------------------------------- */

struct dk_upload;
struct dk_tar; /* writes entries as a pax tar into an upload */

/* prefix: entries lie below this name ("vol"): the root entry becomes "vol/" with its own mode,
 * owner and times (facts: for "./" they are lost). */
int dk_tar_open(struct bake_ctx *ctx, struct dk_upload *to, const char *prefix,
                struct dk_tar **ret);
int dk_tar_entry(struct dk_tar *t, const struct bake_entry *e); /* a file's data follow: */
int dk_tar_data(struct dk_tar *t, const void *data, size_t n);  /* bytes of its extents */
int dk_tar_end_entry(struct dk_tar *t); /* zeros for data that did not come */
int dk_tar_finish(struct dk_tar *t);    /* the end mark; the upload itself is the caller's */
void dk_tar_close(struct dk_tar *t);

#endif
