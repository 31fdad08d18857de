/* The Engine API, typed: https://docs.docker.com/engine/api/v1.41/. One connection per call from a
 * small pool, so calls may come from any threads at once. Every function ends early when ctx is
 * cancelled, and says by bake_fail() what failed, on what, and what the daemon answered (never what
 * was sent: a container's environment holds passwords). Results: 404 is BAKE_E_NOTFOUND, 409
 * BAKE_E_EXISTS (a conflict), 401 and 403 and a socket without permission BAKE_E_AUTH, no daemon
 * BAKE_E_UNAVAILABLE (so are 502 to 504), silence longer than the time limit BAKE_E_TIMEOUT, other
 * answers BAKE_E_IO. */
#ifndef DOCKER_API_H
#define DOCKER_API_H

#include "docker.h"

struct dk_api_opts {
    const char *host;            /* NULL: DOCKER_HOST, else unix:///var/run/docker.sock */
    const char *ca, *cert, *key; /* NULL: ca.pem, cert.pem, key.pem of DOCKER_CERT_PATH where
                                    DOCKER_TLS_VERIFY is set */
    uint64_t timeout_ms;         /* of silence, not of length */
};

/* Asks for the version and agrees on one: at most ours, at most the server's, and not below either
 * one's minimum (BAKE_E_UNSUPPORTED says both). */
int dk_api_open(struct bake_ctx *ctx, const struct dk_api_opts *opts, struct dk_api **ret);
void dk_api_close(struct dk_api *api);               /* NULL is fine */
const char *dk_api_host(const struct dk_api *api);   /* as it is used: "unix:///..." */
bool dk_api_local(const struct dk_api *api);         /* over a Unix socket */
const char *dk_api_engine(const struct dk_api *api); /* "20.10.24" */
const char *dk_api_arch(const struct dk_api *api);   /* "amd64" */
const char *dk_api_id(const struct dk_api *api);     /* the daemon's ID, of /info */
const char *dk_api_root(const struct dk_api *api);   /* DockerRootDir */

/* path: what follows the version, "/containers/json?all=1"; dk_quote() what is put into it. The
 * result is the caller's; *ret may be NULL (an answer without a body). */
int dk_get(struct dk_api *api, struct bake_ctx *ctx, const char *path, json_t **ret);
int dk_post(struct dk_api *api, struct bake_ctx *ctx, const char *path, const json_t *body,
            json_t **ret);
int dk_delete(struct dk_api *api, struct bake_ctx *ctx, const char *path);
char *dk_quote(const char *text); /* percent-encoded; NULL: out of memory */

/* ---- containers ------------------------------------------------------------------------------ */

int dk_inspect(struct dk_api *api, struct bake_ctx *ctx, const char *id, json_t **ret);
/* ret_changed (may be NULL): false when it was so already. The daemon carries these out even when
 * nobody waits any more, so they are waited for although ctx is cancelled, and after a time limit
 * the state is asked for until it is known. seconds -1: its own. */
int dk_stop(struct dk_api *api, struct bake_ctx *ctx, const char *id, int64_t seconds,
            bool *ret_changed);
int dk_start(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed);
int dk_pause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed);
int dk_unpause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed);
/* Until it is running and, where it has a health check, healthy. BAKE_E_TIMEOUT, or BAKE_E_CHILD
 * when it ended (its exit code and its last lines of log are said). */
int dk_wait_healthy(struct dk_api *api, struct bake_ctx *ctx, const char *id, uint64_t timeout_ms);
/* Removes with anonymous volumes; not being there is fine. */
int dk_remove_container(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool force);

/* ---- archives -------------------------------------------------------------------------------- */

struct dk_stat {       /* of X-Docker-Container-Path-Stat */
    char *name, *link; /* link "" when it is none */
    uint64_t size;
    uint32_t mode; /* as st_mode, made from Go's FileMode */
    int64_t mtime_ns;
};
void dk_stat_release(struct dk_stat *st);
int dk_archive_stat(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                    struct dk_stat *ret);

/* GET archive: a tar. The container is locked in the daemon until it is read to its end or closed
 * (facts: inspect, exec, stop of it wait meanwhile). */
struct dk_download;
int dk_archive_get(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                   struct dk_download **ret);
int dk_download_read(struct dk_download *d, struct bake_out *out); /* OK | END; a cut body: IO */
void dk_download_close(struct dk_download *d);

/* PUT archive: extracts a tar below the directory `path`. Merges, deletes nothing, not atomic. */
struct dk_upload;
int dk_archive_put(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                   struct dk_upload **ret);
int dk_upload_write(struct dk_upload *u, const void *data, size_t n);
int dk_upload_end(struct dk_upload *u);    /* frees u; the daemon's verdict */
void dk_upload_abort(struct dk_upload *u); /* frees u */

/* POST /images/load of a tar made in memory (the helper image). */
int dk_image_load(struct dk_api *api, struct bake_ctx *ctx, const void *tar, size_t n);

#endif
