/* Words, numbers and JSON of places: what an undo in another process works from. */
#include "place_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

char *dk_text(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

int dk_place_nonce(struct bake_ctx *ctx, char out[DK_NONCE])
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return bake_fail(ctx, BAKE_E_IO, "cannot get a random number: %s", strerror(errno));
    (void)snprintf(out, DK_NONCE, "%016llx", (unsigned long long)random);
    return BAKE_OK;
}

static int code_of(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return BAKE_E_NOSPACE;
    case ENOMEM:
        return BAKE_E_NOMEM;
    case EACCES:
    case EPERM:
        return BAKE_E_AUTH;
    case ENOENT:
        return BAKE_E_NOTFOUND;
    default:
        return BAKE_E_IO;
    }
}

int dk_place_errno(struct bake_ctx *ctx, const char *what, const struct dk_fs_answer *a,
                   const char *doing)
{
    if (a->error == ESTALE)
        return bake_fail(ctx, BAKE_E_IO,
                         "cannot %s %s: another directory is there now than the one that was "
                         "looked at before",
                         doing, what);
    if (a->error == ELOOP)
        return bake_fail(ctx, BAKE_E_IO, "cannot %s %s: a symbolic link is on the way", doing,
                         what);
    if (a->where[0])
        return bake_fail(ctx, code_of(a->error), "cannot %s %s: at '%s': %s", doing, what, a->where,
                         strerror(a->error));
    return bake_fail(ctx, code_of(a->error), "cannot %s %s: %s", doing, what, strerror(a->error));
}

bool dk_path_below(const char *path)
{
    size_t n;

    if (!*path)
        return true;
    for (;; path += n + 1) {
        n = strcspn(path, "/");
        if (n == 0 || (n == 1 && *path == '.') || (n == 2 && memcmp(path, "..", 2) == 0))
            return false;
        if (!path[n])
            return true;
    }
}

/* ---- the plan -------------------------------------------------------------------------------- */

void dk_ground_release(struct dk_ground *g)
{
    if (g->fd >= 0)
        (void)close(g->fd);
    g->fd = -1;
    free(g->path);
    free(g->here);
    g->path = g->here = NULL;
}

void dk_plan_release(struct dk_plan *p)
{
    dk_ground_release(&p->ground);
    free(p->what);
    free(p->nonce);
    free(p->stage);
    free(p->volume);
    free(p->bind);
    free(p->container);
    free(p->path);
    free(p->target);
    free(p->staged);
    free(p->holder);
    memset(p, 0, sizeof(*p));
    p->ground.fd = -1;
}

json_t *dk_plan_json(const struct dk_plan *p)
{
    return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:s*, s:s*, s:s*, "
                     "s:s*, s:s*, s:I, s:I}",
                     "way", p->way == DK_WAY_COPY ? "copy" : "exchange", "what", p->what, "nonce",
                     p->nonce, "stage", p->stage, "volume", p->volume, "bind", p->bind, "container",
                     p->container, "path", p->path, "absent", (int)p->absent, "file", (int)p->file,
                     "ground", p->ground.path, "here", p->ground.here, "target", p->target,
                     "staged", p->staged, "holder", p->holder, "old", (json_int_t)p->ino_old, "new",
                     (json_int_t)p->ino_new);
}

static bool take(const json_t *j, const char *key, char **ret)
{
    const json_t *v = json_object_get(j, key);

    *ret = NULL;
    if (!v)
        return true;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return false;
    *ret = strdup(json_string_value(v));
    return *ret != NULL;
}

static bool number(const json_t *j, const char *key, uint64_t *ret)
{
    const json_t *v = json_object_get(j, key);

    *ret = (uint64_t)json_integer_value(v);
    return !v || json_is_integer(v);
}

static bool take_all(const json_t *j, struct dk_plan *p)
{
    return take(j, "what", &p->what) && take(j, "nonce", &p->nonce) &&
           take(j, "stage", &p->stage) && take(j, "volume", &p->volume) &&
           take(j, "bind", &p->bind) && take(j, "container", &p->container) &&
           take(j, "path", &p->path) && take(j, "ground", &p->ground.path) &&
           take(j, "here", &p->ground.here) && take(j, "target", &p->target) &&
           take(j, "staged", &p->staged) && take(j, "holder", &p->holder) &&
           number(j, "old", &p->ino_old) && number(j, "new", &p->ino_new);
}

static bool good_nonce(const char *n)
{
    return strlen(n) == DK_NONCE - 1 && strspn(n, "0123456789abcdef") == DK_NONCE - 1;
}

/* Only names that places make are removed: nobody can hand in others. */
static bool good_names(const struct dk_plan *p)
{
    if (p->stage &&
        (strncmp(p->stage, "bakengine-stage-", 16) != 0 || strcmp(p->stage + 16, p->nonce) != 0))
        return false;
    if (p->holder) {
        const char *name = strrchr(p->holder, '/');

        name = name ? name + 1 : p->holder;
        return strncmp(name, ".bakengine-", 11) == 0 && strcmp(name + 11, p->nonce) == 0;
    }
    return true;
}

static bool sound(const struct dk_plan *p)
{
    if (!p->what || !p->nonce || !good_nonce(p->nonce) || !good_names(p) || !p->path ||
        (p->volume != NULL) + (p->bind != NULL) + (p->container != NULL) != 1)
        return false;
    if (p->way == DK_WAY_COPY)
        return p->stage && (p->container || dk_path_below(p->path));
    return p->ground.path && p->ground.path[0] == '/' && p->target && p->staged && *p->target &&
           *p->staged && dk_path_below(p->target) && dk_path_below(p->staged) &&
           (!p->holder || dk_path_below(p->holder)) && (p->stage || p->holder) &&
           (!p->ground.here || p->ground.here[0] == '/');
}

int dk_plan_parse(struct bake_ctx *ctx, const json_t *j, struct dk_plan *ret)
{
    const char *way = json_string_value(json_object_get(j, "way"));

    memset(ret, 0, sizeof(*ret));
    ret->ground.fd = -1;
    ret->way = way && strcmp(way, "copy") == 0 ? DK_WAY_COPY : DK_WAY_EXCHANGE;
    ret->absent = json_is_true(json_object_get(j, "absent"));
    ret->file = json_is_true(json_object_get(j, "file"));
    if (way && (ret->way == DK_WAY_COPY || strcmp(way, "exchange") == 0) && take_all(j, ret) &&
        (ret->way == DK_WAY_COPY || json_object_get(j, "new")) && sound(ret))
        return BAKE_OK;
    dk_plan_release(ret);
    return bake_fail(ctx, BAKE_E_CORRUPT, "what was noted about a restored directory is damaged");
}
