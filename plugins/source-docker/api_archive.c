/* Archives in and out of containers, and images. */
#include "api_impl.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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

/* The request's path, and what it is called. false: out of memory. */
static bool archive_of(const char *id, const char *path, const char *doing, char **ret_path,
                       char **ret_what)
{
    char *q_id = dk_quote(id), *q_path = dk_quote(path);
    if (!q_id || !q_path || asprintf(ret_path, "/containers/%s/archive?path=%s", q_id, q_path) < 0)
        *ret_path = NULL;
    if (asprintf(ret_what, "%s '%s' of container '%s'", doing, path, dk_short(id).text) < 0)
        *ret_what = NULL;
    free(q_id);
    free(q_path);
    return *ret_path && *ret_what;
}

/* ---- stat ------------------------------------------------------------------------------------ */

uint32_t dk_mode_of_go(uint64_t mode)
{
    static const struct {
        uint64_t go;
        uint32_t unix_mode;
    } bits[] = {{1U << 23, S_ISUID}, {1U << 22, S_ISGID}, {1U << 20, S_ISVTX}};
    uint32_t m = (uint32_t)(mode & 0777);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (mode & bits[i].go)
            m |= bits[i].unix_mode;
    if (mode & (1U << 31))
        return m | S_IFDIR;
    if (mode & (1U << 27))
        return m | S_IFLNK;
    if (mode & (1U << 26))
        return m | (mode & (1U << 21) ? S_IFCHR : S_IFBLK);
    if (mode & (1U << 25))
        return m | S_IFIFO;
    return m | (mode & (1U << 24) ? S_IFSOCK : S_IFREG);
}

/* Two or more digits; false: something else stands there. */
static bool digits(const char **at, int n, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return false;
        *ret = *ret * 10 + ((*at)[i] - '0');
    }
    *at += n;
    return true;
}

static bool zone(const char **at, int *ret_seconds)
{
    int h, m, sign = **at == '-' ? -1 : 1;
    *ret_seconds = 0;
    if (**at == 'Z') {
        (*at)++;
        return true;
    }
    if (**at != '+' && **at != '-')
        return false;
    (*at)++;
    if (!digits(at, 2, &h) || *(*at)++ != ':' || !digits(at, 2, &m))
        return false;
    *ret_seconds = sign * (h * 3600 + m * 60);
    return true;
}

bool dk_time_of(const char *s, int64_t *ret_ns)
{
    struct tm tm = {.tm_isdst = 0};
    int64_t ns = 0;
    int offset;
    if (!digits(&s, 4, &tm.tm_year) || *s++ != '-' || !digits(&s, 2, &tm.tm_mon) || *s++ != '-' ||
        !digits(&s, 2, &tm.tm_mday) || *s++ != 'T' || !digits(&s, 2, &tm.tm_hour) || *s++ != ':' ||
        !digits(&s, 2, &tm.tm_min) || *s++ != ':' || !digits(&s, 2, &tm.tm_sec))
        return false;
    if (*s == '.') {
        int64_t unit = 100000000;
        for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
            ns += (*s - '0') * unit;
    }
    if (!zone(&s, &offset) || *s != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = (int64_t)timegm(&tm) - offset;
    if (seconds > INT64_MAX / 1000000000 - 1 || seconds < INT64_MIN / 1000000000 + 1)
        return false;
    *ret_ns = seconds * 1000000000 + ns;
    return true;
}

static json_t *decode(const char *header)
{
    size_t n = strlen(header);
    unsigned char *text = malloc(n + 4);
    json_t *j = NULL;
    int got =
        text && n <= 1U << 20 ? EVP_DecodeBlock(text, (const unsigned char *)header, (int)n) : -1;
    /* the padding came out as zeros */
    while (got > 0 && text[got - 1] == '\0')
        got--;
    if (got > 0)
        j = json_loadb((const char *)text, (size_t)got, JSON_ALLOW_NUL, NULL);
    free(text);
    return j;
}

int dk_stat_parse(const char *header, struct dk_stat *ret)
{
    json_t *j = decode(header);
    const char *name = json_string_value(json_object_get(j, "name"));
    const char *link = json_string_value(json_object_get(j, "linkTarget"));
    const char *mtime = json_string_value(json_object_get(j, "mtime"));
    const json_t *mode = json_object_get(j, "mode"), *size = json_object_get(j, "size");
    int rc = BAKE_E_IO;

    *ret = (struct dk_stat){.name = NULL};
    if (name && mtime && json_is_integer(mode) && json_is_integer(size) &&
        json_integer_value(size) >= 0 && dk_time_of(mtime, &ret->mtime_ns)) {
        ret->size = (uint64_t)json_integer_value(size);
        ret->mode = dk_mode_of_go((uint64_t)json_integer_value(mode));
        ret->name = strdup(name);
        ret->link = strdup(link ? link : "");
        rc = ret->name && ret->link ? BAKE_OK : BAKE_E_NOMEM;
    }
    json_decref(j);
    if (rc != BAKE_OK)
        dk_stat_release(ret);
    return rc;
}

void dk_stat_release(struct dk_stat *st)
{
    free(st->name);
    free(st->link);
    st->name = st->link = NULL;
}

int dk_archive_stat(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                    struct dk_stat *ret)
{
    struct dk_ask a = {.method = "HEAD"};
    char *target = NULL, *what = NULL;
    int rc = archive_of(id, path, "look at", &target, &what) ? BAKE_OK : dk_nomem(ctx);
    a.path = target;
    a.what = what;
    if (rc == BAKE_OK)
        rc = dk_ask_open(api, ctx, &a);
    if (rc == BAKE_OK && (rc = bkc_call_answer(a.call)) != BAKE_OK)
        rc = dk_ask_broken(api, ctx, &a, rc);
    if (rc == BAKE_OK && bkc_call_status(a.call) == 404) /* a HEAD has no text */
        rc = bake_fail(ctx, BAKE_E_NOTFOUND, "cannot %s: there is no such path or container", what);
    else if (rc == BAKE_OK)
        rc = dk_ask_answer(api, ctx, &a);
    if (rc == BAKE_OK) {
        const char *header = bkc_call_header(a.call, "X-Docker-Container-Path-Stat");
        rc = header ? dk_stat_parse(header, ret) : BAKE_E_IO;
        if (rc != BAKE_OK)
            rc = bake_fail(ctx, rc, "cannot %s: docker's answer says nothing of it", what);
    }
    dk_ask_close(&a);
    free(target);
    free(what);
    return rc;
}

/* ---- get ------------------------------------------------------------------------------------- */

int dk_archive_get(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                   struct dk_download **ret)
{
    struct dk_download *d = calloc(1, sizeof(*d));
    if (!d)
        return dk_nomem(ctx);
    d->api = api;
    d->ctx = ctx;
    int rc = archive_of(id, path, "read", &d->path, &d->what) ? BAKE_OK : dk_nomem(ctx);
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
    int rc = archive_of(id, path, "write to", &u->path, &u->what) ? BAKE_OK : dk_nomem(ctx);
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
