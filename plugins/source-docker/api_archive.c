/* Archives in and out of containers, and images. */
#include "api_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dk_download {
    struct dk_api *api;
    struct bake_ctx *ctx;
    struct dk_ask ask;
    char *what, *path;
};

struct dk_upload {
    struct dk_api *api;
    struct bake_ctx *ctx;
    struct dk_ask ask;
    char *what, *path;
    uint64_t sent;
    bool enough; /* the daemon has said yes already: what follows the tar's end is not wanted */
    int failed;
};

/* ---- get ------------------------------------------------------------------------------------- */

int dk_archive_get(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                   struct dk_download **ret)
{
    struct dk_download *d = calloc(1, sizeof(*d));
    if (!d)
        return dk_nomem(ctx);
    d->api = api;
    d->ctx = ctx;
    int rc = dk_archive_of(api, id, path, "read", &d->path, &d->what) ? BAKE_OK : dk_nomem(ctx);
    d->ask = (struct dk_ask){.method = "GET", .path = d->path, .what = d->what};
    if (rc == BAKE_OK)
        rc = dk_ask_open(api, ctx, &d->ask);
    if (rc == BAKE_OK)
        rc = dk_ask_answer(api, ctx, &d->ask);
    if (rc != BAKE_OK) {
        dk_download_close(d);
        return rc;
    }
    *ret = d;
    return BAKE_OK;
}

int dk_download_read(struct dk_download *d, struct bake_out *out)
{
    int rc = bkc_call_read(d->ask.call, out);
    if (rc == BAKE_OK || rc == BAKE_END)
        return rc;
    if (rc == BAKE_E_UNAVAILABLE)
        rc = BAKE_E_IO;
    return dk_ask_broken(d->api, d->ctx, &d->ask, rc);
}

void dk_download_close(struct dk_download *d)
{
    if (!d)
        return;
    dk_ask_close(&d->ask);
    free(d->path);
    free(d->what);
    free(d);
}

/* ---- put ------------------------------------------------------------------------------------- */

int dk_archive_put(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                   struct dk_upload **ret)
{
    struct dk_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return dk_nomem(ctx);
    u->api = api;
    u->ctx = ctx;
    int rc = dk_archive_of(api, id, path, "write to", &u->path, &u->what) ? BAKE_OK : dk_nomem(ctx);
    u->ask = (struct dk_ask){.method = "PUT", .path = u->path, .what = u->what, .upload = true};
    if (rc == BAKE_OK)
        rc = dk_ask_open(api, ctx, &u->ask);
    if (rc != BAKE_OK) {
        dk_upload_abort(u);
        return rc;
    }
    *ret = u;
    return BAKE_OK;
}

/* What was lost on the way in, the daemon may have explained on the way out. */
static int send_failed(struct dk_upload *u, int rc)
{
    if (rc == BAKE_E_UNAVAILABLE)
        rc = BAKE_E_IO;
    return u->failed = dk_ask_broken(u->api, u->ctx, &u->ask, rc);
}

int dk_upload_write(struct dk_upload *u, const void *data, size_t n)
{
    if (u->failed)
        return u->failed;
    if (n == 0 || u->enough)
        return BAKE_OK;
    int rc = bkc_call_send(u->ask.call, data, n);
    if (rc == BAKE_OK) {
        u->sent += n;
        return BAKE_OK;
    }
    if (rc != BAKE_END)
        return send_failed(u, rc);
    rc = dk_ask_answer(u->api, u->ctx, &u->ask);
    u->enough = rc == BAKE_OK;
    u->failed = rc;
    return rc;
}

static int verdict(struct dk_upload *u)
{
    if (u->failed)
        return u->failed;
    if (u->enough)
        return BAKE_OK;
    /* the daemon says yes to an empty body, though nothing was written then */
    if (u->sent == 0)
        return bake_fail(u->ctx, BAKE_E_INTERNAL, "cannot %s: nothing was sent", u->what);
    return dk_ask_answer(u->api, u->ctx, &u->ask);
}

int dk_upload_end(struct dk_upload *u)
{
    int rc = verdict(u);
    dk_upload_abort(u);
    return rc;
}

void dk_upload_abort(struct dk_upload *u)
{
    if (!u)
        return;
    dk_ask_close(&u->ask);
    free(u->path);
    free(u->what);
    free(u);
}

/* ---- images ---------------------------------------------------------------------------------- */

/* The answer is one JSON object after the other, and 200 even when one of them is an error. */
static int load_said(struct bake_ctx *ctx, const char *body, size_t n)
{
    while (n > 0) {
        json_error_t e;
        json_t *j = json_loadb(body, n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
        if (!j)
            break;
        const char *error = json_string_value(json_object_get(j, "error"));
        int rc = error ? bake_fail(ctx, BAKE_E_IO, "cannot load an image into docker: %s", error)
                       : BAKE_OK;
        json_decref(j);
        if (rc != BAKE_OK)
            return rc;
        body += e.position;
        n -= (size_t)e.position;
    }
    return BAKE_OK;
}

int dk_image_load(struct dk_api *api, struct bake_ctx *ctx, const void *tar, size_t n)
{
    struct dk_ask a = {.method = "POST",
                       .path = "/images/load?quiet=1",
                       .what = "load an image",
                       .raw = tar,
                       .raw_n = n};
    char *body = NULL;
    size_t size = 0;
    int rc = dk_ask_open(api, ctx, &a);
    if (rc == BAKE_OK)
        rc = dk_ask_answer(api, ctx, &a);
    if (rc == BAKE_OK && (rc = bkc_call_collect(a.call, 1U << 20, &body, &size)) != BAKE_OK)
        rc = dk_ask_broken(api, ctx, &a, rc);
    dk_ask_close(&a);
    if (rc == BAKE_OK)
        rc = load_said(ctx, body, size);
    free(body);
    return rc;
}
