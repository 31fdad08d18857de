/* Finding out whether a directory can be exchanged with another one of its file system: where it is
 * on the daemon's host, and whether we reach it there ourselves. */
#include "place_impl.h"
#include "tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUND (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* The mount's root as it is on the host: ground/root, or the ground itself (root ""). */
struct site {
    char *ground, *root;
};

static void release(struct site *at)
{
    free(at->ground);
    free(at->root);
}

/* ---- volumes --------------------------------------------------------------------------------- */

/* A local volume without options is <where volumes are>/NAME/_data. END: another kind. */
static int site_of_volume(struct dk_place *p, struct bake_ctx *ctx, struct site *ret)
{
    char *quoted = dk_quote(p->plan.volume), *path, *tail;
    json_t *j = NULL;
    const char *driver, *point;
    int rc;

    path = quoted ? dk_text("/volumes/%s", quoted) : NULL;
    tail = dk_text("/%s/_data", p->plan.volume);
    rc = path && tail ? dk_get(p->s->api, ctx, path, &j) : dk_nomem(ctx);
    driver = json_string_value(json_object_get(j, "Driver"));
    point = json_string_value(json_object_get(j, "Mountpoint"));
    if (rc == BAKE_OK) {
        size_t n = point ? strlen(point) : 0, k = strlen(tail);

        rc = BAKE_END;
        if (driver && strcmp(driver, "local") == 0 && n > k && point[0] == '/' &&
            strcmp(point + n - k, tail) == 0 &&
            json_object_size(json_object_get(j, "Options")) == 0) {
            ret->ground = strndup(point, n - k);
            ret->root = strdup(tail + 1);
            rc = ret->ground && ret->root ? BAKE_OK : dk_nomem(ctx);
        }
    }
    json_decref(j);
    free(quoted);
    free(path);
    free(tail);
    return rc;
}

/* ---- bind mounts ----------------------------------------------------------------------------- */

/* Beside the directory that is mounted (where no container sees what is staged), or within it. */
static int site_of_bind(struct dk_place *p, struct bake_ctx *ctx, bool within, struct site *ret)
{
    const char *source = p->plan.bind, *slash = strrchr(source, '/');

    if (within ? !p->plan.path[0] : !slash[1])
        return BAKE_END;
    ret->ground = within           ? strdup(source)
                  : slash > source ? strndup(source, (size_t)(slash - source))
                                   : strdup("/");
    ret->root = strdup(within ? "" : slash + 1);
    if (!ret->ground || !ret->root)
        return dk_nomem(ctx);
    return dk_path_below(ret->root) ? BAKE_OK : BAKE_END;
}

/* ---- reaching it ourselves ------------------------------------------------------------------- */

/* The mount's root, proven to be what the daemon means. -1: not from here. */
static int prove(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                 const struct dk_mount *m)
{
    const char *why = NULL;
    int fd = -1, rc = BAKE_END;

    if (p->s->cfg->read == DK_READ_API)
        return -1;
    if (spec->container && m)
        rc = dk_prove_directory(p->s, ctx, spec->container, m->destination, &fd, &why);
    if (rc != BAKE_OK && p->plan.volume)
        rc = dk_prove_volume(p->s, ctx, p->plan.volume, &fd, &why);
    if (rc == BAKE_OK)
        return fd;
    bake_log(ctx, BAKE_LOG_DEBUG, "%s is not reached directly: %s", p->plan.what,
             why ? why : "it cannot be proven to be the same");
    return -1;
}

static bool same(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* Where the proven directory's ground is, by the name that the kernel knows it by. */
static void reach(struct dk_plan *plan, int proven, const struct site *at)
{
    char link[40], real[PATH_MAX], *again;
    size_t k = at->root[0] ? strlen(at->root) + 1 : 0;
    ssize_t n;
    int fd;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", proven);
    n = readlink(link, real, sizeof(real) - 1);
    if (n <= 0 || real[0] != '/')
        return;
    real[n] = '\0';
    if ((size_t)n < k ||
        (k && (real[(size_t)n - k] != '/' || strcmp(real + (size_t)n - k + 1, at->root) != 0)))
        return;
    real[(size_t)n - k] = '\0';
    plan->ground.here = strdup(real[0] ? real : "/");
    plan->ground.fd = plan->ground.here ? open(plan->ground.here, GROUND) : -1;
    again = dk_text("%s%s%s", plan->ground.here ? plan->ground.here : "", k ? "/" : "", at->root);
    fd = plan->ground.fd >= 0 && again ? open(again, GROUND | O_NOFOLLOW) : -1;
    if (fd < 0 || !same(fd, proven)) {
        if (plan->ground.fd >= 0)
            (void)close(plan->ground.fd);
        plan->ground.fd = -1;
        free(plan->ground.here);
        plan->ground.here = NULL;
    }
    if (fd >= 0)
        (void)close(fd);
    free(again);
}

/* ---- whether it can be exchanged ------------------------------------------------------------- */

static void forget(struct dk_plan *plan)
{
    dk_ground_release(&plan->ground);
    free(plan->target);
    plan->target = NULL;
}

/* BAKE_OK: it can; END: it cannot; else a failure. */
static int try_site(struct dk_place *p, struct bake_ctx *ctx, const struct site *at, int proven,
                    struct dk_fs_answer *ret)
{
    struct dk_plan *plan = &p->plan;
    struct dk_fs_order stat = {.verb = DK_FS_STAT};
    int rc;

    plan->ground.path = strdup(at->ground);
    plan->target = dk_text("%s%s%s", at->root, at->root[0] && plan->path[0] ? "/" : "", plan->path);
    if (!plan->ground.path || !plan->target)
        return dk_nomem(ctx);
    if (proven >= 0)
        reach(plan, proven, at);
    if (plan->ground.fd < 0 && dk_helper_lacks(p->s))
        return BAKE_END;
    stat.a = plan->target;
    rc = dk_ground_do(p->s, ctx, &plan->ground, &stat, ret);
    if (rc < 0)
        return rc;
    if (ret->error || !ret->movable || ret->mounts || (ret->ino == 0) != plan->absent)
        return BAKE_END;
    plan->ino_old = ret->ino;
    plan->way = DK_WAY_EXCHANGE;
    return BAKE_OK;
}

int dk_ground_find(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                   const struct dk_mount *m, struct dk_fs_answer *ret)
{
    int rc = BAKE_END, proven = -1;

    if (!dk_path_below(p->plan.path))
        return BAKE_OK;
    for (int i = 0; i < (p->plan.bind ? 2 : 1) && rc == BAKE_END; i++) {
        struct site at = {0};

        rc = p->plan.volume ? site_of_volume(p, ctx, &at) : site_of_bind(p, ctx, i > 0, &at);
        if (rc == BAKE_OK) {
            if (proven < 0)
                proven = prove(p, ctx, spec, m);
            rc = try_site(p, ctx, &at, proven, ret);
        }
        release(&at);
        if (rc != BAKE_OK)
            forget(&p->plan);
    }
    if (proven >= 0)
        (void)close(proven);
    return rc == BAKE_END ? BAKE_OK : rc;
}

static bool inode(const struct dk_plan *p, const char *path, uint64_t *ret)
{
    struct dk_fs_order stat = {.verb = DK_FS_STAT, .a = path};
    struct dk_fs_answer a;

    dk_fs_do(p->ground.fd, &stat, &a);
    *ret = a.ino;
    return a.error == 0;
}

/* The two directories, known by their inodes, are proof enough that it is the same place. Once it
 * was undone there may be one alone, and nothing to do but to look; and the new one may have been
 * made without anybody having noted which it is. */
void dk_ground_reach(struct dk_plan *p)
{
    uint64_t target, staged;

    if (!p->ground.here || p->ground.fd >= 0)
        return;
    p->ground.fd = open(p->ground.here, GROUND);
    if (p->ground.fd < 0 ||
        (inode(p, p->target, &target) && inode(p, p->staged, &staged) &&
         ((target == p->ino_old && (staged == p->ino_new || staged == 0 || !p->ino_new)) ||
          (target == p->ino_new && staged == p->ino_old))))
        return;
    (void)close(p->ground.fd);
    p->ground.fd = -1;
}
