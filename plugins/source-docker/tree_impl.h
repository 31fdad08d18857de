/* What the parts that read trees share. */
#ifndef DOCKER_TREE_IMPL_H
#define DOCKER_TREE_IMPL_H

#include "api.h"
#include "discover.h"
#include "tar_impl.h"
#include "tree.h"

#include "walk/walk.h"

#define DK_HELPER_TARGET "/bakengine-volume" /* where a helper container has the volume */

struct dk_fetch;

struct dk_tree {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const struct dk_item *item;
    struct bkc_walk *walk;   /* reading directly, */
    struct dk_fetch *fetch;  /* or through the daemon */
    char *root;              /* the path in the container, links resolved; of a volume NULL */
    char *shown;             /* what stands before entries' paths in reports */
    char *helper;            /* id of a helper container, or NULL */
    struct tar_text cluster; /* directory that a PG_VERSION was seen in */
    bool seen_cluster;
    const char *busy;     /* id of the container that is kept busy, or NULL */
    struct dk_tree *next; /* of dk_source.reading */
    char *facts;
};

/* BAKE_END of a proof as a failure, or a line in the log and BAKE_END: then through the daemon. */
int dk_tree_not_direct(struct dk_tree *t, const char *why);
/* Fails: nothing is at path, or the container is gone. */
int dk_tree_not_there(struct dk_tree *t, const char *path);

/* ---- straight from the host (tree_direct.c, tree_config.c) ----------------------------------- */

/* OK: t->walk is set; or BAKE_END, and *ret_why. */
int dk_direct_path(struct dk_tree *t, bool is_dir, const char **ret_why);
int dk_direct_volume(struct dk_tree *t, const char **ret_why);
int dk_direct_config(struct dk_tree *t);

/* ---- through the daemon (tree_api.c) --------------------------------------------------------- */

/* The tree below path of the container; or that file. Sets t->fetch. */
int dk_fetch_open(struct dk_tree *t, const char *id, const char *path, bool is_dir);
int dk_fetch_next(struct dk_tree *t, struct bake_entry *ret);
int dk_fetch_read(struct dk_tree *t, struct bake_out *out);
void dk_fetch_close(struct dk_fetch *f); /* NULL is fine */

/* A container that is never started and has the volume at DK_HELPER_TARGET, read-only. */
int dk_helper_make(struct dk_source *s, struct bake_ctx *ctx, const char *volume, char **ret_id);
void dk_helper_remove(struct dk_source *s, struct bake_ctx *ctx, char *id); /* frees id */
/* {"bakengine.helper": "1", "bakengine.owner": ...}, for all that is made for a moment only; a new
 * reference. NULL: out of memory. */
json_t *dk_helper_labels(struct dk_source *s, struct bake_ctx *ctx);
/* 32 hexadecimal digits that nobody can guess. */
struct dk_nonce {
    char text[40];
};
int dk_nonce(struct bake_ctx *ctx, struct dk_nonce *ret);

/* ---- databases (tree_live.c) ----------------------------------------------------------------- */

/* Looks at an entry before it is given: the data of a running database are refused. */
int dk_live_look(struct dk_tree *t, const struct bake_entry *e);

/* ---- proofs (prove.c, prove_host.c) ---------------------------------------------------------- */

enum dk_proof { /* of where the daemon is */
                DK_PROOF_UNKNOWN = 0,
                DK_PROOF_NONE,      /* elsewhere, as far as can be told */
                DK_PROOF_VOLUMES,   /* its directory of volumes is ours */
                DK_PROOF_NAMESPACE, /* all its paths are ours */
};

/* Asked once for each source. */
int dk_proof_level(struct dk_source *s, struct bake_ctx *ctx, enum dk_proof *ret,
                   const char **ret_why);
int dk_proof_volumes_fd(const struct dk_source *s); /* O_PATH; -1: errno */
/* Is the directory fd what a running container has at path? OK: it is; BAKE_END: it is not;
 * BAKE_E_NOTFOUND: nothing can be said, as its processes are not ours to see. */
int dk_proof_process(const struct dk_container *c, const char *path, int fd);

/* The reason that a proof gives when the host's directory was replaced while the container runs. */
extern const char dk_why_replaced[];

#endif
