/* Filling the staging area with entries, and making it durable. */
#include "place_impl.h"
#include "tree.h"

#include <stdio.h>

static int begin(struct dk_place *p, struct bake_ctx *ctx)
{
    char root[40];
    struct bkc_extract_opts opts = {.root = root, .force = 1, .parent_mode = 0755};
    int rc;

    p->began_put = true;
    if (p->stage_fd >= 0) {
        (void)snprintf(root, sizeof(root), "/proc/self/fd/%d", p->stage_fd);
        return bkc_extract_open(ctx, &opts, &p->x);
    }
    rc = dk_archive_put(p->s->api, ctx, p->carrier, DK_HANDS, &p->up);
    return rc == BAKE_OK ? dk_tar_open(ctx, p->up, p->plan.file ? "." : p->base, &p->tar) : rc;
}

int dk_place_put(struct dk_place *p, struct bake_ctx *ctx, const struct bake_entry *entry)
{
    struct bake_entry e = *entry;
    int rc = BAKE_OK;

    if (p->empty || p->staged || p->spoiled)
        return bake_fail(ctx, BAKE_E_INTERNAL, "nothing can be put into %s now", p->plan.what);
    if (p->plan.file) { /* the tree of one file: it goes where the file is, whatever its name */
        if (e.type == BAKE_DIR)
            return BAKE_END;
        if (e.type != BAKE_FILE || p->began_put)
            return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                             "cannot restore '%s' into %s, which is a single file", entry->path,
                             p->plan.what);
        e.path = p->base;
    }
    if (!p->began_put)
        rc = begin(p, ctx);
    if (rc == BAKE_OK)
        rc = p->x ? bkc_extract_put(p->x, &e) : dk_tar_entry(p->tar, &e);
    return rc;
}

int dk_place_write(struct dk_place *p, struct bake_in *in)
{
    int rc;

    if (p->x)
        return bkc_extract_write(p->x, in);
    rc = dk_tar_data(p->tar, (const char *)in->data + in->pos, in->size - in->pos);
    if (rc == BAKE_OK)
        in->pos = in->size;
    return rc;
}

int dk_place_entry_end(struct dk_place *p, int good)
{
    if (p->x)
        return bkc_extract_end(p->x, good);
    if (!good) /* it has gone to the daemon already, and cannot be taken back from a tar */
        p->spoiled = true;
    return dk_tar_end_entry(p->tar);
}

void dk_stage_end(struct dk_place *p)
{
    bkc_extract_close(p->x);
    p->x = NULL;
    dk_tar_close(p->tar);
    p->tar = NULL;
    if (p->up)
        dk_upload_abort(p->up);
    p->up = NULL;
}

static int end_tar(struct dk_place *p)
{
    struct dk_upload *up = p->up;
    int rc = dk_tar_finish(p->tar);

    if (rc < 0)
        return rc;
    p->up = NULL;
    return dk_upload_end(up);
}

/* The daemon has extracted it; it is to outlive a power cut before the old content goes. */
static int sync_stage(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_ground volume = {.volume = p->plan.stage, .fd = -1};
    bool copy = p->plan.way == DK_WAY_COPY;
    struct dk_fs_order o = {.verb = DK_FS_SYNC, .a = copy ? "" : p->plan.staged};
    struct dk_fs_answer a;
    int rc;

    if (copy && dk_helper_lacks(p->s))
        return BAKE_OK;
    rc = dk_ground_do(p->s, ctx, copy ? &volume : &p->plan.ground, &o, &a);
    return rc == BAKE_OK && a.error
               ? dk_place_errno(ctx, p->plan.what, &a, "write out the new content of")
               : rc;
}

int dk_place_staged(struct dk_place *p, struct bake_ctx *ctx)
{
    int rc = BAKE_OK;

    if (p->spoiled)
        rc = bake_fail(ctx, BAKE_E_CORRUPT,
                       "%s is not restored: a part of the backup that belongs there is damaged",
                       p->plan.what);
    else if (p->x)
        rc = bkc_extract_finish(p->x);
    else if (p->tar)
        rc = end_tar(p);
    dk_stage_end(p);
    if (rc == BAKE_OK && p->stage_fd < 0 && !p->empty)
        rc = sync_stage(p, ctx);
    if (rc < 0)
        p->spoiled = true;
    p->staged = rc == BAKE_OK;
    return rc;
}

void dk_place_abort(struct dk_place *p)
{
    dk_stage_end(p);
    p->spoiled = true;
}
