/* Containers that help: some are never started and hold a volume for the archive calls, others run
 * our program once, below a directory of the daemon's host. */
#include "hold.h"
#include "place_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER      "/answer"
#define TAR_BLOCK   512
#define WAIT_MAX_MS 250

static const char *own_arch(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__i386__)
    return "386";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__arm__)
    return "arm";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#else
    return "";
#endif
}

const char *dk_helper_lacks(struct dk_source *s)
{
    if (!dk_helper_there())
        return "the program 'docker-helper' is not installed beside the plugins";
    if (strcmp(own_arch(), dk_api_arch(s->api)) != 0)
        return "the daemon's host has another architecture than this program";
    return NULL;
}

/* ---- making one ------------------------------------------------------------------------------ */

static json_t *mount_of(const char *volume, const char *bind, const char *at)
{
    if (bind)
        return json_pack("{s:s, s:s, s:s}", "Type", "bind", "Source", bind, "Target", at);
    /* without NoCopy an empty volume would be filled from the image */
    return json_pack("{s:s, s:s, s:s, s:{s:b}}", "Type", "volume", "Source", volume, "Target", at,
                     "VolumeOptions", "NoCopy", 1);
}

/* Takes mount and cmd (may be NULL) over. */
static json_t *spec_of(const char *image, const char *owner, json_t *mount, json_t *cmd)
{
    json_t *j = mount
                    ? json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:[O], s:[s], s:s, s:{s:s}}}", "Image",
                                image, "Labels", DK_LABEL_HELPER, "1", DK_LABEL_OWNER, owner,
                                "HostConfig", "NetworkMode", "none", "Mounts", mount, "SecurityOpt",
                                "label=disable", "UsernsMode", "host", "LogConfig", "Type", "none")
                    : NULL;
    bool good = j != NULL;

    json_decref(mount);
    if (good && cmd)
        good = json_object_set(j, "Cmd", cmd) == 0 &&
               json_object_set_new(j, "Entrypoint", json_pack("[s]", "/helper")) == 0 &&
               json_object_set_new(j, "User", json_string("0:0")) == 0;
    else if (good) /* never started, but the daemon wants one */
        good = json_object_set_new(j, "Cmd", json_pack("[s]", "/helper")) == 0;
    json_decref(cmd);
    if (good)
        return j;
    json_decref(j);
    return NULL;
}

static int create(struct dk_source *s, struct bake_ctx *ctx, const json_t *spec, char **ret_id)
{
    char nonce[DK_NONCE], path[96];
    json_t *answer = NULL;
    const char *id;
    int rc = dk_place_nonce(ctx, nonce);

    if (rc < 0)
        return rc;
    (void)snprintf(path, sizeof(path), "/containers/create?name=bakengine-help-%s", nonce);
    rc = dk_post(s->api, ctx, path, spec, &answer);
    if (rc == BAKE_OK) {
        id = json_string_value(json_object_get(answer, "Id"));
        *ret_id = id ? strdup(id) : NULL;
        if (!*ret_id)
            rc = id ? dk_nomem(ctx)
                    : bake_fail(ctx, BAKE_E_IO, "docker did not name the container it made");
    }
    json_decref(answer);
    return rc;
}

/* Any image that is there. */
static int some_image(struct dk_source *s, struct bake_ctx *ctx, char **ret)
{
    json_t *list = NULL;
    const char *id;
    int rc = dk_get(s->api, ctx, "/images/json", &list);

    if (rc == BAKE_OK) {
        id = json_string_value(json_object_get(json_array_get(list, 0), "Id"));
        *ret = id ? strdup(id) : NULL;
        if (!*ret)
            rc = id ? dk_nomem(ctx)
                    : bake_fail(ctx, BAKE_E_UNSUPPORTED,
                                "docker has no image that a helper container could be made of");
    }
    json_decref(list);
    return rc;
}

/* Our own image; where that cannot be had, the one given or any other: nothing of it is run. */
static int image_for(struct dk_source *s, struct bake_ctx *ctx, const char *otherwise, char **ret)
{
    if (dk_helper_there())
        return dk_helper_image(s, ctx, ret);
    if (!otherwise)
        return some_image(s, ctx, ret);
    *ret = strdup(otherwise);
    return *ret ? BAKE_OK : dk_nomem(ctx);
}

int dk_carrier(struct dk_source *s, struct bake_ctx *ctx, const char *volume, const char *bind,
               const char *at, const char *image_or_null, char **ret_id)
{
    char *image = NULL, *owner = dk_owner(s, ctx);
    json_t *spec = NULL;
    int rc = owner ? image_for(s, ctx, image_or_null, &image) : dk_nomem(ctx);

    if (rc == BAKE_OK) {
        spec = spec_of(image, owner, mount_of(volume, bind, at), NULL);
        rc = spec ? create(s, ctx, spec, ret_id) : dk_nomem(ctx);
    }
    json_decref(spec);
    free(image);
    free(owner);
    return rc;
}

/* ---- running one ----------------------------------------------------------------------------- */

static int await_end(struct dk_source *s, struct bake_ctx *ctx, const char *id)
{
    uint32_t ms = 10;

    for (;;) {
        json_t *j = NULL;
        int rc = dk_inspect(s->api, ctx, id, &j);
        const char *status =
            json_string_value(json_object_get(json_object_get(j, "State"), "Status"));
        bool over = status && (strcmp(status, "exited") == 0 || strcmp(status, "dead") == 0);

        json_decref(j);
        if (rc < 0 || over)
            return rc;
        rc = ctx->host->sleep_ms(ctx, ms);
        if (rc < 0)
            return rc;
        ms = ms * 2 < WAIT_MAX_MS ? ms * 2 : WAIT_MAX_MS;
    }
}

/* A short file of the container, as the archive gives it: one header, then its content. */
static int fetch(struct dk_source *s, struct bake_ctx *ctx, const char *id, char *text, size_t size)
{
    struct dk_download *d = NULL;
    char tar[4 * TAR_BLOCK];
    struct bake_out out = {.data = tar, .size = sizeof(tar)};
    size_t n = 0;
    int rc = dk_archive_get(s->api, ctx, id, ANSWER, &d);

    while (rc == BAKE_OK && out.pos < out.size)
        rc = dk_download_read(d, &out);
    dk_download_close(d);
    if (rc < 0)
        return rc;
    for (size_t i = 124; i < 136 && out.pos > TAR_BLOCK; i++)
        if (tar[i] >= '0' && tar[i] <= '7')
            n = n * 8 + (size_t)(tar[i] - '0');
    if (out.pos < TAR_BLOCK || n == 0 || n >= size || n > out.pos - TAR_BLOCK)
        return BAKE_END;
    memcpy(text, tar + TAR_BLOCK, n);
    text[n] = '\0';
    return BAKE_OK;
}

static json_t *args_of(const struct dk_fs_order *o)
{
    char a[24], b[24];

    (void)snprintf(a, sizeof(a), "%llu", (unsigned long long)o->ino_a);
    (void)snprintf(b, sizeof(b), "%llu", (unsigned long long)o->ino_b);
    return json_pack("[s, s, s, s, s]", dk_fs_verb_name(o->verb), o->a ? o->a : "",
                     o->b ? o->b : "", a, b);
}

static int ask(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *verb,
               struct dk_fs_answer *ret)
{
    char text[1024];
    int rc = dk_start(s->api, ctx, id, NULL);

    if (rc == BAKE_OK)
        rc = await_end(s, ctx, id);
    if (rc == BAKE_OK)
        rc = fetch(s, ctx, id, text, sizeof(text));
    if (rc == BAKE_OK && !dk_fs_answer_parse(text, ret))
        rc = BAKE_END;
    if (rc == BAKE_END || rc == BAKE_E_NOTFOUND)
        rc = bake_fail(ctx, BAKE_E_CHILD, "the helper container for '%s' ended without an answer",
                       verb);
    return rc;
}

static int run_helper(struct dk_source *s, struct bake_ctx *ctx, const struct dk_ground *g,
                      const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    const char *lacks = dk_helper_lacks(s);
    char *image = NULL, *owner, *id = NULL;
    json_t *spec = NULL, *cmd;
    struct dk_calm calm;
    int rc;

    if (lacks)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "no helper container can be used: %s", lacks);
    owner = dk_owner(s, ctx);
    cmd = args_of(o);
    rc = owner && cmd ? dk_helper_image(s, ctx, &image) : dk_nomem(ctx);
    if (rc == BAKE_OK) {
        spec = spec_of(image, owner, mount_of(g->volume, g->path, "/m"), cmd);
        cmd = NULL;
        rc = spec ? create(s, ctx, spec, &id) : dk_nomem(ctx);
    }
    if (rc == BAKE_OK)
        rc = ask(s, ctx, id, dk_fs_verb_name(o->verb), ret);
    dk_calm(&calm, ctx);
    if (id)
        (void)dk_remove_container(s->api, &calm.ctx, id, true);
    json_decref(spec);
    json_decref(cmd);
    free(image);
    free(owner);
    free(id);
    return rc;
}

int dk_ground_do(struct dk_source *s, struct bake_ctx *ctx, const struct dk_ground *g,
                 const struct dk_fs_order *o, struct dk_fs_answer *ret)
{
    if (g->fd < 0)
        return run_helper(s, ctx, g, o, ret);
    dk_fs_do(g->fd, o, ret);
    return BAKE_OK;
}
