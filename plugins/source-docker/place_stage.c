/* The staging area: made beside what will be replaced, filled with entries, and made durable. */
#include "hold.h"
#include "place_impl.h"
#include "tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- volumes --------------------------------------------------------------------------------- */

int dk_volume_make(struct dk_source *s, struct bake_ctx *ctx, const char *name, json_t *labels)
{
    json_t *spec = labels ? json_pack("{s:s, s:O}", "Name", name, "Labels", labels) : NULL;
    int rc = spec ? dk_post(s->api, ctx, "/volumes/create", spec, NULL) : dk_nomem(ctx);

    json_decref(spec);
    json_decref(labels);
    return rc;
}

/* Helper containers of a process that was killed keep a volume in use. */
static int remove_users(struct dk_source *s, struct bake_ctx *ctx, const char *name)
{
    json_t *filters = json_pack("{s:[s], s:[s]}", "volume", name, "label", DK_LABEL_HELPER);
    char *text = filters ? json_dumps(filters, JSON_COMPACT) : NULL;
    char *quoted = text ? dk_quote(text) : NULL, *path;
    json_t *list = NULL, *c;
    size_t i;
    int rc;

    path = quoted ? dk_text("/containers/json?all=1&filters=%s", quoted) : NULL;
    rc = path ? dk_get(s->api, ctx, path, &list) : dk_nomem(ctx);
    json_array_foreach(list, i, c)
    {
        const char *id = json_string_value(json_object_get(c, "Id"));

        if (rc == BAKE_OK && id)
            rc = dk_remove_container(s->api, ctx, id, true);
    }
    json_decref(list);
    json_decref(filters);
    free(text);
    free(quoted);
    free(path);
    return rc;
}

int dk_volume_remove(struct dk_source *s, struct bake_ctx *ctx, const char *name)
{
    char *path = dk_text("/volumes/%s", name);
    int rc = path ? dk_delete(s->api, ctx, path) : dk_nomem(ctx);

    if (rc == BAKE_E_EXISTS && remove_users(s, ctx, name) == BAKE_OK)
        rc = dk_delete(s->api, ctx, path);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

int dk_volume_there(struct dk_source *s, struct bake_ctx *ctx, const char *name, bool *ret)
{
    char *path = dk_text("/volumes/%s", name);
    json_t *j = NULL;
    int rc = path ? dk_get(s->api, ctx, path, &j) : dk_nomem(ctx);

    *ret = rc == BAKE_OK;
    json_decref(j);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

static int make_volume(struct dk_place *p, struct bake_ctx *ctx)
{
    char *name = dk_text("bakengine-stage-%s", p->plan.nonce), *owner = dk_owner(p->s, ctx);
    json_t *labels = NULL;
    int rc;

    if (name && owner)
        labels = json_pack("{s:s, s:s, s:s, s:s}", DK_LABEL_STAGE, p->plan.nonce, DK_LABEL_OWNER,
                           owner, "bakengine.backup", p->backup, "bakengine.place", p->plan.what);
    free(owner);
    rc = labels ? dk_volume_make(p->s, ctx, name, labels) : dk_nomem(ctx);
    if (rc == BAKE_OK)
        p->plan.stage = name;
    else
        free(name);
    return rc;
}

/* ---- by exchange ----------------------------------------------------------------------------- */

/* An order about the ground that must succeed. */
static int order(struct dk_place *p, struct bake_ctx *ctx, const struct dk_fs_order *o,
                 struct dk_fs_answer *ret, const char *doing)
{
    int rc = dk_ground_do(p->s, ctx, &p->plan.ground, o, ret);

    return rc == BAKE_OK && ret->error ? dk_place_errno(ctx, p->plan.what, ret, doing) : rc;
}

/* A directory beside the one that is mounted, in one that only root can enter. */
static int make_holder(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_plan *plan = &p->plan;
    struct dk_fs_order mkdir_order = {.verb = DK_FS_MKDIR};
    struct dk_fs_answer a;
    int rc;

    plan->holder = dk_text(".bakengine-%s", plan->nonce);
    plan->staged = dk_text(".bakengine-%s/data", plan->nonce);
    if (!plan->holder || !plan->staged)
        return dk_nomem(ctx);
    mkdir_order.a = plan->staged;
    rc = order(p, ctx, &mkdir_order, &a, "make a place for the new content of");
    plan->ino_new = a.ino;
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

    if (p->plan.volume) {
        rc = make_volume(p, ctx);
        p->plan.staged = rc == BAKE_OK ? dk_text("%s/_data", p->plan.stage) : NULL;
        if (rc == BAKE_OK && !p->plan.staged)
            rc = dk_nomem(ctx);
    } else {
        rc = make_holder(p, ctx);
    }
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
    struct bake_entry e = {.struct_size = sizeof(e), .type = BAKE_DIR, .path = p->base};
    struct dk_upload *up = NULL;
    struct dk_tar *tar = NULL;
    int rc = dk_archive_put(p->s->api, ctx, p->carrier, DK_HANDS, &up);

    e.valid = BAKE_HAS_MODE | BAKE_HAS_OWNER;
    e.mode = 0755;
    if (rc == BAKE_OK)
        rc = dk_tar_open(ctx, up, ".", &tar);
    if (rc == BAKE_OK)
        rc = dk_tar_entry(tar, &e);
    if (rc == BAKE_OK)
        rc = dk_tar_end_entry(tar);
    if (rc == BAKE_OK)
        rc = dk_tar_finish(tar);
    dk_tar_close(tar);
    if (rc == BAKE_OK)
        return dk_upload_end(up);
    if (up)
        dk_upload_abort(up);
    return rc;
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

/* ---- filling it ------------------------------------------------------------------------------ */

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
