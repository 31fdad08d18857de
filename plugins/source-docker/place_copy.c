/* The way by copies through the daemon's archives, where directories cannot be exchanged: the old
 * content is kept in a volume, the place cleared, the staged content copied into it. */
#include "place_impl.h"
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256u << 10)

/* ---- the way there --------------------------------------------------------------------------- */

int dk_hand_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                 const char *image_or_null, struct dk_hand *ret)
{
    *ret = (struct dk_hand){.made = p->container == NULL};
    if (p->container) {
        ret->id = strdup(p->container);
        ret->path = strdup(p->path);
        return ret->id && ret->path ? BAKE_OK : dk_nomem(ctx);
    }
    ret->path = dk_text(DK_HANDS "/v%s%s", p->path[0] ? "/" : "", p->path);
    return ret->path
               ? dk_carrier(s, ctx, p->volume, p->bind, DK_HANDS "/v", image_or_null, &ret->id)
               : dk_nomem(ctx);
}

void dk_hand_close(struct dk_source *s, struct bake_ctx *ctx, struct dk_hand *h)
{
    struct dk_calm calm;

    dk_calm(&calm, ctx);
    if (h->made && h->id)
        (void)dk_remove_container(s->api, &calm.ctx, h->id, true);
    free(h->id);
    free(h->path);
    *h = (struct dk_hand){0};
}

/* The directory that holds a path of a container; the caller's. */
static char *above(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
}

/* ---- tars ------------------------------------------------------------------------------------ */

int dk_copy_put(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *dir,
                const void *tar, size_t n)
{
    struct dk_upload *up = NULL;
    int rc = dk_archive_put(s->api, ctx, id, dir, &up);

    if (rc < 0)
        return rc;
    rc = dk_upload_write(up, tar, n);
    if (rc == BAKE_OK)
        return dk_upload_end(up);
    dk_upload_abort(up);
    return rc;
}

int dk_copy_root(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *path,
                 unsigned char **ret, size_t *ret_n)
{
    unsigned char buffer[4096];
    struct dk_download *d = NULL;
    struct dk_scan scan;
    int rc = dk_archive_get(s->api, ctx, id, path, &d);

    dk_scan_start(&scan, true);
    while (rc == BAKE_OK && !scan.first_done) {
        struct bake_out out = {.data = buffer, .size = sizeof(buffer)};

        rc = dk_download_read(d, &out);
        if (dk_scan_feed(&scan, buffer, out.pos) < 0)
            rc = BAKE_END;
    }
    dk_download_close(d);
    if (rc >= 0 && scan.first_done) {
        rc = BAKE_OK;
        *ret_n = scan.first_n + 1024;
        *ret = calloc(1, *ret_n);
        if (*ret)
            memcpy(*ret, scan.first, scan.first_n);
        else
            rc = dk_nomem(ctx);
    } else if (rc >= 0) {
        rc = bake_fail(ctx, BAKE_E_CORRUPT, "what docker sent of '%s' is no archive", path);
    }
    dk_scan_release(&scan);
    return rc;
}

static int pass(struct bake_ctx *ctx, struct dk_download *d, struct dk_upload *up, const char *path,
                unsigned char *buffer)
{
    struct dk_scan scan;
    int rc = BAKE_OK;

    dk_scan_start(&scan, false);
    while (rc == BAKE_OK) {
        struct bake_out out = {.data = buffer, .size = CHUNK};
        int put = BAKE_OK;

        rc = dk_download_read(d, &out);
        if (rc >= 0 && out.pos > 0) {
            if (dk_scan_feed(&scan, buffer, out.pos) < 0)
                put =
                    bake_fail(ctx, BAKE_E_CORRUPT, "what docker sent of '%s' is no archive", path);
            else
                put = dk_upload_write(up, buffer, out.pos);
        }
        if (put < 0)
            rc = put;
    }
    if (rc == BAKE_END)
        rc = dk_scan_whole(&scan) ? BAKE_OK
                                  : bake_fail(ctx, BAKE_E_CORRUPT,
                                              "docker ended the archive of '%s' in the middle: "
                                              "something has changed there meanwhile",
                                              path);
    dk_scan_release(&scan);
    return rc;
}

/* path of one container into the directory `to_dir` of another. */
static int copy(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *path,
                const char *to_id, const char *to_dir)
{
    unsigned char *buffer = malloc(CHUNK);
    struct dk_download *d = NULL;
    struct dk_upload *up = NULL;
    int rc = buffer ? dk_archive_get(s->api, ctx, id, path, &d) : dk_nomem(ctx);

    if (rc == BAKE_OK)
        rc = dk_archive_put(s->api, ctx, to_id, to_dir, &up);
    if (rc == BAKE_OK)
        rc = pass(ctx, d, up, path, buffer);
    dk_download_close(d);
    free(buffer);
    if (rc == BAKE_OK)
        return dk_upload_end(up);
    if (up)
        dk_upload_abort(up);
    return rc;
}

/* ---- clearing -------------------------------------------------------------------------------- */

int dk_copy_put_bare(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *dir,
                     const struct bake_entry *e)
{
    struct dk_upload *up = NULL;
    struct dk_tar *tar = NULL;
    int rc = dk_archive_put(s->api, ctx, id, dir, &up);

    if (rc == BAKE_OK)
        rc = dk_tar_open(ctx, up, ".", &tar);
    if (rc == BAKE_OK)
        rc = dk_tar_entry(tar, e);
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

/* In the place's own container, under the place's own name. */
static int put_one(struct dk_source *s, struct bake_ctx *ctx, const struct dk_hand *h,
                   uint32_t type)
{
    struct bake_entry e = {.struct_size = sizeof(e),
                           .type = type,
                           .valid = BAKE_HAS_MODE | BAKE_HAS_OWNER,
                           .mode = type == BAKE_DIR ? 0755 : 0600,
                           .path = strrchr(h->path, '/') + 1};
    char *dir = above(h->path);
    int rc = dir ? dk_copy_put_bare(s, ctx, h->id, dir, &e) : dk_nomem(ctx);

    free(dir);
    return rc;
}

/* A mount's own root cannot be replaced: what is in it is removed by a helper. Else an empty file
 * takes the directory's place, which the content that comes then replaces. */
static int clear(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                 const struct dk_hand *h)
{
    struct dk_ground g = {.path = p->bind, .volume = p->volume, .fd = -1};
    struct dk_fs_order o = {.verb = DK_FS_CLEAR};
    struct dk_fs_answer a;
    int rc;

    if (p->file)
        return BAKE_OK;
    if (p->container || p->path[0])
        return put_one(s, ctx, h, BAKE_FILE);
    rc = dk_ground_do(s, ctx, &g, &o, &a);
    return rc == BAKE_OK && a.error ? dk_place_errno(ctx, p->what, &a, "clear") : rc;
}

/* ---- there and back -------------------------------------------------------------------------- */

struct kept {                 /* the volume with the old content, and a container that has it */
    char *volume, *mark, *id; /* mark: a volume that says the old content is whole in the other */
};

static int kept_names(struct bake_ctx *ctx, const struct dk_plan *p, struct kept *ret)
{
    ret->volume = dk_text("bakengine-keep-%s", p->nonce);
    ret->mark = dk_text("bakengine-saved-%s", p->nonce);
    return ret->volume && ret->mark ? BAKE_OK : dk_nomem(ctx);
}

static void kept_release(struct dk_source *s, struct bake_ctx *ctx, struct kept *k)
{
    struct dk_calm calm;

    dk_calm(&calm, ctx);
    if (k->id)
        (void)dk_remove_container(s->api, &calm.ctx, k->id, true);
    free(k->volume);
    free(k->mark);
    free(k->id);
}

static json_t *keep_label(const struct dk_plan *p)
{
    return json_pack("{s:s, s:s}", DK_LABEL_KEEP, p->nonce, "bakengine.place", p->what);
}

static int save(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                const struct dk_hand *h, struct kept *k)
{
    struct dk_ground g = {.volume = k->volume, .fd = -1};
    struct dk_fs_order sync = {.verb = DK_FS_SYNC};
    struct dk_fs_answer a = {0};
    int rc = dk_volume_make(s, ctx, k->volume, keep_label(p));

    if (rc == BAKE_OK && !p->absent) {
        rc = dk_carrier(s, ctx, k->volume, NULL, DK_HANDS, NULL, &k->id);
        if (rc == BAKE_OK)
            rc = copy(s, ctx, h->id, h->path, k->id, DK_HANDS);
        if (rc == BAKE_OK && !dk_helper_lacks(s))
            rc = dk_ground_do(s, ctx, &g, &sync, &a);
        if (rc == BAKE_OK && a.error)
            rc = dk_place_errno(ctx, p->what, &a, "write out the old content of");
    }
    return rc == BAKE_OK ? dk_volume_make(s, ctx, k->mark, keep_label(p)) : rc;
}

/* From a carrier into the place. */
static int fill(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                const struct dk_hand *h, const char *carrier)
{
    char *dir = above(h->path), *from = dk_text(DK_HANDS "/%s", strrchr(h->path, '/') + 1);
    int rc = dir && from ? clear(s, ctx, p, h) : dk_nomem(ctx);

    if (rc == BAKE_OK)
        rc = copy(s, ctx, carrier, from, h->id, dir);
    free(dir);
    free(from);
    return rc;
}

int dk_copy_switch(struct dk_place *p, struct bake_ctx *ctx)
{
    struct dk_hand hand = {0};
    struct kept k = {0};
    int rc = kept_names(ctx, &p->plan, &k);

    if (rc == BAKE_OK)
        rc = dk_hand_open(p->s, ctx, &p->plan, NULL, &hand);
    if (rc == BAKE_OK)
        rc = save(p->s, ctx, &p->plan, &hand, &k);
    if (rc == BAKE_OK)
        rc = fill(p->s, ctx, &p->plan, &hand, p->carrier);
    kept_release(p->s, ctx, &k);
    dk_hand_close(p->s, ctx, &hand);
    return rc;
}

static int remove_there(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                        struct dk_fs_answer *a)
{
    struct dk_ground g = {.path = p->bind, .volume = p->volume, .fd = -1};
    struct dk_fs_order o = {.verb = DK_FS_REMOVE, .a = p->path};

    return dk_ground_do(s, ctx, &g, &o, a);
}

static bool no_directory(const struct dk_fs_answer *a)
{
    return a->error == ENOTDIR || a->error == ELOOP;
}

/* There was nothing: it goes again. Within an image an empty directory stays. */
static int vanish(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                  const struct dk_hand *h)
{
    struct dk_fs_answer a;
    int rc;

    if (p->container || dk_helper_lacks(s)) {
        rc = put_one(s, ctx, h, BAKE_FILE);
        return rc == BAKE_OK ? put_one(s, ctx, h, BAKE_DIR) : rc;
    }
    rc = remove_there(s, ctx, p, &a);
    if (rc == BAKE_OK && no_directory(&a)) { /* clear()'s file, if what was to follow never came */
        rc = put_one(s, ctx, h, BAKE_DIR);
        if (rc == BAKE_OK || rc == BAKE_E_NOTFOUND)
            rc = remove_there(s, ctx, p, &a);
    }
    if (rc == BAKE_OK && no_directory(&a)) {
        bake_report(ctx, BAKE_WARNING, NULL,
                    "%s leads through a link by now, or through a file; what the restore has "
                    "written there, if anything, is left",
                    p->what);
        return BAKE_OK;
    }
    return rc == BAKE_OK && a.error ? dk_place_errno(ctx, p->what, &a, "remove") : rc;
}

static int bring_back(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                      struct kept *k)
{
    struct dk_hand hand = {0};
    int rc = dk_place_unused(s, ctx, p);

    if (rc == BAKE_OK)
        rc = dk_hand_open(s, ctx, p, NULL, &hand);
    if (rc == BAKE_OK && p->absent) {
        rc = vanish(s, ctx, p, &hand);
    } else if (rc == BAKE_OK) {
        rc = dk_carrier(s, ctx, k->volume, NULL, DK_HANDS, NULL, &k->id);
        if (rc == BAKE_OK)
            rc = fill(s, ctx, p, &hand, k->id);
    }
    dk_hand_close(s, ctx, &hand);
    return rc;
}

int dk_copy_undo(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p)
{
    struct kept k = {0};
    bool saved = false;
    int rc = kept_names(ctx, p, &k);

    if (rc == BAKE_OK)
        rc = dk_volume_there(s, ctx, k.mark, &saved);
    if (rc == BAKE_OK && saved) /* else nothing was touched yet, or all is back already */
        rc = bring_back(s, ctx, p, &k);
    if (rc == BAKE_OK && saved)
        rc = dk_volume_remove(s, ctx, k.mark);
    kept_release(s, ctx, &k);
    return rc;
}
