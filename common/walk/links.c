/* The table of objects with several names: chained hash of small records, each with its own name
 * and a counted reference to its directory's path. */
#include "walk/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bkc_walk_dir {
    size_t refs, n;
    char path[]; /* not NUL-ended */
};

struct link {
    struct link *next;
    uint64_t dev, ino;
    int64_t born_ns;
    uint64_t left; /* names that were not yet seen */
    struct bkc_walk_dir *dir;
    char name[];
};

struct bkc_walk_links {
    struct link **buckets;
    size_t n, n_buckets; /* a power of two */
    char *path;          /* the answer given last */
    size_t path_cap;
};

int bkc_walk_dir_new(const char *path, size_t n, struct bkc_walk_dir **ret)
{
    struct bkc_walk_dir *d = malloc(sizeof(*d) + n);
    if (!d)
        return ENOMEM;
    d->refs = 1;
    d->n = n;
    memcpy(d->path, path, n);
    *ret = d;
    return 0;
}

void bkc_walk_dir_unref(struct bkc_walk_dir *d)
{
    if (d && --d->refs == 0)
        free(d);
}

int bkc_walk_links_new(struct bkc_walk_links **ret)
{
    struct bkc_walk_links *l = calloc(1, sizeof(*l));
    if (!l)
        return ENOMEM;
    l->n_buckets = 256;
    l->buckets = calloc(l->n_buckets, sizeof(struct link *));
    if (!l->buckets) {
        free(l);
        return ENOMEM;
    }
    *ret = l;
    return 0;
}

static void drop(struct bkc_walk_links *l, struct link **at)
{
    struct link *link = *at;
    *at = link->next;
    bkc_walk_dir_unref(link->dir);
    free(link);
    l->n--;
}

void bkc_walk_links_free(struct bkc_walk_links *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_buckets; i++)
        while (l->buckets[i])
            drop(l, &l->buckets[i]);
    free(l->buckets);
    free(l->path);
    free(l);
}

static size_t bucket(const struct bkc_walk_links *l, uint64_t dev, uint64_t ino)
{
    uint64_t h = (ino ^ dev << 32) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) & (l->n_buckets - 1);
}

/* Where the record of this object hangs, or where its chain ends. */
static struct link **find(struct bkc_walk_links *l, const struct bkc_walk_stat *st)
{
    struct link **at = &l->buckets[bucket(l, st->dev, st->ino)];
    while (*at && !((*at)->ino == st->ino && (*at)->dev == st->dev))
        at = &(*at)->next;
    return at;
}

static void grow(struct bkc_walk_links *l)
{
    size_t was = l->n_buckets;
    struct link **buckets = calloc(was * 2, sizeof(struct link *));
    if (!buckets)
        return; /* only slower */
    struct link **old = l->buckets;
    l->buckets = buckets;
    l->n_buckets = was * 2;
    for (size_t i = 0; i < was; i++)
        for (struct link *link = old[i], *next; link; link = next) {
            next = link->next;
            struct link **at = &buckets[bucket(l, link->dev, link->ino)];
            link->next = *at;
            *at = link;
        }
    free(old);
}

static int remember(struct bkc_walk_links *l, const struct bkc_walk_stat *st,
                    struct bkc_walk_dir *dir, const char *name)
{
    size_t len = strlen(name) + 1;
    struct link *link = malloc(sizeof(*link) + len);
    if (!link)
        return ENOMEM;
    if (l->n >= l->n_buckets)
        grow(l);
    *link = (struct link){.dev = st->dev, .ino = st->ino, .born_ns = st->born_ns, .dir = dir};
    link->left = st->nlink - 1;
    memcpy(link->name, name, len);
    dir->refs++;
    struct link **at = find(l, st);
    link->next = *at;
    *at = link;
    l->n++;
    return 0;
}

static int path_of(struct bkc_walk_links *l, const struct link *link, const char **ret)
{
    size_t n = link->dir->n, len = strlen(link->name) + 1;
    if (n + 1 + len > l->path_cap) {
        char *path = realloc(l->path, (n + 1 + len) * 2);
        if (!path)
            return ENOMEM;
        l->path = path;
        l->path_cap = (n + 1 + len) * 2;
    }
    memcpy(l->path, link->dir->path, n);
    if (n > 0)
        l->path[n++] = '/';
    memcpy(l->path + n, link->name, len);
    *ret = l->path;
    return 0;
}

int bkc_walk_links_seen(struct bkc_walk_links *l, const struct bkc_walk_stat *st,
                        struct bkc_walk_dir *dir, const char *name, const char **ret)
{
    struct link **at = find(l, st);
    *ret = NULL;
    /* the same number with another birth: the first object is gone, its number was given again */
    if (*at && (*at)->born_ns != st->born_ns)
        drop(l, at);
    else if (*at) {
        int rc = path_of(l, *at, ret);
        if (rc == 0 && --(*at)->left == 0)
            drop(l, at);
        return rc;
    }
    return remember(l, st, dir, name);
}

void bkc_walk_links_forget(struct bkc_walk_links *l, const struct bkc_walk_stat *st)
{
    struct link **at = find(l, st);
    if (*at)
        drop(l, at);
}

size_t bkc_walk_links_count(const struct bkc_walk_links *l) { return l->n; }
