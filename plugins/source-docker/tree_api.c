/* Reading through the daemon: GET archive, and a helper container for volumes. */
#include "tree_impl.h"

#include "hold.h"
#include "match/gitignore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct dk_fetch {
    struct dk_download *download;
    struct dk_tarin *tar;
    struct tar_text skipped; /* a directory that was left out, with all in it; or empty */
    struct tar_text last;    /* the entry that was begun last */
    int broken;              /* what reading has failed with */
};

/* ---- opening --------------------------------------------------------------------------------- */

static int pull(void *arg, struct bake_out *out) { return dk_download_read(arg, out); }

int dk_fetch_open(struct dk_tree *t, const char *id, const char *path, bool is_dir)
{
    const char *slash = strrchr(path, '/');
    struct dk_fetch *f = calloc(1, sizeof(*f));
    char *whole = NULL;
    if (!f)
        return dk_nomem(t->ctx);
    t->fetch = f;
    /* "/." makes the root's entry "./", whatever the directory is called */
    if (asprintf(&whole, "%s%s", strcmp(path, "/") == 0 ? "" : path, is_dir ? "/." : "") < 0)
        return dk_nomem(t->ctx);
    int rc = dk_archive_get(t->s->api, t->ctx, id, whole, &f->download);
    free(whole);
    if (rc == BAKE_E_NOTFOUND && t->item->kind == DK_PATH)
        rc = dk_tree_not_there(t, path);
    if (rc == BAKE_OK && dk_tarin_new(pull, f->download,
                                      is_dir  ? NULL
                                      : slash ? slash + 1
                                              : path,
                                      &f->tar) != 0)
        rc = dk_nomem(t->ctx);
    return rc;
}

void dk_fetch_close(struct dk_fetch *f)
{
    if (!f)
        return;
    dk_tarin_free(f->tar);
    dk_download_close(f->download);
    free(f->skipped.data);
    free(f->last.data);
    free(f);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void report(const struct dk_tree *t, const char *path, const char *fmt, const char *arg)
{
    char *subject = NULL;
    bool root = strcmp(path, ".") == 0, top = strcmp(t->shown, "/") == 0;
    if (asprintf(&subject, "%s%s%s", top && !root ? "" : t->shown, root ? "" : "/",
                 root ? "" : path) < 0)
        subject = NULL;
    bake_report(t->ctx, BAKE_PARTIAL, subject ? subject : path, "%s'%s'", fmt, arg);
    free(subject);
}

/* reading: of an entry's data, which the engine then names. */
static int failed(struct dk_tree *t, int rc, bool reading)
{
    struct dk_fetch *f = t->fetch;
    const char *last = f->last.data ? f->last.data : ".";
    bool first = f->broken == BAKE_OK;
    f->broken = rc;
    if (rc == BAKE_E_NOMEM)
        return dk_nomem(t->ctx);
    if (rc != BAKE_E_CORRUPT)
        return rc; /* said where it happened */
    if (!dk_tarin_cut(f->tar))
        return bake_fail(t->ctx, rc, "the daemon's archive of '%s': %s", t->shown,
                         dk_tarin_why(f->tar));
    f->broken = BAKE_E_IO;
    if (first && !reading)
        report(t, last, "this or what follows it is missing in the daemon's archive of ", t->shown);
    return bake_fail(t->ctx, BAKE_E_IO,
                     "the daemon's archive of '%s' breaks off at '%s', what follows is missing: "
                     "perhaps a file shrank while it was read\n"
                     "HINT: let the container be stopped or paused meanwhile ('consistency')",
                     t->shown, last);
}

static bool within_skipped(const struct dk_fetch *f, const char *path)
{
    return f->skipped.n > 0 && bkc_path_within(f->skipped.data, path);
}

/* Left out by rule? Its first name's data are the only ones in the archive. */
static int excluded(struct dk_tree *t, const struct bake_entry *e, bool *ret)
{
    struct dk_fetch *f = t->fetch;
    const struct bkc_ignore *ig = t->s->ignore;
    bool dir = e->type == BAKE_DIR;
    *ret = within_skipped(f, e->path) ||
           (ig && strcmp(e->path, ".") != 0 && bkc_ignored(ig, e->path, dir));
    if (*ret && dir && !within_skipped(f, e->path) &&
        tar_text_set(&f->skipped, e->path, strlen(e->path)) != BAKE_OK)
        return dk_nomem(t->ctx);
    return BAKE_OK;
}

static bool path_excluded(const struct dk_tree *t, const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (!t->s->ignore || n >= sizeof(part))
        return false;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (bkc_ignored(t->s->ignore, part, path[i] == '/'))
            return true;
    }
    return false;
}

int dk_fetch_next(struct dk_tree *t, struct bake_entry *ret)
{
    struct dk_fetch *f = t->fetch;
    for (;;) {
        bool out = false;
        if (t->ctx->host->cancelled(t->ctx))
            return bake_fail(t->ctx, BAKE_E_CANCELLED, "cancelled");
        if (f->broken != BAKE_OK && f->broken != BAKE_E_IO)
            return f->broken;
        int rc = dk_tarin_next(f->tar, ret);
        if (rc != BAKE_OK)
            return rc < 0 ? failed(t, rc, false) : rc;
        rc = excluded(t, ret, &out);
        if (rc == BAKE_OK && tar_text_set(&f->last, ret->path, strlen(ret->path)) != BAKE_OK)
            rc = dk_nomem(t->ctx);
        if (rc != BAKE_OK)
            return rc;
        if (out)
            continue;
        if (ret->type == BAKE_HARDLINK && path_excluded(t, ret->link)) {
            report(t, ret->path,
                   "left out: it is another name of what 'exclude' leaves out, and the daemon "
                   "sends its data under that name only: ",
                   ret->link);
            continue;
        }
        return BAKE_OK;
    }
}

int dk_fetch_read(struct dk_tree *t, struct bake_out *out)
{
    struct dk_fetch *f = t->fetch;
    if (t->ctx->host->cancelled(t->ctx))
        return bake_fail(t->ctx, BAKE_E_CANCELLED, "cancelled");
    int rc = dk_tarin_read(f->tar, out);
    return rc < 0 ? failed(t, rc, true) : rc;
}

/* ---- helper containers ----------------------------------------------------------------------- */

int dk_nonce(struct bake_ctx *ctx, struct dk_nonce *ret)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return bake_fail(ctx, BAKE_E_IO, "the system gives no random bytes");
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(ret->text + 2 * i, 3, "%02x", bytes[i]);
    return BAKE_OK;
}

json_t *dk_helper_labels(struct dk_source *s, struct bake_ctx *ctx)
{
    char *owner = dk_owner(s, ctx);
    json_t *labels =
        owner ? json_pack("{s:s, s:s}", "bakengine.helper", "1", "bakengine.owner", owner) : NULL;
    free(owner);
    return labels;
}

/* Any image does: nothing in it is run. */
static int some_image(struct dk_source *s, struct bake_ctx *ctx, char **ret)
{
    json_t *images = NULL, *image;
    size_t i;
    int rc = dk_get(s->api, ctx, "/images/json", &images);
    *ret = NULL;
    json_array_foreach(images, i, image)
    {
        const char *id = json_string_value(json_object_get(image, "Id"));
        if (!id)
            continue;
        *ret = strdup(id);
        if (!*ret)
            rc = dk_nomem(ctx);
        break;
    }
    json_decref(images);
    if (rc == BAKE_OK && !*ret)
        rc = bake_fail(ctx, BAKE_E_UNSUPPORTED,
                       "the daemon has no image that a helper container could be made of");
    return rc;
}

static json_t *helper_body(struct dk_source *s, struct bake_ctx *ctx, const char *image,
                           const char *volume)
{
    json_t *labels = dk_helper_labels(s, ctx);
    if (!labels)
        return NULL;
    /* without NoCopy an empty volume would be filled from the image */
    return json_pack("{s:s, s:[s], s:[s], s:o, s:b, s:{s:s, s:[{s:s, s:s, s:s, s:b, s:{s:b}}]}}",
                     "Image", image, "Entrypoint", "/bakengine", "Cmd", "none", "Labels", labels,
                     "NetworkDisabled", 1, "HostConfig", "NetworkMode", "none", "Mounts", "Type",
                     "volume", "Source", volume, "Target", DK_HELPER_TARGET, "ReadOnly", 1,
                     "VolumeOptions", "NoCopy", 1);
}

int dk_helper_make(struct dk_source *s, struct bake_ctx *ctx, const char *volume, char **ret_id)
{
    struct dk_nonce nonce;
    char path[120], *image = NULL;
    json_t *answer = NULL, *body = NULL;
    int rc = dk_nonce(ctx, &nonce);
    if (rc == BAKE_OK)
        rc = some_image(s, ctx, &image);
    if (rc != BAKE_OK)
        return rc;
    (void)snprintf(path, sizeof(path), "/containers/create?name=bakengine-read-%s", nonce.text);
    body = helper_body(s, ctx, image, volume);
    rc = body ? dk_post(s->api, ctx, path, body, &answer) : dk_nomem(ctx);
    const char *id = json_string_value(json_object_get(answer, "Id"));
    if (rc == BAKE_OK && (!id || !(*ret_id = strdup(id))))
        rc = id ? dk_nomem(ctx)
                : bake_fail(ctx, BAKE_E_IO, "the daemon gives no id of a new container");
    json_decref(answer);
    json_decref(body);
    free(image);
    return rc;
}

void dk_helper_remove(struct dk_source *s, struct bake_ctx *ctx, char *id)
{
    if (id && dk_remove_container(s->api, ctx, id, true) != BAKE_OK)
        bake_log(ctx, BAKE_LOG_WARN, "the helper container '%.12s' could not be removed again", id);
    free(id);
}
