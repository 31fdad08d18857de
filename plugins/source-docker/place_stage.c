/* The staging area: made beside what will be replaced, if there is room. */
#include "hold.h"
#include "place_impl.h"
#include "tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory beside the one that is mounted lies in one that only root can enter. */
int dk_stage_name(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_plan *plan = &p->plan;
    bool exchange = plan->way == DK_WAY_EXCHANGE;

    if (exchange && !plan->volume) {
        plan->holder = dk_text(".bakengine-%s", plan->nonce);
        plan->staged = dk_text(".bakengine-%s/data", plan->nonce);
        return plan->holder && plan->staged ? BAKE_OK : dk_nomem(ctx);
    }
    plan->stage = dk_text("bakengine-stage-%s", plan->nonce);
    if (plan->stage && exchange)
        plan->staged = dk_text("%s/_data", plan->stage);
    return plan->stage && (plan->staged || !exchange) ? BAKE_OK : dk_nomem(ctx);
}

static int make_volume(struct dk_place *p, struct bake_ctx *ctx)
{
    char *owner = dk_owner(p->s, ctx);
    json_t *labels = NULL;

    if (owner)
        labels = json_pack("{s:s, s:s, s:s, s:s}", DK_LABEL_STAGE, p->plan.nonce, DK_LABEL_OWNER,
                           owner, "bakengine.backup", p->backup, "bakengine.place", p->plan.what);
    free(owner);
    return labels ? dk_volume_make(p->s, ctx, p->plan.stage, labels) : dk_nomem(ctx);
}

/* ---- by exchange ----------------------------------------------------------------------------- */

/* An order about the ground that must succeed. */
static int order(struct dk_place *p, struct bake_ctx *ctx, const struct dk_fs_order *o,
                 struct dk_fs_answer *ret, const char *doing)
{
    int rc = dk_ground_do(p->s, ctx, &p->plan.ground, o, ret);

    return rc == BAKE_OK && ret->error ? dk_place_errno(ctx, p->plan.what, ret, doing) : rc;
}

static int make_holder(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_fs_order mkdir_order = {.verb = DK_FS_MKDIR, .a = p->plan.staged};
    struct dk_fs_answer a;
    int rc = order(p, ctx, &mkdir_order, &a, "make a place for the new content of");

    p->plan.ino_new = a.ino;
    return rc;
}

/* Owner, mode and attributes of the old directory, in case the tree says nothing of its root. */
static int dress(struct dk_place *p, struct bake_ctx *ctx, const struct dk_fs_answer *old)
{
    struct dk_plan *plan = &p->plan;
    struct dk_fs_order o = {.verb = DK_FS_META, .a = plan->target, .b = plan->staged};
    struct dk_fs_answer a;
    int rc;

    if (plan->absent)
        o = (struct dk_fs_order){.verb = DK_FS_STAT, .a = plan->staged};
    rc = order(p, ctx, &o, &a, "prepare the new content of");
    if (rc == BAKE_OK && (!a.ino || !a.movable || a.dev != old->dev))
        rc = bake_fail(ctx, BAKE_E_IO,
                       "cannot prepare the new content of %s: what docker made for it is not where "
                       "it should be",
                       plan->what);
    plan->ino_new = a.ino;
    return rc;
}

/* Opens the staged directory itself, if we reach it. */
static int open_stage(struct dk_place *p, struct bake_ctx *ctx)
{
    struct stat st;
    char *path;

    if (p->plan.ground.fd < 0)
        return BAKE_OK;
    path = dk_text("%s/%s", p->plan.ground.here, p->plan.staged);
    if (!path)
        return dk_nomem(ctx);
    p->stage_fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(path);
    if (p->stage_fd >= 0 && fstat(p->stage_fd, &st) == 0 && st.st_ino == p->plan.ino_new)
        return BAKE_OK;
    return bake_fail(ctx, BAKE_E_IO, "cannot open the place for the new content of %s",
                     p->plan.what);
}

static int make_exchange(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                         const struct dk_fs_answer *old)
{
    const char *image = spec->container ? spec->container->image_id : NULL;
    char *holder;
    int rc;

    rc = p->plan.volume ? make_volume(p, ctx) : make_holder(p, ctx);
    if (rc == BAKE_OK)
        rc = dress(p, ctx, old);
    if (rc == BAKE_OK)
        rc = open_stage(p, ctx);
    if (rc < 0 || p->stage_fd >= 0 || p->empty)
        return rc;
    if (p->plan.stage) {
        p->base = strdup("data");
        return p->base ? dk_carrier(p->s, ctx, p->plan.stage, NULL, DK_HANDS "/data", image,
                                    &p->carrier)
                       : dk_nomem(ctx);
    }
    p->base = strdup("data");
    holder = dk_text("%s/%s", p->plan.ground.path, p->plan.holder);
    rc = p->base && holder ? dk_carrier(p->s, ctx, NULL, holder, DK_HANDS, image, &p->carrier)
                           : dk_nomem(ctx);
    free(holder);
    return rc;
}

/* ---- by copies ------------------------------------------------------------------------------- */

/* A directory that is not there yet and of which the tree may say nothing. */
static int plain_root(struct dk_place *p, struct bake_ctx *ctx)
{
    struct bake_entry e = {.struct_size = sizeof(e),
                           .type = BAKE_DIR,
                           .valid = BAKE_HAS_MODE | BAKE_HAS_OWNER,
                           .mode = 0755,
                           .path = p->base};

    return dk_copy_put_bare(p->s, ctx, p->carrier, DK_HANDS, &e);
}

static int make_copy(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec)
{
    const char *image = spec->container ? spec->container->image_id : NULL;
    struct dk_hand hand = {0};
    unsigned char *root = NULL;
    size_t n = 0;
    int rc = make_volume(p, ctx);

    if (rc == BAKE_OK)
        rc = dk_hand_open(p->s, ctx, &p->plan, image, &hand);
    if (rc == BAKE_OK) {
        p->base = strdup(strrchr(hand.path, '/') + 1);
        rc = p->base ? dk_carrier(p->s, ctx, p->plan.stage, NULL, DK_HANDS, image, &p->carrier)
                     : dk_nomem(ctx);
    }
    if (rc == BAKE_OK && p->plan.absent && !p->plan.file) {
        rc = plain_root(p, ctx);
    } else if (rc == BAKE_OK && !p->plan.file) {
        rc = dk_copy_root(p->s, ctx, hand.id, hand.path, &root, &n);
        if (rc == BAKE_OK)
            rc = dk_copy_put(p->s, ctx, p->carrier, DK_HANDS, root, n);
    }
    free(root);
    dk_hand_close(p->s, ctx, &hand);
    return rc;
}

/* ---- room ------------------------------------------------------------------------------------ */

static int check_room(struct bake_ctx *ctx, const char *what, uint64_t bytes, uint64_t room)
{
    uint64_t need = bytes > UINT64_MAX / 2 ? UINT64_MAX : bytes + bytes / 20;

    if (need <= room)
        return BAKE_OK;
    return bake_fail(
        ctx, BAKE_E_NOSPACE,
        "no room to restore %s: %llu MiB are needed beside what is there, %llu MiB are "
        "free",
        what, (unsigned long long)(need >> 20) + 1, (unsigned long long)(room >> 20));
}

/* Of a copy: on the file system of the staging volume, twice where the place is there too. */
static int copy_room(struct dk_place *p, struct bake_ctx *ctx, uint64_t bytes)
{
    struct dk_ground g = {.volume = p->plan.stage, .fd = -1};
    struct dk_fs_order stat = {.verb = DK_FS_STAT};
    struct dk_fs_answer a;
    int rc;

    if (bytes == 0 || dk_helper_lacks(p->s))
        return BAKE_OK;
    rc = dk_ground_do(p->s, ctx, &g, &stat, &a);
    if (rc == BAKE_OK && a.error)
        return dk_place_errno(ctx, p->plan.what, &a, "look for room for the new content of");
    if (p->plan.container && bytes <= UINT64_MAX / 4)
        bytes *= 2;
    return rc == BAKE_OK ? check_room(ctx, p->plan.what, bytes, a.room) : rc;
}

int dk_stage_make(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  const struct dk_fs_answer *old, uint64_t bytes)
{
    int rc;

    if (p->plan.way == DK_WAY_EXCHANGE) {
        rc = check_room(ctx, p->plan.what, bytes, old->room);
        return rc == BAKE_OK ? make_exchange(p, ctx, spec, old) : rc;
    }
    rc = make_copy(p, ctx, spec);
    return rc == BAKE_OK ? copy_room(p, ctx, bytes) : rc;
}
