/* The way back: entries are put where they came from, below the root of the file system. */
#include "files.h"

#include "roots.h"
#include "tree/extract.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The extractor follows no link below its root, as a backup may hold hostile ones. But a path like
 * /data/app with a link at /data was written down by the user and is meant to lead there: what is
 * above his own paths is resolved here, once. */
struct detour {
    char *from, *to; /* entry paths of directories, "" for the root */
};

struct files_writer {
    struct bake_ctx *ctx;
    struct bkc_extract *extract;
    struct detour *detours;
    size_t n;
    char *path, *link; /* of the entry that was put last, where a detour led it */
};

/* ---- detours --------------------------------------------------------------------------------- */

/* Where the absolute path leads today, as far as it exists. NULL: no memory. */
static char *resolved(const char *path)
{
    size_t n = strlen(path);
    char *head = strdup(path), *real = NULL;
    while (head && n > 0 && !(real = realpath(head, NULL)) && errno != ENOMEM) {
        while (n > 0 && head[n - 1] != '/')
            n--; /* drop the last part, then its slash */
        while (n > 1 && head[n - 1] == '/')
            n--;
        head[n] = '\0';
        if (n == 1 && head[0] == '/') {
            real = strdup("/");
            break;
        }
    }
    free(head);
    if (!real)
        return NULL;
    const char *rest = path + n;
    rest += strspn(rest, "/");
    size_t len = strlen(real);
    char *ret = malloc(len + strlen(rest) + 2);
    if (ret) {
        memcpy(ret, real, len);
        if (*rest && ret[len - 1] != '/')
            ret[len++] = '/';
        memcpy(ret + len, rest, strlen(rest) + 1);
    }
    free(real);
    return ret;
}

static bool has_detour(const struct files_writer *w, const char *from)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->detours[i].from, from) == 0)
            return true;
    return false;
}

static int add_detour(struct files_writer *w, const char *from, const char *to)
{
    struct detour *more = realloc(w->detours, (w->n + 1) * sizeof(*more));
    if (!more)
        return ENOMEM;
    w->detours = more;
    more[w->n] = (struct detour){strdup(from), strdup(to)};
    w->n++;
    return more[w->n - 1].from && more[w->n - 1].to ? 0 : ENOMEM;
}

/* Takes over dir, an absolute path without '/' at its end ("" for the root). */
static int look_at(struct files_writer *w, char *dir)
{
    char *real = dir && *dir ? resolved(dir) : NULL;
    int rc = !dir || (*dir && !real) ? ENOMEM : 0;
    if (real && strcmp(real, dir) != 0 && !has_detour(w, dir + 1))
        rc = add_detour(w, dir + 1, real + 1);
    free(real);
    free(dir);
    return rc;
}

/* The directory that holds the root; of one whose own link is followed, itself. */
static char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strndup(path, (size_t)(slash - path));
}

/* A path that is not there: up to its last part, or to what comes before its first glob. */
static int missing(void *arg, const struct bake_path *path, const char *at, int error)
{
    (void)at;
    (void)error;
    size_t n = strcspn(path->path, "*?[");
    char *head = strndup(path->path, n);
    char *base = head ? base_of(head) : NULL;
    free(head);
    return look_at(arg, base);
}

static int find_detours(struct files_writer *w, const struct bake_path *paths)
{
    struct files_roots roots = {0};
    int rc = files_roots_expand(paths, missing, w, &roots);
    for (size_t i = 0; i < roots.n && rc == 0; i++)
        rc = look_at(w, base_of(roots.items[i].path));
    files_roots_free(&roots);
    return rc;
}

/* path itself, or where a detour leads (then also in *keep, which is freed before). */
static const char *led(struct files_writer *w, const char *path, char **keep)
{
    const struct detour *best = NULL;
    for (size_t i = 0; i < w->n; i++) {
        const struct detour *d = &w->detours[i];
        bool inside = bkc_path_within(d->from, path) && strcmp(d->from, path) != 0;
        if (inside && (!best || strlen(d->from) > strlen(best->from)))
            best = d;
    }
    if (!best)
        return path;
    const char *rest = path + strlen(best->from);
    size_t n = strlen(best->to);
    char *now = malloc(n + strlen(rest) + 1);
    free(*keep);
    *keep = now;
    if (!now)
        return NULL;
    memcpy(now, best->to, n);
    memcpy(now + n, n > 0 ? rest : rest + 1, strlen(rest) + (n > 0));
    return now;
}

/* ---- the writer ------------------------------------------------------------------------------ */

int files_writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                      const struct bake_restore *how, void **ret_writer)
{
    const struct files_source *s = self;
    const struct bkc_extract_opts opts = {.root = "/", .force = how->force, .parent_mode = 0755};
    (void)c;
    if (how->purpose != BAKE_RESTORE)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "files go back to their own place only\n"
                         "HINT: restore them into a directory with --target");
    struct files_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return files_nomem(ctx);
    w->ctx = ctx;
    int rc = find_detours(w, s->cfg->paths) == 0 ? BAKE_OK : files_nomem(ctx);
    if (rc == BAKE_OK)
        rc = bkc_extract_open(ctx, &opts, &w->extract);
    if (rc != BAKE_OK) {
        files_writer_close(w);
        return rc;
    }
    *ret_writer = w;
    return BAKE_OK;
}

int files_put_entry(void *writer, const struct bake_entry *entry)
{
    struct files_writer *w = writer;
    struct bake_entry e = *entry;
    e.path = led(w, entry->path, &w->path);
    if (entry->type == BAKE_HARDLINK && entry->link)
        e.link = led(w, entry->link, &w->link);
    if (!e.path || (entry->link && !e.link))
        return files_nomem(w->ctx);
    return bkc_extract_put(w->extract, &e);
}

int files_write(void *writer, struct bake_in *in)
{
    struct files_writer *w = writer;
    return bkc_extract_write(w->extract, in);
}

int files_entry_end(void *writer, int good)
{
    struct files_writer *w = writer;
    return bkc_extract_end(w->extract, good);
}

int files_commit(void *writer)
{
    struct files_writer *w = writer;
    return bkc_extract_finish(w->extract);
}

void files_writer_close(void *writer)
{
    struct files_writer *w = writer;
    bkc_extract_close(w->extract);
    for (size_t i = 0; i < w->n; i++) {
        free(w->detours[i].from);
        free(w->detours[i].to);
    }
    free(w->detours);
    free(w->path);
    free(w->link);
    free(w);
}
