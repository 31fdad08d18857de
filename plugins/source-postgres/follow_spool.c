/* The receiver's spool. */
#include "follow.h"

#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MOST_MS 30000u

static int no_memory(struct pg_spool *s)
{
    return bake_fail(s->ctx, BAKE_E_NOMEM, "out of memory");
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_segment(const char *name)
{
    return strspn(name, "0123456789ABCDEF") == PG_SEGMENT_DIGITS && !name[PG_SEGMENT_DIGITS];
}

static bool is_history(const char *name)
{
    return strspn(name, "0123456789ABCDEF") == 8 && strcmp(name + 8, ".history") == 0;
}

/* By position, then by timeline; a history before the segments of its timeline. */
static int by_age(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    if (is_history(x) != is_history(y))
        return is_history(x) ? -1 : 1;
    int c = is_segment(x) && is_segment(y) ? strcmp(x + 8, y + 8) : 0;
    return c ? c : strcmp(x, y);
}

struct names {
    char **list;
    size_t n, cap;
};

static bool add(struct names *all, const char *name)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 32;
        char **list = realloc(all->list, cap * sizeof(*list));
        if (!list)
            return false;
        all->list = list;
        all->cap = cap;
    }
    all->list[all->n] = strdup(name);
    return all->list[all->n] && ++all->n;
}

static void free_names(struct names *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->list[i]);
    free(all->list);
}

static int look(struct pg_spool *s, struct names *ret)
{
    DIR *dir = opendir(s->directory);
    int rc = BAKE_OK;
    if (!dir)
        return bake_fail(s->ctx, BAKE_E_IO, "cannot open '%s': %s", s->directory, strerror(errno));
    for (const struct dirent *e; rc == BAKE_OK && (e = readdir(dir));)
        if ((is_segment(e->d_name) || is_history(e->d_name)) && !add(ret, e->d_name))
            rc = no_memory(s);
    (void)closedir(dir);
    if (rc == BAKE_OK && ret->n > 0)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_age);
    return rc;
}

/* ---- storing --------------------------------------------------------------------------------- */

/* Failures that time may heal. */
static bool passes(int rc)
{
    return rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT || rc == BAKE_E_IO ||
           rc == BAKE_E_NOSPACE;
}

static int store(struct pg_spool *s, const char *name, const char *path)
{
    char object[48];
    (void)snprintf(object, sizeof(object), "%.8s/%s", name, name);
    for (uint32_t pause = 500;; pause = pause < RETRY_MOST_MS / 2 ? 2 * pause : RETRY_MOST_MS) {
        int rc = s->ctx->host->log_put(s->ctx, s->stream, object, path);
        if (rc == BAKE_OK && s->warned) {
            bake_report(s->ctx, BAKE_NOTICE, name, "the store takes the log again");
            s->warned = false;
        }
        if (!passes(rc))
            return rc;
        if (!s->warned)
            bake_report(s->ctx, BAKE_WARNING, name,
                        "cannot be stored; it is kept in '%s' and tried again", s->directory);
        s->warned = true;
        if ((rc = s->ctx->host->sleep_ms(s->ctx, pause)) != BAKE_OK)
            return rc;
    }
}

static int drop(struct pg_spool *s, const char *name)
{
    char *path = pg_text("%s/%s", s->directory, name);
    if (!path)
        return no_memory(s);
    int rc = BAKE_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        rc = bake_fail(s->ctx, BAKE_E_IO, "cannot remove '%s': %s", path, strerror(errno));
    free(path);
    return rc;
}

static int put_one(struct pg_spool *s, const char *name)
{
    if (strcmp(name, s->kept) == 0)
        return BAKE_OK;
    char *path = pg_text("%s/%s", s->directory, name);
    int rc = path ? store(s, name, path) : no_memory(s);
    free(path);
    if (rc != BAKE_OK)
        return rc;
    s->stored++;
    bake_log(s->ctx, BAKE_LOG_DEBUG, "stored %s", name);
    if (is_history(name))
        return drop(s, name);
    if (*s->kept)
        rc = drop(s, s->kept);
    (void)snprintf(s->kept, sizeof(s->kept), "%s", name);
    return rc;
}

int pg_spool_put(struct pg_spool *s)
{
    struct names all = {0};
    int rc = look(s, &all);
    for (size_t i = 0; rc == BAKE_OK && i < all.n; i++)
        rc = put_one(s, all.list[i]);
    free_names(&all);
    return rc;
}

/* ---- where to go on -------------------------------------------------------------------------- */

struct newest {
    char name[64];
};

/* "00000001/000000010000000000000005" */
static int note_newest(void *arg, const char *name, uint64_t size)
{
    struct newest *n = arg;
    const char *slash = strchr(name, '/');
    (void)size;
    if (!slash || !is_segment(slash + 1))
        return 0;
    const char *now = slash + 1, *best = *n->name ? n->name + 9 : NULL;
    int c = best ? strcmp(now + 8, best + 8) : 1;
    if (c > 0 || (c == 0 && strcmp(now, best) > 0))
        (void)snprintf(n->name, sizeof(n->name), "%.8s/%s", now, now);
    return 0;
}

int pg_spool_seed(struct pg_spool *s)
{
    struct names all = {0};
    struct newest newest = {0};
    int rc = look(s, &all);
    bool any = all.n > 0 && is_segment(all.list[all.n - 1]);
    free_names(&all);
    if (rc != BAKE_OK || any)
        return rc;
    rc = s->ctx->host->log_list(s->ctx, s->stream, note_newest, &newest);
    if (rc != BAKE_OK || !*newest.name)
        return rc;
    char *path = pg_text("%s/%s", s->directory, newest.name + 9);
    rc = path ? s->ctx->host->log_get(s->ctx, s->stream, newest.name, path) : no_memory(s);
    if (rc == BAKE_OK)
        (void)snprintf(s->kept, sizeof(s->kept), "%.24s", newest.name + 9);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

int pg_spool_clear(struct pg_spool *s)
{
    DIR *dir = opendir(s->directory);
    int rc = BAKE_OK;
    if (!dir)
        return bake_fail(s->ctx, BAKE_E_IO, "cannot open '%s': %s", s->directory, strerror(errno));
    for (const struct dirent *e; rc == BAKE_OK && (e = readdir(dir));)
        if (strspn(e->d_name, "0123456789ABCDEF") == PG_SEGMENT_DIGITS)
            rc = drop(s, e->d_name);
    (void)closedir(dir);
    s->kept[0] = '\0';
    return rc;
}
