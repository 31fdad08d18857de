/* The helper's image: one layer that holds our program alone, built in memory and loaded once. */
#include "place_impl.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_MAX (16u << 20)

struct bytes {
    unsigned char *data;
    size_t n;
};

/* ---- the program ----------------------------------------------------------------------------- */

/* Where this code was loaded from. The engine gives the linker an open file's name, not a path. */
static bool own_path(char *out, size_t cap)
{
    static const char opened[] = "/proc/self/fd/";
    Dl_info info;
    ssize_t n;

    if (!dladdr((const void *)(uintptr_t)&dk_helper_image, &info) || !info.dli_fname)
        return false;
    if (strncmp(info.dli_fname, opened, sizeof(opened) - 1) != 0)
        return (size_t)snprintf(out, cap, "%s", info.dli_fname) < cap;
    n = readlink(info.dli_fname, out, cap);
    if (n <= 0 || (size_t)n >= cap)
        return false;
    out[n] = '\0';
    return true;
}

/* <somewhere>/plugins/source-docker.so has its helper in <somewhere>/helpers. */
static char *program_path(void)
{
    char own[PATH_MAX];
    const char *slash;

    if (!own_path(own, sizeof(own)))
        return NULL;
    slash = strrchr(own, '/');
    return dk_text("%.*s/../helpers/docker-helper", slash ? (int)(slash - own) : 1,
                   slash ? own : ".");
}

static bool read_whole(int fd, struct bytes *ret)
{
    struct stat st;
    size_t at = 0;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IWOTH) || st.st_size <= 0 ||
        st.st_size > (off_t)PROGRAM_MAX)
        return false;
    ret->n = (size_t)st.st_size;
    ret->data = malloc(ret->n);
    while (ret->data && at < ret->n) {
        ssize_t got = pread(fd, ret->data + at, ret->n - at, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    return ret->data && at == ret->n;
}

static bool program(struct bytes *ret)
{
    char *path = program_path();
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool good = fd >= 0 && read_whole(fd, ret);

    if (fd >= 0)
        (void)close(fd);
    free(path);
    return good;
}

bool dk_helper_there(void)
{
    char *path = program_path();
    bool there = path && access(path, R_OK) == 0;

    free(path);
    return there;
}

/* ---- the image ------------------------------------------------------------------------------- */

static int add(struct archive *a, const char *name, const void *data, size_t n, unsigned mode)
{
    struct archive_entry *e = archive_entry_new();
    int rc;

    if (!e)
        return -1;
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, (mode_t)mode);
    archive_entry_set_size(e, (la_int64_t)n);
    archive_entry_set_mtime(e, 0, 0);
    rc = archive_write_header(a, e) == ARCHIVE_OK && archive_write_data(a, data, n) == (la_ssize_t)n
             ? 0
             : -1;
    archive_entry_free(e);
    return rc;
}

static struct archive *tar_begin(struct bytes *out, size_t room, size_t *used)
{
    struct archive *a = archive_write_new();

    out->data = malloc(room);
    if (a && out->data && archive_write_set_format_ustar(a) == ARCHIVE_OK &&
        archive_write_open_memory(a, out->data, room, used) == ARCHIVE_OK)
        return a;
    (void)archive_write_free(a);
    return NULL;
}

static bool tar_end(struct archive *a, bool good)
{
    good = archive_write_close(a) == ARCHIVE_OK && good;
    (void)archive_write_free(a);
    return good;
}

static bool layer_of(const struct bytes *prog, struct bytes *ret)
{
    size_t used = 0;
    struct archive *a = tar_begin(ret, prog->n + 65536, &used);
    bool good = a && add(a, "helper", prog->data, prog->n, 0755) == 0;

    good = a && tar_end(a, good);
    ret->n = used;
    return good;
}

static bool hex_of(const struct bytes *b, char out[65])
{
    unsigned char sum[32];
    unsigned n = 0;

    if (EVP_Digest(b->data, b->n, sum, &n, EVP_sha256(), NULL) != 1 || n != sizeof(sum))
        return false;
    for (size_t i = 0; i < sizeof(sum); i++)
        (void)snprintf(out + i * 2, 3, "%02x", sum[i]);
    return true;
}

static char *config_of(struct dk_source *s, const char *layer)
{
    char diff[80];
    json_t *j;
    char *text;

    (void)snprintf(diff, sizeof(diff), "sha256:%s", layer);
    j = json_pack("{s:s, s:s, s:s, s:{s:[s], s:{s:s}}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}",
                  "architecture", dk_api_arch(s->api), "os", "linux", "created",
                  "1970-01-01T00:00:00Z", "config", "Entrypoint", "/helper", "Labels",
                  DK_LABEL_HELPER, "1", "rootfs", "type", "layers", "diff_ids", diff, "history",
                  "created", "1970-01-01T00:00:00Z", "created_by", "bakengine");
    text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    return text;
}

static char *manifest_of(const char *name)
{
    json_t *j = json_pack("[{s:s, s:[s], s:[s]}]", "Config", "config.json", "RepoTags", name,
                          "Layers", "layer.tar");
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    return text;
}

static bool image_of(const struct bytes *layer, const char *config, const char *manifest,
                     struct bytes *ret)
{
    size_t used = 0;
    struct archive *a = tar_begin(ret, layer->n + 65536, &used);
    bool good = a && add(a, "layer.tar", layer->data, layer->n, 0644) == 0 &&
                add(a, "config.json", config, strlen(config), 0644) == 0 &&
                add(a, "manifest.json", manifest, strlen(manifest), 0644) == 0;

    good = a && tar_end(a, good);
    ret->n = used;
    return good;
}

static int load(struct dk_source *s, struct bake_ctx *ctx, const struct bytes *layer,
                const char *digest, const char *name)
{
    char *config = config_of(s, digest), *manifest = manifest_of(name);
    struct bytes image = {0};
    int rc = config && manifest && image_of(layer, config, manifest, &image)
                 ? dk_image_load(s->api, ctx, image.data, image.n)
                 : dk_nomem(ctx);

    free(config);
    free(manifest);
    free(image.data);
    return rc;
}

static int image_there(struct dk_source *s, struct bake_ctx *ctx, const char *name, bool *ret)
{
    char *path = dk_text("/images/%s/json", name);
    json_t *j = NULL;
    int rc = path ? dk_get(s->api, ctx, path, &j) : dk_nomem(ctx);

    *ret = rc == BAKE_OK;
    rc = rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
    json_decref(j);
    free(path);
    return rc;
}

int dk_helper_image(struct dk_source *s, struct bake_ctx *ctx, char **ret_name)
{
    struct bytes prog = {0}, layer = {0};
    char digest[65], *name = NULL;
    bool there = false;
    int rc;

    if (!program(&prog)) {
        free(prog.data);
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "the program 'docker-helper' is not installed beside the plugins");
    }
    if (layer_of(&prog, &layer) && hex_of(&layer, digest))
        name = dk_text("bakengine/helper:%.12s", digest);
    rc = name ? image_there(s, ctx, name, &there) : dk_nomem(ctx);
    if (rc == BAKE_OK && !there)
        rc = load(s, ctx, &layer, digest, name);
    free(prog.data);
    free(layer.data);
    if (rc < 0) {
        free(name);
        return rc;
    }
    *ret_name = name;
    return BAKE_OK;
}
