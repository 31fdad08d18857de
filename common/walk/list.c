/* Directory listings: names packed one after the other, sorted by offsets, spilled in runs when
 * they are too many for memory. */
#include "walk/list.h"

#include "walk/runs.h"
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DENTS (64u << 10)

struct bkc_walk_list {
    struct bkc_walk_budget *budget;
    size_t counted; /* of this list, within budget->used */
    char *arena;
    size_t used, cap;
    uint32_t *order;
    size_t n, order_cap, at;
    struct bkc_walk_runs *runs; /* NULL: all is in memory */
    int no_spill;               /* there is no place to spill to: memory it is */
    char *last;                 /* with runs: a copy of the name that was given last */
    size_t last_cap;
};

static void count(struct bkc_walk_list *l)
{
    size_t now = l->used + l->n * sizeof(*l->order);
    l->budget->used += now - l->counted;
    l->counted = now;
}

static int reserve(struct bkc_walk_list *l, size_t more)
{
    if (l->used + more > UINT32_MAX)
        return EOVERFLOW;
    if (l->used + more > l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4096;
        while (cap < l->used + more)
            cap *= 2;
        char *arena = realloc(l->arena, cap);
        if (!arena)
            return ENOMEM;
        l->arena = arena;
        l->cap = cap;
    }
    if (l->n == l->order_cap) {
        size_t cap = l->order_cap ? l->order_cap * 2 : 128;
        uint32_t *order = realloc(l->order, cap * sizeof(*order));
        if (!order)
            return ENOMEM;
        l->order = order;
        l->order_cap = cap;
    }
    return 0;
}

static int by_name(const void *a, const void *b, void *arena)
{
    const char *names = arena;
    return strcmp(names + *(const uint32_t *)a, names + *(const uint32_t *)b);
}

static void sort(struct bkc_walk_list *l)
{
    if (l->n > 1)
        qsort_r(l->order, l->n, sizeof(*l->order), by_name, l->arena);
}

/* Writes what is in memory out as a run. Where that is impossible the names stay in memory. */
static void spill(struct bkc_walk_list *l)
{
    if (!l->runs && bkc_walk_runs_new(&l->runs) != 0) {
        l->no_spill = 1;
        return;
    }
    sort(l);
    if (bkc_walk_runs_add(l->runs, l->arena, l->order, l->n) != 0) {
        l->no_spill = 1;
        return;
    }
    l->budget->spilled++;
    l->used = l->n = 0;
    count(l);
}

static int add(struct bkc_walk_list *l, const char *name)
{
    size_t len = strlen(name) + 1;
    size_t own = l->used + l->n * sizeof(*l->order);
    int full = l->budget->used - l->counted + own > l->budget->limit;
    /* small listings are not worth a file, even when those above them have taken the budget */
    if (full && own > l->budget->limit / 64 && !l->no_spill)
        spill(l);
    int rc = reserve(l, len);
    if (rc != 0)
        return rc;
    memcpy(l->arena + l->used, name, len);
    l->order[l->n++] = (uint32_t)l->used;
    l->used += len;
    return 0;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Stops at a tag, which is then the last name. */
static int read_names(int fd, struct bkc_walk_list *l, bkc_walk_is_tag_fn *is_tag, const void *arg,
                      bool *ret_tagged)
{
    char *dents = malloc(DENTS);
    int rc = dents ? 0 : ENOMEM;
    *ret_tagged = false;
    while (rc == 0 && !*ret_tagged) {
        ssize_t n = getdents64(fd, dents, DENTS);
        if (n < 0)
            rc = errno;
        if (n <= 0)
            break;
        for (ssize_t at = 0; at < n && rc == 0 && !*ret_tagged;) {
            const struct dirent64 *d = (const struct dirent64 *)(const void *)(dents + at);
            at += d->d_reclen;
            if (is_dots(d->d_name))
                continue;
            rc = add(l, d->d_name);
            *ret_tagged = is_tag && is_tag(arg, fd, d->d_name);
        }
    }
    free(dents);
    return rc;
}

/* Keeps nothing but the name that add() took last. */
static void only(struct bkc_walk_list *l)
{
    size_t last = l->order[l->n - 1];
    memmove(l->arena, l->arena + last, l->used - last);
    l->used -= last;
    l->order[0] = 0;
    l->n = 1;
    bkc_walk_runs_free(l->runs);
    l->runs = NULL;
}

/* Gives back what doubling took too much: a deep tree keeps a listing for each level. */
static void trim(struct bkc_walk_list *l)
{
    char *arena = l->used < l->cap / 2 ? realloc(l->arena, l->used + 1) : NULL;
    if (arena) {
        l->arena = arena;
        l->cap = l->used + 1;
    }
    uint32_t *order =
        l->n < l->order_cap / 2 ? realloc(l->order, (l->n + 1) * sizeof(*order)) : NULL;
    if (order) {
        l->order = order;
        l->order_cap = l->n + 1;
    }
}

int bkc_walk_list_read(int fd, struct bkc_walk_budget *budget, bkc_walk_is_tag_fn *is_tag,
                       const void *arg, struct bkc_walk_list **ret)
{
    struct bkc_walk_list *l = calloc(1, sizeof(*l));
    bool tagged = false;
    if (!l)
        return ENOMEM;
    l->budget = budget;
    int rc = read_names(fd, l, is_tag, arg, &tagged);
    if (rc == 0 && tagged)
        only(l);
    sort(l);
    trim(l);
    count(l);
    if (rc == 0 && l->runs)
        rc = bkc_walk_runs_start(l->runs);
    if (rc != 0) {
        bkc_walk_list_free(l);
        return rc;
    }
    *ret = l;
    return 0;
}

static int keep_last(struct bkc_walk_list *l, const char *name)
{
    size_t len = strlen(name) + 1;
    if (len > l->last_cap) {
        char *last = realloc(l->last, len + 256);
        if (!last)
            return ENOMEM;
        l->last = last;
        l->last_cap = len + 256;
    }
    memcpy(l->last, name, len);
    return 0;
}

/* The next name of the runs and of what stayed in memory. */
static int merged(struct bkc_walk_list *l, const char **ret)
{
    for (;;) {
        const char *spilled = bkc_walk_runs_peek(l->runs);
        const char *kept = l->at < l->n ? l->arena + l->order[l->at] : NULL;
        bool from_runs = spilled && (!kept || strcmp(spilled, kept) < 0);
        const char *name = from_runs ? spilled : kept;
        if (!name)
            return ENOENT;
        bool again = l->last && strcmp(l->last, name) == 0;
        int rc = again ? 0 : keep_last(l, name);
        if (rc == 0 && from_runs)
            rc = bkc_walk_runs_take(l->runs);
        if (rc != 0)
            return rc;
        l->at += !from_runs;
        if (!again) {
            *ret = l->last;
            return 0;
        }
    }
}

int bkc_walk_list_next(struct bkc_walk_list *l, const char **ret)
{
    if (l->runs)
        return merged(l, ret);
    while (l->at < l->n) {
        const char *name = l->arena + l->order[l->at];
        const char *before = l->at ? l->arena + l->order[l->at - 1] : NULL;
        l->at++;
        if (!before || strcmp(before, name) != 0) {
            *ret = name;
            return 0;
        }
    }
    return ENOENT;
}

void bkc_walk_list_free(struct bkc_walk_list *l)
{
    if (!l)
        return;
    l->budget->used -= l->counted;
    bkc_walk_runs_free(l->runs);
    free(l->arena);
    free(l->order);
    free(l->last);
    free(l);
}
